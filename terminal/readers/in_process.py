"""A reader over a slot of this process. It knows the Slot protocol, not what is behind it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cardbench.protocol.errors import CardNotPresent, CardRemoved
from cardbench.terminal.readers.t0 import exchange_t0

if TYPE_CHECKING:
    from cardbench.protocol.link import Slot, SlotState


class InProcessReader:
    """Implements `Reader` over any `protocol.link.Slot`.

    Args:
        slot: where the card sits.
        is_contactless: what the reader says of itself.
        is_t0: the slot carries T=0 alone: the reader does the T=0 mapping.
    """

    def __init__(self, slot: Slot, *, is_contactless: bool = True, is_t0: bool = False) -> None:
        self._slot = slot
        self._atr: bytes | None = None
        self._changes = -1
        self.is_contactless = is_contactless
        send = partial(exchange_t0, slot.transmit) if is_t0 else slot.transmit

        def transmit(command: bytes) -> bytes:
            """Carry one command APDU to the card.

            Raises:
                CardRemoved: the card went, or lost its power, since the channel was opened.
                CardNotPresent: the channel is closed.
            """
            try:
                return send(command)
            except CardNotPresent as error:
                if self._atr is None or self._slot.state().changes == self._changes:
                    raise
                raise CardRemoved(f"{self.name}: the card was removed") from error

        self.transmit = transmit

    @property
    def name(self) -> str:
        """The slot's name."""
        return self._slot.name

    def state(self) -> SlotState:
        """Presence and number of changes."""
        return self._slot.state()

    def wait_for_change(self, changes: int, timeout_s: float | None = None) -> SlotState:
        """Block until a card was inserted or removed since `changes`."""
        return self._slot.wait_for_change(changes, timeout_s)

    def connect(self) -> bytes:
        """Power the card and return its ATR; an open channel to the same card stays open."""
        state = self._slot.state()
        if self._atr is None or state.changes != self._changes:
            if not state.present:
                raise CardNotPresent(f"{self.name}: no card in the reader")
            self._atr = self._slot.power_on()
            self._changes = state.changes
        return self._atr

    def reset(self) -> bytes:
        """Warm-reset the card."""
        self._atr = self._slot.reset()
        return self._atr

    def disconnect(self) -> None:
        """Deselect and power off."""
        self._atr = None
        self._slot.power_off()
