"""A slot whose card may have bugs: what a card raises becomes a `ReaderError`, and is logged.

In the same process an emulator's bug should be seen where it happens. Behind a PC/SC service it must not
take the service down: to the client the card simply failed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from cardbench.protocol.errors import ReaderError
from cardbench.protocol.pcsc import ATR_SIZE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.readers.in_process import WatchedSlot

_LOG = logging.getLogger(__name__)

Result = TypeVar("Result")


class GuardedSlot:
    """What a PC/SC service does with a slot, with every failure but those of `transmit` a `ReaderError`.

    Args:
        slot: the slot to guard.
    """

    def __init__(self, slot: WatchedSlot) -> None:
        self._slot = slot
        self.transmit = slot.transmit
        """As `Slot.transmit`, bare: a call less for each command. What it raises is to go through `named`."""
        self.name = slot.name
        self.state = slot.state
        self.watch = slot.watch

    def power_on(self) -> bytes:
        """As `Slot.power_on`; what cannot be an ATR counts as none."""
        return self._checked(self._ask(self._slot.power_on))

    def reset(self) -> bytes:
        """As `Slot.reset`; what cannot be an ATR counts as none."""
        return self._checked(self._ask(self._slot.reset))

    def _checked(self, atr: bytes) -> bytes:
        if 0 < len(atr) <= ATR_SIZE_BYTES:
            return atr
        _LOG.error("%s: an ATR of %d bytes; it has 1 to %d", self.name, len(atr), ATR_SIZE_BYTES)
        raise ReaderError(f"{self.name}: an ATR of {len(atr)} bytes")

    def power_off(self) -> None:
        """As `Slot.power_off`; a card that fails at it has no power either."""
        try:
            self._ask(self._slot.power_off)
        except ReaderError as error:
            _LOG.warning("%s: %s", self.name, error)

    def _ask(self, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except Exception as error:
            raise self.named(error) from error

    def named(self, error: Exception) -> ReaderError:
        """Return what the client's side is told; a card's bug is logged."""
        if isinstance(error, ReaderError):
            return error
        _LOG.error("%s: the card failed", self.name, exc_info=error)
        return ReaderError(f"{self.name}: the card failed: {type(error).__name__}")
