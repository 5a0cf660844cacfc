"""Files: what every transaction can prepare with Select File, records and binary files.

Reads outside a session are best effort: an absent file or record leaves its handle with the error and
does not stop the group. Inside a session it is an error, and a read names its length, because a
session's MAC does not protect an unknown one on every product.

Source: terminal-api §8.3 (ranges), §11.1.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cardbench.protocol.calypso.startup import RECORD_SIZE_MAX_BYTES
from cardbench.protocol.errors import UsageError
from cardbench.terminal.calypso.commands.binary import (
    SHORT_OFFSET_MAX,
    ReadBinary,
    UpdateBinary,
    WriteBinary,
    check_binary,
    parts,
)
from cardbench.terminal.calypso.commands.checks import OFFSET_MAX, check_range, check_record
from cardbench.terminal.calypso.commands.management import SelectFile, SelectFileControl
from cardbench.terminal.calypso.commands.records import (
    AppendRecord,
    ReadRecord,
    ReadRecords,
    UpdateRecord,
    WriteRecord,
)
from cardbench.terminal.calypso.commands.searching import (
    ReadRecordSlices,
    SearchQuery,
    SearchRecords,
    SearchResult,
)
from cardbench.terminal.calypso.preparing import Preparing
from cardbench.terminal.card.handle import Joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cardbench.protocol.calypso.file_header import DirectoryHeader, FileHeader
    from cardbench.terminal.card.handle import Handle


class FileCommands(Preparing):
    """Part of `TransactionManager`: Select File, records, binary files."""

    def prepare_select_file(
        self, target: int | SelectFileControl
    ) -> Handle[FileHeader | DirectoryHeader]:
        """Select a file and describe it; it becomes the current one.

        Args:
            target: LID of an EF, or which file to select without.

        Raises:
            UsageError: a LID out of range, or one that leaves the application (3F00, 3FFF).
        """
        return self._add(SelectFile(self._cla, target, self.card))

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

    def prepare_read_records_partially(
        self, sfi: int, first: int, last: int, *, offset: int, length: int
    ) -> Handle[dict[int, bytes]]:
        """Read the same bytes of several records; the result is the parts by record number.

        Args:
            sfi: 0…30; 0: the current file.
            first: 1…250.
            last: 1…250, not before `first`.
            offset: 0…249.
            length: 1…250.

        Raises:
            UsageError: out of range, or inside a session.
            NotSupported: Prime revision 3 and Light alone have it.
        """
        self._outside_session("a partial read of records")
        self._require(self.card.traits.reads_slices, "Read Record Multiple")
        check_record(sfi, first)
        check_record(sfi, last)
        if last < first:
            raise UsageError(f"records {first} to {last}: the last comes before the first")
        check_range("offset", offset, 0, OFFSET_MAX)
        check_range("length", length, 1, RECORD_SIZE_MAX_BYTES - offset)
        per_command = max(1, self._payload_max_bytes // length)
        slices = [
            self._add(ReadRecordSlices(self._cla, sfi, start, offset, length))
            for start in range(first, last + 1, per_command)
        ]
        return slices[0] if len(slices) == 1 else Joined(slices, _merge)

    def prepare_search_records(self, query: SearchQuery) -> Handle[SearchResult]:
        """Search records for bytes; the result is the numbers of those that match.

        Raises:
            UsageError: inside a session, or more data than one command carries.
            NotSupported: Prime revision 3 alone has it.
        """
        self._outside_session("a search")
        self._require(self.card.traits.searches, "Search Record Multiple")
        return self._add(SearchRecords(self._cla, query))

    # Binary files

    def prepare_read_binary(self, sfi: int, offset: int, length: int) -> Handle[bytes]:
        """Read a part of a binary file, in as many commands as it takes.

        Args:
            sfi: 0…30; 0: the current file.
            offset: 0…32 767.
            length: 1…32 767.

        Raises:
            UsageError: out of range.
            NotSupported: the product has no binary files.
        """
        self._begin_binary(sfi, offset, length)
        strict = self.is_session_prepared
        reads = [
            self._add(ReadBinary(self._cla, sfi, start, size, is_strict=strict))
            for start, size in parts(offset, length, self._payload_max_bytes)
        ]
        return reads[0] if len(reads) == 1 else Joined(reads, b"".join)

    def prepare_update_binary(self, sfi: int, offset: int, data: bytes) -> Handle[None]:
        """Replace bytes of a binary file. Arguments and errors as `prepare_read_binary`.

        Raises:
            SessionBufferOverflow: it does not fit the session, and sessions are not split.
        """
        return self._write_binary(UpdateBinary, sfi, offset, data)

    def prepare_write_binary(self, sfi: int, offset: int, data: bytes) -> Handle[None]:
        """Set bits of a binary file (OR). As `prepare_update_binary`."""
        return self._write_binary(WriteBinary, sfi, offset, data)

    def _write_binary(
        self, command: type[UpdateBinary], sfi: int, offset: int, data: bytes
    ) -> Handle[None]:
        with self._all_or_nothing():
            self._begin_binary(sfi, offset, len(data))
            writes = [
                self._add_modifying(
                    command(self._cla, sfi, start, data[start - offset : start - offset + size])
                )
                for start, size in parts(offset, len(data), self._payload_max_bytes)
            ]
        return writes[0] if len(writes) == 1 else Joined(writes, _nothing)

    def _begin_binary(self, sfi: int, offset: int, length: int) -> None:
        """Check; make the file the current one where the first offset cannot be named with an SFI."""
        self._require(self.card.traits.has_binary_files, "binary files")
        check_binary(sfi, offset, length)
        if sfi and offset > SHORT_OFFSET_MAX:
            self._add(ReadBinary(self._cla, sfi, 0, 1, is_strict=self.is_session_prepared))

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


def _numbered(number: int, values: Sequence[bytes]) -> dict[int, bytes]:
    return {number: values[0]}


def _merge(values: Sequence[dict[int, bytes]]) -> dict[int, bytes]:
    merged: dict[int, bytes] = {}
    for part in values:
        merged.update(part)
    return merged


def _nothing(values: Sequence[None]) -> None:
    """Join parts that have no result."""
