"""Selection: applications by DF name, files by LID, by path or by walking.

Source: calypso-card §2.1 (Select Application), §3.1 and §3.2 (Select File, descriptors).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from cardbench.emulator.calypso.table import COMMANDS
from cardbench.emulator.chassis import NO_DATA, Refusal, bits, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.file_header import DirectoryHeader, FileHeader, FileType
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.calypso.structure import Application, ElementaryFile
    from cardbench.protocol.apdu import CommandApdu

LID_SIZE: Final = 2
LID_MASTER_FILE: Final = 0x3F00
_HERE: Final = 0x0000
"""LID that stands for the current DF."""
_OCCURRENCE_MASK: Final = 0x03
_FIRST, _LAST, _NEXT, _PREVIOUS = range(4)
_RESPONSE_MASK: Final = 0x0C
_RETURN_FCI, _RETURN_FCP, _RETURN_FMD, _RETURN_NOTHING = 0x00, 0x04, 0x08, 0x0C
_INVALIDATED_FLAG: Final = 0x01
_KEYS: Final = slice(1, 4)
_USUAL_LID_OFFSET: Final = 21
_HEAD_SIZE: Final = 2
_CASES = frozenset((IsoCase.DATA_IN, IsoCase.DATA_IN_OUT))
_CASES_WITHOUT_DATA = frozenset((IsoCase.NO_DATA, IsoCase.DATA_OUT))


# Descriptors


def directory_descriptor(card: CalypsoCard, application: Application) -> bytes:
    """Return `85 17` and the 23-byte descriptor of a DF."""
    slots = [cast("tuple[int, ...]", card.value(key)) for key in application.key_slots[_KEYS]]
    shows_kif = card.structure.profile.descriptor_shows_kif
    header = DirectoryHeader(
        lid=application.lid,
        file_type=FileType.MF if application.is_master else FileType.DF,
        access_conditions=application.access,
        key_indexes=application.key_levels,
        df_status=_INVALIDATED_FLAG if card.is_invalidated(application) else 0,
        kvcs=bytes(slot[1] for slot in slots),
        kifs=bytes(slot[0] for slot in slots) if shows_kif else bytes(len(slots)),
    )
    return _with_lid_in_place(card, header.encode())


def file_header(card: CalypsoCard, file: ElementaryFile) -> FileHeader:
    """Describe an EF of the current DF."""
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
    return _with_lid_in_place(card, file_header(card, file).encode())


def _with_lid_in_place(card: CalypsoCard, encoded: bytes) -> bytes:
    """Move the LID to where the product has it: revision 2 one byte before its usual place."""
    offset = card.structure.profile.descriptor_lid_offset
    if offset == _USUAL_LID_OFFSET:
        return encoded
    lid = encoded[_HEAD_SIZE + _USUAL_LID_OFFSET :]
    return (encoded[: _HEAD_SIZE + offset] + lid).ljust(len(encoded), b"\0")


# Select Application


@COMMANDS.command(
    name="Select Application",
    ins=CalypsoIns.SELECT,
    p1=exactly(0x04),
    p2=bits("occurrence + response", 0xF0, 0x00),
    cases=_CASES,
    lc=range(5, 17),
    answers=(0x9000, 0x6283, 0x6700, 0x6A82, 0x6B00),
    source="calypso-card §2.1",
)
def select_application(card: CalypsoCard, command: CommandApdu) -> tuple[bytes, int]:
    """Select by DF name or the left part of one; a running session is rolled back.

    P2: occurrence (first, last, next, previous) and what is returned (FCI, FCP, nothing).
    """
    wanted = command.p2 & _RESPONSE_MASK
    if wanted == _RETURN_FMD:
        raise Refusal(StatusWord.P1P2_NOT_SUPPORTED)
    application = _matching_application(card, command.data, command.p2 & _OCCURRENCE_MASK)
    card.select(application)
    sw = StatusWord.INVALIDATED if card.is_invalidated(application) else StatusWord.OK
    if wanted == _RETURN_NOTHING:
        return b"", sw
    if wanted == _RETURN_FCP:
        return directory_descriptor(card, application), sw
    return application.fci, sw


def _matching_application(card: CalypsoCard, name: bytes, occurrence: int) -> Application:
    everything = card.structure.applications
    if occurrence in (_NEXT, _PREVIOUS):
        here = everything.index(card.volatile.application)
        everything = everything[here + 1 :] if occurrence == _NEXT else everything[:here]
    if occurrence in (_LAST, _PREVIOUS):
        everything = everything[::-1]
    for application in everything:
        if application.aid.startswith(name):
            return application
    raise Refusal(StatusWord.FILE_NOT_FOUND)


# Select File

_ANSWERS = (0x9000, 0x6700, 0x6A82)


@COMMANDS.command(
    name="Select File (first EF, or by LID)",
    ins=CalypsoIns.SELECT,
    p1=exactly(0x02),
    p2=exactly(0x00),
    cases=_CASES,
    lc=frozenset((LID_SIZE,)),
    answers=_ANSWERS,
    source="calypso-card §3.1",
)
def select_first_file(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Select the first EF of the DF for LID 0000, or the EF of another LID."""
    lid = int.from_bytes(command.data)
    if lid != _HERE:
        return _select_lid(card, lid)
    files = card.volatile.application.files
    if not files:
        raise Refusal(StatusWord.FILE_NOT_FOUND)
    return _make_current(card, files[0])


@COMMANDS.command(
    name="Select File (next EF)",
    ins=CalypsoIns.SELECT,
    p1=exactly(0x02),
    p2=exactly(0x02),
    cases=_CASES,
    lc=frozenset((LID_SIZE,)),
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
    cases=_CASES | _CASES_WITHOUT_DATA,
    lc=frozenset((0, LID_SIZE)),
    answers=_ANSWERS,
    source="calypso-card §3.1",
)
def select_lid(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Select the current DF for LID 0000 or no data, or an EF of it by its LID."""
    return _select_lid(card, int.from_bytes(command.data))


@COMMANDS.command(
    name="Select File (by path)",
    ins=CalypsoIns.SELECT,
    p1=exactly(0x08),
    p2=exactly(0x00),
    cases=_CASES,
    lc=range(LID_SIZE, 4 * LID_SIZE + 1, LID_SIZE),
    answers=_ANSWERS,
    source="calypso-card §3.1 (revision 1 and observed cards)",
)
def select_path(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Select along LIDs of a DF, or of the MF, and of an EF in it; a single LID is an EF's or a DF's."""
    path = command.data
    lids = [int.from_bytes(path[i : i + LID_SIZE]) for i in range(0, len(path), LID_SIZE)]
    application = card.volatile.application
    reached: ElementaryFile | None = None
    for lid in lids:
        if reached is not None:
            raise Refusal(StatusWord.FILE_NOT_FOUND)
        reached = application.by_lid.get(lid)
        if reached is None:
            application = _directory(card, lid)
    return _go_to(card, application, reached)


@COMMANDS.command(
    name="Select File (MF, or by LID)",
    ins=CalypsoIns.SELECT,
    p1=exactly(0x00),
    p2=exactly(0x00),
    cases=_CASES | _CASES_WITHOUT_DATA,
    lc=frozenset((0, LID_SIZE)),
    answers=_ANSWERS,
    source="calypso-card §3.1 (observed cards)",
)
def select_master_file(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Select the MF for no data or its LID; else an EF of the current DF, or another DF."""
    lid = int.from_bytes(command.data) if command.data else LID_MASTER_FILE
    application = card.volatile.application
    file = application.by_lid.get(lid)
    if file is not None:
        return _make_current(card, file)
    return _go_to(card, _directory(card, lid), None)


@COMMANDS.command(
    name="Select File (parent DF)",
    ins=CalypsoIns.SELECT,
    p1=exactly(0x03),
    p2=exactly(0x00),
    cases=_CASES_WITHOUT_DATA,
    lc=NO_DATA,
    answers=_ANSWERS,
    source="calypso-card §3.1 (observed cards)",
)
def select_parent(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Select the MF, which is the parent of every DF here."""
    return _go_to(card, _directory(card, LID_MASTER_FILE), None)


def _select_lid(card: CalypsoCard, lid: int) -> bytes:
    volatile = card.volatile
    application = volatile.application
    if lid in (_HERE, application.lid):
        volatile.file = None
        return directory_descriptor(card, application)
    file = application.by_lid.get(lid)
    if file is None:
        raise Refusal(StatusWord.FILE_NOT_FOUND)
    return _make_current(card, file)


def _make_current(card: CalypsoCard, file: ElementaryFile) -> bytes:
    card.volatile.file = file
    return descriptor(card, file)


def _directory(card: CalypsoCard, lid: int) -> Application:
    for application in card.structure.applications:
        if application.lid == lid:
            return application
    raise Refusal(StatusWord.FILE_NOT_FOUND)


def _go_to(card: CalypsoCard, application: Application, file: ElementaryFile | None) -> bytes:
    """Make a DF and an EF of it current; another DF than before ends what belonged to that one."""
    if application is not card.volatile.application:
        card.select(application)
    card.volatile.file = file
    return descriptor(card, file)
