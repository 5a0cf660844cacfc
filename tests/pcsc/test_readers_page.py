"""The page about readers: its commands run, its sentences are the ones that are said."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest
from support.pages import blocks_of, follow, is_as_written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pcsc_machine import Pcscd
    from tests.pcsc.conftest import User

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "readers.md").read_text("utf-8")


def output_of_up(user: User, *arguments: str) -> str:
    """What `cardbench up` says until it says no more and stays."""
    up = user.start(
        user.python, "-m", "cardbench", "up", *arguments, COLUMNS="120", PYTHONUNBUFFERED="1"
    )
    assert up.stdout is not None
    said = ""
    for line in up.stdout:
        said += line
        if line.strip().startswith("opensc-tool"):
            break
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=20)
    assert up.returncode == 130
    return said


def test_every_command_does_what_the_page_says(
    page: str, tmp_path: Path, need: Callable[..., None]
) -> None:
    need("pyscard", "pcsc_scan", "opensc-tool", "java", "javac")
    assert follow(page, tmp_path) == 16


def test_a_bench_that_stays_up_says_what_the_page_says(
    page: str, ordinary: User, need: Callable[..., None]
) -> None:
    need("pyscard")
    (shown,) = [block.text for block in blocks_of(page) if block.language == "text"]
    assert is_as_written(output_of_up(ordinary, "--seed", "5"), shown)


def test_the_commands_for_vpcd_run(page: str, myself: User, pcscd: Pcscd) -> None:
    del pcscd
    (text,) = [block.text for block in blocks_of(page) if block.language == "sh"]
    for line in text.splitlines():
        program, command, *arguments = line.split()
        assert program == "cardbench"
        if command == "up":
            assert "Virtual PCD 00 01" in output_of_up(myself, *arguments)
        else:
            done = myself.run(myself.python, "-m", "cardbench", command, *arguments)
            assert done.returncode == 0, done.stderr


def test_what_goes_wrong_is_said_in_these_words(page: str, repository: Path) -> None:
    table = page.partition("| What is said |")[2]
    sentences = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(sentences) == 10
    code = " ".join(
        # a sentence may be broken over string literals and have numbers and names put in
        re.sub(r"\"\n +f?\"", "", path.read_text("utf-8"))
        for room in ("emulator/readers", "terminal/readers", "scenarios")
        for path in (repository / room).rglob("*.py")
    )
    code = re.sub(r"\{len\(found\)\}", "2", code)
    assert [sentence for sentence in sentences if sentence not in code.replace("_", " ")] == [
        "no smartcard"  # made of the name of a return code
    ]
