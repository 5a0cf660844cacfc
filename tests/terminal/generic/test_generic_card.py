"""The Generic Card API: plain APDUs, answers as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.errors import CardRemoved, UsageError
from cardbench.terminal.card import ChannelControl
from cardbench.terminal.generic import GenericCard, GenericCardSelection, GenericTransaction
from cardbench.terminal.selection import BasicCardSelector, CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader

CARD = GenericCard(power_on_data=b"\x3b\x00", select_application_response=None)


@pytest.mark.parametrize(("answer", "matches"), [("9000", True), ("6283", True), ("6A82", False)])
def test_status_words_of_select_can_be_added(
    scripted: type[ScriptedReader], answer: str, matches: bool
) -> None:
    manager = CardSelectionManager()
    selector = IsoCardSelector(aid=bytes.fromhex("D2760000850101"))
    manager.prepare_selection(selector, GenericCardSelection({0x6283}))
    script = [("00A4040007D276000085010100", answer)]
    if matches:
        script.append(("00C0000000", "6985"))
    script = script[:1] if answer == "6A82" else script
    result = manager.process(scripted(*script))
    assert (result.active_smart_card is not None) is matches
    if matches:
        card = result.active_smart_card
        assert isinstance(card, GenericCard)
        assert card.select_application_response == bytes.fromhex(answer)


def test_any_card_is_selected_without_a_command(scripted: type[ScriptedReader]) -> None:
    manager = CardSelectionManager()
    manager.prepare_selection(BasicCardSelector(), GenericCardSelection())
    assert isinstance(manager.process(scripted()).active_smart_card, GenericCard)


def test_a_status_word_has_two_bytes() -> None:
    with pytest.raises(UsageError):
        GenericCardSelection({0x10000})


def test_commands_are_one_exchange_whatever_the_answers(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        ("00A4000C023F00", "6A82"), ("00B0000004", "01020304 9000"), ("0084000008", "6D00")
    )
    transaction = GenericTransaction(reader, CARD)
    first = transaction.prepare_apdu("00A4 000C 02 3F00")
    second = transaction.prepare_apdu(bytes.fromhex("00B0000004"))
    third = transaction.prepare_command(0x00, 0x84, 0, 0, ne=8)
    assert repr(first.is_done) == "False"
    with pytest.raises(UsageError, match="not processed"):
        _ = first.value
    transaction.process_commands(ChannelControl.CLOSE_AFTER)
    assert first.value == (b"", 0x6A82)
    assert second.value == (b"\x01\x02\x03\x04", 0x9000)
    assert third.value.sw == 0x6D00
    assert [response.hex() for response in transaction.responses] == [
        "6a82",
        "010203049000",
        "6d00",
    ]
    assert transaction.traffic == (1, 3)
    assert not reader.is_connected


def test_a_card_that_leaves_keeps_what_it_said(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00B0000001", "019000"), ("00B0000101", CardRemoved("gone")))
    transaction = GenericTransaction(reader, CARD)
    first = transaction.prepare_apdu("00B0000001")
    second = transaction.prepare_apdu("00B0000101")
    with pytest.raises(CardRemoved):
        transaction.process_commands()
    assert first.value.data == b"\x01"
    assert isinstance(second.error, CardRemoved)
    with pytest.raises(CardRemoved):
        _ = second.value


def test_nothing_prepared_sends_nothing(scripted: type[ScriptedReader]) -> None:
    reader = scripted()
    transaction = GenericTransaction(reader, CARD)
    transaction.channel.open()
    transaction.process_commands()
    assert reader.is_connected
    transaction.process_commands(ChannelControl.CLOSE_AFTER)
    assert not reader.is_connected


@pytest.mark.parametrize("apdu", ["00B000", "00" * 262, "zz", b"\0\0\0"])
def test_what_is_no_command_is_refused(scripted: type[ScriptedReader], apdu: bytes | str) -> None:
    with pytest.raises(UsageError):
        GenericTransaction(scripted(), CARD).prepare_apdu(apdu)
