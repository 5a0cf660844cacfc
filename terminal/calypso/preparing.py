"""What every family of `prepare_*` methods stands on: the queue, and what is known of the card.

Source: terminal-api §11.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from cardbench.protocol.errors import CardbenchError, CardRemoved, NotSupported, UsageError
from cardbench.terminal.card.channel import CardChannel
from cardbench.terminal.card.journal import Journal
from cardbench.terminal.card.requests import ChannelControl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cardbench.terminal.calypso.card import CalypsoCard
    from cardbench.terminal.calypso.commands.base import Command
    from cardbench.terminal.card.requests import ApduRequest
    from cardbench.terminal.readers.reader import Reader

CommandT = TypeVar("CommandT", bound="Command[Any]")


class Preparing:
    """A queue of prepared commands for one card.

    Args:
        reader: where the card is; its selected application is the one of the image.
        card: image of the card.
        journal: notes the exchanges; None: one of the transaction's own.

    Raises:
        UsageError: the card's product is not known.

    Attributes:
        card: the image.
        channel: the way to the card.
        journal: the exchanges so far, with the card and with the crypto module.
        is_session_prepared: what is prepared now will run inside a secure session.
    """

    def __init__(
        self, reader: Reader | CardChannel, card: CalypsoCard, *, journal: Journal | None = None
    ) -> None:
        card.require_identified()
        self.card = card
        self.journal = Journal() if journal is None else journal
        self.channel = CardChannel.over(reader)
        self._cla = card.traits.cla
        self._payload_max_bytes = card.payload_max_bytes
        self._queue: list[Command[Any]] = []
        self._buffer_left = 0  # of a session's
        # Which activation of the card the transaction belongs to; None: it has not spoken to it yet.
        self._generation = self.channel.generation if self.channel.is_open else None
        self.is_session_prepared = False

    def _add(self, command: CommandT) -> CommandT:
        """Queue a command."""
        self._queue.append(command)
        return command

    def _add_modifying(self, command: CommandT) -> CommandT:
        """Queue a command that takes room in a session's buffer."""
        self._queue.append(command)
        return command

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Prepare several commands that do one thing: if one is refused, none is prepared."""
        size, buffer_left = len(self._queue), self._buffer_left
        try:
            yield
        except CardbenchError:
            del self._queue[size:]
            self._buffer_left = buffer_left
            raise

    def _transmit(
        self,
        requests: Sequence[ApduRequest],
        channel_control: ChannelControl = ChannelControl.KEEP_OPEN,
        *,
        digested: bool = False,
    ) -> Sequence[bytes]:
        """Send an exchange to this transaction's card, and to no other.

        Raises:
            CardRemoved: the channel was closed since; what sits in the reader now was never selected.
        """
        channel = self.channel
        if self._generation is not None and not (
            channel.is_open and channel.generation == self._generation
        ):
            raise CardRemoved(
                f"{channel.name}: the card has left, or its channel was closed: select it again, and begin "
                "another transaction"
            )
        try:
            return channel.transmit(
                requests, channel_control, digested=digested, observer=self.journal
            )
        finally:
            self._generation = channel.generation

    def _require(self, has_ability: bool, what: str) -> None:
        """Refuse what the card cannot do."""
        if not has_ability:
            raise NotSupported(f"{what}: {self.card!r} has no such function")

    def _outside_session(self, what: str) -> None:
        """Refuse inside a session what belongs outside."""
        if self.is_session_prepared:
            raise UsageError(f"{what} belongs outside a secure session")
