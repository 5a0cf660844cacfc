"""What a card library hands to a channel: requests, their success status words, the channel control.

A request is any object with the attributes of `ApduRequest`; a library's own command objects are sent
as they are, without copies. `PlainRequest` is the ready-made one.

Not allowed in a request: SELECT by DF name (it belongs to selection) and GET RESPONSE (it belongs to
the channel).

Source: terminal-api §7.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import NamedTuple, Protocol

from cardbench.protocol.status import StatusWord

SUCCESS = frozenset({int(StatusWord.OK)})


@unique
class ChannelControl(Enum):
    """What happens to the physical channel after an exchange."""

    KEEP_OPEN = "keep open"
    CLOSE_AFTER = "close after"


class ApduRequest(Protocol):
    """One command APDU to send.

    Attributes:
        apdu: encoded command; a case 4 command carries Le, `00` is the usual one.
        success: status words that are right, 9000 always among them.
        name: what the command is called.
    """

    @property
    def apdu(self) -> bytes:
        """Encoded command."""
        ...

    @property
    def success(self) -> frozenset[int]:
        """Status words that are right."""
        ...

    @property
    def name(self) -> str:
        """What the command is called."""
        ...

    def describe(self) -> str:
        """Name the command and show its bytes, secrets masked, for messages and traces."""
        ...


class PlainRequest(NamedTuple):
    """An `ApduRequest` that is nothing but its bytes.

    Attributes:
        apdu: encoded command.
        success: status words that are right.
        name: what the command is called in messages.
    """

    apdu: bytes
    success: frozenset[int] = SUCCESS
    name: str = "command"

    def describe(self) -> str:
        """Name and bytes."""
        return f"{self.name} {self.apdu.hex().upper()}"


class SecretRequest(NamedTuple):
    """An `ApduRequest` whose data must not be shown, such as a PIN in clear.

    Attributes:
        apdu, success, name: as for `PlainRequest`.
        hides_answer: the answer's data must not be shown either.
    """

    apdu: bytes
    success: frozenset[int] = SUCCESS
    name: str = "command"
    hides_answer: bool = False

    def describe(self) -> str:
        """Name, header, and as many asterisks as there are data bytes."""
        return f"{self.name} {self.apdu[:5].hex().upper()}{'*' * (len(self.apdu) - 5)}"
