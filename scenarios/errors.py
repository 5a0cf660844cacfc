"""What can go wrong on the bench itself: the branch of the one error tree that belongs to it.

    CardbenchError
    └── BenchError
        ├── NeedsNotMet     the card or SAM that is present cannot play the story
        └── StoryFailed     the story came to its end, but not to the one it promises

Source: our choice (DESIGN idea 7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.errors import CardbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence


class BenchError(CardbenchError):
    """Root of the bench's own errors."""


class NeedsNotMet(BenchError):
    """What sits in the readers cannot play the story.

    Attributes:
        missing: one sentence part for each thing that is missing.
    """

    def __init__(self, story: str, missing: Sequence[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(f"{story} cannot be played here: {'; '.join(missing)}")


class StoryFailed(BenchError):
    """A story did not come to the end that it promises."""
