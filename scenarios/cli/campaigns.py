"""What the commands that play a campaign have in common: a bar while it runs, and how it ends."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DRAWN_SEED_BITS = 32
SHOWN_FAULTS = 10


def drawn(seed: int | None) -> int:
    """Return the seed, or draw one."""
    return secrets.randbits(DRAWN_SEED_BITS) if seed is None else seed


@contextmanager
def progress(title: str, *, quiet: bool) -> Iterator[Callable[[object, int | None], None]]:
    """Show what a campaign is at, on standard error where that is a terminal.

    Args:
        title: what is done to which story.
        quiet: show nothing.

    Yields:
        What to call when one more was judged: with its name, and how many there will be, None: not known.
    """
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as bar:
        task = bar.add_task(title, total=None)

        def show(what: object, total: int | None = None) -> None:
            bar.update(task, description=f"{title}: {what}", total=total, advance=1)

        yield show


def worst(faults: Sequence[str]) -> str:
    """Put the first faults into one sentence."""
    return "; ".join(faults[:SHOWN_FAULTS])
