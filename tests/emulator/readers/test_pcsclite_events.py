"""States, waits, events, cancels: at every protocol minor, with hand-made bytes."""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.scripted_card import ScriptedCard
    from tests.emulator.readers.conftest import RawClient, State

    from cardbench.emulator.readers.pcsclite import PcscService

OK = 0
CANCELLED = 0x80100002
INVALID_HANDLE = 0x80100003
INVALID_VALUE = 0x80100011
SERVICE_STOPPED = 0x8010001E

MINORS = [3, 4, 5, 6]


def wait(client: RawClient, minor: int) -> list[State]:
    """Begin to wait as a client of this minor does; return the states it saw."""
    if minor == 3:
        client.send(0x12)
        seen = client.read_states()
        client.send(0x13, struct.pack("<II", 3_600_000, 0))
        return seen
    client.send(0x13)
    if minor == 6:
        client.send(0x16)
        assert client.receive(4) == (16).to_bytes(4, "little")
        client.send(0x17)
    return client.read_states()


def stop(client: RawClient, minor: int) -> None:
    client.send(0x14, bytes(8) if minor == 3 else b"")


# Versions


@pytest.mark.parametrize("minor", MINORS)
def test_a_client_is_answered_with_its_own_minor(
    new_client: Callable[..., RawClient], minor: int
) -> None:
    client = new_client(None, establish=False)
    assert client.version(4, minor) == (4, minor, OK)


@pytest.mark.parametrize(("major", "minor"), [(4, 2), (4, 1), (4, 0), (4, -1), (3, 4), (5, 6)])
def test_older_and_foreign_protocols_are_refused(
    new_client: Callable[..., RawClient], major: int, minor: int
) -> None:
    client = new_client(None, establish=False)
    assert client.version(major, minor)[2] == SERVICE_STOPPED


def test_a_newer_client_is_offered_the_newest_and_may_take_it(
    new_client: Callable[..., RawClient],
) -> None:
    client = new_client(None, establish=False)
    assert client.version(4, 7) == (4, 6, SERVICE_STOPPED)
    assert client.version(4, 6) == (4, 6, OK)
    assert wait(client, 6)


@pytest.mark.parametrize(
    ("minor", "command"), [(3, 0x15), (4, 0x15), (3, 0x16), (4, 0x16), (5, 0x16), (5, 0x17)]
)
def test_a_message_of_a_later_minor_ends_the_connection(
    new_client: Callable[..., RawClient], minor: int, command: int
) -> None:
    client = new_client(minor)
    client.send(command)
    assert client.is_closed()


@pytest.mark.parametrize("minor", [5, 6])
def test_reader_events_count_readers_from_one(
    new_client: Callable[..., RawClient], service: PcscService, minor: int
) -> None:
    client = new_client(minor)
    client.send(0x15)
    first, code = struct.unpack("<II", client.receive(8))
    assert code == OK
    reader = service.add_reader(CardSlot("Further"))
    service.remove_reader(reader)
    client.send(0x15)
    assert struct.unpack("<II", client.receive(8)) == (first + 2, OK)


def test_the_count_of_reader_events_wraps_to_one(
    new_client: Callable[..., RawClient], service: PcscService
) -> None:
    service.reader_events = 0x7FFF
    service.add_reader(CardSlot("Further"))
    client = new_client(5)
    client.send(0x15)
    assert struct.unpack("<II", client.receive(8)) == (1, OK)


# Waiting


@pytest.mark.parametrize("minor", MINORS)
def test_insertion_and_removal_are_pushed_once(
    new_client: Callable[..., RawClient], slot: CardSlot, card: ScriptedCard, minor: int
) -> None:
    client = new_client(minor)
    assert wait(client, minor)[0][2] == 0x34
    slot.remove()
    assert client.event() == OK
    slot.insert(card)
    assert client.has_nothing()  # the first event used the registration up
    name, counter, status, _, atr, _ = wait(client, minor)[0]
    assert (name, counter, status, atr) == ("Test card 00 00", 3, 0x34, card.atr())


@pytest.mark.parametrize("minor", MINORS)
def test_a_stop_is_answered_only_while_registered(
    new_client: Callable[..., RawClient], slot: CardSlot, minor: int
) -> None:
    client = new_client(minor)
    wait(client, minor)
    stop(client, minor)
    assert client.event() == OK
    stop(client, minor)
    assert client.has_nothing()
    wait(client, minor)
    slot.remove()
    stop(client, minor)
    assert client.event() == OK
    assert client.has_nothing()


@pytest.mark.parametrize("minor", MINORS)
def test_a_wait_is_cancelled_from_a_connection_of_its_own(
    new_client: Callable[..., RawClient], minor: int
) -> None:
    client = new_client(minor)
    wait(client, minor)
    canceller = new_client(None, establish=False)
    assert canceller.cancel(client.context) == OK
    assert client.event() == CANCELLED
    assert canceller.cancel(client.context) == OK  # it waits no more: nothing happens
    assert client.has_nothing()


def test_cancelling_an_unknown_context_is_refused(new_client: Callable[..., RawClient]) -> None:
    client = new_client()
    assert client.cancel(client.context ^ 1) == INVALID_HANDLE
    assert client.release() == OK
    assert new_client(None, establish=False).cancel(client.context) == INVALID_HANDLE


def test_no_event_comes_between_a_46_wait_and_its_states(
    new_client: Callable[..., RawClient], slot: CardSlot, card: ScriptedCard
) -> None:
    client = new_client(6)
    client.send(0x13)
    slot.remove()
    client.send(0x16)
    assert client.receive(4) == (16).to_bytes(4, "little")
    client.send(0x17)
    assert client.read_states()[0][2] == 0x02  # the change shows in the states
    assert client.has_nothing()
    slot.insert(card)
    assert client.event() == OK


def test_a_46_wait_that_was_not_told_the_states_can_be_stopped(
    new_client: Callable[..., RawClient],
) -> None:
    client = new_client(6)
    client.send(0x13)
    client.send(0x14)
    assert client.event() == OK


def test_a_46_wait_cancelled_before_its_states_is_cancelled_after_them(
    new_client: Callable[..., RawClient],
) -> None:
    client = new_client(6)
    client.send(0x13)
    assert client.version(4, 6)[2] == OK  # the wait has been read
    assert new_client(None, establish=False).cancel(client.context) == OK
    client.send(0x17)
    assert client.read_states()
    assert client.event() == CANCELLED


def test_a_43_wait_hears_of_what_happened_since_it_looked(
    new_client: Callable[..., RawClient], slot: CardSlot
) -> None:
    client = new_client(3)
    client.states()
    slot.remove()
    client.send(0x13, bytes(8))
    assert client.event() == OK


def test_a_43_wait_of_another_size_ends_the_connection(
    new_client: Callable[..., RawClient],
) -> None:
    client = new_client(3)
    client.send(0x13, bytes(4))
    assert client.is_closed()


def test_a_change_of_sharing_is_pushed(new_client: Callable[..., RawClient]) -> None:
    client, other = new_client(), new_client()
    client.wait()
    handle = other.connected()
    assert client.event() == OK
    assert client.wait()[0][3] == 1
    other.disconnect(handle)
    assert client.event() == OK
    assert client.wait()[0][3] == 0


def test_many_waiters_are_all_told(new_client: Callable[..., RawClient], slot: CardSlot) -> None:
    clients = [new_client(minor) for minor in MINORS * 5]
    for client, minor in zip(clients, MINORS * 5, strict=True):
        wait(client, minor)
    slot.remove()
    assert [client.event() for client in clients] == [OK] * 20


def test_under_constant_change_every_event_is_matched_by_states(
    new_client: Callable[..., RawClient], slot: CardSlot, card: ScriptedCard
) -> None:
    """The stream never shifts: each wait is answered by whole states, then by one event."""
    client = new_client(4)
    stopping = threading.Event()

    def shake() -> None:
        while not stopping.is_set():
            slot.insert(card)
            slot.remove()

    shaking = threading.Thread(target=shake)
    shaking.start()
    seen = []
    try:
        while len(seen) < 30:
            seen.append(client.wait()[0])
            client.stop()  # answered, or an event came first: eight zero bytes either way
            assert client.event() == OK
    finally:
        stopping.set()
        shaking.join()
    counters = [entry[1] for entry in seen]
    assert counters == sorted(counters)
    assert {entry[0] for entry in seen} == {"Test card 00 00"}


# Readers that come and go


def test_a_reader_added_later_is_pushed_and_listed(
    new_client: Callable[..., RawClient], service: PcscService, new_card: type[ScriptedCard]
) -> None:
    client = new_client()
    client.wait()
    further = CardSlot("Further reader")
    further.insert(new_card())
    reader = service.add_reader(further)
    assert client.event() == OK
    names = [entry[0] for entry in client.wait()]
    assert names == ["Test card 00 00", "Further reader 00 00"] == service.reader_names
    service.remove_reader(reader)
    assert client.event() == OK
    assert [entry[0] for entry in client.states()] == ["Test card 00 00"]


def test_readers_of_one_name_are_numbered_and_numbers_used_again(service: PcscService) -> None:
    first, second = service.add_reader(CardSlot("R")), service.add_reader(CardSlot("R"))
    assert (first.name, second.name) == ("R 00 00", "R 01 00")
    service.remove_reader(first)
    assert service.add_reader(CardSlot("other"), "R").name == "R 00 00"


def test_fifteen_readers_are_all_that_clients_can_handle(
    service: PcscService, client: RawClient
) -> None:
    for _ in range(14):
        service.add_reader(CardSlot("R"))
    with pytest.raises(UsageError, match="15 readers are there already"):
        service.add_reader(CardSlot("R"))
    assert len(client.states()) == 15


def test_a_long_name_is_cut_to_fit(service: PcscService, client: RawClient) -> None:
    reader = service.add_reader(CardSlot("é" * 80))
    assert len(reader.name.encode()) <= 127
    assert reader.name == "é" * 60 + " 00 00"
    assert client.connect(name=reader.name, share=3)[0] == OK


def test_a_withdrawn_reader_leaves_handles_that_say_so(
    client: RawClient, service: PcscService
) -> None:
    reader = service._slots[0]
    handle = client.connected()
    client.begin(handle)
    service.remove_reader(reader)
    assert client.status(handle) == INVALID_VALUE
    assert client.begin(handle) == INVALID_VALUE
    assert client.end(handle) == INVALID_VALUE
    assert client.reconnect(handle)[0] == INVALID_VALUE
    assert client.transmit(handle, bytes(4))[0] == INVALID_VALUE
    assert client.control(handle)[0] == INVALID_VALUE
    assert client.attribute(handle, 0x90303)[0] == INVALID_VALUE
    assert client.disconnect(handle, 1) == OK
    assert client.states() == []
