"""One reader as the service publishes it: who is connected, who holds the card, what the card shows.

Rules
-----
* The *monitor* (one condition for the whole service) guards what is published and who holds what; it
  is held for moments. The *contacts* (one lock per reader) are held while the card works. Contacts are
  always taken before the monitor, never the other way round.
* A reset, by whatever handle, flags every handle of the reader; so does a removal. A flagged handle
  gets its flag as an answer until it reconnects.
* A transaction belongs to one handle, counts its nested begins, and dies with the card or the client. An
  exclusive connection holds one from its first moment to its last.
* A protocol is chosen by the first connection after a power-up, T=1 before T=0, and stays until the
  next reset.
* After the last handle the card keeps its power for a grace period.

The card's life on the wire is the real daemon's: its order of checks, its return codes.

Source: pcsclite-protocol §5, §6, §8, §9.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from cardbench.emulator.readers.guarded import GuardedSlot
from cardbench.emulator.readers.pcsclite.messages import (
    CARD_MUTE,
    CARD_READY,
    CARD_UNPOWERED,
    EMPTY_READER,
    ReaderState,
)
from cardbench.protocol.errors import CardNotPresent, ReaderError
from cardbench.protocol.pcsc import (
    Attribute,
    CardProtocol,
    Disposition,
    ReaderStatus,
    ReturnCode,
    ShareMode,
    offered_protocols,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.readers.in_process import WatchedSlot

HANDLES_PER_READER_MAX = 200
LOCK_ANSWER_S = (
    0.1  # how long a begin waits for another's transaction before it is told to ask again
)
LIVENESS_S = 0.1  # how often a client that waits on the server is looked after
DWELL_S = (
    0.05  # how long an empty reader stays published before the next card: watchers must see it
)

_EXCLUSIVE = -1
_ANY_PROTOCOL = CardProtocol.T0 | CardProtocol.T1 | CardProtocol.RAW | CardProtocol.ANY_OLD
_UNCHECKED_PROTOCOLS = frozenset((int(CardProtocol.RAW), int(CardProtocol.ANY_OLD)))
_RESETS = frozenset((Disposition.RESET, Disposition.UNPOWER))
_VENDOR_NAME = b"cardbench\0"
_VENDOR_VERSION = (0x01000000).to_bytes(4, "little")


class ClientGone(Exception):
    """The client died, or the service stops, while a call waited."""


class Handle:
    """One connection to a reader."""

    __slots__ = ("flag", "number", "reader")

    def __init__(self, number: int, reader: PublishedReader) -> None:
        self.number = number
        self.reader = reader
        self.flag = ReturnCode.SUCCESS  # RESET_CARD or REMOVED_CARD until the handle reconnects


class PublishedReader:
    """A slot, as PC/SC clients see it.

    Args:
        slot: where the card sits.
        name: full reader name, with the two numbers at its end.
        monitor: guards everything published.
        on_change: called with the monitor held after each published change; `True`: tell the waiting.
        power_down_s: how long an unused card keeps its power.
        on_unused: called when the power-down clock starts.
    """

    def __init__(
        self,
        slot: WatchedSlot,
        name: str,
        *,
        monitor: threading.Condition,
        on_change: Callable[[bool], None],
        power_down_s: float,
        on_unused: Callable[[], None],
    ) -> None:
        self.name = name
        self.is_gone = False
        self.power_down_at_s: float | None = None
        self.handles: dict[int, Handle] = {}
        self._slot = GuardedSlot(slot)
        self._encoded_name = name.encode()
        self._monitor = monitor
        self._on_change = on_change
        self._on_unused = on_unused
        self._power_down_s = power_down_s
        self._contacts = threading.RLock()
        self._changes = 0
        self._removed_at_s = 0.0
        self._event_counter = 0
        self._status: ReaderStatus = EMPTY_READER
        self._sharing = 0
        self._atr = b""
        self._protocol = 0
        self._powered = False
        self._holder: Handle | None = None
        self._holds = 0
        self._encoded: bytes | None = None
        self._unwatch = slot.watch(self.follow_slot)
        self.follow_slot()

    # What is published

    def encoded_state(self) -> bytes:
        """The reader's entry of the array; the monitor is held."""
        if self._encoded is None:
            self._encoded = ReaderState(
                self._encoded_name,
                self._event_counter,
                self._status,
                self._sharing,
                self._atr,
                self._protocol,
            ).encode()
        return self._encoded

    def _publish(self, *, event: bool) -> None:
        self._encoded = None
        self._on_change(event)

    def withdraw(self, patience_s: float = -1) -> None:
        """Take the reader away; its handles answer INVALID_VALUE from now on.

        Args:
            patience_s: how long to wait for a card that is still at work, in seconds; a card that takes
                longer keeps its power. Without it, as long as it takes.
        """
        self._unwatch()
        is_idle = self._contacts.acquire(timeout=patience_s)
        try:
            with self._monitor:
                self.is_gone = True
                self.handles.clear()
                self._holder = None
                self._holds = 0
                self.power_down_at_s = None
                self._monitor.notify_all()
            if is_idle:
                self._slot.power_off()
        finally:
            if is_idle:
                self._contacts.release()

    # The slot's news

    def follow_slot(self) -> None:
        """Publish what happened in the slot; called in the thread that moved the card."""
        with self._monitor:
            state = self._slot.state()
            if state.changes == self._changes:
                return
            if not self._status & ReaderStatus.ABSENT:
                self._lose_card()
                if state.changes == self._changes:
                    return
            dwell_s = self._removed_at_s + DWELL_S - time.monotonic()
        if state.present and dwell_s > 0:
            time.sleep(dwell_s)
        with self._contacts:
            atr = self._power_up() if self._slot.state().present else None
            with self._monitor:
                state = self._slot.state()
                if state.changes == self._changes:
                    return
                self._event_counter = (self._event_counter + state.changes - self._changes) & 0xFFFF
                self._changes = state.changes
                if state.present:
                    self._show_card(atr)
                    self._start_power_down_clock()
                self._publish(event=True)

    def _lose_card(self) -> None:
        for handle in self.handles.values():
            handle.flag = ReturnCode.REMOVED_CARD
        self._holder = None
        self._holds = 0
        self._powered = False
        self._show_absence()
        self._event_counter = (self._event_counter + 1) & 0xFFFF
        self._changes += 1
        self._removed_at_s = time.monotonic()
        self.power_down_at_s = None
        self._publish(event=True)
        self._monitor.notify_all()

    def _show_absence(self) -> None:
        self._status = EMPTY_READER
        self._atr = b""
        self._protocol = CardProtocol.UNDEFINED

    def _show_card(self, atr: bytes | None) -> None:
        self._status = CARD_MUTE if atr is None else CARD_READY
        self._atr = atr or b""
        self._protocol = CardProtocol.UNDEFINED
        self._powered = atr is not None

    # Power; the contacts are held

    def _power_up(self, how: Callable[[], bytes] | None = None) -> bytes | None:
        """The ATR, or None from a card that gives none."""
        try:
            return (how or self._slot.power_on)()
        except ReaderError:
            return None

    def _reset(self, disposition: int) -> ReturnCode:
        """Reset, warm or by power; publish the outcome. Flags are the caller's business."""
        if disposition == Disposition.UNPOWER:
            self._slot.power_off()
            atr = self._power_up()
        else:
            atr = self._power_up(self._slot.reset)
        with self._monitor:
            if not self._slot.state().present:
                self._show_absence()
                self._publish(event=False)
                return ReturnCode.NO_SMARTCARD
            self._show_card(atr)
            self._publish(event=False)
        return ReturnCode.SUCCESS if atr is not None else ReturnCode.UNRESPONSIVE_CARD

    def _start_power_down_clock(self) -> None:
        if self._powered:
            self.power_down_at_s = time.monotonic() + self._power_down_s
            self._on_unused()

    def power_down_if_unused(self, now_s: float) -> None:
        """Take the card's power when its grace period is over."""
        with self._contacts:
            with self._monitor:
                if self.power_down_at_s is None or now_s < self.power_down_at_s:
                    return
                self.power_down_at_s = None
                self._powered = False
                self._protocol = CardProtocol.UNDEFINED
                self._publish(event=False)
            self._slot.power_off()

    # Sharing

    def _flag_reset(self) -> None:
        for handle in self.handles.values():
            handle.flag = ReturnCode.RESET_CARD

    def _is_free_for(self, handle: Handle) -> bool:
        return self._holder is None or self._holder is handle

    def _wait_for_holder(self, check_client: Callable[[], None]) -> None:
        """Wait until nobody holds a transaction; the monitor is held.

        Raises:
            ClientGone: from `check_client`.
        """
        while self._holder is not None:
            self._monitor.wait(LIVENESS_S)
            check_client()

    def connect(
        self,
        share: int,
        preferred: int,
        make_handle: Callable[[PublishedReader], Handle],
        check_client: Callable[[], None],
    ) -> tuple[ReturnCode, Handle | None, int | None]:
        """Open a connection.

        Returns:
            Return code, the handle if one was made, the active protocol if it came so far.

        Raises:
            ClientGone: the client died while it waited for another's transaction.
        """
        while True:
            with self._monitor:
                if self._status & ReaderStatus.UNKNOWN or self.is_gone:
                    return ReturnCode.READER_UNAVAILABLE, None, None
                if self._sharing == _EXCLUSIVE:
                    return ReturnCode.SHARING_VIOLATION, None, None
                self._wait_for_holder(check_client)
            with self._contacts:
                if self._holder is None:
                    connected = self._connect(share, preferred, make_handle)
                    with self._monitor:
                        if not self.handles and self.power_down_at_s is None:
                            self._start_power_down_clock()  # it was powered for nobody
                    return connected

    def _connect(
        self, share: int, preferred: int, make_handle: Callable[[PublishedReader], Handle]
    ) -> tuple[ReturnCode, Handle | None, int | None]:
        if share != ShareMode.DIRECT:
            code = self._ready_card()
            if code is not ReturnCode.SUCCESS:
                return code, None, None
        with self._monitor:
            code = self._choose_protocol(share, preferred)
            if code is not ReturnCode.SUCCESS:
                return code, None, None
            active = self._protocol
            if self.is_gone:
                return ReturnCode.READER_UNAVAILABLE, None, active
            if share == ShareMode.EXCLUSIVE and self._sharing:
                return ReturnCode.SHARING_VIOLATION, None, active
            if len(self.handles) >= HANDLES_PER_READER_MAX:
                return ReturnCode.INTERNAL_ERROR, None, active
            handle = make_handle(self)
            self.handles[handle.number] = handle
            if share == ShareMode.EXCLUSIVE:
                self._sharing = _EXCLUSIVE
                self._holder, self._holds = handle, 1
            else:
                self._sharing += 1
            self._publish(event=True)
            return ReturnCode.SUCCESS, handle, active

    def _ready_card(self) -> ReturnCode:
        """Make sure that there is a card with power."""
        with self._monitor:
            if not self._status & ReaderStatus.PRESENT:
                return ReturnCode.NO_SMARTCARD
            self.power_down_at_s = None
            powered = self._powered
        if powered:
            return ReturnCode.SUCCESS
        atr = self._power_up()
        with self._monitor:
            if not self._status & ReaderStatus.PRESENT:
                return ReturnCode.NO_SMARTCARD
            self._show_card(atr)
            self._publish(event=False)
        return ReturnCode.SUCCESS if atr is not None else ReturnCode.UNPOWERED_CARD

    def _choose_protocol(self, share: int, preferred: int) -> ReturnCode:
        if preferred & CardProtocol.RAW:
            self._protocol = CardProtocol.RAW
        elif share == ShareMode.DIRECT:
            pass
        elif self._protocol:
            if not preferred & self._protocol:
                return ReturnCode.PROTO_MISMATCH
        else:
            if preferred & CardProtocol.ANY_OLD:
                preferred = CardProtocol.T0 | CardProtocol.T1
            wanted = preferred & offered_protocols(self._atr)
            if wanted & CardProtocol.T1:
                self._protocol = CardProtocol.T1
            elif wanted & CardProtocol.T0:
                self._protocol = CardProtocol.T0
            else:
                return ReturnCode.PROTO_MISMATCH
        self._encoded = None
        return ReturnCode.SUCCESS

    def reconnect(
        self, handle: Handle, share: int, preferred: int, initialization: int
    ) -> tuple[ReturnCode, int]:
        """Clear the handle's flag, with a reset if asked; return code and active protocol."""
        if initialization not in (Disposition.LEAVE, Disposition.RESET, Disposition.UNPOWER):
            return ReturnCode.INVALID_VALUE, 0
        code = check_connection_request(share, preferred)
        if code is not ReturnCode.SUCCESS:
            return code, 0
        with self._contacts:
            code = self._renew(handle, initialization)
            if code is ReturnCode.SUCCESS and share != ShareMode.DIRECT:
                code = self._ready_card()
            if code is not ReturnCode.SUCCESS:
                return code, 0
            with self._monitor:
                return self._share_anew(handle, share, preferred)

    def _renew(self, handle: Handle, initialization: int) -> ReturnCode:
        with self._monitor:
            if not self._is_free_for(handle):
                return ReturnCode.SHARING_VIOLATION
            if initialization == Disposition.LEAVE:
                if self._status & ReaderStatus.ABSENT:
                    return ReturnCode.NO_SMARTCARD
                if self._status & ReaderStatus.SWALLOWED:
                    return ReturnCode.UNRESPONSIVE_CARD
                return ReturnCode.SUCCESS
            self._flag_reset()
        return self._reset(initialization)

    def _share_anew(self, handle: Handle, share: int, preferred: int) -> tuple[ReturnCode, int]:
        code = self._choose_protocol(share, preferred)
        if code is not ReturnCode.SUCCESS:
            return code, 0
        if share != ShareMode.DIRECT:
            self.power_down_at_s = None
        if share == ShareMode.EXCLUSIVE:
            if self._sharing not in (_EXCLUSIVE, 1):
                return ReturnCode.SHARING_VIOLATION, self._protocol
            if self._sharing == 1:
                self._sharing = _EXCLUSIVE
                self._holder = handle
                self._holds += 1
        elif self._sharing == _EXCLUSIVE:
            # The real daemon gives back a hold only beyond the first one: what was exclusive goes on
            # holding the reader until it ends a transaction or leaves.
            self._holds = max(1, self._holds - 1)
            self._sharing = 1
        handle.flag = ReturnCode.SUCCESS
        self._publish(event=True)
        return ReturnCode.SUCCESS, self._protocol

    def _release_hold(self) -> None:
        self._holds -= 1
        if self._holds <= 0:
            self._holds = 0
            self._holder = None
            self._monitor.notify_all()

    def disconnect(
        self, handle: Handle, disposition: int, check_client: Callable[[], None]
    ) -> ReturnCode:
        """Close a connection; the handle is gone unless the disposition is refused.

        Raises:
            ClientGone: the client died while it waited for another's transaction.
        """
        if disposition not in (
            Disposition.LEAVE,
            Disposition.RESET,
            Disposition.UNPOWER,
            Disposition.EJECT,
        ):
            return ReturnCode.INVALID_VALUE
        while True:
            if disposition != Disposition.LEAVE:
                with self._monitor:
                    if self._holder is not handle:
                        self._wait_for_holder(check_client)
            with self._contacts:
                if disposition == Disposition.LEAVE or self._is_free_for(handle):
                    self._leave(handle, disposition)
                    return ReturnCode.SUCCESS

    def _leave(self, handle: Handle, disposition: int) -> None:
        with self._monitor:
            if self._holder is handle:
                self._holder = None
                self._holds = 0
                self._monitor.notify_all()
            if self.handles.pop(handle.number, None) is None:
                return  # the reader was withdrawn
            if disposition in _RESETS:
                self._flag_reset()
        if disposition == Disposition.RESET:
            self._reset(Disposition.RESET)
        elif disposition == Disposition.UNPOWER:
            self._slot.power_off()
        with self._monitor:
            if disposition == Disposition.UNPOWER:
                self._powered = False
                self._protocol = CardProtocol.UNDEFINED
                if self._atr and self._status & ReaderStatus.PRESENT:
                    self._status = (
                        CARD_UNPOWERED  # a mute card stays mute: clients wait for its ATR
                    )
            self._sharing = 0 if self._sharing == _EXCLUSIVE else self._sharing - 1
            if not self._sharing:
                self._start_power_down_clock()
            self._publish(event=True)

    def abandon(self, handle: Handle) -> None:
        """Close the connection of a client that died or released its context.

        If it held a transaction the card is reset, so that nobody goes on in its session.
        """
        with self._contacts:
            with self._monitor:
                held = self._holder is handle
                is_flagged = handle.flag is not ReturnCode.SUCCESS
            reset = held and not is_flagged and not self._status & ReaderStatus.UNKNOWN
            self._leave(handle, Disposition.RESET if reset else Disposition.LEAVE)

    # Transactions

    def begin(self, handle: Handle) -> ReturnCode:
        """Take the transaction, or one more of one's own.

        While another holds it the answer waits a moment for it to end; then the client asks again.
        """
        with self._monitor:
            if handle.flag:
                return handle.flag
            if not self._is_free_for(handle):
                self._monitor.wait_for(lambda: self._is_free_for(handle), LOCK_ANSWER_S)
                if not self._is_free_for(handle):
                    return ReturnCode.SHARING_VIOLATION
                if handle.flag:
                    return handle.flag
            self._holder = handle
            self._holds += 1
            return ReturnCode.SUCCESS

    def end(self, handle: Handle, disposition: int) -> ReturnCode:
        """Give one hold back, with a reset if asked; the reset flags the caller too."""
        if disposition not in (
            Disposition.LEAVE,
            Disposition.RESET,
            Disposition.UNPOWER,
            Disposition.EJECT,
        ):
            return ReturnCode.INVALID_VALUE
        code = ReturnCode.SUCCESS
        if disposition in _RESETS:
            with self._contacts:
                with self._monitor:
                    if handle.flag:
                        return handle.flag
                    if not self._is_free_for(handle):
                        return ReturnCode.SHARING_VIOLATION
                code = self._reset(disposition)
                if code is ReturnCode.UNRESPONSIVE_CARD:
                    code = ReturnCode.NOT_TRANSACTED
                with self._monitor:
                    self._flag_reset()
                    return self._end(handle, code)
        with self._monitor:
            if handle.flag:
                return handle.flag
            return self._end(handle, code)

    def _end(self, handle: Handle, code: ReturnCode) -> ReturnCode:
        if not self._is_free_for(handle):
            return ReturnCode.SHARING_VIOLATION
        if self._holds <= (1 if self._sharing == _EXCLUSIVE else 0):
            return code or ReturnCode.NOT_TRANSACTED
        self._release_hold()
        return code

    # The card

    def status(self, handle: Handle) -> ReturnCode:
        """Tell whether the handle is as good as it was."""
        with self._monitor:
            if not self._is_free_for(handle):
                return ReturnCode.SHARING_VIOLATION
            if handle.flag:
                return handle.flag
            if self._status & ReaderStatus.UNKNOWN:
                return ReturnCode.READER_UNAVAILABLE
            return ReturnCode.SUCCESS

    def transmit(self, handle: Handle, protocol: int, command: bytes) -> tuple[ReturnCode, bytes]:
        """Carry one command to the card."""
        with self._contacts:
            if self._holder is not None and self._holder is not handle:
                return ReturnCode.SHARING_VIOLATION, b""
            if handle.flag:
                return handle.flag, b""
            if protocol not in _UNCHECKED_PROTOCOLS and protocol != self._protocol:
                if self._status & ReaderStatus.ABSENT:
                    return ReturnCode.NO_SMARTCARD, b""
                return ReturnCode.PROTO_MISMATCH, b""
            try:
                return ReturnCode.SUCCESS, self._slot.transmit(command)
            except CardNotPresent:
                if self._slot.state().present:
                    return ReturnCode.NOT_TRANSACTED, b""
                return ReturnCode.NO_SMARTCARD, b""
            except Exception as error:
                self._slot.named(error)  # a bug is logged; to the client the card did not answer
                return ReturnCode.NOT_TRANSACTED, b""

    def control(self, handle: Handle) -> ReturnCode:
        """Refuse a control code: this reader has none."""
        with self._monitor:
            if not self._is_free_for(handle):
                return ReturnCode.SHARING_VIOLATION
        return ReturnCode.UNSUPPORTED_FEATURE

    def attribute(self, handle: Handle, identifier: int) -> tuple[ReturnCode, bytes]:
        """Give one attribute of the reader."""
        code = self.status(handle)
        if code is not ReturnCode.SUCCESS:
            return code, b""
        with self._monitor:
            value = self._attribute(identifier)
        if value is None:
            return ReturnCode.UNSUPPORTED_FEATURE, b""
        return ReturnCode.SUCCESS, value

    def _attribute(self, identifier: int) -> bytes | None:
        """The value; numbers are little-endian as drivers on this machine give them."""
        if identifier == Attribute.ATR_STRING:
            return self._atr
        if identifier in (Attribute.DEVICE_FRIENDLY_NAME, Attribute.DEVICE_SYSTEM_NAME):
            return self._encoded_name + b"\0"
        if identifier in (Attribute.VENDOR_NAME, Attribute.VENDOR_IFD_TYPE):
            return _VENDOR_NAME
        if identifier == Attribute.VENDOR_IFD_VERSION:
            return _VENDOR_VERSION
        if identifier == Attribute.ICC_PRESENCE:
            return b"\2" if self._status & ReaderStatus.PRESENT else b"\0"
        if identifier == Attribute.ICC_INTERFACE_STATUS:
            return b"\1" if self._powered else b"\0"
        return None


def check_connection_request(share: int, preferred: int) -> ReturnCode:
    """Check share mode and protocols, before anything is looked at."""
    if share != ShareMode.DIRECT and not preferred & _ANY_PROTOCOL:
        return ReturnCode.PROTO_MISMATCH
    if share not in (ShareMode.EXCLUSIVE, ShareMode.SHARED, ShareMode.DIRECT):
        return ReturnCode.INVALID_VALUE
    return ReturnCode.SUCCESS
