"""Readers of another distribution: installed, found by entry point, used by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.package, pytest.mark.slow]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
READERS = ("--backend", "readers", "--card-reader", "acme:top", "--sam-reader", "acme:bottom")


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with the plug-in's distribution installed, and without any PC/SC service."""
    place = tmp_path_factory.mktemp("plugin")
    done = run(
        "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", place,
        HERE / "reader_plugin",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {
        "PYTHONPATH": f"{place}{os.pathsep}{ROOT / 'src'}",
        "PCSCLITE_CSOCK_NAME": str(place / "nobody.listens"),
    }


def test_a_plugin_of_a_second_distribution_runs_the_validation(environment: dict[str, str]) -> None:
    done = run("cardbench", "run", "validation", *READERS, "--json", **environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["backend"] == "readers"
    assert (told["card_exchanges"], told["sam_exchanges"]) == (7, 3)
    assert told["outcome"]["gate"] == "open"


def test_its_readers_are_listed_beside_those_of_pcsc(environment: dict[str, str]) -> None:
    done = run("cardbench", "readers", "--json", **environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == {"readers": [], "plugin_readers": ["acme:top", "acme:bottom"]}
    shown = run("cardbench", "readers", **environment).stdout
    assert "acme:top" in shown
    assert "PC/SC" in shown


def test_its_card_is_somebodys_too(environment: dict[str, str]) -> None:
    refused = run("cardbench", "run", "plain-pin", *READERS, **environment)
    assert refused.returncode == 1
    assert "the card in 'top' is 0000000011223344" in refused.stderr
    allowed = run(
        "cardbench",
        "run",
        "plain-pin",
        *READERS,
        "--allow-write",
        "0000000011223344",
        **environment,
    )
    assert allowed.returncode == 0, allowed.stderr


@pytest.mark.parametrize(
    ("card_reader", "sentence"),
    [
        ("acme:", "acme: name one of its readers; there are: top, bottom"),
        ("acme:left", "acme: no reader 'left'"),
        ("acme:bottom", "--card-reader and --sam-reader both mean 'acme:bottom'"),
    ],
)
def test_a_wrong_address_is_one_sentence(
    card_reader: str, sentence: str, environment: dict[str, str]
) -> None:
    arguments = [card_reader if each == "acme:top" else each for each in READERS]
    done = run("cardbench", "run", "validation", *arguments, **environment)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
