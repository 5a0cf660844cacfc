"""The vpcd link against a reader that writes its bytes by hand. Source of the bytes: pcsc (vpcd)."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import threading
import time
import tracemalloc
from random import Random
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.readers import vpcd
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.vpcd import VpcdLink
from cardbench.protocol.errors import ReaderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.scripted_card import ScriptedCard

OFF, ON, RESET, ATR = b"\0", b"\1", b"\2", b"\4"


class Reader:
    """One connection, seen from vpcd's side."""

    def __init__(self, link: socket.socket) -> None:
        link.settimeout(5)
        self.link = link

    def send(self, message: bytes) -> None:
        self.link.sendall(len(message).to_bytes(2) + message)

    def ask(self, message: bytes) -> bytes:
        self.send(message)
        return self.receive()

    def receive(self) -> bytes:
        return self._exactly(int.from_bytes(self._exactly(2)))

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.link.recv(size - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def is_closed(self) -> bool:
        try:
            return self.link.recv(1) == b""
        except ConnectionResetError:
            return True


class Listener:
    """vpcd in its usual form: it listens, one card at a time."""

    def __init__(self, port: int = 0) -> None:
        self.socket = socket.create_server(("127.0.0.1", port))
        self.socket.settimeout(5)
        self.port = self.socket.getsockname()[1]

    def accept(self) -> Reader:
        return Reader(self.socket.accept()[0])


@contextlib.contextmanager
def closing(*things: Reader | Listener) -> Iterator[None]:
    try:
        yield
    finally:
        for thing in things:
            getattr(thing, "link", getattr(thing, "socket", None)).close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.socket.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vpcd, "ABSENCE_S", 0.02)
    monkeypatch.setattr(vpcd, "PATIENCE_S", 1)


@pytest.fixture
def reader(listener: Listener, slot: CardSlot) -> Iterator[Reader]:
    with VpcdLink(slot, port=listener.port):
        reader = listener.accept()
        yield reader
        reader.link.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "vpcd-link"]


def test_the_card_behind_the_frames(reader: Reader, card: ScriptedCard) -> None:
    assert reader.ask(ATR) == card.atr()
    reader.send(ON)
    assert reader.ask(bytes.fromhex("0001000002ABCD")) == bytes.fromhex("01ABCD9000")
    reader.send(RESET)
    assert reader.ask(bytes(4)) == bytes.fromhex("019000")
    reader.send(OFF)
    assert reader.ask(ATR) == card.atr()
    assert not card.is_powered


def test_asking_for_the_atr_touches_no_state(reader: Reader, card: ScriptedCard) -> None:
    reader.send(ON)
    assert reader.ask(bytes(4)).hex() == "019000"
    before = card.power_ups
    for _ in range(5):
        assert reader.ask(ATR) == card.atr()
    assert reader.ask(bytes(4)).hex() == "029000"
    reader.send(OFF)
    assert reader.ask(ATR) == card.atr()
    assert card.power_ups == before
    assert not card.is_powered


def test_frames_may_come_together_or_byte_by_byte(reader: Reader, card: ScriptedCard) -> None:
    frames = b"\0\1\1" + b"\0\4" + bytes(4) + b"\0\1\4" + b"\0\5" + bytes.fromhex("0001000001")
    reader.link.sendall(frames)
    assert reader.receive().hex() == "019000"
    assert reader.receive() == card.atr()
    assert reader.receive().hex() == "029000"
    for byte in b"\0\4" + bytes(4):
        reader.link.sendall(bytes((byte,)))
    assert reader.receive().hex() == "039000"


def test_a_one_byte_message_that_is_no_control_is_a_command(reader: Reader) -> None:
    reader.send(ON)
    assert reader.ask(b"\x60").hex() == "6700"
    assert reader.ask(b"").hex() == "6700"


def test_long_answers_pass_and_too_long_ones_are_refused(reader: Reader) -> None:
    reader.send(ON)
    assert len(reader.ask(bytes.fromhex("0002FFFD000000"))) == 65535
    assert reader.ask(bytes.fromhex("0002FFFE000000")).hex() == "6700"


def test_an_empty_slot_means_no_connection(
    listener: Listener, slot: CardSlot, card: ScriptedCard
) -> None:
    with VpcdLink(slot, port=listener.port):
        reader = listener.accept()
        slot.remove()
        assert reader.is_closed()
        listener.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()
        listener.socket.settimeout(5)
        slot.insert(card)
        again = listener.accept()
        assert again.ask(ATR) == card.atr()
        reader.link.close()
        again.link.close()


def test_another_card_shows_another_atr(
    listener: Listener, slot: CardSlot, new_card: type[ScriptedCard]
) -> None:
    with VpcdLink(slot, port=listener.port), closing(first := listener.accept()):
        first.ask(ATR)
        slot.insert(new_card(bytes.fromhex("3B00")))
        with closing(second := listener.accept()):
            assert second.ask(ATR) == bytes.fromhex("3B00")


def test_a_mute_card_is_not_shown(
    listener: Listener, slot: CardSlot, card: ScriptedCard, new_card: type[ScriptedCard]
) -> None:
    card.is_mute = True
    with VpcdLink(slot, port=listener.port):
        listener.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()
        listener.socket.settimeout(5)
        slot.insert(new_card())
        listener.accept().link.close()


def test_a_card_that_becomes_mute_leaves(reader: Reader, card: ScriptedCard) -> None:
    reader.send(ON)
    card.is_mute = True
    reader.send(RESET)
    reader.send(ATR)
    assert reader.is_closed()


@pytest.mark.usefixtures("quick")
def test_a_card_that_loses_its_power_leaves_and_comes_back(
    listener: Listener, slot: CardSlot, card: ScriptedCard
) -> None:
    with VpcdLink(slot, port=listener.port):
        with closing(first := listener.accept()):
            first.send(ON)
            first.send(bytes.fromhex("00040000"))
            assert first.is_closed()
        with closing(second := listener.accept()):
            assert second.ask(ATR) == card.atr()
            second.send(ON)
            assert second.ask(bytes(4)).hex() == "019000"


@pytest.mark.usefixtures("quick")
def test_a_command_before_power_ends_the_connection(listener: Listener, slot: CardSlot) -> None:
    with VpcdLink(slot, port=listener.port), closing(first := listener.accept()):
        first.send(bytes(4))
        assert first.is_closed()


@pytest.mark.usefixtures("quick")
def test_a_bug_in_a_card_ends_the_connection_and_is_logged(
    listener: Listener, slot: CardSlot, caplog: pytest.LogCaptureFixture
) -> None:
    with VpcdLink(slot, port=listener.port):
        with closing(first := listener.accept()):
            first.send(ON)
            first.send(bytes.fromhex("00060000"))
            assert first.is_closed()
        listener.accept().link.close()
    assert "ZeroDivisionError" in caplog.text


def test_the_link_comes_back_when_the_reader_does(slot: CardSlot, card: ScriptedCard) -> None:
    listener = Listener()
    with VpcdLink(slot, port=listener.port) as link:
        first = listener.accept()
        assert first.ask(ATR) == card.atr()
        assert link.wait_until_plugged(5)
        before = card.power_ups
        listener.socket.close()
        first.link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        first.link.close()
        time.sleep(0.05)
        listener = Listener(link.address[1])
        second = listener.accept()
        assert second.ask(ATR) == card.atr()
        assert card.power_ups == before
        second.link.close()
        listener.socket.close()


def test_a_link_without_a_reader_stops_at_once(slot: CardSlot) -> None:
    listener = Listener()
    listener.socket.close()
    link = VpcdLink(slot, port=listener.port)
    link.stop()
    link.start()
    assert not link.wait_until_plugged(0.05)
    begin_s = time.monotonic()
    link.stop()
    link.stop()
    assert time.monotonic() - begin_s < 1


class Impatient(threading.Event):
    """Keeps how long it was to be waited, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_s: list[float] = []
        self.has_seen_enough = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits_s.append(timeout)
        if len(self.waits_s) < 10:
            return super().wait(0)
        self.has_seen_enough.set()
        return super().wait(timeout)


def test_a_reader_that_is_away_is_looked_for_less_and_less_but_twice_a_second(
    slot: CardSlot, listener: Listener
) -> None:
    listener.socket.close()
    link = VpcdLink(slot, port=listener.port)
    link._news = news = Impatient()
    with link:
        assert news.has_seen_enough.wait(5)
    assert news.waits_s[:10] == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5, 0.5, 0.5]


def test_somebody_who_takes_calls_and_hangs_up_is_called_less_and_less(
    slot: CardSlot, listener: Listener
) -> None:
    link = VpcdLink(slot, port=listener.port)
    link._news = news = Impatient()
    with link:
        for _ in range(10):
            listener.accept().link.close()
        assert news.has_seen_enough.wait(5)
    assert news.waits_s[:10] == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5, 0.5, 0.5]


def test_a_stopped_link_can_be_started_again(
    slot: CardSlot, card: ScriptedCard, listener: Listener
) -> None:
    link = VpcdLink(slot, port=listener.port)
    for _ in range(2):
        # The reader goes last: it would be called again, and that call would be answered first.
        with contextlib.ExitStack() as at_last, link:
            reader = listener.accept()
            at_last.enter_context(closing(reader))
            assert reader.ask(ATR) == card.atr()


class Interrupted(VpcdLink):
    """A link that a signal reaches while it starts."""

    def _start(self) -> None:
        super()._start()
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_while_a_link_starts_leaves_none(
    slot: CardSlot, listener: Listener, stopping_signal: type[BaseException]
) -> None:
    with pytest.raises(stopping_signal), Interrupted(slot, port=listener.port):
        raise AssertionError
    assert not [thread for thread in threading.enumerate() if thread.name == "vpcd-link"]


@pytest.mark.parametrize("atr", [b"", b"\x3b" + bytes(33)])
def test_a_card_whose_atr_is_none_is_not_shown(
    listener: Listener, slot: CardSlot, new_card: type[ScriptedCard], atr: bytes
) -> None:
    slot.insert(new_card(atr))
    with VpcdLink(slot, port=listener.port):
        listener.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()


class FakeSocket:
    """A connection whose other end sends length and body apart, and which keeps the calls."""

    def __init__(self, *messages: bytes) -> None:
        self.calls: list[object] = []
        self._parts = [part for message in messages for part in (len(message).to_bytes(2), message)]

    def setsockopt(self, *option: int) -> None:
        self.calls.append(option)

    def recv(self, _size: int) -> bytes:
        self.calls.append("recv")
        return self._parts.pop(0) if self._parts else b""

    def sendall(self, data: bytes) -> None:
        self.calls.append(data)


def test_acknowledgements_are_made_quick_again_before_each_message(
    slot: CardSlot, card: ScriptedCard
) -> None:
    """Without it every message waits for a delayed acknowledgement, 44 ms."""
    quick_ack = (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    fake = FakeSocket(ON, ATR, bytes(4))
    VpcdLink(slot)._serve(fake)
    arrival = [quick_ack, "recv", "recv"]
    atr = card.atr()
    assert fake.calls == [
        *arrival,
        *arrival, len(atr).to_bytes(2) + atr,
        *arrival, bytes.fromhex("0003019000"),
        quick_ack, "recv",
    ]  # fmt: skip


# The other form: vpcd calls


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def call(port: int) -> Reader:
    for _ in range(500):
        with contextlib.suppress(ConnectionRefusedError):
            return Reader(socket.create_connection(("127.0.0.1", port)))
        time.sleep(0.002)
    raise AssertionError


def test_a_listening_link_serves_a_reader_that_calls(
    slot: CardSlot, card: ScriptedCard, free_port: int
) -> None:
    with VpcdLink(slot, port=free_port, listen=True):
        with closing(reader := call(free_port)):
            assert reader.ask(ATR) == card.atr()
            reader.send(ON)
            assert reader.ask(bytes(4)).hex() == "019000"
        with closing(reader := call(free_port)):
            assert reader.ask(ATR) == card.atr()


def test_a_port_that_is_taken_is_told(slot: CardSlot, free_port: int) -> None:
    with (
        VpcdLink(slot, port=free_port, listen=True),
        pytest.raises(ReaderError, match="another bench may be listening"),
    ):
        VpcdLink(slot, port=free_port, listen=True).start()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])  # noqa: S104 - refused
def test_only_loopback_addresses_are_taken(slot: CardSlot, host: str) -> None:
    with pytest.raises(UsageError, match="loopback"):
        VpcdLink(slot, host=host)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("bytes_sent", [b"", b"\0", b"\xff\xff" + bytes(100), b"\0\2\1"])
def test_a_caller_that_does_not_finish_is_dropped(
    slot: CardSlot, card: ScriptedCard, free_port: int, bytes_sent: bytes
) -> None:
    with VpcdLink(slot, port=free_port, listen=True):
        with closing(idler := call(free_port)):
            idler.link.sendall(bytes_sent)
            assert idler.is_closed()
        with closing(reader := call(free_port)):
            assert reader.ask(ATR) == card.atr()


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_reader_that_pauses_between_messages_is_kept(
    listener: Listener, slot: CardSlot, card: ScriptedCard
) -> None:
    with VpcdLink(slot, port=listener.port), closing(reader := listener.accept()):
        assert reader.ask(ATR) == card.atr()
        time.sleep(1.3)
        assert reader.ask(ATR) == card.atr()


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_random_bytes_never_break_the_link_and_leave_memory_flat(
    new_card: type[ScriptedCard], free_port: int
) -> None:
    slot = CardSlot("storm")
    card = new_card()
    slot.insert(card)
    random = Random(3)

    def storm() -> int:
        for number in range(60):
            with closing(bad := call(free_port)), contextlib.suppress(OSError):
                bad.link.sendall(b"\xff\xff" * (number % 2) + random.randbytes(number + 1))
                bad.link.shutdown(socket.SHUT_WR)
                while bad.link.recv(4096):
                    pass
        gc.collect()
        ours = [tracemalloc.Filter(inclusive=True, filename_pattern="*/readers/vpcd.py")]
        found = tracemalloc.take_snapshot().filter_traces(ours).statistics("filename")
        return sum(line.size for line in found)

    with VpcdLink(slot, port=free_port, listen=True):
        tracemalloc.start()
        try:
            storm()
            size_before = storm()
            size_after = storm()
        finally:
            tracemalloc.stop()
        assert size_after - size_before < 20_000
        with closing(reader := call(free_port)):
            assert reader.ask(ATR) == card.atr()
