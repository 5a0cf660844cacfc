"""Arrays: persistent ones, and transient ones by the event that clears them.

An array of `n` elements is `ByteArray(n)`, `ShortArray(n)`, `BooleanArray(n)` or `ObjectArray(n)`; it is
persistent. `JCSystem.make_transient_…_array(n, event)` makes a transient one: the array itself persists,
its elements do not. Elements begin as 0, False or null.

An index outside raises `ArrayIndexOutOfBoundsException`, a negative one too. A byte is 0 … 255, as
everywhere in Python; `primitives.byte` gives the signed value. A `ByteArray` takes slices: reading gives
`bytes`, and an assignment of as many bytes as the slice has is one atomic write.

Writing an element of a persistent array writes the array's content as one value: atomic, and conditional
in a transaction.

Source: wallet-javacard §6.5; Java Card Runtime Environment 2.2.2 §5.1, §6.1.5 (who may use which).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeAlias, TypeVar, cast, overload

from cardbench.emulator.javacard.current import running
from cardbench.emulator.javacard.exceptions import (
    ArrayIndexOutOfBoundsException,
    NegativeArraySizeException,
    NullPointerException,
    SecurityException,
    SystemException,
)
from cardbench.emulator.javacard.objects import (
    CLEAR_ON_DESELECT,
    NOT_A_TRANSIENT_OBJECT,
    OBJECT,
    PersistentObject,
)

if TYPE_CHECKING:
    from collections.abc import MutableSequence

    from cardbench.emulator.chassis import Value

CONTENT: Final = "content"
LENGTH_MAX: Final = 0x7FFF
"""The length of an array is a short."""

PAGE_SIZE_BYTES: Final = 32
"""A non-atomic write goes page by page; each page is atomic (our choice)."""

ElementType = TypeVar("ElementType")


class Array(PersistentObject, Generic[ElementType]):
    """Base of the arrays.

    Args:
        length: number of elements.
        event: NOT_A_TRANSIENT_OBJECT, CLEAR_ON_RESET or CLEAR_ON_DESELECT.
    """

    __slots__ = ("_content", "jc_event", "jc_length")

    element_size_bytes = 1

    jc_event: int
    jc_length: int
    _content: MutableSequence[Any]

    def __new__(cls, length: int, event: int = NOT_A_TRANSIENT_OBJECT) -> Self:  # noqa: D102
        if length < 0:
            raise NegativeArraySizeException(f"an array of {length} elements")
        if length > LENGTH_MAX:
            SystemException.throw_it(SystemException.NO_RESOURCE)
        self = object.__new__(cls)
        self.jc_read_header((length, event))
        running().heap.allocate(self)
        return self

    def __len__(self) -> int:
        return self.jc_length

    @property
    def size_bytes(self) -> int:
        """What the elements take."""
        return self.jc_length * self.element_size_bytes

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an array has elements, not an attribute {name!r}")

    def __getitem__(self, index: int) -> ElementType:
        self.jc_check(index, 1)
        return cast("ElementType", self._content[index])

    def __setitem__(self, index: int, element: ElementType) -> None:
        self.jc_check(index, 1)
        self.jc_put(index, (element,))

    def jc_check(self, offset: int, length: int) -> None:
        """Check that the active context may use the array, and that the elements exist."""
        heap = self.jc_heap
        if heap.context != self.jc_context:
            heap.check_access(self)
        if self.jc_event == CLEAR_ON_DESELECT and heap.selected_context != self.jc_context:
            raise SecurityException("a CLEAR_ON_DESELECT array of a package that is not selected")
        if offset < 0 or length < 0 or offset + length > self.jc_length:
            raise _out_of_bounds(offset, length, self.jc_length)

    def jc_put(self, offset: int, elements: Any) -> None:  # noqa: ANN401 - of the array's element type
        """Replace elements by others of the same number, as one atomic write."""
        changed = self._content[:]
        changed[offset : offset + len(elements)] = elements
        stored = self._stored(changed)
        if not self.jc_event:
            self.jc_heap.memory.write((OBJECT, self.jc_handle, CONTENT), stored, self)
        object.__setattr__(self, "_content", changed)

    # How the elements are kept

    def _blank(self) -> MutableSequence[Any]:
        return [0] * self.jc_length

    def _stored(self, content: MutableSequence[Any]) -> Value:
        """Return what the memory keeps; refuse an element that the array cannot hold."""
        raise NotImplementedError

    def _read(self, stored: Value) -> MutableSequence[Any]:
        return list(cast("tuple[Any, ...]", stored))

    # For the runtime

    def jc_header(self) -> tuple[Value, ...]:
        """Length and event."""
        return (self.jc_length, self.jc_event)

    def jc_read_header(self, header: tuple[Value, ...]) -> None:
        """Length and event, and no content yet."""
        length, event = cast("tuple[int, int]", header)
        if not 0 <= length <= LENGTH_MAX:
            raise ValueError(f"an array of {length} elements")
        object.__setattr__(self, "jc_length", length)
        object.__setattr__(self, "jc_event", event)
        object.__setattr__(self, "_content", self._blank())

    def jc_load(self) -> None:
        """Read the content of a persistent array; a transient one keeps what it has."""
        if self.jc_event:
            return
        stored = self.jc_heap.memory.lookup((OBJECT, self.jc_handle, CONTENT))
        content = self._blank() if stored is None else self._read(stored)
        if len(content) != self.jc_length:
            raise ValueError(f"an array of {self.jc_length} elements holds {len(content)}")
        object.__setattr__(self, "_content", content)

    def jc_clear(self) -> None:
        """Zero the elements."""
        object.__setattr__(self, "_content", self._blank())

    def jc_copy_into(self, twin: Self, memo: dict[int, Any]) -> None:
        """Make `twin` the same array on the twin of this card."""
        super().jc_copy_into(twin, memo)
        twin.jc_read_header(self.jc_header())
        object.__setattr__(twin, "_content", copy.deepcopy(self._content, memo))


class ByteArray(Array[int]):
    """An array of bytes, 0 … 255."""

    __slots__ = ()

    _content: bytearray

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> bytes: ...
    def __getitem__(self, index: int | slice) -> int | bytes:
        """Return a byte, or the bytes of a slice."""
        if isinstance(index, slice):
            self.jc_check(0, 0)
            return bytes(self._content[index])
        self.jc_check(index, 1)
        return self._content[index]

    @overload
    def __setitem__(self, index: int, element: int) -> None: ...
    @overload
    def __setitem__(self, index: slice, element: bytes | bytearray) -> None: ...
    def __setitem__(self, index: int | slice, element: int | bytes | bytearray) -> None:
        """Replace a byte, or the bytes of a slice by as many others, atomically."""
        if isinstance(index, int):
            self.jc_check(index, 1)
            self.jc_put(index, (element,))
            return
        start, stop, step = index.indices(self.jc_length)
        assert isinstance(element, (bytes, bytearray)), "a slice takes bytes"
        if step != 1 or max(stop - start, 0) != len(element):
            raise ArrayIndexOutOfBoundsException(
                f"{len(element)} byte(s) for the slice {start}:{stop}:{step}"
            )
        self.jc_check(start, len(element))
        self.jc_put(start, element)

    def jc_put_in_pages(self, offset: int, data: bytes) -> None:
        """Replace bytes page by page, outside any transaction: a cut leaves the pages before it."""
        for start in range(0, len(data), PAGE_SIZE_BYTES):
            page = data[start : start + PAGE_SIZE_BYTES]
            at = offset + start
            content = self._content[:]
            content[at : at + len(page)] = page
            if not self.jc_event:
                memory = self.jc_heap.memory
                key = (OBJECT, self.jc_handle, CONTENT)
                committed = memory.committed(key)
                beneath = bytearray(
                    committed if isinstance(committed, bytes) else bytes(self.jc_length)
                )
                beneath[at : at + len(page)] = page
                memory.write_now(key, bytes(content), self, beneath=bytes(beneath))
            object.__setattr__(self, "_content", content)

    def _blank(self) -> bytearray:
        return bytearray(self.jc_length)

    def _stored(self, content: MutableSequence[int]) -> Value:
        return bytes(content)

    def _read(self, stored: Value) -> bytearray:
        return bytearray(cast("bytes", stored))


class ShortArray(Array[int]):
    """An array of shorts, -32,768 … 32,767."""

    __slots__ = ()

    element_size_bytes = 2

    def _stored(self, content: MutableSequence[int]) -> Value:
        for element in content:
            if not -0x8000 <= element <= 0x7FFF:
                raise ValueError(f"{element} is no short; `short` wraps it as a cast does")
        return tuple(content)


class BooleanArray(Array[bool]):
    """An array of truth values."""

    __slots__ = ()

    def _blank(self) -> MutableSequence[bool]:
        return [False] * self.jc_length

    def _stored(self, content: MutableSequence[bool]) -> Value:
        return bytes(map(bool, content))

    def _read(self, stored: Value) -> MutableSequence[bool]:
        return [bool(element) for element in cast("bytes", stored)]


class ObjectArray(Array[Any]):
    """An array of references: to objects, arrays and shareable objects, or null."""

    __slots__ = ()

    element_size_bytes = 2

    def _blank(self) -> MutableSequence[Any]:
        return [None] * self.jc_length

    def _stored(self, content: MutableSequence[Any]) -> Value:
        return tuple(map(self.jc_heap.encode, content))

    def _read(self, stored: Value) -> MutableSequence[Any]:
        decode, context = self.jc_heap.decode, self.jc_context
        return [decode(element, context) for element in cast("tuple[Value, ...]", stored)]


Bytes: TypeAlias = bytes | bytearray | ByteArray
"""What takes the place of `byte[]` in a call: an array of the card, the APDU buffer, or a constant."""


def read_bytes(array: Bytes | None, offset: int, length: int) -> bytes:
    """Return a part of a byte array, bounds checked.

    Raises:
        NullPointerException, ArrayIndexOutOfBoundsException, SecurityException.
    """
    if isinstance(array, (bytes, bytearray)):
        if 0 <= offset <= offset + length <= len(array):
            return bytes(array[offset : offset + length])
        raise _out_of_bounds(offset, length, len(array))
    if array is None:
        raise NullPointerException("no array")
    array.jc_check(offset, length)
    return array[offset : offset + length]


def write_bytes(
    array: Bytes | None, offset: int, data: bytes | bytearray, *, in_pages: bool = False
) -> None:
    """Replace a part of a byte array, bounds checked.

    Args:
        in_pages: non-atomic and unconditional, where the array is persistent.

    Raises:
        NullPointerException, ArrayIndexOutOfBoundsException, SecurityException.
    """
    length = len(data)
    if isinstance(array, bytearray):
        if not 0 <= offset <= offset + length <= len(array):
            raise _out_of_bounds(offset, length, len(array))
        array[offset : offset + length] = data
        return
    if array is None:
        raise NullPointerException("no array")
    if isinstance(array, bytes):
        raise SecurityException("a constant cannot be written")
    array.jc_check(offset, length)
    if in_pages:
        array.jc_put_in_pages(offset, bytes(data))
    else:
        array.jc_put(offset, data)


def _out_of_bounds(offset: int, length: int, size: int) -> ArrayIndexOutOfBoundsException:
    return ArrayIndexOutOfBoundsException(
        f"{length} element(s) from {offset} on, in an array of {size}"
    )
