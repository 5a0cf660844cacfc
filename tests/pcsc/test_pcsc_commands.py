"""`cardbench readers`, `up` and `pcsc` as a person meets them; what goes wrong is one clear sentence."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cardbench.scenarios import plugged
from cardbench.scenarios.cli import main
from cardbench.scenarios.cli.pcsc import run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pcsc_machine import Pcscd
    from tests.pcsc.conftest import User

    from cardbench.emulator.chassis import Clock, Entropy
    from cardbench.protocol.link import Card

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]

SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"
Done = subprocess.CompletedProcess[str]


@pytest.fixture(autouse=True)
def _pyscard(need: Callable[..., None]) -> None:
    need("pyscard")


@pytest.fixture
def cardbench(ordinary: User) -> Callable[..., Done]:
    """Run the command as a user without rights."""

    def run(*arguments: str, **environment: str) -> Done:
        return ordinary.run(ordinary.python, "-m", "cardbench", *arguments, **environment)

    return run


@pytest.fixture
def nowhere(ordinary: User) -> dict[str, str]:
    """An environment in which no PC/SC service is found."""
    return {SOCKET_VARIABLE: str(ordinary.folder / "nobody" / "pcscd.comm")}


class Up:
    """A bench that stays up."""

    def __init__(self, user: User, *arguments: str) -> None:
        self.process = user.start(
            user.python, "-m", "cardbench", "up", *arguments, PYTHONUNBUFFERED="1", COLUMNS="200"
        )
        self.lines: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.strip().startswith("opensc-tool"):
                break

    @property
    def environment(self) -> dict[str, str]:
        exports = (
            line.removeprefix("export ") for line in self.lines if line.startswith("export ")
        )
        return dict(line.split("=", 1) for line in exports)

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=20)
        return self.process.returncode, rest


@pytest.fixture
def up(ordinary: User) -> Iterator[Callable[..., Up]]:
    benches: list[Up] = []

    def start(*arguments: str) -> Up:
        benches.append(Up(ordinary, *arguments))
        return benches[-1]

    yield start
    for bench in benches:
        if bench.process.poll() is None:
            bench.stop()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("cardbench"))


# Things as they should be


def test_up_tells_the_readers_and_what_to_type_and_leaves_nothing(
    up: Callable[..., Up], cardbench: Callable[..., Done], ordinary: User
) -> None:
    bench = up("--seed", "5")
    assert any("cardbench card 00 00" in line and "card:bench" in line for line in bench.lines)
    assert any("cardbench sam 00 00" in line and "sam:bench" in line for line in bench.lines)
    assert any("seed 5" in line for line in bench.lines)
    shown = json.loads(cardbench("readers", "--json", **bench.environment).stdout)["readers"]
    assert [reader["name"] for reader in shown] == ["cardbench card 00 00", "cardbench sam 00 00"]
    assert all(reader["is_present"] and reader["atr"] for reader in shown)
    told = cardbench("readers", **bench.environment).stdout
    assert "contactless" in told
    assert "T=0" in told
    status, rest = bench.stop()
    assert status == 130
    assert "interrupted" in rest
    assert left_in(ordinary.folder) == []


def test_up_plugs_in_what_it_is_told_to(
    up: Callable[..., Up], cardbench: Callable[..., Done], ordinary: User
) -> None:
    bench = up("wallet", "card:bench", "--folder", str(ordinary.folder / "cardbench-own"))
    assert bench.environment[SOCKET_VARIABLE].startswith(str(ordinary.folder / "cardbench-own"))
    (example,) = (line for line in bench.lines if "cardbench run wallet" in line)
    done = cardbench(*shlex.split(example)[1:], **bench.environment)
    assert done.returncode == 0, done.stderr
    assert bench.stop(signal.SIGTERM)[0] == 143
    assert left_in(ordinary.folder) == []


def test_cards_in_files_live_on_behind_other_programs_even_when_the_bench_is_killed(
    up: Callable[..., Up], cardbench: Callable[..., Done], ordinary: User
) -> None:
    for line in ("card new story:validation gate.card", "sam new bench gate.sam"):
        assert cardbench(*line.split()).returncode == 0
    for passage, end in enumerate((signal.SIGKILL, signal.SIGINT), 1):
        bench = up("gate.card", "gate.sam", "--folder", str(ordinary.folder / f"cb-{passage}"))
        assert any("card:gate.card" in line for line in bench.lines)
        played = cardbench(
            "run", "validation", "--backend", "readers", "--card-reader", " card ",
            "--sam-reader", " sam ", "--at", f"2026-01-05T{8 + passage:02}:00", **bench.environment,
        )  # fmt: skip
        assert played.returncode == 0, played.stderr
        bench.stop(end)
        shown = cardbench("card", "show", "gate.card").stdout
        assert f"1: {10 - passage}; the other 8 at 0" in shown
    lent = cardbench(
        "pcsc", "--plug", "gate.card", "--", str(ordinary.python), "-m", "cardbench", "run", "identify",
        "--backend", "readers", "--card-reader", " card ", "--json",
    )  # fmt: skip
    assert json.loads(lent.stdout)["outcome"]["serial"] == "0000000011223344"
    for name in ("gate.card", "gate.sam"):
        (ordinary.folder / name).unlink()


def test_a_programs_exit_status_is_handed_on(
    cardbench: Callable[..., Done], ordinary: User
) -> None:
    assert cardbench("pcsc", "--", "sh", "-c", "exit 7").returncode == 7
    assert cardbench("pcsc", "--", "sh", "-c", "kill -9 $$").returncode == 137
    listed = cardbench(
        "pcsc", "--plug", "card:bench", "--", "sh", "-c", "echo $PCSCLITE_CSOCK_NAME"
    )
    assert listed.returncode == 0
    assert listed.stdout.startswith(str(ordinary.folder))
    assert left_in(ordinary.folder) == []


def test_a_long_temporary_folder_is_no_hindrance(
    cardbench: Callable[..., Done], ordinary: User
) -> None:
    place = ordinary.folder / ("x" * 100)
    assert ordinary.run("mkdir", "-p", place).returncode == 0
    done = cardbench(
        "pcsc", "--plug", "card:bench", "--", ordinary.python, "-m", "cardbench", "readers",
        TMPDIR=str(place),
    )  # fmt: skip
    assert "cardbench card 00 00" in done.stdout, done.stderr


def test_two_private_benches_at_once_know_nothing_of_each_other(
    ordinary: User, cardbench: Callable[..., Done]
) -> None:
    slow = ordinary.start(
        ordinary.python,
        "-m",
        "cardbench",
        "pcsc",
        "--plug",
        "sam",
        "--plug",
        "sam:bench",
        "--",
        "cat",
    )
    del cardbench
    try:
        quick = ordinary.run(
            ordinary.python, "-m", "cardbench", "pcsc", "--plug", "card:bench", "--",
            ordinary.python, "-m", "cardbench", "readers",
        )  # fmt: skip
        assert quick.returncode == 0
        assert "sam" not in quick.stdout
    finally:
        slow.communicate(timeout=20)


def test_nothing_listens_but_the_users_own_socket(up: Callable[..., Up]) -> None:
    bench = up()
    inodes = {
        str(link.readlink()).removeprefix("socket:[").removesuffix("]")
        for link in Path(f"/proc/{bench.process.pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:[")
    }
    listening = [
        table
        for table in ("tcp", "tcp6", "udp", "udp6", "raw", "packet")
        for line in Path("/proc/net", table).read_text().splitlines()[1:]
        if inodes & set(line.split())
    ]
    assert listening == []
    path = Path(bench.environment[SOCKET_VARIABLE])
    assert path.stat().st_uid == ordinary_uid()
    assert path.parent.stat().st_mode & 0o077 == 0
    assert path.stat().st_mode & 0o077 == 0


def ordinary_uid() -> int:
    return os.geteuid() or 65534


# Things as they should not be


def is_one_sentence(done: Done, *parts: str) -> bool:
    assert done.returncode not in (0, None)
    assert done.stdout == "" or "run" in done.args  # what a story told before it failed
    assert done.stderr.startswith("cardbench: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr
    return True


@pytest.mark.parametrize(
    "arguments",
    [("readers",), ("run", "identify", "--backend", "readers", "--card-reader", "x")],
)
def test_without_a_service_a_sentence_says_so(
    cardbench: Callable[..., Done], nowhere: dict[str, str], arguments: tuple[str, ...]
) -> None:
    assert is_one_sentence(cardbench(*arguments, **nowhere), "no PC/SC service is running")


def test_without_pcscd_the_vpcd_backend_says_what_to_do(
    cardbench: Callable[..., Done], nowhere: dict[str, str]
) -> None:
    done = cardbench("run", "identify", "--backend", "vpcd", **nowhere)
    assert is_one_sentence(done, "start pcscd as root", "--backend rootless")


def test_without_vpcd_the_readers_there_are_named(
    cardbench: Callable[..., Done], up: Callable[..., Up]
) -> None:
    done = cardbench("run", "identify", "--backend", "vpcd", **up().environment)
    assert is_one_sentence(done, "no 'Virtual PCD' reader", "cardbench card 00 00")


def test_without_a_named_reader_the_choice_is_shown(
    cardbench: Callable[..., Done], up: Callable[..., Up]
) -> None:
    environment = up().environment
    done = cardbench("run", "validation", "--backend", "readers", **environment)
    assert is_one_sentence(done, "--card-reader", "'cardbench card 00 00', 'cardbench sam 00 00'")
    done = cardbench(
        "run", "validation", "--backend", "readers", "--card-reader", "card 00", "--sam-reader", "bench",
        **environment,
    )  # fmt: skip
    assert is_one_sentence(done, "'bench' fits 2 readers")
    done = cardbench(
        "run", "validation", "--backend", "readers", "--card-reader", "sam", "--sam-reader", "sam 00",
        **environment,
    )  # fmt: skip
    assert is_one_sentence(done, "both mean 'cardbench sam 00 00'")


@pytest.mark.parametrize("missing", ["card", "SAM"])
def test_a_missing_card_and_a_missing_sam_are_told(
    cardbench: Callable[..., Done], ordinary: User, missing: str
) -> None:
    program = (
        "import sys, pathlib\n"
        "from cardbench.emulator.calypso import new_card\n"
        "from cardbench.emulator.chassis import Clock, Entropy\n"
        "from cardbench.emulator.readers.in_process import CardSlot\n"
        "from cardbench.emulator.readers.pcsclite import PcscService\n"
        "from cardbench.sam_emulator import new_sam\n"
        "with PcscService(pathlib.Path(sys.argv[1])) as service:\n"
        "    for name, make in (('card', new_card), ('SAM', new_sam)):\n"
        "        slot = CardSlot('The ' + name)\n"
        "        service.add_reader(slot)\n"
        "        if name != sys.argv[2]:\n"
        "            slot.insert(make('bench', entropy=Entropy(b''), clock=Clock()))\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    bench = ordinary.start(ordinary.python, "-c", program, ordinary.folder / "empty", missing)
    try:
        assert bench.stdout is not None
        assert bench.stdout.readline() == "ready\n"
        environment = {SOCKET_VARIABLE: str(ordinary.folder / "empty" / "pcscd.comm")}
        done = cardbench(
            "run", "validation", "--backend", "readers",
            "--card-reader", "card", "--sam-reader", "SAM", **environment,
        )  # fmt: skip
        assert is_one_sentence(done, f"The {missing} 00 00", "no smartcard")
        assert cardbench("readers", **environment).stdout.count("no card") == 1
    finally:
        bench.communicate(timeout=20)


def test_a_busy_socket_is_told(cardbench: Callable[..., Done], up: Callable[..., Up]) -> None:
    first = up()
    assert is_one_sentence(cardbench("up"), "another bench is already serving this socket")
    assert first.process.poll() is None
    assert cardbench("readers", **first.environment).returncode == 0


def test_a_folder_of_others_is_refused(cardbench: Callable[..., Done], ordinary: User) -> None:
    shared = ordinary.folder / "shared"
    made = ordinary.run("sh", "-c", f"mkdir -p {shared} && chmod 777 {shared}")
    assert made.returncode == 0
    assert is_one_sentence(cardbench("up", "--folder", str(shared)), "not this user's alone")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ("up", "nonesuch"),
            ("no preset and no card file 'nonesuch'", "card:bench", "sam:bench", "javacard:wallet"),
        ),
        (("up", "card:nonesuch"), ("no preset and no card file 'card:nonesuch'",)),
        (("up", "--vpcd", "--folder", "x"), ("--folder is for a service of your own",)),
        (("up", "--vpcd", "bench", "bench", "bench"), ("3 cards are wanted; vpcd has 2 readers",)),
        (("up", *["bench"] * 16), ("15 readers are there already",)),
        (("pcsc", "--plug", "nonesuch", "--", "true"), ("no preset and no card file 'nonesuch'",)),
    ],
)
def test_a_wrong_wish_is_told(
    cardbench: Callable[..., Done],
    ordinary: User,
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
    assert is_one_sentence(cardbench(*arguments), *parts)
    assert left_in(ordinary.folder) == []


@pytest.mark.parametrize(("command", "status"), [("no-such-program", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_be_run_is_told(
    cardbench: Callable[..., Done], ordinary: User, command: str, status: int
) -> None:
    done = cardbench("pcsc", "--", command)
    assert done.returncode == status
    assert is_one_sentence(done, command)
    assert left_in(ordinary.folder) == []


def test_nobody_on_the_vpcd_ports_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as probe:  # a port of this moment: a real pcscd may hold vpcd's own
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(plugged, "PORTS", (port, port))
    with pytest.raises(SystemExit, match="1"):
        main(["up", "--vpcd"])
    told = capsys.readouterr().err
    assert f"nobody takes the card on 127.0.0.1:{port}" in told
    assert "as root" in told


def test_two_benches_on_vpcd_are_told(pcscd: Pcscd, myself: User) -> None:
    del pcscd
    first = Up(myself, "--vpcd")
    try:
        assert any("Virtual PCD 00 00" in line for line in first.lines)
        assert first.environment == {}
        second = myself.run(myself.python, "-m", "cardbench", "up", "--vpcd")
        assert is_one_sentence(second, "another bench")
        third = myself.run(myself.python, "-m", "cardbench", "run", "identify", "--backend", "vpcd")
        assert is_one_sentence(third, "another bench may hold this reader")
        assert first.process.poll() is None
    finally:
        assert first.stop()[0] == 130


# Ctrl-C


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "arguments",
    [
        ("up",),
        ("pcsc", "--", "sleep", "30"),
        ("run", "validation", "--backend", "rootless", "--repeat", "100000"),
    ],
)
def test_a_signal_at_any_moment_leaves_nothing(
    ordinary: User, arguments: tuple[str, ...], number: int
) -> None:
    """From the first moment at which Python listens to signals, in steps of some hundredths of a second."""
    for delay in range(10, 100, 15):
        process = ordinary.start(ordinary.python, "-m", "cardbench", *arguments)
        time.sleep(delay / 100)
        process.send_signal(number)
        if arguments[0] == "pcsc" and number == signal.SIGINT:
            time.sleep(0.2)  # a terminal tells the program as well; here it is told apart
            process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=30)
        assert process.returncode not in (0, None), told
        assert left_in(ordinary.folder) == [], (delay, told)
        if delay > 50 and arguments[0] != "pcsc":
            assert process.returncode == 128 + number
            assert "cardbench: " in told
            assert "Traceback" not in told


def test_a_signal_while_cards_are_plugged_in_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is held back until all is there; then all is taken away again."""

    def card(preset: str, entropy: Entropy, clock: Clock) -> Card:
        os.kill(os.getpid(), signal.SIGTERM)
        return kinds[0].make(preset, entropy, clock)

    kinds = plugged.KINDS
    monkeypatch.setattr(plugged, "KINDS", (kinds[0]._replace(make=card), *kinds[1:]))
    with pytest.raises(SystemExit, match="143"):
        main(["up", "card:bench", "--folder", str(tmp_path / "run")])
    assert list(tmp_path.iterdir()) == []


def test_a_signal_while_pcscd_is_waited_for_is_heard_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wait(_link: plugged.VpcdLink, _timeout_s: float) -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return False

    with socket.socket() as probe:  # a port of this moment, where nobody listens
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(plugged, "PORTS", (port, port))
    monkeypatch.setattr(plugged.VpcdLink, "wait_until_plugged", wait)
    with pytest.raises(SystemExit, match="143"):
        main(["up", "card:bench", "--vpcd"])


def test_a_signal_that_comes_before_the_program_is_the_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = subprocess.Popen

    def interrupted(command: list[str], *, env: dict[str, str]) -> subprocess.Popen[bytes]:
        os.kill(os.getpid(), signal.SIGTERM)
        return start(command, env=env)

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    assert run_program(["sleep", "30"], ["card:bench"], strict_t0=False, seed=1) == 143


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_heard_while_another_program_has_the_card(
    ordinary: User, up: Callable[..., Up], number: int
) -> None:
    environment = up().environment
    holder = ordinary.start(
        ordinary.python, ordinary.programs / "client.py", "hold", "cardbench card 00 00", **environment
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == '{"ready": true}\n'
    story = ordinary.start(
        ordinary.python, "-m", "cardbench", "run", "identify",
        "--backend", "readers", "--card-reader", "card 00", **environment,
    )  # fmt: skip
    try:
        tasks = Path(f"/proc/{story.pid}/task")
        for _ in range(1000):
            if len(list(tasks.iterdir())) > 1:  # the call that waits has a thread of its own
                break
            time.sleep(0.01)
        story.send_signal(number)
        told, _ = story.communicate(timeout=20)
        assert story.returncode == 128 + number
        assert "cardbench: " in told
    finally:
        story.kill()
        holder.communicate(timeout=20)
