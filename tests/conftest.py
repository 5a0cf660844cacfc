"""What all tests share: Hypothesis profiles, outside vectors, and a way into a new process.

Profiles, chosen by the environment variable HYPOTHESIS_PROFILE:

    dev      60 examples, the same ones each time, on every machine (the default)
    ci       150 examples, likewise
    fuzz     500 examples, fresh ones each time: some minutes on two cores
    nightly  3,000 examples, likewise: about an hour

No profile has a deadline, and none minds a slow machine: a test fails for what it finds, not for the
load of the computer.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOGETHER = ("tests/pcsc/", "tests/package/test_readme.py", "tests/package/")
"""Tests that one process runs in turn: they share the machine's pcscd, or what took long to make."""

ROOT = Path(__file__).resolve().parent.parent
VECTORS = ROOT / "tests" / "vectors"
PROFILES = ("dev", "ci", "fuzz", "nightly")

settings.register_profile(
    "dev",
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("dev"), max_examples=150)
settings.register_profile(
    "fuzz", settings.get_profile("dev"), max_examples=500, derandomize=False, print_blob=True
)
settings.register_profile("nightly", settings.get_profile("fuzz"), max_examples=3000)


def pytest_configure(config: pytest.Config) -> None:
    profile = os.environ.get("HYPOTHESIS_PROFILE", "dev")
    if profile not in PROFILES:
        raise pytest.UsageError(
            f"HYPOTHESIS_PROFILE is {profile!r}; allowed: {', '.join(PROFILES)}"
        )
    settings.load_profile(profile)
    config.addinivalue_line(
        "markers", "vectors(file, group): run once for each outside vector of tests/vectors/<file>"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:  # noqa: ANN401
    """Hand tests out one by one, and those of `TOGETHER` as a whole."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only where it is there

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((place for place in TOGETHER if nodeid.startswith(place)), nodeid)

    return Scheduler(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Hand every vector of the marked group to the test's argument `vector`."""
    marker = metafunc.definition.get_closest_marker("vectors")
    if marker is None:
        return
    file, group = marker.args
    found = json.loads((VECTORS / file).read_text("utf-8"))
    if not found.get("provenance"):
        raise pytest.UsageError(f"{file} does not say where its vectors come from")
    ids = [f"{group}-{number}" for number in range(len(found[group]))]
    metafunc.parametrize("vector", found[group], ids=ids)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def new_process() -> Callable[..., str]:
    """Run Python code in a new interpreter and return what it printed; a failure shows its errors."""

    def run(code: str, *arguments: str, stdin: str = "") -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": "random"}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def stopping_signal() -> Iterator[type[BaseException]]:
    """What SIGTERM raises in this thread while the test runs."""

    class Stopped(BaseException):
        pass

    def stop(_number: int, _frame: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    yield Stopped
    signal.signal(signal.SIGTERM, before)
