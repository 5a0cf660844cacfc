"""Transactions without security, and what every transaction has.

`prepare_*` checks its arguments, queues a command and returns its handle; `process_commands` sends the
queue in as few exchanges as possible and fills the handles and the card's image. A bad argument raises
at once and changes nothing.

Not thread-safe: one transaction, one thread.

Source: terminal-api §11, §12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from cardbench.protocol.errors import (
    CardbenchError,
    CardError,
    ProtocolError,
    ReaderError,
    UsageError,
)
from cardbench.terminal.calypso.counter_commands import CounterCommands
from cardbench.terminal.calypso.data_objects import DataObjectCommands
from cardbench.terminal.calypso.file_commands import FileCommands
from cardbench.terminal.calypso.pin_commands import PinCommands
from cardbench.terminal.calypso.purse_commands import PurseLogCommands
from cardbench.terminal.card.requests import ChannelControl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cardbench.terminal.calypso.commands.base import Command
    from cardbench.terminal.readers.reader import Traffic

ExtensionT = TypeVar("ExtensionT")


def extension_of(crypto: object, kind: type[ExtensionT]) -> ExtensionT:
    """Return what a crypto module offers beyond sessions.

    Raises:
        UsageError: it has no such extension.
    """
    if isinstance(crypto, kind):
        return crypto
    raise UsageError(f"the crypto module has no extension {kind.__name__}")


class TransactionManager(
    FileCommands, CounterCommands, PinCommands, PurseLogCommands, DataObjectCommands
):
    """What every Calypso transaction can do; arguments and attributes as for `Preparing`."""

    @property
    def traffic(self) -> Traffic:
        """Exchanges and APDUs with the card's reader so far."""
        return self.channel.traffic

    @property
    def audit_data(self) -> list[bytes]:
        """Every command and answer of card and crypto module as it was; see `Journal.audit_data`."""
        return self.journal.audit_data

    def sequence(self, *, with_bytes: bool = False) -> str:
        """Tell the exchanges so far as a numbered list, secrets masked; see `Journal.to_text`."""
        return self.journal.to_text(with_bytes=with_bytes)

    # Processing

    def process_commands(self, channel_control: ChannelControl = ChannelControl.KEEP_OPEN) -> None:
        """Send everything prepared; fill the handles and the image.

        Raises:
            CardError: a command was refused; those behind it were not sent.
            ReaderError: the link failed.
            ProtocolError: an answer does not decode.
        """
        queue, self._queue = self._queue, []
        try:
            if queue:
                self._send(queue, channel_control)
        except CardbenchError as error:
            for command in queue:
                command.fail(error)
            raise
        finally:
            if channel_control is ChannelControl.CLOSE_AFTER:
                self.channel.close()

    def _send(self, block: Sequence[Command[Any]], channel_control: ChannelControl) -> None:
        """Send a block: one exchange; take what was answered, also when it stopped early."""
        try:
            responses = self._transmit(block, channel_control)
        except (CardError, ReaderError, ProtocolError) as error:
            answered = error.responses[:-1] if isinstance(error, CardError) else error.responses
            for command, response in zip(block, answered, strict=False):
                self._take(command, response)
            if isinstance(error, CardError):
                block[len(answered)].refused(self.card, error.sw)
            raise
        for command, response in zip(block, responses, strict=True):
            self._take(command, response)

    def _take(self, command: Command[Any], response: bytes) -> None:
        command.accept(self.card, response)
        command.is_done = True


class FreeTransactionManager(TransactionManager):
    """Transactions without secure session."""
