"""Records of the demo ticketing model: the published samples, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.protocol.errors import MalformedCardData
from cardbench.scenarios.ticketing.model import (
    Contract,
    ContractList,
    Environment,
    Event,
    Priority,
    day_number,
    day_of,
)

# calypso-card §8.4
ENVIRONMENT = "01000000010FFB1C920700000008" + "00" * 15
CONTRACT = "01010FBF0FDD" + "00" * 23
EVENT = "010FBF0348000000010101" + "00" * 18


def test_published_environment_round_trips() -> None:
    record = bytes.fromhex(ENVIRONMENT)
    environment = Environment.parse(record)
    assert environment == (1, 1, 0x0FFB, 0x1C92, 7, 8)
    assert environment.encode() == record


def test_published_contract_round_trips() -> None:
    record = bytes.fromhex(CONTRACT)
    contract = Contract.parse(record)
    assert (contract.version, contract.tariff) == (1, Priority.SEASON_PASS)
    assert (contract.sale_date, contract.validity_end_date) == (0x0FBF, 0x0FDD)
    assert contract.encode() == record


def test_published_event_round_trips() -> None:
    record = bytes.fromhex(EVENT)
    event = Event.parse(record)
    assert (event.location, event.contract_used, event.priorities) == (1, 1, (1, 0, 0, 0))
    assert event.happened_at == datetime(2021, 1, 14, 14, 0, tzinfo=UTC)
    assert event.encode() == record


def test_contract_fields_have_their_places() -> None:
    record = bytes.fromhex("010213F92517112233440000011977389600000000000000 0000000000")
    contract = Contract.parse(record)
    assert contract.sale_sam.hex() == "11223344"
    assert contract.sale_counter.hex() == "000001"
    assert (contract.authenticator_kvc, contract.authenticator.hex()) == (0x19, "773896")
    assert contract.encode()[:17] == record[:17]


@given(st.dates(min_value=date(2010, 1, 1), max_value=date(2189, 6, 5)))
def test_days_are_counted_from_2010(day: date) -> None:
    assert day_of(day_number(day)) == day
    assert 0 <= day_number(day) <= 0xFFFF


@pytest.mark.parametrize(
    ("priorities", "best", "free"),
    [
        ((2, 0, 0, 0), 1, (2, 3, 4)),
        ((2, 1, 0, 31), 2, (3, 4)),
        ((0, 2, 2, 3), 2, (1,)),
        ((0, 31, 3, 0), 0, (1, 2, 4)),
        ((3, 3, 3, 3), 0, ()),
    ],
)
def test_the_list_tells_what_to_use_and_what_is_free(
    priorities: tuple[int, ...], best: int, free: tuple[int, ...]
) -> None:
    listed = ContractList.parse(bytes(priorities) + bytes(25))
    assert listed.best(Priority.SEASON_PASS, Priority.MULTI_TRIP) == best
    assert listed.free_slots() == free
    assert listed.encode()[:4] == bytes(priorities)


def test_one_priority_is_changed() -> None:
    assert ContractList((2, 0, 0, 0)).with_priority(3, 1) == ContractList((2, 0, 1, 0))


@pytest.mark.parametrize("record", [Environment, Contract, Event, ContractList])
def test_a_record_that_is_cut_off_is_refused(
    record: type[Environment | Contract | Event | ContractList],
) -> None:
    with pytest.raises(MalformedCardData, match="at least"):
        record.parse(bytes(3))
