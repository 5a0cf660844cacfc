"""The readers backend: whatever readers PC/SC shows, physical ones included; nothing is plugged in."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from cardbench.protocol.errors import UsageError
from cardbench.scenarios.backends import Backend, BackendOptions, Place, Seat
from cardbench.terminal.readers.pcsc import PcscReader, list_readers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


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
        names = list_readers()
        shown = ", ".join(repr(name) for name in names) or "none"
        for seat in seats:
            if seat.role not in self._options.reader_patterns:
                raise UsageError(
                    f"say which reader holds the {seat.role}: --{seat.role}-reader with a part of its "
                    f"name or a regular expression; PC/SC shows: {shown}"
                )
        chosen: dict[str, Seat] = {}
        places = []
        for seat in seats:
            reader = PcscReader(self._options.reader_patterns[seat.role])
            self._resources.callback(reader.close)
            other = chosen.setdefault(reader.name, seat)
            if other is not seat:
                raise UsageError(
                    f"--{other.role}-reader and --{seat.role}-reader both mean {reader.name!r}"
                )
            places.append(Place(reader, None))
        return places

    def close(self) -> None:
        """Close the readers."""
        self._resources.close()
