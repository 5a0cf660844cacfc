"""Personalisation files: what the default SAM holds, and what is refused in words."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cardbench.emulator.chassis import Clock, Entropy
from cardbench.protocol.calypso.aes_suite import AesSuite
from cardbench.protocol.calypso.sam import SYSTEM_KEY_REFERENCES
from cardbench.protocol.calypso.suite import public_test_master
from cardbench.protocol.errors import UsageError
from cardbench.sam_emulator import new_sam
from cardbench.sam_emulator.personalisation import (
    load_preset,
    parse_personalisation,
    personalise,
    presets,
    products,
)

# legacy-sam §14, the table of work-key records, row by row
WORK_KEYS = [
    (kif, kvc, alg)
    for kifs, kvc, alg in (
        ("212730", 0x79, 0x40),
        ("212730", 0x78, 0x40),
        ("212730", 0x0C, 0x40),
        ("414750", 0x79, 0x40),
        ("010710", 0x79, 0x40),
        ("212730", 0x74, 0xA0),
        ("010710", 0x74, 0xA0),
        ("212730", 0x09, 0xA0),
        ("212730", 0x75, 0xB0),
        ("212730", 0x73, 0x40),
        ("EC", 0x85, 0x40),
        ("2B", 0x19, 0x40),
    )
    for kif in bytes.fromhex(kifs)
]


def test_the_default_sam_holds_the_keys_of_the_sheet() -> None:
    sam = new_sam(entropy=Entropy(b""), clock=Clock())
    for record, (kif, kvc, alg) in enumerate(WORK_KEYS, 1):
        key = sam.key(record)
        assert key is not None
        assert (key.block[0], key.block[1], key.block[2]) == (kif, kvc, alg)
        assert key.value == public_test_master(kif, kvc)
    assert all(sam.key(record) is None for record in range(len(WORK_KEYS) + 1, 0x7F))


def test_system_keys_are_diversified_by_the_serial_number() -> None:
    serial = bytes.fromhex("AEC11A36")
    sam = new_sam(entropy=Entropy(b""), clock=Clock(), serial=serial)
    for kif, kvc in ((0xE1, 0xF1), (0xFD, 0xF2), (0xE7, 0xF3), (0xFA, 0xF4)):
        key = sam.key(next(ref for name, ref in SYSTEM_KEY_REFERENCES.items() if name == kif))
        assert key is not None
        assert key.block[:4] == bytes((kif, kvc, 0x40, 0x07))
        assert key.value == AesSuite().diversify(public_test_master(kif, kvc), serial)


def test_every_preset_can_be_made() -> None:
    made = {name: load_preset(name) for name in presets()}
    assert {preset.product for preset in made.values()} == set(products())
    assert {"bench", "locked", "control"} <= set(made)
    for preset in made.values():
        personalise(preset, suite=AesSuite())


def test_products_without_aes_hold_no_aes_keys() -> None:
    assert {key.alg for key in load_preset("sam-s1e1").work_keys} == {0x40}
    assert len(load_preset("sam-s1dx").work_keys) == 20


def test_the_control_sam_adds_the_masters_of_system_keys() -> None:
    names = {(key.kif, key.kvc) for key in load_preset("control").work_keys}
    assert {(0xE1, 0xF1), (0xFD, 0xF2), (0xE7, 0xF3), (0xFA, 0xF4)} < names
    assert len(names) == len(WORK_KEYS) + 5


def test_counters_and_other_objects_are_taken_over() -> None:
    sam = personalise(
        parse_personalisation(
            """
            extends = "bench"
            sv_number = 7
            [[counters]]
            number = 3
            value = 0x17B
            ceiling = 0x200
            [[counters]]
            number = 12
            free_increment = true
            [[caad]]
            record = 1
            content = "%s"
            """
            % ("AB" * 29)
        ),
        suite=AesSuite(),
    )
    assert sam["counter", 3] == 0x17B
    assert sam["ceiling", 3] == 0x200
    assert sam["ceiling", 4] == 0xFFFFFA
    assert [sam["free", record] for record in (1, 2, 3)] == [0, 8, 0]
    assert sam["caad", 1] == b"\xab" * 29
    assert sam["sv number",] == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("product = ", "not TOML"),
        ('product = "SAM-X"\nserial = "00000000"', "no product 'SAM-X'; known: SAM-C1"),
        ('product = "SAM-C1"\nserial = "0000"', "serial: "),
        ('product = "SAM-C1"\nserial = "xyz"', "serial: .*not hexadecimal"),
        ('product = "SAM-C1"\nserial = 5', "serial: "),
        ('extends = "bench"\nserail = "00000000"', "serail: Extra inputs"),
        ('extends = "nope"', "no SAM preset 'nope'"),
        ('extends = "bench"\n[[counters]]\nnumber = 27', "counters.0.number: "),
        (
            'extends = "bench"\n[[counters]]\nnumber = 0\nfree_increment = true',
            "counter 0 is never",
        ),
        (
            'extends = "bench"\n[[more_work_keys]]\nrecord = 1\nkif = 1\nkvc = 1\nalg = 0x40',
            "work-key record 01 is there twice",
        ),
        (
            'extends = "bench"\n[[more_work_keys]]\nrecord = 0x50\nkif = 0x30\nkvc = 0x79\nalg = 0x40',
            "work key 30/79 is there twice",
        ),
        (
            'extends = "bench"\n[[more_work_keys]]\nrecord = 0x50\nkif = 0x30\nkvc = 0x70\nalg = 0x41',
            "work_keys.32.alg: ",
        ),
        ('extends = "bench"\n[[more_work_keys]]\nrecord = "5"', "work_keys.32.record: "),
    ],
)
def test_a_wrong_file_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_personalisation(text)


def test_no_error_shows_a_key_value() -> None:
    secret = "5E" * 15
    with pytest.raises(UsageError) as refused:
        parse_personalisation(f'extends = "bench"\n[lock]\nkvc = 1\nvalue = "{secret}"')
    assert "lock.value" in str(refused.value)
    assert secret not in str(refused.value)


def test_a_sam_needs_no_models_to_go_on_from_a_snapshot() -> None:
    script = "import sys, cardbench.sam_emulator; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
