"""What can be read of a SAM: its parameters, its keys' parameters, its event counters and ceilings.

The answers carry a signature of the SAM's authentication key, which terminals do not check; a SAM
without that key answers `6200` and the data all the same.

Source: legacy-sam §5.13, §5.14 (commands, layouts), §9.1; the place of the free-increment bits is that of
the layout, not the one that the reference library reads (§5.14).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.sam import (
    COUNTERS,
    COUNTERS_PER_RECORD,
    KEY_BLOCK_LENGTH,
    OBJECT_LENGTH,
    WORK_KEY_RECORDS,
    DataReference,
    KeyReference,
)
from cardbench.protocol.errors import CardError, MalformedCardData, UsageError
from cardbench.protocol.status import StatusWord
from cardbench.terminal.card.handle import Handle, Joined
from cardbench.terminal.card.requests import SUCCESS
from cardbench.terminal.legacy_sam.sam import CounterIncrementAccess, KeyParameter
from cardbench.terminal.legacy_sam.signatures import DeferredHandle

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.terminal.legacy_sam.link import SamLink
    from cardbench.terminal.legacy_sam.sam import LegacySam, SystemKeyType

T = TypeVar("T")

SIGNATURE_BYTES = 8
COUNTER_BYTES = 3
KEY_ANSWER_BYTES = 32
RECORD_ANSWER_BYTES = 48
CONFIGURATION = slice(35, 37)

_READ = SUCCESS | {StatusWord.WARNING}
_READ_KEY = _READ | {StatusWord.RECORD_NOT_FOUND}


class SamRead(NamedTuple, Generic[T]):
    """One command that reads of a SAM.

    Attributes:
        command: without its class byte.
        name: what it is called.
        success: status words that are right.
        take: makes the result of an answer, and takes it into the SAM's image.
    """

    command: bytes
    name: str
    success: frozenset[int]
    take: Callable[[LegacySam, bytes], T]


class CounterStatus(NamedTuple):
    """An event counter.

    Attributes:
        value: how often it was incremented.
        ceiling: how often it may be.
        access: whether anybody may increment it.
    """

    value: int
    ceiling: int
    access: CounterIncrementAccess


def read_parameters() -> SamRead[bytes]:
    """Read the SAM parameters; the result is their 29 bytes."""

    def take(sam: LegacySam, response: bytes) -> bytes:
        sam.sam_parameters = raw = _content(response, RECORD_ANSWER_BYTES)[:OBJECT_LENGTH]
        return raw

    command = bytes((SamIns.READ_PARAMETERS, 0, DataReference.PARAMETERS, 0))
    return SamRead(command, "Read Parameters", _READ, take)


def read_system_key(kind: SystemKeyType) -> SamRead[KeyParameter]:
    """Read the parameters of one of the SAM's own keys."""

    def take(sam: LegacySam, response: bytes) -> KeyParameter:
        sam.system_keys[kind] = key = _key(response)
        return key

    return _read_key(kind.value[1], bytes(2), take)


def read_work_key(key: int | tuple[int, int]) -> SamRead[KeyParameter]:
    """Read the parameters of a work key, by its record 1…126, or by KIF and KVC.

    Raises:
        UsageError: out of range.
    """

    def take(sam: LegacySam, response: bytes) -> KeyParameter:
        sam.work_keys[key] = parameter = _key(response)
        return parameter

    if isinstance(key, int):
        if key not in WORK_KEY_RECORDS:
            raise UsageError(f"work key record {key}; allowed: 1 to 126")
        return _read_key(key, bytes(2), take)
    try:
        return _read_key(KeyReference.BY_KIF_KVC, bytes(key), take)
    except ValueError:
        raise UsageError(f"work key {key}; KIF and KVC are bytes") from None


def read_counter_record(record: int) -> SamRead[dict[int, int]]:
    """Read the values of nine event counters, record 0…2."""

    def take(sam: LegacySam, response: bytes) -> dict[int, int]:
        values = _record(response, record)
        sam.counters.update(values)
        return values

    reference = DataReference.COUNTER_RECORD_1 + record
    command = bytes((SamIns.READ_PARAMETERS, 0, reference, 0))
    return SamRead(command, "Read Event Counters", _READ, take)


def read_ceiling_record(
    record: int,
) -> SamRead[tuple[dict[int, int], dict[int, CounterIncrementAccess]]]:
    """Read the ceilings of nine event counters, and which of them count freely; record 0…2."""

    def take(
        sam: LegacySam, response: bytes
    ) -> tuple[dict[int, int], dict[int, CounterIncrementAccess]]:
        values = _record(response, record)
        bits = int.from_bytes(response[CONFIGURATION])
        accesses = {
            number: CounterIncrementAccess(bool(bits >> index & 1))
            for index, number in enumerate(values)
        }
        sam.counter_ceilings.update(values)
        sam.counter_increment_accesses.update(accesses)
        return values, accesses

    reference = DataReference.CEILING_RECORD_1 + record
    command = bytes((SamIns.READ_PARAMETERS, 0, reference, 0))
    return SamRead(command, "Read Ceilings", _READ, take)


def _read_key(
    reference: int, data: bytes, take: Callable[[LegacySam, bytes], KeyParameter]
) -> SamRead[KeyParameter]:
    command = bytes((SamIns.READ_KEY_PARAMETERS, 0, reference, len(data))) + data
    return SamRead(command, "Read Key Parameters", _READ_KEY, take)


def _content(response: bytes, size: int) -> bytes:
    if len(response) != size + 2:
        raise MalformedCardData(
            f"a SAM answered {len(response) - 2} byte(s) where {size} are right"
        )
    return response[SIGNATURE_BYTES:]


def _key(response: bytes) -> KeyParameter:
    sw = int.from_bytes(response[-2:])
    if sw == StatusWord.RECORD_NOT_FOUND:
        raise CardError.of(sw, "Read Key Parameters", sorted(_READ, reverse=True))
    return KeyParameter(_content(response, KEY_ANSWER_BYTES)[:KEY_BLOCK_LENGTH])


def _record(response: bytes, record: int) -> dict[int, int]:
    content = _content(response, RECORD_ANSWER_BYTES)
    first = record * COUNTERS_PER_RECORD
    return {
        first + index: int.from_bytes(content[index * COUNTER_BYTES : (index + 1) * COUNTER_BYTES])
        for index in range(COUNTERS_PER_RECORD)
    }


class ReadCommands:
    """What every transaction with a SAM can read; the results are in the SAM's image as well."""

    _link: SamLink

    def __init__(self) -> None:
        self._reads: dict[bytes, Handle[Any]] = {}

    def prepare_read_sam_parameters(self) -> Handle[bytes]:
        """Read the SAM parameters, 29 bytes."""
        return self._read(read_parameters())

    def prepare_read_system_key_parameters(self, kind: SystemKeyType) -> Handle[KeyParameter]:
        """Read the parameters of one of the SAM's own keys."""
        return self._read(read_system_key(kind))

    def prepare_read_work_key_parameters(self, key: int | tuple[int, int]) -> Handle[KeyParameter]:
        """Read the parameters of a work key, by its record 1…126, or by KIF and KVC.

        Raises:
            UsageError: out of range.
        """
        return self._read(read_work_key(key))

    def prepare_read_counter_status(self, number: int) -> Handle[CounterStatus]:
        """Read an event counter, 0…26, its ceiling and its configuration.

        Raises:
            UsageError: out of range.
        """
        if number not in COUNTERS:
            raise UsageError(f"event counter {number}; allowed: 0 to 26")
        record = number // COUNTERS_PER_RECORD

        def join(parts: list[Any]) -> CounterStatus:
            values, (ceilings, accesses) = parts
            return CounterStatus(values[number], ceilings[number], accesses[number])

        return Joined(
            (self._read(read_counter_record(record)), self._read(read_ceiling_record(record))), join
        )

    def prepare_read_all_counters_status(self) -> Handle[dict[int, CounterStatus]]:
        """Read all 27 event counters, their ceilings and configurations."""
        handles = [self.prepare_read_counter_status(number) for number in COUNTERS]
        return Joined(handles, lambda statuses: dict(zip(COUNTERS, statuses, strict=True)))

    def _read(self, read: SamRead[T]) -> Handle[T]:
        """Queue a read, unless the same one waits already."""
        waiting = self._reads.get(read.command)
        if waiting is not None and not waiting.is_done:
            return waiting
        link = self._link
        deferred = link.ask(
            bytes((link.cla,)) + read.command,
            read.name,
            lambda response: read.take(link.sam, response),
            read.success,
        )
        handle = self._reads[read.command] = DeferredHandle(deferred, read.name)
        return handle
