"""A reader around another one: the base of those that change or watch one thing.

Source: our choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cardbench.protocol.link import SlotState
    from cardbench.terminal.readers import Reader


class ReaderAround:
    """Does what another reader does; a child adds `transmit` to be a `Reader`, and changes what it is for.

    Args:
        reader: the reader inside.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def name(self) -> str:
        """The name of the reader inside."""
        return self._reader.name

    @property
    def is_contactless(self) -> bool:
        """As the reader inside says now; it may learn that from the card."""
        return self._reader.is_contactless

    def state(self) -> SlotState:
        """As the reader inside."""
        return self._reader.state()

    def wait_for_change(self, changes: int, timeout_s: float | None = None) -> SlotState:
        """As the reader inside."""
        return self._reader.wait_for_change(changes, timeout_s)

    def connect(self) -> bytes:
        """As the reader inside."""
        return self._reader.connect()

    def reset(self) -> bytes:
        """As the reader inside."""
        return self._reader.reset()

    def disconnect(self) -> None:
        """As the reader inside."""
        self._reader.disconnect()
