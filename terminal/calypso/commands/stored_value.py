"""Stored Value commands: SV Get, SV Reload, SV Debit, SV Undebit.

Inside a session the card answers `6200` and holds its signature back until Close; that answer is
foreseen, so that a debit travels with the session's Close.

Source: calypso-card §4.15, §6 (layouts, rules); terminal-api §10.3, §14; sequences §5, §6.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.calypso.sv_log import (
    DEBIT_LOG_SIZE_BYTES,
    LOAD_LOG_SIZE_BYTES,
    SFI_LOAD_LOG,
    SvDebitLog,
    SvLoadLog,
)
from cardbench.protocol.errors import MalformedCardData, UsageError
from cardbench.protocol.status import StatusWord
from cardbench.terminal.calypso.commands.base import Command
from cardbench.terminal.calypso.commands.checks import check_range
from cardbench.terminal.calypso.commands.counters import POSTPONED
from cardbench.terminal.calypso.commands.records import ReadRecord
from cardbench.terminal.card.requests import SUCCESS
from cardbench.terminal.crypto.symmetric import SvCommandData, SvSecurityData

if TYPE_CHECKING:
    from cardbench.terminal.calypso.card import CalypsoCard

RELOAD_AMOUNT_MIN = -0x80_0000
RELOAD_AMOUNT_MAX = 0x7F_FFFF
DEBIT_AMOUNT_MAX = 32_767
UNDEBIT_AMOUNT_MAX = 32_767  # 32 768 would not fit the two signed bytes of the command

_EXTENDED = 0x01
_HEAD_BYTES = 11
_EXTENDED_HEAD_BYTES = 20
_CHECK_SIZE_BYTES = 3
_EXTENDED_CHECK_SIZE_BYTES = 6
_MAC_SIZE_BYTES = 5
_EXTENDED_MAC_SIZE_BYTES = 10
_TWO_BYTES = 2
_IN_SESSION = frozenset({int(StatusWord.WARNING)}) | SUCCESS


@unique
class SvOperation(Enum):
    """What an SV Get prepares; the value is its P2."""

    RELOAD = 0x07
    DEBIT = 0x09


@unique
class SvAction(Enum):
    """Whether the operation is done, or an earlier one undone."""

    DO = "do"
    UNDO = "undo"


class SvState(NamedTuple):
    """What SV Get says of the purse.

    Attributes:
        kvc: version of the key that the operation is signed with.
        tnum: number of the last operation.
        balance: signed.
        load_log, debit_log: last reload and last debit; None when the answer has it not.
    """

    kvc: int
    tnum: int
    balance: int
    load_log: SvLoadLog | None
    debit_log: SvDebitLog | None


class SvGet(Command[SvState]):
    """SV Get. The result is what the card says of the purse.

    Args:
        cla: class byte of Stored Value commands.
        operation: what it prepares.
        is_extended: the extended form, with long signatures and both logs.
    """

    name: ClassVar[str] = "SV Get"
    __slots__ = ("action", "is_extended", "operation", "response")

    def __init__(
        self, cla: int, operation: SvOperation, action: SvAction, *, is_extended: bool
    ) -> None:
        self.operation = operation
        self.action = action
        self.is_extended = is_extended
        self.response = b""
        p1 = _EXTENDED if is_extended else 0
        super().__init__(bytes((cla, CalypsoIns.SV_GET, p1, operation.value, self.answer_bytes)))

    @property
    def answer_bytes(self) -> int:
        """Length of the answer's data."""
        if self.is_extended:
            return _EXTENDED_HEAD_BYTES + LOAD_LOG_SIZE_BYTES + DEBIT_LOG_SIZE_BYTES
        if self.operation is SvOperation.RELOAD:
            return _HEAD_BYTES + LOAD_LOG_SIZE_BYTES
        return _HEAD_BYTES + DEBIT_LOG_SIZE_BYTES

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take balance, number and logs into the image."""
        data = response[:-2]
        if len(data) != self.answer_bytes:
            raise MalformedCardData(
                f"{self.describe()}: {len(data)} byte(s) came, {self.answer_bytes} are right"
            )
        self.response = response
        load = debit = None
        if self.is_extended:
            kvc, tnum, balance = data[8], data[9:11], data[17:20]
            load = SvLoadLog.parse(data[20:])
            debit = SvDebitLog.parse(data[42:])
        else:
            kvc, tnum, balance = data[0], data[1:3], data[8:11]
            if self.operation is SvOperation.RELOAD:
                load = SvLoadLog.parse(data[_HEAD_BYTES:])
            else:
                debit = SvDebitLog.parse(data[_HEAD_BYTES:])
        state = SvState(
            kvc, int.from_bytes(tnum), int.from_bytes(balance, signed=True), load, debit
        )
        self._value = state
        card.sv_balance, card.sv_last_tnum = state.balance, state.tnum
        if load is not None:
            card.sv_load_log = load
        if debit is not None and debit != next(iter(card.sv_debit_logs), None):
            card.sv_debit_logs = (debit,)

    @property
    def header_to_sign(self) -> bytes:
        """The header as the module signs it: without class byte."""
        return self.apdu[1:]


class SvCommand(Command[None]):
    """SV Reload, Debit or Undebit: what they have in common.

    Args:
        cla: class byte of Stored Value commands.
        get: the SV Get just before, processed.
        ins: which command.
        fixed: fixed part of the data, first byte 00.
        is_in_session: the card holds its signature back until Close.
    """

    is_modifying: ClassVar[bool] = True
    is_sv_operation: ClassVar[bool] = True
    needs_crypto = True
    __slots__ = (
        "card_sv_mac",
        "cla",
        "fixed",
        "get",
        "ins",
        "is_case_4",
        "may_postpone",
        "security",
        "success",
    )

    def __init__(
        self, cla: int, get: SvGet, ins: CalypsoIns, fixed: bytes, *, is_in_session: bool
    ) -> None:
        super().__init__(b"")
        self.cla = cla
        self.get = get
        self.ins = ins
        self.fixed = fixed
        self.is_case_4 = not is_in_session
        self.may_postpone = is_in_session
        self.success = _IN_SESSION if is_in_session else SUCCESS
        self.security: SvSecurityData | None = None
        self.card_sv_mac = b""

    @property
    def data_size_bytes(self) -> int:
        """Lc."""
        mac = _EXTENDED_MAC_SIZE_BYTES if self.get.is_extended else _MAC_SIZE_BYTES
        return len(self.fixed) + 4 + 3 + mac

    @property
    def size_bytes(self) -> int:
        """Length of the request, known before the request is complete."""
        return 5 + self.data_size_bytes + self.is_case_4

    @property
    def data_to_sign(self) -> SvCommandData:
        """What the module signs."""
        head = bytes((self.ins, 0, 0, self.data_size_bytes))
        return SvCommandData(self.get.header_to_sign, self.get.response, head + self.fixed)

    def set_security(self, security: SvSecurityData) -> None:
        """Complete the request with what the module gave."""
        self.security = security
        challenge = security.terminal_challenge
        header = (self.cla, self.ins, challenge[0], challenge[1], self.data_size_bytes)
        data = challenge[2:3] + self.fixed[1:] + security.serial + security.transaction_number
        le = b""
        if self.is_case_4:
            size = _EXTENDED_CHECK_SIZE_BYTES if self.get.is_extended else _CHECK_SIZE_BYTES
            le = bytes((size,))
        self.apdu = bytes(header) + data + security.terminal_sv_mac + le

    def foresee(self, card: CalypsoCard) -> bytes | None:
        """Foresee `6200`, where the card holds its signature back."""
        del card
        return POSTPONED if self.may_postpone else None

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take the effect into the image; keep the card's signature."""
        if self.may_postpone and response != POSTPONED:
            raise MalformedCardData(
                f"{self.describe()}: in a session the card answers 6200, {response.hex().upper()} came"
            )
        if not self.may_postpone:
            self._keep(response[:-2])
        self._value = None
        assert self.security is not None, "it was sent"
        number = int.from_bytes(self.security.transaction_number)
        self.take_effect(card, self.security.serial, number)

    def take_postponed(self, card: CalypsoCard, data: bytes) -> None:
        """Keep the card's signature."""
        del card
        self._keep(data)

    def _keep(self, signature: bytes) -> None:
        size = _EXTENDED_CHECK_SIZE_BYTES if self.get.is_extended else _CHECK_SIZE_BYTES
        if len(signature) != size:
            raise MalformedCardData(
                f"{self.name}: a signature of {len(signature)} byte(s), {size} are right"
            )
        self.card_sv_mac = signature

    def take_effect(self, card: CalypsoCard, sam_id: bytes, sam_tnum: int) -> None:
        """Do in the image what the command does in the purse."""
        raise NotImplementedError


class SvReload(SvCommand):
    """SV Reload: the balance grows by an amount, which may be negative."""

    name: ClassVar[str] = "SV Reload"
    __slots__ = ("amount", "date", "free", "time")

    def __init__(
        self,
        cla: int,
        get: SvGet,
        amount: int,
        *,
        date: bytes,
        time: bytes,
        free: bytes,
        is_in_session: bool,
    ) -> None:
        check_range("reload amount", amount, RELOAD_AMOUNT_MIN, RELOAD_AMOUNT_MAX)
        _check_two_bytes(date=date, time=time, free=free)
        self.amount = amount
        self.date = date
        self.time = time
        self.free = free
        kvc = bytes((get.value.kvc,))
        fixed = b"\0" + date + free[:1] + kvc + free[1:] + amount.to_bytes(3, signed=True) + time
        super().__init__(cla, get, CalypsoIns.SV_RELOAD, fixed, is_in_session=is_in_session)

    def take_effect(self, card: CalypsoCard, sam_id: bytes, sam_tnum: int) -> None:
        """Balance, number and load log."""
        state = self.get.value
        card.sv_balance = balance = state.balance + self.amount
        card.sv_last_tnum = tnum = state.tnum + 1
        card.sv_load_log = SvLoadLog(
            self.date,
            self.time,
            self.free,
            state.kvc,
            balance,
            self.amount,
            sam_id,
            sam_tnum,
            tnum,
        )


class SvDebit(SvCommand):
    """SV Debit or Undebit: the balance changes by a signed amount, negative for a debit."""

    __slots__ = ("change", "date", "time")

    def __init__(
        self, cla: int, get: SvGet, amount: int, *, date: bytes, time: bytes, is_in_session: bool
    ) -> None:
        undo = get.action is SvAction.UNDO
        check_range(
            "undebit amount" if undo else "debit amount",
            amount,
            0,
            UNDEBIT_AMOUNT_MAX if undo else DEBIT_AMOUNT_MAX,
        )
        _check_two_bytes(date=date, time=time)
        self.change = amount if undo else -amount
        self.date = date
        self.time = time
        kvc = bytes((get.value.kvc,))
        fixed = b"\0" + self.change.to_bytes(2, signed=True) + date + time + kvc
        ins = CalypsoIns.SV_UNDEBIT if undo else CalypsoIns.SV_DEBIT
        super().__init__(cla, get, ins, fixed, is_in_session=is_in_session)

    @property
    def name(self) -> str:  # type: ignore[override] # one class, two commands
        """Which of the two it is."""
        return "SV Undebit" if self.ins is CalypsoIns.SV_UNDEBIT else "SV Debit"

    def take_effect(self, card: CalypsoCard, sam_id: bytes, sam_tnum: int) -> None:
        """Balance, number and debit log."""
        state = self.get.value
        card.sv_balance = balance = state.balance + self.change
        card.sv_last_tnum = tnum = state.tnum + 1
        log = SvDebitLog(
            self.change, self.date, self.time, state.kvc, sam_id, sam_tnum, balance, tnum
        )
        card.sv_debit_logs = (log, *card.sv_debit_logs)[:3]


class ReadSvLog(ReadRecord):
    """Read Records of a Stored Value log file. The result is the record."""

    name: ClassVar[str] = "Read SV Log"
    __slots__ = ()

    def take(self, card: CalypsoCard, data: bytes) -> None:
        """Take the record, and the log in it, into the image."""
        super().take(card, data)
        if self.sfi == SFI_LOAD_LOG:
            card.sv_load_log = SvLoadLog.parse(data)
        else:
            logs = card.sv_debit_logs[: self.record - 1]
            card.sv_debit_logs = (*logs, SvDebitLog.parse(data))


def _check_two_bytes(**fields: bytes) -> None:
    for what, value in fields.items():
        if len(value) != _TWO_BYTES:
            raise UsageError(f"{what} of {len(value)} byte(s); it has {_TWO_BYTES}")
