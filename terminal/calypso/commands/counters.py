"""Counter commands: Increase, Decrease.

Source: calypso-card §4.9 (layout, status words), §5.8 (postponed results); terminal-api §12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.calypso.startup import COUNTER_MAX
from cardbench.protocol.errors import MalformedCardData
from cardbench.terminal.calypso.commands.base import OK, Command
from cardbench.terminal.calypso.commands.checks import check_counter, check_counter_value
from cardbench.terminal.calypso.files import COUNTER_SIZE_BYTES

if TYPE_CHECKING:
    from cardbench.terminal.calypso.card import CalypsoCard


class ChangeCounter(Command[int]):
    """Increase or Decrease one counter. The result is its new value.

    Args:
        cla: class byte.
        sfi: 0…30; 0: the current file.
        number: 1…83; 0: the counter of a simulated counter file.
        by: amount, 0…16 777 215.
    """

    ins: ClassVar[CalypsoIns]
    sign: ClassVar[int]

    is_case_4: ClassVar[bool] = True
    is_modifying: ClassVar[bool] = True
    __slots__ = ("number", "sfi", "step")

    def __init__(self, cla: int, sfi: int, number: int, by: int) -> None:
        check_counter(sfi, number)
        check_counter_value(by)
        header = bytes((cla, self.ins, number, sfi << 3, COUNTER_SIZE_BYTES))
        super().__init__(header + by.to_bytes(COUNTER_SIZE_BYTES) + b"\0")
        self.sfi = sfi
        self.number = number
        self.step = by * self.sign

    def _new_value(self, card: CalypsoCard) -> int | None:
        known = card.counter(card.take_current_file(self.sfi), self.number)
        return None if known is None else known + self.step

    def foresee(self, card: CalypsoCard) -> bytes | None:
        """Foresee the new value, if the counter is known and the step is possible."""
        value = self._new_value(card)
        if value is None or not 0 <= value <= COUNTER_MAX:
            return None
        return value.to_bytes(COUNTER_SIZE_BYTES) + OK

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take the new value into the image."""
        if len(response) != COUNTER_SIZE_BYTES + 2:
            raise MalformedCardData(
                f"{self.describe()}: {len(response) - 2} byte(s) came, a counter has 3"
            )
        self._value = value = int.from_bytes(response[:-2])
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
