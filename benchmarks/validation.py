"""Validations per second: terminal stack, readers, card and SAM, against the published stub.

Ours is a gate that validates one card again and again: seven exchanges with the card, three with the
SAM, the card powered afresh each time, the SAM kept selected as in the published sequence. The stub
answers the same APDUs and enciphers the same number of blocks (`stub.py`).
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from unittest import mock

from cryptography.hazmat.primitives.cmac import CMAC
from harness import Comparison, compare, judge
from stub import RecordedApdu, Stub, run

import cardbench.protocol.calypso.aes_suite as suite_module
from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.sam_emulator import new_sam
from cardbench.scenarios.ticketing.gate import Gate
from cardbench.scenarios.ticketing.model import File
from cardbench.scenarios.ticketing.terminal import select_sam
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers import InProcessReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.ciphers.algorithms import AES128

    from cardbench.protocol.link import Card

    Transmit = Callable[[bytes], bytes]

FLOOR = 0.15
AIM = 0.33
VALIDATIONS = 50
"""In one turn: short, so that both meet the same moods of the machine."""
TURNS = 20
EPOCH = datetime(2026, 1, 5, 8, tzinfo=UTC)
TRIPS = bytes.fromhex("0FFFFF")


class BlockCounter:
    """Stands in for the CMAC of the symmetric suite while one validation is recorded."""

    blocks = 0
    _mac = CMAC

    def __init__(self, algorithm: AES128) -> None:
        self._inner = self._mac(algorithm)
        self._size = 0

    def update(self, data: bytes) -> None:
        """Count, then do."""
        self._size += len(data)
        self._inner.update(data)

    def finalize(self) -> bytes:
        """Count the message's blocks and the one that makes the subkeys."""
        type(self).blocks += max(1, -(-self._size // 16)) + 1
        return self._inner.finalize()


class Bench:
    """A gate, a card and a SAM on readers of this process.

    Args:
        wrap: what to put around the readers' `transmit`, by target.
    """

    def __init__(self, wrap: Callable[[str, Transmit], Transmit] | None = None) -> None:
        self._clock = Clock()
        card = new_card(
            "bench",
            entropy=Entropy(b"card"),
            clock=self._clock,
            records={(File.COUNTERS, 1): TRIPS},
        )
        sam = new_sam("bench", entropy=Entropy(b"sam"), clock=self._clock)
        readers = {"card": InProcessReader(_slot(card)), "sam": InProcessReader(_slot(sam))}
        if wrap is not None:
            for target, reader in readers.items():
                reader.transmit = wrap(target, reader.transmit)  # type: ignore[assignment]
        self._card = CardChannel(readers["card"])
        self._gate = Gate(select_sam(CardChannel(readers["sam"])), now=self._now)

    def _now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._clock.now_s)

    def validate(self) -> None:
        """Validate once, an hour after the last time."""
        self._clock.advance(3600.0)
        passage = self._gate.validate(self._card)
        assert passage.is_open, passage.reason

    def validations(self) -> int:
        """Validate many times."""
        for _ in range(VALIDATIONS):
            self.validate()
        return VALIDATIONS


def _slot(card: Card) -> CardSlot:
    slot = CardSlot("bench")
    slot.insert(card)
    return slot


def record() -> list[RecordedApdu]:
    """Record one validation, with the number of AES blocks behind each APDU."""
    recording: list[RecordedApdu] = []

    def recorded(target: str, send: Transmit) -> Transmit:
        def transmit(command: bytes) -> bytes:
            before = BlockCounter.blocks
            response = send(command)
            blocks = BlockCounter.blocks - before
            recording.append(RecordedApdu(target, command, response, blocks))
            return response

        return transmit

    bench = Bench(recorded)
    with mock.patch.object(suite_module, "CMAC", BlockCounter):
        bench.validate()  # a key is diversified at its first use only
        recording.clear()
        bench.validate()
    return recording


def measure() -> Comparison:
    """Compare ours with the stub."""
    recording = record()
    stub = Stub(recording)
    bench = Bench()

    def stubbed() -> int:
        for _ in range(VALIDATIONS):
            run(stub, recording)
        return VALIDATIONS

    name = (
        f"validation ({len(recording)} APDUs, {sum(each.blocks for each in recording)} AES blocks)"
    )
    return compare(
        name,
        "validation",
        bench.validations,
        stubbed,
        floor=FLOOR,
        aim=AIM,
        turns=TURNS,
        clock_s=time.process_time,
    )


if __name__ == "__main__":
    sys.exit(judge(measure))
