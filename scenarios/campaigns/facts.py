"""What a terminal can know of a Calypso card: read from the card, and as a terminal's image shows it.

Both sides are dictionaries with the same keys, so that they can be compared:

    ("record", SFI, number)   bytes; an image may know the beginning alone
    ("counter", SFI, number)  int, of counters whose left neighbours an image does not know
    ("key", level)            (KIF, KVC)
    ("balance",)              int, of the purse
    ("tries",)                int, of the PIN

The files of the purse's logs are left out: the card writes them by itself, and an image shows them as they
were last read.

The card is read with plain commands outside any session, which change nothing on it; what it does not
give away is left out.

Source: calypso-card §4.1, §4.12, §6; terminal-api §10.1.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeAlias

from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.calypso.file_header import EfType
from cardbench.protocol.calypso.ins import CalypsoIns, WriteAccessLevel
from cardbench.protocol.calypso.startup import ApplicationOption
from cardbench.protocol.calypso.sv_log import SFI_DEBIT_LOG, SFI_LOAD_LOG
from cardbench.protocol.errors import CardError
from cardbench.protocol.status import StatusWord
from cardbench.scenarios.survey import purse_balance, read_record, survey
from cardbench.terminal.card import PlainRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.terminal.calypso import CalypsoCard
    from cardbench.terminal.card import CardChannel

Facts: TypeAlias = "dict[tuple[object, ...], object]"

COUNTER_SIZE_BYTES = 3
_LOGS = frozenset({SFI_LOAD_LOG, SFI_DEBIT_LOG})
PIN_TRIES = 3
_OK = int(StatusWord.OK)
_TRIES_LEFT = 0x63C0
_PIN_STATUS = frozenset({_OK, int(StatusWord.BLOCKED), *range(0x63C0, 0x63C4)})


def facts_of_card(channel: CardChannel, aid: bytes) -> Facts:
    """Read an application, and close the channel.

    Raises:
        CardError, ReaderError, ProtocolError: it cannot be looked at.
    """
    try:
        found = survey(channel, aid)
        startup = found.fci.startup
        cla = startup.product_type.value.cla
        facts: Facts = {}
        for header in found.files:
            if header.ef_type is EfType.BINARY:
                continue
            for number in range(1, header.record_count + 1):
                with contextlib.suppress(CardError):
                    content = read_record(channel, cla, header.sfi, number)
                    facts["record", header.sfi, number] = content
        for level in WriteAccessLevel:
            facts["key", level] = (found.directory.kif(level), found.directory.kvc(level))
        if ApplicationOption.STORED_VALUE in startup.options:
            facts["balance",] = purse_balance(channel, startup.product_type.value.sv_cla)
        if ApplicationOption.PIN in startup.options:
            facts["tries",] = _pin_tries(channel, cla)
    finally:
        channel.close()
    return facts


def _pin_tries(channel: CardChannel, cla: int) -> int:
    command = CommandApdu(cla, CalypsoIns.VERIFY_PIN, 0, 0).encode() + b"\0"
    response = channel.transmit([PlainRequest(command, _PIN_STATUS, "Verify PIN, status")])[0]
    sw = int.from_bytes(response[-2:])
    if sw == _OK:
        return PIN_TRIES
    return sw - _TRIES_LEFT if sw > _TRIES_LEFT else 0


def facts_of_image(image: CalypsoCard) -> Facts:
    """Return what an image shows."""
    facts: Facts = {}
    for file in image.files:
        if file.sfi in _LOGS:
            continue
        for number, content in file.data.records.items():
            facts["record", file.sfi, number] = content
        whole = len(file.data.records.get(1, b"")) // COUNTER_SIZE_BYTES
        for number, value in file.data.counters.items():
            if number > whole:
                facts["counter", file.sfi, number] = value
    directory = image.directory_header
    if directory is not None:
        for level in WriteAccessLevel:
            facts["key", level] = (directory.kif(level), directory.kvc(level))
    if image.sv_balance is not None:
        facts["balance",] = image.sv_balance
    if image.pin_attempts_remaining is not None:
        facts["tries",] = image.pin_attempts_remaining
    return facts


def differences(shown: Mapping[tuple[object, ...], object], card: Facts) -> list[str]:
    """Say where an image and a card disagree; what only one of them knows is no difference."""
    return [
        " ".join(map(str, fact)) for fact, value in shown.items() if not _agree(fact, value, card)
    ]


def _agree(fact: tuple[object, ...], value: object, card: Facts) -> bool:
    if fact[0] == "counter":
        record, number = card.get(("record", fact[1], 1)), fact[2]
        if not isinstance(record, bytes) or not isinstance(number, int):
            return True
        end = number * COUNTER_SIZE_BYTES
        return int.from_bytes(record[end - COUNTER_SIZE_BYTES : end]) == value
    other = card.get(fact, value)
    if isinstance(value, bytes) and isinstance(other, bytes):
        return other.startswith(value)
    return other == value
