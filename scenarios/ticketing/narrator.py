"""Who listens to a terminal at work: a stage that tells a story, or nobody.

Source: our choice.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Narrator(Protocol):
    """What `scenarios.stories.story.Stage` offers to a terminal that works."""

    def step(self, title: str) -> AbstractContextManager[object]:
        """Return a context manager for one step."""
        ...

    def note(self, text: str) -> None:
        """Note what was seen or decided in the step that is open."""
        ...


class Silence:
    """Implements `Narrator` for nobody."""

    _nothing: AbstractContextManager[object] = nullcontext()

    def step(self, title: str) -> AbstractContextManager[object]:
        """Return a context manager that does nothing."""
        del title
        return self._nothing

    def note(self, text: str) -> None:
        """Forget it."""
