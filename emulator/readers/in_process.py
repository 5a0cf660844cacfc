"""The in-process slot: a place for one card that a reader in the same process opens.

An edge: it waits for the delays that a card reports, and lets other threads wait for an insertion.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cardbench.protocol.errors import CardMute, CardNotPresent, CardRemoved
from cardbench.protocol.link import Card, PowerLoss, Slot, SlotState

if TYPE_CHECKING:
    from collections.abc import Callable


@runtime_checkable
class WatchedSlot(Slot, Protocol):
    """A slot that tells at once when a card comes or goes; what the PC/SC services publish."""

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` after each insertion and removal, in the thread that made it.

        Returns:
            A function that ends the watch.
        """
        ...


class CardSlot:
    """A slot of this process; implements `WatchedSlot`.

    Args:
        name: reader name.
        sleep: how to wait for a card that answers late, in seconds.

    Insertion, removal and waiting may come from any thread; power and transmit from one at a time. A
    removal waits for the command that the card is working on; a card that is removed while its late
    answer is awaited gives no answer.
    """

    def __init__(self, name: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._name = name
        self._sleep = sleep
        self._card: Card | None = None
        self._powered = False
        self._changes = 0
        self._changed = threading.Condition()
        self._contacts = (
            threading.RLock()
        )  # held while the card works; a card may be pulled by a hook
        self._watchers: list[Callable[[], None]] = []

    @property
    def name(self) -> str:
        """The reader name."""
        return self._name

    # The hand that holds the card

    @property
    def card(self) -> Card | None:
        """The card in the slot."""
        return self._card

    def insert(self, card: Card) -> None:
        """Put a card in; one that was there is pulled out first."""
        self.remove()
        with self._contacts:
            self._card = card
            self._powered = False
        self._tell_change()

    def remove(self) -> Card | None:
        """Pull the card out, power and all; return it."""
        with self._contacts:
            card = self._card
            if card is None:
                return None
            card.power_off()
            self._card = None
            self._powered = False
        self._tell_change()
        return card

    def _tell_change(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()
        for watcher in tuple(self._watchers):
            watcher()

    # The reader's side

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` after each insertion and removal; returns what ends the watch."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def state(self) -> SlotState:
        """Presence and number of changes."""
        return SlotState(self._card is not None, self._changes)

    def wait_for_change(self, changes: int, timeout_s: float | None = None) -> SlotState:
        """Block until the number of changes differs from `changes`, at most `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes != changes, timeout_s)
            return self.state()

    def power_on(self) -> bytes:
        """Power the card; return its ATR.

        Raises:
            CardNotPresent: the slot is empty.
            CardMute: the power failed while the card started.
        """
        return self._start(cold=True)

    def reset(self) -> bytes:
        """Warm reset; as `power_on` on a card that has no power."""
        return self._start(cold=not self._powered)

    def _start(self, *, cold: bool) -> bytes:
        with self._contacts:
            card = self._card
            if card is None:
                raise CardNotPresent(f"{self._name}: no card in the slot")
            try:
                atr = card.power_on() if cold else card.reset()
            except PowerLoss:
                self._powered = False
                raise CardMute(f"{self._name}: the power failed while the card started") from None
            self._powered = True
            return atr

    def power_off(self) -> None:
        """Deselect the card in order and take its power away."""
        with self._contacts:
            card, was_powered = self._card, self._powered
            self._powered = False
            if card is None or not was_powered:
                return
            try:
                card.deselect()
            except PowerLoss:
                return
            card.power_off()

    def transmit(self, command: bytes) -> bytes:
        """Carry one command to the card.

        Raises:
            CardNotPresent: the slot is empty, or the card has no power.
            CardRemoved: the card went, or lost its power, before it answered.
        """
        contacts = self._contacts
        contacts.acquire()  # `with` costs as much again as the lock itself, on each command
        try:
            card = self._card
            if card is None or not self._powered:
                what = "no card in the slot" if card is None else "the card has no power"
                raise CardNotPresent(f"{self._name}: {what}")
            response = card.transmit(command)
            delay_s = card.answer_delay_s
        except PowerLoss:
            self._powered = False
            raise CardRemoved(f"{self._name}: the card lost its power mid-command") from None
        finally:
            contacts.release()
        if delay_s:
            self._sleep(delay_s)
        if self._card is not card:
            raise CardRemoved(f"{self._name}: the card was removed before it answered")
        return response
