"""The page about physical readers: its commands, as they stand there, on virtual readers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.pages import follow

from cardbench.emulator.calypso.personalisation import load_preset
from cardbench.scenarios.permission import GUARDED, Change
from cardbench.scenarios.plugged import PluggedBench
from cardbench.scenarios.stories import STORIES, find_story
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]

PAGE = "physical-readers.md"
_BLOCK = re.compile(
    r"^(?:<!-- virtual: ([^\n]*) -->\n)?(```console\n.*?^```$)", re.MULTILINE | re.DOTALL
)


class Session(NamedTuple):
    """A block of commands, and which cards are in the virtual readers for it."""

    presets: tuple[str, ...]
    block: str


def sessions_of(page: str) -> list[Session]:
    return [Session(tuple(cards.split()), block) for cards, block in _BLOCK.findall(page)]


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / PAGE).read_text("utf-8")


def serial_of(bench: PluggedBench) -> str:
    """What `--allow-write` names the card by."""
    card = bench.plugged[0]
    if card.kind.name == "javacard":
        return card.atr.hex().upper()
    return load_preset(card.preset).serial.hex().upper()


def test_every_command_runs_on_virtual_readers(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, need: Callable[..., None]
) -> None:
    need("pyscard")
    run = 0
    for number, session in enumerate(sessions_of(page)):
        with PluggedBench(session.presets, folder=tmp_path / str(number), seed=number) as bench:
            for name, value in bench.environment.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("CARD", bench.plugged[0].reader_name)
            monkeypatch.setenv("SAM", bench.plugged[-1].reader_name)
            monkeypatch.setenv("SERIAL", serial_of(bench))
            run += follow(session.block, tmp_path)
    assert run == page.count("\n$ ")


def test_every_block_says_which_cards_stand_for_yours(page: str) -> None:
    sessions = sessions_of(page)
    assert len(sessions) == page.count("```console")
    assert all(session.presets for session in sessions)


def test_every_story_is_on_the_page(page: str) -> None:
    commands = re.findall(r"^\$ cardbench run ([\w-]+) --backend readers(.*)$", page, re.MULTILINE)
    assert {name for name, _ in commands} == set(STORIES)
    for name, options in commands:
        assert ('--sam-reader "$SAM"' in options) == (Role.SAM in find_story(name).needs), name


def test_the_table_of_changes_is_what_the_stories_declare(page: str) -> None:
    table = page.partition("| Changes |")[2].partition("\n\n")[0]
    listed: dict[str, str] = {}
    for stories, permission in re.findall(r"^\| .* \| (`.*`) \| (.*) \|$", table, re.MULTILINE):
        listed |= dict.fromkeys(re.findall(r"`([\w-]+)`", stories), permission)
    assert set(listed) == set(STORIES)
    for name, permission in listed.items():
        assert (permission == "`--allow-write`") == bool(find_story(name).changes & GUARDED), name
    assert {change for name in STORIES for change in find_story(name).changes} == set(Change) - {
        Change.STATUS
    }


def test_what_is_said_is_said_in_these_words(page: str, repository: Path) -> None:
    table = page.partition("| What is said |")[2].partition("\n\n")[0]
    sentences = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(sentences) == 7
    code = " ".join(
        re.sub(r"\"\n +f?\"", "", path.read_text("utf-8"))
        for room in ("terminal/readers", "scenarios")
        for path in (repository / room).rglob("*.py")
    )
    assert [sentence for sentence in sentences if sentence not in code] == []
