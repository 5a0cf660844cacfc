"""Non-volatile memory: what survives when the power fails, and how it fails.

Rules
-----
* Objects are immutable values (`bytes`, `int`, `str`, `None` and tuples of them) under immutable keys.
  A snapshot is therefore a copy of one dictionary.
* Every change goes through `commit`, which does what a chip does. For n objects:

      n journal entries | 1 commit mark | n objects applied | 1 erasure of the journal

  Each is a physical write of its own: 2n + 2 writes. Until the mark is whole the old state holds;
  from then on the new one does, because `recover` applies the marked journal again.
* Power can fail before, inside (a part of the bytes is new) or after any write, and again inside
  recovery: `arm` a `Tear`. The write that is cut raises `PowerLoss`. While no tear is armed nothing
  can stop a commit half way, so its writes are counted but its journal is not built: nobody could see
  it.
* A journal entry and the mark carry a check value on a chip, so a torn one is seen to be torn. Here a
  torn entry or mark is the value `TORN`; an object that is torn while it is applied holds a mixture
  of old and new bytes until recovery writes it whole.

Nothing here reads a clock or a file: durable storage is a `Store` that is told of every change before
the memory shows it.

Source: our choice (DESIGN idea 3); the write order is the classic redo log.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from cardbench.protocol.errors import UsageError
from cardbench.protocol.link import PowerLoss

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Key: TypeAlias = tuple[str | int, ...]
Value: TypeAlias = "bytes | int | str | tuple[Value, ...] | None"

TORN: Final = "\0torn"
"""Stands for a value whose check does not fit: half written."""


@unique
class Area(Enum):
    """The three parts of the physical memory."""

    OBJECTS = "objects"
    JOURNAL = "journal"
    MARK = "mark"


@unique
class Moment(Enum):
    """When the power fails, relative to one physical write."""

    BEFORE = "before"  # nothing of the write is done
    INSIDE = "inside"  # a part of the bytes is new
    AFTER = "after"  # the write is done, nothing behind it


class Tear(NamedTuple):
    """A power failure to come.

    Attributes:
        write: which physical write it hits, counted from 0 at the moment of `Memory.arm`.
        moment: before, inside or after that write.
    """

    write: int
    moment: Moment


class Store(Protocol):
    """Durable storage behind a memory. Each call must be durable, or have changed nothing, when it ends.

    Raises:
        StorageError: (every call) the storage fails; the memory then keeps what it had.
    """

    def load(self) -> MemoryImage:
        """Read everything back."""
        ...

    def write(self, area: Area, key: Key, value: Value) -> None:
        """Keep one physical write; an object of value None is erased."""
        ...

    def erase_journal(self) -> None:
        """Erase mark and journal entries: one physical write."""
        ...

    def commit(self, changes: Mapping[Key, Value]) -> None:
        """Keep all changes to objects at once, or none; an object of value None is erased."""
        ...

    def replace(self, image: MemoryImage) -> None:
        """Put another physical content in the place of all there is, at once."""
        ...


class MemoryImage(NamedTuple):
    """The whole physical content: objects, journal entries in order, and the commit mark.

    The mark is the number of journal entries that count, or None; `TORN` when half written.
    """

    objects: dict[Key, Value]
    journal: dict[int, Value]
    mark: Value


class Memory:
    """Non-volatile memory with journalled commits; see the module text for the rules.

    Args:
        objects: initial content, taken over without journal (as a factory writes it).

    A memory with durable storage behind it is made by `Memory.opened_from`.
    """

    __slots__ = ("_journal", "_mark", "_objects", "_store", "_tear", "_until_tear", "writes")

    def __init__(self, objects: Mapping[Key, Value] | None = None) -> None:
        self._objects: dict[Key, Value] = dict(objects or {})
        self._journal: dict[int, Value] = {}
        self._mark: Value = None
        self._store: Store | None = None
        self._tear: Tear | None = None
        self._until_tear = 0
        self.writes = 0
        """Physical writes since this memory object was made."""

    @classmethod
    def opened_from(cls, store: Store) -> Memory:
        """Load a memory from durable storage and tell the storage of every change from then on."""
        memory = cls()
        memory.restore(store.load())
        memory._store = store
        return memory

    # Reading

    def __getitem__(self, key: Key) -> Value:
        return self._objects[key]

    def __contains__(self, key: Key) -> bool:
        return key in self._objects

    def __iter__(self) -> Iterator[Key]:
        return iter(self._objects)

    def get(self, key: Key, default: Value = None) -> Value:
        """Return the object under `key`, or `default`."""
        return self._objects.get(key, default)

    def objects(self) -> dict[Key, Value]:
        """Return a copy of all objects: the state as the card's logic sees it."""
        return self._objects.copy()

    # Writing

    def commit(self, changes: Mapping[Key, Value]) -> None:
        """Write all changes, or none: 2n + 2 physical writes for n changes, none for n = 0.

        A value of None erases the object. What a power failure left unfinished is recovered first.

        Raises:
            PowerLoss: an armed tear hit one of the writes.
        """
        if not changes:
            return
        if self._journal or self._mark is not None:
            self.recover()
        if self._tear is not None:
            self._commit_by_journal(changes)
            return
        if self._store is not None:
            self._store.commit(changes)
        objects = self._objects
        for key, value in changes.items():
            if value is None:
                objects.pop(key, None)
            else:
                objects[key] = value
        self.writes += 2 * len(changes) + 2

    def _commit_by_journal(self, changes: Mapping[Key, Value]) -> None:
        for number, change in enumerate(changes.items()):
            self._write(Area.JOURNAL, (number,), change)
        self._write(Area.MARK, (), len(changes))
        for key, value in changes.items():
            self._write(Area.OBJECTS, key, value)
        self._erase_journal()

    def recover(self) -> None:
        """Finish or forget what a power failure interrupted; called at every power-up.

        A whole mark: the journal's entries are applied again and the journal is erased (n + 1 writes).
        A torn or missing mark: the journal is erased if there is one (1 write).

        Raises:
            PowerLoss: an armed tear hit the recovery.
        """
        if isinstance(self._mark, int):
            for index in range(self._mark):
                entry = self._journal[index]
                assert isinstance(entry, tuple), "a whole mark follows whole entries"
                key, value = entry
                self._write(Area.OBJECTS, key, value)  # type: ignore[arg-type]  # entries hold keys
        if self._mark is not None or self._journal:
            self._erase_journal()

    # Power failures

    def arm(self, tear: Tear | None) -> None:
        """Let the power fail at a write to come; None takes an armed tear away.

        Raises:
            UsageError: the write's number is negative.
        """
        if tear is not None and tear.write < 0:
            raise UsageError(f"a tear at write {tear.write}; the next write is number 0")
        self._tear = tear
        self._until_tear = tear.write if tear else 0

    @property
    def is_armed(self) -> bool:
        """Whether a tear is armed that has not struck yet."""
        return self._tear is not None

    # Snapshots

    def image(self) -> MemoryImage:
        """Return a copy of the whole physical content."""
        return MemoryImage(self._objects.copy(), self._journal.copy(), self._mark)

    def restore(self, image: MemoryImage) -> None:
        """Take over a physical content, in the storage too; an armed tear stays armed."""
        if self._store is not None:
            self._store.replace(image)
        self._objects = image.objects.copy()
        self._journal = image.journal.copy()
        self._mark = image.mark

    # Physical writes

    def _write(self, area: Area, key: Key, value: Value) -> None:
        if self._tear is None:
            self._put(area, key, value)
            return
        moment = self._moment_now()
        if moment is None:
            self._put(area, key, value)
            return
        if moment is Moment.AFTER:
            self._put(area, key, value)
        elif moment is Moment.INSIDE:
            torn = torn_value(self._objects.get(key), value) if area is Area.OBJECTS else TORN
            self._put(area, key, torn)
        raise PowerLoss

    def _put(self, area: Area, key: Key, value: Value) -> None:
        if self._store is not None:
            self._store.write(area, key, value)
        self.writes += 1
        if area is Area.JOURNAL:
            self._journal[key[0]] = value  # type: ignore[index]  # journal keys are numbers
        elif area is Area.MARK:
            self._mark = value
        elif value is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = value

    def _erase_journal(self) -> None:
        moment = self._moment_now() if self._tear is not None else None
        if moment is Moment.BEFORE:
            raise PowerLoss
        if moment is Moment.INSIDE:
            # The mark goes first: half an erasure leaves entries that no mark vouches for.
            self._put(Area.MARK, (), TORN)
            raise PowerLoss
        if self._store is not None:
            self._store.erase_journal()
        self.writes += 1
        self._mark = None
        self._journal.clear()
        if moment is Moment.AFTER:
            raise PowerLoss

    def _moment_now(self) -> Moment | None:
        """Count one write towards the armed tear; return its moment when this is the one."""
        assert self._tear is not None
        if self._until_tear:
            self._until_tear -= 1
            return None
        moment = self._tear.moment
        self._tear = None
        return moment


def torn_value(old: Value, new: Value) -> Value:
    """Return a value of which a part of the bytes is new: what a cut inside a write leaves.

    Bytes: the first half is new, the rest is old (or erased, `FF`, where there was less). One byte:
    its high nibble is new. Numbers: the high-order half of their bytes is new. Tuples: the same for
    each element. Anything else has no bytes of its own and becomes `TORN`.
    """
    if isinstance(new, bytes):
        before = old if isinstance(old, bytes) else b""
        before = before[: len(new)].ljust(len(new), b"\xff")
        if len(new) == 1:
            return bytes(((new[0] & 0xF0) | (before[0] & 0x0F),))
        half = (len(new) + 1) // 2
        return new[:half] + before[half:]
    if isinstance(new, int):
        before_number = old if isinstance(old, int) else 0
        half_bits = max(new.bit_length(), before_number.bit_length(), 2) // 2
        low = (1 << half_bits) - 1
        return (new & ~low) | (before_number & low)
    if isinstance(new, tuple):
        olds = old if isinstance(old, tuple) and len(old) == len(new) else (None,) * len(new)
        return tuple(torn_value(before, after) for before, after in zip(olds, new, strict=True))
    return TORN
