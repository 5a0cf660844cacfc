"""The page docs/javacard.md says what the code says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from support.pages import texts_of

from cardbench.emulator import javacard
from cardbench.emulator.applets import wallet

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "javacard.md").read_text("utf-8")


def bare(source: str) -> str:
    """Return the lines that say something, without indentation: the formatter has its own on a page."""
    lines = (line.strip() for line in source.splitlines())
    return "\n".join(["", *filter(None, lines), ""])


def test_the_wallet_shown_is_the_wallet(page: str, repository: Path) -> None:
    source = bare((repository / "emulator" / "applets" / "wallet.py").read_text("utf-8"))
    shown = [block for block in texts_of(page, "python") if not block.startswith("from ")]
    assert len(shown) == 7
    for block in shown:
        assert bare(block) in source


def test_the_examples_run(page: str) -> None:
    names: dict[str, Any] = {}
    examples = [block for block in texts_of(page, "python") if block.startswith("from ")]
    assert len(examples) == 3
    for block in examples:
        exec(block, names)  # noqa: S102 - the page is ours


def test_every_public_name_is_on_the_page_and_no_other(page: str) -> None:
    listed = page.partition("## Names")[2]
    assert set(re.findall(r"`(\w+)`", listed)) == set(javacard.__all__)
    assert all(hasattr(javacard, name) for name in javacard.__all__)


def test_the_modules_named_are_there(page: str) -> None:
    assert wallet.__name__ == "cardbench.emulator.applets.wallet"
    for name in re.findall(r"`(cardbench\.[\w.]+)`", page):
        __import__(name)
