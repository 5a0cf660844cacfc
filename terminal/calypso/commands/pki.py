"""Commands of the PKI: certificates and keys (Get Data, Put Data, Generate), and the PKI session.

A certificate does not fit one answer: it comes, and goes, in two parts, the first behind a tag and a
length. Where the cut is, the card chooses for Get Data and the terminal for Put Data.

Source: calypso-pki §2.2 (objects), §3.1, §3.2 (session); calypso-card §2.4, §2.5, §4.17, §4.18, §4.21.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from cardbench.protocol.calypso.ins import CalypsoIns, DataObject
from cardbench.protocol.calypso.pki.sizes import (
    CA_CERTIFICATE_SIZE_BYTES,
    CARD_CERTIFICATE_SIZE_BYTES,
    CARD_SIGNATURE_SIZE_BYTES,
    CURVE_OID,
    KEY_PAIR_SIZE_BYTES,
    PUBLIC_KEY_SIZE_BYTES,
)
from cardbench.protocol.errors import MalformedCardData, UsageError
from cardbench.terminal.calypso.commands.base import Command
from cardbench.terminal.calypso.commands.session import SessionMode, SessionOpening

if TYPE_CHECKING:
    from cardbench.terminal.calypso.card import CalypsoCard
    from cardbench.terminal.calypso.commands.records import ReadCounter, ReadRecord

CHALLENGE_SIZE_BYTES: Final = 8

_PUBLIC_KEY_HEAD: Final = bytes.fromhex("DF2C40")
_SERIAL_BYTES: Final = 8
_CARD_CHALLENGE_BYTES: Final = 8
_COUNTER_BYTES: Final = 3
_FLAG_NOT_RATIFIED: Final = 0x01


class Certificate(NamedTuple):
    """A certificate as a data object of the card.

    Attributes:
        first, last: tags of its two parts.
        size_bytes: of the certificate.
        attribute: where the card's image keeps it.
        name: what it is called.
    """

    first: DataObject
    last: DataObject
    size_bytes: int
    attribute: str
    name: str

    @property
    def head(self) -> bytes:
        """Tag and length before the first part, 5 bytes."""
        return self.first.to_bytes(2) + b"\x82" + self.size_bytes.to_bytes(2)


CARD_CERTIFICATE: Final = Certificate(
    DataObject.CARD_CERTIFICATE,
    DataObject.CARD_CERTIFICATE_END,
    CARD_CERTIFICATE_SIZE_BYTES,
    "card_certificate",
    "card certificate",
)
CA_CERTIFICATE: Final = Certificate(
    DataObject.CA_CERTIFICATE,
    DataObject.CA_CERTIFICATE_END,
    CA_CERTIFICATE_SIZE_BYTES,
    "ca_certificate",
    "CA certificate",
)


# Get Data


class _GetData(Command[bytes]):
    """Get Data: not digested, and never signed by a card."""

    is_digested: ClassVar[bool] = False
    __slots__ = ()

    def __init__(self, cla: int, tag: DataObject) -> None:
        super().__init__(bytes((cla, CalypsoIns.GET_DATA, tag >> 8, tag & 0xFF, 0)))


class GetCertificateHead(_GetData):
    """Get Data of the first part of a certificate. The result is the part without tag and length."""

    name: ClassVar[str] = "Get Data (certificate, first part)"
    __slots__ = ("certificate",)

    def __init__(self, cla: int, certificate: Certificate) -> None:
        super().__init__(cla, certificate.first)
        self.certificate = certificate

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Check tag and length, keep what follows them."""
        del card
        head = self.certificate.head
        if not response.startswith(head):
            raise MalformedCardData(
                f"{self.describe()}: the answer begins with {response[: len(head)].hex().upper()}, "
                f"a {self.certificate.name} with {head.hex().upper()}"
            )
        self._value = response[len(head) : -2]


class GetCertificate(_GetData):
    """Get Data of the last part of a certificate. The result is the whole certificate.

    Args:
        cla: class byte.
        head: the command for the first part, sent before this one.
    """

    name: ClassVar[str] = "Get Data (certificate, last part)"
    __slots__ = ("head",)

    def __init__(self, cla: int, head: GetCertificateHead) -> None:
        super().__init__(cla, head.certificate.last)
        self.head = head

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Join both parts and take the certificate into the image."""
        certificate = self.head.certificate
        raw = self.head.value + response[:-2]
        if len(raw) != certificate.size_bytes:
            raise MalformedCardData(
                f"{self.describe()}: both parts have {len(raw)} bytes, "
                f"a {certificate.name} has {certificate.size_bytes}"
            )
        setattr(card, certificate.attribute, raw)
        self._value = raw


class GetCardPublicKey(_GetData):
    """Get Data of the card's public key. The result is X ‖ Y, 64 bytes."""

    name: ClassVar[str] = "Get Data (card public key)"
    __slots__ = ()

    def __init__(self, cla: int) -> None:
        super().__init__(cla, DataObject.CARD_PUBLIC_KEY)

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take the key into the image."""
        raw = response[len(_PUBLIC_KEY_HEAD) : -2]
        if not response.startswith(_PUBLIC_KEY_HEAD) or len(raw) != PUBLIC_KEY_SIZE_BYTES:
            raise MalformedCardData(f"{self.describe()}: the answer is no DF2C with 64 bytes")
        card.card_public_key = self._value = raw


def get_certificate(
    cla: int, certificate: Certificate
) -> tuple[GetCertificateHead, GetCertificate]:
    """Return the two commands that read a certificate."""
    head = GetCertificateHead(cla, certificate)
    return head, GetCertificate(cla, head)


# Put Data and key pairs


class PutData(Command[None]):
    """Put Data of one part of an object.

    Args:
        cla: class byte.
        tag: the part.
        data: its bytes.
        attribute: where the image keeps the object once this part is taken; empty: it is not the last.
        content: what the image keeps.
    """

    name: ClassVar[str] = "Put Data"
    is_digested: ClassVar[bool] = False
    __slots__ = ("attribute", "content", "is_secret")

    def __init__(
        self, cla: int, tag: DataObject, data: bytes, *, attribute: str = "", content: bytes = b""
    ) -> None:
        header = bytes((cla, CalypsoIns.PUT_DATA, tag >> 8, tag & 0xFF, len(data)))
        super().__init__(header + data)
        self.attribute = attribute
        self.content = content
        self.is_secret = tag is DataObject.CARD_KEY_PAIR

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Note in the image what the card has now."""
        del response
        if self.attribute:
            setattr(card, self.attribute, self.content)
        self._value = None

    def describe(self) -> str:
        """Name the command and show its bytes; of a key pair the header only."""
        if not self.is_secret:
            return super().describe()
        return f"{self.name} {self.apdu[:5].hex().upper()}{'*' * (len(self.apdu) - 5)}"


def put_certificate(
    cla: int, certificate: Certificate, raw: bytes, payload_max_bytes: int
) -> tuple[PutData, PutData]:
    """Return the two commands that write a certificate.

    Raises:
        UsageError: it has another size.
    """
    if len(raw) != certificate.size_bytes:
        raise UsageError(
            f"a {certificate.name} of {len(raw)} byte(s); it has {certificate.size_bytes}"
        )
    whole = certificate.head + raw
    return (
        PutData(cla, certificate.first, whole[:payload_max_bytes]),
        PutData(
            cla,
            certificate.last,
            whole[payload_max_bytes:],
            attribute=certificate.attribute,
            content=raw,
        ),
    )


def put_key_pair(cla: int, raw: bytes) -> PutData:
    """Return the command that writes a key pair, X ‖ Y ‖ private scalar.

    Raises:
        UsageError: not 96 bytes.
    """
    if len(raw) != KEY_PAIR_SIZE_BYTES:
        raise UsageError(f"a card key pair of {len(raw)} byte(s); it has {KEY_PAIR_SIZE_BYTES}")
    public_key = raw[:PUBLIC_KEY_SIZE_BYTES]
    return PutData(
        cla, DataObject.CARD_KEY_PAIR, raw, attribute="card_public_key", content=public_key
    )


class GenerateAsymmetricKeyPair(Command[None]):
    """Generate Asymmetric Key Pair: the card makes a key pair on secp256r1."""

    name: ClassVar[str] = "Generate Asymmetric Key Pair"
    is_digested: ClassVar[bool] = False
    __slots__ = ()

    def __init__(self, cla: int) -> None:
        header = bytes((cla, CalypsoIns.GENERATE_ASYMMETRIC_KEY_PAIR, 0, 0, len(CURVE_OID)))
        super().__init__(header + CURVE_OID)

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Forget the public key that the image may hold: Get Data gives the new one."""
        del response
        card.card_public_key = None
        self._value = None


# Session


class OpenPkiSession(Command[SessionOpening]):
    """Open Secure Session in PKI mode. The result is what the card says of the session.

    Args:
        cla: class byte.
        challenge: of the terminal, 8 bytes.
    """

    name: ClassVar[str] = "Open Secure Session (PKI)"
    is_case_4 = True
    is_digested: ClassVar[bool] = False
    __slots__ = ("merged",)

    def __init__(self, cla: int, challenge: bytes) -> None:
        if len(challenge) != CHALLENGE_SIZE_BYTES:
            raise UsageError(f"a terminal challenge of {len(challenge)} byte(s); it has 8")
        header = (cla, CalypsoIns.OPEN_SECURE_SESSION, 0, SessionMode.PKI, 1 + len(challenge), 0)
        super().__init__(bytes(header) + challenge + b"\0")
        self.merged: ReadRecord | ReadCounter | None = None

    def merge(self, read: ReadRecord | ReadCounter) -> None:
        """Read a record along with the opening."""
        self.merged = read
        p1, p2 = read.record << 3, SessionMode.PKI | read.sfi << 3
        self.apdu = self.apdu[:2] + bytes((p1, p2)) + self.apdu[4:]

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take transaction counter, ratification and the record read along into the image."""
        self._value = opening = self._parse(response[:-2])
        card.transaction_counter = opening.transaction_counter
        card.is_df_ratified = opening.is_ratified
        merged = self.merged
        if merged is not None:
            merged.take(card, opening.record)
            merged.is_done = True

    def _parse(self, data: bytes) -> SessionOpening:
        """Read length ‖ identifier ‖ serial ‖ 1 ‖ challenge ‖ flags ‖ 2 ‖ length ‖ record."""
        challenge = 1 + (data[0] if data else 0) + _SERIAL_BYTES + 1
        flags = challenge + _CARD_CHALLENGE_BYTES
        length = flags + 3
        if len(data) <= length or len(data) != length + 1 + data[length]:
            raise MalformedCardData(
                f"{self.name}: an answer of {len(data)} byte(s) whose length bytes do not fit"
            )
        return SessionOpening(
            transaction_counter=int.from_bytes(data[challenge : challenge + _COUNTER_BYTES]),
            is_ratified=not data[flags] & _FLAG_NOT_RATIFIED,
            can_manage_session=False,
            kif=None,
            kvc=None,
            record=data[length + 1 :],
        )


class ClosePkiSession(Command[bytes]):
    """Close Secure Session in PKI mode. The result is the card's signature, 64 bytes."""

    name: ClassVar[str] = "Close Secure Session (PKI)"
    is_digested: ClassVar[bool] = False
    __slots__ = ()

    def __init__(self, cla: int) -> None:
        super().__init__(bytes((cla, CalypsoIns.CLOSE_SECURE_SESSION, 0, 0, 0)))

    @property
    def signature(self) -> bytes:
        """What the card answered; there before it is verified."""
        return self._value

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Keep the signature."""
        del card
        if len(response) != CARD_SIGNATURE_SIZE_BYTES + 2:
            raise MalformedCardData(
                f"{self.name}: a signature of {len(response) - 2} byte(s); it has 64"
            )
        self._value = response[:-2]
