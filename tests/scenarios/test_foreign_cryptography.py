"""A card with other symmetric algorithms than the SAM's: one sentence says why nothing fits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso import new_card
from cardbench.emulator.calypso.factory import card_of
from cardbench.emulator.calypso.personalisation import load_preset
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.protocol.calypso.aes_suite import AesSuite
from cardbench.protocol.errors import CardbenchError, InvalidPin, WrongCryptogram
from cardbench.sam_emulator import new_sam
from cardbench.scenarios import runner
from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.errors import NoCommonSuite
from cardbench.scenarios.stories import STORIES, find_story
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from tests.scenarios.conftest import HandlessBackend

    from cardbench.protocol.link import Card
    from cardbench.scenarios.stories.story import Story, StoryResult

SERIAL = "0000000011223344"
WITH_SAM = [
    name for name in STORIES if Role.SAM in find_story(name).needs and not name.startswith("pki-")
]


class OtherSuite(AesSuite):
    """A suite that derives other keys: no MAC, cryptogram or signature is the same."""

    name = "other"

    def diversify(self, master: bytes, diversifier: bytes) -> bytes:
        return AesSuite.diversify(self, master, b"other" + diversifier[-3:])


def foreign(story: Story, *, card_suite: AesSuite, sam_suite: AesSuite) -> dict[Role, Card]:
    needs = story.needs[Role.CARD]
    changes = {"purse": {"balance": 5000}} if getattr(needs, "purse", None) else {}
    card = card_of(load_preset(getattr(needs, "preset", "bench"), **changes), suite=card_suite)
    return {Role.CARD: card, Role.SAM: sam(sam_suite)}


def sam(suite: AesSuite) -> Card:
    return new_sam(entropy=Entropy(b"SAM"), clock=Clock(), suite=suite)


def played(name: str, handless: type[HandlessBackend], cards: dict[Role, Card]) -> StoryResult:
    story = find_story(name)
    with runner.world_for(story, handless(cards)) as world:
        return runner.run(story, world, seed=1, allow_write=SERIAL)


def test_there_are_stories_with_a_sam() -> None:
    assert len(WITH_SAM) >= 13


@pytest.mark.parametrize("name", WITH_SAM)
@pytest.mark.parametrize("side", ["card", "SAM"])
def test_a_real_card_with_our_sam_or_the_reverse_ends_in_one_sentence(
    name: str, side: str, handless: type[HandlessBackend]
) -> None:
    ours, other = AesSuite(), OtherSuite()
    suites = (other, ours) if side == "card" else (ours, other)
    cards = foreign(find_story(name), card_suite=suites[0], sam_suite=suites[1])
    result = played(name, handless, cards)
    assert isinstance(result.error, NoCommonSuite)
    assert str(result.error).startswith(
        "card and SAM refuse each other's cryptography: Calypso's symmetric algorithms are not public"
    )
    assert "\n" not in str(result.error)
    assert isinstance(result.error.__cause__, CardbenchError)


@pytest.mark.parametrize("name", WITH_SAM)
def test_the_same_suite_on_both_sides_works_whatever_it_is(
    name: str, handless: type[HandlessBackend]
) -> None:
    suite = OtherSuite()
    result = played(name, handless, foreign(find_story(name), card_suite=suite, sam_suite=suite))
    assert result.error is None


def test_nothing_was_written(handless: type[HandlessBackend]) -> None:
    card = new_card(suite=OtherSuite())
    content = {key: value for key, value in card.memory.objects().items() if key[0] == "file"}
    played("validation", handless, {Role.CARD: card, Role.SAM: sam(AesSuite())})
    assert content == {
        key: value for key, value in card.memory.objects().items() if key[0] == "file"
    }


class ForeignCardNeeds:
    """Needs a card with the other suite; what a bench of its own may plug in."""

    is_contactless = True

    def personalise(self, *, entropy: Entropy, clock: Clock) -> Card:
        return new_card(entropy=entropy, clock=clock, suite=OtherSuite())


def test_on_cards_of_the_bench_a_wrong_mac_is_a_wrong_mac() -> None:
    story = find_story("validation")
    needs = {Role.CARD: ForeignCardNeeds(), Role.SAM: story.needs[Role.SAM]}
    story = replace(story, needs=needs)
    with runner.world_for(story, open_backend("in-process")) as world:
        result = runner.run(story, world, seed=1)
    assert type(result.error) is WrongCryptogram


def test_another_pin_than_the_storys_is_told_too(handless: type[HandlessBackend]) -> None:
    """The card cannot tell a wrong PIN from one that was ciphered by another algorithm."""
    cards = foreign(find_story("plain-pin"), card_suite=AesSuite(), sam_suite=AesSuite())
    change_pin(cards[Role.CARD])
    result = played("ciphered-pin-inside", handless, cards)
    assert isinstance(result.error, NoCommonSuite)
    assert isinstance(result.error.__cause__, InvalidPin)


def test_a_pin_that_was_refused_in_clear_has_nothing_to_do_with_it(
    handless: type[HandlessBackend],
) -> None:
    card = new_card()
    change_pin(card)
    result = played("plain-pin", handless, {Role.CARD: card})
    assert type(result.error) is InvalidPin


def change_pin(card: Card) -> None:
    card.power_on()
    for command in ("002000000430303030", "00D800FF0439393939"):
        assert card.transmit(bytes.fromhex(command)) == b"\x90\x00"
    card.power_off()
