"""Personalisations and profiles: checked, with errors that say where; laid over one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso import card_of, new_card
from cardbench.emulator.calypso.personalisation import (
    load_preset,
    parse_personalisation,
    preset_names,
)
from cardbench.emulator.calypso.profile import load_profile, profile_names
from cardbench.protocol.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "[[applications]]\nlid = 0x2000\n[[applications.files]]\nlid = 0x4000\nsize = 29\n"
AA = 'access = ["AA", "AA", "AA", "AA"]\n'


def card(text: str, base: str = "bench") -> str:
    return f'base = "{base}"\n{text}'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("base = [", "not TOML"),
        ('base = "nothing"', "no card preset 'nothing'; there are: basic, bench"),
        ('name = "x"', "profile: Field required"),
        (card('profile = "prime-9"'), "no card profile 'prime-9'"),
        (card('serial = "11223344"'), "serial: Data should have at least 8 bytes"),
        (card('serial = "zz"'), "serial: .*not hexadecimal"),
        (card('pin = "3030"'), "pin: Data should have at least 4 bytes"),
        (card("transaction_counter = 0x1000000"), "transaction_counter: Input should be less"),
        (card("session_modification = 0x38"), "session-modification byte 38"),
        (card("session_modification = 0x05"), "session-modification byte 05"),
        (card('atr = ""'), "an ATR has at least two bytes"),
        (card("colour = 1"), "colour: no such name"),
        (card("product = { classes = [256] }"), "classes"),
        (card('product = { commands = ["Sing"] }'), "no such command: Sing"),
        (card("serail = 1"), r"serail: no such name; did you mean 'serial'\?"),
        ('base = "bensh"', "no card preset 'bensh'; did you mean 'bench'\\? there are: basic"),
        (card('pin = "30X03030"'), "pin: not hexadecimal, or an odd number of digits$"),
        (
            card(FILE + 'access = ["AA", "S4", "NN", "NN"]\ntype = "linear"'),
            "access condition 'S4'",
        ),
        (card(FILE + 'access = "AA 12G4 NN NN"\ntype = "linear"'), "access condition '12G4'"),
        (card(FILE + AA + 'type = "spiral"'), "DF 2000.EF 4000.type: "),
        (card("pin_tries = 4"), "pin_tries: Input should be less"),
        (card("product = { speed = 1 }"), "speed: no such name"),
        (
            card("[[applications]]\nlid = 0x2000\ntype = 0x90"),
            "application type 90; prime-3 has 20…8F",
        ),
        (card("[[applications]]\nlid = 0x2000\ntype = 0x00"), "application type 00"),
        (card("[[applications]]\nlid = 0x2000\nsubtype = 0x00"), "subtype 00"),
        (card('[[applications]]\nlid = 0x2000\naccess = ["AA"]'), "access"),
        (
            card("[[applications]]\nlid = 0x2000\nkeys = { kifs = [1], kvc = 1, algorithm = 1 }"),
            "keys",
        ),
        (
            card(
                '[[applications]]\nlid = 0x2001\naid = "A000000291FF9101"\ntype = 0x20\nsubtype = 1\n'
                'access = ["NN", "NN", "NN", "NN"]\n'
                "keys = { kifs = [1, 2, 3], kvc = 1, algorithm = 0x40 }"
            ),
            "two applications with the same LID or AID",
        ),
        (card(FILE + AA + 'sfi = 0x07\ntype = "linear"'), "two files with the same LID or SFI"),
        (card(FILE + AA + 'type = "linear"\nrecords = 251'), "records"),
        (card(FILE + AA + 'type = "spiral"'), "type: Input should be 'binary'"),
        (
            card(FILE + AA + 'type = "counters"\nrecords = 2'),
            "EF 4000: a counters file has one record",
        ),
        (card(FILE.replace("29", "2") + AA + 'type = "counters"'), "at least 3 bytes"),
        (
            card(FILE.replace("29", "251") + AA + 'type = "linear"'),
            "a record has at most 250 bytes",
        ),
        (card(FILE + AA + 'type = "linear"\ncontent = ["00", "11"]'), "more contents than its 1"),
        (
            card(FILE.replace("29", "1") + AA + 'type = "linear"\ncontent = ["0011"]'),
            "longer than 1",
        ),
        (card(FILE + AA + 'type = "simulated counters"'), "a simulated counter has a reference"),
        (
            card(FILE + AA + 'type = "simulated counters"\nreference = 0x190A'),
            "counter 10 of SFI 19",
        ),
        (
            card(FILE + AA + 'type = "simulated counters"\nreference = 0x0701'),
            "counter 1 of SFI 07",
        ),
        (card(FILE + AA + 'type = "cyclic"\npurse_log = "debit"'), "debit log is cyclic, 3 × 29"),
        (
            card(FILE + AA + 'type = "cyclic"\npurse_log = "load"\ncontent = ["00"]'),
            "the purse gives the content of its logs",
        ),
        (
            card(
                FILE + AA + 'type = "linear"\nreference = 1\n[[applications.files]]\nlid = 0x4001\n'
                'size = 28\nreference = 1\ntype = "linear"\n' + AA
            ),
            "EF 4001 shares its content with EF 4000",
        ),
        (
            card(
                FILE + AA + 'type = "linear"\n[[applications.files.signatures]]\nrecord = 2\n'
                'purpose = "pso"\nkif = 1\nkvc = 1\nmessage = [0, 4]\nat = 4\nsize = 3'
            ),
            "a signature outside of the record",
        ),
        (
            card(
                FILE + AA + 'type = "linear"\n[[applications.files.signatures]]\nrecord = 1\n'
                'purpose = "pso"\nkif = 1\nkvc = 1\nmessage = [0, 4]\nat = 27\nsize = 3'
            ),
            "a signature that does not fit the record",
        ),
        (card("[purse]\nkeys_of = 0x1000"), "either `keys_of` or both"),
        (card("[purse]\nkeys_of = 0x1001", "gtml"), "the purse's keys are in DF 1001: no such DF"),
        (
            card("[[applications]]\nlid = 0x2100\ntype = 0x22", "hoplink-small"),
            "the card has no purse",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as raised:
        parse_personalisation(text, origin="my card")
    assert "3030" not in str(raised.value).replace("pin = ", "")


def test_too_many_listed_files_are_refused() -> None:
    files = "".join(
        f'[[applications.files]]\nlid = {0x5000 + n}\ntype = "linear"\nsize = 1\n{AA}'
        for n in range(21)
    )
    text = card(f"[[applications]]\nlid = 0x2000\n{files}")
    with pytest.raises(UsageError, match="an EF list holds at most 31 files"):
        parse_personalisation(text, origin="my card")


def test_a_base_is_changed_by_lid_and_keeps_what_is_not_named() -> None:
    changed = parse_personalisation(
        card(
            '[[applications]]\nlid = 0x2000\n[[applications.files]]\nlid = 0x2001\ncontent = ["42"]'
        ),
        origin="my card",
    )
    bench = load_preset("bench")
    assert [f.lid for f in changed.applications[0].files] == [
        f.lid for f in bench.applications[0].files
    ]
    assert changed.applications[0].files[2].content == (b"\x42",)
    assert changed.applications[0].files[2].signatures == bench.applications[0].files[2].signatures
    assert changed.applications[0].keys == bench.applications[0].keys


def test_a_new_file_stands_before_the_next_one_that_the_base_has() -> None:
    new = 'type = "linear"\nsize = 1\n' + AA
    changed = parse_personalisation(
        card(
            f"[[applications]]\nlid = 0x2000\n[[applications.files]]\nlid = 0x5001\n{new}"
            "[[applications.files]]\nlid = 0x2001\n"
            f"[[applications.files]]\nlid = 0x5002\n{new}"
        ),
        origin="my card",
    )
    lids = [file.lid for file in changed.applications[0].files]
    assert lids.index(0x5001) == lids.index(0x2001) - 1
    assert lids[-1] == 0x5002


def test_a_base_may_be_a_file_beside_the_one_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "low.toml").write_text('base = "bench"\nname = "low"\npin = "00000001"')
    (tmp_path / "mine" / "mid.toml").write_text('base = "low.toml"\nname = "mid"')
    high = parse_personalisation('base = "mine/mid.toml"', origin="high", folder=tmp_path)
    assert (high.name, high.pin) == ("mid", b"\0\0\0\x01")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('base = "nope.toml"', "high: base .*nope.toml: No such file"),
        ('base = "binary.toml"', "high: base .*binary.toml: no text in UTF-8"),
        ('base = "wrong.toml"', "wrong.toml: not TOML"),
        (
            'base = "circle.toml"',
            "circle.toml: more than 16 files, each the base of the one before",
        ),
        ("base = 1", "no card preset '1'"),
    ],
)
def test_a_base_that_is_none_is_named(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff")
    (tmp_path / "wrong.toml").write_text("base = [")
    (tmp_path / "circle.toml").write_text('base = "circle.toml"')
    with pytest.raises(UsageError, match=complaint):
        parse_personalisation(text, origin="high", folder=tmp_path)


def test_every_packaged_profile_and_preset_is_valid() -> None:
    for name in profile_names():
        assert load_profile(name).name == name
    for name in preset_names():
        assert load_preset(name).name == name


def test_records_may_be_given_when_a_card_is_made() -> None:
    made = new_card("bench", records={(0x09, 2): b"\x01\x02", (0x19, 1): b"\x00\x00\x63"})
    made.power_on()
    assert made.transmit(bytes.fromhex("00B2024C03")).hex() == "0102009000"
    assert made.transmit(bytes.fromhex("00B201CC03")).hex() == "0000639000"


@pytest.mark.parametrize(
    ("records", "complaint"),
    [
        ({(0x06, 1): b""}, "no record 1 in a file of SFI 06"),
        ({(0x07, 2): b""}, "no record 2 in a file of SFI 07"),
        ({(0x00, 1): b""}, "no record 1 in a file of SFI 00"),
        ({(0x07, 1): bytes(30)}, "30 bytes for a record of 29"),
    ],
)
def test_records_that_do_not_fit_are_refused(
    records: dict[tuple[int, int], bytes], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        new_card("bench", records=records)


def test_a_given_key_value_is_taken_as_it_is() -> None:
    text = card(
        "[[applications]]\nlid = 0x2000\nkeys = [\n"
        + "".join(
            f'{{ kif = {kif}, kvc = 0x74, algorithm = 0xA0, value = "{kif:02X}{"00" * 15}" }},\n'
            for kif in (0x21, 0x27, 0x30)
        )
        + "]"
    )
    made = card_of(parse_personalisation(text, origin="my card"))
    assert made.memory["key", 0x2000, 3] == (0x30, 0x74, 0xA0, b"\x30" + bytes(15))
