"""Symmetric Crypto API: what a Calypso card transaction asks of a SAM, an HSM or software.

This is the seam between the Calypso Card API and any crypto module: the card side knows these protocols,
a module's library implements them.

Results come as `Deferred`: a module behind a reader queues its commands and sends them in one exchange
as soon as one result is asked for. That is how a session needs three SAM exchanges, and how the
authentication of one session and the challenge of the next share one. A module that answers at once
returns `Deferred.of(value)`.

For one session the card side feeds: the challenge is taken; the data of the Open answer; then request
and response of every command up to Close, in order and alternating. Open, Close, Manage Secure Session
and ratification are not fed; a record read by Open is part of its data. The Le of a case 4 command is
left out.

Source: terminal-api §16; calypso-card §5.2; sequences §13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from cardbench.protocol.errors import CryptoModuleError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.protocol.errors import CardbenchError
    from cardbench.terminal.card.journal import Journal

T = TypeVar("T")


class Deferred(Generic[T]):
    """A result that a crypto module still owes; asking for it makes the module send what is queued."""

    __slots__ = ("_error", "_flush", "_value")

    _value: T

    def __init__(self, flush: Callable[[], None] | None = None) -> None:
        self._flush = flush
        self._error: CardbenchError | None = None

    @classmethod
    def of(cls, value: T) -> Deferred[T]:
        """Return a result that is there already."""
        deferred = cls()
        deferred._value = value
        return deferred

    def resolve(self, value: T) -> None:
        """Give the result (the module's side)."""
        self._value = value
        self._flush = None

    def fail(self, error: CardbenchError) -> None:
        """Say that there will be no result (the module's side)."""
        self._error = error
        self._flush = None

    @property
    def error(self) -> CardbenchError | None:
        """Why there is no result; None while there may still be one."""
        return self._error

    @property
    def is_done(self) -> bool:
        """Whether the result, or the error in its place, is there."""
        return self._flush is None

    def result(self) -> T:
        """Return the result; send what is queued if it is not there yet.

        A result that came before another command of the queue failed is a result all the same.

        Raises:
            CryptoModuleError: the module refused, or cannot be reached.
        """
        if self._flush is not None:
            try:
                self._flush()
            except CryptoModuleError:
                if not self.is_done:
                    raise
            if self._flush is not None:
                raise UsageError("the crypto module sent its queue without giving this result")
        if self._error is not None:
            raise self._error
        return self._value


class SvCommandData(NamedTuple):
    """What a module needs to sign a Stored Value command.

    Attributes:
        sv_get_request: header of the SV Get command: INS, P1, P2 and the length of its answer.
        sv_get_response: its answer, status word included.
        partial_command: INS 00 00 Lc and the fixed part of the data, byte 0 = 00.
    """

    sv_get_request: bytes
    sv_get_response: bytes
    partial_command: bytes


class SvSecurityData(NamedTuple):
    """What a module gives for a Stored Value command.

    Attributes:
        serial: 4 bytes, the module's serial number.
        transaction_number: 3 bytes.
        terminal_challenge: 3 bytes.
        terminal_sv_mac: 5 bytes, extended 10.
    """

    serial: bytes
    transaction_number: bytes
    terminal_challenge: bytes
    terminal_sv_mac: bytes


class SymmetricCryptoTransaction(Protocol):
    """The crypto work of one card's transactions.

    Any method raises `CryptoModuleError` when the module refuses or cannot be reached, at the call or
    at `Deferred.result`.
    """

    def init_terminal_secure_session_context(self) -> Deferred[bytes]:
        """Return the terminal challenge of the next session: 4 bytes, extended 8."""
        ...

    def init_terminal_session_mac(self, open_data: bytes, kif: int, kvc: int) -> None:
        """Start a session: response data of Open without status word, and the session's key."""
        ...

    def update_terminal_session_mac(self, apdu: bytes) -> Deferred[bytes] | None:
        """Feed a request (without the Le of case 4) or a response (with its status word).

        Returns:
            None; or, while encryption is on, the request as it must travel, or the response in clear.
        """
        ...

    def finalize_terminal_session_mac(self) -> Deferred[bytes]:
        """Return the terminal MAC for Close: 4 bytes, extended 8."""
        ...

    def generate_terminal_session_mac(self) -> Deferred[bytes]:
        """Return the 8-byte terminal MAC of an early mutual authentication."""
        ...

    def activate_encryption(self) -> None:
        """Encrypt and decrypt from the next request on."""
        ...

    def deactivate_encryption(self) -> None:
        """Stop encrypting."""
        ...

    def is_card_session_mac_valid(self, card_mac: bytes) -> Deferred[bool]:
        """Tell whether the MAC of Close, or of an early authentication, is the card's."""
        ...

    def compute_sv_command_security_data(self, data: SvCommandData) -> Deferred[SvSecurityData]:
        """Sign a Stored Value command."""
        ...

    def is_card_sv_mac_valid(self, card_sv_mac: bytes) -> Deferred[bool]:
        """Tell whether the card's Stored Value signature is right: 3 bytes, extended 6."""
        ...

    def cipher_pin_for_presentation(
        self, card_challenge: bytes, pin: bytes, kif: int, kvc: int
    ) -> Deferred[bytes]:
        """Return the 8-byte cryptogram of a 4-byte PIN."""
        ...

    def cipher_pin_for_modification(
        self, card_challenge: bytes, current_pin: bytes, new_pin: bytes, kif: int, kvc: int
    ) -> Deferred[bytes]:
        """Return the 16-byte cryptogram of a PIN change."""
        ...

    def generate_ciphered_card_key(
        self,
        card_challenge: bytes,
        issuer_kif: int,
        issuer_kvc: int,
        target_kif: int,
        target_kvc: int,
    ) -> Deferred[bytes]:
        """Return the cryptogram that carries a new key, under the issuer key."""
        ...

    def synchronize(self) -> None:
        """Send work of extensions (signatures) that nothing else has carried along."""
        ...


class SymmetricCryptoFactory(Protocol):
    """Makes the crypto side of card transactions."""

    @property
    def is_extended_mode_supported(self) -> bool:
        """Whether the module knows the extended mode."""
        ...

    @property
    def max_card_apdu_length_supported(self) -> int:
        """Most bytes of a card command or response that the module digests in one piece."""
        ...

    def pre_init_terminal_session_context(self) -> None:
        """Fetch the challenge of the next session now."""
        ...

    def create_card_transaction(
        self, diversifier: bytes, *, use_extended_mode: bool, journal: Journal | None = None
    ) -> SymmetricCryptoTransaction:
        """Return the crypto side for one card.

        Args:
            diversifier: 8 bytes, the card's full serial number.
            use_extended_mode: the card's sessions are extended ones.
            journal: where a module that exchanges commands notes them, so that the transaction can tell
                its whole sequence; None: nowhere. A module without exchanges ignores it.

        Raises:
            UsageError: extended mode is asked of a module that does not have it.
        """
        ...
