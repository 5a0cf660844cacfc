"""The published session with a Wallet, by programs of other people, over both PC/SC services."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING, TypeAlias

import pytest
from support.wallet_session import SESSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pcsc_machine import Pcscd
    from tests.pcsc.conftest import User

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]

COMMANDS = [command for command, _ in SESSION]
RESPONSES = [response for _, response in SESSION]

Run: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"


def over_rootless(request: pytest.FixtureRequest) -> Run:
    """Run a program as an ordinary user, with a Wallet of its own."""
    user: User = request.getfixturevalue("ordinary")
    lend = (user.python, "-m", "cardbench", "pcsc", "--plug", "wallet", "--")
    return lambda *command: user.run(*lend, *command)


def over_vpcd(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Plug a Wallet into the machine's pcscd, and run a program beside it."""
    daemon: Pcscd = request.getfixturevalue("pcscd")
    user: User = request.getfixturevalue("myself")
    del daemon  # it runs; nothing else is asked of it
    up = user.start(user.python, "-m", "cardbench", "up", "wallet", "--vpcd", COLUMNS="200")
    assert up.stdout is not None
    told = ""
    while "Next" not in told:
        line = up.stdout.readline()
        assert line, told
        told += line
    yield user.run
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=15)


@pytest.fixture(params=["rootless", "vpcd"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Each way that a program can reach a Wallet; the Wallet is a fresh one."""
    if request.param == "rootless":
        yield over_rootless(request)
    else:
        yield from over_vpcd(request)


def test_opensc_tool_has_the_published_session(run: Run, need: Callable[..., None]) -> None:
    need("opensc-tool")
    sent = [part for command in COMMANDS for part in ("-s", ":".join(re.findall("..", command)))]
    done = run("opensc-tool", *sent)
    assert done.returncode == 0, done.stderr
    answers = re.findall(r"SW1=0x(..), SW2=0x(..)\)(?::\n((?:[0-9A-F]{2} )+))?", done.stdout)
    assert [data.replace(" ", "") + sw1 + sw2 for sw1, sw2, data in answers] == RESPONSES


def test_java_smartcardio_has_the_published_session(
    run: Run, need: Callable[..., None], java_classes: Path
) -> None:
    need("java", "javac")
    done = run("java", "-cp", java_classes, "WalletSession", *COMMANDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == RESPONSES


@pytest.fixture(scope="module")
def java_classes(
    need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory, repository: Path
) -> Path:
    """The Java client, compiled, where every user can read it."""
    need("java", "javac")
    place = tmp_path_factory.mktemp("wallet_classes")
    source = repository / "tests" / "pcsc" / "programs" / "WalletSession.java"
    subprocess.run(["javac", "-d", place, source], check=True)
    for folder in (place, *place.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    return place
