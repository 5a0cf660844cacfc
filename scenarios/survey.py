"""Look at a card that somebody put into a reader: what is it, and what is in it?

Only commands that read, outside of any session, and only with the product's own class byte: nothing on
the card changes. Each group of commands is one exchange.

Source: calypso-card §2.2 (selection), §3.1 (Select File, next EF), §4.1 (Read Records); legacy-sam §2.1
(ATR of a SAM), §5.13 (Read Key Parameters).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cardbench.protocol.apdu import SHORT_NE_MAX, CommandApdu
from cardbench.protocol.calypso.fci import Fci
from cardbench.protocol.calypso.file_header import (
    DirectoryHeader,
    FileHeader,
    parse_file_header,
)
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.calypso.startup import ProductType
from cardbench.protocol.errors import FileNotFound, MalformedCardData
from cardbench.protocol.status import StatusWord
from cardbench.terminal.card import SUCCESS, PlainRequest

if TYPE_CHECKING:
    from cardbench.terminal.card import CardChannel

SELECT_BY_DF_NAME = 0x04
SELECT_CURRENT_DF = (0x09, 0x00)
SELECT_FIRST_EF = (0x02, 0x00)
SELECT_NEXT_EF = (0x02, 0x02)
NO_LID = bytes(2)
LID_OFFSET = 21
LID_OFFSET_REVISION_2 = 20
SV_GET_DEBIT = 0x09
SV_GET_DEBIT_SIZE_BYTES = 0x1E
SV_BALANCE = slice(8, 11)
FILES_MAX = 256
"""A card whose list of files does not end is not listened to for ever."""

_SELECTED = frozenset({int(StatusWord.OK), int(StatusWord.INVALIDATED)})


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSurvey:
    """What a Calypso card says of itself.

    Attributes:
        fci: answer to selection.
        is_invalidated: the application is invalidated.
        directory: header of the application's DF.
        files: headers of its EFs, in the card's order.
    """

    fci: Fci
    is_invalidated: bool
    directory: DirectoryHeader
    files: tuple[FileHeader, ...]

    def file(self, sfi: int) -> FileHeader | None:
        """Return the header of the EF with this SFI."""
        return next((header for header in self.files if header.sfi == sfi), None)


def select(channel: CardChannel, aid: bytes) -> tuple[Fci, bool]:
    """Select an application by its AID, or the first whose AID begins so.

    Returns:
        The FCI, and whether the application is invalidated.

    Raises:
        FileNotFound: no such application.
        CardError, ReaderError, MalformedCardData, MalformedTlv.
    """
    command = CommandApdu(
        0x00, CalypsoIns.SELECT, SELECT_BY_DF_NAME, 0x00, aid, SHORT_NE_MAX
    ).encode()
    response = _send(channel, "Select Application", command, success=_SELECTED)
    return Fci.parse(response[:-2]), response[-2:] == StatusWord.INVALIDATED.to_bytes(2)


def survey(channel: CardChannel, aid: bytes) -> CardSurvey:
    """Select an application and read the headers of its DF and EFs.

    Raises:
        FileNotFound: no such application.
        CardError, ReaderError, MalformedCardData, MalformedTlv.
    """
    fci, is_invalidated = select(channel, aid)
    product = fci.startup.product_type
    directory = _header(channel, product, SELECT_CURRENT_DF)
    if not isinstance(directory, DirectoryHeader):
        raise MalformedCardData("Select File of the current DF: the card describes no DF")
    files: list[FileHeader] = []
    header = _header(channel, product, SELECT_FIRST_EF)
    while isinstance(header, FileHeader) and len(files) < FILES_MAX:
        files.append(header)
        header = _header(channel, product, SELECT_NEXT_EF)
    return CardSurvey(
        fci=fci, is_invalidated=is_invalidated, directory=directory, files=tuple(files)
    )


def read_record(channel: CardChannel, cla: int, sfi: int, number: int) -> bytes:
    """Read one record of the current application.

    Raises:
        CardError, ReaderError.
    """
    command = CommandApdu(cla, CalypsoIns.READ_RECORDS, number, sfi << 3 | 0x04, ne=SHORT_NE_MAX)
    return _send(channel, "Read Record", command.encode())[:-2]


def purse_balance(channel: CardChannel, cla: int) -> int:
    """Return the balance of the Stored Value purse; asking for it changes nothing.

    Raises:
        CardError, ReaderError.
    """
    command = CommandApdu(cla, CalypsoIns.SV_GET, 0x00, SV_GET_DEBIT, ne=SV_GET_DEBIT_SIZE_BYTES)
    response = _send(channel, "SV Get", command.encode())
    return int.from_bytes(response[SV_BALANCE], signed=True)


def _header(
    channel: CardChannel, product: ProductType, p1p2: tuple[int, int]
) -> FileHeader | DirectoryHeader | None:
    cla = product.value.cla
    command = CommandApdu(cla, CalypsoIns.SELECT, *p1p2, NO_LID, SHORT_NE_MAX).encode()
    try:
        response = _send(channel, "Select File", command)
    except FileNotFound:
        return None
    lid_offset = LID_OFFSET_REVISION_2 if product is ProductType.PRIME_REVISION_2 else LID_OFFSET
    return parse_file_header(response[:-2], lid_offset=lid_offset)


def _send(
    channel: CardChannel,
    name: str,
    command: bytes,
    *,
    success: frozenset[int] = SUCCESS,
) -> bytes:
    return channel.transmit([PlainRequest(command, success, name)])[0]
