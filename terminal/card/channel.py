"""The channel to one card: groups of commands go out, answers come back, exchanges are counted.

Rules:

- One call of `transmit` is one exchange, whatever the number of commands.
- The group stops at the first answer whose status word is not among the command's success words,
  unless told not to stop. The error carries every answer so far.
- `61xx`: GET RESPONSE until all is there; the answers' data are joined, the last status word stays.
- `6Cxx` without data: a command that ends with Le is sent once more with Le = xx. Not where the caller
  digests what he sends (`digested`): there the byte string that was digested must be the one that the
  card executes, so `6Cxx` is an answer like any other.
- A case 4 command answered by a success word and no data: GET RESPONSE with the command's Le. If that
  is refused there was nothing to fetch, and the first answer stands.
- GET RESPONSE carries the logical channel of an interindustry command, else class 00.
- A link failure closes the channel; the error carries the answers so far.

Not thread-safe: one channel belongs to one transaction at a time.

Source: terminal-api §6, §7; calypso-card §1.7, §5.2.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol, Self

from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.errors import (
    CardError,
    NotSupported,
    ProtocolError,
    ReaderError,
    UsageError,
)
from cardbench.protocol.status import StatusWord
from cardbench.terminal.card.requests import ChannelControl
from cardbench.terminal.readers.protocols import (
    PhysicalProtocol,
    TellsProtocol,
    physical_protocol,
)
from cardbench.terminal.readers.reader import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from cardbench.protocol.errors import CardbenchError
    from cardbench.terminal.card.requests import ApduRequest
    from cardbench.terminal.readers.reader import Reader
    from cardbench.terminal.selection.manager import CardSelectionResult

RESPONSE_MAX_BYTES = 65_536
ALL = 1 << 30  # every request of a group must succeed

_GET_RESPONSE_TAIL = bytes((CalypsoIns.GET_RESPONSE, 0, 0))
_OK = StatusWord.OK.to_bytes(2)
_SW1_OK = 0x90
_SW1_DONE = frozenset({_SW1_OK, 0x62, 0x63})
_SW1_MORE = 0x61
_SW1_WRONG_LE = 0x6C
_PROPRIETARY_CLASS = 0x80
_CHANNEL_BITS = 0x03


class Observer(Protocol):
    """Sees the exchanges of a channel, in order; a `Journal` is one."""

    def exchange(
        self, channel: CardChannel, requests: Sequence[ApduRequest], responses: Sequence[bytes]
    ) -> None:
        """Note an exchange that has ended.

        Args:
            channel: where.
            requests: the commands that were sent.
            responses: their whole answers; the last one is missing if the link failed.
        """
        ...


class CardChannel:
    """Carries groups of commands to the card in one reader, and counts.

    Attributes:
        reader: the reader.
        party: who sits at the other end, in a word: `card`, `SAM`.
        observer: sees what goes over the channel; None: nobody looks.
        exchanges: groups sent so far.
        apdus: commands sent so far, GET RESPONSE and repeats included.
        generation: how often the physical channel was opened: another number, another activation of a card.
        on_close: told when the physical channel is closed; None: nobody is.
        on_selection: told what each selection over this channel found, card images and all; None: nobody is.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.party = "card"
        self.observer: Observer | None = None
        self.exchanges = 0
        self.apdus = 0
        self._send: Callable[[bytes], bytes] = reader.transmit
        self._atr: bytes | None = None
        self._changes = -1
        self.generation = 0
        self._protocols: dict[str, str] = {}
        self.on_close: Callable[[], None] | None = None
        self.on_selection: Callable[[CardSelectionResult], None] | None = None

    @classmethod
    def over(cls, reader: Reader | CardChannel) -> CardChannel:
        """Return `reader` if it is a channel already, else a new channel over it."""
        return reader if isinstance(reader, CardChannel) else cls(reader)

    def __enter__(self) -> Self:
        """Open the physical channel for a `with` block. Raises as `open`."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the physical channel."""
        self.close()

    @property
    def name(self) -> str:
        """The reader's name."""
        return self.reader.name

    @property
    def is_contactless(self) -> bool:
        """Whether the reader is contactless."""
        return self.reader.is_contactless

    @property
    def is_open(self) -> bool:
        """Whether the physical channel is open, as far as this side knows."""
        return self._atr is not None

    @property
    def is_card_present(self) -> bool:
        """Whether a card is in the reader.

        Raises:
            ReaderError: the reader cannot be asked.
        """
        return self.reader.state().present

    # Protocols

    def activate_protocol(self, physical: str, logical: str) -> None:
        """Look for a physical protocol, and call it by a logical name in selections.

        Raises:
            UsageError: an empty name.
            NotSupported: a physical protocol that neither the reader nor an ATR can tell.
        """
        self._check_protocol(physical)
        if not logical:
            raise UsageError("a protocol needs a logical name")
        self._protocols[physical] = logical

    def deactivate_protocol(self, physical: str) -> None:
        """Do not look for a physical protocol any more. Raises as `activate_protocol`."""
        self._check_protocol(physical)
        self._protocols.pop(physical, None)

    def _check_protocol(self, physical: str) -> None:
        known = [str(protocol) for protocol in PhysicalProtocol]
        if isinstance(self.reader, TellsProtocol):
            known += [name for name in self.reader.physical_protocols if name not in known]
        if physical not in known:
            raise NotSupported(
                f"no physical protocol {physical!r}; this reader can tell: {', '.join(known)}"
            )

    @property
    def has_protocols(self) -> bool:
        """Whether any protocol is activated."""
        return bool(self._protocols)

    @property
    def current_protocol(self) -> str | None:
        """Physical protocol of the card on the open channel, if it is an activated one."""
        if self._atr is None:
            return None
        reader = self.reader
        physical = reader.physical_protocol if isinstance(reader, TellsProtocol) else None
        if physical is None:
            physical = physical_protocol(self._atr, is_contactless=reader.is_contactless)
        return physical if physical in self._protocols else None

    @property
    def logical_protocol(self) -> str | None:
        """Logical name of the current protocol."""
        current = self.current_protocol
        return None if current is None else self._protocols[current]

    # Physical channel

    @property
    def traffic(self) -> Traffic:
        """Exchanges and APDUs so far."""
        return Traffic(self.exchanges, self.apdus)

    def open(self) -> bytes:
        """Open the physical channel, or make sure that it is still open to the card; return the ATR.

        Raises:
            ReaderError: no card, mute card, or no reader.
        """
        atr = self.reader.connect()
        changes = self.reader.state().changes
        if atr != self._atr or changes != self._changes:  # cards of one issue have one ATR
            self._atr, self._changes = atr, changes
            self.generation += 1
        return atr

    def close(self) -> None:
        """Close the physical channel; harmless when it is closed."""
        self._atr = None
        self.reader.disconnect()
        if self.on_close is not None:
            self.on_close()

    def transmit(
        self,
        requests: Sequence[ApduRequest],
        channel_control: ChannelControl = ChannelControl.KEEP_OPEN,
        *,
        must_succeed: int = ALL,
        digested: bool = False,
        observer: Observer | None = None,
    ) -> list[bytes]:
        """Send a group of commands: one exchange.

        Args:
            requests: the commands, in order.
            channel_control: whether the physical channel is closed afterwards.
            must_succeed: for how many of the first requests the stop rule holds.
            digested: the commands count byte for byte; `6Cxx` does not change them.
            observer: sees this exchange, besides the channel's own observer.

        Returns:
            One response for each request, data and status word.

        Raises:
            UsageError: there is no command.
            CardError: a status word was no success; `responses` holds all answers, this one last.
            ReaderError: the link failed; `responses` holds the answers before.

        The error's `commands` are those that were sent, and `is_response_complete` says whether all of
        the group were answered.
        """
        if not requests:
            raise UsageError("a group needs at least one command")
        if self._atr is None:
            self.open()
        self.exchanges += 1
        responses: list[bytes] = []
        sent = requests
        try:
            self._send_all(requests, responses, must_succeed, digested=digested)
        except CardError as error:
            sent = requests[: len(responses)]
            _complete_error(error, requests, sent, responses)
            if channel_control is ChannelControl.CLOSE_AFTER:
                self.close()
            raise
        except (ReaderError, ProtocolError) as error:  # the card's state is unknown: start anew
            sent = requests[: len(responses) + 1]
            _complete_error(error, requests, sent, responses)
            with contextlib.suppress(ReaderError):
                self.close()
            raise
        finally:
            if self.observer is not None:
                self.observer.exchange(self, sent, responses)
            if observer is not None and observer is not self.observer:
                observer.exchange(self, sent, responses)
        if channel_control is ChannelControl.CLOSE_AFTER:
            self.close()
        return responses

    def _send_all(
        self,
        requests: Sequence[ApduRequest],
        responses: list[bytes],
        must_succeed: int,
        *,
        digested: bool,
    ) -> None:
        """Send the requests; add their answers to `responses` as they come."""
        send = self._send
        for request in requests:
            command = request.apdu
            response = send(command)
            self.apdus += 1
            is_ok = response[-2:] == _OK
            if not is_ok or (
                len(response) == 2 and len(command) > 6 and command[4] == len(command) - 6
            ):
                response = self._complete(command, response, request, digested=digested)
                is_ok = response[-2:] == _OK
            responses.append(response)
            if not is_ok and len(responses) <= must_succeed:
                sw = response[-2] << 8 | response[-1]
                if sw not in request.success:
                    raise CardError.of(
                        sw, request.describe(), sorted(request.success, reverse=True)
                    )

    def _complete(
        self, command: bytes, response: bytes, request: ApduRequest, *, digested: bool
    ) -> bytes:
        """Fetch what an answer announces: `61xx`, `6Cxx`, or a case 4 success without data."""
        _check(request, response)
        sw1 = response[-2]
        ends_with_le = len(command) == 5 or (len(command) > 6 and command[4] == len(command) - 6)
        if sw1 == _SW1_WRONG_LE and len(response) == 2 and ends_with_le and not digested:
            response = self._again(command[:-1] + response[-1:], request)
            sw1 = response[-2]
        if sw1 == _SW1_MORE:
            return self._fetch(command, response, request)
        if len(response) > 2 or len(command) < 7 or command[4] != len(command) - 6:
            return response
        if sw1 not in _SW1_DONE or (sw1 << 8 | response[-1]) not in request.success:
            return response
        fetched = self._again(_get_response(command, command[-1]), request)
        if fetched[-2] == _SW1_MORE:
            fetched = self._fetch(command, fetched, request)
        return fetched if fetched[-2] == _SW1_OK else response

    def _fetch(self, command: bytes, response: bytes, request: ApduRequest) -> bytes:
        """Send GET RESPONSE until the status word is no `61xx`."""
        data = response[:-2]
        while response[-2] == _SW1_MORE:
            response = self._again(_get_response(command, response[-1]), request)
            data += response[:-2]
            if len(data) > RESPONSE_MAX_BYTES:
                raise ProtocolError(f"the card announces more after {len(data)} bytes of response")
        return data + response[-2:]

    def _again(self, command: bytes, request: ApduRequest) -> bytes:
        """Send a further command that belongs to a request."""
        response = self._send(command)
        self.apdus += 1
        _check(request, response)
        return response


def _complete_error(
    error: CardbenchError,
    requests: Sequence[ApduRequest],
    sent: Sequence[ApduRequest],
    responses: Sequence[bytes],
) -> None:
    """Let an error carry what was sent and what came."""
    error.responses = tuple(responses)
    error.commands = tuple(request.describe() for request in sent)
    error.is_response_complete = len(responses) == len(requests)


def _get_response(command: bytes, le: int) -> bytes:
    cla = command[0]
    channel = 0 if cla & _PROPRIETARY_CLASS else cla & _CHANNEL_BITS
    return bytes((channel,)) + _GET_RESPONSE_TAIL + bytes((le,))


def _check(request: ApduRequest, response: bytes) -> None:
    if len(response) < 2:
        raise ProtocolError(
            f"{request.describe()}: an answer of {len(response)} byte(s) has no status word"
        )
