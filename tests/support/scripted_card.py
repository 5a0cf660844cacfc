"""A card for tests of readers: whatever can happen on a link, a command makes happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.emulator.chassis import Memory, SoftwareCard
from cardbench.protocol.link import PowerLoss

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.protocol.apdu import CommandApdu

TWO_PROTOCOLS_ATR = bytes.fromhex("3B888001000000009171710098")


class ScriptedCard(SoftwareCard[dict[str, int]]):
    """Echoes command data behind a count of the commands since power-up.

    INS 02 answers P1×256+P2 bytes, 04 loses its power, 06 has a bug, 08 answers with the warning 6282.
    """

    def __init__(self, atr: bytes = TWO_PROTOCOLS_ATR) -> None:
        super().__init__(Memory())
        self.answer_to_reset = atr
        self.power_ups = 0
        self.power_downs = 0
        self.commands: list[bytes] = []
        self.is_mute = False
        self.hook: Callable[[], None] | None = None
        self.delay_s = 0.0

    def atr(self) -> bytes:
        return self.answer_to_reset

    def fresh_volatile(self) -> dict[str, int]:
        if self.is_mute:
            raise PowerLoss
        self.power_ups += 1
        return {"count": 0}

    def power_off(self) -> None:
        if self.is_powered:
            self.power_downs += 1
        super().power_off()

    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:
        self.commands.append(raw)
        self.volatile["count"] += 1
        count = self.volatile["count"]
        self.answer_delay_s = self.delay_s
        if self.hook is not None:
            self.hook()
        if command.ins == 0x02:
            return bytes(index % 251 for index in range(command.p1 << 8 | command.p2)), 0x9000
        if command.ins == 0x04:
            raise PowerLoss
        if command.ins == 0x06:
            raise ZeroDivisionError
        return bytes((count,)) + command.data, 0x6282 if command.ins == 0x08 else 0x9000
