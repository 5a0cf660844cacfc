"""What a terminal trusts in PKI sessions: anchors, CA certificates, and who reads certificates.

    setting = AsymmetricSecuritySetting(pki)
    setting.add_pca_certificate(pki.pca_certificate(reference, modulus))
    setting.add_ca_certificate_parser(pki.ca_certificate_parser())
    setting.add_card_certificate_parser(pki.card_certificate_parser())

Rules
-----
* A CA certificate is taken in when its issuer is known and it verifies; its key reference must be new.
* A card certificate is judged with every session: its serial number against the card's, its AID against
  the selected DF name (unless told not to), then the certificate against its issuer.
* A CA certificate that a card brings and that verifies stays: the next card need not bring it again.

The stores hold keys that were verified, never certificates that were not.

Not thread-safe: a setting that learns from cards belongs to the thread whose transactions use it.

Source: terminal-api §13, §17; calypso-pki §6.1, §6.2, §12 (8). Our choice: the comparison with the DF
name, which the reference terminal leaves out.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, TypeVar

from cardbench.protocol.errors import (
    UnknownCertificateType,
    UnknownIssuer,
    UsageError,
    WrongAid,
    WrongIssuer,
    WrongSerialNumber,
)
from cardbench.protocol.hexadecimal import to_hex

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.terminal.crypto.asymmetric import (
        AsymmetricCryptoFactory,
        CaCertificate,
        CaCertificateContent,
        CaCertificateParser,
        CardCertificate,
        CardCertificateParser,
        CardPublicKey,
        PcaCertificate,
    )

_CARD = "card certificate"
_CA = "CA certificate"
ParserType = TypeVar("ParserType", "CaCertificateParser", "CardCertificateParser")


class AsymmetricSecuritySetting:
    """The trust of a terminal in cards; may serve any number of transactions.

    Args:
        crypto: makes the crypto side of sessions.
        check_df_name: refuse a certificate whose AID is not the selected application's DF name.
        random_bytes: gives the terminal's challenges; a bench that repeats itself hands in its own.
    """

    def __init__(
        self,
        crypto: AsymmetricCryptoFactory,
        *,
        check_df_name: bool = True,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.crypto = crypto
        self.random_bytes = random_bytes
        self._check_df_name = check_df_name
        self._contents: dict[bytes, CaCertificateContent] = {}
        self._ca_parsers: dict[int, CaCertificateParser] = {}
        self._card_parsers: dict[int, CardCertificateParser] = {}

    # What the terminal is told to trust

    def add_pca_certificate(self, certificate: PcaCertificate) -> AsymmetricSecuritySetting:
        """Trust a root.

        Raises:
            UsageError: a key of that reference is there.
        """
        return self._add(certificate.check_certificate_and_get_content())

    def add_ca_certificate(self, certificate: CaCertificate) -> AsymmetricSecuritySetting:
        """Verify a CA certificate and trust its key.

        Raises:
            UnknownIssuer: its issuer is not known yet.
            InvalidCertificate: it does not verify; the child names the step.
            UsageError: a key of that reference is there.
        """
        return self._add(self._checked(certificate))

    def add_ca_certificate_parser(self, parser: CaCertificateParser) -> AsymmetricSecuritySetting:
        """Read CA certificates of one more type.

        Raises:
            UsageError: there is a parser for that type.
        """
        _add_parser(self._ca_parsers, parser)
        return self

    def add_card_certificate_parser(
        self, parser: CardCertificateParser
    ) -> AsymmetricSecuritySetting:
        """Read card certificates of one more type.

        Raises:
            UsageError: there is a parser for that type.
        """
        _add_parser(self._card_parsers, parser)
        return self

    # What a transaction asks

    def read_card_certificate(
        self, raw: bytes, *, serial: bytes, df_name: bytes
    ) -> CardCertificate:
        """Read a card's certificate and check that it is of this card.

        Args:
            raw: the certificate, without tag and length.
            serial: application serial number, 8 bytes, the first two zero.
            df_name: DF name of the selected application.

        Raises:
            UnknownCertificateType: no parser for it.
            MalformedCertificate: the parser cannot read it.
            WrongSerialNumber, WrongAid: it is of another card or application.
        """
        certificate = _parser_for(self._card_parsers, raw, _CARD).parse_certificate(raw)
        theirs = certificate.card_serial_number
        if theirs != serial:
            raise WrongSerialNumber(_CARD, f"{to_hex(theirs)}, the card has {to_hex(serial)}")
        if self._check_df_name and certificate.card_aid != df_name:
            raise WrongAid(_CARD, f"{to_hex(certificate.card_aid)}, selected: {to_hex(df_name)}")
        return certificate

    def knows_issuer(self, certificate: CardCertificate) -> bool:
        """Whether the key that signed this certificate is there; if not, the card must bring its CA's."""
        return certificate.issuer_public_key_reference in self._contents

    def take_ca_certificate(self, raw: bytes, *, issuer_of: CardCertificate) -> None:
        """Verify the CA certificate that a card brings, and keep its key.

        Raises:
            UnknownCertificateType, MalformedCertificate: it cannot be read.
            UnknownIssuer: nothing that is trusted signed it.
            WrongIssuer: it is not of the key that signed the card certificate.
            InvalidCertificate: it does not verify; the child names the step.
        """
        certificate = _parser_for(self._ca_parsers, raw, _CA).parse_certificate(raw)
        content = self._checked(certificate)
        wanted = issuer_of.issuer_public_key_reference
        if content.public_key_reference != wanted:
            raise WrongIssuer(
                _CARD,
                f"signed by {to_hex(wanted)}, the card brings the CA certificate of "
                f"{to_hex(content.public_key_reference)}",
            )
        self._contents[wanted] = content

    def card_public_key(self, certificate: CardCertificate) -> CardPublicKey:
        """Verify a card certificate against its issuer and return the card's key.

        Raises:
            UnknownIssuer: its issuer is not there.
            InvalidCertificate: it does not verify; the child names the step.
        """
        issuer = self._issuer(_CARD, certificate.issuer_public_key_reference)
        return certificate.check_certificate_and_get_public_key(issuer)

    def _checked(self, certificate: CaCertificate) -> CaCertificateContent:
        issuer = self._issuer(_CA, certificate.issuer_public_key_reference)
        return certificate.check_certificate_and_get_content(issuer)

    def _issuer(self, name: str, reference: bytes) -> CaCertificateContent:
        content = self._contents.get(reference)
        if content is None:
            raise UnknownIssuer(name, f"signed by {to_hex(reference)}, which is not trusted")
        return content

    def _add(self, content: CaCertificateContent) -> AsymmetricSecuritySetting:
        reference = content.public_key_reference
        if reference in self._contents:
            raise UsageError(f"the key {to_hex(reference)} is there already")
        self._contents[reference] = content
        return self


def _add_parser(parsers: dict[int, ParserType], parser: ParserType) -> None:
    if parser.certificate_type in parsers:
        raise UsageError(f"there is a parser for type {parser.certificate_type:02X} already")
    parsers[parser.certificate_type] = parser


def _parser_for(parsers: dict[int, ParserType], raw: bytes, name: str) -> ParserType:
    parser = parsers.get(raw[0]) if raw else None
    if parser is None:
        known = ", ".join(f"{each:02X}" for each in sorted(parsers)) or "none"
        raise UnknownCertificateType(name, f"starts with {to_hex(raw[:1])}, parsers for: {known}")
    return parser
