"""Transactions without security, and what every transaction has.

`prepare_*` checks its arguments, queues a command and returns its handle; `process_commands` sends the
queue in as few exchanges as possible and fills the handles and the card's image. A bad argument raises
at once and changes nothing.

Reads outside a session are best effort: an absent file or record leaves its handle with the error and
does not stop the group.

Not thread-safe: one transaction, one thread.

Source: terminal-api §11, §12.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from cardbench.protocol.calypso.startup import RECORD_SIZE_MAX_BYTES
from cardbench.protocol.errors import (
    CardbenchError,
    CardError,
    ProtocolError,
    ReaderError,
    UsageError,
)
from cardbench.terminal.calypso.commands.checks import check_range, check_record
from cardbench.terminal.calypso.commands.counters import DecreaseCounter, IncreaseCounter
from cardbench.terminal.calypso.commands.handle import Joined
from cardbench.terminal.calypso.commands.records import (
    AppendRecord,
    ReadCounter,
    ReadRecord,
    ReadRecords,
    UpdateRecord,
    WriteRecord,
)
from cardbench.terminal.calypso.data_objects import DataObjectCommands
from cardbench.terminal.card.channel import CardChannel
from cardbench.terminal.card.requests import ChannelControl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cardbench.terminal.calypso.card import CalypsoCard
    from cardbench.terminal.calypso.commands.base import Command
    from cardbench.terminal.calypso.commands.handle import Handle
    from cardbench.terminal.readers.reader import Reader, Traffic

CommandT = TypeVar("CommandT", bound="Command[Any]")


class TransactionManager(DataObjectCommands):
    """What every Calypso transaction can do.

    Args:
        reader: where the card is; its selected application is the one of the image.
        card: image of the card.

    Raises:
        UsageError: the card's product is not known.

    Attributes:
        card: the image.
        channel: the way to the card.
        is_session_prepared: what is prepared now will run inside a secure session.
    """

    def __init__(self, reader: Reader | CardChannel, card: CalypsoCard) -> None:
        card.require_identified()
        self.card = card
        self.channel = CardChannel.over(reader)
        self._cla = card.traits.cla
        self._payload_max_bytes = card.payload_max_bytes
        self._queue: list[Command[Any]] = []
        self.is_session_prepared = False

    @property
    def traffic(self) -> Traffic:
        """Exchanges and APDUs with the card's reader so far."""
        return self.channel.traffic

    # Queue

    def _add(self, command: CommandT) -> CommandT:
        self._queue.append(command)
        return command

    def _add_modifying(self, command: CommandT) -> CommandT:
        self._queue.append(command)
        return command

    # Reading

    def prepare_read_record(
        self, sfi: int, record: int = 1, *, size_bytes: int | None = None
    ) -> Handle[bytes]:
        """Read one record; the result is its content.

        Args:
            sfi: 0…30; 0: the current file.
            record: 1…250.
            size_bytes: bytes to read, 1…250; None: all there are, which a session does not allow,
                because a session's MAC does not protect an unknown length on every product.

        Raises:
            UsageError: out of range, or no size inside a session.
        """
        if size_bytes is None:
            if self.is_session_prepared:
                raise UsageError(
                    "inside a session a record is read with its size: prepare_read_record(…, size_bytes=…)"
                )
            size_bytes = 0x1D if self.card.is_legacy_case_1 else 0
        elif not 1 <= size_bytes <= self._payload_max_bytes:
            check_range("record size", size_bytes, 1, self._payload_max_bytes)
        command = ReadRecord(self._cla, sfi, record, size_bytes, is_strict=self.is_session_prepared)
        self._queue.append(command)
        return command

    def prepare_read_records(
        self, sfi: int, first: int, last: int, *, record_size_bytes: int
    ) -> Handle[dict[int, bytes]]:
        """Read several records; the result is their content by record number.

        Several records travel in one command where product and size allow it.

        Args:
            sfi: 0…30; 0: the current file.
            first: 1…250.
            last: 1…250, not before `first`.
            record_size_bytes: 1…250.

        Raises:
            UsageError: out of range.
        """
        check_record(sfi, first)
        check_record(sfi, last)
        if last < first:
            raise UsageError(f"records {first} to {last}: the last comes before the first")
        check_range("record size", record_size_bytes, 1, RECORD_SIZE_MAX_BYTES)
        strict = self.is_session_prepared
        per_command = 1
        if self.card.traits.reads_many_records:
            per_command = max(1, self._payload_max_bytes // (record_size_bytes + 2))
        parts: list[Handle[dict[int, bytes]]] = []
        for start in range(first, last + 1, per_command):
            count = min(per_command, last + 1 - start)
            if count == 1:
                one = self._add(
                    ReadRecord(self._cla, sfi, start, record_size_bytes, is_strict=strict)
                )
                parts.append(Joined((one,), partial(_numbered, start)))
            else:
                many = ReadRecords(
                    self._cla, sfi, start, count, record_size_bytes, is_strict=strict
                )
                parts.append(self._add(many))
        return parts[0] if len(parts) == 1 else Joined(parts, _merge)

    def prepare_read_counter(self, sfi: int, number: int) -> Handle[int]:
        """Read counters 1 to `number`; the result is the value of counter `number`.

        The others are in the image.

        Raises:
            UsageError: SFI or counter number (1…83) out of range.
        """
        command = ReadCounter(self._cla, sfi, number, is_strict=self.is_session_prepared)
        self._queue.append(command)
        return command

    # Writing

    def prepare_append_record(self, sfi: int, data: bytes) -> Handle[None]:
        """Append a record to a cyclic file.

        Raises:
            UsageError: SFI or length (1…250) out of range.
            SessionBufferOverflow: it does not fit the session, and sessions are not split.
        """
        return self._add_modifying(AppendRecord(self._cla, sfi, data))

    def prepare_update_record(self, sfi: int, record: int, data: bytes) -> Handle[None]:
        """Replace the first bytes of a record. Raises as `prepare_append_record`."""
        return self._add_modifying(UpdateRecord(self._cla, sfi, record, data))

    def prepare_write_record(self, sfi: int, record: int, data: bytes) -> Handle[None]:
        """Set bits of the first bytes of a record (OR). Raises as `prepare_append_record`."""
        return self._add_modifying(WriteRecord(self._cla, sfi, record, data))

    def prepare_increase_counter(self, sfi: int, number: int, *, by: int) -> Handle[int]:
        """Increase a counter; the result is its new value.

        Args:
            sfi: 0…30; 0: the current file.
            number: 1…83; 0: the counter of a simulated counter file.
            by: 0…16 777 215.

        Raises:
            UsageError: out of range.
            SessionBufferOverflow: it does not fit the session, and sessions are not split.
        """
        return self._add_modifying(IncreaseCounter(self._cla, sfi, number, by))

    def prepare_decrease_counter(self, sfi: int, number: int, *, by: int) -> Handle[int]:
        """Decrease a counter; the result is its new value. As `prepare_increase_counter`."""
        return self._add_modifying(DecreaseCounter(self._cla, sfi, number, by))

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
            responses = self.channel.transmit(block, channel_control)
        except (CardError, ReaderError, ProtocolError) as error:
            answered = error.responses[:-1] if isinstance(error, CardError) else error.responses
            for command, response in zip(block, answered, strict=False):
                self._take(command, response)
            raise
        for command, response in zip(block, responses, strict=True):
            self._take(command, response)

    def _take(self, command: Command[Any], response: bytes) -> None:
        command.accept(self.card, response)
        command.is_done = True


class FreeTransactionManager(TransactionManager):
    """Transactions without secure session."""


def _numbered(number: int, values: Sequence[bytes]) -> dict[int, bytes]:
    return {number: values[0]}


def _merge(parts: Sequence[dict[int, bytes]]) -> dict[int, bytes]:
    merged: dict[int, bytes] = {}
    for part in parts:
        merged.update(part)
    return merged
