"""Stories on every way to bring a card to a terminal: the same seed, the same bytes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pcsc_machine import Pcscd
    from tests.pcsc.conftest import User

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]

STORIES = ("validation", "sale")
COUNTS = {"validation": (7, 3), "sale": (3, 3)}


def play(user: User, *arguments: str) -> dict[str, Any]:
    """Run a story in a process of its own; return what it told."""
    done = user.run(
        user.python, "-m", "cardbench", "run", *arguments,
        "--seed", "42", "--json", "--trace", "--show-secrets",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["ok"]
    assert told["trace"]
    assert (told["card_exchanges"], told["sam_exchanges"]) == COUNTS[told["story"]]
    return told


@pytest.fixture(scope="module", params=STORIES)
def story(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def in_process(story: str, myself: User) -> list[dict[str, str]]:
    """The trace without any PC/SC."""
    trace: list[dict[str, str]] = play(myself, story)["trace"]
    return trace


@pytest.mark.parametrize("strictly", [(), ("--strict-t0",)])
def test_the_rootless_backend_carries_the_same_bytes_for_a_user_without_rights(
    story: str,
    strictly: tuple[str, ...],
    in_process: list[dict[str, str]],
    ordinary: User,
    need: Callable[..., None],
) -> None:
    need("pyscard")
    told = play(ordinary, story, "--backend", "rootless", *strictly)
    assert told["trace"] == in_process
    assert [path.name for path in ordinary.folder.iterdir() if path.name.startswith("card")] == []


@pytest.mark.xdist_group("pcscd")
@pytest.mark.parametrize("strictly", [(), ("--strict-t0",)])
def test_the_vpcd_backend_carries_the_same_bytes(
    story: str,
    strictly: tuple[str, ...],
    in_process: list[dict[str, str]],
    myself: User,
    pcscd: Pcscd,
) -> None:
    del pcscd
    told = play(myself, story, "--backend", "vpcd", *strictly)
    assert told["trace"] == in_process


def test_strict_t0_in_process_carries_the_same_bytes(
    story: str, in_process: list[dict[str, str]], myself: User
) -> None:
    assert play(myself, story, "--strict-t0")["trace"] == in_process


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
    assert (told["card_exchanges"], told["sam_exchanges"]) == COUNTS[story]


@pytest.mark.xdist_group("pcscd")
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
