"""What docs/calypso-card.md shows is true: its commands run, its examples too, and it names all there is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.pages import blocks_of, follow

from cardbench.emulator.calypso.personalisation import preset_names
from cardbench.emulator.calypso.profile import ProfileModel
from cardbench.scenarios.cli.card import card_app

if TYPE_CHECKING:
    from cardbench.protocol.link import Card

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "calypso-card.md").read_text(encoding="utf-8")
REPORT = ROOT / "tests" / "vectors" / "card_analyzer_report.json"


@pytest.mark.slow
def test_every_command_of_the_page_prints_what_it_says(tmp_path: Path) -> None:
    shutil.copy(REPORT, tmp_path / "report.json")
    assert follow(PAGE, tmp_path) == len(re.findall(r"^\$ ", PAGE, re.MULTILINE))


def test_the_examples_in_python_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answers = []
    for block in blocks_of(PAGE):
        if block.language == "python":
            for _ in range(2):
                names: dict[str, Card] = {}
                exec(compile(block.text, "docs/calypso-card.md", "exec"), names)  # noqa: S102
                answers.append(names["card"].transmit(bytes.fromhex("0020000000")).hex())
    assert answers == ["9000", "9000", "63c2", "63c1"]


def test_every_preset_is_named() -> None:
    for preset in preset_names():
        assert f"`{preset}`" in PAGE


def test_every_field_of_a_profile_is_named() -> None:
    for name in ProfileModel.model_fields:
        assert f"`{name}`" in PAGE


def test_every_command_of_the_family_is_shown() -> None:
    for command in card_app.registered_commands:
        assert f"cardbench card {command.name}" in PAGE
