"""Signatures of data: basic, plain and traceable, in and out of busy mode."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sam_scene import SELECT_CARD, Scene, command

from cardbench.emulator.chassis import Clock, Entropy
from cardbench.sam_emulator import new_sam

MESSAGE = "A1A2A3A4A5A6A7A8A9AA"


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.ok(SELECT_CARD)
    return scene


def signed(scene: Scene, message: str, purpose: str = "pso") -> str:
    key = scene.card_key(0x2B, 0x19)
    return scene.suite.sign(key, purpose, bytes.fromhex(message)).hex().upper()


# Data Cipher


def test_a_basic_signature_covers_the_message(scene: Scene) -> None:
    for message in (MESSAGE[:16], "5A" * 208):
        right = scene.suite.sign(scene.card_key(0xEC, 0x85), "data-cipher", bytes.fromhex(message))
        assert scene.ok(command("801C4000", "EC85" + message)) == right.hex().upper()
    assert scene.sam.counter(5) == 2


@pytest.mark.parametrize("size", [0, 1, 7, 9, 216])
def test_a_message_of_another_length(scene: Scene, size: int) -> None:
    assert scene.send(command("801C4000", "EC85" + "00" * size)) == "6700"


def test_what_a_key_must_allow_for_data_cipher(scene: Scene) -> None:
    cipher = "801C400008" + "00" * 10
    for offset, value in ((7, 0), (3, 0x02), (2, 0xA0)):
        scene = Scene()
        scene.set_block(0x1F, offset, value)
        scene.ok(SELECT_CARD)
        cipher = command("801C4000", "EC85" + "00" * 8)
        assert scene.send(cipher) == "6985"
        assert scene.sam.counter(5) == 0


def test_data_cipher_has_one_mode(scene: Scene) -> None:
    for header in ("801C0000", "801C4001", "801C8000"):
        assert scene.send(command(header, "EC85" + "00" * 8)) == "6B00"


# PSO


@pytest.mark.parametrize("size", range(1, 9))
def test_a_signature_is_as_long_as_asked(scene: Scene, size: int) -> None:
    given_signature = scene.ok(command("802A9E9A", f"FF2B198{size}" + MESSAGE))
    assert given_signature == signed(scene, MESSAGE)[: 2 * size]
    verify = command("802A00A8", f"FF2B198{size}" + MESSAGE + given_signature)
    assert scene.send(verify) == "9000"


def test_busy_mode_is_part_of_what_is_signed(scene: Scene) -> None:
    busy = scene.ok(command("802A9E9A", "FF2B1988" + MESSAGE))
    not_busy = scene.ok(command("802A9E9A", "FF2B1908" + MESSAGE))
    assert (busy, not_busy) == (signed(scene, MESSAGE), signed(scene, MESSAGE, "pso-no-busy"))
    assert scene.send(command("802A00A8", "FF2B1908" + MESSAGE + not_busy)) == "9000"
    assert scene.send(command("802A00A8", "FF2B1908" + MESSAGE + busy)) == "6988"


@pytest.mark.parametrize(
    ("mode", "offset", "right"),
    [
        ("C8", 0, "223344000001" + "0" * 28),
        ("48", 112, "0" * 28 + "223344000001"),
        ("E8", 0, "11223344000001" + "0" * 26),
        ("68", 104, "0" * 26 + "11223344000001"),
        ("C8", 4, "0" + "223344000001" + "0" * 27),
        ("E8", 1, "089119A200000080" + "0" * 24),
        ("C8", 7, "00" + "44668800000200" + "0" * 24),
    ],
)
def test_a_trace_is_written_at_its_bit_offset(
    scene: Scene, mode: str, offset: int, right: str
) -> None:
    data = f"FF2B19{mode}{offset:04X}" + "00" * 20
    answer = scene.ok(command("802A9E9A", data))
    assert answer[:40] == right
    purpose = "pso" if int(mode, 16) & 0x80 else "pso-no-busy"
    assert answer[40:] == signed(scene, right, purpose)
    verify = f"FF2B19{mode}{offset:04X}{answer}"
    assert scene.send(command("802A00A8", verify)) == "9000"


@given(
    message=st.binary(min_size=8, max_size=206),
    full=st.booleans(),
    place=st.integers(min_value=0, max_value=1600),
)
def test_a_trace_replaces_its_bits_and_no_others(message: bytes, full: bool, place: int) -> None:
    scene = Scene()
    serial = scene.sam.serial if full else scene.sam.serial[1:]
    width = 8 * (len(serial) + 3)
    bits = "".join(f"{byte:08b}" for byte in message)
    offset = place % (len(bits) - width + 1)
    mode = "E8" if full else "C8"
    scene.ok(SELECT_CARD)
    answer = scene.ok(command("802A9E9A", f"FF2B19{mode}{offset:04X}{message.hex()}"))
    traced = "".join(f"{byte:08b}" for byte in bytes.fromhex(answer)[: len(message)])
    assert traced[:offset] + traced[offset + width :] == bits[:offset] + bits[offset + width :]
    trace = "".join(f"{byte:08b}" for byte in serial + b"\0\0\1")
    assert traced[offset : offset + width] == trace


def test_the_trace_counts_each_signature(scene: Scene) -> None:
    data = "FF2B19E80000" + "00" * 7
    assert [scene.ok(command("802A9E9A", data))[8:14] for _ in range(3)] == [
        "000001",
        "000002",
        "000003",
    ]


def test_a_key_without_counter_traces_zeros(scene: Scene) -> None:
    scene.set_block(0x20, 6, 0)
    answer = scene.ok(SELECT_CARD, command("802A9E9A", "FF2B19E80000" + "FF" * 7))
    assert answer[:14] == "11223344000000"


@pytest.mark.parametrize(
    ("data", "sw"),
    [
        ("012B1988" + MESSAGE, "6A80"),  # another key selector
        ("FF2B1980" + MESSAGE, "6A80"),  # no signature
        ("FF2B1989" + MESSAGE, "6A80"),
        ("FF2B1998" + MESSAGE, "6A80"),  # mode bits that mean nothing
        ("FF2B19A8" + MESSAGE, "6A80"),
        ("FF2B19C80021" + MESSAGE, "6A80"),  # 80 bits, trace of 48 at 33
        ("FF2B19E80019" + MESSAGE, "6A80"),  # trace of 56 at 25
        ("FF2B19C80000" + "00" * 5, "6A80"),
        ("FF2B19C80000", "6700"),
        ("FF2B19C800", "6700"),
        ("FF2B1988" + "00" * 209, "6700"),
        ("FF2B19C80000" + "00" * 207, "6700"),
    ],
)
def test_wrong_pso_data(scene: Scene, data: str, sw: str) -> None:
    assert scene.send(command("802A9E9A", data)) == sw
    assert scene.sam.counter(4) == 0


@pytest.mark.parametrize(
    ("mode", "size"), [("88", 208), ("C80000", 206), ("E80000", 206), ("81", 1)]
)
def test_the_longest_and_the_shortest_message(scene: Scene, mode: str, size: int) -> None:
    assert scene.send(command("802A9E9A", f"FF2B19{mode}" + "00" * size))[-4:] == "9000"


def test_verifying_does_not_count(scene: Scene) -> None:
    verify = command("802A00A8", "FF2B1988" + MESSAGE + signed(scene, MESSAGE))
    assert scene.send(verify) == "9000"
    assert scene.sam.counter(4) == 0


def test_a_signature_holds_for_its_key_and_diversifier_only(scene: Scene) -> None:
    verify = "FF2B1908" + MESSAGE + signed(scene, MESSAGE, "pso-no-busy")
    assert scene.send(command("802A00A8", verify)) == "9000"
    assert scene.send(command("802A00A8", verify.replace("2B19", "EC85"))) == "6988"
    scene.ok("801400000811223344AABBCCDD")
    assert scene.send(command("802A00A8", verify)) == "6988"


def test_signing_needs_no_aes_key_and_takes_one(scene: Scene) -> None:
    assert scene.send(command("802A9E9A", "FF307488" + MESSAGE))[-4:] == "9000"


# Busy mode

WRONG = command("802A00A8", "FF2B1988" + MESSAGE + "00" * 8)
WRONG_NOT_BUSY = command("802A00A8", "FF2B1908" + MESSAGE + "00" * 8)


def test_a_failed_verification_makes_busy_mode_wait(scene: Scene) -> None:
    right = command("802A00A8", "FF2B1988" + MESSAGE + signed(scene, MESSAGE))
    assert scene.send(WRONG) == "6988"
    assert scene.send(right) == "6982"
    scene.clock.advance(2.5)
    assert scene.send(right) == "6982"
    scene.clock.advance(0.5)
    assert scene.send(right) == "9000"
    assert scene.send(right) == "9000"


def test_a_terminal_that_asks_again_gets_through(scene: Scene) -> None:
    right = command("802A00A8", "FF2B1988" + MESSAGE + signed(scene, MESSAGE))
    scene.send(WRONG)
    waited_s = 0.0
    answers = []
    while not answers or answers[-1] == "6982":
        answers.append(scene.send(right))
        waited_s += scene.sam.answer_delay_s
        assert len(answers) < 100
    assert answers[-1] == "9000"
    assert waited_s == pytest.approx(3.0)
    assert scene.clock.now_s == pytest.approx(3.0)


def test_the_busy_time_survives_a_reset(scene: Scene) -> None:
    scene.send(WRONG)
    scene.clock.advance(1.0)
    scene.sam.power_on()
    assert scene.send(SELECT_CARD, WRONG) == "6982"
    scene.clock.advance(2.0)
    assert scene.send(WRONG) == "6988"
    scene.clock.advance(100.0)
    scene.sam.power_on()
    assert scene.send(SELECT_CARD, WRONG) == "6988"


def test_a_clock_that_was_set_back_starts_the_busy_time_again(scene: Scene) -> None:
    scene.clock.advance(1000.0)
    scene.send(WRONG)
    scene.clock.now_s = 0.0
    scene.sam.power_on()
    assert scene.send(SELECT_CARD, WRONG) == "6982"
    scene.clock.advance(3.0)
    assert scene.send(WRONG) == "6988"


def test_the_other_commands_do_not_wait(scene: Scene) -> None:
    scene.send(WRONG)
    assert scene.send(WRONG_NOT_BUSY) == "6988"
    assert scene.send(WRONG_NOT_BUSY) == "6988"
    assert scene.send(command("802A9E9A", "FF2B1988" + MESSAGE))[-4:] == "9000"
    assert scene.sam.answer_delay_s == 0.0


def test_a_failure_without_busy_mode_makes_nobody_wait(scene: Scene) -> None:
    assert scene.send(WRONG_NOT_BUSY) == "6988"
    assert scene.send(WRONG) == "6988"


def test_a_sam_without_busy_time() -> None:
    sam = new_sam(entropy=Entropy(b""), clock=Clock(), busy_delay_s=0)
    sam.power_on()
    sam.transmit(bytes.fromhex(SELECT_CARD))
    for _ in range(2):
        assert sam.transmit(bytes.fromhex(WRONG)) == b"\x69\x88"
