"""Card protocols: which physical protocol a card in a reader speaks, told by its answer to reset.

The names are those that terminal applications know from Keyple's plug-ins. A reader is told which
physical protocols to look for, and by which logical name selections call them. A reader that knows its cards'
protocols itself, such as one for storage cards in a plug-in, says so (`TellsProtocol`); it may have names of
its own.

Source: terminal-api §3.1 (`ConfigurableCardReader`), §6 (names); pcsc (regular expressions over the ATR).
"""

from __future__ import annotations

import re
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection


@unique
class PhysicalProtocol(StrEnum):
    """Physical protocols that an ATR can tell."""

    ISO_14443_4 = "ISO_14443_4"
    INNOVATRON_B_PRIME_CARD = "INNOVATRON_B_PRIME_CARD"
    ISO_7816_3 = "ISO_7816_3"


# In the order they are tried: Innovatron B' cards show an ATR that would be taken for a contact one.
_PATTERNS: tuple[tuple[PhysicalProtocol, re.Pattern[str]], ...] = (
    (PhysicalProtocol.INNOVATRON_B_PRIME_CARD, re.compile("3B8.8001(80)?5A0A.*")),
    (PhysicalProtocol.ISO_14443_4, re.compile("3B8.8001(?!.*5A0A)(?!804F0CA000000306).*")),
    (PhysicalProtocol.ISO_7816_3, re.compile("3.*")),
)


@runtime_checkable
class TellsProtocol(Protocol):
    """What a reader may offer besides `Reader`: it knows its cards' physical protocols itself."""

    @property
    def physical_protocols(self) -> Collection[str]:
        """Names of all that it can tell."""
        ...

    @property
    def physical_protocol(self) -> str | None:
        """Name of the present card's; None: it cannot tell, and the ATR decides."""
        ...


def physical_protocol(atr: bytes, *, is_contactless: bool) -> PhysicalProtocol | None:
    """Tell the physical protocol of a card by its ATR; None if it is none that is known.

    Args:
        atr: answer to reset, or what a contactless reader gives in its place.
        is_contactless: how the reader reaches its cards.
    """
    text = atr.hex().upper()
    for protocol, pattern in _PATTERNS:
        if is_contactless is (protocol is PhysicalProtocol.ISO_7816_3):
            continue
        if pattern.fullmatch(text):
            return protocol
    return None
