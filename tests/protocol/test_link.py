"""The link between card and slot."""

from __future__ import annotations

from contextlib import suppress

import pytest

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.link import Card, PowerLoss, Slot, SlotState


def test_no_except_exception_answers_for_a_power_loss() -> None:
    assert not issubclass(PowerLoss, Exception)
    with pytest.raises(PowerLoss), suppress(Exception):
        raise PowerLoss


class Minimal:
    """The least that is a card."""

    answer_delay_s = 0.0

    def power_on(self) -> bytes:
        return b"\x3b\x00"

    def reset(self) -> bytes:
        return b"\x3b\x00"

    def power_off(self) -> None: ...

    def deselect(self) -> None: ...

    def transmit(self, command: bytes) -> bytes:
        return command[:1] + b"\x90\x00"


def test_a_card_is_whatever_has_its_five_functions() -> None:
    assert isinstance(Minimal(), Card)
    assert not isinstance(object(), Card)


def test_a_slot_carries_bytes_between_reader_and_card() -> None:
    slot = CardSlot("slot")
    assert isinstance(slot, Slot)
    assert slot.state() == SlotState(present=False, changes=0)
    slot.insert(Minimal())
    assert slot.state() == SlotState(present=True, changes=1)
    assert slot.power_on() == b"\x3b\x00"
    assert slot.transmit(b"\xaa\xbb") == b"\xaa\x90\x00"
