"""Stories: what a terminal does with the cards in its readers, told in steps.

A story is a function of a `Stage`. It knows readers, never what sits in them, and says what it needs as
data. It tells its steps in the field's words:

    def play(stage: Stage) -> None:
        with stage.step("Select the application"):
            fci, _ = select(stage.card, AID)
            stage.note(f"serial number {to_hex(fci.serial)}")
        stage.conclude(serial=to_hex(fci.serial))

Each step knows how many APDUs and exchanges it cost with each reader. An error of the one error tree ends
the story; so does `StoryFailed`, where everything worked but the promised end was not reached.

Source: our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

from cardbench.protocol.errors import UsageError
from cardbench.scenarios.trace import Role
from cardbench.terminal.card import CardChannel, Journal
from cardbench.terminal.readers import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from types import TracebackType

    from cardbench.emulator.chassis import Entropy
    from cardbench.protocol.errors import CardbenchError
    from cardbench.scenarios.needs import Needs
    from cardbench.scenarios.permission import Change
    from cardbench.scenarios.trace import Recorded
    from cardbench.scenarios.world import World

Fact: TypeAlias = "str | int | bool | list[Fact] | dict[str, Fact] | None"
"""What a story may conclude: anything that JSON can hold exactly; bytes as hexadecimal text."""

PARTIES = {Role.CARD: "card", Role.SAM: "SAM"}
"""Who sits at the other end, as journals call them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A story.

    Attributes:
        name: what it is called on the command line.
        summary: one line.
        needs: what must be in each reader.
        changes: what it changes on the card; see `cardbench.scenarios.permission`.
        play: tells the story.
    """

    name: str
    summary: str
    needs: Mapping[Role, Needs]
    play: Callable[[Stage], None]
    changes: frozenset[Change] = frozenset()


class Step:
    """One step of a story; a context manager that counts what happens within it.

    Attributes:
        title: what is done, in the field's words.
        notes: what was seen or decided.
        traffic: by role, exchanges and APDUs of this step.
        tape: the part of the tape that belongs to the step.
        ok: whether the step came to its end.
    """

    __slots__ = ("_before", "_stage", "notes", "ok", "tape", "title", "traffic")

    def __init__(self, stage: Stage, title: str) -> None:
        self._stage = stage
        self._before: dict[Role, Traffic] = {}
        self.title = title
        self.notes: list[str] = []
        self.traffic: dict[Role, Traffic] = {}
        self.tape = slice(0)
        self.ok = False

    def __enter__(self) -> Self:
        self._before = self._stage.traffic()
        self.tape = slice(len(self._stage.tape), None)
        self._stage.begin(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.ok = kind is None
        self.tape = slice(self.tape.start, len(self._stage.tape))
        for role, (exchanges, apdus) in self._stage.traffic().items():
            before = self._before[role]
            self.traffic[role] = Traffic(exchanges - before.exchanges, apdus - before.apdus)
        self._stage.end(self)


class Stage:
    """Where a story is played: channels to the readers, the time, and a place to tell the steps.

    Args:
        world: cards, readers, clock and seed.
        on_step: told of each step that has ended.

    Attributes:
        steps: the steps that have ended.
        facts: what the story concluded.
        journal: the exchanges with every reader, in order; what came before the count is left out.
        tape: the entries of the world's tape.
    """

    def __init__(self, world: World, *, on_step: Callable[[Step], None] | None = None) -> None:
        self._world = world
        self._on_step = on_step
        self._channels = {role: CardChannel(reader) for role, reader in world.readers.items()}
        self._before = {role: Traffic(0, 0) for role in self._channels}
        self.journal = Journal()
        for role, channel in self._channels.items():
            channel.party = PARTIES[role]
            channel.observer = self.journal
        self._open: list[Step] = []
        self.tape: list[Recorded] = world.tape.entries
        self.steps: list[Step] = []
        self.facts: dict[str, Fact] = {}

    @property
    def card(self) -> CardChannel:
        """The channel to the card."""
        return self.channel(Role.CARD)

    @property
    def sam(self) -> CardChannel:
        """The channel to the SAM."""
        return self.channel(Role.SAM)

    def channel(self, role: Role) -> CardChannel:
        """Return the channel to the reader of a role.

        Raises:
            UsageError: the story did not say that it needs one.
        """
        try:
            return self._channels[role]
        except KeyError:
            raise UsageError(f"this story has no {role}: its needs do not name one") from None

    @property
    def now(self) -> datetime:
        """The date and time."""
        return self._world.now()

    def entropy(self, purpose: str) -> Entropy:
        """Return a seeded generator for the terminal's own random numbers."""
        return self._world.entropy(f"terminal/{purpose}")

    def step(self, title: str) -> Step:
        """Return a step, to be used as a context manager; steps may be nested."""
        return Step(self, title)

    def note(self, text: str) -> None:
        """Note what was seen or decided, in the innermost step that is open.

        Raises:
            UsageError: no step is open.
        """
        if not self._open:
            raise UsageError(f"no step is open to note {text!r} in")
        self._open[-1].notes.append(text)

    def conclude(self, **facts: Fact) -> None:
        """Add to what the story concludes."""
        self.facts.update(facts)

    def traffic(self) -> dict[Role, Traffic]:
        """Return exchanges and APDUs so far, by role; what came before the count is left out."""
        return {
            role: Traffic(
                channel.exchanges - self._before[role].exchanges,
                channel.apdus - self._before[role].apdus,
            )
            for role, channel in self._channels.items()
        }

    def count_from_here(self) -> None:
        """Leave out of the story's count what came before: the terminal's preparation.

        The preparation is kept among the facts. Not within a step: steps count by themselves.
        """
        self._before = {role: channel.traffic for role, channel in self._channels.items()}
        self.journal.clear()
        self.facts["exchanges_before"] = {
            str(role): traffic.exchanges for role, traffic in self._before.items()
        }

    def begin(self, step: Step) -> None:
        """Take note of a step that begins; a step does this by itself."""
        self._open.append(step)

    def end(self, step: Step) -> None:
        """Take note of a step that has ended; a step does this by itself."""
        self._open.remove(step)
        self.steps.append(step)
        if self._on_step is not None:
            self._on_step(step)

    def close(self) -> None:
        """Close the channels."""
        for channel in self._channels.values():
            channel.close()


class StoryResult(NamedTuple):
    """How a story went.

    Attributes:
        story, backend, seed: what was run; on software cards the three reproduce it.
        error: why it did not come to the end that it promises; None: it did.
        elapsed_ms: how long the story took, without personalising or looking at cards.
        traffic: exchanges and APDUs by role.
        steps: the steps that ended, the one that failed last.
        facts: what the story concluded.
        journal: the exchanges with every reader, in order, as the traffic counts them.
    """

    story: str
    backend: str
    seed: int
    error: CardbenchError | None
    elapsed_ms: float
    traffic: Mapping[Role, Traffic]
    steps: tuple[Step, ...]
    facts: Mapping[str, Fact]
    journal: Journal

    @property
    def ok(self) -> bool:
        """Whether the story came to the end that it promises."""
        return self.error is None
