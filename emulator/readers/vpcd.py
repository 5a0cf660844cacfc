"""The vpcd link: a slot of ours becomes a reader of the machine's own pcscd.

vpcd is a reader driver inside pcscd that reaches its card over TCP. Each message is a 2-byte big-endian
length and as many bytes; a length of 1 may be a control byte, everything else is a command APDU.

Rules
-----
* A card in the slot means a connection, an empty slot means none: vpcd takes that for presence.
* vpcd asks for the ATR every 400 ms, in the middle of sessions and on unpowered cards. It is answered
  from what the last power-up gave; the card does not notice.
* A card that loses its power cannot answer: the connection is dropped, and taken up again after pcscd
  has had the time to see that the card went.
* When pcscd stops, the link tries again, a little later each time, for as long as the card is there.
* Only loopback addresses are used: the link itself never leaves the machine.

The trap: Debian's vpcd sends length and body apart without TCP_NODELAY, so that Nagle's algorithm waits
for our delayed acknowledgement, 44 ms for every APDU. Re-arming TCP_QUICKACK before each message is the
cure on our side.

A card that gives no ATR is not shown; a response beyond 65,535 bytes does not fit the link and becomes
6700.

Source: pcsc (vpcd).
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import struct
import threading
from contextlib import suppress
from enum import IntEnum, unique
from typing import TYPE_CHECKING, Self

from cardbench.emulator.readers.guarded import GuardedSlot
from cardbench.emulator.readers.uninterrupted import uninterrupted
from cardbench.protocol.errors import ReaderError, UsageError
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from types import TracebackType

    from cardbench.emulator.readers.in_process import WatchedSlot

_LOG = logging.getLogger(__name__)

PORTS = (35963, 35964)
"""Where Debian's vpcd listens: one port for each of its two slots."""

PATIENCE_S = 5
"""How long a half message, or the first one, may take to come."""

ABSENCE_S = 0.7
"""How long a card that lost its power stays away: more than one poll of pcscd, so that it is seen."""

_FIRST_RETRY_S = 0.02
_LAST_RETRY_S = 0.5
_CHUNK_SIZE_BYTES = 4096
_FRAME_SIZE_MAX = 0xFFFF
_WRONG_LENGTH = StatusWord.WRONG_LENGTH.to_bytes(2)


@unique
class Control(IntEnum):
    """The one-byte messages of the reader."""

    POWER_OFF = 0
    POWER_ON = 1
    RESET = 2
    GET_ATR = 4


_CONTROLS = frozenset(bytes((control,)) for control in Control)


class VpcdLink:
    """Plugs a slot into vpcd, for as long as it is started.

    Args:
        slot: where the card sits.
        port: TCP port of the vpcd slot.
        listen: wait for vpcd on this port instead of calling it: for a vpcd whose DEVICENAME names a
            host, such as `localhost:0x8C7B`.
        host: where vpcd is, or where to listen; a loopback address.

    Raises:
        UsageError: the address is not a loopback one.
    """

    def __init__(
        self,
        slot: WatchedSlot,
        *,
        port: int = PORTS[0],
        listen: bool = False,
        host: str = "127.0.0.1",
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise UsageError(f"{host}: vpcd links stay on this machine; use a loopback address")
        self._slot = GuardedSlot(slot)
        self.address = (host, port)
        self._is_listening = listen
        self._listener: socket.socket | None = None
        self._link: socket.socket | None = None
        self._guard = threading.Lock()
        self._news = threading.Event()  # a card came or went, or the link stops
        self._plugged = threading.Event()
        self._stopping = False
        self._atr: bytes | None = None
        self._atr_changes = -1
        self._thread: threading.Thread | None = None

    # Life

    def start(self) -> None:
        """Link up whenever a card is in the slot.

        Raises:
            ReaderError: the port to listen on is taken.
        """
        with uninterrupted():
            self._start()

    def _start(self) -> None:
        self._stopping = False
        self._atr_changes = -1
        if self._is_listening:
            # Bound at once, so that a taken port is told here; it accepts only while a card is in.
            self._listener = self._bind()
        self._unwatch = self._slot.watch(self._follow_slot)
        self._thread = threading.Thread(target=self._run, name="vpcd-link", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Cut the link; harmless when stopped."""
        with uninterrupted():
            self._stop()

    def _stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping = True
        self._unwatch()
        self._follow_slot()
        thread.join()
        if self._listener is not None:
            self._listener.close()
        self._slot.power_off()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # a signal that was held back comes when all is there
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def wait_until_plugged(self, timeout_s: float) -> bool:
        """Wait until pcscd has asked for the ATR; whether it did so in time."""
        return self._plugged.wait(timeout_s)

    def _follow_slot(self) -> None:
        """The card came or went, or the link stops: end the connection if it was another card's."""
        with self._guard:
            self._news.set()
            if self._is_stale():
                for end in (self._link, self._listener if self._stopping else None):
                    if end is not None:
                        with suppress(OSError):  # the other end was faster
                            end.shutdown(socket.SHUT_RDWR)

    def _is_stale(self) -> bool:
        return self._stopping or self._slot.state().changes != self._atr_changes

    # The thread

    def _run(self) -> None:
        retry_s = _FIRST_RETRY_S
        while not self._stopping:
            self._news.clear()
            if not self._has_card():
                if not self._stopping:
                    self._news.wait()
                continue
            link = self._open()
            if link is None:
                self._news.wait(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                continue
            lost_power = self._hold(link)
            if lost_power:
                self._news.wait(ABSENCE_S)
            elif self._plugged.is_set():
                retry_s = _FIRST_RETRY_S
            elif self._listener is None:  # somebody takes calls, and hangs up: not vpcd
                self._news.wait(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
            self._plugged.clear()

    def _has_card(self) -> bool:
        """Whether there is a card that shows an ATR; a new one is asked for it once."""
        state = self._slot.state()
        if not state.present:
            return False
        if state.changes != self._atr_changes:
            self._power(Control.POWER_ON)
            self._power(Control.POWER_OFF)
            self._atr_changes = state.changes
        return self._atr is not None

    def _bind(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(self.address)
            listener.listen(1)
        except OSError as error:
            listener.close()
            raise ReaderError(
                f"{self.address[0]}:{self.address[1]}: {error.strerror}; another bench may be "
                f"listening there: stop it, or choose another port"
            ) from error
        return listener

    def _open(self) -> socket.socket | None:
        """A connection with vpcd, or None if there is none to be had now."""
        try:
            if self._listener is not None:
                link, _ = self._listener.accept()
            else:
                link = socket.create_connection(self.address, timeout=PATIENCE_S)
                link.settimeout(None)
        except OSError:
            return None
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", PATIENCE_S, 0))
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", PATIENCE_S, 0))
        return link

    def _hold(self, link: socket.socket) -> bool:
        """Serve one connection to its end; whether it ended because the card lost its power."""
        with self._guard:
            if self._is_stale():
                link.close()
                return False
            self._link = link
        try:
            self._serve(link)
        except ReaderError:
            return self._slot.state().present
        except OSError as error:
            _LOG.debug("%s: the link to vpcd ended: %s", self._slot.name, error)
        finally:
            with self._guard:
                self._link = None
            link.close()
            self._slot.power_off()
        return False

    def _serve(self, link: socket.socket) -> None:
        """Answer messages until the other end leaves.

        Raises:
            ReaderError: the card went, or lost its power.
            OSError: the link broke, or a half message was left lying.
        """
        receive, send, arm = link.recv, link.sendall, link.setsockopt
        transmit = self._slot.transmit
        tcp, quick_ack = socket.IPPROTO_TCP, socket.TCP_QUICKACK
        is_new = True
        data = b""
        while True:
            arm(tcp, quick_ack, 1)
            while len(data) < 2 or len(data) < (end := 2 + (data[0] << 8 | data[1])):
                try:
                    more = receive(_CHUNK_SIZE_BYTES)
                except BlockingIOError:
                    if is_new or data:
                        raise
                    continue
                if not more:
                    return
                data += more
            message, data = data[2:end], data[end:]
            is_new = False
            if message in _CONTROLS:
                response = self._control(message[0])
                if response is None:
                    continue
            else:
                try:
                    response = transmit(message)
                except Exception as error:
                    raise self._slot.named(error) from error
                if len(response) > _FRAME_SIZE_MAX:
                    response = _WRONG_LENGTH
            send(len(response).to_bytes(2) + response)

    def _control(self, control: int) -> bytes | None:
        if control != Control.GET_ATR:
            self._power(control)
            return None
        if self._atr is None:
            raise ReaderError(f"{self._slot.name}: the card gives no ATR")
        self._plugged.set()
        return self._atr

    def _power(self, control: int) -> None:
        """Carry out a power message; what the card shows afterwards becomes its ATR."""
        try:
            if control == Control.POWER_OFF:
                self._slot.power_off()
            elif control == Control.POWER_ON:
                self._atr = self._slot.power_on()
            else:
                self._atr = self._slot.reset()
        except ReaderError:
            self._atr = None
