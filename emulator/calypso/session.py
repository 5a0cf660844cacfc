"""The secure session: Open, Close, abort.

Theory of operation
-------------------
Open announces a challenge (the transaction counter, counted down for good, and random bytes), the
ratification status, the key and, if asked, a record; from then on modifications are provisional and
every command and answer is digested. Close brings the terminal's MAC: if it is right, all changes and
the new ratification status are committed as one and the card answers with its own MAC; if it is wrong
everything is rolled back. Abort rolls back too.

    no session --Open--> open
    open --Open--> open (6985)
    open --Close, right MAC--> no session, committed
    open --Close, wrong MAC--> no session, rolled back (6988)
    open --Close, wrong length--> open (6700)
    open --abort--> no session, rolled back
    open --reset, power lost, Select Application--> no session, rolled back

Source: calypso-card §4.17, §4.18, §5.1 to §5.7; choices where nothing is public: §4.23.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, cast

from cardbench.emulator.calypso.files import addressed_file, read_record
from cardbench.emulator.calypso.state import Session, SessionMode
from cardbench.emulator.calypso.structure import AES_ALGORITHMS
from cardbench.emulator.calypso.table import COMMANDS
from cardbench.emulator.chassis import Refusal, bits, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.calypso.startup import ApplicationOption, session_buffer_size_bytes
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.protocol.apdu import CommandApdu

KEY_COUNT: Final = 3
REGULAR_CHALLENGE_SIZE: Final = 4
EXTENDED_DATA_SIZE: Final = 9
"""A zero byte, then the 8-byte terminal challenge."""
REGULAR_MAC_SIZE: Final = 4
EXTENDED_MAC_SIZE: Final = 8
EXTENDED_RANDOM_SIZE: Final = 5
_NOT_RATIFIED: Final = 0x01
_MANAGEABLE: Final = 0x02

_OPEN_REFUSALS = (
    0x6700,
    0x6900,
    0x6981,
    0x6982,
    0x6985,
    0x6986,
    0x6A81,
    0x6A82,
    0x6A83,
    0x6B00,
)


@COMMANDS.command(
    name="Open Secure Session (regular)",
    ins=CalypsoIns.OPEN_SECURE_SESSION,
    p2=bits("SFI×8 + 1", 0x07, 0x01),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((REGULAR_CHALLENGE_SIZE,)),
    answers=(0x9000, *_OPEN_REFUSALS),
    source="calypso-card §4.17",
    where="outside a session",
)
def open_regular(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Open with MACs of 4 bytes; P1 is record×8 + key index."""
    return _open(card, command, SessionMode.REGULAR, command.data)


@COMMANDS.command(
    name="Open Secure Session (extended)",
    ins=CalypsoIns.OPEN_SECURE_SESSION,
    p2=bits("SFI×8 + 2", 0x07, 0x02),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((EXTENDED_DATA_SIZE,)),
    answers=(0x9000, 0x6A80, *_OPEN_REFUSALS),
    source="calypso-card §4.17",
    where="outside a session",
)
def open_extended(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Open with MACs of 8 bytes, on products with the extended mode."""
    if not card.volatile.application.options & ApplicationOption.EXTENDED_MODE:
        raise Refusal(StatusWord.P1P2_NOT_SUPPORTED)
    if command.data[0] != 0:
        raise Refusal(StatusWord.WRONG_DATA)
    return _open(card, command, SessionMode.EXTENDED, command.data[1:])


def _open(
    card: CalypsoCard, command: CommandApdu, mode: SessionMode, terminal_challenge: bytes
) -> bytes:
    volatile = card.volatile
    application = volatile.application
    if volatile.session is not None:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    key_index, record_number = command.p1 & 0x07, command.p1 >> 3
    if not 1 <= key_index <= KEY_COUNT:
        raise Refusal(StatusWord.FUNCTION_NOT_SUPPORTED)
    slot = cast("tuple[int, int, int, bytes]", card.memory[application.key_slots[key_index]])
    kif, kvc, algorithm, key = slot
    if not kif and not kvc:
        raise Refusal(StatusWord.FUNCTION_NOT_SUPPORTED)
    card.check_transaction_counter()
    record = b""
    if record_number:
        file = addressed_file(card, command.p2 >> 3)
        record = read_record(card, file, record_number)
    is_manageable = mode is SessionMode.EXTENDED and algorithm in AES_ALGORITHMS
    counter = card.count_transaction().to_bytes(3)
    ratified = card.memory[application.ratified_key]
    if mode is SessionMode.REGULAR:
        answer = counter + card.entropy.draw(1) + (b"\x00" if ratified else b"\x01")
    else:
        flags = (0 if ratified else _NOT_RATIFIED) | (_MANAGEABLE if is_manageable else 0)
        answer = counter + card.entropy.draw(EXTENDED_RANDOM_SIZE) + bytes((flags,))
    answer += bytes((kif, kvc, len(record))) + record
    volatile.session = Session(
        mode=mode,
        key_index=key_index,
        digest=card.suite.start_session(
            key,
            extended=mode is SessionMode.EXTENDED,
            terminal_challenge=terminal_challenge,
            open_data=answer,
        ),
        buffer_left=_buffer_size(card),
        is_manageable=is_manageable,
    )
    return answer


def _buffer_size(card: CalypsoCard) -> int:
    profile = card.structure.profile
    if profile.buffer_unit == "bytes":
        return session_buffer_size_bytes(card.volatile.application.startup[0])
    return profile.buffer_operations


@COMMANDS.command(
    name="Close Secure Session",
    ins=CalypsoIns.CLOSE_SECURE_SESSION,
    p1=bits("00 to be ratified, 80 ratified", 0x7F, 0x00),
    p2=exactly(0x00),
    cases={IsoCase.NO_DATA, IsoCase.DATA_OUT, IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=range(256),
    answers=(0x9000, 0x6700, 0x6985, 0x6988, 0x6B00),
    source="calypso-card §4.18",
    where="in a session",
)
def close_session(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Check the terminal's MAC and commit, or abort where there is no data.

    The answer is the postponed items, then the card's MAC.
    """
    volatile = card.volatile
    session = volatile.session
    if session is None:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    is_ratified = bool(command.p1)
    terminal_mac = command.data
    if not terminal_mac:
        if is_ratified:
            raise Refusal(StatusWord.WRONG_LENGTH)
        volatile.session = None
        return b""
    extended = session.mode is SessionMode.EXTENDED
    size = EXTENDED_MAC_SIZE if extended else REGULAR_MAC_SIZE
    if len(terminal_mac) != size:
        raise Refusal(StatusWord.WRONG_LENGTH)
    digest = session.digest
    volatile.session = None
    if not hmac.compare_digest(terminal_mac, digest.terminal_mac()[:size]):
        raise Refusal(StatusWord.WRONG_CRYPTOGRAM)
    # A key that is not AES makes the session unmanageable; the answer is then a short MAC (§4.17).
    answer_size = EXTENDED_MAC_SIZE if session.is_manageable else REGULAR_MAC_SIZE
    answer = session.postponed + digest.card_mac()[:answer_size]
    ratified_key = volatile.application.ratified_key
    changes = session.changes
    if card.memory[ratified_key] != is_ratified:
        changes[ratified_key] = int(is_ratified)
    card.memory.commit(changes)
    volatile.awaits_ratification = not is_ratified
    return answer
