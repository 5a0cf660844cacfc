"""Power is cut at every write of every writing command, and of the recovery after it: old or new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.sam_scene import (
    AUTHENTICATION,
    GIVE_RANDOM,
    KEY_MANAGEMENT,
    PERSONALIZATION,
    RELOADING,
    SELECT_CARD,
    Scene,
    command,
    sv_debit_data,
)

from cardbench.emulator.chassis import Key, Memory, Moment, Tear, Value
from cardbench.protocol.link import PowerLoss
from cardbench.protocol.status import StatusWord
from cardbench.sam_emulator import SamCard
from cardbench.sam_emulator.table import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

NEW_KEY = "AA71" + "40" + "03" + "00" * 9 + "5E" * 16
LOCK = "EF01" + "0000000000" + "21" + "0000000000" + "A0" * 16
SYSTEM_KEY = "E7F5" + "40" + "07000003" + "00" * 6 + "5E" * 16
CEILINGS = "".join(f"{n:06X}" for n in range(1, 10)) + "01FE"
CERTIFICATE = "08A000000291FF9101" + "00" * 8 + "00000000AABBCCDD" + "00000000"
CERTIFICATE += "2024010120991231" + "00" + "070A3C23051410" + "00" * 18
PRESETS = {"SAM Data Cipher": "control", "PSO Compute Certificate": "pki"}


def counting(reference: int, final: str, *before: str) -> Callable[[Scene], str]:
    def prepare(scene: Scene) -> str:
        scene.set_block(reference, 6, 20)
        for one in before:
            scene.ok(one)
        return final

    return prepare


def sealed(header: str, by: int, content: str) -> Callable[[Scene], str]:
    p2 = int(header[-2:], 16)
    return lambda scene: command(header, scene.sealed_now(by, p2, content))


def failed_verification(scene: Scene) -> str:
    scene.ok(SELECT_CARD)
    return command("802A00A8", "FF2B1988" + "00" * 18)


def verification_after_a_busy_time(scene: Scene) -> str:
    scene.send(failed_verification(scene))
    scene.clock.advance(5)
    signature = scene.suite.sign(scene.card_key(0x2B, 0x19), "pso", bytes(10))
    return command("802A00A8", "FF2B1988" + "00" * 10 + signature.hex())


def certificate(scene: Scene) -> str:
    scene.ok("804680000A06082A8648CE3D03010763")
    return command("802AEEAC", "DF253F" + CERTIFICATE)


WRITING: dict[str, Callable[[Scene], str]] = {
    "Digest Init": counting(0x03, command("808A00FF", "3079030AB2CF"), "8084000004", SELECT_CARD),
    "Card Cipher PIN": counting(0x03, "801280FF06307931323334", SELECT_CARD, GIVE_RANDOM),
    "Data Cipher": counting(0x1F, command("801C4000", "EC85" + "00" * 8), SELECT_CARD),
    "PSO Compute Signature": counting(0x20, "802A9E9A0DFF2B1988" + "00" * 9, SELECT_CARD),
    "PSO Verify Signature, wrong": failed_verification,
    "PSO Verify Signature, after a busy time": verification_after_a_busy_time,
    "SV Prepare Debit": counting(0x0F, command("805401FF", sv_debit_data()), SELECT_CARD),
    "PSO Compute Certificate": certificate,
    "Read Key Parameters": counting(AUTHENTICATION, "80BC0001020000"),
    "Read Event Counter": counting(AUTHENTICATION, "80BE00E100"),
    "Read Ceilings": counting(AUTHENTICATION, "80BE00B100"),
    "Read Parameters": counting(AUTHENTICATION, "80BE00A000"),
    "SAM Data Cipher": counting(
        0x23, "801600B81EF3" + "05000064" + "00" * 25, "801400000411223344", GIVE_RANDOM
    ),
    "Write Key, work key": sealed("801A00F0", KEY_MANAGEMENT, NEW_KEY),
    "Write Key, plain": lambda _: command(
        "801A80F0", "00" * 8 + NEW_KEY + "F0" + "00000000000000800000"
    ),
    "Write Key, system key": sealed("801A00C0", PERSONALIZATION, SYSTEM_KEY),
    "Write Key, lock": sealed("801A00E0", PERSONALIZATION, LOCK),
    "Write Ceilings, one": sealed("80D800B8", RELOADING, "05000064" + "00" * 25),
    "Write Ceilings, record": sealed("80D800B1", RELOADING, CEILINGS),
    "Write Parameters": sealed("80D800A0", PERSONALIZATION, "06" + "5A" * 28),
}


def test_every_command_that_counts_or_writes_is_cut() -> None:
    """6900: it counts; Stored Value has a number of its own; a verification may make busy."""
    for row in TABLE:
        if (
            StatusWord.COUNTER_EXHAUSTED in row.answers
            or row.ins in {0x54, 0x56, 0x5C}
            or row.name in WRITING
        ):
            family = row.name.split(",")[0]
            family = family.replace("Load", "Debit").replace("Undebit", "Debit")
            assert any(cut.startswith(family) for cut in WRITING), row.name


@pytest.mark.parametrize("name", WRITING)
def test_a_cut_leaves_old_or_new(name: str) -> None:
    scene = Scene(PRESETS.get(name, "bench"))
    final = bytes.fromhex(WRITING[name](scene))
    start = scene.sam.fork()
    old = start.memory.objects()
    whole = start.fork()
    answer = whole.transmit(final)
    new = whole.memory.objects()
    assert old != new, "the command writes"
    writes = whole.memory.writes
    assert writes == 2 * sum(old.get(key) != new.get(key) for key in {*old, *new}) + 2
    cuts = 0
    for write in range(writes):
        for moment in Moment:
            cuts += 1 + cut(start, final, Tear(write, moment), old, new)
    again = start.fork()
    again.memory.arm(Tear(writes, Moment.BEFORE))  # one write too late: nothing happens
    assert again.transmit(final) == answer
    assert cuts >= 3 * writes


def cut(
    start: SamCard, final: bytes, tear: Tear, old: dict[Key, Value], new: dict[Key, Value]
) -> int:
    """Cut the command, then every recovery from that; return how many recoveries were cut."""
    sam = start.fork()
    sam.memory.arm(tear)
    with pytest.raises(PowerLoss):
        sam.transmit(final)
    assert not sam.is_powered
    torn = sam.memory.image()
    recovered = SamCard(Memory(), entropy=sam.entropy, clock=sam.clock, suite=sam.suite)
    recovered.memory.restore(torn)
    recovered.power_on()
    state = recovered.memory.objects()
    assert state in (old, new)
    for write in range(recovered.memory.writes):
        for moment in Moment:
            again = SamCard(Memory(), entropy=sam.entropy, clock=sam.clock, suite=sam.suite)
            again.memory.restore(torn)
            again.memory.arm(Tear(write, moment))
            with pytest.raises(PowerLoss):
                again.power_on()
            again.power_on()
            assert again.memory.objects() == state
    return 3 * recovered.memory.writes


@pytest.mark.parametrize("name", ["Data Cipher", "PSO Compute Signature", "SV Prepare Debit"])
def test_no_cryptogram_leaves_uncounted(name: str) -> None:
    """Until the last write the answer is lost with the power; behind it the event is counted."""
    scene = Scene()
    final = bytes.fromhex(WRITING[name](scene))
    before = scene.sam.fork()
    entropy, objects = before.entropy.state, before.memory.objects()
    sam = before.fork()
    sam.memory.arm(Tear(4, Moment.BEFORE))
    sam.transmit(final)
    assert sam.memory.objects() != objects
    for write in range(4):
        sam = before.fork()
        sam.memory.arm(Tear(write, Moment.AFTER))
        with pytest.raises(PowerLoss):
            sam.transmit(final)
        assert sam.entropy.state == entropy, "no random byte of the answer was drawn yet"
