"""A skip is a failure where nothing may be missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import unexpected_skips

PLUGIN = Path(unexpected_skips.__file__)
TESTS = """
import pytest

def test_skips():
    pytest.skip("no reader here")

@pytest.mark.skip(reason="a marked one")
def test_marked():
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_known():
    assert False
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ci", "expected", "outcome"),
    [
        ("", "()", "2 skipped, 1 xfailed"),
        ("true", "()", "1 failed, 1 xfailed, 1 error"),
        ("true", '("no reader",)', "1 skipped, 1 xfailed, 1 error"),
    ],
)
def test_ci_fails_on_a_skip_that_it_does_not_expect(
    ci: str, expected: str, outcome: str, tmp_path: Path
) -> None:
    source = PLUGIN.read_text(encoding="utf-8")
    listed = source.replace("EXPECTED: tuple[str, ...] = ()", f"EXPECTED = {expected}")
    (tmp_path / PLUGIN.name).write_text(listed, encoding="utf-8")
    (tmp_path / "test_some.py").write_text(TESTS, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", PLUGIN.stem, "-p", "no:cacheprovider", "-ra"],
        cwd=tmp_path,
        env=os.environ | {"CI": ci, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in run.stdout, run.stdout
    assert "a marked one" in run.stdout
    assert run.returncode == (1 if ci else 0)
