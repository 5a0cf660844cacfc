"""Conditional updates: what a transaction holds back, and how it is kept or taken back.

Rules
-----
* Outside a transaction each write is a commit of its own, atomic on the chassis' memory.
* `begin` opens a layer. Writes go into the topmost layer, reads look through the layers from the top
  down to the memory. `commit` puts the layer's changes into the one below, or into the memory as one
  atomic commit. `abort` drops the layer, and every object it touched reads itself anew.
* There are at most two layers: the unit that an installation is, and an applet's transaction in it.
* `write_now` is for what no abort may take back (PIN try counters, non-atomic copies): it writes below
  all layers, except for objects that exist in a layer only.
* A power loss needs nothing of this: the layers are volatile, the memory holds the old state.

Source: wallet-javacard §6.5; the layers are our choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.javacard.exceptions import TransactionException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cardbench.emulator.chassis import Key, Memory, Value
    from cardbench.emulator.javacard.objects import PersistentObject

NUMBER_SIZE_BYTES: Final = 4
ENTRY_SIZE_BYTES: Final = 4
"""What an entry of the commit buffer takes beside the value: an address and a length."""


class Layer:
    """The changes of one transaction.

    Attributes:
        changes: values to be, by key.
        touched: objects whose fields or elements changed, in order.
        created: objects made in this layer.
        room_bytes: how much of the commit buffer is left; None where it is not limited.
    """

    __slots__ = ("changes", "created", "room_bytes", "touched")

    def __init__(self, room_bytes: int | None) -> None:
        self.changes: dict[Key, Value] = {}
        self.touched: dict[PersistentObject, None] = {}
        self.created: set[PersistentObject] = set()
        self.room_bytes = room_bytes


class ConditionalMemory:
    """The chassis' memory with transactions on top.

    Args:
        memory: where everything ends.
        capacity_bytes: size of the commit buffer of an applet's transaction.
    """

    __slots__ = ("_layers", "_memory", "capacity_bytes", "transaction")

    def __init__(self, memory: Memory, *, capacity_bytes: int) -> None:
        self._memory = memory
        self._layers: list[Layer] = []
        self.capacity_bytes = capacity_bytes
        self.transaction: Layer | None = None
        """The applet's transaction, if one is open."""

    # Reading

    def lookup(self, key: Key) -> Value:
        """Return the value as the card's programs see it; None where there is none."""
        for layer in reversed(self._layers):
            if key in layer.changes:
                return layer.changes[key]
        return self._memory.get(key)

    def committed(self, key: Key) -> Value:
        """Return the value beneath all transactions."""
        return self._memory.get(key)

    def items(self) -> Iterator[tuple[Key, Value]]:
        """Go through everything beneath all transactions."""
        return iter(self._memory.objects().items())

    def __iter__(self) -> Iterator[Key]:
        return iter(self._memory)

    # Writing

    def write(self, key: Key, value: Value, holder: PersistentObject) -> None:
        """Change one value of `holder`, conditionally if a transaction is open.

        Raises:
            TransactionException: BUFFER_FULL; nothing is changed then.
            PowerLoss: an armed tear struck.
        """
        if not self._layers:
            self._memory.commit({key: value})
            return
        layer = self._layers[-1]
        if layer.room_bytes is not None and key not in layer.changes:
            room = layer.room_bytes - ENTRY_SIZE_BYTES - size_bytes_of(value)
            if room < 0:
                TransactionException.throw_it(TransactionException.BUFFER_FULL)
            layer.room_bytes = room
        layer.changes[key] = value
        layer.touched[holder] = None

    def write_all(self, changes: dict[Key, Value], created: PersistentObject | None = None) -> None:
        """Write several values as one, outside the limits of the commit buffer.

        Args:
            created: the new object that the values make up, if they do.
        """
        if not self._layers:
            self._memory.commit(changes)
            return
        layer = self._layers[-1]
        layer.changes.update(changes)
        if created is not None:
            layer.created.add(created)

    def write_now(
        self, key: Key, value: Value, holder: PersistentObject, *, beneath: Value = None
    ) -> None:
        """Change one value so that no abort takes it back.

        Args:
            beneath: what to write in place of `value` beneath a transaction that changed the same key
                conditionally; an abort then leaves this value.
        """
        for layer in reversed(self._layers):
            if holder in layer.created:
                layer.changes[key] = value
                return
            if key in layer.changes:
                layer.changes[key] = value
                value = beneath
        self._memory.commit({key: value})

    # Transactions

    def begin_unit(self) -> None:
        """Open the layer of an installation or deletion; it knows no limit."""
        self._layers.append(Layer(None))

    def begin(self) -> None:
        """Open an applet's transaction.

        Raises:
            TransactionException: IN_PROGRESS.
        """
        if self.transaction is not None:
            TransactionException.throw_it(TransactionException.IN_PROGRESS)
        self.transaction = Layer(self.capacity_bytes)
        self._layers.append(self.transaction)

    def commit(self) -> None:
        """Keep the changes of the topmost layer.

        Raises:
            PowerLoss: an armed tear struck; the memory holds the old state or the new one.
        """
        layer = self._layers.pop()
        self.transaction = None
        if not self._layers:
            self._memory.commit(layer.changes)
            return
        below = self._layers[-1]
        below.changes.update(layer.changes)
        below.touched.update(layer.touched)
        below.created |= layer.created

    def abort(self) -> set[PersistentObject]:
        """Take back the changes of the topmost layer; return the objects that are no more."""
        layer = self._layers.pop()
        self.transaction = None
        for holder in layer.touched:
            if holder not in layer.created:
                holder.jc_load()
        return layer.created


def size_bytes_of(value: Value) -> int:
    """Return what a value takes in the commit buffer: bytes as they are, anything else as numbers."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, tuple):
        return sum(size_bytes_of(part) for part in value)
    return NUMBER_SIZE_BYTES
