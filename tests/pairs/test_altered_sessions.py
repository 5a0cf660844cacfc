"""One flipped bit between terminal and card: nothing passes, and the card's data do not change.

A gate validates a card over a wire that flips one bit: each bit of what a session digests, and of the two
MACs, in turn. The gate never opens. The card is as it was, with two exceptions that lie in the protocol: an
answer that the terminal foresaw travels behind the commands it belongs to, in one group with Close, and so
does the card's MAC. When a flip in one of these is seen, the card has committed what the terminal asked for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import pytest

from cardbench.emulator.calypso import new_card
from cardbench.emulator.calypso.structure import TRANSACTION_COUNTER_KEY, key_slot_key
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.apdu import without_le_of_case_4
from cardbench.protocol.errors import (
    CardbenchError,
    CryptoModuleError,
    InconsistentData,
    InvalidCardMac,
    WrongCryptogram,
)
from cardbench.sam_emulator import new_sam
from cardbench.scenarios.ticketing.gate import Gate
from cardbench.scenarios.ticketing.terminal import select_sam
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers import InProcessReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.chassis import Key, Value

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
OPEN, CLOSE = 0x8A, 0x8E
FORESEEN = {0x30, 0xE2}
"""Decrease and Append Record travel with Close; their answers are foreseen."""


class Flip(NamedTuple):
    """Which bit: of which APDU on the card's wire, command or response, which byte."""

    apdu: int
    in_response: bool
    byte: int
    bit: int


class Wire:
    """A gate, a card, a SAM, and a wire between gate and card that flips one bit."""

    def __init__(self) -> None:
        self.card = new_card("bench", entropy=Entropy(b"card"), clock=Clock())
        self.sam = new_sam("bench", entropy=Entropy(b"sam"), clock=Clock())
        self.start = self.card.snapshot(), self.sam.snapshot()
        self.flip: Flip | None = None
        self.carried: list[tuple[bytes, bytes]] = []

    def validate(self, flip: Flip | None = None) -> bool:
        """Validate from the start state; return whether the gate opened."""
        self.card.restore(self.start[0])
        self.sam.restore(self.start[1])
        self.flip = flip
        self.carried.clear()
        slots = CardSlot("card"), CardSlot("sam")
        for slot, card in zip(slots, (self.card, self.sam), strict=True):
            slot.insert(card)
        readers = [InProcessReader(slot) for slot in slots]
        send = readers[0].transmit
        readers[0].transmit = lambda command: self._carry(command, send)  # type: ignore[method-assign]
        gate = Gate(select_sam(CardChannel(readers[1])), now=lambda: NOON)
        return gate.validate(CardChannel(readers[0])).is_open

    def _carry(self, command: bytes, send: Callable[[bytes], bytes]) -> bytes:
        number = len(self.carried)
        sent = self._flipped(command, number, in_response=False)
        received = send(sent)
        self.carried.append((command, received))
        return self._flipped(received, number, in_response=True)

    def _flipped(self, data: bytes, apdu: int, *, in_response: bool) -> bytes:
        flip = self.flip
        if flip is None or (flip.apdu, flip.in_response) != (apdu, in_response):
            return data
        changed = bytearray(data)
        changed[flip.byte] ^= 1 << flip.bit
        return bytes(changed)

    def data(self) -> dict[Key, Value]:
        """The card's objects without the transaction counter, which every opening counts down."""
        objects = self.card.memory.objects()
        del objects[TRANSACTION_COUNTER_KEY]
        return objects


@pytest.fixture(scope="module")
def wire() -> Wire:
    return Wire()


@pytest.fixture(scope="module")
def whole(wire: Wire) -> list[tuple[bytes, bytes]]:
    """The card's wire in a validation that nothing disturbs."""
    assert wire.validate()
    return list(wire.carried)


def flips_of(whole: list[tuple[bytes, bytes]], *, first: int, last: int) -> list[Flip]:
    """Return every single flip of what is digested in these APDUs."""
    flips = []
    for apdu in range(first, last + 1):
        command, response = whole[apdu]
        if command[1] != OPEN:  # not digested; what it asks for shows in its answer
            size = len(without_le_of_case_4(command))
            flips += [Flip(apdu, False, byte, bit) for byte in range(size) for bit in range(8)]
        flips += [Flip(apdu, True, byte, bit) for byte in range(len(response)) for bit in range(8)]
    return flips


def position(whole: list[tuple[bytes, bytes]], ins: int) -> int:
    return next(number for number, (command, _) in enumerate(whole) if command[1] == ins)


@pytest.mark.slow
def test_a_flipped_bit_in_anything_digested_is_refused_and_changes_nothing(
    wire: Wire, whole: list[tuple[bytes, bytes]]
) -> None:
    opening, close = position(whole, OPEN), position(whole, CLOSE)
    before = Wire().data()
    flips = flips_of(whole, first=opening, last=close - 1)
    assert len(flips) > 1500
    for flip in flips:
        is_foreseen = flip.in_response and whole[flip.apdu][0][1] in FORESEEN
        try:
            opened = wire.validate(flip)
        except CardbenchError as error:
            opened = False
            if is_foreseen and isinstance(error, InconsistentData):
                continue
        assert not opened, flip
        assert wire.data() == before, flip


def test_a_flipped_bit_in_the_terminal_mac_is_refused_by_the_card(
    wire: Wire, whole: list[tuple[bytes, bytes]]
) -> None:
    before = Wire().data()
    for byte in range(5, 9):
        with pytest.raises(WrongCryptogram) as refused:
            wire.validate(Flip(position(whole, CLOSE), False, byte, byte % 8))
        assert refused.value.sw == 0x6988
        assert wire.data() == before


def test_a_flipped_bit_in_the_card_mac_is_seen_and_keeps_the_gate_closed(
    wire: Wire, whole: list[tuple[bytes, bytes]]
) -> None:
    for byte in range(4):
        with pytest.raises(InvalidCardMac):
            wire.validate(Flip(position(whole, CLOSE), True, byte, byte))


def test_a_key_that_the_sam_does_not_have_ends_in_a_named_error_and_changes_nothing() -> None:
    wire = Wire()
    _, _, algorithm, value = wire.card.memory[key_slot_key(0x2000, 3)]  # type: ignore[misc]
    wire.card.memory.commit({key_slot_key(0x2000, 3): (0x30, 0x99, algorithm, value)})
    wire.start = wire.card.snapshot(), wire.start[1]
    before = wire.data()
    with pytest.raises(CryptoModuleError, match="6A83"):
        wire.validate()
    assert wire.data() == before


def test_a_card_with_another_key_than_it_says_refuses_the_terminal() -> None:
    wire = Wire()
    kif, kvc, algorithm, _ = wire.card.memory[key_slot_key(0x2000, 3)]  # type: ignore[misc]
    wire.card.memory.commit({key_slot_key(0x2000, 3): (kif, kvc, algorithm, bytes(16))})
    wire.start = wire.card.snapshot(), wire.start[1]
    before = wire.data()
    with pytest.raises(WrongCryptogram):
        wire.validate()
    assert wire.data() == before
