"""Write Key, Write Ceilings, Write Parameters: a SAM takes what a control SAM sealed for it.

Dynamic mode binds the block to a challenge of this SAM, which the attempt uses up, right or wrong;
static mode binds it to the value of the deciphering key's event counter. The object and the counted
event are written in one commit: a block that is refused counts nothing and changes nothing.

Source: legacy-sam §5.18, §5.19, §6.2, §8.3. Our choice: a refusal for the parameters P1 is 6A00 as for
P2; eight zeros stand for the signature of a plain block; the CAAD data behind a key are the CAAD record
and the padding 80 00 00; a counter number above 26 in PAR4, or a KIF or KVC of 00, is wrong data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cardbench.emulator.chassis import ANY, Answer, Refusal, between, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.sam import (
    AES_ALGORITHMS,
    CEILING_MAX,
    COUNTERS,
    COUNTERS_PER_RECORD,
    KEY_BLOCK_LENGTH,
    KEY_LENGTH,
    LOCK_KIF,
    OBJECT_LENGTH,
    SEALED_LENGTH,
    SYSTEM_KEY_REFERENCES,
    WORK_KEY_RECORDS,
    DataReference,
    KeyReference,
    Par1,
    SamAlgorithm,
    SamFlag,
    SystemKif,
)
from cardbench.protocol.errors import CryptoError
from cardbench.protocol.status import StatusWord
from cardbench.sam_emulator import layout
from cardbench.sam_emulator.commands.sealing import SEALED_PADDING
from cardbench.sam_emulator.table import TABLE, UNLOCKED

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Key, Value
    from cardbench.protocol.apdu import CommandApdu
    from cardbench.sam_emulator.card import SamCard

_PLAIN = 0x80
_DRAWN = 0x40
_STATIC = 0x08
_ALG, _PAR1, _PAR4, _PAR6, _PAR7 = 2, 3, 6, 8, 9  # offsets in a key block
_CHALLENGE = 8
_SIGNATURE = 8
_WITH_CAAD = SEALED_LENGTH + 32
_CAAD_PADDING = bytes.fromhex("800000")
_CAAD_REFERENCE = 0x80
_CAAD_RECORDS = range(1, 8)
_LEGACY_RAISE_MAX = 131_071
_FREE_BITS = (1 << COUNTERS_PER_RECORD) - 1
_ALGORITHMS = frozenset(SamAlgorithm)
_PROTECTED_WORK_KIFS = frozenset((SystemKif.PERSONALIZATION, SystemKif.KEY_MANAGEMENT))
_WRITE = (
    StatusWord.OK,
    StatusWord.WRONG_LENGTH,
    StatusWord.COUNTER_EXHAUSTED,
    StatusWord.CONDITIONS_NOT_SATISFIED,
    StatusWord.WRONG_CRYPTOGRAM,
    StatusWord.WRONG_P1P2_LEGACY,
    StatusWord.WRONG_DATA,
    StatusWord.RECORD_NOT_FOUND,
)

TABLE.refuse_parameters(SamIns.WRITE_KEY, StatusWord.WRONG_P1P2_LEGACY)
TABLE.refuse_parameters(SamIns.WRITE_PARAMETERS, StatusWord.WRONG_P1P2_LEGACY)


class _Opened(NamedTuple):
    """An opened block: its 29-byte object, and the change that counts the event."""

    content: bytes
    counted: dict[Key, Value]


def _opened(card: SamCard, system: KeyReference, p1: int, p2: int, block: bytes) -> _Opened:
    """Decipher and check a block sealed with one of this SAM's system keys, or take a plain one.

    Raises:
        Refusal: 6A83 no such key; 6985 the key may not decipher, or not in static mode, or no challenge
            of 8 bytes is outstanding; 6900 its counter is at its end; 6988 the block does not verify;
            6A80 its frame is wrong.
    """
    if p1 & _PLAIN:
        _refuse_if(any(block[:_SIGNATURE]), StatusWord.WRONG_DATA)
        return _Opened(_unframed(block[_SIGNATURE:], p2), {})
    volatile = card.volatile
    key = card.key(system)
    if key is None:
        raise Refusal(StatusWord.RECORD_NOT_FOUND)
    static = p1 & _STATIC
    needed = Par1.CIPHER_ENABLE | (Par1.STATIC_CIPHER_ENABLE if static else 0)
    if key.block[_PAR1] & needed != needed:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    challenge = card.static_challenge(key) if static else volatile.challenge
    if len(challenge) != _CHALLENGE:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    counted = card.counted(key)
    if not static:
        volatile.challenge = b""
    try:
        framed = card.suite.open_sam_block(key.value, challenge, p2, block)
    except CryptoError:
        raise Refusal(StatusWord.WRONG_CRYPTOGRAM) from None
    return _Opened(_unframed(framed, p2), counted)


def _unframed(framed: bytes, p2: int) -> bytes:
    content, tail = framed[:OBJECT_LENGTH], framed[OBJECT_LENGTH:]
    if tail != bytes((p2,)) + SEALED_PADDING:
        raise Refusal(StatusWord.WRONG_DATA)
    return content


def _has_flag(card: SamCard, flag: SamFlag) -> bool:
    return card.parameters[0] & flag != 0


def _refuse_if(condition: object, sw: int) -> None:
    if condition:
        raise Refusal(sw)


# Write Key


@TABLE.command(
    name="Write Key, work key",
    ins=SamIns.WRITE_KEY,
    p1=ANY,
    p2=between(WORK_KEY_RECORDS.start, WORK_KEY_RECORDS.stop - 1),
    cases={IsoCase.DATA_IN},
    lc=frozenset((SEALED_LENGTH, _WITH_CAAD)),
    traits={UNLOCKED},
    answers=(*_WRITE, StatusWord.LC_INCONSISTENT),
    source="legacy-sam §5.18",
)
@TABLE.command(
    name="Write Key, work key in a free record",
    ins=SamIns.WRITE_KEY,
    p1=ANY,
    p2=exactly(KeyReference.BY_KIF_KVC),
    cases={IsoCase.DATA_IN},
    lc=frozenset((SEALED_LENGTH, _WITH_CAAD)),
    traits={UNLOCKED},
    answers=(*_WRITE, StatusWord.LC_INCONSISTENT),
    source="legacy-sam §5.18",
)
def write_work_key(card: SamCard, command: CommandApdu) -> Answer:
    """Write a work key into an empty record, sealed by the key management key or in plain."""
    p1, p2 = command.p1, command.p2
    data, caad = command.data[:SEALED_LENGTH], command.data[SEALED_LENGTH:]
    plain = p1 & _PLAIN
    _refuse_if(p1 not in {0, _STATIC, _PLAIN, _PLAIN | _DRAWN}, StatusWord.WRONG_P1P2_LEGACY)
    _refuse_if(caad and plain, StatusWord.LC_INCONSISTENT)
    record = _free_record(card) if p2 == KeyReference.BY_KIF_KVC else p2
    _refuse_if(
        _has_flag(card, SamFlag.WORK_KEYS_LOCK_ENABLE)
        or (plain and not _has_flag(card, SamFlag.PLAIN_WORK_KEY_INPUT_ENABLE))
        or card.key(record) is not None,
        StatusWord.CONDITIONS_NOT_SATISFIED,
    )
    opened = _opened(card, KeyReference.KEY_MANAGEMENT, p1, p2, data)
    block, value = opened.content[:KEY_BLOCK_LENGTH], opened.content[KEY_BLOCK_LENGTH:]
    kif, kvc = block[:2]
    _refuse_if(
        not _is_key_block(block)
        or (not plain and any(block[_PAR7:]))
        or card.has_work_key(kif, kvc)
        or (kif in _PROTECTED_WORK_KIFS and _has_flag(card, SamFlag.SYSTEM_LOCK_ENABLE)),
        StatusWord.WRONG_DATA,
    )
    if caad:
        _check_caad(card, block[_PAR6] - _CAAD_REFERENCE, caad)
    if p1 & _DRAWN:
        value = card.entropy.draw(KEY_LENGTH)
    card.memory.commit({layout.key_at(record): block + value, **opened.counted})
    card.volatile.work_keys = None
    return b""


def _free_record(card: SamCard) -> int:
    for record in WORK_KEY_RECORDS:
        if card.key(record) is None:
            return record
    raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)


def _is_key_block(block: bytes) -> bool:
    return (
        block[0] != 0 and block[1] != 0 and block[_ALG] in _ALGORITHMS and block[_PAR4] in COUNTERS
    )


def _check_caad(card: SamCard, record: int, given: bytes) -> None:
    """Compare CAAD data with the CAAD record that PAR6 names."""
    _refuse_if(record not in _CAAD_RECORDS, StatusWord.WRONG_DATA)
    kept = card.memory.get(layout.caad_at(record))
    if kept is None:
        raise Refusal(StatusWord.RECORD_NOT_FOUND)
    assert isinstance(kept, bytes), "the layout says so"
    _refuse_if(given != kept + _CAAD_PADDING, StatusWord.WRONG_DATA)


@TABLE.command(
    name="Write Key, system key",
    ins=SamIns.WRITE_KEY,
    p1=ANY,
    p2=exactly(KeyReference.SYSTEM_KEY),
    cases={IsoCase.DATA_IN},
    lc=frozenset((SEALED_LENGTH, _WITH_CAAD)),
    traits={UNLOCKED},
    answers=(*_WRITE, StatusWord.LC_INCONSISTENT),
    source="legacy-sam §5.18; our choice: a KIF that is none of the four system keys is wrong data",
)
def write_system_key(card: SamCard, command: CommandApdu) -> Answer:
    """Replace a system key, sealed by the personalization key."""
    p1, p2, data = command.p1, command.p2, command.data
    _refuse_if(p1 not in {0, _STATIC}, StatusWord.WRONG_P1P2_LEGACY)
    _refuse_if(len(data) != SEALED_LENGTH, StatusWord.LC_INCONSISTENT)
    _refuse_if(_has_flag(card, SamFlag.SYSTEM_LOCK_ENABLE), StatusWord.CONDITIONS_NOT_SATISFIED)
    opened = _opened(card, KeyReference.PERSONALIZATION, p1, p2, data)
    block = opened.content[:KEY_BLOCK_LENGTH]
    reference = SYSTEM_KEY_REFERENCES.get(block[0])  # type: ignore[call-overload]  # an IntEnum
    if reference is None or not _is_key_block(block) or any(block[_PAR7:]):
        raise Refusal(StatusWord.WRONG_DATA)
    card.memory.commit({layout.key_at(reference): opened.content, **opened.counted})
    return b""


@TABLE.command(
    name="Write Key, lock",
    ins=SamIns.WRITE_KEY,
    p1=ANY,
    p2=exactly(KeyReference.LOCK),
    cases={IsoCase.DATA_IN},
    lc=frozenset((SEALED_LENGTH, _WITH_CAAD)),
    traits={UNLOCKED},
    answers=(*_WRITE, StatusWord.LC_INCONSISTENT),
    source="legacy-sam §5.18",
)
def write_lock(card: SamCard, command: CommandApdu) -> Answer:
    """Write the lock secret, sealed by the personalization key or in plain; it locks at the next reset."""
    p1, p2, data = command.p1, command.p2, command.data
    plain = p1 & _PLAIN
    flags = card.volatile.flags  # as they were at the reset
    _refuse_if(p1 not in {0, _STATIC, _PLAIN}, StatusWord.WRONG_P1P2_LEGACY)
    _refuse_if(len(data) != SEALED_LENGTH, StatusWord.LC_INCONSISTENT)
    _refuse_if(
        flags & SamFlag.LOCKED_LOCK or (plain and flags & SamFlag.PLAIN_WRITE_DISABLED),
        StatusWord.CONDITIONS_NOT_SATISFIED,
    )
    opened = _opened(card, KeyReference.PERSONALIZATION, p1, p2, data)
    block = opened.content[:KEY_BLOCK_LENGTH]
    _refuse_if(block[0] != LOCK_KIF or (not plain and any(block[_PAR7:])), StatusWord.WRONG_DATA)
    card.memory.commit({layout.key_at(KeyReference.LOCK): opened.content, **opened.counted})
    return b""


# Write Ceilings, Write Parameters


def _check_mode(p1: int) -> None:
    _refuse_if(p1 & _PLAIN, StatusWord.CONDITIONS_NOT_SATISFIED)
    _refuse_if(p1 not in {0, _STATIC}, StatusWord.WRONG_P1P2_LEGACY)


@TABLE.command(
    name="Write Ceilings, record",
    ins=SamIns.WRITE_PARAMETERS,
    p1=ANY,
    p2=between(DataReference.CEILING_RECORD_1, DataReference.CEILING_RECORD_3),
    cases={IsoCase.DATA_IN},
    lc=frozenset((SEALED_LENGTH,)),
    traits={UNLOCKED},
    answers=_WRITE,
    source="legacy-sam §5.19, §4.3; our choice: a bit that would let counter 0 count freely is dropped",
)
def write_ceiling_record(card: SamCard, command: CommandApdu) -> Answer:
    """Write nine ceilings and their free-increment bits."""
    _check_mode(command.p1)
    opened = _opened(card, KeyReference.RELOADING, command.p1, command.p2, command.data)
    record = command.p2 - DataReference.CEILING_RECORD_1 + 1
    content = opened.content
    free = int.from_bytes(content[-2:])
    _refuse_if(free & ~_FREE_BITS, StatusWord.WRONG_DATA)
    if record == 1:
        free &= ~1
    key = card.key(KeyReference.RELOADING)
    assert key is not None, "it has just opened the block"
    is_legacy = key.block[_ALG] not in AES_ALGORITHMS
    changes: dict[Key, Value] = {layout.free_at(record): free}
    for place in range(COUNTERS_PER_RECORD):
        number = COUNTERS_PER_RECORD * (record - 1) + place
        ceiling = int.from_bytes(content[3 * place : 3 * place + 3])
        raised = ceiling - card.ceiling(number)
        _refuse_if(
            ceiling > CEILING_MAX or (is_legacy and raised > _LEGACY_RAISE_MAX),
            StatusWord.WRONG_DATA,
        )
        if raised:
            changes[layout.ceiling_at(number)] = ceiling
    card.memory.commit({**changes, **opened.counted})
    return b""


@TABLE.command(
    name="Write Ceilings, one",
    ins=SamIns.WRITE_PARAMETERS,
    p1=ANY,
    p2=exactly(DataReference.ONE_CEILING),
    cases={IsoCase.DATA_IN},
    lc=frozenset((SEALED_LENGTH,)),
    traits={UNLOCKED},
    answers=_WRITE,
    source="legacy-sam §5.19",
)
def write_one_ceiling(card: SamCard, command: CommandApdu) -> Answer:
    """Write one ceiling: number ‖ value ‖ zeros."""
    _check_mode(command.p1)
    opened = _opened(card, KeyReference.RELOADING, command.p1, command.p2, command.data)
    number, ceiling, rest = opened.content[0], opened.content[1:4], opened.content[4:]
    value = int.from_bytes(ceiling)
    _refuse_if(number not in COUNTERS or value > CEILING_MAX or any(rest), StatusWord.WRONG_DATA)
    card.memory.commit({layout.ceiling_at(number): value, **opened.counted})
    return b""


@TABLE.command(
    name="Write Parameters",
    ins=SamIns.WRITE_PARAMETERS,
    p1=ANY,
    p2=exactly(DataReference.PARAMETERS),
    cases={IsoCase.DATA_IN},
    lc=frozenset((SEALED_LENGTH,)),
    traits={UNLOCKED},
    answers=_WRITE,
    source="legacy-sam §5.19",
)
def write_parameters(card: SamCard, command: CommandApdu) -> Answer:
    """Write the 29 bytes of SAM parameters, unless the system lock forbids it."""
    _check_mode(command.p1)
    _refuse_if(_has_flag(card, SamFlag.SYSTEM_LOCK_ENABLE), StatusWord.CONDITIONS_NOT_SATISFIED)
    opened = _opened(card, KeyReference.PERSONALIZATION, command.p1, command.p2, command.data)
    card.memory.commit({layout.PARAMETERS: opened.content, **opened.counted})
    return b""
