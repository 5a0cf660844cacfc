"""Two test cards in two readers, moved by lines on standard input; run as a program of its own.

    bench.py rootless FOLDER    readers of a service in FOLDER
    bench.py vpcd               the readers of pcscd

Prints one JSON object when the cards are in. Then reads `insert N`, `remove N`, `value`, each answered by
one line; ends with standard input.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cardbench.emulator.chassis import Memory, SoftwareCard
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.pcsclite import PcscService
from cardbench.emulator.readers.t0 import T0Slot
from cardbench.emulator.readers.vpcd import PORTS, VpcdLink

if TYPE_CHECKING:
    from cardbench.protocol.apdu import CommandApdu

ATRS = ("3B888001000000009171710098", "3B3F9600805A4880C120501711223344829000")
VALUE = ("value",)


class TestCard(SoftwareCard[list[int]]):
    """A card whose every answer can be foreseen.

    84 gives eight bytes, B0 gives P1×256+P2 bytes, 32 adds one to a value that survives and gives it, 30
    gives it, 0E echoes, 10 answers P1 tenths of a second late, 1C counts commands since power-up, FF gives
    a warning without data. Everything else: 6D00.
    """

    def __init__(self, atr: str) -> None:
        super().__init__(Memory({VALUE: 0}))
        self._atr = bytes.fromhex(atr)

    def atr(self) -> bytes:
        return self._atr

    def fresh_volatile(self) -> list[int]:
        return [0]

    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:
        del raw
        self.volatile[0] += 1
        value = self.memory[VALUE]
        assert isinstance(value, int)
        match command.ins:
            case 0x84:
                return bytes(range(8)), 0x9000
            case 0xB0:
                length = command.p1 << 8 | command.p2
                return bytes(index % 251 for index in range(length)), 0x9000
            case 0x32:
                self.memory.commit({VALUE: value + 1})
                return (value + 1).to_bytes(4), 0x9000
            case 0x30:
                return value.to_bytes(4), 0x9000
            case 0x0E:
                return command.data, 0x9000
            case 0x10:
                self.answer_delay_s = command.p1 / 10
                return b"", 0x9000
            case 0x1C:
                return bytes((self.volatile[0],)), 0x9000
            case 0xFF:
                return b"", 0x6282
        return b"", 0x6D00


def main() -> None:
    slots = [CardSlot("Bench card"), CardSlot("Bench SAM")]
    cards = [TestCard(atr) for atr in ATRS]
    seen = [slots[0], T0Slot(slots[1])]
    for slot, card in zip(slots, cards, strict=True):
        slot.insert(card)
    with ExitStack() as stack:
        environment: dict[str, str] = {}
        if sys.argv[1] == "rootless":
            service = stack.enter_context(PcscService(Path(sys.argv[2]), power_down_s=0.4))
            names = [service.add_reader(slot).name for slot in seen]
            environment = service.environment
        else:
            links = [VpcdLink(slot, port=port) for slot, port in zip(seen, PORTS, strict=True)]
            for link in links:
                stack.enter_context(link)
            if not all(link.wait_until_plugged(10) for link in links):
                sys.exit("pcscd does not take the cards")
            names = ["Virtual PCD 00 00", "Virtual PCD 00 01"]
        print(json.dumps({"environment": environment, "readers": names}), flush=True)
        for line in sys.stdin:
            order, _, number = line.partition(" ")
            if order == "insert" and slots[int(number)].card is None:
                slots[int(number)].insert(cards[int(number)])
            elif order == "remove":
                slots[int(number)].remove()
            print(json.dumps(cards[0].memory[VALUE]), flush=True)


main()
