"""Stories with a card and a SAM that live in files: what happens on them stays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cardbench.emulator.storage import CardFile
from cardbench.protocol.errors import StorageError, UsageError
from cardbench.scenarios.card_files import card_in, family_of
from cardbench.scenarios.cli import main
from cardbench.scenarios.plugged import RealClock, find_card

Capture = pytest.CaptureFixture[str]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("originals")
    assert run("card", "new", "story:validation", place / "gate.card", "--seed", 1) == 0
    assert run("sam", "new", "bench", place / "gate.sam", "--seed", 1) == 0
    return place


@pytest.fixture
def place(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a card and a SAM, where commands run."""
    shutil.copytree(originals, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outcome(capsys: Capture, *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    assert run("run", "validation", "--card", "gate.card", "--json", *arguments) == 0
    found = json.loads(capsys.readouterr().out)["outcome"]
    assert isinstance(found, dict)
    return found


@pytest.mark.usefixtures("place")
def test_a_card_in_a_file_loses_a_trip_at_each_passage(capsys: Capture) -> None:
    first = outcome(capsys, "--sam", "gate.sam", "--at", "2026-01-05T08:00")
    second = outcome(capsys, "--sam", "gate.sam", "--at", "2026-01-05T09:00")
    assert (first["gate"], first["trips_left"]) == ("open", 9)
    assert (second["gate"], second["trips_left"]) == ("open", 8)


@pytest.mark.usefixtures("place")
def test_a_card_in_a_file_remembers_the_last_passage(capsys: Capture) -> None:
    assert outcome(capsys)["trips_left"] == 9
    again = outcome(capsys, "--at", "2026-01-05T08:01")
    assert again["trips_left"] is None or again["trips_left"] == 9
    assert run("card", "show", "gate.card") == 0
    assert "1: 9; the other 8 at 0" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_many_runs_use_the_card_up(capsys: Capture) -> None:
    assert run("card", "set", "gate.card", "--counter", "19:1=1") == 0
    assert outcome(capsys, "--repeat", 3)["gate"] == "closed"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["validation", "--card", "gate.sam"], "family 'sam', no Calypso card"),
        (["validation", "--sam", "gate.card"], "family 'calypso', no SAM"),
        (["validation", "--card", "none.card"], "no such card file"),
        (["identify", "--sam", "gate.sam"], "the story identify needs no SAM"),
        (["identify", "--card", "gate.card", "--backend", "readers"], "plugs no card in"),
        (["stored-value-outside", "--card", "basic.card"], "the card has no"),
    ],
)
def test_a_card_that_does_not_fit_is_named(
    place: Path, arguments: list[str], words: str, capsys: Capture
) -> None:
    if "basic.card" in arguments:
        run("card", "new", "basic", place / "basic.card")
    capsys.readouterr()
    assert run("run", *arguments) == 1
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1


def test_a_card_file_is_a_card_to_plug_in(place: Path) -> None:
    card, sam = find_card("gate.card"), find_card(str(place / "gate.sam"))
    assert (card.kind.name, card.preset, card.path) == ("card", "gate.card", Path("gate.card"))
    assert sam.kind.name == "sam"
    assert find_card("bench").path is None


def test_a_preset_comes_before_a_file_of_its_name(place: Path) -> None:
    shutil.copy(place / "gate.sam", place / "bench")
    assert find_card("bench").path is None
    assert find_card("./bench").kind.name == "sam"


def test_what_is_neither_preset_nor_card_file_is_refused(place: Path) -> None:
    with pytest.raises(UsageError, match="no preset and no card file 'nope'; presets are: card:"):
        find_card("nope")
    (place / "text").write_text("no card", encoding="utf-8")
    with pytest.raises(StorageError, match="no card file, or a damaged one"):
        find_card("text")


def test_a_card_of_another_family_is_named(place: Path) -> None:
    with CardFile.open(place / "gate.card") as file:
        snapshot = card_in(file).snapshot()
    with (
        CardFile.create(place / "odd.card", snapshot, labels={"family": "odd"}) as file,
        pytest.raises(UsageError, match="of family 'odd'; usable are: Calypso card, SAM"),
    ):
        card_in(file)
    with pytest.raises(UsageError, match="of family 'odd'"):
        family_of(place / "odd.card")


def test_a_suite_that_is_not_installed_is_named(place: Path) -> None:
    with CardFile.open(place / "gate.card") as file:
        snapshot = card_in(file).snapshot()
    labels = {"family": "calypso", "suite": "licensed"}
    with (
        CardFile.create(place / "odd.card", snapshot, labels=labels) as file,
        pytest.raises(UsageError, match="no symmetric suite 'licensed'"),
    ):
        card_in(file)


def test_the_time_of_a_plugged_card_goes_on_from_the_files(place: Path) -> None:
    with CardFile.open(place / "gate.card") as file:
        card = card_in(file, RealClock(1000.0))
        assert 1000 <= card.clock.now_s < 2000
    with CardFile.open(place / "gate.card") as file:
        assert 1000 <= file.clock.now_s < 2000


@pytest.mark.usefixtures("place")
def test_a_failure_on_a_card_that_lives_on_names_no_seed_to_play_it_again(capsys: Capture) -> None:
    assert run("card", "new", "story:plain-pin", "pin.card") == 0
    assert run("card", "set", "pin.card", "--pin-tries", 0) == 0
    assert run("run", "plain-pin", "--card", "pin.card") == 1
    assert "to play it again" not in capsys.readouterr().out
