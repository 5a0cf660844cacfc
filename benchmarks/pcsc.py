"""READ RECORD through PC/SC: our card against a null card, our service against pcscd, 200 APDUs in a second.

Three things are measured, in one run, each with pyscard's thin layer as the client (`pcsc_client.py`):

1. our card behind pcscd and vpcd, against a null card in Python on the same path (`pcsc_null_card.py`);
2. our card behind the rootless service, against the same card behind pcscd and vpcd;
3. how long 200 APDUs take over vpcd: with the delayed acknowledgement that vpcd provokes it was 9 s.

Cards are what `cardbench up` plugs in. Cards, clients and pcscd are processes that were started before, so
that no start is measured. pcscd is started for the run by root; one that runs already is used as it is.
Where something is missing, it is named and nothing is measured; where `CI` is set, that is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from harness import Comparison, compare, judge
from pcsc_machine import Pcscd, is_listening, machine_lock, missing_packages

from cardbench.emulator.calypso import new_card
from cardbench.emulator.readers.pcsclite import SOCKET_VARIABLE
from cardbench.emulator.readers.vpcd import PORTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CARD_FLOOR, CARD_AIM = 0.75, 0.90
SERVICE_FLOOR, SERVICE_AIM = 1.5, 2.0
COMMANDS = 100
"""In one turn: short, so that both meet the same moods of the machine."""
TURNS = 20
FEW_COMMANDS = 200
FEW_COMMANDS_S = 1.0
PRESET = "card:bench"
READ_RECORD = "00B2013C1D"
OUR_READER, NULL_READER = "Virtual PCD 00 00", "Virtual PCD 00 01"
ROOTLESS_READER = "cardbench card 00 00"

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parent / "src"), "PYTHONUNBUFFERED": "1"}


class Program:
    """A program that is talked to line by line; ended with its block.

    Args:
        arguments: what Python runs.
        environment: further variables.
    """

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the program
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env={**ENVIRONMENT, **environment},
        )

    def read_until(self, beginning: str) -> str:
        """Return the next line that begins so.

        Raises:
            RuntimeError: the program ended before.
        """
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip().startswith(beginning):
                return line
        self._process.wait()
        self._said.seek(0)
        raise RuntimeError(f"{self._process.args!r} ended: {self._said.read()}")

    def send(self, count: int) -> int:
        """Have a client send so many commands; return their number."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        self.read_until("")
        return count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()
        self._said.close()


class Bench(NamedTuple):
    """Three clients, each connected to a card of its own.

    Attributes:
        vpcd: our card behind pcscd and vpcd.
        null: the null card on the same path.
        rootless: our card behind the rootless service.
    """

    vpcd: Program
    null: Program
    rootless: Program


@contextmanager
def machine_pcscd() -> Iterator[None]:
    """Have a pcscd on the machine: the one that runs, or one of our own."""
    with ExitStack() as stack:
        stack.enter_context(machine_lock())
        if not is_listening():
            stack.enter_context(Pcscd())
        yield


@contextmanager
def bench() -> Iterator[Bench]:
    """Plug the cards in and connect the clients."""
    twin = new_card(PRESET.partition(":")[2])
    atr = twin.power_on().hex()
    record = twin.transmit(bytes.fromhex(READ_RECORD)).hex()
    with ExitStack() as stack:
        start: Callable[..., Program] = lambda *arguments, **environment: stack.enter_context(  # noqa: E731
            Program(*arguments, **environment)
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cardbench-")))
        plug = ("-m", "cardbench", "up", PRESET)
        plugged = [start(*plug, "--vpcd"), start(*plug, "--folder", str(folder))]
        start(str(HERE / "pcsc_null_card.py"), str(PORTS[1]), atr, record)
        for program in plugged:
            program.read_until("opensc-tool")
        client = partial(start, str(HERE / "pcsc_client.py"))
        clients = Bench(
            client(OUR_READER, READ_RECORD, record),
            client(NULL_READER, READ_RECORD, record),
            client(
                ROOTLESS_READER, READ_RECORD, record, **{SOCKET_VARIABLE: f"{folder}/pcscd.comm"}
            ),
        )
        for program in clients:
            program.read_until("ready")
        yield clients


def compare_cards(clients: Bench) -> Comparison:
    """Compare our card with the null card on the same path."""
    return compare(
        "READ RECORD over vpcd, against a null card",
        "APDU",
        partial(clients.vpcd.send, COMMANDS),
        partial(clients.null.send, COMMANDS),
        floor=CARD_FLOOR,
        aim=CARD_AIM,
        turns=TURNS,
    )


def compare_services(clients: Bench) -> Comparison:
    """Compare the rootless service with pcscd and vpcd, with the same card and client."""
    return compare(
        "READ RECORD over the rootless service, against vpcd",
        "APDU",
        partial(clients.rootless.send, COMMANDS),
        partial(clients.vpcd.send, COMMANDS),
        floor=SERVICE_FLOOR,
        aim=SERVICE_AIM,
        turns=TURNS,
    )


class Few(NamedTuple):
    """How long some APDUs took."""

    seconds: float

    @property
    def ok(self) -> bool:
        """Whether they were done in time."""
        return self.seconds < FEW_COMMANDS_S

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "too long"
        return f"{FEW_COMMANDS} APDUs over vpcd: {self.seconds:.3f} s (limit {FEW_COMMANDS_S} s): {verdict}"


def time_a_few(clients: Bench) -> Few:
    """Measure what a delayed acknowledgement would show in."""
    begun_s = time.perf_counter()
    clients.vpcd.send(FEW_COMMANDS)
    return Few(time.perf_counter() - begun_s)


def main() -> int:
    """Measure, print, return the exit status."""
    missing = missing_packages("pyscard", "pcscd", "vpcd")
    reason = f"missing PC/SC package: {', '.join(missing)} (make setup-pcsc)" if missing else ""
    if not reason and os.geteuid() != 0 and not is_listening():
        reason = "no pcscd is running, and only root can start one"
    if reason:
        print(f"READ RECORD through PC/SC is not measured: {reason}")
        return int("CI" in os.environ)
    with machine_pcscd(), bench() as clients:
        measures = (time_a_few, compare_cards, compare_services)
        return max(judge(partial(measure, clients)) for measure in measures)


if __name__ == "__main__":
    sys.exit(main())
