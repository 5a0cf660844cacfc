"""Applet: what every applet derives from, and the interfaces that tag what it can do.

Life cycle: `install` makes the instance, whose constructor registers it; `select`, any number of
`process`, `deselect`, again and again; a deletion calls `uninstall` of an `AppletEvent`.

Java's overloaded methods of `MultiSelectable` have names of their own here: `multi_select` and
`multi_deselect`.

Source: wallet-javacard §2, §6.1, §6.2.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from cardbench.emulator.javacard.current import running
from cardbench.emulator.javacard.exceptions import ISOException
from cardbench.emulator.javacard.objects import PersistentObject
from cardbench.protocol.iso7816 import ISO7816

if TYPE_CHECKING:
    from cardbench.emulator.javacard.aid import AID
    from cardbench.emulator.javacard.apdu import APDU
    from cardbench.emulator.javacard.arrays import Bytes
    from cardbench.emulator.javacard.firewall import GlobalArray, Shareable


class Applet(PersistentObject):
    """Base of the applets."""

    @classmethod
    def install(cls, array: GlobalArray, offset: int, length: int) -> None:  # noqa: ARG003
        """Make an instance, from the installation data.

        The instance must call `register` once. Whatever this raises ends the installation without a
        trace; an `ISOException` keeps its reason.

        Args:
            array: holds the installation data; zeroed when the installation is over.
            offset, length: where.
        """
        ISOException.throw_it(ISO7816.SW_FUNC_NOT_SUPPORTED)

    def register(self, array: Bytes | None = None, offset: int = 0, length: int = 0) -> None:
        """Make this instance known, under the AID that the installation proposes or one of its own.

        Raises:
            SystemException: ILLEGAL_AID: the AID is taken or of a wrong length, no installation is under
                way, or this one has registered an instance already.
        """
        running().register(self, array, offset, length)

    def select(self) -> bool:
        """Get ready to be used; return False to refuse."""
        return True

    def deselect(self) -> None:
        """Clean up: another applet is selected. Not called at a reset or a power loss."""

    def process(self, apdu: APDU) -> None:
        """Answer a command; the SELECT of this applet comes here too."""
        raise NotImplementedError

    def selecting_applet(self) -> bool:
        """Whether the command being processed is the SELECT of this applet."""
        return running().is_selecting

    def get_shareable_interface_object(
        self, _client_aid: AID | None, _parameter: int
    ) -> Shareable | None:
        """Return what the client may use of this applet, or None."""
        return None


class MultiSelectable:
    """An applet that may be active on several logical channels, or beside others of its package."""

    @abstractmethod
    def multi_select(self, *, app_inst_already_active: bool) -> bool:
        """Get ready while the package is active on another channel; return False to refuse.

        Args:
            app_inst_already_active: it is this very instance.
        """

    @abstractmethod
    def multi_deselect(self, *, app_inst_still_active: bool) -> None:
        """Clean up after one channel, while the package stays active on another.

        Args:
            app_inst_still_active: it is this very instance.
        """


class AppletEvent:
    """An applet that wants to know of its deletion."""

    @abstractmethod
    def uninstall(self) -> None:
        """Clean up before the instance is deleted; exceptions do not stop the deletion."""


class ExtendedLength:
    """An applet that takes extended APDUs, of up to 32,767 bytes."""
