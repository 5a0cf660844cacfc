"""Counters: what every transaction can prepare with them.

Source: terminal-api §8.3 (ranges), §11.1.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cardbench.protocol.errors import UsageError
from cardbench.terminal.calypso.commands.checks import check_counter, check_counter_value
from cardbench.terminal.calypso.commands.counters import (
    ChangeCounter,
    ChangeCounters,
    DecreaseCounter,
    DecreaseCounters,
    IncreaseCounter,
    IncreaseCounters,
    check_counters,
)
from cardbench.terminal.calypso.commands.records import ReadCounter
from cardbench.terminal.calypso.preparing import Preparing
from cardbench.terminal.card.handle import Joined, Known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cardbench.terminal.card.handle import Handle

_ENTRY_SIZE_BYTES = 4


class CounterCommands(Preparing):
    """Part of `TransactionManager`: counters."""

    def prepare_read_counter(self, sfi: int, number: int) -> Handle[int]:
        """Read counters 1 to `number`; the result is the value of counter `number`.

        The others are in the image.

        Raises:
            UsageError: SFI or counter number (1…83) out of range.
        """
        command = ReadCounter(self._cla, sfi, number, is_strict=self.is_session_prepared)
        self._queue.append(command)
        return command

    def prepare_increase_counter(self, sfi: int, number: int, *, by: int) -> Handle[int]:
        """Increase a counter; the result is its new value.

        Args:
            sfi: 0…30; 0: the current file.
            number: 1…83; 0: the counter of a simulated counter file.
            by: 0…16 777 215.

        Raises:
            UsageError: out of range.
            SessionBufferOverflow: it does not fit the session, and sessions are not split.
        """
        return self._change(IncreaseCounter, sfi, number, by)

    def prepare_decrease_counter(self, sfi: int, number: int, *, by: int) -> Handle[int]:
        """Decrease a counter; the result is its new value. As `prepare_increase_counter`."""
        return self._change(DecreaseCounter, sfi, number, by)

    def prepare_increase_counters(
        self, sfi: int, steps: Mapping[int, int]
    ) -> Handle[dict[int, int]]:
        """Increase several counters of a file; the result is their new values by number.

        They travel in one command where the product has one for it.

        Args:
            sfi: 0…30; 0: the current file.
            steps: amounts by counter number, 1…83.

        Raises:
            UsageError: out of range, or no counter at all.
            SessionBufferOverflow: it does not fit the session, and sessions are not split.
        """
        return self._change_several(IncreaseCounters, IncreaseCounter, sfi, steps)

    def prepare_decrease_counters(
        self, sfi: int, steps: Mapping[int, int]
    ) -> Handle[dict[int, int]]:
        """Decrease several counters of a file. As `prepare_increase_counters`."""
        return self._change_several(DecreaseCounters, DecreaseCounter, sfi, steps)

    def prepare_set_counter(self, sfi: int, number: int, new_value: int) -> Handle[int]:
        """Bring a counter to a value, by the one step that it takes; the result is its value.

        Nothing is sent when the counter stands there already. An increase needs a LOAD session, a
        decrease a DEBIT one: the card decides.

        Raises:
            UsageError: out of range, or the counter's value is not known.
            SessionBufferOverflow: it does not fit the session, and sessions are not split.
        """
        check_counter(sfi, number)
        check_counter_value(new_value)
        value = self.card.counter(sfi, number)
        if value is None:
            raise UsageError(f"counter {number} of SFI {sfi:02X} is not known: read it first")
        if new_value == value:
            return Known(value)
        if new_value > value:
            return self._change(IncreaseCounter, sfi, number, new_value - value)
        return self._change(DecreaseCounter, sfi, number, value - new_value)

    def _change(
        self, command: type[ChangeCounter], sfi: int, number: int, by: int
    ) -> ChangeCounter:
        return self._add_modifying(
            command(self.card, sfi, number, by, is_in_session=self.is_session_prepared)
        )

    def _change_several(
        self,
        several: type[ChangeCounters],
        single: type[ChangeCounter],
        sfi: int,
        steps: Mapping[int, int],
    ) -> Handle[dict[int, int]]:
        if not steps:
            raise UsageError("no counter is named")
        check_counters(sfi, steps)
        ordered = sorted(steps.items())
        handles: list[Handle[dict[int, int]]] = []
        with self._all_or_nothing():
            if self.card.traits.counts_multiple:
                per_command = self._payload_max_bytes // _ENTRY_SIZE_BYTES
                for start in range(0, len(ordered), per_command):
                    part = dict(ordered[start : start + per_command])
                    handles.append(self._add_modifying(several(self._cla, sfi, part)))
            else:
                for number, by in ordered:
                    one: Handle[Any] = self._change(single, sfi, number, by)
                    handles.append(Joined((one,), partial(_numbered, number)))
        return handles[0] if len(handles) == 1 else Joined(handles, _merge)


def _numbered(number: int, values: Sequence[int]) -> dict[int, int]:
    return {number: values[0]}


def _merge(values: Sequence[dict[int, int]]) -> dict[int, int]:
    merged: dict[int, int] = {}
    for part in values:
        merged.update(part)
    return merged
