"""The floor of coverage that each room has."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import room_floors

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """
[tool.coverage.run]
branch = true
source = ["protocol", "terminal"]
"""


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A repository of two rooms: one run whole, one by half."""
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    for room in ("protocol", "terminal"):
        (tmp_path / room).mkdir()
    (tmp_path / "protocol" / "whole.py").write_text("def f():\n    return 1\nf()\n")
    (tmp_path / "terminal" / "half.py").write_text("def f():\n    x = 1\n    return x\n")
    (tmp_path / "start.py").write_text("import protocol.whole, terminal.half\n")
    subprocess.run([sys.executable, "-m", "coverage", "run", "start.py"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.slow
def test_each_room_is_measured_by_itself(measured: Path) -> None:
    percent = room_floors.measure(measured)
    assert percent["protocol"] == 100
    assert percent["terminal"] < 50
    assert percent.keys() == {"protocol", "terminal"}


def test_a_room_under_the_floor_is_named() -> None:
    (sentence,) = room_floors.below({"protocol": 95.0, "terminal": 94.99, "scenarios": 90.0})
    assert sentence.startswith("room terminal: 94.99 %")


@pytest.mark.slow
def test_a_green_run_under_the_floor_fails_and_its_summary_still_comes_last(
    measured: Path,
) -> None:
    (measured / "test_one.py").write_text("import protocol.whole\ndef test_one(): pass\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--cov", "-p", "room_floors", "-p", "no:cacheprovider"],
        cwd=measured,
        env={"PYTHONPATH": f"{measured}:{room_floors.__file__.rsplit('/', 1)[0]}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    assert "room terminal: 0.00 %" in run.stdout
    assert "1 passed" in run.stdout.splitlines()[-1]
