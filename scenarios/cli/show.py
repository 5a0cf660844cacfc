"""What the commands print: tables and steps for people, one object for programs."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cardbench.scenarios.cli.doctor import Finding, Standing
from cardbench.scenarios.trace import LABELS, Act, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cardbench.scenarios.stories.story import Step, Story, StoryResult
    from cardbench.scenarios.trace import Role
    from cardbench.scenarios.world import World
    from cardbench.terminal.readers import Traffic

MARKS = {
    Standing.GOOD: "[green]✓[/]",
    Standing.MISSING: "[yellow]–[/]",
    Standing.BROKEN: "[red]✗[/]",
}


def print_json(content: Mapping[str, object]) -> None:
    """Print one JSON object on standard output."""
    print(json.dumps(content, indent=2, ensure_ascii=False))


def print_findings(findings: Sequence[Finding]) -> None:
    """Print what the doctor found: a table, then what to type."""
    console = Console()
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        there = finding.standing is Standing.GOOD
        detail = finding.detail if there else f"{finding.detail}; needed for {finding.serves}"
        table.add_row(MARKS[finding.standing], escape(finding.subject), escape(detail))
    console.print(table)
    lacking = [finding for finding in findings if finding.mend]
    if lacking:
        console.print("\nTo mend it:")
    for finding in lacking:
        console.print(
            f"  {escape(finding.subject)}: [bold]{escape(finding.mend or '')}[/]", soft_wrap=True
        )


def print_stories(stories: Sequence[Story]) -> None:
    """Print a table of stories."""
    table = Table.grid(padding=(0, 2))
    for story in stories:
        table.add_row(
            f"[bold]{story.name}[/]",
            " + ".join(LABELS[role] for role in story.needs),
            escape(story.summary),
        )
    Console().print(table)


def counted(number: int, thing: str) -> str:
    """Write a number and a noun: `1 exchange`, `2 exchanges`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


class StoryPrinter:
    """Prints a story as it is played.

    Args:
        story: what is played.
        world: where; its tape is read.
        with_trace: show every APDU under its step.
        with_secrets: do not hide plain PINs.
        is_repeatable: the same seed gives the same bytes again; a card that lives on does not.
        console: where to print; by default standard output.
    """

    def __init__(
        self,
        story: Story,
        world: World,
        *,
        with_trace: bool = False,
        with_secrets: bool = False,
        is_repeatable: bool = True,
        console: Console | None = None,
    ) -> None:
        self._story = story
        self._is_repeatable = is_repeatable
        self._world = world
        self._with_trace = with_trace
        self._with_secrets = with_secrets
        self._console = console or Console(highlight=False)

    def begin(self, seed: int) -> None:
        """Print what is played."""
        story = self._story
        self._console.print(f"[bold]{story.name}[/]: {escape(story.summary)}", soft_wrap=True)
        self._console.print(f"[dim]backend {self._world.backend.name}, seed {seed}[/]\n")

    def step(self, step: Step) -> None:
        """Print a step that has ended."""
        mark = "[green]✓[/]" if step.ok else "[red]✗[/]"
        spent = ", ".join(
            f"{LABELS[role]} {counted(traffic.exchanges, 'exchange')}, "
            f"{counted(traffic.apdus, 'APDU')}"
            for role, traffic in step.traffic.items()
            if traffic.apdus
        )
        self._console.print(
            f"{mark} {escape(step.title)}" + (f"  [dim]{spent}[/]" if spent else ""), soft_wrap=True
        )
        for note in step.notes:
            self._console.print(f"    {escape(note)}", soft_wrap=True)
        if self._with_trace:
            self._trace(step)

    def tell_again(self, result: StoryResult) -> None:
        """Print a run that is over."""
        self.begin(result.seed)
        for step in result.steps:
            self.step(step)

    def sequence(self, result: StoryResult) -> None:
        """Print the exchanges of a run, one after the other."""
        self._console.print("\n[bold]sequence[/]")
        self._console.print(Text(result.journal.to_text()), soft_wrap=True)

    def end(
        self, last: StoryResult, traffic: Mapping[Role, Traffic], times_ms: Sequence[float]
    ) -> None:
        """Print what it came to, and what plays a failure again.

        Args:
            last: the last run.
            traffic: exchanges and APDUs of all runs.
            times_ms: how long each run took; empty: do not tell.
        """
        verdict = "[green]done[/]" if last.ok else "[red]failed[/]"
        spent = [
            f"{counted(exchanges, f'{LABELS[role]} exchange')} ({counted(apdus, 'APDU')})"
            for role, (exchanges, apdus) in traffic.items()
            if role in last.traffic
        ]
        time = [f"{sum(times_ms):,.1f} ms"] if times_ms else []
        if len(times_ms) > 1:
            time[0] += f" for {len(times_ms):,} runs, median {statistics.median(times_ms):.3f} ms"
        self._console.print(
            f"\n[bold]{last.story}[/] {verdict}: {', '.join(spent + time)}", soft_wrap=True
        )
        if not last.ok and self._is_repeatable:
            self._console.print(
                f"to play it again: cardbench run {last.story} --backend {last.backend} "
                f"--seed {last.seed} --trace",
                soft_wrap=True,
            )

    def _trace(self, step: Step) -> None:
        for entry in self._world.tape.entries[step.tape]:
            if entry.act is not Act.APDU:
                continue
            apdu = shown(entry, with_secrets=self._with_secrets)
            self._console.print(
                Text(f"    {LABELS[apdu.role]:4} > {apdu.command}  {apdu.name}"), soft_wrap=True
            )
            self._console.print(
                Text(f"    {LABELS[apdu.role]:4} < {apdu.response}  {apdu.status}"), soft_wrap=True
            )
