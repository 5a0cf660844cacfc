"""The slot that a card sits in: power, removal at the wrong moment, watchers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.readers.in_process import CardSlot, WatchedSlot
from cardbench.protocol.errors import CardMute, CardNotPresent, CardRemoved

if TYPE_CHECKING:
    from support.scripted_card import ScriptedCard


def test_a_card_slot_is_a_watched_slot(slot: CardSlot) -> None:
    assert isinstance(slot, WatchedSlot)


def test_watchers_hear_of_every_insertion_and_removal_until_they_leave(
    slot: CardSlot, card: ScriptedCard
) -> None:
    seen = []
    leave = slot.watch(lambda: seen.append(slot.state()))
    slot.remove()
    slot.insert(card)
    slot.insert(card)  # pulled out first, so two changes
    leave()
    slot.remove()
    assert seen == [(False, 2), (True, 3), (False, 4), (True, 5)]


def test_an_empty_slot_gives_back_nothing_and_tells_nothing(
    slot: CardSlot, card: ScriptedCard
) -> None:
    assert slot.remove() is card
    seen = []
    slot.watch(lambda: seen.append(1))
    assert slot.remove() is None
    assert seen == []
    assert slot.card is None


def test_commands_need_power(slot: CardSlot, card: ScriptedCard) -> None:
    with pytest.raises(CardNotPresent, match="no power"):
        slot.transmit(bytes(4))
    assert slot.power_on() == card.atr()
    assert slot.transmit(bytes(4)).hex() == "019000"
    slot.power_off()
    slot.power_off()
    assert card.power_downs == 1
    slot.remove()
    for ask in (slot.power_on, slot.reset, lambda: slot.transmit(bytes(4))):
        with pytest.raises(CardNotPresent, match="no card in the slot"):
            ask()


def test_a_reset_is_cold_without_power_and_warm_with_it(slot: CardSlot, card: ScriptedCard) -> None:
    assert slot.reset() == card.atr()
    slot.transmit(bytes(4))
    slot.reset()
    assert slot.transmit(bytes(4)).hex() == "019000"
    assert card.power_downs == 0


def test_a_card_that_loses_its_power_is_in_the_slot_and_dead(slot: CardSlot) -> None:
    slot.power_on()
    with pytest.raises(CardRemoved, match="lost its power"):
        slot.transmit(bytes.fromhex("00040000"))
    with pytest.raises(CardNotPresent, match="no power"):
        slot.transmit(bytes(4))
    assert slot.state().present
    slot.power_on()
    assert slot.transmit(bytes(4)).hex() == "019000"


def test_a_card_that_fails_to_start_is_mute(slot: CardSlot, card: ScriptedCard) -> None:
    card.is_mute = True
    with pytest.raises(CardMute):
        slot.power_on()


def test_a_late_answer_is_waited_for(card: ScriptedCard) -> None:
    slept = []
    slot = CardSlot("late", sleep=slept.append)
    slot.insert(card)
    slot.power_on()
    card.delay_s = 0.25
    slot.transmit(bytes(4))
    assert slept == [0.25]


def test_a_card_pulled_while_it_works_or_is_awaited_gives_no_answer(card: ScriptedCard) -> None:
    slot = CardSlot("late", sleep=lambda _seconds: slot.remove())
    slot.insert(card)
    slot.power_on()
    card.delay_s = 0.25
    with pytest.raises(CardRemoved, match="removed before it answered"):
        slot.transmit(bytes(4))
    slot.insert(card)
    slot.power_on()
    card.delay_s = 0.0
    card.hook = slot.remove
    with pytest.raises(CardRemoved):
        slot.transmit(bytes(4))


def test_a_removal_from_elsewhere_waits_for_the_command_to_end(
    slot: CardSlot, card: ScriptedCard
) -> None:
    removed = threading.Event()
    puller = threading.Thread(target=lambda: (slot.remove(), removed.set()))

    def pull() -> None:
        puller.start()
        assert not removed.wait(0.02)

    card.hook = pull
    slot.power_on()
    slot.transmit(bytes(4))
    puller.join(5)
    assert removed.is_set()
    assert not slot.state().present


def test_a_watcher_that_comes_late_sees_that_something_happened(slot: CardSlot) -> None:
    before = slot.state().changes
    slot.remove()
    assert slot.wait_for_change(before, 5) == (False, before + 1)
    assert slot.wait_for_change(before + 1, 0) == (False, before + 1)
