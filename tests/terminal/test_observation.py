"""Observation of readers: the published state machine, driven by slots, in one thread and in two."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.errors import CardbenchError, ReaderNotFound, UsageError
from cardbench.terminal.calypso import CalypsoSelection
from cardbench.terminal.card import CardChannel, ChannelControl, PlainRequest
from cardbench.terminal.readers import InProcessReader
from cardbench.terminal.readers.observation import (
    TRANSITIONS,
    DetectionMode,
    NotificationMode,
    ObservableCardReader,
    ObservationInput,
    ObservationState,
    ReaderEvent,
    ReaderEventType,
)
from cardbench.terminal.selection import BasicCardSelector, CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cardbench.protocol.link import SlotState

S, In, E = ObservationState, ObservationInput, ReaderEventType
REPEATING, SINGLESHOT = DetectionMode.REPEATING, DetectionMode.SINGLESHOT
AID = bytes.fromhex("A000000291FF9101")
FCI = bytes.fromhex("6F228408A000000291FF9101A516BF0C13C708000000001122334453070A3C20021410019000")
SOON_S = 5.0


class Answering:
    """A card that answers every command with the same bytes; implements `Card`."""

    answer_delay_s = 0.0

    def __init__(self, answer: bytes = FCI) -> None:
        self.answer = answer

    def power_on(self) -> bytes:
        return bytes.fromhex("3B888001000000009171710098")

    reset = power_on

    def power_off(self) -> None: ...

    def deselect(self) -> None: ...

    def transmit(self, command: bytes) -> bytes:
        del command
        return self.answer


@pytest.fixture
def slot() -> CardSlot:
    return CardSlot("gate")


@pytest.fixture
def reader(slot: CardSlot) -> ObservableCardReader:
    return ObservableCardReader(InProcessReader(slot), on_error=fail)


def fail(context: str, reader_name: str, error: Exception) -> None:
    raise AssertionError(f"{context} {reader_name}") from error


def selection() -> CardSelectionManager:
    manager = CardSelectionManager()
    manager.prepare_selection(IsoCardSelector(aid=AID), CalypsoSelection())
    return manager


def types(events: Iterator[ReaderEvent], count: int) -> list[ReaderEventType]:
    return [next(events).type for _ in range(count)]


# The table


def test_the_table_is_the_published_diagram() -> None:
    """terminal-api §4.1, row by row."""
    published = {
        (S.WAIT_FOR_OBSERVER, In.FIRST_OBSERVER_ADDED): (S.WAIT_FOR_START_DETECTION, None),
        (S.WAIT_FOR_START_DETECTION, In.LAST_OBSERVER_REMOVED): (S.WAIT_FOR_OBSERVER, None),
        (S.WAIT_FOR_START_DETECTION, In.DETECTION_STARTED): (S.WAIT_FOR_CARD_INSERTION, None),
        (S.WAIT_FOR_CARD_INSERTION, In.CARD_MATCHED): (S.WAIT_FOR_CARD_PROCESSING, E.CARD_MATCHED),
        (S.WAIT_FOR_CARD_INSERTION, In.CARD_INSERTED): (
            S.WAIT_FOR_CARD_PROCESSING,
            E.CARD_INSERTED,
        ),
        (S.WAIT_FOR_CARD_INSERTION, In.CARD_UNWANTED): (S.WAIT_FOR_CARD_REMOVAL, None),
        (S.WAIT_FOR_CARD_PROCESSING, In.PROCESSING_ENDED): (S.WAIT_FOR_CARD_REMOVAL, None),
        (S.WAIT_FOR_CARD_PROCESSING, In.CARD_REMOVED_REPEATING): (
            S.WAIT_FOR_CARD_INSERTION,
            E.CARD_REMOVED,
        ),
        (S.WAIT_FOR_CARD_REMOVAL, In.CARD_REMOVED_REPEATING): (
            S.WAIT_FOR_CARD_INSERTION,
            E.CARD_REMOVED,
        ),
        (S.WAIT_FOR_CARD_REMOVAL, In.CARD_REMOVED_SINGLESHOT): (
            S.WAIT_FOR_START_DETECTION,
            E.CARD_REMOVED,
        ),
    }
    for state in (S.WAIT_FOR_CARD_INSERTION, S.WAIT_FOR_CARD_PROCESSING, S.WAIT_FOR_CARD_REMOVAL):
        published[state, In.DETECTION_STOPPED] = (S.WAIT_FOR_START_DETECTION, None)
        published[state, In.LAST_OBSERVER_REMOVED] = (S.WAIT_FOR_OBSERVER, None)
    ours = {
        key: tuple(transition)
        for key, transition in TRANSITIONS.items()
        if key[1] is not In.READER_LOST
        and key != (S.WAIT_FOR_CARD_PROCESSING, In.CARD_REMOVED_SINGLESHOT)
    }
    assert ours == published


# Events in the caller's own thread


def test_a_card_that_was_there_before_is_seen(slot: CardSlot, reader: ObservableCardReader) -> None:
    slot.insert(Answering())
    events = reader.events(timeout_s=0)
    assert next(events) == ReaderEvent("gate", E.CARD_INSERTED, None)
    assert reader.state is S.WAIT_FOR_CARD_PROCESSING
    slot.remove()
    assert next(events).type is E.CARD_REMOVED


def test_repeating_goes_on_and_singleshot_ends(
    slot: CardSlot, reader: ObservableCardReader
) -> None:
    for mode, again in ((REPEATING, True), (SINGLESHOT, False)):
        slot.insert(Answering())
        events = reader.events(mode, timeout_s=0)
        assert next(events).type is E.CARD_INSERTED
        slot.remove()
        assert next(events).type is E.CARD_REMOVED
        slot.insert(Answering())
        assert (next(events, None) is not None) is again
        events.close()  # type: ignore[attr-defined]
        slot.remove()
        assert reader.state is S.WAIT_FOR_OBSERVER


def test_a_card_exchanged_between_two_looks_leaves_and_comes(
    slot: CardSlot, reader: ObservableCardReader
) -> None:
    slot.insert(Answering())
    events = reader.events(timeout_s=0)
    assert next(events).type is E.CARD_INSERTED
    slot.insert(Answering())
    assert types(events, 2) == [E.CARD_REMOVED, E.CARD_INSERTED]


def test_a_card_that_came_and_went_unseen_is_no_event(
    slot: CardSlot, reader: ObservableCardReader
) -> None:
    events = reader.events(timeout_s=0)
    assert next(events, None) is None
    events = reader.events(timeout_s=0)
    slot.insert(Answering())
    slot.remove()
    assert next(events, None) is None


def test_the_loops_body_is_the_processing(slot: CardSlot, reader: ObservableCardReader) -> None:
    slot.insert(Answering())
    states = []
    for event in reader.events(timeout_s=0):
        states.append((event.type, reader.state))
        if event.type is E.CARD_INSERTED:
            with reader.card_processing() as channel:
                assert channel.transmit([PlainRequest(bytes(5))]) == [FCI]
            states.append((None, reader.state))
            slot.remove()
    assert states == [
        (E.CARD_INSERTED, S.WAIT_FOR_CARD_PROCESSING),
        (None, S.WAIT_FOR_CARD_REMOVAL),
        (E.CARD_REMOVED, S.WAIT_FOR_CARD_INSERTION),
    ]
    assert not reader.channel.is_open


def test_releasing_the_channel_ends_the_processing(
    slot: CardSlot, reader: ObservableCardReader
) -> None:
    slot.insert(Answering())
    next(reader.events(timeout_s=0))
    reader.channel.transmit([PlainRequest(bytes(5))], ChannelControl.CLOSE_AFTER)
    assert reader.state in (S.WAIT_FOR_CARD_REMOVAL, S.WAIT_FOR_OBSERVER)


# Scheduled selections


@pytest.mark.parametrize(
    ("answer", "mode", "expected"),
    [
        (FCI, NotificationMode.ALWAYS, E.CARD_MATCHED),
        (FCI, NotificationMode.MATCHED_ONLY, E.CARD_MATCHED),
        (b"\x6a\x82", NotificationMode.ALWAYS, E.CARD_INSERTED),
        (b"\x6a\x82", NotificationMode.MATCHED_ONLY, None),
    ],
)
def test_a_scheduled_selection_decides_on_the_event(
    slot: CardSlot,
    reader: ObservableCardReader,
    answer: bytes,
    mode: NotificationMode,
    expected: ReaderEventType | None,
) -> None:
    manager = selection()
    manager.schedule(reader, mode)
    slot.insert(Answering(answer))
    event = next(reader.events(timeout_s=0), None)
    if expected is None:
        assert event is None
        return
    assert event is not None
    assert event.type is expected
    result = manager.parse_scheduled(event.scheduled_response)
    assert (result.active_selection_index == 0) is (expected is E.CARD_MATCHED)


def test_a_card_that_was_not_announced_leaves_unannounced(
    slot: CardSlot, reader: ObservableCardReader
) -> None:
    selection().schedule(reader, NotificationMode.MATCHED_ONLY)
    events = reader.events(timeout_s=0)
    for card in (Answering(b"\x6a\x82"), Answering(FCI)):
        slot.insert(card)
        last = next(events, None)
        if last is None:
            slot.remove()
            events = reader.events(timeout_s=0)
    assert last is not None
    assert last.type is E.CARD_MATCHED


def test_an_event_without_selection_cannot_be_parsed(
    slot: CardSlot, reader: ObservableCardReader
) -> None:
    slot.insert(Answering())
    event = next(reader.events(timeout_s=0))
    with pytest.raises(UsageError, match="nothing was scheduled"):
        selection().parse_scheduled(event.scheduled_response)
    with pytest.raises(UsageError, match="at least one"):
        CardSelectionManager().schedule(reader, NotificationMode.ALWAYS)


def test_a_selection_that_fails_is_told_to_the_handler(slot: CardSlot) -> None:
    errors: list[tuple[str, str, Exception]] = []
    reader = ObservableCardReader(
        InProcessReader(slot), on_error=lambda *error: errors.append(error)
    )
    manager = CardSelectionManager()
    manager.prepare_selection(BasicCardSelector(protocol="CARD"), CalypsoSelection())
    manager.schedule(reader, NotificationMode.ALWAYS)
    slot.insert(Answering())
    assert next(reader.events(timeout_s=0), None) is None
    ((context, name, error),) = errors
    assert (context, name) == ("the scheduled selection failed", "gate")
    assert isinstance(error, CardbenchError)


# Observers


def test_observers_are_told_in_their_order_and_once(
    slot: CardSlot, reader: ObservableCardReader
) -> None:
    told: list[str] = []
    first, second = (lambda _event: told.append("first"), lambda _event: told.append("second"))
    for observer in (first, second, first):
        reader.add_observer(observer)
    assert reader.observer_count == 2
    slot.insert(Answering())
    next(reader.events(timeout_s=0))
    assert told == ["first", "second"]
    reader.remove_observer(first)
    reader.remove_observer(first)
    assert reader.observer_count == 1
    reader.clear_observers()
    assert (reader.observer_count, reader.state) == (0, S.WAIT_FOR_OBSERVER)


def test_an_observer_can_be_called(reader: ObservableCardReader) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        reader.add_observer(None)  # type: ignore[arg-type]
    assert reader.observer_count == 0


def test_an_observers_trouble_is_his_own(slot: CardSlot) -> None:
    errors: list[str] = []
    told: list[ReaderEventType] = []
    reader = ObservableCardReader(
        InProcessReader(slot), on_error=lambda context, _name, _error: errors.append(context)
    )

    def stumble(event: ReaderEvent) -> None:
        raise LookupError(event.type)

    reader.add_observer(stumble)
    reader.add_observer(lambda event: told.append(event.type))
    slot.insert(Answering())
    next(reader.events(timeout_s=0))
    assert errors == ["an observer failed"]
    assert told == [E.CARD_INSERTED]


def test_errors_are_logged_by_default(slot: CardSlot, caplog: pytest.LogCaptureFixture) -> None:
    reader = ObservableCardReader(InProcessReader(slot))
    reader.add_observer(lambda _event: {}["nothing"])  # type: ignore[misc]
    slot.insert(Answering())
    next(reader.events(timeout_s=0))
    assert "an observer failed at reader gate" in caplog.text


def test_detection_needs_an_observer_and_starts_once(reader: ObservableCardReader) -> None:
    with pytest.raises(UsageError, match="needs an observer"):
        reader.start_card_detection(REPEATING)
    reader.add_observer(lambda _event: None)
    assert reader.state is S.WAIT_FOR_START_DETECTION
    with reader.detecting():
        reader.start_card_detection(REPEATING)  # it runs already
        assert reader.state is S.WAIT_FOR_CARD_INSERTION
        with pytest.raises(UsageError, match="already"):
            next(reader.events(timeout_s=0))
    assert reader.state is S.WAIT_FOR_START_DETECTION


def test_the_readers_thread_tells_of_cards(slot: CardSlot, reader: ObservableCardReader) -> None:
    seen: list[ReaderEventType] = []
    came, gone = threading.Event(), threading.Event()

    def observe(event: ReaderEvent) -> None:
        seen.append(event.type)
        reader.finalize_card_processing()
        (gone if event.type is E.CARD_REMOVED else came).set()

    reader.add_observer(observe)
    with reader.detecting(REPEATING):
        slot.insert(Answering())
        assert came.wait(SOON_S)
        slot.remove()
        assert gone.wait(SOON_S)
    assert seen == [E.CARD_INSERTED, E.CARD_REMOVED]


def test_an_observer_may_stop_detection(slot: CardSlot, reader: ObservableCardReader) -> None:
    stopped = threading.Event()

    def observe(event: ReaderEvent) -> None:
        del event
        reader.stop_card_detection()
        stopped.set()

    reader.add_observer(observe)
    slot.insert(Answering())
    with reader.detecting(REPEATING):
        assert stopped.wait(SOON_S)
    assert reader.state is S.WAIT_FOR_START_DETECTION
    reader.stop_card_detection()


def test_a_reader_that_is_lost_is_unavailable() -> None:
    class Lost:
        name, is_contactless = "lost", True

        def state(self) -> SlotState:
            raise ReaderNotFound("unplugged")

        transmit = connect = disconnect = state

    errors: list[str] = []
    reader = ObservableCardReader(
        Lost(),  # type: ignore[arg-type]
        on_error=lambda context, _name, _error: errors.append(context),
    )
    events = reader.events(timeout_s=0)
    assert next(events) == ReaderEvent("lost", E.UNAVAILABLE)
    assert reader.state is S.WAIT_FOR_START_DETECTION
    assert next(events, None) is None
    assert errors[0] == "the reader failed"


def test_a_reader_shows_its_name_and_presence(slot: CardSlot, reader: ObservableCardReader) -> None:
    assert (reader.name, reader.is_contactless, reader.is_card_present) == ("gate", True, False)
    slot.insert(Answering())
    assert reader.is_card_present
    assert CardChannel.over(reader.channel) is reader.channel
