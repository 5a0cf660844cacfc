"""Commands on binary files: Read, Update, Write Binary, split to what one command carries.

With an SFI the offset has one byte; without, fifteen bits. So a part beyond offset 255 is addressed
without SFI, once the file is the current one; where no earlier part has made it so, one byte is read first.

Source: calypso-card §4.4, §4.5 (forms, examples); terminal-api §11.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.calypso.startup import BINARY_SIZE_MAX_BYTES
from cardbench.protocol.errors import MalformedCardData, UsageError
from cardbench.terminal.calypso.commands.checks import check_range, check_sfi
from cardbench.terminal.calypso.commands.records import ModifyingCommand, ReadingCommand, known_part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cardbench.terminal.calypso.card import CalypsoCard

SHORT_OFFSET_MAX = 0xFF
_WITH_SFI = 0x80
_RECORD = 1  # where the image keeps the content of a binary file


def check_binary(sfi: int, offset: int, length: int) -> None:
    """Refuse what is no SFI, or no part of a binary file."""
    check_sfi(sfi)
    check_range("offset", offset, 0, BINARY_SIZE_MAX_BYTES)
    check_range("length", length, 1, BINARY_SIZE_MAX_BYTES)
    if offset + length > BINARY_SIZE_MAX_BYTES + 1:
        raise UsageError(f"offset {offset} and length {length} end beyond {BINARY_SIZE_MAX_BYTES}")


def parts(offset: int, length: int, part_max_bytes: int) -> Iterator[tuple[int, int]]:
    """Cut a part of a file into offsets and lengths that one command carries."""
    for start in range(offset, offset + length, part_max_bytes):
        yield start, min(part_max_bytes, offset + length - start)


def _p1_p2(sfi: int, offset: int) -> tuple[int, int]:
    if sfi and offset <= SHORT_OFFSET_MAX:
        return _WITH_SFI | sfi, offset
    return offset >> 8, offset & 0xFF


class ReadBinary(ReadingCommand[bytes]):
    """Read Binary. The result is the bytes read."""

    name: ClassVar[str] = "Read Binary"
    __slots__ = ("length", "offset", "sfi")

    def __init__(self, cla: int, sfi: int, offset: int, length: int, *, is_strict: bool) -> None:
        p1, p2 = _p1_p2(sfi, offset)
        super().__init__(
            bytes((cla, CalypsoIns.READ_BINARY, p1, p2, length & 0xFF)), is_strict=is_strict
        )
        self.sfi = sfi
        self.offset = offset
        self.length = length

    def foresee_from_image(self, card: CalypsoCard) -> bytes | None:
        """Repeat the bytes, if all are known."""
        content = card.record(self.sfi, _RECORD)
        return None if content is None else known_part(content[self.offset :], self.length)

    def take(self, card: CalypsoCard, data: bytes) -> None:
        """Take the bytes into the image."""
        if len(data) > self.length:
            raise MalformedCardData(
                f"{self.describe()}: {len(data)} byte(s) came, {self.length} were asked"
            )
        self._value = data
        card.take_record(self.sfi, _RECORD, data, self.offset)


class UpdateBinary(ModifyingCommand):
    """Update Binary: replace bytes."""

    name: ClassVar[str] = "Update Binary"
    ins: ClassVar[CalypsoIns] = CalypsoIns.UPDATE_BINARY
    __slots__ = ("data", "offset", "sfi")

    def __init__(self, cla: int, sfi: int, offset: int, data: bytes) -> None:
        p1, p2 = _p1_p2(sfi, offset)
        super().__init__(bytes((cla, self.ins, p1, p2, len(data))) + data)
        self.sfi = sfi
        self.offset = offset
        self.data = data

    def take_effect(self, card: CalypsoCard) -> None:
        """Replace in the image."""
        card.take_record(self.sfi, _RECORD, self.data, self.offset)


class WriteBinary(UpdateBinary):
    """Write Binary: set bits (OR)."""

    name: ClassVar[str] = "Write Binary"
    ins: ClassVar[CalypsoIns] = CalypsoIns.WRITE_BINARY
    __slots__ = ()

    def take_effect(self, card: CalypsoCard) -> None:
        """Set bits in the image."""
        card.take_written(self.sfi, _RECORD, self.data, self.offset)
