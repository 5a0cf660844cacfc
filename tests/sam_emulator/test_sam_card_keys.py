"""Cryptograms for a card: what the SAM gives, a card can use, and only once per challenge."""

from __future__ import annotations

import pytest
from support.sam_scene import GIVE_RANDOM, RANDOM, SELECT_CARD, Scene

from cardbench.protocol.calypso.suite import WrappedKey

CHALLENGE = bytes.fromhex(RANDOM)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_presented_pin_is_bound_to_the_challenge(scene: Scene) -> None:
    given = scene.ok(SELECT_CARD, GIVE_RANDOM, "801280FF06307931323334")
    right = scene.suite.pin_presentation(scene.card_key(0x30, 0x79), CHALLENGE, b"1234")
    assert given == right.hex().upper()
    other = scene.ok(GIVE_RANDOM.replace("B1", "B0", 1), "801280FF06307931323334")
    assert other != given


def test_a_changed_pin_can_be_opened_by_the_card(scene: Scene) -> None:
    given = scene.ok(SELECT_CARD, GIVE_RANDOM, "801240FF0A21790000000035363738")
    opened = scene.suite.open_pin_change(
        scene.card_key(0x21, 0x79), CHALLENGE, bytes.fromhex(given)
    )
    assert opened == (bytes(4), b"5678")


def test_a_new_card_key_is_the_diversified_one(scene: Scene) -> None:
    given = scene.ok(SELECT_CARD, GIVE_RANDOM, "8012FFFF052179307490")
    opened = scene.suite.unwrap_key(scene.card_key(0x21, 0x79), CHALLENGE, bytes.fromhex(given))
    assert opened == WrappedKey(scene.card_key(0x30, 0x74), 0x30, 0x74, 0xA0)


def test_the_null_key_is_sixteen_zeros(scene: Scene) -> None:
    given = scene.ok(SELECT_CARD, GIVE_RANDOM, "8012FF0003307990")
    opened = scene.suite.unwrap_key(bytes(16), CHALLENGE, bytes.fromhex(given))
    assert opened == WrappedKey(scene.card_key(0x30, 0x79), 0x30, 0x79, 0x40)


@pytest.mark.parametrize(
    "cipher",
    ["801280FF06307931323334", "801240FF0A21790000000035363738", "8012FFFF052179307990"],
)
def test_a_random_value_serves_once_and_survives_a_refusal(scene: Scene, cipher: str) -> None:
    scene.ok(SELECT_CARD, GIVE_RANDOM)
    unknown = cipher[:10] + "AABB" + cipher[14:]
    assert scene.send(unknown) == "6A83"
    assert scene.send(cipher)[-4:] == "9000"
    assert scene.send(cipher) == "6985"


def test_a_pin_is_ciphered_while_a_digest_runs(scene: Scene) -> None:
    card = scene.open_session()
    scene.ok(GIVE_RANDOM, "801280FF06307931323334")
    mac = card.terminal_mac()[:4].hex().upper()  # type: ignore[attr-defined]
    assert scene.ok("808E000004") == mac


def test_the_use_of_a_pin_key_is_counted(scene: Scene) -> None:
    scene.set_block(0x03, 6, 12)
    scene.ok(SELECT_CARD, GIVE_RANDOM, "801280FF06307931323334")
    assert scene.sam.counter(12) == 1
    scene.send(GIVE_RANDOM, "801280FF06AABB31323334")
    assert scene.sam.counter(12) == 1


def test_a_wrapped_key_does_not_show_its_value() -> None:
    assert repr(WrappedKey(b"\x5e" * 16, 0x30, 0x79, 0x40)) == "WrappedKey(30/79, 40)"
