"""Card Generate Asymmetric Key Pair and PSO Compute Certificate: the SAM as a certification authority.

The SAM holds the private key of the CA whose certificate Get Data gives. It makes a key pair for a card
and hands it out, and signs the certificate of a card's key: one that it is given, or the one that it
made last. The key pair's public half is remembered until the next reset, the private half is not.

    data of PSO Compute Certificate: DF25 L, then
    0   17  AID size and AID      29  4  start date   38  7  startup information
    17  8   serial number         33  4  end date     45  18 RFU
    25  4   index                 37  1  rights      [63  64 public key]

Whether a public key is there is told by Lc; the inner L is not looked at, because terminals get it wrong.

Source: legacy-sam §5.20; calypso-pki §2.3 (flows), §4.4 (certificate), §5.1 (signature). Our choice: a
SAM without the CA's private key answers 6985, and so does one that made no key pair; 6A80 for values
that no certificate may have.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

from cardbench.emulator.chassis import Answer, Refusal, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.pki import card_key, dates, iso9796, sizes
from cardbench.protocol.errors import UsageError
from cardbench.protocol.status import StatusWord
from cardbench.sam_emulator import layout
from cardbench.sam_emulator.table import TABLE, UNLOCKED

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

    from cardbench.protocol.apdu import CommandApdu
    from cardbench.sam_emulator.card import SamCard

_KEY_PAIR_HEAD: Final = bytes.fromhex("DF3C60")  # tag and length of 96 bytes
_CERTIFICATE_HEAD: Final = bytes.fromhex("DF4582013C")  # tag and length of 316 bytes
_INPUT_TAG: Final = bytes.fromhex("DF25")
_CERTIFICATE_TYPE: Final = bytes.fromhex("9101")

_TARGET_REFERENCE: Final = slice(31, 60)  # of the CA certificate
_BODY: Final = 3  # offset behind DF25 L
_CLEAR: Final = slice(0, 29)
"""AID, serial number and index, which stand in the certificate as they came."""
_AID: Final = slice(1, 17)
_SERIAL_HEAD: Final = slice(17, 19)
_START_DATE: Final = slice(29, 33)
_END_DATE: Final = slice(33, 37)
_RIGHTS: Final = 37
_RFU: Final = slice(45, 63)
_PUBLIC_KEY: Final = 63
_WITHOUT_KEY: Final = _BODY + _PUBLIC_KEY
_WITH_KEY: Final = _WITHOUT_KEY + 64


@TABLE.command(
    name="Card Generate Asymmetric Key Pair",
    ins=SamIns.GENERATE_ASYMMETRIC_KEY_PAIR,
    p1=exactly(0x80),
    p2=exactly(0x00),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((10,)),
    traits={UNLOCKED},
    answers=(
        StatusWord.OK,
        StatusWord.WRONG_LENGTH,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.WRONG_DATA,
    ),
    source="legacy-sam §5.20; our choice: 6985 where there is no CA's private key",
)
def generate_key_pair(card: SamCard, command: CommandApdu) -> Answer:
    """Return a new key pair on secp256r1, public half first, and remember the public half."""
    if layout.CA_KEY not in card.memory:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    if command.data != sizes.CURVE_OID:
        raise Refusal(StatusWord.WRONG_DATA)
    key = card_key.generate_private_key(card.entropy.draw(card_key.KEY_MATERIAL_SIZE_BYTES))
    pair = card_key.encode_key_pair(key)
    card.volatile.public_key = pair[: sizes.PUBLIC_KEY_SIZE_BYTES]
    return _KEY_PAIR_HEAD + pair


@TABLE.command(
    name="PSO Compute Certificate",
    ins=SamIns.PSO,
    p1=exactly(0xEE),
    p2=exactly(0xAC),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((_WITHOUT_KEY, _WITH_KEY)),
    traits={UNLOCKED},
    answers=(
        StatusWord.OK,
        StatusWord.WRONG_LENGTH,
        StatusWord.COUNTER_EXHAUSTED,
        StatusWord.CONDITIONS_NOT_SATISFIED,
        StatusWord.WRONG_DATA,
        StatusWord.DATA_NOT_FOUND,
    ),
    source="legacy-sam §5.20",
)
def pso_compute_certificate(card: SamCard, command: CommandApdu) -> Answer:
    """Return the certificate of a card's key, signed by the CA's."""
    if not command.data.startswith(_INPUT_TAG):
        raise Refusal(StatusWord.DATA_NOT_FOUND)
    body = command.data[_BODY:]
    public_key = body[_PUBLIC_KEY:] or card.volatile.public_key
    ca_certificate = card.memory.get(layout.CA_CERTIFICATE)
    if layout.CA_KEY not in card.memory or ca_certificate is None or not public_key:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    _check_values(body, public_key)
    card.memory.commit(card.counted_by(cast("int", card.memory[layout.CA_COUNTER])))
    ca_key = _private_key(*cast("tuple[bytes, bytes]", card.memory[layout.CA_KEY]))
    issuer = cast("bytes", ca_certificate)[_TARGET_REFERENCE]
    clear = _CERTIFICATE_TYPE + issuer + body[_CLEAR]
    recoverable = (body[_START_DATE.start : _PUBLIC_KEY] + public_key).ljust(
        iso9796.RECOVERABLE_SIZE_BYTES, b"\0"
    )
    return _CERTIFICATE_HEAD + clear + iso9796.sign(ca_key, recoverable, clear)


def _check_values(body: bytes, public_key: bytes) -> None:
    """Refuse with 6A80 what no certificate may state."""
    size, aid = body[0], body[_AID]
    if not 5 <= size <= 16 or not any(aid[:size]) or any(aid[size:]):
        raise Refusal(StatusWord.WRONG_DATA)
    if any(body[_SERIAL_HEAD]) or body[_RIGHTS] or any(body[_RFU]):
        raise Refusal(StatusWord.WRONG_DATA)
    try:
        dates.parse_date(body[_START_DATE])
        dates.parse_date(body[_END_DATE])
        card_key.parse_public_key(public_key)
    except UsageError:
        raise Refusal(StatusWord.WRONG_DATA) from None


@lru_cache(maxsize=8)
def _private_key(p: bytes, q: bytes) -> rsa.RSAPrivateKey:
    """Remember what is slow to check: a key that does not change."""
    return iso9796.private_key_of(p, q)
