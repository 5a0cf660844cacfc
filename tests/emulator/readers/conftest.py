"""Small cards, and a PC/SC client that writes its bytes by hand, from the facts sheet alone."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from support.scripted_card import ScriptedCard

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.pcsclite import PcscService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


STATES_SIZE = 16 * 184

State = tuple[str, int, int, int, bytes, int]
"""An entry of the states: name, event counter, status, sharing, ATR, protocol."""


@pytest.fixture
def card() -> ScriptedCard:
    return ScriptedCard()


@pytest.fixture(scope="session")
def new_card() -> type[ScriptedCard]:
    return ScriptedCard


@pytest.fixture
def slot(card: ScriptedCard) -> CardSlot:
    slot = CardSlot("Test card")
    slot.insert(card)
    return slot


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a socket's is at most 107 bytes long."""
    with TemporaryDirectory(prefix="cb-") as name:
        yield Path(name)


@pytest.fixture
def service(folder: Path, slot: CardSlot) -> Iterator[PcscService]:
    """A service with one reader, which holds the card."""
    with PcscService(folder / "run") as service:
        service.add_reader(slot)
        yield service
    threads = [thread.name for thread in threading.enumerate()]
    assert not [name for name in threads if name.startswith("pcsc")]


class RawClient:
    """A client of the daemon protocol; every message by hand. Source: pcsclite-protocol §2, §3."""

    def __init__(self, service: PcscService) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(service.socket_path))
        self.socket.settimeout(5)
        self.context = 0

    def send(self, command: int, body: bytes = b"", size: int | None = None) -> None:
        length = len(body) if size is None else size
        self.socket.sendall(struct.pack("<II", length, command) + body)

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def ask(self, command: int, layout: str, *fields: float | bytes) -> tuple[Any, ...]:
        self.send(command, struct.pack(layout, *fields))
        return struct.unpack(layout, self.receive(struct.calcsize(layout)))

    def has_nothing(self) -> bool:
        self.socket.settimeout(0.02)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(5)

    def is_closed(self) -> bool:
        """Whether the connection is ended, with nothing more to read."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def drain(self) -> None:
        """Read until the connection ends."""
        with contextlib.suppress(ConnectionResetError):
            while self.socket.recv(4096):
                pass

    def close(self) -> None:
        self.socket.close()

    # Messages

    def version(self, major: int = 4, minor: int = 4) -> tuple[int, int, int]:
        return self.ask(0x11, "<iiI", major, minor, 0)

    def establish(self, scope: int = 0) -> int:
        _, self.context, code = self.ask(0x01, "<III", scope, 0, 0)
        return code

    def release(self, context: int | None = None) -> int:
        return self.ask(0x02, "<II", self.context if context is None else context, 0)[1]

    def states(self) -> list[State]:
        self.send(0x12)
        return self.read_states()

    def read_states(self) -> list[State]:
        data = self.receive(STATES_SIZE)
        found = []
        for offset in range(0, STATES_SIZE, 184):
            entry = struct.unpack("<128sIIi33s3xII", data[offset : offset + 184])
            name, counter, state, sharing, atr, length, protocol = entry
            found.append(
                (name.rstrip(b"\0").decode(), counter, state, sharing, atr[:length], protocol)
            )
        return [entry for entry in found if entry[0]]

    def connect(
        self, name: str = "Test card 00 00", share: int = 2, protocols: int = 3
    ) -> tuple[int, int, int]:
        answer = self.ask(
            0x04, "<I128sIIiII", self.context, name.encode(), share, protocols, 0, 0, 0
        )
        return answer[6], answer[4], answer[5]

    def connected(self, **how: int | str) -> int:
        code, handle, _ = self.connect(**how)
        assert code == 0
        return handle

    def reconnect(
        self, handle: int, initialization: int = 0, share: int = 2, protocols: int = 3
    ) -> tuple[int, int]:
        answer = self.ask(0x05, "<iIIIII", handle, share, protocols, initialization, 0xD0DA2856, 0)
        return answer[5], answer[4]

    def disconnect(self, handle: int, disposition: int = 0) -> int:
        return self.ask(0x06, "<iII", handle, disposition, 0)[2]

    def begin(self, handle: int) -> int:
        return self.ask(0x07, "<iI", handle, 0)[1]

    def end(self, handle: int, disposition: int = 0) -> int:
        return self.ask(0x08, "<iII", handle, disposition, 0)[2]

    def status(self, handle: int) -> int:
        return self.ask(0x0B, "<iI", handle, 0)[1]

    def send_transmit(
        self, handle: int, command: bytes, protocol: int = 2, room: int = 65548
    ) -> None:
        body = struct.pack("<iIIIIIII", handle, protocol, 16, len(command), 3, 16, room, 0)
        self.send(0x09, body + command, size=32)

    def read_transmit(self) -> tuple[int, int, bytes]:
        answer = struct.unpack("<iIIIIIII", self.receive(32))
        code, length = answer[7], answer[6]
        return code, length, b"" if code else self.receive(length)

    def transmit(self, handle: int, command: bytes, **how: int) -> tuple[int, bytes]:
        self.send_transmit(handle, command, **how)
        code, _, response = self.read_transmit()
        return code, response

    def control(self, handle: int, code: int = 0x42000D48, data: bytes = b"") -> tuple[int, int]:
        body = struct.pack("<iIIIII", handle, code, len(data), 65548, 7, 0)
        self.send(0x0A, body + data, size=24)
        answer = struct.unpack("<iIIIII", self.receive(24))
        return answer[5], answer[4]

    def attribute(self, handle: int, identifier: int, room: int = 264) -> tuple[int, int, bytes]:
        answer = self.ask(0x0F, "<iI264sII", handle, identifier, b"", room, 0x8010001D)
        return answer[4], answer[3], answer[2][: answer[3]]

    def wait(self) -> list[State]:
        """WAIT as 4.4 and 4.5 know it."""
        self.send(0x13)
        return self.read_states()

    def event(self) -> int:
        zero, code = struct.unpack("<II", self.receive(8))
        assert zero == 0
        return code

    def stop(self) -> None:
        self.send(0x14)

    def cancel(self, context: int) -> int:
        return self.ask(0x0D, "<II", context, 0)[1]


@pytest.fixture
def new_client(service: PcscService) -> Iterator[Callable[..., RawClient]]:
    """Make clients that have shaken hands and have a context."""
    clients: list[RawClient] = []

    def make(minor: int | None = 4, *, establish: bool = True) -> RawClient:
        client = RawClient(service)
        clients.append(client)
        if minor is not None:
            assert client.version(4, minor) == (4, minor, 0)
        if establish:
            assert client.establish() == 0
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(new_client: Callable[..., RawClient]) -> RawClient:
    return new_client()


@pytest.fixture
def new_client_of() -> Callable[[PcscService], RawClient]:
    """Make a client of a given service."""

    def make(service: PcscService) -> RawClient:
        client = RawClient(service)
        client.version()
        client.establish()
        return client

    return make
