"""What a SAM does as a certification authority: its CA certificate, key pairs and certificates for cards.

Each command is queued and gives a `Deferred`: what is asked for together leaves in one exchange. A key
pair that the SAM makes is certified by the next request without a public key.

    certification = SamCertification(reader, sam)
    pair = certification.generate_card_key_pair()
    certificate = certification.compute_card_certificate(CardCertificateRequest(aid, serial, startup))
    ca = certification.get_ca_certificate()
    pair.result()  # one exchange brings all three

Source: legacy-sam §5.20, §9.1; terminal-api §18.3; calypso-pki §2.3, §4.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.pki.sizes import (
    CA_CERTIFICATE_SIZE_BYTES,
    CARD_CERTIFICATE_SIZE_BYTES,
    CURVE_OID,
    KEY_PAIR_SIZE_BYTES,
    PUBLIC_KEY_SIZE_BYTES,
)
from cardbench.protocol.calypso.startup import STARTUP_SIZE_BYTES
from cardbench.protocol.errors import MalformedCardData, UsageError
from cardbench.terminal.legacy_sam.link import SamLink

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from cardbench.terminal.card.channel import CardChannel
    from cardbench.terminal.crypto.symmetric import Deferred
    from cardbench.terminal.legacy_sam.sam import LegacySam
    from cardbench.terminal.readers.reader import Reader

_ALL: Final = 0xFF  # Le; the SAM announces what is left with 61xx
GET_CA_CERTIFICATE: Final = bytes((SamIns.GET_DATA, 0xDF, 0x43, _ALL))
"""Get Data of the CA certificate, without class byte."""
_KEY_PAIR_LE: Final = 0x63
_CA_CERTIFICATE_HEAD: Final = bytes.fromhex("DF43820180")
_KEY_PAIR_HEAD: Final = bytes.fromhex("DF3C60")
_CARD_CERTIFICATE_HEAD: Final = bytes.fromhex("DF4582013C")
_REQUEST_TAG: Final = bytes.fromhex("DF25")
_AID_FIELD: Final = 16
_AID_MIN: Final = 5
_INDEX: Final = bytes(4)
_RIGHTS: Final = bytes(1)
_RFU: Final = bytes(18)


class CardCertificateRequest(NamedTuple):
    """What a card certificate is to state.

    Attributes:
        aid: DF name of the card's application, 5 to 16 bytes, not all zero.
        serial: application serial number, 8 bytes; the first two are written as 00.
        startup: the first seven bytes of startup information.
        public_key: X ‖ Y, 64 bytes; None: of the key pair that the SAM made last.
        start_date, end_date: first and last day of validity; None: no limit.
    """

    aid: bytes
    serial: bytes
    startup: bytes
    public_key: bytes | None = None
    start_date: date | None = None
    end_date: date | None = None

    def encode(self) -> bytes:
        """Write the data field of PSO Compute Certificate.

        Raises:
            UsageError: a field has another size.
        """
        if not _AID_MIN <= len(self.aid) <= _AID_FIELD or not any(self.aid):
            raise UsageError(f"AID {self.aid.hex().upper()}; allowed: 5 to 16 bytes, not all zero")
        if len(self.serial) != 8 or len(self.startup) != STARTUP_SIZE_BYTES:
            raise UsageError(
                f"serial number of {len(self.serial)} and startup information of "
                f"{len(self.startup)} byte(s); they have 8 and 7"
            )
        key = self.public_key or b""
        if self.public_key is not None and len(key) != PUBLIC_KEY_SIZE_BYTES:
            raise UsageError(f"a card's public key of {len(key)} byte(s); it has 64")
        body = b"".join(
            (
                bytes((len(self.aid),)) + self.aid.ljust(_AID_FIELD, b"\0"),
                bytes(2) + self.serial[2:],
                _INDEX,
                _bcd(self.start_date),
                _bcd(self.end_date),
                _RIGHTS,
                self.startup,
                _RFU,
                key,
            )
        )
        return _REQUEST_TAG + bytes((len(body),)) + body


class SamCertification:
    """The certificate commands of one SAM.

    Args:
        reader: where the SAM is.
        sam: its image, from selection.
    """

    def __init__(self, reader: Reader | CardChannel, sam: LegacySam) -> None:
        self._link = SamLink.of(reader, sam)

    def get_ca_certificate(self) -> Deferred[bytes]:
        """Queue Get Data; the result is the CA certificate, 384 bytes, and is in the SAM's image too.

        `result` raises CryptoModuleError where the SAM has none.
        """
        request = bytes((self._link.cla,)) + GET_CA_CERTIFICATE
        sam = self._link.sam
        return self._link.ask(
            request, "Get Data (CA certificate)", lambda answer: take_ca_certificate(sam, answer)
        )

    def generate_card_key_pair(self) -> Deferred[bytes]:
        """Queue Card Generate Asymmetric Key Pair; the result is X ‖ Y ‖ private scalar, 96 bytes.

        The SAM remembers the public half for the next certificate.
        """
        link = self._link
        header = bytes((link.cla, SamIns.GENERATE_ASYMMETRIC_KEY_PAIR, 0x80, 0, len(CURVE_OID)))
        request = header + CURVE_OID + bytes((_KEY_PAIR_LE,))
        decode = _object(_KEY_PAIR_HEAD, KEY_PAIR_SIZE_BYTES, "card key pair")
        return link.ask(request, "Card Generate Asymmetric Key Pair", decode, hides_answer=True)

    def compute_card_certificate(self, request: CardCertificateRequest) -> Deferred[bytes]:
        """Queue PSO Compute Certificate; the result is the card certificate, 316 bytes.

        Raises:
            UsageError: a field of the request has another size.
        """
        data = request.encode()
        header = bytes((self._link.cla, SamIns.PSO, 0xEE, 0xAC, len(data)))
        decode = _object(_CARD_CERTIFICATE_HEAD, CARD_CERTIFICATE_SIZE_BYTES, "card certificate")
        return self._link.ask(header + data + bytes((_ALL,)), "PSO Compute Certificate", decode)


def take_ca_certificate(sam: LegacySam, response: bytes) -> bytes:
    """Take the answer to `GET_CA_CERTIFICATE` into the SAM's image; return the certificate.

    Raises:
        MalformedCardData: it is none.
    """
    sam.ca_certificate = raw = _object(
        _CA_CERTIFICATE_HEAD, CA_CERTIFICATE_SIZE_BYTES, "CA certificate"
    )(response)
    return raw


def _object(head: bytes, size: int, name: str) -> Callable[[bytes], bytes]:
    """Return what takes tag and length off an answer."""

    def decode(response: bytes) -> bytes:
        content = response[len(head) : -2]
        if not response.startswith(head) or len(content) != size:
            raise MalformedCardData(
                f"the SAM answered {len(response) - 2} byte(s) that are no {name}: "
                f"{head.hex().upper()} and {size} bytes"
            )
        return content

    return decode


def _bcd(day: date | None) -> bytes:
    return bytes(4) if day is None else bytes.fromhex(f"{day.year:04}{day.month:02}{day.day:02}")
