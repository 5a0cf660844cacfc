"""What the commands print: tables and steps for people, one object for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cardbench.scenarios.cli.doctor import Finding, Standing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
