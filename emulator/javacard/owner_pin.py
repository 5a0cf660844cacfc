"""OwnerPIN: a PIN with a try counter.

Rules
-----
* A check takes a try off the counter before it looks at anything, and gives it back only after the value
  was found right. The counter is written at once, outside any transaction: neither an abort nor a cut
  gives a try back.
* The validated flag is transient: a reset clears it. A deselection does not; an applet that wants that
  calls `reset` in its `deselect`.
* `update` is administration: it takes part in a transaction.
* If one transaction updates a PIN and checks it too, an abort leaves the old value with the tries that
  the checks left of the old counter: never more than before (our choice; the API warns of the mixture).

Source: wallet-javacard §5.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Protocol, cast

from cardbench.emulator.javacard.arrays import read_bytes
from cardbench.emulator.javacard.exceptions import PINException
from cardbench.emulator.javacard.objects import CLEAR_ON_RESET, OBJECT, PersistentObject, transient

if TYPE_CHECKING:
    from cardbench.emulator.javacard.arrays import Bytes


class PIN(Protocol):
    """What a PIN offers to whoever may present it."""

    def check(self, pin: Bytes, offset: int, length: int) -> bool:
        """Present a value; return whether it is the PIN."""
        ...

    def get_tries_remaining(self) -> int:
        """Return how many wrong presentations are left."""
        ...

    def is_validated(self) -> bool:
        """Return whether the right value was presented in this card session."""
        ...

    def reset(self) -> None:
        """Forget that the right value was presented."""
        ...


class OwnerPIN(PersistentObject):
    """A PIN that its owner can set.

    Args:
        try_limit: wrong presentations in a row that block it, 1 … 127.
        max_pin_size: most bytes of the value, 1 … 127.

    Raises:
        PINException: ILLEGAL_VALUE: a limit less than 1.
    """

    _try_limit: int
    _max_pin_size: int
    _value: bytes
    _tries: int
    _is_validated: bool = transient(CLEAR_ON_RESET, default=False)

    def __init__(self, try_limit: int, max_pin_size: int) -> None:
        if try_limit < 1 or max_pin_size < 1:
            PINException.throw_it(PINException.ILLEGAL_VALUE)
        self._try_limit = try_limit
        self._max_pin_size = max_pin_size
        self._value = b""
        self._tries = try_limit

    def update(self, pin: Bytes, offset: int, length: int) -> None:
        """Set a new value, with all tries, not validated.

        Raises:
            PINException: ILLEGAL_VALUE: the value is too long.
            NullPointerException, ArrayIndexOutOfBoundsException: there is no such value.
        """
        if length > self._max_pin_size:
            PINException.throw_it(PINException.ILLEGAL_VALUE)
        self._value = read_bytes(pin, offset, length)
        self._tries = self._try_limit
        self.set_validated_flag(value=False)

    def check(self, pin: Bytes, offset: int, length: int) -> bool:
        """Present a value; return whether it is the PIN. A blocked PIN is never right.

        Raises:
            NullPointerException, ArrayIndexOutOfBoundsException: there is no such value; a try is gone.
        """
        self.set_validated_flag(value=False)
        tries = self._tries
        if not tries:
            return False
        self._keep_tries(tries - 1)
        if not hmac.compare_digest(self._value, read_bytes(pin, offset, length)):
            return False
        self._keep_tries(self._try_limit)
        self.set_validated_flag(value=True)
        return True

    def is_validated(self) -> bool:
        """Return whether the right value was presented, and nothing undid it."""
        return self.get_validated_flag()

    def reset(self) -> None:
        """If validated, forget that, and restore the tries; otherwise do nothing."""
        if self.get_validated_flag():
            self.set_validated_flag(value=False)
            if self._tries != self._try_limit:
                self._keep_tries(self._try_limit)

    def reset_and_unblock(self) -> None:
        """Restore the tries, even of a blocked PIN; not validated afterwards."""
        self.set_validated_flag(value=False)
        self._keep_tries(self._try_limit)

    def get_tries_remaining(self) -> int:
        """Return how many wrong presentations are left; 0: blocked."""
        return self._tries

    def get_validated_flag(self) -> bool:
        """Return the validated flag, for a subclass that keeps it elsewhere."""
        return self._is_validated

    def set_validated_flag(self, *, value: bool) -> None:
        """Set the validated flag, for a subclass that keeps it elsewhere."""
        self._is_validated = value

    def _keep_tries(self, tries: int) -> None:
        memory = self.jc_heap.memory
        key = (OBJECT, self.jc_handle, "_tries")
        if memory.transaction is None:
            memory.write_now(key, tries, self)
        else:
            old = cast("int | None", memory.committed(key)) or 0
            beneath = max(old - 1, 0) if tries < self._tries else old
            memory.write_now(key, tries, self, beneath=beneath)
        self.__dict__["_tries"] = tries
