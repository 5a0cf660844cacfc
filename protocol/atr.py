"""Answer to reset: what a card says of itself when it gets power. ISO/IEC 7816-3 §8, PC/SC part 3.

    TS T0 [TA1] [TB1] [TC1] [TD1 [TA2] [TB2] [TC2] [TD2 …]] T1 … TK [TCK]

Rules
-----
* T0 tells which interface bytes of level 1 follow and how many historical bytes there are; each TDi
  names a transmission protocol T and tells which bytes of level i+1 follow. TDs are therefore not
  kept: a level knows the protocol that announced it, and that is enough to write them.
* TCK is there unless T=0 is the only protocol named (or none is); it makes the exclusive or of T0 to
  TCK zero. A wrong TCK is refused, or reported by `has_right_tck` when `parse` is not strict: some
  published ATRs bear one, and no PC/SC terminal checks. All else that does not fit is always refused.
* What `parse` accepts, `encode` gives back byte for byte.
* A contactless card has no ATR. PC/SC readers make one up, `3B 8n 80 01` and the historical bytes of
  its ATS (type A) or eight bytes out of its ATQB (type B); `contactless…` make the same.

Left out: the meaning of timing bytes (a card of this bench has no clock line), and the made-up ATRs
of storage cards.

Source: ISO/IEC 7816-3:2006 §8.2; ISO/IEC 7816-4:2013 §12.1.1 (historical bytes); PC/SC part 3
v2.01.09 §3.1.3.2.3; calypso-card §2.6 and legacy-sam §2 for ATRs that the tests rebuild.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, Final, NamedTuple

from cardbench.protocol.errors import MalformedAtr, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

ATR_BYTES_MAX: Final = 33  # TS and at most 32 characters behind it
HISTORICAL_BYTES_MAX: Final = 15

_TA, _TB, _TC, _TD = 0x1, 0x2, 0x4, 0x8  # bits of the Y nibble
_GLOBAL: Final = 15  # "T=15" announces global interface bytes; it is no protocol
_ATQB_FIRST: Final = 0x50


@unique
class Convention(IntEnum):
    """TS: how bits travel. The bytes of an `Atr` are decoded already, whatever it says."""

    DIRECT = 0x3B
    INVERSE = 0x3F


@unique
class Category(IntEnum):
    """Category indicator: the first historical byte, which says how the others are to be read.

    Source: ISO/IEC 7816-4 §12.1.1. Any other value is proprietary.
    """

    STATUS_LAST = 0x00  # compact TLV, then three status bytes
    DIR_REFERENCE = 0x10
    COMPACT_TLV = 0x80  # compact TLV, which may hold a status object


class InterfaceLevel(NamedTuple):
    """The interface bytes of one level.

    Attributes:
        ta, tb, tc: 0…255, or None where absent.
        protocol: T of the TD that announced this level, 0…15; None in level 1, which T0 announces.
    """

    ta: int | None = None
    tb: int | None = None
    tc: int | None = None
    protocol: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Atr:
    """An answer to reset.

    Attributes:
        convention: TS.
        levels: interface bytes, level 1 first; level 1 is always there, even if it is empty.
        historical: at most 15 historical bytes.
        tck: the check byte as it came; None where there is none. `Atr.build` computes it.
    """

    convention: Convention = Convention.DIRECT
    levels: tuple[InterfaceLevel, ...] = (InterfaceLevel(),)
    historical: bytes = b""
    tck: int | None = None

    @classmethod
    def build(
        cls,
        *,
        historical: bytes = b"",
        levels: Iterable[InterfaceLevel] = (InterfaceLevel(),),
        convention: Convention = Convention.DIRECT,
    ) -> Atr:
        """Make an ATR, with the right TCK where one is needed.

        Raises:
            UsageError: it cannot be encoded.
        """
        plain = cls(convention=convention, levels=tuple(levels), historical=historical)
        if not plain.needs_tck:
            plain.encode()
            return plain
        body = plain._encode_body()
        whole = cls(
            convention=convention,
            levels=plain.levels,
            historical=historical,
            tck=reduce(xor, body[1:]),
        )
        whole.encode()
        return whole

    @property
    def needs_tck(self) -> bool:
        """Whether a TCK belongs to it: any T but 0 is named."""
        return any(level.protocol for level in self.levels)

    @property
    def has_right_tck(self) -> bool:
        """Whether the TCK, or its absence, is right."""
        if self.tck is None:
            return not self.needs_tck
        return self.needs_tck and reduce(xor, self._encode_body()[1:]) == self.tck

    @property
    def protocols(self) -> tuple[int, ...]:
        """The transmission protocols T offered, in the card's order, each once; T=0 if none is named."""
        named = [level.protocol for level in self.levels]
        offered = dict.fromkeys(t for t in named if t is not None and t != _GLOBAL)
        return tuple(offered) or (0,)

    @property
    def specific_protocol(self) -> int | None:
        """The protocol that the card insists on (specific mode, TA2); None: it may be negotiated."""
        ta2 = self.levels[1].ta if len(self.levels) > 1 else None
        return None if ta2 is None else ta2 & 0x0F

    @property
    def is_contactless(self) -> bool:
        """Whether it has the form that a PC/SC reader makes up for a contactless card."""
        return self.convention is Convention.DIRECT and self.levels == _CONTACTLESS_LEVELS

    def interface_bytes(self) -> dict[str, int]:
        """Return the interface bytes present by name, in order: `{"TA1": 0x96, "TB1": 0x00}`."""
        present: dict[str, int] = {}
        for number, level in enumerate(self.levels, 1):
            for name, byte in zip(("TA", "TB", "TC"), level[:3], strict=True):
                if byte is not None:
                    present[f"{name}{number}"] = byte
            if number < len(self.levels):
                following = self.levels[number]
                present[f"TD{number}"] = self._presence(number) << 4 | (following.protocol or 0)
        return present

    def encode(self) -> bytes:
        """Encode; the TCK is written as it is, right or wrong.

        Raises:
            UsageError: a byte or protocol is out of range, a TCK is missing or not wanted, or the
                whole has more than 33 bytes.
        """
        if self.needs_tck is (self.tck is None):
            raise UsageError(
                "an ATR that names another protocol than T=0 ends with a TCK"
                if self.tck is None
                else "an ATR that names no protocol but T=0 has no TCK"
            )
        body = self._encode_body()
        if self.tck is not None:
            if not 0 <= self.tck <= 0xFF:
                raise UsageError(f"TCK is {self.tck}; allowed: 0 to 255")
            body += bytes((self.tck,))
        if len(body) > ATR_BYTES_MAX:
            raise UsageError(f"an ATR of {len(body)} bytes; at most {ATR_BYTES_MAX} are allowed")
        return body

    def _presence(self, index: int) -> int:
        """Return the nibble Y that announces the bytes of level `index` (0-based)."""
        level = self.levels[index]
        y = _TD if index + 1 < len(self.levels) else 0
        if level.ta is not None:
            y |= _TA
        if level.tb is not None:
            y |= _TB
        if level.tc is not None:
            y |= _TC
        return y

    def _encode_body(self) -> bytes:
        """Encode all but TCK."""
        if len(self.historical) > HISTORICAL_BYTES_MAX:
            raise UsageError(
                f"{len(self.historical)} historical bytes; at most {HISTORICAL_BYTES_MAX} are allowed"
            )
        if not self.levels or self.levels[0].protocol is not None:
            raise UsageError("level 1 is always there, and no TD announces it")
        for number, level in enumerate(self.levels[1:], 2):
            if level.protocol is None or not 0 <= level.protocol <= 0x0F:
                raise UsageError(f"level {number} needs its protocol, 0 to 15: {level.protocol}")
        head = [self.convention, self._presence(0) << 4 | len(self.historical)]
        try:
            return bytes((*head, *self.interface_bytes().values())) + self.historical
        except ValueError:
            raise UsageError(f"interface bytes must be within 0 to 255: {self.levels}") from None

    @classmethod
    def parse(cls, raw: bytes, *, strict: bool = True) -> Atr:
        """Read an ATR; `parse(raw).encode() == raw` for everything accepted.

        Args:
            raw: the bytes, TS first.
            strict: refuse a wrong TCK; otherwise `has_right_tck` tells.

        Raises:
            MalformedAtr: TS is neither 3B nor 3F, the length is not what T0 and the TDs announce, or
                the TCK is missing, not wanted or (strict) wrong.
        """
        if not 2 <= len(raw) <= ATR_BYTES_MAX:
            raise MalformedAtr(f"ATR of {len(raw)} byte(s); allowed: 2 to {ATR_BYTES_MAX}")
        try:
            convention = Convention(raw[0])
        except ValueError:
            raise MalformedAtr(f"TS is {raw[0]:02X}; allowed: 3B, 3F") from None
        levels, at = _parse_levels(raw)
        end = at + (raw[1] & 0x0F)
        needs_tck = any(level.protocol for level in levels)
        if len(raw) != end + needs_tck:
            raise MalformedAtr(
                f"ATR of {len(raw)} bytes; T0 and the TDs announce {end}"
                + (" and a TCK" if needs_tck else " and no TCK")
            )
        tck = raw[end] if needs_tck else None
        if strict and tck is not None and reduce(xor, raw[1:]):
            right = reduce(xor, raw[1:-1])
            raise MalformedAtr(f"TCK is {tck:02X}; {right:02X} would be right")
        return cls(convention=convention, levels=levels, historical=raw[at:end], tck=tck)


def _parse_levels(raw: bytes) -> tuple[tuple[InterfaceLevel, ...], int]:
    """Read the interface bytes; return the levels and where the historical bytes start."""
    levels: list[InterfaceLevel] = []
    announcement, protocol, at = raw[1], None, 2
    while True:
        present = [bit for bit in (_TA, _TB, _TC, _TD) if announcement >> 4 & bit]
        if at + len(present) > len(raw):
            raise MalformedAtr(
                f"the ATR ends within the interface bytes of level {len(levels) + 1}"
            )
        byte = dict(zip(present, raw[at:], strict=False))
        at += len(present)
        levels.append(InterfaceLevel(byte.get(_TA), byte.get(_TB), byte.get(_TC), protocol))
        if _TD not in byte:
            return tuple(levels), at
        announcement = byte[_TD]
        protocol = announcement & 0x0F


# The forms of this bench

_CONTACTLESS_LEVELS: Final = (
    InterfaceLevel(),
    InterfaceLevel(protocol=0),
    InterfaceLevel(protocol=1),
)


def contact(historical: bytes, *, ta1: int | None = 0x96, tb1: int | None = 0x00) -> Atr:
    """Make the ATR of a T=0 contact card: no TD, no TCK.

    The default interface bytes are those of Calypso SAMs, `3B 3F 96 00` before 15 historical bytes.

    Raises:
        UsageError: more than 15 historical bytes, or a byte out of range.

    Source: legacy-sam §2.1; calypso-card §2.6.
    """
    return Atr.build(historical=historical, levels=(InterfaceLevel(ta1, tb1),))


def contactless(historical: bytes) -> Atr:
    """Make the ATR that a PC/SC reader shows for an ISO/IEC 14443-4 card: `3B 8n 80 01 … TCK`.

    Args:
        historical: up to 15 bytes, those of the ATS for a type A card.

    Raises:
        UsageError: more than 15 historical bytes.

    Source: PC/SC part 3 v2.01.09 §3.1.3.2.3.1.
    """
    return Atr.build(historical=historical, levels=_CONTACTLESS_LEVELS)


def contactless_from_ats(ats: bytes) -> Atr:
    """Make the ATR that a PC/SC reader shows for a type A card with this ATS.

    Args:
        ats: TL first, without CRC. Historical bytes past the fifteenth find no room and are cut off.

    Raises:
        MalformedAtr: TL is not the length, or T0 announces bytes that are not there.

    Source: ISO/IEC 14443-4 §5.2; PC/SC part 3 v2.01.09 §3.1.3.2.3.1. The cut is inferred from the
    room that T0 leaves.
    """
    if not ats or ats[0] != len(ats):
        raise MalformedAtr(f"ATS of {len(ats)} byte(s); its first byte must say so")
    at = 1
    if len(ats) > 1:
        at = 2 + (ats[1] >> 4 & 0x7).bit_count()  # TA(1), TB(1), TC(1)
        if at > len(ats):
            raise MalformedAtr("the ATS ends within its interface bytes")
    return contactless(ats[at:][:HISTORICAL_BYTES_MAX])


def contactless_from_atqb(atqb: bytes, *, attrib_response: int = 0) -> Atr:
    """Make the ATR that a PC/SC reader shows for a type B card with this ATQB.

    The historical bytes are the four bytes of application data, the first three of protocol
    information, and the maximum buffer length index (MBLI) in the high nibble of the eighth.

    Args:
        atqb: 12 bytes, or 13 in the extended form: `50`, PUPI 4, application data 4, protocol
            information 3 or 4; without CRC.
        attrib_response: first byte of the answer to ATTRIB, whose high nibble is the MBLI.

    Raises:
        MalformedAtr: no ATQB.
        UsageError: `attrib_response` is no byte.

    Source: ISO/IEC 14443-3 §7.9; PC/SC part 3 v2.01.09 §3.1.3.2.3.1.
    """
    if len(atqb) not in (12, 13) or atqb[0] != _ATQB_FIRST:
        raise MalformedAtr(f"ATQB of {len(atqb)} byte(s); allowed: 12 or 13, the first of them 50")
    if not 0 <= attrib_response <= 0xFF:
        raise UsageError(f"the first byte of the answer to ATTRIB is {attrib_response}")
    return contactless(atqb[5:12] + bytes((attrib_response & 0xF0,)))


# Historical bytes


class CompactTlv(NamedTuple):
    """A COMPACT-TLV data object.

    Attributes:
        tag: 0…15; the same as tag `4x` of BER-TLV.
        value: 0 to 15 bytes.
    """

    tag: int
    value: bytes


def parse_compact_tlv(raw: bytes) -> tuple[CompactTlv, ...]:
    """Read COMPACT-TLV objects up to the last byte.

    Raises:
        MalformedAtr: an object is longer than what is left.

    Source: ISO/IEC 7816-4 §12.1.1.2.
    """
    objects = []
    at = 0
    while at < len(raw):
        tag, size = raw[at] >> 4, raw[at] & 0x0F
        start, at = at + 1, at + 1 + size
        if at > len(raw):
            raise MalformedAtr(
                f"historical bytes: object {tag:X} announces {size} byte(s), {len(raw) - start} follow"
            )
        objects.append(CompactTlv(tag, raw[start:at]))
    return tuple(objects)


def encode_compact_tlv(objects: Iterable[CompactTlv]) -> bytes:
    """Encode COMPACT-TLV objects one behind the other.

    Raises:
        UsageError: a tag or a value is too large for its nibble.
    """
    raw = b""
    for tag, value in objects:
        if not 0 <= tag <= 0x0F or len(value) > 0x0F:
            raise UsageError(
                f"compact TLV tag {tag}, {len(value)} bytes; allowed: tag 0 to 15, at most 15 bytes"
            )
        raw += bytes((tag << 4 | len(value),)) + value
    return raw


class HistoricalBytes(NamedTuple):
    """Historical bytes of a category with COMPACT-TLV objects.

    Attributes:
        category: `Category.COMPACT_TLV` or `Category.STATUS_LAST`.
        objects: the data objects in order.
        status: with `STATUS_LAST` the three bytes behind them: life cycle status, SW1, SW2. In the
            other category the status is object 8, if any.
    """

    category: Category
    objects: tuple[CompactTlv, ...]
    status: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> HistoricalBytes:
        """Read historical bytes; `parse(raw).encode() == raw` for everything accepted.

        Raises:
            MalformedAtr: empty, of another category (there is no structure to read), or cut off.

        Source: ISO/IEC 7816-4 §12.1.1.
        """
        if not raw:
            raise MalformedAtr("there are no historical bytes")
        if raw[0] == Category.COMPACT_TLV:
            return cls(Category.COMPACT_TLV, parse_compact_tlv(raw[1:]))
        if raw[0] != Category.STATUS_LAST:
            raise MalformedAtr(f"historical bytes of category {raw[0]:02X}; allowed: 00, 80")
        if len(raw) < 4:
            raise MalformedAtr("historical bytes of category 00 end with three status bytes")
        return cls(Category.STATUS_LAST, parse_compact_tlv(raw[1:-3]), raw[-3:])

    def encode(self) -> bytes:
        """Encode category, objects and status.

        Raises:
            UsageError: the status does not fit the category, or an object cannot be encoded.
        """
        allowed = {Category.STATUS_LAST: 3, Category.COMPACT_TLV: 0}.get(self.category)
        if len(self.status) != allowed:
            raise UsageError(
                f"historical bytes of category {self.category:02X} with {len(self.status)} status "
                "byte(s); allowed: 3 in category 00, none in category 80"
            )
        return bytes((self.category,)) + encode_compact_tlv(self.objects) + self.status

    def find(self, tag: int) -> bytes | None:
        """Return the value of the first object with this tag, or None."""
        return next((item.value for item in self.objects if item.tag == tag), None)
