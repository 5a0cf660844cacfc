"""The PKI library: certificates of the type Calypso Prime Legacy, and the signature of a session.

`CalypsoPki` holds what a terminal decides by itself (today's date, test or production, what an expired
certificate leads to) and makes everything that the Asymmetric Crypto API names: trust anchors, parsers
and sessions.

    pki = CalypsoPki(today=lambda: date(2026, 6, 1), is_test=True)
    setting.add_pca_certificate(pki.pca_certificate(reference, modulus))
    setting.add_ca_certificate_parser(pki.ca_certificate_parser())
    setting.add_card_certificate_parser(pki.card_certificate_parser())

What the card signs: the byte 10, then for each APDU one byte of length and the APDU; a case 4 request
goes without its Le, a response with its status word. The reference terminal takes Lc for a signed number
when it looks for case 4: `signed_lc` does as it does, for a card that was made to please it.

Source: calypso-pki §3.3, §6, §8; terminal-api §17.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.calypso.pki import card_key, iso9796, verification
from cardbench.protocol.calypso.pki.ca_certificate import CA_CERTIFICATE_TYPE, CaCertificate
from cardbench.protocol.calypso.pki.card_certificate import CARD_CERTIFICATE_TYPE, CardCertificate
from cardbench.protocol.calypso.pki.key_reference import KeyReference
from cardbench.protocol.calypso.pki.verification import (
    CA_CERTIFICATES_MAX,
    ExpiryRule,
    TrustRules,
    verify_ca_certificate,
    verify_card_certificate,
)
from cardbench.protocol.errors import InvalidSignature, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from cardbench.terminal.crypto import asymmetric

_TRANSCRIPT_HEAD: Final = b"\x10"
_REQUEST_MIN: Final = 5
_RESPONSE_MIN: Final = 2


@dataclass(frozen=True, slots=True)
class PkiCaContent:
    """A verified key, as the API shows it; see `verification.CaCertificateContent` for the rest."""

    content: verification.CaCertificateContent

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """The certified key."""
        return self.content.public_key

    @property
    def public_key_reference(self) -> bytes:
        """Its reference, 29 bytes."""
        return self.content.reference.raw

    @property
    def start_date(self) -> date | None:
        """First day of validity; None: no limit."""
        return self.content.start_date

    @property
    def end_date(self) -> date | None:
        """Last day of validity; None: no limit."""
        return self.content.end_date

    @property
    def is_aid_check_requested(self) -> bool:
        """Whether what it signs must have a certain AID."""
        return self.content.aid is not None

    @property
    def is_aid_truncated(self) -> bool:
        """Whether an AID that only starts with `aid` will do."""
        return self.content.allows_longer_aid

    @property
    def aid(self) -> bytes | None:
        """That AID; None where none is asked for."""
        return self.content.aid

    @property
    def is_ca_certificates_authentication_allowed(self) -> bool:
        """Whether it may sign CA certificates."""
        return self.content.may_sign_ca_certificates

    @property
    def is_card_certificates_authentication_allowed(self) -> bool:
        """Whether it may sign card certificates."""
        return self.content.may_sign_card_certificates


def _content_of(issuer: asymmetric.CaCertificateContent) -> verification.CaCertificateContent:
    """Take what is ours as it is, and read another library's content through the API."""
    if isinstance(issuer, PkiCaContent):
        return issuer.content
    reference = KeyReference(issuer.public_key_reference)
    return verification.CaCertificateContent(
        name=f"key {reference}",
        reference=reference,
        public_key=issuer.public_key,
        start_date=issuer.start_date,
        end_date=issuer.end_date,
        aid=issuer.aid if issuer.is_aid_check_requested else None,
        allows_longer_aid=issuer.is_aid_truncated,
        may_sign_ca_certificates=issuer.is_ca_certificates_authentication_allowed,
        may_sign_card_certificates=issuer.is_card_certificates_authentication_allowed,
    )


@dataclass(frozen=True, slots=True)
class PkiPcaCertificate:
    """A trust anchor."""

    content: verification.CaCertificateContent

    def check_certificate_and_get_content(self) -> PkiCaContent:
        """Return the key; a PCA is trusted by itself."""
        return PkiCaContent(self.content)


@dataclass(frozen=True, slots=True)
class PkiCardPublicKey:
    """A card's key out of a verified certificate; 64 bytes, and the warnings of its chain."""

    raw_value: bytes
    warnings: tuple[str, ...] = ()


class PkiCaCertificate:
    """A CA certificate (type 90).

    Args:
        certificate: as it was read.
        rules: asked for the rules of the moment, when the certificate is checked.
    """

    def __init__(self, certificate: CaCertificate, rules: Callable[[], TrustRules]) -> None:
        self.certificate = certificate
        self._rules = rules

    @property
    def issuer_public_key_reference(self) -> bytes:
        """Reference of the key that signed it, 29 bytes."""
        return self.certificate.fields.issuer.raw

    def check_certificate_and_get_content(
        self, issuer: asymmetric.CaCertificateContent
    ) -> PkiCaContent:
        """Verify it, and return what it states. Raises as `verify_ca_certificate`."""
        return PkiCaContent(
            verify_ca_certificate(self.certificate, _content_of(issuer), self._rules())
        )


class PkiCardCertificate:
    """A card certificate (type 91).

    Args:
        certificate: as it was read.
        rules: asked for the rules of the moment, when the certificate is checked.
    """

    def __init__(self, certificate: CardCertificate, rules: Callable[[], TrustRules]) -> None:
        self.certificate = certificate
        self._rules = rules

    @property
    def issuer_public_key_reference(self) -> bytes:
        """Reference of the key that signed it, 29 bytes."""
        return self.certificate.fields.issuer.raw

    @property
    def card_aid(self) -> bytes:
        """AID of the card's application."""
        return self.certificate.fields.aid

    @property
    def card_serial_number(self) -> bytes:
        """Serial number of the card's application, 8 bytes."""
        return self.certificate.fields.serial

    def check_certificate_and_get_public_key(
        self, issuer: asymmetric.CaCertificateContent
    ) -> PkiCardPublicKey:
        """Verify it, and return the card's key. Raises as `verify_card_certificate`.

        Whether the certificate is of this very card, the caller has checked: serial number and AID.
        """
        content = verify_card_certificate(
            self.certificate, _content_of(issuer), self._rules(), serial=self.card_serial_number
        )
        return PkiCardPublicKey(card_key.encode_public_key(content.public_key), content.warnings)


class PkiSession:
    """The transcript of one session, and the check of its signature.

    Args:
        signed_lc: recognise case 4 as the reference terminal does.
    """

    def __init__(self, *, signed_lc: bool = False) -> None:
        self._signed_lc = signed_lc
        self._key: bytes | None = None
        self._transcript = bytearray()
        self._is_request_next = True

    def init_terminal_pki_session(self, card_public_key: asymmetric.CardPublicKey) -> None:
        """Start a session with the card's key; what was fed before is forgotten.

        Raises:
            UsageError: no point of secp256r1.
        """
        card_key.parse_public_key(card_public_key.raw_value)
        self._key = card_public_key.raw_value
        self._transcript[:] = _TRANSCRIPT_HEAD
        self._is_request_next = True

    def update_terminal_pki_session(self, apdu: bytes) -> None:
        """Feed a request as it was sent, or a response with its status word; they alternate.

        Raises:
            UsageError: no session, or too short for a request (5 bytes) or a response (2 bytes).
        """
        if self._key is None:
            raise UsageError("no PKI session is started")
        if len(apdu) < (_REQUEST_MIN if self._is_request_next else _RESPONSE_MIN):
            what = "request" if self._is_request_next else "response"
            raise UsageError(f"{len(apdu)} byte(s) are no {what}")
        element = self._without_le(apdu) if self._is_request_next else apdu
        self._transcript.append(len(element) & 0xFF)
        self._transcript += element
        self._is_request_next = not self._is_request_next

    def is_card_pki_session_valid(self, signature: bytes) -> bool:
        """Tell whether the signature is the card's over what was fed.

        Raises:
            UsageError: no session, or a request without its response.
        """
        if self._key is None or not self._is_request_next:
            raise UsageError("no PKI session whose last response was fed")
        key = card_key.parse_public_key(self._key)
        try:
            card_key.verify(key, bytes(self._transcript), signature)
        except InvalidSignature:
            return False
        return True

    def _without_le(self, request: bytes) -> bytes:
        if self._signed_lc:
            lc = int.from_bytes(request[4:5], signed=True)
            return request[:-1] if lc == len(request) - 6 else request
        command = CommandApdu.parse(request)
        return command._replace(ne=None).encode() if command.data else request


class _Parser:
    def __init__(self, certificate_type: int, rules: Callable[[], TrustRules]) -> None:
        self.certificate_type = certificate_type
        self._rules = rules


class PkiCaCertificateParser(_Parser):
    """Reads CA certificates of type 90."""

    def parse_certificate(self, raw: bytes) -> PkiCaCertificate:
        """Read a certificate of 384 bytes. Raises as `CaCertificate.parse`."""
        return PkiCaCertificate(CaCertificate.parse(raw), self._rules)


class PkiCardCertificateParser(_Parser):
    """Reads card certificates of type 91."""

    def parse_certificate(self, raw: bytes) -> PkiCardCertificate:
        """Read a certificate of 316 bytes. Raises as `CardCertificate.parse`."""
        return PkiCardCertificate(CardCertificate.parse(raw), self._rules)


class CalypsoPki:
    """Makes trust anchors, parsers and sessions under one set of rules.

    Args:
        today: gives the day that dates are checked against; the library reads no clock.
        is_test: a test bench, which refuses production certificates; False refuses test ones.
        expiry: what an end date in the past leads to.
        ca_certificates_max: most CA certificates between the root and a card.
        signed_lc: recognise case 4 in the transcript as the reference terminal does.
    """

    def __init__(
        self,
        *,
        today: Callable[[], date],
        is_test: bool,
        expiry: ExpiryRule = ExpiryRule.REFUSE,
        ca_certificates_max: int = CA_CERTIFICATES_MAX,
        signed_lc: bool = False,
    ) -> None:
        self._today = today
        self._is_test = is_test
        self._expiry = expiry
        self._ca_certificates_max = ca_certificates_max
        self._signed_lc = signed_lc

    def rules(self) -> TrustRules:
        """Return the rules as they are at this moment."""
        return TrustRules(
            today=self._today(),
            is_test=self._is_test,
            expiry=self._expiry,
            ca_certificates_max=self._ca_certificates_max,
        )

    def pca_certificate(
        self, reference: bytes, public_key: rsa.RSAPublicKey | bytes
    ) -> PkiPcaCertificate:
        """Make a trust anchor.

        Args:
            reference: 29 bytes.
            public_key: RSA of 2048 bits with exponent 65537, or its modulus, 256 bytes.

        Raises:
            UsageError: another size.
        """
        key = (
            public_key
            if isinstance(public_key, rsa.RSAPublicKey)
            else iso9796.public_key_of(public_key)
        )
        return PkiPcaCertificate(verification.pca_content(KeyReference(reference), key))

    def ca_certificate(self, raw: bytes) -> PkiCaCertificate:
        """Read a CA certificate of 384 bytes. Raises as `CaCertificate.parse`."""
        return self.ca_certificate_parser().parse_certificate(raw)

    def ca_certificate_parser(self) -> PkiCaCertificateParser:
        """Return the parser of CA certificates."""
        return PkiCaCertificateParser(CA_CERTIFICATE_TYPE, self.rules)

    def card_certificate_parser(self) -> PkiCardCertificateParser:
        """Return the parser of card certificates."""
        return PkiCardCertificateParser(CARD_CERTIFICATE_TYPE, self.rules)

    def create_card_transaction(self) -> PkiSession:
        """Return the crypto side of one session."""
        return PkiSession(signed_lc=self._signed_lc)
