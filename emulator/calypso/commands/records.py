"""Record commands: Read Records in both forms, Update, Write and Append Record.

Here too is what all file commands share: which EF is meant, whether it may be read, what a modification
costs. Every handler follows the same order of refusals (calypso-card §4.22): file exists (6A82, 6986),
type (6981), record or offset (6A83), length against the file (6700), never or invalidated (6985),
session, PIN, encryption (6982), data (6A80), buffer (6400). Records are numbered from 1.

Source: calypso-card §4.1, §4.6, §4.7, §4.8; cost of a modification §5.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.calypso.structure import COUNTER_SIZE
from cardbench.emulator.calypso.table import (
    COMMANDS,
    MODIFIES,
    SFI,
    SFI_ONE_RECORD,
    SFI_RECORDS,
    UNDIGESTED,
    ZERO,
)
from cardbench.emulator.chassis import ANY, Refusal
from cardbench.protocol.apdu import SHORT_NE_MAX, IsoCase
from cardbench.protocol.calypso.file_header import EfAccess, EfType
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.calypso.structure import ElementaryFile
    from cardbench.protocol.apdu import CommandApdu

# By name: an attribute of an enumeration costs each command anew.
_SIMULATED_COUNTERS: Final = EfType.SIMULATED_COUNTERS
_BINARY: Final = EfType.BINARY
_CYCLIC: Final = EfType.CYCLIC
_LINEAR: Final = EfType.LINEAR
_READ: Final = EfAccess.READ
_UPDATE: Final = EfAccess.UPDATE
_WRITE_DECREASE: Final = EfAccess.WRITE_DECREASE
_APPEND_INCREASE: Final = EfAccess.APPEND_INCREASE

OVERHEAD_BYTES: Final = 6
"""What a modification costs in the session buffer beyond its data (calypso-card §5.5)."""

FILE_REFUSALS: Final = (0x6981, 0x6982, 0x6985, 0x6986, 0x6A82)
"""What every command that names an EF by its SFI may refuse with."""


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


def check_readable(card: CalypsoCard, file: ElementaryFile) -> None:
    """Check the read condition of a file.

    Raises:
        Refusal: 6985 never, or a Stored Value log behind an operation of the same session; 6982.
    """
    if file.is_purse_log:
        session = card.volatile.session
        if session is not None and session.sv_done:
            raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    card.check_access(file, _READ)


def check_record(file: ElementaryFile, number: int) -> None:
    """Check that a record exists.

    Raises:
        Refusal: 6981 a binary file, 6A83 no such record.
    """
    if file.kind is _BINARY:
        raise Refusal(StatusWord.WRONG_FILE_TYPE)
    if not 1 <= number <= file.record_count:
        raise Refusal(StatusWord.RECORD_NOT_FOUND)


def record_content(card: CalypsoCard, file: ElementaryFile, number: int) -> bytes:
    """Return one record without checks; for a simulated counter, the counter it images."""
    content = card.content(file)
    if file.kind is _SIMULATED_COUNTERS:
        return content[file.counter_offset : file.counter_offset + COUNTER_SIZE]
    size = file.record_size
    return content[(number - 1) * size : number * size]


def read_record(card: CalypsoCard, file: ElementaryFile, number: int) -> bytes:
    """Return one record, whole, under the read condition.

    Raises:
        Refusal: 6981 a binary file, 6A83 no such record, 6985 or 6982 not allowed.
    """
    check_record(file, number)
    check_readable(card, file)
    return record_content(card, file, number)


def replace(
    card: CalypsoCard, file: ElementaryFile, offset: int, data: bytes, *, cost_bytes: int
) -> None:
    """Put bytes in the place of others in a file's content.

    Raises:
        Refusal: 6400, the session buffer is full.
    """
    content = card.content(file)
    changed = content[:offset] + data + content[offset + len(data) :]
    card.modify({file.content_key: changed}, cost_bytes=cost_bytes)


@COMMANDS.command(
    name="Read Records (one)",
    ins=CalypsoIns.READ_RECORDS,
    p1=ANY,
    p2=SFI_ONE_RECORD,
    cases={IsoCase.DATA_OUT},
    answers=(0x9000, 0x6700, 0x6A83, *FILE_REFUSALS),
    source="calypso-card §4.1",
)
def read_one_record(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Return the first `ne` bytes of a record; the whole record for Le `00` or none."""
    file = addressed_file(card, command.p2 >> 3)
    return read_record(card, file, command.p1)[: command.ne]


@COMMANDS.command(
    name="Read Records (several)",
    ins=CalypsoIns.READ_RECORDS,
    p1=ANY,
    p2=SFI_RECORDS,
    cases={IsoCase.DATA_OUT},
    answers=(0x9000, 0x6700, 0x6A83, *FILE_REFUSALS),
    source="calypso-card §4.1",
)
def read_several_records(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Return `number ‖ length ‖ record` from P1 on, as many as fit into `ne` bytes whole.

    One record at least: what of it does not fit is cut off.
    """
    file = addressed_file(card, command.p2 >> 3)
    number = command.p1
    check_record(file, number)
    check_readable(card, file)
    room = command.ne or SHORT_NE_MAX
    answer = b""
    while number <= file.record_count:
        record = record_content(card, file, number)
        if answer and len(answer) + 2 + len(record) > room:
            break
        answer += bytes((number, len(record))) + record
        number += 1
    return answer[:room]


@COMMANDS.command(
    name="Ratification",
    ins=CalypsoIns.READ_RECORDS,
    p1=ZERO,
    p2=ZERO,
    cases={IsoCase.NO_DATA, IsoCase.DATA_OUT},
    answers=(0x6B00,),
    source="calypso-card §4.20",
    traits={UNDIGESTED},
)
def ratification(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Refuse a Read Records that is invalid on purpose: that it came is what ratifies."""
    raise Refusal(StatusWord.P1P2_NOT_SUPPORTED)


_WRITE_ANSWERS = (0x9000, 0x6400, 0x6700, 0x6A83, *FILE_REFUSALS)


@COMMANDS.command(
    name="Update Record",
    ins=CalypsoIns.UPDATE_RECORD,
    p1=ANY,
    p2=SFI_ONE_RECORD,
    cases={IsoCase.DATA_IN},
    answers=_WRITE_ANSWERS,
    source="calypso-card §4.6",
    traits={MODIFIES},
)
def update_record(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Replace the first bytes of a record; the rest of it stays.

    A simulated counter takes the first three bytes as its value (§8.1).
    """
    data = command.data
    file, offset = _modified_record(card, command, _UPDATE)
    cost = len(data) + OVERHEAD_BYTES
    if file.kind is _SIMULATED_COUNTERS:
        offset, data = file.counter_offset, data[:COUNTER_SIZE]
    replace(card, file, offset, data, cost_bytes=cost)
    return b""


@COMMANDS.command(
    name="Write Record",
    ins=CalypsoIns.WRITE_RECORD,
    p1=ANY,
    p2=SFI_ONE_RECORD,
    cases={IsoCase.DATA_IN},
    answers=_WRITE_ANSWERS,
    source="calypso-card §4.7",
    traits={MODIFIES},
)
def write_record(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Or the first bytes of a record with the data: linear files, and record 1 of cyclic ones."""
    file, offset = _modified_record(card, command, _WRITE_DECREASE)
    data = ored(card, file, offset, command.data)
    replace(card, file, offset, data, cost_bytes=len(data) + OVERHEAD_BYTES)
    return b""


def _modified_record(
    card: CalypsoCard, command: CommandApdu, group: EfAccess
) -> tuple[ElementaryFile, int]:
    """Return the file of the record that a modification names, and where the record starts in it.

    Raises:
        Refusal: 6A82, 6986 no file; 6981 its type does not take the command, or not in this record;
            6A83 no such record; 6700 data longer than the record; 6985, 6982 not allowed.
    """
    file, number = addressed_file(card, command.p2 >> 3), command.p1
    if group is _WRITE_DECREASE and file.kind not in (_LINEAR, _CYCLIC):
        raise Refusal(StatusWord.WRONG_FILE_TYPE)
    check_record(file, number)
    if file.kind is _CYCLIC and number != 1:
        raise Refusal(StatusWord.WRONG_FILE_TYPE)
    if len(command.data) > file.record_size:
        raise Refusal(StatusWord.WRONG_LENGTH)
    card.check_access(file, group)
    return file, (number - 1) * file.record_size


def ored(card: CalypsoCard, file: ElementaryFile, offset: int, data: bytes) -> bytes:
    """Return `data` or-ed with the bytes that stand at `offset`."""
    there = card.content(file)[offset : offset + len(data)]
    return bytes(old | new for old, new in zip(there, data, strict=True))


@COMMANDS.command(
    name="Append Record",
    ins=CalypsoIns.APPEND_RECORD,
    p1=ZERO,
    p2=SFI,
    cases={IsoCase.DATA_IN},
    answers=(0x9000, 0x6400, 0x6700, *FILE_REFUSALS),
    source="calypso-card §4.8",
    traits={MODIFIES},
)
def append_record(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Put a new record 1 into a cyclic file; the others move up, the oldest is lost.

    Data shorter than the record is filled with zeros.
    """
    data = command.data
    file = addressed_file(card, command.p2 >> 3)
    if file.kind is not _CYCLIC:
        raise Refusal(StatusWord.WRONG_FILE_TYPE)
    size = file.record_size
    if len(data) > size:
        raise Refusal(StatusWord.WRONG_LENGTH)
    card.check_access(file, _APPEND_INCREASE)
    content = data.ljust(size, b"\0") + card.content(file)[:-size]
    card.modify({file.content_key: content}, cost_bytes=len(data) + OVERHEAD_BYTES)
    return b""
