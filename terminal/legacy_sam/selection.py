"""Selection of a Legacy SAM: by its ATR, no command needed.

Source: legacy-sam §2.2 (recognition patterns), §9.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.errors import MalformedCardData
from cardbench.terminal.card.extension import CardSelectionRequest
from cardbench.terminal.legacy_sam.sam import LegacySam, SamProductType
from cardbench.terminal.selection.selectors import BasicCardSelector

if TYPE_CHECKING:
    from cardbench.terminal.card.extension import CardSelectionResponse

ANY_SERIAL = ".{8}"


def sam_selector(
    product_type: SamProductType | None = None, *, serial: str = ANY_SERIAL
) -> BasicCardSelector:
    """Return a selector for SAMs of a product.

    Args:
        product_type: which product; None or `UNKNOWN`: any card.
        serial: regular expression for the serial number in upper-case hex, eight digits.
    """
    pattern = (product_type or SamProductType.UNKNOWN).value.atr_pattern
    return BasicCardSelector(power_on_data=pattern.format(serial=serial))


class LegacySamSelection:
    """Selection extension for SAMs; implements `CardSelectionExtension`."""

    def card_selection_request(self) -> CardSelectionRequest:
        """Send nothing: the ATR says all."""
        return CardSelectionRequest()

    def parse(self, response: CardSelectionResponse) -> LegacySam:
        """Make the SAM's image.

        Raises:
            MalformedCardData: the reader gave no ATR.
        """
        if response.power_on_data is None:
            raise MalformedCardData("a SAM is told by its ATR, and the reader gave none")
        return LegacySam(response.power_on_data)
