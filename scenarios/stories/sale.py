"""The story `sale`: a sales desk writes a contract of ten trips into a card.

Three exchanges with the card and three with the SAM: the published sequence for distributed systems.

Source: sequences §9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.scenarios.needs import CalypsoCardNeeds, KeyNeed, SamNeeds
from cardbench.scenarios.stories.story import Stage, Story
from cardbench.scenarios.stories.validation import TRANSPORT_FILES
from cardbench.scenarios.ticketing.sales_desk import SalesDesk
from cardbench.scenarios.ticketing.terminal import TRANSPORT_AID, select_sam
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.scenarios.needs import Needs

LOAD_KEY = (0x27, 0x74)

NEEDS: Mapping[Role, Needs] = {
    Role.CARD: CalypsoCardNeeds(
        aid=TRANSPORT_AID,
        files=TRANSPORT_FILES,
        keys=(KeyNeed(WriteAccessLevel.LOAD, *LOAD_KEY),),
    ),
    Role.SAM: SamNeeds(keys=(LOAD_KEY,)),
}


def play(stage: Stage) -> None:
    """Tell the story."""
    with stage.step("Select the SAM by its ATR"):
        crypto = select_sam(stage.sam)
        stage.note(crypto.sam.product_info)
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
)
