"""Commands that look into several records: Read Record Multiple, Search Record Multiple.

Source: calypso-card §4.2, §4.3 (layouts, examples); terminal-api §11.1 (`SearchCommandData`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.errors import MalformedCardData, UsageError
from cardbench.protocol.status import StatusWord
from cardbench.terminal.calypso.commands.base import Command
from cardbench.terminal.calypso.commands.checks import (
    OFFSET_MAX,
    check_data,
    check_range,
    check_record,
)
from cardbench.terminal.calypso.commands.records import BEST_EFFORT
from cardbench.terminal.card.requests import SUCCESS

if TYPE_CHECKING:
    from cardbench.terminal.calypso.card import CalypsoCard

_FROM_RECORD = 5
_SEARCH = 7
_SLICE_TAG = 0x54
_MODE_REPEATED_OFFSET = 0x80
_MODE_FETCH_FIRST = 0x01


class ReadRecordSlices(Command[dict[int, bytes]]):
    """Read Record Multiple: the same bytes of records one after the other, from the first on.

    The card answers as many records as it has, or as fit; the result is the slices by record number.
    """

    name: ClassVar[str] = "Read Record Multiple"
    is_case_4 = True
    success = BEST_EFFORT | {StatusWord.WARNING}
    __slots__ = ("first", "length", "offset", "sfi")

    def __init__(self, cla: int, sfi: int, first: int, offset: int, length: int) -> None:
        data = bytes((_SLICE_TAG, 2, offset, length))
        header = bytes((cla, CalypsoIns.READ_RECORD_MULTIPLE, first, sfi << 3 | _FROM_RECORD, 4))
        super().__init__(header + data + b"\0")
        self.sfi = sfi
        self.first = first
        self.offset = offset
        self.length = length

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take the slices into the image."""
        sw = int.from_bytes(response[-2:])
        if sw not in (StatusWord.OK, StatusWord.WARNING):
            self.refuse(sw)
            return
        data = response[:-2]
        if len(data) % self.length:
            raise MalformedCardData(
                f"{self.describe()}: {len(data)} byte(s) are no slices of {self.length}"
            )
        self._value = {}
        for index, start in enumerate(range(0, len(data), self.length)):
            content = data[start : start + self.length]
            self._value[self.first + index] = content
            card.take_record(self.sfi, self.first + index, content, self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """What to search for in the records of a file.

    Attributes:
        sfi: 0…30; 0: the current file.
        data: bytes to find, 1…250.
        mask: bits that count, at most as long as `data`; missing bytes count whole.
        start: record where the search begins, 1…250.
        offset: where in each record, 0…249.
        repeat_offset: look at every offset from there on, not only at that one.
        fetch_first: bring the content of the first record that matches.

    Raises:
        UsageError: out of range, or a mask longer than the data.
    """

    sfi: int
    data: bytes
    mask: bytes = b""
    start: int = 1
    offset: int = 0
    repeat_offset: bool = False
    fetch_first: bool = False

    def __post_init__(self) -> None:
        check_record(self.sfi, self.start)
        check_range("offset", self.offset, 0, OFFSET_MAX)
        check_data(self.data)
        if len(self.mask) > len(self.data):
            raise UsageError(f"a mask of {len(self.mask)} bytes for {len(self.data)} bytes of data")


class SearchResult(NamedTuple):
    """What a search found.

    Attributes:
        matching_records: their numbers, as the card gave them.
        first_record: content of the first of them, if it was asked for; else empty.
    """

    matching_records: tuple[int, ...]
    first_record: bytes = b""


class SearchRecords(Command[SearchResult]):
    """Search Record Multiple. The result is the numbers of the records that match."""

    name: ClassVar[str] = "Search Record Multiple"
    is_case_4 = True
    success = BEST_EFFORT
    __slots__ = ("query",)

    def __init__(self, cla: int, query: SearchQuery) -> None:
        mode = _MODE_REPEATED_OFFSET if query.repeat_offset else 0
        if query.fetch_first:
            mode |= _MODE_FETCH_FIRST
        size = len(query.data)
        data = bytes((mode, query.offset, size)) + query.data + query.mask.ljust(size, b"\xff")
        check_range("search data with mask", len(data), 1, 255)
        p2 = query.sfi << 3 | _SEARCH
        header = bytes((cla, CalypsoIns.SEARCH_RECORD_MULTIPLE, query.start, p2, len(data)))
        super().__init__(header + data + b"\0")
        self.query = query

    @property
    def subject(self) -> str:
        """File and first record."""
        return f"SFI {self.query.sfi:02X}, from record {self.query.start}"

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Read the list; take the first record into the image."""
        sw = int.from_bytes(response[-2:])
        if sw not in SUCCESS:
            self.refuse(sw)
            return
        count = response[0] if len(response) > 2 else 0
        end = 1 + count
        if not len(response) > 2 or end > len(response) - 2:
            raise MalformedCardData(
                f"{self.describe()}: {len(response) - 2} byte(s) came, {count} matches announced"
            )
        numbers = tuple(response[1:end])
        content = response[end:-2]
        self._value = SearchResult(numbers, content)
        if content and numbers:
            card.take_record(self.query.sfi, numbers[0], content)
