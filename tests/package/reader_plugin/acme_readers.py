"""A reader plug-in for cardbench: two readers of its own making, one with a card and one with a SAM.

It inherits nothing from cardbench: a reader is what has the methods of `cardbench.terminal.readers.Reader`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.protocol.errors import CardNotPresent, ReaderNotFound
from cardbench.protocol.link import SlotState
from cardbench.sam_emulator import new_sam

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.protocol.link import Card


class AcmeReader:
    """A reader whose card never leaves."""

    def __init__(self, name: str, card: Card, *, is_contactless: bool) -> None:
        self.name = name
        self.is_contactless = is_contactless
        self._card = card
        self._atr: bytes | None = None

    def state(self) -> SlotState:
        return SlotState(present=True, changes=1)

    def wait_for_change(self, changes: int, timeout_s: float | None = None) -> SlotState:
        del changes, timeout_s
        return self.state()

    def connect(self) -> bytes:
        if self._atr is None:
            self._atr = self._card.power_on()
        return self._atr

    def reset(self) -> bytes:
        self._atr = self._card.reset()
        return self._atr

    def disconnect(self) -> None:
        self._atr = None
        self._card.power_off()

    def transmit(self, command: bytes) -> bytes:
        if self._atr is None:
            raise CardNotPresent(f"{self.name}: not connected")
        return self._card.transmit(command)


def _card_reader() -> AcmeReader:
    card = new_card(entropy=Entropy(b"acme card"), clock=Clock())
    return AcmeReader("top", card, is_contactless=True)


def _sam_reader() -> AcmeReader:
    sam = new_sam(entropy=Entropy(b"acme SAM"), clock=Clock())
    return AcmeReader("bottom", sam, is_contactless=False)


_READERS: dict[str, Callable[[], AcmeReader]] = {"top": _card_reader, "bottom": _sam_reader}


class AcmePlugin:
    """What the entry point names; called without argument."""

    def reader_names(self) -> list[str]:
        return list(_READERS)

    def open_reader(self, name: str) -> AcmeReader:
        if name not in _READERS:
            raise ReaderNotFound(f"acme: no reader {name!r}; there are: {', '.join(_READERS)}")
        return _READERS[name]()
