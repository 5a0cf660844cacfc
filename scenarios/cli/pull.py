"""`cardbench pull`: a story with card and SAM pulled out at every command."""

from __future__ import annotations

from rich.console import Console

from cardbench.protocol.errors import CardbenchError, UsageError
from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.campaigns.prescribed import Pull
from cardbench.scenarios.campaigns.pull import PullCampaign, PullReport
from cardbench.scenarios.cli.campaigns import drawn, progress, worst
from cardbench.scenarios.cli.show import counted, print_json
from cardbench.scenarios.stories import find_story
from cardbench.scenarios.trace import LABELS

SEES_AT_ONCE = ("in-process", "rootless")
"""Backends to pull from; pcscd polls vpcd, and a card that comes back between two polls never left."""


class PullDidHarm(CardbenchError):
    """A pull ended in another way than is documented, or spoiled card, SAM or reader."""


def pull(name: str, *, backend: str, seed: int | None, as_json: bool) -> None:
    """Pull card and SAM out of a story and print the count of pulls.

    Raises:
        PullDidHarm: a pull did harm; the text says which.
        UsageError: no such story, or a backend that is not for pulling.
        CardbenchError: the story fails with nothing pulled.
    """
    if backend not in SEES_AT_ONCE:
        raise UsageError(
            f"the backend {backend} is not for pulling: choose {' or '.join(SEES_AT_ONCE)}, which the bench "
            f"fills and which see at once that a card has gone"
        )
    seed = drawn(seed)
    with progress(f"pulling {name}", quiet=as_json) as show:

        def tell(made: Pull) -> None:
            show(made, campaign.report.planned)

        campaign = PullCampaign(
            find_story(name), seed=seed, backend=open_backend(backend), on_pull=tell
        )
        report = campaign.run()
    if as_json:
        print_json(_as_json(report))
    else:
        _print(report)
    if not report.ok:
        raise PullDidHarm(
            f"{name}, seed {seed}: {counted(len(report.faults), 'fault')}: {worst(report.faults)}"
        )


def _as_json(report: PullReport) -> dict[str, object]:
    return {
        "story": report.story,
        "backend": report.backend,
        "seed": report.seed,
        "ok": report.ok,
        "commands": dict(report.commands),
        "card_pulls": report.card_pulls,
        "sam_pulls": report.sam_pulls,
        "pulls": report.pulls,
        "outcomes": dict(report.outcomes),
        "recovered": report.recovered,
        "refused": report.refused,
        "faults": report.faults,
    }


def _print(report: PullReport) -> None:
    console = Console(highlight=False)
    commands = " and ".join(
        f"{counted(count, 'command')} to the {LABELS[role]}"
        for role, count in report.commands.items()
    )
    console.print(f"[bold]{report.story}[/], seed {report.seed}: {commands}")
    verdict = "[green]each ended as it must[/]" if report.ok else "[red]harm was done[/]"
    console.print(
        f"  {counted(report.card_pulls, 'pull')} of the card, {report.sam_pulls} of the SAM: "
        f"{report.pulls} pulls, {verdict}"
    )
    told = ", ".join(f"{outcome} {count}" for outcome, count in report.outcomes.most_common())
    console.print(f"  the terminal ended in: {told}")
    if report.recovered or report.refused:
        console.print(
            f"  back at a gate: {report.recovered} recovered, {report.refused} refused as just used"
        )
