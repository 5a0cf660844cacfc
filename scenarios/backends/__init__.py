"""Backends: the ways to bring a card to a terminal. A story does not know which one it runs on.

A backend opens one reader for each seat. Where it can plug software cards in, each place comes with a
hand that does so; on other readers somebody must put the cards there.

A backend lives in a module of its own that is imported when it is asked for. To add one, write a class
that takes `BackendOptions` and offers `Backend`, and give it a row in `KINDS`.

Source: our choice (DESIGN idea 1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cardbench.protocol.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cardbench.protocol.link import Card
    from cardbench.scenarios.trace import Role
    from cardbench.terminal.readers import Reader

__all__ = [
    "KINDS",
    "Backend",
    "BackendKind",
    "BackendOptions",
    "Hand",
    "Place",
    "Seat",
    "open_backend",
]


class Seat(NamedTuple):
    """A reader that is wanted.

    Attributes:
        role: what it is there for.
        is_contactless: whether the card in it is meant to be reached without contacts.
    """

    role: Role
    is_contactless: bool


class Hand(Protocol):
    """Puts a software card into a reader, and pulls it out."""

    def insert(self, card: Card) -> None:
        """Put a card in; one that was there is pulled out first."""
        ...

    def remove(self) -> Card | None:
        """Pull the card out, power and all; return it."""
        ...


class Place(NamedTuple):
    """A reader that is open.

    Attributes:
        reader: the reader.
        hand: who plugs software cards into it; None: nobody here can.
    """

    reader: Reader
    hand: Hand | None


class Backend(Protocol):
    """A way to bring cards to a terminal."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        ...

    def open(self, seats: Sequence[Seat], *, sleep: Callable[[float], None]) -> Sequence[Place]:
        """Open a reader for each seat, in their order.

        Args:
            seats: what is wanted.
            sleep: lets seconds pass where a software card answers late; a backend that other programs
                share with us uses real time instead.

        Raises:
            ReaderError: a reader cannot be had.
        """
        ...

    def close(self) -> None:
        """Give everything back; harmless when nothing is open."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendOptions:
    """What the user may say about readers.

    Attributes:
        reader_patterns: by role, a regular expression that a reader's name must match; for backends
            that choose among readers they did not make.
        strict_t0: software cards with contacts carry T=0 alone, strictly.
    """

    reader_patterns: Mapping[Role, str] = field(default_factory=dict)
    strict_t0: bool = False


class BackendKind(NamedTuple):
    """A row of the table of backends.

    Attributes:
        name: what it is called on the command line.
        summary: one line.
        implementation: `module:class`.
        plugs: it plugs software cards in.
    """

    name: str
    summary: str
    implementation: str
    plugs: bool = True


KINDS: tuple[BackendKind, ...] = (
    BackendKind(
        "in-process",
        "software cards in slots of this process: nothing to install, nothing to start",
        "cardbench.scenarios.backends.in_process:InProcessBackend",
    ),
    BackendKind(
        "rootless",
        "software cards behind a private PC/SC service: no pcscd, no root",
        "cardbench.scenarios.backends.rootless:RootlessBackend",
    ),
    BackendKind(
        "vpcd",
        "software cards in the virtual readers of this machine's pcscd",
        "cardbench.scenarios.backends.vpcd:VpcdBackend",
    ),
    BackendKind(
        "readers",
        "any PC/SC readers, or those of a plug-in, and the cards in them, chosen by --card-reader and "
        "--sam-reader",
        "cardbench.scenarios.backends.readers:ReadersBackend",
        plugs=False,
    ),
)


def open_backend(name: str, options: BackendOptions | None = None) -> Backend:
    """Return the backend of this name.

    Raises:
        UsageError: there is none; the text lists them.
    """
    for kind in KINDS:
        if kind.name == name:
            module, _, attribute = kind.implementation.partition(":")
            backend: Backend = getattr(import_module(module), attribute)(
                options or BackendOptions()
            )
            return backend
    names = ", ".join(kind.name for kind in KINDS)
    raise UsageError(f"no backend {name!r}; there are: {names}")
