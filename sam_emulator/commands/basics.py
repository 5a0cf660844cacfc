"""Select Diversifier, Get Challenge, Give Random, Unlock, Get Data, GET RESPONSE.

Source: legacy-sam §3 (GET RESPONSE), §5.2, §5.3, §5.15, §5.20, §6.2.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from cardbench.emulator.chassis import Answer, Refusal, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.sam import KEY_LENGTH, KeyReference
from cardbench.protocol.status import StatusWord
from cardbench.sam_emulator import layout
from cardbench.sam_emulator.table import TABLE, UNLOCKED

if TYPE_CHECKING:
    from cardbench.protocol.apdu import CommandApdu
    from cardbench.sam_emulator.card import SamCard

_LEADING_ZEROS = bytes(4)
_DYNAMIC_UNLOCK = 8
_CA_CERTIFICATE = 0xDF43
_CA_CERTIFICATE_HEAD = bytes.fromhex("DF43820180")  # tag and length of 384 bytes


@TABLE.command(
    name="Select Diversifier",
    ins=SamIns.SELECT_DIVERSIFIER,
    p1=exactly(0),
    p2=exactly(0),
    cases={IsoCase.DATA_IN},
    lc=frozenset((4, 8)),
    traits={UNLOCKED},
    answers=(StatusWord.OK, StatusWord.WRONG_LENGTH, StatusWord.CONDITIONS_NOT_SATISFIED),
    source="legacy-sam §5.2",
)
def select_diversifier(card: SamCard, command: CommandApdu) -> Answer:
    """Take the serial number that keys are diversified by; 4 bytes are left-padded with zeros."""
    data = command.data
    card.volatile.diversifier = data if len(data) == 8 else _LEADING_ZEROS + data
    return b""


@TABLE.command(
    name="Get Challenge",
    ins=SamIns.GET_CHALLENGE,
    p1=exactly(0),
    p2=exactly(0),
    cases={IsoCase.DATA_OUT},
    answers=(StatusWord.OK, StatusWord.WRONG_LENGTH),
    source="legacy-sam §5.3",
)
def get_challenge(card: SamCard, command: CommandApdu) -> Answer:
    """Draw 4 or 8 bytes, which replace the challenge that was outstanding."""
    ne = command.ne
    if ne not in {4, 8}:
        raise Refusal(StatusWord.WRONG_LENGTH)
    challenge = card.entropy.draw(ne)
    card.volatile.challenge = challenge
    return challenge


@TABLE.command(
    name="Give Random",
    ins=SamIns.GIVE_RANDOM,
    p1=exactly(0),
    p2=exactly(0),
    cases={IsoCase.DATA_IN},
    lc=frozenset((8,)),
    answers=(StatusWord.OK, StatusWord.WRONG_LENGTH),
    source="legacy-sam §5.3",
)
def give_random(card: SamCard, command: CommandApdu) -> Answer:
    """Take the challenge of a card, or of another SAM, that the next cryptogram is bound to."""
    card.volatile.random = command.data
    return b""


@TABLE.command(
    name="Unlock",
    ins=SamIns.UNLOCK,
    p1=exactly(0),
    p2=exactly(0),
    cases={IsoCase.DATA_IN},
    lc=frozenset((_DYNAMIC_UNLOCK, KEY_LENGTH)),
    answers=(
        StatusWord.OK,
        StatusWord.WRONG_LENGTH,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.WRONG_CRYPTOGRAM,
    ),
    source="legacy-sam §5.15, §6.2; our choice: dynamic without a challenge of 8 bytes is 6988, "
    "because terminals read 6985 as: not locked",
)
def unlock(card: SamCard, command: CommandApdu) -> Answer:
    """Present the lock value (16 bytes), or a proof of it bound to the challenge (8 bytes)."""
    volatile = card.volatile
    lock = card.key(KeyReference.LOCK)
    if not volatile.locked or lock is None:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    right = lock.value
    if len(command.data) == _DYNAMIC_UNLOCK:
        challenge, volatile.challenge = volatile.challenge, b""
        if len(challenge) != 8:
            raise Refusal(StatusWord.WRONG_CRYPTOGRAM)
        right = card.suite.unlock_proof(right, card.serial, challenge)
    if not hmac.compare_digest(command.data, right):
        raise Refusal(StatusWord.WRONG_CRYPTOGRAM)
    volatile.locked = False
    return b""


@TABLE.command(
    name="Get Data",
    ins=SamIns.GET_DATA,
    cases={IsoCase.DATA_OUT},
    answers=(StatusWord.OK, StatusWord.WRONG_LENGTH, StatusWord.DATA_NOT_FOUND),
    source="legacy-sam §5.20; our choice: any other tag than DF43 is not available either",
)
def get_data(card: SamCard, command: CommandApdu) -> Answer:
    """Return the CA certificate behind its tag and length."""
    certificate = card.memory.get(layout.CA_CERTIFICATE)
    if command.p1 << 8 | command.p2 != _CA_CERTIFICATE or certificate is None:
        raise Refusal(StatusWord.DATA_NOT_FOUND)
    assert isinstance(certificate, bytes), "the layout says so"
    return _CA_CERTIFICATE_HEAD + certificate


@TABLE.command(
    name="GET RESPONSE",
    ins=SamIns.GET_RESPONSE,
    p1=exactly(0),
    p2=exactly(0),
    cases={IsoCase.DATA_OUT},
    answers=(StatusWord.OK, StatusWord.WRONG_LENGTH, StatusWord.CONDITIONS_NOT_SATISFIED),
    source="legacy-sam §3, §6.2; our choice: what is left over is announced with 61xx again",
)
def get_response(card: SamCard, command: CommandApdu) -> Answer:
    """Hand out what is left of an answer that was longer than Le."""
    volatile = card.volatile
    pending = volatile.pending
    if not pending:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    volatile.pending = b""  # what Le does not take, `execute` keeps again
    return pending
