"""The key of a Calypso card, and the raw forms in which its parts travel.

ECDSA on secp256r1 with SHA-256. On the wire a public key is X ‖ Y (64 bytes, no `04` before it), a key
pair X ‖ Y ‖ private scalar (96 bytes), a signature r ‖ s (64 bytes); all numbers are 32 bytes,
big-endian.

Signatures are made with the deterministic nonce of RFC 6979, so that a seeded card repeats itself.

Source: calypso-pki §1, §2.2, §5.3.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature as LibraryInvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from cardbench.protocol.calypso.pki.sizes import (
    CARD_SIGNATURE_SIZE_BYTES,
    KEY_PAIR_SIZE_BYTES,
    PRIVATE_KEY_SIZE_BYTES,
    PUBLIC_KEY_SIZE_BYTES,
)
from cardbench.protocol.errors import InvalidSignature, UsageError

KEY_MATERIAL_SIZE_BYTES: Final = 40
"""Random bytes that one private key is made of: 64 bits more than it has, against bias."""

_COORDINATE: Final = 32
_GROUP_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def generate_private_key(key_material: bytes) -> ec.EllipticCurvePrivateKey:
    """Make a private key out of 40 random bytes; the same bytes make the same key.

    Raises:
        UsageError: not 40 bytes.

    Source: FIPS 186-5 A.2.1 (extra random bits).
    """
    if len(key_material) != KEY_MATERIAL_SIZE_BYTES:
        raise UsageError(f"{len(key_material)} bytes of key material; 40 are needed")
    scalar = int.from_bytes(key_material) % (_GROUP_ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


def parse_public_key(raw: bytes) -> ec.EllipticCurvePublicKey:
    """Read X ‖ Y.

    Raises:
        UsageError: not 64 bytes, or no point of the curve.
    """
    if len(raw) != PUBLIC_KEY_SIZE_BYTES:
        raise UsageError(f"a card's public key of {len(raw)} byte(s); it has 64")
    x, y = int.from_bytes(raw[:_COORDINATE]), int.from_bytes(raw[_COORDINATE:])
    try:
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError:
        raise UsageError("the card's public key is no point of secp256r1") from None


def encode_public_key(key: ec.EllipticCurvePublicKey) -> bytes:
    """Write X ‖ Y, 64 bytes.

    Raises:
        UsageError: a key of another curve.
    """
    numbers = key.public_numbers()
    if not isinstance(numbers.curve, ec.SECP256R1):
        raise UsageError(f"a key on {numbers.curve.name}; a Calypso card's is on secp256r1")
    return numbers.x.to_bytes(_COORDINATE) + numbers.y.to_bytes(_COORDINATE)


def parse_private_key(raw: bytes) -> ec.EllipticCurvePrivateKey:
    """Read a private scalar of 32 bytes.

    Raises:
        UsageError: not 32 bytes, zero, or not below the order of the curve.
    """
    scalar = int.from_bytes(raw)
    if len(raw) != PRIVATE_KEY_SIZE_BYTES or not 0 < scalar < _GROUP_ORDER:
        raise UsageError("the card's private key is no scalar of secp256r1")
    return ec.derive_private_key(scalar, ec.SECP256R1())


def encode_private_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write the private scalar, 32 bytes: a secret."""
    return key.private_numbers().private_value.to_bytes(PRIVATE_KEY_SIZE_BYTES)


def parse_key_pair(raw: bytes) -> ec.EllipticCurvePrivateKey:
    """Read X ‖ Y ‖ private scalar and check that both belong together.

    Raises:
        UsageError: not 96 bytes, no key, or the public part is of another private one.
    """
    if len(raw) != KEY_PAIR_SIZE_BYTES:
        raise UsageError(f"a key pair of {len(raw)} byte(s); it has 96")
    key = parse_private_key(raw[PUBLIC_KEY_SIZE_BYTES:])
    if encode_public_key(key.public_key()) != raw[:PUBLIC_KEY_SIZE_BYTES]:
        raise UsageError("the public part of the key pair does not belong to the private part")
    return key


def encode_key_pair(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write X ‖ Y ‖ private scalar, 96 bytes: a secret."""
    return encode_public_key(key.public_key()) + encode_private_key(key)


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Sign with SHA-256 and the nonce of RFC 6979; return r ‖ s, 64 bytes."""
    signature = key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(signature)
    return r.to_bytes(_COORDINATE) + s.to_bytes(_COORDINATE)


def verify(key: ec.EllipticCurvePublicKey, message: bytes, signature: bytes) -> None:
    """Check a signature r ‖ s.

    Raises:
        InvalidSignature: not 64 bytes, r or s is zero, or it does not verify.
    """
    if len(signature) != CARD_SIGNATURE_SIZE_BYTES:
        raise InvalidSignature(f"a card's signature of {len(signature)} byte(s); it has 64")
    r, s = int.from_bytes(signature[:_COORDINATE]), int.from_bytes(signature[_COORDINATE:])
    if not r or not s:
        raise InvalidSignature("r or s of the card's signature is zero")
    try:
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except LibraryInvalidSignature:
        raise InvalidSignature("the card's signature does not verify") from None
