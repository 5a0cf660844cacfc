"""A world and its backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.errors import ReaderNotFound, ReaderTimeout, UsageError
from cardbench.protocol.hexadecimal import from_hex
from cardbench.scenarios.backends import KINDS, Seat, open_backend
from cardbench.scenarios.trace import Role
from cardbench.scenarios.world import EPOCH, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.scenarios.conftest import EchoCard, HandlessBackend

BOTH = (Seat(Role.CARD, is_contactless=True), Seat(Role.SAM, is_contactless=False))


@pytest.fixture
def world() -> Iterator[World]:
    with World(open_backend("in-process"), BOTH) as opened:
        yield opened


def test_every_backend_of_the_table_opens_under_its_name() -> None:
    for kind in KINDS:
        assert open_backend(kind.name).name == kind.name


def test_an_unknown_backend_is_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match="no backend 'plastic'; there are: in-process"):
        open_backend("plastic")


def test_a_world_has_a_reader_for_each_seat(world: World) -> None:
    assert world.readers.keys() == {Role.CARD, Role.SAM}
    assert world.readers[Role.CARD].is_contactless
    assert not world.readers[Role.SAM].is_contactless
    assert not world.readers[Role.CARD].state().present


def test_a_plugged_card_answers_and_is_recorded(world: World, echo_card: EchoCard) -> None:
    world.plug({Role.CARD: echo_card})
    reader = world.readers[Role.CARD]
    reader.connect()
    assert reader.transmit(from_hex("00DA000001AA")) == from_hex("AA9000")
    assert [entry.sent for entry in world.tape.apdus()] == [from_hex("00DA000001AA")]


def test_plugging_again_replaces_the_card(
    world: World, new_echo_card: type[EchoCard], echo_card: EchoCard
) -> None:
    world.plug({Role.CARD: echo_card})
    world.readers[Role.CARD].connect()
    other = new_echo_card()
    world.plug({Role.CARD: other})
    world.readers[Role.CARD].connect()
    assert not echo_card.is_powered
    assert other.is_powered
    assert world.cards == {Role.CARD: other}


def test_a_card_that_answers_late_moves_the_virtual_clock(
    world: World, echo_card: EchoCard
) -> None:
    world.plug({Role.CARD: echo_card})
    world.readers[Role.CARD].connect()
    world.readers[Role.CARD].transmit(from_hex("00DE0000"))
    assert world.clock.now_s == 2.5
    assert (world.now() - EPOCH).total_seconds() == 2.5


def test_start_begins_afresh(world: World, echo_card: EchoCard) -> None:
    world.plug({Role.CARD: echo_card})
    world.readers[Role.CARD].connect()
    world.clock.advance(10)
    world.start(7)
    assert world.seed == 7
    assert world.now() == EPOCH
    assert world.tape.entries == []


def test_each_purpose_has_randomness_of_its_own_and_the_seed_decides(world: World) -> None:
    world.start(1)
    card, sam = world.entropy("card").draw(16), world.entropy("sam").draw(16)
    assert card != sam
    assert world.entropy("card").draw(16) == card
    world.start(2)
    assert world.entropy("card").draw(16) != card


def test_leaving_takes_the_cards_out(echo_card: EchoCard) -> None:
    with World(open_backend("in-process"), BOTH) as world:
        world.plug({Role.CARD: echo_card})
        world.readers[Role.CARD].connect()
        hand = world.hands[Role.CARD]
    assert not echo_card.is_powered
    assert hand.remove() is None
    assert world.readers == {}


def test_nobody_plugs_a_card_into_a_reader_that_is_not_ours(
    handless: type[HandlessBackend], echo_card: EchoCard
) -> None:
    with (
        World(handless({}), BOTH) as world,
        pytest.raises(UsageError, match="handless cannot plug a card in"),
    ):
        world.plug({Role.CARD: echo_card})


def test_a_backend_that_cannot_open_is_closed_again(handless: type[HandlessBackend]) -> None:
    backend = handless({})

    def refuse(*_: object, **__: object) -> None:
        raise ReaderNotFound("no reader")

    backend.open = refuse  # type: ignore[method-assign,assignment]
    with pytest.raises(ReaderNotFound), World(backend, BOTH):
        pass
    assert backend.is_closed


def test_a_card_that_a_reader_does_not_see_is_an_error(
    world: World, echo_card: EchoCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cardbench.scenarios.world.PLUG_TIMEOUT_S", 0.0)
    monkeypatch.setattr(world.hands[Role.CARD], "insert", lambda _: None)
    with pytest.raises(ReaderTimeout, match="the card that was plugged in is not seen"):
        world.plug({Role.CARD: echo_card})
