"""The firewall: what one package sees of another's objects.

Every applet package is a context. An object belongs to the context in which it was made. Inside its
context it is used directly. What crosses to another context is one of these:

* numbers, `bytes`, None, an `AID`, the APDU object, a global array: as they are;
* an object that implements a `Shareable` interface: a reference with the interface's methods and nothing
  else. A call switches to the object's context; arguments and result cross in turn;
* any other object: a reference that refuses every access with `SecurityException`. It may be kept, and
  handed back to its owner, who gets the object itself.

Global arrays (the APDU buffer, the installation data) and the APDU object may be used everywhere and
stored nowhere.

What is not policed, because Python offers no hold on it: module globals and class attributes (static
fields), local variables that outlive a call in a closure, and Python's own introspection. An applet that
reaches for another package's objects through those is not stopped, except that writing to an object
outside its context is always refused.

Source: wallet-javacard §6.6; the treatment of what Java cannot express is our choice.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NoReturn, Self

from cardbench.emulator.javacard.aid import AID
from cardbench.emulator.javacard.exceptions import SecurityException
from cardbench.emulator.javacard.objects import PersistentObject

if TYPE_CHECKING:
    from collections.abc import Callable

JCRE_CONTEXT = 0
"""The runtime's own context, which has all rights; also the number of the framework's package."""


class Shareable:
    """Tags an interface whose methods other packages may call.

    An interface is a class that derives from `Shareable` and not from `PersistentObject`; the object that
    implements it derives from both.
    """


class GlobalArray(bytearray):
    """A byte array that every applet may use and none may keep."""

    __slots__ = ()


class EntryPoint:
    """Tags the runtime's own temporary objects: usable everywhere, to be stored nowhere."""

    __slots__ = ()


def shared_methods(implementation: type) -> frozenset[str]:
    """Return the names that the Shareable interfaces of a class declare."""
    return frozenset(
        name
        for base in implementation.__mro__
        if issubclass(base, Shareable) and not issubclass(base, PersistentObject)
        for name, member in vars(base).items()
        if callable(member) and not name.startswith("_")
    )


class ForeignReference:
    """A reference to an object of another context: it can be held and handed on, not used."""

    __slots__ = ("jc_target",)

    jc_target: PersistentObject

    def __init__(self, target: PersistentObject) -> None:
        object.__setattr__(self, "jc_target", target)

    def _refuse(self, what: str) -> NoReturn:
        raise SecurityException(f"{what} of a {type(self.jc_target).__name__} of another package")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a refusal, or a method of the interface
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse(f"attribute {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        self._refuse(f"attribute {name!r}")

    def __getitem__(self, index: object) -> NoReturn:
        self._refuse("element")

    def __setitem__(self, index: object, value: object) -> None:
        self._refuse("element")

    def __len__(self) -> int:  # noqa: PLE0303 - a refusal is no length
        self._refuse("length")

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForeignReference) and other.jc_target is self.jc_target

    def __hash__(self) -> int:
        return hash(id(self.jc_target))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(copy.deepcopy(self.jc_target, memo))


class ShareableReference(ForeignReference):
    """A reference to a shareable object of another context: the interface's methods can be called."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the interface is the applets' business
        target = self.jc_target
        if name not in shared_methods(type(target)):
            return super().__getattr__(name)

        def call(*arguments: object) -> object:
            return call_shareable(target, getattr(target, name), arguments)

        return call


def call_shareable(
    target: PersistentObject, method: Callable[..., object], arguments: tuple[object, ...]
) -> object:
    """Call a method of an object in its own context, from any other.

    Raises:
        SecurityException: an argument or the result may not cross, or the server's package is active on
            another logical channel and not multiselectable.
    """
    heap = target.jc_heap
    caller = heap.context
    heap.check_server(target.jc_context)
    crossing = [present(argument, target.jc_context) for argument in arguments]
    heap.enter(target.jc_owner, target.jc_context)
    try:
        result = method(*crossing)
    finally:
        heap.leave()
    return present(result, caller)


def present(value: object, viewer: int) -> Any:  # noqa: ANN401 - what the viewer may see of it
    """Return what a context gets to see of a value that reaches it.

    Raises:
        SecurityException: the value is none that may cross a context.
    """
    if isinstance(value, ForeignReference):
        value = value.jc_target
    if isinstance(value, PersistentObject):
        if value.jc_context in {viewer, JCRE_CONTEXT} or viewer == JCRE_CONTEXT:
            return value
        is_shareable = isinstance(value, Shareable)
        return ShareableReference(value) if is_shareable else ForeignReference(value)
    if value is None or isinstance(value, (int, bytes, AID, GlobalArray, EntryPoint)):
        return value
    raise SecurityException(f"a {type(value).__name__} cannot cross to another package")
