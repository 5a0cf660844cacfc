"""Selection scenarios and their results as JSON, in the form that Keyple reads and writes.

A scenario is an object of four properties; three more make it importable by Keyple as "neutral" cases. A
result is an array with one element for each case that was run. A reader of either takes the text of the
document, or that text once more wrapped as a JSON string.

Bytes are hexadecimal: upper case when written, any case when read. Properties that are not known are
ignored; an optional one that is absent is left out when written.

Source: selection-json §2 (scenario), §3 (result), §4.4 (what Keyple needs), §5 (escaping), §7 (faults).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic.alias_generators import to_camel

from cardbench.protocol.errors import ProtocolError, UsageError
from cardbench.terminal.card.extension import CardSelectionRequest, CardSelectionResponse
from cardbench.terminal.card.requests import PlainRequest
from cardbench.terminal.selection.manager import SelectionCase
from cardbench.terminal.selection.selectors import (
    BasicCardSelector,
    FileControlInformation,
    FileOccurrence,
    IsoCardSelector,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_KEYPLE = "org.eclipse.keyple.core.service."
ISO_SELECTOR_CLASS = _KEYPLE + "IsoCardSelectorAdapter"
BASIC_SELECTOR_CLASS = _KEYPLE + "BasicCardSelectorAdapter"
NEUTRAL_SELECTION_CLASS = _KEYPLE + "InternalDto$CardSelectionAdapter"


class MalformedScenario(ProtocolError):
    """A scenario, or the result of one, is not what the format allows.

    Attributes:
        place: where in the document, such as `cardSelectors.0.aid`; empty for the whole.
        reason: what is wrong there.
    """

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(place, reason)

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}" if self.place else self.reason


def _hex_in(value: object) -> object:
    return bytes.fromhex(value) if isinstance(value, str) else value


def _hex_out(value: bytes) -> str:
    return value.hex().upper()


def _word_in(value: object) -> object:
    return (
        str(value) if isinstance(value, int) else value
    )  # Keyple's importer takes 9000 for "9000"


def _words_out(values: Iterable[int]) -> list[str]:
    return [f"{value:04X}" for value in sorted(values, reverse=True)]


def _words_in(values: Iterable[str]) -> frozenset[int]:
    return frozenset(int(value, 16) for value in values)


Bytes = Annotated[bytes, BeforeValidator(_hex_in), PlainSerializer(_hex_out)]
Word = Annotated[str, BeforeValidator(_word_in), Field(pattern="^[0-9A-Fa-f]{4}$")]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


class _Selector(_Model):
    logical_protocol_name: str | None = None
    power_on_data_regex: str | None = None
    aid: Bytes | None = None
    file_occurrence: Literal["FIRST", "LAST", "NEXT", "PREVIOUS"] | None = None
    file_control_information: Literal["FCI", "FCP", "FMD", "NO_RESPONSE"] | None = None


class _ApduRequest(_Model):
    apdu: Annotated[Bytes, Field(min_length=4)]
    successful_status_words: Annotated[list[Word], Field(min_length=1)]
    info: str | None = None


class _CardRequest(_Model):
    apdu_requests: Annotated[list[_ApduRequest], Field(min_length=1)]
    stop_on_unsuccessful_status_word: bool


class _SelectionRequest(_Model):
    card_request: _CardRequest | None = None
    successful_selection_status_words: Annotated[list[Word], Field(min_length=1)]


class _Selection(_Model):
    card_selection_request: _SelectionRequest


class _Scenario(_Model):
    multi_selection_processing: Literal["FIRST_MATCH", "PROCESS_ALL"]
    channel_control: Literal["KEEP_OPEN", "CLOSE_AFTER"]
    card_selectors: Annotated[list[_Selector], Field(min_length=1)]
    default_card_selections: Annotated[list[_Selection], Field(min_length=1)]


class _ApduResponse(_Model):
    apdu: Annotated[Bytes, Field(min_length=2)]
    status_word: Word


class _CardResponse(_Model):
    apdu_responses: list[_ApduResponse]
    is_logical_channel_open: bool = False


class _Response(_Model):
    has_matched: bool
    power_on_data: str | None = None
    select_application_response: _ApduResponse | None = None
    card_response: _CardResponse | None = None


class Scenario(NamedTuple):
    """A scenario that was read.

    Attributes:
        cases: filters and commands; nobody here reads the answers.
        multiple: run every case.
        release_channel: close the physical channel after the last case.
    """

    cases: tuple[SelectionCase, ...]
    multiple: bool
    release_channel: bool


def encode_scenario(
    cases: Sequence[SelectionCase],
    *,
    multiple: bool,
    release_channel: bool,
    for_keyple: bool = True,
) -> str:
    """Write a scenario.

    Args:
        cases: at least one.
        multiple: run every case instead of stopping at the first match.
        release_channel: close the physical channel after the last case.
        for_keyple: add what Keyple needs to import it.

    Raises:
        UsageError: there is no case.
    """
    if not cases:
        raise UsageError("a scenario needs at least one case")
    selections = [_dump(_selection(case.request)) for case in cases]
    document: dict[str, Any] = {
        "multiSelectionProcessing": "PROCESS_ALL" if multiple else "FIRST_MATCH",
        "channelControl": "CLOSE_AFTER" if release_channel else "KEEP_OPEN",
        "cardSelectors": [_dump(_selector(case.selector)) for case in cases],
        "defaultCardSelections": selections,
    }
    if for_keyple:
        document["cardSelectorsTypes"] = [
            ISO_SELECTOR_CLASS
            if isinstance(case.selector, IsoCardSelector)
            else BASIC_SELECTOR_CLASS
            for case in cases
        ]
        document["cardSelectionsTypes"] = [NEUTRAL_SELECTION_CLASS] * len(cases)
        document["cardSelections"] = selections
    return json.dumps(document, separators=(",", ":"))


def _dump(model: _Model) -> dict[str, Any]:
    return model.model_dump(by_alias=True, exclude_none=True)


def _selector(selector: BasicCardSelector) -> _Selector:
    fields: dict[str, object] = {
        "logical_protocol_name": selector.protocol,
        "power_on_data_regex": selector.power_on_data,
    }
    if isinstance(selector, IsoCardSelector):
        fields["aid"] = selector.aid
        fields["file_occurrence"] = selector.occurrence.name
        fields["file_control_information"] = selector.file_control_information.name
    return _Selector.model_validate(fields)


def _selection(request: CardSelectionRequest) -> _Selection:
    card_request = None
    if request.requests:
        card_request = _CardRequest(
            apdu_requests=[
                _ApduRequest(
                    apdu=one.apdu,
                    successful_status_words=_words_out(one.success),
                    info=one.name,
                )
                for one in request.requests
            ],
            stop_on_unsuccessful_status_word=request.stop_on_unsuccessful,
        )
    return _Selection(
        card_selection_request=_SelectionRequest(
            card_request=card_request,
            successful_selection_status_words=_words_out(request.success),
        )
    )


ModelT = TypeVar("ModelT", bound=_Model)


def _load(text: str) -> object:
    try:
        document = json.loads(text)
        return json.loads(document) if isinstance(document, str) else document
    except (json.JSONDecodeError, TypeError) as error:
        raise MalformedScenario("", f"no JSON: {error}") from None


def _validate(model: type[ModelT], value: object, place: str = "") -> ModelT:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        parts = [place, *(str(part) for part in first["loc"])]
        raise MalformedScenario(".".join(filter(None, parts)), first["msg"]) from None


def parse_scenario(text: str) -> Scenario:
    """Read a scenario.

    Raises:
        MalformedScenario: names the place and the fault.
    """
    model = _validate(_Scenario, _load(text))
    if len(model.card_selectors) != len(model.default_card_selections):
        raise MalformedScenario(
            "defaultCardSelections",
            f"{len(model.default_card_selections)} of them for {len(model.card_selectors)} selector(s)",
        )
    cases = []
    for index, (selector, selection) in enumerate(
        zip(model.card_selectors, model.default_card_selections, strict=True)
    ):
        try:
            cases.append(
                SelectionCase(_to_selector(selector), _to_request(selection.card_selection_request))
            )
        except UsageError as error:
            raise MalformedScenario(f"cardSelectors.{index}", str(error)) from None
    return Scenario(
        tuple(cases),
        multiple=model.multi_selection_processing == "PROCESS_ALL",
        release_channel=model.channel_control == "CLOSE_AFTER",
    )


def _to_selector(model: _Selector) -> BasicCardSelector:
    if model.aid is None and model.file_occurrence is None:
        return BasicCardSelector(
            protocol=model.logical_protocol_name, power_on_data=model.power_on_data_regex
        )
    return IsoCardSelector(
        protocol=model.logical_protocol_name,
        power_on_data=model.power_on_data_regex,
        aid=model.aid,
        occurrence=FileOccurrence[model.file_occurrence or "FIRST"],
        file_control_information=FileControlInformation[model.file_control_information or "FCI"],
    )


def _to_request(model: _SelectionRequest) -> CardSelectionRequest:
    success = _words_in(model.successful_selection_status_words)
    if model.card_request is None:
        return CardSelectionRequest((), success)
    requests = tuple(
        PlainRequest(one.apdu, _words_in(one.successful_status_words), one.info or "command")
        for one in model.card_request.apdu_requests
    )
    return CardSelectionRequest(
        requests, success, model.card_request.stop_on_unsuccessful_status_word
    )


def encode_processed(responses: Iterable[CardSelectionResponse]) -> str:
    """Write the result of a run, one element for each case."""
    return json.dumps([_dump(_response(one)) for one in responses], separators=(",", ":"))


def _response(response: CardSelectionResponse) -> _Response:
    select = response.select_application_response
    card_response = None
    if response.responses or not response.has_matched:
        card_response = _CardResponse(
            apdu_responses=[_apdu_response(one) for one in response.responses],
            is_logical_channel_open=response.has_matched,
        )
    power_on_data = response.power_on_data
    return _Response(
        has_matched=response.has_matched,
        power_on_data=None if power_on_data is None else _hex_out(power_on_data),
        select_application_response=None if select is None else _apdu_response(select),
        card_response=card_response,
    )


def _apdu_response(raw: bytes) -> _ApduResponse:
    return _ApduResponse(apdu=raw, status_word=_hex_out(raw[-2:]))


def parse_processed(text: str) -> tuple[CardSelectionResponse, ...]:
    """Read the result of a run.

    Raises:
        MalformedScenario: names the place and the fault.
    """
    document = _load(text)
    if not isinstance(document, list) or not document:
        raise MalformedScenario("", "a result is an array with at least one element")
    responses = []
    for index, element in enumerate(document):
        model = _validate(_Response, element, str(index))
        power_on_data = None
        if model.power_on_data is not None:
            try:
                power_on_data = bytes.fromhex(model.power_on_data)
            except ValueError:
                raise MalformedScenario(f"{index}.powerOnData", "not hexadecimal") from None
        select = model.select_application_response
        inner = model.card_response.apdu_responses if model.card_response is not None else []
        responses.append(
            CardSelectionResponse(
                power_on_data,
                None if select is None else _to_raw(select, f"{index}.selectApplicationResponse"),
                model.has_matched,
                tuple(
                    _to_raw(one, f"{index}.cardResponse.apduResponses.{number}")
                    for number, one in enumerate(inner)
                ),
            )
        )
    return tuple(responses)


def _to_raw(model: _ApduResponse, place: str) -> bytes:
    if _hex_out(model.apdu[-2:]) != model.status_word.upper():
        raise MalformedScenario(
            place, f"statusWord {model.status_word} is not the end of apdu {_hex_out(model.apdu)}"
        )
    return model.apdu
