"""APDUs per second of the Wallet, line by line, against the published stub.

Ours is `cardbench wallet-lines`: chassis, journalled memory, Java Card runtime, applet. The stub is one
loop (`wallet_stub.py`). Both are processes that were started before, so that no start is measured; they get
the same lines in the same portions, and must give the same answers. Most of the stub's time goes into
handing on each answer by itself; so the card alone, without lines and processes, is shown beside it, and the
processor time that a whole process spends on the lines beyond its start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness import Comparison, compare, judge

from cardbench.emulator.applets.wallet import wallet_card

if TYPE_CHECKING:
    from types import TracebackType

FLOOR = 0.2
AIM = 0.4
LINES = 10_000
AIM_S = 0.15
"""Processor time of a whole process for all lines, beyond its start; no reference slows with it."""
PORTION = 1000
"""Lines sent before answers are read: few enough for them to fit the pipes between the processes."""

HERE = Path(__file__).resolve().parent
SELECT = "00A4040008F234123456100001"
PIN = "01020304"
VERIFY, WRONG = f"B020000004{PIN}", "B02000000409090909"
CREDIT, DEBIT = "B030000001{:02X}", "B040000001{:02X}"
BALANCE = "B050000002"
ROUND = [VERIFY, CREDIT, BALANCE, DEBIT, BALANCE, CREDIT, WRONG, CREDIT, VERIFY, DEBIT]


class Program:
    """A program that answers lines; a context manager.

    Args:
        arguments: what Python runs.
    """

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments

    def __enter__(self) -> Self:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(HERE.parent / "src")},
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self._process.communicate()

    def answers(self, lines: list[str]) -> list[bytes]:
        """Send lines in portions; return the answers."""
        sending, receiving = self._process.stdin, self._process.stdout
        assert sending is not None
        assert receiving is not None
        answers: list[bytes] = []
        for start in range(0, len(lines), PORTION):
            portion = lines[start : start + PORTION]
            sending.write(("\n".join(portion) + "\n").encode())
            sending.flush()
            answers += [receiving.readline() for _ in portion]
        return answers


def script() -> list[str]:
    """Return the lines: PIN, movements, balances, and what is refused, from a selection on."""
    lines = [ROUND[number % len(ROUND)].format(number % 100) for number in range(LINES - 1)]
    return [SELECT, *lines]


def measure() -> Comparison:
    """Compare ours with the stub."""
    lines = script()
    with ExitStack() as programs:
        ours = programs.enter_context(Program("-m", "cardbench", "wallet-lines"))
        stub = programs.enter_context(Program(str(HERE / "wallet_stub.py")))
        assert ours.answers(lines) == stub.answers(lines), "the stub is another Wallet"
        return compare(
            f"wallet-lines ({LINES:,} lines)",
            "APDU",
            lambda: len(ours.answers(lines)),
            lambda: len(stub.answers(lines)),
            floor=FLOOR,
            aim=AIM,
        )


def card_alone_per_s() -> float:
    """Return the APDUs per second of `transmit` in this process."""
    card = wallet_card(bytes.fromhex(PIN))
    card.power_on()
    commands = [bytes.fromhex(line) for line in script()]
    begun = time.perf_counter()
    for command in commands:
        card.transmit(command)
    return len(commands) / (time.perf_counter() - begun)


def beyond_the_start_s() -> float:
    """Return what a process spends on the lines; the least of several, for the machine has other work."""
    lines = "".join(f"{line}\n" for line in script())
    times = [(_process_time_s(lines), _process_time_s("")) for _ in range(5)]
    return min(spent for spent, _ in times) - min(start for _, start in times)


def _process_time_s(lines: str) -> float:
    before = os.times()
    subprocess.run(
        [sys.executable, "-m", "cardbench", "wallet-lines"],
        input=lines.encode(),
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(HERE.parent / "src")},
        check=True,
    )
    after = os.times()
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system


if __name__ == "__main__":
    status = judge(measure)
    spent_s = beyond_the_start_s()
    print(f"{LINES:,} lines beyond the start: {spent_s:.2f} s of processor time (aim {AIM_S})")
    print(f"the same APDUs through the card alone: {card_alone_per_s():,.0f} APDU/s")
    sys.exit(status)
