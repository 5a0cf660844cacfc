"""`cardbench tear`: a story with the power cut at every write."""

from __future__ import annotations

import secrets

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cardbench.protocol.errors import CardbenchError
from cardbench.scenarios.campaigns.tear import Cut, TearCampaign, TearReport
from cardbench.scenarios.cli.show import print_json
from cardbench.scenarios.stories import find_story

SHOWN_FAULTS = 10


class CardTorn(CardbenchError):
    """A cut left a card neither old nor new, or unable to go on."""


def tear(name: str, *, seed: int | None, as_json: bool) -> None:
    """Tear a story and print the count of cuts.

    Raises:
        CardTorn: a cut did harm; the text says which.
        CardbenchError: the story fails with nothing cut.
    """
    seed = secrets.randbits(32) if seed is None else seed
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=as_json or not console.is_terminal,
    ) as bar:
        task = bar.add_task(f"tearing {name}", total=None)

        def show(cut: Cut) -> None:
            bar.update(task, description=f"tearing {name}: cut {cut}")

        report = TearCampaign(find_story(name), seed=seed, on_cut=show).run()
    if as_json:
        print_json(_as_json(report))
    else:
        _print(report)
    if not report.ok:
        shown = "; ".join(report.faults[:SHOWN_FAULTS])
        raise CardTorn(f"{name}, seed {seed}: {len(report.faults)} cut(s) did harm: {shown}")


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
