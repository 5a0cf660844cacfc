"""The story `validation`: a gate lets a passenger through and takes a trip.

Seven exchanges with the card and three with the SAM: the published sequence for fast embedded terminals.

Source: sequences §7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.file_header import EfType
from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.scenarios.needs import CalypsoCardNeeds, FileNeed, KeyNeed, SamNeeds
from cardbench.scenarios.stories.story import Stage, Story
from cardbench.scenarios.ticketing.gate import Gate
from cardbench.scenarios.ticketing.model import CONTRACT_COUNT, RECORD_SIZE_BYTES, File
from cardbench.scenarios.ticketing.terminal import TRANSPORT_AID, select_sam
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.scenarios.needs import Needs

DEBIT_KEY = (0x30, 0x74)

TRANSPORT_FILES = (
    FileNeed(File.ENVIRONMENT, EfType.LINEAR, RECORD_SIZE_BYTES),
    FileNeed(File.EVENTS, EfType.CYCLIC, RECORD_SIZE_BYTES),
    FileNeed(File.CONTRACT_LIST, EfType.LINEAR, RECORD_SIZE_BYTES),
    FileNeed(File.CONTRACTS, EfType.LINEAR, RECORD_SIZE_BYTES, CONTRACT_COUNT),
    FileNeed(File.COUNTERS, EfType.COUNTERS, 3 * CONTRACT_COUNT),
)

NEEDS: Mapping[Role, Needs] = {
    Role.CARD: CalypsoCardNeeds(
        aid=TRANSPORT_AID,
        files=TRANSPORT_FILES,
        keys=(KeyNeed(WriteAccessLevel.DEBIT, *DEBIT_KEY),),
    ),
    Role.SAM: SamNeeds(keys=(DEBIT_KEY,)),
}


def play(stage: Stage) -> None:
    """Tell the story."""
    with stage.step("Select the SAM by its ATR"):
        crypto = select_sam(stage.sam)
        stage.note(crypto.sam.product_info)
    gate = Gate(crypto, now=lambda: stage.now)
    passage = gate.validate(stage.card, stage)
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
)
