"""Selection of a Calypso card: what is asked along with SELECT, and which cards match.

The product is not known yet when the commands are built: they carry the ISO class, which old cards may
refuse. Reads and the pre-open are best effort: what a card does not have, or refuses, is simply not in
its image, so that one prepared selection runs on every product. A card that does not speak the class or
the instruction is left alone as well; any other refusal of Select File or Get Data is an error, since an
application that asks for them relies on them.

Nothing here leaves the selected application: a LID that names another DF is refused, when it is known to
be one, and a DF that answers to a LID is an error.

An invalidated card (6283) does not match, unless `accept_invalidated`.

Source: terminal-api §9; calypso-card §2.1, §2.2, §5.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cardbench.protocol.calypso.ins import CLA_ISO, DataObject
from cardbench.protocol.errors import CardError, NotSupported, UsageError
from cardbench.protocol.status import StatusWord
from cardbench.terminal.calypso.card import CalypsoCard
from cardbench.terminal.calypso.commands.binary import (
    SHORT_OFFSET_MAX,
    ReadBinary,
    check_binary,
    parts,
)
from cardbench.terminal.calypso.commands.checks import check_level
from cardbench.terminal.calypso.commands.management import (
    DESCRIPTIONS,
    SelectFile,
    SelectFileControl,
)
from cardbench.terminal.calypso.commands.records import ReadCounter, ReadingCommand, ReadRecord
from cardbench.terminal.calypso.commands.session import PreOpenSecureSession
from cardbench.terminal.card.extension import CardSelectionRequest
from cardbench.terminal.card.requests import SUCCESS

if TYPE_CHECKING:
    from cardbench.protocol.calypso.ins import WriteAccessLevel
    from cardbench.terminal.calypso.commands.base import Command
    from cardbench.terminal.card.extension import CardSelectionResponse

PAYLOAD_MAX_BYTES = 250

_INVALIDATED = StatusWord.INVALIDATED.to_bytes(2)
_NOT_SPOKEN = frozenset({int(StatusWord.CLA_NOT_SUPPORTED), int(StatusWord.INS_NOT_SUPPORTED)})


class CalypsoSelection:
    """Selection extension for Calypso cards; implements `CardSelectionExtension`.

    Args:
        accept_invalidated: an invalidated card matches too.

    What it prepares may run many times; the results are in the image of each card. Not thread-safe
    while it is being prepared.
    """

    def __init__(self, *, accept_invalidated: bool = False) -> None:
        self._success = SUCCESS | {StatusWord.INVALIDATED} if accept_invalidated else SUCCESS
        self._commands: list[Command[Any]] = []

    def prepare_select_file(self, target: int | SelectFileControl) -> None:
        """Describe an EF by its LID, the first or next EF, or the current DF with its keys.

        Raises:
            UsageError: a LID out of range, or one that leaves the application.
        """
        self._commands.append(SelectFile(CLA_ISO, target, None))

    def prepare_get_data(self, tag: DataObject) -> None:
        """Read FCI, FCP, EF_LIST or TRACEABILITY_INFORMATION.

        The FCI serves where SELECT is done by somebody else, and gave none.

        Raises:
            NotSupported: another object.
        """
        description = DESCRIPTIONS.get(tag)
        if description is None:
            allowed = ", ".join(one.name for one in DESCRIPTIONS)
            raise NotSupported(f"Get Data of {tag:04X} at selection; allowed: {allowed}")
        self._commands.append(description(CLA_ISO))

    def prepare_read_record(self, sfi: int, record: int = 1) -> None:
        """Read a record, whatever its length.

        Raises:
            UsageError: SFI or record number out of range.
        """
        self._commands.append(ReadRecord(CLA_ISO, sfi, record, 0, is_strict=False))

    def prepare_read_binary(self, sfi: int, offset: int, length: int) -> None:
        """Read a part of a binary file, in as many commands as it takes.

        Raises:
            UsageError: SFI, offset or length out of range.
        """
        check_binary(sfi, offset, length)
        if sfi and offset > SHORT_OFFSET_MAX:
            self._commands.append(ReadBinary(CLA_ISO, sfi, 0, 1, is_strict=False))
        for start, size in parts(offset, length, PAYLOAD_MAX_BYTES):
            self._commands.append(ReadBinary(CLA_ISO, sfi, start, size, is_strict=False))

    def prepare_read_counter(self, sfi: int, number: int) -> None:
        """Read counters 1 to `number`.

        Raises:
            UsageError: SFI or counter number out of range.
        """
        self._commands.append(ReadCounter(CLA_ISO, sfi, number, is_strict=False))

    def prepare_pre_open_secure_session(self, level: WriteAccessLevel) -> None:
        """Ask what a session of this level will open with: then it needs no exchange of its own.

        It serves where card and module know the extended mode, and all that the session reads was read
        at selection.

        Raises:
            UsageError: a pre-open is prepared already, or no such level.
        """
        if any(isinstance(command, PreOpenSecureSession) for command in self._commands):
            raise UsageError("one pre-open per selection: one is prepared already")
        self._commands.append(PreOpenSecureSession(check_level(level)))

    def card_selection_request(self) -> CardSelectionRequest:
        """Return the prepared commands."""
        return CardSelectionRequest(tuple(self._commands), self._success)

    def parse(self, response: CardSelectionResponse) -> CalypsoCard:
        """Make the card's image.

        Raises:
            ProtocolError: FCI or answers do not decode.
            CardError: Select File or Get Data was refused.
        """
        select = response.select_application_response
        card = CalypsoCard.from_selection(
            response.power_on_data,
            select,
            is_df_invalidated=select is not None and select[-2:] == _INVALIDATED,
        )
        for command, answer in zip(self._commands, response.responses, strict=False):
            sw = int.from_bytes(answer[-2:])
            if isinstance(command, ReadingCommand):
                if sw in SUCCESS:
                    command.take(card, answer[:-2])
            elif sw in command.success:
                command.accept(card, answer)
            elif not isinstance(command, PreOpenSecureSession) and sw not in _NOT_SPOKEN:
                raise CardError.of(sw, command.describe(), sorted(command.success, reverse=True))
        return card
