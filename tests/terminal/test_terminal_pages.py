"""Every example on the pages of the terminal stack runs, and prints what the page says."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from support.pages import blocks_of

from cardbench.terminal.readers.plugins import ENTRY_POINT_GROUP

if TYPE_CHECKING:
    from pathlib import Path

PAGES = (
    "terminal.md",
    "terminal-readers.md",
    "terminal-calypso.md",
    "terminal-legacy-sam.md",
    "terminal-crypto.md",
)


@pytest.mark.parametrize("name", PAGES)
def test_the_examples_of_a_page_run_one_after_the_other(name: str, repository: Path) -> None:
    page = (repository / "docs" / name).read_text("utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    count = 0
    for language, text in blocks_of(page):
        if language == "python":
            assert not printed, f"the page does not show: {printed}"
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, f"docs/{name}", "exec"), names)  # noqa: S102 - our own page
            printed = out.getvalue()
            count += 1
        elif language == "text":
            assert printed == text
            printed = ""
    assert not printed
    assert count >= 3


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_names_is_there(name: str, repository: Path) -> None:
    page = (repository / "docs" / name).read_text("utf-8")
    for dotted in set(re.findall(r"`(cardbench(?:\.\w+)+)`", page)) - {ENTRY_POINT_GROUP}:
        module, _, attribute = dotted.rpartition(".")
        try:
            importlib.import_module(dotted)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute)
    for link in re.findall(r"\]\((?!http)([^)#]+)", page):
        assert (repository / "docs" / link).exists()
    assert name in (repository / "docs" / "index.md").read_text("utf-8")
