"""Commands on the application itself: Select File, Get Data of what describes it, Invalidate.

Source: calypso-card §2.4 (Get Data), §3.1 (Select File forms), §4.16 (Invalidate, Rehabilitate).
"""

from __future__ import annotations

from enum import Enum, unique
from typing import TYPE_CHECKING, ClassVar

from cardbench.protocol.calypso.fci import Fci
from cardbench.protocol.calypso.file_header import (
    DirectoryHeader,
    FileHeader,
    parse_ef_list,
    parse_file_header,
)
from cardbench.protocol.calypso.ins import CalypsoIns, DataObject
from cardbench.protocol.calypso.startup import ProductType
from cardbench.protocol.errors import MalformedCardData, UsageError
from cardbench.protocol.status import StatusWord
from cardbench.terminal.calypso.commands.base import OK, Command
from cardbench.terminal.calypso.commands.checks import check_range
from cardbench.terminal.calypso.commands.records import ModifyingCommand
from cardbench.terminal.card.requests import SUCCESS

if TYPE_CHECKING:
    from cardbench.terminal.calypso.card import CalypsoCard

LID_MAX = 0xFFFF
LID_MF = 0x3F00
LID_CURRENT_DF = 0x3FFF

_OTHER_DF = frozenset({LID_MF, LID_CURRENT_DF})

_MAYBE_INVALIDATED = SUCCESS | {StatusWord.INVALIDATED}
_INVALIDATED = StatusWord.INVALIDATED.to_bytes(2)
_LID_OFFSET = 21
_REV2_LID_OFFSET = 20


@unique
class SelectFileControl(Enum):
    """What Select File selects without a LID; the value is P1 P2."""

    FIRST_EF = (0x02, 0x00)
    NEXT_EF = (0x02, 0x02)
    CURRENT_DF = (0x09, 0x00)


# P1 of Select File by LID; products that are not named take the first.
_BY_LID = 0x09
_BY_LID_OF_PRODUCT = {ProductType.PRIME_REVISION_1: 0x08, ProductType.PRIME_REVISION_2: 0x02}
_BY_LID_LEGACY_CASE_1 = 0x08


class SelectFile(Command[FileHeader | DirectoryHeader]):
    """Select File. The result is the description of the file; it becomes the current one.

    Args:
        card: the card, for the form of its product; None: not known yet.
        target: LID of an EF, or what to select without.
        cla: class byte.
    """

    name: ClassVar[str] = "Select File"
    is_case_4 = True
    __slots__ = ("is_by_lid",)

    def __init__(self, cla: int, target: int | SelectFileControl, card: CalypsoCard | None) -> None:
        if isinstance(target, SelectFileControl):
            self.is_by_lid = False
            p1, p2 = target.value
            lid = 0
        else:
            check_range("LID", target, 0, LID_MAX)
            if target in _OTHER_DF:
                raise UsageError(f"LID {target:04X} leaves the selected application")
            self.is_by_lid = True
            p1, p2, lid = _BY_LID, 0, target
            if card is not None:
                p1 = _BY_LID_OF_PRODUCT.get(card.product_type, _BY_LID)
                if card.is_legacy_case_1:
                    p1 = _BY_LID_LEGACY_CASE_1
        header = bytes((cla, CalypsoIns.SELECT, p1, p2, 2))
        super().__init__(header + lid.to_bytes(2) + b"\0")

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take the description into the image."""
        header = _header_of(card, response[:-2])
        if self.is_by_lid and not isinstance(header, FileHeader):
            raise MalformedCardData(f"{self.describe()}: the file is a DF, not an EF")
        self._value = header
        _take_header(card, header)


def _header_of(card: CalypsoCard, raw: bytes) -> FileHeader | DirectoryHeader:
    is_rev2 = card.product_type is ProductType.PRIME_REVISION_2
    return parse_file_header(raw, lid_offset=_REV2_LID_OFFSET if is_rev2 else _LID_OFFSET)


def _take_header(card: CalypsoCard, header: FileHeader | DirectoryHeader) -> None:
    if isinstance(header, DirectoryHeader):
        card.directory_header = header
        card.is_df_invalidated = header.is_invalidated
    else:
        card.take_header(header, is_current=True)


class _Describe(Command[bytes]):
    """Get Data of an object that describes the application. The result is the object as it came."""

    tag: ClassVar[DataObject]
    is_digested: ClassVar[bool] = False
    __slots__ = ()

    def __init__(self, cla: int) -> None:
        super().__init__(bytes((cla, CalypsoIns.GET_DATA, self.tag >> 8, self.tag & 0xFF, 0)))

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Keep the object, take it into the image."""
        self._value = response[:-2]
        self.take(card, response)

    def take(self, card: CalypsoCard, response: bytes) -> None:
        """Take the object into the image."""
        raise NotImplementedError


class GetFci(_Describe):
    """Get Data of the FCI of the current DF: tells what the card is when SELECT did not."""

    name: ClassVar[str] = "Get Data (FCI)"
    tag: ClassVar[DataObject] = DataObject.FCI
    success = _MAYBE_INVALIDATED
    __slots__ = ()

    def take(self, card: CalypsoCard, response: bytes) -> None:
        """Identify the card."""
        card.identify(Fci.parse(response[:-2]))
        card.is_df_invalidated = response[-2:] == _INVALIDATED


class GetFcp(_Describe):
    """Get Data of the FCP of the current file."""

    name: ClassVar[str] = "Get Data (FCP)"
    tag: ClassVar[DataObject] = DataObject.FCP
    __slots__ = ()

    def take(self, card: CalypsoCard, response: bytes) -> None:
        """Take the file's description."""
        _take_header(card, _header_of(card, response[:-2]))


class GetEfList(_Describe):
    """Get Data of the list of EFs of the current DF."""

    name: ClassVar[str] = "Get Data (EF list)"
    tag: ClassVar[DataObject] = DataObject.EF_LIST
    __slots__ = ()

    def take(self, card: CalypsoCard, response: bytes) -> None:
        """Take the descriptions of all EFs."""
        for header in parse_ef_list(response[:-2]):
            card.take_header(header, is_current=False)


class GetTraceability(_Describe):
    """Get Data of the traceability information."""

    name: ClassVar[str] = "Get Data (traceability information)"
    tag: ClassVar[DataObject] = DataObject.TRACEABILITY_INFORMATION
    __slots__ = ()

    def take(self, card: CalypsoCard, response: bytes) -> None:
        """Keep it."""
        card.traceability_information = response[:-2]


DESCRIPTIONS: dict[DataObject, type[_Describe]] = {
    command.tag: command for command in (GetFci, GetFcp, GetEfList, GetTraceability)
}


class Invalidate(ModifyingCommand):
    """Invalidate the DF: it can be read, not written any more."""

    name: ClassVar[str] = "Invalidate"
    __slots__ = ()

    def __init__(self, cla: int) -> None:
        super().__init__(bytes((cla, CalypsoIns.INVALIDATE, 0, 0, 0)))

    def take_effect(self, card: CalypsoCard) -> None:
        """Mark the DF."""
        card.is_df_invalidated = True


class Rehabilitate(ModifyingCommand):
    """Rehabilitate an invalidated DF."""

    name: ClassVar[str] = "Rehabilitate"
    __slots__ = ()

    def __init__(self, cla: int) -> None:
        super().__init__(bytes((cla, CalypsoIns.REHABILITATE, 0, 0, 0)))

    def take_effect(self, card: CalypsoCard) -> None:
        """Clear the mark."""
        card.is_df_invalidated = False


class GetChallenge(Command[bytes]):
    """Get Challenge: 8 random bytes, for a ciphered PIN or key."""

    name: ClassVar[str] = "Get Challenge"
    size_in_answer_bytes: ClassVar[int] = 8
    __slots__ = ()

    def __init__(self, cla: int) -> None:
        super().__init__(bytes((cla, CalypsoIns.GET_CHALLENGE, 0, 0, self.size_in_answer_bytes)))

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Keep the challenge."""
        del card
        if len(response) != self.size_in_answer_bytes + len(OK):
            raise MalformedCardData(f"{self.describe()}: {len(response) - 2} byte(s) came, 8 asked")
        self._value = response[:-2]
