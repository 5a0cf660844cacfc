"""Select Diversifier, Get Challenge, Give Random, GET RESPONSE.

Source: legacy-sam §3 (GET RESPONSE), §5.2, §5.3, §6.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.emulator.chassis import Answer, Refusal, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.status import StatusWord
from cardbench.sam_emulator.table import TABLE, UNLOCKED

if TYPE_CHECKING:
    from cardbench.protocol.apdu import CommandApdu
    from cardbench.sam_emulator.card import SamCard

_LEADING_ZEROS = bytes(4)


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
    name="GET RESPONSE",
    ins=SamIns.GET_RESPONSE,
    p1=exactly(0),
    p2=exactly(0),
    cases={IsoCase.DATA_OUT},
    answers=(StatusWord.OK, StatusWord.CONDITIONS_NOT_SATISFIED),
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
