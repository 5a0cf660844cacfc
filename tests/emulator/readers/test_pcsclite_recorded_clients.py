"""What client libraries of every protocol minor have sent is answered as they understood it."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.recorded_steps import bytes_of

from cardbench.emulator.readers.pcsclite.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.scripted_card import ScriptedCard
    from tests.emulator.readers.conftest import RawClient

    from cardbench.emulator.readers.in_process import CardSlot


WAIT_READER_STATE_CHANGE = 0x13


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Counts the waits that the service has taken note of: minor 3 is not told when it has."""
    taken = threading.Semaphore(0)
    take = Connection._wait

    def noted(connection: Connection, body: bytes) -> None:
        take(connection, body)
        taken.release()

    monkeypatch.setattr(Connection, "_wait", noted)
    return taken


@pytest.fixture(autouse=True)
def _contexts_are_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count(1000)
    monkeypatch.setattr("secrets.randbelow", lambda _limit: next(numbers))


@pytest.mark.vectors("pcsclite-clients.json", "clients")
def test_a_recorded_client_is_answered_byte_for_byte(
    vector: dict[str, Any],
    new_client: Callable[..., RawClient],
    slot: CardSlot,
    card: ScriptedCard,
    waits: threading.Semaphore,
) -> None:
    clients: dict[int, RawClient] = {}
    for connection, way, what in vector["steps"]:
        if way == "hand":
            slot.remove() if what == "remove" else slot.insert(card)
            continue
        if connection not in clients:
            clients[connection] = new_client(None, establish=False)
        if way == ">":
            sent = bytes_of(what)
            clients[connection].socket.sendall(sent)
            if int.from_bytes(sent[4:8], "little") == WAIT_READER_STATE_CHANGE:
                assert waits.acquire(timeout=5)  # a Cancel that overtakes it would cancel nothing
        else:
            expected = bytes_of(what)
            assert clients[connection].receive(len(expected)) == expected
    assert all(client.has_nothing() for client in clients.values())
