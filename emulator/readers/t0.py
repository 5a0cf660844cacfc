"""A slot that speaks T=0 and nothing else.

Our cards understand whole APDUs, as T=1 carries them. A T=0 card gets five bytes and then data one way,
never both. `T0Slot` stands between: it lets through what T=0 can carry, keeps back response data that
must be fetched, and refuses the rest, so that a terminal that forgets the T=0 mapping fails here as it
would on plastic.

Rules
-----
* A command is `CLA INS P1 P2 P3`, alone or followed by exactly P3 bytes (P3 not 00). Anything else, a
  four-byte command and a Le behind data included, is refused with 6700 and never reaches the card.
* INS `6x` and `9x` do not exist in T=0 (they would be taken for status bytes): 6D00.
* A command with data whose response has data is answered `61xx`; GET RESPONSE fetches it, in class 00,
  80, 94 or that of the command.
* A command without data must name the length exactly (`00` is 256): if there is less, `6Cxx`, and the
  same command with `xx` gets the answer that the card has already given; if there is more, the first
  P3 bytes and `61xx` for the rest. So the card executes, and digests, every command once.
* Any other command drops what was not fetched. With nothing to fetch, GET RESPONSE is the card's to
  answer.

Source: ISO/IEC 7816-3 §10.3, §12.2; pcsc (transport behaviour).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.apdu import SHORT_NE_MAX
from cardbench.protocol.status import StatusWord
from cardbench.protocol.t0 import (
    GET_RESPONSE,
    GET_RESPONSE_CLASSES,
    SW1_DATA_AVAILABLE,
    SW1_EXACT_LENGTH,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.readers.in_process import WatchedSlot
    from cardbench.protocol.link import SlotState

_WRONG_LENGTH = StatusWord.WRONG_LENGTH.to_bytes(2)
_INS_NOT_SUPPORTED = StatusWord.INS_NOT_SUPPORTED.to_bytes(2)


class T0Slot:
    """Implements `WatchedSlot` over another slot, strictly in T=0.

    Args:
        slot: where the card sits; insert and remove there.
    """

    def __init__(self, slot: WatchedSlot) -> None:
        self._slot = slot
        self._forget()

    def _forget(self) -> None:
        self._waiting = b""  # response data not fetched yet
        self._final = b""  # the status word that ends it
        self._header: bytes | None = None  # the command that may be sent again, after a 6Cxx
        self._cla = 0  # its class, for GET RESPONSE

    @property
    def name(self) -> str:
        """The reader name."""
        return self._slot.name

    def state(self) -> SlotState:
        """Presence and number of changes."""
        return self._slot.state()

    def wait_for_change(self, changes: int, timeout_s: float | None = None) -> SlotState:
        """Block until a card was inserted or removed since `changes`."""
        return self._slot.wait_for_change(changes, timeout_s)

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` after each insertion and removal; returns what ends the watch."""
        return self._slot.watch(watcher)

    def power_on(self) -> bytes:
        """Cold reset; returns the ATR."""
        self._forget()
        return self._slot.power_on()

    def reset(self) -> bytes:
        """Warm reset; returns the ATR."""
        self._forget()
        return self._slot.reset()

    def power_off(self) -> None:
        """Take the power."""
        self._forget()
        self._slot.power_off()

    def transmit(self, command: bytes) -> bytes:
        """Carry one T=0 command; raises as `Slot.transmit`."""
        length = len(command)
        if length < 5 or (length > 5 and length != 5 + command[4]):
            self._forget()
            return _WRONG_LENGTH
        if command[1] & 0xF0 in (0x60, 0x90):
            self._forget()
            return _INS_NOT_SUPPORTED
        room = command[4] or SHORT_NE_MAX
        if self._waiting:
            if self._header == command[:4] and length == 5:
                return self._give(room)
            if self._header is None and self._is_get_response(command):
                return self._give(room)
        self._forget()
        response = self._slot.transmit(command)
        if len(response) <= 2:
            return response
        self._waiting, self._final, self._cla = response[:-2], response[-2:], command[0]
        if length > 5:
            return self._more()
        self._header = command[:4]
        return self._give(room)

    def _is_get_response(self, command: bytes) -> bool:
        return (
            len(command) == 5
            and command[1:4] == GET_RESPONSE
            and (command[0] in GET_RESPONSE_CLASSES or command[0] == self._cla)
        )

    def _give(self, room: int) -> bytes:
        """Answer with exactly `room` bytes, or with their right number."""
        there = len(self._waiting)
        if room > there:
            return bytes((SW1_EXACT_LENGTH, there & 0xFF))
        given, self._waiting, self._header = self._waiting[:room], self._waiting[room:], None
        return given + (self._more() if self._waiting else self._final)

    def _more(self) -> bytes:
        return bytes((SW1_DATA_AVAILABLE, min(len(self._waiting), 256) & 0xFF))
