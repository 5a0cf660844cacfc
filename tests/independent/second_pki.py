"""A second implementation of the Calypso PKI, to judge the first by. It imports nothing of the project.

Only the standard library and plain integers: no `cryptography`, other structure (`struct` instead of
slices, right-to-left decoding, Jacobian point arithmetic). It is written from ISO/IEC 9796-2 (scheme 3),
FIPS 186-4 (P-256) and the published certificate layouts.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

CA_LAYOUT = struct.Struct(">BB29s29s4s4sBB4sB16sB2s34s256s")
CARD_LAYOUT = struct.Struct(">BB29sB16s8sI256s")
CARD_RECOVERED_LAYOUT = struct.Struct(">4s4sB7s18s64s124s")
E = 65_537


class Refused(Exception):
    """The second opinion is no."""


class RsaKey(NamedTuple):
    n: int
    d: int = 0


def rsa_key(modulus: bytes, prime: bytes) -> RsaKey:
    n, p = int.from_bytes(modulus, "big"), int.from_bytes(prime, "big")
    assert n % p == 0
    lcm_like = (p - 1) * (n // p - 1)
    return RsaKey(n, pow(E, -1, lcm_like))


# ISO/IEC 9796-2, scheme 3: k = 256 bytes, SHA-256, MGF1, no salt, trailer BC


def _sha(data: bytes) -> bytes:
    return hashlib.new("sha256", data).digest()


def _mgf1(seed: bytes, size: int) -> bytearray:
    out, counter = bytearray(), 0
    while len(out) < size:
        out.extend(_sha(seed + struct.pack(">I", counter)))
        counter += 1
    return out[:size]


def _hash(recoverable: bytes, clear: bytes) -> bytes:
    return _sha(struct.pack(">Q", len(recoverable) << 3) + recoverable + _sha(clear))


def sign_9796(key: RsaKey, recoverable: bytes, clear: bytes) -> bytes:
    h = _hash(recoverable, clear)
    size = 256 - 1 - len(h)
    block = bytearray(size - 1 - len(recoverable)) + b"\x01" + recoverable
    for position, byte in enumerate(_mgf1(h, size)):
        block[position] ^= byte
    block[0] &= 0x7F
    f = int.from_bytes(bytes(block) + h + b"\xbc", "big")
    return pow(f, key.d, key.n).to_bytes(256, "big")


def open_9796(n: int, signature: bytes, clear: bytes) -> bytes:
    s = int.from_bytes(signature, "big")
    if len(signature) != 256 or s >= n:
        raise Refused("signature out of range")
    f = pow(s, E, n)
    f, trailer = divmod(f, 256)
    if trailer != 0xBC:
        raise Refused("trailer")
    f, h_number = divmod(f, 1 << 256)
    h = h_number.to_bytes(32, "big")
    mask = int.from_bytes(_mgf1(h, 223), "big")
    block = (f ^ mask) & ((1 << 1783) - 1)
    text = block.to_bytes(223, "big").lstrip(b"\0")
    if text[:1] != b"\x01":
        raise Refused("no start of the recoverable part")
    if _hash(text[1:], clear) != h:
        raise Refused("hash")
    return text[1:]


# NIST P-256

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Jacobian = tuple[int, int, int]


def _double(point: Jacobian) -> Jacobian:
    x, y, z = point
    if not y or not z:
        return (1, 1, 0)
    s = 4 * x * y * y % P
    m = 3 * (x - z * z) * (x + z * z) % P
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * pow(y, 4, P)) % P, 2 * y * z % P


def _add(a: Jacobian, b: Jacobian) -> Jacobian:
    if not a[2]:
        return b
    if not b[2]:
        return a
    za, zb = a[2] * a[2] % P, b[2] * b[2] % P
    ua, ub = a[0] * zb % P, b[0] * za % P
    sa, sb = a[1] * zb * b[2] % P, b[1] * za * a[2] % P
    if ua == ub:
        return _double(a) if sa == sb else (1, 1, 0)
    h, r = (ub - ua) % P, (sb - sa) % P
    hh = h * h % P
    hhh = h * hh % P
    x = (r * r - hhh - 2 * ua * hh) % P
    return x, (r * (ua * hh - x) - sa * hhh) % P, h * a[2] * b[2] % P


def _times(scalar: int, point: tuple[int, int]) -> Jacobian:
    result: Jacobian = (1, 1, 0)
    base: Jacobian = (point[0], point[1], 1)
    for bit in f"{scalar:b}":
        result = _double(result)
        if bit == "1":
            result = _add(result, base)
    return result


def _affine(point: Jacobian) -> tuple[int, int]:
    inverse = pow(point[2], -1, P)
    square = inverse * inverse % P
    return point[0] * square % P, point[1] * square * inverse % P


def ec_public(scalar: int) -> bytes:
    x, y = _affine(_times(scalar, G))
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


def ec_sign(scalar: int, message: bytes) -> bytes:
    digest = _sha(message)
    k = int.from_bytes(_sha(b"nonce" + scalar.to_bytes(32, "big") + digest), "big") % (N - 1) + 1
    r = _affine(_times(k, G))[0] % N
    s = pow(k, -1, N) * (int.from_bytes(digest, "big") + r * scalar) % N
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def ec_verify(public: bytes, message: bytes, signature: bytes) -> None:
    x, y = int.from_bytes(public[:32], "big"), int.from_bytes(public[32:], "big")
    if (y * y - x**3 + 3 * x - B) % P:
        raise Refused("public key is not on the curve")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if len(signature) != 64 or not 0 < r < N or not 0 < s < N:
        raise Refused("r or s out of range")
    w = pow(s, -1, N)
    u1 = int.from_bytes(_sha(message), "big") * w % N
    total = _add(_times(u1, G), _times(r * w % N, (x, y)))
    if not total[2] or _affine(total)[0] % N != r:
        raise Refused("session signature")


# Certificates


class CaInfo(NamedTuple):
    issuer: bytes
    target: bytes
    start: bytes
    end: bytes
    rights: int
    scope: int
    aid_size: int
    aid: bytes
    mode: int
    modulus: int


class CardInfo(NamedTuple):
    issuer: bytes
    aid: bytes
    serial: bytes
    index: int
    start: bytes
    end: bytes
    startup: bytes
    public: bytes


def open_ca(certificate: bytes, issuer_modulus: int) -> CaInfo:
    (
        kind,
        version,
        issuer,
        target,
        start,
        _,
        rights,
        scope,
        end,
        aid_size,
        aid,
        mode,
        _,
        head,
        sig,
    ) = CA_LAYOUT.unpack(certificate)
    if (kind, version) != (0x90, 1):
        raise Refused("type")
    tail = open_9796(issuer_modulus, sig, certificate[:-256])
    modulus = int.from_bytes(head + tail, "big")
    if modulus.bit_length() != 2048:
        raise Refused("modulus")
    return CaInfo(issuer, target, start, end, rights, scope, aid_size, aid, mode, modulus)


def open_card(certificate: bytes, issuer_modulus: int) -> CardInfo:
    kind, version, issuer, size, aid, serial, index, sig = CARD_LAYOUT.unpack(certificate)
    if (kind, version) != (0x91, 1):
        raise Refused("type")
    inside = open_9796(issuer_modulus, sig, certificate[:-256])
    start, end, _, startup, _, public, _ = CARD_RECOVERED_LAYOUT.unpack(inside)
    return CardInfo(issuer, aid[:size], serial, index, start, end, startup, public)


def make_ca(
    key: RsaKey,
    *,
    issuer: bytes,
    target: bytes,
    modulus: int,
    start: str = "00000000",
    end: str = "00000000",
    rights: int = 0x0A,
    scope: int = 0x01,
    aid: bytes | None = None,
    mode: int = 0,
) -> bytes:
    whole = modulus.to_bytes(256, "big")
    clear = CA_LAYOUT.pack(
        0x90,
        1,
        issuer,
        target,
        bytes.fromhex(start),
        b"",
        rights,
        scope,
        bytes.fromhex(end),
        0xFF if aid is None else len(aid),
        aid or b"",
        mode,
        b"",
        whole[:34],
        b"",
    )[:-256]
    return clear + sign_9796(key, whole[34:], clear)


def make_card(
    key: RsaKey,
    *,
    issuer: bytes,
    aid: bytes,
    serial: bytes,
    public: bytes,
    startup: bytes,
    start: str = "00000000",
    end: str = "00000000",
    index: int = 0,
) -> bytes:
    clear = CARD_LAYOUT.pack(0x91, 1, issuer, len(aid), aid, serial, index, b"")[:-256]
    inside = CARD_RECOVERED_LAYOUT.pack(
        bytes.fromhex(start), bytes.fromhex(end), 0, startup, b"", public, b""
    )
    return clear + sign_9796(key, inside, clear)


def session_message(apdus: list[bytes]) -> bytes:
    """Requests and responses in turn, as exchanged; Le of a case 4 request is left out."""
    out = bytearray(b"\x10")
    for position, apdu in enumerate(apdus):
        is_request = position % 2 == 0
        if is_request and len(apdu) > 6 and len(apdu) == 6 + apdu[4]:
            apdu = apdu[:-1]  # noqa: PLW2901 - the element as it is signed
        out.append(len(apdu) % 256)
        out += apdu
    return bytes(out)
