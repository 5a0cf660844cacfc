"""The command table of the SAM; the modules of `commands` fill it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.chassis import CommandTable

if TYPE_CHECKING:
    from cardbench.sam_emulator.card import SamCard

UNLOCKED: Final = "unlocked"
"""Trait of a command that a locked SAM refuses with 6985."""

TABLE: Final[CommandTable[SamCard]] = CommandTable("Legacy SAM")
