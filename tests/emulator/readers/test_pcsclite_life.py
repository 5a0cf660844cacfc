"""The service's own life: its folder, its socket, its limits, and bytes that no client sends."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.emulator.readers.pcsclite import PcscService, ServiceBusy
from cardbench.emulator.readers.pcsclite import service as service_module
from cardbench.protocol.errors import ReaderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.scripted_card import ScriptedCard
    from tests.emulator.readers.conftest import RawClient

    from cardbench.emulator.readers.in_process import CardSlot

OK = 0
INVALID_VALUE = 0x80100011


# The folder


def test_folder_and_socket_are_the_users_alone(service: PcscService) -> None:
    assert stat.S_IMODE(service.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(service.socket_path.stat().st_mode) == 0o700
    assert service.environment == {"PCSCLITE_CSOCK_NAME": str(service.socket_path)}


def test_nothing_is_left_behind(folder: Path) -> None:
    service = PcscService(folder / "run")
    service.start()
    service.stop()
    service.stop()
    assert list(folder.iterdir()) == []


def test_a_folder_that_was_there_stays_and_what_others_put_there_too(folder: Path) -> None:
    with PcscService(folder):
        pass
    assert list(folder.iterdir()) == []
    with PcscService(folder / "run"):
        (folder / "run" / "note").write_text("mine")
    assert [path.name for path in (folder / "run").iterdir()] == ["note"]


def test_a_folder_open_to_others_is_refused(folder: Path) -> None:
    folder.chmod(0o755)
    with pytest.raises(ReaderError, match="not this user's alone"):
        PcscService(folder).start()


def test_a_link_that_somebody_else_made_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mine").mkdir(mode=0o700)
    (folder / "link").symlink_to(folder / "mine")
    with PcscService(folder / "link"):
        pass
    about = os.lstat(folder / "link")
    theirs = os.stat_result((*about[:4], about.st_uid + 1, *about[5:]))
    monkeypatch.setattr(Path, "lstat", lambda _path: theirs)
    with pytest.raises(ReaderError, match="not this user's alone"):
        PcscService(folder / "link").start()


def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(ReaderError, match="file/run"):
        PcscService(folder / "file" / "run").start()


def test_a_path_too_long_for_a_socket_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="choose a shorter folder"):
        PcscService(folder / ("x" * 100)).start()


def test_a_second_service_is_told_that_the_socket_is_busy(
    service: PcscService, new_client: Callable[..., RawClient]
) -> None:
    with pytest.raises(ServiceBusy, match="another bench"):
        PcscService(service.folder).start()
    assert new_client().connect()[0] == OK


def test_a_socket_that_cannot_be_bound_leaves_nothing(folder: Path) -> None:
    folder = folder / "run"
    folder.mkdir(mode=0o700)
    (folder / "pcscd.comm").mkdir()
    with pytest.raises(ReaderError):
        PcscService(folder).start()
    assert [path.name for path in folder.iterdir()] == ["pcscd.comm"]


@pytest.mark.slow
def test_a_socket_left_by_a_killed_bench_is_taken_over(
    folder: Path,
    slot: CardSlot,
    new_client_of: Callable[[PcscService], RawClient],
    repository: Path,
) -> None:
    code = (
        "import os, pathlib, sys\n"
        "from cardbench.emulator.readers.pcsclite import PcscService\n"
        "PcscService(pathlib.Path(sys.argv[1])).start()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(folder / "run")],
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
        check=False,
    )
    assert (folder / "run" / "pcscd.comm").exists()
    with PcscService(folder / "run") as service:
        service.add_reader(slot)
        client = new_client_of(service)
        assert client.connect()[0] == OK
        client.close()


def test_stopping_lets_go_of_every_client_and_every_wait(
    folder: Path, slot: CardSlot, new_client_of: Callable[[PcscService], RawClient]
) -> None:
    service = PcscService(folder / "run")
    service.start()
    service.add_reader(slot)
    waiting, holding, blocked = (new_client_of(service) for _ in range(3))
    waiting.wait()
    holding.begin(holding.connected())
    blocked.send(
        0x04, struct.pack("<I128sIIiII", blocked.context, b"Test card 00 00", 2, 3, 0, 0, 0)
    )
    service.stop()
    for client in (waiting, holding, blocked):
        client.drain()
        client.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pcsc")]


class Interrupted(PcscService):
    """A service that a signal reaches while it starts."""

    def _listen(self) -> None:
        super()._listen()
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_while_a_service_starts_leaves_nothing(
    folder: Path, stopping_signal: type[BaseException]
) -> None:
    with pytest.raises(stopping_signal), Interrupted(folder / "run"):
        raise AssertionError
    assert list(folder.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pcsc")]


def test_a_stopped_service_can_be_started_again(
    folder: Path, slot: CardSlot, new_client_of: Callable[[PcscService], RawClient]
) -> None:
    service = PcscService(folder / "run")
    for _ in range(2):
        with service:
            assert service.reader_names == []
            service.add_reader(slot)
            client = new_client_of(service)
            assert client.connect()[0] == OK
            client.close()
    assert list(folder.iterdir()) == []


def test_stopping_does_not_wait_for_a_card_that_takes_its_time(
    folder: Path,
    slot: CardSlot,
    card: ScriptedCard,
    new_client_of: Callable[[PcscService], RawClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service_module, "_STOP_TIMEOUT_S", 0.05)
    is_working, may_answer = threading.Event(), threading.Event()
    slot._sleep = lambda _seconds: (is_working.set(), may_answer.wait())
    card.delay_s = 3600
    service = PcscService(folder / "run")
    service.start()
    service.add_reader(slot)
    client = new_client_of(service)
    client.send_transmit(client.connected(), bytes(4))
    assert is_working.wait(5)
    (serving,) = [thread for thread in threading.enumerate() if thread.name == "pcsc-client"]
    service.stop()
    assert list(folder.iterdir()) == []
    may_answer.set()
    serving.join(5)
    assert not serving.is_alive()
    client.close()


# Limits


def test_two_hundred_connections_and_no_more(new_client: Callable[..., RawClient]) -> None:
    clients = [new_client(None, establish=False) for _ in range(200)]
    assert all(client.version()[2] == OK for client in clients)
    assert new_client(None, establish=False).is_closed()
    clients[0].close()
    assert clients[1].version()[2] == OK


def test_numbers_of_contexts_and_handles_are_31_bits_and_unique(
    new_client: Callable[..., RawClient],
) -> None:
    clients = [new_client() for _ in range(20)]
    numbers = [client.context for client in clients]
    numbers += [client.connected() for client in clients]
    assert len(set(numbers)) == 40
    assert all(0 < number <= 0x7FFFFFFF for number in numbers)


def test_a_number_in_use_is_not_given_again(
    service: PcscService, new_client: Callable[..., RawClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = new_client()
    handle = client.connected()
    draws = iter([client.context - 1, handle - 1, 41])
    monkeypatch.setattr("secrets.randbelow", lambda _limit: next(draws))
    assert service.new_number() == 42


def test_establishing_twice_replaces_the_context(client: RawClient) -> None:
    first = client.context
    assert client.establish() == OK
    assert client.context != first
    assert client.release(first) == INVALID_VALUE
    assert client.release() == OK


@pytest.mark.parametrize("scope", [0, 1, 2, 3])
def test_every_scope_is_taken(new_client: Callable[..., RawClient], scope: int) -> None:
    assert new_client(establish=False).establish(scope) == OK


def test_an_unknown_scope_is_refused(new_client: Callable[..., RawClient]) -> None:
    assert new_client(establish=False).establish(4) == INVALID_VALUE


# Bytes that no client sends

SIZES = {
    1: 12,
    2: 8,
    4: 152,
    5: 24,
    6: 12,
    7: 8,
    8: 12,
    9: 32,
    10: 24,
    11: 8,
    13: 8,
    15: 280,
    16: 280,
    17: 12,
}


@pytest.mark.parametrize("command", sorted(SIZES))
@pytest.mark.parametrize("error", [-1, 1, 0xFFFFFF])
def test_a_body_of_another_size_ends_the_connection(
    client: RawClient, new_client: Callable[..., RawClient], command: int, error: int
) -> None:
    client.send(command, size=SIZES[command] + error)
    assert client.is_closed()
    assert new_client().connect()[0] == OK


@pytest.mark.parametrize("command", [0, 3, 0x0C, 0x0E, 0x18, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_unknown_command_ends_the_connection(client: RawClient, command: int) -> None:
    client.send(command)
    assert client.is_closed()


@pytest.mark.parametrize("command", [5, 6, 7, 8, 10, 11, 15, 16])
def test_a_handle_of_another_client_ends_the_connection(
    client: RawClient, new_client: Callable[..., RawClient], command: int
) -> None:
    handle = new_client().connected()
    client.send(command, struct.pack("<i", handle) + bytes(SIZES[command] - 4))
    assert client.is_closed()


def test_a_transmit_on_another_clients_handle_never_reaches_the_card(
    client: RawClient, new_client: Callable[..., RawClient], card: ScriptedCard
) -> None:
    handle = new_client().connected()
    client.send_transmit(handle, bytes(4))
    assert client.is_closed()
    assert card.commands == []


@pytest.mark.parametrize("length", [65549, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_length_beyond_the_limit_ends_the_connection(client: RawClient, length: int) -> None:
    handle = client.connected()
    client.send(9, struct.pack("<iIIIIIII", handle, 2, 16, length, 3, 16, 258, 0))
    assert client.is_closed()


@pytest.mark.parametrize("command", [15, 16])
def test_an_attribute_length_beyond_the_limit_ends_the_connection(
    client: RawClient, command: int
) -> None:
    handle = client.connected()
    client.send(command, struct.pack("<iI264sII", handle, 1, b"", 265, 0))
    assert client.is_closed()


def test_a_control_length_beyond_the_limit_ends_the_connection(client: RawClient) -> None:
    handle = client.connected()
    client.send(10, struct.pack("<iIIIII", handle, 0x42000D48, 65549, 0, 0, 0))
    assert client.is_closed()


def test_a_client_that_reads_nothing_is_dropped_and_nobody_waits_for_it(
    new_client: Callable[..., RawClient],
) -> None:
    deaf, other = new_client(), new_client()
    deaf.socket.settimeout(0.2)
    with contextlib.suppress(OSError):  # timed out or reset, as the kernel likes
        for _ in range(100_000):
            deaf.send(0x13)
    deaf.socket.settimeout(5)
    deaf.drain()
    assert other.connect()[0] == OK
    assert other.states()


requests = st.one_of(
    st.binary(max_size=64),
    st.builds(
        lambda command, size, body: struct.pack("<II", size, command) + body,
        st.integers(0, 0x1F),
        st.one_of(st.sampled_from(sorted(set(SIZES.values()))), st.integers(0, 2**32 - 1)),
        st.binary(max_size=320),
    ),
    st.sampled_from(sorted(SIZES)).flatmap(
        lambda command: st.binary(min_size=SIZES[command], max_size=SIZES[command]).map(
            lambda body: struct.pack("<II", SIZES[command], command) + body
        )
    ),
)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def files_settle_at(count: int) -> bool:
    """Whether the open files come down to a count; a thread that ends closes its socket last."""
    for _ in range(1000):
        if open_files() <= count:
            return True
        time.sleep(0.002)
    return False


def send_and_leave(service: PcscService, stream: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as bad:
        bad.connect(str(service.socket_path))
        bad.settimeout(0.5)
        with contextlib.suppress(OSError):  # dropped in the middle, as it should be
            bad.sendall(stream)


def until_alone(service: PcscService) -> None:
    """Wait until the connections that were left have been cleaned up."""
    for _ in range(1000):
        if len(service._connections) == 1:
            return
        time.sleep(0.002)
    raise AssertionError


@pytest.mark.slow
def test_random_requests_trouble_nobody_else(
    service: PcscService, new_client: Callable[..., RawClient]
) -> None:
    good = new_client()
    handle = good.connected()

    @given(st.lists(requests, max_size=6), st.integers(0, 40))
    def storm(messages: list[bytes], cut: int) -> None:
        stream = b"".join(messages)
        send_and_leave(service, stream[: len(stream) - cut] if cut < 20 else stream)
        assert good.status(handle) == OK
        assert good.transmit(handle, bytes(4))[0] == OK

    storm()
    until_alone(service)


@pytest.mark.slow
def test_a_storm_of_broken_requests_leaves_memory_and_files_flat(
    service: PcscService, new_client: Callable[..., RawClient]
) -> None:
    new_client()
    random = Random(7)
    files = open_files()

    def storm() -> int:
        for _ in range(400):
            command = random.choice(sorted(SIZES))
            size = random.choice((SIZES[command], random.getrandbits(32)))
            body = random.randbytes(random.choice((SIZES[command], random.randrange(400))))
            prefix = struct.pack("<IIiiI", 12, 0x11, 4, random.randrange(2, 9), 0)
            send_and_leave(service, prefix + struct.pack("<II", size, command) + body)
        until_alone(service)
        gc.collect()
        ours = [tracemalloc.Filter(inclusive=True, filename_pattern="*/readers/*")]
        lines = tracemalloc.take_snapshot().filter_traces(ours).statistics("filename")
        return sum(line.size for line in lines)

    tracemalloc.start()
    try:
        storm()
        size_before = storm()
        size_after = storm()
    finally:
        tracemalloc.stop()
    assert size_after - size_before < 20_000
    assert files_settle_at(files)


@pytest.mark.slow
def test_ten_thousand_connections_leave_nothing(
    service: PcscService, new_client: Callable[..., RawClient]
) -> None:
    client = new_client()
    files = open_files()
    for _ in range(10_000):
        assert client.disconnect(client.connected()) == OK
    for _ in range(300):
        other = new_client()
        other.connected()
        other.close()
    until_alone(service)
    assert len(service._contexts) == 1
    assert client.states()[0][3] == 0
    assert not service._slots[0].handles
    assert files_settle_at(files)
