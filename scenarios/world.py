"""A world: the cards, readers, virtual clock and seed of one bench. There is nothing global beside it.

A world is opened over a backend and keeps its readers while it is open. `start` begins afresh: time goes
back to the epoch, the tape is empty, the seed is the given one. The same seed gives the same bytes.

Source: STYLE 24; DESIGN idea 2.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from cardbench.emulator.chassis import Clock, Entropy
from cardbench.protocol.errors import ReaderTimeout, UsageError
from cardbench.scenarios.trace import Tape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from cardbench.protocol.link import Card
    from cardbench.scenarios.backends import Backend, Hand, Seat
    from cardbench.scenarios.trace import Role
    from cardbench.terminal.readers import Reader

EPOCH = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
"""When a world begins: a Monday morning, within the validity of every packaged card."""

PLUG_TIMEOUT_S = 10.0


class World:
    """Cards, readers, virtual clock and seed of one bench; a context manager.

    Args:
        backend: how cards are brought to the terminal.
        seats: which readers are wanted.
        epoch: the date and time at which the virtual clock stands at zero; None: `EPOCH`.

    Attributes:
        cards: the software cards that are plugged in, by role.
        readers: the readers, by role; what they carry is recorded.
        hands: who plugs cards in, by role; roles whose reader nobody here can fill are missing.
        clock: the virtual clock; the cards share it.
        tape: what the readers carried since `start`.
        seed: where all randomness comes from.
        epoch: see above; where none was given, and the bench plugs in no card, the runner sets it to the
            machine's time.
        is_epoch_given: whether it was.
    """

    def __init__(
        self, backend: Backend, seats: Sequence[Seat], *, epoch: datetime | None = None
    ) -> None:
        self.backend = backend
        self.epoch = epoch or EPOCH
        self.is_epoch_given = epoch is not None
        self.clock = Clock()
        self.tape = Tape()
        self.seed = 0
        self.cards: dict[Role, Card] = {}
        self.readers: dict[Role, Reader] = {}
        self.hands: dict[Role, Hand] = {}
        self._seats = tuple(seats)

    def __enter__(self) -> Self:
        """Open the readers.

        Raises:
            ReaderError: a reader cannot be had; what was opened is given back.
        """
        try:
            places = self.backend.open(self._seats, sleep=self.clock.advance)
        except BaseException:
            self.backend.close()
            raise
        for seat, place in zip(self._seats, places, strict=True):
            self.readers[seat.role] = self.tape.record(place.reader, seat.role)
            if place.hand is not None:
                self.hands[seat.role] = place.hand
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the readers back."""
        self.readers.clear()
        self.hands.clear()
        self.cards.clear()
        self.backend.close()

    def start(self, seed: int) -> None:
        """Begin afresh: the clock at zero, an empty tape, this seed."""
        self.seed = seed
        self.clock.now_s = 0.0
        self.tape.entries.clear()

    def entropy(self, purpose: str) -> Entropy:
        """Return a generator of its own for each purpose, so that one does not disturb the other."""
        return Entropy(f"{self.seed}/{purpose}".encode())

    def now(self) -> datetime:
        """Return the world's date and time."""
        return self.epoch + timedelta(seconds=self.clock.now_s)

    def plug(self, cards: Mapping[Role, Card]) -> None:
        """Put software cards in, and wait until the readers see them.

        Raises:
            UsageError: nobody here can fill that reader.
            ReaderTimeout: a reader does not see its card.
        """
        for role, card in cards.items():
            hand = self.hands.get(role)
            if hand is None:
                raise UsageError(f"the backend {self.backend.name} cannot plug a {role} in")
            reader = self.readers[role]
            before = reader.state()
            hand.insert(card)
            state = reader.wait_for_change(before.changes, PLUG_TIMEOUT_S)
            if not state.present:  # a card that was there before is seen to leave first
                state = reader.wait_for_change(state.changes, PLUG_TIMEOUT_S)
            if not state.present:
                raise ReaderTimeout(f"{reader.name}: the {role} that was plugged in is not seen")
            self.cards[role] = card
