"""A card of no particular kind, and its selection: the smallest card solution on the Card API.

Source: terminal-api §19.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cardbench.protocol.errors import UsageError
from cardbench.terminal.card.extension import CardSelectionRequest
from cardbench.terminal.card.requests import SUCCESS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cardbench.terminal.card.extension import CardSelectionResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class GenericCard:
    """What selection says of a card.

    Attributes:
        power_on_data: ATR, or what the reader gives in its place.
        select_application_response: answer to SELECT, status word included; None if none was sent.
    """

    power_on_data: bytes | None
    select_application_response: bytes | None


class GenericCardSelection:
    """Selection extension for any card; implements `CardSelectionExtension`.

    Args:
        extra_status_words: status words of SELECT that count as a match, besides 9000.

    Raises:
        UsageError: a status word out of range.
    """

    def __init__(self, extra_status_words: Iterable[int] = ()) -> None:
        extra = frozenset(extra_status_words)
        for sw in extra:
            if not 0 <= sw <= 0xFFFF:
                raise UsageError(f"status word {sw:X}; allowed: 0000 to FFFF")
        self._success = SUCCESS | extra

    def card_selection_request(self) -> CardSelectionRequest:
        """Send nothing besides SELECT."""
        return CardSelectionRequest((), self._success)

    def parse(self, response: CardSelectionResponse) -> GenericCard:
        """Make the card's image."""
        return GenericCard(
            power_on_data=response.power_on_data,
            select_application_response=response.select_application_response,
        )
