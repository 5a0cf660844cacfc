"""Published and own vectors of the Calypso PKI are reproduced byte by byte."""

import hashlib
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from cardbench.protocol.calypso.pki import card_key, iso9796
from cardbench.protocol.calypso.pki.ca_certificate import CaCertificate, Scope, SigningRight
from cardbench.protocol.calypso.pki.card_certificate import CardCertificate
from cardbench.protocol.calypso.pki.issuing import CardRequest, issue_card_certificate
from cardbench.protocol.calypso.pki.key_reference import KeyReference
from cardbench.protocol.calypso.pki.public_test_keys import (
    public_test_ca,
    public_test_ca_certificate,
    public_test_pca,
    published_test_pca,
)
from cardbench.protocol.calypso.pki.verification import (
    TrustRules,
    pca_content,
    verify_ca_certificate,
    verify_card_certificate,
)
from cardbench.protocol.errors import InvalidSignature

VECTORS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[3] / "vectors" / "calypso-pki.toml").read_text()
)
PUBLISHED, OWN = VECTORS["published"], VECTORS["own"]
RULES = TrustRules(today=date(2026, 6, 1), is_test=True)


def hexa(table: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(table[name])


def test_public_ca_certificate_verifies_against_its_public_root() -> None:
    root = pca_content(
        KeyReference(hexa(PUBLISHED, "pca_reference")),
        iso9796.public_key_of(hexa(PUBLISHED, "pca_modulus")),
    )
    certificate = CaCertificate.parse(hexa(PUBLISHED, "ca_certificate"))
    content = verify_ca_certificate(certificate, root, RULES)
    assert iso9796.modulus_of(content.public_key) == hexa(PUBLISHED, "ca_modulus")
    assert content.may_sign_card_certificates
    assert not content.may_sign_ca_certificates
    assert content.scope == Scope.TEST
    assert (content.start_date, content.end_date) == (date(2024, 2, 22), None)
    assert content.aid is None
    assert content.warnings == ()


def test_public_ca_certificate_is_read_field_by_field() -> None:
    fields = CaCertificate.parse(hexa(PUBLISHED, "ca_certificate")).fields
    assert fields.issuer.aid == bytes.fromhex("A000000291A0000101B001")
    assert (fields.issuer.serial, fields.issuer.key_id) == (bytes(8), 2)
    assert fields.target.aid == bytes.fromhex("A000000291A00100024001")
    assert fields.target.serial.hex() == "00000000aec8e0ea"
    assert fields.target.key_id == 0
    assert fields.rights.card_certificates is SigningRight.ALLOWED
    assert fields.rights.ca_certificates is SigningRight.FORBIDDEN
    assert not fields.allows_longer_aid


def test_packaged_published_root_is_the_published_one() -> None:
    root = published_test_pca()
    assert root.reference.raw == hexa(PUBLISHED, "pca_reference")
    assert iso9796.modulus_of(root.public_key) == hexa(PUBLISHED, "pca_modulus")


def test_own_ca_certificate_is_reproduced() -> None:
    assert public_test_pca().content.reference.raw == hexa(OWN, "pca_reference")
    assert public_test_ca_certificate().raw == hexa(OWN, "ca_certificate")
    assert iso9796.modulus_of(public_test_ca().content.public_key) == hexa(OWN, "ca_modulus")


def test_own_card_certificate_is_reproduced() -> None:
    key = card_key.parse_private_key(hexa(OWN, "card_private_key"))
    assert card_key.encode_public_key(key.public_key()) == hexa(OWN, "card_public_key")
    request = CardRequest(
        aid=hexa(OWN, "card_aid"),
        serial=hexa(OWN, "card_serial"),
        startup=hexa(OWN, "card_startup"),
        public_key=key.public_key(),
        start_date=date(2024, 1, 1),
        end_date=date(2099, 12, 31),
    )
    certificate = issue_card_certificate(public_test_ca(), request, today=RULES.today)
    assert certificate.raw == hexa(OWN, "card_certificate")


def test_own_card_certificate_gives_the_card_key() -> None:
    content = verify_card_certificate(
        CardCertificate.parse(hexa(OWN, "card_certificate")),
        public_test_ca().content,
        RULES,
        serial=hexa(OWN, "card_serial"),
        df_name=hexa(OWN, "card_aid"),
    )
    assert card_key.encode_public_key(content.public_key) == hexa(OWN, "card_public_key")
    assert content.recovered.startup == hexa(OWN, "card_startup")
    assert content.recovered.end_date == date(2099, 12, 31)


def test_intermediate_values_of_the_signature_are_those_of_the_vector() -> None:
    raw = hexa(OWN, "card_certificate")
    modulus = int.from_bytes(hexa(OWN, "ca_modulus"))
    encoded = pow(int.from_bytes(raw[-256:]), 65_537, modulus).to_bytes(256)
    assert encoded == hexa(OWN, "card_em")
    assert encoded[223:255] == hexa(OWN, "card_h")
    certificate = CardCertificate.parse(raw)
    clear_hash = hashlib.sha256(certificate.signed).digest()
    assert clear_hash == hexa(OWN, "card_hash_of_clear_part")


def test_own_session_signature_verifies() -> None:
    session = OWN["session"]
    transcript = hexa(session, "transcript")
    assert hashlib.sha256(transcript).digest() == hexa(session, "transcript_sha256")
    public_key = card_key.parse_public_key(hexa(OWN, "card_public_key"))
    card_key.verify(public_key, transcript, hexa(session, "signature"))


def test_signature_of_the_rfc_6979_key_is_reproduced() -> None:
    vector = VECTORS["rfc6979_session"]
    message = b"\x10"
    for text in vector["apdus"]:
        apdu = bytes.fromhex(text)
        apdu = apdu[:-1] if apdu[1] == 0x8A else apdu
        message += bytes((len(apdu),)) + apdu
    assert hashlib.sha256(message).digest() == hexa(vector, "message_sha256")
    key = card_key.parse_private_key(hexa(vector, "private_key"))
    assert card_key.encode_public_key(key.public_key()) == hexa(vector, "public_key")
    assert card_key.sign(key, message) == hexa(vector, "signature")


def test_another_root_does_not_open_the_public_certificate() -> None:
    certificate = CaCertificate.parse(hexa(PUBLISHED, "ca_certificate"))
    other = public_test_pca().content.public_key
    assert isinstance(other, rsa.RSAPublicKey)
    with pytest.raises(InvalidSignature):
        iso9796.recover(other, certificate.signature, certificate.signed)
