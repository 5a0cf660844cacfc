"""Casts to Java's small numbers: they wrap, as Java's casts do."""

from __future__ import annotations


def byte(number: int) -> int:
    """Return the signed byte -128 … 127 that `(byte)` makes of a number."""
    return (number & 0xFF ^ 0x80) - 0x80


def short(number: int) -> int:
    """Return the short -32,768 … 32,767 that `(short)` makes of a number."""
    return (number & 0xFFFF ^ 0x8000) - 0x8000
