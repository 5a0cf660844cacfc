"""The heap: where persistent objects are in memory, and whose turn it is.

In memory
---------
    ("heap",)                   the next free handle
    ("heap", event)             transient bytes taken, by clear event
    ("object", h)               (package number, class name, owner, …): owner is an applet's number
    ("object", h, field)        the field's value, encoded

An encoded value is an int, `bytes`, or a tuple: `()` null, `("bool", 0|1)`, `("aid", bytes)`,
`("ref", h)`. A reference to an object that is no more reads as null.

Turn
----
`context` is the active context (a package number; 0 is the runtime), `applet` the number of the active
applet, `selected_context` that of the applet selected on the channel of the command. `enter` and `leave`
switch; what they switch from is on a stack.

Source: DESIGN idea 3; wallet-javacard §6.5, §6.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from cardbench.emulator.javacard.aid import AID
from cardbench.emulator.javacard.arrays import Array
from cardbench.emulator.javacard.exceptions import (
    NullPointerException,
    SecurityException,
    SystemException,
)
from cardbench.emulator.javacard.firewall import (
    JCRE_CONTEXT,
    EntryPoint,
    ForeignReference,
    GlobalArray,
    present,
)
from cardbench.emulator.javacard.objects import CLEAR_ON_DESELECT, OBJECT, PersistentObject
from cardbench.emulator.javacard.registry import APPLET

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Key, Value
    from cardbench.emulator.javacard.packages import LoadedPackages
    from cardbench.emulator.javacard.transactions import ConditionalMemory

HEAP: Final = "heap"
INT_MIN: Final = -0x8000_0000
INT_MAX: Final = 0x7FFF_FFFF
NULL: Final = ()
BOOL: Final = "bool"
AID_VALUE: Final = "aid"
REFERENCE: Final = "ref"
NO_CONTEXT: Final = -1
"""Context of an object that an abort took away."""


class Heap:
    """The persistent objects of one card session.

    Args:
        memory: the card's memory with transactions on top.
        packages: the classes.
        transient_size_bytes: room for transient arrays, by clear event.
    """

    __slots__ = (
        "_callers",
        "_loading",
        "_objects",
        "_to_clear",
        "applet",
        "busy_servers",
        "context",
        "memory",
        "packages",
        "selected_context",
        "transient_size_bytes",
    )

    def __init__(
        self,
        memory: ConditionalMemory,
        packages: LoadedPackages,
        *,
        transient_size_bytes: dict[int, int],
    ) -> None:
        self.memory = memory
        self.packages = packages
        self.transient_size_bytes = transient_size_bytes
        self.context = JCRE_CONTEXT
        self.selected_context = JCRE_CONTEXT
        self.applet = 0
        self.busy_servers: frozenset[int] = frozenset()
        """Contexts active on other channels, whose objects may not be called: not multiselectable."""
        self._callers: list[tuple[int, int]] = []
        self._objects: dict[int, PersistentObject] = {}
        self._loading: list[PersistentObject] | None = None
        self._to_clear: dict[int, dict[PersistentObject, None]] = {}

    # Turn

    def enter(self, applet: int, context: int) -> None:
        """Switch to an applet's context."""
        self._callers.append((self.applet, self.context))
        self.applet, self.context = applet, context

    def leave(self) -> None:
        """Switch back."""
        self.applet, self.context = self._callers.pop()

    def calling_applet(self) -> int:
        """Return the number of the applet that the active context was entered from; 0: the runtime."""
        for applet, context in reversed(self._callers):
            if context != self.context:
                return applet
        return 0

    # Access

    def check_access(self, target: PersistentObject) -> None:
        """Refuse the use of an object by another context than its own or the runtime's.

        Raises:
            NullPointerException: the object was made in a transaction that was aborted.
            SecurityException: the object is another package's.
        """
        if target.jc_context == NO_CONTEXT:
            raise NullPointerException("the object went with the transaction that made it")
        if self.context not in {target.jc_context, JCRE_CONTEXT}:
            raise SecurityException(f"a {type(target).__name__} of another package")

    def check_server(self, context: int) -> None:
        """Refuse calls into a package that is busy on another logical channel."""
        if context in self.busy_servers:
            raise SecurityException(
                "the server is active on another channel, and not multiselectable"
            )

    # Making objects

    def allocate(self, new: PersistentObject) -> None:
        """Give a new object its place in memory, owned by the active applet: one atomic write.

        Raises:
            UsageError: the class is not of the active package.
            SystemException: NO_TRANSIENT_SPACE, ILLEGAL_TRANSIENT.
        """
        memory = self.memory
        header = new.jc_header()
        name = self.packages.name_of(type(new), self.context)
        handle = cast("int", memory.lookup((HEAP,)) or 0) + 1
        changes: dict[Key, Value] = {
            (HEAP,): handle,
            (OBJECT, handle): (*name, self.applet, *header),
        }
        new.jc_place(self, handle, self.applet, self.context)
        if isinstance(new, Array) and new.jc_event:
            changes[(HEAP, new.jc_event)] = self._take_transient_space(new)
        memory.write_all(changes, new)
        self._objects[handle] = new

    def _take_transient_space(self, array: Array[Any]) -> int:
        event = array.jc_event
        if event not in self.transient_size_bytes:
            SystemException.throw_it(SystemException.ILLEGAL_VALUE)
        if event == CLEAR_ON_DESELECT:
            if self.selected_context != self.context:
                SystemException.throw_it(SystemException.ILLEGAL_TRANSIENT)
            self.clear_on_deselect(array)
        taken = self.transient_bytes_taken(event) + array.size_bytes
        if taken > self.transient_size_bytes[event]:
            SystemException.throw_it(SystemException.NO_TRANSIENT_SPACE)
        return taken

    def transient_bytes_taken(self, event: int) -> int:
        """Return how much of the transient memory is taken."""
        return cast("int", self.memory.lookup((HEAP, event)) or 0)

    # Finding objects

    def resolve(self, handle: int) -> PersistentObject | None:
        """Return the object under a handle, built from memory where this session has not seen it."""
        found = self._objects.get(handle)
        if found is not None:
            return found
        header = self.memory.lookup((OBJECT, handle))
        if not isinstance(header, tuple):
            return None
        number, name, owner, *rest = header
        cls = self.packages.class_named(cast("int", number), cast("str", name))
        found = object.__new__(cls)
        context = self.context_of(cast("int", owner))
        found.jc_place(self, handle, cast("int", owner), context)
        found.jc_read_header(tuple(rest))
        self._objects[handle] = found
        if isinstance(found, Array) and found.jc_event == CLEAR_ON_DESELECT:
            self.clear_on_deselect(found)
        self._load(found)
        return found

    def _load(self, found: PersistentObject) -> None:
        """Read an object's fields, and those of the objects they lead to, without recursion."""
        if self._loading is not None:
            self._loading.append(found)
            return
        self._loading = [found]
        try:
            while self._loading:
                self._loading.pop().jc_load()
        finally:
            self._loading = None

    def context_of(self, owner: int) -> int:
        """Return the context of an applet: the number of its package, as the registry keeps it."""
        instance = self.memory.lookup((APPLET, owner))
        return cast("int", instance[1]) if isinstance(instance, tuple) else JCRE_CONTEXT

    def forget(self, lost: set[PersistentObject]) -> None:
        """Make the objects of an aborted transaction null: every later use is refused."""
        for one in lost:
            self._objects.pop(one.jc_handle, None)
            object.__setattr__(one, "jc_context", NO_CONTEXT)
            for objects in self._to_clear.values():
                objects.pop(one, None)

    def read_everything(self) -> None:
        """Build every object that is in memory."""
        handles = [key[1] for key in self.memory if key[0] == OBJECT and len(key) == 2]
        for handle in handles:
            if not isinstance(handle, int) or self.resolve(handle) is None:
                raise ValueError(f"object {handle!r} has no header")
        if handles and max(map(int, handles)) > cast("int", self.memory.lookup((HEAP,))):
            raise ValueError("a handle is in use that was never given")

    # Deleting objects

    def removals(self, owner: int) -> dict[Key, Value]:
        """Return the writes that erase everything an applet made, and free its transient space."""
        handles = self._handles_of(owner)
        changes: dict[Key, Value] = {}
        for key in self.memory:
            if key[0] == OBJECT and key[1] in handles:
                changes[key] = None
        for handle in handles:
            one = self.resolve(handle)
            if isinstance(one, Array) and one.jc_event:
                taken = changes.get((HEAP, one.jc_event), self.transient_bytes_taken(one.jc_event))
                changes[(HEAP, one.jc_event)] = cast("int", taken) - one.size_bytes
        return changes

    def drop(self, owner: int) -> None:
        """Make what an applet made null, after it was erased."""
        self.forget({one for one in self._objects.values() if one.jc_owner == owner})

    def is_referred_to(self, owner: int) -> bool:
        """Whether an object of another applet keeps a reference to one that this applet made."""
        handles = self._handles_of(owner)
        return any(
            key[0] == OBJECT and key[1] not in handles and _refers_to(value, handles)
            for key, value in self.memory.items()
        )

    def _handles_of(self, owner: int) -> set[int]:
        return {
            cast("int", key[1])
            for key, value in self.memory.items()
            if key[0] == OBJECT and len(key) == 2 and isinstance(value, tuple) and value[2] == owner
        }

    # Deselection

    def clear_on_deselect(self, holder: PersistentObject) -> None:
        """Note an object with something to clear when its package is deselected."""
        self._to_clear.setdefault(holder.jc_context, {})[holder] = None

    def deselected(self, context: int) -> None:
        """Clear the CLEAR_ON_DESELECT arrays and fields of a context."""
        for holder in self._to_clear.get(context, ()):
            holder.jc_clear()

    # Values in memory

    def encode(self, value: object) -> Value:
        """Return what the memory keeps of a field's value.

        Raises:
            SecurityException: the value may not be stored.
            ValueError: a number of more than 32 bits.
            TypeError: nothing that Java Card knows.
        """
        if type(value) is int and INT_MIN <= value <= INT_MAX:
            return value
        if value is None:
            return NULL
        if isinstance(value, bool):
            return (BOOL, int(value))
        if isinstance(value, int):
            if INT_MIN <= value <= INT_MAX:
                return int(value)
            raise ValueError(f"{value} does not fit an int of 32 bits")
        if isinstance(value, bytes):
            return value
        if isinstance(value, AID):
            return (AID_VALUE, bytes(value))
        if isinstance(value, ForeignReference):
            return (REFERENCE, value.jc_target.jc_handle)
        if isinstance(value, PersistentObject):
            return self._encode_reference(value)
        return _refuse_to_store(value)

    def _encode_reference(self, value: PersistentObject) -> Value:
        if value.jc_heap is not self:
            raise SecurityException(
                f"a {type(value).__name__} of another card, or of another session"
            )
        if value.jc_context == NO_CONTEXT:
            return NULL
        return (REFERENCE, value.jc_handle)

    def decode(self, stored: Value, viewer: int) -> object:
        """Return the value of a field, as the context that holds it sees it.

        Raises:
            ValueError: nothing that `encode` gives.
        """
        if not isinstance(stored, tuple):
            return stored
        if not stored:
            return None
        kind, value = stored
        if kind == BOOL:
            return bool(value)
        if kind == AID_VALUE:
            return AID(cast("bytes", value))
        if kind != REFERENCE or not isinstance(value, int):
            raise ValueError(f"{kind!r} is no kind of value")
        return present(self.resolve(value), viewer)


def _refers_to(stored: Value, handles: set[int]) -> bool:
    if not isinstance(stored, tuple):
        return False
    if len(stored) == 2 and stored[0] == REFERENCE:
        return stored[1] in handles
    return any(_refers_to(part, handles) for part in stored)


def _refuse_to_store(value: object) -> NoReturn:
    if isinstance(value, (GlobalArray, EntryPoint)):
        raise SecurityException(f"a {type(value).__name__} is the runtime's: it cannot be stored")
    raise TypeError(f"a {type(value).__name__} cannot be stored; see emulator.javacard.objects")
