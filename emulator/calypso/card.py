"""The Calypso card: how a command goes through it.

Theory of operation
-------------------
A command passes these stations, in this order; the first that objects answers.

1. *Form.* No APDU, or an extended one: 6700. Class: 6E00.
2. *Ratification.* If the last session was closed to be ratified by one more command, this command
   ratifies it, whatever it is.
3. *Table.* Instruction (6D00), P1 and P2 (6B00), Lc (6700): `table.py`.
4. *Handler*: file, type, record, access condition, data, session buffer, then the effect
   (calypso-card §4.22).
5. *Digest.* In a session, command and answer are absorbed, refused ones too.

What a handler changes goes through `modify`: in a session into the session's provisional changes, which
Close commits as one, outside straight into the memory. So a session is atomic, and a refusal has
nothing to undo.

State lives in three places only: the memory's objects (named in `structure.py`), the volatile record
(`state.py`), and the random generator of the chassis.

Source: calypso-card §2 to §5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cardbench.emulator.calypso.state import Session, Volatile
from cardbench.emulator.calypso.structure import (
    STRUCTURE_KEY,
    TRANSACTION_COUNTER_KEY,
    Application,
    ElementaryFile,
    Structure,
    read_structure,
)
from cardbench.emulator.calypso.table import COMMANDS
from cardbench.emulator.chassis import Refusal, SoftwareCard
from cardbench.protocol.apdu import CommandApdu, without_le_of_case_4
from cardbench.protocol.calypso.file_header import AccessCondition, EfAccess
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.calypso.startup import ApplicationOption
from cardbench.protocol.calypso.suite import SymmetricSuite, load_suite
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Clock, Entropy, Key, Memory, Value

_SELECT = frozenset((CalypsoIns.SELECT, CalypsoIns.GET_RESPONSE))


class CalypsoCard(SoftwareCard[Volatile]):
    """A software Calypso card; `presets.new_card` personalises one.

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
        """Ratify on deselect, unless the product wants a command for it (calypso-card §5.6)."""
        volatile = self.volatile
        if volatile.application.options & ApplicationOption.RATIFICATION_COMMAND_REQUIRED:
            return
        self._ratify(volatile)

    # The way of a command

    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:
        """Carry out a well-formed command; see the module text for the order of checks."""
        volatile = self.volatile
        if command.extended:
            raise Refusal(StatusWord.WRONG_LENGTH)
        if volatile.awaits_ratification:
            self._ratify(volatile)
        session = volatile.session
        if session is None:
            return self._answer(command)
        try:
            data, sw = self._answer(command)
        except Refusal as refusal:
            data, sw = b"", refusal.sw
        # Close and abort end the session; only what runs inside it is digested.
        if volatile.session is session and command.ins != CalypsoIns.CLOSE_SECURE_SESSION:
            digest = session.digest
            digest.absorb(without_le_of_case_4(raw))
            digest.absorb(data + sw.to_bytes(2))
        return data, sw

    def _answer(self, command: CommandApdu) -> tuple[bytes, int]:
        profile = self.structure.profile
        ins = command.ins
        if command.cla not in profile.classes and not (
            command.cla in profile.select_classes and ins in _SELECT
        ):
            raise Refusal(StatusWord.CLA_NOT_SUPPORTED)
        if ins not in profile.instructions:
            raise Refusal(StatusWord.INS_NOT_SUPPORTED)
        answer = COMMANDS.find(command).handler(self, command)
        return answer if isinstance(answer, tuple) else (answer, 0x9000)

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
        return cast("bytes", self.value(file.content_key))

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
        cost = cost_bytes if self.structure.profile.buffer_unit == "bytes" else 1
        if cost > session.buffer_left:
            raise Refusal(StatusWord.BUFFER_OVERFLOW)
        session.buffer_left -= cost
        session.changes.update(changes)

    def is_invalidated(self, application: Application) -> bool:
        """Whether the DF is invalidated, as the current session sees it."""
        return bool(self.value(application.invalidated_key))

    def check_access(self, file: ElementaryFile, group: EfAccess) -> None:
        """Check an access condition of a file.

        Raises:
            Refusal: 6985 never allowed, or a modification of an invalidated DF; 6982 key, PIN or
                encryption is missing.
        """
        condition = file.access[group]
        if group is not EfAccess.READ and self.is_invalidated(self.volatile.application):
            raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
        self.check_condition(condition, file.key_levels[group])

    def check_condition(self, condition: int, key_level: int) -> None:
        """Check one access condition byte with its key index (calypso-card §3.4)."""
        if condition == AccessCondition.ALWAYS:
            return
        if condition == AccessCondition.NEVER:
            raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
        session: Session | None = self.volatile.session
        if (
            condition == AccessCondition.SESSION
            and session is not None
            and session.key_index <= key_level  # the issuer key may do what load and debit may
        ):
            return
        raise Refusal(StatusWord.SECURITY_NOT_SATISFIED)

    def check_transaction_counter(self) -> None:
        """Refuse with 6900 where no transaction is left."""
        if self.memory[TRANSACTION_COUNTER_KEY] == 0:
            raise Refusal(StatusWord.COUNTER_EXHAUSTED)

    def count_transaction(self) -> int:
        """Count one transaction down, for good, and return the new value.

        The caller has checked that one is left.
        """
        counter = cast("int", self.memory[TRANSACTION_COUNTER_KEY])
        self.memory.commit({TRANSACTION_COUNTER_KEY: counter - 1})
        return counter - 1
