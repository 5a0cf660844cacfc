"""What must hold of every file that is handed on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
MADE = re.compile(
    r"\.git|\.venv.*|build|dist|htmlcov|\.hypothesis|__pycache__|\..*_cache|.*\.egg-info"
)
HOMES = re.compile(r"(?<![\w.])/(?:home|root|Users|work|workspace|builds)/[A-Za-z.]")
INDEX = re.compile(r"index[-]url|find[-]links|pypi\.(?:org|python)|/simple\b", re.IGNORECASE)


def handed_on() -> Iterator[Path]:
    """Yield every text file of the repository but what tools made in it."""
    folders = [ROOT]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if MADE.fullmatch(path.name) or path.is_symlink():
                continue
            if path.is_dir():
                folders.append(path)
            elif b"\0" not in path.read_bytes():
                yield path


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in handed_on()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert lines_with(HOMES) == []


def test_no_file_names_a_package_index() -> None:
    assert lines_with(INDEX) == []


def test_the_patterns_find_what_they_are_for() -> None:
    assert HOMES.search("see /home/someone/notes")
    assert HOMES.search('"/root/.cache"')
    assert not HOMES.search("https://example.org/home/page")
    assert INDEX.search("pip install --extra-index" + "-url x")
    assert len(list(handed_on())) > 50


@pytest.mark.parametrize("room", ["emulator", "protocol", "terminal", "sam_emulator", "scenarios"])
def test_a_bare_import_of_a_room_is_a_lint_error(room: str, tmp_path: Path) -> None:
    offender = tmp_path / "offender.py"
    offender.write_text(f"import {room}\n\nprint({room})\n")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise"]
    run = subprocess.run(
        [*command, "--config", str(ROOT / "pyproject.toml"), str(offender)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert f"TID251 `{room}` is banned: import cardbench.{room}" in run.stdout


def test_each_room_is_linked_into_the_import_package() -> None:
    linked = {path.name for path in (ROOT / "src" / "cardbench").iterdir() if path.is_symlink()}
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert linked == rooms
