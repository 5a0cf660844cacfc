"""Every published Calypso sequence is a story with the published number of exchanges.

sequences, summary of counts; where the reference terminal needs more, ours does not (stored value inside,
multiple sessions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.published_counts import PUBLISHED_COUNTS

from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Entropy
from cardbench.protocol.errors import InvalidSignature
from cardbench.scenarios import runner
from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.stories import find_story
from cardbench.scenarios.ticketing.model import File
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from cardbench.scenarios.stories.story import StoryResult

CONCLUSIONS = {
    "plain-pin": {"pin_changed": True, "attempts": 3},
    "key-and-pin-update": {"key_3": "30/75", "pin_changed": True},
    "data-signing-outside": {"signature_valid": True},
    "data-signing-inside": {"environment_valid": True, "contract_valid": True, "trips_left": 9},
    "stored-value-outside": {"balance": 2000, "operation": 1},
    "stored-value-inside": {"balance": 4820, "operation": 1},
    "ciphered-pin-inside": {"trips_left": 9, "attempts": 3},
    "multiple-sessions": {"events": 3, "contracts": 4, "trips": 10},
    "early-authentication": {"trips_left": 9},
    "encrypted-session": {"trips_left": 9},
    "recovery": {"gate": "open", "reason": "recovered", "contract": 1, "trips_left": None},
}


def play(name: str, seed: int = 1) -> StoryResult:
    story = find_story(name)
    with runner.world_for(story, open_backend("in-process")) as world:
        return runner.run(story, world, seed=seed)


@pytest.mark.parametrize(("name", "counts"), PUBLISHED_COUNTS.items())
def test_a_story_has_the_published_exchanges(name: str, counts: tuple[int, int]) -> None:
    result = play(name)
    assert result.error is None
    traffic = {role: traffic.exchanges for role, traffic in result.traffic.items()}
    assert (traffic[Role.CARD], traffic.get(Role.SAM, 0)) == counts


@pytest.mark.parametrize(("name", "conclusion"), CONCLUSIONS.items())
def test_a_story_comes_to_its_end(name: str, conclusion: dict[str, object]) -> None:
    result = play(name, seed=7)
    assert result.error is None
    assert result.facts == conclusion


def test_the_prefetched_challenge_is_told_apart() -> None:
    assert play("validation-prefetched").facts["exchanges_before"] == {"card": 0, "sam": 1}


@pytest.mark.parametrize(
    ("name", "sfi"),
    [("data-signing-outside", File.ENVIRONMENT), ("data-signing-inside", File.CONTRACTS)],
)
def test_a_signature_that_does_not_verify_fails_its_story(name: str, sfi: File) -> None:
    story = find_story(name)
    with runner.world_for(story, open_backend("in-process")) as world:
        runner.prepare(story, world, seed=1)
        card = new_card(entropy=Entropy(b"card"))
        card.power_on()
        record = bytearray(card.transmit(bytes((0x00, 0xB2, 1, sfi << 3 | 4, 0)))[:-2])
        record[1] ^= 1
        forged = new_card(entropy=Entropy(b"card"), records={(int(sfi), 1): bytes(record)})
        world.plug({Role.CARD: forged})
        stage = runner.Stage(world)
        with pytest.raises(InvalidSignature):
            story.play(stage)
        stage.close()
        forged.power_on()
        events = forged.transmit(bytes((0x00, 0xB2, 1, File.EVENTS << 3 | 4, 0)))
        assert events[:-2] == bytes(29)
