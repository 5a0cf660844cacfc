"""Counter commands: Increase and Decrease, of one counter or of several.

A Prime revision 1 or 2 card may hold the new value back until Close and answer `6200`. Until the image
has learnt how the card does it, the command goes without Le, and its answer is not foreseen.

Source: calypso-card §4.9, §4.10 (layouts, status words), §5.8 (postponed results); terminal-api §12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.calypso.startup import COUNTER_MAX
from cardbench.protocol.errors import InconsistentData, MalformedCardData
from cardbench.protocol.status import StatusWord
from cardbench.terminal.calypso.commands.base import OK, Command
from cardbench.terminal.calypso.commands.checks import check_counter, check_counter_value
from cardbench.terminal.calypso.files import COUNTER_SIZE_BYTES
from cardbench.terminal.card.requests import SUCCESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.terminal.calypso.card import CalypsoCard

POSTPONED = StatusWord.WARNING.to_bytes(2)

_MAY_POSTPONE = SUCCESS | {StatusWord.WARNING}
_ENTRY_SIZE_BYTES = 1 + COUNTER_SIZE_BYTES


class ChangeCounter(Command[int]):
    """Increase or Decrease one counter. The result is its new value.

    Args:
        card: image of the card.
        sfi: 0…30; 0: the current file.
        number: 1…83; 0: the counter of a simulated counter file.
        by: amount, 0…16 777 215.
        is_in_session: the command will run in a session.
    """

    ins: ClassVar[CalypsoIns]
    sign: ClassVar[int]
    is_modifying: ClassVar[bool] = True
    __slots__ = ("is_case_4", "may_postpone", "number", "sfi", "step", "success")

    def __init__(
        self, card: CalypsoCard, sfi: int, number: int, by: int, *, is_in_session: bool
    ) -> None:
        check_counter(sfi, number)
        check_counter_value(by)
        traits = card.traits
        self.may_postpone = (
            is_in_session and traits.may_postpone_counters and card.postpones_counters is not False
        )
        self.is_case_4 = not self.may_postpone
        self.success = _MAY_POSTPONE if self.may_postpone else SUCCESS
        header = bytes((traits.cla, self.ins, number, sfi << 3, COUNTER_SIZE_BYTES))
        amount = by.to_bytes(COUNTER_SIZE_BYTES)
        super().__init__(header + amount if self.may_postpone else header + amount + b"\0")
        self.sfi = sfi
        self.number = number
        self.step = by * self.sign

    def foresee(self, card: CalypsoCard) -> bytes | None:
        """Foresee the new value, if the counter is known and the step is possible."""
        known = card.counter(card.take_current_file(self.sfi), self.number)
        if known is None or (self.may_postpone and card.postpones_counters is None):
            return None
        value = known + self.step
        if not 0 <= value <= COUNTER_MAX:
            return None
        if self.may_postpone:
            return POSTPONED
        return value.to_bytes(COUNTER_SIZE_BYTES) + OK

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take the new value into the image; if it is held back and can be told, compute it."""
        if self.may_postpone:
            card.postpones_counters = response == POSTPONED
            if response == POSTPONED:
                known = card.counter(card.take_current_file(self.sfi), self.number)
                if known is not None:
                    self._take_value(card, known + self.step)
                return
        if len(response) != COUNTER_SIZE_BYTES + 2:
            raise MalformedCardData(
                f"{self.describe()}: {len(response) - 2} byte(s) came, a counter has 3"
            )
        self._take_value(card, int.from_bytes(response[:-2]))

    def take_postponed(self, card: CalypsoCard, data: bytes) -> None:
        """Take the value that came with Close; it must be the computed one."""
        if len(data) != COUNTER_SIZE_BYTES:
            raise MalformedCardData(f"{self.name}: {len(data)} postponed byte(s), a counter has 3")
        value = int.from_bytes(data)
        known = card.counter(self.sfi, self.number)
        if hasattr(self, "_value") and self._value != value:
            raise InconsistentData(
                f"{self.name}: the card says {value} at Close, computed was {self._value}"
            )
        self._value = value
        if known is None:
            card.take_counter(self.sfi, self.number, value)

    def _take_value(self, card: CalypsoCard, value: int) -> None:
        self._value = value
        card.take_counter(self.sfi, self.number, value)


class DecreaseCounter(ChangeCounter):
    """Decrease. The result is the new value."""

    name: ClassVar[str] = "Decrease"
    ins: ClassVar[CalypsoIns] = CalypsoIns.DECREASE
    sign: ClassVar[int] = -1
    __slots__ = ()


class IncreaseCounter(ChangeCounter):
    """Increase. The result is the new value."""

    name: ClassVar[str] = "Increase"
    ins: ClassVar[CalypsoIns] = CalypsoIns.INCREASE
    sign: ClassVar[int] = 1
    __slots__ = ()


class ChangeCounters(Command[dict[int, int]]):
    """Increase or Decrease Multiple. The result is the new values by counter number.

    Args:
        cla: class byte.
        sfi: 0…30; 0: the current file.
        steps: amounts by counter number, 1…83.
    """

    ins: ClassVar[CalypsoIns]
    sign: ClassVar[int]
    is_case_4 = True
    is_modifying: ClassVar[bool] = True
    __slots__ = ("sfi", "steps")

    def __init__(self, cla: int, sfi: int, steps: Mapping[int, int]) -> None:
        ordered = dict(sorted(steps.items()))
        data = b"".join(
            bytes((number,)) + by.to_bytes(COUNTER_SIZE_BYTES) for number, by in ordered.items()
        )
        super().__init__(bytes((cla, self.ins, 0, sfi << 3, len(data))) + data + b"\0")
        self.sfi = sfi
        self.steps = {number: by * self.sign for number, by in ordered.items()}

    def foresee(self, card: CalypsoCard) -> bytes | None:
        """Foresee the new values, if all counters are known and all steps possible."""
        sfi = card.take_current_file(self.sfi)
        answer = b""
        for number, step in self.steps.items():
            known = card.counter(sfi, number)
            if known is None or not 0 <= known + step <= COUNTER_MAX:
                return None
            answer += bytes((number,)) + (known + step).to_bytes(COUNTER_SIZE_BYTES)
        return answer + OK

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take the new values into the image."""
        data = response[:-2]
        if len(data) != _ENTRY_SIZE_BYTES * len(self.steps) or bytes(self.steps) != data[::4]:
            raise MalformedCardData(
                f"{self.describe()}: the answer {data.hex().upper()} is not of these counters"
            )
        self._value = {}
        for start in range(0, len(data), _ENTRY_SIZE_BYTES):
            value = int.from_bytes(data[start + 1 : start + _ENTRY_SIZE_BYTES])
            self._value[data[start]] = value
            card.take_counter(self.sfi, data[start], value)


class DecreaseCounters(ChangeCounters):
    """Decrease Multiple. The result is the new values by counter number."""

    name: ClassVar[str] = "Decrease Multiple"
    ins: ClassVar[CalypsoIns] = CalypsoIns.DECREASE_MULTIPLE
    sign: ClassVar[int] = -1
    __slots__ = ()


class IncreaseCounters(ChangeCounters):
    """Increase Multiple. The result is the new values by counter number."""

    name: ClassVar[str] = "Increase Multiple"
    ins: ClassVar[CalypsoIns] = CalypsoIns.INCREASE_MULTIPLE
    sign: ClassVar[int] = 1
    __slots__ = ()


def check_counters(sfi: int, steps: Mapping[int, int]) -> None:
    """Refuse what are no counters and amounts."""
    check_counter(sfi, 1)
    for number, by in steps.items():
        check_counter(sfi, number or 84)  # the counter of a simulated counter file stands alone
        check_counter_value(by)
