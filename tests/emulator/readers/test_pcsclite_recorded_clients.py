"""What client libraries of every protocol minor have sent is answered as they understood it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from support.recorded_steps import bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.scripted_card import ScriptedCard
    from tests.emulator.readers.conftest import RawClient

    from cardbench.emulator.readers.in_process import CardSlot


@pytest.mark.vectors("pcsclite-clients.json", "clients")
def test_a_recorded_client_is_answered_byte_for_byte(
    vector: dict[str, Any],
    new_client: Callable[..., RawClient],
    slot: CardSlot,
    card: ScriptedCard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = itertools.count(1000)
    monkeypatch.setattr("secrets.randbelow", lambda _limit: next(numbers))
    clients: dict[int, RawClient] = {}
    for connection, way, what in vector["steps"]:
        if way == "hand":
            slot.remove() if what == "remove" else slot.insert(card)
            continue
        if connection not in clients:
            clients[connection] = new_client(None, establish=False)
        if way == ">":
            clients[connection].socket.sendall(bytes_of(what))
        else:
            expected = bytes_of(what)
            assert clients[connection].receive(len(expected)) == expected
    assert all(client.has_nothing() for client in clients.values())
