"""What applets throw and catch: the exceptions of `java.lang` and `javacard.framework`.

    Exception
    ├── NullPointerException, SecurityException, NegativeArraySizeException
    ├── ArrayIndexOutOfBoundsException (also an IndexError)
    ├── CardException: UserException                       carries a reason
    └── CardRuntimeException                               carries a reason
        └── ISOException, APDUException, SystemException, TransactionException, PINException

They live on the card and never leave it: an `ISOException` that reaches the runtime becomes its reason
as status word, anything else 6F00. The bench's own errors are in `protocol.errors`.

`ISOException.throw_it(sw)` and `raise ISOException(sw)` say the same.

Source: wallet-javacard §6.3, §6.4.
"""

from __future__ import annotations

from typing import Final, NoReturn


class NullPointerException(Exception):
    """A reference is null: never assigned, or to an object that an aborted transaction took away."""


class SecurityException(Exception):
    """The firewall refuses: a foreign object, or a place that may not hold this reference."""


class NegativeArraySizeException(Exception):
    """An array cannot have fewer than no elements."""


class ArrayIndexOutOfBoundsException(IndexError):
    """An offset or a length reaches past an array."""


class _Reasoned(Exception):
    """An exception with a reason: a short, shown as unsigned."""

    def __init__(self, reason: int) -> None:
        super().__init__(reason)
        self.reason = reason

    def get_reason(self) -> int:
        """Return the reason."""
        return self.reason

    def set_reason(self, reason: int) -> None:
        """Change the reason."""
        self.reason = reason

    @classmethod
    def throw_it(cls, reason: int) -> NoReturn:
        """Raise this exception with a reason."""
        raise cls(reason)


class CardException(_Reasoned):
    """Root of the checked exceptions."""


class UserException(CardException):
    """A checked exception with the applet's own reasons."""


class CardRuntimeException(_Reasoned):
    """Root of the unchecked exceptions."""


class ISOException(CardRuntimeException):
    """Ends a command with its reason as status word."""


class APDUException(CardRuntimeException):
    """The APDU object was used in the wrong state or with wrong bounds."""

    ILLEGAL_USE: Final = 1
    BUFFER_BOUNDS: Final = 2
    BAD_LENGTH: Final = 3
    IO_ERROR: Final = 4
    NO_T0_GETRESPONSE: Final = 0xAA
    T1_IFD_ABORT: Final = 0xAB
    NO_T0_REISSUE: Final = 0xAC


class SystemException(CardRuntimeException):
    """The runtime cannot do what it was asked."""

    ILLEGAL_VALUE: Final = 1
    NO_TRANSIENT_SPACE: Final = 2
    ILLEGAL_TRANSIENT: Final = 3
    ILLEGAL_AID: Final = 4
    NO_RESOURCE: Final = 5
    ILLEGAL_USE: Final = 6


class TransactionException(CardRuntimeException):
    """A transaction cannot begin, end or go on."""

    IN_PROGRESS: Final = 1
    NOT_IN_PROGRESS: Final = 2
    BUFFER_FULL: Final = 3
    INTERNAL_FAILURE: Final = 4


class PINException(CardRuntimeException):
    """A PIN object was given a value that it cannot take."""

    ILLEGAL_VALUE: Final = 1
