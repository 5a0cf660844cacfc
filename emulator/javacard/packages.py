"""Packages: which classes a card may make objects of, and the numbers that the memory knows them by.

A package is given to the card as a value. The memory names a class by the package's AID and the class's
name *in that package*: what the memory says is looked up among the packages given, never imported.

Source: wallet-javacard §6.6; the lookup is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from cardbench.emulator.javacard.applet import Applet, MultiSelectable
from cardbench.emulator.javacard.arrays import BooleanArray, ByteArray, ObjectArray, ShortArray
from cardbench.emulator.javacard.owner_pin import OwnerPIN
from cardbench.protocol.errors import MalformedImage, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cardbench.emulator.chassis import Key, Memory
    from cardbench.emulator.javacard.objects import PersistentObject

PACKAGE: Final = "package"
FRAMEWORK: Final = 0
"""Number of `javacard.framework`, whose classes every package may use."""

FRAMEWORK_AID: Final = bytes.fromhex("A0000000620101")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package of applets, as it is loaded onto a card.

    Attributes:
        aid: package AID, 5 to 16 bytes.
        applets: applet classes by their module AID.
        classes: the package's other persistent classes.
        version: major and minor.

    Raises:
        UsageError: two classes of one name, or only some applets are multiselectable.
    """

    aid: bytes
    applets: Mapping[bytes, type[Applet]]
    classes: tuple[type[PersistentObject], ...] = ()
    version: tuple[int, int] = (1, 0)
    by_name: Mapping[str, type[PersistentObject]] = field(init=False, repr=False)
    """All classes by name."""

    def __post_init__(self) -> None:
        every = [*dict.fromkeys(self.applets.values()), *self.classes]
        by_name = {cls.__name__: cls for cls in every}
        if len(by_name) != len(every):
            raise UsageError(f"package {self.aid.hex().upper()} has two classes of one name")
        multiselectable = [issubclass(cls, MultiSelectable) for cls in self.applets.values()]
        if any(multiselectable) and not all(multiselectable):
            raise UsageError(
                f"package {self.aid.hex().upper()}: all its applets are multiselectable, or none"
            )
        object.__setattr__(self, "by_name", by_name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Package:
        return self

    @property
    def is_multiselectable(self) -> bool:
        """Whether its applets may be active on several logical channels."""
        return any(issubclass(cls, MultiSelectable) for cls in self.applets.values())


FRAMEWORK_PACKAGE: Final = Package(
    aid=FRAMEWORK_AID,
    applets={},
    classes=(OwnerPIN, ByteArray, ShortArray, BooleanArray, ObjectArray),
    version=(1, 3),  # Java Card 2.2.2
)


class LoadedPackages:
    """The packages in a card's memory, by number.

    Args:
        memory: where the numbers are kept.
        available: the packages that the bench gives to the card.

    Raises:
        UsageError: the memory names a package that is not available.
    """

    __slots__ = ("_available", "_by_number", "_memory", "_names")

    def __init__(self, memory: Memory, available: Iterable[Package]) -> None:
        self._memory = memory
        self._available = {package.aid: package for package in available}
        self._by_number: dict[int, Package] = {FRAMEWORK: FRAMEWORK_PACKAGE}
        self._names: dict[type[PersistentObject], tuple[int, str]] = {}
        for number, aid in self._stored():
            package = self._available.get(aid)
            if package is None:
                raise UsageError(
                    f"the memory holds package {aid.hex().upper()}, which was not given to the card"
                )
            self._by_number[number] = package

    def _stored(self) -> Iterator[tuple[int, bytes]]:
        for key in self._memory:
            aid = self._memory[key]
            if key[0] == PACKAGE and len(key) == 2:
                if not isinstance(key[1], int) or not isinstance(aid, bytes):
                    raise ValueError(f"package {key[1]!r} has no AID")
                yield key[1], aid

    def __getitem__(self, number: int) -> Package:
        return self._by_number[number]

    def number_of(self, package: Package) -> int | None:
        """Return the number of a package that is loaded."""
        for number, loaded in self._by_number.items():
            if loaded is package:
                return number
        return None

    def load(self, package: Package) -> int:
        """Load a package: one commit. Return its number; the one it has where it is loaded already."""
        number = self.number_of(package)
        if number is None:
            number = cast("int", self._memory.get((PACKAGE,), 0)) + 1
            changes: dict[Key, bytes | int] = {(PACKAGE,): number, (PACKAGE, number): package.aid}
            self._memory.commit(changes)
            self._by_number[number] = package
        return number

    def module(self, module_aid: bytes) -> Package | None:
        """Return the available package that has this module."""
        for package in self._available.values():
            if module_aid in package.applets:
                return package
        return None

    def name_of(self, cls: type[PersistentObject], context: int) -> tuple[int, str]:
        """Return the package number and name of a class, as a context may use it.

        Raises:
            UsageError: the class is neither the framework's nor of this context's package.
        """
        name = cls.__name__
        for number in (context, FRAMEWORK):
            if self._by_number[number].by_name.get(name) is cls:
                return number, name
        package = self._by_number[context]
        raise UsageError(
            f"class {name} is not of package {package.aid.hex().upper()}: list it in Package.classes"
        )

    def class_named(self, number: int, name: str) -> type[PersistentObject]:
        """Return the class that the memory names.

        Raises:
            MalformedImage: the package has no such class.
        """
        package = self._by_number.get(number)
        cls = None if package is None else package.by_name.get(name)
        if cls is None:
            raise MalformedImage(
                f"the memory holds a {name!r} of package {number!r}, which has no such class"
            )
        return cls
