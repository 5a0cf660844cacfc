"""Card Cipher PIN and Card Generate Key: cryptograms that a card deciphers.

Both are bound to the card's challenge that Give Random brought, and use it up.

Source: legacy-sam §5.8, §5.9, §6.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.emulator.chassis import Answer, Refusal, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.sam import KEY_LENGTH
from cardbench.protocol.calypso.suite import WrappedKey
from cardbench.protocol.status import StatusWord
from cardbench.sam_emulator.table import TABLE

if TYPE_CHECKING:
    from cardbench.protocol.apdu import CommandApdu
    from cardbench.sam_emulator.card import SamCard

_ALG = 2
_PIN = 4
_NULL_KEY = bytes(KEY_LENGTH)
_GENERATE_KEY_END = 0x90
_CIPHER_PIN_ANSWERS = (
    StatusWord.OK,
    StatusWord.WRONG_LENGTH,
    StatusWord.COUNTER_EXHAUSTED,
    StatusWord.CONDITIONS_NOT_SATISFIED,
    StatusWord.RECORD_NOT_FOUND,
)
_GENERATE_KEY_ANSWERS = (
    StatusWord.OK,
    StatusWord.WRONG_LENGTH,
    StatusWord.CONDITIONS_NOT_SATISFIED,
    StatusWord.WRONG_DATA,
    StatusWord.RECORD_NOT_FOUND,
)

TABLE.refuse_parameters(SamIns.CARD_GENERATE_KEY, StatusWord.WRONG_P1P2_LEGACY)


def card_random(card: SamCard) -> bytes:
    """Return the outstanding random value.

    Raises:
        Refusal: 6985, Give Random did not come before, or no diversifier is selected.
    """
    volatile = card.volatile
    if not volatile.random or not volatile.diversifier:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    return volatile.random


def _pin_key(card: SamCard, data: bytes) -> bytes:
    """Find, count and diversify the key of a PIN command."""
    key = card.work_key(data[0], data[1])
    card.memory.commit(card.counted(key))
    return card.diversified(key)


@TABLE.command(
    name="Card Cipher PIN, presentation",
    ins=SamIns.CARD_GENERATE_KEY,
    p1=exactly(0x80),
    p2=exactly(0xFF),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((2 + _PIN,)),
    answers=_CIPHER_PIN_ANSWERS,
    source="legacy-sam §5.8, §6.2",
)
def cipher_pin_presentation(card: SamCard, command: CommandApdu) -> Answer:
    """Return the 8-byte cryptogram that presents a PIN."""
    random = card_random(card)
    key = _pin_key(card, command.data)
    card.volatile.random = b""
    return card.suite.pin_presentation(key, random, command.data[2:])


@TABLE.command(
    name="Card Cipher PIN, change",
    ins=SamIns.CARD_GENERATE_KEY,
    p1=exactly(0x40),
    p2=exactly(0xFF),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((2 + 2 * _PIN,)),
    answers=_CIPHER_PIN_ANSWERS,
    source="legacy-sam §5.8, §6.2",
)
def cipher_pin_change(card: SamCard, command: CommandApdu) -> Answer:
    """Return the 16-byte cryptogram that carries old and new PIN."""
    data = command.data
    random = card_random(card)
    key = _pin_key(card, data)
    card.volatile.random = b""
    return card.suite.pin_change(key, random, data[2 : 2 + _PIN], data[2 + _PIN :])


@TABLE.command(
    name="Card Generate Key, by a key",
    ins=SamIns.CARD_GENERATE_KEY,
    p1=exactly(0xFF),
    p2=exactly(0xFF),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((5,)),
    answers=_GENERATE_KEY_ANSWERS,
    source="legacy-sam §5.9, §6.2",
)
def generate_key(card: SamCard, command: CommandApdu) -> Answer:
    """Return the 32-byte cryptogram of a card key under another of its keys."""
    return _wrapped(card, command.data[2:], command.data[:2])


@TABLE.command(
    name="Card Generate Key, null key",
    ins=SamIns.CARD_GENERATE_KEY,
    p1=exactly(0xFF),
    p2=exactly(0x00),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((3,)),
    answers=_GENERATE_KEY_ANSWERS,
    source="legacy-sam §5.9, §6.2",
)
def generate_key_under_null_key(card: SamCard, command: CommandApdu) -> Answer:
    """Return the 32-byte cryptogram of a card key under the null key."""
    return _wrapped(card, command.data, b"")


def _wrapped(card: SamCard, source: bytes, ciphering: bytes) -> bytes:
    kif, kvc, end = source
    if end != _GENERATE_KEY_END:
        raise Refusal(StatusWord.WRONG_DATA)
    random = card_random(card)
    key = card.diversified(card.work_key(*ciphering)) if ciphering else _NULL_KEY
    new = card.work_key(kif, kvc)
    card.volatile.random = b""
    wrapped = WrappedKey(card.diversified(new), kif, kvc, new.block[_ALG])
    return card.suite.wrap_key(key, random, wrapped)
