"""Secure session commands: Open, Close, abort, ratification.

Source: calypso-card §4.17 (Open), §4.18 (Close), §4.20 (ratification), §5.3 (MAC lengths), §5.8
(postponed data).
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from cardbench.protocol.calypso.ins import CalypsoIns, WriteAccessLevel
from cardbench.protocol.errors import MalformedCardData
from cardbench.terminal.calypso.commands.base import Command
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

    name: ClassVar[str] = "Open Secure Session"
    is_case_4: ClassVar[bool] = True
    is_digested: ClassVar[bool] = False
    needs_crypto: ClassVar[bool] = True
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


class CloseSecureSession(Command[tuple[bytes, ...]]):
    """Close Secure Session. The result is the postponed data of the session's commands.

    Args:
        cla: class byte.
        as_ratified: the card counts the session as ratified at once.
    """

    name: ClassVar[str] = "Close Secure Session"
    is_case_4: ClassVar[bool] = True
    is_digested: ClassVar[bool] = False
    needs_crypto: ClassVar[bool] = True
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
