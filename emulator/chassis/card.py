"""A software card: non-volatile memory, one volatile record, and the life between power-on and off.

Rules
-----
* All that survives is in `memory`; all that dies is in one volatile record, made afresh at every
  reset. Randomness and time are handed in. There is no other mutable state, so a snapshot of the
  three is the card.
* `transmit` always answers: malformed bytes with 6700, an instruction nobody knows with 6D00. The one
  exception allowed out is `PowerLoss`; after it the card is off.
* Power-up runs the memory's recovery first, before anything else happens.
* A card that answers late says so in `answer_delay_s`; the slot waits, the card never sleeps.

A card family subclasses `SoftwareCard`, gives its ATR, its fresh volatile record and `execute`.

Source: our choice (DESIGN ideas 2 and 3).
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, NamedTuple, Self, TypeVar

from cardbench.emulator.chassis.commands import Refusal
from cardbench.emulator.chassis.entropy import Clock, Entropy, EntropyState
from cardbench.emulator.chassis.memory import Memory, MemoryImage
from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.errors import CardMute, MalformedApdu
from cardbench.protocol.link import PowerLoss
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from collections.abc import Callable

VolatileType = TypeVar("VolatileType")

WRONG_LENGTH_RESPONSE = StatusWord.WRONG_LENGTH.to_bytes(2)
OK_TRAILER = StatusWord.OK.to_bytes(2)


class Snapshot(NamedTuple):
    """A whole card between two power-ups: memory, random state, time."""

    memory: MemoryImage
    entropy: EntropyState
    clock_s: float


class SoftwareCard(ABC, Generic[VolatileType]):
    """Base of every emulated card; implements `protocol.link.Card`.

    Args:
        memory: the non-volatile memory, personalised.
        entropy: where random bytes come from.
        clock: the virtual clock.
    """

    def __init__(
        self, memory: Memory, *, entropy: Entropy | None = None, clock: Clock | None = None
    ) -> None:
        self.memory = memory
        self.entropy = entropy or Entropy(b"")
        self.clock = clock or Clock()
        self.answer_delay_s = 0.0
        self.on_command: Callable[[CommandApdu, int], None] | None = None
        """Told of every command and the status word it got: coverage reports hook in here."""
        self._volatile: VolatileType | None = None

    # What a family provides

    @abstractmethod
    def atr(self) -> bytes:
        """Return the answer to reset."""

    @abstractmethod
    def fresh_volatile(self) -> VolatileType:
        """Make the volatile record as it is right after a reset."""

    @abstractmethod
    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:
        """Carry out a well-formed command; return response data and status word.

        Raises:
            Refusal: answered with its status word and no data.
        """

    def on_malformed(self, raw: bytes) -> None:
        """React to bytes that are no APDU, which are answered with 6700; they are a command too."""

    def on_deselect(self) -> None:
        """React to an orderly deselect; called while the card is powered."""

    # The link

    @property
    def volatile(self) -> VolatileType:
        """The volatile record; only there while the card is powered."""
        if self._volatile is None:
            raise CardMute("the card is not powered")
        return self._volatile

    @property
    def is_powered(self) -> bool:
        """Whether the card has power."""
        return self._volatile is not None

    def power_on(self) -> bytes:
        """Cold reset: recover the memory, forget everything volatile, return the ATR."""
        self._volatile = None
        self.memory.recover()
        self._volatile = self.fresh_volatile()
        return self.atr()

    def reset(self) -> bytes:
        """Warm reset; the same as a cold one, for the card's logic."""
        return self.power_on()

    def power_off(self) -> None:
        """Drop the volatile record."""
        self._volatile = None

    def deselect(self) -> None:
        """End a contactless activation in order; does nothing without power."""
        if self._volatile is not None:
            try:
                self.on_deselect()
            except PowerLoss:
                self._volatile = None
                raise

    def transmit(self, command: bytes) -> bytes:
        """Answer one command APDU.

        Raises:
            CardMute: the card is not powered (an error of the caller, not an answer).
            PowerLoss: an armed tear struck.
        """
        if self._volatile is None:
            raise CardMute("the card is not powered")
        self.answer_delay_s = 0.0
        try:
            parsed = CommandApdu.parse(command)
        except MalformedApdu:
            return self._answer_malformed(command)
        try:
            data, sw = self.execute(parsed, command)
        except Refusal as refusal:
            data, sw = b"", refusal.sw
        except PowerLoss:
            self._volatile = None
            raise
        if self.on_command is not None:
            self.on_command(parsed, sw)
        return data + (OK_TRAILER if sw == 0x9000 else sw.to_bytes(2))

    def _answer_malformed(self, raw: bytes) -> bytes:
        try:
            self.on_malformed(raw)
        except PowerLoss:
            self._volatile = None
            raise
        return WRONG_LENGTH_RESPONSE

    # Snapshots

    def snapshot(self) -> Snapshot:
        """Return the non-volatile state, random state and time."""
        return Snapshot(self.memory.image(), self.entropy.state, self.clock.now_s)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot; the card is off afterwards."""
        self._volatile = None
        self.memory.restore(snapshot.memory)
        self.entropy.state = snapshot.entropy
        self.clock.now_s = snapshot.clock_s

    def fork(self) -> Self:
        """Return an independent twin in the same state, volatile record included.

        The twin has no durable storage and no armed tear.
        """
        twin = copy.copy(self)
        twin.memory = Memory()
        twin.memory.restore(self.memory.image())
        twin.entropy = Entropy(b"")
        twin.entropy.state = self.entropy.state
        twin.clock = Clock(self.clock.now_s)
        twin.on_command = None
        # A volatile record may lead back to the card or its parts: in the twin, to the twin's.
        counterparts: dict[int, object] = {
            id(self): twin,
            id(self.memory): twin.memory,
            id(self.entropy): twin.entropy,
            id(self.clock): twin.clock,
        }
        twin._volatile = copy.deepcopy(self._volatile, counterparts)  # noqa: SLF001 - a twin of the same class
        return twin
