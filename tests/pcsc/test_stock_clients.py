"""Programs of other people, unmodified, over the rootless service and over the real pcscd."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pcsc.conftest import Bench

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]

CARD_ATR = "3B888001000000009171710098"
SAM_ATR = "3B3F9600805A4880C120501711223344829000"
CHALLENGE = "0001020304050607"

Told = dict[str, Any]
Process = subprocess.Popen[str]


def test_pcsc_scan_lists_the_readers(bench: Bench, need: Callable[..., None]) -> None:
    need("pcsc_scan")
    done = bench.run("pcsc_scan", "-r")
    assert done.returncode == 0
    for number, name in enumerate(bench.readers):
        assert f"{number}: {name}" in done.stdout


def test_pcsc_scan_shows_cards_that_come_and_go(bench: Bench, need: Callable[..., None]) -> None:
    need("pcsc_scan")
    scan = bench.start("stdbuf", "-oL", "pcsc_scan", "-n")
    try:
        seen = read_until(scan, lambda text: text.count("ATR: ") == 2)
        assert " ".join(re.findall("..", CARD_ATR)) in seen
        assert " ".join(re.findall("..", SAM_ATR)) in seen
        bench.order("remove 1")
        read_until(scan, lambda text: "Card removed" in text)
        bench.order("insert 1")
        read_until(scan, lambda text: "Card inserted" in text)
    finally:
        scan.kill()
        scan.communicate()


def read_until(process: Process, found: Callable[[str], object]) -> str:
    assert process.stdout is not None
    text = ""
    while not found(text):
        line = process.stdout.readline()
        assert line, text
        text += line
    return text


def test_opensc_tool_lists_readers(bench: Bench, need: Callable[..., None]) -> None:
    need("opensc-tool")
    done = bench.run("opensc-tool", "--list-readers")
    assert done.returncode == 0
    for name in bench.readers:
        assert re.search(rf"^\d+ +Yes .*{re.escape(name)}$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(("number", "atr"), [(0, CARD_ATR), (1, SAM_ATR)])
def test_opensc_tool_shows_the_atr_and_sends_commands(
    bench: Bench, need: Callable[..., None], number: int, atr: str
) -> None:
    need("opensc-tool")
    done = bench.run(
        "opensc-tool", "--reader", str(number), "--atr",
        "-s", "00:84:00:00:08", "-s", "80:0E:00:00:03:01:02:03:00", "-s", "00:FF:00:00",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].replace(":", "").upper() == atr
    answers = re.findall(r"SW1=0x(..), SW2=0x(..)\)(?::\n((?:[0-9A-F]{2} ?)+))?", done.stdout)
    assert [sw1 + sw2 for sw1, sw2, _ in answers] == ["9000", "9000", "6282"]
    assert answers[0][2].replace(" ", "").startswith(CHALLENGE)
    assert answers[1][2].replace(" ", "").startswith("010203")


def test_pyscards_card_request(
    bench: Bench,
    need: Callable[..., None],
    tell: Callable[[Process], Told],
    ending: Callable[[Process], Process],
) -> None:
    need("pyscard")
    bench.order("remove 0")
    bench.until_shown(False, True)
    client = ending(bench.client("request", CARD_ATR))
    time.sleep(0.3)  # it waits by now; if not, the test is weaker, not wrong
    bench.order("insert 0")
    assert tell(client) == {
        "reader": bench.readers[0],
        "atr": CARD_ATR.lower(),
        "response": CHALLENGE,
        "sw": "9000",
    }
    assert tell(client) == {"timeout": True}


def test_pyscards_card_monitor(
    bench: Bench,
    need: Callable[..., None],
    tell: Callable[[Process], Told],
    ending: Callable[[Process], Process],
) -> None:
    need("pyscard")
    client = ending(bench.client("watch_cards"))
    seen = sorted((tell(client), tell(client), tell(client)), key=str)
    assert {"ready": True} in seen
    inserted = {event["reader"]: event["atr"] for event in seen if "happened" in event}
    assert inserted == dict(zip(bench.readers, (CARD_ATR.lower(), SAM_ATR.lower()), strict=True))
    for order, happened in (("remove 0", "removed"), ("insert 0", "inserted")):
        bench.order(order)
        event = tell(client)
        assert (event["happened"], event["reader"]) == (happened, bench.readers[0])


def test_pyscards_reader_monitor(
    bench: Bench,
    need: Callable[..., None],
    tell: Callable[[Process], Told],
    ending: Callable[[Process], Process],
) -> None:
    need("pyscard")
    client = ending(bench.client("watch_readers"))
    seen = [tell(client) for _ in range(3)]
    added = {event["reader"] for event in seen if event.get("happened") == "added"}
    assert added == set(bench.readers)


def test_java_smartcardio(
    bench: Bench, need: Callable[..., None], ending: Callable[[Process], Process], classes: Path
) -> None:
    need("java", "javac")
    client = ending(bench.start("java", "-cp", classes, "Smartcardio", *bench.readers))
    told = []
    moves = iter(("remove 0", "insert 0", "remove 0"))
    assert client.stdout is not None
    for line in client.stdout:
        told.append(line.rstrip())
        if line.startswith("waiting"):
            time.sleep(0.3)  # it waits by now; if not, the test is weaker, not wrong
            bench.order(next(moves))
    assert client.wait(30) == 0, told
    exchange = f"{CHALLENGE}9000 0102039000"
    assert told == [
        *(f"present {name}" for name in bench.readers),
        f"{bench.readers[0]} T=1 {CARD_ATR}",
        exchange,
        f"{bench.readers[1]} T=0 {SAM_ATR}",
        exchange,
        "waitForCardPresent true",
        "waiting for removal",
        "waitForCardAbsent true",
        "absent again true",
        "nothing comes false",
        "waiting for insertion",
        "waitForCardPresent true",
        f"{bench.readers[0]} T=1 {CARD_ATR}",
        exchange,
        "waiting for removal",
        "waitForChange 1",
    ]


@pytest.fixture(scope="module")
def classes(
    need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory, repository: Path
) -> Path:
    """The Java client, compiled, where every user can read it."""
    need("java", "javac")
    place = tmp_path_factory.mktemp("classes")
    source = repository / "tests" / "pcsc" / "programs" / "Smartcardio.java"
    subprocess.run(["javac", "-d", place, source], check=True)
    for folder in (place, *place.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    return place


def test_two_different_clients_at_once(
    bench: Bench,
    need: Callable[..., None],
    tell: Callable[[Process], Told],
    ending: Callable[[Process], Process],
) -> None:
    need("pyscard", "opensc-tool")
    monitor = ending(bench.client("watch_cards"))
    busy = ending(bench.client("transmit", bench.readers[0], "3000"))
    done = bench.run("opensc-tool", "--reader", "1", "-s", "00:84:00:00:08")
    assert done.returncode == 0
    assert "SW1=0x90" in done.stdout
    assert tell(busy)["seconds"] > 0
    for _ in range(3):
        tell(monitor)
    bench.order("remove 0")
    assert tell(monitor)["happened"] == "removed"


def test_a_client_killed_in_the_middle_of_a_transmit_leaves_the_reader_to_others(
    bench: Bench,
    need: Callable[..., None],
    tell: Callable[[Process], Told],
    ending: Callable[[Process], Process],
) -> None:
    need("pyscard")
    client = ending(bench.client("slow", bench.readers[0], "7"))
    assert tell(client) == {"ready": True}
    time.sleep(0.2)  # the command is on its way; if not, the test is weaker, not wrong
    client.send_signal(signal.SIGKILL)
    client.wait()
    other = ending(bench.client("transmit", bench.readers[0], "10"))
    assert "seconds" in tell(other)


def test_a_client_killed_in_a_transaction_frees_it(
    bench: Bench,
    need: Callable[..., None],
    tell: Callable[[Process], Told],
    ending: Callable[[Process], Process],
) -> None:
    need("pyscard")
    holder = ending(bench.client("hold", bench.readers[0]))
    assert tell(holder) == {"ready": True}
    waiting = ending(bench.client("transmit", bench.readers[0], "10"))
    time.sleep(0.2)
    assert waiting.poll() is None
    holder.kill()
    holder.wait()
    assert "seconds" in tell(waiting)


def test_ten_thousand_connections_leave_nothing_in_the_service(
    rootless_bench: Bench,
    need: Callable[..., None],
    tell: Callable[[Process], Told],
    ending: Callable[[Process], Process],
) -> None:
    need("pyscard")
    reader = rootless_bench.readers[0]
    assert tell(ending(rootless_bench.client("come_and_go", reader, "1000"))) == {"done": 1000}
    before = resources(rootless_bench.pid)
    assert tell(ending(rootless_bench.client("come_and_go", reader, "10000"))) == {"done": 10_000}
    for _ in range(100):
        after = resources(rootless_bench.pid)
        if after[:2] <= before[:2]:
            break
        time.sleep(0.02)
    assert after[0] <= before[0]
    assert after[1] <= before[1]
    assert after[2] <= before[2] + 1024


def resources(pid: int) -> tuple[int, int, int]:
    """Open files, threads, resident memory in KiB."""
    process = Path(f"/proc/{pid}")
    status = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    return (
        len(list((process / "fd").iterdir())),
        int(status["Threads"]),
        int(status["VmRSS"].split()[0]),
    )
