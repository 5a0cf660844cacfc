"""Selection of a Calypso card: what is read along with SELECT, and which cards match.

The product is not known yet when the commands are built: they carry the ISO class, which old cards may
refuse. Reads are best effort: what a card does not have is simply not in its image, so one prepared
selection runs on every product.

An invalidated card (6283) does not match, unless `accept_invalidated`.

Source: terminal-api §9; calypso-card §2.1, §2.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cardbench.protocol.calypso.ins import CLA_ISO
from cardbench.protocol.status import StatusWord
from cardbench.terminal.calypso.card import CalypsoCard
from cardbench.terminal.calypso.commands.records import ReadCounter, ReadRecord
from cardbench.terminal.card.extension import CardSelectionRequest
from cardbench.terminal.card.requests import SUCCESS

if TYPE_CHECKING:
    from cardbench.terminal.calypso.commands.base import Command
    from cardbench.terminal.card.extension import CardSelectionResponse

_INVALIDATED = StatusWord.INVALIDATED.to_bytes(2)


class CalypsoSelection:
    """Selection extension for Calypso cards; implements `CardSelectionExtension`.

    Args:
        accept_invalidated: an invalidated card matches too.

    What it prepares may run many times; the results are in the image of each card.
    """

    def __init__(self, *, accept_invalidated: bool = False) -> None:
        self._success = SUCCESS | {StatusWord.INVALIDATED} if accept_invalidated else SUCCESS
        self._commands: list[Command[Any]] = []

    def prepare_read_record(self, sfi: int, record: int = 1) -> None:
        """Read a record, whatever its length.

        Raises:
            UsageError: SFI or record number out of range.
        """
        self._commands.append(ReadRecord(CLA_ISO, sfi, record, 0, is_strict=False))

    def prepare_read_counter(self, sfi: int, number: int) -> None:
        """Read counters 1 to `number`.

        Raises:
            UsageError: SFI or counter number out of range.
        """
        self._commands.append(ReadCounter(CLA_ISO, sfi, number, is_strict=False))

    def card_selection_request(self) -> CardSelectionRequest:
        """Return the prepared commands."""
        return CardSelectionRequest(tuple(self._commands), self._success)

    def parse(self, response: CardSelectionResponse) -> CalypsoCard:
        """Make the card's image.

        Raises:
            ProtocolError: FCI or answers do not decode.
        """
        select = response.select_application_response
        card = CalypsoCard.from_selection(
            response.power_on_data,
            select,
            is_df_invalidated=select is not None and select[-2:] == _INVALIDATED,
        )
        for command, answer in zip(self._commands, response.responses, strict=False):
            if int.from_bytes(answer[-2:]) in SUCCESS:
                command.accept(card, answer)
        return card
