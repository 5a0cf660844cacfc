"""One flipped bit anywhere in the chain is refused by an error that says which step failed."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.protocol.calypso.pki import card_key
from cardbench.protocol.calypso.pki.ca_certificate import CaCertificate
from cardbench.protocol.calypso.pki.card_certificate import CardCertificate
from cardbench.protocol.calypso.pki.iso9796 import public_key_of
from cardbench.protocol.calypso.pki.key_reference import KeyReference
from cardbench.protocol.calypso.pki.verification import (
    TrustRules,
    pca_content,
    verify_ca_certificate,
    verify_card_certificate,
)
from cardbench.protocol.errors import (
    InvalidCertificate,
    InvalidCertificateSignature,
    InvalidSignature,
    MalformedCertificate,
    UnknownCertificateType,
    UsageError,
    WrongIssuer,
    WrongSerialNumber,
)

_VECTORS = Path(__file__).parents[3] / "vectors" / "calypso-pki.toml"
OWN: dict[str, Any] = tomllib.loads(_VECTORS.read_text())["own"]
RULES = TrustRules(today=date(2026, 6, 1), is_test=True)


def own(name: str) -> bytes:
    return bytes.fromhex(OWN[name])


def flipped(raw: bytes, bit: int) -> bytes:
    return (int.from_bytes(raw) ^ 1 << (8 * len(raw) - 1 - bit)).to_bytes(len(raw))


def verify(root: bytes, reference: bytes, ca: bytes, card: bytes) -> bytes:
    pca = pca_content(KeyReference(reference), public_key_of(root))
    issuer = verify_ca_certificate(CaCertificate.parse(ca), pca, RULES)
    content = verify_card_certificate(
        CardCertificate.parse(card),
        issuer,
        RULES,
        serial=own("card_serial"),
        df_name=own("card_aid"),
    )
    return card_key.encode_public_key(content.public_key)


CHAIN = [own("pca_modulus"), own("pca_reference"), own("ca_certificate"), own("card_certificate")]


def test_unflipped_chain_is_good() -> None:
    assert verify(*CHAIN) == own("card_public_key")


@given(bit=st.integers(0, 8 * 384 - 1))
def test_flipped_bit_of_the_ca_certificate_is_refused(bit: int) -> None:
    root, reference, ca, card = CHAIN
    with pytest.raises(InvalidCertificate) as refusal:
        verify(root, reference, flipped(ca, bit), card)
    assert refusal.value.step != "certificate"
    assert refusal.value.step in str(refusal.value)


@given(bit=st.integers(0, 8 * 316 - 1))
def test_flipped_bit_of_the_card_certificate_is_refused(bit: int) -> None:
    root, reference, ca, card = CHAIN
    with pytest.raises(InvalidCertificate) as refusal:
        verify(root, reference, ca, flipped(card, bit))
    assert refusal.value.step != "certificate"


@given(bit=st.integers(1, 8 * 256 - 2))
def test_flipped_bit_of_the_root_key_is_refused(bit: int) -> None:
    root, reference, ca, card = CHAIN
    with pytest.raises(InvalidCertificateSignature):
        verify(flipped(root, bit), reference, ca, card)


@pytest.mark.parametrize("bit", [0, 2047])
def test_root_that_is_no_modulus_any_more_is_refused(bit: int) -> None:
    with pytest.raises(UsageError):
        public_key_of(flipped(own("pca_modulus"), bit))


@given(bit=st.integers(0, 8 * 29 - 1))
def test_flipped_bit_of_the_root_reference_is_refused(bit: int) -> None:
    root, reference, ca, card = CHAIN
    with pytest.raises(WrongIssuer):
        verify(root, flipped(reference, bit), ca, card)


@pytest.mark.parametrize(
    ("offset", "error"),
    [
        (0, UnknownCertificateType),
        (1, MalformedCertificate),
        (2, WrongIssuer),
        (31, MalformedCertificate),  # AID size 09 is a legal one: its signature then fails
        (48, WrongSerialNumber),
        (56, InvalidCertificateSignature),
        (60, InvalidCertificateSignature),
        (315, InvalidCertificateSignature),
    ],
)
def test_step_that_fails_is_the_one_of_the_field(
    offset: int, error: type[InvalidCertificate]
) -> None:
    root, reference, ca, card = CHAIN
    with pytest.raises(error):
        verify(root, reference, ca, flipped(card, 8 * offset + 3))


@given(bit=st.integers(0, 8 * 64 - 1))
def test_flipped_bit_of_a_session_signature_is_refused(bit: int) -> None:
    session = OWN["session"]
    key = card_key.parse_public_key(own("card_public_key"))
    with pytest.raises(InvalidSignature):
        card_key.verify(
            key,
            bytes.fromhex(session["transcript"]),
            flipped(bytes.fromhex(session["signature"]), bit),
        )


@given(data=st.data())
def test_flipped_bit_of_a_transcript_is_refused(data: st.DataObject) -> None:
    session = OWN["session"]
    transcript = bytes.fromhex(session["transcript"])
    bit = data.draw(st.integers(0, 8 * len(transcript) - 1))
    key = card_key.parse_public_key(own("card_public_key"))
    with pytest.raises(InvalidSignature):
        card_key.verify(key, flipped(transcript, bit), bytes.fromhex(session["signature"]))


@pytest.mark.parametrize("zeroed", [slice(0, 32), slice(32, 64)])
def test_r_or_s_of_zero_is_refused(zeroed: slice) -> None:
    signature = bytearray(bytes.fromhex(OWN["session"]["signature"]))
    signature[zeroed] = bytes(32)
    key = card_key.parse_public_key(own("card_public_key"))
    with pytest.raises(InvalidSignature, match="zero"):
        card_key.verify(key, b"", bytes(signature))


@pytest.mark.parametrize("size", [0, 63, 65])
def test_signature_of_another_size_is_refused(size: int) -> None:
    key = card_key.parse_public_key(own("card_public_key"))
    with pytest.raises(InvalidSignature, match="it has 64"):
        card_key.verify(key, b"", bytes(size))
