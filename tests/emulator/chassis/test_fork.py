"""A fork is a twin of its own, also where the volatile record leads back to the card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.emulator.chassis import Memory, SoftwareCard

if TYPE_CHECKING:
    from cardbench.protocol.apdu import CommandApdu


class Volatile:
    """A record that knows its card, as an applet's heap does."""

    def __init__(self, card: CountingCard) -> None:
        self.card = card
        self.memory = card.memory
        self.commands = 0


class CountingCard(SoftwareCard[Volatile]):
    """Counts commands: those of the session, and all."""

    def atr(self) -> bytes:
        return b"\x3b\x00"

    def fresh_volatile(self) -> Volatile:
        return Volatile(self)

    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:  # noqa: ARG002
        volatile = self.volatile
        volatile.commands += 1
        total = volatile.memory.get(("total",), 0)
        assert isinstance(total, int)
        volatile.memory.commit({("total",): total + 1})
        return volatile.commands.to_bytes(1), 0x9000


def test_what_a_fork_writes_stays_in_the_fork() -> None:
    card = CountingCard(Memory())
    card.power_on()
    card.transmit(bytes(4))
    twin = card.fork()
    assert twin.volatile.card is twin
    assert twin.volatile.memory is twin.memory
    assert twin.transmit(bytes(4)) == b"\x02\x90\x00"
    assert card.transmit(bytes(4)) == b"\x02\x90\x00"
    assert (card.memory[("total",)], twin.memory[("total",)]) == (2, 2)
