"""What a terminal trusts: each refusal of a chain has its own error."""

import tomllib
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from independent import second_pki

from cardbench.protocol.calypso.pki.iso9796 import public_key_of
from cardbench.protocol.calypso.pki.verification import ExpiryRule
from cardbench.protocol.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    ChainTooLong,
    InvalidCertificate,
    InvalidCertificateSignature,
    IssuerNotEntitled,
    MalformedCertificate,
    UnknownCertificateType,
    UnknownIssuer,
    UsageError,
    WrongAid,
    WrongIssuer,
    WrongScope,
    WrongSerialNumber,
)
from cardbench.terminal.calypso.pki_setting import AsymmetricSecuritySetting
from cardbench.terminal.crypto.asymmetric import CaCertificateContent, CardPublicKey
from cardbench.terminal.crypto.pki import CalypsoPki

OWN: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "calypso-pki.toml").read_text()
)["own"]
PCA_REFERENCE, CA_REFERENCE = (bytes.fromhex(OWN[f"{name}_reference"]) for name in ("pca", "ca"))
PCA = second_pki.rsa_key(bytes.fromhex(OWN["pca_modulus"]), bytes.fromhex(OWN["pca_prime"]))
CA = second_pki.rsa_key(bytes.fromhex(OWN["ca_modulus"]), bytes.fromhex(OWN["ca_prime"]))
AID, SERIAL = bytes.fromhex(OWN["card_aid"]), bytes.fromhex(OWN["card_serial"])
PUBLIC = bytes.fromhex(OWN["card_public_key"])
CA_CERTIFICATE = bytes.fromhex(OWN["ca_certificate"])
CARD_CERTIFICATE = bytes.fromhex(OWN["card_certificate"])


def pki(today: date = date(2026, 6, 1), **rules: ExpiryRule | int) -> CalypsoPki:
    return CalypsoPki(today=lambda: today, is_test=True, **rules)


def setting(library: CalypsoPki | None = None, **options: bool) -> AsymmetricSecuritySetting:
    library = library or pki()
    return (
        AsymmetricSecuritySetting(library, **options)
        .add_pca_certificate(
            library.pca_certificate(PCA_REFERENCE, bytes.fromhex(OWN["pca_modulus"]))
        )
        .add_ca_certificate_parser(library.ca_certificate_parser())
        .add_card_certificate_parser(library.card_certificate_parser())
    )


def authenticate(
    trust: AsymmetricSecuritySetting,
    card: bytes = CARD_CERTIFICATE,
    ca: bytes = CA_CERTIFICATE,
    *,
    serial: bytes = SERIAL,
    df_name: bytes = AID,
) -> CardPublicKey:
    """Do what a transaction does with what a card brings."""
    certificate = trust.read_card_certificate(card, serial=serial, df_name=df_name)
    if not trust.knows_issuer(certificate):
        trust.take_ca_certificate(ca, issuer_of=certificate)
    return trust.card_public_key(certificate)


def ca(**fields: str | int | bytes) -> bytes:
    given = {"issuer": PCA_REFERENCE, "target": CA_REFERENCE, "modulus": CA.n} | fields
    return second_pki.make_ca(PCA, **given)


def card(key: second_pki.RsaKey = CA, **fields: str | int | bytes) -> bytes:
    given = {"issuer": CA_REFERENCE, "aid": AID, "serial": SERIAL, "public": PUBLIC}
    return second_pki.make_card(key, **(given | {"startup": bytes(7)} | fields))


def test_chain_of_the_vector_gives_the_card_key() -> None:
    key = authenticate(setting())
    assert key.raw_value == PUBLIC
    assert key.warnings == ()


def test_ca_that_a_card_brought_is_known_from_then_on() -> None:
    trust = setting()
    certificate = trust.read_card_certificate(CARD_CERTIFICATE, serial=SERIAL, df_name=AID)
    assert not trust.knows_issuer(certificate)
    authenticate(trust)
    assert trust.knows_issuer(certificate)


def test_ca_that_is_known_beforehand_is_not_asked_for() -> None:
    library = pki()
    trust = setting(library).add_ca_certificate(library.ca_certificate(CA_CERTIFICATE))
    assert authenticate(trust, ca=b"").raw_value == PUBLIC


def test_card_signed_by_the_root_needs_no_ca() -> None:
    assert authenticate(setting(), card(PCA, issuer=PCA_REFERENCE), b"").raw_value == PUBLIC


@pytest.mark.parametrize(
    ("error", "given"),
    [
        (UnknownCertificateType, {"card": b""}),
        (UnknownCertificateType, {"card": b"\x92" + CARD_CERTIFICATE[1:]}),
        (MalformedCertificate, {"card": CARD_CERTIFICATE[:-1]}),
        (WrongSerialNumber, {"serial": bytes(8)}),
        (WrongAid, {"df_name": AID[:-1]}),
        (UnknownCertificateType, {"ca": b"\x80" + CA_CERTIFICATE[1:]}),
        (MalformedCertificate, {"ca": CA_CERTIFICATE + b"\0"}),
        (UnknownIssuer, {"ca": ca(issuer=PCA_REFERENCE[:-1] + b"\x07")}),
        (WrongIssuer, {"ca": ca(target=CA_REFERENCE[:-1] + b"\x07")}),
        (InvalidCertificateSignature, {"ca": ca()[:-1] + b"\0"}),
        (WrongScope, {"ca": ca(scope=0)}),
        (CertificateNotYetValid, {"ca": ca(start="20270101")}),
        (CertificateExpired, {"ca": ca(end="20260531")}),
        (WrongAid, {"ca": ca(aid=AID[:-1])}),
        (IssuerNotEntitled, {"ca": ca(rights=0x04)}),
        (InvalidCertificateSignature, {"card": card()[:-1] + b"\0"}),
        (CertificateNotYetValid, {"card": card(start="20270101")}),
        (CertificateExpired, {"card": card(end="20260531")}),
    ],
)
def test_each_fault_has_its_error(error: type[InvalidCertificate], given: dict[str, bytes]) -> None:
    with pytest.raises(error) as refusal:
        authenticate(setting(), **given)  # type: ignore[arg-type]
    assert type(refusal.value) is error
    assert refusal.value.step == error.step


def test_too_long_a_chain_has_its_error() -> None:
    with pytest.raises(ChainTooLong):
        authenticate(setting(pki(ca_certificates_max=0)))


def test_wrong_ca_of_a_card_is_not_kept() -> None:
    trust = setting()
    with pytest.raises(WrongIssuer):
        authenticate(trust, ca=ca(target=CA_REFERENCE[:-1] + b"\x07"))
    assert authenticate(trust).raw_value == PUBLIC


def test_expiry_warns_where_that_is_the_rule() -> None:
    key = authenticate(setting(pki(date(2100, 1, 1), expiry=ExpiryRule.WARN)))
    assert len(key.warnings) == 2
    with pytest.raises(CertificateExpired):
        authenticate(setting(pki(date(2100, 1, 1))))


def test_day_is_asked_for_with_every_card() -> None:
    days = [date(2099, 12, 31), date(2099, 12, 31), date(2100, 1, 1)]
    library = CalypsoPki(today=lambda: days.pop(0), is_test=True)
    trust = setting(library)
    assert authenticate(trust).raw_value == PUBLIC
    with pytest.raises(CertificateExpired):
        authenticate(trust)


def test_df_name_need_not_be_compared() -> None:
    assert authenticate(setting(check_df_name=False), df_name=b"another").raw_value == PUBLIC


def test_nothing_is_added_twice() -> None:
    library = pki()
    trust = setting(library)
    root = library.pca_certificate(PCA_REFERENCE, public_key_of(bytes.fromhex(OWN["pca_modulus"])))
    with pytest.raises(UsageError, match="already"):
        trust.add_pca_certificate(root)
    with pytest.raises(UsageError, match="type 90"):
        trust.add_ca_certificate_parser(library.ca_certificate_parser())
    with pytest.raises(UsageError, match="type 91"):
        trust.add_card_certificate_parser(library.card_certificate_parser())
    trust.add_ca_certificate(library.ca_certificate(CA_CERTIFICATE))
    with pytest.raises(UsageError, match="already"):
        trust.add_ca_certificate(library.ca_certificate(CA_CERTIFICATE))


def test_ca_certificate_needs_a_known_issuer() -> None:
    library = pki()
    trust = AsymmetricSecuritySetting(library)
    with pytest.raises(UnknownIssuer):
        trust.add_ca_certificate(library.ca_certificate(CA_CERTIFICATE))
    with pytest.raises(UnknownCertificateType, match="none"):
        trust.read_card_certificate(CARD_CERTIFICATE, serial=SERIAL, df_name=AID)


def test_content_shows_what_the_api_names() -> None:
    library = pki()
    root = library.pca_certificate(PCA_REFERENCE, bytes.fromhex(OWN["pca_modulus"]))
    content: CaCertificateContent = library.ca_certificate(
        ca(start="20240101", end="20991231", aid=AID, mode=1, rights=0x09)
    ).check_certificate_and_get_content(root.check_certificate_and_get_content())
    assert content.public_key.public_numbers().n == CA.n
    assert content.public_key_reference == CA_REFERENCE
    assert (content.start_date, content.end_date) == (date(2024, 1, 1), date(2099, 12, 31))
    assert content.is_aid_check_requested
    assert content.is_aid_truncated
    assert content.aid == AID
    assert not content.is_ca_certificates_authentication_allowed
    assert content.is_card_certificates_authentication_allowed


def test_issuer_may_come_from_another_library() -> None:
    foreign = SimpleNamespace(
        public_key=public_key_of(bytes.fromhex(OWN["ca_modulus"])),
        public_key_reference=CA_REFERENCE,
        start_date=None,
        end_date=date(2026, 5, 31),
        is_aid_check_requested=False,
        is_aid_truncated=False,
        aid=None,
        is_ca_certificates_authentication_allowed=False,
        is_card_certificates_authentication_allowed=True,
    )
    in_time = pki(date(2026, 5, 31)).card_certificate_parser().parse_certificate(CARD_CERTIFICATE)
    assert in_time.check_certificate_and_get_public_key(foreign).raw_value == PUBLIC
    late = pki().card_certificate_parser().parse_certificate(CARD_CERTIFICATE)
    with pytest.raises(CertificateExpired):
        late.check_certificate_and_get_public_key(foreign)
