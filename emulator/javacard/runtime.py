"""A Java Card: the chassis' card whose answers come from applets.

The way of a command
--------------------
1. No APDU: 6700. The channel is in the low two bits of classes 0X, 8X, 9X and AX; every other class is of
   the basic channel. A channel that is not open: 6881.
2. SELECT by name (00 A4 04, P2 00 or 02, b4 and b3 of P2 free, no name or one of 5 to 16 bytes): the
   applet of that AID, else the first whose AID begins so, or with P2 02 the next one. It opens a closed
   channel. No name: the default applet. No such applet: as any other command.
3. MANAGE CHANNEL (0X 70): the runtime's own.
4. All else: the selected applet; 6999 where there is none.

What survives is in the chassis' memory: loaded packages, registry, objects (see `packages`, `registry`,
`heap`). The packages themselves are given to the card as values; a card is rebuilt from its memory and
the same packages.

Left out: T=0 and its 61xx, channels 4 to 19, garbage collection, RMI, bytecode: applets are Python.

Source: wallet-javacard §6; Java Card Runtime Environment 2.2.2 §4, and 2.2.1 §4.3 for the classes that carry
a channel (2.2.2 adds BX, which would take the Wallet's class B0 apart; our choice).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.chassis import Memory, Refusal, SoftwareCard
from cardbench.emulator.javacard.applet import ExtendedLength
from cardbench.emulator.javacard.install_data import InstallData
from cardbench.emulator.javacard.objects import CLEAR_ON_DESELECT, CLEAR_ON_RESET
from cardbench.emulator.javacard.packages import LoadedPackages
from cardbench.emulator.javacard.registry import DEFAULT
from cardbench.emulator.javacard.session import (
    BASIC_CHANNEL,
    CHANNELS,
    CardSession,
    Channel,
    InstallationRefused,
)
from cardbench.emulator.javacard.transactions import ConditionalMemory
from cardbench.protocol.errors import MalformedImage, UsageError
from cardbench.protocol.iso7816 import ISO7816
from cardbench.protocol.link import PowerLoss
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cardbench.emulator.chassis import Clock, Entropy, Snapshot
    from cardbench.emulator.javacard.packages import Package
    from cardbench.emulator.javacard.registry import Instance
    from cardbench.protocol.apdu import CommandApdu

DEFAULT_ATR: Final = bytes.fromhex("3B85018073C0011BAD")
"""T=1; historical bytes: selection by full and partial name, four channels by card or terminal."""

COMMIT_CAPACITY_BYTES: Final = 4096
TRANSIENT_SIZE_BYTES: Final = 4096
INSTALL_DATA_MAX_BYTES: Final = 127

SELECT_BY_NAME: Final = 0x04
FIRST_OCCURRENCE: Final = 0x00
NEXT_OCCURRENCE: Final = 0x02
OCCURRENCE_MASK: Final = 0xF3  # b4 and b3 say which control information is wanted
NAME_LENGTHS: Final = frozenset((0, *range(5, 17)))
OPEN_CHANNEL: Final = 0x00
CLOSE_CHANNEL: Final = 0x80

_CLASSES_WITH_CHANNEL: Final = frozenset((0x0, 0x8, 0x9, 0xA))
_CHANNEL_OF_CLASS: Final = bytes(
    cla & 0x03 if cla >> 4 in _CLASSES_WITH_CHANNEL else BASIC_CHANNEL for cla in range(256)
)
_SELECT: Final = ISO7816.INS_SELECT
_MANAGE_CHANNEL: Final = ISO7816.INS_MANAGE_CHANNEL


class JavaCard(SoftwareCard[CardSession]):
    """A software Java Card.

    Args:
        memory: what survives; a fresh one is a card without applets.
        packages: the packages whose applets the card has or may get.
        entropy: where random bytes come from.
        clock: the virtual clock.
        atr: the answer to reset.
        on_fault: told of every exception of an applet that is answered with 6F00 or ignored; an applet's
            author wants to see it, the terminal never does.

    Raises:
        UsageError: the memory names a package that is not given.
        MalformedImage: the memory holds what no Java Card of ours writes.
    """

    def __init__(
        self,
        memory: Memory,
        *,
        packages: Iterable[Package],
        entropy: Entropy | None = None,
        clock: Clock | None = None,
        atr: bytes = DEFAULT_ATR,
        on_fault: Callable[[Exception], None] | None = None,
    ) -> None:
        super().__init__(memory, entropy=entropy, clock=clock)
        self.packages = tuple(packages)
        self.on_fault = on_fault
        self._atr = atr
        self._read_through(memory)

    # The chassis

    def atr(self) -> bytes:
        """Return the answer to reset."""
        return self._atr

    def fresh_volatile(self) -> CardSession:
        """Begin a card session: nothing selected yet, every object still in memory only."""
        return self._session_over(self.memory)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot; the card is off afterwards.

        Raises:
            UsageError, MalformedImage: it is none of a card with these packages; nothing has changed.
        """
        memory = Memory()
        memory.restore(snapshot.memory)
        self._read_through(memory)
        super().restore(snapshot)

    def _session_over(self, memory: Memory) -> CardSession:
        return CardSession(
            ConditionalMemory(memory, capacity_bytes=COMMIT_CAPACITY_BYTES),
            LoadedPackages(memory, self.packages),
            transient_size_bytes={
                CLEAR_ON_RESET: TRANSIENT_SIZE_BYTES,
                CLEAR_ON_DESELECT: TRANSIENT_SIZE_BYTES,
            },
            entropy=self.entropy,
            on_fault=self._report,
        )

    def _read_through(self, memory: Memory) -> None:
        """Read everything once, so that nothing that is wrong with it comes up in a command."""
        recovered = Memory()
        recovered.restore(memory.image())
        recovered.recover()
        try:
            self._session_over(recovered).read_everything()
        except UsageError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise MalformedImage(f"the memory is none of a Java Card: {error}") from error

    def _report(self, fault: Exception) -> None:
        if self.on_fault is not None:
            self.on_fault(fault)

    def power_on(self) -> bytes:
        """Cold reset; the default applet, if there is one, is selected on the basic channel."""
        atr = super().power_on()
        session = self.volatile
        default = session.registry.default()
        if default is not None:
            try:
                session.select(self._open(session, BASIC_CHANNEL), default)
            except PowerLoss:
                self.power_off()
                raise
        return atr

    def execute(self, command: CommandApdu, raw: bytes) -> tuple[bytes, int]:
        """Carry out a well-formed command; see the module text for its way."""
        session = self.volatile
        cla, ins = command.cla, command.ins
        number = _CHANNEL_OF_CLASS[cla]
        if cla <= 0x0F:
            if ins == _MANAGE_CHANNEL:
                return self._manage_channel(session, command, number)
            if ins == _SELECT and cla < CHANNELS and command.p1 == SELECT_BY_NAME:
                answer = self._select_by_name(session, command, raw, number)
                if answer is not None:
                    return answer
        channel = session.channels[number]
        if channel is None:
            return b"", StatusWord.CHANNEL_NOT_SUPPORTED
        return session.process(channel, command, raw)

    # Selection

    def _select_by_name(
        self, session: CardSession, command: CommandApdu, raw: bytes, number: int
    ) -> tuple[bytes, int] | None:
        """Select an applet; None where the command is for the applet that is selected already."""
        name, occurrence = command.data, command.p2 & OCCURRENCE_MASK
        if occurrence not in {FIRST_OCCURRENCE, NEXT_OCCURRENCE} or len(name) not in NAME_LENGTHS:
            return None
        channel = self._open(session, number)
        if not name:
            instance = session.registry.default()
        elif occurrence == NEXT_OCCURRENCE and channel.instance is not None:
            instance = session.registry.match(name, after=channel.instance.number)
        else:
            instance = session.registry.match(name)
        if instance is None:
            return None
        package = session.heap.packages[instance.package]
        if command.extended and not issubclass(
            package.applets[instance.module_aid], ExtendedLength
        ):
            return b"", StatusWord.WRONG_LENGTH
        if not session.may_select(channel, instance):
            return b"", StatusWord.CONDITIONS_NOT_SATISFIED
        if not session.select(channel, instance):
            return b"", StatusWord.SELECT_FAILED
        session.is_selecting = True
        try:
            return session.process(channel, command, raw)
        finally:
            session.is_selecting = False

    @staticmethod
    def _open(session: CardSession, number: int) -> Channel:
        channel = session.channels[number]
        if channel is None:
            channel = session.channels[number] = Channel(number)
        return channel

    def _manage_channel(
        self, session: CardSession, command: CommandApdu, origin: int
    ) -> tuple[bytes, int]:
        if command.cla >= CHANNELS:
            return b"", StatusWord.SECURE_MESSAGING_NOT_SUPPORTED
        origin_channel = session.channels[origin]
        if origin_channel is None:
            return b"", StatusWord.CHANNEL_NOT_SUPPORTED
        number = command.p2
        if command.p1 == CLOSE_CHANNEL and BASIC_CHANNEL < number < CHANNELS:
            return self._close_channel(session, number)
        if command.p1 != OPEN_CHANNEL or number >= CHANNELS:
            return b"", StatusWord.FUNCTION_NOT_SUPPORTED
        if number:
            if session.channels[number] is not None:
                return b"", StatusWord.WRONG_P1P2
            return b"", self._open_channel(session, number, origin_channel)
        if command.ne != 1:
            return b"", ISO7816.SW_CORRECT_LENGTH_00 | 1
        free = [number for number in range(1, CHANNELS) if session.channels[number] is None]
        if not free:
            return b"", StatusWord.FUNCTION_NOT_SUPPORTED
        sw = self._open_channel(session, free[0], origin_channel)
        return (bytes(free[:1]) if sw == StatusWord.OK else b""), sw

    def _open_channel(self, session: CardSession, number: int, origin: Channel) -> int:
        """Open a channel: with the default applet from the basic channel, else with the origin's."""
        instance = origin.instance if origin.number else session.registry.default()
        channel = self._open(session, number)
        if instance is None:
            return StatusWord.OK
        if not session.may_select(channel, instance):
            session.channels[number] = None
            return StatusWord.CONDITIONS_NOT_SATISFIED
        if not session.select(channel, instance):
            session.channels[number] = None
            return StatusWord.SELECT_FAILED
        return StatusWord.OK

    @staticmethod
    def _close_channel(session: CardSession, number: int) -> tuple[bytes, int]:
        channel = session.channels[number]
        if channel is None:
            return b"", StatusWord.WARNING
        session.deselect(channel)
        session.channels[number] = None
        return b"", StatusWord.OK

    # Card content, for the bench and for a card manager

    def instances(self) -> list[Instance]:
        """Return the applet instances, in registry order; the card must be powered."""
        return self.volatile.registry.instances()

    def install(
        self,
        module_aid: bytes,
        *,
        instance_aid: bytes | None = None,
        control: bytes = b"\0",
        parameters: bytes = b"",
    ) -> bytes:
        """Install an applet with installation data of three fields, as loaders since 2.2 do.

        Args:
            module_aid: names the applet class among the packages.
            instance_aid: AID that the loader proposes; the module's by default.
            control: privileges.
            parameters: the applet's own data.

        Returns:
            The instance's AID.

        Raises:
            InstallationRefused: nothing was installed; see `instantiate`.
            CardMute: the card has no power.
            PowerLoss: an armed tear struck; the applet is there whole or not at all.
        """
        aid = instance_aid or module_aid
        data = InstallData(aid, control, parameters).encode()
        return self.instantiate(module_aid, proposed_aid=aid, install_data=data)

    def instantiate(self, module_aid: bytes, *, proposed_aid: bytes, install_data: bytes) -> bytes:
        """Install an applet with raw installation data; as `install`.

        Raises:
            InstallationRefused: 6A88 no such module; 6A80 the proposed AID is taken, the data are
                longer than 127 bytes, or the applet registered nothing; 6985 an applet of the package
                is active; otherwise what the applet's `install` threw.
        """
        session = self.volatile
        package = session.heap.packages.module(module_aid)
        if package is None:
            raise InstallationRefused(StatusWord.DATA_NOT_FOUND)
        if session.registry.find(proposed_aid) or len(install_data) > INSTALL_DATA_MAX_BYTES:
            raise InstallationRefused(StatusWord.WRONG_DATA)
        number = session.heap.packages.number_of(package)
        if number is not None and session.is_package_active(number):
            raise InstallationRefused(StatusWord.CONDITIONS_NOT_SATISFIED)
        try:
            return session.install(package, module_aid, proposed_aid, install_data).aid
        except PowerLoss:
            self.power_off()
            raise

    def delete(self, aid: bytes) -> None:
        """Delete an applet instance with everything it made.

        Raises:
            Refusal: 6A88 no such instance; 6985 it is active, or another applet keeps a reference to
                one of its objects.
            PowerLoss: an armed tear struck; the applet is there whole or not at all.
        """
        session = self.volatile
        instance = session.registry.find(aid)
        if instance is None:
            raise Refusal(StatusWord.DATA_NOT_FOUND)
        if session.is_active(aid) or session.heap.is_referred_to(instance.number):
            raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
        try:
            session.delete(instance)
        except PowerLoss:
            self.power_off()
            raise

    def select_by_default(self, aid: bytes | None) -> None:
        """Make an instance the default applet, selected at every power-up; None: there is none.

        Raises:
            UsageError: no such instance.
        """
        number = None
        if aid is not None:
            instance = self.volatile.registry.find(aid)
            if instance is None:
                raise UsageError(f"no applet {aid.hex().upper()} on the card")
            number = instance.number
        self.memory.commit({DEFAULT: number})
