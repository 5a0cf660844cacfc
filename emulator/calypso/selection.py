"""Selection: applications by DF name, files by LID or by walking, and Get Data.

Source: calypso-card §2.1 (Select Application), §2.2 (FCI), §2.4 (Get Data), §3.1 and §3.2 (Select File).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from cardbench.emulator.calypso.table import COMMANDS
from cardbench.emulator.chassis import ANY, NO_DATA, Refusal, bits, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.fci import Fci
from cardbench.protocol.calypso.file_header import (
    DirectoryHeader,
    FileHeader,
    FileType,
    encode_ef_list,
)
from cardbench.protocol.calypso.ins import CalypsoIns, DataObject
from cardbench.protocol.calypso.startup import StartupInformation
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.calypso.structure import Application, ElementaryFile
    from cardbench.protocol.apdu import CommandApdu

_OCCURRENCE_MASK: Final = 0x03
_FIRST, _LAST, _NEXT, _PREVIOUS = range(4)
_RESPONSE_MASK: Final = 0x0C
_RETURN_FCI, _RETURN_FCP, _RETURN_FMD, _RETURN_NOTHING = 0x00, 0x04, 0x08, 0x0C
_INVALIDATED_FLAG: Final = 0x01


def fci_of(card: CalypsoCard, application: Application) -> bytes:
    """Return the FCI of an application."""
    serial = card.structure.serial
    return Fci(application.aid, serial, StartupInformation.parse(application.startup)).encode()


def directory_descriptor(card: CalypsoCard, application: Application) -> bytes:
    """Return `85 17` and the 23-byte descriptor of a DF."""
    slots = [cast("tuple[int, int, int, bytes]", card.value(k)) for k in application.key_slots[1:]]
    return DirectoryHeader(
        lid=application.lid,
        file_type=FileType.DF,
        access_conditions=application.access,
        key_indexes=application.key_levels,
        df_status=_INVALIDATED_FLAG if card.is_invalidated(application) else 0,
        kvcs=bytes(slot[1] for slot in slots),
        kifs=bytes(slot[0] for slot in slots),
    ).encode()


def _file_header(card: CalypsoCard, file: ElementaryFile) -> FileHeader:
    invalidated = card.is_invalidated(card.volatile.application)
    return FileHeader(
        lid=file.lid,
        sfi=file.sfi,
        ef_type=file.kind,
        record_size_bytes=file.record_size,
        record_count=file.record_count,
        access_conditions=file.access,
        key_indexes=file.key_levels,
        df_status=_INVALIDATED_FLAG if invalidated else 0,
        shared_reference=file.reference,
    )


def descriptor(card: CalypsoCard, file: ElementaryFile | None) -> bytes:
    """Return the descriptor of an EF, or of the current DF."""
    if file is None:
        return directory_descriptor(card, card.volatile.application)
    return _file_header(card, file).encode()


# Select Application


@COMMANDS.command(
    name="Select Application",
    ins=CalypsoIns.SELECT,
    p1=exactly(0x04),
    p2=bits("occurrence + response", 0xF0, 0x00),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=range(5, 17),
    answers=(0x9000, 0x6283, 0x6700, 0x6A82, 0x6B00),
    source="calypso-card §2.1",
)
def select_application(card: CalypsoCard, command: CommandApdu) -> tuple[bytes, int]:
    """Select by DF name or the left part of one; a running session is rolled back."""
    wanted = command.p2 & _RESPONSE_MASK
    if wanted == _RETURN_FMD:
        raise Refusal(StatusWord.P1P2_NOT_SUPPORTED)
    application = _matching_application(card, command.data, command.p2 & _OCCURRENCE_MASK)
    card.select(application)
    invalidated = card.is_invalidated(application)
    sw = StatusWord.INVALIDATED if invalidated else StatusWord.OK
    if wanted == _RETURN_NOTHING:
        return b"", sw
    if wanted == _RETURN_FCP:
        return directory_descriptor(card, application), sw
    return fci_of(card, application), sw


def _matching_application(card: CalypsoCard, name: bytes, occurrence: int) -> Application:
    everything = card.structure.applications
    matching = [each for each in everything if each.aid.startswith(name)]
    if occurrence in (_NEXT, _PREVIOUS):
        here = everything.index(card.volatile.application)
        if occurrence == _NEXT:
            matching = [each for each in everything[here + 1 :] if each in matching]
        else:
            matching = [each for each in everything[:here] if each in matching][::-1]
    elif occurrence == _LAST:
        matching.reverse()
    if not matching:
        raise Refusal(StatusWord.FILE_NOT_FOUND)
    return matching[0]


# Select File

_FIRST_EF_P2, _NEXT_EF_P2 = 0x00, 0x02


@COMMANDS.command(
    name="Select File (first EF, or by LID)",
    ins=CalypsoIns.SELECT,
    p1=exactly(0x02),
    p2=exactly(_FIRST_EF_P2),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((2,)),
    answers=(0x9000, 0x6700, 0x6A82),
    source="calypso-card §3.1",
)
def select_first_file(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Select the first EF of the DF for LID 0000, or the EF of another LID."""
    lid = int.from_bytes(command.data)
    if lid:
        return _select_lid(card, lid)
    files = card.volatile.application.files
    if not files:
        raise Refusal(StatusWord.FILE_NOT_FOUND)
    return _make_current(card, files[0])


@COMMANDS.command(
    name="Select File (next EF)",
    ins=CalypsoIns.SELECT,
    p1=exactly(0x02),
    p2=exactly(_NEXT_EF_P2),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((2,)),
    answers=(0x9000, 0x6700, 0x6A80, 0x6A82),
    source="calypso-card §3.1",
)
def select_next_file(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Select the EF behind the current one; the first where there is none."""
    if any(command.data):
        raise Refusal(StatusWord.WRONG_DATA)
    volatile = card.volatile
    files = volatile.application.files
    position = files.index(volatile.file) + 1 if volatile.file is not None else 0
    if position >= len(files):
        raise Refusal(StatusWord.FILE_NOT_FOUND)
    return _make_current(card, files[position])


@COMMANDS.command(
    name="Select File (current DF, or by LID)",
    ins=CalypsoIns.SELECT,
    p1=exactly(0x09),
    p2=exactly(0x00),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((2,)),
    answers=(0x9000, 0x6700, 0x6A82),
    source="calypso-card §3.1",
)
def select_lid(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Select the current DF for LID 0000, or an EF of it by its LID."""
    return _select_lid(card, int.from_bytes(command.data))


def _select_lid(card: CalypsoCard, lid: int) -> bytes:
    volatile = card.volatile
    application = volatile.application
    if lid in (0x0000, application.lid):
        volatile.file = None
        return directory_descriptor(card, application)
    file = application.by_lid.get(lid)
    if file is None:
        raise Refusal(StatusWord.FILE_NOT_FOUND)
    return _make_current(card, file)


def _make_current(card: CalypsoCard, file: ElementaryFile) -> bytes:
    card.volatile.file = file
    return descriptor(card, file)


# Get Data


@COMMANDS.command(
    name="Get Data",
    ins=CalypsoIns.GET_DATA,
    p1=ANY,
    p2=ANY,
    cases={IsoCase.DATA_OUT},
    lc=NO_DATA,
    answers=(0x9000, 0x6283, 0x6A88, 0x6B00),
    source="calypso-card §2.4",
)
def get_data(card: CalypsoCard, command: CommandApdu) -> bytes | tuple[bytes, int]:
    """Return a data object: 6B00 for a tag that Calypso does not know, 6A88 for one not there."""
    tag = command.p1 << 8 | command.p2
    if tag not in _KNOWN_OBJECTS:
        raise Refusal(StatusWord.P1P2_NOT_SUPPORTED)
    reader = _OBJECTS.get(tag)
    if reader is None:
        raise Refusal(StatusWord.DATA_NOT_FOUND)
    data = reader(card)
    if tag == DataObject.FCI and card.is_invalidated(card.volatile.application):
        return data, StatusWord.INVALIDATED
    return data


def _fci(card: CalypsoCard) -> bytes:
    return fci_of(card, card.volatile.application)


def _fcp(card: CalypsoCard) -> bytes:
    return descriptor(card, card.volatile.file)


def _ef_list(card: CalypsoCard) -> bytes:
    files = card.volatile.application.files
    return encode_ef_list(tuple(_file_header(card, file) for file in files))


def _traceability(card: CalypsoCard) -> bytes:
    return card.structure.traceability


_OBJECTS: dict[int, Callable[[CalypsoCard], bytes]] = {
    DataObject.FCI: _fci,
    DataObject.FCP: _fcp,
    DataObject.EF_LIST: _ef_list,
    DataObject.TRACEABILITY_INFORMATION: _traceability,
}
_KNOWN_OBJECTS = frozenset(DataObject) - {DataObject.CARD_KEY_PAIR}


@COMMANDS.command(
    name="Get Response",
    ins=CalypsoIns.GET_RESPONSE,
    p1=ANY,
    p2=ANY,
    cases={IsoCase.NO_DATA, IsoCase.DATA_OUT},
    answers=(0x6985,),
    source="calypso-card §4.23",
)
def get_response(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Refuse: this card answers at once, so nothing is ever pending."""
    raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
