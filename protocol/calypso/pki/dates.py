"""Dates of Calypso certificates: four BCD bytes `YYYY MM DD`, zero for no limit.

Source: calypso-pki §4.5.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from cardbench.protocol.errors import UsageError
from cardbench.protocol.hexadecimal import to_hex

DATE_SIZE_BYTES: Final = 4
_NO_DATE: Final = bytes(DATE_SIZE_BYTES)


def parse_date(raw: bytes) -> date | None:
    """Read four BCD bytes; None stands for no limit.

    Raises:
        UsageError: no decimal digits, or no day of the calendar.
    """
    if raw == _NO_DATE:
        return None
    digits = to_hex(raw)
    if len(raw) != DATE_SIZE_BYTES or not digits.isdecimal():
        raise UsageError(f"date {digits}; it has eight decimal digits")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise UsageError(f"date {digits} is no day of the calendar") from None


def encode_date(day: date | None) -> bytes:
    """Write four BCD bytes."""
    if day is None:
        return _NO_DATE
    return bytes.fromhex(f"{day.year:04}{day.month:02}{day.day:02}")
