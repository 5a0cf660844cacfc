"""Signatures of data by a SAM: basic ones (Data Cipher) and traceable ones (PSO).

A traceable signature may carry a trace: the SAM writes its serial number and a counter into the data, at
a bit offset, before it signs them. Who verifies can ask whether that SAM was revoked.

Source: legacy-sam §5.10–5.12 (commands), §7.8 (order, diversifier), §9.1; terminal-api §18.3.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import Enum, unique
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeAlias, TypeVar

from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.errors import InvalidSignature, SamRevoked, UsageError
from cardbench.protocol.status import StatusWord
from cardbench.terminal.card.handle import Handle
from cardbench.terminal.card.requests import SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.protocol.errors import CardbenchError
    from cardbench.terminal.crypto.symmetric import Deferred
    from cardbench.terminal.legacy_sam.link import SamLink

T = TypeVar("T")
Revocation: TypeAlias = "Callable[[bytes, int], bool]"
"""Tells whether a SAM is revoked, by its serial number (3 or 4 bytes) and the counter of the trace."""

SIGNATURE_MAX_BYTES = 8
BASIC_DATA_MAX_BYTES = 208
TRACEABLE_DATA_MAX_BYTES = 208
TRACED_DATA_MAX_BYTES = 206
TRACE_COUNTER_BYTES = 3

_CIPHER_MODE = 0x40
_BY_KIF_KVC = 0xFF
_BUSY = 0x80
_COMPUTE = (0x9E, 0x9A)
_VERIFY = (0x00, 0xA8)
_BLOCK_BYTES = 8
_VERIFIED = SUCCESS | {StatusWord.WRONG_CRYPTOGRAM}


@unique
class SamTraceabilityMode(Enum):
    """How much of its serial number a SAM leaves in a trace: bits of the operating mode, and bytes."""

    TRUNCATED_SERIAL_NUMBER = (0x40, 3)
    FULL_SERIAL_NUMBER = (0x60, 4)


class SamTrace(NamedTuple):
    """A trace in signed data.

    Attributes:
        bit_offset: where it begins, in bits from the first of the data.
        mode: how much of the serial number it holds; 3 bytes of counter follow.
    """

    bit_offset: int
    mode: SamTraceabilityMode

    @property
    def size_bits(self) -> int:
        """Length of the trace."""
        return 8 * (self.mode.value[1] + TRACE_COUNTER_BYTES)

    def read(self, data: bytes) -> tuple[bytes, int]:
        """Return serial number and counter from signed data."""
        end = 8 * len(data) - self.bit_offset - self.size_bits
        raw = (int.from_bytes(data) >> end & ((1 << self.size_bits) - 1)).to_bytes(
            self.size_bits // 8
        )
        return raw[:-TRACE_COUNTER_BYTES], int.from_bytes(raw[-TRACE_COUNTER_BYTES:])


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicSignature:
    """A basic signature: what is signed, and with which key.

    Attributes:
        data: 8 to 208 bytes, a multiple of 8.
        kif, kvc: key of the SAM.
        size_bytes: of the signature, 1…8.
        diversifier: 1 to 8 bytes; None: the serial number of the card, or of the SAM.

    Raises:
        UsageError: out of range.
    """

    data: bytes
    kif: int
    kvc: int
    size_bytes: int = SIGNATURE_MAX_BYTES
    diversifier: bytes | None = None

    def __post_init__(self) -> None:
        size = len(self.data)
        if size % _BLOCK_BYTES or not _BLOCK_BYTES <= size <= BASIC_DATA_MAX_BYTES:
            raise UsageError(f"{size} byte(s) to sign; allowed: 8 to 208, a multiple of 8")
        _check(self.size_bytes, self.diversifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceableSignature:
    """A traceable signature: what is signed, how it is traced, and with which key.

    Attributes:
        data: 1 to 208 bytes, 206 with a trace; to be verified: the data as they were signed.
        kif, kvc: key of the SAM.
        size_bytes: of the signature, 1…8.
        diversifier: 1 to 8 bytes; None: the serial number of the card, or of the SAM.
        trace: where the SAM leaves its mark; None: nowhere.
        busy_mode: a SAM that sees a wrong signature refuses to verify for some seconds.

    Raises:
        UsageError: out of range, or a trace that ends beyond the data.
    """

    data: bytes
    kif: int
    kvc: int
    size_bytes: int = SIGNATURE_MAX_BYTES
    diversifier: bytes | None = None
    trace: SamTrace | None = None
    busy_mode: bool = True

    def __post_init__(self) -> None:
        limit = TRACEABLE_DATA_MAX_BYTES if self.trace is None else TRACED_DATA_MAX_BYTES
        if not 1 <= len(self.data) <= limit:
            raise UsageError(f"{len(self.data)} byte(s) to sign; allowed: 1 to {limit}")
        _check(self.size_bytes, self.diversifier)
        trace = self.trace
        if trace is not None:
            last = 8 * len(self.data) - trace.size_bits
            if not 0 <= trace.bit_offset <= last:
                raise UsageError(f"trace at bit {trace.bit_offset}; allowed: 0 to {last}")

    @property
    def head(self) -> bytes:
        """What precedes the data in a command."""
        mode = self.size_bytes | (_BUSY if self.busy_mode else 0)
        if self.trace is None:
            return bytes((_BY_KIF_KVC, self.kif, self.kvc, mode))
        mode |= self.trace.mode.value[0]
        offset = self.trace.bit_offset.to_bytes(2)
        return bytes((_BY_KIF_KVC, self.kif, self.kvc, mode)) + offset


def _check(size_bytes: int, diversifier: bytes | None) -> None:
    if not 1 <= size_bytes <= SIGNATURE_MAX_BYTES:
        raise UsageError(f"a signature of {size_bytes} byte(s); allowed: 1 to 8")
    if diversifier is not None and not 1 <= len(diversifier) <= 8:
        raise UsageError(f"a diversifier of {len(diversifier)} byte(s); allowed: 1 to 8")


class SignedData(NamedTuple):
    """What a SAM has signed.

    Attributes:
        data: as they were signed, trace included.
        signature: 1 to 8 bytes.
    """

    data: bytes
    signature: bytes


class DeferredHandle(Handle[T], Generic[T]):
    """The result of a command to a SAM, filled when the commands are processed."""

    __slots__ = ("_deferred", "_name")

    def __init__(self, deferred: Deferred[T], name: str) -> None:
        self._deferred = deferred
        self._name = name

    @property
    def is_done(self) -> bool:  # type: ignore[override] # follows the module's answer
        """Whether the SAM has answered."""
        return self._deferred.is_done

    @property
    def error(self) -> CardbenchError | None:
        """Why there is no result."""
        return self._deferred.error

    @property
    def value(self) -> T:
        """The result; raises as `Handle.value`."""
        if not self._deferred.is_done:
            raise UsageError(f"{self._name} is prepared, not processed: there is no result yet")
        return self._deferred.result()


class SignatureCommands:
    """What everybody can prepare who talks to a SAM: signatures. In a card's transaction, the extension.

    The signatures travel with the next exchange with the SAM, at the latest when the transaction's
    commands have been processed. A signature that does not verify then raises `InvalidSignature`.
    """

    _link: SamLink
    _diversifier: bytes

    def __init__(self) -> None:
        self._verifications: list[tuple[Deferred[bool], str]] = []
        self._has_signatures = False

    def prepare_compute_signature(
        self, signature: BasicSignature | TraceableSignature
    ) -> Handle[SignedData]:
        """Let the SAM sign; the result is the signed data and the signature."""
        self._begin(signature.diversifier)
        link = self._link
        size = signature.size_bytes
        if isinstance(signature, BasicSignature):
            data = signature.data

            def read_basic(response: bytes) -> SignedData:
                return SignedData(data, response[:size])

            computed = link.ask(self._data_cipher(signature), "Data Cipher", read_basic)
            return DeferredHandle(computed, "Data Cipher")
        body = signature.head + signature.data
        length = len(signature.data)

        def read_traceable(response: bytes) -> SignedData:
            signed = signature.data if signature.trace is None else response[:length]
            return SignedData(signed, response[-2 - size : -2])

        header = bytes((link.cla, SamIns.PSO, *_COMPUTE, len(body)))
        computed = link.ask(header + body, "PSO Compute Signature", read_traceable)
        return DeferredHandle(computed, "PSO Compute Signature")

    def prepare_verify_signature(
        self,
        signature: BasicSignature | TraceableSignature,
        value: bytes,
        *,
        revocation: Revocation | None = None,
    ) -> Handle[bool]:
        """Let the SAM verify a signature; the result is whether it is right.

        Args:
            signature: what was signed, and how; `size_bytes` follows `value`.
            value: the signature, 1 to 8 bytes.
            revocation: asked whether the SAM of the trace is revoked, before anything is sent.

        Raises:
            UsageError: a signature of another length; a revocation service without a trace.
            SamRevoked: the SAM that signed is revoked.
        """
        if len(value) != signature.size_bytes:
            raise UsageError(
                f"a signature of {len(value)} byte(s) where {signature.size_bytes} were announced"
            )
        if isinstance(signature, BasicSignature):
            if revocation is not None:
                raise UsageError("a basic signature has no trace to ask a revocation service about")
            return self._verify_basic(signature, value)
        if revocation is not None:
            _check_revocation(signature, revocation)
        self._begin(signature.diversifier)
        link = self._link
        body = signature.head + signature.data + value
        header = bytes((link.cla, SamIns.PSO, *_VERIFY, len(body)))
        verified = link.ask(header + body, "PSO Verify Signature", _is_ok, _VERIFIED)
        self._verifications.append((verified, "traceable"))
        return DeferredHandle(verified, "PSO Verify Signature")

    def _verify_basic(self, signature: BasicSignature, value: bytes) -> Handle[bool]:
        self._begin(signature.diversifier)

        def compare(response: bytes) -> bool:
            return hmac.compare_digest(response[: len(value)], value)

        verified = self._link.ask(self._data_cipher(signature), "Data Cipher", compare)
        self._verifications.append((verified, "basic"))
        return DeferredHandle(verified, "Data Cipher")

    def _data_cipher(self, signature: BasicSignature) -> bytes:
        body = bytes((signature.kif, signature.kvc)) + signature.data
        header = (self._link.cla, SamIns.DATA_CIPHER, _CIPHER_MODE, 0, len(body))
        return bytes(header) + body

    def _begin(self, diversifier: bytes | None) -> None:
        self._before_signature()
        self._link.select_diversifier(diversifier or self._diversifier)
        self._has_signatures = True

    def _before_signature(self) -> None:
        """Queue what belongs before a signature."""

    def _finish_signatures(self) -> None:
        """Send signatures that wait.

        Raises:
            InvalidSignature: one does not verify.
        """
        if self._has_signatures:
            self._has_signatures = False
            self._link.flush()
        verifications, self._verifications = self._verifications, []
        for verified, kind in verifications:
            if not verified.result():
                raise InvalidSignature(f"a {kind} signature does not verify")


def _is_ok(response: bytes) -> bool:
    return int.from_bytes(response[-2:]) == StatusWord.OK


def _check_revocation(signature: TraceableSignature, revocation: Revocation) -> None:
    if signature.trace is None:
        raise UsageError("a revocation service needs a trace in the signature")
    serial, counter = signature.trace.read(signature.data)
    if revocation(serial, counter):
        raise SamRevoked(f"SAM {serial.hex().upper()} is revoked (counter {counter})")


class CardTransactionLegacySamExtension(SignatureCommands):
    """What `crypto_extension` gives of a card's transaction with a SAM: signatures of data."""
