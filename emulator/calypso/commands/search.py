"""Commands over many records: Read Record Multiple and Search Record Multiple.

Source: calypso-card §4.2, §4.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.calypso.commands.records import (
    FILE_REFUSALS,
    addressed_file,
    check_readable,
    check_record,
    record_content,
)
from cardbench.emulator.calypso.structure import COUNTER_SIZE
from cardbench.emulator.calypso.table import COMMANDS, SFI_RECORDS, SFI_SEARCH
from cardbench.emulator.chassis import ANY, Refusal
from cardbench.protocol.apdu import SHORT_NE_MAX, IsoCase
from cardbench.protocol.calypso.file_header import EfType
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.calypso.structure import ElementaryFile
    from cardbench.protocol.apdu import CommandApdu

_SLICE_HEAD: Final = bytes((0x54, 0x02))
"""Tag and length of `offset ‖ length` in Read Record Multiple."""
_SLICE_SIZE: Final = 4
_SEARCH_HEAD_SIZE: Final = 3
_EVERY_OFFSET: Final = 0x80
_RETURN_FIRST: Final = 0x01


def _readable_size(file: ElementaryFile) -> int:
    """Return how many bytes of a record a read gives."""
    return COUNTER_SIZE if file.kind is EfType.SIMULATED_COUNTERS else file.record_size


@COMMANDS.command(
    name="Read Record Multiple",
    ins=CalypsoIns.READ_RECORD_MULTIPLE,
    p1=ANY,
    p2=SFI_RECORDS,
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((_SLICE_SIZE,)),
    answers=(0x9000, 0x6200, 0x6700, 0x6A80, 0x6A83, *FILE_REFUSALS),
    source="calypso-card §4.2",
)
def read_record_multiple(card: CalypsoCard, command: CommandApdu) -> bytes | tuple[bytes, int]:
    """Return the same slice of every record from P1 on, without headers; 6200 if not all fit."""
    file = addressed_file(card, command.p2 >> 3)
    first = command.p1
    check_record(file, first)
    check_readable(card, file)
    data = command.data
    offset, length = data[2], data[3]
    if data[:2] != _SLICE_HEAD or not 0 < length <= _readable_size(file) - offset:
        raise Refusal(StatusWord.WRONG_DATA)
    room = (command.ne or SHORT_NE_MAX) // length
    if not room:
        raise Refusal(StatusWord.WRONG_LENGTH)
    last = min(file.record_count, first + room - 1)
    numbers = range(first, last + 1)
    answer = b"".join(record_content(card, file, n)[offset : offset + length] for n in numbers)
    return answer, StatusWord.OK if last == file.record_count else StatusWord.WARNING


@COMMANDS.command(
    name="Search Record Multiple",
    ins=CalypsoIns.SEARCH_RECORD_MULTIPLE,
    p1=ANY,
    p2=SFI_SEARCH,
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=range(_SEARCH_HEAD_SIZE + 1, 256),
    answers=(0x9000, 0x6400, 0x6700, 0x6A80, 0x6A83, *FILE_REFUSALS),
    source="calypso-card §4.3",
)
def search_record_multiple(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Return how many records match, their numbers and, if asked, the content of the first.

    Data: mode ‖ offset ‖ n ‖ n bytes searched ‖ n bytes of mask, of which bits at 1 are compared.
    """
    file = addressed_file(card, command.p2 >> 3)
    first = command.p1
    check_record(file, first)
    check_readable(card, file)
    mode, offset, count = command.data[:_SEARCH_HEAD_SIZE]
    searched = command.data[_SEARCH_HEAD_SIZE:]
    size = _readable_size(file)
    if (
        mode & ~(_EVERY_OFFSET | _RETURN_FIRST)
        or len(searched) != 2 * count
        or offset + count > size
    ):
        raise Refusal(StatusWord.WRONG_DATA)
    mask = int.from_bytes(searched[count:])
    wanted = int.from_bytes(searched[:count]) & mask
    last_offset = size - count if mode & _EVERY_OFFSET else offset
    found = []
    for number in range(first, file.record_count + 1):
        record = record_content(card, file, number)
        for start in range(offset, last_offset + 1):
            if int.from_bytes(record[start : start + count]) & mask == wanted:
                found.append(number)
                break
    answer = bytes((len(found), *found))
    if found and mode & _RETURN_FIRST:
        answer += record_content(card, file, found[0])
    if len(answer) > (command.ne or SHORT_NE_MAX):
        raise Refusal(StatusWord.BUFFER_OVERFLOW)
    return answer
