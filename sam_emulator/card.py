"""The SAM: a software card whose commands are those of the Calypso Legacy SAM.

Rules
-----
* Classes 80 and 94 are accepted on every product, GET RESPONSE also with class 00.
* An answer longer than Le (256 where there is none) is chained: 61xx, then GET RESPONSE.
* Keys are found by KIF and KVC. A work key is a master: what is used is the key diversified by the
  selected diversifier. System keys and the lock are the SAM's own and are used as they are.
* Whatever counts is written before the answer that it pays for leaves.

Source: legacy-sam §3 (classes, transport), §4 (objects), §6 (state).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from cardbench.emulator.chassis import Clock, Entropy, Memory, Refusal, SoftwareCard
from cardbench.protocol.calypso.ins import CLA_ISO, CLA_SAM, CLA_SAM_LEGACY, SamIns
from cardbench.protocol.calypso.sam import KEY_BLOCK_LENGTH, WORK_KEY_RECORDS, KeyReference
from cardbench.protocol.calypso.suite import load_suite
from cardbench.protocol.status import StatusWord, more_bytes
from cardbench.sam_emulator import layout
from cardbench.sam_emulator.commands import fill_table
from cardbench.sam_emulator.state import SamKey, SamVolatile
from cardbench.sam_emulator.table import TABLE, UNLOCKED, product_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.chassis import Value
    from cardbench.protocol.apdu import CommandApdu
    from cardbench.protocol.calypso.suite import SymmetricSuite

_CLASSES = frozenset((CLA_SAM, CLA_SAM_LEGACY))
_GET_RESPONSE = int(SamIns.GET_RESPONSE)
_OK = int(StatusWord.OK)
_SHORT_NE_MAX = 256
_DIVERSIFIED_KEYS_KEPT = 1024
_PAR4 = 6  # offset in a key block: the number of the key's event counter

fill_table()


class SamCard(SoftwareCard[SamVolatile]):
    """A software SAM.

    Args:
        memory: personalised memory, see `layout`; a snapshot's memory is enough to go on.
        entropy: where challenges and random keys come from.
        clock: the virtual clock that busy times are measured with.
        suite: the symmetric functions; the default suite where none is given.
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
        # A pure function of its arguments, so forks may share what it remembers.
        self.diversify: Callable[[bytes, bytes], bytes] = lru_cache(_DIVERSIFIED_KEYS_KEPT)(
            self.suite.diversify
        )

        self._table = TABLE  # the product's rows, once the memory was read at power-on

    # What the chassis asks for

    def atr(self) -> bytes:
        """Return the ATR of the personalisation."""
        return self._bytes_at(layout.ATR)

    def fresh_volatile(self) -> SamVolatile:
        """Forget everything volatile; a SAM with a lock secret is locked."""
        features = self.features
        self._table = product_table(
            extended=bool(features.extended), update_multiple=bool(features.update_multiple)
        )
        return SamVolatile(
            locked=layout.key_at(KeyReference.LOCK) in self.memory,
            flags=self.parameters[0],
            features=features,
            busy_until_ms=self._busy_until_ms(),
        )

    def _busy_until_ms(self) -> int:
        """Tell when a busy time from before the reset ends; 0: there is none."""
        until_ms = self.memory.get(layout.BUSY_UNTIL)
        if until_ms is None:
            return 0
        assert isinstance(until_ms, int), "the layout says so"
        # More than a whole busy time left: the clock was set back, so the time starts again.
        return min(until_ms, self.now_ms + self.features.busy_delay_ms)

    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:  # noqa: ARG002
        """Carry out a command: class, row, lock, handler, chaining."""
        ins = command.ins
        volatile = self.volatile
        if volatile.answer_delay_s:
            self.take_time(volatile.answer_delay_s)
        if volatile.pending and ins != _GET_RESPONSE:
            volatile.pending = b""
        if command.cla not in _CLASSES and (command.cla != CLA_ISO or ins != _GET_RESPONSE):
            raise Refusal(StatusWord.CLA_NOT_SUPPORTED)
        row = self._table.find(command)
        if volatile.locked and UNLOCKED in row.traits:
            raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
        answer = row.handler(self, command)
        data, sw = answer if isinstance(answer, tuple) else (answer, _OK)
        ne = command.ne or _SHORT_NE_MAX
        if len(data) > ne:
            data, volatile.pending = data[:ne], data[ne:]
            sw = more_bytes(len(volatile.pending))
        return data, sw

    def on_malformed(self, raw: bytes) -> None:  # noqa: ARG002
        """Bytes that are no APDU end the chaining of an answer, as any other command does."""
        self.volatile.pending = b""

    @property
    def now_ms(self) -> int:
        """The clock in whole milliseconds, as busy times are kept in the memory."""
        return round(1000 * self.clock.now_s)

    def take_time(self, seconds: float) -> None:
        """Let this answer come later; the time passes on the SAM's clock too."""
        self.answer_delay_s += seconds
        self.clock.advance(seconds)

    # What the memory holds

    def _bytes_at(self, key: tuple[str | int, ...]) -> bytes:
        value: Value = self.memory[key]
        assert isinstance(value, bytes), "the layout says so"
        return value

    def _number_at(self, key: tuple[str | int, ...]) -> int:
        value: Value = self.memory[key]
        assert isinstance(value, int), "the layout says so"
        return value

    @property
    def serial(self) -> bytes:
        """The serial number, 4 bytes."""
        return self._bytes_at(layout.SERIAL)

    @property
    def parameters(self) -> bytes:
        """The SAM parameters, 29 bytes."""
        return self._bytes_at(layout.PARAMETERS)

    @property
    def features(self) -> layout.Features:
        """What the product offers."""
        value = self.memory[layout.FEATURES]
        assert isinstance(value, tuple), "the layout says so"
        return layout.Features(*value)  # type: ignore[arg-type]  # the layout says numbers

    def counter(self, number: int) -> int:
        """Value of an event counter, 0…26."""
        return self._number_at(layout.counter_at(number))

    def ceiling(self, number: int) -> int:
        """Ceiling of an event counter, 0…26."""
        return self._number_at(layout.ceiling_at(number))

    def free_increment(self, record: int) -> int:
        """Free-increment bits of a ceiling record, 1…3; bit i is counter i of the record."""
        return self._number_at(layout.free_at(record))

    @property
    def sv_number(self) -> int:
        """The SAM transaction number of Stored Value: how many operations were prepared."""
        return self._number_at(layout.SV_NUMBER)

    # Keys

    def key(self, reference: int) -> SamKey | None:
        """Return the key of a reference (01…7E, C1…C4, E0), None where there is none."""
        row = self.memory.get(layout.key_at(reference))
        if row is None:
            return None
        assert isinstance(row, bytes), "the layout says so"
        return SamKey(reference, row[:KEY_BLOCK_LENGTH], row[KEY_BLOCK_LENGTH:])

    def _work_keys(self) -> dict[tuple[int, int], SamKey]:
        keys = self.volatile.work_keys
        if keys is None:
            found = (self.key(record) for record in reversed(WORK_KEY_RECORDS))
            keys = {(key.block[0], key.block[1]): key for key in found if key is not None}
            self.volatile.work_keys = keys
        return keys

    def has_work_key(self, kif: int, kvc: int) -> bool:
        """Whether there is a work key of this KIF and KVC."""
        return (kif, kvc) in self._work_keys()

    def work_key(self, kif: int, kvc: int) -> SamKey:
        """Return a work key by KIF and KVC.

        Raises:
            Refusal: 6A83, there is none.
        """
        key = self._work_keys().get((kif, kvc))
        if key is None:
            raise Refusal(StatusWord.RECORD_NOT_FOUND)
        return key

    def require_diversifier(self) -> None:
        """Refuse with 6985 where no diversifier is selected."""
        if not self.volatile.diversifier:
            raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)

    def diversified(self, key: SamKey) -> bytes:
        """Return the value of a work key for the selected diversifier, which must have been checked."""
        diversifier = self.volatile.diversifier
        assert diversifier, "every command that uses a work key refuses without diversifier"
        return self.diversify(key.value, diversifier)

    # Counting

    def counter_of(self, key: SamKey) -> int:
        """Return the number of the event counter of a key; 0: it has none."""
        return key.block[_PAR4]

    def static_challenge(self, key: SamKey) -> bytes:
        """Return what stands for a challenge in static mode: the value of the key's counter, 8 bytes."""
        number = self.counter_of(key)
        return (self.counter(number) if number else 0).to_bytes(8)

    def counted(self, key: SamKey) -> dict[tuple[str | int, ...], Value]:
        """Return the change that counts one use of a key; empty for a key without event counter.

        Raises:
            Refusal: 6900, the counter has reached its ceiling.
        """
        return self.counted_by(self.counter_of(key))

    def counted_by(self, number: int) -> dict[tuple[str | int, ...], Value]:
        """Return the change that counts one step of an event counter; empty for number 0.

        Raises:
            Refusal: 6900, the counter has reached its ceiling.
        """
        if not number:
            return {}
        value = self.counter(number)
        if value >= self.ceiling(number):
            raise Refusal(StatusWord.COUNTER_EXHAUSTED)
        return {layout.counter_at(number): value + 1}
