"""The Calypso card's command table, filled by the modules of handlers.

Source: calypso-card §4.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.chassis import CommandTable, bits, exactly

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard

COMMANDS: Final[CommandTable[CalypsoCard]] = CommandTable("Calypso card")

ZERO = exactly(0x00)
SFI = bits("SFI×8", 0x07, 0x00)
SFI_ONE_RECORD = bits("SFI×8 + 4", 0x07, 0x04)
SFI_RECORDS = bits("SFI×8 + 5", 0x07, 0x05)

MODIFIES = "modifies"
"""Trait of the commands that are charged to the session buffer."""
