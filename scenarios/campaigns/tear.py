"""Tearing: play a story while the card's power fails, at every place where it can.

Three kinds of cut, each in a world of its own that starts in the same state:

* at every physical write of the card's memory: before it, inside it and after it;
* after each of those, at every write of the recovery that the next power-up runs, before, inside and
  after it;
* after every command: the card has carried it out, its answer is lost.

After each cut the card is powered up again and judged:

* its memory is as before the command that was cut or as behind it, never mixed; what a card counts before
  it does the work, and the money in its purse, have rules of their own (`judge.py`);
* the story, played again an hour later, comes to its end: where it can be played twice at all.

The story itself may notice a cut as a reader error, or as `StoryFailed` where it reads on with a card that
is no longer as it left it; any other error is a fault.

The judge reads the card's memory, which no terminal can; the cards must therefore be plugged in by the
bench itself, in this process.

Source: our choice (DESIGN idea 3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, cast

from cardbench.emulator.calypso.structure import TRANSACTION_COUNTER_KEY
from cardbench.emulator.chassis import Moment, SoftwareCard, Tear
from cardbench.protocol.errors import CardbenchError, ReaderError, UsageError
from cardbench.protocol.link import PowerLoss
from cardbench.scenarios import runner
from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.campaigns.judge import faults_of_a_cut, is_counted
from cardbench.scenarios.errors import StoryFailed
from cardbench.scenarios.stories.story import Stage
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cardbench.emulator.chassis import Key, Snapshot, Value
    from cardbench.protocol.link import Card
    from cardbench.scenarios.stories.story import Story
    from cardbench.scenarios.world import World

HOUR_S = 3600.0


class Cut(NamedTuple):
    """One power failure.

    Attributes:
        place: `write`, `recovery` or `command`.
        number: which write or command, from 0; for a recovery, the write that was cut first.
        moment: relative to the write; None for a command.
        recovery_write: for a recovery, which of its writes.
        recovery_moment: for a recovery, relative to that write.
    """

    place: str
    number: int
    moment: Moment | None = None
    recovery_write: int | None = None
    recovery_moment: Moment | None = None

    def __str__(self) -> str:
        moment = f"{self.moment.value} " if self.moment else "after "
        text = f"{moment}{'command' if self.place == 'command' else 'write'} {self.number}"
        if self.recovery_write is not None and self.recovery_moment is not None:
            text += (
                f", then {self.recovery_moment.value} write {self.recovery_write} of the recovery"
            )
        return text


@dataclass(slots=True)
class TearReport:
    """What a campaign found.

    Attributes:
        story, seed: what was played; the two reproduce every cut.
        objects: how many objects of the card's memory the story changes.
        writes: physical writes of the story when nothing is cut.
        write_cuts, recovery_cuts, command_cuts: how many cuts were made.
        is_repeatable: the story can be played twice on one card, and was, behind each cut.
        faults: what was wrong, one sentence each; empty when all is well.
    """

    story: str
    seed: int
    objects: int = 0
    writes: int = 0
    write_cuts: int = 0
    recovery_cuts: int = 0
    command_cuts: int = 0
    is_repeatable: bool = True
    faults: list[str] = field(default_factory=list)

    @property
    def cuts(self) -> int:
        """All cuts."""
        return self.write_cuts + self.recovery_cuts + self.command_cuts

    @property
    def ok(self) -> bool:
        """Whether every cut left the card old or new, and able to go on."""
        return not self.faults


class _State(NamedTuple):
    """The card's memory between two commands: writes so far, and the objects."""

    writes: int
    objects: dict[Key, Value]


class _Between:
    """A card on whose wire something is done behind every command.

    Args:
        card: the card.
        behind: called when a command was carried out, or the card deselected; before the answer leaves.
    """

    def __init__(self, card: Card, behind: Callable[[bool], None]) -> None:
        self._card = card
        self._behind = behind
        self.activations = 0
        self.power_off = card.power_off

    def power_on(self) -> bytes:
        self.activations += 1
        return self._card.power_on()

    def reset(self) -> bytes:
        self.activations += 1
        return self._card.reset()

    @property
    def answer_delay_s(self) -> float:
        return self._card.answer_delay_s

    def transmit(self, command: bytes) -> bytes:
        response = self._card.transmit(command)
        self._behind(True)
        return response

    def deselect(self) -> None:
        self._card.deselect()
        self._behind(False)


class TearCampaign:
    """Tears one story; a context manager that holds the world.

    Args:
        story: what to play; it needs a Calypso card.
        seed: where all randomness comes from.
        on_cut: told of each cut that was judged.
    """

    def __init__(
        self, story: Story, *, seed: int = 0, on_cut: Callable[[Cut], None] | None = None
    ) -> None:
        self._story = story
        self._on_cut = on_cut
        self._world: World = runner.world_for(story, open_backend("in-process"))
        self.report = TearReport(story.name, seed)
        self._start: dict[Role, Snapshot] = {}
        self._cards: dict[Role, SoftwareCard[object]] = {}
        self._states: list[_State] = []
        self._behind_command: list[int] = []

    def run(self) -> TearReport:
        """Make every cut and return the report.

        Raises:
            UsageError: the story's card is no Calypso card: it has no sessions to judge; or the story
                takes the card away itself.
            CardbenchError: the story fails even with nothing cut.
        """
        with self._world as world:
            runner.prepare(self._story, world, self.report.seed)
            self._cards = {
                role: cast("SoftwareCard[object]", card) for role, card in world.cards.items()
            }
            if TRANSACTION_COUNTER_KEY not in self._card.memory:
                raise UsageError(
                    f"{self._story.name} cannot be torn: what is judged is a session of a Calypso card"
                )
            self._start = {role: card.snapshot() for role, card in self._cards.items()}
            self._rehearse()
            for cut in self._write_cuts():
                self._judge(cut)
                self.report.write_cuts += 1
            for number in range(len(self._behind_command)):
                cut = Cut("command", number)
                self._begin(self._answer_loser(number))
                self._play_torn(cut)
                self._judge(cut)
                self.report.command_cuts += 1
        return self.report

    @property
    def _card(self) -> SoftwareCard[object]:
        return self._cards[Role.CARD]

    def _begin(self, behind: Callable[[bool], None] | None = None) -> _Between | None:
        """Put cards and world back to the start and plug the cards in afresh.

        Args:
            behind: what is done behind each command of the card, if anything.

        Returns:
            What was put around the card to do that.
        """
        world = self._world
        for role, card in self._cards.items():
            card.restore(self._start[role])
        world.start(self.report.seed)
        cards: dict[Role, Card] = dict(self._cards)
        between = _Between(self._card, behind) if behind is not None else None
        if between is not None:
            cards[Role.CARD] = between
        world.plug(cards)
        return between

    def _answer_loser(self, number: int) -> Callable[[bool], None]:
        """Return what takes the power away when a command, counted from 0, has been carried out."""
        left = number

        def lose(is_command: bool) -> None:
            nonlocal left
            if not is_command:
                return
            if left == 0:
                self._card.power_off()
                raise PowerLoss
            left -= 1

        return lose

    def _play(self) -> None:
        stage = Stage(self._world)
        try:
            self._story.play(stage)
        finally:
            stage.close()

    def _rehearse(self) -> None:
        """Play once with nothing cut, to learn what each command changes and how often it writes."""
        memory = self._card.memory
        before = memory.writes

        def remember(is_command: bool) -> None:
            self._states.append(_State(memory.writes - before, memory.objects()))
            if is_command:
                self._behind_command.append(len(self._states) - 1)

        watched = self._begin(remember)
        self._states.append(_State(0, memory.objects()))
        self._play()
        if watched is not None and watched.activations > 1:
            raise UsageError(
                f"{self._story.name} cannot be torn: it takes the card away itself and goes on"
            )
        self.report.writes = self._states[-1].writes
        self.report.objects = len(self._changed_keys())
        self.report.is_repeatable = self._can_be_repeated()

    def _changed_keys(self) -> list[Key]:
        first, last = self._states[0].objects, self._states[-1].objects
        keys = first.keys() | last.keys()
        return [k for k in keys if first.get(k) != last.get(k) and not is_counted(k)]

    def _can_be_repeated(self) -> bool:
        self._replug()
        try:
            self._play()
        except CardbenchError:
            return False
        return True

    def _replug(self) -> None:
        """Let the cards come again, an hour later."""
        self._card.power_off()
        self._world.plug(dict(self._cards))
        self._world.clock.advance(HOUR_S)

    def _around(self, cut: Cut) -> tuple[dict[Key, Value], dict[Key, Value]]:
        """Return the objects before the command that is cut, and behind it."""
        if cut.place == "command":
            objects = self._states[self._behind_command[cut.number]].objects
            return objects, objects
        for earlier, later in pairwise(self._states):
            if earlier.writes <= cut.number < later.writes:
                return earlier.objects, later.objects
        raise AssertionError(f"no command makes write {cut.number}")

    def _write_cuts(self) -> Iterator[Cut]:
        """Make every cut of a write and, behind it, every cut of the recovery; yield each, made."""
        memory = self._card.memory
        for write in range(self.report.writes):
            for moment in Moment:
                cut = Cut("write", write, moment)
                self._begin()
                memory.arm(Tear(write, moment))
                self._play_torn(cut)
                if memory.is_armed:
                    memory.arm(None)
                    self.report.faults.append(f"{cut}: the write was never reached")
                self._tear_recovery(cut)
                yield cut

    def _play_torn(self, cut: Cut) -> None:
        """Play a story whose card dies; the terminal sees that, or does not notice at all."""
        try:
            self._play()
        except (ReaderError, StoryFailed):
            pass
        except CardbenchError as error:
            self.report.faults.append(f"{cut}: the terminal saw {type(error).__name__}: {error}")

    def _tear_recovery(self, cut: Cut) -> None:
        card, memory = self._card, self._card.memory
        card.power_off()
        torn = card.snapshot()
        before = memory.writes
        card.power_on()
        writes = memory.writes - before
        recovered = memory.objects()
        for write in range(writes):
            for moment in Moment:
                again = cut._replace(place="recovery", recovery_write=write, recovery_moment=moment)
                card.restore(torn)
                memory.arm(Tear(write, moment))
                try:
                    card.power_on()
                except PowerLoss:
                    card.power_on()
                else:
                    self.report.faults.append(f"{again}: the write was never reached")
                if memory.objects() != recovered:
                    self.report.faults.append(f"{again}: another state than without it")
                self.report.recovery_cuts += 1
        card.restore(torn)

    def _judge(self, cut: Cut) -> None:
        """Power the card up and look at its memory, then let it complete the story."""
        card = self._card
        card.power_off()
        card.power_on()
        before, after = self._around(cut)
        found = card.memory.objects()
        self.report.faults += [f"{cut}: {fault}" for fault in faults_of_a_cut(before, after, found)]
        if self.report.is_repeatable:
            self._replug()
            try:
                self._play()
            except CardbenchError as error:
                self.report.faults.append(f"{cut}: played again, the story ends in: {error}")
        if self._on_cut is not None:
            self._on_cut(cut)
