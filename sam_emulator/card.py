"""The SAM: a software card whose commands are those of the Calypso Legacy SAM.

Rules
-----
* Classes 80 and 94 are accepted on every product, GET RESPONSE also with class 00.
* An answer longer than Le (256 where there is none) is chained: 61xx, then GET RESPONSE.
* Keys are found by KIF and KVC. A work key is a master: what is used is the key diversified by the
  selected diversifier. System keys and the lock are the SAM's own and are used as they are.
* Whatever counts is written before the answer that it pays for leaves.

Left out: the certificate commands (PSO Compute Certificate, Card Generate Asymmetric Key Pair).

Source: legacy-sam §3 (classes, transport), §4 (objects), §6 (state).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cardbench.emulator.chassis import Clock, Entropy, Memory, Refusal, SoftwareCard
from cardbench.protocol.calypso.ins import CLA_ISO, CLA_SAM, CLA_SAM_LEGACY, SamIns
from cardbench.protocol.calypso.sam import KEY_BLOCK_LENGTH, WORK_KEY_RECORDS, KeyReference
from cardbench.protocol.calypso.suite import load_suite
from cardbench.protocol.status import StatusWord, more_bytes
from cardbench.sam_emulator import layout
from cardbench.sam_emulator.commands import fill_table
from cardbench.sam_emulator.state import SamKey, SamVolatile
from cardbench.sam_emulator.table import TABLE, UNLOCKED

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
PAR4: Final = 6
"""Offset of PAR4, the number of the key's event counter, in a key block."""

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

    # What the chassis asks for

    def atr(self) -> bytes:
        """Return the ATR of the personalisation."""
        return self._bytes_at(layout.ATR)

    def fresh_volatile(self) -> SamVolatile:
        """Forget everything volatile; a SAM with a lock secret is locked."""
        return SamVolatile(
            locked=layout.key_at(KeyReference.LOCK) in self.memory,
            flags=self.parameters[0],
            features=self.features,
        )

    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:  # noqa: ARG002
        """Carry out a command: class, row, lock, handler, chaining."""
        ins = command.ins
        if command.cla not in _CLASSES and (command.cla != CLA_ISO or ins != _GET_RESPONSE):
            raise Refusal(StatusWord.CLA_NOT_SUPPORTED)
        volatile = self.volatile
        row = TABLE.find(command)
        if volatile.locked and UNLOCKED in row.traits:
            raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
        if volatile.pending and ins != _GET_RESPONSE:
            volatile.pending = b""
        answer = row.handler(self, command)
        data, sw = answer if isinstance(answer, tuple) else (answer, _OK)
        ne = command.ne or _SHORT_NE_MAX
        if len(data) > ne:
            data, volatile.pending = data[:ne], data[ne:]
            sw = more_bytes(len(volatile.pending))
        return data, sw

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

    # Keys

    def key(self, reference: int) -> SamKey | None:
        """Return the key of a reference (01…7E, C1…C4, E0), None where there is none."""
        row = self.memory.get(layout.key_at(reference))
        if row is None:
            return None
        assert isinstance(row, bytes), "the layout says so"
        return SamKey(reference, row[:KEY_BLOCK_LENGTH], row[KEY_BLOCK_LENGTH:])

    def work_key(self, kif: int, kvc: int) -> SamKey:
        """Return a work key by KIF and KVC.

        Raises:
            Refusal: 6A83, there is none.
        """
        keys = self.volatile.work_keys
        if keys is None:
            found = (self.key(record) for record in reversed(WORK_KEY_RECORDS))
            keys = {(key.block[0], key.block[1]): key for key in found if key is not None}
            self.volatile.work_keys = keys
        key = keys.get((kif, kvc))
        if key is None:
            raise Refusal(StatusWord.RECORD_NOT_FOUND)
        return key

    def diversified(self, key: SamKey) -> bytes:
        """Return the value of a work key for the selected diversifier.

        Raises:
            Refusal: 6985, no diversifier is selected.
        """
        diversifier = self.volatile.diversifier
        if not diversifier:
            raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
        return self.diversify(key.value, diversifier)

    # Counting

    def counted(self, key: SamKey) -> dict[tuple[str | int, ...], Value]:
        """Return the change that counts one use of a key; empty for a key without event counter.

        Raises:
            Refusal: 6900, the counter has reached its ceiling.
        """
        number = key.block[PAR4]
        if not number:
            return {}
        value = self.counter(number)
        if value >= self.ceiling(number):
            raise Refusal(StatusWord.COUNTER_EXHAUSTED)
        return {layout.counter_at(number): value + 1}
