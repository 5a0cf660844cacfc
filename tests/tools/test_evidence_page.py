"""The page about evidence names tests and vectors that exist, and right numbers."""

from __future__ import annotations

import re
from pathlib import Path

from support.recorded_plays import PLAYED
from support.recorded_sam_plays import SAM_PLAYED
from support.recorded_terminal import recorded_sessions

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`(tests/[\w./-]+)`", PAGE))


def test_what_the_page_names_is_there() -> None:
    assert NAMED
    assert [name for name in sorted(NAMED) if not (ROOT / name).is_file()] == []


def test_the_page_counts_right() -> None:
    assert f"in {len(recorded_sessions())} sessions" in PAGE
    assert f"in {len(PLAYED) + len(SAM_PLAYED)} of the sessions" in PAGE
