"""Stored Value: what the SAM signs is what the terminal sends, and the card's answer is awaited."""

from __future__ import annotations

import pytest
from support.sam_scene import (
    SELECT_CARD,
    Scene,
    command,
    sv_debit_data,
    sv_load_data,
)

OPERATIONS = [
    ("805601FF", sv_load_data(), (0x07, 0x79), False),
    ("805601FF", sv_load_data(extended=True), (0x07, 0x74), True),
    ("805401FF", sv_debit_data(), (0x10, 0x79), False),
    ("805401FF", sv_debit_data(extended=True), (0x10, 0x74), True),
    ("805C01FF", sv_debit_data("BC"), (0x10, 0x79), False),
    ("805C01FF", sv_debit_data("BC", extended=True), (0x10, 0x74), True),
]
DEBIT = command("805401FF", sv_debit_data())


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize(("header", "data", "key", "extended"), OPERATIONS)
def test_an_operation_is_signed_and_the_cards_answer_checked(
    scene: Scene, header: str, data: str, key: tuple[int, int], extended: bool
) -> None:
    prepared = bytes.fromhex(scene.ok(SELECT_CARD, command(header, data)))
    assert len(prepared) == (16 if extended else 11)
    assert prepared[3:6] == b"\0\0\1"
    message = bytes.fromhex(data) + prepared[:6] + scene.sam.serial
    purse_key = scene.card_key(*key)
    assert prepared[6:] == scene.suite.sv_signature_hi(purse_key, message, extended=extended)
    answer = scene.suite.sv_signature_lo(purse_key, message, prepared[6:], extended=extended)
    assert scene.send(command("80580000", answer.hex())) == "9000"
    assert scene.send(command("80580000", answer.hex())) == "6985"  # it is over


def test_numbers_count_up_and_survive_the_power(scene: Scene) -> None:
    numbers = []
    for _ in range(3):
        numbers.append(scene.ok(SELECT_CARD, DEBIT)[6:12])
        scene.sam.power_on()
    assert numbers == ["000001", "000002", "000003"]


def test_the_last_number_is_used_and_no_more(scene: Scene) -> None:
    scene.change("sv number", value=0xFFFFFE)
    assert scene.ok(SELECT_CARD, DEBIT)[6:12] == "FFFFFF"
    assert scene.send(DEBIT) == "6985"
    assert scene.sam.sv_number == 0xFFFFFF


def test_the_expected_answer_survives_the_end_of_the_session(scene: Scene) -> None:
    card = scene.open_session()
    prepared = bytes.fromhex(scene.ok(DEBIT))
    scene.ok("808E000004", command("80820000", card.card_mac()[:4].hex()))  # type: ignore[attr-defined]
    scene.ok("801400000411223344")  # another diversifier does not disturb it either
    message = bytes.fromhex(sv_debit_data()) + prepared[:6] + scene.sam.serial
    key = scene.card_key(0x10, 0x79)
    answer = scene.suite.sv_signature_lo(key, message, prepared[6:], extended=False)
    assert scene.send(command("80580000", answer.hex())) == "9000"


def test_an_operation_can_be_cancelled(scene: Scene) -> None:
    scene.ok(SELECT_CARD, DEBIT)
    assert scene.send("8058000000") == "9000"
    assert scene.send("8058000000") == "6985"


def test_a_wrong_answer_ends_the_operation(scene: Scene) -> None:
    scene.ok(SELECT_CARD, DEBIT)
    assert scene.send("8058000003000000") == "6988"
    assert scene.send("8058000003000000") == "6985"


def test_an_answer_of_the_other_mode_is_not_looked_at(scene: Scene) -> None:
    scene.ok(SELECT_CARD, DEBIT)
    assert scene.send("8058000006000000000000") == "6700"
    assert scene.send("8058000003000000") == "6988"


def altered(data: str, offset: int, value: str) -> str:
    return data[: 2 * offset] + value + data[2 * offset + len(value) :]


REGULAR_LOAD = sv_load_data()
PARTIAL = 4 + 35  # offset of the partial command in a regular load


@pytest.mark.parametrize(
    "data",
    [
        altered(REGULAR_LOAD, 0, "7D"),
        altered(REGULAR_LOAD, 1, "01"),  # P1 of the extended mode, regular lengths
        altered(REGULAR_LOAD, 2, "09"),  # SV Get for a debit
        altered(REGULAR_LOAD, 3, "1E"),
        altered(REGULAR_LOAD, PARTIAL - 2, "6200"),
        altered(REGULAR_LOAD, PARTIAL, "BA"),
        altered(REGULAR_LOAD, PARTIAL + 1, "01"),
        altered(REGULAR_LOAD, PARTIAL + 3, "1C"),
        altered(REGULAR_LOAD, PARTIAL + 4, "01"),
        altered(REGULAR_LOAD, PARTIAL + 8, "74"),  # KVC differs from SV Get's
    ],
)
def test_parts_that_do_not_fit_one_another(scene: Scene, data: str) -> None:
    scene.ok(SELECT_CARD)
    assert scene.send(command("805601FF", data)) == "6A80"
    assert scene.send(command("805601FF", REGULAR_LOAD))[-4:] == "9000"


def test_an_undebit_is_not_prepared_by_a_debit(scene: Scene) -> None:
    scene.ok(SELECT_CARD)
    assert scene.send(command("805401FF", sv_debit_data("BC"))) == "6A80"
    assert scene.send(command("805C01FF", sv_debit_data("BA"))) == "6A80"


def test_a_product_without_extended_mode(scene: Scene) -> None:
    scene = Scene("sam-s1e1")
    scene.ok(SELECT_CARD, command("805401FF", sv_debit_data()))
    assert scene.send(command("805401FF", sv_debit_data(extended=True))) == "6700"


def test_the_le_of_sv_get_does_not_change_the_signature(scene: Scene) -> None:
    twin = scene.sam.fork()
    scene.ok(SELECT_CARD)
    twin.transmit(bytes.fromhex(SELECT_CARD))
    given = scene.ok(command("805601FF", REGULAR_LOAD))
    older = twin.transmit(bytes.fromhex(command("805601FF", altered(REGULAR_LOAD, 3, "00"))))
    assert older.hex().upper() == given + "9000"
