"""What docs/sam.md shows is true."""

from __future__ import annotations

import re
from pathlib import Path

from cardbench.emulator.chassis import Clock, Entropy
from cardbench.protocol.calypso.aes_suite import AesSuite
from cardbench.sam_emulator import SamCard
from cardbench.sam_emulator.personalisation import parse_personalisation, personalise, presets

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sam.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_in_python_runs() -> None:
    names: dict[str, object] = {}
    exec(compile(block("python"), "docs/sam.md", "exec"), names)  # noqa: S102 - our own page
    challenge = names["challenge"]
    assert isinstance(challenge, bytes)
    assert challenge[-2:] == b"\x90\0"


def test_the_example_of_a_sam_of_ones_own_counts_as_it_says() -> None:
    memory = personalise(parse_personalisation(block("toml")), suite=AesSuite())
    sam = SamCard(memory, entropy=Entropy(b""), clock=Clock())
    assert sam.power_on()[-7:-3].hex().upper() == "AEC11A36"
    sign = bytes.fromhex("802A9E9A0DFF307A88" + "00" * 9)
    sam.transmit(bytes.fromhex("801400000411223344"))
    answers = [sam.transmit(sign)[-2:].hex() for _ in range(101)]
    assert answers == ["9000"] * 100 + ["6900"]
    assert sam.answer_delay_s == 0.02


def test_every_preset_is_named() -> None:
    for preset in presets():
        assert f"`{preset}`" in PAGE
