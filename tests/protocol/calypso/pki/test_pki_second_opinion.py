"""Two implementations agree: what ours issues the second one verifies, and the other way round."""

import ast
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from independent import second_pki

from cardbench.protocol.calypso.pki import card_key, iso9796
from cardbench.protocol.calypso.pki.ca_certificate import CaCertificate, Scope, SigningRight
from cardbench.protocol.calypso.pki.card_certificate import CardCertificate
from cardbench.protocol.calypso.pki.issuing import (
    CardRequest,
    CaRequest,
    Issuer,
    issue_ca_certificate,
    issue_card_certificate,
)
from cardbench.protocol.calypso.pki.key_reference import KeyReference
from cardbench.protocol.calypso.pki.public_test_keys import public_test_ca, public_test_pca
from cardbench.protocol.calypso.pki.verification import (
    TrustRules,
    verify_ca_certificate,
    verify_card_certificate,
)
from cardbench.protocol.errors import InvalidSignature

_VECTORS = Path(__file__).parents[3] / "vectors" / "calypso-pki.toml"
OWN: dict[str, Any] = tomllib.loads(_VECTORS.read_text())["own"]
TODAY = date(2026, 6, 1)
RULES = TrustRules(today=TODAY, is_test=True)
AIDS = st.binary(min_size=5, max_size=16).filter(any)
DAYS = st.none() | st.dates(date(1, 1, 1))
PCA_KEY = second_pki.rsa_key(bytes.fromhex(OWN["pca_modulus"]), bytes.fromhex(OWN["pca_prime"]))
CA_KEY = second_pki.rsa_key(bytes.fromhex(OWN["ca_modulus"]), bytes.fromhex(OWN["ca_prime"]))


def bcd(day: date | None) -> bytes:
    return bytes(4) if day is None else bytes.fromhex(day.strftime("%Y").zfill(4) + f"{day:%m%d}")


def test_second_implementation_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(second_pki.__file__).read_text())
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported == {"__future__", "hashlib", "struct", "typing"}


def test_second_implementation_opens_the_published_certificate() -> None:
    published = tomllib.loads(_VECTORS.read_text())["published"]
    root = int(published["pca_modulus"].replace("\n", ""), 16)
    opened = second_pki.open_ca(bytes.fromhex(published["ca_certificate"]), root)
    assert opened.modulus == int(published["ca_modulus"].replace("\n", ""), 16)


@pytest.mark.slow
@given(
    aid=st.none() | AIDS,
    longer=st.booleans(),
    serial=st.binary(min_size=8, max_size=8),
    key_id=st.integers(0, 0xFFFF_FFFF),
    start=DAYS,
    rights=st.tuples(*[st.sampled_from([r for r in SigningRight if r != 3])] * 2),
    scope=st.sampled_from(Scope),
)
def test_second_implementation_reads_our_ca_certificates(
    *,
    aid: bytes | None,
    longer: bool,
    serial: bytes,
    key_id: int,
    start: date | None,
    rights: tuple[SigningRight, SigningRight],
    scope: Scope,
) -> None:
    request = CaRequest(
        target=KeyReference.of(aid=aid, serial=serial, key_id=key_id),
        public_key=public_test_ca().content.public_key,
        start_date=start,
        card_certificates=rights[0],
        ca_certificates=rights[1],
        scope=scope,
        target_aid=aid,
        allows_longer_aid=longer,
    )
    ours = issue_ca_certificate(public_test_pca(), request, today=TODAY)
    theirs = second_pki.open_ca(ours.raw, PCA_KEY.n)
    assert theirs.modulus == CA_KEY.n
    assert theirs.issuer == public_test_pca().content.reference.raw
    assert theirs.target == request.target.raw
    assert (theirs.start, theirs.end) == (bcd(start), bytes(4))
    assert theirs.rights == rights[0] * 4 + rights[1]
    assert theirs.scope == scope
    assert theirs.aid_size == (0xFF if aid is None else len(aid))
    assert theirs.aid == (aid or b"").ljust(16, b"\0")
    assert theirs.mode == longer


@pytest.mark.slow
@given(
    aid=AIDS,
    serial=st.binary(min_size=8, max_size=8),
    startup=st.binary(min_size=7, max_size=7),
    index=st.integers(0, 0xFFFF_FFFF),
    material=st.binary(min_size=40, max_size=40),
    end=DAYS,
)
def test_second_implementation_reads_our_card_certificates(
    *, aid: bytes, serial: bytes, startup: bytes, index: int, material: bytes, end: date | None
) -> None:
    key = card_key.generate_private_key(material)
    request = CardRequest(
        aid=aid,
        serial=serial,
        startup=startup,
        public_key=key.public_key(),
        end_date=end,
        index=index,
    )
    ours = issue_card_certificate(public_test_ca(), request, today=TODAY)
    theirs = second_pki.open_card(ours.raw, CA_KEY.n)
    assert theirs == second_pki.CardInfo(
        issuer=public_test_ca().content.reference.raw,
        aid=aid,
        serial=b"\0\0" + serial[2:],
        index=index,
        start=bytes(4),
        end=bcd(end),
        startup=startup,
        public=card_key.encode_public_key(key.public_key()),
    )


def test_we_verify_a_chain_of_the_second_implementation() -> None:
    pca, ca = public_test_pca().content, public_test_ca().content
    scalar = 0x1234567890ABCDEF
    public = second_pki.ec_public(scalar)
    aid, serial = bytes.fromhex(OWN["card_aid"]), bytes.fromhex(OWN["card_serial"])
    ca_raw = second_pki.make_ca(
        PCA_KEY,
        issuer=pca.reference.raw,
        target=ca.reference.raw,
        modulus=CA_KEY.n,
        start="20240101",
        end="20991231",
    )
    assert ca_raw == bytes.fromhex(OWN["ca_certificate"])
    card_raw = second_pki.make_card(
        CA_KEY, issuer=ca.reference.raw, aid=aid, serial=serial, public=public, startup=bytes(7)
    )
    verified = verify_ca_certificate(CaCertificate.parse(ca_raw), pca, RULES)
    content = verify_card_certificate(
        CardCertificate.parse(card_raw), verified, RULES, serial=serial, df_name=aid
    )
    assert card_key.encode_public_key(content.public_key) == public
    message = second_pki.session_message([b"\x00\x8a\x08\x03\x01\x00\x00", b"\x90\x00"])
    card_key.verify(content.public_key, message, second_pki.ec_sign(scalar, message))


@pytest.mark.slow
@given(message=st.binary(max_size=300), material=st.binary(min_size=40, max_size=40))
def test_second_implementation_verifies_our_session_signatures(
    message: bytes, material: bytes
) -> None:
    key = card_key.generate_private_key(material)
    public = card_key.encode_public_key(key.public_key())
    scalar = int.from_bytes(card_key.encode_private_key(key))
    assert second_pki.ec_public(scalar) == public
    signature = card_key.sign(key, message)
    second_pki.ec_verify(public, message, signature)
    with pytest.raises(second_pki.Refused):
        second_pki.ec_verify(public, message + b"\0", signature)


@pytest.mark.slow
@given(recoverable=st.binary(min_size=222, max_size=222), clear=st.binary(max_size=300))
def test_both_sign_the_same_bytes(recoverable: bytes, clear: bytes) -> None:
    issuer = public_test_ca()
    ours = iso9796.sign(issuer.private_key, recoverable, clear)
    assert ours == second_pki.sign_9796(CA_KEY, recoverable, clear)
    assert iso9796.recover(issuer.content.public_key, ours, clear) == recoverable
    assert second_pki.open_9796(CA_KEY.n, ours, clear) == recoverable


@pytest.mark.slow
def test_a_fresh_root_works_as_the_packaged_one() -> None:
    private_key = rsa.generate_private_key(65_537, 2048)
    content = public_test_pca().content
    fresh = Issuer(
        private_key=private_key,
        content=type(content)(
            name="fresh", reference=content.reference, public_key=private_key.public_key()
        ),
    )
    request = CaRequest(
        target=public_test_ca().content.reference,
        public_key=public_test_ca().content.public_key,
        scope=Scope.TEST,
    )
    certificate = issue_ca_certificate(fresh, request, today=TODAY)
    numbers = private_key.public_key().public_numbers()
    assert second_pki.open_ca(certificate.raw, numbers.n).modulus == CA_KEY.n


def test_signature_that_is_too_large_or_short_is_refused() -> None:
    key = public_test_ca().content.public_key
    for signature in (b"\xff" * 256, bytes(255), bytes(256), b""):
        with pytest.raises(InvalidSignature):
            iso9796.recover(key, signature, b"")
