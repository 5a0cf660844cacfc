"""PIN commands: Get Challenge, PIN status, Verify PIN, Change PIN.

A presentation is counted before it is compared: transaction counter and tries go down in one commit,
and only a right PIN brings the tries back to three. What is counted stays counted when a session is
rolled back.

Source: calypso-card §4.11 to §4.13, §4.23, §5.7, §7.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, cast

from cardbench.emulator.calypso.structure import PIN_KEY, PIN_TRIES, PIN_TRIES_KEY
from cardbench.emulator.calypso.table import COMMANDS, NEEDS_KEY, NEEDS_PIN, OUTSIDE, ZERO
from cardbench.emulator.chassis import NO_DATA, Refusal, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import CalypsoIns, WriteAccessLevel
from cardbench.protocol.errors import CryptoError
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.protocol.apdu import CommandApdu

PIN_SIZE: Final = 4
CHALLENGE_SIZE: Final = 8
PRESENTATION_SIZE: Final = 8
CHANGE_SIZE: Final = 16
KEY_CRYPTOGRAM_SIZES: Final = frozenset((24, 32))
_TRIES_LEFT: Final = 0x63C0
_OLD_PIN_UNCHECKED: Final = bytes(PIN_SIZE)
ISSUER: Final = int(WriteAccessLevel.PERSONALIZATION)
"""Slot of the key that changes of PIN and keys are made under."""
_DEBIT: Final = int(WriteAccessLevel.DEBIT)
_CASES = frozenset((IsoCase.DATA_IN, IsoCase.DATA_IN_OUT))
_VERIFY_ANSWERS = (0x9000, 0x63C1, 0x63C2, 0x6700, 0x6900, 0x6983, 0x6985)


@COMMANDS.command(
    name="Get Challenge",
    ins=CalypsoIns.GET_CHALLENGE,
    p1=ZERO,
    p2=ZERO,
    cases={IsoCase.DATA_OUT},
    lc=NO_DATA,
    answers=(0x9000, 0x6700),
    source="calypso-card §4.11, §4.23",
)
def get_challenge(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Return 8 random bytes, good for the next command only."""
    if command.ne != CHALLENGE_SIZE:
        raise Refusal(StatusWord.WRONG_LENGTH)
    challenge = card.entropy.draw(CHALLENGE_SIZE)
    card.volatile.preparing = challenge
    return challenge


def taken_challenge(card: CalypsoCard) -> bytes:
    """Return the challenge that the command just before got.

    Raises:
        Refusal: 6982, it was another command.
    """
    challenge = card.volatile.prepared
    if not isinstance(challenge, bytes):
        raise Refusal(StatusWord.SECURITY_NOT_SATISFIED)
    return challenge


def slot_key(card: CalypsoCard, index: int) -> bytes:
    """Return a key of the current DF, 16 zero bytes (the null key) for an empty slot."""
    slot = card.memory[card.volatile.application.key_slots[index]]
    kif, kvc, _, value = cast("tuple[int, int, int, bytes]", slot)
    return value if kif or kvc else bytes(len(value))


# Verify PIN


@COMMANDS.command(
    name="PIN status",
    ins=CalypsoIns.VERIFY_PIN,
    p1=ZERO,
    p2=ZERO,
    cases={IsoCase.NO_DATA, IsoCase.DATA_OUT},
    lc=NO_DATA,
    answers=(0x9000, 0x63C1, 0x63C2, 0x6700, 0x6983, 0x6985),
    source="calypso-card §4.12",
    traits={NEEDS_PIN},
)
def pin_status(card: CalypsoCard, command: CommandApdu) -> tuple[bytes, int]:
    """Tell how many attempts are left; nothing is presented."""
    card.check_valid()
    tries = cast("int", card.memory[PIN_TRIES_KEY])
    if not tries:
        raise Refusal(StatusWord.BLOCKED)
    return b"", StatusWord.OK if tries == PIN_TRIES else _TRIES_LEFT + tries


@COMMANDS.command(
    name="Verify PIN (plain)",
    ins=CalypsoIns.VERIFY_PIN,
    p1=ZERO,
    p2=ZERO,
    cases=_CASES,
    lc=frozenset((PIN_SIZE,)),
    answers=_VERIFY_ANSWERS,
    source="calypso-card §4.12",
    traits={NEEDS_PIN},
)
def verify_plain(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Present the PIN."""
    _check_presentable(card)
    return _present(card, command.data, cast("bytes", card.memory[PIN_KEY]))


@COMMANDS.command(
    name="Verify PIN (ciphered)",
    ins=CalypsoIns.VERIFY_PIN,
    p1=ZERO,
    p2=ZERO,
    cases=_CASES,
    lc=frozenset((PRESENTATION_SIZE,)),
    answers=(*_VERIFY_ANSWERS, 0x6982),
    source="calypso-card §4.12, §7 (which key)",
    traits={NEEDS_PIN, NEEDS_KEY},
)
def verify_ciphered(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Present a cryptogram of the PIN, bound to the challenge just got.

    It is made with the session's key; outside a session with key 3 of the current DF.
    """
    _check_presentable(card)
    challenge = taken_challenge(card)
    session = card.volatile.session
    key = slot_key(card, _DEBIT) if session is None else session.key
    pin = cast("bytes", card.memory[PIN_KEY])
    return _present(card, command.data, card.suite.pin_presentation(key, challenge, pin))


def _check_presentable(card: CalypsoCard) -> None:
    card.check_valid()
    if not card.memory[PIN_TRIES_KEY]:
        raise Refusal(StatusWord.BLOCKED)
    card.check_transaction_counter()


def _present(card: CalypsoCard, presented: bytes, right: bytes) -> bytes:
    volatile = card.volatile
    volatile.pin_verified = False
    tries = cast("int", card.memory[PIN_TRIES_KEY]) - 1
    card.count_transaction({PIN_TRIES_KEY: tries})
    if not hmac.compare_digest(presented, right):
        raise Refusal(_TRIES_LEFT + tries if tries else StatusWord.BLOCKED)
    card.memory.commit({PIN_TRIES_KEY: PIN_TRIES})
    volatile.pin_verified = True
    return b""


# Change PIN


@COMMANDS.command(
    name="Change PIN",
    ins=CalypsoIns.CHANGE_KEY,
    p1=ZERO,
    p2=exactly(0xFF),
    cases=_CASES,
    lc=frozenset((PIN_SIZE, CHANGE_SIZE)) | KEY_CRYPTOGRAM_SIZES,
    answers=(0x9000, 0x6700, 0x6900, 0x6982, 0x6985, 0x6988, 0x6A80, 0x6A87),
    source="calypso-card §4.13, §4.14 (status words)",
    where=OUTSIDE,
    traits={NEEDS_PIN},
)
def change_pin(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Set a new PIN: in plain once the old one is verified, or ciphered with the issuer key.

    The cryptogram carries old and new PIN; an old one of zeros is not checked. Tries are three again.
    """
    data = command.data
    if len(data) not in (PIN_SIZE, CHANGE_SIZE):
        raise Refusal(StatusWord.LC_INCONSISTENT)
    card.check_valid()
    card.check_transaction_counter()
    if len(data) == PIN_SIZE:
        if not card.volatile.pin_verified:
            raise Refusal(StatusWord.SECURITY_NOT_SATISFIED)
        card.count_transaction({PIN_KEY: data, PIN_TRIES_KEY: PIN_TRIES})
        return b""
    challenge = taken_challenge(card)
    card.count_transaction()
    try:
        old, new = card.suite.open_pin_change(slot_key(card, ISSUER), challenge, data)
    except CryptoError:
        raise Refusal(StatusWord.WRONG_CRYPTOGRAM) from None
    pin = cast("bytes", card.memory[PIN_KEY])
    if old != _OLD_PIN_UNCHECKED and not hmac.compare_digest(old, pin):
        raise Refusal(StatusWord.WRONG_DATA)
    card.memory.commit({PIN_KEY: new, PIN_TRIES_KEY: PIN_TRIES})
    return b""
