"""A card in a file, whose process is killed by SIGKILL in the middle of secure sessions.

Source: calypso-card §5.1 (all or nothing), §5.7 (transaction counter), §7 (PIN tries).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import session_killer
from support.session_killer import Expected, Found, judge

from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Entropy
from cardbench.emulator.storage import CardFile

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLS = 1000
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of one's own is made in it
"""A file system in memory: kills want no disk, and a busy one would make them wait."""


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


def killed(place: Path, kills: int, seed: int) -> dict[str, Any]:
    """Let the killer do its work; return what came of it."""
    path = place / "killed.card"
    CardFile.create(path, new_card("bench", entropy=Entropy(b"killed")).snapshot()).close()
    process = subprocess.run(
        [sys.executable, session_killer.__file__, path, str(kills), str(seed)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
def test_a_thousand_kills_in_sessions_leave_the_old_or_the_new_card(place: Path) -> None:
    found = killed(place, KILLS, 1)
    assert found["wrong"] == []
    assert found["within_a_session"] == KILLS
    assert found["within_close"] > 0, "no kill came while Close was carried out"
    assert 0 < found["newer_than_answered"] < found["within_close"], (
        "never the old, or never the new"
    )
    assert found["different_challenges"] == found["lives"], "a reopened card repeated a challenge"


# The judge, who must not let anything pass


BEGIN = Expected(generation=5, transactions=100, tries={2})
WRONG_PIN = "> 002000000431313131"
RIGHT_PIN = "> 002000000430303030"
CLOSE = "> 008e80000411223344"
OPEN = "> 008a010104c1c2c3c4"
FINE = Found({5}, is_whole=True, transactions=100, tries=2, challenge="")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], {}),
        ([OPEN], {}),
        ([OPEN], {"transactions": 99}),
        ([OPEN, "< 9000", CLOSE], {"transactions": 99}),
        ([OPEN, "< 9000", CLOSE], {"transactions": 99, "generations": {6}}),
        ([OPEN, "< 9000", CLOSE, "< 9000"], {"transactions": 99, "generations": {6}}),
        ([CLOSE, "< 6988"], {}),
        ([WRONG_PIN], {}),
        ([WRONG_PIN], {"tries": 1, "transactions": 99}),
        ([WRONG_PIN, "< 63c1"], {"tries": 1, "transactions": 99}),
        ([WRONG_PIN, "< 63c1", WRONG_PIN, "< 6983"], {"tries": 0, "transactions": 98}),
        ([RIGHT_PIN], {"tries": 1, "transactions": 99}),
        ([RIGHT_PIN], {"tries": 3, "transactions": 99}),
        ([RIGHT_PIN, "< 9000"], {"tries": 3, "transactions": 99}),
    ],
)
def test_the_judge_accepts_what_a_kill_may_leave(lines: list[str], found: dict[str, Any]) -> None:
    assert judged(lines, found) == []


@pytest.mark.parametrize(
    ("lines", "found", "words"),
    [
        ([], {"generations": {5, 6}}, "a mixture"),
        ([], {"is_whole": False}, "a mixture"),
        ([], {"generations": {6}}, "generation {6}, not in {5}"),
        ([CLOSE], {"generations": {4}}, "generation {4}"),
        ([CLOSE, "< 9000"], {}, "generation {5}, not in {6}"),
        ([], {"transactions": 99}, "transaction counter 99"),
        ([OPEN, "< 9000"], {"transactions": 100}, "transaction counter 100"),
        ([OPEN], {"transactions": 101}, "transaction counter 101"),
        ([WRONG_PIN], {"tries": 3}, "3 PIN tries"),
        ([WRONG_PIN, "< 63c1"], {"tries": 2, "transactions": 99}, "2 PIN tries"),
        ([RIGHT_PIN, "< 9000"], {"tries": 2, "transactions": 99}, "2 PIN tries"),
    ],
)
def test_the_judge_finds_what_a_kill_may_not_leave(
    lines: list[str], found: dict[str, Any], words: str
) -> None:
    (wrong,) = judged(lines, found)
    assert words in wrong


def judged(lines: list[str], found: dict[str, Any]) -> list[str]:
    expected = Expected(BEGIN.generation, BEGIN.transactions, set(BEGIN.tries))
    for line in lines:
        expected.tell(line)
    fields = {name: getattr(FINE, name) for name in ("generations", "is_whole", "transactions")}
    return judge(expected, Found(**fields | {"tries": FINE.tries, "challenge": ""} | found))
