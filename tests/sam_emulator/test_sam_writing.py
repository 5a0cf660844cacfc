"""A control SAM writes into a target SAM: keys, locks, ceilings, parameters; and all that is refused."""

from __future__ import annotations

import pytest
from support.sam_scene import (
    KEY_MANAGEMENT,
    PERSONALIZATION,
    RELOADING,
    SELECT_CARD,
    Scene,
    command,
)

from cardbench.protocol.calypso.suite import public_test_master

KEY = "5E" * 16
WORK = "AA71" + "40" + "03" + "00" * 9 + KEY
LOCK_VALUE = "A0A1A2A3A4A5A6A7A8A9AAABACADAEAF"
PLAIN_LOCK = "00" * 8 + "EF01" + "0000000000" + "21" + "0000000000" + LOCK_VALUE + "E0"
PLAIN_LOCK += "00000000000000800000"  # published block
TARGET = "801400000411223344"


class Pair:
    """A target SAM and a control SAM, both connected."""

    def __init__(self) -> None:
        self.target = Scene()
        self.control = Scene("control")

    def transfer(self, seal: str, write: str) -> str:
        """Carry the target's challenge to the control SAM and its block back to the target."""
        challenge = self.target.ok("8084000008")
        block = self.control.ok(TARGET, f"8086000008{challenge}", seal)
        return self.target.send(command(write, block))


@pytest.fixture
def pair() -> Pair:
    return Pair()


@pytest.fixture
def scene() -> Scene:
    return Scene()


def row(scene: Scene, reference: int) -> str:
    value = scene.sam.memory.get(("key", reference))
    assert isinstance(value, bytes)
    return value.hex().upper()


# From SAM to SAM


def test_a_work_key_that_the_target_holds_is_refused(pair: Pair) -> None:
    answer = pair.transfer("801600410D" + "F2" + "2B19" + "40" + "03" + "00" * 8, "801A0041")
    assert answer == "6A80"
    assert pair.target.sam.key(0x41) is None


def test_a_work_key_that_is_new_to_the_target(pair: Pair) -> None:
    pair.target.change("key", 0x20, value=None)
    seal = "801600410D" + "F2" + "2B19" + "40" + "030000040000000000"
    assert pair.transfer(seal, "801A0041") == "9000"
    assert row(pair.target, 0x41) == (
        "2B19" + "40" + "030000040000000000" + "00" + public_test_master(0x2B, 0x19).hex().upper()
    )
    assert pair.target.send(SELECT_CARD, "802A9E9A0DFF2B1988" + "00" * 9)[-4:] == "9000"


def test_a_diversified_work_key(pair: Pair) -> None:
    pair.target.change("key", 0x20, value=None)
    parameters = "40" + "00" * 9
    assert pair.transfer("801601F00DF22B19" + parameters, "801A00F0") == "9000"
    diversified = pair.target.suite.diversify(
        public_test_master(0x2B, 0x19), bytes.fromhex("11223344")
    )
    assert row(pair.target, 0x20) == "2B19" + parameters + "00" + diversified.hex().upper()


def test_a_work_key_for_another_diversifier(pair: Pair) -> None:
    pair.target.change("key", 0x20, value=None)
    seal = "8016014115F22B19" + "40" + "00" * 9 + "0102030405060708"
    assert pair.transfer(seal, "801A0041") == "9000"
    diversified = pair.target.suite.diversify(
        public_test_master(0x2B, 0x19), bytes.fromhex("0102030405060708")
    )
    assert row(pair.target, 0x41)[26:] == diversified.hex().upper()
    plain = "8016004115F22B19" + "40" + "00" * 9 + "0102030405060708"
    pair.control.ok(TARGET, "8086000008" + "00" * 8)
    assert pair.control.send(plain) == "6700"  # a diversifier for a key that goes as it is


def test_a_system_key_is_replaced(pair: Pair) -> None:
    seal = "801601C00D" + "F1" + "E7F3" + "40" + "070000030000000000"
    assert pair.transfer(seal, "801A00C0") == "9000"
    assert row(pair.target, RELOADING)[26:] == pair.target.system_key(RELOADING).hex().upper()
    assert pair.target.sam.counter(1) == 1


def test_a_lock_is_transferred_and_locks_at_the_next_reset(pair: Pair) -> None:
    seal = "801601E00D" + "F1" + "EF01" + "0000000000" + "21" + "00000000"
    assert pair.transfer(seal, "801A00E0") == "9000"
    target = pair.target
    assert row(target, 0xE0)[:26] == "EF01" + "0000000000" + "21" + "0000000000"
    assert target.send(SELECT_CARD) == "9000"
    target.sam.power_on()
    assert target.send(SELECT_CARD) == "6985"
    value = row(target, 0xE0)[26:]
    assert target.send("8020000010" + value) == "9000"
    assert target.send(SELECT_CARD) == "9000"


def test_sam_parameters_are_transferred(pair: Pair) -> None:
    parameters = "05" + "5A" * 28
    assert pair.transfer("801600A01EF1" + parameters, "80D800A0") == "9000"
    assert pair.target.sam.parameters.hex().upper() == parameters
    assert pair.transfer("801600A01EF1" + parameters, "80D800A0") == "6985"  # system lock is on


def test_one_ceiling_is_transferred(pair: Pair) -> None:
    assert pair.transfer("801600B81EF3" + "1A" + "000064" + "00" * 25, "80D800B8") == "9000"
    assert pair.target.sam.ceiling(26) == 100
    assert pair.target.sam.counter(3) == 1


def test_a_ceiling_record_is_transferred(pair: Pair) -> None:
    ceilings = "".join(f"{n:06X}" for n in range(10, 19))
    assert pair.transfer("801600B21EF3" + ceilings + "01FF", "80D800B2") == "9000"
    assert [pair.target.sam.ceiling(n) for n in range(9, 18)] == list(range(10, 19))
    assert [pair.target.sam.free_increment(r) for r in (1, 2, 3)] == [0, 0x1FF, 0]


def test_counter_0_never_counts_freely(pair: Pair) -> None:
    ceilings = "".join(f"{n:06X}" for n in range(1, 10))
    assert pair.transfer("801600B11EF3" + ceilings + "01FF", "80D800B1") == "9000"
    assert pair.target.sam.free_increment(1) == 0x1FE


def test_a_block_for_another_sam_is_refused(pair: Pair) -> None:
    challenge = pair.target.ok("8084000008")
    block = pair.control.ok(
        "801400000411223345", f"8086000008{challenge}", "801600B81EF3" + "05000064" + "00" * 25
    )
    assert pair.target.send(command("80D800B8", block)) == "6988"


def test_a_block_serves_once(pair: Pair) -> None:
    challenge = pair.target.ok("8084000008")
    block = pair.control.ok(
        TARGET, f"8086000008{challenge}", "801600B81EF3" + "05000064" + "00" * 25
    )
    assert pair.target.send(command("80D800B8", block)) == "9000"
    assert pair.target.send(command("80D800B8", block)) == "6985"  # the challenge is used up
    pair.target.ok("8084000008")
    assert pair.target.send(command("80D800B8", block)) == "6988"


def test_the_control_sam_counts_and_uses_up_the_random_value(pair: Pair) -> None:
    control = pair.control
    control.set_block(0x23, 6, 15)
    seal = "801600B81EF3" + "05000064" + "00" * 25
    control.ok(TARGET, "8086000008" + "00" * 8, seal)
    assert control.sam.counter(15) == 1
    assert control.send(seal) == "6985"
    assert control.sam.counter(15) == 1


@pytest.mark.parametrize("header", ["801682B8", "801601B8", "801600B4", "801602C0", "801600EF"])
def test_other_parameters_of_the_control_commands(pair: Pair, header: str) -> None:
    assert pair.control.send(command(header, "00" * 30)) == "6A00"


# Static mode


def test_static_mode_is_bound_to_the_counter_and_counts(scene: Scene) -> None:
    scene.change("counter", 3, value=0x17B)
    for value, counter in ((100, 0x17B), (300, 0x17C)):
        content = "05" + f"{value:06X}" + "00" * 25
        block = scene.sealed(RELOADING, 0xB8, content, f"{counter:016X}")
        assert scene.send(command("80D808B8", block)) == "9000"
        assert scene.sam.ceiling(5) == value
        assert scene.sam.counter(3) == counter + 1
        assert scene.send(command("80D808B8", block)) == "6988"
        assert scene.sam.counter(3) == counter + 1


def test_static_mode_without_a_counter_uses_zeros(scene: Scene) -> None:
    scene.set_block(RELOADING, 6, 0)
    block = scene.sealed(RELOADING, 0xB8, "05" + "000064" + "00" * 25, "00" * 8)
    assert scene.send(command("80D808B8", block)) == "9000"


def test_static_mode_must_be_enabled(scene: Scene) -> None:
    for reference in (PERSONALIZATION, KEY_MANAGEMENT, RELOADING):
        scene.set_block(reference, 3, 0x03)
    for header in ("80D808B8", "80D808B1", "80D808A0", "801A0840", "801A08C0", "801A08E0"):
        assert scene.send("8084000008", command(header, "00" * 48))[-4:] == "6985"


def test_static_mode_for_a_key(scene: Scene) -> None:
    block = scene.sealed(KEY_MANAGEMENT, 0x40, WORK, "00" * 8)
    assert scene.send(command("801A0840", block)) == "9000"
    assert row(scene, 0x40) == WORK
    assert scene.sam.counter(2) == 1


# Dynamic mode


@pytest.mark.parametrize("get", ["", "8084000004"])
def test_dynamic_mode_needs_a_challenge_of_eight_bytes(scene: Scene, get: str) -> None:
    if get:
        scene.ok(get)
    assert scene.send(command("80D800B8", "00" * 48)) == "6985"


def test_a_wrong_block_uses_up_the_challenge_and_counts_nothing(scene: Scene) -> None:
    content = "05" + "000064" + "00" * 25
    challenge = scene.ok("8084000008")
    right = scene.sealed(RELOADING, 0xB8, content, challenge)
    assert scene.send(command("80D800B8", "00" + right[2:])) == "6988"
    assert scene.send(command("80D800B8", right)) == "6985"
    assert scene.sam.counter(3) == 0


def test_the_key_must_be_allowed_to_decipher(scene: Scene) -> None:
    for reference in (PERSONALIZATION, KEY_MANAGEMENT, RELOADING):
        scene.set_block(reference, 3, 0x06)
    for header in ("80D800B8", "80D800A0", "801A0040", "801A00C0"):
        assert scene.send("8084000008", command(header, "00" * 48))[-4:] == "6985"


# Plain writing


def test_the_published_plain_lock_block(scene: Scene) -> None:
    assert scene.send(command("801A80E0", PLAIN_LOCK)) == "9000"
    scene.sam.power_on()
    assert scene.send("8020000010" + LOCK_VALUE) == "9000"


def plain(p2: str, content: str, signature: str = "00" * 8) -> str:
    return command(f"801A80{p2}", signature + content + p2 + "00000000000000800000")


def test_a_plain_work_key(scene: Scene) -> None:
    assert scene.send(plain("F0", WORK)) == "9000"
    assert row(scene, 0x21) == WORK  # the first free record
    assert scene.send(plain("F0", WORK)) == "6A80"
    assert scene.send(SELECT_CARD, "802A9E9A0DFFAA7188" + "00" * 9)[-4:] == "9000"


def test_a_plain_block_carries_no_signature(scene: Scene) -> None:
    assert scene.send(plain("F0", WORK, "00" * 7 + "01")) == "6A80"


def test_a_work_key_may_be_drawn_by_the_sam(scene: Scene) -> None:
    twin = scene.sam.fork()
    drawn = plain("40", WORK).replace("801A80", "801AC0", 1)
    assert scene.send(drawn) == "9000"
    assert row(scene, 0x40)[:26] == WORK[:26]
    assert row(scene, 0x40)[26:] != KEY
    assert twin.transmit(bytes.fromhex(drawn)) == b"\x90\0"
    assert twin.memory["key", 0x40] == scene.sam.memory["key", 0x40]


@pytest.mark.parametrize(
    ("flags", "header", "sw"),
    [
        ("00", "801A80F0", "6985"),  # PlainWorkKeyInputEnable is off
        ("06", "801A80F0", "6985"),  # WorkKeysLockEnable
        ("06", "801A00F0", "6985"),
        ("05", "801A00C0", "6985"),  # SystemLockEnable
        ("05", "80D800A0", "6985"),
        ("0C", "801A80E0", "6985"),  # PlainWriteDisabled
        ("14", "801A00E0", "6985"),  # LockedLock
        ("14", "801A80E0", "6985"),
        ("04", "801A40F0", "6A00"),  # ciphered and drawn
        ("04", "801A80C0", "6A00"),  # plain system key
        ("04", "801AC0C0", "6A00"),
        ("04", "801AC0E0", "6A00"),
        ("04", "801A48F0", "6A00"),
        ("04", "801A88F0", "6A00"),
        ("04", "801A007F", "6A00"),
        ("04", "801A0000", "6A00"),
        ("04", "80D880B8", "6985"),
        ("04", "80D800B0", "6A00"),
        ("04", "80D800E8", "6A00"),
    ],
)
def test_flags_and_parameters_that_forbid_writing(
    scene: Scene, flags: str, header: str, sw: str
) -> None:
    scene.change("parameters", value=bytes.fromhex(flags + "00" * 28))
    scene.ok("8084000008")
    before = scene.sam.memory.objects()
    assert scene.send(command(header, "00" * 48)) == sw
    assert scene.sam.memory.objects() == before


def test_two_flags_hold_as_they_were_at_the_reset(scene: Scene) -> None:
    content = "1C" + "00" * 28  # PlainWriteDisabled, LockedLock
    block = scene.sealed_now(PERSONALIZATION, 0xA0, content)
    assert scene.send(command("80D800A0", block)) == "9000"
    assert scene.send(command("801A80E0", PLAIN_LOCK)) == "9000"
    scene.sam.power_on()
    scene.ok("8020000010" + LOCK_VALUE)
    assert scene.send(command("801A80E0", PLAIN_LOCK)) == "6985"


# What a key block must be


@pytest.mark.parametrize(
    "content",
    [
        "AA71" + "41" + "03" + "00" * 9,  # unknown algorithm
        "AA71" + "40" + "03" + "00" * 5 + "01000000",  # PAR7
        "AA71" + "40" + "03" + "00" * 5 + "00000001",  # PAR10
        "0071" + "40" + "03" + "00" * 9,
        "AA00" + "40" + "03" + "00" * 9,
        "AA71" + "40" + "0300001B" + "00" * 6,  # no such counter
        "3079" + "40" + "03" + "00" * 9,  # there already
    ],
)
def test_a_work_key_block_that_is_refused(scene: Scene, content: str) -> None:
    block = scene.sealed_now(KEY_MANAGEMENT, 0xF0, content + KEY)
    assert scene.send(command("801A00F0", block)) == "6A80"
    assert scene.sam.key(0x21) is None
    assert scene.sam.counter(2) == 0


def test_par7_to_par10_are_free_in_a_plain_key(scene: Scene) -> None:
    assert scene.send(plain("F0", "AA71" + "40" + "03" + "00" * 5 + "01020304" + KEY)) == "9000"


@pytest.mark.parametrize("kif", ["E1", "FD"])
def test_protected_kifs_need_the_system_lock_off(scene: Scene, kif: str) -> None:
    assert scene.send(plain("F0", kif + "71" + "40" + "00" * 10 + KEY)) == "9000"
    scene.change("parameters", value=b"\x05" + bytes(28))
    assert scene.send(plain("F0", kif + "72" + "40" + "00" * 10 + KEY)) == "6A80"


@pytest.mark.parametrize("kif", ["61", "F0", "30"])
def test_a_system_key_is_one_of_four(scene: Scene, kif: str) -> None:
    content = kif + "F5" + "40" + "07" + "00" * 9 + KEY
    block = scene.sealed_now(PERSONALIZATION, 0xC0, content)
    assert scene.send(command("801A00C0", block)) == "6A80"


def test_a_lock_has_the_lock_kif(scene: Scene) -> None:
    block = scene.sealed_now(PERSONALIZATION, 0xE0, "EE01" + "00" * 11 + KEY)
    assert scene.send(command("801A00E0", block)) == "6A80"


def test_a_record_that_holds_a_key_is_not_overwritten(scene: Scene) -> None:
    block = scene.sealed_now(KEY_MANAGEMENT, 0x20, WORK)
    assert scene.send(command("801A0020", block)) == "6985"


def test_a_full_sam_takes_no_key(scene: Scene) -> None:
    scene.sam.memory.commit(
        {("key", n): bytes((n, 1, 0x40)) + bytes(26) for n in range(0x21, 0x7F)}
    )
    scene.sam.power_on()
    assert scene.send(plain("F0", WORK)) == "6985"


def test_the_reference_inside_the_block_is_the_headers(scene: Scene) -> None:
    inner = "00" * 8 + WORK + "41" + "00000000000000800000"
    assert scene.send(command("801A8040", inner)) == "6A80"


# CAAD data


def with_caad(scene: Scene, par6: str, caad: str) -> str:
    content = "AA71" + "40" + "03" + "00" * 4 + par6 + "00" * 4 + KEY
    return command("801A00F0", scene.sealed_now(KEY_MANAGEMENT, 0xF0, content) + caad)


def test_caad_data_must_be_the_record_that_par6_names(scene: Scene) -> None:
    scene.change("caad", 3, value=b"\xca" * 29)
    right = "CA" * 29 + "800000"
    assert scene.send(with_caad(scene, "83", "CB" * 29 + "800000")) == "6A80"
    assert scene.send(with_caad(scene, "83", "CA" * 29 + "800001")) == "6A80"
    assert scene.send(with_caad(scene, "80", right)) == "6A80"
    assert scene.send(with_caad(scene, "88", right)) == "6A80"
    assert scene.send(with_caad(scene, "84", right)) == "6A83"
    assert scene.sam.key(0x21) is None
    assert scene.send(with_caad(scene, "83", right)) == "9000"
    assert row(scene, 0x21)[16:18] == "83"


# Ceilings


@pytest.mark.parametrize(
    "content",
    [
        "1B" + "000064" + "00" * 25,  # counter 27
        "05" + "FFFFFB" + "00" * 25,  # above the highest ceiling
        "05" + "000064" + "00" * 24 + "01",
    ],
)
def test_one_ceiling_that_is_refused(scene: Scene, content: str) -> None:
    block = scene.sealed_now(RELOADING, 0xB8, content)
    assert scene.send(command("80D800B8", block)) == "6A80"
    assert scene.sam.counter(3) == 0


def test_a_legacy_key_raises_a_record_by_little(scene: Scene) -> None:
    scene.change("ceiling", 9, value=1000)
    kept = "".join(f"{scene.sam.ceiling(n):06X}" for n in range(10, 18))

    def send(value: int) -> str:
        block = scene.sealed_now(RELOADING, 0xB2, f"{value:06X}" + kept + "0000")
        return scene.send(command("80D800B2", block))

    assert send(1000 + 131_072) == "6A80"
    assert send(1000 + 131_071) == "9000"
    assert send(5) == "9000"
    assert scene.sam.ceiling(9) == 5
    scene.set_block(RELOADING, 2, 0xA0)
    assert send(5 + 131_072) == "9000"


def test_free_increment_bits_are_nine(scene: Scene) -> None:
    kept = "".join(f"{scene.sam.ceiling(n):06X}" for n in range(9))
    block = scene.sealed_now(RELOADING, 0xB1, kept + "0200")
    assert scene.send(command("80D800B1", block)) == "6A80"


def test_a_ceiling_stops_and_a_raised_one_lets_go_on(scene: Scene) -> None:
    scene.change("ceiling", 4, value=1)
    sign = "802A9E9A0DFF2B1988" + "00" * 9
    assert scene.send(SELECT_CARD, sign)[-4:] == "9000"
    assert scene.send(sign) == "6900"
    assert scene.sam.counter(4) == 1
    block = scene.sealed_now(RELOADING, 0xB8, "04" + "000002" + "00" * 25)
    assert scene.send(command("80D800B8", block)) == "9000"
    assert scene.send(sign)[-4:] == "9000"
    assert scene.send(sign) == "6900"


# Lock and unlock


@pytest.fixture
def locked() -> Scene:
    return Scene("locked")


@pytest.mark.parametrize(
    "refused",
    [
        SELECT_CARD,
        command("801C4000", "EC85" + "00" * 8),
        command("801600A0", "F1" + "00" * 29),
        command("801A80E0", PLAIN_LOCK),
        command("801A00F0", "00" * 48),
        command("80D800B8", "00" * 48),
        command("80D800A0", "00" * 48),
    ],
)
def test_a_locked_sam_refuses(locked: Scene, refused: str) -> None:
    locked.ok("8084000008")
    before = locked.sam.memory.objects()
    assert locked.send(refused) == "6985"
    assert locked.sam.memory.objects() == before


def test_no_key_of_a_locked_sam_can_be_used(locked: Scene) -> None:
    for refused in (
        "808A00FF063079030AB2CF",
        "801280FF06307931323334",
        "8012FFFF052179307990",
        "802A9E9A0DFF2B1988" + "00" * 9,
        "802A00A80DFF2B1988" + "00" * 9,
        "801600C00DF1E7F3" + "40" + "00" * 9,
    ):
        assert locked.send("8084000008", "8086000008" + "00" * 8, refused) == "6985"


def test_dynamic_unlocking(locked: Scene) -> None:
    value = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    challenge = bytes.fromhex(locked.ok("8084000008"))
    proof = locked.suite.unlock_proof(value, locked.sam.serial, challenge).hex()
    assert locked.send("8020000008" + proof) == "9000"
    assert locked.send(SELECT_CARD) == "9000"
    assert locked.send("8020000008" + proof) == "6985"
    locked.sam.power_on()
    assert locked.send(SELECT_CARD) == "6985"


def test_a_wrong_value_leaves_it_locked(locked: Scene) -> None:
    challenge = bytes.fromhex(locked.ok("8084000008"))
    value = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    right = locked.suite.unlock_proof(value, locked.sam.serial, challenge).hex()
    assert locked.send("8020000008" + "00" * 8) == "6988"
    assert locked.send("8020000008" + right) == "6988"  # the challenge is used up
    assert locked.send("8020000010" + "00" * 16) == "6988"
    assert locked.send(SELECT_CARD) == "6985"
    assert locked.send("8020000010" + value.hex()) == "9000"


def test_dynamic_unlocking_needs_a_challenge_of_eight_bytes(locked: Scene) -> None:
    locked.ok("8084000004")
    assert locked.send("8020000008" + "00" * 8) == "6988"


def test_a_counter_at_its_end_stays_there(scene: Scene) -> None:
    scene.change("counter", 4, value=0xFFFFF9)
    sign = "802A9E9A0DFF2B1988" + "00" * 9
    assert scene.send(SELECT_CARD, sign)[-4:] == "9000"
    before = scene.sam.memory.objects()
    assert scene.sam.counter(4) == 0xFFFFFA
    assert scene.send(sign) == "6900"
    assert scene.sam.memory.objects() == before
