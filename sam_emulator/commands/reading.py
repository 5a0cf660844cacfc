"""Read Key Parameters, Read Event Counter, Read Ceilings, Read Parameters.

Every answer is one frame: signature 8 ‖ object ‖ reference ‖ serial 4 ‖ name of the signing key 3 ‖
80 00 00. It is signed by the authentication key over the last Give Random value (or eight zeros) and
everything behind the signature; a SAM without that key answers with zeros and the warning 6200.

Source: legacy-sam §5.13, §5.14, §6.2, §11.

Inferred from: the published frames name the signing key FA FF 40 even where the same SAM shows its
authentication key as FA F4 40 (§12.2): the middle byte is no KVC. Our choice: after a search (F0, F8, FA)
the reference is the record that was found; a single counter or ceiling is framed as it is written,
number ‖ value ‖ zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.emulator.chassis import Answer, Refusal, between, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.sam import (
    COUNTERS,
    COUNTERS_PER_RECORD,
    OBJECT_LENGTH,
    SYSTEM_KEY_REFERENCES,
    WORK_KEY_RECORDS,
    DataReference,
    KeyReference,
    SystemKif,
)
from cardbench.protocol.status import StatusWord
from cardbench.sam_emulator.table import TABLE

if TYPE_CHECKING:
    from cardbench.protocol.apdu import CommandApdu
    from cardbench.sam_emulator.card import SamCard
    from cardbench.sam_emulator.state import SamKey

_KIF, _ALG = 0, 2
_ANY_KVC = 0xFF
_PADDING = bytes.fromhex("800000")
_NO_SIGNATURE = bytes(8)
_NO_KEY_NAME = bytes(3)
_NO_RANDOM = bytes(8)
_READ = (
    StatusWord.OK,
    StatusWord.WARNING,
    StatusWord.WRONG_LENGTH,
    StatusWord.COUNTER_EXHAUSTED,
)
_READ_KEY = (*_READ, StatusWord.RECORD_NOT_FOUND)

TABLE.refuse_parameters(SamIns.READ_KEY_PARAMETERS, StatusWord.WRONG_P1P2_LEGACY)
TABLE.refuse_parameters(SamIns.READ_PARAMETERS, StatusWord.WRONG_P1P2_LEGACY)


def _signed(card: SamCard, content: bytes, reference: int) -> Answer:
    """Frame what was read, count the use of the authentication key, and sign."""
    tail = content + bytes((reference,)) + card.serial
    key = card.key(KeyReference.AUTHENTICATION)
    if key is None:
        return _NO_SIGNATURE + tail + _NO_KEY_NAME + _PADDING, StatusWord.WARNING
    card.memory.commit(card.counted(key))
    tail += bytes((key.block[_KIF], _ANY_KVC, key.block[_ALG])) + _PADDING
    random = card.volatile.random or _NO_RANDOM
    return card.suite.sign(key.value, "read", random + tail) + tail


# Keys


@TABLE.command(
    name="Read Key Parameters, by reference",
    ins=SamIns.READ_KEY_PARAMETERS,
    p1=exactly(0),
    p2=between(WORK_KEY_RECORDS.start, WORK_KEY_RECORDS.stop - 1),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((2,)),
    answers=_READ_KEY,
    source="legacy-sam §5.13",
)
@TABLE.command(
    name="Read Key Parameters, system key",
    ins=SamIns.READ_KEY_PARAMETERS,
    p1=exactly(0),
    p2=between(KeyReference.PERSONALIZATION, KeyReference.AUTHENTICATION),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((2,)),
    answers=_READ_KEY,
    source="legacy-sam §5.13",
)
@TABLE.command(
    name="Read Key Parameters, lock",
    ins=SamIns.READ_KEY_PARAMETERS,
    p1=exactly(0),
    p2=exactly(KeyReference.LOCK),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((2,)),
    answers=_READ_KEY,
    source="legacy-sam §5.13",
)
def read_key_by_reference(card: SamCard, command: CommandApdu) -> Answer:
    """Return the parameter block of a record, a system key or the lock."""
    return _key_parameters(card, card.key(command.p2))


@TABLE.command(
    name="Read Key Parameters, by KIF and KVC",
    ins=SamIns.READ_KEY_PARAMETERS,
    p1=exactly(0),
    p2=exactly(KeyReference.BY_KIF_KVC),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((2,)),
    answers=_READ_KEY,
    source="legacy-sam §5.13",
)
def read_key_by_kif_kvc(card: SamCard, command: CommandApdu) -> Answer:
    """Return the parameter block of a work key."""
    return _key_parameters(card, card.work_key(*command.data))


@TABLE.command(
    name="Read Key Parameters, system key by KIF",
    ins=SamIns.READ_KEY_PARAMETERS,
    p1=exactly(0),
    p2=exactly(KeyReference.SYSTEM_KEY),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((2,)),
    answers=_READ_KEY,
    source="legacy-sam §5.13",
)
def read_system_key_by_kif(card: SamCard, command: CommandApdu) -> Answer:
    """Return the parameter block of a system key."""
    try:
        reference = SYSTEM_KEY_REFERENCES[SystemKif(command.data[0])]
    except ValueError:
        raise Refusal(StatusWord.RECORD_NOT_FOUND) from None
    return _key_parameters(card, card.key(reference))


@TABLE.command(
    name="Read Key Parameters, first of a KIF",
    ins=SamIns.READ_KEY_PARAMETERS,
    p1=exactly(0),
    p2=exactly(KeyReference.FIRST_OF_KIF),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((2,)),
    answers=_READ_KEY,
    source="legacy-sam §5.13",
)
def read_first_key(card: SamCard, command: CommandApdu) -> Answer:
    """Return the parameter block of the first work key with a KIF."""
    return _search(card, command.data[0], 0)


@TABLE.command(
    name="Read Key Parameters, next of a KIF",
    ins=SamIns.READ_KEY_PARAMETERS,
    p1=exactly(0),
    p2=exactly(KeyReference.NEXT_OF_KIF),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((2,)),
    answers=_READ_KEY,
    source="legacy-sam §5.13; our choice: behind the record that the last search found, 6A83 without one",
)
def read_next_key(card: SamCard, command: CommandApdu) -> Answer:
    """Return the parameter block of the next work key with a KIF."""
    found = card.volatile.found_record
    if not found:
        raise Refusal(StatusWord.RECORD_NOT_FOUND)
    return _search(card, command.data[0], found)


def _search(card: SamCard, kif: int, behind: int) -> Answer:
    for record in WORK_KEY_RECORDS[behind:]:
        key = card.key(record)
        if key is not None and key.block[_KIF] == kif:
            answer = _key_parameters(card, key)
            card.volatile.found_record = record
            return answer
    card.volatile.found_record = 0
    raise Refusal(StatusWord.RECORD_NOT_FOUND)


def _key_parameters(card: SamCard, key: SamKey | None) -> Answer:
    if key is None:
        raise Refusal(StatusWord.RECORD_NOT_FOUND)
    return _signed(card, key.block, key.reference)


# Counters, ceilings, parameters


def _object(content: bytes) -> bytes:
    return content.ljust(OBJECT_LENGTH, b"\0")


def _members(record: int) -> range:
    """Numbers of the counters of a record, 1…3."""
    return range(COUNTERS_PER_RECORD * (record - 1), COUNTERS_PER_RECORD * record)


@TABLE.command(
    name="Read Event Counter, record",
    ins=SamIns.READ_PARAMETERS,
    p1=exactly(0),
    p2=between(DataReference.COUNTER_RECORD_1, DataReference.COUNTER_RECORD_3),
    cases={IsoCase.DATA_OUT},
    answers=_READ,
    source="legacy-sam §5.14",
)
def read_counter_record(card: SamCard, command: CommandApdu) -> Answer:
    """Return nine event counters."""
    numbers = _members(command.p2 - DataReference.COUNTER_RECORD_1 + 1)
    values = b"".join(card.counter(number).to_bytes(3) for number in numbers)
    return _signed(card, _object(values), command.p2)


@TABLE.command(
    name="Read Event Counter, one",
    ins=SamIns.READ_PARAMETERS,
    p1=exactly(0),
    p2=between(DataReference.ONE_COUNTER, DataReference.ONE_COUNTER + COUNTERS.stop - 1),
    cases={IsoCase.DATA_OUT},
    answers=_READ,
    source="legacy-sam §5.14; our choice: the frame",
)
def read_one_counter(card: SamCard, command: CommandApdu) -> Answer:
    """Return one event counter."""
    number = command.p2 - DataReference.ONE_COUNTER
    content = bytes((number,)) + card.counter(number).to_bytes(3)
    return _signed(card, _object(content), command.p2)


@TABLE.command(
    name="Read Ceilings, record",
    ins=SamIns.READ_PARAMETERS,
    p1=exactly(0),
    p2=between(DataReference.CEILING_RECORD_1, DataReference.CEILING_RECORD_3),
    cases={IsoCase.DATA_OUT},
    answers=_READ,
    source="legacy-sam §5.14",
)
def read_ceiling_record(card: SamCard, command: CommandApdu) -> Answer:
    """Return nine ceilings and their free-increment bits."""
    record = command.p2 - DataReference.CEILING_RECORD_1 + 1
    values = b"".join(card.ceiling(number).to_bytes(3) for number in _members(record))
    return _signed(card, values + card.free_increment(record).to_bytes(2), command.p2)


@TABLE.command(
    name="Read Ceilings, one",
    ins=SamIns.READ_PARAMETERS,
    p1=between(COUNTERS.start, COUNTERS.stop - 1),
    p2=exactly(DataReference.ONE_CEILING),
    cases={IsoCase.DATA_OUT},
    answers=_READ,
    source="legacy-sam §5.14; our choice: the frame",
)
def read_one_ceiling(card: SamCard, command: CommandApdu) -> Answer:
    """Return one ceiling; P1 is its number."""
    content = bytes((command.p1,)) + card.ceiling(command.p1).to_bytes(3)
    return _signed(card, _object(content), command.p2)


@TABLE.command(
    name="Read Parameters",
    ins=SamIns.READ_PARAMETERS,
    p1=exactly(0),
    p2=exactly(DataReference.PARAMETERS),
    cases={IsoCase.DATA_OUT},
    answers=_READ,
    source="legacy-sam §5.14",
)
def read_parameters(card: SamCard, command: CommandApdu) -> Answer:
    """Return the SAM parameters."""
    return _signed(card, card.parameters, command.p2)
