"""What a story changes on a card, and who allowed it.

A story declares what it changes as data. Where the bench plugs a software card of its own, nothing is
lost. The card in any other reader is somebody's: a story that changes its keys, PIN, value or status
plays only when the user has named that very card by its serial number. So does one that writes the
whole content anew, and with it contracts that were paid for.

What a gate or a sales desk does every day (taking a trip, writing an event, adding a contract) needs no
permission: it is what the card is for. A story that only reads declares nothing.

Source: our choice.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import TYPE_CHECKING

from cardbench.protocol.hexadecimal import from_hex, to_hex
from cardbench.scenarios.errors import WriteNotAllowed
from cardbench.scenarios.trace import Role
from cardbench.terminal.card import CardChannel

if TYPE_CHECKING:
    from cardbench.scenarios.stories.story import Story
    from cardbench.scenarios.world import World


@unique
class Change(StrEnum):
    """Something on the card that a story changes; the value is how a sentence names it."""

    TICKETS = "ticket files"
    CONTENT = "whole content"
    KEYS = "keys"
    PIN = "PIN"
    VALUE = "value"
    STATUS = "status"


GUARDED = frozenset(Change) - {Change.TICKETS}
"""What needs a permission. A PIN counts as changed when it is presented: a wrong one costs a try."""


def guarded_changes(story: Story) -> tuple[Change, ...]:
    """Return what the story changes that needs a permission, in the order of `Change`."""
    return tuple(change for change in Change if change in story.changes & GUARDED)


def check_permission(story: Story, world: World, allowed: str | None) -> None:
    """See that a story may change the card that somebody put into the reader.

    Args:
        story: what is to be played.
        world: where; a card that the bench itself plugs in needs no permission.
        allowed: serial number of the card that may be changed, in hexadecimal; None: none may.

    Raises:
        WriteNotAllowed: the permission is missing, or names another card.
        UsageError: what is allowed is not hexadecimal.
        CardbenchError: the card does not say who it is.
    """
    changes = guarded_changes(story)
    if not changes or Role.CARD in world.hands:
        return
    reader = world.readers[Role.CARD]
    channel = CardChannel(reader)
    try:
        present = to_hex(story.needs[Role.CARD].identity(channel))
    finally:
        channel.close()
    if allowed is None or to_hex(from_hex(allowed)) != present:
        raise WriteNotAllowed(story.name, tuple(map(str, changes)), reader.name, present, allowed)
