"""Pages of the documentation, done: their files are written, their commands run, their output compared.

A block whose first line names a file in a comment (`# gate.py`, `// Gate.java`) is that file. In a block of
`console` a line that begins with `$ ` is a command; what follows is what it prints, where `…` stands for
anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

ANYTHING = "…"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"(?:#|//) ([\w-]+\.\w+)\n")


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        language: what stands behind the fence.
        text: its lines.
    """

    language: str
    text: str

    @property
    def file_name(self) -> str | None:
        """The file that the block is."""
        found = _FILE_NAME.match(self.text)
        return found[1] if found else None

    def commands(self) -> list[tuple[str, str]]:
        """The commands of a console block, and what each is said to print."""
        parts = re.split(r"^\$ (.*)\n", self.text, flags=re.MULTILINE)[1:]
        return list(zip(parts[::2], parts[1::2], strict=True))


def blocks_of(page: str) -> list[Block]:
    """Return the fenced blocks of a page, in their order."""
    return [Block(*found) for found in _BLOCK.findall(page)]


def texts_of(page: str, language: str) -> list[str]:
    """Return what the blocks of one language hold."""
    return [block.text for block in blocks_of(page) if block.language == language]


def is_as_written(printed: str, written: str) -> bool:
    """Whether an output is the one that a page shows; `…` there stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in written.strip().split(ANYTHING))
    printed = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


def follow(page: str, folder: Path, wanted: Callable[[str], bool] = bool) -> int:
    """Do what a page says, in an empty folder, with this environment's programs.

    Args:
        page: the page's text.
        folder: where the page's files go and its commands run.
        wanted: which commands to run.

    Returns:
        How many commands were run.

    Raises:
        AssertionError: a command failed, or printed something else than the page says.
    """
    run = 0
    for block in blocks_of(page):
        if block.file_name:
            (folder / block.file_name).write_text(block.text, encoding="utf-8")
        for command, written in block.commands() if block.language == "console" else ():
            if not wanted(command):
                continue
            printed = _run(command, folder)
            assert is_as_written(printed, written), f"$ {command}\n{printed}"
            run += 1
    return run


def _run(command: str, folder: Path) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=kept | {"PATH": f"{programs}:{kept['PATH']}", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
