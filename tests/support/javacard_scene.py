"""A Java Card with applets that do what a test says, inside the runtime.

bench = Bench()
bench.do(lambda applet, apdu: setattr(applet, "first", 7))     # runs in `process`
assert bench.do(lambda applet, apdu: applet.first) == 7
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from cardbench.emulator.chassis import Entropy, Memory
from cardbench.emulator.javacard import (
    APDU,
    Applet,
    AppletEvent,
    ExtendedLength,
    GlobalArray,
    JavaCard,
    JCSystem,
    MultiSelectable,
    Package,
    PersistentObject,
    Shareable,
    transient,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Action: TypeAlias = "Callable[[Any, APDU], object]"

PROBE_AID = bytes.fromhex("A00000000101")
TWIN_AID = bytes.fromhex("A00000000102")
CLIENT_AID = bytes.fromhex("A00000000201")
MULTI_AID = bytes.fromhex("A00000000301")
MULTI_TWIN_AID = bytes.fromhex("A00000000302")
LONG_AID = bytes.fromhex("A00000000401")
COMMAND = "8010000000"


class Node(PersistentObject):
    """An object of an applet's own class."""

    value: int
    after: Any = None

    def __init__(self, value: int) -> None:
        self.value = value


class Counter(Shareable):
    """A Shareable interface."""

    def count(self, by: int) -> int:
        raise NotImplementedError

    def echo(self, something: Any) -> Any:
        raise NotImplementedError

    def caller(self) -> object:
        raise NotImplementedError

    def make_array(self, event: int) -> object:
        raise NotImplementedError

    def peek(self) -> object:
        raise NotImplementedError


class SharedCounter(PersistentObject, Counter):
    """Implements the interface, and has more than it."""

    total: int = 0
    kept: Any = None

    def count(self, by: int) -> int:
        self.total += by
        return self.total

    def echo(self, something: Any) -> Any:
        self.kept = something if isinstance(something, PersistentObject) else None
        return something

    def caller(self) -> object:
        return JCSystem.get_previous_context_aid()

    def make_array(self, event: int) -> object:
        self.kept = JCSystem.make_transient_byte_array(1, event)
        return self.kept

    def peek(self) -> object:
        return self.kept[0]

    def hidden(self) -> int:
        return self.total


class Probe(Applet):
    """Does what the test says, and notes what it was called for."""

    action: ClassVar[Action | None] = None
    installing: ClassVar[Callable[[Any, GlobalArray, int, int], None] | None] = None
    selecting: ClassVar[Callable[[Any], bool] | None] = None
    deselecting: ClassVar[Callable[[Any], None] | None] = None
    calls: ClassVar[list[str]] = []

    first: int = 0
    second: int = 0
    link: Any = None
    flag: bool = False
    never: int
    session: int = transient(JCSystem.CLEAR_ON_RESET, 0)
    selection: int = transient(JCSystem.CLEAR_ON_DESELECT, 0)

    LIMIT: ClassVar[int] = 5

    @classmethod
    def install(cls, array: GlobalArray, offset: int, length: int) -> None:
        applet = cls()
        if Probe.installing is None:
            applet.register()
        else:
            Probe.installing(applet, array, offset, length)

    def select(self) -> bool:
        Probe.calls.append("select")
        return Probe.selecting(self) if Probe.selecting else True

    def deselect(self) -> None:
        Probe.calls.append("deselect")
        if Probe.deselecting:
            Probe.deselecting(self)

    def process(self, apdu: APDU) -> None:
        Probe.calls.append("process")
        if Probe.action and not self.selecting_applet():
            Probe.action(self, apdu)

    def get_shareable_interface_object(self, client_aid: object, parameter: int) -> Any:
        Probe.calls.append(f"share {client_aid} {parameter}")
        return self.link if parameter != 9 else self


class Multi(Probe, MultiSelectable):
    """A probe for several channels."""

    def multi_select(self, *, app_inst_already_active: bool) -> bool:
        Probe.calls.append(f"multi_select {app_inst_already_active}")
        return Probe.selecting(self) if Probe.selecting else True

    def multi_deselect(self, *, app_inst_still_active: bool) -> None:
        Probe.calls.append(f"multi_deselect {app_inst_still_active}")


class Twin(Probe):
    """Another applet of the probe's package."""


class MultiTwin(Multi):
    """Another applet of the multiselectable package."""


class Client(Probe, AppletEvent):
    """An applet of another package, which wants to know of its deletion."""

    def uninstall(self) -> None:
        Probe.calls.append("uninstall")
        if Probe.deselecting:
            Probe.deselecting(self)


class Long(Probe, ExtendedLength):
    """A probe for extended APDUs."""


PROBE_PACKAGE = Package(
    aid=bytes.fromhex("A000000001"),
    applets={PROBE_AID: Probe, TWIN_AID: Twin},
    classes=(Node, SharedCounter),
)
CLIENT_PACKAGE = Package(
    aid=bytes.fromhex("A000000002"), applets={CLIENT_AID: Client}, classes=(Node,)
)
MULTI_PACKAGE = Package(
    aid=bytes.fromhex("A000000003"),
    applets={MULTI_AID: Multi, MULTI_TWIN_AID: MultiTwin},
    classes=(SharedCounter,),
)
LONG_PACKAGE = Package(aid=bytes.fromhex("A000000004"), applets={LONG_AID: Long})
PACKAGES = (PROBE_PACKAGE, CLIENT_PACKAGE, MULTI_PACKAGE, LONG_PACKAGE)


class Bench:
    """A powered card with probes installed, the first one selected."""

    def __init__(self, *modules: bytes, memory: Memory | None = None) -> None:
        Probe.action = Probe.installing = Probe.selecting = Probe.deselecting = None
        self.faults: list[Exception] = []
        self.card = self.make(memory or Memory())
        self.card.power_on()
        if memory is None:
            for module in modules or (PROBE_AID,):
                self.card.install(module)
            self.select((modules or (PROBE_AID,))[0])
        Probe.calls.clear()

    def make(self, memory: Memory) -> JavaCard:
        return JavaCard(
            memory, packages=PACKAGES, entropy=Entropy(b"probe"), on_fault=self.faults.append
        )

    def send(self, command: str) -> str:
        return self.card.transmit(bytes.fromhex(command)).hex().upper()

    def select(self, aid: bytes, *, channel: int = 0) -> str:
        return self.send(f"{channel:02X}A40400{len(aid):02X}{aid.hex()}")

    def do(self, action: Action, command: str = COMMAND) -> Any:
        """Run an action in `process`; return what it returns, raise what it raises."""
        results: list[object] = []

        def note(applet: Any, apdu: APDU) -> None:
            results.append(action(applet, apdu))

        Probe.action = note
        before = len(self.faults)
        self.response = self.send(command)
        Probe.action = None
        if len(self.faults) > before:
            assert self.response == "6F00"
            raise self.faults[-1]
        assert results, f"the action did not run to its end: {self.response}"
        return results[0]

    def answer(self, action: Action, command: str = COMMAND) -> str:
        """Run an action in `process`; return the response."""
        Probe.action = action
        try:
            return self.send(command)
        finally:
            Probe.action = None

    @property
    def calls(self) -> list[str]:
        """What the probes were called for since the last look."""
        seen = Probe.calls[:]
        Probe.calls.clear()
        return seen
