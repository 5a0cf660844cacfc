"""Writing into a SAM with a control SAM beside it: keys, parameters, ceilings, locks.

The target's challenge binds each block, so that a block can be written once, into this SAM only.

For n objects the control SAM takes n exchanges and the target n + 1: a write and the challenge of the
next share one. What must be known of the target first (versions of its keys, ceilings that stay) is read
with the first.

Not thread-safe: target and control SAM belong to one transaction at a time.

Source: legacy-sam §8.1; terminal-api §18.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.sam import COUNTERS_PER_RECORD, KeyReference
from cardbench.protocol.errors import CardbenchError, UsageError
from cardbench.terminal.card.handle import Handle
from cardbench.terminal.card.requests import ChannelControl
from cardbench.terminal.legacy_sam import writing
from cardbench.terminal.legacy_sam.link import CHALLENGE_BYTES, CONTROL_SAM, SamLink
from cardbench.terminal.legacy_sam.reading import ReadCommands
from cardbench.terminal.legacy_sam.transaction import (
    PLAIN,
    SamTransaction,
    nothing,
    plain_lock_block,
)

if TYPE_CHECKING:
    from cardbench.terminal.card.channel import CardChannel
    from cardbench.terminal.card.journal import Journal
    from cardbench.terminal.crypto.symmetric import Deferred
    from cardbench.terminal.legacy_sam.sam import (
        CounterIncrementAccess,
        LegacySam,
        SystemKeyType,
    )
    from cardbench.terminal.legacy_sam.writing import SealedObject
    from cardbench.terminal.readers.reader import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class SamSecuritySetting:
    """Where the control SAM is, and what it is."""

    control_reader: Reader | CardChannel
    control_sam: LegacySam


class PreparedWrite(Handle[None]):
    """A prepared write, done when the target has taken it."""

    __slots__ = ("_error", "plain", "sealed")

    def __init__(self, sealed: SealedObject | None, plain: bytes = b"") -> None:
        self.sealed = sealed
        self.plain = plain
        self.is_done = False
        self._error: CardbenchError | None = None

    def fail(self, error: CardbenchError) -> None:
        """Note that it was not written."""
        if not self.is_done:
            self._error = error

    @property
    def error(self) -> CardbenchError | None:
        """Why it was not written."""
        return self._error

    @property
    def value(self) -> None:
        """Nothing; raises as `Handle.value`."""
        if self._error is not None:
            raise self._error
        if not self.is_done:
            raise UsageError("the write is prepared, not processed")


class WriteCommands:
    """What both kinds of writing transactions can prepare: ceilings and counter configurations."""

    def _add(self, sealed: SealedObject) -> Handle[None]:
        raise NotImplementedError

    def _configure(
        self, record: int, changes: dict[int, writing.CounterConfiguration]
    ) -> Handle[None]:
        raise NotImplementedError

    def prepare_write_counter_ceiling(self, number: int, ceiling: int) -> Handle[None]:
        """Write the ceiling of one event counter.

        Args:
            number: 0…26.
            ceiling: 0…16 777 210.

        Raises:
            UsageError: out of range.
        """
        return self._add(writing.one_ceiling(number, ceiling))

    def prepare_write_counter_configuration(
        self, number: int, ceiling: int, access: CounterIncrementAccess
    ) -> Handle[None]:
        """Write ceiling and configuration of an event counter.

        Counters of one record that are configured one after the other are written together.

        Args:
            number: 0…26.
            ceiling: 0…16 777 210.
            access: whether anybody may increment it; counter 0 never counts freely.

        Raises:
            UsageError: out of range.
        """
        writing.check_ceiling(number, ceiling)
        change = writing.CounterConfiguration(ceiling, access)
        return self._configure(number // COUNTERS_PER_RECORD, {number: change})


class SamSecureWriteTransaction(SamTransaction, ReadCommands, WriteCommands):
    """Transactions that write into a SAM, with a control SAM.

    Args:
        reader: where the target SAM is.
        sam: its image.
        setting: the control SAM.
        journal: notes the exchanges with both; None: one of the transaction's own.
    """

    def __init__(
        self,
        reader: Reader | CardChannel,
        sam: LegacySam,
        setting: SamSecuritySetting,
        *,
        journal: Journal | None = None,
    ) -> None:
        SamTransaction.__init__(self, reader, sam, journal=journal)
        ReadCommands.__init__(self)
        self._control = SamLink.of(setting.control_reader, setting.control_sam)
        self._queue: list[PreparedWrite] = []
        self._configured: tuple[int, dict[int, writing.CounterConfiguration], PreparedWrite] | None
        self._configured = None

    def prepare_write_sam_parameters(self, raw: bytes) -> Handle[None]:
        """Write the SAM parameters, 29 bytes.

        Raises:
            UsageError: another length.
        """
        return self._add(writing.sam_parameters(raw))

    def prepare_transfer_system_key(
        self, kind: SystemKeyType, kvc: int, parameters: bytes, *, diversified: bool = False
    ) -> Handle[None]:
        """Transfer one of the target's own keys from the control SAM.

        Args:
            kind: which of them.
            kvc: version of the key.
            parameters: ALG and PAR1 to PAR9, 10 bytes.
            diversified: with the target's serial number.

        Raises:
            UsageError: out of range.
        """
        return self._add(writing.system_key(kind, kvc, parameters, diversified=diversified))

    def prepare_transfer_work_key(
        self,
        key: tuple[int, int],
        parameters: bytes,
        *,
        record: int = 0,
        diversified: bool = False,
        diversifier: bytes | None = None,
    ) -> Handle[None]:
        """Transfer a work key from the control SAM.

        Args:
            key: its KIF and KVC.
            parameters: ALG and PAR1 to PAR9, 10 bytes.
            record: where to, 1…126; 0: a free record.
            diversified: with the target's serial number, or with `diversifier`.
            diversifier: 8 bytes.

        Raises:
            UsageError: out of range.
        """
        return self._add(
            writing.work_key(
                key, parameters, record, diversified=diversified, diversifier=diversifier
            )
        )

    def prepare_transfer_lock(
        self, index: int, parameters: int, *, diversified: bool = False
    ) -> Handle[None]:
        """Transfer a lock secret from the control SAM.

        Args:
            index: lock index, one byte.
            parameters: lock parameters, one byte.
            diversified: with the target's serial number.

        Raises:
            UsageError: out of range.
        """
        return self._add(writing.lock(index, parameters, diversified=diversified))

    def prepare_plain_write_lock(self, index: int, parameters: int, value: bytes) -> Handle[None]:
        """Write a lock secret in clear. Arguments and errors as the free transaction's."""
        write = PreparedWrite(None, plain_lock_block(index, parameters, value))
        self._queue.append(write)
        self._configured = None
        return write

    def _add(self, sealed: SealedObject) -> Handle[None]:
        write = PreparedWrite(sealed)
        self._queue.append(write)
        self._configured = None
        return write

    def _configure(
        self, record: int, changes: dict[int, writing.CounterConfiguration]
    ) -> Handle[None]:
        configured = self._configured
        if configured is not None and configured[0] == record:
            configured[1].update(changes)
            return configured[2]
        write = PreparedWrite(writing.ceiling_record(record, changes))
        self._queue.append(write)
        self._configured = record, changes, write
        return write

    def process_commands(self, channel_control: ChannelControl = ChannelControl.KEEP_OPEN) -> None:
        """Do everything prepared: reads first, then the writes in their order.

        Raises:
            CryptoModuleError: a SAM refused; what comes behind was not done.
            CryptoModuleUnreachable: a link failed.
        """
        queue, self._queue = self._queue, []
        self._configured = None
        try:
            with (
                self._link.noted_in(self.journal),
                self._control.noted_in(self.journal, CONTROL_SAM),
            ):
                self._write_all(queue)
        except CardbenchError as error:
            for write in queue:
                write.fail(error)
            raise
        finally:
            self._reads.clear()
            self._finish(channel_control)

    def _write_all(self, queue: list[PreparedWrite]) -> None:
        self._read_what_is_needed(queue)
        done: Deferred[None] | None = None
        for index, write in enumerate(queue):
            done = self._write(write)
            if index:
                queue[index - 1].is_done = True
        self._link.flush()
        if done is not None:
            done.result()
            queue[-1].is_done = True

    def _read_what_is_needed(self, queue: list[PreparedWrite]) -> None:
        """Queue the reads of what sealing needs and the image does not have."""
        sam = self.sam
        for write in queue:
            sealed = write.sealed
            if sealed is None:
                continue
            if sealed.key not in sam.system_keys:
                self.prepare_read_system_key_parameters(sealed.key)
            record = sealed.needs_ceilings
            if record is not None and record * COUNTERS_PER_RECORD not in sam.counter_ceilings:
                self.prepare_read_counter_status(record * COUNTERS_PER_RECORD)

    def _write(self, write: PreparedWrite) -> Deferred[None]:
        """Queue one write for the target; a sealed one costs an exchange with each SAM."""
        link = self._link
        sealed = write.sealed
        if sealed is None:
            header = (link.cla, SamIns.WRITE_KEY, PLAIN, KeyReference.LOCK, len(write.plain))
            return link.ask(
                bytes(header) + write.plain, "Write Key (plain lock)", nothing, is_secret=True
            )
        challenge = link.get_challenge(CHALLENGE_BYTES).result()
        key = self.sam.system_keys.get(sealed.key)
        if key is None:
            raise UsageError(f"the target SAM has no {sealed.key.name.lower()} key")
        control = self._control
        control.select_diversifier(self.sam.serial.rjust(sealed.diversifier_bytes, b"\0"))
        random = bytes((control.cla, SamIns.GIVE_RANDOM, 0, 0, len(challenge)))
        control.push(random + challenge, "Give Random")
        seal = bytes((control.cla,)) + sealed.seal(self.sam, key.kvc)
        block = control.ask_data(seal, f"seal {sealed.name}").result()
        return link.ask(sealed.command(link.cla, block), f"write {sealed.name}", nothing)
