"""The signature of Calypso certificates: ISO/IEC 9796-2 digital signature scheme 3.

RSA of 2048 bits, SHA-256 as hash and in the mask, no salt, implicit trailer `BC`. The scheme gives
back a part of what it signs: 222 bytes travel inside the signature and are *recovered* from it, the
rest of the message stands in clear before it.

    EM (256) = masked DB (223) ‖ H (32) ‖ BC
    DB       = 01 ‖ recoverable part (222)
    H        = SHA-256( 8-byte bit length of the recoverable part ‖ recoverable part ‖ SHA-256(rest) )
    mask     = MGF1-SHA-256(H, 223); the top bit of EM is cleared

It is neither PKCS#1 v1.5 nor the PSS of RFC 8017, so the raw RSA operations are written out here over
`cryptography` key objects. The private one is plain modular arithmetic, not constant in time: good for
a test bench, not for a certification authority.

Source: calypso-pki §1, §5.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from cardbench.protocol.errors import InvalidSignature, UsageError

KEY_SIZE_BITS: Final = 2048
SIGNATURE_SIZE_BYTES: Final = 256
PUBLIC_EXPONENT: Final = 65_537
RECOVERABLE_SIZE_BYTES: Final = 222

_HASH_SIZE: Final = 32
_DB_SIZE: Final = SIGNATURE_SIZE_BYTES - _HASH_SIZE - 1
_TRAILER: Final = 0xBC
_BIT_LENGTH: Final = (8 * RECOVERABLE_SIZE_BYTES).to_bytes(8)


def public_key_of(modulus: bytes) -> rsa.RSAPublicKey:
    """Return the public key of a modulus of 256 bytes, big-endian, with the exponent 65537.

    Raises:
        UsageError: not 256 bytes, or no modulus of exactly 2048 bits.
    """
    number = int.from_bytes(modulus)
    if len(modulus) != SIGNATURE_SIZE_BYTES or number.bit_length() != KEY_SIZE_BITS:
        raise UsageError(f"an RSA modulus has 2048 bits, not {number.bit_length()}")
    if not number % 2:
        raise UsageError("an RSA modulus is a product of odd primes, this one is even")
    return rsa.RSAPublicNumbers(PUBLIC_EXPONENT, number).public_key()


def private_key_of(p: bytes, q: bytes, *, is_known: bool = False) -> rsa.RSAPrivateKey:
    """Return the private key of two primes, big-endian, with the exponent 65537.

    Args:
        is_known: the primes were checked before, so that the slow check can be left out.

    Raises:
        UsageError: they make no key of exactly 2048 bits.
    """
    first, second = int.from_bytes(p), int.from_bytes(q)
    modulus = first * second
    if modulus.bit_length() != KEY_SIZE_BITS:
        raise UsageError(f"primes of a key with {modulus.bit_length()} bits; it has 2048")
    try:
        exponent = pow(PUBLIC_EXPONENT, -1, (first - 1) * (second - 1))
        return rsa.RSAPrivateNumbers(
            p=first,
            q=second,
            d=exponent,
            dmp1=exponent % (first - 1),
            dmq1=exponent % (second - 1),
            iqmp=pow(second, -1, first),
            public_numbers=rsa.RSAPublicNumbers(PUBLIC_EXPONENT, modulus),
        ).private_key(unsafe_skip_rsa_key_validation=is_known)
    except ValueError as error:
        raise UsageError(f"no two primes of an RSA key: {error}") from None


def modulus_of(key: rsa.RSAPublicKey) -> bytes:
    """Return the modulus of a key, 256 bytes, big-endian.

    Raises:
        UsageError: the key has another size or exponent than Calypso certificates have.
    """
    numbers = key.public_numbers()
    if key.key_size != KEY_SIZE_BITS or numbers.e != PUBLIC_EXPONENT:
        raise UsageError(
            f"an RSA key of {key.key_size} bits with exponent {numbers.e}; "
            f"allowed: {KEY_SIZE_BITS} bits with {PUBLIC_EXPONENT}"
        )
    return numbers.n.to_bytes(SIGNATURE_SIZE_BYTES)


def sign(key: rsa.RSAPrivateKey, recoverable: bytes, rest: bytes) -> bytes:
    """Sign a message in two parts; the same message and key give the same 256 bytes.

    Args:
        key: 2048 bits, exponent 65537.
        recoverable: 222 bytes, which the signature carries.
        rest: what stands before the signature, any length.

    Raises:
        UsageError: wrong key, or not 222 bytes.

    Source: calypso-pki §5.1.
    """
    modulus_of(key.public_key())
    if len(recoverable) != RECOVERABLE_SIZE_BYTES:
        raise UsageError(f"{len(recoverable)} recoverable bytes; the scheme takes 222")
    digest = _digest(recoverable, rest)
    encoded = _mask(b"\x01" + recoverable, digest) + digest + bytes((_TRAILER,))
    return _private_operation(key, int.from_bytes(encoded)).to_bytes(SIGNATURE_SIZE_BYTES)


def recover(key: rsa.RSAPublicKey, signature: bytes, rest: bytes) -> bytes:
    """Verify a signature and return the 222 bytes that it carries.

    Raises:
        UsageError: wrong key.
        InvalidSignature: the signature is not of this key over this message.

    Source: calypso-pki §5.2.
    """
    modulus = int.from_bytes(modulus_of(key))
    number = int.from_bytes(signature)
    if len(signature) != SIGNATURE_SIZE_BYTES or number >= modulus:
        raise InvalidSignature("the signature is no number below the modulus of its key")
    encoded = pow(number, PUBLIC_EXPONENT, modulus).to_bytes(SIGNATURE_SIZE_BYTES)
    if encoded[-1] != _TRAILER:
        raise InvalidSignature(
            f"the signature ends with {encoded[-1]:02X}, not with its trailer BC"
        )
    digest = encoded[_DB_SIZE:-1]
    padding, mark, recoverable = _mask(encoded[:_DB_SIZE], digest).partition(b"\x01")
    if any(padding) or not mark or len(recoverable) != RECOVERABLE_SIZE_BYTES:
        raise InvalidSignature("the signature carries no recoverable part of 222 bytes")
    if not hmac.compare_digest(_digest(recoverable, rest), digest):
        raise InvalidSignature("the signature belongs to another message")
    return recoverable


def _digest(recoverable: bytes, rest: bytes) -> bytes:
    return hashlib.sha256(_BIT_LENGTH + recoverable + hashlib.sha256(rest).digest()).digest()


def _mask(data_block: bytes, seed: bytes) -> bytes:
    """Mask or unmask DB, 223 bytes: the same operation. The top bit comes out cleared."""
    blocks = -(-_DB_SIZE // _HASH_SIZE)
    mask = b"".join(hashlib.sha256(seed + n.to_bytes(4)).digest() for n in range(blocks))
    mixed = int.from_bytes(data_block) ^ int.from_bytes(mask[:_DB_SIZE])
    return (mixed & ~(1 << (8 * _DB_SIZE - 1))).to_bytes(_DB_SIZE)


def _private_operation(key: rsa.RSAPrivateKey, message: int) -> int:
    """Compute message^d mod n by the Chinese remainder theorem."""
    numbers = key.private_numbers()
    by_p = pow(message, numbers.dmp1, numbers.p)
    by_q = pow(message, numbers.dmq1, numbers.q)
    return by_q + (by_p - by_q) * numbers.iqmp % numbers.p * numbers.q
