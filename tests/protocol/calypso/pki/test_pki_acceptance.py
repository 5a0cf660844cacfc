"""What a verifier accepts and refuses: every row of the published accept/reject table, and every
refusal by its own error.

The odd certificates are made by the second implementation, because ours refuses to issue them.
"""

import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from independent import second_pki

from cardbench.protocol.calypso.pki.ca_certificate import CaCertificate
from cardbench.protocol.calypso.pki.card_certificate import CardCertificate
from cardbench.protocol.calypso.pki.iso9796 import public_key_of
from cardbench.protocol.calypso.pki.key_reference import KeyReference
from cardbench.protocol.calypso.pki.verification import (
    CaCertificateContent,
    CardCertificateContent,
    ExpiryRule,
    TrustRules,
    pca_content,
    verify_ca_certificate,
    verify_card_certificate,
)
from cardbench.protocol.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    ChainTooLong,
    InvalidCertificate,
    InvalidCertificateSignature,
    IssuerNotEntitled,
    MalformedCertificate,
    UnknownCertificateType,
    WrongAid,
    WrongIssuer,
    WrongScope,
    WrongSerialNumber,
)

_VECTORS = Path(__file__).parents[3] / "vectors" / "calypso-pki.toml"
OWN: dict[str, Any] = tomllib.loads(_VECTORS.read_text())["own"]
TODAY = date(2026, 6, 1)
RULES = TrustRules(
    today=TODAY, is_test=True, expiry=ExpiryRule.WARN
)  # the published terminal's way
REFUSE_EXPIRED = replace(RULES, expiry=ExpiryRule.REFUSE)

PCA_REFERENCE = bytes.fromhex(OWN["pca_reference"])
CA_REFERENCE = bytes.fromhex(OWN["ca_reference"])
SUB_CA_REFERENCE = CA_REFERENCE[:-1] + b"\x09"
AID = bytes.fromhex(OWN["card_aid"])
SERIAL = bytes.fromhex(OWN["card_serial"])
PUBLIC = bytes.fromhex(OWN["card_public_key"])
PCA = second_pki.rsa_key(bytes.fromhex(OWN["pca_modulus"]), bytes.fromhex(OWN["pca_prime"]))
CA = second_pki.rsa_key(bytes.fromhex(OWN["ca_modulus"]), bytes.fromhex(OWN["ca_prime"]))
ROOT = pca_content(KeyReference(PCA_REFERENCE), public_key_of(bytes.fromhex(OWN["pca_modulus"])))


def ca(rules: TrustRules = RULES, **fields: str | int | bytes | None) -> CaCertificateContent:
    raw = second_pki.make_ca(PCA, issuer=PCA_REFERENCE, target=CA_REFERENCE, modulus=CA.n, **fields)
    return verify_ca_certificate(CaCertificate.parse(raw), ROOT, rules)


def card(
    issuer: CaCertificateContent,
    *,
    rules: TrustRules = RULES,
    key: second_pki.RsaKey = CA,
    serial: bytes = SERIAL,
    named: bytes | None = None,
    df_name: bytes | None = AID,
    **fields: str | int | bytes | None,
) -> CardCertificateContent:
    given = {"aid": AID, "serial": SERIAL, "public": PUBLIC, "startup": bytes(7)} | fields
    raw = second_pki.make_card(key, issuer=named or issuer.reference.raw, **given)
    certificate = CardCertificate.parse(raw)
    return verify_card_certificate(certificate, issuer, rules, serial=serial, df_name=df_name)


# Variation of the CA certificate


@pytest.mark.parametrize("rights", [0x00, 0x01, 0x09, 0x0A, 0xF0])
def test_rights_that_leave_card_certificates_open_are_accepted(rights: int) -> None:
    assert card(ca(rights=rights)).warnings == ()


@pytest.mark.parametrize("rights", [0x04, 0x05, 0x06, 0x0C])
def test_ca_without_the_right_certifies_no_card(rights: int) -> None:
    issuer = ca(rights=rights)
    with pytest.raises(IssuerNotEntitled, match="may not sign card certificates"):
        card(issuer)


@pytest.mark.parametrize("scope", [0x01, 0xFF])
def test_test_and_unrestricted_scopes_are_accepted_on_the_bench(scope: int) -> None:
    assert card(ca(scope=scope)).issuer.scope == scope


@pytest.mark.parametrize("scope", [0x00, 0x02])
def test_production_and_unknown_scopes_are_refused_on_the_bench(scope: int) -> None:
    with pytest.raises(WrongScope):
        ca(scope=scope)


@pytest.mark.parametrize(("scope", "is_good"), [(0x00, True), (0x01, False), (0xFF, True)])
def test_production_refuses_test_certificates(scope: int, is_good: bool) -> None:
    rules = replace(RULES, is_test=False)
    if is_good:
        assert ca(rules, scope=scope).scope == scope
    else:
        with pytest.raises(WrongScope):
            ca(rules, scope=scope)


def test_ca_of_the_future_is_refused() -> None:
    with pytest.raises(CertificateNotYetValid, match="2099-01-01"):
        ca(start="20990101")


def test_expired_ca_is_accepted_with_a_warning_where_that_is_the_rule() -> None:
    issuer = ca(end="20010101")
    assert "2001-01-01" in issuer.warnings[0]
    assert "2001-01-01" in card(issuer).warnings[0]


def test_expired_ca_is_refused_otherwise() -> None:
    with pytest.raises(CertificateExpired, match="2001-01-01"):
        ca(REFUSE_EXPIRED, end="20010101")


def test_no_dates_mean_no_limit() -> None:
    assert ca().start_date is None
    assert card(ca()).recovered.end_date is None


@pytest.mark.parametrize(
    ("target_aid", "mode", "is_good"),
    [(AID, 0, True), (AID[:5], 1, True), (AID[:5], 0, False)],
)
def test_target_aid_binds_the_card_certificate(target_aid: bytes, mode: int, is_good: bool) -> None:
    issuer = ca(aid=target_aid, mode=mode)
    if is_good:
        assert card(issuer).issuer.aid == target_aid
    else:
        with pytest.raises(WrongAid):
            card(issuer)


def test_target_aid_of_four_bytes_is_refused() -> None:
    with pytest.raises(MalformedCertificate, match="AID size 04"):
        ca(aid=AID[:4])


# Variation of the card certificate


def test_card_certificate_of_the_past_is_accepted_with_a_warning_where_that_is_the_rule() -> None:
    assert "2001-01-01" in card(ca(), end="20010101").warnings[0]


def test_card_certificate_of_the_past_is_refused_otherwise() -> None:
    with pytest.raises(CertificateExpired):
        card(ca(REFUSE_EXPIRED), rules=REFUSE_EXPIRED, end="20010101")


def test_card_certificate_signed_by_the_pca_is_accepted() -> None:
    assert card(ROOT, key=PCA).issuer is ROOT


def test_card_certificate_of_the_future_is_refused() -> None:
    with pytest.raises(CertificateNotYetValid):
        card(ca(), start="20270101")


def test_altered_last_byte_of_a_card_certificate_is_refused() -> None:
    raw = bytes.fromhex(OWN["card_certificate"])
    certificate = CardCertificate.parse(raw[:-1] + bytes((raw[-1] ^ 1,)))
    with pytest.raises(InvalidCertificateSignature) as refusal:
        verify_card_certificate(certificate, ca(), RULES, serial=SERIAL)
    assert refusal.value.step == "signature"


# Refusals beyond the table


def test_certificate_of_another_card_is_refused() -> None:
    with pytest.raises(WrongSerialNumber, match="0000000011223345"):
        card(ca(), serial=bytes.fromhex("0000000011223345"))


def test_first_two_bytes_of_the_serial_are_not_the_cards() -> None:
    assert card(ca(), serial=b"\x12\x34" + SERIAL[2:]).public_key is not None


def test_certificate_serial_must_start_with_zeros() -> None:
    serial = b"\x12\x34" + SERIAL[2:]
    raw = second_pki.make_card(
        CA, issuer=CA_REFERENCE, aid=AID, serial=serial, public=PUBLIC, startup=bytes(7)
    )
    with pytest.raises(WrongSerialNumber):
        verify_card_certificate(CardCertificate.parse(raw), ca(), RULES, serial=serial)


def test_certificate_that_names_another_issuer_is_refused() -> None:
    with pytest.raises(WrongIssuer):
        card(ca(), named=SUB_CA_REFERENCE)


def test_certificate_of_another_application_is_refused() -> None:
    with pytest.raises(WrongAid, match="selected"):
        card(ca(), df_name=AID[:-1] + b"\x99")


def test_selected_application_need_not_be_compared() -> None:
    assert card(ca(), df_name=None).certificate.fields.aid == AID


def sub_ca(
    issuer: CaCertificateContent, rules: TrustRules, **fields: str | int | bytes | None
) -> CaCertificateContent:
    raw = second_pki.make_ca(
        CA, issuer=issuer.reference.raw, target=SUB_CA_REFERENCE, modulus=CA.n, **fields
    )
    return verify_ca_certificate(CaCertificate.parse(raw), issuer, rules)


def test_chain_may_have_as_many_cas_as_the_rules_say() -> None:
    rules = replace(RULES, ca_certificates_max=2)
    below = sub_ca(ca(rules), rules)
    assert below.chain_length == 2
    assert card(below, rules=rules).issuer is below


def test_too_long_a_chain_is_refused() -> None:
    rules = replace(RULES, ca_certificates_max=1)
    with pytest.raises(ChainTooLong, match="allowed: 1"):
        sub_ca(ca(rules), rules)


@pytest.mark.parametrize("rights", [0x01, 0x05, 0x03])
def test_ca_without_the_right_certifies_no_ca(rights: int) -> None:
    issuer = ca(rights=rights)
    with pytest.raises(IssuerNotEntitled, match="may not sign CA certificates"):
        sub_ca(issuer, RULES)


@pytest.mark.parametrize("mode", [0, 1])
def test_ca_for_any_aid_is_refused_below_one_for_a_certain_aid(mode: int) -> None:
    issuer = ca(aid=AID, mode=mode)
    with pytest.raises(WrongAid, match="none"):
        sub_ca(issuer, RULES)


def test_longer_aid_must_start_with_the_issuers() -> None:
    issuer = ca(aid=AID, mode=1)
    assert sub_ca(issuer, RULES, aid=AID + b"\x01", mode=1).aid == AID + b"\x01"
    with pytest.raises(WrongAid):
        sub_ca(issuer, RULES, aid=AID[:-1], mode=1)


def test_ca_that_expires_after_it_was_verified_stops_its_cards() -> None:
    issuer = ca(REFUSE_EXPIRED, end="20260601")
    assert card(issuer, rules=REFUSE_EXPIRED).warnings == ()
    with pytest.raises(CertificateExpired, match="CA certificate"):
        card(issuer, rules=replace(REFUSE_EXPIRED, today=date(2026, 6, 2)))


@pytest.mark.parametrize("day", [date(2026, 1, 1), date(2026, 12, 31)])
def test_first_and_last_day_are_valid(day: date) -> None:
    rules = replace(REFUSE_EXPIRED, today=day)
    assert ca(rules, start="20260101", end="20261231").warnings == ()


@pytest.mark.parametrize(
    ("start", "complaint"), [("2026AB01", "decimal"), ("20260230", "calendar")]
)
def test_date_that_is_none_is_refused(start: str, complaint: str) -> None:
    with pytest.raises(MalformedCertificate, match=complaint):
        ca(start=start)
    with pytest.raises(MalformedCertificate, match=complaint):
        card(ca(), start=start)


@pytest.mark.parametrize(
    ("kind", "raw", "error"),
    [
        (CaCertificate, b"", UnknownCertificateType),
        (CaCertificate, b"\x91" + bytes(383), UnknownCertificateType),
        (CaCertificate, b"\x90\x01" + bytes(381), MalformedCertificate),
        (CaCertificate, b"\x90\x02" + bytes(382), MalformedCertificate),
        (CardCertificate, b"\x90" + bytes(315), UnknownCertificateType),
        (CardCertificate, b"\x91\x01" + bytes(315), MalformedCertificate),
        (CardCertificate, b"\x91\x00" + bytes(314), MalformedCertificate),
        (CardCertificate, b"\x91\x01" + bytes(29) + b"\x11" + bytes(284), MalformedCertificate),
        (CardCertificate, b"\x91\x01" + bytes(29) + b"\xff" + bytes(284), MalformedCertificate),
    ],
)
def test_bytes_that_are_no_certificate_are_refused(
    kind: type[CaCertificate | CardCertificate], raw: bytes, error: type[InvalidCertificate]
) -> None:
    with pytest.raises(error):
        kind.parse(raw)


def test_certified_key_must_have_2048_bits() -> None:
    raw = second_pki.make_ca(PCA, issuer=PCA_REFERENCE, target=CA_REFERENCE, modulus=CA.n >> 1)
    with pytest.raises(MalformedCertificate, match="2048 bits"):
        verify_ca_certificate(CaCertificate.parse(raw), ROOT, RULES)


def test_certified_card_key_must_lie_on_the_curve() -> None:
    with pytest.raises(MalformedCertificate, match="secp256r1"):
        card(ca(), public=PUBLIC[:-1] + bytes((PUBLIC[-1] ^ 1,)))
