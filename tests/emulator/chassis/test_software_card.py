"""A card's life: power, reset, commands good and bad, power loss, snapshots and twins."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.file_card import COMMANDS, FileCard

from cardbench.emulator.chassis import Memory, Moment, Tear
from cardbench.protocol.errors import CardMute
from cardbench.protocol.link import Card, PowerLoss

READ_1 = bytes.fromhex("00B0010000")
WRITE_1 = bytes.fromhex("00D0010003") + b"two"
WRITE_0_TO_2 = bytes.fromhex("00D2020003") + b"new"
STUBBORN = bytes.fromhex("00F00100")
CHALLENGE = bytes.fromhex("0084000008")


@pytest.fixture
def card() -> FileCard:
    card = FileCard()
    card.power_on()
    return card


# Power


def test_a_software_card_is_a_card(card: FileCard) -> None:
    assert isinstance(card, Card)


def test_a_card_without_power_is_mute() -> None:
    card = FileCard()
    assert not card.is_powered
    with pytest.raises(CardMute):
        card.transmit(READ_1)
    with pytest.raises(CardMute):
        card.volatile  # noqa: B018 - asking is the test
    card.deselect()
    card.power_off()
    assert card.memory.writes == 0


def test_power_on_gives_the_atr_and_a_fresh_volatile_record(card: FileCard) -> None:
    assert card.is_powered
    card.transmit(READ_1)
    assert card.volatile == [0xB0]
    assert card.power_on() == b"\x3b\x00"
    assert card.volatile == []


def test_a_warm_reset_forgets_what_is_volatile_and_keeps_the_rest(card: FileCard) -> None:
    card.transmit(WRITE_1)
    assert card.reset() == b"\x3b\x00"
    assert card.volatile == []
    assert card.transmit(READ_1) == b"two\x90\x00"


def test_power_off_and_on_keeps_the_memory(card: FileCard) -> None:
    card.transmit(WRITE_1)
    card.power_off()
    assert not card.is_powered
    card.power_on()
    assert card.transmit(READ_1) == b"two\x90\x00"


def test_an_orderly_deselect_is_noticed_and_power_stays(card: FileCard) -> None:
    card.deselect()
    assert card.memory[("deselected",)] == 1
    assert card.is_powered


# Commands


def test_a_command_is_answered_with_data_and_status_word(card: FileCard) -> None:
    assert card.transmit(READ_1) == b"one\x90\x00"
    assert card.transmit(WRITE_0_TO_2) == b"n\x62\x00"
    assert card.transmit(bytes.fromhex("00B0090000")) == b"\x6a\x82"
    assert card.transmit(bytes.fromhex("00B0FF0000")) == b"\x6b\x00"
    assert card.transmit(bytes.fromhex("00B0010001FF")) == b"\x67\x00"
    assert card.transmit(bytes.fromhex("00AA0000")) == b"\x6d\x00"


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\x00\xb0\x01", bytes.fromhex("00B0010003AA")])
def test_malformed_commands_get_6700_and_are_told_to_the_family(card: FileCard, raw: bytes) -> None:
    assert card.transmit(raw) == b"\x67\x00"
    assert card.malformed == [raw]
    assert card.volatile == []


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_any_bytes_are_answered_and_the_answer_ends_with_a_status_word(
    commands: list[bytes],
) -> None:
    card = FileCard()
    card.power_on()
    known = {sw for row in COMMANDS for sw in row.answers} | {0x6700, 0x6B00, 0x6D00}
    for raw in commands:
        response = card.transmit(raw)
        assert int.from_bytes(response[-2:]) in known
        assert card.is_powered


def test_a_late_answer_is_only_reported_and_only_once(card: FileCard) -> None:
    assert card.transmit(bytes.fromhex("00F20500")) == b"\x90\x00"
    assert card.answer_delay_s == 0.5
    card.transmit(READ_1)
    assert card.answer_delay_s == 0.0


def test_a_listener_hears_every_command_with_its_status_word(card: FileCard) -> None:
    heard: list[tuple[int, int]] = []
    card.on_command = lambda command, sw: heard.append((command.ins, sw))
    for raw in (READ_1, bytes.fromhex("00B0090000"), WRITE_0_TO_2, bytes.fromhex("00AA0000")):
        card.transmit(raw)
    assert heard == [(0xB0, 0x9000), (0xB0, 0x6A82), (0xD2, 0x6200), (0xAA, 0x6D00)]


# Power loss


def test_a_power_loss_leaves_the_card_off(card: FileCard) -> None:
    card.memory.arm(Tear(0, Moment.BEFORE))
    with pytest.raises(PowerLoss):
        card.transmit(WRITE_1)
    assert not card.is_powered
    with pytest.raises(CardMute):
        card.transmit(READ_1)
    card.power_on()
    assert card.transmit(READ_1) == b"one\x90\x00"


def test_no_careless_handler_answers_for_a_power_loss(card: FileCard) -> None:
    assert card.transmit(STUBBORN) == b"\x90\x00"
    card.memory.arm(Tear(0, Moment.BEFORE))
    with pytest.raises(PowerLoss):
        card.transmit(STUBBORN)
    assert not card.is_powered


def test_a_power_loss_on_deselect_or_in_a_malformed_command_leaves_the_card_off() -> None:
    for act in (FileCard.deselect, lambda card: card.transmit(b"\xdd")):
        card = FileCard()
        card.power_on()
        card.memory.arm(Tear(1, Moment.INSIDE))
        with pytest.raises(PowerLoss):
            act(card)
        assert not card.is_powered
        card.power_on()
        assert card.memory.objects() == {("file", 1): b"one"}


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("write", range(8))
def test_power_up_recovers_before_anything_else(write: int, moment: Moment) -> None:
    card = FileCard()
    card.power_on()
    card.memory.arm(Tear(write, moment))
    with pytest.raises(PowerLoss):
        card.transmit(WRITE_0_TO_2)
    for again in range(3):
        card.memory.arm(Tear(again, moment))
        with suppress(PowerLoss):
            card.power_on()
            break
        assert not card.is_powered
    card.memory.arm(None)
    card.power_on()
    found = [card.memory.get(("file", number)) for number in range(3)]
    is_new = (write, moment is Moment.AFTER) >= (3, True)
    assert found == ([b"new"] * 3 if is_new else [None, b"one", None])


# Snapshots


def test_a_snapshot_brings_memory_randomness_and_time_back(card: FileCard) -> None:
    card.clock.advance(3)
    kept = card.snapshot()
    first = [card.transmit(raw) for raw in (CHALLENGE, WRITE_1, READ_1)]
    card.clock.advance(5)
    card.restore(kept)
    assert not card.is_powered
    assert card.clock.now_s == 3
    card.power_on()
    assert [card.transmit(raw) for raw in (CHALLENGE, WRITE_1, READ_1)] == first


def test_a_snapshot_stays_as_it_was(card: FileCard) -> None:
    kept = card.snapshot()
    card.transmit(WRITE_1)
    card.transmit(CHALLENGE)
    twin = FileCard(Memory())
    twin.restore(kept)
    twin.power_on()
    assert twin.transmit(READ_1) == b"one\x90\x00"
    twin.transmit(WRITE_1)
    assert kept.memory.objects == {("file", 1): b"one"}


def test_a_twin_goes_its_own_way(card: FileCard) -> None:
    card.transmit(READ_1)
    card.memory.arm(Tear(0, Moment.BEFORE))
    card.on_command = lambda _command, _sw: pytest.fail("the twin has no listener")
    twin = card.fork()
    assert twin.volatile == card.volatile == [0xB0]
    assert twin.transmit(WRITE_1) == b"\x90\x00"  # the tear is armed in the other
    twin.clock.advance(1)
    assert twin.transmit(READ_1) == b"two\x90\x00"
    assert card.memory[("file", 1)] == b"one"
    assert card.volatile == [0xB0]
    assert card.clock.now_s == 0
    card.on_command = None
    assert twin.transmit(CHALLENGE) == card.transmit(CHALLENGE)


def test_what_a_volatile_record_leads_to_is_the_twin_s_own(card: FileCard) -> None:
    card.volatile.extend([card, card.memory, card.entropy, card.clock])  # type: ignore[list-item]
    twin = card.fork()
    assert twin.volatile == [twin, twin.memory, twin.entropy, twin.clock]
    assert card.volatile == [card, card.memory, card.entropy, card.clock]


def test_a_twin_of_a_card_without_power_has_none() -> None:
    twin = FileCard().fork()
    assert not twin.is_powered
    assert twin.power_on() == b"\x3b\x00"
