"""The terminal's PC/SC reader, through libpcsclite to the rootless service of this process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.pcsclite import PcscService
from cardbench.emulator.readers.t0 import T0Slot
from cardbench.protocol.errors import (
    CardMute,
    CardNotPresent,
    CardRemoved,
    ReaderError,
    ReaderNotFound,
    UsageError,
)
from cardbench.protocol.pcsc import CardProtocol, ShareMode
from cardbench.scenarios.backends.rootless import private_folder
from cardbench.terminal.readers import pcsc
from cardbench.terminal.readers.pcsc import PcscReader, find_reader, list_readers, view_readers
from cardbench.terminal.readers.reader import Reader

if TYPE_CHECKING:
    from support.scripted_card import ScriptedCard


pytestmark = [pytest.mark.pcsc]

T0_ATR = bytes.fromhex("3B3F9600805A4880C120501711223344829000")


# Choosing


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("ACS ACR 1281 00 00", "ACS ACR 1281 00 00"),
        ("acr", "ACS ACR 1281 00 00"),
        ("sam) 00 01", "Gem (SAM) 00 01"),
        (r"\(sam\) 00 01$", "Gem (SAM) 00 01"),
        ("^Gem.*00$", "Gem (SAM) 00 00"),
    ],
)
def test_a_part_of_the_name_or_a_pattern_chooses_one_reader(pattern: str, expected: str) -> None:
    names = ["ACS ACR 1281 00 00", "Gem (SAM) 00 00", "Gem (SAM) 00 01"]
    assert find_reader(pattern, names) == expected


def test_a_choice_that_is_none_names_the_readers() -> None:
    names = ["One 00 00", "One 00 01"]
    with pytest.raises(ReaderNotFound, match="fits 2 readers, say more: 'One 00 00', 'One 00 01'"):
        find_reader("one", names)
    with pytest.raises(ReaderNotFound, match="no reader fits 'two'; PC/SC shows: 'One 00 00'"):
        find_reader("two", names)
    with pytest.raises(ReaderNotFound, match="PC/SC shows: none"):
        find_reader("two", [])
    with pytest.raises(UsageError, match="no regular expression"):
        find_reader("(", names)


# Looking


def test_readers_are_looked_at_without_touching_cards(
    service: PcscService, slot: CardSlot, card: ScriptedCard, new_card: type[ScriptedCard]
) -> None:
    assert view_readers() == [("Test card 00 00", True, False, False, card.atr())]
    mute = new_card()
    mute.is_mute = True
    slot.insert(mute)
    service.add_reader(CardSlot("Empty"))
    assert view_readers() == [
        ("Test card 00 00", True, True, False, b""),
        ("Empty 00 00", False, False, False, b""),
    ]
    assert list_readers() == ["Test card 00 00", "Empty 00 00"]


def test_no_reader_is_no_error(service: PcscService) -> None:
    assert service.reader_names == list_readers() == []
    assert view_readers() == []


def test_presence_and_changes(reader: PcscReader, slot: CardSlot, card: ScriptedCard) -> None:
    before = reader.state()
    assert before.present
    slot.remove()
    after = reader.state()
    assert (after.present, after.changes) == (False, before.changes + 1)
    slot.insert(card)
    assert reader.state() == (True, before.changes + 2)


def test_waiting_ends_with_the_change_or_the_time(
    reader: PcscReader, slot: CardSlot, card: ScriptedCard
) -> None:
    before = reader.state()
    assert reader.wait_for_change(before.changes, 0.05) == before
    timer = threading.Timer(0.05, slot.remove)
    timer.start()
    assert reader.wait_for_change(before.changes, 5) == (False, before.changes + 1)
    timer = threading.Timer(0.05, slot.insert, [card])
    timer.start()
    assert reader.wait_for_change(before.changes + 1) == (True, before.changes + 2)
    timer.join()


def test_changes_only_grow_though_the_counter_wraps(
    reader: PcscReader, service: PcscService
) -> None:
    published = service._slots[0]
    assert published is not None
    published._event_counter = 0xFFFF
    published._publish(event=True)
    before = reader.state().changes
    published._event_counter = 1
    published._publish(event=True)
    assert reader.state().changes == before + 2


# Exchanging


def test_it_is_a_reader(reader: PcscReader, card: ScriptedCard) -> None:
    assert isinstance(reader, Reader)
    assert reader.name == "Test card 00 00"
    assert reader.connect() == card.atr()
    assert reader.active_protocol is CardProtocol.T1
    assert reader.is_contactless
    assert reader.transmit(bytes(4)).hex() == "019000"
    assert reader.connect() == card.atr()  # an open channel stays open
    assert reader.transmit(bytes(4)).hex() == "029000"
    assert reader.reset() == card.atr()
    assert reader.transmit(bytes(4)).hex() == "019000"
    reader.disconnect()
    reader.disconnect()
    assert not card.is_powered
    with pytest.raises(CardNotPresent, match="not connected"):
        reader.transmit(bytes(4))
    assert reader.reset() == card.atr()
    assert reader.transmit(bytes(4)).hex() == "019000"


def test_what_the_reader_is_told_of_itself_outweighs_the_atr(slot: CardSlot) -> None:
    with PcscReader(slot.name, is_contactless=False) as reader:
        reader.connect()
        assert not reader.is_contactless
    with PcscReader(slot.name) as reader:
        assert not reader.is_contactless  # nothing is known of the card yet


def test_t0_is_mapped(service: PcscService, card: ScriptedCard) -> None:
    card.answer_to_reset = T0_ATR
    slot = CardSlot("Contacts")
    slot.insert(card)
    service.add_reader(T0Slot(slot))
    with PcscReader("Contacts") as reader:
        assert reader.connect() == T0_ATR
        assert reader.active_protocol is CardProtocol.T0
        assert reader.transmit(bytes.fromhex("0001000002ABCD00")).hex() == "01abcd9000"
        assert reader.transmit(bytes.fromhex("00020005")).hex() == "00010203049000"
        assert [command.hex() for command in card.commands] == ["0001000002abcd", "0002000500"]


def test_an_exclusive_reader_keeps_others_out(slot: CardSlot, reader: PcscReader) -> None:
    with PcscReader(slot.name, share=ShareMode.EXCLUSIVE) as mine:
        mine.connect()
        assert view_readers()[0].is_in_use
        with pytest.raises(ReaderError, match="another program holds the reader"):
            reader.connect()
    assert reader.connect()


def test_protocols_that_the_card_does_not_offer_are_an_error(slot: CardSlot) -> None:
    with (
        PcscReader(slot.name, protocols=CardProtocol.RAW) as reader,
        PcscReader(slot.name) as other,
    ):
        reader.connect()
        with pytest.raises(ReaderError, match="8010000F proto mismatch"):
            other.connect()


# Losing


def test_no_card_and_a_mute_card(reader: PcscReader, slot: CardSlot, card: ScriptedCard) -> None:
    slot.remove()
    with pytest.raises(CardNotPresent):
        reader.connect()
    card.is_mute = True
    slot.insert(card)
    with pytest.raises(CardMute):
        reader.connect()
    card.is_mute = False
    assert reader.connect()


def test_a_card_that_is_pulled_or_loses_its_power_is_removed(
    reader: PcscReader, slot: CardSlot, card: ScriptedCard
) -> None:
    reader.connect()
    with pytest.raises(CardRemoved, match="80100016"):
        reader.transmit(bytes.fromhex("00040000"))
    reader.reset()
    slot.remove()
    with pytest.raises(CardRemoved, match="80100069"):
        reader.transmit(bytes(4))
    with pytest.raises(CardNotPresent):
        reader.reset()
    slot.insert(card)
    assert reader.connect() == card.atr()
    assert reader.transmit(bytes(4)).hex() == "019000"


def test_a_card_that_another_program_reset_is_lost(reader: PcscReader, slot: CardSlot) -> None:
    reader.connect()
    with PcscReader(slot.name) as other:
        other.connect()
        other.reset()
    with pytest.raises(CardRemoved, match="80100068"):
        reader.transmit(bytes(4))
    assert reader.connect()


def test_a_reader_that_is_unplugged_is_not_found(reader: PcscReader, service: PcscService) -> None:
    published = service._slots[0]
    assert published is not None
    service.remove_reader(published)
    with pytest.raises(ReaderNotFound):
        reader.state()
    with pytest.raises(ReaderNotFound):
        reader.connect()


def test_a_reader_unplugged_while_one_waits_is_not_found(
    reader: PcscReader, service: PcscService
) -> None:
    published = service._slots[0]
    assert published is not None
    before = reader.state()
    timer = threading.Timer(0.05, service.remove_reader, [published])
    timer.start()
    with pytest.raises(ReaderNotFound):
        reader.wait_for_change(before.changes, 5)
    timer.join()


@pytest.mark.slow
def test_a_service_that_was_restarted_is_found_again(
    reader: PcscReader, service: PcscService, slot: CardSlot, card: ScriptedCard
) -> None:
    reader.connect()
    service.stop()
    with pytest.raises(ReaderError, match="no PC/SC service is running"):
        reader.transmit(bytes(4))
    with pytest.raises(ReaderError, match="no PC/SC service is running"):
        reader.connect()
    with pytest.raises(ReaderError, match="no PC/SC service is running"):
        list_readers()
    with PcscService(private_folder()) as again:
        again.add_reader(slot)
        assert reader.connect() == card.atr()
        assert reader.state().present
        reader.close()


def test_a_missing_pyscard_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_name: str) -> None:
        raise ImportError("No module named 'smartcard'")

    monkeypatch.setattr(pcsc, "import_module", fail)
    with pytest.raises(ReaderError, match=r"pip install 'cardbench\[pcsc\]'"):
        list_readers()


def test_a_code_without_a_name_is_shown_as_it_is() -> None:
    assert str(pcsc._error(0x80109999, "reader")) == "reader: PC/SC answered 80109999"
    assert str(pcsc._error(0x8010000A, "reader")).endswith("8010000A timeout")
