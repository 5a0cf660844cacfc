"""The backend of this process: software cards in slots that the terminal's reader opens directly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.scenarios.backends import Backend, BackendOptions, Place, Seat
from cardbench.scenarios.backends.strict import published
from cardbench.terminal.readers import InProcessReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class InProcessBackend(Backend):
    """Makes a slot for each seat; a card that answers late moves the virtual clock, nobody waits."""

    name = "in-process"

    def __init__(self, options: BackendOptions) -> None:
        self._options = options
        self._slots: list[CardSlot] = []

    def open(self, seats: Sequence[Seat], *, sleep: Callable[[float], None]) -> Sequence[Place]:
        """Make the slots."""
        places = []
        for seat in seats:
            slot = CardSlot(f"cardbench {seat.role}", sleep=sleep)
            self._slots.append(slot)
            seen = published(slot, seat, self._options)
            reader = InProcessReader(
                seen, is_contactless=seat.is_contactless, is_t0=seen is not slot
            )
            places.append(Place(reader, slot))
        return places

    def close(self) -> None:
        """Pull the cards out."""
        while self._slots:
            self._slots.pop().remove()
