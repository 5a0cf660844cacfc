"""The story `sale`: a sales desk writes a contract of ten trips into a card.

Three exchanges with the card and three with the SAM: the published sequence for distributed systems.

Source: sequences §9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.scenarios.permission import Change
from cardbench.scenarios.stories.story import Story
from cardbench.scenarios.stories.transport import begin_with_sam, card_needs, needs
from cardbench.scenarios.ticketing.sales_desk import SalesDesk

if TYPE_CHECKING:
    from cardbench.scenarios.stories.story import Stage

NEEDS = needs(card_needs(WriteAccessLevel.LOAD))


def play(stage: Stage) -> None:
    """Tell the story."""
    crypto = begin_with_sam(stage)
    sale = SalesDesk(crypto, now=lambda: stage.now).sell(stage.card, stage)
    stage.conclude(
        sold=sale.is_sold,
        reason=sale.reason or None,
        contract=sale.contract or None,
        trips=sale.trips,
    )


SALE = Story(
    name="sale",
    summary="a sales desk writes a contract of ten trips, with as few exchanges as possible",
    needs=NEEDS,
    play=play,
    changes=frozenset({Change.TICKETS}),
)
