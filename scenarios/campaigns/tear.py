"""Tearing: play a story while the card's power fails, at every place where it can.

Three kinds of cut, each in a world of its own that starts in the same state:

* at every physical write of the card's memory: before it, inside it and after it;
* after each of those, at every write of the recovery that the next power-up runs, before, inside and
  after it;
* after every command: the card has carried it out, its answer is lost.

After each cut the card is powered up again and judged:

* the objects that the story changes are all old or all new, never mixed;
* the transaction counter has moved by at most one step, and never back;
* the story, played again an hour later, comes to its end.

The judge reads the card's memory, which no terminal can; the cards must therefore be plugged in by the
bench itself, in this process.

Source: our choice (DESIGN idea 3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

from cardbench.emulator.calypso.structure import TRANSACTION_COUNTER_KEY
from cardbench.emulator.chassis import Moment, SoftwareCard, Tear
from cardbench.protocol.errors import CardbenchError, ReaderError, UsageError
from cardbench.protocol.link import PowerLoss
from cardbench.scenarios import runner
from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.stories.story import Stage
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cardbench.emulator.chassis import Key, Snapshot, Value
    from cardbench.protocol.link import Card
    from cardbench.scenarios.stories.story import Story
    from cardbench.scenarios.world import World

HOUR_S = 3600.0
RATIFIED = "ratified"
"""First part of the keys of ratification flags, which may follow a session in a write of their own."""


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
        faults: what was wrong, one sentence each; empty when all is well.
    """

    story: str
    seed: int
    objects: int = 0
    writes: int = 0
    write_cuts: int = 0
    recovery_cuts: int = 0
    command_cuts: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def cuts(self) -> int:
        """All cuts."""
        return self.write_cuts + self.recovery_cuts + self.command_cuts

    @property
    def ok(self) -> bool:
        """Whether every cut left the card old or new, and able to go on."""
        return not self.faults


class _LosesAnswer:
    """A card that carries out some commands and loses its power before it answers the last of them."""

    def __init__(self, card: Card, after_commands: int) -> None:
        self._card = card
        self._left = after_commands
        self.power_on = card.power_on
        self.reset = card.reset
        self.power_off = card.power_off
        self.deselect = card.deselect

    @property
    def answer_delay_s(self) -> float:
        return self._card.answer_delay_s

    def transmit(self, command: bytes) -> bytes:
        response = self._card.transmit(command)
        if self._left == 0:
            self._card.power_off()
            raise PowerLoss
        self._left -= 1
        return response


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
        self._old: dict[Key, Value] = {}
        self._new: dict[Key, Value] = {}
        self._commands = 0

    def run(self) -> TearReport:
        """Make every cut and return the report.

        Raises:
            UsageError: the story's card is no Calypso card: it has no sessions to judge.
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
            for number in range(self._commands):
                cut = Cut("command", number)
                self._begin(lose_answer_of=number)
                self._play_torn(cut)
                self._judge(cut)
                self.report.command_cuts += 1
        return self.report

    @property
    def _card(self) -> SoftwareCard[object]:
        return self._cards[Role.CARD]

    def _begin(self, *, lose_answer_of: int | None = None) -> None:
        """Put cards and world back to the start and plug the cards in afresh."""
        world = self._world
        for role, card in self._cards.items():
            card.restore(self._start[role])
        world.start(self.report.seed)
        cards: dict[Role, Card] = dict(self._cards)
        if lose_answer_of is not None:
            cards[Role.CARD] = _LosesAnswer(self._card, lose_answer_of)
        world.plug(cards)

    def _play(self) -> None:
        stage = Stage(self._world)
        try:
            self._story.play(stage)
        finally:
            stage.close()

    def _rehearse(self) -> None:
        """Play once with nothing cut, to learn what changes and how often the memory is written."""
        self._begin()
        memory = self._card.memory
        self._old = memory.objects()
        before = memory.writes
        self._play()
        self._new = memory.objects()
        self.report.writes = memory.writes - before
        self.report.objects = len(self._changed_keys())
        self._commands = sum(1 for _ in self._world.tape.apdus(Role.CARD))

    def _changed_keys(self) -> list[Key]:
        keys = self._old.keys() | self._new.keys()
        return [
            key
            for key in keys
            if self._old.get(key) != self._new.get(key)
            and key != TRANSACTION_COUNTER_KEY
            and key[0] != RATIFIED
        ]

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
        """Play a story whose card dies; the terminal must see a reader error, or not notice at all."""
        try:
            self._play()
        except ReaderError:
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
        found = card.memory.objects()
        self._judge_objects(cut, found)
        card.power_off()
        self._world.plug(dict(self._cards))
        self._world.clock.advance(HOUR_S)
        try:
            self._play()
        except CardbenchError as error:
            self.report.faults.append(f"{cut}: played again, the story ends in: {error}")
        if self._on_cut is not None:
            self._on_cut(cut)

    def _judge_objects(self, cut: Cut, found: Mapping[Key, Value]) -> None:
        keys = self._changed_keys()
        is_old = all(found.get(key) == self._old.get(key) for key in keys)
        is_new = all(found.get(key) == self._new.get(key) for key in keys)
        if not is_old and not is_new:
            mixed = ", ".join(
                f"{'/'.join(map(str, key))} "
                + ("old" if found.get(key) == self._old.get(key) else "not old")
                for key in keys
            )
            self.report.faults.append(f"{cut}: mixed state: {mixed}")
        unchanged = [
            key
            for key in self._old
            if key not in keys
            and key != TRANSACTION_COUNTER_KEY
            and key[0] != RATIFIED
            and found.get(key) != self._old[key]
        ]
        if unchanged:
            self.report.faults.append(f"{cut}: changed what the story does not touch: {unchanged}")
        counter, before = found.get(TRANSACTION_COUNTER_KEY), self._old[TRANSACTION_COUNTER_KEY]
        assert isinstance(counter, int)
        assert isinstance(before, int)
        if not 0 <= before - counter <= 1:
            self.report.faults.append(f"{cut}: the transaction counter went {before} to {counter}")
