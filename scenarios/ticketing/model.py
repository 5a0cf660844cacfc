"""Records of the demo ticketing model: environment, event, contract, contract list.

Each record has 29 bytes; numbers are big-endian, dates count days from 2010-01-01, times count minutes of
the day.

Source: calypso-card §8.4 (layouts, samples, priorities), §8.2 (files). That the contract list holds the
four priorities in its first bytes is our choice: the model keeps them in the event only.
"""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum, unique
from functools import lru_cache
from typing import NamedTuple

from cardbench.protocol.errors import MalformedCardData

RECORD_SIZE_BYTES = 29
CONTRACT_COUNT = 4
COUNTER_OF_CONTRACT = {1: 1, 2: 2, 3: 3, 4: 4}
VERSION = 1
MINUTES_PER_DAY = 1440


@unique
class File(IntEnum):
    """Short identifiers of the files of the transport application."""

    ENVIRONMENT = 0x07
    EVENTS = 0x08
    CONTRACTS = 0x09
    COUNTERS = 0x19
    CONTRACT_LIST = 0x1E


@unique
class Priority(IntEnum):
    """Tariff of a contract; of two valid contracts the lower number is used first."""

    FORBIDDEN = 0  # the slot is blank
    SEASON_PASS = 1
    MULTI_TRIP = 2
    STORED_VALUE = 3
    EXPIRED = 31


_EPOCH = date(2010, 1, 1)
_EPOCH_ORDINAL = _EPOCH.toordinal()
_ENVIRONMENT = struct.Struct(">BIHHBI")
_EVENT = struct.Struct(">BHHIB4B")
_CONTRACT = struct.Struct(">BBHH4s3sB3s")


def day_number(day: date) -> int:
    """Count days from 2010-01-01."""
    return day.toordinal() - _EPOCH_ORDINAL


@lru_cache(maxsize=1024)
def day_of(number: int) -> date:
    """Return the date of a day number."""
    return _EPOCH + timedelta(days=number)


class Environment(NamedTuple):
    """Who the card belongs to, and until when it is valid.

    Attributes:
        version: of the structure.
        application_number: of the card's application.
        issuing_date, end_date: day numbers.
        holder_company, holder_id: of the card's holder.
    """

    version: int
    application_number: int
    issuing_date: int
    end_date: int
    holder_company: int
    holder_id: int

    @classmethod
    def parse(cls, record: bytes) -> Environment:
        """Read the first 14 bytes of a record.

        Raises:
            MalformedCardData: the record is shorter.
        """
        return cls._make(_ENVIRONMENT.unpack_from(_whole("environment", record, _ENVIRONMENT)))

    def encode(self) -> bytes:
        """Write the record, padded with zeros."""
        return _ENVIRONMENT.pack(*self).ljust(RECORD_SIZE_BYTES, b"\0")


class Event(NamedTuple):
    """A validation.

    Attributes:
        version: of the structure; 0: the record was never written.
        date: day number.
        time: minute of the day.
        location: where.
        contract_used: 1…4; 0: none.
        priorities: of contracts 1 to 4.
    """

    version: int
    date: int
    time: int
    location: int
    contract_used: int
    priorities: tuple[int, ...]

    @classmethod
    def parse(cls, record: bytes) -> Event:
        """Read the first 14 bytes of a record.

        Raises:
            MalformedCardData: the record is shorter.
        """
        fields = _EVENT.unpack_from(_whole("event", record, _EVENT))
        return cls._make((*fields[:5], fields[5:]))

    def encode(self) -> bytes:
        """Write the record, padded with zeros."""
        return _EVENT.pack(*self[:5], *self.priorities).ljust(RECORD_SIZE_BYTES, b"\0")

    @property
    def happened_at(self) -> datetime:
        """Date and time."""
        day = day_of(self.date)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=self.time)


class Contract(NamedTuple):
    """What was sold.

    Attributes:
        version: of the structure; 0: the slot is blank.
        tariff: a `Priority`.
        sale_date, validity_end_date: day numbers.
        sale_sam: serial number of the SAM that sold it, 4 bytes.
        sale_counter: of that SAM, 3 bytes.
        authenticator_kvc, authenticator: signature of the contract; 0 and zeros: not signed.
    """

    version: int
    tariff: int
    sale_date: int
    validity_end_date: int
    sale_sam: bytes = bytes(4)
    sale_counter: bytes = bytes(3)
    authenticator_kvc: int = 0
    authenticator: bytes = bytes(3)

    @classmethod
    def parse(cls, record: bytes) -> Contract:
        """Read the first 17 bytes of a record.

        Raises:
            MalformedCardData: the record is shorter.
        """
        return cls._make(_CONTRACT.unpack_from(_whole("contract", record, _CONTRACT)))

    def encode(self) -> bytes:
        """Write the record, padded with zeros."""
        return _CONTRACT.pack(*self).ljust(RECORD_SIZE_BYTES, b"\0")


class ContractList(NamedTuple):
    """Priorities of contracts 1 to 4."""

    priorities: tuple[int, ...]

    @classmethod
    def parse(cls, record: bytes) -> ContractList:
        """Read the first four bytes of a record.

        Raises:
            MalformedCardData: the record is shorter.
        """
        if len(record) < CONTRACT_COUNT:
            raise MalformedCardData(
                f"contract list of {len(record)} byte(s); at least 4 are needed"
            )
        return cls(tuple(record[:CONTRACT_COUNT]))

    def encode(self) -> bytes:
        """Write the record, padded with zeros."""
        return bytes(self.priorities).ljust(RECORD_SIZE_BYTES, b"\0")

    def with_priority(self, contract: int, priority: int) -> ContractList:
        """Return the list with another priority for one contract, 1…4."""
        priorities = list(self.priorities)
        priorities[contract - 1] = priority
        return ContractList(tuple(priorities))

    def best(self, *usable: Priority) -> int:
        """Return the contract, 1…4, to try first among the usable tariffs; 0 if there is none."""
        ranked = [
            (priority, number)
            for number, priority in enumerate(self.priorities, start=1)
            if priority in usable
        ]
        return min(ranked)[1] if ranked else 0

    def free_slots(self) -> tuple[int, ...]:
        """Return the contracts, 1…4, that may be written: blank or expired."""
        return tuple(
            number
            for number, priority in enumerate(self.priorities, start=1)
            if priority in (Priority.FORBIDDEN, Priority.EXPIRED)
        )


def _whole(what: str, record: bytes, layout: struct.Struct) -> bytes:
    if len(record) < layout.size:
        raise MalformedCardData(
            f"{what} of {len(record)} byte(s); at least {layout.size} are needed"
        )
    return record
