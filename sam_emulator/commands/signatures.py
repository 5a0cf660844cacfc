"""Data Cipher (basic signature), PSO Compute Signature and PSO Verify Signature (traceable signature).

Traceability writes the SAM's serial number and the value of the key's counter over some bits of the
message before it is signed. Busy mode is part of what is signed, so a verifier must state the mode that
was used; after a failed verification in busy mode the SAM is busy for some seconds, over a reset too.

Time passes for a busy SAM with the answers it gives: each 6982 takes a tenth of a second of the clock.

Source: legacy-sam §5.10 to §5.12, §6.2. Our choice: a busy time that the clock cannot place (the clock
was set back) starts again at the reset.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, NamedTuple

from cardbench.emulator.chassis import Answer, Refusal, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.sam import AES_ALGORITHMS, Par1, Par5
from cardbench.protocol.status import StatusWord
from cardbench.sam_emulator import layout
from cardbench.sam_emulator.table import TABLE, UNLOCKED

if TYPE_CHECKING:
    from cardbench.protocol.apdu import CommandApdu
    from cardbench.sam_emulator.card import SamCard
    from cardbench.sam_emulator.state import SamKey

_ALG, _PAR1, _PAR5 = 2, 3, 7  # offsets in a key block
_MESSAGE_MAX = 208
_TRACED_MESSAGE_MAX = 206
_HEAD = 4  # FF, KIF, KVC, OpMode
_SIGNATURE_MAX = 8
_BY_KIF_KVC = 0xFF
_BUSY = 0x80
_SERIAL_BYTES_BY_TRACE = {0x00: 0, 0x40: 3, 0x60: 4}
_TRACE = 0x70
_COUNTER = 3
_BUSY_ANSWER_S = 0.1
_PURPOSES = {True: "pso", False: "pso-no-busy"}


@TABLE.command(
    name="Data Cipher",
    ins=SamIns.DATA_CIPHER,
    p1=exactly(0x40),
    p2=exactly(0),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=range(2 + 8, 2 + _MESSAGE_MAX + 1, 8),
    traits={UNLOCKED},
    answers=(
        StatusWord.OK,
        StatusWord.WRONG_LENGTH,
        StatusWord.COUNTER_EXHAUSTED,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.RECORD_NOT_FOUND,
    ),
    source="legacy-sam §5.10, §6.2",
)
def data_cipher(card: SamCard, command: CommandApdu) -> Answer:
    """Return the 8-byte signature of a message; the key must allow it and be no AES key."""
    data = command.data
    card.require_diversifier()
    key = card.work_key(data[0], data[1])
    block = key.block
    if (
        not block[_PAR5] & Par5.DATA_CIPHER_ENABLE
        or not block[_PAR1] & Par1.CIPHER_ENABLE
        or block[_ALG] in AES_ALGORITHMS
    ):
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    card.memory.commit(card.counted(key))
    return card.suite.sign(card.diversified(key), "data-cipher", data[2:])


class _Request(NamedTuple):
    """The data field of a PSO command, in parts.

    Attributes:
        key: the signing key.
        busy: busy mode.
        size: bytes of signature.
        serial_bytes: low-order bytes of the serial number in the trace; 0: no traceability.
        shift: bits of the message behind the trace.
        message, signature: what was sent.
    """

    key: SamKey
    busy: bool
    size: int
    serial_bytes: int
    shift: int
    message: bytes
    signature: bytes


def _request(card: SamCard, data: bytes, *, verify: bool) -> _Request:
    """Take a data field apart.

    Raises:
        Refusal: 6A80 key selector, mode or trace offset; 6700 message length; 6985 no diversifier;
            6A83 no such key.
    """
    selector, kif, kvc, mode = data[:_HEAD]
    serial_bytes = _SERIAL_BYTES_BY_TRACE.get(mode & _TRACE)
    size = mode & 0x0F
    if selector != _BY_KIF_KVC or serial_bytes is None or not 1 <= size <= _SIGNATURE_MAX:
        raise Refusal(StatusWord.WRONG_DATA)
    start = _HEAD + 2 if serial_bytes else _HEAD
    stop = len(data) - size if verify else len(data)
    message = data[start:stop] if stop > start else b""
    if not 1 <= len(message) <= (_TRACED_MESSAGE_MAX if serial_bytes else _MESSAGE_MAX):
        raise Refusal(StatusWord.WRONG_LENGTH)
    shift = 0
    if serial_bytes:
        offset = int.from_bytes(data[_HEAD:start])
        shift = 8 * (len(message) - serial_bytes - _COUNTER) - offset
        if shift < 0:
            raise Refusal(StatusWord.WRONG_DATA)
    card.require_diversifier()
    key = card.work_key(kif, kvc)
    return _Request(key, mode & _BUSY != 0, size, serial_bytes, shift, message, data[stop:])


def _traced(message: bytes, trace: bytes, shift: int) -> bytes:
    """Write the trace over the message, `shift` bits from its end."""
    mask = (1 << 8 * len(trace)) - 1 << shift
    number = int.from_bytes(message) & ~mask | int.from_bytes(trace) << shift
    return number.to_bytes(len(message))


@TABLE.command(
    name="PSO Compute Signature",
    ins=SamIns.PSO,
    p1=exactly(0x9E),
    p2=exactly(0x9A),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=range(_HEAD + 1, _HEAD + _MESSAGE_MAX + 1),
    answers=(
        StatusWord.OK,
        StatusWord.WRONG_LENGTH,
        StatusWord.COUNTER_EXHAUSTED,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.WRONG_DATA,
        StatusWord.RECORD_NOT_FOUND,
    ),
    source="legacy-sam §5.11, §6.2",
)
def pso_compute_signature(card: SamCard, command: CommandApdu) -> Answer:
    """Return the signature; with traceability the message as it was signed comes first."""
    request = _request(card, command.data, verify=False)
    key = request.key
    counted = card.counted(key)
    card.memory.commit(counted)
    message = request.message
    if request.serial_bytes:
        counter = card.counter(card.counter_of(key)) if counted else 0
        trace = card.serial[-request.serial_bytes :] + counter.to_bytes(_COUNTER)
        message = _traced(message, trace, request.shift)
    signature = card.suite.sign(card.diversified(key), _PURPOSES[request.busy], message)
    return (message if request.serial_bytes else b"") + signature[: request.size]


@TABLE.command(
    name="PSO Verify Signature",
    ins=SamIns.PSO,
    p1=exactly(0x00),
    p2=exactly(0xA8),
    cases={IsoCase.DATA_IN},
    lc=range(_HEAD + 2, _HEAD + _MESSAGE_MAX + _SIGNATURE_MAX + 1),
    answers=(
        StatusWord.OK,
        StatusWord.WRONG_LENGTH,
        StatusWord.SECURITY_NOT_SATISFIED,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.WRONG_DATA,
        StatusWord.RECORD_NOT_FOUND,
        StatusWord.WRONG_CRYPTOGRAM,
    ),
    source="legacy-sam §5.12, §6.2",
)
def pso_verify_signature(card: SamCard, command: CommandApdu) -> Answer:
    """Check a signature over the message as it stands; a failure in busy mode makes the SAM busy."""
    request = _request(card, command.data, verify=True)
    volatile = card.volatile
    if request.busy and card.now_ms < volatile.busy_until_ms:
        card.take_time(_BUSY_ANSWER_S)
        raise Refusal(StatusWord.SECURITY_NOT_SATISFIED)
    key = card.diversified(request.key)
    right = card.suite.sign(key, _PURPOSES[request.busy], request.message)
    if not hmac.compare_digest(request.signature, right[: request.size]):
        delay_ms = volatile.features.busy_delay_ms
        if request.busy and delay_ms:
            until_ms = card.now_ms + delay_ms
            card.memory.commit({layout.BUSY_UNTIL: until_ms})
            volatile.busy_until_ms = until_ms
        raise Refusal(StatusWord.WRONG_CRYPTOGRAM)
    if request.busy and layout.BUSY_UNTIL in card.memory:
        card.memory.commit({layout.BUSY_UNTIL: None})  # it is over; no reset shall find it again
    return b""
