"""A PKI session with a card on PC/SC, SAM reader absent: our terminal, and one that knows nothing of us."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pcsc_machine import Pcscd
    from tests.pcsc.conftest import User

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]

TESTS = Path(__file__).resolve().parents[1]
OWN = tomllib.loads((TESTS / "vectors" / "calypso-pki.toml").read_text())["own"]
ROOT_MODULUS = OWN["pca_modulus"].replace("\n", "")


@pytest.mark.parametrize("preset", ["card:pki", "card:pki-hce"])
def test_terminal_that_knows_nothing_of_us_authenticates_the_card(
    ordinary: User, need: Callable[..., None], preset: str
) -> None:
    need("pyscard")
    shutil.copy(TESTS / "independent" / "second_pki.py", ordinary.folder)
    (ordinary.folder / "second_pki.py").chmod(0o644)
    done = ordinary.run(
        ordinary.python, "-m", "cardbench", "pcsc", "--plug", preset, "--",
        ordinary.python, ordinary.programs / "pki_terminal.py", ordinary.folder, ROOT_MODULUS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["aid"] == "A000000291FF9101"
    assert told["serial"][:4] == "0000"
    assert told["project_modules"] == []


def test_our_terminal_authenticates_the_card(ordinary: User, need: Callable[..., None]) -> None:
    need("pyscard")
    _session_over("rootless", ordinary)


def test_our_terminal_authenticates_the_card_over_pcscd(
    pcscd: Pcscd, myself: User, need: Callable[..., None]
) -> None:
    del pcscd  # it runs; nothing else is asked of it
    need("pyscard")
    _session_over("vpcd", myself)


def _session_over(backend: str, user: User) -> None:
    done = user.run(
        user.python, "-m", "cardbench", "run", "pki-session", "--backend", backend, "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert told["outcome"]["authentic"] is True
    assert told["sam_apdus"] == 0
    assert told["card_exchanges"] == 4
