"""Util: byte arrays and shorts.

Wherever Java takes a `byte[]`, these take an array of the card, the APDU buffer, or constant `bytes`.

Source: wallet-javacard §6.5; Java Card API, class Util.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.emulator.javacard.arrays import read_bytes, write_bytes
from cardbench.emulator.javacard.primitives import short

if TYPE_CHECKING:
    from cardbench.emulator.javacard.arrays import Bytes


class Util:
    """Static helpers. All raise `NullPointerException` and `ArrayIndexOutOfBoundsException`."""

    @staticmethod
    def array_compare(
        source: Bytes, source_offset: int, destination: Bytes, destination_offset: int, length: int
    ) -> int:
        """Compare as unsigned bytes: -1, 0 or 1 as the source is less, equal or greater."""
        one = read_bytes(source, source_offset, length)
        other = read_bytes(destination, destination_offset, length)
        return (one > other) - (one < other)

    @staticmethod
    def array_copy(
        source: Bytes, source_offset: int, destination: Bytes, destination_offset: int, length: int
    ) -> int:
        """Copy, atomically where the destination is persistent; return where the copy ends.

        Raises:
            TransactionException: BUFFER_FULL.
        """
        write_bytes(destination, destination_offset, read_bytes(source, source_offset, length))
        return destination_offset + length

    @staticmethod
    def array_copy_non_atomic(
        source: Bytes, source_offset: int, destination: Bytes, destination_offset: int, length: int
    ) -> int:
        """Copy outside any transaction: a cut may leave a part, an abort takes nothing back."""
        data = read_bytes(source, source_offset, length)
        write_bytes(destination, destination_offset, data, in_pages=True)
        return destination_offset + length

    @staticmethod
    def array_fill(array: Bytes, offset: int, length: int, value: int) -> int:
        """Fill with one byte, atomically where the array is persistent; return where the filling ends."""
        write_bytes(array, offset, bytes((value & 0xFF,)) * _length(array, offset, length))
        return offset + length

    @staticmethod
    def array_fill_non_atomic(array: Bytes, offset: int, length: int, value: int) -> int:
        """Fill with one byte outside any transaction: a cut may leave a part."""
        data = bytes((value & 0xFF,)) * _length(array, offset, length)
        write_bytes(array, offset, data, in_pages=True)
        return offset + length

    @staticmethod
    def get_short(array: Bytes, offset: int) -> int:
        """Return the short at an offset, high byte first, signed."""
        return short(int.from_bytes(read_bytes(array, offset, 2)))

    @staticmethod
    def make_short(high: int, low: int) -> int:
        """Return the short of two bytes, signed."""
        return short((high & 0xFF) << 8 | low & 0xFF)

    @staticmethod
    def set_short(array: Bytes, offset: int, value: int) -> int:
        """Put a short at an offset, high byte first; return the offset behind it."""
        write_bytes(array, offset, (value & 0xFFFF).to_bytes(2))
        return offset + 2


def _length(array: Bytes, offset: int, length: int) -> int:
    """Check the bounds before a filling of that length is made."""
    read_bytes(array, offset, length)
    return length
