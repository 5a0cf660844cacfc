"""PC/SC readers: whatever pcscd, Windows' or another PC/SC service shows, physical readers included.

It stands on pyscard's thin layer, `smartcard.scard` (extra `pcsc`); the module can be imported without.

Rules
-----
* A reader is chosen by a part of its name or by a regular expression that fits exactly one.
* A card is reached by T=1 where it offers that, else by T=0 with the T=0 mapping of `t0`.
* Closing the channel takes the card's power: the next one finds the card fresh.
* A card that another program reset is lost, as one that was pulled: its session is gone.
* Waiting and looking use contexts of their own, because PC/SC lets one call at a time into a context: so
  one thread may watch for cards, and close the channel when the card leaves, while another uses the card.
  The other's command then ends in `CardRemoved`, or in `CardNotPresent` if it did not reach the card.
  Otherwise a reader belongs to one thread at a time.

Source: pcsc; pcsclite-protocol §4 to §7; terminal-api §7.
"""

from __future__ import annotations

import re
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from cardbench.protocol.atr import Atr
from cardbench.protocol.errors import (
    CardMute,
    CardNotPresent,
    CardRemoved,
    MalformedAtr,
    ReaderError,
    ReaderNotFound,
    ReaderTimeout,
    UsageError,
)
from cardbench.protocol.link import SlotState
from cardbench.protocol.pcsc import CardProtocol, Disposition, ReturnCode, ShareMode
from cardbench.terminal.readers.patience import interruptible, when_shared
from cardbench.terminal.readers.t0 import exchange_t0

if TYPE_CHECKING:
    from types import TracebackType

_SCOPE_USER = 0
_STATE_UNAWARE = 0
_STATE_CHANGED = 0x0002
_STATE_UNKNOWN = 0x0004
_STATE_PRESENT = 0x0020
_STATE_EXCLUSIVE = 0x0080
_STATE_IN_USE = 0x0100
_STATE_MUTE = 0x0200
_WAIT_SLICE_S = 0.5  # a C call that waits hears no Ctrl-C; so it waits in slices
_COUNTER_MASK = 0xFFFF
_COUNTER_HALF = 0x8000

_NO_SERVICE = frozenset((ReturnCode.NO_SERVICE, ReturnCode.SERVICE_STOPPED, ReturnCode.COMM_ERROR))
_NO_READER = frozenset(
    (ReturnCode.UNKNOWN_READER, ReturnCode.READER_UNAVAILABLE, ReturnCode.NO_READERS_AVAILABLE)
)
_MUTE = frozenset((ReturnCode.UNRESPONSIVE_CARD, ReturnCode.UNPOWERED_CARD))
_LOST = frozenset(
    (
        ReturnCode.REMOVED_CARD,
        ReturnCode.RESET_CARD,
        ReturnCode.NO_SMARTCARD,
        ReturnCode.NOT_TRANSACTED,
    )
)


def _thin_layer() -> Any:  # noqa: ANN401 - pyscard has no types
    try:
        return import_module("smartcard.scard")
    except ImportError as error:
        raise ReaderError(
            f"PC/SC needs pyscard ({error}); install it with: pip install 'cardbench[pcsc]'"
        ) from error


def _in_words(code: int) -> str:
    try:
        return f"{code:08X} {ReturnCode(code).name.lower().replace('_', ' ')}"
    except ValueError:
        return f"{code:08X}"


def _error(code: int, what: str, *, in_exchange: bool = False) -> ReaderError:
    """The named error for a return code; in the middle of an exchange a missing card was removed."""
    text = f"{what}: PC/SC answered {_in_words(code)}"
    if code in _NO_SERVICE:
        return ReaderError(f"{text}; no PC/SC service is running, or it stopped")
    if code in _NO_READER:
        return ReaderNotFound(text)
    if code in _LOST and in_exchange:
        return CardRemoved(text)
    if code == ReturnCode.NO_SMARTCARD:
        return CardNotPresent(text)
    if code in _MUTE:
        return CardMute(text)
    if code == ReturnCode.TIMEOUT:
        return ReaderTimeout(text)
    if code == ReturnCode.SHARING_VIOLATION:
        return ReaderError(f"{text}; another program holds the reader")
    return ReaderError(text)


class _Context:
    """One PC/SC context, made when it is first needed."""

    def __init__(self, scard: Any) -> None:  # noqa: ANN401 - pyscard has no types
        self._scard = scard
        self._number: int | None = None

    @property
    def number(self) -> int:
        if self._number is None:
            code, number = self._scard.SCardEstablishContext(_SCOPE_USER)
            if code:
                raise _error(code & 0xFFFFFFFF, "opening PC/SC")
            self._number = number
        return self._number

    def drop(self) -> None:
        if self._number is not None:
            self._scard.SCardReleaseContext(self._number)
            self._number = None

    def reader_names(self) -> list[str]:
        code, names = self._scard.SCardListReaders(self.number, [])
        code &= 0xFFFFFFFF
        if code == ReturnCode.NO_READERS_AVAILABLE:
            return []
        if code:
            raise _error(code, "listing readers")
        return list(names)


def list_readers() -> list[str]:
    """Name the readers that PC/SC shows, in its order.

    Raises:
        ReaderError: pyscard is missing, or no PC/SC service runs.
    """
    context = _Context(_thin_layer())
    try:
        return context.reader_names()
    finally:
        context.drop()


class ReaderView(NamedTuple):
    """What PC/SC says of a reader, without touching the card in it.

    Attributes:
        name: the reader's name.
        is_present: a card is in it.
        is_mute: the card gives no ATR.
        is_in_use: a program is connected to it.
        atr: the card's ATR; empty without one.
    """

    name: str
    is_present: bool
    is_mute: bool
    is_in_use: bool
    atr: bytes


def view_readers() -> list[ReaderView]:
    """Look at every reader, in PC/SC's order.

    Raises:
        ReaderError: pyscard is missing, or no PC/SC service runs.
    """
    scard = _thin_layer()
    context = _Context(scard)
    try:
        asked = [(name, _STATE_UNAWARE) for name in context.reader_names()]
        if not asked:
            return []
        code, states = scard.SCardGetStatusChange(context.number, 0, asked)
        if code:
            raise _error(code & 0xFFFFFFFF, "looking at the readers")
        return [
            ReaderView(
                name,
                bool(state & _STATE_PRESENT),
                bool(state & _STATE_MUTE),
                bool(state & (_STATE_EXCLUSIVE | _STATE_IN_USE)),
                bytes(atr),
            )
            for name, state, atr in states
        ]
    finally:
        context.drop()


def find_reader(pattern: str, names: list[str]) -> str:
    """Pick the one reader that a pattern means: a part of its name, else a regular expression.

    Case does not matter. A whole name always means that reader.

    Raises:
        ReaderNotFound: none fits, or more than one does; the message names the candidates.
        UsageError: the pattern fits no name as text and is no regular expression.
    """
    if pattern in names:
        return pattern
    found = [name for name in names if pattern.casefold() in name.casefold()]
    if not found:
        try:
            expression = re.compile(pattern, re.IGNORECASE)
        except re.error as error:
            raise UsageError(f"{pattern!r} is no regular expression: {error}") from error
        found = [name for name in names if expression.search(name)]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(repr(name) for name in found or names) or "none"
    if found:
        raise ReaderNotFound(f"{pattern!r} fits {len(found)} readers, say more: {shown}")
    raise ReaderNotFound(f"no reader fits {pattern!r}; PC/SC shows: {shown}")


class PcscReader:
    """Implements `Reader` over PC/SC.

    Args:
        pattern: a part of the reader's name, or a regular expression.
        is_contactless: what the reader says of itself; by default read off the card's ATR.
        share: shared, or exclusive to keep other programs out.
        protocols: the transmission protocols to offer.

    Raises:
        ReaderNotFound: no reader, or more than one, fits.
        ReaderError: pyscard is missing, or no PC/SC service runs.
    """

    def __init__(
        self,
        pattern: str,
        *,
        is_contactless: bool | None = None,
        share: ShareMode = ShareMode.SHARED,
        protocols: CardProtocol = CardProtocol.T0 | CardProtocol.T1,
    ) -> None:
        self._scard = _thin_layer()
        self._context = _Context(self._scard)
        self._look_context = _Context(self._scard)
        self._watch_context = _Context(self._scard)
        self._share = int(share)
        self._protocols = int(protocols)
        self._said_contactless = is_contactless
        self._card: int | None = None
        self._pci: Any = None
        self._active = CardProtocol.UNDEFINED
        self._atr = b""
        self._changes = 0
        self._counter: int | None = None
        self._is_present = False
        self._counting = threading.Lock()
        self._looking = threading.Lock()
        self._using = threading.RLock()
        try:
            self.name = find_reader(pattern, self._context.reader_names())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the channel and leave PC/SC; the reader can still be used, it begins anew."""
        self.disconnect()
        self._context.drop()
        self._look_context.drop()
        self._watch_context.drop()

    @property
    def is_contactless(self) -> bool:
        """Whether the card is reached without contacts: as told, else as its ATR shows."""
        if self._said_contactless is not None:
            return self._said_contactless
        try:
            return Atr.parse(self._atr, strict=False).is_contactless
        except MalformedAtr:
            return False

    @property
    def active_protocol(self) -> CardProtocol:
        """The transmission protocol in use."""
        return self._active

    # Presence

    def _ask_state(self, context: _Context, known: int, timeout_s: float) -> int | None:
        """The reader's event state; None if it stayed as `known` until the timeout."""
        code, states = self._scard.SCardGetStatusChange(
            context.number, int(timeout_s * 1000), [(self.name, known)]
        )
        code &= 0xFFFFFFFF
        if code == ReturnCode.TIMEOUT:
            return None
        if code:
            context.drop()
            self._lose_count()
            raise _error(code, self.name)
        state = int(states[0][1])
        if state & _STATE_UNKNOWN:
            raise ReaderNotFound(f"{self.name}: the reader was unplugged")
        return state

    def _count(self, state: int) -> SlotState:
        """Make of PC/SC's 16-bit event counter one that only grows.

        Two threads may look at once, and the one that looked first come last: it learns what the other
        has seen, and nothing is counted twice.
        """
        counter = state >> 16 & _COUNTER_MASK
        with self._counting:
            known = self._counter
            passed = 0 if known is None else (counter - known) & _COUNTER_MASK
            if passed < _COUNTER_HALF:
                self._changes += passed
                self._counter = counter
                self._is_present = bool(state & _STATE_PRESENT)
            return SlotState(self._is_present, self._changes)

    def _lose_count(self) -> None:
        """Forget PC/SC's counter: its service may begin anew. What happened meanwhile is one change."""
        with self._counting:
            if self._counter is not None:
                self._counter = None
                self._changes += 1

    def state(self) -> SlotState:
        """Presence and number of changes."""
        with self._looking:
            state = self._ask_state(self._look_context, _STATE_UNAWARE, 0)
        assert state is not None  # "unaware" is answered at once
        return self._count(state)

    def wait_for_change(self, changes: int, timeout_s: float | None = None) -> SlotState:
        """Block until a card was inserted or removed since `changes`, or until the timeout."""
        end_s = None if timeout_s is None else time.monotonic() + timeout_s
        known = _STATE_UNAWARE
        while True:
            left_s = _WAIT_SLICE_S if end_s is None else max(0.0, end_s - time.monotonic())
            state = self._ask_state(self._watch_context, known, min(left_s, _WAIT_SLICE_S))
            if state is not None:
                known = state & ~_STATE_CHANGED
                counted = self._count(state)
                if counted.changes != changes:
                    return counted
            if end_s is not None and time.monotonic() >= end_s:
                return self.state()

    # The channel

    def connect(self) -> bytes:
        """Open the channel and return the ATR; an open channel to the same card stays open.

        Raises:
            CardNotPresent, CardMute, ReaderNotFound, ReaderError.
        """
        with self._using:
            if self._card is not None:
                if self._status()[0] == ReturnCode.SUCCESS:
                    return self._atr
                self._leave(Disposition.LEAVE)
            code, card, active = self._connect()
            if code in _NO_SERVICE:  # it may have been restarted since the context was made
                self._context.drop()
                code, card, active = self._connect()
            if code:
                raise _error(code, self.name)
            self._card = card
            self._use_protocol(active)
            try:
                self._atr = self._read_atr()
            except ReaderError:
                self._leave(Disposition.LEAVE)
                raise
            return self._atr

    def _connect(self) -> tuple[int, int, int]:
        context = self._context
        number = context.number
        try:
            code, card, active = interruptible(
                lambda: self._scard.SCardConnect(number, self.name, self._share, self._protocols)
            )
        except BaseException:
            self._context = _Context(self._scard)  # the call goes on in the other, and blocks it
            raise
        return code & 0xFFFFFFFF, card, active

    def _status(self) -> tuple[Any, ...]:
        return when_shared(lambda: self._scard.SCardStatus(self._card))

    def _use_protocol(self, active: int) -> None:
        self._active = CardProtocol(active)
        is_t0 = active == CardProtocol.T0
        self._pci = self._scard.SCARD_PCI_T0 if is_t0 else self._scard.SCARD_PCI_T1

    def _read_atr(self) -> bytes:
        code, _, _, _, atr = self._status()
        if code:
            raise _error(code & 0xFFFFFFFF, self.name)
        return bytes(atr)

    def _transmit(self, command: bytes) -> bytes:
        code, response = self._scard.SCardTransmit(self._card, self._pci, list(command))
        if code & 0xFFFFFFFF == ReturnCode.SHARING_VIOLATION:
            code, response = when_shared(
                lambda: self._scard.SCardTransmit(self._card, self._pci, list(command))
            )
        if code:
            raise _error(code & 0xFFFFFFFF, self.name, in_exchange=True)
        return bytes(response)

    def transmit(self, command: bytes) -> bytes:
        """Carry one command APDU; under T=0 with the T=0 mapping.

        Raises:
            CardNotPresent: the channel is closed.
            CardRemoved: the card went, lost its power or was reset by another program.
            ReaderError: anything else that PC/SC answers.
        """
        with self._using:
            if self._card is None:
                raise CardNotPresent(f"{self.name}: not connected")
            if self._active is CardProtocol.T0:
                return exchange_t0(self._transmit, command)
            return self._transmit(command)

    def reset(self) -> bytes:
        """Warm-reset the card and return the ATR; opens the channel if it is closed."""
        with self._using:
            if self._card is None:
                return self.connect()
            code, active = when_shared(
                lambda: self._scard.SCardReconnect(
                    self._card, self._share, self._protocols, Disposition.RESET
                )
            )
            if code:
                raise _error(code & 0xFFFFFFFF, self.name)
            self._use_protocol(active)
            self._atr = self._read_atr()
            return self._atr

    def disconnect(self) -> None:
        """Close the channel and take the card's power; harmless when closed."""
        with self._using:
            self._leave(Disposition.UNPOWER)

    def _leave(self, disposition: Disposition) -> None:
        card, self._card = self._card, None
        self._active = CardProtocol.UNDEFINED
        if card is None:
            return
        if disposition is not Disposition.LEAVE:
            code = self._scard.SCardStatus(card)[0] & 0xFFFFFFFF
            if code == ReturnCode.SHARING_VIOLATION:  # another program is at work with the card
                disposition = Disposition.LEAVE
        self._scard.SCardDisconnect(card, disposition)  # a card that went needs no farewell
