"""A pytest plug-in: each room has a floor of line and branch coverage, and a run below it fails.

Loaded with `-p room_floors` beside `--cov`. A total over all rooms would let a well-tested room hide a
badly tested one; and a check after pytest would come after its summary.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import coverage
import pytest
from coverage.exceptions import NoDataError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

FLOOR_PERCENT = 95.0
ROOMS = ("protocol", "emulator", "sam_emulator", "terminal", "service_delivery")
"""Rooms with a floor."""
SHOWN = ("scenarios",)
"""Rooms without: much of what they do happens in programs that the tests start."""
RESULT = pytest.StashKey[dict[str, float]]()


def measure(root: Path, data_file: str | None = None) -> dict[str, float]:
    """Return room to percentage of lines and branches run; rooms without code are left out."""
    data = coverage.Coverage(
        data_file=data_file or str(root / ".coverage"), config_file=str(root / "pyproject.toml")
    )
    data.load()
    percent = {}
    for room in (*ROOMS, *SHOWN):
        try:
            percent[room] = data.report(include=[f"{root / room}/*"], file=io.StringIO())
        except NoDataError:
            continue
    return percent


def below(percent: Mapping[str, float]) -> list[str]:
    """Return a sentence for each room under the floor."""
    return [
        f"room {room}: {covered:.2f} % of lines and branches are run by a test, "
        f"at least {FLOOR_PERCENT:g} % must be"
        for room, covered in percent.items()
        if room in ROOMS and covered < FLOOR_PERCENT
    ]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Measure once pytest-cov has combined its data: it wraps this hook too, further in."""
    result = yield
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        percent = measure(session.config.rootpath)
        session.config.stash[RESULT] = percent
        session.testsfailed += len(below(percent))
    return result


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the rooms, and what is under the floor."""
    percent = config.stash.get(RESULT, {})
    terminalreporter.section("coverage by room")
    for room, covered in percent.items():
        terminalreporter.line(f"{room:18} {covered:6.2f} %")
    for sentence in below(percent):
        terminalreporter.line(sentence, red=True)
