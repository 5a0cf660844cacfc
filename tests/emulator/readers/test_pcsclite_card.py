"""Transmit, control, attributes, and the card's power behind the service."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.readers.pcsclite import PcscService

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.scripted_card import ScriptedCard
    from tests.emulator.readers.conftest import RawClient

    from cardbench.emulator.readers.in_process import CardSlot

OK = 0
INSUFFICIENT_BUFFER = 0x80100008
PROTO_MISMATCH = 0x8010000F
NOT_TRANSACTED = 0x80100016
UNSUPPORTED_FEATURE = 0x8010001F


def test_a_response_comes_whole_with_its_length(client: RawClient) -> None:
    handle = client.connected()
    assert client.transmit(handle, bytes.fromhex("0008000003ABCDEF")) == (
        OK,
        bytes.fromhex("01ABCDEF6282"),
    )


def test_extended_lengths_pass_both_ways(client: RawClient) -> None:
    handle = client.connected()
    data = bytes(range(256)) * 255 + bytes(255)
    code, response = client.transmit(handle, bytes.fromhex("00010000 00FFFF") + data)
    assert (code, response) == (OK, b"\1" + data + b"\x90\x00")
    code, response = client.transmit(handle, bytes.fromhex("0002FFFF 000000"))
    assert (code, len(response)) == (OK, 0xFFFF + 2)


def test_a_request_may_come_byte_by_byte(client: RawClient) -> None:
    handle = client.connected()
    command = bytes.fromhex("0001000002ABCD")
    body = struct.pack("<iIIIIIII", handle, 2, 16, len(command), 3, 16, 258, 0)
    for byte in struct.pack("<II", 32, 9) + body + command:
        client.socket.sendall(bytes((byte,)))
    assert client.read_transmit() == (OK, 5, bytes.fromhex("01ABCD9000"))


def test_malformed_commands_are_the_cards_to_answer(client: RawClient) -> None:
    handle = client.connected()
    assert client.transmit(handle, b"") == (OK, bytes.fromhex("6700"))
    assert client.transmit(handle, b"\0") == (OK, bytes.fromhex("6700"))


def test_a_response_longer_than_the_room_is_kept_back_and_its_length_told(
    client: RawClient,
) -> None:
    handle = client.connected()
    client.send_transmit(handle, bytes.fromhex("00020100"), room=257)
    assert client.read_transmit() == (INSUFFICIENT_BUFFER, 258, b"")
    client.send_transmit(handle, bytes.fromhex("00020100"), room=258)
    assert client.read_transmit()[0] == OK


@pytest.mark.parametrize("protocol", [1, 2])
def test_the_receive_header_is_what_the_real_daemon_gives(client: RawClient, protocol: int) -> None:
    handle = client.connected(protocols=protocol)
    client.send_transmit(handle, bytes(4), protocol=protocol)
    answer = struct.unpack("<iIIIIIII", client.receive(32))
    assert answer[1:6] == (protocol, 16, 4, 1, 16)


def test_control_codes_are_refused_with_or_without_data(client: RawClient) -> None:
    handle = client.connected()
    assert client.control(handle) == (UNSUPPORTED_FEATURE, 0)
    assert client.control(handle, 0x42000001, bytes(65548)) == (UNSUPPORTED_FEATURE, 0)
    assert client.status(handle) == OK


@pytest.mark.parametrize(
    ("identifier", "value"),
    [
        (0x00010100, b"cardbench\0"),
        (0x00010101, b"cardbench\0"),
        (0x00010102, b"\0\0\0\1"),
        (0x00090300, b"\2"),
        (0x00090301, b"\1"),
        (0x00090303, bytes.fromhex("3B888001000000009171710098")),
        (0x7FFF0003, b"Test card 00 00\0"),
        (0x7FFF0004, b"Test card 00 00\0"),
    ],
)
def test_attributes_of_the_reader(client: RawClient, identifier: int, value: bytes) -> None:
    handle = client.connected()
    assert client.attribute(handle, identifier) == (OK, len(value), value)


def test_an_attribute_longer_than_the_room_is_kept_back(client: RawClient) -> None:
    handle = client.connected()
    assert client.attribute(handle, 0x7FFF0003, room=15)[:2] == (INSUFFICIENT_BUFFER, 16)
    assert client.attribute(handle, 0x7FFF0003, room=16)[:2] == (OK, 16)


def test_unknown_attributes_and_all_settings_are_refused(client: RawClient) -> None:
    handle = client.connected()
    assert client.attribute(handle, 0x00010103)[0] == UNSUPPORTED_FEATURE
    assert client.ask(0x10, "<iI264sII", handle, 0x10100, b"x", 1, 0)[4] == NOT_TRANSACTED


def test_an_absent_card_shows_in_the_attributes(client: RawClient, slot: CardSlot) -> None:
    slot.remove()
    handle = client.connected(share=3)
    assert client.attribute(handle, 0x00090300)[2] == b"\0"
    assert client.attribute(handle, 0x00090301)[2] == b"\0"
    assert client.attribute(handle, 0x00090303)[2] == b""


# Power


def test_a_card_put_into_a_reader_shows_its_atr_at_once(
    service: PcscService, slot: CardSlot, new_card: type[ScriptedCard]
) -> None:
    other = new_card(bytes.fromhex("3B00"))
    slot.insert(other)
    with service.monitor:
        assert bytes.fromhex("3B00") in service.states()


def until(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.002)
    raise AssertionError


def test_an_unused_card_loses_its_power_and_still_shows(
    folder: Path,
    slot: CardSlot,
    card: ScriptedCard,
    new_client_of: Callable[[PcscService], RawClient],
) -> None:
    with PcscService(folder / "quick", power_down_s=0.02) as service:
        service.add_reader(slot)
        until(lambda: card.power_downs)  # inserted, and nobody came
        client = new_client_of(service)
        handle = client.connected()
        assert card.is_powered
        client.transmit(handle, bytes(4))
        assert client.disconnect(handle) == OK
        until(lambda: not card.is_powered)
        _, counter, status, sharing, atr, protocol = client.states()[0]
        assert (counter, status, sharing, atr, protocol) == (1, 0x34, 0, card.atr(), 0)
        handle = client.connected()
        assert client.transmit(handle, bytes(4))[1].hex() == "019000"  # it began anew
        client.close()


def test_a_card_that_was_powered_for_nobody_loses_its_power_again(
    folder: Path,
    slot: CardSlot,
    card: ScriptedCard,
    new_client_of: Callable[[PcscService], RawClient],
) -> None:
    card.answer_to_reset = bytes.fromhex("3B00")
    slot.insert(card)
    with PcscService(folder / "quick", power_down_s=0.02) as service:
        service.add_reader(slot)
        until(lambda: not card.is_powered)
        client = new_client_of(service)
        assert client.connect(protocols=2)[0] == PROTO_MISMATCH
        assert card.power_ups
        until(lambda: not card.is_powered)
        client.close()


def test_a_connection_in_the_grace_period_keeps_the_card_as_it_was(
    folder: Path, slot: CardSlot, new_client_of: Callable[[PcscService], RawClient]
) -> None:
    with PcscService(folder / "quick", power_down_s=0.05) as service:
        service.add_reader(slot)
        client = new_client_of(service)
        first = client.connected()
        client.transmit(first, bytes(4))
        client.disconnect(first)
        second = client.connected()
        time.sleep(0.08)
        assert client.transmit(second, bytes(4))[1].hex() == "029000"
        client.close()


def test_a_reader_that_is_withdrawn_leaves_its_card_without_power(
    service: PcscService, card: ScriptedCard
) -> None:
    assert card.is_powered
    service.remove_reader(service._slots[0])
    assert not card.is_powered
