"""The part of the tutorial that takes its gate to PC/SC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.pages import follow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.pcsc
@pytest.mark.slow
def test_the_tutorials_gate_opens_on_pcsc(
    repository: Path, tmp_path: Path, need: Callable[..., None]
) -> None:
    need("pyscard")
    page = (repository / "docs" / "tutorial-gate.md").read_text("utf-8")
    assert follow(page, tmp_path, lambda command: command.startswith("cardbench pcsc")) == 1
