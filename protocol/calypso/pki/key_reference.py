"""The name of an RSA key in the Calypso PKI: 29 bytes that a certificate calls its issuer by.

    0   AID size 05…10, or FF for an unspecified AID (its value is then all 00)
    1   AID, padded with 00 to 16 bytes
    17  serial number, 8 bytes
    25  key identifier, 4 bytes

A verifier compares references as they stand, without looking inside; what is inside matters to who
reads a certificate and to who issues one.

Source: calypso-pki §4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cardbench.protocol.errors import UsageError
from cardbench.protocol.hexadecimal import to_hex

KEY_REFERENCE_SIZE_BYTES: Final = 29
AID_MIN_BYTES: Final = 5
AID_MAX_BYTES: Final = 16
AID_FIELD_BYTES: Final = 1 + AID_MAX_BYTES
NO_AID: Final = 0xFF
SERIAL_SIZE_BYTES: Final = 8
_KEY_ID_SIZE: Final = 4


def encode_aid(aid: bytes | None) -> bytes:
    """Write an AID with its size before it and padding behind, 17 bytes; None is `FF` and zeros.

    Raises:
        UsageError: not 5 to 16 bytes, or all zero.
    """
    if aid is None:
        return bytes((NO_AID,)) + bytes(AID_MAX_BYTES)
    if not AID_MIN_BYTES <= len(aid) <= AID_MAX_BYTES or not any(aid):
        raise UsageError(f"AID {to_hex(aid) or 'of no byte'}; allowed: 5 to 16 bytes, not all zero")
    return bytes((len(aid),)) + aid.ljust(AID_MAX_BYTES, b"\0")


def parse_aid(field: bytes) -> bytes | None:
    """Read 17 bytes of size and AID; None stands for an unspecified AID.

    What follows the AID, or `FF`, is not looked at.

    Raises:
        UsageError: the size is neither 05…10 nor FF.
    """
    size = field[0]
    if size == NO_AID:
        return None
    if not AID_MIN_BYTES <= size <= AID_MAX_BYTES:
        raise UsageError(f"AID size {size:02X}; allowed: 05 to 10, or FF for no AID")
    return field[1 : 1 + size]


@dataclass(frozen=True, slots=True)
class KeyReference:
    """A key reference; equal when all its bytes are.

    Attributes:
        raw: the 29 bytes.
    """

    raw: bytes

    def __post_init__(self) -> None:
        """Refuse another length with a UsageError."""
        if len(self.raw) != KEY_REFERENCE_SIZE_BYTES:
            raise UsageError(f"a key reference of {len(self.raw)} byte(s); it has 29")

    @classmethod
    def of(cls, *, aid: bytes | None, serial: bytes, key_id: int) -> KeyReference:
        """Build a reference.

        Args:
            aid: 5 to 16 bytes, or None for an unspecified AID.
            serial: 8 bytes.
            key_id: 0…FFFFFFFF.

        Raises:
            UsageError: a part is out of range.
        """
        if len(serial) != SERIAL_SIZE_BYTES:
            raise UsageError(f"a serial number of {len(serial)} byte(s); it has 8")
        if not 0 <= key_id <= 0xFFFF_FFFF:
            raise UsageError(f"key identifier {key_id}; allowed: 0 to FFFFFFFF")
        return cls(encode_aid(aid) + serial + key_id.to_bytes(_KEY_ID_SIZE))

    @property
    def aid(self) -> bytes | None:
        """The AID inside, None where it is unspecified.

        Raises:
            UsageError: the size byte is neither 05…10 nor FF.
        """
        return parse_aid(self.raw[:AID_FIELD_BYTES])

    @property
    def serial(self) -> bytes:
        """Serial number, 8 bytes."""
        return self.raw[AID_FIELD_BYTES : AID_FIELD_BYTES + SERIAL_SIZE_BYTES]

    @property
    def key_id(self) -> int:
        """Key identifier."""
        return int.from_bytes(self.raw[-_KEY_ID_SIZE:])

    def __str__(self) -> str:
        """Write the reference as 58 hexadecimal digits."""
        return to_hex(self.raw)
