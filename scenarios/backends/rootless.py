"""The rootless backend: software cards behind a private PC/SC service of this process.

The terminal goes the whole way of a PC/SC program: through libpcsclite and a socket to the service. No
pcscd, no root, no driver.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.pcsclite import SOCKET_VARIABLE, PcscService
from cardbench.emulator.readers.uninterrupted import uninterrupted
from cardbench.scenarios.backends import Backend, BackendOptions, Place, Seat
from cardbench.scenarios.backends.strict import published
from cardbench.terminal.readers.pcsc import PcscReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@cache
def private_folder() -> Path:
    """Name the folder for the socket of this process, always the same.

    libpcsclite reads the socket's path once in a process, so a second service must be where the first one
    was.
    """
    return place_for_sockets() / f"cardbench-{os.getuid()}-{os.getpid()}-{os.urandom(4).hex()}"


def place_for_sockets() -> Path:
    """Return the temporary folder, or where its path is too long for a socket the system's own."""
    place = Path(tempfile.gettempdir())
    if len(os.fsencode(place)) > 60:
        place = Path("/tmp")  # noqa: S108 - the folders in it are made for this user alone
    return place


class RootlessBackend(Backend):
    """Publishes a slot for each seat; a card that answers late takes its real time."""

    name = "rootless"

    def __init__(self, options: BackendOptions) -> None:
        self._options = options
        self._resources = ExitStack()

    def open(self, seats: Sequence[Seat], *, sleep: Callable[[float], None]) -> Sequence[Place]:
        """Start the service, publish the slots, and open them as any PC/SC program would.

        Raises:
            ReaderError: pyscard is missing, or the service cannot start.
        """
        del sleep  # a PC/SC client is another program: it waits in real time
        service = PcscService(private_folder())
        self._resources.callback(service.stop)
        service.start()
        os.environ[SOCKET_VARIABLE] = str(service.socket_path)
        places = []
        for seat in seats:
            slot = CardSlot(f"cardbench {seat.role}")
            self._resources.callback(slot.remove)
            name = service.add_reader(published(slot, seat, self._options)).name
            reader = PcscReader(name, is_contactless=seat.is_contactless)
            self._resources.callback(reader.close)
            places.append(Place(reader, slot))
        return places

    def close(self) -> None:
        """Close the readers, pull the cards out, stop the service; no signal leaves it half done."""
        with uninterrupted():
            self._resources.close()
