"""SAM Data Cipher and SAM Generate Key: a control SAM seals objects for another SAM.

The block is sealed with the target's system key: a work key of this SAM (the undiversified master)
diversified by the target's serial number, and bound to the challenge that Give Random brought, which it
uses up. What the object says is the target's affair.

    object 29 bytes ‖ P2 ‖ 00×7 80 00 00   →   48 bytes

Source: legacy-sam §5.16, §5.17, §5.18, §8.1, §11. Our choice: CAAD records are sealed with the key
management key; SAM Generate Key has no published status words and does not count; keys to be
transferred, locks included, are work keys of this SAM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.chassis import Answer, Refusal, between, bits, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.sam import (
    OBJECT_LENGTH,
    WORK_KEY_RECORDS,
    DataReference,
    KeyReference,
    Par1,
    SystemKif,
)
from cardbench.protocol.status import StatusWord
from cardbench.sam_emulator.commands.card_keys import card_random
from cardbench.sam_emulator.table import TABLE, UNLOCKED

if TYPE_CHECKING:
    from cardbench.protocol.apdu import CommandApdu
    from cardbench.sam_emulator.card import SamCard
    from cardbench.sam_emulator.state import SamKey

SEALED_PADDING: Final = bytes.fromhex("00000000000000800000")
"""What follows object and reference in a sealed or plain block."""

_PAR1 = 3
_PARAMETERS = 10
_DIVERSIFIED = 0x01
_GENERATE_KEY_PLAIN = 3 + _PARAMETERS
_GENERATE_KEY_DIVERSIFIED = _GENERATE_KEY_PLAIN + 8
_LC_GENERATE_KEY = frozenset((_GENERATE_KEY_PLAIN, _GENERATE_KEY_DIVERSIFIED))
_DYNAMIC_OR_STATIC = bits("0xxxxxx0", 0x81, 0x00)
_CASES = frozenset((IsoCase.DATA_IN, IsoCase.DATA_IN_OUT))
_DATA_CIPHER_ANSWERS = (
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
    StatusWord.RECORD_NOT_FOUND,
)

TABLE.refuse_parameters(SamIns.SAM_GENERATE_KEY, StatusWord.WRONG_P1P2_LEGACY)


def _sealing_key(card: SamCard, kif: int, kvc: int) -> SamKey:
    """Return the master of the target's system key.

    Raises:
        Refusal: 6A83 there is none, 6985 it may not cipher.
    """
    key = card.work_key(kif, kvc)
    if not key.block[_PAR1] & Par1.CIPHER_ENABLE:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    return key


def _sealed(card: SamCard, key: SamKey, random: bytes, reference: int, content: bytes) -> bytes:
    card.volatile.random = b""
    framed = content + bytes((reference,)) + SEALED_PADDING
    return card.suite.seal_sam_block(card.diversified(key), random, reference, framed)


@TABLE.command(
    name="SAM Data Cipher, parameters",
    ins=SamIns.SAM_GENERATE_KEY,
    p1=_DYNAMIC_OR_STATIC,
    p2=exactly(DataReference.PARAMETERS),
    cases=_CASES,
    lc=frozenset((1 + OBJECT_LENGTH,)),
    traits={UNLOCKED},
    answers=_DATA_CIPHER_ANSWERS,
    source="legacy-sam §5.16",
)
def seal_parameters(card: SamCard, command: CommandApdu) -> Answer:
    """Seal SAM parameters with the personalization key."""
    return _seal_data(card, command, SystemKif.PERSONALIZATION)


@TABLE.command(
    name="SAM Data Cipher, ceiling record",
    ins=SamIns.SAM_GENERATE_KEY,
    p1=_DYNAMIC_OR_STATIC,
    p2=between(DataReference.CEILING_RECORD_1, DataReference.CEILING_RECORD_3),
    cases=_CASES,
    lc=frozenset((1 + OBJECT_LENGTH,)),
    traits={UNLOCKED},
    answers=_DATA_CIPHER_ANSWERS,
    source="legacy-sam §5.16",
)
@TABLE.command(
    name="SAM Data Cipher, one ceiling",
    ins=SamIns.SAM_GENERATE_KEY,
    p1=_DYNAMIC_OR_STATIC,
    p2=exactly(DataReference.ONE_CEILING),
    cases=_CASES,
    lc=frozenset((1 + OBJECT_LENGTH,)),
    traits={UNLOCKED},
    answers=_DATA_CIPHER_ANSWERS,
    source="legacy-sam §5.16",
)
def seal_ceilings(card: SamCard, command: CommandApdu) -> Answer:
    """Seal ceilings with the reloading key."""
    return _seal_data(card, command, SystemKif.RELOADING)


@TABLE.command(
    name="SAM Data Cipher, CAAD record",
    ins=SamIns.SAM_GENERATE_KEY,
    p1=_DYNAMIC_OR_STATIC,
    p2=between(DataReference.CAAD_RECORD_1, DataReference.CAAD_RECORD_7),
    cases=_CASES,
    lc=frozenset((1 + OBJECT_LENGTH,)),
    traits={UNLOCKED},
    answers=_DATA_CIPHER_ANSWERS,
    source="legacy-sam §5.16; our choice: the key",
)
def seal_caad(card: SamCard, command: CommandApdu) -> Answer:
    """Seal a CAAD record with the key management key."""
    return _seal_data(card, command, SystemKif.KEY_MANAGEMENT)


def _seal_data(card: SamCard, command: CommandApdu, kif: int) -> bytes:
    random = card_random(card)
    key = _sealing_key(card, kif, command.data[0])
    card.memory.commit(card.counted(key))
    return _sealed(card, key, random, command.p2, command.data[1:])


@TABLE.command(
    name="SAM Generate Key, work key",
    ins=SamIns.SAM_GENERATE_KEY,
    p1=between(0, _DIVERSIFIED),
    p2=between(WORK_KEY_RECORDS.start, WORK_KEY_RECORDS.stop - 1),
    cases=_CASES,
    lc=_LC_GENERATE_KEY,
    answers=_GENERATE_KEY_ANSWERS,
    source="legacy-sam §5.17",
)
@TABLE.command(
    name="SAM Generate Key, work key in a free record",
    ins=SamIns.SAM_GENERATE_KEY,
    p1=between(0, _DIVERSIFIED),
    p2=exactly(KeyReference.BY_KIF_KVC),
    cases=_CASES,
    lc=_LC_GENERATE_KEY,
    answers=_GENERATE_KEY_ANSWERS,
    source="legacy-sam §5.17",
)
def seal_work_key(card: SamCard, command: CommandApdu) -> Answer:
    """Seal a key as a work key of the target, with its key management key."""
    return _seal_key(card, command, SystemKif.KEY_MANAGEMENT)


@TABLE.command(
    name="SAM Generate Key, system key",
    ins=SamIns.SAM_GENERATE_KEY,
    p1=between(0, _DIVERSIFIED),
    p2=exactly(KeyReference.SYSTEM_KEY),
    cases=_CASES,
    lc=_LC_GENERATE_KEY,
    answers=_GENERATE_KEY_ANSWERS,
    source="legacy-sam §5.17",
)
@TABLE.command(
    name="SAM Generate Key, lock",
    ins=SamIns.SAM_GENERATE_KEY,
    p1=between(0, _DIVERSIFIED),
    p2=exactly(KeyReference.LOCK),
    cases=_CASES,
    lc=_LC_GENERATE_KEY,
    answers=_GENERATE_KEY_ANSWERS,
    source="legacy-sam §5.17",
)
def seal_system_key(card: SamCard, command: CommandApdu) -> Answer:
    """Seal a key as a system key or lock of the target, with its personalization key."""
    return _seal_key(card, command, SystemKif.PERSONALIZATION)


def _seal_key(card: SamCard, command: CommandApdu, kif: int) -> bytes:
    """Seal KIF ‖ KVC ‖ ALG, PAR1…PAR9 as given ‖ PAR10 = 00 ‖ the key, diversified or as it is."""
    data = command.data
    arbitrary = data[_GENERATE_KEY_PLAIN:]
    if arbitrary and not command.p1 & _DIVERSIFIED:
        raise Refusal(StatusWord.WRONG_LENGTH)
    random = card_random(card)
    key = _sealing_key(card, kif, data[0])
    value = card.work_key(data[1], data[2]).value
    if command.p1 & _DIVERSIFIED:
        value = card.diversify(value, arbitrary or card.volatile.diversifier)
    content = data[1:_GENERATE_KEY_PLAIN] + b"\0" + value
    return _sealed(card, key, random, command.p2, content)
