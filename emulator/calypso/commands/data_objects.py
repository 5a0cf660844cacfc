"""Get Data, and the Get Response of T=0.

Source: calypso-card §2.4 (objects), §2.4.1 (EF list), §4.23 (Get Response). The layouts of DF name, AID
list and historical bytes are our choice: the sheet knows that real cards are asked for them, not what
they answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.calypso.commands import pki
from cardbench.emulator.calypso.commands.selection import descriptor, file_header
from cardbench.emulator.calypso.table import COMMANDS, UNDIGESTED
from cardbench.emulator.chassis import ANY, NO_DATA, Refusal
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.file_header import encode_ef_list
from cardbench.protocol.calypso.ins import CalypsoIns, DataObject
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.protocol.apdu import CommandApdu

_TAG_AID: Final = 0x4F
_HISTORICAL_COUNT_MASK: Final = 0x0F


@COMMANDS.command(
    name="Get Data",
    ins=CalypsoIns.GET_DATA,
    p1=ANY,
    p2=ANY,
    cases={IsoCase.DATA_OUT},
    lc=NO_DATA,
    answers=(0x9000, 0x6283, 0x6700, 0x6A88, 0x6B00),
    source="calypso-card §2.4",
)
def get_data(card: CalypsoCard, command: CommandApdu) -> bytes | tuple[bytes, int]:
    """Return a data object: 6B00 for a tag that Calypso does not know, 6A88 for one not there."""
    tag = command.p1 << 8 | command.p2
    reader = _OBJECTS.get(tag)
    if reader is None:
        raise Refusal(StatusWord.P1P2_NOT_SUPPORTED)
    data = reader(card)
    if not data:
        raise Refusal(StatusWord.DATA_NOT_FOUND)
    if tag == DataObject.FCI and card.is_invalidated(card.volatile.application):
        return data, StatusWord.INVALIDATED
    return data


def _fci(card: CalypsoCard) -> bytes:
    return card.volatile.application.fci


def _fcp(card: CalypsoCard) -> bytes:
    return descriptor(card, card.volatile.file)


def _ef_list(card: CalypsoCard) -> bytes:
    files = card.volatile.application.files
    return encode_ef_list(tuple(file_header(card, file) for file in files if file.is_listed))


def _traceability(card: CalypsoCard) -> bytes:
    return card.structure.traceability


def _df_name(card: CalypsoCard) -> bytes:
    aid = card.volatile.application.aid
    return bytes((_TAG_AID, len(aid))) + aid


def _other_aids(card: CalypsoCard) -> bytes:
    here = card.volatile.application
    others = [each.aid for each in card.structure.applications if each is not here]
    return b"".join(bytes((_TAG_AID, len(aid))) + aid for aid in others)


def _historical_bytes(card: CalypsoCard) -> bytes:
    """Cut the historical bytes out of the ATR, where interface bytes come before them."""
    atr = card.structure.atr
    present, position = atr[1] >> 4, 2
    while present & 0x08:  # another TD, behind TA, TB and TC
        position += present.bit_count()
        present = atr[position - 1] >> 4
    position += present.bit_count()
    return atr[position : position + (atr[1] & _HISTORICAL_COUNT_MASK)]


_OBJECTS: dict[int, Callable[[CalypsoCard], bytes]] = {
    DataObject.DF_NAME: _df_name,
    DataObject.FCP: _fcp,
    DataObject.FCI: _fci,
    DataObject.EF_LIST: _ef_list,
    DataObject.AID_LIST: _other_aids,
    DataObject.TRACEABILITY_INFORMATION: _traceability,
    DataObject.HISTORICAL_BYTES: _historical_bytes,
    DataObject.CARD_PUBLIC_KEY: pki.public_key,
    DataObject.CA_CERTIFICATE: pki.ca_certificate_head,
    DataObject.CA_CERTIFICATE_END: pki.ca_certificate_tail,
    DataObject.CARD_CERTIFICATE: pki.card_certificate_head,
    DataObject.CARD_CERTIFICATE_END: pki.card_certificate_tail,
}


@COMMANDS.command(
    name="Get Response",
    ins=CalypsoIns.GET_RESPONSE,
    p1=ANY,
    p2=ANY,
    cases={IsoCase.NO_DATA, IsoCase.DATA_OUT},
    answers=(0x6700, 0x6985),
    source="calypso-card §4.23",
    traits={UNDIGESTED},
)
def get_response(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Refuse: this card answers at once, so nothing is ever pending; 61XX is the reader's."""
    raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
