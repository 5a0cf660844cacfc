"""Command and response APDUs as ISO/IEC 7816-3 §12.1 encodes them: cases 1 to 4, short and extended.

`nc` and `ne` are counts (bytes sent, bytes expected); Lc and Le are their encodings. A short Le of `00`
means 256, an extended Le of `0000` means 65,536. Both types are named tuples: immutable, and cheap
enough to be built for every APDU.

Left out: the T=0 mapping (a transport matter) and secure messaging.
"""

from __future__ import annotations

from enum import IntEnum, unique
from functools import lru_cache
from typing import NamedTuple

from cardbench.protocol.errors import MalformedApdu, UsageError

SHORT_NC_MAX = 255
SHORT_NE_MAX = 256
EXTENDED_NC_MAX = 65_535
EXTENDED_NE_MAX = 65_536


@unique
class IsoCase(IntEnum):
    """The four cases of a command: with or without data, with or without expected response data."""

    NO_DATA = 1
    DATA_OUT = 2  # the card sends data
    DATA_IN = 3  # the terminal sends data
    DATA_IN_OUT = 4


_new = tuple.__new__  # what a named tuple's own constructor does, without its Python frame


class CommandApdu(NamedTuple):
    """A command APDU.

    Attributes:
        cla, ins, p1, p2: header bytes, 0…255.
        data: command data, 0…65,535 bytes; more than 255 makes the form extended.
        ne: number of response bytes expected, 1…65,536; None: no Le field.
        extended: encoded in the extended form even where the short one would do.
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    ne: int | None = None
    extended: bool = False

    @property
    def case(self) -> IsoCase:
        """The ISO case, from the presence of data and Le."""
        if self.data:
            return IsoCase.DATA_IN if self.ne is None else IsoCase.DATA_IN_OUT
        return IsoCase.NO_DATA if self.ne is None else IsoCase.DATA_OUT

    def encode(self) -> bytes:
        """Encode; the shortest form unless `extended` asks for the long one.

        Raises:
            UsageError: a header byte, the data length or `ne` is out of range.
        """
        cla, ins, p1, p2, data, ne, extended = self
        nc = len(data)
        if nc > EXTENDED_NC_MAX:
            raise UsageError(f"command data of {nc} bytes; at most {EXTENDED_NC_MAX} fit an APDU")
        if ne is not None and not 1 <= ne <= EXTENDED_NE_MAX:
            raise UsageError(f"ne is {ne}; allowed: 1 to {EXTENDED_NE_MAX}, or None for no Le")
        try:
            header = bytes((cla, ins, p1, p2))
        except ValueError:
            raise UsageError(
                f"header {cla} {ins} {p1} {p2}: each byte must be within 0 to 255"
            ) from None
        if not extended and nc <= SHORT_NC_MAX and (ne is None or ne <= SHORT_NE_MAX):
            if nc:
                header += bytes((nc,)) + data
            return header if ne is None else header + bytes((ne & 0xFF,))
        if not nc:
            return header if ne is None else header + b"\0" + (ne & 0xFFFF).to_bytes(2)
        header += b"\0" + nc.to_bytes(2) + data
        return header if ne is None else header + (ne & 0xFFFF).to_bytes(2)

    @classmethod
    def parse(cls, raw: bytes) -> CommandApdu:
        """Read a command APDU; `parse(raw).encode() == raw` for everything accepted.

        Raises:
            MalformedApdu: shorter than four bytes, or Lc does not fit the length.
        """
        length = len(raw)
        if length <= 5:
            return _parse_header(bytes(raw))
        nc = raw[4]
        if nc:
            if length == 5 + nc:
                return _new(cls, (raw[0], raw[1], raw[2], raw[3], raw[5:], None, False))
            if length == 6 + nc:
                ne = raw[-1] or SHORT_NE_MAX
                return _new(cls, (raw[0], raw[1], raw[2], raw[3], raw[5:-1], ne, False))
            raise MalformedApdu(f"Lc says {nc} data byte(s), {length - 5} byte(s) follow it")
        return cls._parse_extended(raw)

    @classmethod
    def _parse_extended(cls, raw: bytes) -> CommandApdu:
        cla, ins, p1, p2 = raw[:4]
        length = len(raw)
        if length == 6:
            raise MalformedApdu("Lc of 00 followed by one byte is no APDU")
        nc = int.from_bytes(raw[5:7])
        if length == 7:
            return cls(cla, ins, p1, p2, b"", nc or EXTENDED_NE_MAX, extended=True)
        if nc and length == 7 + nc:
            return cls(cla, ins, p1, p2, raw[7:], None, extended=True)
        if nc and length == 9 + nc:
            ne = int.from_bytes(raw[-2:]) or EXTENDED_NE_MAX
            return cls(cla, ins, p1, p2, raw[7:-2], ne, extended=True)
        raise MalformedApdu(f"extended Lc says {nc} data byte(s), {length - 7} byte(s) follow it")


@lru_cache(maxsize=4096)
def _parse_header(raw: bytes) -> CommandApdu:
    """Read a command without data: the same few come again and again, and hold no secret."""
    if len(raw) < 4:
        raise MalformedApdu(f"command APDU of {len(raw)} byte(s); at least 4 are needed")
    cla, ins, p1, p2 = raw[:4]
    return CommandApdu(cla, ins, p1, p2, b"", raw[4] or SHORT_NE_MAX if raw[4:] else None)


class ResponseApdu(NamedTuple):
    """A response APDU: response data, then the status word as one number 0…FFFF."""

    data: bytes
    sw: int

    def encode(self) -> bytes:
        """Data, then SW1 SW2."""
        return self.data + self.sw.to_bytes(2)

    @classmethod
    def parse(cls, raw: bytes) -> ResponseApdu:
        """Read a response APDU.

        Raises:
            MalformedApdu: shorter than the two bytes of a status word.
        """
        if len(raw) < 2:
            raise MalformedApdu(f"response APDU of {len(raw)} byte(s); at least 2 are needed")
        return cls(raw[:-2], int.from_bytes(raw[-2:]))


def without_le_of_case_4(raw: bytes) -> bytes:
    """Drop Le from an encoded short case 4 command; return any other command as it is.

    This is what both ends digest in a Calypso session and what a T=0 transport sends. Case 4 is
    recognised by its true form, length = Lc + 6 with Lc unsigned and not 0: a five-byte command with
    Le `FF` stays whole.

    Source: calypso-card §5.2.
    """
    if len(raw) > 6 and raw[4] == len(raw) - 6:
        return raw[:-1]
    return raw
