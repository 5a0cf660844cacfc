"""Benches for PC/SC clients of all kinds, and an ordinary user to run them as.

What the machine lacks is named: the test is skipped, or fails where `CI` is set. Run by root, the rootless
bench and its clients drop to a user without rights, after what they need was copied to where that user can
read it. The real pcscd is started by root alone, one at a time on a machine, and ended with its tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pcsc_machine import PATH, Pcscd, machine_lock, missing_packages
from support.scripted_card import ScriptedCard

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.pcsclite import SOCKET_VARIABLE, PcscService
from cardbench.scenarios.backends.rootless import private_folder
from cardbench.terminal.readers.pcsc import PcscReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NOBODY = 65534


def require(*things: str) -> None:
    """Skip, or fail in CI, naming the packages that are missing."""
    packages = missing_packages(*things)
    if packages:
        _give_up(f"missing PC/SC package: {', '.join(packages)} (make setup-pcsc)")


def _give_up(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def card() -> ScriptedCard:
    return ScriptedCard()


@pytest.fixture(scope="session")
def new_card() -> type[ScriptedCard]:
    return ScriptedCard


@pytest.fixture(scope="session")
def need() -> Callable[..., None]:
    return require


@pytest.fixture
def service(need: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[PcscService]:
    """A service where this process's libpcsclite looks; one path for all, for it looks once."""
    need("pyscard")
    service = PcscService(private_folder(), power_down_s=60)
    monkeypatch.setenv(SOCKET_VARIABLE, str(service.socket_path))
    with service:
        yield service


@pytest.fixture
def slot(service: PcscService, card: ScriptedCard) -> CardSlot:
    slot = CardSlot("Test card")
    slot.insert(card)
    service.add_reader(slot)
    return slot


@pytest.fixture
def reader(slot: CardSlot) -> Iterator[PcscReader]:
    with PcscReader(slot.name) as reader:
        yield reader


class User:
    """Who runs programs, with what they need within reach.

    Attributes:
        folder: a folder of this user alone.
        python: the interpreter.
        programs: the test programs.
    """

    def __init__(self, folder: Path, python: Path, programs: Path, prefix: Sequence[str]) -> None:
        self.folder = folder
        self.python = python
        self.programs = programs
        self._prefix = list(prefix)
        self.environment = {
            "PATH": PATH,
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, *command: str | Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._prefix, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment | environment,
            cwd=self.folder,
        )

    def run(
        self, *command: str | Path, timeout_s: float = 60, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._prefix, *map(str, command)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment | environment,
            cwd=self.folder,
            timeout=timeout_s,
            check=False,
        )


@pytest.fixture(scope="session")
def myself() -> Iterator[User]:
    """Whoever runs the tests."""
    with tempfile.TemporaryDirectory(prefix="cbt-") as folder:
        user = User(Path(folder), Path(sys.executable), HERE / "programs", [])
        user.environment["PYTHONPATH"] = str(ROOT / "src")
        yield user


@pytest.fixture(scope="session")
def ordinary(myself: User) -> Iterator[User]:
    """A user without rights; root drops to nobody, with a copy of all that is needed."""
    if os.geteuid() != 0:
        yield myself
        return
    require("setpriv")
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    with tempfile.TemporaryDirectory(prefix="cbt-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        home = folder / "home"
        home.mkdir(mode=0o700)
        os.chown(home, NOBODY, NOBODY)
        python = _copy_python(folder / "python")
        site = folder / "site"
        shutil.copytree(sysconfig.get_path("purelib"), site, ignore=_NEEDLESS, symlinks=False)
        shutil.copytree(ROOT / "src" / "cardbench", site / "cardbench", ignore=_NEEDLESS)
        shutil.copytree(HERE / "programs", folder / "programs", ignore=_NEEDLESS)
        subprocess.run(
            ["chmod", "-R", "a+rX", folder / "python", site, folder / "programs"], check=True
        )
        user = User(home, python, folder / "programs", drop)
        user.environment |= {
            "PATH": ":".join(filter(_is_open_to_all, PATH.split(":"))),
            "PYTHONHOME": str(folder / "python"),
            "PYTHONPATH": str(site),
            "LD_LIBRARY_PATH": str(folder / "python" / "lib"),
        }
        assert user.run(python, "-c", "import os; print(os.geteuid())").stdout == f"{NOBODY}\n"
        yield user


_NEEDLESS = shutil.ignore_patterns(
    "test", "tests", "idlelib", "lib2to3", "ensurepip", "site-packages", "config-*",
    "*.a", "_*cardbench*.pth", "mypy", "mypyc", "ruff*", "hypothesis",
)  # fmt: skip


def _is_open_to_all(folder: str) -> bool:
    """Whether a user without rights can look into a folder of the path."""
    place = Path(folder)
    return place.is_dir() and all(each.stat().st_mode & 0o001 for each in (place, *place.parents))


def _copy_python(place: Path) -> Path:
    """Copy the interpreter and its standard library; a symbolic link would lead to where root lives."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix)
    (place / "bin").mkdir(parents=True)
    shutil.copy2(Path(sys.executable).resolve(), place / "bin" / version)
    shutil.copytree(sysconfig.get_path("stdlib"), place / "lib" / version, ignore=_NEEDLESS)
    for shared in (base / "lib").glob("libpython*.so*"):
        shutil.copy2(shared, place / "lib")
    return place / "bin" / version


class Bench:
    """Two test cards in two readers, and programs that use them.

    Attributes:
        kind: how the readers are reached.
        user: who runs the programs.
        readers: names of the readers: a contactless card with T=1, a card in strict T=0.
    """

    def __init__(self, kind: str, user: User, *arguments: str | Path) -> None:
        self.kind = kind
        self.user = user
        self._process = user.start(user.python, user.programs / "bench.py", kind, *arguments)
        line = self._read()
        try:
            told = json.loads(line)
        except ValueError:
            self.close()
            raise AssertionError(f"the bench did not start: {line}") from None
        self.environment: dict[str, str] = told["environment"]
        self.readers: list[str] = told["readers"]

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def order(self, line: str) -> int:
        """Have a card moved; returns the first card's value."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        value: int = json.loads(self._read())
        return value

    def until_shown(self, *present: bool) -> None:
        """Wait until the readers show cards so."""
        code = (
            "from cardbench.terminal.readers.pcsc import view_readers\n"
            "print(tuple(view.is_present for view in view_readers()))"
        )
        for _ in range(100):
            if self.run(self.user.python, "-c", code).stdout == f"{present}\n":
                return
        raise AssertionError(f"the readers do not show {present}")

    def start(self, *command: str | Path) -> subprocess.Popen[str]:
        return self.user.start(*command, **self.environment)

    def run(self, *command: str | Path, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        return self.user.run(*command, timeout_s=timeout_s, **self.environment)

    def client(self, what: str, *arguments: str) -> subprocess.Popen[str]:
        """Start the pyscard client."""
        return self.start(self.user.python, self.user.programs / "client.py", what, *arguments)

    def close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Read one line of what a client tells."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the client ended without a word"
    found: dict[str, Any] = json.loads(line)
    return found


def end(process: subprocess.Popen[str]) -> int:
    """End a client that reads its standard input to the end, or would go on for ever."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        status = process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    process.stdout.close()
    return status


@pytest.fixture(scope="session")
def tell() -> Callable[[subprocess.Popen[str]], dict[str, Any]]:
    return told


@pytest.fixture
def ending() -> Iterator[Callable[[subprocess.Popen[str]], subprocess.Popen[str]]]:
    """Have a client ended with the test, if it was not before."""
    processes: list[subprocess.Popen[str]] = []

    def keep(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        processes.append(process)
        return process

    yield keep
    for process in processes:
        if process.stdin is not None and not process.stdin.closed:
            end(process)


# The real daemon


@pytest.fixture(scope="session")
def pcscd() -> Iterator[Pcscd]:
    require("pcscd", "vpcd")
    if os.geteuid() != 0:
        _give_up("pcscd can be started by root alone")
    with machine_lock(), Pcscd() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def new_bench() -> type[Bench]:
    return Bench


@pytest.fixture(scope="module")
def rootless_bench(ordinary: User) -> Iterator[Bench]:
    bench = Bench("rootless", ordinary, ordinary.folder / "run")
    yield bench
    bench.close()
    assert not (ordinary.folder / "run").exists()


@pytest.fixture(scope="module")
def vpcd_bench(pcscd: Pcscd, myself: User) -> Iterator[Bench]:
    del pcscd
    bench = Bench("vpcd", myself)
    yield bench
    bench.close()


@pytest.fixture(
    scope="module",
    params=["rootless", "vpcd"],
)
def bench(request: pytest.FixtureRequest) -> Bench:
    """Each way that a PC/SC program can reach our cards without knowing of us."""
    found: Bench = request.getfixturevalue(f"{request.param}_bench")
    return found


@pytest.fixture(autouse=True)
def _cards_are_in(request: pytest.FixtureRequest) -> None:
    """A test begins with both cards in their readers, and seen there."""
    if "bench" not in request.fixturenames:
        return
    bench: Bench = request.getfixturevalue("bench")
    for number in range(2):
        bench.order(f"insert {number}")
    bench.until_shown(True, True)
