"""Stored Value: SV Get, SV Reload, SV Debit, SV Undebit on the card's one purse.

SV Get announces KVC, transaction number, balance, the last log entries and a challenge; the SAM signs an
operation over all of it (signatureHi), the card checks, changes balance, number and log as one, and
proves it with signatureLo: at once outside a session, with the Close response inside.

Amounts and balance are signed, big-endian.

Source: calypso-card §4.15, §4.23, §5.8 (postponed answer), §6, §10.4 (what is signed).
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from cardbench.emulator.calypso.commands.records import OVERHEAD_BYTES
from cardbench.emulator.calypso.state import SvGet
from cardbench.emulator.calypso.structure import DEBIT_LOG_KEY, LOAD_LOG_KEY, PURSE_KEY
from cardbench.emulator.calypso.table import COMMANDS, MODIFIES, NEEDS_KEY, NEEDS_STORED_VALUE
from cardbench.emulator.chassis import ANY, NO_DATA, Refusal
from cardbench.protocol.apdu import SHORT_NE_MAX, IsoCase
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.calypso.sv_log import (
    BALANCE_MAX,
    BALANCE_MIN,
    DEBIT_LOG_SIZE_BYTES,
    LOAD_LOG_SIZE_BYTES,
)
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.chassis import Key
    from cardbench.protocol.apdu import CommandApdu

_FOR_RELOAD, _FOR_DEBIT = 0x07, 0x09
_REGULAR, _EXTENDED = 0x00, 0x01
_SV_GET_SIZES: Final = {True: 0x21, False: 0x1E}
"""Answer of a regular SV Get: for a reload, for a debit."""
_SV_GET_EXTENDED_SIZE: Final = 0x3D
_LOG_RECORD_SIZE: Final = 29
_TNUM_REFUSED: Final = 0xFFFE
"""From this transaction number on, no operation is possible."""
_SIGNATURE_HI_SIZES: Final = {False: 5, True: 10}
_STORED_SIGNATURE_SIZE: Final = 6
_SAM_ID_SIZE: Final = 4
_SAM_SIZE: Final = 7
"""SAM serial number and SAM transaction number, the latter of 3 bytes."""
_OPERATION_SIZES: Final = frozenset((0x14, 0x17, 0x19, 0x1C))

Purse = tuple[int, int, bytes]
"""Balance, transaction number, signatureLo of the last operation in 6 bytes."""


@COMMANDS.command(
    name="SV Get",
    ins=CalypsoIns.SV_GET,
    p1=ANY,
    p2=ANY,
    cases={IsoCase.NO_DATA, IsoCase.DATA_OUT},
    lc=NO_DATA,
    answers=(0x9000, 0x6700, 0x6985, 0x6A81, 0x6A86),
    source="calypso-card §4.15, §6.2",
    traits={NEEDS_STORED_VALUE, NEEDS_KEY},
)
def sv_get(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Announce the purse for the operation to come; P1 regular or extended, P2 reload or debit."""
    volatile = card.volatile
    extended = command.p1 == _EXTENDED
    if (
        command.p1 not in (_REGULAR, _EXTENDED)
        or command.p2 not in (_FOR_RELOAD, _FOR_DEBIT)
        or (extended and not volatile.application.has_extended_mode)
    ):
        raise Refusal(StatusWord.FUNCTION_NOT_SUPPORTED)
    for_reload = command.p2 == _FOR_RELOAD
    size = _SV_GET_EXTENDED_SIZE if extended else _SV_GET_SIZES[for_reload]
    if command.ne not in (None, SHORT_NE_MAX, size):
        raise Refusal(StatusWord.WRONG_P1P2)
    if volatile.session is not None and volatile.session.sv_done:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    purse = card.structure.purse
    assert purse is not None, "personalisation gives a purse to every card with the option"
    slot = card.memory[purse.load_key if for_reload else purse.debit_key]
    _, kvc, _, key = cast("tuple[int, int, int, bytes]", slot)
    answer = _announcement(card, kvc, for_reload=for_reload, extended=extended)
    # `size`, whatever Le was sent: the SAM signs it so (§6.8).
    head = bytes((CalypsoIns.SV_GET, command.p1, command.p2, size))
    volatile.preparing = SvGet(for_reload, extended, kvc, key, head + answer + b"\x90\x00")
    return answer


def _announcement(card: CalypsoCard, kvc: int, *, for_reload: bool, extended: bool) -> bytes:
    """Return what SV Get answers (§6.2); a regular one shows half of an extended signature."""
    balance, number, signature = cast("Purse", card.value(PURSE_KEY))
    load_log = cast("bytes", card.value(LOAD_LOG_KEY))[:LOAD_LOG_SIZE_BYTES]
    debit_log = cast("bytes", card.value(DEBIT_LOG_KEY))[:DEBIT_LOG_SIZE_BYTES]
    status = bytes((kvc,)) + number.to_bytes(2)
    amount = balance.to_bytes(3, signed=True)
    if extended:
        return card.entropy.draw(8) + status + signature + amount + load_log + debit_log
    log = load_log if for_reload else debit_log
    return status + signature[:3] + card.entropy.draw(2) + amount + log


class _Operation(NamedTuple):
    """Where an operation's data field has what.

    Attributes:
        for_reload: it follows an SV Get for reload.
        fixed_size: bytes before SAM serial number; challenge byte to time or KVC.
        kvc_at, amount_at: places in it.
        amounts: lowest and highest amount.
        log_key: the log that it is entered into.
        balance_at: where the log has the balance after the operation; what is before and behind it in
            the log is copied from the data field, from its byte 1 on.
    """

    for_reload: bool
    fixed_size: int
    kvc_at: int
    amount_at: slice
    amounts: tuple[int, int]
    log_key: Key
    balance_at: int

    @property
    def signed_size(self) -> int:
        """Bytes before the signature."""
        return self.fixed_size + _SAM_SIZE


_RELOAD: Final = _Operation(
    True, 11, 4, slice(6, 9), (BALANCE_MIN, BALANCE_MAX), LOAD_LOG_KEY, balance_at=5
)
_DEBIT: Final = _Operation(False, 8, 7, slice(1, 3), (-0x8000, 0), DEBIT_LOG_KEY, balance_at=14)
_UNDEBIT: Final = _DEBIT._replace(amounts=(0, 0x7FFF))


def _operate(
    card: CalypsoCard, command: CommandApdu, kind: _Operation
) -> bytes | tuple[bytes, int]:
    data = command.data
    card.check_valid()
    announced = _announced(card, data, kind)
    balance, number = _next_operation(card)
    message, signature_hi = _signed(command, kind, announced)
    right = card.suite.sv_signature_hi(announced.key, message, extended=announced.extended)
    if not hmac.compare_digest(signature_hi, right):
        raise Refusal(StatusWord.WRONG_CRYPTOGRAM)
    balance += _amount(data, kind)
    if not BALANCE_MIN <= balance <= BALANCE_MAX:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    session, cost = card.volatile.session, len(data) + OVERHEAD_BYTES
    if session is not None:  # before the transaction is counted, which nothing takes back
        card.buffer_left_behind(session, cost)

    signature = card.suite.sv_signature_lo(
        announced.key, message, signature_hi, extended=announced.extended
    )
    stored = signature.ljust(_STORED_SIGNATURE_SIZE, b"\0")
    logs = _logged(card, data, kind, balance=balance, number=number, signature=signature)
    card.count_transaction()
    card.modify({PURSE_KEY: (balance, number, stored), kind.log_key: logs}, cost_bytes=cost)
    if session is None:
        return signature
    session.sv_done = True
    session.postponed += bytes((1 + len(signature),)) + signature
    return b"", StatusWord.WARNING


def _announced(card: CalypsoCard, data: bytes, kind: _Operation) -> SvGet:
    """Return the SV Get that the operation belongs to.

    Raises:
        Refusal: 6985, it did not come just before, or is of another kind, mode or KVC.
    """
    announced = card.volatile.prepared
    if (
        not isinstance(announced, SvGet)
        or announced.for_reload is not kind.for_reload
        or len(data) != kind.signed_size + _SIGNATURE_HI_SIZES[announced.extended]
        or data[kind.kvc_at] != announced.kvc
    ):
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    return announced


def _next_operation(card: CalypsoCard) -> tuple[int, int]:
    """Return the balance, and the number that the operation will have.

    Raises:
        Refusal: 6900, no transaction or no operation is left.
    """
    balance, number, _ = cast("Purse", card.value(PURSE_KEY))
    card.check_transaction_counter()
    if number >= _TNUM_REFUSED:
        raise Refusal(StatusWord.COUNTER_EXHAUSTED)
    return balance, number + 1


def _signed(command: CommandApdu, kind: _Operation, announced: SvGet) -> tuple[bytes, bytes]:
    """Return what the SAM has signed (§10.4), and its signature."""
    data = command.data
    sam_id = data[kind.fixed_size : kind.fixed_size + _SAM_ID_SIZE]
    sam_number = data[kind.fixed_size + _SAM_ID_SIZE : kind.signed_size]
    head = bytes((command.ins, 0x00, 0x00, len(data), 0x00)) + data[1 : kind.fixed_size]
    challenge = bytes((command.p1, command.p2, data[0]))
    message = announced.transcript + head + challenge + sam_number + sam_id
    return message, data[kind.signed_size :]


def _amount(data: bytes, kind: _Operation) -> int:
    """Return the signed amount.

    Raises:
        Refusal: 6985, it has the wrong sign for the operation.
    """
    amount = int.from_bytes(data[kind.amount_at], signed=True)
    low, high = kind.amounts
    if not low <= amount <= high:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    return amount


def _logged(
    card: CalypsoCard,
    data: bytes,
    kind: _Operation,
    *,
    balance: int,
    number: int,
    signature: bytes,
) -> bytes:
    """Return the content of the log with the operation as its newest record (§6.3)."""
    copied, split = data[1 : kind.signed_size], kind.balance_at
    log = copied[:split] + balance.to_bytes(3, signed=True) + copied[split:] + number.to_bytes(2)
    record = (log + signature).ljust(_LOG_RECORD_SIZE, b"\0")
    return record + cast("bytes", card.value(kind.log_key))[:-_LOG_RECORD_SIZE]


def _declare(name: str, ins: int, kind: _Operation, effect: str) -> None:
    def operate(card: CalypsoCard, command: CommandApdu) -> bytes | tuple[bytes, int]:
        return _operate(card, command, kind)

    operate.__doc__ = effect
    COMMANDS.command(
        name=name,
        ins=ins,
        p1=ANY,
        p2=ANY,
        cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
        lc=_OPERATION_SIZES,
        answers=(0x9000, 0x6200, 0x6400, 0x6700, 0x6900, 0x6985, 0x6988),
        source="calypso-card §4.15, §6.4 to §6.6",
        traits={MODIFIES, NEEDS_STORED_VALUE, NEEDS_KEY},
    )(operate)


_declare(
    "SV Reload",
    CalypsoIns.SV_RELOAD,
    _RELOAD,
    "Add a signed amount to the balance; P1 P2 and the first data byte are the SAM's challenge.",
)
_declare(
    "SV Debit", CalypsoIns.SV_DEBIT, _DEBIT, "Add an amount that is not positive to the balance."
)
_declare(
    "SV Undebit",
    CalypsoIns.SV_UNDEBIT,
    _UNDEBIT,
    "Add an amount that is not negative to the balance, to take a debit back.",
)
