"""What both ends of a SAM's wire agree on: references, key parameters, sizes, ATR.

Data only; instruction bytes are in `ins`. How a terminal drives a SAM and how a SAM answers are written
separately, each from the facts sheet.

Source: legacy-sam §1 (products), §2 (ATR), §4 (object model), §5 (commands); the bit positions, which no
public source gives, are our choice of §14.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag, unique
from typing import Final, NamedTuple

from cardbench.protocol.errors import MalformedAtr, UsageError


@unique
class SystemKif(IntEnum):
    """KIF of a SAM's own keys. Source: legacy-sam §4.1."""

    PERSONALIZATION = 0xE1  # writes SAM parameters, system keys, locks
    RELOADING = 0xE7  # writes ceilings
    AUTHENTICATION = 0xFA  # signs what is read
    KEY_MANAGEMENT = 0xFD  # writes work keys


LOCK_KIF: Final = 0xEF
SV_LOAD_KIF: Final = 0x07
SV_DEBIT_KIF: Final = 0x10


@unique
class KeyReference(IntEnum):
    """P2 that names a key file; 01…7E are the work-key records. Source: legacy-sam §5.13, §5.17."""

    SYSTEM_KEY = 0xC0
    PERSONALIZATION = 0xC1
    KEY_MANAGEMENT = 0xC2
    RELOADING = 0xC3
    AUTHENTICATION = 0xC4
    LOCK = 0xE0
    BY_KIF_KVC = 0xF0  # Write Key: a free record
    FIRST_OF_KIF = 0xF8
    NEXT_OF_KIF = 0xFA


SYSTEM_KEY_REFERENCES: Final = {
    SystemKif.PERSONALIZATION: KeyReference.PERSONALIZATION,
    SystemKif.KEY_MANAGEMENT: KeyReference.KEY_MANAGEMENT,
    SystemKif.RELOADING: KeyReference.RELOADING,
    SystemKif.AUTHENTICATION: KeyReference.AUTHENTICATION,
}
WORK_KEY_RECORDS: Final = range(0x01, 0x7F)


@unique
class DataReference(IntEnum):
    """P2 that names a data object other than a key. Source: legacy-sam §5.14, §5.16."""

    ONE_COUNTER = 0x80  # + counter number
    PARAMETERS = 0xA0
    CEILING_RECORD_1 = 0xB1
    CEILING_RECORD_2 = 0xB2
    CEILING_RECORD_3 = 0xB3
    ONE_CEILING = 0xB8
    COUNTER_RECORD_1 = 0xE1
    COUNTER_RECORD_2 = 0xE2
    COUNTER_RECORD_3 = 0xE3
    CAAD_RECORD_1 = 0xE8
    CAAD_RECORD_7 = 0xEE


@unique
class SamAlgorithm(IntEnum):
    """ALG of a key. Source: legacy-sam §4.2 (values), calypso-card §10.5 (which are AES)."""

    LEGACY = 0x40  # family unknown; counts as DES
    AES_A0 = 0xA0
    AES_B0 = 0xB0


AES_ALGORITHMS: Final = frozenset((SamAlgorithm.AES_A0, SamAlgorithm.AES_B0))

COUNTERS: Final = range(27)
COUNTERS_PER_RECORD: Final = 9
CEILING_MAX: Final = 0xFFFFFA
SV_NUMBER_MAX: Final = 0xFFFFFF
KEY_BLOCK_LENGTH: Final = 13
"""KIF, KVC, ALG, PAR1…PAR10."""
KEY_LENGTH: Final = 16
OBJECT_LENGTH: Final = 29
"""A key with its block, a ceiling record, the SAM parameters, a CAAD record: all have this size."""
SEALED_LENGTH: Final = 48
"""A sealed or signed frame around one object."""


class Par1(IntFlag):
    """Bits of key parameter 1. Source: our choice, legacy-sam §14."""

    CIPHER_ENABLE = 0x01
    DECIPHER_DATA_ENABLE = 0x02
    STATIC_CIPHER_ENABLE = 0x04


class Par5(IntFlag):
    """Bits of key parameter 5. Source: our choice, legacy-sam §14."""

    DATA_CIPHER_ENABLE = 0x01


class SamFlag(IntFlag):
    """Bits of byte 0 of the SAM parameters. Source: our choice, legacy-sam §14."""

    SYSTEM_LOCK_ENABLE = 0x01
    WORK_KEYS_LOCK_ENABLE = 0x02
    PLAIN_WORK_KEY_INPUT_ENABLE = 0x04
    PLAIN_WRITE_DISABLED = 0x08
    LOCKED_LOCK = 0x10


_BEFORE_FIELDS = bytes.fromhex("805A")
_AFTER_FIELDS = bytes.fromhex("829000")
_DEFAULT_HEAD = bytes.fromhex("3B3F9600")


class SamIdentity(NamedTuple):
    """What a SAM's ATR says of it: T3…T12 of the historical bytes.

    Attributes:
        platform, application_type, application_subtype, software_issuer, software_version,
            software_revision: one byte each.
        serial: the serial number, 4 bytes.

    Source: legacy-sam §2.1.
    """

    platform: int
    application_type: int
    application_subtype: int
    software_issuer: int
    software_version: int
    software_revision: int
    serial: bytes

    def encode_atr(self, head: bytes = _DEFAULT_HEAD) -> bytes:
        """Build the ATR: `head`, historical bytes, no TCK (T=0 only).

        Args:
            head: TS, T0 and interface bytes, 4 or 6 bytes, with fifteen historical bytes announced.

        Raises:
            UsageError: the head or the serial number has another length.
        """
        if len(head) not in {4, 6} or len(self.serial) != 4:
            raise UsageError(
                f"head of {len(head)} byte(s), serial of {len(self.serial)}; allowed: 4 or 6, and 4"
            )
        return head + _BEFORE_FIELDS + bytes(self[:6]) + self.serial + _AFTER_FIELDS

    @classmethod
    def parse_atr(cls, atr: bytes) -> SamIdentity:
        """Read the ATR of a SAM of any product.

        Raises:
            MalformedAtr: it has not the form of a SAM's ATR.
        """
        fields = atr[-13:-3]
        if (
            len(atr) not in {19, 21}
            or atr[0] != _DEFAULT_HEAD[0]
            or atr[-15:-13] != _BEFORE_FIELDS
            or atr[-3:] != _AFTER_FIELDS
        ):
            raise MalformedAtr(f"{atr.hex().upper()} is not the ATR of a SAM")
        platform, kind, subtype, issuer, version, revision = fields[:6]
        return cls(platform, kind, subtype, issuer, version, revision, fields[6:])
