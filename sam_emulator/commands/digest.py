"""Digest Init, Update, Update Multiple, Close, Internal Authenticate, Authenticate.

The SAM absorbs what it is given: one element is one card request or one card response, in turn,
starting with a request. Which commands the terminal digests, and whether it left Le out, is its affair.

Source: legacy-sam §5.4 to §5.7, §6.1, §6.2; calypso-card §5.11 (what is enciphered).
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from cardbench.emulator.chassis import ANY, Answer, Refusal, between, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.sam import AES_ALGORITHMS, WORK_KEY_RECORDS
from cardbench.protocol.status import StatusWord
from cardbench.sam_emulator.state import (
    DIGEST_STEPS,
    DigestState,
    DigestStep,
    SamKey,
    SamVolatile,
    Session,
)
from cardbench.sam_emulator.table import EXTENDED, MULTIPLE, TABLE

if TYPE_CHECKING:
    from cardbench.protocol.apdu import CommandApdu
    from cardbench.sam_emulator.card import SamCard

_VERIFICATION = 0x01
_EXTENDED = 0x02
_ENCRYPTED = 0x80
_REGULAR_MAC = 4
_EXTENDED_MAC = 8
_PROOFS_MAX = 249
_REQUEST_HEADER = 5
_STATUS_WORD = 2
_CARD_CHALLENGE_MIN = 4
_BY_KIF_KVC = 0xFF
_ALG = 2

# Plain numbers: the digest commands are the hot path of every transaction.
_UPDATE, _PROVE, _CLOSE, _AUTHENTICATE = (int(step) for step in DigestStep)


def _step(volatile: SamVolatile, step: int) -> tuple[Session, DigestState]:
    """Return the session and the state that the step leads to.

    Raises:
        Refusal: 6985, the step is not possible now.
    """
    state = DIGEST_STEPS.get((volatile.state, step))
    session = volatile.session
    if state is None or session is None:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    return session, state


def _end(volatile: SamVolatile) -> None:
    volatile.state = DigestState.IDLE
    volatile.session = None


@TABLE.command(
    name="Digest Init",
    ins=SamIns.DIGEST_INIT,
    p1=between(0, _VERIFICATION | _EXTENDED),
    p2=ANY,
    cases={IsoCase.DATA_IN},
    lc=range(_CARD_CHALLENGE_MIN, 256),
    answers=(
        StatusWord.OK,
        StatusWord.WRONG_LENGTH,
        StatusWord.COUNTER_EXHAUSTED,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.WRONG_P1P2_LEGACY,
        StatusWord.RECORD_NOT_FOUND,
    ),
    source="legacy-sam §5.4, §6.2; our choice: open data hold at least a card challenge of 4 bytes",
)
def digest_init(card: SamCard, command: CommandApdu) -> Answer:
    """Start a digest from the challenge, the key of KIF/KVC (or of a record) and the open data.

    The challenge is consumed when the digest starts. A refusal other than for Lc or P2 ends a digest
    that was running.
    """
    volatile = card.volatile
    data, p1, p2 = command.data, command.p1, command.p2
    if p2 == _BY_KIF_KVC:
        if len(data) < 2 + _CARD_CHALLENGE_MIN:
            raise Refusal(StatusWord.WRONG_LENGTH)
        open_data = data[2:]
    elif p2 in WORK_KEY_RECORDS:
        open_data = data
    else:
        raise Refusal(StatusWord.WRONG_P1P2_LEGACY)
    _end(volatile)
    challenge = volatile.challenge
    extended = p1 & _EXTENDED != 0
    if (
        p1 & _VERIFICATION
        or not volatile.diversifier
        or (extended and not volatile.features.extended)
        or len(challenge) < (_EXTENDED_MAC if extended else _REGULAR_MAC)
    ):
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    key = card.work_key(data[0], data[1]) if p2 == _BY_KIF_KVC else _key_of_record(card, p2)
    counted = card.counted(key)
    if counted:
        card.memory.commit(counted)
    volatile.challenge = b""
    digest = card.suite.start_session(
        card.diversified(key),
        extended=extended,
        terminal_challenge=challenge if extended else challenge[:_REGULAR_MAC],
        open_data=open_data,
    )
    volatile.session = Session(digest, extended=extended, aes=key.block[_ALG] in AES_ALGORITHMS)
    volatile.state = DigestState.RUNNING
    return b""


def _key_of_record(card: SamCard, record: int) -> SamKey:
    key = card.key(record)
    if key is None:
        raise Refusal(StatusWord.RECORD_NOT_FOUND)
    return key


@TABLE.command(
    name="Digest Update",
    ins=SamIns.DIGEST_UPDATE,
    p1=exactly(0),
    p2=exactly(0),
    cases={IsoCase.DATA_IN},
    answers=(StatusWord.OK, StatusWord.WRONG_LENGTH, StatusWord.CONDITIONS_NOT_SATISFIED),
    source="legacy-sam §5.5",
)
def digest_update(card: SamCard, command: CommandApdu) -> Answer:
    """Absorb one element."""
    volatile = card.volatile
    if len(command.data) > volatile.features.digest_bytes_max:
        raise Refusal(StatusWord.WRONG_LENGTH)
    session, state = _step(volatile, _UPDATE)
    session.digest.absorb(command.data)
    volatile.state = state
    return b""


@TABLE.command(
    name="Digest Update, encrypted",
    ins=SamIns.DIGEST_UPDATE,
    p1=exactly(0),
    p2=exactly(_ENCRYPTED),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    answers=(
        StatusWord.OK,
        StatusWord.WRONG_LENGTH,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.WRONG_DATA,
    ),
    traits={EXTENDED},
    source="legacy-sam §5.5, §6.2",
)
def digest_update_encrypted(card: SamCard, command: CommandApdu) -> Answer:
    """Encipher the data of a request, or decipher those of a response; absorb the plain element.

    Header, Lc and status word stay in clear. Bytes behind the Lc data bytes of a request (a Le that was
    not left out) stay in clear too.
    """
    volatile = card.volatile
    element = command.data
    if len(element) > volatile.features.digest_bytes_max:
        raise Refusal(StatusWord.WRONG_LENGTH)
    session, state = _step(volatile, _UPDATE)
    digest = session.digest
    if not session.extended or not session.aes:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    is_request = digest.elements % 2 == 0
    if len(element) < (_REQUEST_HEADER if is_request else _STATUS_WORD):
        raise Refusal(StatusWord.WRONG_DATA)
    if is_request:
        start, stop = _REQUEST_HEADER, min(len(element), _REQUEST_HEADER + element[4])
    else:
        start, stop = 0, len(element) - _STATUS_WORD
    processed = element[:start] + digest.cipher(element[start:stop]) + element[stop:]
    digest.absorb(element if is_request else processed)
    volatile.state = state
    return processed


@TABLE.command(
    name="Digest Update Multiple",
    ins=SamIns.DIGEST_UPDATE,
    p1=exactly(0x80),
    p2=exactly(0),
    cases={IsoCase.DATA_IN},
    answers=(
        StatusWord.OK,
        StatusWord.WRONG_LENGTH,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.WRONG_DATA,
    ),
    traits={MULTIPLE},
    source="legacy-sam §5.5, §6.2",
)
def digest_update_multiple(card: SamCard, command: CommandApdu) -> Answer:
    """Absorb a list of elements, each behind its length; a wrong list leaves nothing absorbed."""
    volatile = card.volatile
    data = command.data
    if len(data) > volatile.features.digest_bytes_max:
        raise Refusal(StatusWord.WRONG_LENGTH)
    session, state = _step(volatile, _UPDATE)
    elements = []
    start, end = 0, len(data)
    while start < end:
        stop = start + 1 + data[start]
        element = data[start + 1 : stop]
        if not element or stop > end:
            raise Refusal(StatusWord.WRONG_DATA)
        elements.append(element)
        start = stop
    absorb = session.digest.absorb
    for element in elements:
        absorb(element)
    volatile.state = state
    return b""


@TABLE.command(
    name="Digest Close",
    ins=SamIns.DIGEST_CLOSE,
    p1=exactly(0),
    p2=exactly(0),
    cases={IsoCase.DATA_OUT},
    answers=(StatusWord.OK, StatusWord.WRONG_LENGTH, StatusWord.CONDITIONS_NOT_SATISFIED),
    source="legacy-sam §5.6, §6.2",
)
def digest_close(card: SamCard, command: CommandApdu) -> Answer:
    """Return the terminal's MAC, 4 bytes or 8 in extended mode; await the card's."""
    volatile = card.volatile
    session, state = _step(volatile, _CLOSE)
    digest = session.digest
    if digest.elements % 2:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    length = _EXTENDED_MAC if session.extended else _REGULAR_MAC
    if command.ne != length:
        raise Refusal(StatusWord.WRONG_LENGTH)
    session.expected = digest.card_mac()
    volatile.state = state
    return digest.terminal_mac()[:length]


@TABLE.command(
    name="Digest Internal Authenticate",
    ins=SamIns.DIGEST_INTERNAL_AUTHENTICATE,
    p1=exactly(0x80),
    p2=exactly(0),
    cases={IsoCase.DATA_OUT},
    answers=(StatusWord.OK, StatusWord.WRONG_LENGTH, StatusWord.CONDITIONS_NOT_SATISFIED),
    traits={EXTENDED},
    source="legacy-sam §5.7, §6.2",
)
def digest_internal_authenticate(card: SamCard, command: CommandApdu) -> Answer:
    """Return the terminal's proof over the digest so far, 8 bytes; await the card's."""
    volatile = card.volatile
    session, state = _step(volatile, _PROVE)
    if not session.extended or not session.aes or session.proofs >= _PROOFS_MAX:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    session.proofs += 1
    session.expected = session.digest.card_proof()
    volatile.state = state
    return session.digest.terminal_proof()


@TABLE.command(
    name="Digest Authenticate",
    ins=SamIns.DIGEST_AUTHENTICATE,
    p1=exactly(0),
    p2=exactly(0),
    cases={IsoCase.DATA_IN},
    lc=frozenset((_REGULAR_MAC, _EXTENDED_MAC)),
    answers=(
        StatusWord.OK,
        StatusWord.WRONG_LENGTH,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.WRONG_CRYPTOGRAM,
    ),
    source="legacy-sam §5.6, §6.2",
)
def digest_authenticate(card: SamCard, command: CommandApdu) -> Answer:
    """Check the card's MAC after Close, or its proof after Internal Authenticate.

    After Close of an extended session the first four bytes alone are taken too. A wrong MAC ends the
    session.
    """
    volatile = card.volatile
    session, state = _step(volatile, _AUTHENTICATE)
    mac = command.data
    if len(mac) == _REGULAR_MAC:
        if volatile.state is DigestState.PROVED:
            raise Refusal(StatusWord.WRONG_LENGTH)
    elif not session.extended:
        raise Refusal(StatusWord.WRONG_LENGTH)
    if not hmac.compare_digest(mac, session.expected[: len(mac)]):
        _end(volatile)
        raise Refusal(StatusWord.WRONG_CRYPTOGRAM)
    if state is DigestState.IDLE:
        _end(volatile)
    else:
        volatile.state = state
    return b""
