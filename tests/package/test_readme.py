"""What the README says, done: its commands run in a fresh copy of the checkout, its output is compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.pages import blocks_of, is_as_written

pytestmark = [pytest.mark.package, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
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


def test_every_block_of_the_readme_does_what_it_says(checkout: Path) -> None:
    blocks = blocks_of(README)
    assert blocks[0].language == "sh"
    for block in blocks:
        if block.language == "sh":
            run(block.text, checkout)
        elif block.language == "console":
            for command, written in block.commands():
                printed = run(command, checkout)
                assert is_as_written(printed, written), f"$ {command}\n{printed}"
        else:
            raise AssertionError(f"a block of {block.language} that no test reads")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md"])
def test_links_lead_somewhere(page: str) -> None:
    for path in ROOT.glob(page):
        for target in LINK.findall(path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
