"""A card session: everything volatile between power-up and power-down, and how applet code is run.

Logical channels
----------------
Channel 0 is always open; 1 to 3 are opened and closed. Each open channel has at most one selected applet.
A package is *active* where an applet of it is selected. Selecting an applet whose package is active on
another channel is a multiselection: only `MultiSelectable` applets take part in it, and they are told by
`multi_select` and `multi_deselect`.

Running applet code
-------------------
Whatever the runtime calls in an applet runs in the applet's context, with its package as the selected
one. A transaction that is still open when the code returns or throws is aborted. A power loss passes
through, for the session is lost then anyway.

Source: wallet-javacard §6.1, §6.2, §6.4; Java Card Runtime Environment 2.2.2 §4.2, §4.5, §4.6, §11.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from cardbench.emulator.chassis import Refusal
from cardbench.emulator.javacard.aid import AID, AID_MAX_BYTES, AID_MIN_BYTES
from cardbench.emulator.javacard.apdu import APDU
from cardbench.emulator.javacard.applet import Applet, AppletEvent, ExtendedLength, MultiSelectable
from cardbench.emulator.javacard.arrays import read_bytes
from cardbench.emulator.javacard.current import current
from cardbench.emulator.javacard.exceptions import (
    APDUException,
    ISOException,
    SecurityException,
    SystemException,
)
from cardbench.emulator.javacard.firewall import (
    JCRE_CONTEXT,
    GlobalArray,
    Shareable,
    present,
)
from cardbench.emulator.javacard.heap import Heap
from cardbench.emulator.javacard.registry import Instance, Registry
from cardbench.protocol.apdu import SHORT_NE_MAX
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.chassis import Entropy, Key, Value
    from cardbench.emulator.javacard.arrays import Bytes
    from cardbench.emulator.javacard.packages import LoadedPackages, Package
    from cardbench.emulator.javacard.transactions import ConditionalMemory
    from cardbench.protocol.apdu import CommandApdu

CHANNELS: Final = 4
BASIC_CHANNEL: Final = 0

_OK: Final = int(StatusWord.OK)
_UNKNOWN: Final = int(StatusWord.UNKNOWN)


class InstallationRefused(Refusal):
    """An applet could not be installed; nothing of it is on the card.

    The exception that the applet threw, if it did, is the `__cause__`.
    """


class Channel:
    """An open logical channel.

    Attributes:
        number: 0 … 3.
        instance, applet: what is selected, or None.
        takes_extended: the applet implements `ExtendedLength`.
        busy: contexts that are active on other channels and not multiselectable.
    """

    __slots__ = ("applet", "busy", "instance", "number", "takes_extended")

    def __init__(self, number: int) -> None:
        self.number = number
        self.instance: Instance | None = None
        self.applet: Applet | None = None
        self.takes_extended = False
        self.busy: frozenset[int] = frozenset()

    def hold(self, instance: Instance | None, applet: Applet | None) -> None:
        """Note what is selected."""
        self.instance, self.applet = instance, applet
        self.takes_extended = isinstance(applet, ExtendedLength)


class Installation:
    """An installation under way: what `register` may use."""

    __slots__ = ("module_aid", "number", "package", "proposed_aid", "registered")

    def __init__(self, number: int, package: int, module_aid: bytes, proposed_aid: bytes) -> None:
        self.number = number
        self.package = package
        self.module_aid = module_aid
        self.proposed_aid = proposed_aid
        self.registered: Instance | None = None


class CardSession:
    """The volatile record of a Java Card.

    Args:
        memory: the card's memory with transactions on top.
        packages: what is loaded.
        transient_size_bytes: room for transient arrays, by clear event.
        entropy: where random bytes come from.
        on_fault: told of every exception that is answered with 6F00, or ignored in `deselect`.
    """

    def __init__(
        self,
        memory: ConditionalMemory,
        packages: LoadedPackages,
        *,
        transient_size_bytes: dict[int, int],
        entropy: Entropy,
        on_fault: Callable[[Exception], None],
    ) -> None:
        self.heap = Heap(memory, packages, transient_size_bytes=transient_size_bytes)
        self.registry = Registry(memory)
        self.entropy = entropy
        self.apdu = APDU()
        self.channels: list[Channel | None] = [Channel(BASIC_CHANNEL), None, None, None]
        self.channel = BASIC_CHANNEL
        self.is_selecting = False
        self._installation: Installation | None = None
        self._on_fault = on_fault

    def read_everything(self) -> None:
        """Read every object and every registered instance.

        Raises:
            TypeError, ValueError, LookupError, AttributeError, MalformedImage: what is in memory does not
                belong there.
        """
        heap = self.heap
        heap.read_everything()
        for instance in self.registry.instances():
            cls = heap.packages[instance.package].applets[instance.module_aid]
            applet = heap.resolve(instance.handle)
            if type(applet) is not cls or applet.jc_owner != instance.number:
                raise ValueError(f"instance {instance.number} is no {cls.__name__} of its own")
            AID(instance.aid)

    # What is active

    def active_elsewhere(self, package: int, channel: Channel) -> list[Channel]:
        """Return the other channels on which a package is active."""
        return [
            other
            for other in self.channels
            if other is not None
            and other is not channel
            and other.instance is not None
            and other.instance.package == package
        ]

    def is_package_active(self, package: int) -> bool:
        """Whether an applet of the package is selected on any channel."""
        return any(
            channel is not None
            and channel.instance is not None
            and channel.instance.package == package
            for channel in self.channels
        )

    def is_active(self, aid: bytes) -> bool:
        """Whether the applet of this AID is selected on any channel."""
        return any(
            channel is not None and channel.instance is not None and channel.instance.aid == aid
            for channel in self.channels
        )

    def _note_busy(self) -> None:
        """Work out, for each channel, whose objects cannot be called from it."""
        packages = self.heap.packages
        for channel in self.channels:
            if channel is not None:
                channel.busy = frozenset(
                    other.instance.package
                    for other in self.channels
                    if other is not None
                    and other is not channel
                    and other.instance is not None
                    and not packages[other.instance.package].is_multiselectable
                )

    # Running applet code

    def run(
        self,
        channel: Channel,
        number: int,
        package: int,
        method: Callable[..., Any],
        *arguments: object,
    ) -> object:
        """Call an applet's method in its context, as the selected applet of the channel."""
        heap = self.heap
        self.channel = channel.number
        heap.selected_context, heap.busy_servers = package, channel.busy
        heap.applet, heap.context = number, package
        token = current.set(self)
        try:
            return method(*arguments)
        finally:
            current.reset(token)
            heap.applet, heap.context = 0, JCRE_CONTEXT
            if heap.memory.transaction is not None:
                heap.forget(heap.memory.abort())

    def process(self, channel: Channel, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:
        """Let the selected applet of a channel answer a command."""
        instance, applet = channel.instance, channel.applet
        if instance is None or applet is None:
            raise Refusal(StatusWord.SELECT_FAILED)
        if command.extended and not channel.takes_extended:
            raise Refusal(StatusWord.WRONG_LENGTH)
        apdu, heap = self.apdu, self.heap
        apdu.begin(command, raw, channel.number, takes_extended=channel.takes_extended)
        # As in `run`, written out: this is on the way of every command.
        self.channel = channel.number
        heap.selected_context = heap.context = instance.package
        heap.busy_servers, heap.applet = channel.busy, instance.number
        token = current.set(self)
        sw = _OK
        try:
            applet.process(apdu)
            data = apdu.finish()
        except ISOException as thrown:
            sw = thrown.reason & 0xFFFF
            data = apdu.response if keeps_data(sw) else b""
        except Exception as fault:  # noqa: BLE001 - every other Throwable is 6F00
            self._on_fault(fault)
            sw, data = _UNKNOWN, b""
        finally:
            current.reset(token)
            heap.applet, heap.context = 0, JCRE_CONTEXT
            if heap.memory.transaction is not None:
                heap.forget(heap.memory.abort())
        if data is None:
            self._on_fault(APDUException(APDUException.BAD_LENGTH))
            return b"", _UNKNOWN
        expected = command.ne
        if expected is None:
            expected = len(data) if command.extended else SHORT_NE_MAX
        return (data if len(data) <= expected else data[:expected]), sw

    # Selection

    def may_select(self, channel: Channel, instance: Instance) -> bool:
        """Whether a selection is no multiselection, or one that the applet's package allows."""
        if not self.active_elsewhere(instance.package, channel):
            return True
        return self.heap.packages[instance.package].is_multiselectable

    def select(self, channel: Channel, instance: Instance) -> bool:
        """Deselect what is selected, select an applet; return False if it refuses, and nothing is."""
        self.deselect(channel)
        applet = cast("Applet", self.heap.resolve(instance.handle))
        elsewhere = self.active_elsewhere(instance.package, channel)
        try:
            if elsewhere and isinstance(applet, MultiSelectable):
                again = any(other.instance == instance for other in elsewhere)
                accepts = self._run_in(
                    channel, instance, lambda: applet.multi_select(app_inst_already_active=again)
                )
            else:
                accepts = self._run_in(channel, instance, applet.select)
        except Exception as fault:  # noqa: BLE001 - a Throwable out of select refuses
            self._on_fault(fault)
            accepts = False
        if accepts:
            channel.hold(instance, applet)
        elif not elsewhere:
            self.heap.deselected(instance.package)
        self._note_busy()
        return bool(accepts)

    def _run_in(self, channel: Channel, instance: Instance, method: Callable[[], object]) -> object:
        return self.run(channel, instance.number, instance.package, method)

    def deselect(self, channel: Channel) -> None:
        """Deselect the applet of a channel, if one is selected; it cannot refuse."""
        instance, applet = channel.instance, channel.applet
        if instance is None or applet is None:
            return
        elsewhere = self.active_elsewhere(instance.package, channel)
        try:
            if elsewhere and isinstance(applet, MultiSelectable):
                still = any(other.instance == instance for other in elsewhere)
                self._run_in(
                    channel, instance, lambda: applet.multi_deselect(app_inst_still_active=still)
                )
            else:
                self._run_in(channel, instance, applet.deselect)
        except Exception as fault:  # noqa: BLE001 - deselection always succeeds
            self._on_fault(fault)
        channel.hold(None, None)
        self._note_busy()
        if not elsewhere:
            self.heap.deselected(instance.package)

    # Installation and deletion

    def install(
        self, package: Package, module_aid: bytes, proposed_aid: bytes, data: bytes
    ) -> Instance:
        """Call a module's `install`; one atomic write at the end, nothing if it fails.

        Raises:
            InstallationRefused: what `install` threw (6F00 but for an `ISOException`), or 6A80 where
                it registered nothing.
        """
        heap, memory = self.heap, self.heap.memory
        number = heap.packages.load(package)
        installation = Installation(self.registry.next_number(), number, module_aid, proposed_aid)
        array = GlobalArray(data)
        memory.begin_unit()
        self._installation = installation
        try:
            self.run(
                cast("Channel", self.channels[BASIC_CHANNEL]),
                installation.number,
                number,
                package.applets[module_aid].install,
                array,
                0,
                len(array),
            )
        except Exception as fault:
            heap.forget(memory.abort())
            sw = fault.reason & 0xFFFF if isinstance(fault, ISOException) else _UNKNOWN
            raise InstallationRefused(sw) from fault
        finally:
            self._installation = None
            array[:] = bytes(len(array))
        if installation.registered is None:
            heap.forget(memory.abort())
            raise InstallationRefused(StatusWord.WRONG_DATA)
        memory.commit()
        self.registry.reload()
        return installation.registered

    def register(self, applet: Applet, array: Bytes | None, offset: int, length: int) -> None:
        """Register the instance that is being installed; see `Applet.register`."""
        installation = self._installation
        if installation is None or installation.registered is not None:
            SystemException.throw_it(SystemException.ILLEGAL_AID)
        aid = installation.proposed_aid if array is None else read_bytes(array, offset, length)
        if not AID_MIN_BYTES <= len(aid) <= AID_MAX_BYTES or self.registry.find(aid):
            SystemException.throw_it(SystemException.ILLEGAL_AID)
        instance = Instance(
            installation.number,
            aid,
            installation.package,
            installation.module_aid,
            applet.jc_handle,
        )
        installation.registered = instance
        self.heap.memory.write_all(self.registry.additions(instance))

    def delete(self, instance: Instance) -> None:
        """Tell an `AppletEvent`, then delete the instance and all objects it made: one atomic write."""
        heap = self.heap
        applet = cast("Applet", heap.resolve(instance.handle))
        if isinstance(applet, AppletEvent):
            try:
                self._run_in(
                    cast("Channel", self.channels[BASIC_CHANNEL]), instance, applet.uninstall
                )
            except Exception as fault:  # noqa: BLE001 - it cannot stop the deletion
                self._on_fault(fault)
        changes: dict[Key, Value] = heap.removals(instance.number)
        changes.update(self.registry.removals(instance))
        heap.memory.write_all(changes)
        heap.drop(instance.number)
        self.registry.reload()

    # For JCSystem

    def aid_of(self, number: int) -> AID | None:
        """Return the AID of an applet by its number."""
        instance = self.registry.numbered(number)
        if instance is None and self._installation is not None:
            instance = self._installation.registered
            if instance is not None and instance.number != number:
                instance = None
        return None if instance is None else AID(instance.aid)

    def shareable_of(self, server_aid: AID, parameter: int) -> object:
        """Ask an applet for a shareable object, in the name of the active one."""
        heap = self.heap
        instance = self.registry.find(bytes(server_aid))
        if instance is None:
            return None
        heap.check_server(instance.package)
        server = cast("Applet", heap.resolve(instance.handle))
        client, viewer = self.aid_of(heap.applet), heap.context
        heap.enter(instance.number, instance.package)
        try:
            shared = server.get_shareable_interface_object(client, parameter)
        finally:
            heap.leave()
        if shared is None:
            return None
        if not isinstance(shared, Shareable):
            raise SecurityException(f"a {type(shared).__name__} is not shareable")
        return present(shared, viewer)


def keeps_data(sw: int) -> bool:
    """Whether a response with this status word keeps its data: 9xxx, 61xx, 62xx and 63xx do."""
    return sw >> 12 == 0x9 or sw >> 8 in {0x61, 0x62, 0x63}
