"""The Calypso card's command table, filled by the modules of `commands`.

A product has a part of it: the rows that its profile names, of which an application keeps those whose
option it has. What is left out is unknown to the card: an instruction without any row is refused with
6D00, parameters without a row with 6B00.

Source: calypso-card §1.2 (options), §1.3 (what each product type can do), §4.0 (index of commands).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from cardbench.emulator.chassis import CommandTable, bits, exactly
from cardbench.protocol.calypso.startup import ApplicationOption

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.chassis import Answer
    from cardbench.protocol.apdu import CommandApdu

    Handler: TypeAlias = Callable[[CalypsoCard, CommandApdu], Answer]
    """Carries out a command."""
    Declaration: TypeAlias = Callable[[Handler], Handler]
    """Enters a handler into the table."""

COMMANDS: Final[CommandTable[CalypsoCard]] = CommandTable("Calypso card")

ZERO: Final = exactly(0x00)
SFI: Final = bits("SFI×8", 0x07, 0x00)
SFI_ONE_RECORD: Final = bits("SFI×8 + 4", 0x07, 0x04)
SFI_RECORDS: Final = bits("SFI×8 + 5", 0x07, 0x05)
SFI_SEARCH: Final = bits("SFI×8 + 7", 0x07, 0x07)

ANYWHERE: Final = "anywhere"
OUTSIDE: Final = "outside a session"
INSIDE: Final = "in a session"
"""Where a row is allowed; elsewhere it is refused with 6985 (calypso-card §4.23)."""

MODIFIES: Final = "modifies"
"""Trait of the commands that are charged to the session buffer (calypso-card §5.5)."""
UNDIGESTED: Final = "not digested"
"""Trait of the commands that a session's MAC leaves out (calypso-card §5.2)."""
NEEDS_KEY: Final = "no PKI session"
"""Trait of the commands that work with a symmetric key: in a PKI session they are refused with 6985."""
NEEDS_PIN: Final = "option PIN"
NEEDS_STORED_VALUE: Final = "option Stored Value"
NEEDS_EXTENDED_MODE: Final = "option extended mode"
NEEDS_PKI_MODE: Final = "option PKI mode"

_OPTIONS: Final = {
    NEEDS_PIN: ApplicationOption.PIN.value,
    NEEDS_STORED_VALUE: ApplicationOption.STORED_VALUE.value,
    NEEDS_EXTENDED_MODE: ApplicationOption.EXTENDED_MODE.value,
    NEEDS_PKI_MODE: ApplicationOption.PKI_MODE.value,
}


def product_table(names: Collection[str], options: int) -> CommandTable[CalypsoCard]:
    """Return the commands of an application.

    Args:
        names: rows that the product has, by name.
        options: option bits of the application, as far as the product knows them.
    """
    missing = frozenset(trait for trait, bit in _OPTIONS.items() if not options & bit)
    return COMMANDS.subset(lambda row: row.name in names and not row.traits & missing)
