"""What the Calypso stories have in common: the transport application, its keys, and two first steps.

Source: calypso-card §8.3 (transport application of the test kits), §10.5 (keys).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.file_header import EfType
from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.calypso.startup import ApplicationOption
from cardbench.protocol.hexadecimal import to_hex
from cardbench.scenarios.needs import CalypsoCardNeeds, FileNeed, KeyNeed, PurseNeed, SamNeeds
from cardbench.scenarios.ticketing.model import (
    CONTRACT_COUNT,
    RECORD_SIZE_BYTES,
    VERSION,
    Event,
    File,
    day_number,
)
from cardbench.scenarios.ticketing.terminal import (
    TRANSPORT_AID,
    ApplicationSelection,
    select_sam,
)
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.scenarios.needs import Needs
    from cardbench.scenarios.stories.story import Stage
    from cardbench.terminal.calypso import CalypsoCard
    from cardbench.terminal.legacy_sam import LegacySamCryptoFactory

KVC = 0x74
SESSION_KEYS: Mapping[WriteAccessLevel, tuple[int, int]] = {
    WriteAccessLevel.PERSONALIZATION: (0x21, KVC),
    WriteAccessLevel.LOAD: (0x27, KVC),
    WriteAccessLevel.DEBIT: (0x30, KVC),
}
PIN = b"0000"
BASIC_KEY = (0xEC, 0x85)
TRACEABLE_KEY = (0x2B, 0x19)
LOAD_PURSE_KEY = (0x07, KVC)
DEBIT_PURSE_KEY = (0x10, KVC)

TRANSPORT_FILES = (
    FileNeed(File.ENVIRONMENT, EfType.LINEAR, RECORD_SIZE_BYTES),
    FileNeed(File.EVENTS, EfType.CYCLIC, RECORD_SIZE_BYTES),
    FileNeed(File.CONTRACT_LIST, EfType.LINEAR, RECORD_SIZE_BYTES),
    FileNeed(File.CONTRACTS, EfType.LINEAR, RECORD_SIZE_BYTES, CONTRACT_COUNT),
    FileNeed(File.COUNTERS, EfType.COUNTERS, 3 * CONTRACT_COUNT),
)


def card_needs(
    *levels: WriteAccessLevel,
    preset: str = "bench",
    options: ApplicationOption = ApplicationOption.NONE,
    purse: PurseNeed | None = None,
) -> CalypsoCardNeeds:
    """Return the need of a transport card with the session keys of some levels."""
    return CalypsoCardNeeds(
        aid=TRANSPORT_AID,
        preset=preset,
        options=options,
        files=TRANSPORT_FILES,
        keys=tuple(KeyNeed(level, *SESSION_KEYS[level]) for level in levels),
        purse=purse,
    )


def needs(card: CalypsoCardNeeds, *sam_keys: tuple[int, int]) -> Mapping[Role, Needs]:
    """Return the needs of a story: a card, and a SAM with the card's session keys and others."""
    keys = tuple((need.kif, need.kvc) for need in card.keys)
    return {Role.CARD: card, Role.SAM: SamNeeds(keys=keys + sam_keys)}


def begin_with_sam(stage: Stage) -> LegacySamCryptoFactory:
    """Select the SAM, which takes no exchange."""
    with stage.step("Select the SAM by its ATR"):
        crypto = select_sam(stage.sam)
        stage.note(crypto.sam.product_info)
    return crypto


def select_card(stage: Stage, *reads: tuple[int, int]) -> CalypsoCard:
    """Select the application, reading records along: the first exchange with the card."""
    title = "Select the application"
    if reads:
        title += ", reading " + ", ".join(
            f"SFI {sfi:02X}" for sfi in dict.fromkeys(sfi for sfi, _ in reads)
        )
    with stage.step(title):
        card = ApplicationSelection(TRANSPORT_AID, *reads).select(stage.card)
        stage.note(f"serial number {to_hex(card.serial or b'')}")
    return card


def event_now(stage: Stage, location: int = 1, contract: int = 1) -> Event:
    """Return the record of a validation that happens now."""
    now = stage.now
    return Event(
        VERSION,
        day_number(now.date()),
        now.hour * 60 + now.minute,
        location,
        contract,
        (2, 0, 0, 0),
    )
