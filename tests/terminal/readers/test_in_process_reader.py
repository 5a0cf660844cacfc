"""The in-process reader tells a card that was pulled from one that never was there."""

from __future__ import annotations

import pytest

from cardbench.protocol.errors import CardNotPresent, CardRemoved
from cardbench.protocol.link import SlotState
from cardbench.terminal.readers import InProcessReader

COMMAND = bytes(4)
ATR = b"\x3b\x00"


class BareSlot:
    """A slot whose card says yes to everything while it has power; implements `Slot`."""

    name = "bare"

    def __init__(self) -> None:
        self.is_present = True
        self.changes = 1
        self.is_powered = False

    def move(self) -> None:
        self.is_present = not self.is_present
        self.is_powered = False
        self.changes += 1

    def state(self) -> SlotState:
        return SlotState(self.is_present, self.changes)

    def wait_for_change(self, changes: int, timeout_s: float | None = None) -> SlotState:
        del changes, timeout_s
        return self.state()

    def power_on(self) -> bytes:
        if not self.is_present:
            raise CardNotPresent("empty")
        self.is_powered = True
        return ATR

    reset = power_on

    def power_off(self) -> None:
        self.is_powered = False

    def transmit(self, command: bytes) -> bytes:
        del command
        if not self.is_powered:
            raise CardNotPresent("no power")
        return b"\x90\x00"


def test_a_card_that_is_pulled_between_two_commands_was_removed() -> None:
    slot = BareSlot()
    reader = InProcessReader(slot)
    reader.connect()
    assert reader.transmit(COMMAND) == b"\x90\x00"
    slot.move()
    for _ in range(2):
        with pytest.raises(CardRemoved, match="bare: the card was removed"):
            reader.transmit(COMMAND)
    slot.move()
    with pytest.raises(CardRemoved):  # another card, or another activation: open the channel first
        reader.transmit(COMMAND)
    assert reader.connect() == ATR
    assert reader.transmit(COMMAND) == b"\x90\x00"


def test_on_a_closed_channel_there_is_no_card() -> None:
    slot = BareSlot()
    reader = InProcessReader(slot)
    with pytest.raises(CardNotPresent):
        reader.transmit(COMMAND)
    reader.connect()
    slot.move()
    reader.disconnect()
    with pytest.raises(CardNotPresent):
        reader.transmit(COMMAND)
    with pytest.raises(CardNotPresent, match="bare: no card in the reader"):
        reader.connect()


def test_a_card_without_power_is_still_there() -> None:
    slot = BareSlot()
    reader = InProcessReader(slot)
    reader.connect()
    slot.power_off()
    with pytest.raises(CardNotPresent, match="no power"):
        reader.transmit(COMMAND)
