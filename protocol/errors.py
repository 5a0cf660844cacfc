"""The one error tree of cardbench.

    CardbenchError
    ├── UsageError                   the caller's argument or order of calls is wrong (a ValueError)
    │   └── NotSupported             card, crypto module or reader has no such function
    ├── ReaderError                  the link: nothing is known of the card's answer
    │   ├── ReaderNotFound
    │   ├── CardNotPresent
    │   ├── CardRemoved              gone in the middle, by hand or by power loss
    │   ├── CardMute                 present, but gives no ATR
    │   └── ReaderTimeout
    ├── ProtocolError                the peer broke the protocol
    │   ├── MalformedApdu
    │   ├── MalformedTlv
    │   ├── MalformedAtr
    │   └── MalformedCardData
    ├── CryptoError                  a MAC, signature or cryptogram does not verify
    │   ├── InvalidCardMac
    │   ├── InvalidSignature
    │   │   └── InvalidCardSignature of a PKI session
    │   ├── InvalidCertificate       a Calypso certificate is refused; its children name the step
    │   │   ├── MalformedCertificate
    │   │   ├── UnknownCertificateType
    │   │   ├── UnknownIssuer        the chain ends at no trusted root
    │   │   ├── WrongIssuer
    │   │   ├── IssuerNotEntitled
    │   │   ├── ChainTooLong
    │   │   ├── InvalidCertificateSignature
    │   │   ├── CertificateNotYetValid
    │   │   ├── CertificateExpired
    │   │   ├── WrongScope
    │   │   ├── WrongAid
    │   │   └── WrongSerialNumber
    │   ├── SamRevoked               the SAM that signed data is not trusted any more
    │   └── CryptoModuleError        the SAM refused a command
    │       └── CryptoModuleUnreachable
    ├── SessionError                 a secure session cannot be opened or go on
    │   ├── SessionBufferOverflow    more modifications than a session holds; nothing was sent
    │   ├── UnauthorizedKey          the session's key is not known, or not allowed
    │   ├── InconsistentData         an answer is not the one that the MAC was computed with
    │   └── CardMacNotVerifiable     the card committed, and nobody can check its MAC
    ├── StorageError                 a card kept outside the process cannot be had
    │   ├── MalformedImage
    │   ├── UnsupportedSchema
    │   └── ImageInUse
    └── CardError                    the card answered with another status word than allowed
        ├── InvalidPin               63C0, 63C1, 63C2
        ├── BufferOverflow           6400
        ├── WrongLength              6700
        ├── CounterExhausted         6900
        ├── WrongFileType            6981
        ├── AccessDenied             6982
        ├── AuthenticationBlocked    6983
        ├── ConditionsNotSatisfied   6985
        ├── NoCurrentFile            6986
        ├── WrongCryptogram          6988
        ├── WrongData                6A80
        ├── FunctionNotSupported     6A81
        ├── FileNotFound             6A82
        ├── RecordNotFound           6A83
        ├── WrongParameters          6A00, 6A86, 6A87, 6B00
        ├── DataNotFound             6A88
        ├── InstructionNotSupported  6D00
        └── ClassNotSupported        6E00

Terminal code raises; card code answers with a status word. A message says what was sent, what came
and what was allowed. Errors that stop a list of commands carry the partial results.

Source: our choice (DESIGN idea 7).
"""

from __future__ import annotations

from enum import Enum, unique
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


@unique
class SessionState(Enum):
    """What a card has made of a secure session that ended with an error."""

    ABORTED = "aborted"  # the card has forgotten it
    COMMITTED = "committed"  # the card has written what it was told
    UNKNOWN = "unknown"  # Close was sent, and no answer came: ask the card when it comes back


class CardbenchError(Exception):
    """Root of every error that cardbench raises on purpose.

    Attributes:
        responses: what the card had answered before a list of commands stopped, in order; when the
            error is about an answer, that answer is the last.
        commands: what had been sent of that list, each command's name and bytes, secrets masked.
        is_response_complete: every command of that list was answered.
        session_state: what became of the secure session on the card; None: there was none.
    """

    responses: tuple[bytes, ...] = ()
    commands: tuple[str, ...] = ()
    is_response_complete: bool = False
    session_state: SessionState | None = None


class UsageError(CardbenchError, ValueError):
    """An argument is out of range, or a call comes at the wrong moment."""


class NotSupported(UsageError):
    """The card, by its product and options, the crypto module or the reader has no such function."""


class ReaderError(CardbenchError):
    """The link to the card failed."""


class ReaderNotFound(ReaderError):
    """No reader of that name."""


class CardNotPresent(ReaderError):
    """The reader is empty."""


class CardRemoved(ReaderError):
    """The card left, or lost its power, before it answered."""


class CardMute(ReaderError):
    """A card is there but does not answer to reset."""


class ReaderTimeout(ReaderError):
    """Nothing came in time."""


class ProtocolError(CardbenchError):
    """The peer sent what the protocol does not allow."""


class MalformedApdu(ProtocolError):
    """Bytes that are no command or response APDU."""


class MalformedTlv(ProtocolError):
    """Bytes that are no BER-TLV."""


class MalformedAtr(ProtocolError):
    """Bytes that are no answer to reset."""


class MalformedCardData(ProtocolError):
    """A structure that the card sent (FCI, file descriptor, log …) does not decode."""


class CryptoError(CardbenchError):
    """A cryptographic check failed."""


class InvalidCardMac(CryptoError):
    """The card's MAC, or its Stored Value signature, does not verify."""


class InvalidSignature(CryptoError):
    """A data signature does not verify."""


class InvalidCardSignature(InvalidSignature):
    """The card's signature over a PKI session does not verify: another card, or other bytes."""


class InvalidCertificate(CryptoError):
    """A Calypso certificate is refused.

    Attributes:
        step: what was being checked, in a word or two; each child has its own.
        certificate: which certificate it was, in words.
        reason: what came and what was allowed.
    """

    step: ClassVar[str] = "certificate"

    def __init__(self, certificate: str, reason: str) -> None:
        super().__init__(certificate, reason)
        self.certificate = certificate
        self.reason = reason

    def __str__(self) -> str:
        """Say which certificate, which step and why."""
        return f"{self.certificate} refused, {self.step}: {self.reason}"


class MalformedCertificate(InvalidCertificate):
    """Size, type, version or the coding of a field is wrong."""

    step = "format"


class UnknownCertificateType(InvalidCertificate):
    """Nothing here reads certificates of that type."""

    step = "type"


class UnknownIssuer(InvalidCertificate):
    """The chain ends at a key that is not trusted: an unknown root."""

    step = "trust"


class WrongIssuer(InvalidCertificate):
    """The certificate names another issuer than the one at hand."""

    step = "issuer"


class IssuerNotEntitled(InvalidCertificate):
    """The issuer's own certificate does not give it the right to sign this one."""

    step = "rights"


class ChainTooLong(InvalidCertificate):
    """More certificates between root and card than the rules allow."""

    step = "length of chain"


class InvalidCertificateSignature(InvalidCertificate):
    """The signature is not the issuer's over these bytes."""

    step = "signature"


class CertificateNotYetValid(InvalidCertificate):
    """The first day of validity is still to come."""

    step = "start date"


class CertificateExpired(InvalidCertificate):
    """The last day of validity is past."""

    step = "end date"


class WrongScope(InvalidCertificate):
    """A test certificate in production, the other way round, or an unknown scope."""

    step = "scope"


class WrongAid(InvalidCertificate):
    """The AID is not one that the issuer, or the selected application, allows."""

    step = "AID"


class WrongSerialNumber(InvalidCertificate):
    """The certificate is of another card."""

    step = "serial number"


class SamRevoked(CryptoError):
    """The SAM that signed some data is not trusted any more."""


class CryptoModuleError(CryptoError):
    """The crypto module (SAM) refused a command; the cause says which."""


class CryptoModuleUnreachable(CryptoModuleError):
    """The link to the crypto module failed."""


class SessionError(CardbenchError):
    """The secure session cannot be opened or go on."""


class SessionBufferOverflow(SessionError):
    """A modification does not fit the session buffer any more; nothing of it was sent.

    Attributes:
        command: the command's name.
        needed, available: bytes, or operations for a card that counts them.
    """

    def __init__(self, command: str, needed: int, available: int) -> None:
        self.command = command
        self.needed = needed
        self.available = available
        super().__init__(command, needed, available)

    def __str__(self) -> str:
        return (
            f"{self.command} needs {self.needed} of the session buffer, {self.available} are left"
        )


class UnauthorizedKey(SessionError):
    """The session's key cannot be told, or is not on the list of allowed ones.

    Attributes:
        reason: why, in words.
        kif, kvc: the key, as far as it is known.
    """

    def __init__(self, reason: str, kif: int | None, kvc: int | None) -> None:
        self.reason = reason
        self.kif = kif
        self.kvc = kvc
        super().__init__(reason, kif, kvc)

    def __str__(self) -> str:
        return self.reason


class InconsistentData(SessionError):
    """What the card answered is not what its own data, or the session's MAC, were foreseen from."""


class CardMacNotVerifiable(SessionError):
    """The card closed the session, and its data have changed, but its MAC could not be checked."""


class StorageError(CardbenchError):
    """A snapshot or card file cannot be read, written or opened."""


class MalformedImage(StorageError):
    """Bytes, or a file, that hold no card; or a card that is damaged."""


class UnsupportedSchema(StorageError):
    """A snapshot or card file of a newer version of cardbench."""


class ImageInUse(StorageError):
    """Another process has the card file open."""


class CardError(CardbenchError):
    """The card answered with a status word that was not allowed.

    Attributes:
        sw: the status word that came, 0…FFFF.
        command: the command's name and bytes, secrets masked, for the message.
        allowed: the status words that would have been right.
    """

    status_words: ClassVar[frozenset[int]] = frozenset()

    def __init__(self, sw: int, command: str, allowed: Iterable[int] = (0x9000,)) -> None:
        self.sw = sw
        self.command = command
        self.allowed = tuple(allowed)
        super().__init__(sw, command, self.allowed)

    def __str__(self) -> str:
        right = ", ".join(f"{word:04X}" for word in self.allowed)
        return f"{self.command}: the card answered {self.sw:04X}, allowed: {right}"

    @staticmethod
    def of(sw: int, command: str, allowed: Iterable[int] = (0x9000,)) -> CardError:
        """Build the child that names the meaning of `sw`."""
        return _BY_STATUS_WORD.get(sw, CardError)(sw, command, allowed)


class InvalidPin(CardError):
    """A wrong PIN (63C2, 63C1, 63C0); a blocked one is `AuthenticationBlocked`."""

    status_words = frozenset({0x63C0, 0x63C1, 0x63C2})

    @property
    def attempts_remaining(self) -> int:
        """How many attempts are left."""
        return self.sw & 0xF


class BufferOverflow(CardError):
    """More modifications than the session buffer holds (6400)."""

    status_words = frozenset({0x6400})


class WrongLength(CardError):
    """Lc or Le not supported (6700)."""

    status_words = frozenset({0x6700})


class CounterExhausted(CardError):
    """The transaction counter, or a key's event counter, is at its end (6900)."""

    status_words = frozenset({0x6900})


class WrongFileType(CardError):
    """The file is of another type than the command needs (6981)."""

    status_words = frozenset({0x6981})


class AccessDenied(CardError):
    """Security status not satisfied: key, PIN or encryption is missing (6982)."""

    status_words = frozenset({0x6982})


class AuthenticationBlocked(CardError):
    """No attempt is left (6983)."""

    status_words = frozenset({0x6983})


class ConditionsNotSatisfied(CardError):
    """Never allowed, or not at this moment (6985)."""

    status_words = frozenset({0x6985})


class NoCurrentFile(CardError):
    """No elementary file is selected (6986)."""

    status_words = frozenset({0x6986})


class WrongCryptogram(CardError):
    """The card refused a MAC, cryptogram or signature (6988)."""

    status_words = frozenset({0x6988})


class WrongData(CardError):
    """The data field is wrong (6A80)."""

    status_words = frozenset({0x6A80})


class FunctionNotSupported(CardError):
    """A key index or variant that this card does not have (6A81)."""

    status_words = frozenset({0x6A81})


class FileNotFound(CardError):
    """No such file or application (6A82)."""

    status_words = frozenset({0x6A82})


class RecordNotFound(CardError):
    """No such record, offset or key (6A83)."""

    status_words = frozenset({0x6A83})


class WrongParameters(CardError):
    """P1 or P2 not supported (6A00, 6A86, 6A87, 6B00)."""

    status_words = frozenset({0x6A00, 0x6A86, 0x6A87, 0x6B00})


class DataNotFound(CardError):
    """No such data object (6A88)."""

    status_words = frozenset({0x6A88})


class InstructionNotSupported(CardError):
    """Unknown instruction (6D00)."""

    status_words = frozenset({0x6D00})


class ClassNotSupported(CardError):
    """Unknown class (6E00)."""

    status_words = frozenset({0x6E00})


_BY_STATUS_WORD: dict[int, type[CardError]] = {
    sw: child for child in CardError.__subclasses__() for sw in child.status_words
}
