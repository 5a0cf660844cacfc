"""Transactions without session: best-effort reads, handles, partial results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.errors import AccessDenied, CardRemoved, RecordNotFound, UsageError
from cardbench.terminal.calypso import CalypsoCard, FreeTransactionManager
from cardbench.terminal.card import ChannelControl

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader


def free(reader: ScriptedReader, startup: str = "0A2F2005141001") -> FreeTransactionManager:
    fci = f"6F238409315449432E49434131A516BF0C13C70800000000112233445307{startup}9000"
    card = CalypsoCard.from_selection(None, bytes.fromhex(fci), is_df_invalidated=False)
    return FreeTransactionManager(reader, card)


def test_an_absent_record_in_the_middle_does_not_stop_the_group(
    scripted: type[ScriptedReader],
) -> None:
    """terminal-api §22, trap 6."""
    transaction = free(
        scripted(("00B2013C00", "719000"), ("00B2013400", "6A83"), ("00B2014400", "729000"))
    )
    first = transaction.prepare_read_record(7)
    absent = transaction.prepare_read_record(6)
    last = transaction.prepare_read_record(8)
    transaction.process_commands()
    assert (first.value, last.value) == (b"\x71", b"\x72")
    assert absent.value_or(None) is None
    assert first.value_or(None) == b"\x71"
    assert isinstance(absent.error, RecordNotFound)
    with pytest.raises(RecordNotFound):
        _ = absent.value
    assert transaction.card.record(6, 1) is None
    assert repr(absent) == "<Read Record 00B2013400: failed>"


def test_a_handle_has_no_result_before_processing(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00B2013C00", "719000")))
    read = transaction.prepare_read_record(7)
    with pytest.raises(UsageError, match="prepared, not processed"):
        _ = read.value
    assert repr(read) == "<Read Record 00B2013C00: prepared>"
    transaction.process_commands()
    assert repr(read) == "<Read Record 00B2013C00: done>"


def test_a_failed_group_keeps_what_came_before(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00B2013C00", "719000"), ("00DC014401AA", "6982")))
    read = transaction.prepare_read_record(7)
    update = transaction.prepare_update_record(8, 1, b"\xaa")
    never = transaction.prepare_read_record(9)
    with pytest.raises(AccessDenied) as caught:
        transaction.process_commands()
    assert read.value == b"\x71"
    assert update.error is caught.value
    assert never.error is caught.value
    assert transaction.card.record(8, 1) is None


def test_a_pulled_card_keeps_what_came_before(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00B2013C00", "719000"), ("00B2014400", CardRemoved("gone")))
    transaction = free(reader)
    read = transaction.prepare_read_record(7)
    lost = transaction.prepare_read_record(8)
    with pytest.raises(CardRemoved):
        transaction.process_commands(ChannelControl.CLOSE_AFTER)
    assert read.value == b"\x71"
    assert isinstance(lost.error, CardRemoved)
    assert not reader.is_connected


def test_close_after_closes_even_with_nothing_to_send(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted())
    transaction.channel.open()
    transaction.process_commands(ChannelControl.CLOSE_AFTER)
    assert not transaction.channel.is_open
    assert transaction.traffic == (0, 0)


def test_a_card_of_the_first_days_wants_its_own_length(scripted: type[ScriptedReader]) -> None:
    """calypso-card §1.3, legacy case 1."""
    transaction = free(scripted(("94B2013C1D", "719000")), "03080304000200")
    transaction.prepare_read_record(7)
    transaction.process_commands()


def test_joined_handles_show_the_first_error(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("94B2014C01", "719000"), ("94B2024C01", "6A83")), "0A2E1142000101")
    records = transaction.prepare_read_records(9, 1, 2, record_size_bytes=1)
    transaction.process_commands()
    assert isinstance(records.error, RecordNotFound)
    assert records.value_or({}) == {}
    with pytest.raises(RecordNotFound):
        _ = records.value


def test_several_records_outside_a_session_are_best_effort(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00B2014D06", "6A82"), ("00B2013C00", "719000")))
    records = transaction.prepare_read_records(9, 1, 2, record_size_bytes=1)
    read = transaction.prepare_read_record(7)
    transaction.process_commands()
    assert records.value_or(None) is None
    assert read.value == b"\x71"


@pytest.mark.parametrize("lid", [0x3F00, 0x3FFF])
def test_a_lid_that_leaves_the_application_is_refused(
    scripted: type[ScriptedReader], lid: int
) -> None:
    transaction = free(scripted())
    with pytest.raises(UsageError, match="leaves the selected application"):
        transaction.prepare_select_file(lid)
    transaction.process_commands()
