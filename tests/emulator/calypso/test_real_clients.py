"""What real PC/SC clients do to a Calypso card: T=0 with GET RESPONSE, missing and wrong Le.

The card sits in the strict T=0 slot; the client is one of those that the facts sheets tell of. Whatever it
does on the wire, card and terminal digest the same command and the same answer.

Source: pcsc (transport behaviour that real clients rely on), calypso-card §1.7, §5.2 (Le, 61XX, 6CXX), §11
quirk 13.
"""

from __future__ import annotations

import pytest
from support.calypso_cases import sv
from support.calypso_peer import Peer
from support.calypso_workshop import made, peer_of

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.t0 import T0Slot

KVCS = {"contact": 0x74, "prime-2": 0x79}


class T0Client:
    """A card behind a client that speaks T=0 as PC/SC libraries do.

    Args:
        preset: which card.
        repeats_class: GET RESPONSE comes in the class of the command, else in class 00.
    """

    def __init__(self, preset: str, *, repeats_class: bool) -> None:
        self.card = made(preset)
        slot = CardSlot("card")
        slot.insert(self.card)
        self.slot = T0Slot(slot)
        self._repeats_class = repeats_class
        self.wire: list[str] = []

    def power_on(self) -> bytes:
        return self.slot.power_on()

    def transmit(self, command: bytes) -> bytes:
        """Send one command: Le of case 4 dropped, 6CXX and 61XX dealt with."""
        if len(command) == 4:
            command += b"\0"  # case 1
        if len(command) > 6 and len(command) == command[4] + 6:
            command = command[:-1]
        answer = self._send(command)
        if answer[-2] == 0x6C:
            answer = self._send(command[:4] + answer[-1:])
        data = answer[:-2]
        while answer[-2] == 0x61:
            cla = command[:1] if self._repeats_class else b"\0"
            answer = self._send(cla + b"\xc0\0\0" + answer[-1:])
            data += answer[:-2]
        return data + answer[-2:]

    def _send(self, command: bytes) -> bytes:
        self.wire.append(command.hex().upper())
        answer = self.slot.transmit(command)
        self.wire.append(answer.hex().upper())
        return answer


def peer_on_contacts(preset: str, *, repeats_class: bool) -> tuple[Peer, T0Client]:
    client = T0Client(preset, repeats_class=repeats_class)
    peer = Peer(
        client,  # type: ignore[arg-type]  # as much of a card as the peer needs
        serial=client.card.structure.serial.hex(),
        kvc=KVCS[preset],
        cla=0x94 if preset == "prime-2" else 0x00,
    )
    return peer, client


both = pytest.mark.parametrize("repeats_class", [False, True], ids=["class 00", "class repeated"])


@both
@pytest.mark.parametrize(
    ("preset", "mode"),
    [("contact", "regular"), ("contact", "extended"), ("prime-2", "revision 2")],
)
def test_a_session_over_t0(preset: str, mode: str, *, repeats_class: bool) -> None:
    peer, client = peer_on_contacts(preset, repeats_class=repeats_class)
    cla = f"{peer.cla:02X}"
    peer.open(2, mode=mode, sfi=0x07, record=1)
    peer.ok(f"{cla}B2014C00", f"{cla}A4090002201000", f"{cla}84000008")
    peer.send(f"{cla}3201C80300000100")
    peer.ok(f"{cla}E200401D" + "11" * 29)
    peer.close_ok()
    assert any(line[2:4] == "C0" for line in client.wire)
    assert any(line[-4:-2] == "6C" for line in client.wire)


@both
def test_get_response_does_not_count_as_the_command_that_ratifies(*, repeats_class: bool) -> None:
    peer, client = peer_on_contacts("contact", repeats_class=repeats_class)
    peer.open(3)
    peer.close_ok(ratified=False)
    assert client.wire[-2][2:8] == "C00000"
    client.card.power_off()
    client.power_on()
    assert peer.open(3)[8:10] == "01"


@both
@pytest.mark.parametrize("le", ["00", "21"])
def test_a_stored_value_operation_over_t0_whatever_le_sv_get_had(
    le: str, *, repeats_class: bool
) -> None:
    peer, client = peer_on_contacts("contact", repeats_class=repeats_class)
    answer = peer.send(f"007C0007{le}")
    assert len(answer) == 2 * 0x21 + 4
    assert peer.send(peer.sv_command(0xB8, 5, answer, le="03")) == peer.sv_lo + "9000"
    assert any(line == "6103" for line in client.wire)


def test_a_wrong_le_in_a_session_is_executed_and_digested_once() -> None:
    peer, client = peer_on_contacts("contact", repeats_class=True)
    peer.open(3)
    for le in ("00", "1D", "20", "05"):
        assert peer.send(f"00B2013C{le}")[-4:] == "9000"
    peer.send("003001C80300000100")
    peer.close_ok()
    assert client.card.volatile.session is None


@pytest.mark.parametrize("preset", ["bench", "prime-2", "basic"])
def test_get_response_behind_a_complete_answer_harms_nothing(preset: str) -> None:
    """One client asks for data behind every 9000 without data, in a session too."""
    peer = peer_of(preset)
    cla = f"{peer.cla:02X}"
    peer.open(3, mode="revision 2" if preset == "prime-2" else "regular")
    peer.ok(f"{cla}E200400111")
    for asked in ("00C0000000", f"{cla}C0000003"):
        assert peer.send(asked) == "6985"
    peer.close_ok()
    assert peer.ok(f"{cla}B2014401") == "11"


@pytest.mark.parametrize("le", ["", "00", "03"])
def test_stored_value_operations_are_accepted_without_le_with_00_and_with_the_exact_one(
    le: str,
) -> None:
    peer = peer_of("bench")
    assert peer.send(sv(0xB8, 5, le=le)(peer)) == peer.sv_lo + "9000"


@pytest.mark.parametrize(
    ("command", "data"),
    [
        ("00B201CC03", "00000A"),
        ("00B201CC06", "00000A000000"),
        ("00B2014C02", "0102"),
        ("00B2014CFA", None),
        ("00B201CC00", "00000A" + "00" * 26),
    ],
)
def test_a_read_gives_what_le_asks_for_and_no_more_than_there_is(
    command: str, data: str | None
) -> None:
    answer = peer_of("bench").ok(command)
    assert len(answer) == 2 * min(int(command[-2:], 16) or 256, 29)
    assert data is None or answer == data


@pytest.mark.parametrize(
    "preset", ["bench", "prime-1", "prime-2", "light-classic", "basic", "contact"]
)
def test_the_card_itself_never_answers_61xx_or_6cxx(preset: str) -> None:
    """They are the slot's: in a session the terminal's digest would not know of the other Le."""
    peer = peer_of(preset)
    cla = f"{peer.cla:02X}"
    for command in (
        "B2013C01",
        "B2013CFF",
        "CA006F01",
        "A40900022001",
        "84000008",
    ):
        assert peer.send(cla + command)[-4:-2] not in ("61", "6C")
