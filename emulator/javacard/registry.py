"""The applet registry: which instances there are, in the order of their installation.

In memory
---------
    ("applet",)      the number given last
    ("applets",)     the numbers of the instances, in registry order
    ("applet", n)    (instance AID, package number, module AID, handle of the applet object)
    ("default",)     the number of the default applet

A number is never given twice.

Source: wallet-javacard §6.1, §6.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Key, Value
    from cardbench.emulator.javacard.transactions import ConditionalMemory

APPLET: Final = "applet"
APPLETS: Final = ("applets",)
DEFAULT: Final = ("default",)


class Instance(NamedTuple):
    """One registered applet instance.

    Attributes:
        number: its number; owner of the objects it makes.
        aid: instance AID.
        package: number of its package, which is its context.
        module_aid: names the class in the package.
        handle: of the applet object.
    """

    number: int
    aid: bytes
    package: int
    module_aid: bytes
    handle: int


class Registry:
    """The instances on a card, read from memory as they are needed.

    Args:
        memory: the card's memory with transactions on top.
    """

    __slots__ = ("_by_number", "_memory")

    def __init__(self, memory: ConditionalMemory) -> None:
        self._memory = memory
        self._by_number: dict[int, Instance] = {}
        self.reload()

    def reload(self) -> None:
        """Read the registry anew: something was installed or deleted."""
        numbers = cast("tuple[int, ...]", self._memory.lookup(APPLETS) or ())
        self._by_number = {number: self._read(number) for number in numbers}

    def _read(self, number: int) -> Instance:
        stored = cast("tuple[bytes, int, bytes, int]", self._memory.lookup((APPLET, number)))
        return Instance(number, *stored)

    def instances(self) -> list[Instance]:
        """Return all instances, in registry order."""
        return list(self._by_number.values())

    def numbered(self, number: int) -> Instance | None:
        """Return the instance of a number."""
        return self._by_number.get(number)

    def find(self, aid: bytes) -> Instance | None:
        """Return the instance with exactly this AID."""
        for instance in self._by_number.values():
            if instance.aid == aid:
                return instance
        return None

    def match(self, name: bytes, *, after: int | None = None) -> Instance | None:
        """Return the instance that a SELECT by name means.

        Args:
            name: full AID, or its beginning.
            after: look for the next occurrence behind the instance of this number.
        """
        if after is None:
            exact = self.find(name)
            if exact is not None:
                return exact
        is_behind = after is None
        for instance in self._by_number.values():
            if is_behind and instance.aid.startswith(name):
                return instance
            is_behind = is_behind or instance.number == after
        return None

    def default(self) -> Instance | None:
        """Return the default applet."""
        return self._by_number.get(cast("int", self._memory.lookup(DEFAULT) or 0))

    # What a change of the registry writes; the caller commits it

    def next_number(self) -> int:
        """Return a number that was never given."""
        return cast("int", self._memory.lookup((APPLET,)) or 0) + 1

    def additions(self, instance: Instance) -> dict[Key, Value]:
        """Return the writes that add an instance at the end."""
        number = instance.number
        return {
            (APPLET,): number,
            (APPLET, number): (
                instance.aid,
                instance.package,
                instance.module_aid,
                instance.handle,
            ),
            APPLETS: (*self._by_number, number),
        }

    def removals(self, instance: Instance) -> dict[Key, Value]:
        """Return the writes that take an instance out."""
        changes: dict[Key, Value] = {
            (APPLET, instance.number): None,
            APPLETS: tuple(number for number in self._by_number if number != instance.number),
        }
        if self.default() == instance:
            changes[DEFAULT] = None
        return changes
