"""The numbers of PC/SC that both ends of a PC/SC link agree on: return codes, modes, attributes.

Both sides use them: the emulated readers, which answer, and the terminal's PC/SC reader, which asks.
Nothing here needs a PC/SC library.

Source: pcsclite-protocol §5, §7, §8, §13; PC/SC part 3 for the attributes.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag, unique

from cardbench.protocol.atr import Atr
from cardbench.protocol.errors import MalformedAtr

READER_NAME_SIZE_BYTES = 128
"""Room for a reader name, its closing NUL included."""

ATR_SIZE_BYTES = 33
"""The longest ATR."""

EXTENDED_APDU_SIZE_BYTES = 65_548
"""The longest APDU on the link, either way: header, extended Lc, 65,536 bytes, Le, status word."""


@unique
class ReturnCode(IntEnum):
    """What a PC/SC call returns, as an unsigned 32-bit number."""

    SUCCESS = 0
    INTERNAL_ERROR = 0x80100001
    CANCELLED = 0x80100002
    INVALID_HANDLE = 0x80100003
    INVALID_PARAMETER = 0x80100004
    NO_MEMORY = 0x80100006
    INSUFFICIENT_BUFFER = 0x80100008
    UNKNOWN_READER = 0x80100009
    TIMEOUT = 0x8010000A
    SHARING_VIOLATION = 0x8010000B
    NO_SMARTCARD = 0x8010000C
    PROTO_MISMATCH = 0x8010000F
    INVALID_VALUE = 0x80100011
    COMM_ERROR = 0x80100013
    NOT_TRANSACTED = 0x80100016
    READER_UNAVAILABLE = 0x80100017
    NO_SERVICE = 0x8010001D
    SERVICE_STOPPED = 0x8010001E
    UNSUPPORTED_FEATURE = 0x8010001F
    NO_READERS_AVAILABLE = 0x8010002E
    UNRESPONSIVE_CARD = 0x80100066
    UNPOWERED_CARD = 0x80100067
    RESET_CARD = 0x80100068
    REMOVED_CARD = 0x80100069
    SECURITY_VIOLATION = 0x8010006A


@unique
class ShareMode(IntEnum):
    """How a client wants a reader."""

    EXCLUSIVE = 1
    SHARED = 2
    DIRECT = 3


@unique
class Disposition(IntEnum):
    """What happens to the card when a client reconnects, ends a transaction or leaves."""

    LEAVE = 0
    RESET = 1
    UNPOWER = 2
    EJECT = 3


@unique
class CardProtocol(IntFlag):
    """Transmission protocols, as bits."""

    UNDEFINED = 0
    T0 = 1
    T1 = 2
    RAW = 4
    ANY_OLD = 0x1000


@unique
class ReaderStatus(IntFlag):
    """Bits of a reader's state as the daemon publishes it (not the bits of SCardGetStatusChange)."""

    UNKNOWN = 0x01
    ABSENT = 0x02
    PRESENT = 0x04
    SWALLOWED = 0x08
    POWERED = 0x10
    NEGOTIABLE = 0x20


@unique
class Attribute(IntEnum):
    """Reader attributes that clients ask for."""

    VENDOR_NAME = 0x00010100
    VENDOR_IFD_TYPE = 0x00010101
    VENDOR_IFD_VERSION = 0x00010102
    ICC_PRESENCE = 0x00090300
    ICC_INTERFACE_STATUS = 0x00090301
    ATR_STRING = 0x00090303
    DEVICE_FRIENDLY_NAME = 0x7FFF0003
    DEVICE_SYSTEM_NAME = 0x7FFF0004


def offered_protocols(atr: bytes) -> CardProtocol:
    """Tell which of T=0 and T=1 an ATR offers.

    TA2 (specific mode) leaves only the protocol that it names. An ATR that cannot be read offers T=0,
    as one without TD1 does.

    Source: pcsclite-protocol §5 (protocol choice).
    """
    try:
        parsed = Atr.parse(atr, strict=False)
    except MalformedAtr:
        return CardProtocol.T0
    specific = parsed.specific_protocol
    named = parsed.protocols if specific is None else (specific,)
    offered = CardProtocol.UNDEFINED
    if 0 in named:
        offered |= CardProtocol.T0
    if 1 in named:
        offered |= CardProtocol.T1
    return offered
