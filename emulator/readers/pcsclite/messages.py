"""The messages of the pcsc-lite daemon protocol, versions 4.3 to 4.6, as bytes.

A request is an 8-byte header (body size, command) and a body; TRANSMIT and CONTROL carry raw data after
the body, not counted in its size. An answer is the same body filled in, without a header. Numbers are
32-bit, in the machine's own byte order.

Source: pcsclite-protocol §2, §3.
"""

from __future__ import annotations

from enum import IntEnum, unique
from struct import Struct
from typing import NamedTuple

from cardbench.protocol.pcsc import ATR_SIZE_BYTES, READER_NAME_SIZE_BYTES, ReaderStatus

PROTOCOL_MAJOR = 4
OLDEST_MINOR = 3
NEWEST_MINOR = 6

MINOR_WAIT_ANSWERS = 4
"""From here WAIT and STOP have no body; up to the next change WAIT is answered with the states."""

MINOR_STATES_BY_SIZE = 6
"""From here WAIT has no answer, and two messages fetch the states: their number, then they."""

SLOT_COUNT = 16
"""Entries of the published array; clients count the pseudo-reader in, so 15 can be used."""

READER_COUNT_MAX = SLOT_COUNT - 1

ATTRIBUTE_SIZE_BYTES = 264

MESSAGE_DATA_SIZE_BYTES = 65_548
"""The most raw data that TRANSMIT and CONTROL may carry."""


@unique
class Command(IntEnum):
    """The commands that clients send."""

    ESTABLISH_CONTEXT = 0x01
    RELEASE_CONTEXT = 0x02
    CONNECT = 0x04
    RECONNECT = 0x05
    DISCONNECT = 0x06
    BEGIN_TRANSACTION = 0x07
    END_TRANSACTION = 0x08
    TRANSMIT = 0x09
    CONTROL = 0x0A
    STATUS = 0x0B
    CANCEL = 0x0D
    GET_ATTRIB = 0x0F
    SET_ATTRIB = 0x10
    VERSION = 0x11
    GET_READERS_STATE = 0x12
    WAIT_READER_STATE_CHANGE = 0x13
    STOP_WAITING_READER_STATE_CHANGE = 0x14
    GET_READER_EVENTS = 0x15
    GET_READERS_STATE_SIZE = 0x16
    GET_READERS_STATE_ARRAY = 0x17


HEADER = Struct("=II")  # size of the body, command

VERSION = Struct("=iiI")  # major, minor, rv
ESTABLISH = Struct("=III")  # scope, hContext, rv
RELEASE = Struct("=II")  # hContext, rv
CONNECT = Struct(
    f"=I{READER_NAME_SIZE_BYTES}sIIiII"
)  # hContext, reader, share, preferred, hCard, active, rv
RECONNECT = Struct("=iIIIII")  # hCard, share, preferred, initialization, active, rv
DISCONNECT = Struct("=iII")  # hCard, disposition, rv
BEGIN = Struct("=iI")  # hCard, rv
END = Struct("=iII")  # hCard, disposition, rv
CANCEL = Struct("=II")  # hContext, rv
STATUS = Struct("=iI")  # hCard, rv
TRANSMIT = Struct(
    "=iIIIIIII"
)  # hCard, send PCI ×2, send length, receive PCI ×2, receive length, rv
CONTROL = Struct("=iIIIII")  # hCard, code, send length, room, returned, rv
ATTRIBUTE = Struct(f"=iI{ATTRIBUTE_SIZE_BYTES}sII")  # hCard, id, value, length, rv
WAIT = Struct("=II")  # time-out, rv
READER_EVENTS = Struct("=II")  # events, rv
STATES_SIZE = Struct("=i")
READER_STATE = Struct(f"={READER_NAME_SIZE_BYTES}sIIi{ATR_SIZE_BYTES}s3xII")

BODY_SIZES_BYTES: dict[int, int] = {
    Command.ESTABLISH_CONTEXT: ESTABLISH.size,
    Command.RELEASE_CONTEXT: RELEASE.size,
    Command.CONNECT: CONNECT.size,
    Command.RECONNECT: RECONNECT.size,
    Command.DISCONNECT: DISCONNECT.size,
    Command.BEGIN_TRANSACTION: BEGIN.size,
    Command.END_TRANSACTION: END.size,
    Command.CONTROL: CONTROL.size,
    Command.STATUS: STATUS.size,
    Command.CANCEL: CANCEL.size,
    Command.GET_ATTRIB: ATTRIBUTE.size,
    Command.SET_ATTRIB: ATTRIBUTE.size,
    Command.VERSION: VERSION.size,
}
"""Body sizes of the commands that have one at every version; TRANSMIT goes its own, faster way."""

BODILESS = frozenset(
    (
        Command.GET_READERS_STATE,
        Command.WAIT_READER_STATE_CHANGE,
        Command.STOP_WAITING_READER_STATE_CHANGE,
        Command.GET_READER_EVENTS,
        Command.GET_READERS_STATE_SIZE,
        Command.GET_READERS_STATE_ARRAY,
    )
)
"""Commands whose header's size is not looked at; up to 4.3 two of them have a body all the same."""

FIRST_MINOR: dict[int, int] = {
    Command.GET_READER_EVENTS: 5,
    Command.GET_READERS_STATE_SIZE: MINOR_STATES_BY_SIZE,
    Command.GET_READERS_STATE_ARRAY: MINOR_STATES_BY_SIZE,
}
"""The protocol minor that brought a command; before it, the command is unknown."""


class ReaderState(NamedTuple):
    """One entry of the published array.

    Attributes:
        name: reader name; empty marks a free entry.
        event_counter: insertions and removals, 16 bits.
        status: bits of `ReaderStatus`.
        sharing: number of connections, −1 exclusive.
        atr: answer to reset, empty without a card.
        protocol: protocol chosen, as a `CardProtocol` bit, 0 if none is.
    """

    name: bytes
    event_counter: int
    status: int
    sharing: int
    atr: bytes
    protocol: int

    def encode(self) -> bytes:
        """Lay out as 184 bytes."""
        name, event_counter, status, sharing, atr, protocol = self
        return READER_STATE.pack(name, event_counter, status, sharing, atr, len(atr), protocol)


FREE_ENTRY = ReaderState(b"", 0, 0, 0, b"", 0).encode()
EMPTY_READER = ReaderStatus.ABSENT
CARD_READY = ReaderStatus.PRESENT | ReaderStatus.POWERED | ReaderStatus.NEGOTIABLE
CARD_MUTE = ReaderStatus.PRESENT | ReaderStatus.SWALLOWED
CARD_UNPOWERED = ReaderStatus.PRESENT
