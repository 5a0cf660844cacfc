"""What a SAM tells of itself: frames, signatures, searches, chaining."""

from __future__ import annotations

import pytest
from support.sam_scene import AUTHENTICATION, GIVE_RANDOM, RANDOM, Scene

TAIL = "11223344" + "FAFF40" + "800000"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def right_signature(scene: Scene, frame: str, random: str = "00" * 8) -> str:
    message = bytes.fromhex(random + frame[16:])
    return scene.suite.sign(scene.system_key(AUTHENTICATION), "read", message).hex().upper()


@pytest.mark.parametrize(
    ("command", "block", "reference"),
    [
        ("80BC0001020000", "2179400300000000000000" + "0000", "01"),
        ("80BC0020020000", "2B194003000004" + "00" * 6, "20"),
        ("80BC00C1020000", "E1F14007000001" + "00" * 6, "C1"),
        ("80BC00C2020000", "FDF24007000002" + "00" * 6, "C2"),
        ("80BC00C3020000", "E7F34007000003" + "00" * 6, "C3"),
        ("80BC00C4020000", "FAF44007000000" + "00" * 6, "C4"),
        ("80BC00F0023074", "3074A003" + "00" * 9, "12"),
        ("80BC00C002E700", "E7F34007000003" + "00" * 6, "C3"),
        ("80BC00F8023000", "3079400300" + "00" * 8, "03"),
    ],
)
def test_a_key_is_read_in_a_signed_frame(
    scene: Scene, command: str, block: str, reference: str
) -> None:
    for one in (command, command + "00"):
        frame = scene.ok(one)
        assert frame[16:] == block + reference + TAIL
        assert frame[:16] == right_signature(scene, frame)


def test_the_signature_covers_the_random_value_that_was_given(scene: Scene) -> None:
    frame = scene.ok(GIVE_RANDOM, "80BC00C1020000")
    assert frame[:16] == right_signature(scene, frame, RANDOM)
    assert scene.ok("80BC00C1020000") == frame  # reading does not use it up


def test_a_sam_without_authentication_key_answers_unsigned(scene: Scene) -> None:
    scene.change("key", AUTHENTICATION, value=None)
    answer = scene.send("80BC00C1020000")
    assert answer == "00" * 8 + "E1F14007000001" + "00" * 6 + "C1" + "11223344000000800000" + "6200"


def test_a_search_goes_through_the_keys_of_a_kif(scene: Scene) -> None:
    found = [scene.ok("80BC00F8023000")[42:44]]
    while (answer := scene.send("80BC00FA023000")) != "6A83":
        found.append(answer[42:44])
    assert found == ["03", "06", "09", "12", "18", "1B", "1E"]
    assert scene.send("80BC00FA023000") == "6A83"


def test_counters_and_ceilings(scene: Scene) -> None:
    for number in range(27):
        scene.sam.memory.commit(
            {("counter", number): 0x10 + number, ("ceiling", number): 0x123400 + number}
        )
    scene.sam.memory.commit({("free", 2): 0x0155})
    for record in (1, 2, 3):
        members = range(9 * (record - 1), 9 * record)
        frame = scene.ok(f"80BE00E{record}00")
        values = "".join(f"{0x10 + number:06X}" for number in members)
        assert frame[16:] == values + "0000" + f"E{record}" + TAIL
        assert frame[:16] == right_signature(scene, frame)
        frame = scene.ok(f"80BE00B{record}00")
        values = "".join(f"{0x123400 + number:06X}" for number in members)
        assert frame[16:] == values + ("0155" if record == 2 else "0000") + f"B{record}" + TAIL
    assert scene.ok("80BE008500")[16:] == "05" + "000015" + "00" * 25 + "85" + TAIL
    assert scene.ok("80BE1AB800")[16:] == "1A" + "12341A" + "00" * 25 + "B8" + TAIL


def test_sam_parameters(scene: Scene) -> None:
    assert scene.ok("80BE00A000")[16:] == "04" + "00" * 28 + "A0" + TAIL


def test_a_locked_sam_can_be_read() -> None:
    scene = Scene("locked")
    assert scene.ok("80BC00E0020000")[16:44] == "EF01" + "00" * 11 + "E0"
    assert scene.send("80BE00A000")[-4:] == "9000"


def test_reading_counts_when_the_authentication_key_has_a_counter(scene: Scene) -> None:
    scene.set_block(AUTHENTICATION, 6, 20)
    frame = scene.ok("80BE009400")
    assert frame[16:24] == "14" + "000000"  # read before it is counted
    assert scene.sam.counter(20) == 1


def test_no_key_value_is_ever_read(scene: Scene) -> None:
    values = [
        row[13:]
        for key, row in scene.sam.memory.objects().items()
        if key[0] == "key"  # type: ignore[index]
    ]
    told = "".join(scene.ok(f"80BC00{record:02X}020000") for record in range(1, 0x21))
    told += "".join(scene.ok(f"80BC00C{n}020000") for n in range(1, 5))
    for value in values:
        assert value.hex().upper() not in told  # type: ignore[union-attr]


# Chaining


def test_an_answer_longer_than_le_is_chained(scene: Scene) -> None:
    whole = scene.ok("80BE00A000")
    assert scene.send("80BE00A010") == whole[:32] + "6120"
    assert scene.send("00C0000010") == whole[32:64] + "6110"
    assert scene.send("00C0000010") == whole[64:] + "9000"
    assert scene.send("00C0000010") == "6985"


def test_a_certificate_comes_in_two_parts(scene: Scene) -> None:
    certificate = bytes(range(256)) + bytes(128)
    scene.change("ca certificate", value=certificate)
    whole = "DF43820180" + certificate.hex().upper()
    assert scene.send("80CADF43FF") == whole[:510] + "6186"
    assert scene.send("00C0000086") == whole[510:] + "9000"
    assert scene.send("80CADF4300") == whole[:512] + "6185"


@pytest.mark.parametrize("other", ["8084000004", "80FF0000", "80BE0", "80", "8084000003"])
def test_any_other_command_ends_the_chaining(scene: Scene, other: str) -> None:
    scene.send("80BE00A010")
    scene.sam.transmit(bytes.fromhex(other.ljust(len(other) + len(other) % 2, "0")))
    assert scene.send("00C0000010") == "6985"
