"""The framework that stories are told in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.protocol.errors import CardError, CardNotPresent, UsageError
from cardbench.protocol.hexadecimal import from_hex, to_hex
from cardbench.scenarios import runner
from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.errors import NeedsNotMet, StoryFailed
from cardbench.scenarios.needs import CalypsoCardNeeds, CounterNeed
from cardbench.scenarios.stories import STORIES, find_story
from cardbench.scenarios.stories.story import Stage, Step, Story
from cardbench.scenarios.trace import Role
from cardbench.scenarios.world import EPOCH
from cardbench.terminal.card import CardChannel, PlainRequest
from cardbench.terminal.readers import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scenarios.conftest import HandlessBackend

    from cardbench.scenarios.needs import Needs
    from cardbench.scenarios.stories.story import StoryResult

GET_CHALLENGE = PlainRequest(from_hex("0084000008"))
ECHO = PlainRequest(from_hex("00DA000001AA"))
REFUSED = PlainRequest(from_hex("00DA0000"))


@pytest.fixture
def played(echo_needs: Needs) -> Callable[..., StoryResult]:
    """Play a function as a story with one echo card."""

    def play(tell: Callable[[Stage], None], **options: object) -> StoryResult:
        story = Story(name="told", summary="", needs={Role.CARD: echo_needs}, play=tell)
        with runner.world_for(story, open_backend("in-process")) as world:
            return runner.run(story, world, **({"seed": 1} | options))  # type: ignore[arg-type]

    return play


def test_a_step_counts_what_happens_within_it(played: Callable[..., StoryResult]) -> None:
    def tell(stage: Stage) -> None:
        with stage.step("one"):
            stage.card.transmit([ECHO, ECHO])
        with stage.step("two"):
            stage.card.transmit([ECHO])
            stage.card.transmit([ECHO])

    result = played(tell)
    one, two = result.steps
    assert one.traffic == {Role.CARD: Traffic(exchanges=1, apdus=2)}
    assert two.traffic == {Role.CARD: Traffic(exchanges=2, apdus=2)}
    assert result.traffic == {Role.CARD: Traffic(exchanges=3, apdus=4)}


def test_a_step_knows_its_part_of_the_tape(echo_needs: Needs) -> None:
    def tell(stage: Stage) -> None:
        stage.card.transmit([ECHO])
        with stage.step("one"):
            stage.card.transmit([GET_CHALLENGE])

    story = Story(name="told", summary="", needs={Role.CARD: echo_needs}, play=tell)
    with runner.world_for(story, open_backend("in-process")) as world:
        (step,) = runner.run(story, world, seed=1).steps
        assert [entry.sent for entry in world.tape.entries[step.tape]] == [GET_CHALLENGE.apdu]


def test_a_note_goes_to_the_innermost_step(played: Callable[..., StoryResult]) -> None:
    def tell(stage: Stage) -> None:
        with stage.step("outer"):
            with stage.step("inner"):
                stage.note("deep")
            stage.note("shallow")

    inner, outer = played(tell).steps
    assert (inner.title, inner.notes) == ("inner", ["deep"])
    assert (outer.title, outer.notes) == ("outer", ["shallow"])


def test_a_note_without_a_step_is_a_fault_of_the_story(
    played: Callable[..., StoryResult],
) -> None:
    result = played(lambda stage: stage.note("lost"))
    assert isinstance(result.error, UsageError)


def test_a_refusal_of_the_card_ends_the_story_and_marks_the_step(
    played: Callable[..., StoryResult],
) -> None:
    def tell(stage: Stage) -> None:
        with stage.step("works"):
            stage.card.transmit([ECHO])
        with stage.step("is refused"):
            stage.card.transmit([REFUSED])

    result = played(tell)
    assert not result.ok
    assert isinstance(result.error, CardError)
    assert [(step.title, step.ok) for step in result.steps] == [
        ("works", True),
        ("is refused", False),
    ]


def test_a_story_may_fail_by_its_own_judgement(played: Callable[..., StoryResult]) -> None:
    def tell(stage: Stage) -> None:
        stage.conclude(opened=False)
        raise StoryFailed("the gate stays shut")

    result = played(tell)
    assert str(result.error) == "the gate stays shut"
    assert result.facts == {"opened": False}


def test_a_fault_of_the_program_is_not_swallowed(played: Callable[..., StoryResult]) -> None:
    def tell(_: Stage) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        played(tell)


def test_a_reader_that_the_story_did_not_ask_for_is_not_there(
    played: Callable[..., StoryResult],
) -> None:
    result = played(lambda stage: stage.sam.open())
    assert str(result.error) == "this story has no sam: its needs do not name one"


def test_steps_are_told_as_they_end(played: Callable[..., StoryResult]) -> None:
    told: list[str] = []

    def tell(stage: Stage) -> None:
        with stage.step("one"):
            pass
        assert told == ["one"]

    def on_step(step: Step) -> None:
        told.append(step.title)

    assert played(tell, on_step=on_step).ok


def test_the_story_sees_the_virtual_time_and_seeded_randomness(
    played: Callable[..., StoryResult],
) -> None:
    def tell(stage: Stage) -> None:
        drawn = stage.entropy("nonce").draw(4)
        stage.conclude(now=stage.now.isoformat(), nonce=drawn.hex())

    first, again, other = played(tell), played(tell), played(tell, seed=2)
    assert first.facts == again.facts
    assert first.facts["now"] == other.facts["now"]
    assert first.facts["nonce"] != other.facts["nonce"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    echo_needs: Needs,
) -> None:
    def tell(stage: Stage) -> None:
        stage.card.transmit([GET_CHALLENGE])

    story = Story(name="told", summary="", needs={Role.CARD: echo_needs}, play=tell)
    traces = []
    with runner.world_for(story, open_backend("in-process")) as world:
        for seed in (1, 2, 1):
            assert runner.run(story, world, seed=seed).ok
            traces.append(list(world.tape.entries))
    assert traces[0] == traces[2] != traces[1]


def test_readers_are_given_back_unpowered(echo_needs: Needs) -> None:
    story = Story(
        name="told", summary="", needs={Role.CARD: echo_needs}, play=lambda s: bool(s.card.open())
    )
    with runner.world_for(story, open_backend("in-process")) as world:
        runner.run(story, world, seed=1)
        card = world.cards[Role.CARD]
        assert not card.is_powered  # type: ignore[attr-defined]


def test_a_card_that_is_present_plays_if_it_has_what_is_needed(
    handless: type[HandlessBackend],
) -> None:
    story = find_story("identify")
    card = new_card("bench")
    with runner.world_for(story, handless({Role.CARD: card})) as world:
        result = runner.run(story, world, seed=1)
    assert result.ok
    assert result.backend == "handless"
    assert result.traffic[Role.CARD].apdus == result.steps[1].traffic[Role.CARD].apdus


def test_on_readers_of_others_the_date_and_time_are_the_machines(
    echo_needs: Needs, handless: type[HandlessBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2031, 2, 3, 4, 5, tzinfo=UTC)
    monkeypatch.setattr(runner, "real_time", lambda: now)
    seen: list[datetime] = []
    story = Story(
        name="told",
        summary="",
        needs={Role.CARD: echo_needs},
        play=lambda stage: seen.append(stage.now),
    )
    cards = {Role.CARD: echo_needs.personalise(entropy=Entropy(b""), clock=Clock())}
    for backend, epoch in ((handless(cards), None), (handless(cards), now + timedelta(1))):
        with runner.world_for(story, backend, epoch=epoch) as world:
            runner.run(story, world, seed=1)
    with runner.world_for(story, open_backend("in-process")) as world:
        runner.run(story, world, seed=1)
    assert seen == [now, now + timedelta(1), EPOCH]


def test_a_card_that_lacks_something_is_refused_before_the_story_begins(
    handless: type[HandlessBackend],
) -> None:
    needs = CalypsoCardNeeds(
        aid=from_hex("A000000291FF9101"), counters=(CounterNeed(0x19, 1, 99, at_least=99),)
    )

    def tell(_: Stage) -> None:
        raise AssertionError("it must not begin")

    story = Story(name="told", summary="", needs={Role.CARD: needs}, play=tell)
    with (
        runner.world_for(story, handless({Role.CARD: new_card("bench")})) as world,
        pytest.raises(NeedsNotMet, match="told cannot be played here: counter 1 of SFI 19 stands"),
    ):
        runner.run(story, world, seed=1)


def test_an_empty_reader_is_named(handless: type[HandlessBackend]) -> None:
    story = find_story("identify")
    with (
        runner.world_for(story, handless({})) as world,
        pytest.raises(CardNotPresent, match="handless card: no card"),
    ):
        runner.run(story, world, seed=1)


@pytest.mark.parametrize("name", STORIES)
def test_every_listed_story_is_played_on_the_cards_that_it_asks_for(name: str) -> None:
    story = find_story(name)
    assert story.name == name
    with runner.world_for(story, open_backend("in-process")) as world:
        result = runner.run(story, world, seed=1)
    assert result.error is None
    assert all(step.ok for step in result.steps)


@pytest.mark.parametrize("name", STORIES)
def test_a_card_made_for_a_story_is_one_that_the_story_would_accept(
    name: str, handless: type[HandlessBackend]
) -> None:
    story = find_story(name)
    with runner.world_for(story, open_backend("in-process")) as world:
        runner.prepare(story, world, 1)
        cards = {role: world.hands[role].remove() for role in story.needs}
    with runner.world_for(story, handless(cards)) as world:  # type: ignore[arg-type]
        channel = CardChannel(world.readers[Role.CARD])
        serial = to_hex(story.needs[Role.CARD].identity(channel))
        channel.close()
        assert runner.run(story, world, seed=1, allow_write=serial).ok


def test_an_unknown_story_is_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match="no story 'epic'; there are: identify"):
        find_story("epic")


def test_identify_tells_what_the_card_is() -> None:
    story = find_story("identify")
    with runner.world_for(story, open_backend("in-process")) as world:
        result = runner.run(story, world, seed=1)
    assert result.facts["aid"] == "A000000291FF9101"
    assert result.facts["product"] == "prime_revision_3"
    files = result.facts["files"]
    assert isinstance(files, list)
    assert {
        "lid": "2F10",
        "sfi": "1A",
        "type": "binary",
        "records": 1,
        "record_size_bytes": 300,
    } in (files)
    notes = result.steps[1].notes
    assert "serial number 0000000011223344" in notes
    assert "session buffer: 430 bytes" in notes
    assert "key 3 (debit): KIF 30, KVC 74" in notes
