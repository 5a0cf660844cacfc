"""Pulling: play a story while the card, or the SAM, is taken out of its reader, at every point.

Two moments for every command that the story sends to either of them, each in a world that starts in the
same state:

* before the command arrives;
* when it was carried out, and its answer is on the way.

After each pull it is judged:

* the story ended in the error that is documented for it (`prescribed.py`): `CardRemoved`;
  `CryptoModuleUnreachable` while the card has not committed, `CardMacNotVerifiable` when it has; and nothing
  at all where only the answer to the ratification command is lost;
* the terminal's image of the card shows a state that the card was in at one of its commands, and the one it
  is in now if the session was committed;
* card and SAM hold what the commands that were carried out have made of them, no more and no less;
* the same readers play the whole story with the next card;
* the pulled card comes back half a minute later to a gate: a validation that was cut off is recovered
  without a second trip, one that was ratified is anti-passback;
* it comes back an hour later, and the story ends as it does on a card in that state that was never pulled.

The judge reads the memory of card and SAM, which no terminal can; the bench itself must therefore plug them
in, and the readers must see at once that a card has gone: `in-process`, or PC/SC by `rootless`.

Source: our choice; the rules that are judged by are in `prescribed.py` and `judge.py`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

from cardbench.emulator.calypso.structure import TRANSACTION_COUNTER_KEY
from cardbench.protocol.errors import CardbenchError, CardMacNotVerifiable, UsageError
from cardbench.scenarios import runner
from cardbench.scenarios.around import ReaderAround
from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.campaigns.facts import differences, facts_of_card, facts_of_image
from cardbench.scenarios.campaigns.judge import faults_of_a_cut, is_counted
from cardbench.scenarios.campaigns.prescribed import (
    Moment,
    Pull,
    is_abort,
    is_ratified_after,
    is_recent_at,
    prescribed_error,
)
from cardbench.scenarios.needs import CalypsoCardNeeds
from cardbench.scenarios.stories.story import Stage
from cardbench.scenarios.ticketing.gate import Gate
from cardbench.scenarios.ticketing.model import File
from cardbench.scenarios.ticketing.terminal import select_sam
from cardbench.scenarios.trace import Role
from cardbench.terminal.calypso import CalypsoCard
from cardbench.terminal.card import CardChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cardbench.emulator.chassis import Key, Snapshot, SoftwareCard, Value
    from cardbench.protocol.link import Card
    from cardbench.scenarios.backends import Backend, Hand
    from cardbench.scenarios.campaigns.facts import Facts
    from cardbench.scenarios.stories.story import Story
    from cardbench.scenarios.trace import Recorded
    from cardbench.scenarios.world import World
    from cardbench.terminal.readers import Reader
    from cardbench.terminal.selection import CardSelectionResult

HALF_A_MINUTE_S = 30.0
HOUR_S = 3600.0
ANTI_PASSBACK = "anti-passback"
RECOVERED = "recovered"


@dataclass(slots=True)
class PullReport:
    """What a campaign found.

    Attributes:
        story, backend, seed: what was played; on the same backend the seed reproduces every pull.
        commands: by role, how many commands the story sends when nothing is pulled.
        card_pulls, sam_pulls: how many pulls were made.
        outcomes: how often the story ended in which error; `unnoticed` where it came to its end.
        recovered, refused: how often a gate recovered the card that came back at once, and how often it
            refused it as just used.
        faults: what was wrong, one sentence each; empty when all is well.
    """

    story: str
    backend: str
    seed: int
    commands: dict[Role, int] = field(default_factory=dict)
    card_pulls: int = 0
    sam_pulls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    recovered: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def planned(self) -> int:
        """How many pulls there are to be made, once the story was rehearsed."""
        return len(Moment) * sum(self.commands.values())

    @property
    def pulls(self) -> int:
        """All pulls that were made."""
        return self.card_pulls + self.sam_pulls

    @property
    def ok(self) -> bool:
        """Whether every pull ended as it must."""
        return not self.faults


class _State(NamedTuple):
    """What a card holds between two commands."""

    objects: Mapping[Key, Value]
    snapshot: Snapshot


class _Watched:
    """A card behind whose every command something is done, before the answer leaves."""

    def __init__(self, card: Card, behind: Callable[[], None]) -> None:
        self._card = card
        self._behind = behind
        self.power_on = card.power_on
        self.reset = card.reset
        self.power_off = card.power_off
        self.deselect = card.deselect

    @property
    def answer_delay_s(self) -> float:
        return self._card.answer_delay_s

    def transmit(self, command: bytes) -> bytes:
        response = self._card.transmit(command)
        self._behind()
        return response


class _Emptied(ReaderAround):
    """Implements `Reader` over another one, which a hand empties before a command leaves."""

    def __init__(self, reader: Reader, hand: Hand, number: int) -> None:
        super().__init__(reader)
        self._hand = hand
        self._left = number

    def transmit(self, command: bytes) -> bytes:
        if self._left == 0:
            self._hand.remove()
        self._left -= 1
        return self._reader.transmit(command)


class PullCampaign:
    """Pulls card and SAM out of one story.

    Args:
        story: what to play.
        seed: where all randomness comes from.
        backend: how the cards come to the terminal; None: in this process.
        on_pull: told of each pull that was judged.
    """

    def __init__(
        self,
        story: Story,
        *,
        seed: int = 0,
        backend: Backend | None = None,
        on_pull: Callable[[Pull], None] | None = None,
    ) -> None:
        self._story = story
        self._on_pull = on_pull
        self._world: World = runner.world_for(story, backend or open_backend("in-process"))
        self.report = PullReport(story.name, self._world.backend.name, seed)
        needs = story.needs[Role.CARD]
        self._aid = needs.aid if isinstance(needs, CalypsoCardNeeds) else None
        self._meets_gates = (
            isinstance(needs, CalypsoCardNeeds)
            and Role.SAM in story.needs
            and any(need.sfi == File.EVENTS for need in needs.files)
        )
        self._cards: dict[Role, SoftwareCard[object]] = {}
        self._next_cards: dict[Role, SoftwareCard[object]] = {}
        self._start: list[tuple[SoftwareCard[object], Snapshot]] = []
        self._states: dict[Role, list[_State]] = {}
        self._facts: list[Facts] = []
        self._undisturbed: list[Recorded] = []
        self._end_of_a_second_run: type[CardbenchError] | None = None
        self._image: CalypsoCard | None = None

    def run(self) -> PullReport:
        """Make every pull and return the report.

        Raises:
            UsageError: the backend cannot plug cards in.
            ReaderError: a reader cannot be had.
            CardbenchError: the story fails even with nothing pulled.
        """
        with self._world as world:
            if world.hands.keys() != self._story.needs.keys():
                raise UsageError(
                    f"the backend {world.backend.name} fills no readers: cards that somebody else put "
                    f"there are not pulled from here"
                )
            self._make_cards()
            self._rehearse()
            for pull in self._planned():
                self._make(pull)
        return self.report

    def _planned(self) -> Iterator[Pull]:
        for role, count in self.report.commands.items():
            for number in range(count):
                for moment in Moment:
                    yield Pull(role, number, moment)

    # Playing

    def _make_cards(self) -> None:
        """Make the cards that are pulled, and for each a next one."""
        world, seed = self._world, self.report.seed
        world.start(seed)
        for role, needs in self._story.needs.items():
            for purpose, cards in ((str(role), self._cards), (f"next {role}", self._next_cards)):
                card = needs.personalise(entropy=world.entropy(purpose), clock=world.clock)
                cards[role] = cast("SoftwareCard[object]", card)
        everyone = (*self._cards.values(), *self._next_cards.values())
        self._start = [(card, card.snapshot()) for card in everyone]

    def _begin(self, around: Mapping[Role, Callable[[], None]] | None = None) -> None:
        """Put everything back to the start, and plug the cards in afresh.

        Args:
            around: by role, what is done behind each of its commands.
        """
        for card, snapshot in self._start:
            card.restore(snapshot)
        self._world.start(self.report.seed)
        plugged: dict[Role, Card] = dict(self._cards)
        for role, behind in (around or {}).items():
            plugged[role] = _Watched(plugged[role], behind)
        self._world.plug(plugged)

    def _play(self) -> None:
        stage = Stage(self._world)
        stage.card.on_selection = self._take_image
        try:
            self._story.play(stage)
        finally:
            stage.close()

    def _take_image(self, found: CardSelectionResult) -> None:
        card = found.active_smart_card
        if isinstance(card, CalypsoCard):
            self._image = card

    def _outcome(self) -> CardbenchError | None:
        """Play; return the error that the story ends in."""
        try:
            self._play()
        except CardbenchError as error:
            return error
        return None

    def _rehearse(self) -> None:
        """Play with nothing pulled, to learn what each command changes and how a second run ends."""
        cards = self._cards

        def watcher(role: Role) -> Callable[[], None]:
            def note() -> None:
                self._states[role].append(
                    _State(cards[role].memory.objects(), cards[role].snapshot())
                )

            return note

        self._begin({role: watcher(role) for role in cards})
        for role in cards:
            self._states[role] = []
            watcher(role)()
        self._play()
        self._undisturbed = list(self._world.tape.entries)
        self.report.commands = {role: len(states) - 1 for role, states in self._states.items()}
        self._come_back(dict(cards), HOUR_S)
        second = self._outcome()
        self._end_of_a_second_run = None if second is None else type(second)
        self._read_states()

    def _read_states(self) -> None:
        """Read, as a terminal does, what the card holds behind each command."""
        if self._aid is None:
            return
        card = self._cards[Role.CARD]
        channel = CardChannel(self._world.readers[Role.CARD])
        before: Mapping[Key, Value] = {}
        for state in self._states[Role.CARD]:
            if state.objects != before:
                card.restore(state.snapshot)
                self._world.plug({Role.CARD: card})
                self._facts.append(facts_of_card(channel, self._aid))
            else:
                self._facts.append(self._facts[-1])
            before = state.objects

    def _come_back(self, cards: Mapping[Role, Card], later_s: float) -> None:
        self._world.plug(cards)
        self._world.clock.advance(later_s)

    # One pull

    def _make(self, pull: Pull) -> None:
        error = self._play_pulled(pull)
        self.report.outcomes["unnoticed" if error is None else type(error).__name__] += 1
        if pull.role is Role.CARD:
            self.report.card_pulls += 1
        else:
            self.report.sam_pulls += 1
        for fault in self._judged(pull, error):
            self.report.faults.append(f"{pull}: {fault}")
        if self._on_pull is not None:
            self._on_pull(pull)

    def _play_pulled(self, pull: Pull) -> CardbenchError | None:
        """Play the story, pulling at one point; return what it ended in."""
        world, role = self._world, pull.role
        hand = world.hands[role]
        self._image = None
        if pull.moment is Moment.BEFORE_ANSWER:
            self._begin({role: _at(pull.number, hand.remove)})
            return self._outcome()
        self._begin()
        whole = world.readers[role]
        world.readers[role] = _Emptied(whole, hand, pull.number)
        try:
            return self._outcome()
        finally:
            world.readers[role] = whole

    def _judged(self, pull: Pull, error: CardbenchError | None) -> Iterator[str]:
        yield from self._judge_error(pull, error)
        done = self._carried_out(pull)
        yield from self._judge_image(error, done[Role.CARD])
        left = {}
        for role, card in self._cards.items():
            card.power_off()
            card.power_on()
            yield from self._judge_memory(role, done[role], card)
            card.power_off()
            left[role] = card.snapshot()
        yield from self._judge_next_card(pull)
        if self._meets_gates:
            self._restore(left)
            yield from self._judge_return(done[Role.CARD])
        self._restore(left)
        yield from self._judge_second_run(done[Role.CARD])

    def _restore(self, left: Mapping[Role, Snapshot]) -> None:
        now_s = self._world.clock.now_s
        for role, snapshot in left.items():
            self._cards[role].restore(snapshot)
        self._world.clock.now_s = now_s

    def _judge_error(self, pull: Pull, error: CardbenchError | None) -> Iterator[str]:
        prescribed = prescribed_error(pull, self._undisturbed)
        if (None if error is None else type(error)) is not prescribed:
            wanted = "no error" if prescribed is None else prescribed.__name__
            yield f"the terminal ended in {_named(error)}, prescribed is {wanted}"

    def _carried_out(self, pull: Pull) -> dict[Role, int]:
        """Count the commands that each has carried out; an abort that followed the pull not among them."""
        done: dict[Role, int] = {}
        for role in self._cards:
            if role is pull.role:
                done[role] = pull.number + (pull.moment is Moment.BEFORE_ANSWER)
            else:
                answered = [each.sent for each in self._world.tape.apdus(role) if each.received]
                aborts = role is Role.CARD and bool(answered) and is_abort(answered[-1])
                done[role] = min(len(answered) - aborts, self.report.commands[role])
        return done

    def _judge_image(self, error: CardbenchError | None, done: int) -> Iterator[str]:
        image = self._image
        if image is None or not self._facts:
            return
        shown = facts_of_image(image)
        is_now = error is None or isinstance(error, CardMacNotVerifiable)
        states = self._facts[done : done + 1] if is_now else self._facts[: done + 1]
        found = [differences(shown, state) for state in reversed(states)]
        if all(found):
            which = "the card's" if is_now else "any state of the card"
            yield f"the terminal's image is not {which}: {', '.join(found[0])}"

    def _judge_memory(self, role: Role, done: int, card: SoftwareCard[object]) -> Iterator[str]:
        state, found = self._states[role][done].objects, card.memory.objects()
        who = "the SAM" if role is Role.SAM else "the card"
        if TRANSACTION_COUNTER_KEY in state:
            for fault in faults_of_a_cut(state, state, found):
                yield f"{who}: {fault}"
        for key in state.keys() | found.keys():
            if state.get(key) != found.get(key):
                name = "/".join(map(str, key))
                yield f"{who}: {name} is not as its last command left it"

    def _judge_next_card(self, pull: Pull) -> Iterator[str]:
        """Play the whole story with the next card, and the next SAM if that was pulled."""
        self._world.plug({role: self._next_cards[role] for role in {Role.CARD, pull.role}})
        error = self._outcome()
        if error is not None:
            yield f"the reader does not serve the next card: {_named(error)}"

    def _judge_return(self, done: int) -> Iterator[str]:
        """Let the card come back to a gate at once."""
        self._come_back(dict(self._cards), HALF_A_MINUTE_S)
        world = self._world
        before = self._facts[done]
        gate = Gate(select_sam(world.readers[Role.SAM]), now=world.now)
        try:
            passage = gate.validate(CardChannel(world.readers[Role.CARD]))
        except CardbenchError as error:
            yield f"a gate that it comes back to ends in {_named(error)}"
            return
        reason = passage.reason
        if not is_recent_at(gate.policy.location, before["record", int(File.EVENTS), 1]):
            prescribed = ""
        elif is_ratified_after(done, self._undisturbed):
            prescribed = ANTI_PASSBACK
            self.report.refused += 1
        else:
            prescribed = RECOVERED
            self.report.recovered += 1
        met = next((word for word in (ANTI_PASSBACK, RECOVERED) if reason.startswith(word)), "")
        if met != prescribed:
            yield f"a gate that it comes back to says {reason or 'pass'!r}, not {prescribed or 'pass'!r}"
        if passage.is_open != (prescribed != ANTI_PASSBACK) and not (reason and not met):
            yield f"a gate that it comes back to is {'open' if passage.is_open else 'closed'}"
        if prescribed:
            assert self._aid is not None
            after = facts_of_card(CardChannel(world.readers[Role.CARD]), self._aid)
            if after != before:
                yield "a gate that it comes back to takes something, or gives it"

    def _judge_second_run(self, done: int) -> Iterator[str]:
        """Let the card come back an hour later, and the story be played again."""
        self._come_back(dict(self._cards), HOUR_S)
        error = self._outcome()
        got = None if error is None else type(error)
        last = self._states[Role.CARD]
        is_at_its_end = _same(last[done].objects, last[-1].objects)
        expected = self._end_of_a_second_run if is_at_its_end else None
        if got is not expected:
            wanted = "come to its end" if expected is None else f"end in {expected.__name__}"
            yield f"played again it ends in {_named(error)}; it should {wanted}"


def _at(number: int, act: Callable[[], object]) -> Callable[[], None]:
    """Return what acts when it is called for the time of that number, from 0."""
    left = number

    def count() -> None:
        nonlocal left
        if left == 0:
            act()
        left -= 1

    return count


def _named(error: CardbenchError | None) -> str:
    return "no error" if error is None else f"{type(error).__name__}: {error}"


def _same(one: Mapping[Key, Value], other: Mapping[Key, Value]) -> bool:
    """Whether two states differ in nothing but what the card counts for itself."""
    keys = one.keys() | other.keys()
    return all(one.get(key) == other.get(key) for key in keys if not is_counted(key))
