"""The selection manager: cases are prepared, then run against the card in a reader.

One case, in this order: open the physical channel; protocol filter; power-on data filter; SELECT by DF
name, if there is one; the case's own commands. SELECT and the commands go out in one exchange; nothing
is sent after a SELECT that found nothing.

The first case that matches ends the selection; `multiple` runs them all, and the last match is the
active card. `release_channel` closes the physical channel once, after the last case.

Running and reading are two steps, so that they can happen at two places: `run` gives what came, and
`parse` makes the card images of it. A scenario can travel as JSON to a terminal that runs it, and what
came travels back.

A manager keeps its cases and can be run any number of times, on any reader. It is not thread-safe: it
keeps what its last run brought, for `export_processed`.

Source: terminal-api §3.4, §5, §6; selection-json §6 (algorithm, and why the channel is closed once).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cardbench.protocol.errors import CardError, ProtocolError, UsageError
from cardbench.terminal.card.channel import CardChannel
from cardbench.terminal.card.extension import CardSelectionRequest, CardSelectionResponse
from cardbench.terminal.card.requests import PlainRequest
from cardbench.terminal.selection.selectors import IsoCardSelector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cardbench.terminal.card.extension import CardSelectionExtension, SmartCard
    from cardbench.terminal.card.journal import Journal
    from cardbench.terminal.readers.observation import NotificationMode, ObservableCardReader
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


class ScheduledResponse(NamedTuple):
    """What a run of the cases brought; only its manager can make card images of it."""

    responses: tuple[CardSelectionResponse, ...]

    @property
    def has_matched(self) -> bool:
        """Whether any case matched."""
        return any(response.has_matched for response in self.responses)


class SelectionCase(NamedTuple):
    """A case of a selection.

    Attributes:
        selector: the filters.
        request: what is sent besides SELECT.
        extension: who reads the answers; None for a case from elsewhere, which gives no image.
    """

    selector: BasicCardSelector
    request: CardSelectionRequest
    extension: CardSelectionExtension[Any] | None = None


class CardSelectionManager:
    """Prepares selection cases and runs them.

    Args:
        multiple: run every case instead of stopping at the first match.
        release_channel: close the physical channel after the last case.
    """

    def __init__(self, *, multiple: bool = False, release_channel: bool = False) -> None:
        self.multiple = multiple
        self.release_channel = release_channel
        self._cases: list[SelectionCase] = []
        self._selects: list[PlainRequest | None] = []
        self._processed: ScheduledResponse | None = None

    @property
    def cases(self) -> tuple[SelectionCase, ...]:
        """The prepared cases."""
        return tuple(self._cases)

    def prepare_selection(
        self, selector: BasicCardSelector, extension: CardSelectionExtension[Any]
    ) -> int:
        """Append a case; return its index, from 0.

        The commands of the extension are taken now: what is prepared in it later does not count.
        """
        request = extension.card_selection_request()
        return self._add(
            SelectionCase(selector, request._replace(requests=tuple(request.requests)), extension)
        )

    def _add(self, case: SelectionCase) -> int:
        select = None
        if isinstance(case.selector, IsoCardSelector) and case.selector.select_command is not None:
            select = PlainRequest(
                case.selector.select_command, case.request.success, "Select Application"
            )
        self._cases.append(case)
        self._selects.append(select)
        return len(self._cases) - 1

    # Running

    def process(
        self, reader: Reader | CardChannel, *, journal: Journal | None = None
    ) -> CardSelectionResult:
        """Run the cases on the card in the reader, and make the images.

        Args:
            reader: where the card is.
            journal: notes the exchanges.

        Raises:
            UsageError: no case was prepared, or one filters on protocols and the reader has none
                activated.
            ReaderError: no card, or the link failed.
            ProtocolError, CardError: a matching card's answers do not decode.
        """
        channel = CardChannel.over(reader)
        result = self.parse(self.run(channel, journal=journal))
        if channel.on_selection is not None:
            channel.on_selection(result)
        return result

    def run(
        self, reader: Reader | CardChannel, *, journal: Journal | None = None
    ) -> ScheduledResponse:
        """Run the cases; return what came. Raises as `process`, but for what does not decode."""
        if not self._cases:
            raise UsageError("a selection needs at least one prepared case")
        self._processed = None
        channel = CardChannel.over(reader)
        atr = channel.open()
        responses: list[CardSelectionResponse] = []
        for case, select in zip(self._cases, self._selects, strict=True):
            response = _run(case, select, channel, atr, journal)
            responses.append(response)
            if response.has_matched and not self.multiple:
                break
        if self.release_channel:
            channel.close()
        processed = ScheduledResponse(tuple(responses))
        self._processed = processed
        return processed

    def parse(self, processed: ScheduledResponse) -> CardSelectionResult:
        """Make the images of what a run of these cases brought.

        Raises:
            ProtocolError: more results than cases, a case without the answers to its commands, or
                answers that do not decode.
        """
        if len(processed.responses) > len(self._cases):
            raise ProtocolError(
                f"{len(processed.responses)} result(s) for {len(self._cases)} prepared case(s)"
            )
        found: dict[int, SmartCard] = {}
        active = None
        for index, (case, response) in enumerate(
            zip(self._cases, processed.responses, strict=False)
        ):
            if not response.has_matched or case.extension is None:
                continue
            if len(response.responses) != len(case.request.requests):
                raise ProtocolError(
                    f"case {index}: {len(response.responses)} answer(s) to "
                    f"{len(case.request.requests)} command(s)"
                )
            found[index] = case.extension.parse(response)
            active = index
        return CardSelectionResult(found, active)

    # Observed readers

    def schedule(self, reader: ObservableCardReader, mode: NotificationMode) -> None:
        """Run this selection on each card that comes to an observed reader.

        Raises:
            UsageError: no case was prepared.
        """
        if not self._cases:
            raise UsageError("a selection needs at least one prepared case")
        reader.schedule(self, mode)

    def parse_scheduled(self, response: ScheduledResponse | None) -> CardSelectionResult:
        """Make the images of what an event brought. Raises as `parse`, and for an event without.

        Raises:
            UsageError: the event brought nothing: no selection was scheduled.
        """
        if response is None:
            raise UsageError("the event has no selection response: nothing was scheduled")
        return self.parse(response)

    # JSON

    def export_scenario(self) -> str:
        """Write the cases as JSON, for a terminal elsewhere to run; Keyple can import it too."""
        from cardbench.terminal.selection import scenario_json  # noqa: PLC0415 - pydantic is slow

        return scenario_json.encode_scenario(
            self._cases, multiple=self.multiple, release_channel=self.release_channel
        )

    def import_scenario(self, text: str) -> int:
        """Take over the cases of a JSON scenario in place of those here; return the last index.

        They can be run and their results exported, but give no images: nobody here reads them.

        Raises:
            MalformedScenario: names the place and the fault.
        """
        from cardbench.terminal.selection import scenario_json  # noqa: PLC0415 - pydantic is slow

        scenario = scenario_json.parse_scenario(text)
        self.multiple = scenario.multiple
        self.release_channel = scenario.release_channel
        self._processed = None
        self._cases.clear()
        self._selects.clear()
        for case in scenario.cases:
            self._add(case)
        return len(self._cases) - 1

    def export_processed(self) -> str:
        """Write what the last run brought as JSON.

        Raises:
            UsageError: nothing was run yet, or the last run failed.
        """
        from cardbench.terminal.selection import scenario_json  # noqa: PLC0415 - pydantic is slow

        if self._processed is None:
            raise UsageError("nothing to export: the scenario was not processed yet")
        return scenario_json.encode_processed(self._processed.responses)

    def import_processed(self, text: str) -> CardSelectionResult:
        """Make the images of what another terminal's run of these cases brought.

        Raises:
            MalformedScenario: names the place and the fault.
            ProtocolError: as `parse`.
        """
        from cardbench.terminal.selection import scenario_json  # noqa: PLC0415 - pydantic is slow

        return self.parse(ScheduledResponse(scenario_json.parse_processed(text)))


def _run(
    case: SelectionCase,
    select: PlainRequest | None,
    channel: CardChannel,
    atr: bytes,
    journal: Journal | None,
) -> CardSelectionResponse:
    selector = case.selector
    if selector.protocol is not None and not _has_protocol(channel, selector.protocol):
        return CardSelectionResponse(None, None, has_matched=False)
    if not selector.accepts_power_on_data(atr):
        return CardSelectionResponse(atr, None, has_matched=False)
    requests = case.request.requests
    if select is None:
        must_succeed = len(requests) if case.request.stop_on_unsuccessful else 0
        responses: Sequence[bytes] = ()
        if requests:
            responses = channel.transmit(requests, must_succeed=must_succeed, observer=journal)
        return CardSelectionResponse(atr, None, has_matched=True, responses=tuple(responses))
    must_succeed = 1 + len(requests) if case.request.stop_on_unsuccessful else 1
    try:
        answers = channel.transmit((select, *requests), must_succeed=must_succeed, observer=journal)
    except CardError as error:
        if len(error.responses) > 1:  # not SELECT, but a command that has to succeed
            raise
        return CardSelectionResponse(atr, error.responses[0], has_matched=False)
    return CardSelectionResponse(atr, answers[0], has_matched=True, responses=tuple(answers[1:]))


def _has_protocol(channel: CardChannel, logical: str) -> bool:
    if not channel.has_protocols:
        raise UsageError(
            f"a case filters on protocol {logical!r}, and {channel.name} has no protocol activated"
        )
    return channel.logical_protocol == logical
