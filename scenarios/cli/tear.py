"""`cardbench tear`: a story with the power cut at every write."""

from __future__ import annotations

from rich.console import Console

from cardbench.protocol.errors import CardbenchError
from cardbench.scenarios.campaigns.tear import Cut, TearCampaign, TearReport
from cardbench.scenarios.cli.campaigns import drawn, progress, worst
from cardbench.scenarios.cli.show import print_json
from cardbench.scenarios.stories import find_story


class CardTorn(CardbenchError):
    """A cut left a card neither old nor new, or unable to go on."""


def tear(name: str, *, seed: int | None, as_json: bool) -> None:
    """Tear a story and print the count of cuts.

    Raises:
        CardTorn: a cut did harm; the text says which.
        CardbenchError: the story fails with nothing cut.
    """
    seed = drawn(seed)
    with progress(f"tearing {name}", quiet=as_json) as show:

        def tell(cut: Cut) -> None:
            show(f"cut {cut}", None)

        report = TearCampaign(find_story(name), seed=seed, on_cut=tell).run()
    if as_json:
        print_json(_as_json(report))
    else:
        _print(report)
    if not report.ok:
        count = len(report.faults)
        raise CardTorn(f"{name}, seed {seed}: {count} cut(s) did harm: {worst(report.faults)}")


def _as_json(report: TearReport) -> dict[str, object]:
    return {
        "story": report.story,
        "seed": report.seed,
        "ok": report.ok,
        "objects": report.objects,
        "writes": report.writes,
        "write_cuts": report.write_cuts,
        "recovery_cuts": report.recovery_cuts,
        "command_cuts": report.command_cuts,
        "cuts": report.cuts,
        "is_repeatable": report.is_repeatable,
        "faults": report.faults,
    }


def _print(report: TearReport) -> None:
    verdict = "[green]old or new each time[/]" if report.ok else "[red]harm was done[/]"
    Console().print(
        f"[bold]{report.story}[/], seed {report.seed}: {report.objects} objects change in "
        f"{report.writes} writes\n"
        f"  {report.write_cuts} cuts at a write, {report.recovery_cuts} in the recovery after it, "
        f"{report.command_cuts} after a command: {report.cuts} cuts, {verdict}"
        + ("" if report.is_repeatable else "\n  the story cannot be played twice: not played again")
    )
