"""A pytest plug-in: where `CI` is set, a skip is a failure, but for those that are expected.

Loaded with `-p unexpected_skips`. On somebody's own machine a test may skip and name what is missing. In
CI nothing may be missing: a skip there would be a test that nobody ever runs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

EXPECTED: tuple[str, ...] = ()
"""Beginnings of the reasons for which a test may be skipped in CI too."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip that is not expected into a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not reason.startswith(EXPECTED):
            report.outcome = "failed"
            report.longrepr = f"skipped, and CI does not expect it: {reason}"
    return report
