"""Elementary files as the card image shows them.

Source: terminal-api §10.1 (`ElementaryFile`, `FileData`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cardbench.protocol.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.protocol.calypso.file_header import FileHeader

COUNTER_SIZE_BYTES = 3


class FileData(NamedTuple):
    """What is known of the content of a file.

    Attributes:
        records: content by record number; binary files have all theirs in record 1. Bytes that were
            never read, between or before others that were, are zero.
        counters: values by counter number.
    """

    records: Mapping[int, bytes]
    counters: Mapping[int, int]

    def content(self, record: int = 1, offset: int = 0, length: int | None = None) -> bytes:
        """Return a record, or a part of it; empty when the record is not known at all.

        Raises:
            UsageError: negative offset, length below 1, or a part beyond what is known of a record.
        """
        if offset < 0 or (length is not None and length < 1):
            raise UsageError(f"offset {offset}, length {length}: not a part of a record")
        content = self.records.get(record, b"")
        if not content:
            return content
        end = len(content) if length is None else offset + length
        if end > len(content) or offset > len(content):
            raise UsageError(
                f"bytes {offset} to {end} of record {record}: {len(content)} byte(s) are known"
            )
        return content[offset:end]

    def counter(self, number: int) -> int | None:
        """Return the value of a counter, from 1 on; None when it is not known.

        Raises:
            UsageError: number below 1, or what is known of record 1 ends inside the counter.
        """
        if number < 1:
            raise UsageError(f"counter {number}: they are numbered from 1 on")
        value = self.counters.get(number)
        size, end = len(self.records.get(1, b"")), number * COUNTER_SIZE_BYTES
        if value is None and end - COUNTER_SIZE_BYTES < size < end:
            raise UsageError(f"record 1 has {size} byte(s): it ends inside counter {number}")
        return value


class ElementaryFile(NamedTuple):
    """A file of the current DF.

    Attributes:
        sfi: short identifier; 0: it has none.
        header: its description; None when it was not read.
        data: what is known of its content.
    """

    sfi: int
    header: FileHeader | None
    data: FileData
