"""Early argument checks: ranges of the numbers that a command carries.

Source: terminal-api §8.3; calypso-card §1.8.
"""

from __future__ import annotations

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.calypso.startup import (
    COUNTER_MAX,
    COUNTER_NUMBER_MAX,
    RECORD_NUMBER_MAX,
    RECORD_SIZE_MAX_BYTES,
    SFI_MAX,
)
from cardbench.protocol.errors import UsageError

OFFSET_MAX = 249

_LEVELS = frozenset(WriteAccessLevel)


def check_range(what: str, value: int, low: int, high: int) -> None:
    """Refuse a number that is out of range.

    Raises:
        UsageError: names what, the number and the range.
    """
    if not low <= value <= high:
        raise UsageError(f"{what} {value}; allowed: {low} to {high}")


def check_sfi(sfi: int) -> None:
    """Refuse what is no SFI; 0 is the current file."""
    if not 0 <= sfi <= SFI_MAX:
        check_range("SFI", sfi, 0, SFI_MAX)


def check_record(sfi: int, record: int) -> None:
    """Refuse what is no SFI and record number."""
    if not (0 <= sfi <= SFI_MAX and 1 <= record <= RECORD_NUMBER_MAX):
        check_range("SFI", sfi, 0, SFI_MAX)
        check_range("record number", record, 1, RECORD_NUMBER_MAX)


def check_counter(sfi: int, number: int) -> None:
    """Refuse what is no SFI and counter number; 0 is the one of a simulated counter file."""
    if not (0 <= sfi <= SFI_MAX and 0 <= number <= COUNTER_NUMBER_MAX):
        check_range("SFI", sfi, 0, SFI_MAX)
        check_range("counter number", number, 0, COUNTER_NUMBER_MAX)


def check_counter_value(value: int) -> None:
    """Refuse what does not fit a counter."""
    check_range("counter value", value, 0, COUNTER_MAX)


def check_level(level: int) -> WriteAccessLevel:
    """Refuse what is no level of a session."""
    if level not in _LEVELS:
        check_range("session level", level, 1, 3)
    return WriteAccessLevel(level)


def check_data(data: bytes) -> None:
    """Refuse record data that are empty or too long."""
    if not 1 <= len(data) <= RECORD_SIZE_MAX_BYTES:
        check_range("data length", len(data), 1, RECORD_SIZE_MAX_BYTES)
