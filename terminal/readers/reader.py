"""The one Reader protocol: what every way to reach a card offers to the terminal stack.

An *exchange* is one group of commands handed to a reader together with its answers; published Calypso
sequences are counted in exchanges. `transmit_group` is one exchange, whatever the number of APDUs: a
local reader loops, a remote one makes one round trip.

Thread-safety: `state` and `wait_for_change` may be called by one thread while another uses the card; of the
rest, one call at a time.

Source: STYLE 23; terminal-api §3, §7; sequences, vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from cardbench.protocol.link import SlotState


@runtime_checkable
class Reader(Protocol):
    """One reader, which holds at most one card."""

    @property
    def name(self) -> str:
        """The reader's name, unique in its plug-in."""
        ...

    @property
    def is_contactless(self) -> bool:
        """Whether cards are reached without contacts (a ratification command then makes sense)."""
        ...

    def state(self) -> SlotState:
        """Presence of a card, and the number of insertions and removals so far.

        Raises:
            ReaderError: the reader cannot be asked.
        """
        ...

    def wait_for_change(self, changes: int, timeout_s: float | None = None) -> SlotState:
        """Block until a card was inserted or removed since `changes`, or until the timeout."""
        ...

    def connect(self) -> bytes:
        """Open the physical channel and return the ATR; on an open channel, return the same ATR.

        Raises:
            CardNotPresent, CardMute, ReaderError.
        """
        ...

    def transmit(self, command: bytes) -> bytes:
        """Carry one command APDU; 61xx and 6Cxx are the channel's business, not the reader's.

        Raises:
            CardRemoved, ReaderError.
        """
        ...

    def reset(self) -> bytes:
        """Warm-reset the card and return the ATR."""
        ...

    def disconnect(self) -> None:
        """Close the physical channel: deselect and power off. Harmless when closed."""
        ...


class Traffic(NamedTuple):
    """How much went over one reader."""

    exchanges: int
    apdus: int
