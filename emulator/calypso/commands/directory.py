"""Invalidate and Rehabilitate: the status of the current DF.

Source: calypso-card §4.16; access groups of a DF §3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.emulator.calypso.commands.records import OVERHEAD_BYTES
from cardbench.emulator.calypso.table import COMMANDS, MODIFIES, ZERO
from cardbench.emulator.chassis import Refusal
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.file_header import DfAccess
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.protocol.apdu import CommandApdu

_ANSWERS = (0x9000, 0x6400, 0x6700, 0x6982, 0x6985)
_CASES = frozenset((IsoCase.NO_DATA, IsoCase.DATA_OUT))


def _set_status(card: CalypsoCard, group: DfAccess, *, invalidated: bool) -> bytes:
    application = card.volatile.application
    if card.is_invalidated(application) == invalidated:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    card.check_condition(application.access[group], application.key_levels[group])
    card.modify({application.invalidated_key: int(invalidated)}, cost_bytes=OVERHEAD_BYTES)
    return b""


@COMMANDS.command(
    name="Invalidate",
    ins=CalypsoIns.INVALIDATE,
    p1=ZERO,
    p2=ZERO,
    cases=_CASES,
    answers=_ANSWERS,
    source="calypso-card §4.16",
    traits={MODIFIES},
)
def invalidate(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Invalidate the current DF: it still reads, but writes no more."""
    return _set_status(card, DfAccess.INVALIDATE, invalidated=True)


@COMMANDS.command(
    name="Rehabilitate",
    ins=CalypsoIns.REHABILITATE,
    p1=ZERO,
    p2=ZERO,
    cases=_CASES,
    answers=_ANSWERS,
    source="calypso-card §4.16",
    traits={MODIFIES},
)
def rehabilitate(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Make the invalidated current DF valid again."""
    return _set_status(card, DfAccess.REHABILITATE, invalidated=False)
