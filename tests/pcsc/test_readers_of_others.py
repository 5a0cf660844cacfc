"""Cards that the bench did not plug in, through PC/SC: none is changed unasked, and no reason is hidden."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

    from tests.pcsc.conftest import User

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]

READERS = ("--backend", "readers", "--card-reader", "Plastic card", "--sam-reader", "Plastic SAM")
SERIAL = "0000000011223344"


@pytest.fixture(scope="module", params=["card", "SAM"])
def foreign(
    request: pytest.FixtureRequest, ordinary: User, need: Callable[..., None]
) -> Iterator[dict[str, str]]:
    """The environment of readers whose card, or SAM, has another symmetric suite."""
    need("pyscard")
    folder = ordinary.folder / f"foreign-{request.param}"
    service = ordinary.start(
        ordinary.python, ordinary.programs / "foreign.py", folder, request.param
    )
    assert service.stdout is not None
    yield json.loads(service.stdout.readline())
    service.communicate(timeout=20)


def run(user: User, environment: dict[str, str], *arguments: str) -> CompletedProcess[str]:
    return user.run(user.python, "-m", "cardbench", *arguments, **environment)


@pytest.mark.parametrize("story", ["validation", "data-signing-outside"])
def test_a_card_and_a_sam_of_different_makes_end_in_one_sentence(
    story: str, foreign: dict[str, str], ordinary: User
) -> None:
    done = run(ordinary, foreign, "run", story, *READERS)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert "Calypso's symmetric algorithms are not public" in sentence


def test_what_needs_no_sam_plays_all_the_same(foreign: dict[str, str], ordinary: User) -> None:
    told = json.loads(run(ordinary, foreign, "run", "identify", *READERS[:4], "--json").stdout)
    assert told["outcome"]["serial"] == SERIAL


def test_keys_are_not_touched_without_permission(foreign: dict[str, str], ordinary: User) -> None:
    done = run(ordinary, foreign, "run", "key-and-pin-update", *READERS, "--json")
    told = json.loads(done.stdout)
    assert told["error"]["kind"] == "WriteNotAllowed"
    assert f"--allow-write {SERIAL}" in told["error"]["message"]
    assert told["card_apdus"] == 0


def test_a_card_is_pulled_out_of_the_rootless_service(
    ordinary: User, need: Callable[..., None]
) -> None:
    need("pyscard")
    done = run(ordinary, {}, "pull", "validation", "--backend", "rootless", "--seed", "5", "--json")
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert told["faults"] == []
    assert (told["backend"], told["pulls"]) == ("rootless", 32)
    assert (told["recovered"], told["refused"]) == (2, 3)


def test_readers_that_see_a_pull_by_polling_are_refused(ordinary: User) -> None:
    done = run(ordinary, {}, "pull", "plain-pin", "--backend", "vpcd")
    assert done.returncode == 1
    assert "vpcd" in done.stderr
    assert "rootless" in done.stderr
