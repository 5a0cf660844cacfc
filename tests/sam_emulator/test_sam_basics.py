"""Classes, reset, diversifier, challenges, chaining."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cardbench.emulator.chassis import Clock, Entropy, Memory
from cardbench.protocol.errors import UsageError
from cardbench.sam_emulator import SamCard, new_sam

Send = Callable[[str], str]
Make = Callable[..., SamCard]


@pytest.mark.parametrize(
    ("preset", "atr"),
    [
        ("bench", "3B3F9600805A4880C120501711223344829000"),
        ("sam-c1", "3B3F9600805A4880C120501711223344829000"),
        ("hsm-c1", "3B3F9600805A4880C108501711223344829000"),
        ("sam-s1e1", "3B3F9600805A4880E120501711223344829000"),
        ("sam-s1dx", "3B3F9600805A4880D120501711223344829000"),
        ("control", "3B3F9600805A4880C120501755667788829000"),
    ],
)
def test_each_product_has_its_atr(make_sam: Make, preset: str, atr: str) -> None:
    assert make_sam(preset).power_on().hex().upper() == atr


def test_the_serial_number_may_be_chosen(make_sam: Make) -> None:
    sam = make_sam(serial=bytes.fromhex("AEC11A36"))
    assert sam.atr().hex().upper() == "3B3F9600805A4880C1205017AEC11A36829000"
    with pytest.raises(UsageError, match=r"5 byte\(s\); it has 4"):
        make_sam(serial=bytes(5))


def test_an_unknown_preset_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"no SAM preset 'nope'; known: bench, control"):
        new_sam("nope", entropy=Entropy(b""), clock=Clock())


def test_classes_80_and_94_are_the_same(send: Send) -> None:
    assert send("801400000411223344") == "9000"
    assert send("941400000411223344") == "9000"
    for cla in ("00", "81", "FF", "90"):
        assert send(f"{cla}1400000411223344") == "6E00"


def test_get_response_with_nothing_pending(send: Send) -> None:
    for cla in ("00", "80", "94"):
        assert send(f"{cla}C0000000") == "6985"
    assert send("00C0010000") == "6B00"
    assert send("01C0000000") == "6E00"


def test_an_unknown_instruction(send: Send) -> None:
    assert send("80FF000000") == "6D00"


def test_challenges_are_fresh_and_as_long_as_asked(send: Send) -> None:
    drawn = [send("8084000004"), send("8084000004"), send("8084000008")]
    assert [len(one) for one in drawn] == [12, 12, 20]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("le", ["", "00", "03", "05", "10"])
def test_a_challenge_of_another_length(send: Send, le: str) -> None:
    assert send("80840000" + le) == "6700"


@pytest.mark.parametrize("wrong", ["80140000", "8014000003112233", "80140000051122334455"])
def test_a_diversifier_of_another_length(send: Send, wrong: str) -> None:
    assert send(wrong) == "6700"


def test_parameters_that_must_be_zero(send: Send) -> None:
    for command in (
        "801401000411223344",
        "801400010411223344",
        "8084010004",
        "8084000104",
        "808E010004",
        "8082000104AABBCCDD",
    ):
        assert send(command) == "6B00"


@pytest.mark.parametrize("raw", ["", "80", "801400", "801400000411", "80140000041122334400FF"])
def test_bytes_that_are_no_command(sam: SamCard, raw: str) -> None:
    assert sam.transmit(bytes.fromhex(raw)) == b"\x67\x00"


def test_a_locked_sam_selects_no_diversifier(make_sam: Make) -> None:
    assert make_sam("locked").transmit(bytes.fromhex("801400000411223344")) == b"\x69\x85"


def test_a_sam_is_rebuilt_from_its_snapshot_alone(sam: SamCard) -> None:
    sam.transmit(bytes.fromhex("8084000008"))
    kept = sam.snapshot()
    twin = SamCard(Memory(), entropy=Entropy(b""), clock=Clock())
    twin.restore(kept)
    assert twin.power_on() == sam.power_on()
    for command in ("8014000008" + "00" * 8, "8084000008", "808A00FF063079030AB2CF", "808E000008"):
        assert twin.transmit(bytes.fromhex(command)) == sam.transmit(bytes.fromhex(command))


def test_a_key_never_shows() -> None:
    sam = new_sam(entropy=Entropy(b""), clock=Clock())
    sam.power_on()
    key = sam.work_key(0x30, 0x79)
    assert key.value.hex().upper() not in repr(key).upper()
    assert "3079" in repr(key)
