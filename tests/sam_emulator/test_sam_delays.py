"""A SAM that answers late says so; it never sleeps."""

from __future__ import annotations

import pytest

from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.errors import UsageError
from cardbench.sam_emulator import new_sam


def test_the_slot_waits_for_every_answer() -> None:
    waited: list[float] = []
    clock = Clock()
    slot = CardSlot("SAM", sleep=waited.append)
    slot.insert(new_sam(entropy=Entropy(b""), clock=clock, answer_delay_s=0.25))
    slot.power_on()
    assert slot.transmit(bytes.fromhex("8084000004"))[-2:] == b"\x90\0"
    assert slot.transmit(bytes.fromhex("8084000003")) == b"\x67\0"
    assert waited == [0.25, 0.25]
    assert clock.now_s == 0.5


def test_the_delay_is_part_of_the_memory() -> None:
    sam = new_sam(entropy=Entropy(b""), clock=Clock(), answer_delay_s=0.1, busy_delay_s=7)
    assert sam.features.answer_delay_ms == 100
    assert sam.features.busy_delay_ms == 7000


@pytest.mark.parametrize(("name", "delay_s"), [("answer_delay_s", 61.0), ("busy_delay_s", 10.5)])
def test_a_delay_out_of_range(name: str, delay_s: float) -> None:
    with pytest.raises(UsageError, match="allowed: 0 to"):
        new_sam(entropy=Entropy(b""), clock=Clock(), **{name: delay_s})
