"""The readers backend: whatever readers there are, physical ones included; nothing is plugged in.

A reader is named by a part of its name in PC/SC, or by the address of a plug-in's reader,
`plugin:reader name`. PC/SC is not needed where every reader is a plug-in's.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from cardbench.protocol.errors import UsageError
from cardbench.scenarios.backends import Backend, BackendOptions, Place, Seat
from cardbench.terminal.readers.pcsc import PcscReader, list_readers
from cardbench.terminal.readers.plugins import is_address, open_reader, plugin_addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cardbench.terminal.readers import Reader


class ReadersBackend(Backend):
    """Opens the reader that the user named for each seat; the cards are there, or somebody puts them in."""

    name = "readers"

    def __init__(self, options: BackendOptions) -> None:
        self._options = options
        self._resources = ExitStack()

    def open(self, seats: Sequence[Seat], *, sleep: Callable[[float], None]) -> Sequence[Place]:
        """Open the readers.

        Raises:
            UsageError: the user did not say which reader.
            ReaderError: pyscard is missing, no PC/SC service runs, or no reader fits.
        """
        del sleep  # real cards take real time
        patterns = self._options.reader_patterns
        for seat in seats:
            if seat.role not in patterns:
                raise UsageError(
                    f"say which reader holds the {seat.role}: --{seat.role}-reader with a part of its "
                    f"name or a regular expression; {_there()}"
                )
        chosen: dict[str, Seat] = {}
        places = []
        for seat in seats:
            name, reader = self._open(patterns[seat.role])
            other = chosen.setdefault(name, seat)
            if other is not seat:
                raise UsageError(
                    f"--{other.role}-reader and --{seat.role}-reader both mean {name!r}"
                )
            places.append(Place(reader, None))
        return places

    def _open(self, pattern: str) -> tuple[str, Reader]:
        """Open a reader; return what tells it from all others, and the reader."""
        if is_address(pattern):
            plugin, _, _ = pattern.partition(":")
            found = open_reader(pattern)
            self._resources.callback(found.disconnect)
            return f"{plugin}:{found.name}", found
        reader = PcscReader(pattern)
        self._resources.callback(reader.close)
        return reader.name, reader

    def close(self) -> None:
        """Close the readers."""
        self._resources.close()


def _there() -> str:
    """Say which readers there are."""
    shown = ", ".join(repr(name) for name in list_readers()) or "none"
    plugged = ", ".join(map(repr, plugin_addresses()))
    return f"PC/SC shows: {shown}" + (f"; plug-ins have: {plugged}" if plugged else "")
