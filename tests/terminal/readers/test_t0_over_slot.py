"""The terminal's T=0 mapping and the strict T=0 slot, as a pair: one logical trace with and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from cardbench.emulator.chassis import Memory, SoftwareCard
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.t0 import T0Slot
from cardbench.protocol.apdu import CommandApdu
from cardbench.terminal.readers.t0 import exchange_t0

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.protocol.link import Slot


class Answering(SoftwareCard[list[int]]):
    """Answers with as many bytes as P1 and P2 say; each answer differs from the last."""

    def __init__(self) -> None:
        super().__init__(Memory())

    def atr(self) -> bytes:
        return bytes.fromhex("3B00")

    def fresh_volatile(self) -> list[int]:
        return [0]

    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:  # noqa: ARG002 - all cards share it
        self.volatile[0] += 1
        length = command.p1 << 8 | command.p2
        body = bytes((index + self.volatile[0]) & 0xFF for index in range(length))
        return body, 0x9000 if length % 2 else 0x6283


def powered(wrap: Callable[[CardSlot], Slot]) -> Slot:
    slot = CardSlot("pair")
    slot.insert(Answering())
    wrapped = wrap(slot)
    wrapped.power_on()
    return wrapped


commands = st.builds(
    CommandApdu,
    st.sampled_from((0x00, 0x80, 0x94)),
    st.sampled_from((0xB2, 0xA4, 0x20)),
    st.integers(0, 3),
    st.integers(0, 255),
    st.binary(max_size=255),
    st.one_of(st.none(), st.integers(1, 256)),
)


@given(st.lists(commands, max_size=12))
def test_each_command_is_executed_once_and_answered_as_without_t0(
    sequence: list[CommandApdu],
) -> None:
    plain, strict = powered(lambda slot: slot), powered(T0Slot)
    for command in sequence:
        raw = command.encode()
        assert exchange_t0(strict.transmit, raw) == plain.transmit(raw)
