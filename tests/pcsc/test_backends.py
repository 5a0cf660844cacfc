"""Every story on every way to bring a card to a terminal: the same bytes, and the published counts."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from support.published_counts import PUBLISHED_COUNTS

from cardbench.scenarios.stories import STORIES, find_story
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from pcsc_machine import Pcscd
    from tests.pcsc.conftest import User

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]

WITH_SAM = tuple(name for name in STORIES if Role.SAM in find_story(name).needs)
STRICTLY = ("validation", "sale", "stored-value-inside", "encrypted-session", "pki-personalise")
"""Stories whose SAM also carries T=0 alone; between them they use every kind of SAM command."""


def joined(trace: list[dict[str, str]]) -> list[dict[str, str]]:
    """Put announced data (61xx) behind their first part: over T=0 the reader fetches them by itself."""
    whole: list[dict[str, str]] = []
    for apdu in trace:
        if whole and apdu["name"] == "Get Response" and whole[-1]["response"][-4:-2] == "61":
            whole[-1]["response"] = whole[-1]["response"][:-4] + apdu["response"]
        else:
            whole.append(dict(apdu))
    return whole


def play(user: User, *arguments: str) -> dict[str, Any]:
    """Run a story in a process of its own; return what it told, announced data joined."""
    done = user.run(
        user.python, "-m", "cardbench", "run", *arguments,
        "--seed", "42", "--json", "--trace", "--show-secrets",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["ok"]
    assert told["trace"]
    told["trace"] = joined(told["trace"])
    counts = PUBLISHED_COUNTS.get(told["story"])
    assert counts in (None, (told["card_exchanges"], told["sam_exchanges"]))
    return told


@pytest.fixture(scope="module")
def in_process(myself: User) -> Callable[[str], list[dict[str, str]]]:
    """The trace of a story without any PC/SC."""
    traces: dict[str, list[dict[str, str]]] = {}

    def trace_of(story: str) -> list[dict[str, str]]:
        if story not in traces:
            traces[story] = play(myself, story)["trace"]
        return traces[story]

    return trace_of


def test_every_published_sequence_is_among_the_stories() -> None:
    assert set(PUBLISHED_COUNTS) <= set(STORIES)


@pytest.mark.parametrize("story", STORIES)
def test_the_rootless_backend_carries_the_same_bytes_for_a_user_without_rights(
    story: str,
    in_process: Callable[[str], list[dict[str, str]]],
    ordinary: User,
    need: Callable[..., None],
) -> None:
    need("pyscard")
    told = play(ordinary, story, "--backend", "rootless")
    assert told["trace"] == in_process(story)
    assert [path.name for path in ordinary.folder.iterdir() if path.name.startswith("card")] == []


@pytest.mark.parametrize("story", STRICTLY)
def test_strict_t0_on_the_rootless_backend_carries_the_same_bytes(
    story: str,
    in_process: Callable[[str], list[dict[str, str]]],
    ordinary: User,
    need: Callable[..., None],
) -> None:
    need("pyscard")
    told = play(ordinary, story, "--backend", "rootless", "--strict-t0")
    assert told["trace"] == in_process(story)


@pytest.mark.parametrize("story", STORIES)
def test_the_vpcd_backend_carries_the_same_bytes(
    story: str,
    in_process: Callable[[str], list[dict[str, str]]],
    myself: User,
    pcscd: Pcscd,
) -> None:
    del pcscd
    assert play(myself, story, "--backend", "vpcd")["trace"] == in_process(story)


@pytest.mark.parametrize("story", STRICTLY[:2])
def test_strict_t0_on_the_vpcd_backend_carries_the_same_bytes(
    story: str,
    in_process: Callable[[str], list[dict[str, str]]],
    myself: User,
    pcscd: Pcscd,
) -> None:
    del pcscd
    told = play(myself, story, "--backend", "vpcd", "--strict-t0")
    assert told["trace"] == in_process(story)


@pytest.mark.parametrize("story", WITH_SAM)
def test_strict_t0_in_process_carries_the_same_bytes(
    story: str, in_process: Callable[[str], list[dict[str, str]]], myself: User
) -> None:
    assert play(myself, story, "--strict-t0")["trace"] == in_process(story)


@pytest.mark.parametrize("story", ["validation", "sale"])
def test_the_readers_backend_plays_on_cards_that_somebody_else_plugged_in(
    story: str, ordinary: User, need: Callable[..., None]
) -> None:
    need("pyscard")
    command = [
        ordinary.python, "-m", "cardbench", "run", story, "--backend", "readers",
        "--card-reader", "cardbench card", "--sam-reader", "^cardbench SAM", "--json", "--seed", "1",
    ]  # fmt: skip
    done = ordinary.run(ordinary.python, "-m", "cardbench", "pcsc", "--", *command)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["backend"] == "readers"
    assert (told["card_exchanges"], told["sam_exchanges"]) == PUBLISHED_COUNTS[story]


def test_many_runs_over_vpcd_each_with_fresh_cards(myself: User, pcscd: Pcscd) -> None:
    del pcscd
    done = myself.run(
        myself.python, "-m", "cardbench", "run", "validation", "--backend", "vpcd",
        "--seed", "1", "--repeat", "3", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"] == 3


def test_a_user_without_rights_is_one(ordinary: User) -> None:
    done = ordinary.run(ordinary.python, "-c", "import os; print(os.geteuid())")
    assert os.geteuid() != 0 or done.stdout == "65534\n"
