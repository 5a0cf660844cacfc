"""A way to start and kill processes that work on a card file."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def killer(repository: Path) -> Callable[..., tuple[list[str], int]]:
    """Run `support/card_killer.py`; return its lines and its end; kill it after so many lines."""

    def run(*arguments: str, kill_after: int | None = None) -> tuple[list[str], int]:
        script = repository / "tests" / "support" / "card_killer.py"
        with subprocess.Popen(
            [sys.executable, str(script), *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(repository / "src")},
        ) as process:
            assert process.stdout
            lines = []
            if kill_after is not None:
                lines = [process.stdout.readline().strip() for _ in range(kill_after)]
                process.kill()
            lines += process.stdout.read().split()
            return lines, process.wait()

    return run
