"""The report of reached status words counts what cards tell, and misses nothing that is declared."""

from __future__ import annotations

import command_coverage

from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.protocol.apdu import CommandApdu
from cardbench.sam_emulator import new_sam
from cardbench.sam_emulator.table import TABLE

SAM = "Commands of the SAM"
CARD = "Commands of the Calypso card"


def test_a_watched_card_tells_its_commands() -> None:
    recorder = command_coverage.Recorder()
    sam = new_sam(entropy=Entropy(b""), clock=Clock())
    recorder.watch(sam)
    sam.power_on()
    for command in ("8084000008", "8084000003", "8084010008", "801400000411223344"):
        sam.transmit(bytes.fromhex(command))
    assert dict(recorder.reached) == {
        (SAM, "Get Challenge", 0x9000): 1,
        (SAM, "Get Challenge", 0x6700): 1,
        (SAM, "other parameters of 84", 0x6B00): 1,
        (SAM, "Select Diversifier", 0x9000): 1,
    }


def test_the_report_names_what_is_missing_and_what_is_not_declared() -> None:
    declared = {(SAM, row.name, int(sw)) for row in TABLE for sw in row.answers}
    missing = (SAM, "Digest Close", 0x6985)
    lines, count = command_coverage.summary(declared - {missing} | {(SAM, "Digest Close", 0x6A80)})
    assert f"{SAM}: {len(declared) - 1} of {len(declared)} status words reached" in lines
    assert "  not reached: Digest Close 6985" in lines
    assert "  not declared: Digest Close 6A80" in lines
    assert count >= 1


def test_what_a_product_lacks_is_no_undeclared_answer() -> None:
    lines, _ = command_coverage.summary({(SAM, "Digest Update Multiple", 0x6B00)})
    assert not [line for line in lines if "not declared" in line]


def test_rows_that_differ_by_length_are_told_apart() -> None:
    sam = new_sam(entropy=Entropy(b""), clock=Clock())

    def names(*command: int, size: int) -> list[str]:
        return command_coverage.row_names(sam, TABLE, CommandApdu(*command, data=bytes(size)))

    assert names(0x80, 0x16, 0, 0xA0, size=30) == ["SAM Data Cipher, parameters"]
    assert names(0x80, 0x16, 0, 0xA1, size=30) == ["other parameters of 16"]


def test_a_product_tells_which_of_overlapping_rows_answered() -> None:
    recorder = command_coverage.Recorder()
    for preset, command in (
        ("prime-1", "948A030004A1A2A3A400"),
        ("prime-2", "948A830004A1A2A3A400"),
    ):
        card = new_card(preset)
        recorder.watch(card)
        card.power_on()
        card.transmit(bytes.fromhex(command))
    assert set(recorder.reached) == {
        (CARD, "Open Secure Session (revision 1)", 0x9000),
        (CARD, "Open Secure Session (revision 2)", 0x9000),
    }


def test_a_length_that_no_form_takes_is_an_answer_of_every_form() -> None:
    recorder = command_coverage.Recorder()
    card = new_card("bench")
    recorder.watch(card)
    card.power_on()
    card.transmit(bytes.fromhex("00200000053030303030"))
    assert {name for _, name, _ in recorder.reached} == {
        "PIN status",
        "Verify PIN (plain)",
        "Verify PIN (ciphered)",
    }
