"""BER-TLV data objects as cards use them: ISO/IEC 7816-4 §5.2.2 and §6.3, on the rules of ITU-T X.690.

Rules
-----
* What `parse` accepts, `encode` gives back byte for byte: order, unknown tags and lengths in a longer
  form than needed (`81 05`) are kept.
* Tags have 1 to 3 bytes and are written as one number: `0x84`, `0xBF0C`, `0xDF8129`. In a longer tag
  the second byte must not be `00` or `80` (a number with leading zeros). Second bytes `01`…`1E`,
  which ISO reserves, are taken: EMV's own `BF0C` is one.
* A tag whose constructed bit is set holds data objects and nothing else; it is read to the bottom,
  at most `DEPTH_MAX` levels deep.
* Lengths are definite: one byte, or `81` to `84` and that many bytes. The indefinite length `80` and
  the reserved ones are refused.
* Padding is refused. ISO lets `00` (once also `FF`) stand between data objects, but it carries no
  meaning, would be lost on the way back, and hides mistakes. Where a record is filled up behind one
  data object, `Tlv.parse_first` tells where that object ends.

Left out: SIMPLE-TLV; COMPACT-TLV lives with the historical bytes in `protocol.atr`.

Source: ISO/IEC 7816-4:2013 §5.2.2; ITU-T X.690 (02/2021) §8.1.2, §8.1.3. Refusing padding and the
bound on depth are our choice.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from cardbench.protocol.errors import MalformedTlv, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DEPTH_MAX: Final = 32
TAG_BYTES_MAX: Final = 3
LENGTH_OCTETS_MAX: Final = 4

_CONSTRUCTED: Final = 0x20
_LONG_TAG: Final = 0x1F
_MORE_TAG_BYTES: Final = 0x80

Content: TypeAlias = "bytes | tuple[Tlv, ...]"


class Tlv(NamedTuple):
    """One data object.

    Attributes:
        tag: the tag field as a big-endian number, 1 to 3 bytes.
        content: value bytes of a primitive object; the data objects of a constructed one.
        length_octets: 0: the length takes its shortest form; 1 to 4: it takes the form `81` to `84`
            with that many bytes, needed or not.
    """

    tag: int
    content: Content
    length_octets: int = 0

    @property
    def value(self) -> bytes:
        """The value field: bytes as they are, data objects encoded."""
        content = self.content
        return content if isinstance(content, bytes) else encode_all(content)

    @property
    def children(self) -> tuple[Tlv, ...]:
        """The data objects of a constructed object; none in a primitive one."""
        content = self.content
        return () if isinstance(content, bytes) else content

    def encode(self) -> bytes:
        """Encode tag, length and value.

        Raises:
            UsageError: the tag is none, the content does not fit the tag's constructed bit, or the
                value is too long for `length_octets`.
        """
        tag, content, length_octets = self
        field, is_constructed = _tag_field(tag)
        if isinstance(content, bytes) is is_constructed:
            wanted, given = (
                ("data objects", "bytes") if is_constructed else ("bytes", "data objects")
            )
            raise UsageError(f"tag {tag:X} holds {wanted}, not {given}")
        value = self.value
        size = len(value)
        if not length_octets:
            if size < 0x80:
                return field + bytes((size,)) + value
            length_octets = (size.bit_length() + 7) // 8
        if not 1 <= length_octets <= LENGTH_OCTETS_MAX or size >> 8 * length_octets:
            raise UsageError(
                f"tag {tag:X}: {size} value bytes with {length_octets} length bytes; allowed: 1 to "
                f"{LENGTH_OCTETS_MAX}, enough for the value, or 0 for the shortest form"
            )
        return field + bytes((0x80 | length_octets,)) + size.to_bytes(length_octets) + value

    @classmethod
    def parse(cls, raw: bytes) -> Tlv:
        """Read exactly one data object.

        Raises:
            MalformedTlv: no data object, or bytes behind it.
        """
        objects = _parse(raw, 0, len(raw), 0)
        if len(objects) != 1:
            raise MalformedTlv(f"{len(objects)} data objects where one was expected")
        return objects[0]

    @classmethod
    def parse_first(cls, raw: bytes, offset: int = 0) -> tuple[Tlv, int]:
        """Read the data object that starts at `offset`; return it and the offset of its end.

        Raises:
            MalformedTlv: no data object starts there. What follows its end is not looked at.
        """
        if not 0 <= offset < len(raw):
            raise MalformedTlv(f"no data object at offset {offset} of {len(raw)} byte(s)")
        tag, is_constructed, start, end, length_octets = _parse_header(raw, offset, len(raw))
        content: Content = tuple(_parse(raw, start, end, 1)) if is_constructed else raw[start:end]
        return cls(tag, content, length_octets), end

    def find(self, *path: int) -> Tlv | None:
        """Return the first descendant under these tags, or None: `fci.find(0xA5, 0xBF0C, 0xC7)`.

        Where several children bear a tag of the path, each is followed in order. An empty path is
        the object itself.
        """
        return find(self.children, *path) if path else self

    def walk(self) -> Iterator[Tlv]:
        """Yield this object and every one below it, in the order of their bytes."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse_all(raw: bytes) -> tuple[Tlv, ...]:
    """Read data objects one behind the other, up to the last byte; none from no bytes.

    Raises:
        MalformedTlv: truncated, padded, or with a tag or length that is not allowed.
    """
    return tuple(_parse(raw, 0, len(raw), 0))


def encode_all(objects: Iterable[Tlv]) -> bytes:
    """Encode data objects one behind the other. Raises as `Tlv.encode`."""
    return b"".join([item.encode() for item in objects])


def find(objects: Iterable[Tlv], *path: int) -> Tlv | None:
    """Return the first object under these tags, or None; the first tag is one of `objects`."""
    return next(find_all(objects, *path), None)


def find_all(objects: Iterable[Tlv], *path: int) -> Iterator[Tlv]:
    """Yield every object under these tags, in the order of their bytes."""
    if not path:
        return
    tag, *rest = path
    for item in objects:
        if item.tag == tag:
            if rest:
                yield from find_all(item.children, *rest)
            else:
                yield item


@lru_cache(maxsize=1024)
def _tag_field(tag: int) -> tuple[bytes, bool]:
    """Return the tag's bytes, and whether its constructed bit is set."""
    if tag <= 0:
        raise UsageError(f"{tag} is no tag")
    field = tag.to_bytes((tag.bit_length() + 7) // 8)
    size = 1
    if field[0] & _LONG_TAG == _LONG_TAG:
        try:
            _, size = _parse_long_tag(field, 0, len(field))
        except MalformedTlv as error:
            raise UsageError(f"{tag:X} is no tag: {error}") from None
    if size != len(field):
        raise UsageError(f"{tag:X} is no tag: it ends after {size} byte(s)")
    is_constructed = field[0] & _CONSTRUCTED != 0
    return field, is_constructed


def _parse(raw: bytes, start: int, end: int, depth: int) -> list[Tlv]:
    if depth > DEPTH_MAX:
        raise MalformedTlv(f"data objects nested deeper than {DEPTH_MAX} levels")
    objects = []
    while start < end:
        tag, is_constructed, value_start, start_of_next, length_octets = _parse_header(
            raw, start, end
        )
        content: Content
        if is_constructed:
            content = tuple(_parse(raw, value_start, start_of_next, depth + 1))
        else:
            content = raw[value_start:start_of_next]
        objects.append(Tlv(tag, content, length_octets))
        start = start_of_next
    return objects


def _parse_header(raw: bytes, start: int, end: int) -> tuple[int, bool, int, int, int]:
    """Read tag and length; return tag, constructed bit, start and end of the value, length octets."""
    tag = raw[start]
    is_constructed = tag & _CONSTRUCTED != 0
    at = start + 1
    if tag & _LONG_TAG == _LONG_TAG:
        tag, at = _parse_long_tag(raw, start, end)
    elif not tag:
        raise MalformedTlv(f"offset {start}: 00 is no tag; padding is not taken")
    if at >= end:
        raise MalformedTlv(f"offset {start}: tag {tag:X} has no length")
    size = raw[at]
    at += 1
    length_octets = 0
    if size >= 0x80:
        size, at, length_octets = _parse_long_length(raw, at, end)
    if at + size > end:
        raise MalformedTlv(
            f"offset {start}: tag {tag:X} announces {size} value byte(s), {end - at} follow"
        )
    return tag, is_constructed, at, at + size, length_octets


def _parse_long_tag(raw: bytes, start: int, end: int) -> tuple[int, int]:
    tag = raw[start]
    for at in range(start + 1, min(start + TAG_BYTES_MAX, end)):
        byte = raw[at]
        if at == start + 1 and not byte & ~_MORE_TAG_BYTES:
            raise MalformedTlv(f"offset {start}: tag {tag:02X}{byte:02X} starts with a zero digit")
        tag = tag << 8 | byte
        if not byte & _MORE_TAG_BYTES:
            return tag, at + 1
    if start + TAG_BYTES_MAX > end:
        raise MalformedTlv(f"offset {start}: the tag {tag:X} is cut off")
    raise MalformedTlv(f"offset {start}: the tag {tag:X}… has more than {TAG_BYTES_MAX} bytes")


def _parse_long_length(raw: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Read the bytes behind `81`…`84`; return size, start of the value, and the form to keep."""
    octets = raw[at - 1] & 0x7F
    if not octets:
        raise MalformedTlv(f"offset {at - 1}: indefinite length")
    if octets > LENGTH_OCTETS_MAX:
        raise MalformedTlv(f"offset {at - 1}: length byte {raw[at - 1]:02X} is reserved")
    if at + octets > end:
        raise MalformedTlv(f"offset {at - 1}: the length is cut off")
    size = int.from_bytes(raw[at : at + octets])
    shortest = (size.bit_length() + 7) // 8 if size >= 0x80 else 0
    return size, at + octets, 0 if octets == shortest else octets
