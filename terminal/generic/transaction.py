"""Plain APDUs to a card: prepared, sent together, answers as they come.

No status word is wrong here: an answer is what the card said, and the caller judges it.

Source: terminal-api §19.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.errors import CardbenchError, UsageError
from cardbench.protocol.hexadecimal import from_hex
from cardbench.terminal.card.channel import CardChannel
from cardbench.terminal.card.handle import Handle
from cardbench.terminal.card.journal import Journal
from cardbench.terminal.card.requests import SUCCESS, ChannelControl

if TYPE_CHECKING:
    from cardbench.terminal.generic.card import GenericCard
    from cardbench.terminal.readers.reader import Reader, Traffic

APDU_MIN_BYTES = 4
APDU_MAX_BYTES = 261


class ApduAnswer(NamedTuple):
    """A card's answer.

    Attributes:
        data: without status word.
        sw: status word.
    """

    data: bytes
    sw: int


class PreparedApdu(Handle[ApduAnswer]):
    """A prepared command, and the handle of its answer."""

    __slots__ = ("_answer", "_error", "apdu")

    name = "APDU"
    success = SUCCESS

    def __init__(self, apdu: bytes) -> None:
        self.apdu = apdu
        self.is_done = False
        self._answer: bytes = b""
        self._error: CardbenchError | None = None

    def describe(self) -> str:
        """The command in hexadecimal."""
        return f"{self.name} {self.apdu.hex().upper()}"

    def take(self, response: bytes) -> None:
        """Keep the answer."""
        self._answer = response
        self.is_done = True

    def fail(self, error: CardbenchError) -> None:
        """Note that there is no answer."""
        if not self.is_done:
            self._error = error

    @property
    def error(self) -> CardbenchError | None:
        """Why there is no answer."""
        return self._error

    @property
    def value(self) -> ApduAnswer:
        """The answer; raises as `Handle.value`."""
        if self._error is not None:
            raise self._error
        if not self.is_done:
            raise UsageError(
                f"{self.describe()} is prepared, not processed: there is no answer yet"
            )
        return ApduAnswer(self._answer[:-2], int.from_bytes(self._answer[-2:]))


class GenericTransaction:
    """Sends plain APDUs to the card in a reader.

    Args:
        reader: where the card is.
        card: its image.
        journal: notes the exchanges; None: one of the transaction's own.

    Attributes:
        card: the image.
        channel: the way to the card.
        journal: the exchanges so far.

    Not thread-safe: one transaction, one thread.
    """

    def __init__(
        self, reader: Reader | CardChannel, card: GenericCard, *, journal: Journal | None = None
    ) -> None:
        self.card = card
        self.journal = Journal() if journal is None else journal
        self.channel = CardChannel.over(reader)
        self._queue: list[PreparedApdu] = []
        self._responses: tuple[bytes, ...] = ()

    @property
    def traffic(self) -> Traffic:
        """Exchanges and APDUs with the reader so far."""
        return self.channel.traffic

    @property
    def responses(self) -> tuple[bytes, ...]:
        """Answers to the commands processed last, status words included."""
        return self._responses

    def sequence(self, *, with_bytes: bool = False) -> str:
        """Tell the exchanges so far as a numbered list; see `Journal.to_text`."""
        return self.journal.to_text(with_bytes=with_bytes)

    def prepare_apdu(self, apdu: bytes | str) -> Handle[ApduAnswer]:
        """Queue an encoded command: bytes, or hexadecimal text.

        Raises:
            UsageError: no hexadecimal, or fewer than 4 or more than 261 bytes.
        """
        raw = from_hex(apdu) if isinstance(apdu, str) else apdu
        if not APDU_MIN_BYTES <= len(raw) <= APDU_MAX_BYTES:
            raise UsageError(f"a command of {len(raw)} byte(s); allowed: 4 to 261")
        command = PreparedApdu(raw)
        self._queue.append(command)
        return command

    def prepare_command(
        self, cla: int, ins: int, p1: int, p2: int, *, data: bytes = b"", ne: int | None = None
    ) -> Handle[ApduAnswer]:
        """Queue a command by its parts.

        Args:
            cla: class byte.
            ins: instruction byte.
            p1: first parameter.
            p2: second parameter.
            data: command data, up to 255 bytes.
            ne: response bytes expected, 1…256; None: none.

        Raises:
            UsageError: a part out of range.
        """
        return self.prepare_apdu(CommandApdu(cla, ins, p1, p2, data, ne).encode())

    def process_commands(self, channel_control: ChannelControl = ChannelControl.KEEP_OPEN) -> None:
        """Send everything prepared, in one exchange; fill the handles.

        Raises:
            ReaderError: the link failed; what was answered before is in its handles.
            ProtocolError: an answer without status word.
        """
        queue, self._queue = self._queue, []
        self._responses = ()
        if not queue:
            if channel_control is ChannelControl.CLOSE_AFTER and self.channel.is_open:
                self.channel.close()
            return
        try:
            responses = self.channel.transmit(
                queue, channel_control, must_succeed=0, observer=self.journal
            )
            self._take(queue, responses)
        except CardbenchError as error:
            self._take(queue, list(error.responses))
            for command in queue:
                command.fail(error)
            raise

    def _take(self, queue: list[PreparedApdu], responses: list[bytes]) -> None:
        self._responses = tuple(responses)
        for command, response in zip(queue, responses, strict=False):
            command.take(response)
