"""Verification of a Calypso certificate against the key of its issuer.

Order of the checks, each with an error of its own; the first that fails ends it.

    CA certificate                               card certificate
    1  issuer's reference     WrongIssuer        1  serial number       WrongSerialNumber
    2  issuer's right         IssuerNotEntitled  2  issuer's reference  WrongIssuer
    3  signature              InvalidCertif…     3  issuer's right      IssuerNotEntitled
    4  length of chain        ChainTooLong       4  signature           InvalidCertificateSignature
    5  scope                  WrongScope         5  dates, whole chain  as beside
    6  dates   CertificateNotYetValid / Expired  6  AID                 WrongAid
    7  AID                    WrongAid

The trust anchor, a PCA key, is no certificate: it has no dates and no AID, and may sign both kinds.

What is decided here and not by the published reference terminal: an end date that is past refuses
(unless `ExpiryRule.WARN`, its way, is asked for); dates of the CAs above are looked at again with every
card; the number of CA certificates in a chain is limited; the card's AID may be compared with the one
that was selected.

Source: calypso-pki §4.2, §4.5, §6.2 to §6.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique
from typing import TYPE_CHECKING, Final

from cardbench.protocol.calypso.pki import iso9796
from cardbench.protocol.calypso.pki.ca_certificate import CaCertificate, Scope
from cardbench.protocol.calypso.pki.card_certificate import (
    CardCertificate,
    CardCertificateRecoverable,
)
from cardbench.protocol.calypso.pki.card_key import parse_public_key
from cardbench.protocol.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    ChainTooLong,
    InvalidCertificateSignature,
    InvalidSignature,
    IssuerNotEntitled,
    MalformedCertificate,
    UsageError,
    WrongAid,
    WrongIssuer,
    WrongScope,
    WrongSerialNumber,
)
from cardbench.protocol.hexadecimal import to_hex

if TYPE_CHECKING:
    from datetime import date

    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    from cardbench.protocol.calypso.pki.key_reference import KeyReference

CA_CERTIFICATES_MAX: Final = 3


@unique
class ExpiryRule(Enum):
    """What a certificate whose end date is past leads to."""

    REFUSE = "refuse"
    WARN = "warn"  # accepted, and said in `warnings`


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRules:
    """What a verifier decides by itself.

    Attributes:
        today: the day to check dates against; nothing here reads a clock.
        is_test: a test bench, which refuses production certificates; False refuses test ones.
        expiry: what an end date in the past leads to.
        ca_certificates_max: most CA certificates between the root and a card certificate (our choice:
            published chains have one).
    """

    today: date
    is_test: bool
    expiry: ExpiryRule = ExpiryRule.REFUSE
    ca_certificates_max: int = CA_CERTIFICATES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class CaCertificateContent:
    """A key that may sign certificates, and what it may sign: a PCA, or a verified CA.

    Attributes:
        name: what to call it in an error text.
        reference: the key's reference.
        public_key: the key.
        start_date, end_date: its validity, None where there is no limit.
        aid: AID that certified objects must have, None for any.
        allows_longer_aid: an AID that only starts with `aid` will do.
        may_sign_ca_certificates, may_sign_card_certificates: its rights.
        scope: of the certificate; None for a PCA.
        issuer: who vouches for it; None for a PCA, which is trusted by itself.
        warnings: what was wrong but accepted.
    """

    name: str
    reference: KeyReference
    public_key: rsa.RSAPublicKey
    start_date: date | None = None
    end_date: date | None = None
    aid: bytes | None = None
    allows_longer_aid: bool = False
    may_sign_ca_certificates: bool = True
    may_sign_card_certificates: bool = True
    scope: int | None = None
    issuer: CaCertificateContent | None = None
    warnings: tuple[str, ...] = ()

    @property
    def chain_length(self) -> int:
        """Number of CA certificates from the root to this key: 0 for a PCA."""
        return 0 if self.issuer is None else 1 + self.issuer.chain_length

    def allows_aid(self, aid: bytes | None) -> bool:
        """Whether an object with this AID may be certified (calypso-pki §6.4)."""
        if self.aid is None:
            return True
        if aid is None:
            return False
        return aid.startswith(self.aid) if self.allows_longer_aid else aid == self.aid


@dataclass(frozen=True, slots=True, kw_only=True)
class CardCertificateContent:
    """What a verified card certificate states.

    Attributes:
        certificate: the certificate, its clear part read.
        recovered: the part that the signature carries.
        public_key: the card's key.
        issuer: the key that signed it.
        warnings: what was wrong but accepted, in the whole chain.
    """

    certificate: CardCertificate
    recovered: CardCertificateRecoverable
    public_key: ec.EllipticCurvePublicKey
    issuer: CaCertificateContent
    warnings: tuple[str, ...] = ()


def pca_content(reference: KeyReference, public_key: rsa.RSAPublicKey) -> CaCertificateContent:
    """Make a trust anchor of a PCA's key.

    Raises:
        UsageError: not 2048 bits, or another exponent than 65537.

    Source: calypso-pki §4.2.
    """
    iso9796.modulus_of(public_key)
    return CaCertificateContent(
        name=f"PCA key {reference}", reference=reference, public_key=public_key
    )


def verify_ca_certificate(
    certificate: CaCertificate, issuer: CaCertificateContent, rules: TrustRules
) -> CaCertificateContent:
    """Verify a CA certificate and return the key that it certifies.

    Raises:
        InvalidCertificate: the child names the step; see the module text.
    """
    name, fields = str(certificate), certificate.fields
    _check_issuer(name, fields.issuer, issuer)
    if not issuer.may_sign_ca_certificates:
        raise IssuerNotEntitled(name, f"{issuer.name} may not sign CA certificates")
    recovered = _recover(name, certificate, issuer)
    try:
        public_key = iso9796.public_key_of(certificate.modulus_header + recovered)
    except UsageError as error:
        raise MalformedCertificate(name, str(error)) from None
    check_chain_length(name, issuer, rules)
    _check_scope(name, fields.scope, rules)
    warnings = check_dates(name, fields.start_date, fields.end_date, rules)
    _check_aid(name, fields.target_aid, issuer)
    return CaCertificateContent(
        name=name,
        reference=fields.target,
        public_key=public_key,
        start_date=fields.start_date,
        end_date=fields.end_date,
        aid=fields.target_aid,
        allows_longer_aid=fields.allows_longer_aid,
        may_sign_ca_certificates=fields.rights.ca_certificates.is_granted,
        may_sign_card_certificates=fields.rights.card_certificates.is_granted,
        scope=fields.scope,
        issuer=issuer,
        warnings=warnings,
    )


def verify_card_certificate(
    certificate: CardCertificate,
    issuer: CaCertificateContent,
    rules: TrustRules,
    *,
    serial: bytes,
    df_name: bytes | None = None,
) -> CardCertificateContent:
    """Verify a card certificate and return the card's key.

    Args:
        serial: application serial number of the card, 8 bytes; the first two count as 00.
        df_name: AID of the selected application; None leaves the comparison out.

    Raises:
        InvalidCertificate: the child names the step; see the module text.
    """
    name, fields = str(certificate), certificate.fields
    check_serial(certificate, serial)
    _check_issuer(name, fields.issuer, issuer)
    if not issuer.may_sign_card_certificates:
        raise IssuerNotEntitled(name, f"{issuer.name} may not sign card certificates")
    recovered = CardCertificateRecoverable.parse(_recover(name, certificate, issuer))
    warnings = check_dates(name, recovered.start_date, recovered.end_date, rules)
    above: CaCertificateContent | None = issuer
    while above is not None:
        warnings += check_dates(above.name, above.start_date, above.end_date, rules)
        above = above.issuer
    _check_aid(name, fields.aid, issuer)
    if df_name is not None and fields.aid != df_name:
        raise WrongAid(name, f"AID {to_hex(fields.aid)}, selected: {to_hex(df_name)}")
    try:
        public_key = parse_public_key(recovered.public_key)
    except UsageError as error:
        raise MalformedCertificate(name, str(error)) from None
    return CardCertificateContent(
        certificate=certificate,
        recovered=recovered,
        public_key=public_key,
        issuer=issuer,
        warnings=warnings,
    )


def check_serial(certificate: CardCertificate, serial: bytes) -> None:
    """Check that a certificate is of the card with this application serial number, 8 bytes.

    Raises:
        WrongSerialNumber: it is of another card, or its serial does not start with 0000.
    """
    wanted = b"\0\0" + serial[2:]
    if certificate.fields.serial != wanted:
        raise WrongSerialNumber(
            str(certificate),
            f"{to_hex(certificate.fields.serial)}, the card has {to_hex(wanted)}",
        )


def check_dates(
    name: str, start_date: date | None, end_date: date | None, rules: TrustRules
) -> tuple[str, ...]:
    """Check a validity, both days included; return the warnings.

    Raises:
        CertificateNotYetValid: it starts later.
        CertificateExpired: it ended before, and the rules refuse that.
    """
    if start_date is not None and rules.today < start_date:
        raise CertificateNotYetValid(name, f"valid from {start_date}, today is {rules.today}")
    if end_date is not None and rules.today > end_date:
        expired = CertificateExpired(name, f"valid to {end_date}, today is {rules.today}")
        if rules.expiry is ExpiryRule.REFUSE:
            raise expired
        return (f"{name}, end date: valid to {end_date}, today is {rules.today}",)
    return ()


def check_chain_length(name: str, issuer: CaCertificateContent, rules: TrustRules) -> None:
    """Check that one more CA certificate below `issuer` is allowed.

    Raises:
        ChainTooLong: it is not.
    """
    length = issuer.chain_length + 1
    if length > rules.ca_certificates_max:
        raise ChainTooLong(
            name, f"CA certificate {length} of its chain, allowed: {rules.ca_certificates_max}"
        )


def _check_issuer(name: str, named: KeyReference, issuer: CaCertificateContent) -> None:
    if named != issuer.reference:
        raise WrongIssuer(name, f"signed by {named}, at hand: {issuer.reference}")


def _recover(
    name: str, certificate: CaCertificate | CardCertificate, issuer: CaCertificateContent
) -> bytes:
    try:
        return iso9796.recover(issuer.public_key, certificate.signature, certificate.signed)
    except InvalidSignature as error:
        raise InvalidCertificateSignature(name, f"not of {issuer.name}: {error}") from None


def _check_scope(name: str, scope: int, rules: TrustRules) -> None:
    if scope == Scope.UNRESTRICTED:
        return
    wanted = Scope.TEST if rules.is_test else Scope.PRODUCTION
    if scope != wanted:
        raise WrongScope(name, f"scope {scope:02X}, allowed: {wanted:02X} and FF")


def _check_aid(name: str, aid: bytes | None, issuer: CaCertificateContent) -> None:
    if not issuer.allows_aid(aid):
        assert issuer.aid is not None, "an issuer without AID allows every one"
        raise WrongAid(
            name,
            f"AID {'none' if aid is None else to_hex(aid)}, {issuer.name} certifies "
            f"{to_hex(issuer.aid)}{'…' if issuer.allows_longer_aid else ''}",
        )
