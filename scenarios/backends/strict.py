"""What the backends that plug cards in have in common: a slot as it is, or in strict T=0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.emulator.readers.t0 import T0Slot

if TYPE_CHECKING:
    from cardbench.emulator.readers.in_process import WatchedSlot
    from cardbench.scenarios.backends import BackendOptions, Seat


def published(slot: WatchedSlot, seat: Seat, options: BackendOptions) -> WatchedSlot:
    """Return the slot as its reader sees it: itself, or in strict T=0."""
    return T0Slot(slot) if options.strict_t0 and not seat.is_contactless else slot
