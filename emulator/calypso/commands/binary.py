"""Binary file commands: Read, Update and Write Binary.

P1 `80` + SFI with an offset in P2 addresses a file and makes it current; otherwise P1 P2 are a 15-bit
offset into the current EF.

Source: calypso-card §4.4, §4.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.calypso.commands.records import (
    FILE_REFUSALS,
    OVERHEAD_BYTES,
    addressed_file,
    check_readable,
    ored,
    replace,
)
from cardbench.emulator.calypso.table import COMMANDS, MODIFIES
from cardbench.emulator.chassis import ANY, Refusal, bits
from cardbench.protocol.apdu import SHORT_NE_MAX, IsoCase
from cardbench.protocol.calypso.file_header import EfAccess, EfType
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.calypso.structure import ElementaryFile
    from cardbench.protocol.apdu import CommandApdu

_BY_SFI: Final = 0x80
_SFI_MASK: Final = 0x1F
_WITH_SFI = bits("80 + SFI", 0xE0, _BY_SFI)
_WITH_OFFSET = bits("offset, high byte", 0x80, 0x00)
_WRITE_ANSWERS = (0x9000, 0x6400, 0x6700, 0x6A83, *FILE_REFUSALS)


def _addressed(card: CalypsoCard, command: CommandApdu) -> tuple[ElementaryFile, int]:
    """Return the file and the offset.

    Raises:
        Refusal: 6A82, 6986 no file; 6981 no binary file; 6A83 an offset behind its end.
    """
    if command.p1 & _BY_SFI:
        file, offset = addressed_file(card, command.p1 & _SFI_MASK), command.p2
    else:
        file, offset = addressed_file(card, 0), command.p1 << 8 | command.p2
    if file.kind is not EfType.BINARY:
        raise Refusal(StatusWord.WRONG_FILE_TYPE)
    if offset >= file.record_size:
        raise Refusal(StatusWord.RECORD_NOT_FOUND)
    return file, offset


def _read(card: CalypsoCard, command: CommandApdu) -> bytes:
    file, offset = _addressed(card, command)
    check_readable(card, file)
    return card.content(file)[offset : offset + (command.ne or SHORT_NE_MAX)]


def _write(card: CalypsoCard, command: CommandApdu, group: EfAccess) -> bytes:
    file, offset = _addressed(card, command)
    data = command.data
    if offset + len(data) > file.record_size:
        raise Refusal(StatusWord.WRONG_LENGTH)
    card.check_access(file, group)
    cost = len(data) + OVERHEAD_BYTES
    if group is EfAccess.WRITE_DECREASE:
        data = ored(card, file, offset, data)
    replace(card, file, offset, data, cost_bytes=cost)
    return b""


@COMMANDS.command(
    name="Read Binary (by SFI)",
    ins=CalypsoIns.READ_BINARY,
    p1=_WITH_SFI,
    p2=ANY,
    cases={IsoCase.DATA_OUT},
    answers=(0x9000, 0x6700, 0x6A83, *FILE_REFUSALS),
    source="calypso-card §4.4",
)
def read_binary_by_sfi(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Return up to `ne` bytes from an offset of 0 to 255 on."""
    return _read(card, command)


@COMMANDS.command(
    name="Read Binary (current EF)",
    ins=CalypsoIns.READ_BINARY,
    p1=_WITH_OFFSET,
    p2=ANY,
    cases={IsoCase.DATA_OUT},
    answers=(0x9000, 0x6700, 0x6981, 0x6982, 0x6985, 0x6986, 0x6A83),
    source="calypso-card §4.4",
)
def read_binary(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Return up to `ne` bytes of the current EF from an offset of 0 to 32,767 on."""
    return _read(card, command)


def _declare_write(ins: int, name: str, group: EfAccess, effect: str) -> None:
    def write(card: CalypsoCard, command: CommandApdu) -> bytes:
        return _write(card, command, group)

    write.__doc__ = effect
    for form, p1, answers in (
        ("by SFI", _WITH_SFI, _WRITE_ANSWERS),
        ("current EF", _WITH_OFFSET, tuple(sw for sw in _WRITE_ANSWERS if sw != 0x6A82)),
    ):
        COMMANDS.command(
            name=f"{name} ({form})",
            ins=ins,
            p1=p1,
            p2=ANY,
            cases={IsoCase.DATA_IN},
            answers=answers,
            source="calypso-card §4.5",
            traits={MODIFIES},
        )(write)


_declare_write(
    CalypsoIns.UPDATE_BINARY, "Update Binary", EfAccess.UPDATE, "Replace bytes from the offset on."
)
_declare_write(
    CalypsoIns.WRITE_BINARY,
    "Write Binary",
    EfAccess.WRITE_DECREASE,
    "Or the bytes from the offset on with the data.",
)
