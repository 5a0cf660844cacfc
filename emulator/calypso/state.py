"""What a Calypso card forgets when its power goes: the volatile record and the secure session in it.

Source: calypso-card §4.23 (challenge and SV Get serve the next command only), §5 (sessions), §7 (PIN).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, unique
from typing import TYPE_CHECKING, Final, NamedTuple

from cardbench.protocol.calypso.ins import CalypsoIns

if TYPE_CHECKING:
    from cardbench.emulator.calypso.structure import Application, ElementaryFile
    from cardbench.emulator.chassis import Key, Value
    from cardbench.protocol.calypso.suite import SessionDigest


@unique
class SessionMode(Enum):
    """How a secure session is opened (calypso-card §4.17)."""

    REGULAR = 1
    EXTENDED = 2
    PKI = 3


@dataclass(slots=True)
class PkiTranscript:
    """What a card signs at the end of a PKI session; `message` grows with every element."""

    message: bytes = field(repr=False)

    def absorb(self, element: bytes) -> None:
        """Write down one request (Le of case 4 dropped) or one answer with its status word."""
        self.message += bytes((len(element) & 0xFF,)) + element


UNDIGESTED: Final = frozenset(
    (CalypsoIns.CLOSE_SECURE_SESSION, CalypsoIns.MANAGE_SECURE_SESSION, CalypsoIns.GET_RESPONSE)
)
"""What the MAC of a symmetric session leaves out, besides the ratification (calypso-card §5.2)."""


@dataclass(slots=True)
class Session:
    """A running secure session.

    Attributes:
        mode: regular, extended or PKI.
        key_index: 1 issuer, 2 load, 3 debit; 4 in a PKI session, which has no key.
        key: value of that key, 16 bytes; a ciphered PIN is deciphered with it.
        digest: the MAC state shared with the terminal's SAM, or what a PKI session signs.
        buffer_left: what the session buffer still holds, in the profile's unit.
        is_manageable: Manage Secure Session is authorised (flag 02 of the Open response).
        changes: provisional modifications; reads in the session see them.
        encrypted: an encrypted section is running.
        postponed: items for the Close response, `length ‖ data` each.
        sv_done: a Stored Value operation was done.
        undigested: instructions that `digest` leaves out.
    """

    mode: SessionMode
    key_index: int
    key: bytes = field(repr=False)
    digest: SessionDigest | PkiTranscript = field(repr=False)
    buffer_left: int
    is_manageable: bool
    changes: dict[Key, Value] = field(default_factory=dict, repr=False)
    encrypted: bool = False
    postponed: bytes = b""
    sv_done: bool = False
    undigested: frozenset[int] = field(default=UNDIGESTED, repr=False)

    @property
    def mac_digest(self) -> SessionDigest:
        """The MAC state of a session that has one: any but a PKI session."""
        assert not isinstance(self.digest, PkiTranscript), "a PKI session has no MAC"
        return self.digest


class SvGet(NamedTuple):
    """What an SV Get leaves for the Stored Value operation right behind it.

    Attributes:
        for_reload: the operation to come is a reload; otherwise a debit or undebit.
        extended: mode, hence sizes of signatures.
        kvc: version announced, which the operation must name.
        key: purse key of the operation, 16 bytes.
        transcript: `INS P1 P2 length` of SV Get ‖ its answer ‖ 9000, as both signatures cover it.
    """

    for_reload: bool
    extended: bool
    kvc: int
    key: bytes
    transcript: bytes

    def __repr__(self) -> str:
        """Say what it is for, without the key."""
        return f"SvGet(for_reload={self.for_reload}, extended={self.extended})"


class PreOpen(NamedTuple):
    """The answer that a pre-open froze for the Open to come (calypso-card §5.9)."""

    key_index: int
    answer: bytes


@dataclass(slots=True)
class Volatile:
    """Everything that a reset clears.

    Attributes:
        application: the current DF.
        file: the current EF, which SFI 0 designates.
        session: the running secure session.
        awaits_ratification: the last session was closed to be ratified by one more command.
        pin_verified: the PIN was presented rightly, and no wrong one since.
        prepared: a challenge, or an SV Get, that the command just before left for this one alone.
        preparing: the same, left by this command for the next.
        pre_open: a frozen answer to Open Secure Session.
        put_data: first part of a certificate that Put Data brought: its tag and length, its bytes.
    """

    application: Application
    file: ElementaryFile | None = None
    session: Session | None = None
    awaits_ratification: bool = False
    pin_verified: bool = False
    prepared: bytes | SvGet | None = field(default=None, repr=False)
    preparing: bytes | SvGet | None = field(default=None, repr=False)
    pre_open: PreOpen | None = None
    put_data: tuple[bytes, bytes] | None = field(default=None, repr=False)
