"""Reader plug-ins: ways to reach cards, found by entry point.

A distribution offers a plug-in under the entry point group `cardbench.reader_plugins`. What it points to
is called without argument and gives a `ReaderPlugin`: a class, or a function. The entry point's name is
the plug-in's name, and a reader's address is `plugin:reader name`.

Nothing is kept: each call asks the installed distributions anew.

Source: terminal-api §3.1; issue of the Reader API: plug-ins are found by entry point. The address form is
our choice.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol

from cardbench.protocol.errors import ReaderError, ReaderNotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cardbench.terminal.readers.reader import Reader

ENTRY_POINT_GROUP = "cardbench.reader_plugins"


class ReaderPlugin(Protocol):
    """A way to reach cards."""

    def reader_names(self) -> Sequence[str]:
        """Name the readers that are there now.

        Raises:
            ReaderError: they cannot be asked.
        """
        ...

    def open_reader(self, name: str) -> Reader:
        """Return a reader by its name.

        Raises:
            ReaderNotFound: there is none of that name.
            ReaderError: it cannot be had.
        """
        ...


def plugin_names() -> tuple[str, ...]:
    """Name the plug-ins that are installed, in alphabetical order."""
    return tuple(sorted({point.name for point in entry_points(group=ENTRY_POINT_GROUP)}))


def load_plugin(name: str) -> ReaderPlugin:
    """Return the plug-in of this name.

    Raises:
        UsageError: no installed distribution offers it; the text lists those that are there.
        ReaderError: it is installed, and what its entry point names cannot be imported.
    """
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name:
            try:
                make: Callable[[], ReaderPlugin] = point.load()
            except (ImportError, AttributeError) as error:
                raise ReaderError(
                    f"the reader plug-in {name!r} ({point.value}) does not load: {error}"
                ) from error
            return make()
    known = ", ".join(plugin_names()) or "none"
    raise UsageError(f"no reader plug-in {name!r}; installed: {known}")


def is_address(text: str) -> bool:
    """Whether a text begins with the name of an installed plug-in and a colon."""
    name, colon, _ = text.partition(":")
    return bool(colon) and name in plugin_names()


def plugin_addresses() -> list[str]:
    """Return the addresses of all readers of all plug-ins, in alphabetical order of the plug-ins.

    Raises:
        ReaderError: a plug-in does not load, or its readers cannot be asked.
    """
    return [
        f"{name}:{reader}" for name in plugin_names() for reader in load_plugin(name).reader_names()
    ]


def open_reader(address: str) -> Reader:
    """Return the reader at `plugin:reader name`; without a name, the plug-in's only reader.

    Raises:
        UsageError: no such plug-in.
        ReaderNotFound: no such reader, or several where none was named.
        ReaderError: it cannot be had.
    """
    plugin_name, _, reader_name = address.partition(":")
    plugin = load_plugin(plugin_name)
    if not reader_name:
        names = plugin.reader_names()
        if len(names) != 1:
            there = ", ".join(names) or "none"
            raise ReaderNotFound(f"{plugin_name}: name one of its readers; there are: {there}")
        reader_name = names[0]
    return plugin.open_reader(reader_name)
