"""The seam of the symmetric cryptography that the Calypso Networks Association does not publish.

Card and SAM must compute the same MACs, cryptograms and signatures, but the algorithms of real products
are not public. Everything symmetric therefore goes through one object, a `SymmetricSuite`, handed to
card and SAM alike. The default is `cardbench.protocol.calypso.aes_suite.AesSuite`, ours, documented in
`docs/crypto.md`. A licensee who has the right to the real algorithms registers another one under the
entry point group `cardbench.symmetric_suites` and names it; nothing else changes.

The primitives are free, the inputs are not: both ends hand over exactly the bytes that are described
here. All keys are 16 bytes. `key` is always a diversified key unless it is said otherwise.

Source: calypso-card §10.2 (required properties), §10.4 (functions and inputs); legacy-sam §11 (the
functions that only SAMs use).
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import entry_points
from typing import NamedTuple, Protocol, cast

from cardbench.protocol.errors import UsageError

ENTRY_POINT_GROUP = "cardbench.symmetric_suites"
DEFAULT_SUITE = "cardbench-aes"


class WrappedKey(NamedTuple):
    """What a Change Key cryptogram carries."""

    value: bytes
    kif: int
    kvc: int
    algorithm: int

    def __repr__(self) -> str:  # a key value never shows
        return f"WrappedKey({self.kif:02X}/{self.kvc:02X}, {self.algorithm:02X})"


class SessionDigest(Protocol):
    """The running state of one secure session, identical on card and SAM.

    Must be deep-copyable: a forked card goes on with a digest of its own.
    """

    @property
    def elements(self) -> int:
        """Requests and responses absorbed since the session was opened."""
        ...

    def absorb(self, element: bytes) -> None:
        """Take in one request (Le of case 4 dropped) or one response with its status word.

        Requests and responses alternate; in an encrypted section the element is the plain text.
        """
        ...

    def terminal_mac(self) -> bytes:
        """8 bytes that prove the terminal; a regular session uses the first 4. State unchanged."""
        ...

    def card_mac(self) -> bytes:
        """8 bytes that prove the card; a regular session uses the first 4. State unchanged."""
        ...

    def terminal_proof(self) -> bytes:
        """8 bytes of the terminal for an early mutual authentication. State unchanged."""
        ...

    def card_proof(self) -> bytes:
        """8 bytes of the card for an early mutual authentication. State unchanged."""
        ...

    def cipher(self, data: bytes) -> bytes:
        """Encipher or decipher (the same operation) the data field of the *next* element.

        Called before that element is absorbed; the length does not change.
        """
        ...


class SymmetricSuite(Protocol):
    """Every symmetric function of card and SAM."""

    name: str

    def diversify(self, master: bytes, diversifier: bytes) -> bytes:
        """Derive a card's or SAM's key from a master key.

        Args:
            master: 16 bytes.
            diversifier: 8 bytes, the full serial number; 4 bytes are left-padded with zeros.
        """
        ...

    def start_session(
        self, key: bytes, *, extended: bool, terminal_challenge: bytes, open_data: bytes
    ) -> SessionDigest:
        """Start the digest of a secure session.

        Args:
            key: diversified key of the session.
            extended: mode of the session.
            terminal_challenge: 4 bytes (regular) or 8 bytes (extended).
            open_data: response data of Open Secure Session, without status word.
        """
        ...

    def pin_presentation(self, key: bytes, challenge: bytes, pin: bytes) -> bytes:
        """Cryptogram of 8 bytes that presents a 4-byte PIN, bound to the card's 8-byte challenge."""
        ...

    def pin_change(self, key: bytes, challenge: bytes, old_pin: bytes, new_pin: bytes) -> bytes:
        """Cryptogram of 16 bytes that carries old (zeros: not checked) and new PIN."""
        ...

    def open_pin_change(
        self, key: bytes, challenge: bytes, cryptogram: bytes
    ) -> tuple[bytes, bytes]:
        """Return old and new PIN.

        Raises:
            CryptoError: wrong key, challenge or cryptogram.
        """
        ...

    def wrap_key(self, key: bytes, challenge: bytes, new_key: WrappedKey) -> bytes:
        """Cryptogram of 32 bytes that carries a new diversified key.

        Args:
            key: the card's issuer key, or 16 zero bytes for the null key.
            challenge: the card's 8-byte challenge.
            new_key: diversified value, KIF, KVC and algorithm.
        """
        ...

    def unwrap_key(self, key: bytes, challenge: bytes, cryptogram: bytes) -> WrappedKey:
        """Read a Change Key cryptogram.

        Raises:
            CryptoError: wrong key, challenge or cryptogram.
            ProtocolError: the cryptogram is whole but its content is not well formed.
        """
        ...

    def sv_signature_hi(self, key: bytes, message: bytes, *, extended: bool) -> bytes:
        """Stored Value signature of the SAM: 5 bytes, extended 10.

        Args:
            key: the purse's load or debit key.
            message: `INS P1 P2 length` of SV Get ‖ its answer with 9000 ‖ `INS 00 00 Lc` ‖ fixed data
                with byte 0 = 00 ‖ SAM challenge 3 ‖ SAM transaction number 3 ‖ SAM serial 4.
            extended: mode of the operation.
        """
        ...

    def sv_signature_lo(
        self, key: bytes, message: bytes, signature_hi: bytes, *, extended: bool
    ) -> bytes:
        """Stored Value signature of the card: 3 bytes, extended 6. `message` as above."""
        ...

    def sign(self, key: bytes, purpose: str, message: bytes) -> bytes:
        """Signature of 8 bytes of a SAM; shorter ones are its first bytes.

        Args:
            key: diversified key.
            purpose: `data-cipher`, `pso` (PSO in busy mode, the mode terminals use by default),
                `pso-no-busy` or `read`; signatures of one purpose are none of another.
            message: the message as finally signed.
        """
        ...

    def seal_sam_block(self, key: bytes, challenge: bytes, reference: int, content: bytes) -> bytes:
        """48-byte block from SAM to SAM: check and cipher over 40 bytes of content.

        Args:
            key: the target's system key, diversified by the target's serial.
            challenge: 8 bytes of the target, or its static challenge.
            reference: P2 of the write command.
            content: 29-byte object ‖ P2 ‖ padding, 40 bytes in all.
        """
        ...

    def open_sam_block(self, key: bytes, challenge: bytes, reference: int, block: bytes) -> bytes:
        """Return the 40 bytes of content.

        Raises:
            CryptoError: wrong key, challenge, reference or block.
        """
        ...

    def unlock_proof(self, lock_value: bytes, serial: bytes, challenge: bytes) -> bytes:
        """8 bytes that unlock a SAM dynamically.

        Args:
            lock_value: 16 bytes.
            serial: 4 bytes, the SAM's serial number.
            challenge: 8 bytes, from the SAM's Get Challenge.
        """
        ...


def load_suite(name: str = DEFAULT_SUITE) -> SymmetricSuite:
    """Return the suite registered under `name`.

    Raises:
        UsageError: no distribution registers that name, or what it registers is no suite.
    """
    if name == DEFAULT_SUITE:
        from cardbench.protocol.calypso.aes_suite import AesSuite  # noqa: PLC0415 - it imports us

        return AesSuite()
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in found:
        known = ", ".join(sorted({DEFAULT_SUITE, *found}))
        raise UsageError(f"no symmetric suite {name!r}; installed: {known}")
    point = found[name]
    try:
        suite = point.load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise UsageError(f"symmetric suite {name!r} ({point.value}): {error}") from error
    members = [member for member in vars(SymmetricSuite) if not member.startswith("_")]
    missing = [member for member in ("name", *members) if not hasattr(suite, member)]
    if missing:
        raise UsageError(f"symmetric suite {name!r} ({point.value}) lacks: {', '.join(missing)}")
    return cast("SymmetricSuite", suite)


@cache
def public_test_master(kif: int, kvc: int) -> bytes:
    """Return the public test master key of (KIF, KVC): 16 bytes that nobody can take for a real key.

    First 16 bytes of SHA-256 of `cardbench public test master` ‖ KIF ‖ KVC.

    Source: calypso-card §10.5.
    """
    return hashlib.sha256(b"cardbench public test master" + bytes((kif, kvc))).digest()[:16]
