"""The link between a card and what it sits in: where `terminal` and `emulator` meet as bytes.

A `Card` answers; a `Slot` holds at most one card. An emulator puts a Card into a Slot; a terminal's
reader opens any Slot. Neither side knows more of the other than these protocols.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable


class PowerLoss(BaseException):
    """The card lost its power in the middle of a command.

    The one exception allowed out of `Card.transmit`, and a `BaseException`, so that no
    `except Exception` in a card answers for it.
    """


@runtime_checkable
class Card(Protocol):
    """A card, seen from its contacts."""

    @property
    def answer_delay_s(self) -> float:
        """Seconds the last answer takes to come; the card only reports, the slot waits."""
        ...

    def power_on(self) -> bytes:
        """Cold reset: give power and return the ATR."""
        ...

    def reset(self) -> bytes:
        """Warm reset: keep power, forget the volatile state, return the ATR."""
        ...

    def power_off(self) -> None:
        """Take the power away in an orderly moment (no command is running)."""
        ...

    def deselect(self) -> None:
        """End the contactless activation in order (ISO/IEC 14443-4 S(DESELECT)), before power-off."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """Answer one command APDU; any byte string gets an answer that ends with a status word.

        Raises:
            PowerLoss: the power failed; the answer is lost.
        """
        ...


class SlotState(NamedTuple):
    """What a slot says of itself.

    Attributes:
        present: a card is in the slot.
        changes: how many insertions and removals there have been; it only grows, so that a watcher
            that comes late still sees that something happened.
    """

    present: bool
    changes: int


@runtime_checkable
class Slot(Protocol):
    """A place for one card, seen from the reader."""

    @property
    def name(self) -> str:
        """The reader name."""
        ...

    def state(self) -> SlotState:
        """Tell presence and the number of changes so far, without touching the card."""
        ...

    def wait_for_change(self, changes: int, timeout_s: float | None = None) -> SlotState:
        """Return as soon as the number of changes differs from `changes`, or after the timeout."""
        ...

    def power_on(self) -> bytes:
        """Give power, return the ATR.

        Raises:
            CardNotPresent: the slot is empty.
            CardMute: the card gives no ATR.
        """
        ...

    def reset(self) -> bytes:
        """Warm reset, return the ATR. Raises as `power_on`."""
        ...

    def power_off(self) -> None:
        """Take the power; harmless on an empty or unpowered slot."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """Carry one command APDU to the card and its response back.

        Raises:
            CardNotPresent: the slot is empty, or the card is not powered.
            CardRemoved: the card went, or lost its power, before it answered.
        """
        ...
