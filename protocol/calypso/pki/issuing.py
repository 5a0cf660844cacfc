"""Issuing of Calypso certificates: what a PCA or a CA does with its private key.

What is written is held to stricter rules than what is read: no reserved bit is set, every AID has a
legal size, the issuer has the right to sign and is within its own dates, and a certificate that a
verifier would refuse for its AID or scope is not signed.

A PCA key needs no certificate. Nothing here is fit to keep a real key: see `iso9796`.

Source: calypso-pki §4, §5.1, §7 (field rules of the published generator; its CA certificates lose most
of the certified modulus and are no model).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cardbench.protocol.calypso.pki import iso9796
from cardbench.protocol.calypso.pki.ca_certificate import (
    MODULUS_HEADER_SIZE_BYTES,
    CaCertificate,
    CaCertificateFields,
    CaRights,
    Scope,
    SigningRight,
)
from cardbench.protocol.calypso.pki.card_certificate import (
    CardCertificate,
    CardCertificateFields,
    CardCertificateRecoverable,
)
from cardbench.protocol.calypso.pki.card_key import encode_public_key
from cardbench.protocol.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    IssuerNotEntitled,
    UsageError,
    WrongAid,
    WrongScope,
)

if TYPE_CHECKING:
    from datetime import date

    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    from cardbench.protocol.calypso.pki.key_reference import KeyReference
    from cardbench.protocol.calypso.pki.verification import CaCertificateContent

_HCE_TOKEN_SIZE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """A key that signs, and what its own certificate allows.

    Attributes:
        private_key: RSA, 2048 bits, exponent 65537.
        content: the verified certificate of the key, or the PCA.

    Raises:
        UsageError: the private key is not the one of the certificate.
    """

    private_key: rsa.RSAPrivateKey = field(repr=False)
    content: CaCertificateContent

    def __post_init__(self) -> None:
        """Check that both belong together."""
        if self.private_key.public_key() != self.content.public_key:
            raise UsageError(f"the private key is not the one of {self.content.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaRequest:
    """What a new CA certificate is to state.

    Attributes:
        target: reference of the certified key; the AID inside must suit the issuer.
        public_key: the certified key.
        start_date, end_date: first and last day of validity; None: no limit.
        card_certificates, ca_certificates: what the certified key may sign.
        scope: production, test or unrestricted.
        target_aid: AID that certified objects must have, 5 to 16 bytes; None for any.
        allows_longer_aid: an AID that only starts with `target_aid` will do.
    """

    target: KeyReference
    public_key: rsa.RSAPublicKey
    start_date: date | None = None
    end_date: date | None = None
    card_certificates: SigningRight = SigningRight.NOT_SPECIFIED
    ca_certificates: SigningRight = SigningRight.NOT_SPECIFIED
    scope: Scope = Scope.PRODUCTION
    target_aid: bytes | None = None
    allows_longer_aid: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRequest:
    """What a new card certificate is to state.

    Attributes:
        aid: DF name of the application, 5 to 16 bytes.
        serial: full serial number of the card, 8 bytes; the certificate has 0000 in front.
        startup: the seven bytes of startup information.
        public_key: the card's key.
        start_date, end_date: first and last day of validity; None: no limit.
        index: card index, 0…FFFFFFFF.
    """

    aid: bytes
    serial: bytes
    startup: bytes
    public_key: ec.EllipticCurvePublicKey
    start_date: date | None = None
    end_date: date | None = None
    index: int = 0


def issue_ca_certificate(issuer: Issuer, request: CaRequest, *, today: date) -> CaCertificate:
    """Issue a CA certificate.

    Raises:
        UsageError: a field is out of range, or the last day comes before the first.
        InvalidCertificate: the issuer may not sign it today: rights, dates, AID or scope.
    """
    above = issuer.content
    name = f"CA certificate of {request.target}"
    if not above.may_sign_ca_certificates:
        raise IssuerNotEntitled(name, f"{above.name} may not sign CA certificates")
    _check_issuer_dates(issuer, today)
    _check_order(request.start_date, request.end_date)
    if SigningRight.RESERVED in (request.card_certificates, request.ca_certificates):
        raise UsageError("the right 11 is reserved; allowed: 00, 01 and 10")
    # A production issuer counts as not specified: it may certify any scope (calypso-pki §7).
    if above.scope is not None and above.scope not in (Scope.PRODUCTION, request.scope):
        raise WrongScope(name, f"scope {request.scope:02X}, {above.name} has {above.scope:02X}")
    for aid in (request.target.aid, request.target_aid):
        if not above.allows_aid(aid):
            raise WrongAid(name, f"{above.name} does not certify that AID")
    modulus = iso9796.modulus_of(request.public_key)
    header, rest = modulus[:MODULUS_HEADER_SIZE_BYTES], modulus[MODULUS_HEADER_SIZE_BYTES:]
    signed = CaCertificateFields(
        issuer=above.reference,
        target=request.target,
        start_date=request.start_date,
        end_date=request.end_date,
        rights=CaRights(request.card_certificates, request.ca_certificates),
        scope=request.scope,
        target_aid=request.target_aid,
        allows_longer_aid=request.allows_longer_aid,
    ).encode(header)
    return CaCertificate.parse(signed + iso9796.sign(issuer.private_key, rest, signed))


def issue_card_certificate(issuer: Issuer, request: CardRequest, *, today: date) -> CardCertificate:
    """Issue a card certificate.

    Raises:
        UsageError: a field is out of range, or the last day comes before the first.
        InvalidCertificate: the issuer may not sign it today: rights, dates or AID.
    """
    above = issuer.content
    serial = bytes(_HCE_TOKEN_SIZE) + request.serial[_HCE_TOKEN_SIZE:]
    name = f"card certificate of {serial.hex().upper()}"
    if not above.may_sign_card_certificates:
        raise IssuerNotEntitled(name, f"{above.name} may not sign card certificates")
    _check_issuer_dates(issuer, today)
    _check_order(request.start_date, request.end_date)
    if not above.allows_aid(request.aid):
        raise WrongAid(name, f"{above.name} does not certify AID {request.aid.hex().upper()}")
    signed = CardCertificateFields(
        issuer=above.reference, aid=request.aid, serial=serial, index=request.index
    ).encode()
    recoverable = CardCertificateRecoverable(
        public_key=encode_public_key(request.public_key),
        startup=request.startup,
        start_date=request.start_date,
        end_date=request.end_date,
    ).encode()
    return CardCertificate.parse(signed + iso9796.sign(issuer.private_key, recoverable, signed))


def _check_issuer_dates(issuer: Issuer, today: date) -> None:
    above = issuer.content
    if above.start_date is not None and today < above.start_date:
        raise CertificateNotYetValid(above.name, f"valid from {above.start_date}, today is {today}")
    if above.end_date is not None and today > above.end_date:
        raise CertificateExpired(above.name, f"valid to {above.end_date}, today is {today}")


def _check_order(start_date: date | None, end_date: date | None) -> None:
    if start_date is not None and end_date is not None and end_date < start_date:
        raise UsageError(f"valid from {start_date} to {end_date}: the end comes first")
