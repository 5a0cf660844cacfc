"""The T=0 mapping: how a terminal carries whole APDUs over a link that has T=0 alone.

T=0 sends five bytes and then data in one direction. So Le of a case 4 command is dropped, a case 1
command gets a fifth byte `00`, data that wait (`61xx`) are fetched with GET RESPONSE in the command's
class, and a command without data that named a wrong length (`6Cxx`) is sent again with the right one.
A command with data is never sent again: its last byte is data, not Le.

Left out: ENVELOPE, which would carry more than 255 bytes of command data.

Source: ISO/IEC 7816-3 §12.2; pcsc (transport behaviour).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.apdu import (
    EXTENDED_NE_MAX,
    SHORT_NC_MAX,
    SHORT_NE_MAX,
    CommandApdu,
    without_le_of_case_4,
)
from cardbench.protocol.errors import ProtocolError, UsageError
from cardbench.protocol.t0 import GET_RESPONSE, SW1_DATA_AVAILABLE, SW1_EXACT_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable


def exchange_t0(transmit: Callable[[bytes], bytes], command: bytes) -> bytes:
    """Carry one command APDU over T=0; return the whole response APDU.

    Args:
        transmit: sends one T=0 command and returns what came, status word included.
        command: a command APDU of any case; extended forms only where T=0 can carry them.

    Raises:
        UsageError: no command APDU, or more than 255 bytes of command data.
        ProtocolError: the card announces data and does not give them.
    """
    sent = _mapped(command)
    response = transmit(sent)
    if len(response) == 2 and response[0] == SW1_EXACT_LENGTH and len(sent) == 5:
        response = transmit(sent[:4] + response[1:])
    if len(response) < 2 or response[-2] != SW1_DATA_AVAILABLE:
        return response
    fetch = command[:1] + GET_RESPONSE
    data = response[:-2]
    while response[-2] == SW1_DATA_AVAILABLE:
        response = transmit(fetch + response[-1:])
        if len(response) == 2 and response[0] == SW1_EXACT_LENGTH:
            response = transmit(fetch + response[1:])
        if len(response) < 2:
            raise ProtocolError(f"GET RESPONSE was answered with {len(response)} byte(s)")
        more = response[:-2]
        if not more and response[-2] == SW1_DATA_AVAILABLE:
            raise ProtocolError("the card announces data that GET RESPONSE does not get")
        data += more
        if len(data) > EXTENDED_NE_MAX:
            raise ProtocolError(f"GET RESPONSE got {len(data)} bytes and there is no end")
    return data + response[-2:]


def _mapped(command: bytes) -> bytes:
    length = len(command)
    if length == 5 or (length > 5 and command[4] and length == 5 + command[4]):
        return command
    if length == 4:
        return command + b"\0"
    if length > 6 and command[4]:
        short = without_le_of_case_4(command)
        if len(short) < length:
            return short
    try:
        cla, ins, p1, p2, data, ne, _ = CommandApdu.parse(command)
    except ProtocolError as error:
        raise UsageError(f"no command APDU: {error}") from error
    if len(data) > SHORT_NC_MAX:
        raise UsageError(
            f"{len(data)} bytes of command data; T=0 carries at most {SHORT_NC_MAX} in a command"
        )
    header = bytes((cla, ins, p1, p2))
    if data:
        return header + bytes((len(data),)) + data
    return header + bytes((min(ne or SHORT_NE_MAX, SHORT_NE_MAX) & 0xFF,))
