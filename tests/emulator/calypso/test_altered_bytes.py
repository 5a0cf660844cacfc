"""One altered byte between terminal and card, in anything that the MAC covers: refused, data unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calypso_workshop import made, peer_of

from cardbench.emulator.calypso.structure import (
    PIN_TRIES_KEY,
    TRANSACTION_COUNTER_KEY,
    ratified_key,
)

if TYPE_CHECKING:
    from cardbench.emulator.calypso import CalypsoCard
    from cardbench.emulator.chassis import Key, Value

COUNTED = {TRANSACTION_COUNTER_KEY, PIN_TRIES_KEY, ratified_key(0x2000)}
COMMANDS = (
    "00B2013C00",
    "00B2014D3E",
    "00A4090002201000",
    "0084000008",
    "0020000000",
    "002000000430303030",
    "00DC01441D" + "AB" * 29,
    "00D2014403010203",
    "00E200400C" + "CD" * 12,
    "003001C80300000100",
    "003800C80401000001",
    "00D69A00021122",
    "00B09A0002",
    "007C00091E",
    "00B201F400",
    "00DC01F4050102030405",
    "00B2063C00",
)


class AlteringCard:
    """A card behind a wire on which one bit of one exchange flips.

    Args:
        card: the card.
        exchange: which exchange, counted from the first behind Open.
        in_command: it is the command's bit, else the response's.
        position: which bit, modulo the number of bits.
    """

    def __init__(
        self, card: CalypsoCard, exchange: int, position: int, *, in_command: bool
    ) -> None:
        self.card = card
        self._exchange = exchange
        self._position = position
        self._in_command = in_command
        self._count = 0
        self.armed = False

    def power_on(self) -> bytes:
        return self.card.power_on()

    def transmit(self, command: bytes) -> bytes:
        if not self.armed:
            return self.card.transmit(command)
        strikes = self._count == self._exchange
        self._count += 1
        if strikes and self._in_command:
            command = self._flipped(command)
        response = self.card.transmit(command)
        return self._flipped(response) if strikes and not self._in_command else response

    def _flipped(self, raw: bytes) -> bytes:
        index, bit = divmod(self._position % (8 * len(raw)), 8)
        return raw[:index] + bytes((raw[index] ^ 1 << bit,)) + raw[index + 1 :]


def data_of(card: CalypsoCard) -> dict[Key, Value]:
    return {key: value for key, value in card.memory.objects().items() if key not in COUNTED}


@pytest.mark.parametrize("mode", ["regular", "extended"])
@given(
    commands=st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=6),
    exchange=st.integers(0, 5),
    position=st.integers(0, 2000),
    in_command=st.booleans(),
)
def test_a_flipped_bit_is_refused_at_close(
    mode: str, commands: list[str], exchange: int, position: int, in_command: bool
) -> None:
    exchange %= len(commands)
    command = bytes.fromhex(commands[exchange])
    is_case_4 = len(command) > 6 and len(command) == command[4] + 6
    if in_command and is_case_4 and position % (8 * len(command)) >= 8 * (len(command) - 1):
        position = 0  # Le of a case 4 command is the one byte that no MAC covers
    peer = peer_of("bench")
    card: CalypsoCard = peer.card  # type: ignore[assignment]
    wire = AlteringCard(card, exchange, position, in_command=in_command)
    before = data_of(card)
    peer.card = wire  # type: ignore[assignment]
    peer.open(3, mode=mode)
    wire.armed = True
    for each in commands:
        peer.transmit(bytes.fromhex(each))
    assert peer.close() in (
        "6988",
        "6985",
    )  # 6985: the flipped bit made a command that ends the session
    assert data_of(card) == before


@pytest.mark.parametrize("mode", ["regular", "extended"])
@given(position=st.integers(0, 2000), in_command=st.booleans())
def test_a_flipped_bit_in_open_is_refused(mode: str, position: int, in_command: bool) -> None:
    p2, data = (0x39, "04C1C2C3C4") if mode == "regular" else (0x3A, "0900C1C2C3C4C5C6C7C8")
    command = bytes.fromhex(f"008A0B{p2:02X}{data}00")
    if in_command:  # the header and Le of Open are not digested: the challenge is
        first = 5 if mode == "regular" else 6
        position = 8 * first + position % (8 * (len(command) - 1 - first))
    card = made("bench")
    wire = AlteringCard(card, 0, position, in_command=in_command)
    peer = peer_of("bench")
    peer.card = wire  # type: ignore[assignment]
    wire.power_on()
    before = data_of(card)
    wire.armed = True
    answer = wire.transmit(command)
    if answer[-2:] != b"\x90\x00":  # the terminal sees an error, or the zero byte was no more zero
        return
    peer.follow(command, answer)
    peer.ok("00E200400C" + "CD" * 12)
    assert peer.close() in ("6988", "6700")
    assert data_of(card) == before


@pytest.mark.parametrize("mode", ["regular", "extended"])
def test_le_of_a_case_4_command_is_not_digested_and_le_of_a_case_2_command_is(mode: str) -> None:
    for sent, digested, closes in (
        ("003001C80300000100", "003001C803000001", True),
        ("003001C803000001", "003001C80300000100", True),
        ("00B2013C1D", "00B2013C00", False),
        ("00B2013C1D", "00B2013C1D", True),
        ("0020000000", "00200000", False),
        ("00B201CCFF", "00B201CCFF", True),
        ("00B201CCFF", "00B201CC", False),
    ):
        peer = peer_of("bench")
        peer.open(3, mode=mode)
        answer = peer.card.transmit(bytes.fromhex(sent))
        assert answer[-2:] == b"\x90\x00"
        raw = bytes.fromhex(digested)
        assert peer.digest is not None
        peer.digest.absorb(raw[:-1] if len(raw) == 9 else raw)
        peer.digest.absorb(answer)
        assert (peer.close()[-4:] == "9000") is closes


def test_a_product_that_reads_lc_as_signed_drops_le_ff_of_a_read() -> None:
    peer = peer_of("bench", product={"signed_lc_in_digest": True})
    peer.open(3)
    answer = peer.card.transmit(bytes.fromhex("00B201CCFF"))
    assert peer.digest is not None
    peer.digest.absorb(bytes.fromhex("00B201CC"))
    peer.digest.absorb(answer)
    assert peer.close()[-4:] == "9000"


@pytest.mark.parametrize(
    "unseen",
    ["00B2000000", "00C0000010", "80C0000000", "0082000200", "008E010000", "008E8000051122334455"],
)
def test_what_the_mac_leaves_out_may_come_in_between(unseen: str) -> None:
    peer = peer_of("bench")
    peer.open(3)
    assert peer.card.transmit(bytes.fromhex(unseen))[0] in (0x67, 0x69, 0x6B)
    peer.ok("00E200400C" + "CD" * 12)
    peer.close_ok()


@pytest.mark.parametrize("seen", ["00B2063C00", "00", "", "FF00000000", "00B2013C000000", "00" * 7])
def test_refused_and_malformed_commands_are_digested_too(seen: str) -> None:
    for absorbed in (True, False):
        peer = peer_of("bench")
        peer.open(3)
        if absorbed:
            assert peer.send(seen)[0] == "6"
        else:
            peer.card.transmit(bytes.fromhex(seen))
        assert peer.close()[-4:] == ("9000" if absorbed else "6988")
