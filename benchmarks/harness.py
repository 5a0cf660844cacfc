"""How a benchmark is run: ours and a reference by turns, in one process, judged by the median ratio.

Single times say little on a shared machine; the ratio of two things measured side by side says much. A
benchmark fails below its floor. The aim is what we want; a ratio between the two passes and says so.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 5


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
) -> Comparison:
    """Run both by turns after a warm-up each; each returns how many units one call has done."""
    for warm_up in (ours, reference):
        warm_up()
    rates = [(_per_second(ours), _per_second(reference)) for _ in range(runs)]
    return Comparison(
        name,
        unit,
        statistics.median(rate for rate, _ in rates),
        statistics.median(rate for _, rate in rates),
        statistics.median(rate / other for rate, other in rates),
        floor,
        aim,
    )


def _per_second(work: Callable[[], int]) -> float:
    begun = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - begun)
