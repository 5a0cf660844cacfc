"""Counter commands: Increase and Decrease, of one counter or of several.

A counter is three bytes of a counters file, numbered from 1; a simulated counter is an EF of its own
that images one of them and is counted with P1 = 0. Old products may keep the new value back until the
session is closed.

Source: calypso-card §4.9, §4.10, §5.8 (postponed data), §8.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.calypso.commands.records import (
    FILE_REFUSALS,
    OVERHEAD_BYTES,
    addressed_file,
)
from cardbench.emulator.calypso.structure import COUNTER_SIZE
from cardbench.emulator.calypso.table import COMMANDS, MODIFIES, SFI, ZERO
from cardbench.emulator.chassis import Refusal, between
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.file_header import EfAccess, EfType
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.calypso.startup import COUNTER_MAX, COUNTER_NUMBER_MAX
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.calypso.structure import ElementaryFile
    from cardbench.emulator.calypso.table import Declaration
    from cardbench.protocol.apdu import CommandApdu

# By name: an attribute of an enumeration costs each command anew.
_SIMULATED_COUNTERS: Final = EfType.SIMULATED_COUNTERS
_COUNTERS: Final = EfType.COUNTERS
_STEP_SIZE: Final = 1 + COUNTER_SIZE
"""Counter number and amount, in the Multiple forms."""
_CASES: Final = frozenset((IsoCase.DATA_IN, IsoCase.DATA_IN_OUT))
_INCREASE, _DECREASE = 1, -1
_GROUPS = {_INCREASE: EfAccess.APPEND_INCREASE, _DECREASE: EfAccess.WRITE_DECREASE}


def _counter_offset(file: ElementaryFile, number: int) -> int:
    """Return where a counter stands in its file.

    Raises:
        Refusal: 6981 the file holds no counters; 6B00 no such counter.
    """
    if file.kind is _SIMULATED_COUNTERS:
        if number != 0:
            raise Refusal(StatusWord.P1P2_NOT_SUPPORTED)
        return file.counter_offset
    if file.kind is not _COUNTERS:
        raise Refusal(StatusWord.WRONG_FILE_TYPE)
    if not 1 <= number <= file.record_size // COUNTER_SIZE:
        raise Refusal(StatusWord.P1P2_NOT_SUPPORTED)
    return (number - 1) * COUNTER_SIZE


def _counted(content: bytes, offset: int, amount: bytes, sign: int) -> bytes:
    """Return the new three bytes of a counter.

    Raises:
        Refusal: 6A80, it would leave 0…FFFFFF.
    """
    value = int.from_bytes(content[offset : offset + COUNTER_SIZE])
    value += sign * int.from_bytes(amount)
    if not 0 <= value <= COUNTER_MAX:
        raise Refusal(StatusWord.WRONG_DATA)
    return value.to_bytes(COUNTER_SIZE)


def _count_one(card: CalypsoCard, command: CommandApdu, sign: int) -> bytes | tuple[bytes, int]:
    file = addressed_file(card, command.p2 >> 3)
    offset = _counter_offset(file, command.p1)
    card.check_access(file, _GROUPS[sign])
    content = card.content(file)
    new = _counted(content, offset, command.data, sign)
    changed = content[:offset] + new + content[offset + COUNTER_SIZE :]
    card.modify({file.content_key: changed}, cost_bytes=COUNTER_SIZE + OVERHEAD_BYTES)
    session = card.volatile.session
    if session is not None and card.structure.profile.postpones_counters:
        session.postponed += bytes((1 + COUNTER_SIZE,)) + new
        return b"", StatusWord.WARNING
    return new


def _count_several(card: CalypsoCard, command: CommandApdu, sign: int) -> bytes:
    file = addressed_file(card, command.p2 >> 3)
    if file.kind is not _COUNTERS:
        raise Refusal(StatusWord.WRONG_FILE_TYPE)
    data = command.data
    card.check_access(file, _GROUPS[sign])
    content = card.content(file)
    seen = set()
    answer = b""
    for start in range(0, len(data), _STEP_SIZE):
        number = data[start]
        if number in seen or not 1 <= number <= file.record_size // COUNTER_SIZE:
            raise Refusal(StatusWord.WRONG_DATA)
        seen.add(number)
        offset = (number - 1) * COUNTER_SIZE
        new = _counted(content, offset, data[start + 1 : start + _STEP_SIZE], sign)
        content = content[:offset] + new + content[offset + COUNTER_SIZE :]
        answer += bytes((number,)) + new
    card.modify({file.content_key: content}, cost_bytes=len(data) + OVERHEAD_BYTES)
    return answer


def _counts_one(name: str, ins: CalypsoIns) -> Declaration:
    return COMMANDS.command(
        name=name,
        ins=ins,
        p1=between(0, COUNTER_NUMBER_MAX),
        p2=SFI,
        cases=_CASES,
        lc=frozenset((COUNTER_SIZE,)),
        answers=(0x9000, 0x6200, 0x6400, 0x6700, 0x6A80, 0x6B00, *FILE_REFUSALS),
        source="calypso-card §4.9",
        traits={MODIFIES},
    )


def _counts_several(name: str, ins: CalypsoIns) -> Declaration:
    return COMMANDS.command(
        name=name,
        ins=ins,
        p1=ZERO,
        p2=SFI,
        cases=_CASES,
        lc=range(_STEP_SIZE, 256, _STEP_SIZE),
        answers=(0x9000, 0x6400, 0x6700, 0x6A80, *FILE_REFUSALS),
        source="calypso-card §4.10",
        traits={MODIFIES},
    )


@_counts_one("Increase", CalypsoIns.INCREASE)
def increase(card: CalypsoCard, command: CommandApdu) -> bytes | tuple[bytes, int]:
    """Add a 3-byte amount to a counter; return its new value, or 6200 where it is postponed."""
    return _count_one(card, command, _INCREASE)


@_counts_one("Decrease", CalypsoIns.DECREASE)
def decrease(card: CalypsoCard, command: CommandApdu) -> bytes | tuple[bytes, int]:
    """Take a 3-byte amount from a counter; return its new value, or 6200 where it is postponed."""
    return _count_one(card, command, _DECREASE)


@_counts_several("Increase Multiple", CalypsoIns.INCREASE_MULTIPLE)
def increase_multiple(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Add to several counters as one; data and answer are `number ‖ 3 bytes` for each."""
    return _count_several(card, command, _INCREASE)


@_counts_several("Decrease Multiple", CalypsoIns.DECREASE_MULTIPLE)
def decrease_multiple(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Take from several counters as one; data and answer are `number ‖ 3 bytes` for each."""
    return _count_several(card, command, _DECREASE)
