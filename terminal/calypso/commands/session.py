"""Secure session commands: Open, Close, abort, ratification.

Source: calypso-card §4.17 (Open), §4.18 (Close), §4.20 (ratification), §5.3 (MAC lengths), §5.8
(postponed data).
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from cardbench.protocol.calypso.ins import CLA_ISO, CalypsoIns, WriteAccessLevel
from cardbench.protocol.errors import MalformedCardData
from cardbench.protocol.status import StatusWord
from cardbench.terminal.calypso.card import PreOpening
from cardbench.terminal.calypso.commands.base import OK, Command
from cardbench.terminal.card.requests import SUCCESS

if TYPE_CHECKING:
    from cardbench.terminal.calypso.card import CalypsoCard
    from cardbench.terminal.calypso.commands.records import ReadCounter, ReadRecord

CHALLENGE_SIZE_BYTES = 4
EXTENDED_CHALLENGE_SIZE_BYTES = 8
MAC_SIZE_BYTES = 4
EXTENDED_MAC_SIZE_BYTES = 8

_REV2_P1 = 0x80
_RATIFIED_P1 = 0x80
LEGACY_RECORD_BYTES = 29
_RATIFICATION_BYTES = 2
_AUTHENTICATE = 0x01
_ENCRYPT = 0x02
_FLAG_NOT_RATIFIED = 0x01
_FLAG_MANAGE_SESSION = 0x02
_KEY_UNKNOWN = 0xFF


class _AnyStatus(frozenset[int]):
    """Every status word is right."""

    def __contains__(self, _status_word: object) -> bool:
        return True


ANY_STATUS: frozenset[int] = _AnyStatus(SUCCESS)


@unique
class SessionMode(IntEnum):
    """Kind of secure session, as P2 of Open says it."""

    LEGACY = 0  # revision 1 and 2
    REGULAR = 1
    EXTENDED = 2
    PKI = 3


class SessionOpening(NamedTuple):
    """What a card says when a session opens.

    Attributes:
        transaction_counter: 24 bits, the first part of the card's challenge.
        is_ratified: the session before this one was ratified.
        can_manage_session: early authentication and encryption are allowed.
        kif, kvc: key of the session, as far as the card names it.
        record: content of the record that was read along; empty if none was.
    """

    transaction_counter: int
    is_ratified: bool
    can_manage_session: bool
    kif: int | None
    kvc: int | None
    record: bytes


class OpenSecureSession(Command[SessionOpening]):
    """Open Secure Session. The result is what the card says of the session.

    Args:
        level: key index.
        mode: kind of session.
        is_revision_2: P1 carries one more bit, and the answer begins with the KVC.
        cla: class byte.
    """

    is_case_4 = True
    is_digested: ClassVar[bool] = False
    needs_crypto = True
    __slots__ = ("cla", "is_revision_2", "level", "merged", "mode", "open_data")

    def __init__(
        self, cla: int, level: WriteAccessLevel, mode: SessionMode, *, is_revision_2: bool = False
    ) -> None:
        super().__init__(b"")
        self.cla = cla
        self.level = level
        self.mode = mode
        self.is_revision_2 = is_revision_2
        self.merged: ReadRecord | ReadCounter | None = None
        self.open_data = b""

    @property
    def name(self) -> str:  # type: ignore[override] # it says what is read along
        """The command, and the read that was merged into it."""
        merged = self.merged
        return "Open Secure Session" if merged is None else f"Open Secure Session, {merged.name}"

    @property
    def subject(self) -> str:
        """Of the read that was merged into it."""
        return "" if self.merged is None else self.merged.subject

    @property
    def answer(self) -> SessionOpening:
        """What the card said; there before the session counts as open."""
        return self._value

    def merge(self, read: ReadRecord | ReadCounter) -> None:
        """Read a record along with the opening."""
        self.merged = read
        p1 = self.apdu[2] | read.record << 3
        p2 = self.apdu[3] | read.sfi << 3
        self.apdu = self.apdu[:2] + bytes((p1, p2)) + self.apdu[4:]

    def set_challenge(self, challenge: bytes) -> None:
        """Complete the request with the terminal's challenge: 4 bytes, extended 8."""
        p1 = self.level | _REV2_P1 if self.is_revision_2 else self.level
        if self.mode is SessionMode.EXTENDED:
            challenge = b"\0" + challenge
        header = bytes((self.cla, CalypsoIns.OPEN_SECURE_SESSION, p1, self.mode, len(challenge)))
        self.apdu = header + challenge + b"\0"

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take transaction counter, ratification and the record read along into the image."""
        self.open_data = data = response[:-2]
        parse = self._parse_legacy if self.mode is SessionMode.LEGACY else self._parse
        opening = parse(data)
        self._value = opening
        card.transaction_counter = opening.transaction_counter
        card.is_df_ratified = opening.is_ratified
        merged = self.merged
        if merged is not None:
            merged.take(card, opening.record)
            merged.is_done = True

    def _parse(self, data: bytes) -> SessionOpening:
        start = EXTENDED_CHALLENGE_SIZE_BYTES
        is_extended = self.mode is SessionMode.EXTENDED
        if not is_extended:
            start = CHALLENGE_SIZE_BYTES
        if len(data) < start + 4 or len(data) != start + 4 + data[start + 3]:
            raise MalformedCardData(
                f"{self.name}: an answer of {len(data)} byte(s) whose length byte does not fit"
            )
        flags = data[start]
        return SessionOpening(
            data[0] << 16 | data[1] << 8 | data[2],
            not flags & _FLAG_NOT_RATIFIED if is_extended else not flags,
            is_extended and bool(flags & _FLAG_MANAGE_SESSION),
            None if data[start + 1] == _KEY_UNKNOWN else data[start + 1],
            data[start + 2],
            data[start + 4 :],
        )

    def _parse_legacy(self, data: bytes) -> SessionOpening:
        start = 1 if self.is_revision_2 else 0
        rest = data[start + CHALLENGE_SIZE_BYTES :]
        record_bytes = LEGACY_RECORD_BYTES if self.merged is not None else 0
        ratification_bytes = len(rest) - record_bytes
        if ratification_bytes not in (0, _RATIFICATION_BYTES):
            raise MalformedCardData(f"{self.name}: an answer of {len(data)} byte(s) fits no form")
        return SessionOpening(
            int.from_bytes(data[start : start + 3]),
            ratification_bytes == 0,
            can_manage_session=False,
            kif=None,
            kvc=data[0] if self.is_revision_2 else None,
            record=rest[ratification_bytes:],
        )


class PreOpenSecureSession(Command[None]):
    """Open without challenge, at selection: the card says what the session will open with.

    Extended mode only. No session is open afterwards; the next Open at this level repeats the answer.
    A card that cannot do it refuses, and nothing is lost.

    Source: calypso-card §5.9.
    """

    name: ClassVar[str] = "Pre-open Secure Session"
    is_case_4 = True
    success = frozenset({int(StatusWord.WARNING)})
    __slots__ = ("level",)

    def __init__(self, level: WriteAccessLevel) -> None:
        self.level = level
        header = (CLA_ISO, CalypsoIns.OPEN_SECURE_SESSION, level, SessionMode.EXTENDED, 1)
        super().__init__(bytes((*header, 0, 0)))

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Keep the answer for the real Open."""
        self._value = None
        card.pre_opening = PreOpening(self.level, response[:-2])


class ManageSecureSession(Command[None]):
    """Manage Secure Session: early mutual authentication, encryption on or off.

    Args:
        cla: class byte.
        authenticates: the terminal shows a MAC, the card answers with its own.
        encrypts: encryption is on from now; otherwise it is off.
    """

    name: ClassVar[str] = "Manage Secure Session"
    is_digested: ClassVar[bool] = False
    needs_crypto = True
    __slots__ = ("authenticates", "card_mac", "cla", "encrypts", "is_case_4")

    def __init__(self, cla: int, *, authenticates: bool, encrypts: bool) -> None:
        self.cla = cla
        self.authenticates = authenticates
        self.encrypts = encrypts
        self.is_case_4 = authenticates
        self.card_mac = b""
        super().__init__(self._header() + b"\0")

    def _header(self) -> bytes:
        p2 = (_AUTHENTICATE if self.authenticates else 0) | (_ENCRYPT if self.encrypts else 0)
        return bytes((self.cla, CalypsoIns.MANAGE_SECURE_SESSION, 0, p2))

    def set_encryption(self, *, encrypts: bool) -> None:
        """Switch encryption along with the authentication."""
        self.encrypts = encrypts
        self.apdu = self._header() + b"\0"

    def add_authentication(self) -> None:
        """Authenticate along with the switch of the encryption."""
        self.authenticates = self.is_case_4 = True
        self.apdu = self._header() + b"\0"

    def set_mac(self, terminal_mac: bytes) -> None:
        """Complete the request with the terminal's MAC."""
        self.apdu = self._header() + bytes((len(terminal_mac),)) + terminal_mac + b"\0"

    def foresee(self, card: CalypsoCard) -> bytes | None:
        """Foresee `9000`, unless the card answers with its MAC."""
        del card
        return None if self.authenticates else OK

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Keep the card's MAC."""
        del card
        size = EXTENDED_MAC_SIZE_BYTES if self.authenticates else 0
        if len(response) != size + len(OK):
            raise MalformedCardData(
                f"{self.describe()}: {len(response) - 2} byte(s) came, {size} are right"
            )
        self.card_mac = response[:-2]
        self._value = None


class CloseSecureSession(Command[tuple[bytes, ...]]):
    """Close Secure Session. The result is the postponed data of the session's commands.

    Args:
        cla: class byte.
        as_ratified: the card counts the session as ratified at once.
    """

    name: ClassVar[str] = "Close Secure Session"
    is_case_4 = True
    is_digested: ClassVar[bool] = False
    needs_crypto = True
    __slots__ = ("as_ratified", "card_mac", "cla", "mac_size_bytes")

    def __init__(self, cla: int, *, as_ratified: bool) -> None:
        super().__init__(b"")
        self.cla = cla
        self.as_ratified = as_ratified
        self.card_mac = b""
        self.mac_size_bytes = MAC_SIZE_BYTES

    def set_mac(self, terminal_mac: bytes, *, card_mac_size_bytes: int) -> None:
        """Complete the request with the terminal's MAC; say how long the card's will be."""
        p1 = _RATIFIED_P1 if self.as_ratified else 0
        header = bytes((self.cla, CalypsoIns.CLOSE_SECURE_SESSION, p1, 0, len(terminal_mac)))
        self.apdu = header + terminal_mac + b"\0"
        self.mac_size_bytes = card_mac_size_bytes

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Split the answer into postponed data and the card's MAC."""
        del card
        data = response[:-2]
        size = self.mac_size_bytes
        postponed = []
        position, end = 0, len(data) - size
        while position < end:
            length = data[position]
            if not 1 < length <= end - position:
                break
            postponed.append(data[position + 1 : position + length])
            position += length
        if position != end:
            raise MalformedCardData(
                f"{self.name}: an answer of {len(data)} byte(s) is no postponed data and MAC"
            )
        self._value = tuple(postponed)
        self.card_mac = data[end:]

    @property
    def postponed(self) -> tuple[bytes, ...]:
        """The postponed data; there before the card's MAC is verified."""
        return self._value


class _FiveBytes(Command[None]):
    """A case 1 command, sent as five bytes, whose answer does not matter."""

    success = ANY_STATUS
    is_digested: ClassVar[bool] = False
    __slots__ = ()

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take any answer."""
        del card, response
        self._value = None


class AbortSecureSession(_FiveBytes):
    """Close without MAC: the card forgets the session's changes."""

    name: ClassVar[str] = "Abort Secure Session"
    __slots__ = ()

    def __init__(self, cla: int) -> None:
        super().__init__(bytes((cla, CalypsoIns.CLOSE_SECURE_SESSION, 0, 0, 0)))


class Ratification(_FiveBytes):
    """A Read Records that means nothing: any command after Close ratifies the session."""

    name: ClassVar[str] = "Ratification"
    __slots__ = ()

    def __init__(self, cla: int) -> None:
        super().__init__(bytes((cla, CalypsoIns.READ_RECORDS, 0, 0, 0)))
