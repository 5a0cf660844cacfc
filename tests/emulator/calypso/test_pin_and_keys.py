"""PIN and keys: what is counted, what opens which file, and keys that change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.calypso_cases import ciphered_pin, new_key, new_pin
from support.calypso_workshop import peer_of

from cardbench.emulator.calypso.structure import (
    PIN_TRIES_KEY,
    TRANSACTION_COUNTER_KEY,
    key_slot_key,
)
from cardbench.protocol.calypso.aes_suite import _seal

if TYPE_CHECKING:
    from support.calypso_peer import Peer

RIGHT, WRONG = "002000000430303030", "002000000439393939"
READ_ID = "00B2011C1D"


def tries(peer: Peer) -> object:
    return peer.card.memory[PIN_TRIES_KEY]  # type: ignore[attr-defined]


def counter(peer: Peer) -> int:
    return peer.card.memory[TRANSACTION_COUNTER_KEY]  # type: ignore[attr-defined,no-any-return]


def test_three_wrong_pins_block_and_a_ciphered_change_unblocks() -> None:
    peer = peer_of("bench")
    assert [peer.send(WRONG) for _ in range(4)] == ["63C2", "63C1", "6983", "6983"]
    assert peer.send(RIGHT) == "6983"
    assert peer.send(new_pin("31323334")(peer)) == "9000"
    assert peer.send("002000000431323334") == "9000"


def test_a_right_pin_gives_the_attempts_back() -> None:
    peer = peer_of("bench")
    peer.send(WRONG)
    peer.send(WRONG)
    peer.ok(RIGHT)
    assert tries(peer) == 3
    assert peer.send("0020000000") == "9000"


def test_each_presentation_counts_a_transaction_and_a_blocked_or_status_one_does_not() -> None:
    peer = peer_of("bench")
    start = counter(peer)
    for command in (RIGHT, WRONG, WRONG, WRONG):
        peer.send(command)
    assert counter(peer) == start - 4
    peer.send(WRONG)
    peer.send("0020000000")
    assert counter(peer) == start - 4


@pytest.mark.parametrize("forget", ["reset", "deselect", "selection", "wrong PIN"])
def test_a_verified_pin_opens_a_file_until_it_is_forgotten(forget: str) -> None:
    peer = peer_of("bench")
    assert peer.send(READ_ID) == "6982"
    peer.ok(RIGHT, READ_ID)
    if forget == "reset":
        peer.card.reset()
    elif forget == "deselect":
        peer.card.deselect()
    elif forget == "selection":
        peer.ok("00A4040008A000000291FF910100")
    else:
        peer.send(WRONG)
    assert peer.send(READ_ID) == "6982"


def test_a_verified_pin_counts_in_a_session_too_and_lasts_beyond_it() -> None:
    peer = peer_of("bench")
    peer.open(3)
    peer.ok(RIGHT, READ_ID)
    peer.abort()
    peer.ok(READ_ID)


def test_attempts_counted_in_a_session_survive_its_rollback() -> None:
    peer = peer_of("bench")
    peer.open(3)
    assert peer.send(WRONG) == "63C2"
    assert peer.send(WRONG) == "63C1"
    peer.abort()
    assert tries(peer) == 1
    peer.card.power_off()
    peer.card.power_on()
    assert peer.send(WRONG) == "6983"


def test_a_ciphered_pin_is_made_with_key_3_outside_and_the_sessions_key_inside() -> None:
    peer = peer_of("bench")
    assert peer.send(ciphered_pin()(peer)) == "9000"
    for key_index in (1, 2, 3):
        peer.open(key_index)
        assert peer.send(ciphered_pin()(peer)) == "9000"
        peer.abort()
    peer.open(1)
    challenge = peer.ok("0084000008")
    cryptogram = peer.pin_cryptogram(challenge, key=peer.card_key(0x30, 0x74))
    assert peer.send("0020000008" + cryptogram) == "63C2"


def test_a_ciphered_pin_serves_once() -> None:
    peer = peer_of("bench")
    command = ciphered_pin()(peer)
    peer.ok(command)
    assert peer.send(command) == "6982"
    peer.ok("0084000008")
    assert peer.send(command) == "63C2"


def test_one_pin_serves_all_applications() -> None:
    peer = peer_of("kit-regular")
    peer.send(WRONG)
    peer.ok("00A4040008A000000291FF911100")
    assert peer.send("0020000000") == "63C2"
    peer.ok(RIGHT)


@pytest.mark.parametrize("preset", ["light-classic", "light-reference", "basic", "prime-1"])
def test_light_basic_and_revision_1_have_no_pin(preset: str) -> None:
    peer = peer_of(preset)
    cla = f"{peer.cla:02X}"
    assert peer.send(f"{cla}20000000") == "6D00"
    assert peer.send(f"{cla}D800FF0431313131") in ("6D00", "6B00")


def test_an_application_without_the_option_has_no_pin() -> None:
    peer = peer_of("hoplink-small")
    assert peer.send("0020000000") == "9000"
    peer = peer_of("kit-regular", applications=[{"lid": 0x2100, "type": 0x20}])
    peer.ok("00A404000BA000000291A0000001910200")
    assert peer.send("0020000000") == "6D00"
    assert peer.send("00D800FF0431313131") == "6B00"


# Keys


def test_a_changed_key_opens_sessions_and_shows_in_the_descriptor() -> None:
    peer = peer_of("bench")
    peer.ok(new_key(3, 0x30, 0x75)(peer))
    assert peer.ok("00A4090002000000")[32:44] == "747475212730"
    peer.kvc = 0x74
    peer.open(3)
    assert peer.close() == "6988"
    peer.kvc = 0x75
    assert peer.open(3)[10:14] == "3075"
    peer.close_ok()


def test_a_changed_issuer_key_wraps_the_next_one() -> None:
    peer = peer_of("bench")
    peer.ok(new_key(1, 0x21, 0x75)(peer))
    assert peer.send(new_key(2, 0x27, 0x75)(peer)) == "6988"
    challenge = peer.ok("0084000008")
    cryptogram = peer.key_cryptogram(challenge, 0x27, 0x75, key=peer.card_key(0x21, 0x75))
    peer.ok("00D8000220" + cryptogram)


def test_a_card_without_issuer_key_takes_one_under_the_null_key() -> None:
    peer = peer_of("bench")
    peer.card.memory.commit({key_slot_key(0x2000, 1): (0, 0, 0, bytes(16))})  # type: ignore[attr-defined]
    assert peer.send("008A010104C1C2C3C400") == "6A81"
    challenge = peer.ok("0084000008")
    cryptogram = peer.key_cryptogram(challenge, 0x21, 0x74, key=bytes(16))
    peer.ok("00D8000120" + cryptogram)
    peer.open(1)
    peer.close_ok()


def test_a_key_cryptogram_is_bound_to_its_challenge_and_serves_once() -> None:
    peer = peer_of("bench")
    command = new_key(3, 0x30, 0x75)(peer)
    peer.ok("0084000008")
    assert peer.send(command) == "6988"
    command = new_key(3, 0x30, 0x75)(peer)
    peer.ok(command)
    assert peer.send(command) == "6982"


def test_a_whole_cryptogram_whose_content_is_no_key_is_refused() -> None:
    """Content of the right key and challenge, whose padding is wrong: 6A80, and a transaction counted."""
    peer = peer_of("bench")
    start = counter(peer)
    challenge = bytes.fromhex(peer.ok("0084000008"))
    content = bytes(16) + bytes((0x30, 0x75, 0xA0)) + b"\1\1\1\1\1"
    sealed = _seal(peer.card_key(0x21, 0x74), b"key", (challenge,), content)
    assert peer.send("00D8000320" + sealed.hex()) == "6A80"
    assert counter(peer) == start - 1
    assert peer.open(3)[10:14] == "3074"


def test_a_product_without_aes_takes_no_aes_key() -> None:
    peer = peer_of("light-classic")
    assert peer.send(new_key(3, 0x30, 0x75, 0xA0)(peer)) == "6A80"
    peer.ok(new_key(3, 0x30, 0x75, 0x40)(peer))


def test_keys_and_pins_are_not_told_in_words() -> None:
    peer = peer_of("bench")
    peer.open(3)
    card = peer.card
    secrets = [peer.key.hex(), "30303030", repr(peer.key), repr(bytes.fromhex("30303030"))]
    text = repr(card) + repr(card.volatile) + repr(card.structure)  # type: ignore[attr-defined]
    assert not [secret for secret in secrets if secret in text]
    peer.send("007C00091E")
    assert repr(peer.card_key(0x10, 0x74)) not in repr(card.volatile.preparing)  # type: ignore[attr-defined]
