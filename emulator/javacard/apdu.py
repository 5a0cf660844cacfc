"""The APDU object: one buffer for the command and the response, and the order in which it is used.

    INITIAL ──set_incoming_and_receive──▶ PARTIAL_INCOMING ──receive_bytes──▶ FULL_INCOMING
       │                                        │                                   │
       └────────────────────────────────set_outgoing────────────────────────────────┘
                                                ▼
    OUTGOING ──set_outgoing_length──▶ OUTGOING_LENGTH_KNOWN ──send_bytes──▶ PARTIAL_OUTGOING ─▶ FULL_OUTGOING

`process` finds the header in the buffer and zeros behind it; the data come with
`set_incoming_and_receive`. `set_outgoing_and_send` goes from any state before OUTGOING to FULL_OUTGOING.

The transport is block oriented (T=1 style): without an Le field `set_outgoing` returns 0, and no 61xx or
6Cxx is ever made. A response longer than Le is cut to Le; without Le it is sent whole.

Source: wallet-javacard §6.3, §6.7; Java Card API 2.2.2, class APDU.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import TYPE_CHECKING, Final

from cardbench.emulator.javacard.arrays import read_bytes
from cardbench.emulator.javacard.current import running
from cardbench.emulator.javacard.exceptions import APDUException
from cardbench.emulator.javacard.firewall import EntryPoint, GlobalArray
from cardbench.protocol.apdu import SHORT_NE_MAX
from cardbench.protocol.iso7816 import ISO7816

if TYPE_CHECKING:
    from cardbench.emulator.javacard.arrays import Bytes
    from cardbench.protocol.apdu import CommandApdu

BUFFER_SIZE_BYTES: Final = 261  # header, 255 bytes of data and Le
EXTENDED_LENGTH_MAX: Final = 0x7FFF
"""Lengths are shorts: the most that an extended APDU carries on this platform."""

PROTOCOL_T1: Final = 1


@unique
class ApduState(IntEnum):
    """How far the exchange has come; the negative ones belong to transports that we do not model."""

    INITIAL = 0
    PARTIAL_INCOMING = 1
    FULL_INCOMING = 2
    OUTGOING = 3
    OUTGOING_LENGTH_KNOWN = 4
    PARTIAL_OUTGOING = 5
    FULL_OUTGOING = 6
    ERROR_NO_T0_GETRESPONSE = -1
    ERROR_T1_IFD_ABORT = -2
    ERROR_IO = -3
    ERROR_NO_T0_REISSUE = -4


_INITIAL = ApduState.INITIAL
_PARTIAL_INCOMING = ApduState.PARTIAL_INCOMING
_FULL_INCOMING = ApduState.FULL_INCOMING
_OUTGOING = ApduState.OUTGOING
_OUTGOING_LENGTH_KNOWN = ApduState.OUTGOING_LENGTH_KNOWN
_PARTIAL_OUTGOING = ApduState.PARTIAL_OUTGOING
_FULL_OUTGOING = ApduState.FULL_OUTGOING


class APDU(EntryPoint):
    """The card's one APDU object, made ready anew for each command.

    Every method raises `APDUException`: ILLEGAL_USE where the state does not allow it, BUFFER_BOUNDS
    where offset and length leave the buffer, BAD_LENGTH where the response is longer than an APDU.
    """

    STATE_INITIAL: Final = ApduState.INITIAL
    STATE_PARTIAL_INCOMING: Final = ApduState.PARTIAL_INCOMING
    STATE_FULL_INCOMING: Final = ApduState.FULL_INCOMING
    STATE_OUTGOING: Final = ApduState.OUTGOING
    STATE_OUTGOING_LENGTH_KNOWN: Final = ApduState.OUTGOING_LENGTH_KNOWN
    STATE_PARTIAL_OUTGOING: Final = ApduState.PARTIAL_OUTGOING
    STATE_FULL_OUTGOING: Final = ApduState.FULL_OUTGOING
    STATE_ERROR_NO_T0_GETRESPONSE: Final = ApduState.ERROR_NO_T0_GETRESPONSE
    STATE_ERROR_T1_IFD_ABORT: Final = ApduState.ERROR_T1_IFD_ABORT
    STATE_ERROR_IO: Final = ApduState.ERROR_IO
    STATE_ERROR_NO_T0_REISSUE: Final = ApduState.ERROR_NO_T0_REISSUE

    __slots__ = (
        "_announced",
        "_buffer",
        "_channel",
        "_command",
        "_longest",
        "_received",
        "_response",
        "_state",
    )

    def __init__(self) -> None:
        self._buffer = GlobalArray(BUFFER_SIZE_BYTES)
        self._state = _INITIAL
        self._channel = 0
        self._received = 0
        self._announced = 0
        self._longest = SHORT_NE_MAX
        self._response = b""
        self._command: CommandApdu | None = None

    # For the runtime

    def begin(
        self, command: CommandApdu, raw: bytes, channel: int, *, takes_extended: bool
    ) -> None:
        """Take over a command: header into the buffer, zeros behind it."""
        end = ISO7816.OFFSET_EXT_CDATA if command.extended else ISO7816.OFFSET_CDATA
        self._buffer[:] = raw[:end].ljust(BUFFER_SIZE_BYTES, b"\0")
        self._state = _INITIAL
        self._channel = channel
        self._received = 0
        self._longest = EXTENDED_LENGTH_MAX if takes_extended else SHORT_NE_MAX
        self._response = b""
        self._command = command

    def finish(self) -> bytes | None:
        """Return the response data; None if fewer bytes were sent than announced."""
        state = self._state
        if state is _PARTIAL_OUTGOING or (state is _OUTGOING_LENGTH_KNOWN and self._announced):
            return None
        return self._response

    @property
    def response(self) -> bytes:
        """What was sent so far."""
        return self._response

    # The buffer and the header

    def get_buffer(self) -> GlobalArray:
        """Return the buffer. It is a global array: every applet may use it, none may keep it."""
        return self._buffer

    @staticmethod
    def get_current_apdu() -> APDU:
        """Return the APDU object of the command being processed."""
        return running().apdu

    @staticmethod
    def get_current_apdu_buffer() -> GlobalArray:
        """Return the buffer of the command being processed."""
        return running().apdu.get_buffer()

    @staticmethod
    def get_cla_channel() -> int:
        """Return the logical channel of the command, 0 … 3."""
        return running().apdu.channel

    @property
    def channel(self) -> int:
        """The logical channel of the command."""
        return self._channel

    def get_current_state(self) -> ApduState:
        """Return how far the exchange has come."""
        return self._state

    @staticmethod
    def get_protocol() -> int:
        """Return the transmission protocol: T=1."""
        return PROTOCOL_T1

    def is_iso_interindustry_cla(self) -> bool:
        """Whether the class is one of ISO 7816-4."""
        return self._buffer[ISO7816.OFFSET_CLA] < 0x80

    def is_command_chaining_cla(self) -> bool:
        """Whether the class says that more commands of the chain follow."""
        return bool(self._buffer[ISO7816.OFFSET_CLA] & 0x10)

    def is_secure_messaging_cla(self) -> bool:
        """Whether the class says that the command is under secure messaging (classes of channels 0 to 3)."""
        return bool(self._buffer[ISO7816.OFFSET_CLA] & 0x0C)

    # Incoming

    def set_incoming_and_receive(self) -> int:
        """Receive as many data bytes as fit behind the header; return how many.

        Once per command; `receive_bytes` gets the rest.
        """
        if self._state is not _INITIAL:
            APDUException.throw_it(APDUException.ILLEGAL_USE)
        return self._receive(self.get_offset_cdata())

    def receive_bytes(self, offset: int) -> int:
        """Receive as many of the remaining data bytes as fit from an offset on; return how many."""
        if self._state is not _PARTIAL_INCOMING and self._state is not _FULL_INCOMING:
            APDUException.throw_it(APDUException.ILLEGAL_USE)
        if not 0 <= offset < BUFFER_SIZE_BYTES:
            APDUException.throw_it(APDUException.BUFFER_BOUNDS)
        return self._receive(offset)

    def _receive(self, offset: int) -> int:
        assert self._command is not None
        data = self._command.data
        start = self._received
        count = min(len(data) - start, BUFFER_SIZE_BYTES - offset)
        self._buffer[offset : offset + count] = data[start : start + count]
        self._received = start + count
        self._state = _FULL_INCOMING if self._received == len(data) else _PARTIAL_INCOMING
        return count

    def get_incoming_length(self) -> int:
        """Return Lc; only after `set_incoming_and_receive`."""
        if self._state is not _PARTIAL_INCOMING and self._state is not _FULL_INCOMING:
            APDUException.throw_it(APDUException.ILLEGAL_USE)
        assert self._command is not None
        return len(self._command.data)

    def get_offset_cdata(self) -> int:
        """Return where the data are in the buffer: 5, or 7 in an extended APDU."""
        assert self._command is not None
        return ISO7816.OFFSET_EXT_CDATA if self._command.extended else ISO7816.OFFSET_CDATA

    # Outgoing

    def set_outgoing(self) -> int:
        """Turn to sending; return how many bytes are expected, 0 without Le.

        Data that were not received are dropped.
        """
        if self._state >= _OUTGOING:
            APDUException.throw_it(APDUException.ILLEGAL_USE)
        self._state = _OUTGOING
        assert self._command is not None
        return min(self._command.ne or 0, EXTENDED_LENGTH_MAX)

    def set_outgoing_no_chaining(self) -> int:
        """As `set_outgoing`; our transport chains no blocks anyway."""
        return self.set_outgoing()

    def set_outgoing_length(self, length: int) -> None:
        """Announce the length of the response, once."""
        if self._state is not _OUTGOING:
            APDUException.throw_it(APDUException.ILLEGAL_USE)
        self._check_response_length(length)
        self._announced = length
        self._state = _OUTGOING_LENGTH_KNOWN

    def send_bytes(self, offset: int, length: int) -> None:
        """Send bytes of the buffer; no more in all than were announced."""
        if offset < 0 or length < 0 or offset + length > BUFFER_SIZE_BYTES:
            APDUException.throw_it(APDUException.BUFFER_BOUNDS)
        self._send(bytes(self._buffer[offset : offset + length]))

    def send_bytes_long(self, array: Bytes, offset: int, length: int) -> None:
        """Send bytes of any array; no more in all than were announced.

        Raises:
            NullPointerException, ArrayIndexOutOfBoundsException, SecurityException: of the array.
        """
        self._send(read_bytes(array, offset, length))

    def _send(self, data: bytes) -> None:
        state = self._state
        if state is not _OUTGOING_LENGTH_KNOWN and state is not _PARTIAL_OUTGOING:
            APDUException.throw_it(APDUException.ILLEGAL_USE)
        response = self._response + data
        if len(response) > self._announced:
            APDUException.throw_it(APDUException.ILLEGAL_USE)
        self._response = response
        self._state = _FULL_OUTGOING if len(response) == self._announced else _PARTIAL_OUTGOING

    def set_outgoing_and_send(self, offset: int, length: int) -> None:
        """Send bytes of the buffer as the whole response."""
        if self._state >= _OUTGOING:
            APDUException.throw_it(APDUException.ILLEGAL_USE)
        if offset < 0 or length < 0 or offset + length > BUFFER_SIZE_BYTES:
            APDUException.throw_it(APDUException.BUFFER_BOUNDS)
        self._check_response_length(length)
        self._response = bytes(self._buffer[offset : offset + length])
        self._state = _FULL_OUTGOING

    def _check_response_length(self, length: int) -> None:
        if not 0 <= length <= self._longest:
            APDUException.throw_it(APDUException.BAD_LENGTH)

    @staticmethod
    def wait_extension() -> None:
        """Ask the terminal for more time; a card of ours is never slow, so nothing happens."""
