"""Scenarios and results as JSON: the sheet's worked examples, and every fault it lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.protocol.errors import ProtocolError, UsageError, WrongData
from cardbench.terminal.calypso import CalypsoCard, CalypsoSelection
from cardbench.terminal.card import CardChannel
from cardbench.terminal.legacy_sam import LegacySamSelection
from cardbench.terminal.selection import (
    BasicCardSelector,
    CardSelectionManager,
    FileControlInformation,
    FileOccurrence,
    IsoCardSelector,
)
from cardbench.terminal.selection.scenario_json import (
    ISO_SELECTOR_CLASS,
    NEUTRAL_SELECTION_CLASS,
    MalformedScenario,
    encode_scenario,
    parse_processed,
    parse_scenario,
)

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader

ATR = bytes.fromhex("3B8880010000000071C1100098")
AID = "A0000004040125090101"
FCI = "6F24840AA0000004040125090101A516BF0C13C70800000000AABBCCDD53070A3C2A05141001"
RECORD = bytes(range(1, 30)).hex().upper()


def plain(*status_words: str) -> dict[str, Any]:
    return {
        "cardSelectionRequest": {"successfulSelectionStatusWords": list(status_words) or ["9000"]}
    }


def reading(*apdus: str, stop: bool = False, select: tuple[str, ...] = ("9000",)) -> dict[str, Any]:
    requests = [{"apdu": apdu, "successfulStatusWords": ["9000"]} for apdu in apdus]
    return {
        "cardSelectionRequest": {
            "cardRequest": {"apduRequests": requests, "stopOnUnsuccessfulStatusWord": stop},
            "successfulSelectionStatusWords": list(select),
        }
    }


def iso(
    aid: str, occurrence: str = "FIRST", information: str = "FCI", **more: str
) -> dict[str, str]:
    return {
        **more,
        "aid": aid,
        "fileOccurrence": occurrence,
        "fileControlInformation": information,
    }


def scenario(
    selectors: list[dict[str, str]],
    selections: list[dict[str, Any]],
    processing: str = "FIRST_MATCH",
    control: str = "KEEP_OPEN",
) -> dict[str, Any]:
    return {
        "multiSelectionProcessing": processing,
        "channelControl": control,
        "cardSelectors": selectors,
        "defaultCardSelections": selections,
    }


# selection-json §8.1
THREE_FILTERS = scenario(
    [
        {"logicalProtocolName": "STORAGE_TAG"},
        {"powerOnDataRegex": "3B8F8001804F0CA00000030603.*"},
        iso(AID, logicalProtocolName="CONTACTLESS_CARD"),
    ],
    [plain(), plain(), reading("00B2013C1D")],
)
NO_RESPONSES = {"apduResponses": [], "isLogicalChannelOpen": False}


def run(document: dict[str, Any], reader: ScriptedReader) -> Any:  # noqa: ANN401 - a JSON document
    manager = CardSelectionManager()
    assert manager.import_scenario(json.dumps(document)) == len(document["cardSelectors"]) - 1
    channel = CardChannel(reader)
    channel.activate_protocol("ISO_14443_4", "CONTACTLESS_CARD")
    result = manager.process(channel)
    assert result == ({}, None)  # nobody here reads imported cases
    return json.loads(manager.export_processed())


def test_first_match_with_three_filters(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        (f"00A404000A{AID}00", f"{FCI}9000"), ("00B2013C1D", f"{RECORD}9000"), atr=ATR
    )
    assert run(THREE_FILTERS, reader) == [
        {"hasMatched": False, "cardResponse": NO_RESPONSES},
        {"hasMatched": False, "powerOnData": ATR.hex().upper(), "cardResponse": NO_RESPONSES},
        {
            "hasMatched": True,
            "powerOnData": ATR.hex().upper(),
            "selectApplicationResponse": {"apdu": f"{FCI}9000", "statusWord": "9000"},
            "cardResponse": {
                "apduResponses": [{"apdu": f"{RECORD}9000", "statusWord": "9000"}],
                "isLogicalChannelOpen": True,
            },
        },
    ]


def test_process_all_with_next_and_close_after(scripted: type[ScriptedReader]) -> None:
    """selection-json §8.2; the channel is closed once, at the end."""
    partial = "A000000404"
    document = scenario(
        [iso(partial), iso(partial, "NEXT", "FCP"), iso(partial, "NEXT", "NO_RESPONSE")],
        [reading("00B2013C1D"), plain(), plain()],
        "PROCESS_ALL",
        "CLOSE_AFTER",
    )
    reader = scripted(
        ("00A4040005A00000040400", f"{FCI}9000"),
        ("00B2013C1D", f"{RECORD}9000"),
        ("00A4040605A00000040400", "62058203388000 9000"),
        ("00A4040E05A00000040400", "6A82"),
        atr=ATR,
    )
    result = run(document, reader)
    assert [element["hasMatched"] for element in result] == [True, True, False]
    assert "cardResponse" not in result[1]
    assert result[1]["selectApplicationResponse"] == {
        "apdu": "620582033880009000",
        "statusWord": "9000",
    }
    assert result[2] == {
        "hasMatched": False,
        "powerOnData": ATR.hex().upper(),
        "selectApplicationResponse": {"apdu": "6A82", "statusWord": "6A82"},
        "cardResponse": NO_RESPONSES,
    }
    assert (reader.is_connected, reader.connections) == (False, 1)


def test_an_invalidated_card_and_an_absent_file(scripted: type[ScriptedReader]) -> None:
    """selection-json §8.3."""
    document = scenario(
        [iso(AID)],
        [reading("00B2013C1D", "00B201EC1D", "00B2014C1D", select=("9000", "6283"))],
    )
    reader = scripted(
        (f"00A404000A{AID}00", f"{FCI}6283"),
        ("00B2013C1D", f"{RECORD}9000"),
        ("00B201EC1D", "6A82"),
        ("00B2014C1D", "0909099000"),
        atr=ATR,
    )
    (element,) = run(document, reader)
    assert element["selectApplicationResponse"]["statusWord"] == "6283"
    words = [one["statusWord"] for one in element["cardResponse"]["apduResponses"]]
    assert words == ["9000", "6A82", "9000"]


def test_a_stop_rule_that_strikes_is_an_error(scripted: type[ScriptedReader]) -> None:
    document = scenario([iso(AID)], [reading("00B2013C1D", "00B2014C1D", stop=True)])
    reader = scripted((f"00A404000A{AID}00", f"{FCI}9000"), ("00B2013C1D", "6A80"), atr=ATR)
    with pytest.raises(WrongData):
        run(document, reader)
    document = scenario([{}], [reading("00B2013C1D", stop=True)])
    with pytest.raises(WrongData):
        run(document, scripted(("00B2013C1D", "6A80"), atr=ATR))


def test_a_scenario_travels_and_its_result_becomes_images(scripted: type[ScriptedReader]) -> None:
    """The server prepares and reads; the terminal only runs."""
    server = CardSelectionManager()
    extension = CalypsoSelection()
    extension.prepare_read_record(0x07)
    server.prepare_selection(
        BasicCardSelector(power_on_data="3B8F8001804F0CA00000030603.*"), LegacySamSelection()
    )
    server.prepare_selection(IsoCardSelector(aid=bytes.fromhex(AID)), extension)
    terminal = CardSelectionManager(multiple=True)
    terminal.import_scenario(server.export_scenario())
    reader = scripted(
        (f"00A404000A{AID}00", f"{FCI}9000"), ("00B2013C00", f"{RECORD}9000"), atr=ATR
    )
    terminal.process(reader)
    result = server.import_processed(terminal.export_processed())
    assert result.active_selection_index == 1
    card = result.active_smart_card
    assert isinstance(card, CalypsoCard)
    assert card.record(0x07, 1) == bytes.fromhex(RECORD)


def test_keyple_can_import_what_we_export() -> None:
    manager = CardSelectionManager(multiple=True, release_channel=True)
    manager.prepare_selection(IsoCardSelector(aid=bytes.fromhex(AID)), CalypsoSelection())
    document = json.loads(manager.export_scenario())
    assert document == {
        **scenario([iso(AID)], [plain()], "PROCESS_ALL", "CLOSE_AFTER"),
        "cardSelectorsTypes": [ISO_SELECTOR_CLASS],
        "cardSelectionsTypes": [NEUTRAL_SELECTION_CLASS],
        "cardSelections": [plain()],
    }
    lean = json.loads(
        encode_scenario(manager.cases, multiple=True, release_channel=True, for_keyple=False)
    )
    assert set(lean) == set(scenario([], []))


def test_every_filter_is_kept() -> None:
    manager = CardSelectionManager()
    selector = IsoCardSelector(
        protocol="CARD",
        power_on_data="3B.*",
        aid=bytes.fromhex(AID),
        occurrence=FileOccurrence.PREVIOUS,
        file_control_information=FileControlInformation.FMD,
    )
    manager.prepare_selection(selector, CalypsoSelection(accept_invalidated=True))
    manager.prepare_selection(BasicCardSelector(), CalypsoSelection())
    parsed = parse_scenario(manager.export_scenario())
    assert [case.selector for case in parsed.cases] == [selector, BasicCardSelector()]
    assert parsed.cases[0].request.success == {0x9000, 0x6283}


@pytest.mark.parametrize("levels", [0, 1])
def test_the_text_may_be_wrapped_once(levels: int) -> None:
    text = json.dumps(THREE_FILTERS)
    for _ in range(levels):
        text = json.dumps(text)
    assert len(parse_scenario(text).cases) == 3


def test_numbers_lower_case_and_unknown_properties_are_taken() -> None:
    document = scenario([iso(AID.lower()) | {"x": 1}], [plain()])
    document["defaultCardSelections"][0]["cardSelectionRequest"][
        "successfulSelectionStatusWords"
    ] = [9000]
    parsed = parse_scenario(json.dumps(document))
    assert parsed.cases[0].request.success == {0x9000}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"multiSelectionProcessing": "SOME"}, "multiSelectionProcessing"),
        ({"channelControl": None}, "channelControl"),
        ({"cardSelectors": []}, "cardSelectors"),
        ({"cardSelectors": [{"aid": "A00"}]}, "cardSelectors.0.aid"),
        ({"cardSelectors": [{"aid": "A000"}]}, "cardSelectors.0"),
        (
            {"cardSelectors": [{"aid": AID, "fileOccurrence": "ANY"}]},
            "cardSelectors.0.fileOccurrence",
        ),
        ({"cardSelectors": [{"powerOnDataRegex": "("}]}, "cardSelectors.0"),
        ({"defaultCardSelections": [plain(), plain()]}, "defaultCardSelections"),
        (
            {"defaultCardSelections": [plain("90")]},
            "defaultCardSelections.0.cardSelectionRequest.successfulSelectionStatusWords.0",
        ),
        (
            {"defaultCardSelections": [reading()]},
            "defaultCardSelections.0.cardSelectionRequest.cardRequest.apduRequests",
        ),
    ],
)
def test_a_faulty_scenario_is_refused_with_the_place(change: dict[str, Any], place: str) -> None:
    document = scenario([iso(AID)], [plain()]) | change
    with pytest.raises(MalformedScenario) as caught:
        parse_scenario(json.dumps(document))
    assert caught.value.place.startswith(place)
    assert str(caught.value).startswith(f"{place}")


@pytest.mark.parametrize("text", ["", "null", "{", "[]", "17", '"{"'])
def test_what_is_no_scenario_is_refused(text: str) -> None:
    with pytest.raises(MalformedScenario):
        parse_scenario(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no JSON"),
        ("null", "at least one element"),
        ("[]", "at least one element"),
        ("{}", "at least one element"),
        ("[null]", "0"),
        ("[{}]", "0.hasMatched"),
        ('[{"hasMatched": true, "powerOnData": "3Z"}]', "0.powerOnData: not hexadecimal"),
        (
            '[{"hasMatched": true, "selectApplicationResponse": {"apdu": "6A82"}}]',
            "0.selectApplicationResponse.statusWord",
        ),
        (
            '[{"hasMatched": true, "selectApplicationResponse": {"apdu": "6A82", "statusWord": "9000"}}]',
            "0.selectApplicationResponse: statusWord 9000 is not the end",
        ),
    ],
)
def test_a_faulty_result_is_refused_with_the_place(text: str, complaint: str) -> None:
    with pytest.raises(MalformedScenario, match=complaint):
        parse_processed(text)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_scenario, parse_processed):
        with pytest.raises(MalformedScenario):
            parse(text)


def test_a_result_of_other_cases_is_refused() -> None:
    manager = CardSelectionManager()
    extension = CalypsoSelection()
    extension.prepare_read_record(7)
    manager.prepare_selection(IsoCardSelector(aid=bytes.fromhex(AID)), extension)
    matched = (
        '{"hasMatched": true, "selectApplicationResponse": {"apdu": "9000", "statusWord": "9000"}}'
    )
    with pytest.raises(ProtocolError, match=r"2 result\(s\) for 1"):
        manager.import_processed(f"[{matched},{matched}]")
    with pytest.raises(ProtocolError, match=r"0 answer\(s\) to 1"):
        manager.import_processed(f"[{matched}]")


def test_what_was_never_run_cannot_be_exported() -> None:
    with pytest.raises(UsageError, match="not processed"):
        CardSelectionManager().export_processed()
    with pytest.raises(UsageError, match="at least one case"):
        CardSelectionManager().export_scenario()


def test_a_protocol_filter_needs_an_activated_protocol(scripted: type[ScriptedReader]) -> None:
    manager = CardSelectionManager()
    manager.prepare_selection(BasicCardSelector(protocol="CARD"), CalypsoSelection())
    with pytest.raises(UsageError, match="no protocol activated"):
        manager.process(scripted())
