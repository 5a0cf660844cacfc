"""The Calypso card: how a command goes through it.

Theory of operation
-------------------
A command passes these stations, in this order; the first that objects answers.

1. *What it ends by coming.* A challenge or SV Get serves the next command only. If the last session was
   closed to be ratified by one more command, this one ratifies it, whatever it is.
2. *Form.* No APDU, or an extended one: 6700. Class: 6E00.
3. *Table.* Instruction (6D00), P1 and P2 (6B00), Lc (6700), in or outside a session (6985): `table.py`.
4. *Handler*: file, type, record, access condition, data, session buffer, then the effect
   (calypso-card §4.22).
5. *Digest.* In a session, command and answer are absorbed, refused ones too, into what the MAC or the
   card's signature covers; in an encrypted section the data field is deciphered before station 2 and
   enciphered behind station 4.

What a handler changes goes through `modify`: in a session into the session's provisional changes, which
Close commits as one, outside straight into the memory. So a session is atomic, and a refusal has
nothing to undo but the current EF.

State lives in three places only: the memory's objects (named in `structure.py`), the volatile record
(`state.py`), and the random generator of the chassis.

Source: calypso-card §2 to §7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from cardbench.emulator.calypso import commands as _handlers  # noqa: F401 - they fill the table
from cardbench.emulator.calypso.state import SessionMode, Volatile
from cardbench.emulator.calypso.structure import (
    STRUCTURE_KEY,
    TRANSACTION_COUNTER_KEY,
    Application,
    ElementaryFile,
    Structure,
    read_structure,
)
from cardbench.emulator.calypso.table import ANYWHERE, INSIDE, NEEDS_KEY
from cardbench.emulator.chassis import Refusal, SoftwareCard
from cardbench.protocol.apdu import CommandApdu, without_le_of_case_4
from cardbench.protocol.calypso.file_header import AccessCondition, EfAccess
from cardbench.protocol.calypso.ins import CLA_ISO, CLA_LEGACY, CLA_SAM, CalypsoIns
from cardbench.protocol.calypso.suite import SymmetricSuite, load_suite
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso.state import Session
    from cardbench.emulator.chassis import Clock, CommandRow, Entropy, Key, Memory, Value

_STORED_VALUE: Final = frozenset(
    (CalypsoIns.SV_GET, CalypsoIns.SV_RELOAD, CalypsoIns.SV_DEBIT, CalypsoIns.SV_UNDEBIT)
)
_GET_RESPONSE_CLASSES: Final = frozenset((CLA_ISO, CLA_SAM, CLA_LEGACY))
_SELECT_BY_NAME: Final = 0x04
# Plain numbers and members by name: an attribute of an enumeration costs each command anew.
_ALWAYS: Final = int(AccessCondition.ALWAYS)
_NEVER: Final = int(AccessCondition.NEVER)
_SESSION: Final = int(AccessCondition.SESSION)
_PIN: Final = int(AccessCondition.PIN)
_CONFIDENTIAL: Final = int(AccessCondition.CONFIDENTIAL)
_PIN_AND_CONFIDENTIAL: Final = int(AccessCondition.PIN_AND_CONFIDENTIAL)
_READ_RECORDS: Final = int(CalypsoIns.READ_RECORDS)
_READ: Final = EfAccess.READ
_PKI: Final = SessionMode.PKI
_OK: Final = 0x9000
_OK_TRAILER: Final = _OK.to_bytes(2)


class CalypsoCard(SoftwareCard[Volatile]):
    """A software Calypso card; `new_card` personalises one.

    Args:
        memory: a personalised memory; it alone rebuilds the card.
        entropy: for challenges.
        clock: virtual time; no command reads it.
        suite: the symmetric cryptography; the terminal's SAM must use the same.
    """

    def __init__(
        self,
        memory: Memory,
        *,
        entropy: Entropy | None = None,
        clock: Clock | None = None,
        suite: SymmetricSuite | None = None,
    ) -> None:
        super().__init__(memory, entropy=entropy, clock=clock)
        self.suite = suite or load_suite()
        self.structure: Structure = read_structure(cast("str", memory[STRUCTURE_KEY]))
        """The fixed part of the card."""
        self.last_row: CommandRow[CalypsoCard] | None = None
        """The row that answered the last command; None where it got as far as no row."""

    def atr(self) -> bytes:
        """Return the answer to reset of the personalisation."""
        return self.structure.atr

    def fresh_volatile(self) -> Volatile:
        """Select the first application of the card implicitly (calypso-card §4.23)."""
        self.structure = read_structure(cast("str", self.memory[STRUCTURE_KEY]))
        return Volatile(self.structure.applications[0])

    def select(self, application: Application) -> None:
        """Make an application current; what belonged to the one before, a session too, is gone."""
        self._volatile = Volatile(application)

    def on_deselect(self) -> None:
        """Ratify, unless the product wants a command for it, and forget as a reset does (§5.6, §7)."""
        volatile = self.volatile
        if volatile.application.deselect_ratifies:
            self._ratify(volatile)
        self._volatile = self.fresh_volatile()

    # The way of a command

    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:
        """Carry out a well-formed command; see the module text for the order of checks."""
        volatile = self._arrive()
        session = volatile.session
        if session is not None:
            return self._execute_in_session(volatile, session, command, raw)
        file = volatile.file
        try:
            return self._carry_out(volatile, command)
        except Refusal:
            volatile.file = file
            raise

    def on_malformed(self, raw: bytes) -> None:
        """Let bytes that are no APDU count as a command: they ratify and are absorbed.

        A spoilt Close is still none of the bytes that a MAC covers: the right one may follow.
        """
        session = self._arrive().session
        if session is not None and _is_digested(session, *raw[1:4].ljust(3, b"\xff")):
            session.digest.absorb(raw)
            session.digest.absorb(StatusWord.WRONG_LENGTH.to_bytes(2))

    def _arrive(self) -> Volatile:
        volatile = self.volatile
        self.last_row = None
        if (
            volatile.prepared is not volatile.preparing
        ):  # seldom: something was prepared, or used up
            volatile.prepared = volatile.preparing
            volatile.preparing = None
        if volatile.awaits_ratification:
            self._ratify(volatile)
        return volatile

    def _execute_in_session(
        self, volatile: Volatile, session: Session, command: CommandApdu, raw: bytes
    ) -> tuple[bytes, int]:
        _, ins, p1, p2, _, _, _ = command
        is_digested = _is_digested(session, ins, p1, p2)
        digest = session.digest
        encrypted = session.encrypted and is_digested
        if encrypted and command.data and not command.extended:
            data = session.mac_digest.cipher(command.data)
            command = command._replace(data=data)
            raw = raw[:5] + data + raw[5 + len(data) :]
        file = volatile.file
        try:
            data, sw = self._carry_out(volatile, command)
        except Refusal as refusal:
            volatile.file = file
            data, sw = b"", refusal.sw
        # A new selection ends the session without a word; nobody will ask for its MAC any more.
        if is_digested and self._volatile is volatile:
            if self.structure.profile.signed_lc_in_digest:
                digest.absorb(_without_le_by_signed_lc(raw))
            else:
                digest.absorb(without_le_of_case_4(raw))
            plain = data
            if encrypted:
                data = session.mac_digest.cipher(plain)
            digest.absorb(plain + (_OK_TRAILER if sw == _OK else sw.to_bytes(2)))
        return data, sw

    def _carry_out(self, volatile: Volatile, command: CommandApdu) -> tuple[bytes, int]:
        if command.extended:
            raise Refusal(StatusWord.WRONG_LENGTH)
        if command.cla not in self.structure.profile.classes:
            self._check_unusual_class(command)
        row = volatile.application.commands.find(command)
        self.last_row = row
        where, session = row.where, volatile.session
        if where != ANYWHERE and (session is None) == (where == INSIDE):
            raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
        if session is not None and session.mode is _PKI and NEEDS_KEY in row.traits:
            raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
        answer = row.handler(self, command)
        return answer if isinstance(answer, tuple) else (answer, _OK)

    def _check_unusual_class(self, command: CommandApdu) -> None:
        """Accept the classes that only some commands have (calypso-card §4.23)."""
        profile = self.structure.profile
        cla, ins = command.cla, command.ins
        if ins == CalypsoIns.GET_RESPONSE and (
            cla in _GET_RESPONSE_CLASSES or cla in profile.stored_value_classes
        ):
            return  # readers ask in 00, or repeat the class of the command
        if ins in _STORED_VALUE and cla in profile.stored_value_classes:
            return
        by_name = ins == CalypsoIns.SELECT and command.p1 == _SELECT_BY_NAME
        if by_name and cla in profile.select_classes:
            return
        raise Refusal(StatusWord.CLA_NOT_SUPPORTED)

    def _ratify(self, volatile: Volatile) -> None:
        if volatile.awaits_ratification:
            volatile.awaits_ratification = False
            self.memory.commit({volatile.application.ratified_key: 1})

    # What handlers use

    def value(self, key: Key) -> Value:
        """Return an object as the current session sees it, provisional changes included."""
        session = self.volatile.session
        if session is not None and key in session.changes:
            return session.changes[key]
        return self.memory[key]

    def content(self, file: ElementaryFile) -> bytes:
        """Return the content of a file as the current session sees it."""
        volatile, key = self._volatile, file.content_key  # a property is a call more for each read
        if volatile is not None and volatile.session is not None:
            changes = volatile.session.changes
            if key in changes:
                return cast("bytes", changes[key])
        return cast("bytes", self.memory[key])

    def modify(self, changes: dict[Key, Value], *, cost_bytes: int) -> None:
        """Change objects: provisionally in a session, at once outside.

        Args:
            changes: new values by object.
            cost_bytes: what a session buffer counted in bytes is charged.

        Raises:
            Refusal: 6400, the session buffer cannot take it; nothing changes.
        """
        session = self.volatile.session
        if session is None:
            self.memory.commit(changes)
            return
        session.buffer_left = self.buffer_left_behind(session, cost_bytes)
        session.changes.update(changes)

    def buffer_left_behind(self, session: Session, cost_bytes: int) -> int:
        """Return what a modification would leave of the session buffer.

        Raises:
            Refusal: 6400, it does not fit.
        """
        cost = 1 if self.structure.profile.buffer_operations else cost_bytes
        if cost > session.buffer_left:
            raise Refusal(StatusWord.BUFFER_OVERFLOW)
        return session.buffer_left - cost

    def is_invalidated(self, application: Application) -> bool:
        """Whether the DF is invalidated, as the current session sees it."""
        return bool(self.value(application.invalidated_key))

    def check_valid(self) -> None:
        """Refuse with 6985 where the current DF is invalidated."""
        if self.value(self.volatile.application.invalidated_key):
            raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)

    def check_access(self, file: ElementaryFile, group: EfAccess) -> None:
        """Check an access condition of a file.

        Raises:
            Refusal: 6985 never allowed, or a modification of an invalidated DF; 6982 key, PIN or
                encryption is missing.
        """
        if group is not _READ:
            self.check_valid()
        condition = file.access[group]
        if condition != _ALWAYS:
            self.check_condition(condition, file.key_levels[group])

    def check_condition(self, condition: int, key_level: int) -> None:
        """Check one access condition byte with its key index (calypso-card §3.4)."""
        if condition == _ALWAYS:
            return
        if condition == _NEVER:
            raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
        volatile = self.volatile
        session = volatile.session
        # The issuer key may do what load and debit may, the load key what debit may.
        by_key = session is not None and session.key_index <= key_level
        if condition == _SESSION:
            satisfied = by_key
        elif condition == _PIN:
            satisfied = volatile.pin_verified
        elif condition in (_CONFIDENTIAL, _PIN_AND_CONFIDENTIAL):
            satisfied = by_key and session is not None and session.encrypted
            if condition == _PIN_AND_CONFIDENTIAL:
                satisfied = satisfied and volatile.pin_verified
        else:
            satisfied = False
        if not satisfied:
            raise Refusal(StatusWord.SECURITY_NOT_SATISFIED)

    def check_transaction_counter(self) -> None:
        """Refuse with 6900 where no transaction is left."""
        if self.memory[TRANSACTION_COUNTER_KEY] == 0:
            raise Refusal(StatusWord.COUNTER_EXHAUSTED)

    def count_transaction(self, also: dict[Key, Value] | None = None) -> int:
        """Count one transaction down, for good, and return the new value.

        The caller has checked that one is left.

        Args:
            also: changes committed with it as one, and as much for good, session or not.
        """
        counter = cast("int", self.memory[TRANSACTION_COUNTER_KEY]) - 1
        self.memory.commit({TRANSACTION_COUNTER_KEY: counter, **(also or {})})
        return counter


def _is_digested(session: Session, ins: int, p1: int, p2: int) -> bool:
    """Whether the MAC covers a command: Close, Manage, ratification are left out (calypso-card §5.2)."""
    return ins not in session.undigested and bool(p1 or p2 or ins != _READ_RECORDS)


def _without_le_by_signed_lc(raw: bytes) -> bytes:
    """Drop the last byte where Lc, read as a signed byte, is length - 6 (calypso-card §11, quirk 1)."""
    if len(raw) > 4 and raw[4] - (raw[4] & 0x80) * 2 == len(raw) - 6:
        return raw[:-1]
    return raw
