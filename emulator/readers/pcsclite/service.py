"""The rootless PC/SC service: this process takes the place of pcscd, for its own user.

libpcsclite takes the daemon's socket path from the environment variable `PCSCLITE_CSOCK_NAME`. A private
socket that speaks the daemon's messages therefore serves unmodified PC/SC programs, with no root, no
pcscd and no driver.

    with PcscService(folder) as service:
        service.add_reader(slot)
        subprocess.run(["pcsc_scan"], env=os.environ | service.environment)

Rules
-----
* The folder is the user's alone (mode 0700), the socket too. A lock file beside the socket says that a
  service lives there; a socket that nobody serves any more is replaced.
* One thread listens, one serves each client, one takes power from unused cards. No client can make
  another wait, but through a card that both use.
* The monitor guards everything published. States are told, and a wait registered, in one step under it.

Source: pcsclite-protocol §1, §4, §7.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from cardbench.emulator.readers.pcsclite import messages
from cardbench.emulator.readers.pcsclite.connection import Connection
from cardbench.emulator.readers.pcsclite.reader import PublishedReader
from cardbench.emulator.readers.uninterrupted import uninterrupted
from cardbench.protocol.errors import ReaderError, UsageError
from cardbench.protocol.pcsc import READER_NAME_SIZE_BYTES, ReturnCode

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from cardbench.emulator.readers.in_process import WatchedSlot

_LOG = logging.getLogger(__name__)

SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"
SOCKET_NAME = "pcscd.comm"
SOCKET_PATH_SIZE_MAX = 107
"""A longer path is cut silently by the client library."""

CONNECTIONS_MAX = 200
POWER_DOWN_S = 5.0
"""How long an unused card keeps its power, as with a reader that reports events."""

_BACKLOG = 256
_STOP_TIMEOUT_S = 5.0
_NAME_ROOM = READER_NAME_SIZE_BYTES - len(" 00 00") - 1
_EVENTS_WRAP = 0x7FFF


class ServiceBusy(ReaderError):
    """Another service already serves this socket."""


class PcscService:
    """Serves slots to PC/SC programs on a private socket.

    Args:
        folder: where the socket is made; created, for the user alone, if missing.
        power_down_s: how long an unused card keeps its power, in seconds.
    """

    def __init__(self, folder: Path, *, power_down_s: float = POWER_DOWN_S) -> None:
        self.folder = folder
        self.socket_path = folder / SOCKET_NAME
        self.monitor = threading.Condition(threading.RLock())
        self.reader_events = 1
        self.generation = 0
        """Grows with each published change."""
        self._power_down_s = power_down_s
        self._slots: list[PublishedReader | None] = [None] * messages.SLOT_COUNT
        self._states: bytes | None = None
        self._connections: set[Connection] = set()
        self._contexts: dict[int, Connection] = {}
        self._adding = threading.Lock()
        self._listener: socket.socket | None = None
        self._lock_file = -1
        self._made_folder = False
        self._unused = threading.Event()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def environment(self) -> dict[str, str]:
        """What a PC/SC program needs in its environment to find this service."""
        return {SOCKET_VARIABLE: str(self.socket_path)}

    # Life

    def start(self) -> None:
        """Listen; a stopped service may be started again, without its readers.

        Raises:
            UsageError: the path is too long for a socket.
            ServiceBusy: another service has this folder.
            ReaderError: the folder belongs to, or is open to, someone else; or cannot be made.
        """
        length = len(os.fsencode(self.socket_path))
        if length > SOCKET_PATH_SIZE_MAX:
            raise UsageError(
                f"{self.socket_path}: {length} bytes; a socket's path has at most "
                f"{SOCKET_PATH_SIZE_MAX}: choose a shorter folder"
            )
        with uninterrupted():
            self._stopping.clear()
            try:
                self._take_folder()
                try:
                    self._listen()
                except OSError:
                    self._leave_folder()
                    raise
            except OSError as error:
                raise ReaderError(f"{self.socket_path}: {error.strerror}") from error
            for target in (self._accept, self._power_down_unused):
                thread = threading.Thread(target=target, name="pcsc-service", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _take_folder(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True)
            self._made_folder = True
        except FileExistsError:
            about, link = self.folder.stat(), self.folder.lstat()
            if {about.st_uid, link.st_uid} != {os.geteuid()} or about.st_mode & 0o077:
                raise ReaderError(
                    f"{self.folder}: not this user's alone; choose another folder, or chmod 700"
                ) from None
        self._lock_file = self._lock(self.folder / "lock")

    def _lock(self, path: Path) -> int:
        while True:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                raise ServiceBusy(
                    f"{self.socket_path}: another bench is already serving this socket; "
                    f"stop it, or choose another folder"
                ) from None
            try:
                if os.path.samestat(os.fstat(file), path.stat()):
                    return file
            except FileNotFoundError:
                _LOG.debug("the service before us left at this moment")
            os.close(file)

    def _listen(self) -> None:
        self.socket_path.unlink(missing_ok=True)  # nobody serves it: the lock is ours
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self.socket_path))
            self.socket_path.chmod(0o700)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        self._listener = listener

    def _leave_folder(self) -> None:
        with suppress(OSError):
            self.socket_path.unlink(missing_ok=True)
        with suppress(OSError):
            (self.folder / "lock").unlink(missing_ok=True)
        os.close(self._lock_file)
        if self._made_folder:
            with suppress(OSError):  # somebody put something there
                self.folder.rmdir()

    def stop(self) -> None:
        """Drop every client, take the readers away, leave nothing behind; harmless when stopped."""
        with uninterrupted():
            self._stop()

    def _stop(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self._stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        self._unused.set()
        with self.monitor:
            connections = tuple(self._connections)
            for connection in connections:
                connection.close()
            self.monitor.notify_all()
        give_up_at_s = time.monotonic() + _STOP_TIMEOUT_S
        for thread in (*self._threads, *(connection.thread for connection in connections)):
            if thread is not threading.current_thread():
                thread.join(max(0.0, give_up_at_s - time.monotonic()))
        listener.close()
        for reader in self._slots:
            if reader is not None:
                reader.withdraw(patience_s=max(0.0, give_up_at_s - time.monotonic()))
        self._slots = [None] * messages.SLOT_COUNT
        self._states = None
        self._threads.clear()
        self._leave_folder()

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

    def _accept(self) -> None:
        listener = self._listener
        assert listener is not None
        while not self._stopping.is_set():
            try:
                client, _ = listener.accept()
            except OSError as error:
                if self._stopping.is_set():
                    return
                _LOG.warning("a client could not be accepted: %s", error)
                time.sleep(0.05)  # out of file descriptors, most likely: let others close theirs
                continue
            with self.monitor:
                if self._stopping.is_set() or len(self._connections) >= CONNECTIONS_MAX:
                    client.close()
                    continue
                connection = Connection(client, self)
                self._connections.add(connection)
            try:
                connection.thread.start()
            except RuntimeError:
                _LOG.warning("no thread for a further client")
                self.forget(connection)
                client.close()

    def _power_down_unused(self) -> None:
        while not self._stopping.is_set():
            with self.monitor:
                self._unused.clear()
                readers = [reader for reader in self._slots if reader is not None]
                due = [
                    reader.power_down_at_s
                    for reader in readers
                    if reader.power_down_at_s is not None
                ]
            if not due:
                self._unused.wait()
                continue
            # All clocks run equally long, so one that starts later never ends earlier.
            now_s = time.monotonic()
            if min(due) > now_s:
                self._sleep(min(due) - now_s)
            for reader in readers:
                reader.power_down_if_unused(time.monotonic())

    def _sleep(self, seconds: float) -> None:
        with self.monitor:
            self.monitor.wait_for(self._stopping.is_set, seconds)

    # Readers

    def add_reader(self, slot: WatchedSlot, name: str | None = None) -> PublishedReader:
        """Publish a slot as a reader; a card in it is powered.

        Args:
            slot: what to publish.
            name: the reader's name without the numbers at its end; the slot's name by default.

        Returns:
            The reader; its `name` is the one that clients see, such as `Bench card 00 00`.

        Raises:
            UsageError: fifteen readers are there, which is all that clients can handle.
        """
        base = (slot.name if name is None else name).encode()[:_NAME_ROOM].decode(errors="ignore")
        with self._adding:
            with self.monitor:
                index = self._slots.index(None)
                full_name = self._full_name(base)
            if index >= messages.READER_COUNT_MAX:
                raise UsageError(
                    f"{base}: {messages.READER_COUNT_MAX} readers are there already, "
                    f"which is all that PC/SC clients can handle"
                )
            reader = PublishedReader(
                slot,
                full_name,
                monitor=self.monitor,
                on_change=self._publish,
                power_down_s=self._power_down_s,
                on_unused=self._unused.set,
            )
            with self.monitor:
                self._slots[index] = reader
                self._count_reader_event()
        return reader

    def _full_name(self, base: str) -> str:
        taken = {reader.name for reader in self._slots if reader is not None}
        names = (f"{base} {number:02X} 00" for number in range(messages.SLOT_COUNT))
        return next(name for name in names if name not in taken)

    def remove_reader(self, reader: PublishedReader) -> None:
        """Take a reader away; clients' handles to it answer INVALID_VALUE."""
        with self.monitor:
            self._slots[self._slots.index(reader)] = None
            self._count_reader_event()
        reader.withdraw()

    def _count_reader_event(self) -> None:
        self.reader_events = self.reader_events % _EVENTS_WRAP + 1
        self._publish(event=True)

    @property
    def reader_names(self) -> list[str]:
        """The names that clients see."""
        with self.monitor:
            return [reader.name for reader in self._slots if reader is not None]

    # For the connections

    def find(self, name: bytes) -> PublishedReader | None:
        """The reader of exactly this name."""
        with self.monitor:
            for reader in self._slots:
                if reader is not None and reader.name.encode() == name:
                    return reader
        return None

    def states(self) -> bytes:
        """The array that clients read; the monitor is held."""
        if self._states is None:
            self._states = b"".join(
                messages.FREE_ENTRY if reader is None else reader.encoded_state()
                for reader in self._slots
            )
        return self._states

    def _publish(self, event: bool) -> None:
        with self.monitor:
            self._states = None
            self.generation += 1
            if event:
                for connection in self._connections:
                    if connection.is_registered:
                        connection.notify()

    def new_number(self) -> int:
        """A handle or context number that is free in the whole service, 1 to 7FFFFFFF."""
        with self.monitor:
            while True:
                number = 1 + secrets.randbelow(0x7FFFFFFF)
                if number not in self._contexts and not any(
                    number in reader.handles for reader in self._slots if reader is not None
                ):
                    return number

    def new_context(self, connection: Connection) -> int:
        """Give a connection a context; one that it had is forgotten."""
        with self.monitor:
            self._contexts.pop(connection.context, None)
            connection.context = self.new_number()
            self._contexts[connection.context] = connection
            return connection.context

    def release_context(self, connection: Connection) -> None:
        """Take a connection's context away."""
        with self.monitor:
            self._contexts.pop(connection.context, None)
            connection.context = 0

    def cancel(self, context: int) -> ReturnCode:
        """End the wait of a context, if it waits."""
        with self.monitor:
            connection = self._contexts.get(context)
            if connection is None:
                return ReturnCode.INVALID_HANDLE
            connection.cancel_wait()
            return ReturnCode.SUCCESS

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self.release_context(connection)
        with self.monitor:
            self._connections.discard(connection)
