"""Asymmetric Crypto API: what a Calypso card transaction asks of a PKI library.

This is the seam between the Calypso Card API and whoever reads certificates: the card side knows these
protocols, a library implements them (`pki` is ours).

    PCA certificate ─▶ CA certificate(s) ─▶ card certificate ─▶ card public key ─▶ session signature

A certificate checks itself against the content of its issuer's; what it then states is the content for
the next one. A session is fed with requests and responses in turn, from Open on, and verifies the
signature that Close brings.

Key references are their 29 bytes. Where the published API has a number for a date, here is a date.

Source: terminal-api §17; calypso-pki §8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import date

    from cryptography.hazmat.primitives.asymmetric import rsa


class CardPublicKey(Protocol):
    """The key of a card, out of a verified certificate."""

    @property
    def raw_value(self) -> bytes:
        """X ‖ Y on secp256r1, 64 bytes."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong with the chain but accepted, in words."""
        ...


class CaCertificateContent(Protocol):
    """What a verified PCA or CA certificate states: a key, and what it may sign."""

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """The certified key."""
        ...

    @property
    def public_key_reference(self) -> bytes:
        """Its reference, 29 bytes."""
        ...

    @property
    def start_date(self) -> date | None:
        """First day of validity; None: no limit."""
        ...

    @property
    def end_date(self) -> date | None:
        """Last day of validity; None: no limit."""
        ...

    @property
    def is_aid_check_requested(self) -> bool:
        """Whether what it signs must have a certain AID."""
        ...

    @property
    def is_aid_truncated(self) -> bool:
        """Whether an AID that only starts with `aid` will do."""
        ...

    @property
    def aid(self) -> bytes | None:
        """That AID, 5 to 16 bytes; None where none is asked for."""
        ...

    @property
    def is_ca_certificates_authentication_allowed(self) -> bool:
        """Whether it may sign CA certificates."""
        ...

    @property
    def is_card_certificates_authentication_allowed(self) -> bool:
        """Whether it may sign card certificates."""
        ...


class PcaCertificate(Protocol):
    """A trust anchor."""

    def check_certificate_and_get_content(self) -> CaCertificateContent:
        """Return the key that is trusted by itself."""
        ...


class CaCertificate(Protocol):
    """A CA certificate, not verified yet."""

    @property
    def issuer_public_key_reference(self) -> bytes:
        """Reference of the key that signed it, 29 bytes."""
        ...

    def check_certificate_and_get_content(
        self, issuer: CaCertificateContent
    ) -> CaCertificateContent:
        """Verify it, and return what it states.

        Raises:
            InvalidCertificate: the child names the step that failed.
        """
        ...


class CardCertificate(Protocol):
    """A card certificate, not verified yet."""

    @property
    def issuer_public_key_reference(self) -> bytes:
        """Reference of the key that signed it, 29 bytes."""
        ...

    @property
    def card_aid(self) -> bytes:
        """AID of the card's application."""
        ...

    @property
    def card_serial_number(self) -> bytes:
        """Serial number of the card's application, 8 bytes."""
        ...

    def check_certificate_and_get_public_key(self, issuer: CaCertificateContent) -> CardPublicKey:
        """Verify it, and return the card's key.

        Raises:
            InvalidCertificate: the child names the step that failed.
        """
        ...


class CaCertificateParser(Protocol):
    """Reads CA certificates of one type."""

    @property
    def certificate_type(self) -> int:
        """First byte of the certificates that it reads."""
        ...

    def parse_certificate(self, raw: bytes) -> CaCertificate:
        """Read a certificate, as the card gives it without tag and length.

        Raises:
            InvalidCertificate: the format is not supported.
        """
        ...


class CardCertificateParser(Protocol):
    """Reads card certificates of one type."""

    @property
    def certificate_type(self) -> int:
        """First byte of the certificates that it reads."""
        ...

    def parse_certificate(self, raw: bytes) -> CardCertificate:
        """Read a certificate, as the card gives it without tag and length.

        Raises:
            InvalidCertificate: the format is not supported.
        """
        ...


class AsymmetricCryptoTransaction(Protocol):
    """The crypto work of one PKI session."""

    def init_terminal_pki_session(self, card_public_key: CardPublicKey) -> None:
        """Start a session with the card's key."""
        ...

    def update_terminal_pki_session(self, apdu: bytes) -> None:
        """Feed a request as it was sent, or a response with its status word; they alternate."""
        ...

    def is_card_pki_session_valid(self, signature: bytes) -> bool:
        """Tell whether the signature of Close, 64 bytes, is the card's over what was fed."""
        ...


class AsymmetricCryptoFactory(Protocol):
    """Makes the crypto side of PKI sessions."""

    def create_card_transaction(self) -> AsymmetricCryptoTransaction:
        """Return the crypto side of one session."""
        ...
