"""Run a story in a world: see to its needs, play it, measure it.

An edge: it measures real time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cardbench.protocol.errors import CardbenchError, UsageError
from cardbench.scenarios.backends import Seat
from cardbench.scenarios.errors import NeedsNotMet
from cardbench.scenarios.foreign import explained
from cardbench.scenarios.permission import check_permission
from cardbench.scenarios.stories.story import Stage, StoryResult
from cardbench.scenarios.trace import LABELS, Role
from cardbench.scenarios.world import World
from cardbench.terminal.card import CardChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cardbench.protocol.link import Card
    from cardbench.scenarios.backends import Backend
    from cardbench.scenarios.stories.story import Step, Story


def real_time() -> datetime:
    """Return the machine's date and time."""
    return datetime.now(UTC)


def seats_of(story: Story) -> tuple[Seat, ...]:
    """Return the readers that a story wants."""
    return tuple(Seat(role, needs.is_contactless) for role, needs in story.needs.items())


def world_for(story: Story, backend: Backend, *, epoch: datetime | None = None) -> World:
    """Return a world with the readers that a story wants, not opened yet.

    It begins at `epoch`; without it, see `World` and `prepare`.
    """
    return World(backend, seats_of(story), epoch=epoch)


def prepare(
    story: Story,
    world: World,
    seed: int,
    *,
    allow_write: str | None = None,
    brought: Mapping[Role, Card] | None = None,
) -> None:
    """Begin afresh: fresh software cards where the bench plugs them, a look at the card elsewhere.

    Where the bench plugs in no card at all, and no other date was given, the date and time are the
    machine's: the cards remember what was done with them before.

    Args:
        story: what will be played.
        world: an open world with the readers that the story wants.
        seed: where all randomness comes from.
        allow_write: serial number, in hexadecimal, of a card elsewhere that the story may change.
        brought: software cards of the user's own, by role: plugged in as they are, and looked at.

    Raises:
        NeedsNotMet: a card that is present lacks something; the text names it all.
        WriteNotAllowed: the story would change a card that `allow_write` does not name.
        ReaderError: no card, or no link to it.
        UsageError: a card is brought for a reader that the story does not have, or that nobody can fill.
    """
    brought = brought or {}
    for role in brought:
        if role not in story.needs:
            raise UsageError(f"the story {story.name} needs no {LABELS[role]}")
    world.start(seed)
    if not world.hands and not world.is_epoch_given:
        world.epoch = real_time()
    missing: list[str] = []
    for role, needs in story.needs.items():
        if role in brought:
            world.plug({role: brought[role]})
        elif role in world.hands:
            card = needs.personalise(entropy=world.entropy(role), clock=world.clock)
            world.plug({role: card})
        if role in brought or role not in world.hands:
            channel = CardChannel(world.readers[role])
            missing.extend(needs.missing(channel))
            channel.close()
    if missing:
        raise NeedsNotMet(story.name, missing)
    check_permission(story, world, allow_write)
    world.tape.entries.clear()  # the story's own traffic alone is told


def run(
    story: Story,
    world: World,
    *,
    seed: int,
    on_step: Callable[[Step], None] | None = None,
    allow_write: str | None = None,
    brought: Mapping[Role, Card] | None = None,
) -> StoryResult:
    """Prepare the cards and play the story once.

    An error of the error tree becomes part of the result; anything else is a fault of the program and
    is raised. Where card and SAM of others refuse each other's cryptography the error says why.

    Args:
        story: what to play.
        world: an open world with the readers that the story wants.
        seed: where all randomness comes from.
        on_step: told of each step that has ended; the time that takes is not the story's.
        allow_write: see `prepare`.
        brought: software cards of the user's own, by role; what the story changes on them stays.

    Raises:
        NeedsNotMet, WriteNotAllowed, ReaderError, UsageError: the story could not begin.
    """
    prepare(story, world, seed, allow_write=allow_write, brought=brought)
    telling_s = 0.0

    def tell(step: Step) -> None:
        nonlocal telling_s
        if on_step is not None:
            begun = time.perf_counter()
            on_step(step)
            telling_s += time.perf_counter() - begun

    stage = Stage(world, on_step=tell)
    error: CardbenchError | None = None
    begun = time.perf_counter()
    try:
        story.play(stage)
    except CardbenchError as raised:
        error = explained(raised, story, world)
    elapsed_ms = (time.perf_counter() - begun - telling_s) * 1000
    traffic = stage.traffic()
    stage.close()
    return StoryResult(
        story.name,
        world.backend.name,
        seed,
        error,
        elapsed_ms,
        traffic,
        tuple(stage.steps),
        stage.facts,
        stage.journal,
    )
