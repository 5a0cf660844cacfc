"""The secure session: Open, Close, abort, Manage.

Theory of operation
-------------------
Open announces a challenge (the transaction counter, counted down for good, and random bytes), the
ratification status, the key and, if asked, a record; from then on modifications are provisional and
every command and answer is digested. Close brings the terminal's MAC: if it is right, all changes and
the new ratification status are committed as one and the card answers with its own MAC; if it is wrong
everything is rolled back. Abort rolls back too. Manage authenticates both sides early, and switches
encryption; the digest goes on.

    no session --pre-open--> no session, the answer of the next Open frozen (6200)
    no session --Open--> open
    open --Open--> open (6985)
    open --Manage, right MAC--> open
    open --Manage, wrong MAC--> no session, rolled back (6988)
    open --Close, right MAC--> no session, committed
    open --Close, wrong MAC--> no session, rolled back (6988)
    open --Close, wrong length--> open (6700)
    open --abort--> no session, rolled back
    open --reset, power lost, Select Application--> no session, rolled back

How Open looks depends on the product; each form is a row, and a profile names the rows it has.

Source: calypso-card §4.17 to §4.19, §5.1 to §5.12; choices where nothing is public: §4.23.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, cast

from cardbench.emulator.calypso.commands.pki import close_pki
from cardbench.emulator.calypso.commands.records import addressed_file, read_record
from cardbench.emulator.calypso.state import PreOpen, Session, SessionMode
from cardbench.emulator.calypso.structure import AES_ALGORITHMS
from cardbench.emulator.calypso.table import (
    COMMANDS,
    INSIDE,
    NEEDS_EXTENDED_MODE,
    OUTSIDE,
    SFI,
    UNDIGESTED,
    ZERO,
)
from cardbench.emulator.chassis import ANY, NO_DATA, Refusal, bits, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from collections.abc import Collection

    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.calypso.table import Declaration
    from cardbench.emulator.chassis import ByteRule
    from cardbench.protocol.apdu import CommandApdu

KEY_COUNT: Final = 3
REGULAR_CHALLENGE_SIZE: Final = 4
REGULAR_MAC_SIZE: Final = 4
REGULAR_RANDOM_SIZE: Final = 1
EXTENDED_DATA_SIZE: Final = 9
"""A zero byte, then the 8-byte terminal challenge."""
EXTENDED_MAC_SIZE: Final = 8
EXTENDED_RANDOM_SIZE: Final = 5
_NOT_RATIFIED: Final = 0x01
_MANAGEABLE: Final = 0x02
_REVISION_2_FLAG: Final = 0x80
_UNRATIFIED_BYTES: Final = bytes(2)
"""Revisions 1 and 2 tell by the length of the answer that the last session is not ratified."""

_OPEN_ANSWERS = (
    0x9000,
    0x6700,
    0x6900,
    0x6981,
    0x6982,
    0x6985,
    0x6986,
    0x6A81,
    0x6A82,
    0x6A83,
)


# Open


def _open(
    form: str,
    *,
    p2: ByteRule,
    lc: int,
    p1: ByteRule = ANY,
    answers: tuple[int, ...] = _OPEN_ANSWERS,
    source: str = "calypso-card §4.17",
    traits: Collection[str] = (UNDIGESTED,),
) -> Declaration:
    """Declare a form of Open, with its one number of data bytes."""
    return COMMANDS.command(
        name=f"Open Secure Session ({form})",
        ins=CalypsoIns.OPEN_SECURE_SESSION,
        p1=p1,
        p2=p2,
        cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
        lc=frozenset((lc,)),
        answers=answers,
        source=source,
        where=OUTSIDE,
        traits=traits,
    )


@_open("revision 1", p2=SFI, lc=REGULAR_CHALLENGE_SIZE)
def open_revision_1(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Open; P1 is record×8 + key index. Answer: challenge, [2 bytes if not ratified], [record]."""
    slot, record = _prepare(card, command, command.p1 >> 3)
    answer = _challenge(card, REGULAR_RANDOM_SIZE) + _ratification_by_length(card) + record
    return _start(card, command, slot, SessionMode.REGULAR, answer)


@_open(
    "revision 2",
    p1=bits("80 + record×8 + key", _REVISION_2_FLAG, _REVISION_2_FLAG),
    p2=SFI,
    lc=REGULAR_CHALLENGE_SIZE,
)
def open_revision_2(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Open; as revision 1, with the KVC first in the answer."""
    slot, record = _prepare(card, command, (command.p1 & ~_REVISION_2_FLAG) >> 3)
    kvc = bytes((slot[1],))
    answer = kvc + _challenge(card, REGULAR_RANDOM_SIZE) + _ratification_by_length(card) + record
    return _start(card, command, slot, SessionMode.REGULAR, answer)


@_open("regular", p2=bits("SFI×8 + 1", 0x07, 0x01), lc=REGULAR_CHALLENGE_SIZE)
def open_regular(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Open with MACs of 4 bytes; P1 is record×8 + key index."""
    slot, record = _prepare(card, command, command.p1 >> 3)
    if slot[2] in card.structure.profile.extended_only_algorithms:
        raise Refusal(StatusWord.SECURITY_NOT_SATISFIED)
    answer = _challenge(card, REGULAR_RANDOM_SIZE)
    answer += b"\x00" if _is_ratified(card) else b"\x01"
    answer += bytes((slot[0], slot[1], len(record))) + record
    return _start(card, command, slot, SessionMode.REGULAR, answer)


@_open(
    "extended",
    p2=bits("SFI×8 + 2", 0x07, 0x02),
    lc=EXTENDED_DATA_SIZE,
    answers=(0x6A80, *_OPEN_ANSWERS),
    traits={UNDIGESTED, NEEDS_EXTENDED_MODE},
)
def open_extended(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Open with MACs of 8 bytes; the answer of a pre-open of the same key is given again."""
    if command.data[0] != 0:
        raise Refusal(StatusWord.WRONG_DATA)
    pre_open = card.volatile.pre_open
    if pre_open is not None and pre_open.key_index == command.p1:  # the same key, and no record
        slot, _ = _prepare(card, command, 0, is_counted=True)
        answer = pre_open.answer
    else:
        slot, record = _prepare(card, command, command.p1 >> 3)
        answer = _extended_answer(card, slot, record)
    return _start(card, command, slot, SessionMode.EXTENDED, answer)


@_open(
    "pre-open",
    p2=exactly(0x02),
    lc=1,
    answers=(0x6200, 0x6900, 0x6985, 0x6A80, 0x6A81, 0x6B00),
    source="calypso-card §5.9",
    traits={NEEDS_EXTENDED_MODE},
)
def pre_open(card: CalypsoCard, command: CommandApdu) -> tuple[bytes, int]:
    """Give the answer of the Open to come, for which it is frozen; no session is opened."""
    if command.p1 >> 3:
        raise Refusal(StatusWord.P1P2_NOT_SUPPORTED)
    if command.data[0] != 0:
        raise Refusal(StatusWord.WRONG_DATA)
    slot, _ = _prepare(card, command, 0)
    answer = _extended_answer(card, slot, b"")
    card.volatile.pre_open = PreOpen(command.p1, answer)
    return answer, StatusWord.WARNING


_Slot = tuple[int, int, int, bytes]


def _prepare(
    card: CalypsoCard, command: CommandApdu, record_number: int, *, is_counted: bool = False
) -> tuple[_Slot, bytes]:
    """Check key, transaction counter and record; return the key slot and the record.

    Args:
        record_number: 0 for none.
        is_counted: a pre-open has counted the transaction already.
    """
    key_index = command.p1 & 0x07
    if not 1 <= key_index <= KEY_COUNT:
        raise Refusal(StatusWord.FUNCTION_NOT_SUPPORTED)
    slot = cast("_Slot", card.memory[card.volatile.application.key_slots[key_index]])
    if not slot[0] and not slot[1]:
        raise Refusal(StatusWord.FUNCTION_NOT_SUPPORTED)
    if not is_counted:
        card.check_transaction_counter()
    record = b""
    if record_number:
        record = read_record(card, addressed_file(card, command.p2 >> 3), record_number)
    return slot, record


def _challenge(card: CalypsoCard, random_size: int) -> bytes:
    return card.count_transaction().to_bytes(3) + card.entropy.draw(random_size)


def _is_ratified(card: CalypsoCard) -> bool:
    return bool(card.memory[card.volatile.application.ratified_key])


def _ratification_by_length(card: CalypsoCard) -> bytes:
    return b"" if _is_ratified(card) else _UNRATIFIED_BYTES


def _is_manageable(slot: _Slot) -> bool:
    return slot[2] in AES_ALGORITHMS


def _extended_answer(card: CalypsoCard, slot: _Slot, record: bytes) -> bytes:
    flags = 0 if _is_ratified(card) else _NOT_RATIFIED
    if _is_manageable(slot):
        flags |= _MANAGEABLE
    answer = _challenge(card, EXTENDED_RANDOM_SIZE)
    return answer + bytes((flags, slot[0], slot[1], len(record))) + record


def _start(
    card: CalypsoCard, command: CommandApdu, slot: _Slot, mode: SessionMode, answer: bytes
) -> bytes:
    volatile = card.volatile
    extended = mode is SessionMode.EXTENDED
    volatile.pre_open = None
    volatile.session = Session(
        mode=mode,
        key_index=command.p1 & 0x07,
        key=slot[3],
        digest=card.suite.start_session(
            slot[3],
            extended=extended,
            terminal_challenge=command.data[1:] if extended else command.data,
            open_data=answer,
        ),
        buffer_left=volatile.application.buffer_size,
        is_manageable=extended and _is_manageable(slot),
    )
    return answer


# Close and abort


@COMMANDS.command(
    name="Close Secure Session",
    ins=CalypsoIns.CLOSE_SECURE_SESSION,
    p1=bits("00 to be ratified, 80 ratified", 0x7F, 0x00),
    p2=ZERO,
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((REGULAR_MAC_SIZE, EXTENDED_MAC_SIZE)),
    answers=(0x9000, 0x6700, 0x6985, 0x6988),
    source="calypso-card §4.18",
    where=INSIDE,
    traits={UNDIGESTED},
)
def close_session(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Check the terminal's MAC and commit; answer the postponed items, then the card's MAC."""
    volatile = card.volatile
    session = cast("Session", volatile.session)
    extended = session.mode is SessionMode.EXTENDED
    terminal_mac = command.data
    size = EXTENDED_MAC_SIZE if extended else REGULAR_MAC_SIZE
    if len(terminal_mac) != size or session.mode is SessionMode.PKI:
        raise Refusal(StatusWord.WRONG_LENGTH)
    digest = session.mac_digest
    volatile.session = None
    if not hmac.compare_digest(terminal_mac, digest.terminal_mac()[: len(terminal_mac)]):
        raise Refusal(StatusWord.WRONG_CRYPTOGRAM)
    # A key that is not AES makes the session unmanageable; the answer is then a short MAC (§4.17).
    size = EXTENDED_MAC_SIZE if session.is_manageable else REGULAR_MAC_SIZE
    answer = session.postponed + digest.card_mac()[:size]
    is_ratified = int(bool(command.p1))
    changes = session.changes
    ratified_key = volatile.application.ratified_key
    if card.memory[ratified_key] != is_ratified:
        changes[ratified_key] = is_ratified
    card.memory.commit(changes)
    volatile.awaits_ratification = not is_ratified
    return answer


@COMMANDS.command(
    name="Abort Secure Session",
    ins=CalypsoIns.CLOSE_SECURE_SESSION,
    p1=ZERO,
    p2=ZERO,
    cases={IsoCase.NO_DATA, IsoCase.DATA_OUT},
    answers=(0x9000, 0x6700, 0x6985),
    source="calypso-card §4.18",
    where=INSIDE,
    traits={UNDIGESTED},
)
def abort_session(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Roll everything back; in a PKI session, whose Close has the same bytes, sign and commit."""
    session = cast("Session", card.volatile.session)
    if session.mode is SessionMode.PKI:
        return close_pki(card, session)
    card.volatile.session = None
    return b""


# Manage


def _manageable_session(card: CalypsoCard) -> Session:
    session = cast("Session", card.volatile.session)
    if not session.is_manageable:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    return session


@COMMANDS.command(
    name="Manage Secure Session (encryption)",
    ins=CalypsoIns.MANAGE_SECURE_SESSION,
    p1=ZERO,
    p2=bits("00 off, 02 on", 0xFD, 0x00),
    cases={IsoCase.NO_DATA, IsoCase.DATA_OUT},
    lc=NO_DATA,
    answers=(0x9000, 0x6700, 0x6985),
    source="calypso-card §4.19",
    where=INSIDE,
    traits={UNDIGESTED, NEEDS_EXTENDED_MODE},
)
def manage_encryption(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Switch encryption off or on, without authentication."""
    _manageable_session(card).encrypted = bool(command.p2)
    return b""


@COMMANDS.command(
    name="Manage Secure Session (authentication)",
    ins=CalypsoIns.MANAGE_SECURE_SESSION,
    p1=ZERO,
    p2=bits("01 encryption off, 03 on", 0xFD, 0x01),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((EXTENDED_MAC_SIZE,)),
    answers=(0x9000, 0x6700, 0x6985, 0x6988),
    source="calypso-card §4.19, §5.12",
    where=INSIDE,
    traits={UNDIGESTED, NEEDS_EXTENDED_MODE},
)
def authenticate(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Check the terminal's proof and answer the card's; a wrong one ends the session."""
    session = _manageable_session(card)
    digest = session.mac_digest
    if not hmac.compare_digest(command.data, digest.terminal_proof()):
        card.volatile.session = None
        raise Refusal(StatusWord.WRONG_CRYPTOGRAM)
    session.encrypted = bool(command.p2 & 0x02)
    return digest.card_proof()
