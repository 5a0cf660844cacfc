"""An issuer signs what its own certificate allows, and nothing else."""

from dataclasses import replace
from datetime import date

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cardbench.protocol.calypso.pki import card_key, iso9796
from cardbench.protocol.calypso.pki.ca_certificate import (
    CaCertificateFields,
    CaRights,
    Scope,
    SigningRight,
)
from cardbench.protocol.calypso.pki.card_certificate import (
    CardCertificateFields,
    CardCertificateRecoverable,
)
from cardbench.protocol.calypso.pki.dates import parse_date
from cardbench.protocol.calypso.pki.issuing import (
    CardRequest,
    CaRequest,
    Issuer,
    issue_ca_certificate,
    issue_card_certificate,
)
from cardbench.protocol.calypso.pki.key_reference import KeyReference
from cardbench.protocol.calypso.pki.public_test_keys import public_test_ca, public_test_pca
from cardbench.protocol.calypso.pki.verification import pca_content
from cardbench.protocol.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    IssuerNotEntitled,
    UsageError,
    WrongAid,
    WrongScope,
)

TODAY = date(2026, 6, 1)
AID = bytes.fromhex("A000000291FF9101")
TARGET = KeyReference.of(aid=AID, serial=bytes(8), key_id=7)
KEY = card_key.generate_private_key(bytes(range(40)))
CARD = CardRequest(
    aid=AID, serial=bytes.fromhex("1234000011223344"), startup=bytes(7), public_key=KEY.public_key()
)
SUB_CA = CaRequest(target=TARGET, public_key=public_test_ca().content.public_key, scope=Scope.TEST)


def ca(**changes: object) -> Issuer:
    issuer = public_test_ca()
    return replace(issuer, content=replace(issuer.content, **changes))  # type: ignore[arg-type]


def test_certificate_carries_the_serial_without_its_first_two_bytes() -> None:
    certificate = issue_card_certificate(ca(), CARD, today=TODAY)
    assert certificate.fields.serial.hex() == "0000000011223344"


def test_ca_without_the_right_does_not_sign() -> None:
    with pytest.raises(IssuerNotEntitled):
        issue_ca_certificate(ca(may_sign_ca_certificates=False), SUB_CA, today=TODAY)
    with pytest.raises(IssuerNotEntitled):
        issue_card_certificate(ca(may_sign_card_certificates=False), CARD, today=TODAY)


@pytest.mark.parametrize(
    ("today", "error"),
    [(date(2023, 12, 31), CertificateNotYetValid), (date(2100, 1, 1), CertificateExpired)],
)
def test_ca_signs_within_its_own_dates_only(today: date, error: type[Exception]) -> None:
    with pytest.raises(error):
        issue_ca_certificate(ca(), SUB_CA, today=today)
    with pytest.raises(error):
        issue_card_certificate(ca(), CARD, today=today)


def test_scope_follows_the_issuer() -> None:
    with pytest.raises(WrongScope):
        issue_ca_certificate(ca(), replace(SUB_CA, scope=Scope.UNRESTRICTED), today=TODAY)
    production = ca(scope=Scope.PRODUCTION)
    wide = issue_ca_certificate(production, replace(SUB_CA, scope=Scope.UNRESTRICTED), today=TODAY)
    assert wide.fields.scope == Scope.UNRESTRICTED


def test_aid_follows_the_issuer() -> None:
    narrow = ca(aid=AID)
    with pytest.raises(WrongAid):
        issue_card_certificate(narrow, replace(CARD, aid=AID + b"\x01"), today=TODAY)
    with pytest.raises(WrongAid):
        issue_ca_certificate(narrow, SUB_CA, today=TODAY)
    fitting = issue_ca_certificate(narrow, replace(SUB_CA, target_aid=AID), today=TODAY)
    assert fitting.fields.target_aid == AID
    longer = ca(aid=AID, allows_longer_aid=True)
    assert issue_card_certificate(longer, replace(CARD, aid=AID + b"\x01"), today=TODAY)


@pytest.mark.parametrize(
    "changes",
    [
        {"card_certificates": SigningRight.RESERVED},
        {"target_aid": b"1234"},
        {"target_aid": bytes(8)},
        {"start_date": TODAY, "end_date": date(2026, 5, 31)},
        {"public_key": rsa.RSAPublicNumbers(3, (1 << 2047) + 1).public_key()},
    ],
)
def test_ca_request_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        issue_ca_certificate(ca(), replace(SUB_CA, **changes), today=TODAY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"aid": b"1234"},
        {"serial": bytes(7)},
        {"startup": bytes(8)},
        {"index": -1},
        {"index": 1 << 32},
        {"public_key": ec.derive_private_key(5, ec.SECP384R1()).public_key()},
        {"start_date": TODAY, "end_date": date(2026, 5, 31)},
    ],
)
def test_card_request_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        issue_card_certificate(ca(), replace(CARD, **changes), today=TODAY)  # type: ignore[arg-type]


def test_key_of_another_certificate_is_refused() -> None:
    with pytest.raises(UsageError, match="not the one of"):
        Issuer(private_key=public_test_pca().private_key, content=public_test_ca().content)


def test_private_key_is_not_shown() -> None:
    assert "private_key" not in repr(public_test_ca())


def test_root_must_have_an_rsa_key_of_2048_bits() -> None:
    with pytest.raises(UsageError, match="1024 bits"):
        pca_content(TARGET, rsa.RSAPublicNumbers(65_537, (1 << 1023) + 1).public_key())


def test_rights_byte_is_read_and_written_back() -> None:
    for byte in range(256):
        assert CaRights.parse(byte).encode() == byte


def test_fields_of_the_wrong_size_are_not_written() -> None:
    fields = CaCertificateFields(issuer=TARGET, target=TARGET)
    with pytest.raises(UsageError, match="modulus header"):
        fields.encode(bytes(33))
    with pytest.raises(UsageError, match="serial"):
        CardCertificateFields(issuer=TARGET, aid=AID, serial=bytes(9)).encode()
    with pytest.raises(UsageError, match="public key"):
        CardCertificateRecoverable(public_key=bytes(65), startup=bytes(7)).encode()
    with pytest.raises(UsageError, match="222"):
        iso9796.sign(public_test_ca().private_key, bytes(221), b"")


@pytest.mark.parametrize(
    "parts",
    [
        {"aid": b"1234", "serial": bytes(8), "key_id": 0},
        {"aid": None, "serial": bytes(7), "key_id": 0},
        {"aid": None, "serial": bytes(8), "key_id": 1 << 32},
    ],
)
def test_key_reference_that_cannot_be_is_refused(parts: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        KeyReference.of(**parts)  # type: ignore[arg-type]


def test_key_reference_without_aid_is_written_with_ff() -> None:
    reference = KeyReference.of(aid=None, serial=b"12345678", key_id=0xA1B2C3D4)
    assert str(reference) == "FF" + "00" * 16 + "3132333435363738" + "A1B2C3D4"
    assert (reference.aid, reference.serial, reference.key_id) == (None, b"12345678", 0xA1B2C3D4)
    with pytest.raises(UsageError, match="29"):
        KeyReference(bytes(28))


@pytest.mark.parametrize("size", [0, 39, 41])
def test_key_material_must_have_its_size(size: int) -> None:
    with pytest.raises(UsageError):
        card_key.generate_private_key(bytes(size))


def test_key_pair_is_read_and_written_back() -> None:
    raw = card_key.encode_key_pair(KEY)
    assert len(raw) == 96
    assert card_key.encode_key_pair(card_key.parse_key_pair(raw)) == raw


@pytest.mark.parametrize(
    "raw",
    [
        bytes(95),
        bytes(96),
        b"\xff" * 96,
        card_key.encode_key_pair(KEY)[:-1] + b"\0",
    ],
)
def test_bytes_that_are_no_key_pair_are_refused(raw: bytes) -> None:
    with pytest.raises(UsageError):
        card_key.parse_key_pair(raw)


@pytest.mark.parametrize("raw", [bytes(63), bytes(64), b"\xff" * 64])
def test_bytes_that_are_no_public_key_are_refused(raw: bytes) -> None:
    with pytest.raises(UsageError):
        card_key.parse_public_key(raw)


def test_date_has_four_bytes() -> None:
    with pytest.raises(UsageError):
        parse_date(b"\x20\x24")


def test_private_key_is_made_of_its_primes() -> None:
    numbers = public_test_ca().private_key.private_numbers()
    p, q = numbers.p.to_bytes(128), numbers.q.to_bytes(128)
    assert iso9796.private_key_of(p, q).public_key() == public_test_ca().content.public_key


@pytest.mark.parametrize(
    ("p", "q", "complaint"),
    [(b"\x05", b"\x07", "6 bits"), (b"\xff" * 128, b"\xfd" + b"\xff" * 127, "no two primes")],
)
def test_numbers_that_make_no_private_key_are_refused(p: bytes, q: bytes, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        iso9796.private_key_of(p, q)
