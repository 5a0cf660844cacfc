"""File commands: Read Records, Update, Append Record, Increase and Decrease.

Every handler follows the same order of refusals (calypso-card §4.22): file exists (6A82, 6986), type
(6981), record (6A83), never or invalidated (6985), session, PIN, encryption (6982), data (6A80), buffer
(6400). Numbers are big-endian; records and counters are numbered from 1.

Source: calypso-card §4.1, §4.6, §4.8, §4.9; cost of a modification §5.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.calypso.table import (
    COMMANDS,
    MODIFIES,
    SFI,
    SFI_ONE_RECORD,
    SFI_RECORDS,
    ZERO,
)
from cardbench.emulator.chassis import ANY, Refusal
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.file_header import EfAccess, EfType
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.calypso.structure import ElementaryFile
    from cardbench.protocol.apdu import CommandApdu

OVERHEAD_BYTES: Final = 6
"""What a modification costs in the session buffer beyond its data (calypso-card §5.5)."""
COUNTER_SIZE: Final = 3
COUNTER_MAX: Final = 0xFFFFFF
SIMULATED_COUNTER_READ: Final = 3
"""A simulated counter announces 29 bytes; a read returns the counter only (calypso-card §8.1)."""

_RECORD_FILES = frozenset(
    (EfType.LINEAR, EfType.CYCLIC, EfType.COUNTERS, EfType.SIMULATED_COUNTERS)
)
_FILE_REFUSALS = (0x6981, 0x6982, 0x6985, 0x6986, 0x6A82)


def addressed_file(card: CalypsoCard, sfi: int) -> ElementaryFile:
    """Return the EF that a short identifier designates and make it the current one.

    Raises:
        Refusal: 6A82 no such file; 6986 SFI 0 without a current EF.
    """
    volatile = card.volatile
    if sfi == 0:
        if volatile.file is None:
            raise Refusal(StatusWord.NO_CURRENT_FILE)
        return volatile.file
    file = volatile.application.by_sfi.get(sfi)
    if file is None:
        raise Refusal(StatusWord.FILE_NOT_FOUND)
    volatile.file = file
    return file


def read_record(card: CalypsoCard, file: ElementaryFile, number: int) -> bytes:
    """Return one record, whole, under the read condition.

    Raises:
        Refusal: 6981 a binary file, 6A83 no such record, 6985 or 6982 not allowed.
    """
    if file.kind not in _RECORD_FILES:
        raise Refusal(StatusWord.WRONG_FILE_TYPE)
    if not 1 <= number <= file.record_count:
        raise Refusal(StatusWord.RECORD_NOT_FOUND)
    card.check_access(file, EfAccess.READ)
    return record_content(card, file, number)


def record_content(card: CalypsoCard, file: ElementaryFile, number: int) -> bytes:
    """Return one record without checks; for a simulated counter, the counter it images."""
    content = card.content(file)
    if file.kind is EfType.SIMULATED_COUNTERS:
        offset = (file.counter - 1) * COUNTER_SIZE
        return content[offset : offset + SIMULATED_COUNTER_READ]
    size = file.record_size
    return content[(number - 1) * size : number * size]


@COMMANDS.command(
    name="Read Records (one)",
    ins=CalypsoIns.READ_RECORDS,
    p1=ANY,
    p2=SFI_ONE_RECORD,
    cases={IsoCase.DATA_OUT},
    answers=(0x9000, 0x6A83, *_FILE_REFUSALS),
    source="calypso-card §4.1",
)
def read_one_record(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Return the first `ne` bytes of a record; the whole record for Le `00` or none."""
    file = addressed_file(card, command.p2 >> 3)
    record = read_record(card, file, command.p1)
    return record if command.ne is None else record[: command.ne]


@COMMANDS.command(
    name="Read Records (several)",
    ins=CalypsoIns.READ_RECORDS,
    p1=ANY,
    p2=SFI_RECORDS,
    cases={IsoCase.DATA_OUT},
    answers=(0x9000, 0x6A83, *_FILE_REFUSALS),
    source="calypso-card §4.1",
)
def read_several_records(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Return `number ‖ length ‖ record` from P1 on, as many as fit into `ne` bytes whole."""
    file = addressed_file(card, command.p2 >> 3)
    room = min(command.ne or 256, 256)
    answer = b""
    number = command.p1
    while True:
        record = read_record(card, file, number)
        if answer and len(answer) + 2 + len(record) > room:
            break
        answer += bytes((number, len(record))) + record
        number += 1
        if number > file.record_count:
            break
    return answer[:room]


@COMMANDS.command(
    name="Update Record",
    ins=CalypsoIns.UPDATE_RECORD,
    p1=ANY,
    p2=SFI_ONE_RECORD,
    cases={IsoCase.DATA_IN},
    answers=(0x9000, 0x6400, 0x6700, 0x6A83, *_FILE_REFUSALS),
    source="calypso-card §4.6",
    traits={MODIFIES},
)
def update_record(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Replace the first bytes of a record; the rest of it stays."""
    number, data = command.p1, command.data
    file = addressed_file(card, command.p2 >> 3)
    kind = file.kind
    if kind not in _RECORD_FILES:
        raise Refusal(StatusWord.WRONG_FILE_TYPE)
    if not 1 <= number <= file.record_count:
        raise Refusal(StatusWord.RECORD_NOT_FOUND)
    if kind is EfType.CYCLIC and number != 1:
        raise Refusal(StatusWord.WRONG_FILE_TYPE)
    card.check_access(file, EfAccess.UPDATE)
    if len(data) > file.record_size:
        raise Refusal(StatusWord.WRONG_LENGTH)
    if kind is EfType.SIMULATED_COUNTERS:
        offset = (file.counter - 1) * COUNTER_SIZE
        data = data[:COUNTER_SIZE]
    else:
        offset = (number - 1) * file.record_size
    _replace(card, file, offset, data, cost_bytes=len(command.data) + OVERHEAD_BYTES)
    return b""


@COMMANDS.command(
    name="Append Record",
    ins=CalypsoIns.APPEND_RECORD,
    p1=ZERO,
    p2=SFI,
    cases={IsoCase.DATA_IN},
    answers=(0x9000, 0x6400, 0x6700, *_FILE_REFUSALS),
    source="calypso-card §4.8",
    traits={MODIFIES},
)
def append_record(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Put a new record 1 into a cyclic file; the others move up, the oldest is lost."""
    data = command.data
    file = addressed_file(card, command.p2 >> 3)
    if file.kind is not EfType.CYCLIC:
        raise Refusal(StatusWord.WRONG_FILE_TYPE)
    card.check_access(file, EfAccess.APPEND_INCREASE)
    size = file.record_size
    if len(data) > size:
        raise Refusal(StatusWord.WRONG_LENGTH)
    content = data.ljust(size, b"\0") + card.content(file)[:-size]
    card.modify({file.content_key: content}, cost_bytes=len(data) + OVERHEAD_BYTES)
    return b""


def _replace(
    card: CalypsoCard, file: ElementaryFile, offset: int, data: bytes, *, cost_bytes: int
) -> None:
    content = card.content(file)
    changed = content[:offset] + data + content[offset + len(data) :]
    card.modify({file.content_key: changed}, cost_bytes=cost_bytes)


def _counter_offset(file: ElementaryFile, number: int) -> int:
    """Return where a counter stands in its file.

    Raises:
        Refusal: 6981 the file holds no counters; 6B00 no such counter.
    """
    if file.kind is EfType.SIMULATED_COUNTERS:
        if number != 0:
            raise Refusal(StatusWord.P1P2_NOT_SUPPORTED)
        return (file.counter - 1) * COUNTER_SIZE
    if file.kind is not EfType.COUNTERS:
        raise Refusal(StatusWord.WRONG_FILE_TYPE)
    if not 1 <= number <= file.record_size // COUNTER_SIZE:
        raise Refusal(StatusWord.P1P2_NOT_SUPPORTED)
    return (number - 1) * COUNTER_SIZE


def _count(card: CalypsoCard, command: CommandApdu, *, sign: int, group: EfAccess) -> bytes:
    file = addressed_file(card, command.p2 >> 3)
    offset = _counter_offset(file, command.p1)
    card.check_access(file, group)
    content = card.content(file)
    value = int.from_bytes(content[offset : offset + COUNTER_SIZE])
    value += sign * int.from_bytes(command.data)
    if not 0 <= value <= COUNTER_MAX:
        raise Refusal(StatusWord.WRONG_DATA)
    new = value.to_bytes(COUNTER_SIZE)
    changed = content[:offset] + new + content[offset + COUNTER_SIZE :]
    card.modify({file.content_key: changed}, cost_bytes=COUNTER_SIZE + OVERHEAD_BYTES)
    return new


_COUNTER_ANSWERS = (0x9000, 0x6400, 0x6700, 0x6A80, 0x6B00, *_FILE_REFUSALS)


@COMMANDS.command(
    name="Increase",
    ins=CalypsoIns.INCREASE,
    p1=ANY,
    p2=SFI,
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((COUNTER_SIZE,)),
    answers=_COUNTER_ANSWERS,
    source="calypso-card §4.9",
    traits={MODIFIES},
)
def increase(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Add a 3-byte amount to a counter; return its new value."""
    return _count(card, command, sign=1, group=EfAccess.APPEND_INCREASE)


@COMMANDS.command(
    name="Decrease",
    ins=CalypsoIns.DECREASE,
    p1=ANY,
    p2=SFI,
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((COUNTER_SIZE,)),
    answers=_COUNTER_ANSWERS,
    source="calypso-card §4.9",
    traits={MODIFIES},
)
def decrease(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Take a 3-byte amount from a counter; return its new value."""
    return _count(card, command, sign=-1, group=EfAccess.WRITE_DECREASE)
