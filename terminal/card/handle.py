"""Handles: what `prepare_*` returns, and `process_commands` fills.

Source: DESIGN idea 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cardbench.protocol.errors import CardbenchError

T = TypeVar("T")
D = TypeVar("D")


class Handle(Generic[T]):
    """The result of a prepared command, there as soon as the command was processed.

    Attributes:
        is_done: the card has answered.
    """

    __slots__ = ("is_done",)

    is_done: bool

    @property
    def error(self) -> CardbenchError | None:
        """Why there is no result; None while there may still be one."""
        raise NotImplementedError

    @property
    def value(self) -> T:
        """The result.

        Raises:
            CardError: the card refused.
            CardbenchError: the group was given up before this command.
            UsageError: the command was not processed yet.
        """
        raise NotImplementedError

    def value_or(self, default: D) -> T | D:
        """Return the result, or `default` when there is none."""
        return self.value if self.is_done and self.error is None else default


class Known(Handle[T]):
    """A result that is there without a command."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value
        self.is_done = True

    @property
    def error(self) -> CardbenchError | None:
        """None."""
        return None

    @property
    def value(self) -> T:
        """The result."""
        return self._value


class Joined(Handle[T]):
    """The result of several commands that do one thing together.

    Args:
        parts: their handles.
        join: makes the result of theirs.
    """

    __slots__ = ("_join", "_parts")

    def __init__(self, parts: Sequence[Handle[Any]], join: Callable[[list[Any]], T]) -> None:
        self._parts = tuple(parts)
        self._join = join

    @property
    def is_done(self) -> bool:  # type: ignore[override] # follows its parts
        """Whether all parts were answered."""
        return all(part.is_done for part in self._parts)

    @property
    def error(self) -> CardbenchError | None:
        """The first part's error."""
        return next((part.error for part in self._parts if part.error is not None), None)

    @property
    def value(self) -> T:
        """The joined result; raises what the first part without result raises."""
        return self._join([part.value for part in self._parts])
