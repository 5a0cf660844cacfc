"""On readers that the bench did not fill, a card is changed only when the user has named it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso import new_card
from cardbench.protocol.errors import UsageError
from cardbench.protocol.hexadecimal import from_hex
from cardbench.scenarios import runner
from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.cli import main
from cardbench.scenarios.errors import NeedsNotMet, WriteNotAllowed
from cardbench.scenarios.permission import GUARDED, Change, guarded_changes
from cardbench.scenarios.stories import STORIES, find_story
from cardbench.scenarios.stories.story import Stage, Story
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from tests.scenarios.conftest import EchoNeeds, HandlessBackend

    from cardbench.emulator.chassis import Key

SERIAL = "0000000011223344"
OTHER = "00000000AABBCCDD"

FREE = {
    "identify", "validation", "validation-prefetched", "recovery", "sale", "data-signing-outside",
    "data-signing-inside", "early-authentication", "encrypted-session", "pki-session",
}  # fmt: skip


def change_of(key: Key) -> Change | None:
    """What an object of a card's memory is, in the words of a story's declaration."""
    kinds = {
        "file": Change.TICKETS,
        "key": Change.KEYS,
        "pki": Change.KEYS,
        "pin": Change.PIN,
        "pin tries": Change.PIN,
        "purse": Change.VALUE,
        "object": Change.VALUE,  # of the Wallet
        "invalidated": Change.STATUS,
    }
    return kinds.get(str(key[0]))


@pytest.mark.parametrize("name", STORIES)
def test_a_story_declares_everything_that_it_changes(name: str) -> None:
    story = find_story(name)
    with runner.world_for(story, open_backend("in-process")) as world:
        runner.prepare(story, world, 1)
        memory = world.cards[Role.CARD].memory  # type: ignore[attr-defined]
        before = memory.objects()
        stage = Stage(world)
        story.play(stage)
        stage.close()
        after = memory.objects()
    changed = {change_of(key) for key in before | after if before.get(key) != after.get(key)}
    declared = set(story.changes)
    if Change.CONTENT in declared:
        declared.add(Change.TICKETS)
    assert changed - {None} <= declared
    assert declared - {Change.CONTENT, Change.PIN} <= changed


def test_only_what_a_gate_or_desk_does_every_day_needs_no_permission() -> None:
    assert {name for name in STORIES if not guarded_changes(find_story(name))} == FREE
    assert Change.TICKETS not in GUARDED
    assert {Change.KEYS, Change.PIN, Change.VALUE, Change.STATUS} <= GUARDED


def guarded_story(needs: EchoNeeds) -> Story:
    def tell(_: Stage) -> None:
        raise AssertionError("it must not begin")

    return Story(
        name="told",
        summary="",
        needs={Role.CARD: needs},
        play=tell,
        changes=frozenset({Change.KEYS}),
    )


def test_without_permission_the_sentence_names_the_card_and_what_to_type(
    handless: type[HandlessBackend],
) -> None:
    story = find_story("key-and-pin-update")
    card = new_card()
    before = card.memory.objects()
    cards = {
        Role.CARD: card,
        Role.SAM: story.needs[Role.SAM].personalise(entropy=card.entropy, clock=card.clock),
    }
    with (
        runner.world_for(story, handless(cards)) as world,
        pytest.raises(WriteNotAllowed) as caught,
    ):
        runner.run(story, world, seed=1)
    assert str(caught.value) == (
        "key-and-pin-update changes the keys and the PIN of the card; the card in 'handless card' is "
        f"{SERIAL}: if it may, say so with --allow-write {SERIAL}"
    )
    assert card.memory.objects() == before


def test_another_card_than_the_one_named_is_not_touched(handless: type[HandlessBackend]) -> None:
    story = find_story("plain-pin")
    card = new_card()
    before = card.memory.objects()
    with (
        runner.world_for(story, handless({Role.CARD: card})) as world,
        pytest.raises(
            WriteNotAllowed, match=f"names {OTHER}, but the card .* is {SERIAL}: nothing"
        ),
    ):
        runner.run(story, world, seed=1, allow_write=OTHER)
    assert card.memory.objects() == before


@pytest.mark.parametrize("named", [SERIAL, "00 00 00 00 11 22 33 44", SERIAL.lower()])
def test_the_card_that_was_named_is_changed(named: str, handless: type[HandlessBackend]) -> None:
    story = find_story("plain-pin")
    with runner.world_for(story, handless({Role.CARD: new_card()})) as world:
        assert runner.run(story, world, seed=1, allow_write=named).ok


@pytest.mark.parametrize("name", ["identify", "validation", "sale"])
def test_a_story_that_changes_nothing_of_that_kind_needs_no_permission(
    name: str, handless: type[HandlessBackend]
) -> None:
    story = find_story(name)
    with runner.world_for(story, open_backend("in-process")) as world:
        runner.prepare(story, world, 1)
        cards = {role: world.hands[role].remove() for role in story.needs}
    with runner.world_for(story, handless(cards)) as world:  # type: ignore[arg-type]
        assert runner.run(story, world, seed=1).ok


def test_a_card_that_cannot_play_the_story_is_named_first(handless: type[HandlessBackend]) -> None:
    story = find_story("plain-pin")
    with (
        runner.world_for(story, handless({Role.CARD: new_card("kit-regular")})) as world,
        pytest.raises((NeedsNotMet, WriteNotAllowed)) as caught,
    ):
        runner.run(story, world, seed=1)
    lacks_pin = isinstance(caught.value, NeedsNotMet)
    assert lacks_pin or "kit" not in str(caught.value)


def test_a_permission_that_is_no_serial_number_is_refused(handless: type[HandlessBackend]) -> None:
    story = find_story("plain-pin")
    with (
        runner.world_for(story, handless({Role.CARD: new_card()})) as world,
        pytest.raises(UsageError, match="not hexadecimal: 'any'"),
    ):
        runner.run(story, world, seed=1, allow_write="any")


def test_a_card_that_the_bench_made_needs_no_permission() -> None:
    story = find_story("key-and-pin-update")
    with runner.world_for(story, open_backend("in-process")) as world:
        assert runner.run(story, world, seed=1).ok
        assert runner.run(story, world, seed=1, allow_write=OTHER).ok


def test_a_card_without_serial_number_is_named_by_its_answer_to_reset(
    handless: type[HandlessBackend],
) -> None:
    story = find_story("wallet")
    with runner.world_for(story, open_backend("in-process")) as world:
        runner.prepare(story, world, 1)
        card = world.hands[Role.CARD].remove()
    assert card is not None
    atr = card.power_on().hex().upper()
    card.power_off()
    with runner.world_for(story, handless({Role.CARD: card})) as world:
        with pytest.raises(WriteNotAllowed, match=f"--allow-write {atr}"):
            runner.run(story, world, seed=1)
        assert runner.run(story, world, seed=1, allow_write=atr).ok


def test_the_command_line_hands_the_permission_on(
    monkeypatch: pytest.MonkeyPatch,
    handless: type[HandlessBackend],
    capsys: pytest.CaptureFixture[str],
) -> None:
    card = new_card()
    monkeypatch.setattr(
        "cardbench.scenarios.cli.play.open_backend", lambda *_: handless({Role.CARD: card})
    )
    with pytest.raises(SystemExit, match="1"):
        main(["run", "plain-pin", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["error"]["kind"] == "WriteNotAllowed"
    with pytest.raises(SystemExit, match="0"):
        main(["run", "plain-pin", "--json", "--allow-write", SERIAL])
    assert json.loads(capsys.readouterr().out)["ok"]


def test_every_kind_of_needs_says_who_the_card_is(handless: type[HandlessBackend]) -> None:
    story = find_story("sale")
    with runner.world_for(story, open_backend("in-process")) as world:
        runner.prepare(story, world, 1)
        stage = Stage(world)
        assert story.needs[Role.CARD].identity(stage.card) == from_hex(SERIAL)
        assert story.needs[Role.SAM].identity(stage.sam) == stage.sam.open()
        stage.close()
    anybody = find_story("identify")
    with runner.world_for(anybody, handless({Role.CARD: new_card()})) as world:
        stage = Stage(world)
        assert anybody.needs[Role.CARD].identity(stage.card) == stage.card.open()
        stage.close()
