"""What the published rules prescribe when a card or a SAM is pulled in the middle of a story.

The rules are applied to the commands of a story that nobody disturbed; nothing is taken from our own
card or terminal.

Source: terminal-api §20 (errors); calypso-card §5.6 and sequences §14 (ratification); sequences §7
(recovery: a recent event that is not ratified).
"""

from __future__ import annotations

from enum import Enum, unique
from typing import TYPE_CHECKING, NamedTuple

from cardbench.protocol.calypso.ins import CalypsoIns, SamIns
from cardbench.protocol.errors import (
    CardMacNotVerifiable,
    CardNotPresent,
    CardRemoved,
    CryptoModuleUnreachable,
    ProtocolError,
)
from cardbench.protocol.status import StatusWord
from cardbench.scenarios.ticketing.model import VERSION, Event
from cardbench.scenarios.trace import Act, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cardbench.protocol.errors import CardbenchError
    from cardbench.scenarios.trace import Recorded

HEADER_BYTES = 5
RATIFY = bytes((CalypsoIns.READ_RECORDS, 0, 0, 0))
"""The ratification command behind its class byte."""
AS_RATIFIED = 0x80
_OK = StatusWord.OK.to_bytes(2)
_CHECKS_THE_CARD = frozenset({SamIns.DIGEST_AUTHENTICATE, SamIns.SV_CHECK})
_COMMITS = frozenset(
    {
        CalypsoIns.CLOSE_SECURE_SESSION,
        CalypsoIns.SV_RELOAD,
        CalypsoIns.SV_DEBIT,
        CalypsoIns.SV_UNDEBIT,
    }
)


@unique
class Moment(Enum):
    """When the card goes, seen from a command."""

    BEFORE_COMMAND = "before"
    BEFORE_ANSWER = "before the answer to"


class Pull(NamedTuple):
    """One pull.

    Attributes:
        role: who was pulled.
        number: the command, counted from 0 for each role.
        moment: before the command arrived, or when it was carried out and its answer was on the way.
    """

    role: Role
    number: int
    moment: Moment

    def __str__(self) -> str:
        who = "SAM" if self.role is Role.SAM else "card"
        return f"{who} pulled {self.moment.value} command {self.number}"


def is_ratification(command: bytes) -> bool:
    """Whether this is the command that ratifies a session; its answer does not matter."""
    return command[1:] == RATIFY


def is_abort(command: bytes) -> bool:
    """Whether this is Close without MAC: nothing is committed."""
    return command[1] == CalypsoIns.CLOSE_SECURE_SESSION and len(command) == HEADER_BYTES


def prescribed_error(pull: Pull, undisturbed: Sequence[Recorded]) -> type[CardbenchError] | None:
    """Return the error that the terminal ends in; None: it need not notice at all.

    Args:
        pull: what was done.
        undisturbed: the tape of the story with nothing pulled.
    """
    places = [
        place
        for place, entry in enumerate(undisturbed)
        if entry.act is Act.APDU and entry.role is pull.role
    ]
    index = places[pull.number]
    command = undisturbed[index].sent
    if pull.role is Role.CARD:
        if is_ratification(command):
            return None
        # A story that resets its card makes it leave itself: it goes on, and finds the reader empty.
        goes_on = any(entry.act is Act.RESET for entry in undisturbed[index:])
        return CardNotPresent if goes_on else CardRemoved
    last = bytes(HEADER_BYTES)
    for entry in undisturbed[:index]:
        if entry.act is Act.APDU and entry.role is Role.CARD and not is_ratification(entry.sent):
            last = entry.sent
    if command[1] in _CHECKS_THE_CARD and last[1] in _COMMITS:
        return CardMacNotVerifiable
    return CryptoModuleUnreachable


def is_ratified_after(commands: int, undisturbed: Iterable[Recorded]) -> bool:
    """Whether the card's last session is ratified when it leaves behind so many commands.

    A session that was closed "to be ratified" is so by the next command of the same activation.
    """
    ratified, is_awaiting, done = True, False, 0
    for entry in undisturbed:
        if entry.role is not Role.CARD:
            continue
        if entry.act in (Act.RESET, Act.DISCONNECT):
            is_awaiting = False
        if entry.act is not Act.APDU:
            continue
        if done == commands:
            break
        done += 1
        ratified, is_awaiting = ratified or is_awaiting, False
        if (
            entry.sent[1] == CalypsoIns.CLOSE_SECURE_SESSION
            and not is_abort(entry.sent)
            and entry.received[-2:] == _OK
        ):
            ratified = entry.sent[2] == AS_RATIFIED
            is_awaiting = not ratified
    return ratified


def is_recent_at(location: int, event: object) -> bool:
    """Whether the newest event record, written a moment ago if it was, is one of this place."""
    if not isinstance(event, bytes):
        return False
    try:
        found = Event.parse(event)
    except ProtocolError:
        return False
    return found.version == VERSION and found.location == location
