"""What every prepared command is: a request on the way out, a handle of its result on the way back.

`prepare_*` returns a command; the application keeps it as a handle. When the card has answered, `value`
holds the decoded result; when the card refused, or the group stopped before, `value` raises why.

Source: DESIGN idea 5; terminal-api §2, §12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from cardbench.protocol.errors import CardError, UsageError
from cardbench.protocol.status import StatusWord
from cardbench.terminal.card.handle import Handle
from cardbench.terminal.card.requests import SUCCESS

if TYPE_CHECKING:
    from cardbench.protocol.errors import CardbenchError
    from cardbench.terminal.calypso.card import CalypsoCard

T = TypeVar("T")

OK = StatusWord.OK.to_bytes(2)

_SUBJECTS = (
    ("record", "record"),
    ("counter", "number"),
    ("from record", "first"),
    ("offset", "offset"),
)


class Command(Handle[T]):
    """A prepared command, and the handle of its result.

    Class attributes:
        name: the command in the field's words.
        success: status words that are right.
        is_case_4: the request ends with an Le that is not digested.
        is_modifying: the command takes room in the session buffer.
        is_digested: the command is part of a session's MAC.
        needs_crypto: its bytes are completed just before it is sent.
        is_sv_operation: the card's answer, or what it holds back, is a signature to check.
        may_postpone: the answer may be `6200`, and the data come with Close.

    Attributes:
        apdu: encoded request.
        foreseen: the answer that the session's MAC was computed with, before the card gave it.
    """

    name: ClassVar[str]
    success: frozenset[int] = SUCCESS
    is_case_4: bool = False
    is_modifying: ClassVar[bool] = False
    is_digested: ClassVar[bool] = True
    needs_crypto: bool = False
    may_postpone: bool = False
    is_sv_operation: ClassVar[bool] = False

    __slots__ = ("_error", "_value", "apdu", "foreseen")

    _value: T

    def __init__(self, apdu: bytes) -> None:
        self.apdu = apdu
        self.foreseen: bytes | None = None
        self.is_done = False
        self._error: CardbenchError | None = None

    # The application's side

    @property
    def error(self) -> CardbenchError | None:
        """Why there is no result; None while there may still be one."""
        return self._error

    @property
    def value(self) -> T:
        """The result.

        Raises:
            CardError: the card refused.
            UsageError: the command was not processed, or was given up with its group.
        """
        if self._error is not None:
            raise self._error
        if not self.is_done:
            raise UsageError(
                f"{self.describe()} is prepared, not processed: there is no result yet"
            )
        return self._value

    @property
    def subject(self) -> str:
        """What it works on, for whoever reads a sequence: `SFI 07, record 1`; empty: the card."""
        sfi = getattr(self, "sfi", None)
        if sfi is None:
            return ""
        parts = ["current file" if not sfi else f"SFI {sfi:02X}"]
        parts += [
            f"{word} {number}"
            for word, attribute in _SUBJECTS
            if (number := getattr(self, attribute, None)) is not None
        ]
        return ", ".join(parts)

    def describe(self) -> str:
        """Name the command and show its bytes; secrets are masked."""
        return f"{self.name} {self.apdu.hex().upper()}"

    def __repr__(self) -> str:
        state = "failed" if self._error is not None else "done" if self.is_done else "prepared"
        return f"<{self.describe()}: {state}>"

    # The transaction's side

    @property
    def size_bytes(self) -> int:
        """Length of the request, known before the request is complete."""
        return len(self.apdu)

    def foresee(self, card: CalypsoCard) -> bytes | None:
        """Return the answer that the card must give, status word included; None if it cannot be told."""
        del card
        return None

    def foresee_from_image(self, card: CalypsoCard) -> bytes | None:
        """Return the answer that repeats what was read before the session; None if it was not."""
        del card
        return None

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Decode an answer, take it into the image, and keep the result.

        Raises:
            ProtocolError: the answer does not decode.
        """
        raise NotImplementedError

    def refuse(self, sw: int) -> None:
        """Note a status word that is allowed but brings no result: the handle raises it."""
        self._error = CardError.of(sw, self.describe())

    def refused(self, card: CalypsoCard, sw: int) -> None:
        """Take into the image what a refusal tells."""

    def take_postponed(self, card: CalypsoCard, data: bytes) -> None:
        """Take the data that the card held back until Close.

        Raises:
            ProtocolError: they do not decode, or are not what the image says.
        """
        raise NotImplementedError

    def fail(self, error: CardbenchError) -> None:
        """Note that there is no result."""
        if not self.is_done:
            self._error = error
