"""How a benchmark is run: ours and a reference by turns, in one process, judged by the median ratio.

Single times say little on a shared machine; the ratio of two things measured side by side says much. So
one run goes to and fro between the two in short turns, and what both do in this process is measured in
its CPU time, which does not count what others take. A benchmark fails below its floor. The aim is what we
want; a ratio between the two passes and says so.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 5
TRIES = 3
"""A neighbour on the machine slows the larger program down more than the smaller one; it never speeds it
up. So a ratio below its floor is measured again before it counts; a real loss fails every time."""


class Measurement(Protocol):
    """What was measured, as its text says it."""

    @property
    def ok(self) -> bool:
        """Whether it is as it must be."""
        ...


class Comparison(NamedTuple):
    """What two things came to.

    Attributes:
        name: what was measured.
        unit: what is counted per second.
        ours_per_s, reference_per_s: medians.
        ratio: the median of ours ÷ reference, run by run.
        floor, aim: what the ratio must and should be.
    """

    name: str
    unit: str
    ours_per_s: float
    reference_per_s: float
    ratio: float
    floor: float
    aim: float

    @property
    def ok(self) -> bool:
        """Whether the floor holds."""
        return self.ratio >= self.floor

    def __str__(self) -> str:
        verdict = (
            "below the floor"
            if not self.ok
            else "ok"
            if self.ratio >= self.aim
            else "ok, below the aim"
        )
        return (
            f"{self.name}: {self.ours_per_s:,.0f} {self.unit}/s, reference "
            f"{self.reference_per_s:,.0f} {self.unit}/s, ratio {self.ratio:.2f} "
            f"(floor {self.floor}, aim {self.aim}): {verdict}"
        )


def compare(
    name: str,
    unit: str,
    ours: Callable[[], int],
    reference: Callable[[], int],
    *,
    floor: float,
    aim: float,
    runs: int = RUNS,
    turns: int = 1,
    clock_s: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Run both by turns after a warm-up each; each returns how many units one call has done.

    Args:
        name, unit: what was measured, what is counted.
        ours, reference: what is compared.
        floor, aim: what the ratio must and should be.
        runs: how many ratios the median is taken of.
        turns: how often each of the two is called in one run.
        clock_s: `time.process_time` where all of both happens in this process.
    """
    for warm_up in (ours, reference):
        warm_up()
    rates = [_run(ours, reference, turns, clock_s) for _ in range(runs)]
    return Comparison(
        name,
        unit,
        statistics.median(rate for rate, _ in rates),
        statistics.median(rate for _, rate in rates),
        statistics.median(rate / other for rate, other in rates),
        floor,
        aim,
    )


def judge(measure: Callable[[], Measurement]) -> int:
    """Measure, print, and return the exit status: 0 as soon as one measurement holds the floor."""
    for number in range(1, TRIES + 1):
        result = measure()
        print(result)
        if result.ok:
            return 0
        if number < TRIES:
            print(f"measured again, try {number + 1} of {TRIES}")
    return 1


def _run(
    ours: Callable[[], int],
    reference: Callable[[], int],
    turns: int,
    clock_s: Callable[[], float],
) -> tuple[float, float]:
    """Return units per second of both, measured by turns."""
    done = [0, 0]
    took_s = [0.0, 0.0]
    for _ in range(turns):
        for index, work in enumerate((ours, reference)):
            begun_s = clock_s()
            done[index] += work()
            took_s[index] += clock_s() - begun_s
    return done[0] / took_s[0], done[1] / took_s[1]
