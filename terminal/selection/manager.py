"""The selection manager: cases are prepared, then run against the card in a reader.

One case, in this order: open the physical channel; protocol filter; power-on data filter; SELECT by DF
name, if there is one; the case's own commands. SELECT and the commands go out in one exchange; nothing
is sent after a SELECT that found nothing.

The first case that matches ends the selection; `multiple` runs them all, and the last match is the
active card. `release_channel` closes the physical channel once, after the last case.

A manager keeps its cases and can be run any number of times, on any reader. It is not thread-safe.

Source: terminal-api §3.4, §5, §6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cardbench.protocol.errors import CardError, UsageError
from cardbench.terminal.card.channel import CardChannel
from cardbench.terminal.card.extension import CardSelectionResponse
from cardbench.terminal.card.requests import PlainRequest
from cardbench.terminal.selection.selectors import IsoCardSelector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.terminal.card.extension import CardSelectionExtension, SmartCard
    from cardbench.terminal.card.requests import ApduRequest
    from cardbench.terminal.readers.reader import Reader
    from cardbench.terminal.selection.selectors import BasicCardSelector


class CardSelectionResult(NamedTuple):
    """What a selection found.

    Attributes:
        smart_cards: images of the matched cases by index of the case, in increasing order.
        active_selection_index: index of the case that is selected now; None if none matched.
    """

    smart_cards: Mapping[int, SmartCard]
    active_selection_index: int | None

    @property
    def active_smart_card(self) -> SmartCard | None:
        """Image of the case that is selected now."""
        index = self.active_selection_index
        return None if index is None else self.smart_cards[index]


class _Case(NamedTuple):
    selector: BasicCardSelector
    extension: CardSelectionExtension[Any]
    select: PlainRequest | None
    requests: tuple[ApduRequest, ...]
    success: frozenset[int]


class CardSelectionManager:
    """Prepares selection cases and runs them.

    Args:
        multiple: run every case instead of stopping at the first match.
        release_channel: close the physical channel after the last case.
    """

    def __init__(self, *, multiple: bool = False, release_channel: bool = False) -> None:
        self.multiple = multiple
        self.release_channel = release_channel
        self._cases: list[_Case] = []

    def prepare_selection(
        self, selector: BasicCardSelector, extension: CardSelectionExtension[Any]
    ) -> int:
        """Append a case; return its index, from 0.

        The commands of the extension are taken now: what is prepared in it later does not count.
        """
        request = extension.card_selection_request()
        select = None
        if isinstance(selector, IsoCardSelector) and selector.select_command is not None:
            select = PlainRequest(selector.select_command, request.success, "Select Application")
        self._cases.append(
            _Case(selector, extension, select, tuple(request.requests), request.success)
        )
        return len(self._cases) - 1

    def process(self, reader: Reader | CardChannel) -> CardSelectionResult:
        """Run the cases on the card in the reader.

        Raises:
            UsageError: no case was prepared.
            ReaderError: no card, or the link failed.
            ProtocolError, CardError: a matching card's answers do not decode.
        """
        if not self._cases:
            raise UsageError("a selection needs at least one prepared case")
        channel = CardChannel.over(reader)
        atr = channel.open()
        found: dict[int, SmartCard] = {}
        active = None
        for index, case in enumerate(self._cases):
            response = self._run(case, channel, atr)
            if response.has_matched:
                found[index] = case.extension.parse(response)
                active = index
                if not self.multiple:
                    break
        if self.release_channel:
            channel.close()
        return CardSelectionResult(found, active)

    @staticmethod
    def _run(case: _Case, channel: CardChannel, atr: bytes) -> CardSelectionResponse:
        if not case.selector.accepts_power_on_data(atr):
            return CardSelectionResponse(atr, None, has_matched=False)
        if case.select is None:
            responses = channel.transmit(case.requests, must_succeed=0) if case.requests else ()
            return CardSelectionResponse(atr, None, has_matched=True, responses=tuple(responses))
        try:
            answers = channel.transmit((case.select, *case.requests), must_succeed=1)
        except CardError as error:
            return CardSelectionResponse(atr, error.responses[0], has_matched=False)
        return CardSelectionResponse(
            atr, answers[0], has_matched=True, responses=tuple(answers[1:])
        )
