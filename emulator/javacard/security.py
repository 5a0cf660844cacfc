"""RandomData: what of `javacard.security` the runtime provides.

Source: Java Card API 2.2.2, class RandomData. The bytes come from the card's own generator, so that the
same seed gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.javacard.arrays import write_bytes
from cardbench.emulator.javacard.current import running
from cardbench.emulator.javacard.exceptions import CardRuntimeException

if TYPE_CHECKING:
    from cardbench.emulator.javacard.arrays import Bytes


class CryptoException(CardRuntimeException):
    """A cryptographic service refuses."""

    ILLEGAL_VALUE: Final = 1
    UNINITIALIZED_KEY: Final = 2
    NO_SUCH_ALGORITHM: Final = 3
    INVALID_INIT: Final = 4
    ILLEGAL_USE: Final = 5


class RandomData:
    """A generator of random bytes."""

    ALG_PSEUDO_RANDOM: Final = 1
    ALG_SECURE_RANDOM: Final = 2

    @classmethod
    def get_instance(cls, algorithm: int) -> RandomData:
        """Return the generator; both algorithms are the card's one generator.

        Raises:
            CryptoException: NO_SUCH_ALGORITHM.
        """
        if algorithm not in {cls.ALG_PSEUDO_RANDOM, cls.ALG_SECURE_RANDOM}:
            CryptoException.throw_it(CryptoException.NO_SUCH_ALGORITHM)
        return cls()

    def generate_data(self, array: Bytes, offset: int, length: int) -> None:
        """Fill a part of an array with random bytes.

        Raises:
            CryptoException: ILLEGAL_VALUE: a length of 0 or less.
        """
        if length < 1:
            CryptoException.throw_it(CryptoException.ILLEGAL_VALUE)
        write_bytes(array, offset, running().entropy.draw(length))
