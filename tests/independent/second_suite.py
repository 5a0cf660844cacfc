"""A second implementation of the symmetric suite `cardbench-aes`, to judge the first by.

It imports nothing of the project and no cryptographic library: AES-128 is written from FIPS 197, CMAC
from RFC 4493, counter mode from NIST SP 800-38A, and the functions from the text of `docs/crypto.md`.
It is slow and does not care.
"""

from __future__ import annotations

from functools import lru_cache

BLOCK = 16


# AES-128, encryption only (FIPS 197)


def xtime(byte: int) -> int:
    byte <<= 1
    return byte ^ 0x11B if byte & 0x100 else byte


def multiply(left: int, right: int) -> int:
    product = 0
    while right:
        if right & 1:
            product ^= left
        left, right = xtime(left), right >> 1
    return product


def substitution(byte: int) -> int:
    inverse = next((x for x in range(256) if multiply(byte, x) == 1), 0)
    spread = inverse | inverse << 8
    out = 0x63
    for turn in (0, 4, 5, 6, 7):
        out ^= spread >> turn & 0xFF
    return out


SBOX = bytes(substitution(byte) for byte in range(256))
DOUBLED = bytes(xtime(byte) for byte in range(256))


@lru_cache(64)
def round_keys(key: bytes) -> list[bytes]:
    words = [key[at : at + 4] for at in range(0, 16, 4)]
    constant = 1
    for number in range(4, 44):
        word = words[-1]
        if number % 4 == 0:
            word = bytes(SBOX[byte] for byte in word[1:] + word[:1])
            word = bytes((word[0] ^ constant, *word[1:]))
            constant = xtime(constant)
        words.append(xor(word, words[-4]))
    return [b"".join(words[at : at + 4]) for at in range(0, 44, 4)]


def xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def mix(column: bytes) -> bytes:
    total = column[0] ^ column[1] ^ column[2] ^ column[3]
    return bytes(
        column[row] ^ total ^ DOUBLED[column[row] ^ column[(row + 1) % 4]] for row in range(4)
    )


def encrypt_block(key: bytes, block: bytes) -> bytes:
    keys = round_keys(key)
    state = xor(block, keys[0])
    for number in range(1, 11):
        state = bytes(SBOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16))
        if number < 10:
            state = b"".join(mix(state[at : at + 4]) for at in range(0, 16, 4))
        state = xor(state, keys[number])
    return state


# CMAC (RFC 4493) and counter mode (SP 800-38A §6.5)


def subkeys(key: bytes) -> tuple[bytes, bytes]:
    def double(block: bytes) -> bytes:
        number = int.from_bytes(block, "big") << 1
        if number >> 128:
            number = number ^ (1 << 128) ^ 0x87
        return number.to_bytes(16, "big")

    first = double(encrypt_block(key, bytes(16)))
    return first, double(first)


def cmac(key: bytes, message: bytes) -> bytes:
    whole, padded = subkeys(key)
    blocks = [message[at : at + 16] for at in range(0, len(message), 16)] or [b""]
    last = blocks.pop()
    is_whole = len(last) == BLOCK
    last = xor(
        last if is_whole else (last + b"\x80").ljust(16, b"\0"), whole if is_whole else padded
    )
    state = bytes(16)
    for block in [*blocks, last]:
        state = encrypt_block(key, xor(state, block))
    return state


def counter_mode(key: bytes, start: bytes, data: bytes) -> bytes:
    stream = b""
    counter = int.from_bytes(start, "big")
    while len(stream) < len(data):
        stream += encrypt_block(key, (counter % (1 << 128)).to_bytes(16, "big"))
        counter += 1
    return xor(data, stream[: len(data)])


# The building blocks of docs/crypto.md


def framed(label: str, *fields: bytes) -> bytes:
    out = [len(label).to_bytes(1, "big"), label.encode()]
    for field in fields:
        out += [len(field).to_bytes(2, "big"), field]
    return b"".join(out)


def seal(key: bytes, label: str, context: list[bytes], content: bytes) -> bytes:
    check = cmac(key, framed(label, *context, content))[:8]
    start = cmac(key, framed(label + " counter", *context, check))
    return check + counter_mode(key, start, content)


# The functions


def diversify(master: bytes, diversifier: bytes) -> bytes:
    return cmac(master, framed("diversify", bytes(8 - len(diversifier)) + diversifier))


class Session:
    def __init__(self, key: bytes, mode: str, terminal_challenge: bytes, open_data: bytes) -> None:
        self.key = cmac(key, framed("session", mode.encode(), terminal_challenge))
        self.parts = [open_data]

    def absorb(self, element: bytes) -> None:
        self.parts.append(element)

    def transcript(self) -> bytes:
        return b"".join(len(part).to_bytes(4, "big") + part for part in self.parts)

    def mac(self, label: int) -> bytes:
        return cmac(self.key, self.transcript() + bytes([label]))[:8]

    def cipher(self, data: bytes) -> bytes:
        position = len(self.parts) - 1
        start = cmac(self.key, self.transcript() + position.to_bytes(4, "big") + b"\x05")
        return counter_mode(cmac(self.key, framed("session cipher")), start, data)


def pin_presentation(key: bytes, challenge: bytes, pin: bytes) -> bytes:
    return cmac(key, framed("PIN presentation", challenge, pin))[:8]


def pin_change(key: bytes, challenge: bytes, old_pin: bytes, new_pin: bytes) -> bytes:
    return seal(key, "PIN change", [challenge], old_pin + new_pin)


def wrap_key(key: bytes, challenge: bytes, value: bytes, kif_kvc_algorithm: list[int]) -> bytes:
    return seal(key, "key", [challenge], value + bytes(kif_kvc_algorithm) + bytes(5))


def sv_signature_hi(key: bytes, message: bytes, size: int) -> bytes:
    return cmac(key, framed("SV signatureHi", message))[:size]


def sv_signature_lo(key: bytes, message: bytes, signature_hi: bytes, size: int) -> bytes:
    return cmac(key, framed("SV signatureLo", message, signature_hi))[:size]


def sign(key: bytes, purpose: str, message: bytes) -> bytes:
    return cmac(key, framed("sign " + purpose, message))[:8]


def seal_sam_block(key: bytes, challenge: bytes, reference: int, content: bytes) -> bytes:
    return seal(key, "SAM block", [challenge, bytes([reference])], content)


def unlock_proof(lock_value: bytes, serial: bytes, challenge: bytes) -> bytes:
    return cmac(lock_value, framed("unlock", serial, challenge))[:8]
