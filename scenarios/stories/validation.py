"""Stories of a gate: it lets a passenger through and takes a trip; with the SAM prepared; and comes back.

Seven exchanges with the card and three with the SAM: the published sequence for fast embedded terminals.
With the challenge fetched in advance the SAM takes two.

Source: sequences §7, §8 (challenge in advance), §14 (ratification and recovery).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import CalypsoIns, WriteAccessLevel
from cardbench.protocol.errors import CardRemoved
from cardbench.scenarios.around import ReaderAround
from cardbench.scenarios.errors import StoryFailed
from cardbench.scenarios.permission import Change
from cardbench.scenarios.stories.story import Story
from cardbench.scenarios.stories.transport import begin_with_sam, card_needs, needs
from cardbench.scenarios.ticketing.gate import Gate
from cardbench.terminal.card import CardChannel

if TYPE_CHECKING:
    from cardbench.scenarios.stories.story import Stage
    from cardbench.scenarios.ticketing.gate import Passage
    from cardbench.terminal.readers import Reader

NEEDS = needs(card_needs(WriteAccessLevel.DEBIT))


def play(stage: Stage) -> None:
    """Tell the story."""
    gate = Gate(begin_with_sam(stage), now=lambda: stage.now)
    _conclude(stage, gate.validate(stage.card, stage))


def _conclude(stage: Stage, passage: Passage) -> None:
    stage.conclude(
        gate="open" if passage.is_open else "closed",
        reason=passage.reason or None,
        contract=passage.contract or None,
        trips_left=passage.trips_left,
    )


VALIDATION = Story(
    name="validation",
    summary="a gate lets a passenger through and takes a trip, in one secure session",
    needs=NEEDS,
    play=play,
    changes=frozenset({Change.TICKETS}),
)


def play_prefetched(stage: Stage) -> None:
    """Validate with the SAM's challenge fetched before the card comes."""
    gate = Gate(begin_with_sam(stage), now=lambda: stage.now)
    with stage.step("Fetch the challenge of the next session, before a card is there"):
        gate.setting.init_crypto_context_for_next_transaction()
    stage.count_from_here()
    _conclude(stage, gate.validate(stage.card, stage))


VALIDATION_PREFETCHED = Story(
    name="validation-prefetched",
    summary="a validation whose SAM challenge was fetched while nobody waited",
    needs=NEEDS,
    play=play_prefetched,
    changes=frozenset({Change.TICKETS}),
)


class _CardPulledAtClose(ReaderAround):
    """A reader whose card leaves when it has answered Close, before the terminal has the answer.

    It resets the card without deselecting it, as a card that leaves the field; so any reader can play it.
    """

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self._is_pulled = False

    def transmit(self, command: bytes) -> bytes:
        answer = self._reader.transmit(command)
        if command[1] == CalypsoIns.CLOSE_SECURE_SESSION:
            self._is_pulled = True
            self._reader.reset()
            raise CardRemoved(f"{self.name}: the card left before its answer to Close arrived")
        return answer

    def disconnect(self) -> None:
        if not self._is_pulled:
            self._reader.disconnect()


def play_recovery(stage: Stage) -> None:
    """Lose a card at Close; let it come back and pass without paying twice."""
    gate = Gate(begin_with_sam(stage), now=lambda: stage.now)
    with stage.step("Validate a card that leaves before its answer to Close arrives"):
        try:
            gate.validate(CardChannel(_CardPulledAtClose(stage.card.reader)))
        except CardRemoved as error:
            stage.note(str(error))
        else:
            raise StoryFailed("the validation did not notice that the card had left")
    passage = gate.validate(stage.card, stage)
    if passage.reason != "recovered":
        raise StoryFailed(f"the card was not recovered: {passage.reason or 'it paid again'}")
    _conclude(stage, passage)


RECOVERY = Story(
    name="recovery",
    summary="a card that left too early comes back: it passes, and pays once",
    needs=NEEDS,
    play=play_recovery,
    changes=frozenset({Change.TICKETS}),
)
