"""What the README says, done: its commands run in a fresh copy of the checkout, its output is compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.package, pytest.mark.slow, pytest.mark.xdist_group("readme")]

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
ANYTHING = "…"
MADE = shutil.ignore_patterns(
    ".venv*", ".git", ".*_cache", "__pycache__", ".hypothesis", "build", "dist"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which nothing was set up."""
    copy = tmp_path_factory.mktemp("fresh") / "cardbench"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=MADE)
    return copy


def run(command: str, checkout: Path) -> str:
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MAKE", "VIRTUAL"))
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=checkout,
        env=environment | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def sessions(block: str) -> list[tuple[str, str]]:
    """Split a console block into commands and what each is said to print."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def is_as_written(printed: str, written: str) -> bool:
    """Whether the output is the one of the README; `…` there stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in written.strip().split(ANYTHING))
    printed = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


def test_every_block_of_the_readme_does_what_it_says(checkout: Path) -> None:
    blocks = BLOCK.findall(README)
    assert [language for language, _ in blocks][:1] == ["sh"]
    for language, text in blocks:
        if language == "sh":
            run(text, checkout)
        elif language == "console":
            for command, written in sessions(text):
                printed = run(command, checkout)
                assert is_as_written(printed, written), f"$ {command}\n{printed}"
        else:
            raise AssertionError(f"a block of {language} that no test reads")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md"])
def test_links_lead_somewhere(page: str) -> None:
    for path in ROOT.glob(page):
        for target in LINK.findall(path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_output_is_compared_line_by_line_with_room_for_anything() -> None:
    assert is_as_written("a 1.5 ms \nb\n", "a … ms\nb\n")
    assert not is_as_written("a 1.5 ms\nc\n", "a … ms\nb\n")
