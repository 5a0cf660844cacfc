"""The vpcd backend: software cards in the virtual readers of the machine's own pcscd."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.vpcd import PORTS, VpcdLink
from cardbench.protocol.errors import ReaderError
from cardbench.scenarios.backends import Backend, BackendOptions, Place, Seat
from cardbench.scenarios.backends.strict import published
from cardbench.terminal.readers.pcsc import PcscReader, list_readers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cardbench.protocol.link import Card

PLUG_TIMEOUT_S = 5.0
READER_NAME = re.compile(r"Virtual PCD \d\d 0(\d)")


class VpcdHand:
    """Puts cards into a slot that a link carries to pcscd.

    Args:
        slot: where the card sits.
        link: carries it.
        reader_name: the reader that should show it.
    """

    def __init__(self, slot: CardSlot, link: VpcdLink, reader_name: str) -> None:
        self._slot = slot
        self._link = link
        self._reader_name = reader_name

    def insert(self, card: Card) -> None:
        """Put a card in.

        Raises:
            ReaderError: pcscd does not ask for it.
        """
        self._slot.insert(card)
        if not self._link.wait_until_plugged(PLUG_TIMEOUT_S):
            host, port = self._link.address
            raise ReaderError(
                f"{self._reader_name}: pcscd does not take the card on {host}:{port}; another bench may "
                f"hold this reader: stop it, or use --backend rootless"
            )

    def remove(self) -> Card | None:
        """Pull the card out; return it."""
        return self._slot.remove()


def virtual_readers() -> list[str]:
    """Name the vpcd readers that pcscd shows, in the order of their ports.

    Raises:
        ReaderError: no pcscd, or none with vpcd; the text says what to do.
    """
    try:
        names = list_readers()
    except ReaderError as error:
        raise ReaderError(
            f"{error}; start pcscd as root, or use --backend rootless, which needs none"
        ) from error
    found = sorted(name for name in names if READER_NAME.fullmatch(name))
    if not found:
        raise ReaderError(
            f"pcscd shows no 'Virtual PCD' reader (but: {', '.join(names) or 'none'}); install "
            f"vsmartcard-vpcd and restart pcscd, or use --backend rootless"
        )
    return found


class VpcdBackend(Backend):
    """Links a slot to a vpcd reader for each seat; a card that answers late takes its real time."""

    name = "vpcd"

    def __init__(self, options: BackendOptions) -> None:
        self._options = options
        self._resources = ExitStack()

    def open(self, seats: Sequence[Seat], *, sleep: Callable[[float], None]) -> Sequence[Place]:
        """Start the links, and open the readers as any PC/SC program would.

        Raises:
            ReaderError: pyscard, pcscd or vpcd is missing, or has too few readers.
        """
        del sleep  # pcscd is another program: it waits in real time
        names = virtual_readers()
        if len(seats) > min(len(names), len(PORTS)):
            raise ReaderError(f"{len(seats)} readers are wanted; vpcd has {', '.join(names)}")
        places = []
        for seat, name, port in zip(seats, names, PORTS, strict=False):
            slot = CardSlot(f"cardbench {seat.role}")
            link = VpcdLink(published(slot, seat, self._options), port=port)
            self._resources.callback(link.stop)
            link.start()
            self._resources.callback(slot.remove)
            reader = PcscReader(name, is_contactless=seat.is_contactless)
            self._resources.callback(reader.close)
            places.append(Place(reader, VpcdHand(slot, link, name)))
        return places

    def close(self) -> None:
        """Close the readers, pull the cards out, cut the links."""
        self._resources.close()
