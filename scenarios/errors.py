"""What can go wrong on the bench itself: the branch of the one error tree that belongs to it.

    CardbenchError
    └── BenchError
        ├── NeedsNotMet     the card or SAM that is present cannot play the story
        ├── WriteNotAllowed the story would change a card that the user did not name
        ├── NoCommonSuite   card and SAM have other symmetric algorithms
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


class WriteNotAllowed(BenchError):
    """A story would change a card that somebody put into the reader, and the user did not name it.

    Attributes:
        changes: what the story changes.
        present: serial number of the card that is there, in hexadecimal.
        allowed: the card that the user named; None: none.
    """

    def __init__(
        self, story: str, changes: Sequence[str], reader: str, present: str, allowed: str | None
    ) -> None:
        self.changes = tuple(changes)
        self.present = present
        self.allowed = allowed
        what = f"{story} changes the {' and the '.join(changes)} of the card"
        there = f"the card in {reader!r} is {present}"
        super().__init__(
            f"{what}; {there}: if it may, say so with --allow-write {present}"
            if allowed is None
            else f"{what}; --allow-write names {allowed}, but {there}: nothing was changed"
        )


class NoCommonSuite(BenchError):
    """Card and SAM refuse each other's cryptography: one of them is real, the other software."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "card and SAM refuse each other's cryptography: Calypso's symmetric algorithms are not public, "
            "so a real card goes with a real SAM only, and a software card with a software SAM of the same "
            f"suite ({detail})"
        )


class StoryFailed(BenchError):
    """A story did not come to the end that it promises."""
