"""Each tutorial is followed as a newcomer would: its files written, its commands run, its output compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.pages import blocks_of, follow, is_as_written

if TYPE_CHECKING:
    from pathlib import Path

TUTORIALS = ("tutorial-gate.md",)


@pytest.mark.slow
@pytest.mark.parametrize("name", TUTORIALS)
def test_a_tutorial_does_what_it_says(name: str, repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs" / name).read_text("utf-8")
    assert follow(page, tmp_path, lambda command: not command.startswith("cardbench pcsc"))


def test_every_tutorial_is_followed(repository: Path) -> None:
    assert {path.name for path in (repository / "docs").glob("tutorial-*.md")} == set(TUTORIALS)


def test_a_command_that_prints_something_else_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="echo one"):
        follow("```console\n$ echo one\ntwo\n```\n", tmp_path)


def test_a_command_that_fails_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="false"):
        follow("```console\n$ false\n```\n", tmp_path)


def test_files_and_commands_are_told_apart() -> None:
    file, session = blocks_of("```python\n# a.py\nx = 1\n```\n\n```console\n$ a\nb\n$ c\n```\n")
    assert file.file_name == "a.py"
    assert session.commands() == [("a", "b\n"), ("c", "")]


def test_output_is_compared_line_by_line_with_room_for_anything() -> None:
    assert is_as_written("a 1.5 ms \nb\n", "a … ms\nb\n")
    assert not is_as_written("a 1.5 ms\nc\n", "a … ms\nb\n")
