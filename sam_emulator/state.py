"""What a SAM forgets at every reset: diversifier, random values, digest, Stored Value operation.

The life of a digest is a table: (state, command) → state. A missing pair is refused with 6985.

    IDLE ── Digest Init ──▶ RUNNING ── Digest Close ──▶ CLOSED ── Digest Authenticate ──▶ IDLE
                            ▲   │ Digest Update (any number)
                            │   └─ Digest Internal Authenticate ──▶ PROVED ─┐
                            └──────────────── Digest Authenticate ──────────┘

Digest Init starts anew from any state. In PROVED the card's proof is awaited; updates and Close stay
possible. A wrong MAC ends the session from either state.

Source: legacy-sam §6.1, §6.2.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from cardbench.protocol.calypso.suite import SessionDigest
    from cardbench.sam_emulator.layout import Features


@unique
class DigestState(IntEnum):
    """Where a session stands."""

    IDLE = 0
    RUNNING = 1
    PROVED = 2
    CLOSED = 3


@unique
class DigestStep(IntEnum):
    """What a command does to the session."""

    UPDATE = 0
    PROVE = 1
    CLOSE = 2
    AUTHENTICATE = 3


DIGEST_STEPS: Final[dict[tuple[int, int], DigestState]] = {
    (DigestState.RUNNING, DigestStep.UPDATE): DigestState.RUNNING,
    (DigestState.PROVED, DigestStep.UPDATE): DigestState.PROVED,
    (DigestState.RUNNING, DigestStep.PROVE): DigestState.PROVED,
    (DigestState.PROVED, DigestStep.PROVE): DigestState.PROVED,
    (DigestState.RUNNING, DigestStep.CLOSE): DigestState.CLOSED,
    (DigestState.PROVED, DigestStep.CLOSE): DigestState.CLOSED,
    (DigestState.PROVED, DigestStep.AUTHENTICATE): DigestState.RUNNING,
    (DigestState.CLOSED, DigestStep.AUTHENTICATE): DigestState.IDLE,
}


class SamKey(NamedTuple):
    """A key of the SAM, ready to be used.

    Attributes:
        reference: work-key record 01…7E, C1…C4 or E0.
        block: parameter block, 13 bytes: KIF, KVC, ALG, PAR1…PAR10.
        value: 16 bytes.
    """

    reference: int
    block: bytes
    value: bytes

    def __repr__(self) -> str:  # a key value never shows
        return f"SamKey({self.reference:02X}, {self.block.hex().upper()})"


class Session:
    """One digest: latched at Digest Init, so that nothing selected later disturbs it.

    Attributes:
        digest: the running digest.
        extended: extended mode: MACs of 8 bytes.
        aes: the session's key is an AES key: proofs and encryption are possible.
        proofs: how many times Digest Internal Authenticate was asked for.
        expected: the card's MAC or proof that Digest Authenticate awaits, 8 bytes.
    """

    __slots__ = ("aes", "digest", "expected", "extended", "proofs")

    def __init__(self, digest: SessionDigest, *, extended: bool, aes: bool) -> None:
        self.digest = digest
        self.extended = extended
        self.aes = aes
        self.proofs = 0
        self.expected = b""


class SvTransaction:
    """A Stored Value operation that awaits the card's signature.

    Attributes:
        key: diversified purse key, latched at SV Prepare.
        message: what was signed.
        signature: the SAM's signature.
        extended: mode of the operation.
    """

    __slots__ = ("extended", "key", "message", "signature")

    def __init__(self, key: bytes, message: bytes, signature: bytes, *, extended: bool) -> None:
        self.key = key
        self.message = message
        self.signature = signature
        self.extended = extended


class SamVolatile:
    """The volatile record.

    Attributes:
        locked: the lock secret was not presented since the reset.
        flags: byte 0 of the SAM parameters as it was at the reset.
        features: what the product offers.
        diversifier: 8 bytes, or empty: none selected.
        challenge: what Get Challenge gave, 4 or 8 bytes, or empty: none outstanding.
        random: what Give Random brought, 8 bytes, or empty.
        public_key: of the key pair that was generated last, 64 bytes, or empty.
        pending: response bytes that wait for GET RESPONSE.
        state, session: the digest.
        sv: the Stored Value operation that awaits SV Check.
        busy_until_ms: when the busy time ends, on the clock; 0: not busy.
        answer_delay_s: how late every answer comes.
        found_record: work-key record that the last search of Read Key Parameters found, or 0.
        work_keys: (KIF, KVC) → work key; read from the memory once.
    """

    __slots__ = (
        "answer_delay_s",
        "busy_until_ms",
        "challenge",
        "diversifier",
        "features",
        "flags",
        "found_record",
        "locked",
        "pending",
        "public_key",
        "random",
        "session",
        "state",
        "sv",
        "work_keys",
    )

    def __init__(self, *, locked: bool, flags: int, features: Features, busy_until_ms: int) -> None:
        self.locked = locked
        self.flags = flags
        self.features = features
        self.answer_delay_s = features.answer_delay_ms / 1000
        self.busy_until_ms = busy_until_ms
        self.diversifier = b""
        self.challenge = b""
        self.random = b""
        self.public_key = b""
        self.pending = b""
        self.state: DigestState = DigestState.IDLE
        self.session: Session | None = None
        self.sv: SvTransaction | None = None
        self.found_record = 0
        self.work_keys: dict[tuple[int, int], SamKey] | None = None
