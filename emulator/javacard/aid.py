"""AID: an application identifier of 5 to 16 bytes, the first 5 of which are the RID.

A value: it never changes, so any context may hold it, and a field keeps its bytes.

Source: ISO/IEC 7816-5; wallet-javacard §6.1; Java Card API, class AID.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from cardbench.emulator.javacard.arrays import read_bytes, write_bytes
from cardbench.emulator.javacard.exceptions import SystemException

if TYPE_CHECKING:
    from cardbench.emulator.javacard.arrays import Bytes

AID_MIN_BYTES: Final = 5
AID_MAX_BYTES: Final = 16
RID_BYTES: Final = 5


class AID:
    """An application identifier.

    Args:
        array: where its bytes are.
        offset: of the first one.
        length: how many; by default all that follow.

    Raises:
        SystemException: ILLEGAL_VALUE: not 5 to 16 bytes.
        ArrayIndexOutOfBoundsException: the bytes are not in the array.
    """

    __slots__ = ("_value",)

    def __init__(self, array: Bytes, offset: int = 0, length: int | None = None) -> None:
        value = read_bytes(array, offset, len(array) - offset if length is None else length)
        if not AID_MIN_BYTES <= len(value) <= AID_MAX_BYTES:
            SystemException.throw_it(SystemException.ILLEGAL_VALUE)
        self._value = value

    def __bytes__(self) -> bytes:
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AID) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"AID({self._value.hex().upper()})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def equals(self, array: Bytes, offset: int, length: int) -> bool:
        """Whether these bytes are the same AID; to compare two AIDs, write `==`."""
        return read_bytes(array, offset, length) == self._value

    def partial_equals(self, array: Bytes, offset: int, length: int) -> bool:
        """Whether this AID begins with these bytes."""
        return self._value.startswith(read_bytes(array, offset, length))

    def rid_equals(self, other: AID | None) -> bool:
        """Whether the other AID is of the same provider."""
        return other is not None and bytes(other)[:RID_BYTES] == self._value[:RID_BYTES]

    def get_bytes(self, array: Bytes, offset: int) -> int:
        """Put the AID into an array; return its length."""
        write_bytes(array, offset, self._value)
        return len(self._value)

    def get_partial_bytes(self, aid_offset: int, array: Bytes, offset: int, length: int) -> int:
        """Put a part of the AID into an array; length 0 means all that follow. Return the length."""
        part = read_bytes(self._value, aid_offset, length or len(self._value) - aid_offset)
        write_bytes(array, offset, part)
        return len(part)
