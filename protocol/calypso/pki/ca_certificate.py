"""CA certificates of the Calypso PKI (type 90, version 01), 384 bytes.

    0    1   type 90                        70   4   end date
    1    1   structure version 01           74   17  target AID (size FF: no restriction)
    2    29  issuer key reference           91   1   operating mode, bit 0: longer AIDs too
    31   29  target key reference           92   2   RFU
    60   4   start date                     94   34  first bytes of the certified modulus
    64   4   RFU                            128  256 signature; it carries the other 222 bytes of
    68   1   rights                                  the modulus
    69   1   scope

Reading is generous with what a verifier does not look at (reserved bits, unknown scopes): whether a
certificate is good is decided in `verification`. Writing is strict.

Source: calypso-pki §4.3, §4.5; §6.3 and §6.5 for what is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, unique
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from cardbench.protocol.calypso.pki.dates import DATE_SIZE_BYTES, encode_date, parse_date
from cardbench.protocol.calypso.pki.iso9796 import RECOVERABLE_SIZE_BYTES, SIGNATURE_SIZE_BYTES
from cardbench.protocol.calypso.pki.key_reference import (
    AID_FIELD_BYTES,
    KEY_REFERENCE_SIZE_BYTES,
    KeyReference,
    encode_aid,
    parse_aid,
)
from cardbench.protocol.calypso.pki.sizes import CA_CERTIFICATE_SIZE_BYTES
from cardbench.protocol.errors import MalformedCertificate, UnknownCertificateType, UsageError

if TYPE_CHECKING:
    from datetime import date

CA_CERTIFICATE_TYPE: Final = 0x90
CA_CERTIFICATE_VERSION: Final = 0x01
MODULUS_HEADER_SIZE_BYTES: Final = SIGNATURE_SIZE_BYTES - RECOVERABLE_SIZE_BYTES

_NAME: Final = "CA certificate"
_SIGNED_SIZE: Final = CA_CERTIFICATE_SIZE_BYTES - SIGNATURE_SIZE_BYTES
_RFU1_SIZE: Final = 4
_RFU2_SIZE: Final = 2
_LONGER_AID: Final = 0x01
_CARD_RIGHT_SHIFT: Final = 2
_RIGHT_MASK: Final = 0x03


@unique
class SigningRight(IntEnum):
    """Whether a CA may sign certificates of one kind."""

    NOT_SPECIFIED = 0  # counts as allowed
    FORBIDDEN = 1
    ALLOWED = 2
    RESERVED = 3  # counts as forbidden

    @property
    def is_granted(self) -> bool:
        """Whether a verifier accepts certificates signed under it (calypso-pki §4.5)."""
        return self in (SigningRight.NOT_SPECIFIED, SigningRight.ALLOWED)


class CaRights(NamedTuple):
    """The rights byte: what the certified key may sign.

    Attributes:
        card_certificates, ca_certificates: the right for each kind.
        reserved: bits 7 to 4 as they stand, 0…15; a verifier does not look at them.
    """

    card_certificates: SigningRight = SigningRight.NOT_SPECIFIED
    ca_certificates: SigningRight = SigningRight.NOT_SPECIFIED
    reserved: int = 0

    @classmethod
    def parse(cls, byte: int) -> CaRights:
        """Read the byte; every value has a meaning."""
        return cls(
            SigningRight(byte >> _CARD_RIGHT_SHIFT & _RIGHT_MASK),
            SigningRight(byte & _RIGHT_MASK),
            byte >> 4,
        )

    def encode(self) -> int:
        """Write the byte."""
        return (
            self.reserved << 4 | self.card_certificates << _CARD_RIGHT_SHIFT | self.ca_certificates
        )


NO_RIGHTS_SPECIFIED: Final = CaRights()


@unique
class Scope(IntEnum):
    """Where a CA certificate is meant to be used."""

    PRODUCTION = 0x00  # or not specified
    TEST = 0x01
    UNRESTRICTED = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class CaCertificateFields:
    """What a CA certificate states, apart from the key itself.

    Attributes:
        issuer: reference of the key that signs.
        target: reference of the key that is certified.
        start_date, end_date: first and last day of validity; None: no limit.
        rights: what the certified key may sign.
        scope: one of `Scope`, or a number 0…255 that nobody accepts.
        target_aid: AID that certified objects must have, None for any.
        allows_longer_aid: operating mode 01, an AID that only starts with `target_aid` will do.
    """

    issuer: KeyReference
    target: KeyReference
    start_date: date | None = None
    end_date: date | None = None
    rights: CaRights = NO_RIGHTS_SPECIFIED
    scope: int = Scope.PRODUCTION
    target_aid: bytes | None = None
    allows_longer_aid: bool = False

    def encode(self, modulus_header: bytes) -> bytes:
        """Write the 128 bytes that stand before the signature.

        Args:
            modulus_header: the first 34 bytes of the certified modulus.

        Raises:
            UsageError: a field does not fit.
        """
        if len(modulus_header) != MODULUS_HEADER_SIZE_BYTES:
            raise UsageError(f"a modulus header of {len(modulus_header)} byte(s); it has 34")
        return b"".join(
            (
                bytes((CA_CERTIFICATE_TYPE, CA_CERTIFICATE_VERSION)),
                self.issuer.raw,
                self.target.raw,
                encode_date(self.start_date),
                bytes(_RFU1_SIZE),
                bytes((self.rights.encode(), self.scope)),
                encode_date(self.end_date),
                encode_aid(self.target_aid),
                bytes((_LONGER_AID if self.allows_longer_aid else 0,)),
                bytes(_RFU2_SIZE),
                modulus_header,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CaCertificate:
    """A CA certificate as it came; nothing is verified yet.

    Attributes:
        fields: what it states.
        raw: the 384 bytes.
    """

    fields: CaCertificateFields
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, raw: bytes) -> CaCertificate:
        """Read a certificate.

        Raises:
            UnknownCertificateType: it does not start with 90.
            MalformedCertificate: wrong size or version, an AID size or a date that cannot be.
        """
        if raw[:1] != bytes((CA_CERTIFICATE_TYPE,)):
            raise UnknownCertificateType(_NAME, f"starts with {raw[:1].hex()}, not with 90")
        if len(raw) != CA_CERTIFICATE_SIZE_BYTES:
            _refuse(f"{len(raw)} bytes; it has {CA_CERTIFICATE_SIZE_BYTES}")
        if raw[1] != CA_CERTIFICATE_VERSION:
            _refuse(f"structure version {raw[1]:02X}, known: 01")
        try:
            fields = CaCertificateFields(
                issuer=KeyReference(raw[2 : 2 + KEY_REFERENCE_SIZE_BYTES]),
                target=KeyReference(raw[31 : 31 + KEY_REFERENCE_SIZE_BYTES]),
                start_date=parse_date(raw[60 : 60 + DATE_SIZE_BYTES]),
                end_date=parse_date(raw[70 : 70 + DATE_SIZE_BYTES]),
                rights=CaRights.parse(raw[68]),
                scope=raw[69],
                target_aid=parse_aid(raw[74 : 74 + AID_FIELD_BYTES]),
                allows_longer_aid=bool(raw[91] & _LONGER_AID),
            )
        except UsageError as error:
            _refuse(str(error))
        return cls(fields=fields, raw=raw)

    @property
    def signed(self) -> bytes:
        """The 128 bytes before the signature."""
        return self.raw[:_SIGNED_SIZE]

    @property
    def modulus_header(self) -> bytes:
        """The first 34 bytes of the certified modulus."""
        return self.raw[_SIGNED_SIZE - MODULUS_HEADER_SIZE_BYTES : _SIGNED_SIZE]

    @property
    def signature(self) -> bytes:
        """The 256 bytes of the signature."""
        return self.raw[_SIGNED_SIZE:]

    def __str__(self) -> str:
        """Name the certificate by the key it certifies."""
        return f"{_NAME} of {self.fields.target}"


def _refuse(reason: str) -> NoReturn:
    raise MalformedCertificate(_NAME, reason)
