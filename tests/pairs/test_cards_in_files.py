"""A Calypso card and a SAM live in files: they answer from there as they do in memory, and go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso import CalypsoCard, new_card
from cardbench.emulator.chassis import (
    Clock,
    Entropy,
    SoftwareCard,
    decode_snapshot,
    encode_snapshot,
)
from cardbench.emulator.storage import CardFile
from cardbench.sam_emulator import SamCard, new_sam

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CARD_COMMANDS = [
    "00A4040008A000000291FF910100",
    "00DC01441D" + "AB" * 29,
    "00B201441D",
    "00E200401D" + "CD" * 29,
    "008A030104A1A2A3A400",
    "00B201441D",
    "008E00000400000000",
    "00B201441D",
]
SAM_COMMANDS = [
    "801400000800000000C17BE1F6",
    "8084000008",
    "808A00FF0A3074030D3F7C01307400",
    "808C00000500B2013C1D",
    "808E000004",
]
FAMILIES: dict[str, tuple[Callable[[], SoftwareCard], type[SoftwareCard], list[str]]] = {
    "card": (lambda: new_card("bench", entropy=Entropy(b"seed")), CalypsoCard, CARD_COMMANDS),
    "SAM": (
        lambda: new_sam("bench", entropy=Entropy(b"seed"), clock=Clock()),
        SamCard,
        SAM_COMMANDS,
    ),
}


def answers(card: SoftwareCard, commands: list[str]) -> list[str]:
    return [card.transmit(bytes.fromhex(command)).hex() for command in commands]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_card_in_a_file_answers_as_in_memory_and_goes_on(family: str, tmp_path: Path) -> None:
    make, kind, commands = FAMILIES[family]
    path = tmp_path / "card.db"
    in_memory = make()
    with CardFile.create(path, in_memory.snapshot(), labels={"family": family}) as file:
        in_file = kind(file.memory, entropy=file.entropy, clock=file.clock)
        in_memory.entropy.state = file.entropy.state
        assert in_file.power_on() == in_memory.power_on()
        assert answers(in_file, commands) == answers(in_memory, commands)
        assert file.memory.image() == in_memory.memory.image()
    with CardFile.open(path) as file:
        assert file.memory.image() == in_memory.memory.image()
        in_file = kind(file.memory, entropy=file.entropy, clock=file.clock)
        in_memory.entropy.state = file.entropy.state
        assert in_file.power_on() == in_memory.power_on()
        assert answers(in_file, commands) == answers(in_memory, commands)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_card_is_the_same_after_it_was_written_down(family: str) -> None:
    make, kind, commands = FAMILIES[family]
    card = make()
    snapshot = decode_snapshot(encode_snapshot(card.snapshot()))
    assert snapshot == card.snapshot()
    memory = card.fork().memory
    memory.restore(snapshot.memory)
    twin = kind(memory)
    twin.restore(snapshot)
    assert twin.power_on() == card.power_on()
    assert answers(twin, commands) == answers(card, commands)
