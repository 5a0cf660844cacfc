"""Record commands: Read Records, Append, Update, Write.

Source: calypso-card §4.1, §4.6–4.8 (layouts), §5.2 (digest), §11 quirk 6 (lengths are unsigned here);
terminal-api §11.1, §12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.calypso.startup import COUNTER_NUMBER_MAX
from cardbench.protocol.errors import MalformedCardData
from cardbench.protocol.status import StatusWord
from cardbench.terminal.calypso.commands.base import OK, Command, T
from cardbench.terminal.calypso.commands.checks import (
    check_counter,
    check_data,
    check_range,
    check_record,
    check_sfi,
)
from cardbench.terminal.calypso.files import COUNTER_SIZE_BYTES
from cardbench.terminal.card.requests import SUCCESS

if TYPE_CHECKING:
    from cardbench.terminal.calypso.card import CalypsoCard

_READ_RECORDS = int(CalypsoIns.READ_RECORDS)
_ONE_RECORD = 4
_FROM_RECORD = 5

# Outside a session an absent file or record is no reason to stop the group.
BEST_EFFORT = SUCCESS | {StatusWord.FILE_NOT_FOUND, StatusWord.RECORD_NOT_FOUND}


def known_part(content: bytes | None, length: int) -> bytes | None:
    """Return the answer to a read whose content is known; None if it is not known whole."""
    if content is None or not length or len(content) < length:
        return None
    return content[:length] + OK


class ReadingCommand(Command[T]):
    """A read: outside a session it may find nothing without stopping its group.

    Args:
        apdu: encoded request.
        is_strict: an absent file or record stops the group.
    """

    __slots__ = ("success",)

    def __init__(self, apdu: bytes, *, is_strict: bool) -> None:
        self.apdu = apdu
        self.foreseen = None
        self.is_done = False
        self._error = None
        self.success = SUCCESS if is_strict else BEST_EFFORT

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take what was read into the image; where nothing was found, keep why."""
        if response[-2:] == OK:
            self.take(card, response[:-2])
        else:
            self.refuse(int.from_bytes(response[-2:]))

    def take(self, card: CalypsoCard, data: bytes) -> None:
        """Decode what was read, take it into the image and keep the result."""
        raise NotImplementedError


class ReadRecord(ReadingCommand[bytes]):
    """Read Records, one record. The result is the record as the card gave it.

    Args:
        cla: class byte.
        sfi: 0…30; 0: the current file.
        record: 1…250.
        le: bytes to ask for; 0: as many as there are.
        is_strict: as for `ReadingCommand`.
    """

    name: ClassVar[str] = "Read Record"
    __slots__ = ("record", "sfi")

    def __init__(self, cla: int, sfi: int, record: int, le: int, *, is_strict: bool) -> None:
        check_record(sfi, record)
        # Written out: reads are the most frequent command, and each of them paid for its parents.
        self.apdu = bytes((cla, _READ_RECORDS, record, sfi << 3 | _ONE_RECORD, le))
        self.foreseen = None
        self.is_done = False
        self._error = None
        self.success = SUCCESS if is_strict else BEST_EFFORT
        self.sfi = sfi
        self.record = record

    def foresee_from_image(self, card: CalypsoCard) -> bytes | None:
        """Repeat the record, if all that is asked for is known."""
        return known_part(card.record(self.sfi, self.record), self.apdu[4])

    def take(self, card: CalypsoCard, data: bytes) -> None:
        """Take the record into the image."""
        self._value = data[: self.apdu[4] or None]
        card.take_record(self.sfi, self.record, data)


class ReadRecords(ReadingCommand[dict[int, bytes]]):
    """Read Records, several records. The result is the content by record number.

    Args:
        cla: class byte.
        sfi: 0…30; 0: the current file.
        first: first record, 1…250.
        count: number of records.
        record_size_bytes: size of each.
        is_strict: as for `ReadingCommand`.
    """

    name: ClassVar[str] = "Read Records"
    __slots__ = ("count", "first", "record_size_bytes", "sfi")

    def __init__(
        self, cla: int, sfi: int, first: int, count: int, record_size_bytes: int, *, is_strict: bool
    ) -> None:
        le = count * (record_size_bytes + 2)
        super().__init__(
            bytes((cla, CalypsoIns.READ_RECORDS, first, sfi << 3 | _FROM_RECORD, le)),
            is_strict=is_strict,
        )
        self.sfi = sfi
        self.first = first
        self.count = count
        self.record_size_bytes = record_size_bytes

    def foresee_from_image(self, card: CalypsoCard) -> bytes | None:
        """Repeat the records, if all are known whole."""
        answer = b""
        size = self.record_size_bytes
        for number in range(self.first, self.first + self.count):
            content = card.record(self.sfi, number)
            if content is None or len(content) != size:
                return None
            answer += bytes((number, size)) + content
        return answer + OK

    def take(self, card: CalypsoCard, data: bytes) -> None:
        """Take the records into the image."""
        self._value = records = _split(data)
        for number, content in records.items():
            card.take_record(self.sfi, number, content)


class ReadCounter(ReadingCommand[int]):
    """Read Records of a counter file: counters 1 to n. The result is the value of counter n.

    Args:
        cla: class byte.
        sfi: 0…30; 0: the current file.
        number: n, 1…83.
        is_strict: as for `ReadingCommand`.
    """

    name: ClassVar[str] = "Read Counter"
    record: ClassVar[int] = 1
    __slots__ = ("number", "sfi")

    @property
    def subject(self) -> str:
        """File and counters."""
        counters = "counter 1" if self.number == 1 else f"counters 1 to {self.number}"
        return f"SFI {self.sfi:02X}, {counters}" if self.sfi else f"current file, {counters}"

    def __init__(self, cla: int, sfi: int, number: int, *, is_strict: bool) -> None:
        check_counter(sfi, number)
        check_range("counter number", number, 1, COUNTER_NUMBER_MAX)
        size_bytes = number * COUNTER_SIZE_BYTES
        super().__init__(
            bytes((cla, CalypsoIns.READ_RECORDS, 1, sfi << 3 | _ONE_RECORD, size_bytes)),
            is_strict=is_strict,
        )
        self.sfi = sfi
        self.number = number

    def foresee_from_image(self, card: CalypsoCard) -> bytes | None:
        """Repeat the counters, if all are known."""
        return known_part(card.record(self.sfi, self.record), self.apdu[4])

    def take(self, card: CalypsoCard, data: bytes) -> None:
        """Take the counters into the image."""
        end = self.number * COUNTER_SIZE_BYTES
        if len(data) < end:
            raise MalformedCardData(
                f"{self.describe()}: {len(data)} byte(s) came, counter {self.number} is not in them"
            )
        self._value = int.from_bytes(data[end - COUNTER_SIZE_BYTES : end])
        card.take_record(self.sfi, 1, data)


def _split(data: bytes) -> dict[int, bytes]:
    """Split `number ‖ length ‖ bytes` blocks."""
    records = {}
    position = 0
    while position < len(data):
        head = data[position : position + 2]
        start = position + 2
        position = start + head[-1]
        if len(head) < 2 or position > len(data):
            raise MalformedCardData(f"Read Records: the block at byte {start - 2} is cut off")
        records[head[0]] = data[start:position]
    return records


class ModifyingCommand(Command[None]):
    """A command that writes and answers with a status word only: `9000` can be foreseen."""

    is_modifying: ClassVar[bool] = True
    __slots__ = ()

    def foresee(self, card: CalypsoCard) -> bytes | None:
        """Foresee `9000`."""
        del card
        return OK

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take the effect into the image."""
        del response
        self._value = None
        self.take_effect(card)

    def take_effect(self, card: CalypsoCard) -> None:
        """Do in the image what the command does in the card."""
        raise NotImplementedError


class UpdateRecord(ModifyingCommand):
    """Update Record: replace the first bytes of a record; the rest stays."""

    name: ClassVar[str] = "Update Record"
    ins: ClassVar[CalypsoIns] = CalypsoIns.UPDATE_RECORD
    __slots__ = ("data", "record", "sfi")

    def __init__(self, cla: int, sfi: int, record: int, data: bytes) -> None:
        check_record(sfi, record)
        check_data(data)
        header = bytes((cla, self.ins, record, sfi << 3 | _ONE_RECORD, len(data)))
        super().__init__(header + data)
        self.sfi = sfi
        self.record = record
        self.data = data

    def take_effect(self, card: CalypsoCard) -> None:
        """Replace in the image."""
        card.take_record(self.sfi, self.record, self.data)


class WriteRecord(UpdateRecord):
    """Write Record: set bits of the first bytes of a record (OR)."""

    name: ClassVar[str] = "Write Record"
    ins: ClassVar[CalypsoIns] = CalypsoIns.WRITE_RECORD
    __slots__ = ()

    def take_effect(self, card: CalypsoCard) -> None:
        """Set bits in the image."""
        card.take_written(self.sfi, self.record, self.data)


class AppendRecord(ModifyingCommand):
    """Append Record: a cyclic file gets a new first record."""

    name: ClassVar[str] = "Append Record"
    __slots__ = ("data", "sfi")

    def __init__(self, cla: int, sfi: int, data: bytes) -> None:
        check_sfi(sfi)
        check_data(data)
        header = bytes((cla, CalypsoIns.APPEND_RECORD, 0, sfi << 3, len(data)))
        super().__init__(header + data)
        self.sfi = sfi
        self.data = data

    def take_effect(self, card: CalypsoCard) -> None:
        """Shift the records in the image."""
        card.take_appended(self.sfi, self.data)
