"""What a control SAM seals for a target SAM: parameters, ceilings, keys, locks.

Each object is sealed by one command to the control SAM and written by one command to the target, with 48
bytes between them. The control SAM ciphers with the system key that the target checks with: it must hold
the master of that key.

Source: legacy-sam §5.16, §5.17 (control), §5.18, §5.19 (target), §8.1 (which key seals what). That the
ten parameters of a key are ALG and PAR1 to PAR9 is the reading of §14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.sam import (
    CEILING_MAX,
    COUNTERS,
    COUNTERS_PER_RECORD,
    LOCK_KIF,
    OBJECT_LENGTH,
    SEALED_LENGTH,
    WORK_KEY_RECORDS,
    DataReference,
    KeyReference,
)
from cardbench.protocol.errors import UsageError
from cardbench.terminal.legacy_sam.sam import CounterIncrementAccess, SystemKeyType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cardbench.terminal.legacy_sam.sam import LegacySam

KEY_PARAMETERS_BYTES = 10
DIVERSIFIER_BYTES = 8
CONFIGURATION_OFFSET = 27

_STATIC_MODE = 0x08
_ONE_CEILING_PADDING = bytes(25)


class SealedObject(NamedTuple):
    """Something that a control SAM seals and a target SAM takes.

    Attributes:
        name: what it is called.
        key: which of the target's system keys seals it.
        seal: command to the control SAM without its class byte, given the KVC of that key.
        target: INS, P1 and P2 of the command to the target.
        diversifier_bytes: how long the target's serial number is given to the control SAM.
        needs_ceilings: the target's present ceilings of this record must be known before.
    """

    name: str
    key: SystemKeyType
    seal: Callable[[LegacySam, int], bytes]
    target: tuple[int, int, int]
    diversifier_bytes: int
    needs_ceilings: int | None = None

    def command(self, cla: int, block: bytes, *, is_static: bool = False) -> bytes:
        """Return the command that writes the sealed block into the target."""
        ins, p1, p2 = self.target
        if is_static:
            p1 |= _STATIC_MODE
        return bytes((cla, ins, p1, p2, SEALED_LENGTH)) + block


def sam_parameters(raw: bytes) -> SealedObject:
    """Seal SAM parameters, 29 bytes."""
    if len(raw) != OBJECT_LENGTH:
        raise UsageError(f"SAM parameters of {len(raw)} byte(s); they have {OBJECT_LENGTH}")
    return SealedObject(
        "SAM parameters",
        SystemKeyType.PERSONALIZATION,
        lambda _sam, kvc: _data_cipher(DataReference.PARAMETERS, bytes((kvc,)) + raw),
        (SamIns.WRITE_PARAMETERS, 0, DataReference.PARAMETERS),
        4,
    )


def check_ceiling(number: int, value: int) -> None:
    """Refuse what is no counter or no ceiling."""
    if number not in COUNTERS:
        raise UsageError(f"event counter {number}; allowed: 0 to 26")
    if not 0 <= value <= CEILING_MAX:
        raise UsageError(f"ceiling {value}; allowed: 0 to {CEILING_MAX}")


def one_ceiling(number: int, value: int) -> SealedObject:
    """Seal the ceiling of one event counter."""
    check_ceiling(number, value)
    content = bytes((number,)) + value.to_bytes(3) + _ONE_CEILING_PADDING
    return SealedObject(
        f"ceiling of counter {number}",
        SystemKeyType.RELOADING,
        lambda _sam, kvc: _data_cipher(DataReference.ONE_CEILING, bytes((kvc,)) + content),
        (SamIns.WRITE_PARAMETERS, 0, DataReference.ONE_CEILING),
        4,
    )


class CounterConfiguration(NamedTuple):
    """What a counter is set to."""

    ceiling: int
    access: CounterIncrementAccess


def ceiling_record(
    record: int, changes: Mapping[int, CounterConfiguration], *, keeps_others: bool = True
) -> SealedObject:
    """Seal nine ceilings and which of their counters count freely; counter 0 never does.

    Args:
        record: 0…2.
        changes: what is set, by counter number.
        keeps_others: counters that are not named keep what the target's image says; it must say it.
            Otherwise all nine must be named.

    Raises:
        UsageError: counters are missing where nobody says what they have.
    """
    numbers = range(record * COUNTERS_PER_RECORD, (record + 1) * COUNTERS_PER_RECORD)
    if not keeps_others and set(changes) != set(numbers):
        raise UsageError(
            f"the configuration of counters {numbers[0]} to {numbers[-1]} is written as a whole: "
            "name all nine"
        )
    reference = DataReference.CEILING_RECORD_1 + record

    def seal(sam: LegacySam, kvc: int) -> bytes:
        content = b""
        bits = 0
        for index, number in enumerate(numbers):
            change = changes.get(number)
            if change is None:
                change = CounterConfiguration(
                    sam.counter_ceilings[number], sam.counter_increment_accesses[number]
                )
            content += change.ceiling.to_bytes(3)
            if number and change.access is CounterIncrementAccess.FREE_COUNTING_ENABLED:
                bits |= 1 << index
        return _data_cipher(reference, bytes((kvc,)) + content + bits.to_bytes(2))

    return SealedObject(
        f"ceilings and configuration of counters {numbers[0]} to {numbers[-1]}",
        SystemKeyType.RELOADING,
        seal,
        (SamIns.WRITE_PARAMETERS, 0, reference),
        4,
        record if keeps_others else None,
    )


def system_key(
    kind: SystemKeyType, kvc: int, parameters: bytes, *, diversified: bool
) -> SealedObject:
    """Seal one of the target's own keys."""
    source = bytes((kind.value[0], _byte("KVC", kvc))) + _parameters(parameters)
    return SealedObject(
        f"{kind.name.lower()} key",
        SystemKeyType.PERSONALIZATION,
        lambda _sam, sealing: _generate(diversified, KeyReference.SYSTEM_KEY, sealing, source),
        (SamIns.WRITE_KEY, 0, KeyReference.SYSTEM_KEY),
        8,
    )


def work_key(
    key: tuple[int, int],
    parameters: bytes,
    record: int,
    *,
    diversified: bool,
    diversifier: bytes | None = None,
) -> SealedObject:
    """Seal a work key, for a record 1…126, or 0: one that the target chooses."""
    if record and record not in WORK_KEY_RECORDS:
        raise UsageError(f"work key record {record}; allowed: 1 to 126, or 0 for a free one")
    if diversifier is not None and (len(diversifier) != DIVERSIFIER_BYTES or not diversified):
        raise UsageError("a diversifier has 8 bytes, and belongs to a diversified transfer")
    source = bytes((_byte("KIF", key[0]), _byte("KVC", key[1]))) + _parameters(parameters)
    reference = record or KeyReference.BY_KIF_KVC
    return SealedObject(
        f"work key {key[0]:02X}/{key[1]:02X}",
        SystemKeyType.KEY_MANAGEMENT,
        lambda _sam, kvc: _generate(diversified, reference, kvc, source + (diversifier or b"")),
        (SamIns.WRITE_KEY, 0, reference),
        8,
    )


def lock(index: int, parameters: int, *, diversified: bool) -> SealedObject:
    """Seal a lock secret that the control SAM holds."""
    content = bytes((LOCK_KIF, _byte("lock index", index))) + bytes(5)
    content += bytes((_byte("lock parameters", parameters),)) + bytes(4)
    return SealedObject(
        f"lock {index:02X}",
        SystemKeyType.PERSONALIZATION,
        lambda _sam, kvc: _generate(diversified, KeyReference.LOCK, kvc, content),
        (SamIns.WRITE_KEY, 0, KeyReference.LOCK),
        8,
    )


def _byte(what: str, value: int) -> int:
    if not 0 <= value <= 0xFF:
        raise UsageError(f"{what} {value}; it is a byte")
    return value


def _parameters(parameters: bytes) -> bytes:
    if len(parameters) != KEY_PARAMETERS_BYTES:
        raise UsageError(
            f"{len(parameters)} byte(s) of key parameters; ALG and PAR1 to PAR9 are 10"
        )
    return parameters


def _data_cipher(reference: int, data: bytes) -> bytes:
    return bytes((SamIns.SAM_GENERATE_KEY, 0, reference, len(data))) + data


def _generate(diversified: bool, reference: int, kvc: int, source: bytes) -> bytes:
    header = (SamIns.SAM_GENERATE_KEY, int(diversified), reference, len(source) + 1, kvc)
    return bytes(header) + source
