"""The strict T=0 slot: what it lets through, what it keeps back, what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.emulator.readers.in_process import CardSlot, WatchedSlot
from cardbench.emulator.readers.t0 import T0Slot

if TYPE_CHECKING:
    from support.scripted_card import ScriptedCard


@pytest.fixture
def t0(slot: CardSlot) -> T0Slot:
    t0 = T0Slot(slot)
    t0.power_on()
    return t0


def say(t0: T0Slot, text: str) -> str:
    return t0.transmit(bytes.fromhex(text)).hex().upper()


def test_it_is_the_slot_in_all_but_commands(t0: T0Slot, slot: CardSlot, card: ScriptedCard) -> None:
    assert isinstance(t0, WatchedSlot)
    assert t0.name == slot.name
    assert t0.state() == slot.state()
    seen = []
    leave = t0.watch(lambda: seen.append(1))
    slot.remove()
    assert t0.wait_for_change(1, 5) == slot.state()
    leave()
    slot.insert(card)
    assert seen == [1]
    assert t0.power_on() == t0.reset() == card.atr()
    t0.power_off()
    assert not card.is_powered


@pytest.mark.parametrize(
    "command",
    ["", "00", "00B20104", "00A4040002AA", "00A4040001AAFF", "00A4040002AABB00",
     "00A40400000002AABB", "00A40400000000", "0001000000AA"],
)  # fmt: skip
def test_what_t0_cannot_carry_is_refused_and_never_reaches_the_card(
    t0: T0Slot, card: ScriptedCard, command: str
) -> None:
    assert say(t0, command) == "6700"
    assert card.commands == []


@pytest.mark.parametrize("ins", ["60", "6F", "90", "9A"])
def test_an_instruction_that_looks_like_a_status_is_refused(
    t0: T0Slot, card: ScriptedCard, ins: str
) -> None:
    assert say(t0, f"00{ins}000000") == "6D00"
    assert card.commands == []


@pytest.mark.parametrize("cla", ["00", "80", "94", "A0"])
def test_the_data_of_a_command_with_data_are_fetched(
    t0: T0Slot, card: ScriptedCard, cla: str
) -> None:
    assert say(t0, "A001000002ABCD") == "6103"
    assert say(t0, f"{cla}C0000003") == "01ABCD9000"
    assert len(card.commands) == 1


def test_fetching_in_a_foreign_class_is_the_cards_to_answer_and_drops_the_data(
    t0: T0Slot, card: ScriptedCard
) -> None:
    say(t0, "0001000002ABCD")
    assert say(t0, "B0C0000003") == "6C01"
    assert card.commands[-1] == bytes.fromhex("B0C0000003")


def test_fetching_with_nothing_there_is_the_cards_to_answer(t0: T0Slot, card: ScriptedCard) -> None:
    say(t0, "00C0000001")
    assert card.commands == [bytes.fromhex("00C0000001")]


def test_the_status_of_fetched_data_is_the_commands_own(t0: T0Slot) -> None:
    assert say(t0, "0008000001AA") == "6102"
    assert say(t0, "00C0000002") == "01AA6282"


def test_data_may_be_fetched_in_pieces_and_never_too_much_at_once(t0: T0Slot) -> None:
    assert say(t0, "0001000004AABBCCDD") == "6105"
    assert say(t0, "00C0000006") == "6C05"
    assert say(t0, "00C0000000") == "6C05"
    assert say(t0, "00C0000002") == "01AA6103"
    assert say(t0, "00C0000003") == "BBCCDD9000"
    assert say(t0, "00C0000003") == "6C01"  # nothing is left: the card's own answer


def test_a_wrong_length_is_corrected_and_the_command_executed_once(
    t0: T0Slot, card: ScriptedCard
) -> None:
    assert say(t0, "0002000500") == "6C05"
    assert say(t0, "0002000505") == "00010203049000"
    assert len(card.commands) == 1
    assert say(t0, "0002000505") == "00010203049000"
    assert len(card.commands) == 2


def test_another_command_drops_what_was_not_fetched(t0: T0Slot, card: ScriptedCard) -> None:
    assert say(t0, "0002000500") == "6C05"
    assert say(t0, "0002000600") == "6C06"
    assert say(t0, "0002000505") == "00010203049000"
    assert len(card.commands) == 3


def test_a_reset_drops_what_was_not_fetched(t0: T0Slot) -> None:
    say(t0, "0001000002ABCD")
    t0.reset()
    assert say(t0, "00C0000003") == "6C01"


def test_more_than_asked_for_waits(t0: T0Slot) -> None:
    assert say(t0, "0002000502") == "00016103"
    assert say(t0, "00C0000003") == "0203049000"
    assert say(t0, "0002012C00").endswith("612C")
    assert say(t0, "0002020000").endswith("6100")
    assert say(t0, "00C0000000").endswith("9000")


def test_an_answer_without_data_passes_as_it_is(t0: T0Slot) -> None:
    assert say(t0, "0002000000") == "9000"
    assert t0.transmit(bytes.fromhex("0000000001FF")).hex() == "6102"


@given(st.lists(st.binary(max_size=24), max_size=8))
def test_any_bytes_get_an_answer_that_t0_can_carry(
    new_card: type[ScriptedCard], commands: list[bytes]
) -> None:
    slot = CardSlot("any")
    card = new_card()
    slot.insert(card)
    t0 = T0Slot(slot)
    t0.power_on()
    for command in commands:
        if len(command) > 1 and command[1] in (0x04, 0x06):
            continue
        response = t0.transmit(command)
        assert len(response) >= 2
        if len(command) == 5:
            assert len(response) in (2, 2 + (command[4] or 256))
        else:
            assert len(response) == 2
