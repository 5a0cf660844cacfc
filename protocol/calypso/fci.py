"""File control information that a Calypso application answers to selection.

    6F  84 DF name (5–16)
        A5  BF0C  C7 serial number (8)
                  53 startup information (7 or more)

The tags may come in any order; what else is there is skipped.

Source: calypso-card §2.2 (structure, examples), §1.9 (serial number).
"""

from __future__ import annotations

from typing import NamedTuple

from cardbench.protocol.calypso.startup import STARTUP_SIZE_BYTES, StartupInformation
from cardbench.protocol.errors import MalformedCardData, MalformedTlv, UsageError

TAG_FCI = 0x6F
TAG_DF_NAME = 0x84
TAG_PROPRIETARY = 0xA5
TAG_DISCRETIONARY = 0xBF0C
TAG_SERIAL_NUMBER = 0xC7
TAG_STARTUP_INFORMATION = 0x53

DF_NAME_MIN_BYTES = 5
DF_NAME_MAX_BYTES = 16
SERIAL_SIZE_BYTES = 8

_TEMPLATES = frozenset({TAG_FCI, TAG_PROPRIETARY, TAG_DISCRETIONARY})
_USUAL_MIDDLE = bytes.fromhex("A516BF0C13C708")
_USUAL_STARTUP = bytes.fromhex("5307")
_USUAL_TAIL_BYTES = 24
_HCE_BYTE = 3
_HCE_BIT = 0x80


def _collect(raw: bytes, found: dict[int, bytes]) -> None:
    position, end = 0, len(raw)
    try:
        while position < end:
            tag = raw[position]
            position += 1
            if tag & 0x1F == 0x1F:
                tag = tag << 8 | raw[position]
                position += 1
            size = raw[position]
            position += 1
            if size & 0x80:
                width = size & 0x7F
                size = int.from_bytes(raw[position : position + width])
                position += width
            value = raw[position : position + size]
            position += size
            if position > end:
                raise MalformedTlv(f"tag {tag:02X} announces {size} byte(s), too many for the FCI")
            if tag in _TEMPLATES:
                _collect(value, found)
            else:
                found.setdefault(tag, value)
    except IndexError:
        raise MalformedTlv("the FCI ends inside a tag or a length") from None


def _element(tag: bytes, value: bytes) -> bytes:
    return tag + bytes((len(value),)) + value


def _parse_usual(raw: bytes) -> tuple[bytes, bytes] | None:
    """Return DF name and serial number of an FCI in its usual order, where each element has its place."""
    size = len(raw)
    name_end = size - _USUAL_TAIL_BYTES
    if (
        not DF_NAME_MIN_BYTES <= name_end - 4 <= DF_NAME_MAX_BYTES
        or raw[:4] != bytes((TAG_FCI, size - 2, TAG_DF_NAME, name_end - 4))
        or raw[name_end : name_end + len(_USUAL_MIDDLE)] != _USUAL_MIDDLE
        or raw[-9:-7] != _USUAL_STARTUP
    ):
        return None
    return raw[4:name_end], raw[-17:-9]


class Fci(NamedTuple):
    """What a Calypso application says of itself when it is selected.

    Attributes:
        df_name: the application's AID, 5 to 16 bytes.
        serial: full serial number, 8 bytes: the diversifier of the card's keys.
        startup: startup information.
    """

    df_name: bytes
    serial: bytes
    startup: StartupInformation

    @classmethod
    def parse(cls, raw: bytes) -> Fci:
        """Read an FCI, without status word.

        Raises:
            MalformedTlv: no BER-TLV.
            MalformedCardData: an element is missing or has the wrong size or content.
        """
        usual = _parse_usual(raw)
        if usual is not None:
            return cls(*usual, StartupInformation.parse(raw[-STARTUP_SIZE_BYTES:]))
        found: dict[int, bytes] = {}
        _collect(raw, found)
        try:
            df_name = found[TAG_DF_NAME]
            serial = found[TAG_SERIAL_NUMBER]
            startup = found[TAG_STARTUP_INFORMATION]
        except KeyError as error:
            raise MalformedCardData(f"the FCI has no tag {error.args[0]:02X}") from None
        if not DF_NAME_MIN_BYTES <= len(df_name) <= DF_NAME_MAX_BYTES:
            raise MalformedCardData(f"DF name of {len(df_name)} byte(s); allowed: 5 to 16")
        if len(serial) != SERIAL_SIZE_BYTES:
            raise MalformedCardData(f"serial number of {len(serial)} byte(s); it has 8")
        return cls(df_name, serial, StartupInformation.parse(startup))

    def encode(self) -> bytes:
        """Write the FCI with the elements in their usual order.

        Raises:
            UsageError: DF name or serial number of the wrong size.
        """
        if not DF_NAME_MIN_BYTES <= len(self.df_name) <= DF_NAME_MAX_BYTES:
            raise UsageError(f"DF name of {len(self.df_name)} byte(s); allowed: 5 to 16")
        if len(self.serial) != SERIAL_SIZE_BYTES:
            raise UsageError(f"serial number of {len(self.serial)} byte(s); it has 8")
        discretionary = _element(b"\xc7", self.serial) + _element(b"\x53", self.startup.encode())
        proprietary = _element(b"\xbf\x0c", discretionary)
        return _element(b"\x6f", _element(b"\x84", self.df_name) + _element(b"\xa5", proprietary))

    @property
    def application_serial(self) -> bytes:
        """Serial number with its first two bytes zeroed: there an HCE card keeps a validity token."""
        return b"\0\0" + self.serial[2:]

    @property
    def is_hce(self) -> bool:
        """Whether a phone, or another host, emulates the card."""
        return bool(self.serial[_HCE_BYTE] & _HCE_BIT)
