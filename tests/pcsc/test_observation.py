"""Observation driven by PC/SC events: nothing is polled for, nothing is missed, nothing is told twice."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso import new_card as new_calypso_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.protocol.errors import CardNotPresent, CardRemoved
from cardbench.terminal.calypso import CalypsoCard, CalypsoSelection, FreeTransactionManager
from cardbench.terminal.card import ChannelControl, PlainRequest
from cardbench.terminal.readers.observation import (
    DetectionMode,
    NotificationMode,
    ObservableCardReader,
    ReaderEvent,
    ReaderEventType,
)
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from support.scripted_card import ScriptedCard

    from cardbench.emulator.readers.in_process import CardSlot
    from cardbench.emulator.readers.pcsclite import PcscService
    from cardbench.terminal.readers.pcsc import PcscReader

pytestmark = [pytest.mark.pcsc]

INSERTED, MATCHED = ReaderEventType.CARD_INSERTED, ReaderEventType.CARD_MATCHED
REMOVED, UNAVAILABLE = ReaderEventType.CARD_REMOVED, ReaderEventType.UNAVAILABLE
ECHO = PlainRequest(bytes.fromhex("00000000"), name="Echo")
PATIENCE_S = 10.0


def selection() -> CardSelectionManager:
    manager = CardSelectionManager()
    aid = bytes.fromhex("A000000291FF9101")
    manager.prepare_selection(IsoCardSelector(aid=aid), CalypsoSelection())
    return manager


def test_a_card_that_was_there_before_is_seen_selected_and_leaves(
    slot: CardSlot, reader: PcscReader
) -> None:
    slot.remove()
    slot.insert(new_calypso_card("bench", entropy=Entropy(b"card"), clock=Clock()))
    observed = ObservableCardReader(reader)
    manager = selection()
    manager.schedule(observed, NotificationMode.MATCHED_ONLY)
    seen = []
    for event in observed.events(DetectionMode.SINGLESHOT, timeout_s=PATIENCE_S):
        seen.append(event.type)
        if event.type is MATCHED:
            card = manager.parse_scheduled(event.scheduled_response).active_smart_card
            assert isinstance(card, CalypsoCard)
            free = FreeTransactionManager(observed.channel, card)
            environment = free.prepare_read_record(7)
            free.process_commands(ChannelControl.CLOSE_AFTER)
            assert len(environment.value) == 29
            slot.remove()
    assert seen == [MATCHED, REMOVED]


def test_a_card_that_is_not_wanted_comes_and_leaves_in_silence(
    slot: CardSlot, reader: PcscReader
) -> None:
    """The scripted card that is there has no application; the one behind it has."""
    observed = ObservableCardReader(reader)
    selection().schedule(observed, NotificationMode.MATCHED_ONLY)
    told: queue.Queue[ReaderEvent] = queue.Queue()
    observed.add_observer(told.put)
    with observed.detecting():
        slot.remove()
        slot.insert(new_calypso_card("bench", entropy=Entropy(b"card"), clock=Clock()))
        assert told.get(timeout=PATIENCE_S).type is MATCHED
        slot.remove()
        assert told.get(timeout=PATIENCE_S).type is REMOVED
    assert told.empty()


def test_a_card_exchanged_between_two_looks_leaves_and_comes(
    slot: CardSlot, reader: PcscReader, new_card: type[ScriptedCard]
) -> None:
    observed = ObservableCardReader(reader)
    events = observed.events(timeout_s=PATIENCE_S)
    assert next(events).type is INSERTED
    slot.remove()
    slot.insert(new_card())
    assert [next(events).type, next(events).type] == [REMOVED, INSERTED]
    events.close()


def test_using_the_card_and_asking_for_it_makes_no_event(
    slot: CardSlot, reader: PcscReader
) -> None:
    """Another thread waits for cards all the while."""
    observed = ObservableCardReader(reader)
    told: queue.Queue[ReaderEvent] = queue.Queue()
    observed.add_observer(told.put)
    with observed.detecting():
        assert told.get(timeout=PATIENCE_S).type is INSERTED
        for _ in range(50):
            observed.channel.transmit([ECHO])
            assert observed.is_card_present
        assert told.empty()
        slot.remove()
        assert told.get(timeout=PATIENCE_S).type is REMOVED
        assert told.empty()


def test_a_card_that_is_pulled_in_the_middle_is_an_error_here_and_an_event_there(
    slot: CardSlot, reader: PcscReader, card: ScriptedCard
) -> None:
    observed = ObservableCardReader(reader)
    told: queue.Queue[ReaderEvent] = queue.Queue()
    observed.add_observer(told.put)
    with observed.detecting():
        assert told.get(timeout=PATIENCE_S).type is INSERTED
        observed.channel.transmit([ECHO])
        slot.remove()
        with pytest.raises((CardRemoved, CardNotPresent)):  # whichever thread comes first
            observed.channel.transmit([ECHO])
        assert told.get(timeout=PATIENCE_S).type is REMOVED
        slot.insert(card)
        assert told.get(timeout=PATIENCE_S).type is INSERTED
        assert observed.channel.transmit([ECHO])


def test_a_reader_that_is_unplugged_is_unavailable(
    service: PcscService, reader: PcscReader, slot: CardSlot
) -> None:
    slot.remove()
    observed = ObservableCardReader(reader, on_error=lambda *_: None)
    told: queue.Queue[ReaderEvent] = queue.Queue()
    observed.add_observer(told.put)
    with observed.detecting():
        service.remove_reader(service._slots[0])
        assert told.get(timeout=PATIENCE_S).type is UNAVAILABLE


def test_detection_ends_when_it_is_told_to(slot: CardSlot, reader: PcscReader) -> None:
    observed = ObservableCardReader(reader)
    observed.add_observer(lambda _event: None)
    slot.remove()
    with observed.detecting():
        pass
    assert not any(thread.name.startswith("cards of") for thread in threading.enumerate())
