"""Needs as data: software cards are made to fit, other cards are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso import new_card
from cardbench.emulator.calypso.structure import invalidated_key
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.calypso.file_header import EfType
from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.calypso.startup import ApplicationOption
from cardbench.protocol.errors import CardNotPresent, UsageError
from cardbench.protocol.hexadecimal import from_hex
from cardbench.sam_emulator import new_sam
from cardbench.scenarios.needs import (
    CalypsoCardNeeds,
    CounterNeed,
    FileNeed,
    KeyNeed,
    RecordNeed,
    SamNeeds,
)
from cardbench.scenarios.survey import read_record, select
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers import InProcessReader

if TYPE_CHECKING:
    from tests.scenarios.conftest import EchoCard, KeyListSam

    from cardbench.protocol.link import Card

AID = from_hex("A000000291FF9101")
CONTRACTS, COUNTERS, EVENTS, ID_FILE = 0x09, 0x19, 0x08, 0x03
CONTRACT = from_hex("01 02 13F9 2517")
ALL = CalypsoCardNeeds(
    aid=AID,
    options=ApplicationOption.PIN | ApplicationOption.EXTENDED_MODE,
    files=(
        FileNeed(CONTRACTS, EfType.LINEAR, 29, 4),
        FileNeed(EVENTS, EfType.CYCLIC, 29, 3),
        FileNeed(COUNTERS, EfType.COUNTERS, 27),
    ),
    keys=(KeyNeed(WriteAccessLevel.DEBIT, 0x30, 0x74),),
    records=(RecordNeed(CONTRACTS, 2, CONTRACT, check=2),),
    counters=(CounterNeed(COUNTERS, 2, value=5, at_least=1),),
)


def channel_to(card: Card) -> CardChannel:
    slot = CardSlot("slot")
    slot.insert(card)
    return CardChannel(InProcessReader(slot))


def made(needs: CalypsoCardNeeds) -> Card:
    return needs.personalise(entropy=Entropy(b""), clock=Clock())


def test_a_software_card_has_the_contents_that_are_asked_for() -> None:
    channel = channel_to(made(ALL))
    select(channel, AID)
    assert read_record(channel, 0, CONTRACTS, 2).startswith(CONTRACT)
    assert read_record(channel, 0, COUNTERS, 1)[:9] == from_hex("000000 000005 000000")


def test_a_card_that_was_made_for_the_needs_lacks_nothing() -> None:
    assert ALL.missing(channel_to(made(ALL))) == []


def test_a_counter_may_stand_in_a_record_that_is_given() -> None:
    needs = CalypsoCardNeeds(
        aid=AID,
        records=(RecordNeed(COUNTERS, 1, from_hex("000001 000002 000003")),),
        counters=(CounterNeed(COUNTERS, 2, value=9, at_least=0),),
    )
    assert needs.factory_records() == {(COUNTERS, 1): from_hex("000001 000009 000003")}


@pytest.mark.parametrize(("number", "value"), [(0, 1), (1, -1), (1, 1 << 24)])
def test_a_counter_that_cannot_be_is_refused(number: int, value: int) -> None:
    needs = CalypsoCardNeeds(aid=AID, counters=(CounterNeed(COUNTERS, number, value, 0),))
    with pytest.raises(UsageError, match=f"counter {number} of value {value}"):
        made(needs)


def test_content_that_the_preset_has_no_place_for_is_refused() -> None:
    with pytest.raises(UsageError, match="no record 9"):
        made(CalypsoCardNeeds(aid=AID, records=(RecordNeed(CONTRACTS, 9, b"\1"),)))


def changed(**changes: object) -> CalypsoCardNeeds:
    return CalypsoCardNeeds(**({"aid": AID} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("needs", "sentence"),
    [
        (changed(aid=from_hex("A0000004040125090101")), "no application A0000004040125090101"),
        (
            changed(options=ApplicationOption.RATIFICATION_COMMAND_REQUIRED),
            "the card has no ratification command required",
        ),
        (
            changed(keys=(KeyNeed(WriteAccessLevel.LOAD, 0x27, 0x79),)),
            "session key 2 is KIF 27 KVC 74, not KIF 27 KVC 79",
        ),
        (changed(files=(FileNeed(0x11, EfType.LINEAR, 1),)), "no file has SFI 11"),
        (
            changed(files=(FileNeed(EVENTS, EfType.LINEAR, 29),)),
            "the file of SFI 08 is cyclic, not linear",
        ),
        (
            changed(files=(FileNeed(CONTRACTS, EfType.LINEAR, 29, 8),)),
            "has 4 record(s) of 29 bytes, at least 8 of 29 are needed",
        ),
        (
            changed(records=(RecordNeed(CONTRACTS, 1, from_hex("0103"), check=2),)),
            "record 1 of SFI 09 begins 0102, not 0103",
        ),
        (
            changed(records=(RecordNeed(ID_FILE, 1, b"", check=0),)),  # under PIN
            "record 1 of SFI 03 cannot be read",
        ),
        (
            changed(counters=(CounterNeed(COUNTERS, 1, 100, at_least=11),)),
            "counter 1 of SFI 19 stands at 10, at least 11 is needed",
        ),
        (
            changed(counters=(CounterNeed(0x11, 1, 1, at_least=1),)),
            "the counters of SFI 11 cannot be read",
        ),
    ],
)
def test_what_a_present_card_lacks_is_named(needs: CalypsoCardNeeds, sentence: str) -> None:
    (missing,) = needs.missing(channel_to(new_card("bench")))
    assert sentence in missing


def test_looking_at_a_card_changes_nothing_on_it() -> None:
    card = new_card("bench")
    before = card.snapshot()
    ALL.missing(channel_to(card))
    assert card.snapshot() == before


def test_an_invalidated_application_is_named() -> None:
    card = new_card("bench")
    card.memory.commit({invalidated_key(0x2000): 1})
    (missing,) = CalypsoCardNeeds(aid=AID).missing(channel_to(card))
    assert missing == "the application is invalidated"


def test_a_card_that_is_no_calypso_card_is_named(echo_card: EchoCard) -> None:
    (missing,) = CalypsoCardNeeds(aid=AID).missing(channel_to(echo_card))
    assert "no Calypso card" in missing


def test_an_empty_reader_is_an_error_of_the_link() -> None:
    with pytest.raises(CardNotPresent):
        ALL.missing(CardChannel(InProcessReader(CardSlot("empty"))))


def test_a_sam_is_asked_for_its_keys(key_list_sam: type[KeyListSam]) -> None:
    needs = SamNeeds(keys=((0x30, 0x74), (0x30, 0x11)))
    sam = key_list_sam((0x30, 0x74))
    assert needs.missing(channel_to(sam)) == ["the SAM has no key KIF 30 KVC 11 (6A83)"]


def test_a_software_sam_is_made_from_its_preset() -> None:
    sam = SamNeeds(preset="sam-c1").personalise(entropy=Entropy(b""), clock=Clock())
    assert sam.power_on() == new_sam("sam-c1", entropy=Entropy(b""), clock=Clock()).power_on()
