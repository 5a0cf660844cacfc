"""The stories `validation` and `sale` on software cards: exchanges, decisions, refusals, recovery."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.errors import CardNotPresent, CardRemoved, FileNotFound
from cardbench.sam_emulator import new_sam
from cardbench.scenarios import runner
from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.stories import find_story
from cardbench.scenarios.ticketing.gate import Gate, GatePolicy, Passage
from cardbench.scenarios.ticketing.model import Contract, Environment, Event, File, day_number
from cardbench.scenarios.ticketing.sales_desk import Product, SalesDesk
from cardbench.scenarios.ticketing.terminal import select_sam
from cardbench.scenarios.trace import Role
from cardbench.scenarios.world import EPOCH
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers import InProcessReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.scenarios.stories.story import StoryResult

TODAY = day_number(EPOCH.date())


def play(name: str, seed: int = 1) -> StoryResult:
    story = find_story(name)
    with runner.world_for(story, open_backend("in-process")) as world:
        return runner.run(story, world, seed=seed)


class Bench:
    """A card, a SAM, and channels to both."""

    def __init__(self, records: Mapping[tuple[int, int], bytes] | None = None) -> None:
        self.card = new_card(entropy=Entropy(b"card"), records=records)
        self.slot, sam_slot = CardSlot("card"), CardSlot("sam")
        self.slot.insert(self.card)
        sam_slot.insert(new_sam(entropy=Entropy(b"sam"), clock=Clock()))
        self.card_channel = CardChannel(InProcessReader(self.slot))
        self.sam_channel = CardChannel(InProcessReader(sam_slot, is_contactless=False))
        self.crypto = select_sam(self.sam_channel)
        self.now = EPOCH

    def gate(self, **policy: object) -> Gate:
        return Gate(
            self.crypto,
            now=self._now,
            policy=GatePolicy(**policy),  # type: ignore[arg-type]
        )

    def desk(self, product: Product | None = None) -> SalesDesk:
        return SalesDesk(self.crypto, now=self._now, product=product)

    def _now(self) -> datetime:
        return self.now

    def read(self, sfi: int, record: int) -> bytes:
        self.slot.power_off()
        self.slot.power_on()
        answer = self.slot.transmit(bytes((0x00, 0xB2, record, sfi << 3 | 4, 0)))
        assert answer[-2:] == b"\x90\x00"
        return answer[:-2]

    def counter(self, number: int) -> int:
        return int.from_bytes(self.read(File.COUNTERS, 1)[3 * number - 3 : 3 * number])


def environment(end_date: int = 0x2517, version: int = 1, number: int = 1) -> bytes:
    return Environment(version, number, 0x13F9, end_date, 7, 8).encode()


def contract(tariff: int = 2, end_date: int = 0x2517, version: int = 1) -> bytes:
    return Contract(version, tariff, 0x13F9, end_date).encode()


# Published counts


def test_validation_is_seven_exchanges_with_the_card_and_three_with_the_sam() -> None:
    result = play("validation")
    assert result.error is None
    assert result.traffic[Role.CARD].exchanges == 7
    assert result.traffic[Role.SAM].exchanges == 3
    assert result.traffic[Role.CARD].apdus == 10
    assert result.facts == {"gate": "open", "reason": None, "contract": 1, "trips_left": 9}


def test_sale_is_three_exchanges_with_the_card_and_three_with_the_sam() -> None:
    result = play("sale")
    assert result.error is None
    assert result.traffic[Role.CARD].exchanges == 3
    assert result.traffic[Role.SAM].exchanges == 3
    assert result.facts == {"sold": True, "reason": None, "contract": 2, "trips": 10}


@pytest.mark.parametrize("name", ["validation", "sale"])
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    story = find_story(name)
    tapes = []
    for seed in (5, 5, 6):
        with runner.world_for(story, open_backend("in-process")) as world:
            assert runner.run(story, world, seed=seed).ok
            tapes.append(list(world.tape.entries))
    assert tapes[0] == tapes[1] != tapes[2]


# The gate


def test_a_passage_takes_a_trip_and_leaves_an_event() -> None:
    bench = Bench()
    assert bench.gate().validate(bench.card_channel) == Passage(
        is_open=True, contract=1, trips_left=9
    )
    assert bench.counter(1) == 9
    event = Event.parse(bench.read(File.EVENTS, 1))
    assert event == (1, TODAY, 8 * 60, 1, 1, (2, 0, 0, 0))
    assert not bench.card_channel.is_open


@pytest.mark.parametrize(
    ("records", "reason", "exchanges"),
    [
        ({(File.ENVIRONMENT, 1): environment(version=0)}, "unknown environment", 3),
        ({(File.ENVIRONMENT, 1): environment(end_date=TODAY - 1)}, "the card has expired", 3),
        ({(File.ENVIRONMENT, 1): environment(number=13)}, "the card is on the deny list", 3),
        ({(File.CONTRACT_LIST, 1): bytes((3, 0, 31, 0))}, "no contract", 5),
        ({(File.CONTRACTS, 1): contract(version=0)}, "the contract is blank", 6),
        ({(File.CONTRACTS, 1): contract(end_date=TODAY - 1)}, "the contract has expired", 6),
        ({(File.COUNTERS, 1): bytes(3)}, "no trip left", 7),
    ],
)
def test_a_refusal_is_a_result_and_changes_nothing(
    records: dict[tuple[int, int], bytes], reason: str, exchanges: int
) -> None:
    bench = Bench(records)
    before = bench.read(File.COUNTERS, 1)
    passage = bench.gate(denied_applications=frozenset({13})).validate(bench.card_channel)
    assert passage == Passage(is_open=False, reason=reason)
    assert bench.card_channel.exchanges == exchanges  # as early as it can be told, and an abort
    assert bench.read(File.COUNTERS, 1) == before
    assert bench.read(File.EVENTS, 1) == bytes(29)


def test_a_denied_contract_is_refused() -> None:
    bench = Bench()
    sold = Contract.parse(bench.read(File.CONTRACTS, 1))
    gate = bench.gate(denied_contracts=frozenset({(sold.sale_sam, sold.sale_counter)}))
    assert gate.validate(bench.card_channel).reason == "the contract is on the deny list"


def test_a_season_pass_takes_no_trip() -> None:
    bench = Bench(
        {
            (File.CONTRACT_LIST, 1): bytes((2, 1, 0, 0)),
            (File.CONTRACTS, 2): contract(tariff=1),
        }
    )
    passage = bench.gate().validate(bench.card_channel)
    assert passage == Passage(is_open=True, contract=2)
    assert bench.counter(1) == 10
    assert bench.card_channel.exchanges == 6


def test_a_card_that_is_handed_back_is_refused() -> None:
    bench = Bench()
    gate = bench.gate()
    assert gate.validate(bench.card_channel).is_open
    passage = gate.validate(bench.card_channel)
    assert passage == Passage(is_open=False, reason="anti-passback: the card was just used here")
    assert bench.counter(1) == 9


@pytest.mark.parametrize("minutes", [3, 1440, -1])
def test_a_later_passage_is_another_one(minutes: int) -> None:
    bench = Bench()
    gate = bench.gate()
    assert gate.validate(bench.card_channel).is_open
    bench.now += timedelta(minutes=minutes)
    assert gate.validate(bench.card_channel).trips_left == 8


def test_another_place_is_another_passage() -> None:
    bench = Bench()
    assert bench.gate(location=1).validate(bench.card_channel).is_open
    assert bench.gate(location=2).validate(bench.card_channel).trips_left == 8


def test_a_card_that_left_before_the_gate_knew_passes_without_a_second_trip() -> None:
    bench = Bench()
    gate = bench.gate()
    send = bench.card_channel._send

    def lose_the_answer_to_close(command: bytes) -> bytes:
        answer = send(command)
        if command[1] == 0x8E:
            bench.slot.remove()
            raise CardRemoved("pulled before its answer was received")
        return answer

    bench.card_channel._send = lose_the_answer_to_close
    with pytest.raises(CardRemoved):
        gate.validate(bench.card_channel)
    bench.card_channel._send = send
    bench.slot.insert(bench.card)
    passage = gate.validate(bench.card_channel)
    assert passage == Passage(is_open=True, reason="recovered", contract=1)
    assert bench.counter(1) == 9
    # The recovery was ratified: now it is a card that is handed back.
    assert not gate.validate(bench.card_channel).is_open


def test_another_card_is_not_selected() -> None:
    bench = Bench()
    with pytest.raises(FileNotFound, match="A0000002910000"):
        bench.gate(aid=bytes.fromhex("A0000002910000")).validate(bench.card_channel)


def test_what_is_no_sam_serves_nobody() -> None:
    slot = CardSlot("sam")
    slot.insert(new_card())
    with pytest.raises(CardNotPresent, match="no SAM"):
        select_sam(InProcessReader(slot))


# The sales desk


def test_a_sale_writes_contract_list_and_counter() -> None:
    bench = Bench()
    sale = bench.desk(Product(trips=5, validity_days=30)).sell(bench.card_channel)
    assert (sale.is_sold, sale.contract, sale.trips) == (True, 2, 5)
    assert bench.read(File.CONTRACT_LIST, 1)[:4] == bytes((2, 2, 0, 0))
    sold = Contract.parse(bench.read(File.CONTRACTS, 2))
    assert (sold.sale_date, sold.validity_end_date) == (TODAY, TODAY + 30)
    assert (bench.counter(1), bench.counter(2)) == (10, 5)


def test_what_was_sold_can_be_used() -> None:
    bench = Bench({(File.CONTRACT_LIST, 1): bytes(4)})
    assert bench.desk().sell(bench.card_channel).contract == 1
    assert bench.gate().validate(bench.card_channel).trips_left == 9


def test_a_counter_that_stands_too_high_is_brought_down() -> None:
    bench = Bench({(File.CONTRACT_LIST, 1): bytes((31, 2, 0, 0))})
    assert bench.desk(Product(trips=3)).sell(bench.card_channel).contract == 1
    assert bench.counter(1) == 3


def test_a_contract_does_not_outlive_its_card() -> None:
    bench = Bench({(File.ENVIRONMENT, 1): environment(end_date=TODAY + 7)})
    assert bench.desk().sell(bench.card_channel).is_sold
    assert Contract.parse(bench.read(File.CONTRACTS, 2)).validity_end_date == TODAY + 7


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ({(File.CONTRACT_LIST, 1): bytes((2, 2, 2, 2))}, "no contract is free"),
        ({(File.ENVIRONMENT, 1): environment(end_date=TODAY - 1)}, "the card has expired"),
        ({(File.ENVIRONMENT, 1): environment(version=2)}, "unknown environment"),
    ],
)
def test_nothing_is_sold_to_a_card_that_cannot_have_it(
    records: dict[tuple[int, int], bytes], reason: str
) -> None:
    bench = Bench(records)
    sale = bench.desk().sell(bench.card_channel)
    assert (sale.is_sold, sale.reason) == (False, reason)
    assert bench.card_channel.exchanges == 1
    assert bench.sam_channel.exchanges == 0


def test_four_sales_fill_the_card() -> None:
    bench = Bench({(File.CONTRACT_LIST, 1): bytes(4)})
    assert [bench.desk().sell(bench.card_channel).contract for _ in range(5)] == [1, 2, 3, 4, 0]
