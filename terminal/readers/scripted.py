"""A reader that plays a recording: it expects commands byte for byte, and gives the recorded answers.

For tests of terminal code against published or recorded exchanges, with no card behind.

Source: our choice (STYLE: ship the fakes).
"""

from __future__ import annotations

from cardbench.protocol.errors import CardNotPresent, ProtocolError, ReaderError
from cardbench.protocol.hexadecimal import from_hex, to_hex
from cardbench.protocol.link import SlotState

ANONYMOUS_ATR = bytes.fromhex("3B888001000000009171710098")


class UnexpectedCommand(ProtocolError):
    """The terminal sent another command than the recording has, or one on a closed channel."""


class ScriptedReader:
    """Implements `Reader` over a list of commands and answers.

    Args:
        script: pairs of expected command and its answer, in hexadecimal, blanks allowed. An error in
            place of an answer is raised.
        atr: answer to reset; None: the reader is empty.
        name: the reader's name.
        is_contactless: what the reader says of itself.

    Attributes:
        sent: the commands that came, in upper-case hexadecimal.
        connections: how often the physical channel was opened.
        is_connected: the physical channel is open.
    """

    def __init__(
        self,
        *script: tuple[str, str | ReaderError],
        atr: bytes | None = ANONYMOUS_ATR,
        name: str = "scripted",
        is_contactless: bool = True,
    ) -> None:
        self.name = name
        self.is_contactless = is_contactless
        self.sent: list[str] = []
        self.connections = 0
        self.is_connected = False
        self._script = list(script)
        self._atr = atr

    def expect(self, *script: tuple[str, str | ReaderError]) -> None:
        """Append to the script."""
        self._script.extend(script)

    @property
    def remaining(self) -> tuple[str, ...]:
        """Commands that are still expected."""
        return tuple(command for command, _ in self._script)

    def state(self) -> SlotState:
        """Say whether there is a card; it never changes."""
        return SlotState(self._atr is not None, 0)

    def wait_for_change(self, changes: int, timeout_s: float | None = None) -> SlotState:
        """Return at once: nothing changes."""
        del changes, timeout_s
        return self.state()

    def connect(self) -> bytes:
        """Open the channel."""
        if self._atr is None:
            raise CardNotPresent(f"{self.name}: no card in the reader")
        self.connections += not self.is_connected
        self.is_connected = True
        return self._atr

    def reset(self) -> bytes:
        """Answer to reset."""
        return self.connect()

    def disconnect(self) -> None:
        """Close the channel."""
        self.is_connected = False

    def transmit(self, command: bytes) -> bytes:
        """Give the answer that the script has for this command.

        Raises:
            UnexpectedCommand: the script has another command here, or none, or the channel is closed.
            ReaderError: the script says so.
        """
        sent = to_hex(command)
        self.sent.append(sent)
        if not self.is_connected:
            raise UnexpectedCommand(f"{sent} came on a closed channel")
        if not self._script:
            raise UnexpectedCommand(f"{sent} came after the end of the script")
        expected, answer = self._script.pop(0)
        if command != from_hex(expected):
            raise UnexpectedCommand(f"{sent} came, expected was {to_hex(from_hex(expected))}")
        if isinstance(answer, ReaderError):
            raise answer
        return from_hex(answer)
