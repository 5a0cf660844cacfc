"""`cardbench-aes`: our replacement for the unpublished symmetric algorithms. Not Calypso's own.

Every function is AES-128: CMAC (NIST SP 800-38B) for MACs and derivation, CTR for enciphering. The
argument of a CMAC is always `len(label) ‖ label` and then every field as `length (2 bytes) ‖ bytes`, so
that no two calls feed the same bytes by accident. Cryptograms that carry content are sealed as
`check ‖ cipher text`: the check is a CMAC over context and content and doubles as the starting counter
of the cipher (the construction of SIV).

A session's state is its transcript: open data, then every element, each with its length (4 bytes: a
refused extended APDU is absorbed too, and has up to 65,544). The MACs are CMACs over the transcript and
one label byte, computed when they are asked for; so the state is two byte strings, can be copied, and
an intermediate proof changes nothing.

Nothing here interoperates with real cards or SAMs, on purpose. `docs/crypto.md` holds the full
description and test vectors.

Source: our choice, to the requirements of calypso-card §10.2.
"""

from __future__ import annotations

import hmac
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from cardbench.protocol.calypso.suite import WrappedKey
from cardbench.protocol.errors import CryptoError, ProtocolError

CHECK_LENGTH = 8
_KEY_PADDING = bytes(5)
_TERMINAL_MAC, _CARD_MAC, _TERMINAL_PROOF, _CARD_PROOF, _CIPHER = (bytes((n,)) for n in range(1, 6))


_aes = lru_cache(256)(algorithms.AES128)
"""A key as the library wants it; the same few keys are used again and again."""


def _cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(_aes(key))
    mac.update(message)
    return mac.finalize()


def _frame(label: bytes, *fields: bytes) -> bytes:
    framed = bytes((len(label),)) + label
    for field in fields:
        framed += len(field).to_bytes(2) + field
    return framed


def _counter_mode(key: bytes, start: bytes, data: bytes) -> bytes:
    return Cipher(_aes(key), modes.CTR(start)).encryptor().update(data)


def _seal(key: bytes, label: bytes, context: tuple[bytes, ...], content: bytes) -> bytes:
    check = _cmac(key, _frame(label, *context, content))[:CHECK_LENGTH]
    start = _cmac(key, _frame(label + b" counter", *context, check))
    return check + _counter_mode(key, start, content)


def _unseal(key: bytes, label: bytes, context: tuple[bytes, ...], sealed: bytes) -> bytes:
    check, text = sealed[:CHECK_LENGTH], sealed[CHECK_LENGTH:]
    start = _cmac(key, _frame(label + b" counter", *context, check))
    content = _counter_mode(key, start, text)
    right = _cmac(key, _frame(label, *context, content))[:CHECK_LENGTH]
    if not hmac.compare_digest(check, right):
        raise CryptoError(f"the {label.decode()} cryptogram does not verify")
    return content


class AesSessionDigest:
    """Session state: a session key and a transcript. See `suite.SessionDigest`."""

    __slots__ = ("_key", "_transcript", "elements")

    def __init__(self, key: bytes, open_data: bytes) -> None:
        self._key = key
        self._transcript = bytearray(len(open_data).to_bytes(4) + open_data)
        self.elements = 0

    def absorb(self, element: bytes) -> None:
        """Append one request or response."""
        self._transcript += len(element).to_bytes(4) + element
        self.elements += 1

    def _mac(self, label: bytes) -> bytes:
        return _cmac(self._key, bytes(self._transcript) + label)[:8]

    def terminal_mac(self) -> bytes:
        """8 bytes over the transcript under the label of the terminal's MAC."""
        return self._mac(_TERMINAL_MAC)

    def card_mac(self) -> bytes:
        """8 bytes over the transcript under the label of the card's MAC."""
        return self._mac(_CARD_MAC)

    def terminal_proof(self) -> bytes:
        """8 bytes over the transcript under the label of the terminal's proof."""
        return self._mac(_TERMINAL_PROOF)

    def card_proof(self) -> bytes:
        """8 bytes over the transcript under the label of the card's proof."""
        return self._mac(_CARD_PROOF)

    def cipher(self, data: bytes) -> bytes:
        """XOR with a key stream bound to all that came before and to the next element's number."""
        if not data:
            return b""
        position = self.elements.to_bytes(4)
        start = _cmac(self._key, bytes(self._transcript) + position + _CIPHER)
        key = _cmac(self._key, _frame(b"session cipher"))
        return _counter_mode(key, start, data)


class AesSuite:
    """The suite; it holds no state. See `suite.SymmetricSuite` for what each function promises."""

    name = "cardbench-aes"

    def diversify(self, master: bytes, diversifier: bytes) -> bytes:
        """CMAC of the 8-byte diversifier under the master key."""
        return _cmac(master, _frame(b"diversify", diversifier.rjust(8, b"\0")))

    def start_session(
        self, key: bytes, *, extended: bool, terminal_challenge: bytes, open_data: bytes
    ) -> AesSessionDigest:
        """Derive the session key from mode and terminal challenge; the open data starts the transcript."""
        mode = b"extended" if extended else b"regular"
        session_key = _cmac(key, _frame(b"session", mode, terminal_challenge))
        return AesSessionDigest(session_key, open_data)

    def pin_presentation(self, key: bytes, challenge: bytes, pin: bytes) -> bytes:
        """First 8 bytes of the CMAC of challenge and PIN."""
        return _cmac(key, _frame(b"PIN presentation", challenge, pin))[:8]

    def pin_change(self, key: bytes, challenge: bytes, old_pin: bytes, new_pin: bytes) -> bytes:
        """Seal old ‖ new PIN."""
        return _seal(key, b"PIN change", (challenge,), old_pin + new_pin)

    def open_pin_change(
        self, key: bytes, challenge: bytes, cryptogram: bytes
    ) -> tuple[bytes, bytes]:
        """Unseal old ‖ new PIN."""
        content = _unseal(key, b"PIN change", (challenge,), cryptogram)
        return content[:4], content[4:]

    def wrap_key(self, key: bytes, challenge: bytes, new_key: WrappedKey) -> bytes:
        """Seal value ‖ KIF ‖ KVC ‖ algorithm ‖ five zero bytes."""
        header = bytes((new_key.kif, new_key.kvc, new_key.algorithm))
        return _seal(key, b"key", (challenge,), new_key.value + header + _KEY_PADDING)

    def unwrap_key(self, key: bytes, challenge: bytes, cryptogram: bytes) -> WrappedKey:
        """Unseal a key and check its padding."""
        content = _unseal(key, b"key", (challenge,), cryptogram)
        if len(content) != 24 or content[19:] != _KEY_PADDING:
            raise ProtocolError("the key cryptogram's padding is wrong")
        return WrappedKey(content[:16], content[16], content[17], content[18])

    def sv_signature_hi(self, key: bytes, message: bytes, *, extended: bool) -> bytes:
        """First 5 or 10 bytes of a CMAC."""
        return _cmac(key, _frame(b"SV signatureHi", message))[: 10 if extended else 5]

    def sv_signature_lo(
        self, key: bytes, message: bytes, signature_hi: bytes, *, extended: bool
    ) -> bytes:
        """First 3 or 6 bytes of a CMAC that also covers signatureHi."""
        mac = _cmac(key, _frame(b"SV signatureLo", message, signature_hi))
        return mac[: 6 if extended else 3]

    def sign(self, key: bytes, purpose: str, message: bytes) -> bytes:
        """First 8 bytes of a CMAC under the purpose's label."""
        return _cmac(key, _frame(b"sign " + purpose.encode(), message))[:8]

    def seal_sam_block(self, key: bytes, challenge: bytes, reference: int, content: bytes) -> bytes:
        """Seal the 40 bytes of content."""
        return _seal(key, b"SAM block", (challenge, bytes((reference,))), content)

    def open_sam_block(self, key: bytes, challenge: bytes, reference: int, block: bytes) -> bytes:
        """Unseal the 40 bytes of content."""
        return _unseal(key, b"SAM block", (challenge, bytes((reference,))), block)

    def unlock_proof(self, lock_value: bytes, serial: bytes, challenge: bytes) -> bytes:
        """First 8 bytes of the CMAC of serial and challenge under the lock value."""
        return _cmac(lock_value, _frame(b"unlock", serial, challenge))[:8]
