"""JCSystem: transactions, transient arrays, other applets, and what there is of memory.

All of it is static, as in Java: it speaks of the card that is running.

Source: wallet-javacard §6.2, §6.5, §6.6; Java Card API 2.2.2, class JCSystem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cardbench.emulator.javacard.aid import AID
from cardbench.emulator.javacard.arrays import (
    Array,
    BooleanArray,
    ByteArray,
    ObjectArray,
    ShortArray,
    read_bytes,
)
from cardbench.emulator.javacard.current import running
from cardbench.emulator.javacard.exceptions import SystemException, TransactionException
from cardbench.emulator.javacard.objects import (
    CLEAR_ON_DESELECT,
    CLEAR_ON_RESET,
    NOT_A_TRANSIENT_OBJECT,
)

if TYPE_CHECKING:
    from cardbench.emulator.javacard.arrays import Bytes

VERSION: Final = 0x0202
LARGEST_SHORT: Final = 0x7FFF


class JCSystem:
    """Static services of the runtime."""

    NOT_A_TRANSIENT_OBJECT: Final = NOT_A_TRANSIENT_OBJECT
    CLEAR_ON_RESET: Final = CLEAR_ON_RESET
    CLEAR_ON_DESELECT: Final = CLEAR_ON_DESELECT
    MEMORY_TYPE_PERSISTENT: Final = 0
    MEMORY_TYPE_TRANSIENT_RESET: Final = 1
    MEMORY_TYPE_TRANSIENT_DESELECT: Final = 2

    @staticmethod
    def get_version() -> int:
        """Return the version of the Java Card API: 0202."""
        return VERSION

    # Transactions

    @staticmethod
    def begin_transaction() -> None:
        """Begin an atomic transaction.

        Raises:
            TransactionException: IN_PROGRESS: there is one already.
        """
        running().heap.memory.begin()

    @staticmethod
    def commit_transaction() -> None:
        """Make everything changed since the beginning permanent, as one.

        Raises:
            TransactionException: NOT_IN_PROGRESS.
        """
        memory = running().heap.memory
        if memory.transaction is None:
            TransactionException.throw_it(TransactionException.NOT_IN_PROGRESS)
        memory.commit()

    @staticmethod
    def abort_transaction() -> None:
        """Take back everything changed since the beginning; objects made since then become null.

        Raises:
            TransactionException: NOT_IN_PROGRESS.
        """
        heap = running().heap
        if heap.memory.transaction is None:
            TransactionException.throw_it(TransactionException.NOT_IN_PROGRESS)
        heap.forget(heap.memory.abort())

    @staticmethod
    def get_transaction_depth() -> int:
        """Return 1 in a transaction, 0 outside."""
        return int(running().heap.memory.transaction is not None)

    @staticmethod
    def get_max_commit_capacity() -> int:
        """Return the size of the commit buffer in bytes."""
        return min(running().heap.memory.capacity_bytes, LARGEST_SHORT)

    @staticmethod
    def get_unused_commit_capacity() -> int:
        """Return what is left of the commit buffer in bytes."""
        memory = running().heap.memory
        layer = memory.transaction
        room = memory.capacity_bytes if layer is None else layer.room_bytes
        return min(room or 0, LARGEST_SHORT)

    # Transient arrays

    @staticmethod
    def make_transient_byte_array(length: int, event: int) -> ByteArray:
        """Make a transient byte array.

        Args:
            event: CLEAR_ON_RESET or CLEAR_ON_DESELECT.

        Raises:
            NegativeArraySizeException, SystemException: ILLEGAL_VALUE (no such event),
                NO_TRANSIENT_SPACE, ILLEGAL_TRANSIENT (CLEAR_ON_DESELECT outside the selected package).
        """
        return ByteArray(length, _clear_event(event))

    @staticmethod
    def make_transient_short_array(length: int, event: int) -> ShortArray:
        """Make a transient short array; as `make_transient_byte_array`."""
        return ShortArray(length, _clear_event(event))

    @staticmethod
    def make_transient_boolean_array(length: int, event: int) -> BooleanArray:
        """Make a transient boolean array; as `make_transient_byte_array`."""
        return BooleanArray(length, _clear_event(event))

    @staticmethod
    def make_transient_object_array(length: int, event: int) -> ObjectArray:
        """Make a transient array of references; as `make_transient_byte_array`."""
        return ObjectArray(length, _clear_event(event))

    @staticmethod
    def is_transient(something: object) -> int:
        """Return the clear event of a transient array, NOT_A_TRANSIENT_OBJECT for all else."""
        return something.jc_event if isinstance(something, Array) else NOT_A_TRANSIENT_OBJECT

    # Applets

    @staticmethod
    def get_aid() -> AID | None:
        """Return the AID of the active applet; None before it is registered."""
        session = running()
        return session.aid_of(session.heap.applet)

    @staticmethod
    def get_previous_context_aid() -> AID | None:
        """Return the AID of the applet that called into this context; None for the runtime."""
        session = running()
        return session.aid_of(session.heap.calling_applet())

    @staticmethod
    def lookup_aid(array: Bytes, offset: int, length: int) -> AID | None:
        """Return the AID if an applet of exactly this AID is installed."""
        name = read_bytes(array, offset, length)
        return AID(name) if running().registry.find(name) else None

    @staticmethod
    def is_applet_active(aid: AID) -> bool:
        """Whether the applet is selected on some channel."""
        return running().is_active(bytes(aid))

    @staticmethod
    def get_assigned_channel() -> int:
        """Return the logical channel that the selected applet is running on."""
        return running().channel

    @staticmethod
    def get_applet_shareable_interface_object(server_aid: AID, parameter: int) -> Any:  # noqa: ANN401
        """Ask another applet for a shareable object; None if there is no such applet or it declines.

        Raises:
            SecurityException: the server is active on another channel and not multiselectable.
        """
        return running().shareable_of(server_aid, parameter)

    # Memory

    @staticmethod
    def get_available_memory(memory_type: int) -> int:
        """Return the bytes left, at most 32,767; persistent memory is not limited.

        Raises:
            SystemException: ILLEGAL_VALUE: no such type.
        """
        heap = running().heap
        if memory_type == JCSystem.MEMORY_TYPE_PERSISTENT:
            return LARGEST_SHORT
        if memory_type not in heap.transient_size_bytes:
            SystemException.throw_it(SystemException.ILLEGAL_VALUE)
        left = heap.transient_size_bytes[memory_type] - heap.transient_bytes_taken(memory_type)
        return min(left, LARGEST_SHORT)

    @staticmethod
    def is_object_deletion_supported() -> bool:
        """Return False: objects go when their applet is deleted."""
        return False

    @staticmethod
    def request_object_deletion() -> None:
        """Ask for unreachable objects to be deleted.

        Raises:
            SystemException: ILLEGAL_USE: not supported.
        """
        SystemException.throw_it(SystemException.ILLEGAL_USE)


def _clear_event(event: int) -> int:
    if event not in {CLEAR_ON_RESET, CLEAR_ON_DESELECT}:
        SystemException.throw_it(SystemException.ILLEGAL_VALUE)
    return event
