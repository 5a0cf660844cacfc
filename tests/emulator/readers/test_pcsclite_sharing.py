"""Connections, transactions, resets: what each return code is, as the real daemon gives it."""

from __future__ import annotations

import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.scripted_card import ScriptedCard
    from tests.emulator.readers.conftest import RawClient, State

    from cardbench.emulator.readers.in_process import CardSlot
    from cardbench.emulator.readers.pcsclite import PcscService

OK = 0
INTERNAL_ERROR = 0x80100001
INVALID_HANDLE = 0x80100003
NO_MEMORY = 0x80100006
UNKNOWN_READER = 0x80100009
SHARING_VIOLATION = 0x8010000B
NO_SMARTCARD = 0x8010000C
PROTO_MISMATCH = 0x8010000F
INVALID_VALUE = 0x80100011
NOT_TRANSACTED = 0x80100016
READER_UNAVAILABLE = 0x80100017
UNRESPONSIVE_CARD = 0x80100066
UNPOWERED_CARD = 0x80100067
RESET_CARD = 0x80100068
REMOVED_CARD = 0x80100069

EXCLUSIVE, SHARED, DIRECT = 1, 2, 3
LEAVE, RESET, UNPOWER, EJECT = 0, 1, 2, 3
T0, T1, RAW, ANY_OLD = 1, 2, 4, 0x1000
EMPTY, READY, UNPOWERED, MUTE = 0x02, 0x34, 0x04, 0x0C

COUNT = bytes(4)


def state_of(client: RawClient) -> State:
    return client.states()[0]


# Connecting


def test_a_connection_names_the_protocol_and_shows_in_the_states(client: RawClient) -> None:
    code, handle, protocol = client.connect()
    assert (code, protocol) == (OK, T1)
    assert 0 < handle <= 0x7FFFFFFF
    name, counter, status, sharing, atr, active = state_of(client)
    assert (name, counter, status, sharing, active) == ("Test card 00 00", 1, READY, 1, T1)
    assert atr.hex().upper() == "3B888001000000009171710098"


@pytest.mark.parametrize(
    ("share", "protocols", "name", "expected"),
    [
        (SHARED, 0, "Test card 00 00", PROTO_MISMATCH),
        (SHARED, 8, "Test card 00 00", PROTO_MISMATCH),
        (0, T0, "Test card 00 00", INVALID_VALUE),
        (4, T0, "Test card 00 00", INVALID_VALUE),
        (SHARED, T0, "Test card 00 01", UNKNOWN_READER),
        (SHARED, T0, "test card 00 00", UNKNOWN_READER),
        (SHARED, T0, "Test card", UNKNOWN_READER),
        (DIRECT, 0, "", UNKNOWN_READER),
    ],
)
def test_a_wrong_request_is_refused(
    client: RawClient, share: int, protocols: int, name: str, expected: int | None
) -> None:
    code, handle, _ = client.connect(name=name, share=share, protocols=protocols)
    assert (code, handle) == (expected, 0)


def test_an_empty_reader_takes_only_direct_connections(client: RawClient, slot: CardSlot) -> None:
    slot.remove()
    assert client.connect()[0] == NO_SMARTCARD
    code, handle, protocol = client.connect(share=DIRECT, protocols=0)
    assert (code, protocol) == (OK, 0)
    assert client.transmit(handle, COUNT, protocol=T1)[0] == NO_SMARTCARD
    assert client.transmit(handle, COUNT, protocol=ANY_OLD)[0] == NO_SMARTCARD


def test_a_mute_card_is_unpowered(
    client: RawClient, slot: CardSlot, new_card: type[ScriptedCard]
) -> None:
    mute = new_card()
    mute.is_mute = True
    slot.insert(mute)
    assert state_of(client)[2] == MUTE
    assert client.connect()[0] == UNPOWERED_CARD
    mute.is_mute = False
    assert client.connect()[0] == OK
    assert state_of(client)[2] == READY


@pytest.mark.parametrize("atr", [b"", b"\x3b" + bytes(33)])
def test_a_card_whose_atr_is_none_is_mute(
    client: RawClient, slot: CardSlot, new_card: type[ScriptedCard], atr: bytes
) -> None:
    slot.insert(new_card(atr))
    assert state_of(client)[2:5] == (MUTE, 0, b"")
    assert client.connect()[0] == UNPOWERED_CARD


def test_exclusive_keeps_others_out_and_waits_for_none(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine = client.connected(share=EXCLUSIVE)
    assert state_of(client)[3] == -1
    assert other.connect()[0] == SHARING_VIOLATION
    assert other.connect(share=DIRECT)[0] == SHARING_VIOLATION
    assert client.disconnect(mine) == OK
    theirs = other.connected()
    code, handle, protocol = client.connect(share=EXCLUSIVE)
    assert (code, handle, protocol) == (SHARING_VIOLATION, 0, T1)
    assert other.disconnect(theirs) == OK


@pytest.mark.parametrize(
    "offer",
    [
        ("3B888001000000009171710098", T0 | T1, T1),
        ("3B888001000000009171710098", T0, T0),
        ("3B888001000000009171710098", ANY_OLD, T1),
        ("3B3F9600805A4880C120501711223344829000", T0 | T1, T0),
        ("3B3F9600805A4880C120501711223344829000", T1, None),
        ("3B800181", T0 | T1, T1),
        ("3B800181", T0, None),
    ],
)
def test_the_protocol_is_what_the_atr_offers_t1_first(
    client: RawClient, slot: CardSlot, card: ScriptedCard, offer: tuple[str, int, int | None]
) -> None:
    atr, protocols, expected = offer
    card.answer_to_reset = bytes.fromhex(atr)
    slot.insert(card)
    code, _, protocol = client.connect(protocols=protocols)
    assert (code, protocol) == ((OK, expected) if expected else (PROTO_MISMATCH, 0))


def test_a_chosen_protocol_stays_until_a_reset(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine = client.connected(protocols=T0)
    assert other.connect(protocols=T1)[0] == PROTO_MISMATCH
    assert client.disconnect(mine, LEAVE) == OK
    assert other.connect(protocols=T1)[0] == PROTO_MISMATCH
    theirs = other.connected(protocols=T0)
    assert other.reconnect(theirs, LEAVE, protocols=T1)[0] == PROTO_MISMATCH
    assert other.reconnect(theirs, RESET, protocols=T1) == (OK, T1)


def test_raw_sticks_to_the_reader_until_a_reset(client: RawClient) -> None:
    direct = client.connected(share=DIRECT, protocols=RAW)
    assert client.connect(protocols=T1)[0] == PROTO_MISMATCH
    assert client.transmit(direct, COUNT, protocol=RAW) == (OK, bytes.fromhex("019000"))
    assert client.disconnect(direct, RESET) == OK
    assert client.connect(protocols=T1)[0] == OK


def test_the_chosen_protocol_must_be_sent_in(client: RawClient) -> None:
    handle = client.connected(protocols=T1)
    assert client.transmit(handle, COUNT, protocol=T0)[0] == PROTO_MISMATCH
    assert client.transmit(handle, COUNT, protocol=ANY_OLD)[0] == OK


def test_a_connection_needs_its_own_context(client: RawClient) -> None:
    handle = client.context
    client.context = handle ^ 1
    assert client.connect()[0] == INVALID_VALUE
    client.context = handle
    assert client.release() == OK
    assert client.connect()[0] == INVALID_HANDLE
    assert client.release() == INVALID_HANDLE
    assert state_of(client)[3] == 0


def test_a_context_holds_two_hundred_connections(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    handles = [client.connected(share=DIRECT, protocols=0) for _ in range(200)]
    assert len(set(handles)) == 200
    assert client.connect()[0] == INTERNAL_ERROR  # the reader is full
    assert client.disconnect(handles[0]) == OK
    assert new_client().connect()[0] == OK
    assert client.connect()[0] == INTERNAL_ERROR


def test_a_context_is_full_before_the_readers_are(
    client: RawClient, service: PcscService, slot: CardSlot
) -> None:
    service.add_reader(slot, "Second")
    for _ in range(199):
        client.connected()
    client.connected(name="Second 00 00")
    assert client.connect(name="Second 00 00")[0] == NO_MEMORY


# Disconnecting and resetting


def test_leaving_keeps_the_cards_state(client: RawClient) -> None:
    first = client.connected()
    assert client.transmit(first, COUNT)[1].hex() == "019000"
    assert client.disconnect(first, LEAVE) == OK
    assert client.transmit(client.connected(), COUNT)[1].hex() == "029000"


def test_a_reset_on_leaving_is_told_to_the_others(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    client.transmit(mine, COUNT)
    assert client.disconnect(mine, RESET) == OK
    for answer in (
        other.transmit(theirs, COUNT)[0],
        other.status(theirs),
        other.begin(theirs),
        other.end(theirs),
        other.end(theirs, RESET),
        other.attribute(theirs, 0x90303)[0],
        other.ask(0x10, "<iI264sII", theirs, 1, b"", 0, 0)[4],
    ):
        assert answer == RESET_CARD
    assert other.control(theirs)[0] == 0x8010001F
    assert other.reconnect(theirs) == (OK, T1)
    assert other.transmit(theirs, COUNT)[1].hex() == "019000"


def test_unpowering_leaves_a_card_that_the_next_connection_powers(
    client: RawClient, card: ScriptedCard
) -> None:
    handle = client.connected()
    before = card.power_ups
    assert client.disconnect(handle, UNPOWER) == OK
    _, _, status, sharing, atr, protocol = state_of(client)
    assert (status, sharing, protocol) == (UNPOWERED, 0, 0)
    assert atr == card.atr()
    assert not card.is_powered
    client.connected()
    assert card.power_ups == before + 1
    assert state_of(client)[2] == READY


def test_ejecting_does_nothing_more_than_leaving(client: RawClient) -> None:
    handle = client.connected()
    client.transmit(handle, COUNT)
    assert client.disconnect(handle, EJECT) == OK
    assert client.transmit(client.connected(), COUNT)[1].hex() == "029000"


def test_an_unknown_disposition_is_refused_and_the_handle_lives(client: RawClient) -> None:
    handle = client.connected()
    assert client.disconnect(handle, 4) == INVALID_VALUE
    assert client.end(handle, 9) == INVALID_VALUE
    assert client.reconnect(handle, EJECT)[0] == INVALID_VALUE
    assert client.reconnect(handle, LEAVE, share=0)[0] == INVALID_VALUE
    assert client.reconnect(handle, LEAVE, protocols=0)[0] == PROTO_MISMATCH
    assert client.status(handle) == OK


@pytest.mark.parametrize("how", [RESET, UNPOWER])
def test_a_reconnection_with_reset_flags_everybody_else(
    client: RawClient, new_client: Callable[..., RawClient], how: int
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    client.transmit(mine, COUNT)
    counter = state_of(client)[1]
    assert client.reconnect(mine, how) == (OK, T1)
    assert client.transmit(mine, COUNT)[1].hex() == "019000"
    assert other.status(theirs) == RESET_CARD
    assert state_of(client)[1] == counter  # a reset is no change of presence


def test_a_reset_that_the_card_does_not_answer_makes_it_mute(
    client: RawClient, card: ScriptedCard
) -> None:
    handle = client.connected()
    card.is_mute = True
    assert client.reconnect(handle, RESET)[0] == UNRESPONSIVE_CARD
    assert state_of(client)[2:5] == (MUTE, 1, b"")
    assert client.reconnect(handle, LEAVE)[0] == UNRESPONSIVE_CARD
    card.is_mute = False
    assert client.reconnect(handle, RESET)[0] == OK


def test_a_mute_card_that_is_unpowered_stays_mute(client: RawClient, card: ScriptedCard) -> None:
    """A client waits for the ATR of a card that is published without one, unless it is mute."""
    handle = client.connected()
    card.is_mute = True
    assert client.reconnect(handle, RESET)[0] == UNRESPONSIVE_CARD
    assert client.disconnect(handle, UNPOWER) == OK
    assert state_of(client)[2:5] == (MUTE, 0, b"")


def test_a_mute_reset_at_a_transactions_end_says_that_the_card_did_not_answer(
    client: RawClient, card: ScriptedCard
) -> None:
    handle = client.connected()
    client.begin(handle)
    card.is_mute = True
    assert client.end(handle, RESET) == NOT_TRANSACTED


def test_sharing_can_be_changed_by_reconnecting(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine = client.connected()
    assert client.reconnect(mine, share=EXCLUSIVE)[0] == OK
    assert client.reconnect(mine, share=EXCLUSIVE)[0] == OK
    assert other.connect()[0] == SHARING_VIOLATION
    assert client.reconnect(mine, share=SHARED)[0] == OK
    assert client.end(mine) == OK  # as with the real daemon, it held on until now
    assert client.end(mine) == NOT_TRANSACTED
    theirs = other.connected()
    assert client.reconnect(mine, share=EXCLUSIVE)[0] == SHARING_VIOLATION
    assert other.disconnect(theirs) == OK
    assert client.reconnect(mine, share=DIRECT)[0] == OK


# Removal


def test_a_removal_is_told_until_the_handle_reconnects(
    client: RawClient, slot: CardSlot, card: ScriptedCard
) -> None:
    handle = client.connected()
    slot.remove()
    assert client.transmit(handle, COUNT)[0] == REMOVED_CARD
    assert state_of(client)[1:] == (2, EMPTY, 1, b"", 0)
    assert client.reconnect(handle, LEAVE)[0] == NO_SMARTCARD
    slot.insert(card)
    assert client.status(handle) == REMOVED_CARD
    assert client.reconnect(handle, LEAVE) == (OK, T1)
    assert client.status(handle) == OK
    assert state_of(client)[1] == 3


def test_resetting_an_absent_card_turns_the_flag_from_removed_to_reset(
    client: RawClient, slot: CardSlot
) -> None:
    handle = client.connected()
    slot.remove()
    assert client.status(handle) == REMOVED_CARD
    assert client.reconnect(handle, RESET)[0] == NO_SMARTCARD
    assert client.status(handle) == RESET_CARD
    assert client.disconnect(handle, RESET) == OK


def test_a_card_that_is_replaced_at_once_counts_twice(
    client: RawClient, slot: CardSlot, new_card: type[ScriptedCard]
) -> None:
    handle = client.connected()
    before = state_of(client)[1]
    slot.insert(new_card())
    assert client.status(handle) == REMOVED_CARD
    assert state_of(client)[1] == before + 2


def test_a_card_pulled_in_the_middle_of_a_command_gives_no_answer(
    client: RawClient, slot: CardSlot, card: ScriptedCard
) -> None:
    handle = client.connected()
    card.hook = slot.remove
    assert client.transmit(handle, COUNT) == (NOT_TRANSACTED, b"")
    assert client.transmit(handle, COUNT) == (REMOVED_CARD, b"")


def test_a_card_that_loses_its_power_answers_again_after_a_reset(client: RawClient) -> None:
    handle = client.connected()
    assert client.transmit(handle, bytes.fromhex("00040000")) == (NOT_TRANSACTED, b"")
    assert client.transmit(handle, COUNT) == (NOT_TRANSACTED, b"")
    assert client.reconnect(handle, RESET)[0] == OK
    assert client.transmit(handle, COUNT)[1].hex() == "019000"


def test_a_bug_in_a_card_ends_one_exchange_and_is_logged(
    client: RawClient, caplog: pytest.LogCaptureFixture
) -> None:
    handle = client.connected()
    assert client.transmit(handle, bytes.fromhex("00060000")) == (NOT_TRANSACTED, b"")
    assert "ZeroDivisionError" in caplog.text
    assert client.transmit(handle, COUNT)[0] == OK


# Transactions


def test_a_transaction_counts_its_begins(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    assert client.end(mine) == NOT_TRANSACTED
    assert client.begin(mine) == OK
    assert client.begin(mine) == OK
    assert client.end(mine) == OK
    for answer in (
        other.transmit(theirs, COUNT)[0],
        other.status(theirs),
        other.begin(theirs),
        other.end(theirs),
        other.end(theirs, RESET),
        other.reconnect(theirs)[0],
        other.control(theirs)[0],
        other.attribute(theirs, 0x90303)[0],
    ):
        assert answer == SHARING_VIOLATION
    assert client.end(mine) == OK
    assert client.end(mine) == NOT_TRANSACTED
    assert other.transmit(theirs, COUNT)[0] == OK


def test_an_exclusive_connection_never_ends_its_own_hold(client: RawClient) -> None:
    handle = client.connected(share=EXCLUSIVE)
    assert client.end(handle) == NOT_TRANSACTED
    assert client.begin(handle) == OK
    assert client.end(handle) == OK
    assert client.end(handle) == NOT_TRANSACTED


@pytest.mark.parametrize("how", [RESET, UNPOWER])
def test_a_transaction_that_ends_with_a_reset_flags_its_own_handle_too(
    client: RawClient, new_client: Callable[..., RawClient], how: int
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    client.begin(mine)
    assert client.end(mine, how) == OK
    assert client.status(mine) == RESET_CARD
    assert other.status(theirs) == RESET_CARD
    assert other.reconnect(theirs)[0] == OK


def test_resetting_without_a_transaction_resets_and_says_that_there_was_none(
    client: RawClient,
) -> None:
    handle = client.connected()
    client.transmit(handle, COUNT)
    assert client.end(handle, RESET) == NOT_TRANSACTED
    assert client.status(handle) == RESET_CARD


def test_a_removal_frees_the_transaction(
    client: RawClient, new_client: Callable[..., RawClient], slot: CardSlot
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    client.begin(mine)
    slot.insert(slot.remove())
    assert other.reconnect(theirs)[0] == OK
    assert other.begin(theirs) == OK
    assert client.reconnect(mine)[0] == SHARING_VIOLATION


def test_a_held_transaction_survives_the_holders_reconnection(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    client.begin(mine)
    assert client.reconnect(mine, RESET)[0] == OK
    assert other.reconnect(theirs)[0] == SHARING_VIOLATION
    assert client.end(mine) == OK


def test_leaving_passes_by_anothers_transaction(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    client.begin(mine)
    assert other.disconnect(theirs, LEAVE) == OK
    assert client.end(mine) == OK


def answered_later(ask: Callable[[], object], free: Callable[[], object]) -> object:
    """What `ask` gets, once `free` was called; it must not have come before."""
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ask()))
    asking.start()
    asking.join(0.05)
    assert not answers
    free()
    asking.join(5)
    return answers[0]


def test_a_connection_waits_for_anothers_transaction(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine = client.connected()
    client.begin(mine)
    code, _, _ = answered_later(other.connect, lambda: client.end(mine))
    assert code == OK


def test_a_reset_on_leaving_waits_for_anothers_transaction(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    client.begin(mine)
    code = answered_later(lambda: other.disconnect(theirs, RESET), lambda: client.end(mine))
    assert code == OK
    assert client.status(mine) == RESET_CARD


def test_a_begin_is_answered_as_soon_as_the_transaction_is_free(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    client.begin(mine)
    assert answered_later(lambda: other.begin(theirs), lambda: client.end(mine)) == OK


def test_a_begin_that_waits_hears_of_a_reset(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    client.begin(mine)
    code = answered_later(lambda: other.begin(theirs), lambda: client.end(mine, RESET))
    assert code == RESET_CARD


# Death


def free_again(client: RawClient, handle: int) -> int:
    """Wait until another's cleaning up has come through."""
    for _ in range(500):
        if client.states()[0][3] == 1:
            return client.status(handle)
        time.sleep(0.002)
    raise AssertionError


def test_a_client_that_dies_in_a_transaction_has_the_card_reset(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    client.begin(mine)
    client.close()
    assert free_again(other, theirs) == RESET_CARD


def test_a_client_that_dies_otherwise_goes_unnoticed(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    client.connected()
    theirs = other.connected()
    client.close()
    assert free_again(other, theirs) == OK


def test_a_release_in_a_transaction_has_the_card_reset(
    client: RawClient, new_client: Callable[..., RawClient]
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    client.begin(mine)
    assert client.release() == OK
    assert other.status(theirs) == RESET_CARD
    assert state_of(other)[3] == 1


def test_a_holder_that_dies_after_a_reset_resets_no_more(
    client: RawClient, new_client: Callable[..., RawClient], card: ScriptedCard
) -> None:
    other = new_client()
    mine, theirs = client.connected(), other.connected()
    client.begin(mine)
    client.begin(mine)
    assert client.end(mine, RESET) == OK
    before = card.power_ups
    client.close()
    assert free_again(other, theirs) == RESET_CARD
    assert card.power_ups == before


def test_a_client_that_dies_while_it_waits_is_let_go(
    client: RawClient, new_client: Callable[..., RawClient], service: PcscService
) -> None:
    other = new_client()
    mine = client.connected()
    client.begin(mine)
    other.send(0x04, struct.pack("<I128sIIiII", other.context, b"Test card 00 00", 2, 3, 0, 0, 0))
    other.close()
    for _ in range(500):
        with service.monitor:
            if len(service._connections) == 1:
                break
        time.sleep(0.002)
    assert len(service._connections) == 1
    assert client.end(mine) == OK
    assert state_of(client)[3] == 1
