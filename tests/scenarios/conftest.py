"""Cards and backends for the tests of the bench."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.chassis import Clock, Entropy, Memory, SoftwareCard
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.link import PowerLoss
from cardbench.scenarios.backends import Backend, Place, Seat
from cardbench.terminal.card import CardChannel, PlainRequest
from cardbench.terminal.readers import InProcessReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cardbench.protocol.apdu import CommandApdu
    from cardbench.protocol.link import Card
    from cardbench.scenarios.trace import Role


class EchoCard(SoftwareCard[int]):
    """Answers GET CHALLENGE with random bytes, INS EE by losing its power, all else with its data."""

    def __init__(self, *, entropy: Entropy | None = None, clock: Clock | None = None) -> None:
        super().__init__(Memory(), entropy=entropy, clock=clock)

    def atr(self) -> bytes:
        return bytes.fromhex("3B00")

    def fresh_volatile(self) -> int:
        return 0

    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:  # noqa: ARG002
        if command.ins == 0xEE:
            raise PowerLoss
        if command.ins == 0x84:
            return self.entropy.draw(8), 0x9000
        if command.ins == 0xDE:
            self.answer_delay_s = 2.5
        return command.data, 0x9000 if command.data else 0x6A82


class EchoNeeds:
    """Needs an echo card; implements `Needs`."""

    is_contactless = True

    def personalise(self, *, entropy: Entropy, clock: Clock) -> Card:
        return EchoCard(entropy=entropy, clock=clock)

    def missing(self, channel: CardChannel) -> list[str]:
        channel.transmit([PlainRequest(bytes.fromhex("00DA000001AA"))])
        return []


class KeyListSam(EchoCard):
    """A SAM that knows one command: Read Key Parameters by KIF and KVC."""

    def __init__(self, *keys: tuple[int, int]) -> None:
        super().__init__()
        self.keys = {bytes(key) for key in keys}

    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:  # noqa: ARG002
        assert command[:4] == (0x80, 0xBC, 0x00, 0xF0)
        return (bytes(32), 0x9000) if command.data in self.keys else (b"", 0x6A83)


class HandlessBackend(Backend):
    """Readers with cards that the bench did not plug in, as physical ones are."""

    name = "handless"

    def __init__(self, cards: Mapping[Role, Card]) -> None:
        self.cards = cards
        self.is_closed = False

    def open(self, seats: Sequence[Seat], *, sleep: Callable[[float], None]) -> Sequence[Place]:
        places = []
        for seat in seats:
            slot = CardSlot(f"handless {seat.role}", sleep=sleep)
            if seat.role in self.cards:
                slot.insert(self.cards[seat.role])
            places.append(Place(InProcessReader(slot), None))
        return places

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def echo_card() -> EchoCard:
    return EchoCard(entropy=Entropy(b"echo"))


@pytest.fixture
def echo_needs() -> EchoNeeds:
    return EchoNeeds()


@pytest.fixture
def handless() -> type[HandlessBackend]:
    return HandlessBackend


@pytest.fixture
def new_echo_card() -> type[EchoCard]:
    return EchoCard


@pytest.fixture
def key_list_sam() -> type[KeyListSam]:
    return KeyListSam
