"""Persistent objects: what an applet's fields are, and where they live.

Every field of a persistent object is declared in its class body, by an annotation:

    class Purse(PersistentObject):
        owner: AID | None = None                       # persistent
        total: int = 0                                 # persistent
        hits: int = transient(JCSystem.CLEAR_ON_RESET, 0)

A field is persistent unless it is declared transient: assigning it writes the card's memory, conditionally
if a transaction is open. Assigning a name that is not declared raises. `ClassVar` and `Final` annotations
are constants, not fields. A field has the value of its class body until it is assigned; without one it is
null, and reading it raises `NullPointerException`.

The Python object is a cache of the memory. It belongs to one card session; the next power-up builds it
anew from the memory, without calling `__init__`.

A field holds: None, bool, int (32 bits, as `int` is in Java Card), `bytes`, an `AID`, or a reference to a
persistent object, an array or a shareable object of another applet. The APDU buffer, the APDU object, and
anything of Python that is not listed cannot be stored.

Source: DESIGN idea 3; wallet-javacard §6.5, §6.6.
"""

from __future__ import annotations

import copy
from inspect import get_annotations
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Self, TypeVar, cast

from cardbench.emulator.javacard.current import running
from cardbench.emulator.javacard.exceptions import NullPointerException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.emulator.chassis import Value
    from cardbench.emulator.javacard.heap import Heap

OBJECT: Final = "object"
"""First part of the key of every object and field in memory."""

NOT_A_TRANSIENT_OBJECT: Final = 0
CLEAR_ON_RESET: Final = 1
CLEAR_ON_DESELECT: Final = 2

FieldType = TypeVar("FieldType")


class _TransientField(NamedTuple):
    event: int
    default: object


def transient(event: int, default: FieldType) -> FieldType:
    """Declare a transient field, in a class body.

    Args:
        event: `CLEAR_ON_RESET` or `CLEAR_ON_DESELECT`: when the field gets its default back.
        default: the value until the field is assigned.
    """
    return cast("FieldType", _TransientField(event, default))


def _is_constant(annotation: object) -> bool:
    text = annotation if isinstance(annotation, str) else repr(annotation)
    return text.partition("[")[0].rpartition(".")[2] in {"ClassVar", "Final"}


class PersistentObject:
    """Base of everything that lives in the card's memory: applets, arrays, PINs, an applet's own classes.

    Making one allocates it on the card that is running, in the context of the active applet.
    """

    __slots__ = ("__dict__", "jc_context", "jc_handle", "jc_heap", "jc_owner")

    jc_persistent: ClassVar[Mapping[str, None]] = {}
    jc_transient: ClassVar[Mapping[str, int]] = {}

    jc_heap: Heap
    jc_handle: int
    jc_owner: int
    jc_context: int

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        persistent: dict[str, None] = {}
        transients: dict[str, int] = {}
        for base in reversed(cls.__mro__[1:]):
            if issubclass(base, PersistentObject):
                persistent.update(base.jc_persistent)
                transients.update(base.jc_transient)
        for name, annotation in get_annotations(cls).items():
            if _is_constant(annotation):
                continue
            default = cls.__dict__.get(name)
            if isinstance(default, _TransientField):
                transients[name] = default.event
                setattr(cls, name, default.default)
            else:
                persistent[name] = None
        cls.jc_persistent = persistent
        cls.jc_transient = transients

    def __new__(cls, *_arguments: object, **_options: object) -> Self:  # noqa: D102 - see the class
        self = object.__new__(cls)
        running().heap.allocate(self)
        return self

    def __setattr__(self, name: str, value: object) -> None:
        heap = self.jc_heap
        if heap.context != self.jc_context:
            heap.check_access(self)
        if name in self.jc_persistent:
            stored = heap.encode(value)
            heap.memory.write((OBJECT, self.jc_handle, name), stored, self)
        elif name in self.jc_transient:
            heap.encode(value)
            if self.jc_transient[name] == CLEAR_ON_DESELECT:
                heap.clear_on_deselect(self)
        else:
            raise AttributeError(
                f"{type(self).__name__} declares no field {name!r}: a field needs an annotation in the class"
            )
        self.__dict__[name] = value

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - called where nothing was found
        if name in self.jc_persistent or name in self.jc_transient:
            raise NullPointerException(f"{type(self).__name__}.{name} was never assigned")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name}: a field cannot be taken away")

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        self.jc_copy_into(twin, memo)
        return twin

    # For the runtime

    def jc_place(self, heap: Heap, handle: int, owner: int, context: int) -> None:
        """Tie the Python object to its place in memory."""
        place = object.__setattr__
        place(self, "jc_heap", heap)
        place(self, "jc_handle", handle)
        place(self, "jc_owner", owner)
        place(self, "jc_context", context)

    def jc_header(self) -> tuple[Value, ...]:
        """What the memory keeps of the object beside its fields."""
        return ()

    def jc_read_header(self, header: tuple[Value, ...]) -> None:
        """Take over what `jc_header` gave."""

    def jc_load(self) -> None:
        """Read the persistent fields from memory; transient ones stay as they are."""
        heap, handle, fields = self.jc_heap, self.jc_handle, self.__dict__
        for name in self.jc_persistent:
            stored = heap.memory.lookup((OBJECT, handle, name))
            if stored is None:
                fields.pop(name, None)
            else:
                fields[name] = heap.decode(stored, self.jc_context)

    def jc_clear(self) -> None:
        """Clear what is cleared when the applet is deselected."""
        for name, event in self.jc_transient.items():
            if event == CLEAR_ON_DESELECT:
                self.__dict__.pop(name, None)

    def jc_copy_into(self, twin: Self, memo: dict[int, Any]) -> None:
        """Make `twin` the same object on the twin of this card."""
        twin.jc_place(
            copy.deepcopy(self.jc_heap, memo), self.jc_handle, self.jc_owner, self.jc_context
        )
        twin.__dict__.update(
            {name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()}
        )
