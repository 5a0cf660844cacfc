"""The smallest card that shows all of the chassis.

Numbered files, written with a journal; the volatile record is a list of the instructions so far.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, cast

from cardbench.emulator.chassis import (
    NO_DATA,
    Answer,
    CommandTable,
    Entropy,
    Memory,
    Refusal,
    SoftwareCard,
    between,
)
from cardbench.protocol.apdu import CommandApdu, IsoCase

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Key


class Ins(IntEnum):
    """What the card understands."""

    GET_CHALLENGE = 0x84
    READ = 0xB0
    WRITE = 0xD0
    WRITE_ALL = 0xD2
    ERASE = 0xE0
    STUBBORN = 0xF0
    SLOW = 0xF2


class FileCard(SoftwareCard[list[int]]):
    """A card of files; see the module text."""

    def __init__(self, memory: Memory | None = None, *, seed: bytes = b"") -> None:
        super().__init__(memory or Memory({("file", 1): b"one"}), entropy=Entropy(seed))
        self.malformed: list[bytes] = []

    def atr(self) -> bytes:
        return b"\x3b\x00"

    def fresh_volatile(self) -> list[int]:
        return []

    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:
        assert CommandApdu.parse(raw) == command
        self.volatile.append(command.ins)
        answer = COMMANDS.find(command).handler(self, command)
        return answer if isinstance(answer, tuple) else (answer, 0x9000)

    def on_malformed(self, raw: bytes) -> None:
        if raw == b"\xdd":
            self.memory.commit({("malformed",): 1})
        self.malformed.append(raw)

    def on_deselect(self) -> None:
        self.memory.commit({("deselected",): 1})


COMMANDS: CommandTable[FileCard] = CommandTable("files")


def _file(command: CommandApdu) -> Key:
    return ("file", command.p1)


@COMMANDS.command(
    name="Get Challenge",
    ins=Ins.GET_CHALLENGE,
    cases={IsoCase.DATA_OUT},
    answers=(0x9000,),
    source="our choice",
)
def get_challenge(card: FileCard, command: CommandApdu) -> Answer:
    return card.entropy.draw(command.ne or 0)


@COMMANDS.command(
    name="Read",
    ins=Ins.READ,
    p1=between(0, 9),
    cases={IsoCase.DATA_OUT},
    answers=(0x9000, 0x6A82),
    source="our choice",
)
def read(card: FileCard, command: CommandApdu) -> Answer:
    if _file(command) not in card.memory:
        raise Refusal(0x6A82)
    return cast("bytes", card.memory[_file(command)])


@COMMANDS.command(
    name="Write",
    ins=Ins.WRITE,
    p1=between(0, 9),
    cases={IsoCase.DATA_IN},
    answers=(0x9000,),
    source="our choice",
)
def write(card: FileCard, command: CommandApdu) -> Answer:
    card.memory.commit({_file(command): command.data})
    return b""


@COMMANDS.command(
    name="Write All",
    ins=Ins.WRITE_ALL,
    p1=between(0, 9),
    cases={IsoCase.DATA_IN},
    answers=(0x9000, 0x6200),
    source="our choice",
)
def write_all(card: FileCard, command: CommandApdu) -> Answer:
    """Write the data to the files 0 … P1, in one commit."""
    card.memory.commit({("file", number): command.data for number in range(command.p1 + 1)})
    return command.data[:1], 0x6200


@COMMANDS.command(
    name="Erase",
    ins=Ins.ERASE,
    p1=between(0, 9),
    lc=NO_DATA,
    cases={IsoCase.NO_DATA},
    answers=(0x9000,),
    source="our choice",
)
def erase(card: FileCard, command: CommandApdu) -> Answer:
    card.memory.commit({_file(command): None})
    return b""


@COMMANDS.command(
    name="Stubborn",
    ins=Ins.STUBBORN,
    cases={IsoCase.NO_DATA},
    answers=(0x9000, 0x6F00),
    source="our choice",
)
def stubborn(card: FileCard, command: CommandApdu) -> Answer:
    """Answer whatever happens, as a careless applet does."""
    try:
        card.memory.commit({_file(command): b"stubborn"})
    except Exception:  # noqa: BLE001 - that is the point
        return b"", 0x6F00
    return b""


@COMMANDS.command(
    name="Slow", ins=Ins.SLOW, cases={IsoCase.NO_DATA}, answers=(0x9000,), source="our choice"
)
def slow(card: FileCard, command: CommandApdu) -> Answer:
    """Answer after P1 tenths of a second."""
    card.answer_delay_s = command.p1 / 10
    return b""
