"""`cardbench run`: play a story, once or many times, and tell how it went."""

from __future__ import annotations

import os
import secrets
import statistics
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from cardbench.emulator.storage import CardFile
from cardbench.protocol.errors import CardbenchError, UsageError
from cardbench.scenarios import runner
from cardbench.scenarios.backends import KINDS, BackendOptions, open_backend
from cardbench.scenarios.card_files import CALYPSO, SAM, card_in, check_family
from cardbench.scenarios.cli.show import StoryPrinter, print_json
from cardbench.scenarios.stories import find_story
from cardbench.scenarios.trace import Role, shown
from cardbench.terminal.readers import Traffic
from cardbench.terminal.readers.patience import NO_BLOCKING_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from cardbench.protocol.link import Card
    from cardbench.scenarios.stories.story import Story, StoryResult
    from cardbench.scenarios.trace import Tape
    from cardbench.scenarios.world import World

DRAWN_SEED_BITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayOptions:
    """What the user asked for; see the options of `cardbench run`."""

    backend: str
    card_reader: str | None = None
    sam_reader: str | None = None
    allow_write: str | None = None
    card_file: Path | None = None
    sam_file: Path | None = None
    begins: datetime | None = None
    strict_t0: bool = False
    seed: int | None = None
    repeat: int = 1
    as_json: bool = False
    with_trace: bool = False
    with_sequence: bool = False
    as_mermaid: bool = False
    with_secrets: bool = False

    @property
    def is_quiet(self) -> bool:
        """Whether nothing but one document is printed."""
        return self.as_json or self.as_mermaid

    def backend_options(self) -> BackendOptions:
        """Return what concerns the readers."""
        said = {Role.CARD: self.card_reader, Role.SAM: self.sam_reader}
        patterns = {role: pattern for role, pattern in said.items() if pattern is not None}
        return BackendOptions(reader_patterns=patterns, strict_t0=self.strict_t0)


@contextmanager
def brought_cards(options: PlayOptions) -> Iterator[dict[Role, Card]]:
    """Open the card files that the user brings, and close them at the end.

    Raises:
        StorageError: see `CardFile.open`.
        UsageError: another card than the reader is for, or a backend that plugs no cards in.
    """
    plugs = all(kind.plugs for kind in KINDS if kind.name == options.backend)
    if (options.card_file or options.sam_file) and not plugs:
        raise UsageError(
            f"the backend {options.backend} plugs no card in; leave --card and --sam away"
        )
    with ExitStack() as files:
        cards: dict[Role, Card] = {}
        for role, path, family in (
            (Role.CARD, options.card_file, CALYPSO),
            (Role.SAM, options.sam_file, SAM),
        ):
            if path is not None:
                file = files.enter_context(CardFile.open(path))
                check_family(file, family)
                cards[role] = card_in(file)
        yield cards


@dataclass(slots=True)
class Tally:
    """What several runs of one story come to.

    Attributes:
        first_seed: seed of the first run; each further run takes the next.
        traffic: exchanges and APDUs of all runs, by role.
        times_ms: how long each run took.
        last: the last run; the only one that may have failed.
    """

    first_seed: int
    traffic: dict[Role, Traffic] = field(default_factory=lambda: dict.fromkeys(Role, Traffic(0, 0)))
    times_ms: list[float] = field(default_factory=list)
    last: StoryResult | None = None

    def add(self, result: StoryResult) -> None:
        """Count one more run."""
        self.last = result
        self.times_ms.append(result.elapsed_ms)
        for role, (exchanges, apdus) in result.traffic.items():
            so_far = self.traffic[role]
            self.traffic[role] = Traffic(so_far.exchanges + exchanges, so_far.apdus + apdus)


def play(name: str, options: PlayOptions) -> None:
    """Play a story as the options say, and print.

    Raises:
        CardbenchError: it could not begin, or it failed; what there is to tell was told before.
    """
    seed = secrets.randbits(DRAWN_SEED_BITS) if options.seed is None else options.seed
    tally = Tally(seed)
    tape: Tape | None = None
    error: CardbenchError | None = None
    try:
        story = find_story(name)
        if (
            options.backend != KINDS[0].name
        ):  # PC/SC: hear Ctrl-C while another program has the card
            os.environ.setdefault(NO_BLOCKING_VARIABLE, "1")
        backend = open_backend(options.backend, options.backend_options())
        # The files outlive the world: cards are pulled out first.
        with (
            brought_cards(options) as brought,
            runner.world_for(story, backend, epoch=options.begins) as world,
        ):
            tape = world.tape
            _run(story, world, tally, options, brought)
    except CardbenchError as raised:
        error = raised
    if tally.last is not None:
        error = error or tally.last.error
    if options.as_json:
        content = as_json(name, options.backend, tally, error)
        if options.with_trace:
            content["trace"] = _trace(tape, with_secrets=options.with_secrets)
        if options.with_sequence:
            content["sequence"] = (
                []
                if tally.last is None
                else tally.last.journal.as_json(with_secrets=options.with_secrets)
            )
        print_json(content)
    elif options.as_mermaid and tally.last is not None:
        print(tally.last.journal.to_mermaid())
    if error is not None:
        raise error


def _run(
    story: Story, world: World, tally: Tally, options: PlayOptions, brought: dict[Role, Card]
) -> None:
    """Play once, told step by step; or often, with one seed after the other, up to a failure."""
    printer = StoryPrinter(
        story,
        world,
        with_trace=options.with_trace,
        with_secrets=options.with_secrets,
        is_repeatable=not brought,
    )
    if options.repeat == 1:
        on_step = None if options.is_quiet else printer.step
        if on_step:
            printer.begin(tally.first_seed)
        result = runner.run(
            story,
            world,
            seed=tally.first_seed,
            on_step=on_step,
            allow_write=options.allow_write,
            brought=brought,
        )
        tally.add(result)
    else:
        seeds = range(tally.first_seed, tally.first_seed + options.repeat)
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            for seed in bar.track(seeds, description=story.name):
                result = runner.run(
                    story, world, seed=seed, allow_write=options.allow_write, brought=brought
                )
                tally.add(result)
                if not result.ok:
                    break
    if not options.is_quiet and tally.last is not None:
        if options.repeat > 1 and not tally.last.ok:
            printer.tell_again(tally.last)
        if options.with_sequence:
            printer.sequence(tally.last)
        printer.end(tally.last, tally.traffic, tally.times_ms)


def as_json(
    name: str, backend: str, tally: Tally, error: CardbenchError | None
) -> dict[str, object]:
    """Return one object for all runs: counts and times are sums; steps and outcome the last run's."""
    last = tally.last
    content: dict[str, object] = {
        "story": name,
        "backend": backend,
        "ok": error is None,
        "error": None if error is None else {"kind": type(error).__name__, "message": str(error)},
        "seed": tally.first_seed,
        "runs": len(tally.times_ms),
        "last_seed": tally.first_seed if last is None else last.seed,
    }
    for role, (exchanges, apdus) in tally.traffic.items():
        content[f"{role}_exchanges"] = exchanges
        content[f"{role}_apdus"] = apdus
    content["elapsed_ms"] = round(sum(tally.times_ms), 3)
    content["median_ms"] = round(statistics.median(tally.times_ms or [0.0]), 3)
    content["outcome"] = {} if last is None else dict(last.facts)
    content["steps"] = (
        []
        if last is None
        else [
            {
                "title": step.title,
                "ok": step.ok,
                "notes": step.notes,
                "exchanges": {role: spent.exchanges for role, spent in step.traffic.items()},
                "apdus": {role: spent.apdus for role, spent in step.traffic.items()},
            }
            for step in last.steps
        ]
    )
    return content


def _trace(tape: Tape | None, *, with_secrets: bool) -> list[dict[str, str]]:
    """Return the APDUs of the last run."""
    if tape is None:
        return []
    return [
        {
            "reader": each.role,
            "name": each.name,
            "command": each.command,
            "response": each.response,
        }
        for each in (shown(entry, with_secrets=with_secrets) for entry in tape.apdus())
    ]
