"""The command table of the SAM; the modules of `commands` fill it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from cardbench.emulator.chassis import CommandTable

if TYPE_CHECKING:
    from cardbench.sam_emulator.card import SamCard

UNLOCKED: Final = "unlocked"
"""Trait of a command that a locked SAM refuses with 6985."""
EXTENDED: Final = "extended mode"
"""Trait of a command that only products with the extended mode have."""
MULTIPLE: Final = "update multiple"
"""Trait of Digest Update Multiple, which not every product has."""

TABLE: Final[CommandTable[SamCard]] = CommandTable("Legacy SAM")


@cache
def product_table(*, extended: bool, update_multiple: bool) -> CommandTable[SamCard]:
    """Return the rows of a product; what it does not have is unknown to it."""
    missing = {
        trait for trait, has in ((EXTENDED, extended), (MULTIPLE, update_multiple)) if not has
    }
    return TABLE.subset(lambda row: not row.traits & missing)
