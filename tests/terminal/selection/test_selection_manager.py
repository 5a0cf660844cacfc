"""The selection manager: cases, filters, first match or all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.errors import CardNotPresent, MalformedCardData, UsageError
from cardbench.terminal.calypso import CalypsoCard, CalypsoSelection
from cardbench.terminal.card import CardChannel
from cardbench.terminal.selection import BasicCardSelector, CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader

FCI = "6F238409315449432E49434131A516BF0C13C70800000000C17BE1F653070A3C2305141001"
AID = bytes.fromhex("315449432E49434131")
SELECT = "00A4040009315449432E4943413100"
OTHER = bytes.fromhex("AABBCCDDEE")
SELECT_OTHER = "00A4040005AABBCCDDEE00"


def manager(*aids: bytes, multiple: bool = False, release: bool = False) -> CardSelectionManager:
    made = CardSelectionManager(multiple=multiple, release_channel=release)
    for index, aid in enumerate(aids):
        assert made.prepare_selection(IsoCardSelector(aid=aid), CalypsoSelection()) == index
    return made


def test_the_first_match_ends_the_selection(scripted: type[ScriptedReader]) -> None:
    reader = scripted((SELECT_OTHER, "6A82"), (SELECT, FCI + "9000"))
    result = manager(OTHER, AID, OTHER).process(reader)
    assert result.active_selection_index == 1
    assert list(result.smart_cards) == [1]
    card = result.active_smart_card
    assert isinstance(card, CalypsoCard)
    assert card.df_name == AID
    assert reader.is_connected


def test_nothing_matches(scripted: type[ScriptedReader]) -> None:
    result = manager(OTHER).process(scripted((SELECT_OTHER, "6A82")))
    assert result == ({}, None)
    assert result.active_smart_card is None


def test_multiple_runs_every_case_and_the_last_match_is_active(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted((SELECT, FCI + "9000"), (SELECT_OTHER, "6A82"), (SELECT, FCI + "9000"))
    result = manager(AID, OTHER, AID, multiple=True).process(reader)
    assert (list(result.smart_cards), result.active_selection_index) == ([0, 2], 2)


def test_the_channel_is_released_once_after_the_last_case(scripted: type[ScriptedReader]) -> None:
    reader = scripted((SELECT, FCI + "9000"), (SELECT, FCI + "9000"))
    manager(AID, AID, multiple=True, release=True).process(reader)
    assert (reader.is_connected, reader.connections) == (False, 1)


def test_a_case_is_one_exchange_with_its_reads(scripted: type[ScriptedReader]) -> None:
    selection = CalypsoSelection()
    selection.prepare_read_record(0x07, 1)
    selection.prepare_read_record(0x1E, 1)
    made = CardSelectionManager()
    made.prepare_selection(IsoCardSelector(aid=AID), selection)
    reader = scripted(
        (SELECT, FCI + "9000"), ("00B2013C00", "71" * 29 + "9000"), ("00B201F400", "6A82")
    )
    channel = CardChannel(reader)
    card = made.process(channel).active_smart_card
    assert isinstance(card, CalypsoCard)
    assert card.record(0x07, 1) == b"\x71" * 29
    assert card.record(0x1E, 1) is None
    assert channel.traffic == (1, 3)


def test_a_power_on_data_filter_keeps_a_card_out_before_any_command(
    scripted: type[ScriptedReader],
) -> None:
    made = CardSelectionManager()
    made.prepare_selection(IsoCardSelector(aid=AID, power_on_data="3B00"), CalypsoSelection())
    assert made.process(scripted()).active_selection_index is None


def test_without_aid_a_card_matches_and_its_reads_are_sent(scripted: type[ScriptedReader]) -> None:
    selection = CalypsoSelection()
    selection.prepare_read_record(0x07, 1)
    made = CardSelectionManager()
    made.prepare_selection(BasicCardSelector(), selection)
    made.prepare_selection(BasicCardSelector(), CalypsoSelection())
    card = made.process(scripted(("00B2013C00", "71 9000"))).active_smart_card
    assert card is not None
    assert card.select_application_response is None


def test_an_invalidated_card_matches_only_where_it_is_accepted(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted((SELECT, FCI + "6283"), (SELECT, FCI + "6283"))
    made = manager(AID)
    accepting = CalypsoSelection(accept_invalidated=True)
    made.prepare_selection(IsoCardSelector(aid=AID), accepting)
    result = made.process(reader)
    assert result.active_selection_index == 1
    card = result.active_smart_card
    assert isinstance(card, CalypsoCard)
    assert card.is_df_invalidated


def test_a_manager_runs_again_and_again(scripted: type[ScriptedReader]) -> None:
    made = manager(AID)
    for _ in range(2):
        assert made.process(scripted((SELECT, FCI + "9000"))).active_selection_index == 0


def test_what_is_prepared_after_prepare_selection_does_not_count(
    scripted: type[ScriptedReader],
) -> None:
    selection = CalypsoSelection()
    made = CardSelectionManager()
    made.prepare_selection(IsoCardSelector(aid=AID), selection)
    selection.prepare_read_record(0x07, 1)
    result = made.process(scripted((SELECT, FCI + "9000")))
    assert result.active_selection_index == 0


def test_a_selection_without_cases_is_refused(scripted: type[ScriptedReader]) -> None:
    with pytest.raises(UsageError, match="at least one"):
        CardSelectionManager().process(scripted())


def test_an_empty_reader_is_said(scripted: type[ScriptedReader]) -> None:
    with pytest.raises(CardNotPresent):
        manager(AID).process(scripted(atr=None))


def test_a_run_that_failed_leaves_nothing_to_export(scripted: type[ScriptedReader]) -> None:
    made = manager(AID)
    made.process(scripted((SELECT, FCI + "9000")))
    made.export_processed()
    with pytest.raises(CardNotPresent):
        made.process(scripted(atr=None))
    with pytest.raises(UsageError, match="not processed"):
        made.export_processed()


def test_an_fci_that_does_not_decode_is_named(scripted: type[ScriptedReader]) -> None:
    with pytest.raises(MalformedCardData, match="no tag 84"):
        manager(AID).process(scripted((SELECT, "6F00 9000")))
