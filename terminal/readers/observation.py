"""Observation of a reader: cards are announced as they come and go, selected first if that is scheduled.

States, inputs and notifications are the published state diagram:

    WAIT_FOR_OBSERVER         nobody is registered
    WAIT_FOR_START_DETECTION  somebody is, detection has not started
    WAIT_FOR_CARD_INSERTION   detection runs, the reader is empty
    WAIT_FOR_CARD_PROCESSING  the card was announced, the application works with it
    WAIT_FOR_CARD_REMOVAL     the application is done, the card is still there

`TRANSITIONS` is the whole behaviour: a missing (state, input) is ignored.

What the diagram leaves open, and what we chose: a removal while the application works ends detection in
SINGLESHOT mode; a card that was not announced (it matched nothing, and only matches are wanted) leaves
unannounced; a reader that fails is UNAVAILABLE and detection stops.

There is no polling for cards: readers count insertions and removals (`SlotState.changes`), and wait for
that number to change. So a card that was there before detection started is seen, and one that was
exchanged for another between two looks is seen to leave and to come.

Two ways to be told:

- `events()` yields events in the caller's own thread; there is no other.
- Observers are called from one thread of the reader, started by `start_card_detection` and ended by
  `stop_card_detection`; one after the other, in the order they were added.

Thread-safety: every method of `ObservableCardReader` may be called from any thread, also from an
observer. The card itself belongs to whoever was told of it, until it finalizes the processing.

Source: terminal-api §3.1, §3.2, §4.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from enum import Enum, unique
from typing import TYPE_CHECKING, NamedTuple

from cardbench.protocol.errors import CardbenchError, ReaderError, UsageError
from cardbench.terminal.card.channel import CardChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from cardbench.terminal.readers.reader import Reader
    from cardbench.terminal.selection.manager import CardSelectionManager, ScheduledResponse

_LOG = logging.getLogger(__name__)
WAIT_SLICE_S = 0.1
"""How long the thread waits for the reader before it looks whether it was stopped."""


@unique
class DetectionMode(Enum):
    """Whether detection goes on after a card has left."""

    REPEATING = "repeating"
    SINGLESHOT = "singleshot"


@unique
class NotificationMode(Enum):
    """Which cards are announced when a selection is scheduled."""

    ALWAYS = "always"
    MATCHED_ONLY = "matched only"


@unique
class ReaderEventType(Enum):
    """What happened."""

    CARD_INSERTED = "card inserted"
    CARD_MATCHED = "card matched"
    CARD_REMOVED = "card removed"
    UNAVAILABLE = "reader unavailable"


@unique
class ObservationState(Enum):
    """States of an observed reader."""

    WAIT_FOR_OBSERVER = "wait for observer"
    WAIT_FOR_START_DETECTION = "wait for start of detection"
    WAIT_FOR_CARD_INSERTION = "wait for card insertion"
    WAIT_FOR_CARD_PROCESSING = "wait for card processing"
    WAIT_FOR_CARD_REMOVAL = "wait for card removal"


@unique
class ObservationInput(Enum):
    """What moves an observed reader from state to state."""

    FIRST_OBSERVER_ADDED = "first observer added"
    LAST_OBSERVER_REMOVED = "last observer removed"
    DETECTION_STARTED = "detection started"
    DETECTION_STOPPED = "detection stopped"
    CARD_MATCHED = "card matches a case of the scheduled selection"
    CARD_INSERTED = "card inserted, to be announced"
    CARD_UNWANTED = "card matches nothing, and only matches are wanted"
    PROCESSING_ENDED = "processing ended, or channel released"
    CARD_REMOVED_REPEATING = "card removed, REPEATING"
    CARD_REMOVED_SINGLESHOT = "card removed, SINGLESHOT"
    READER_LOST = "reader lost"


class ReaderEvent(NamedTuple):
    """Something that happened at a reader.

    Attributes:
        reader_name: where.
        type: what.
        scheduled_response: what the scheduled selection found, for its manager's `parse_scheduled`.
    """

    reader_name: str
    type: ReaderEventType
    scheduled_response: ScheduledResponse | None = None


class Transition(NamedTuple):
    """Where an input leads, and who hears of it."""

    state: ObservationState
    notification: ReaderEventType | None = None


_S, _I, _E = ObservationState, ObservationInput, ReaderEventType
_ACTIVE = (_S.WAIT_FOR_CARD_INSERTION, _S.WAIT_FOR_CARD_PROCESSING, _S.WAIT_FOR_CARD_REMOVAL)

TRANSITIONS: dict[tuple[ObservationState, ObservationInput], Transition] = {
    (_S.WAIT_FOR_OBSERVER, _I.FIRST_OBSERVER_ADDED): Transition(_S.WAIT_FOR_START_DETECTION),
    (_S.WAIT_FOR_START_DETECTION, _I.LAST_OBSERVER_REMOVED): Transition(_S.WAIT_FOR_OBSERVER),
    (_S.WAIT_FOR_START_DETECTION, _I.DETECTION_STARTED): Transition(_S.WAIT_FOR_CARD_INSERTION),
    (_S.WAIT_FOR_CARD_INSERTION, _I.CARD_MATCHED): Transition(
        _S.WAIT_FOR_CARD_PROCESSING, _E.CARD_MATCHED
    ),
    (_S.WAIT_FOR_CARD_INSERTION, _I.CARD_INSERTED): Transition(
        _S.WAIT_FOR_CARD_PROCESSING, _E.CARD_INSERTED
    ),
    (_S.WAIT_FOR_CARD_INSERTION, _I.CARD_UNWANTED): Transition(_S.WAIT_FOR_CARD_REMOVAL),
    (_S.WAIT_FOR_CARD_PROCESSING, _I.PROCESSING_ENDED): Transition(_S.WAIT_FOR_CARD_REMOVAL),
    (_S.WAIT_FOR_CARD_PROCESSING, _I.CARD_REMOVED_REPEATING): Transition(
        _S.WAIT_FOR_CARD_INSERTION, _E.CARD_REMOVED
    ),
    (_S.WAIT_FOR_CARD_PROCESSING, _I.CARD_REMOVED_SINGLESHOT): Transition(
        _S.WAIT_FOR_START_DETECTION, _E.CARD_REMOVED
    ),
    (_S.WAIT_FOR_CARD_REMOVAL, _I.CARD_REMOVED_REPEATING): Transition(
        _S.WAIT_FOR_CARD_INSERTION, _E.CARD_REMOVED
    ),
    (_S.WAIT_FOR_CARD_REMOVAL, _I.CARD_REMOVED_SINGLESHOT): Transition(
        _S.WAIT_FOR_START_DETECTION, _E.CARD_REMOVED
    ),
    **{(state, _I.DETECTION_STOPPED): Transition(_S.WAIT_FOR_START_DETECTION) for state in _ACTIVE},
    **{(state, _I.LAST_OBSERVER_REMOVED): Transition(_S.WAIT_FOR_OBSERVER) for state in _ACTIVE},
    **{
        (state, _I.READER_LOST): Transition(_S.WAIT_FOR_START_DETECTION, _E.UNAVAILABLE)
        for state in _ACTIVE
    },
}

Observer: TypeAlias = "Callable[[ReaderEvent], None]"
ErrorHandler: TypeAlias = "Callable[[str, str, Exception], None]"


def _log_error(context: str, reader_name: str, error: Exception) -> None:
    _LOG.error("%s at reader %s", context, reader_name, exc_info=error)


class ObservableCardReader:
    """A reader that tells of cards.

    Args:
        reader: the reader, or a channel over it.
        on_error: told of errors that observers raise, and of readers that fail during a scheduled
            selection, as (context, reader name, error); by default they are logged.

    Attributes:
        channel: the way to the card; closing it ends the processing of the card.
        on_error: as above; may be replaced at any time.
    """

    def __init__(
        self, reader: Reader | CardChannel, *, on_error: ErrorHandler = _log_error
    ) -> None:
        self.channel = CardChannel.over(reader)
        self.channel.on_close = self.finalize_card_processing
        self.on_error = on_error
        self._observers: list[Observer] = []
        self._lock = threading.RLock()
        self._state = ObservationState.WAIT_FOR_OBSERVER
        self._mode = DetectionMode.REPEATING
        self._changes = -1
        self._is_announced = False
        self._schedule: tuple[CardSelectionManager, NotificationMode] | None = None
        self._run = 0  # which start of detection is the current one
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The reader's name."""
        return self.channel.name

    @property
    def is_contactless(self) -> bool:
        """Whether the reader is contactless."""
        return self.channel.is_contactless

    @property
    def is_card_present(self) -> bool:
        """Whether a card is in the reader."""
        return self.channel.is_card_present

    @property
    def state(self) -> ObservationState:
        """The state of observation."""
        return self._state

    # Observers

    def add_observer(self, observer: Observer) -> None:
        """Register somebody to be told; the same one counts once.

        Raises:
            UsageError: not callable.
        """
        if not callable(observer):
            raise UsageError(f"an observer is called with the event; {observer!r} cannot be")
        with self._lock:
            if observer not in self._observers:
                self._observers.append(observer)
                self._move(ObservationInput.FIRST_OBSERVER_ADDED)

    def remove_observer(self, observer: Observer) -> None:
        """Do not tell somebody any more; harmless if he was never told. The last one ends detection."""
        with self._lock:
            if observer in self._observers:
                self._observers.remove(observer)
                if not self._observers:
                    self._move(ObservationInput.LAST_OBSERVER_REMOVED)

    def clear_observers(self) -> None:
        """Tell nobody any more; detection ends."""
        with self._lock:
            self._observers.clear()
            self._move(ObservationInput.LAST_OBSERVER_REMOVED)

    @property
    def observer_count(self) -> int:
        """How many are registered."""
        return len(self._observers)

    # Selection

    def schedule(self, manager: CardSelectionManager, mode: NotificationMode) -> None:
        """Run a selection on each card that comes, before it is announced."""
        with self._lock:
            self._schedule = manager, mode

    # Detection

    def start_card_detection(self, mode: DetectionMode) -> None:
        """Start to look for cards, in a thread of the reader's own.

        Raises:
            UsageError: nobody is registered.
        """
        with self._lock:
            if not self._observers:
                raise UsageError("detection needs an observer: add_observer() comes first")
            if not self._start(mode):
                return
            self._thread = threading.Thread(
                target=self._work, args=(self._run,), name=f"cards of {self.name}", daemon=True
            )
            self._thread.start()

    def stop_card_detection(self) -> None:
        """Stop to look for cards; nobody is told, the channel is closed. Harmless when stopped."""
        with self._lock:
            was_active = self._state in _ACTIVE
            self._move(ObservationInput.DETECTION_STOPPED)
        if was_active:
            self._close()

    def finalize_card_processing(self) -> None:
        """Say that the application is done with the card; harmless when it was said before."""
        with self._lock:
            self._move(ObservationInput.PROCESSING_ENDED)

    @contextmanager
    def card_processing(self) -> Iterator[CardChannel]:
        """Work with the announced card in a `with` block; leaving it ends the processing."""
        try:
            yield self.channel
        finally:
            if self.channel.is_open:
                self._close()
            self.finalize_card_processing()

    @contextmanager
    def detecting(self, mode: DetectionMode = DetectionMode.REPEATING) -> Iterator[None]:
        """Detect cards during a `with` block; leaving it waits for the thread to end."""
        self.start_card_detection(mode)
        thread = self._thread
        try:
            yield
        finally:
            self.stop_card_detection()
            if thread is not None and thread is not threading.current_thread():
                thread.join()

    def events(
        self, mode: DetectionMode = DetectionMode.REPEATING, *, timeout_s: float | None = None
    ) -> Iterator[ReaderEvent]:
        """Yield events in the caller's own thread, until detection ends.

        The body of the loop is the processing of the card: it ends when the next event is asked for.
        Registered observers are told as well.

        Args:
            mode: whether to go on after a card has left.
            timeout_s: how long to wait for each event; the iterator ends when nothing comes.

        Raises:
            UsageError: detection runs already.
        """
        self.add_observer(_ignore)
        try:
            with self._lock:
                if not self._start(mode):
                    raise UsageError(f"cards of {self.name} are being detected already")
                run = self._run
            while (event := self._next(run, timeout_s)) is not None:
                self._tell(event)
                yield event
                if event.type in (ReaderEventType.CARD_INSERTED, ReaderEventType.CARD_MATCHED):
                    self.finalize_card_processing()
        finally:
            self.stop_card_detection()
            self.remove_observer(_ignore)

    # How it works

    def _start(self, mode: DetectionMode) -> bool:
        if self._state in _ACTIVE:
            return False
        self._mode = mode
        self._changes = -1
        self._run += 1
        self._move(ObservationInput.DETECTION_STARTED)
        return True

    def _move(self, what: ObservationInput) -> ReaderEventType | None:
        transition = TRANSITIONS.get((self._state, what))
        if transition is None:
            return None
        self._state = transition.state
        return transition.notification

    def _work(self, run: int) -> None:
        while (event := self._next(run, None)) is not None:
            self._tell(event)

    def _tell(self, event: ReaderEvent) -> None:
        for observer in tuple(self._observers):
            try:
                observer(event)
            except Exception as error:  # noqa: BLE001 - an observer's trouble is his own
                self.on_error("an observer failed", self.name, error)

    def _next(self, run: int, timeout_s: float | None) -> ReaderEvent | None:
        """Wait for the next event of this run of detection; None when it has ended, or nothing came."""
        while True:
            with self._lock:
                if run != self._run or self._state not in _ACTIVE:
                    return None
                waits_for_card = self._state is ObservationState.WAIT_FOR_CARD_INSERTION
                changes = self._changes
            try:
                state = self.channel.reader.state()
                if state.changes == changes and not (waits_for_card and state.present):
                    state = self.channel.reader.wait_for_change(
                        changes, WAIT_SLICE_S if timeout_s is None else timeout_s
                    )
            except ReaderError as error:
                self.on_error("the reader failed", self.name, error)
                with self._lock:
                    return self._event(self._move(ObservationInput.READER_LOST))
            event = None
            if waits_for_card:
                if state.present:
                    event = self._on_insertion(run, state.changes)
                else:
                    self._changes = state.changes
            elif state.changes != changes:
                event = self._on_removal(run)
            if event is not None:
                return event
            if timeout_s is not None and state.changes == changes:
                return None

    def _on_insertion(self, run: int, changes: int) -> ReaderEvent | None:
        what, response = self._select()
        with self._lock:
            if run != self._run or self._state is not ObservationState.WAIT_FOR_CARD_INSERTION:
                return None
            self._changes = changes
            self._is_announced = what is not ObservationInput.CARD_UNWANTED
            return self._event(self._move(what), response)

    def _select(self) -> tuple[ObservationInput, ScheduledResponse | None]:
        """Run the scheduled selection, and say how the card is to be announced."""
        with self._lock:
            schedule = self._schedule
        if schedule is None:
            return ObservationInput.CARD_INSERTED, None
        manager, mode = schedule
        try:
            response = manager.run(self.channel)
        except CardbenchError as error:
            self.on_error("the scheduled selection failed", self.name, error)
            self._close()
            return ObservationInput.CARD_UNWANTED, None
        if response.has_matched:
            return ObservationInput.CARD_MATCHED, response
        if mode is NotificationMode.ALWAYS:
            return ObservationInput.CARD_INSERTED, response
        self._close()
        return ObservationInput.CARD_UNWANTED, None

    def _on_removal(self, run: int) -> ReaderEvent | None:
        with self._lock:
            if run != self._run or self._state not in _ACTIVE:
                return None
            self._changes = -1
            what = (
                ObservationInput.CARD_REMOVED_REPEATING
                if self._mode is DetectionMode.REPEATING
                else ObservationInput.CARD_REMOVED_SINGLESHOT
            )
            notification = self._move(what)
            announced, self._is_announced = self._is_announced, False
        self._close()
        return self._event(notification) if announced else None

    def _event(
        self, notification: ReaderEventType | None, response: ScheduledResponse | None = None
    ) -> ReaderEvent | None:
        return None if notification is None else ReaderEvent(self.name, notification, response)

    def _close(self) -> None:
        try:
            self.channel.close()
        except ReaderError as error:
            self.on_error("the channel could not be closed", self.name, error)


def _ignore(event: ReaderEvent) -> None:
    """Listen without doing anything: `events` is an observer too."""


__all__ = [
    "TRANSITIONS",
    "DetectionMode",
    "ErrorHandler",
    "NotificationMode",
    "ObservableCardReader",
    "ObservationInput",
    "ObservationState",
    "Observer",
    "ReaderEvent",
    "ReaderEventType",
    "Transition",
]
