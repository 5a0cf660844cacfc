"""The one pair of helpers that turn bytes into hexadecimal text and back.

Inside cardbench bytes are `bytes`. Hex exists at the edges: command line, JSON, traces, test literals.
"""

from __future__ import annotations

from cardbench.protocol.errors import UsageError


def to_hex(data: bytes) -> str:
    """Write bytes as upper-case hexadecimal without spaces."""
    return data.hex().upper()


def from_hex(text: str) -> bytes:
    """Read hexadecimal text; white space between bytes is ignored.

    Raises:
        UsageError: an odd number of digits, or a character that is no digit.
    """
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise UsageError(f"not hexadecimal: {text!r} ({error})") from None
