"""The structures of the published test kits, read from the presets over the wire.

Source: calypso-card §8.3, §3.2 (descriptors), §3.4 (condition bytes), §10.5 (keys).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.calypso_structures import STRUCTURES, File, Structure
from support.calypso_workshop import made

from cardbench.emulator.calypso.personalisation import load_preset, preset_names
from cardbench.protocol.calypso.suite import load_suite, public_test_master

if TYPE_CHECKING:
    from cardbench.emulator.calypso import CalypsoCard

CONDITIONS = {"AA": 0x1F, "NN": 0x00, "PN": 0x01, "S": 0x10, "C": 0x14, "P": 0x15}
STRUCTURED = pytest.mark.parametrize("structure", STRUCTURES, ids=Structure.title)


def send(card: CalypsoCard, command: str) -> str:
    return card.transmit(bytes.fromhex(command)).hex().upper()


def ok(card: CalypsoCard, command: str) -> str:
    answer = send(card, command)
    assert answer[-4:] == "9000", f"{command} was answered {answer}"
    return answer[:-4]


def selected(structure: Structure) -> CalypsoCard:
    card = made(structure.preset)
    card.power_on()
    ok(card, f"00A40400{len(structure.aid) // 2:02X}{structure.aid}00")
    return card


def access(words: str) -> str:
    """Condition bytes and key indexes of access words, as a descriptor shows them."""
    conditions, levels = "", ""
    for word in words.split():
        kind, level = (word, "1") if word in CONDITIONS else (word[0], word[1])
        conditions += f"{CONDITIONS[kind]:02X}"
        levels += f"0{level}"
    return conditions + levels


def descriptor(file: File) -> str:
    shape = f"{file.size:04X}" if file.kind == "01" else f"{file.size:02X}{file.records:02X}"
    head = f"8517{file.sfi:02X}04{file.kind}{shape}"
    return f"{head}{access(file.access)}00{file.reference:04X}0000000000{file.lid:04X}"


@STRUCTURED
def test_the_selection_announces_type_subtype_and_serial_number(structure: Structure) -> None:
    fci = ok(selected(structure), "00CA006F00")
    assert f"84{len(structure.aid) // 2:02X}{structure.aid}" in fci
    startup = bytes.fromhex(fci)[-7:]
    assert (startup[2], startup[3]) == (structure.type, structure.subtype)


@STRUCTURED
def test_the_df_has_the_access_and_the_keys_of_the_sheet(structure: Structure) -> None:
    card = selected(structure)
    kifs, kvc, _ = structure.keys
    assert ok(card, "00A4090002000000") == (
        f"85170002000000{access(structure.access)}00{f'{kvc:02X}' * 3}{kifs}00{structure.lid:04X}"
    )


@STRUCTURED
def test_the_files_are_those_of_the_sheet_and_no_others(structure: Structure) -> None:
    card = selected(structure)
    found, answer = [], send(card, "00A4020002000000")
    while answer != "6A82":
        found.append(answer[:-4])
        answer = send(card, "00A4020202000000")
    assert sorted(found) == sorted(descriptor(file) for file in structure.files)


@STRUCTURED
def test_the_keys_are_the_public_test_masters_diversified_by_the_serial_number(
    structure: Structure,
) -> None:
    card = made(structure.preset)
    kifs, kvc, algorithm = structure.keys
    suite = load_suite()
    for index, kif in enumerate(bytes.fromhex(kifs), 1):
        value = suite.diversify(public_test_master(kif, kvc), card.structure.serial)
        assert card.memory["key", structure.lid, index] == (kif, kvc, algorithm, value)


@STRUCTURED
def test_the_first_contents_are_those_of_the_sheet(structure: Structure) -> None:
    card = selected(structure)
    contents = {(sfi, number): content for sfi, number, content in structure.contents}
    ok(card, "002000000430303030") if "PN" in str(structure.files) else None
    for file in structure.files:
        if file.access.startswith(("C", "P3")):
            continue
        if file.kind == "01":
            assert set(ok(card, f"00B0{0x80 | file.sfi:02X}0000")) == {"0"}
            continue
        for number in range(1, file.records + 1):
            record = ok(card, f"00B2{number:02X}{file.sfi << 3 | 4:02X}00")
            size = 3 if file.kind == "08" else file.size
            assert record == contents.get((file.sfi, number), "00" * size)


@pytest.mark.parametrize("preset", sorted({structure.preset for structure in STRUCTURES}))
def test_a_kit_has_no_other_applications_and_the_pin_of_the_kits(preset: str) -> None:
    kit = load_preset(preset)
    assert {each.lid for each in kit.applications} == {
        structure.lid for structure in STRUCTURES if structure.preset == preset
    }
    assert kit.pin == b"0000"
    assert not any(each.pki for each in kit.applications), "key pairs come not initialised"


def test_the_buffer_of_bench_small_is_256_bytes_and_that_is_all_its_difference() -> None:
    small, bench = (load_preset(name).model_dump() for name in ("bench-small", "bench"))
    different = {key for key in bench if small[key] != bench[key]}
    assert different == {"name", "description", "session_modification"}
    assert small["session_modification"] == 0x07
    assert made("bench-small").structure.applications[0].buffer_size == 256
    assert made("bench").structure.applications[0].buffer_size == 430


def test_every_product_and_kind_of_card_has_a_preset() -> None:
    cards = [load_preset(name) for name in preset_names()]
    assert {card.profile for card in cards} == {"prime-1", "prime-2", "prime-3", "light", "basic"}
    types = {each.type for card in cards for each in card.applications}
    assert types >= {0x21, 0x23, 0x29, 0x2B, 0x39, 0x3B, 0x90, 0x98, 0x01, 0x07}
    assert (
        load_preset("contact").atr_bytes().hex().upper() == "3B6F0000805A3C3B0214100111223344829000"
    )
    assert load_preset("hce").serial[3] & 0x80, "bit 80 of byte 3 marks a phone"
