"""What a Calypso card forgets when its power goes: the volatile record and the secure session in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, unique
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cardbench.emulator.calypso.structure import Application, ElementaryFile
    from cardbench.emulator.chassis import Key, Value
    from cardbench.protocol.calypso.suite import SessionDigest


@unique
class SessionMode(Enum):
    """How a secure session is opened: P2 of Open Secure Session says it (calypso-card §4.17)."""

    REGULAR = 1
    EXTENDED = 2


@dataclass(slots=True)
class Session:
    """A running secure session.

    Attributes:
        mode: regular or extended.
        key_index: 1 issuer, 2 load, 3 debit.
        digest: the MAC state shared with the terminal's SAM.
        buffer_left: what the session buffer still holds, in the profile's unit.
        is_manageable: Manage Secure Session is authorised (flag 02 of the Open response).
        changes: provisional modifications; reads in the session see them.
        encrypted: an encrypted section is running.
        postponed: items for the Close response, `length ‖ data` each.
    """

    mode: SessionMode
    key_index: int
    digest: SessionDigest
    buffer_left: int
    is_manageable: bool
    changes: dict[Key, Value] = field(default_factory=dict)
    encrypted: bool = False
    postponed: bytes = b""


@dataclass(slots=True)
class Volatile:
    """Everything that a reset clears.

    Attributes:
        application: the current DF.
        file: the current EF, which SFI 0 designates.
        session: the running secure session.
        awaits_ratification: the last session was closed to be ratified by one more command.
    """

    application: Application
    file: ElementaryFile | None = None
    session: Session | None = None
    awaits_ratification: bool = False
