"""Card certificates of the Calypso PKI (type 91, version 01), 316 bytes.

    in clear                                 carried by the signature (222 bytes)
    0    1   type 91                         0    4   start date
    1    1   structure version 01            4    4   end date
    2    29  issuer key reference            8    1   rights
    31   17  AID of the card's application   9    7   startup information
    48   8   serial number, first two 00     16   18  RFU
    56   4   index                           34   64  public key, X ‖ Y
    60   256 signature                       98   124 RFU

Only the issuer's key opens the second half.

Source: calypso-pki §4.4, §4.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from cardbench.protocol.calypso.pki.dates import DATE_SIZE_BYTES, encode_date, parse_date
from cardbench.protocol.calypso.pki.iso9796 import RECOVERABLE_SIZE_BYTES, SIGNATURE_SIZE_BYTES
from cardbench.protocol.calypso.pki.key_reference import (
    AID_FIELD_BYTES,
    KEY_REFERENCE_SIZE_BYTES,
    NO_AID,
    SERIAL_SIZE_BYTES,
    KeyReference,
    encode_aid,
    parse_aid,
)
from cardbench.protocol.calypso.pki.sizes import (
    CARD_CERTIFICATE_SIZE_BYTES,
    PUBLIC_KEY_SIZE_BYTES,
)
from cardbench.protocol.calypso.startup import STARTUP_SIZE_BYTES
from cardbench.protocol.errors import MalformedCertificate, UnknownCertificateType, UsageError

if TYPE_CHECKING:
    from datetime import date

CARD_CERTIFICATE_TYPE: Final = 0x91
CARD_CERTIFICATE_VERSION: Final = 0x01

_NAME: Final = "card certificate"
_SIGNED_SIZE: Final = CARD_CERTIFICATE_SIZE_BYTES - SIGNATURE_SIZE_BYTES
_INDEX_SIZE: Final = 4
_RFU_SIZE: Final = 18
_KEY_OFFSET: Final = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class CardCertificateFields:
    """What a card certificate states in clear.

    Attributes:
        issuer: reference of the key that signs.
        aid: DF name of the card's application, 5 to 16 bytes.
        serial: application serial number, 8 bytes, of which the first two are 00.
        index: 0…FFFFFFFF; its meaning is not published.
    """

    issuer: KeyReference
    aid: bytes
    serial: bytes
    index: int = 0

    def encode(self) -> bytes:
        """Write the 60 bytes that stand before the signature.

        Raises:
            UsageError: a field does not fit.
        """
        if len(self.serial) != SERIAL_SIZE_BYTES:
            raise UsageError(f"a serial number of {len(self.serial)} byte(s); it has 8")
        if not 0 <= self.index <= 0xFFFF_FFFF:
            raise UsageError(f"card index {self.index}; allowed: 0 to FFFFFFFF")
        return b"".join(
            (
                bytes((CARD_CERTIFICATE_TYPE, CARD_CERTIFICATE_VERSION)),
                self.issuer.raw,
                encode_aid(self.aid),
                self.serial,
                self.index.to_bytes(_INDEX_SIZE),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CardCertificateRecoverable:
    """What a card certificate states inside its signature.

    Attributes:
        public_key: X ‖ Y, 64 bytes.
        startup: the seven bytes of startup information.
        start_date, end_date: first and last day of validity; None: no limit.
        rights: 0…255; only 00 is defined.
    """

    public_key: bytes
    startup: bytes
    start_date: date | None = None
    end_date: date | None = None
    rights: int = 0

    def encode(self) -> bytes:
        """Write the 222 recoverable bytes.

        Raises:
            UsageError: a field does not fit.
        """
        if len(self.public_key) != PUBLIC_KEY_SIZE_BYTES:
            raise UsageError(f"a public key of {len(self.public_key)} byte(s); it has 64")
        if len(self.startup) != STARTUP_SIZE_BYTES:
            raise UsageError(f"startup information of {len(self.startup)} byte(s); it has 7 here")
        return b"".join(
            (
                encode_date(self.start_date),
                encode_date(self.end_date),
                bytes((self.rights,)),
                self.startup,
                bytes(_RFU_SIZE),
                self.public_key,
            )
        ).ljust(RECOVERABLE_SIZE_BYTES, b"\0")

    @classmethod
    def parse(cls, raw: bytes) -> CardCertificateRecoverable:
        """Read the 222 recovered bytes; reserved ones are not looked at.

        Raises:
            MalformedCertificate: a date that cannot be.
        """
        try:
            return cls(
                start_date=parse_date(raw[:DATE_SIZE_BYTES]),
                end_date=parse_date(raw[DATE_SIZE_BYTES : 2 * DATE_SIZE_BYTES]),
                rights=raw[8],
                startup=raw[9 : 9 + STARTUP_SIZE_BYTES],
                public_key=raw[_KEY_OFFSET : _KEY_OFFSET + PUBLIC_KEY_SIZE_BYTES],
            )
        except UsageError as error:
            raise MalformedCertificate(_NAME, str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardCertificate:
    """A card certificate as it came; nothing is verified yet.

    Attributes:
        fields: what it states in clear.
        raw: the 316 bytes.
    """

    fields: CardCertificateFields
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, raw: bytes) -> CardCertificate:
        """Read a certificate.

        Raises:
            UnknownCertificateType: it does not start with 91.
            MalformedCertificate: wrong size or version, or an AID size that cannot be.
        """
        if raw[:1] != bytes((CARD_CERTIFICATE_TYPE,)):
            raise UnknownCertificateType(_NAME, f"starts with {raw[:1].hex()}, not with 91")
        if len(raw) != CARD_CERTIFICATE_SIZE_BYTES:
            _refuse(f"{len(raw)} bytes; it has {CARD_CERTIFICATE_SIZE_BYTES}")
        if raw[1] != CARD_CERTIFICATE_VERSION:
            _refuse(f"structure version {raw[1]:02X}, known: 01")
        try:
            aid = parse_aid(raw[31 : 31 + AID_FIELD_BYTES])
        except UsageError as error:
            _refuse(str(error))
        if aid is None:
            _refuse(f"AID size {NO_AID:02X}; a card has an AID of 05 to 10 bytes")
        fields = CardCertificateFields(
            issuer=KeyReference(raw[2 : 2 + KEY_REFERENCE_SIZE_BYTES]),
            aid=aid,
            serial=raw[48 : 48 + SERIAL_SIZE_BYTES],
            index=int.from_bytes(raw[56 : 56 + _INDEX_SIZE]),
        )
        return cls(fields=fields, raw=raw)

    @property
    def signed(self) -> bytes:
        """The 60 bytes before the signature."""
        return self.raw[:_SIGNED_SIZE]

    @property
    def signature(self) -> bytes:
        """The 256 bytes of the signature."""
        return self.raw[_SIGNED_SIZE:]

    def __str__(self) -> str:
        """Name the certificate by the card it is of."""
        return f"{_NAME} of {self.fields.serial.hex().upper()}"


def _refuse(reason: str) -> NoReturn:
    raise MalformedCertificate(_NAME, reason)
