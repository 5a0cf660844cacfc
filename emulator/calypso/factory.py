"""Make a new card from a packaged personalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

# The handlers register themselves in the command table.
from cardbench.emulator.calypso import files, selection, session  # noqa: F401
from cardbench.emulator.calypso.card import CalypsoCard
from cardbench.emulator.chassis import Memory
from cardbench.protocol.calypso.suite import load_suite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.emulator.chassis import Clock, Entropy
    from cardbench.protocol.calypso.suite import SymmetricSuite


def new_card(
    preset: str = "bench",
    *,
    entropy: Entropy | None = None,
    clock: Clock | None = None,
    suite: SymmetricSuite | None = None,
    records: Mapping[tuple[int, int], bytes] | None = None,
) -> CalypsoCard:
    """Return a new, powerless card.

    Args:
        preset: name of a packaged personalisation.
        entropy, clock, suite: see `CalypsoCard`.
        records: other first contents, by (SFI, record number) in the first application.

    Raises:
        UsageError: no such preset, file or record.
    """
    from cardbench.emulator.calypso.personalisation import (  # noqa: PLC0415 - pydantic is slow to load
        factory_memory,
        load_preset,
    )

    suite = suite or load_suite()
    personalisation = load_preset(preset).with_records(records or {})
    memory = Memory(factory_memory(personalisation, suite))
    return CalypsoCard(memory, entropy=entropy, clock=clock, suite=suite)
