"""A powered SAM, and a hand that sends it hexadecimal commands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cardbench.emulator.chassis import Clock, Entropy
from cardbench.sam_emulator import SamCard, new_sam

Send = Callable[[str], str]


@pytest.fixture
def make_sam() -> Callable[..., SamCard]:
    def make(preset: str = "bench", **options: bytes) -> SamCard:
        sam = new_sam(preset, entropy=Entropy(b"sam tests"), clock=Clock(), **options)
        sam.power_on()
        return sam

    return make


@pytest.fixture
def sam(make_sam: Callable[..., SamCard]) -> SamCard:
    return make_sam()


@pytest.fixture
def send_to() -> Callable[[SamCard], Send]:
    def hand(sam: SamCard) -> Send:
        return lambda command: sam.transmit(bytes.fromhex(command)).hex().upper()

    return hand


@pytest.fixture
def send(sam: SamCard, send_to: Callable[[SamCard], Send]) -> Send:
    return send_to(sam)
