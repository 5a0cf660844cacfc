"""SV Prepare Load, Debit, Undebit and SV Check.

The SAM signs what the terminal is about to send to the card, and checks the card's answer later: the
expected answer is kept over the end of a session, until Check, another Prepare, or reset.

The header of SV Get may say Le = 00, as older terminals do; what is signed holds the answer's length, on
which the card relies whatever Le it received.

The KIF is never on the wire: 07 for Load, 10 for Debit and Undebit, with the KVC of the SV Get answer.

Source: legacy-sam §5.21, §7.7; calypso-card §6.8.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, NamedTuple

from cardbench.emulator.chassis import Answer, Refusal, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import CalypsoIns, SamIns
from cardbench.protocol.calypso.sam import SV_DEBIT_KIF, SV_LOAD_KIF, SV_NUMBER_MAX
from cardbench.protocol.status import StatusWord
from cardbench.sam_emulator import layout
from cardbench.sam_emulator.state import SvTransaction
from cardbench.sam_emulator.table import TABLE

if TYPE_CHECKING:
    from cardbench.protocol.apdu import CommandApdu
    from cardbench.sam_emulator.card import SamCard

_SV_GET_HEADER = 4
_LE = 3  # offset in that header
_STATUS_WORD = 2
_KVC_REGULAR, _KVC_EXTENDED = 0, 8  # offsets in the SV Get answer
_OK = StatusWord.OK.to_bytes(2)
_CHALLENGE = 3
_CHECK_REGULAR, _CHECK_EXTENDED = 3, 6

for _ins in (SamIns.SV_PREPARE_LOAD, SamIns.SV_PREPARE_DEBIT, SamIns.SV_PREPARE_UNDEBIT):
    TABLE.refuse_parameters(_ins, StatusWord.WRONG_P1P2_LEGACY)


class _Operation(NamedTuple):
    """The layout of one operation.

    Attributes:
        ins: instruction of the card command that is prepared.
        kif: of the purse key.
        sv_get_p2: P2 of the SV Get that must come before.
        answers: length of its answer by mode (regular, extended).
        partial: bytes of the partial command.
        kvc: offset of the KVC in it.
        lcs: Lc of the whole card command by mode.
    """

    ins: int
    kif: int
    sv_get_p2: int
    answers: tuple[int, int]
    partial: int
    kvc: int
    lcs: tuple[int, int]

    @property
    def lengths(self) -> tuple[int, int]:
        """Data lengths of SV Prepare by mode."""
        around = _SV_GET_HEADER + _STATUS_WORD + self.partial
        return self.answers[0] + around, self.answers[1] + around


_LOAD = _Operation(CalypsoIns.SV_RELOAD, SV_LOAD_KIF, 0x07, (0x21, 0x3D), 15, 8, (0x17, 0x1C))
_DEBIT = _Operation(CalypsoIns.SV_DEBIT, SV_DEBIT_KIF, 0x09, (0x1E, 0x3D), 12, 11, (0x14, 0x19))
_UNDEBIT = _DEBIT._replace(ins=CalypsoIns.SV_UNDEBIT)

_PREPARE_ANSWERS = (
    StatusWord.OK,
    StatusWord.WRONG_LENGTH,
    StatusWord.CONDITIONS_NOT_SATISFIED,
    StatusWord.WRONG_DATA,
    StatusWord.RECORD_NOT_FOUND,
)


@TABLE.command(
    name="SV Prepare Load",
    ins=SamIns.SV_PREPARE_LOAD,
    p1=exactly(0x01),
    p2=exactly(0xFF),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset(_LOAD.lengths),
    answers=_PREPARE_ANSWERS,
    source="legacy-sam §5.21, §7.7",
)
def sv_prepare_load(card: SamCard, command: CommandApdu) -> Answer:
    """Sign a load; see `_prepare`."""
    return _prepare(card, command.data, _LOAD)


@TABLE.command(
    name="SV Prepare Debit",
    ins=SamIns.SV_PREPARE_DEBIT,
    p1=exactly(0x01),
    p2=exactly(0xFF),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset(_DEBIT.lengths),
    answers=_PREPARE_ANSWERS,
    source="legacy-sam §5.21, §7.7",
)
def sv_prepare_debit(card: SamCard, command: CommandApdu) -> Answer:
    """Sign a debit; see `_prepare`."""
    return _prepare(card, command.data, _DEBIT)


@TABLE.command(
    name="SV Prepare Undebit",
    ins=SamIns.SV_PREPARE_UNDEBIT,
    p1=exactly(0x01),
    p2=exactly(0xFF),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset(_UNDEBIT.lengths),
    answers=_PREPARE_ANSWERS,
    source="legacy-sam §5.21, §7.7",
)
def sv_prepare_undebit(card: SamCard, command: CommandApdu) -> Answer:
    """Sign an undebit; see `_prepare`."""
    return _prepare(card, command.data, _UNDEBIT)


def _prepare(card: SamCard, data: bytes, operation: _Operation) -> bytes:
    """Return challenge 3 ‖ SAM transaction number 3 ‖ signature 5 or 10, and await the card's answer.

    The number is raised, in the memory, before the signature leaves.
    """
    volatile = card.volatile
    extended = len(data) == operation.lengths[1]
    if extended and not volatile.features.extended:
        raise Refusal(StatusWord.WRONG_LENGTH)
    kvc = _checked_kvc(data, operation, extended=extended)
    length = operation.answers[extended]
    number = card.sv_number
    if not volatile.diversifier or number >= SV_NUMBER_MAX:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    key = card.diversified(card.work_key(operation.kif, kvc))
    number += 1
    card.memory.commit({layout.SV_NUMBER: number})
    chosen = card.entropy.draw(_CHALLENGE) + number.to_bytes(3)
    signed = data[:_LE] + bytes((length,)) + data[_LE + 1 :]
    message = signed + chosen + card.serial
    signature = card.suite.sv_signature_hi(key, message, extended=extended)
    volatile.sv = SvTransaction(key, message, signature, extended=extended)
    return chosen + signature


def _checked_kvc(data: bytes, operation: _Operation, *, extended: bool) -> int:
    """Return the KVC of the SV Get answer, once header, answer and partial command fit one another.

    Raises:
        Refusal: 6A80, they do not.
    """
    length = operation.answers[extended]
    header = bytes((CalypsoIns.SV_GET, int(extended), operation.sv_get_p2))
    answer = data[_SV_GET_HEADER : _SV_GET_HEADER + length + _STATUS_WORD]
    partial = data[-operation.partial :]
    kvc = answer[_KVC_EXTENDED if extended else _KVC_REGULAR]
    if (
        data[:_LE] != header
        or data[_LE] not in {0, length}
        or answer[-_STATUS_WORD:] != _OK
        or partial[:5] != bytes((operation.ins, 0, 0, operation.lcs[extended], 0))
        or partial[operation.kvc] != kvc
    ):
        raise Refusal(StatusWord.WRONG_DATA)
    return kvc


@TABLE.command(
    name="SV Check",
    ins=SamIns.SV_CHECK,
    p1=exactly(0),
    p2=exactly(0),
    cases={IsoCase.DATA_IN, IsoCase.DATA_OUT, IsoCase.NO_DATA},
    lc=frozenset((0, _CHECK_REGULAR, _CHECK_EXTENDED)),
    answers=(
        StatusWord.OK,
        StatusWord.WRONG_LENGTH,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.WRONG_CRYPTOGRAM,
    ),
    source="legacy-sam §5.21, §6.2",
)
def sv_check(card: SamCard, command: CommandApdu) -> Answer:
    """Check the card's signature; without data: cancel. The operation is over, right or wrong."""
    volatile = card.volatile
    sv = volatile.sv
    if sv is None:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    given = command.data
    if given:
        if len(given) != (_CHECK_EXTENDED if sv.extended else _CHECK_REGULAR):
            raise Refusal(StatusWord.WRONG_LENGTH)
        right = card.suite.sv_signature_lo(sv.key, sv.message, sv.signature, extended=sv.extended)
        if not hmac.compare_digest(given, right):
            volatile.sv = None
            raise Refusal(StatusWord.WRONG_CRYPTOGRAM)
    volatile.sv = None
    return b""
