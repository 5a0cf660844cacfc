"""The PKI: the card's key and certificates, and the session that the card signs.

Theory of operation
-------------------
A DF with PKI mode has a key pair (made by the card, or brought by Put Data), the certificate of that key,
and the certificate of the CA that signed it. Certificates come and go in two parts; the first part of a
certificate waits in the volatile record, and the object is written when the last part has come.

    no key pair --Generate, or Put Data DF3C--> key pair
    key pair --Generate, or Put Data DF3C--> key pair (6985)
    key pair --Put Data DF4C, DF4D--> key pair and certificate
    anything --Change Key of slot 1--> nothing: key pair and certificates are erased
    key pair and certificate --Open--> session

In a PKI session nobody has proved to be a terminal: only what is always allowed may be written. From
Open on the card writes down what is exchanged; Close answers its signature over it, commits and leaves
the DF ratified. An abort has the same bytes, so it does the same.

What is signed: 10, then for each APDU its length modulo 256 and the APDU; the request without the Le of
case 4, the answer with its status word. Left out: Get Data, Put Data, key commands, Search and Read
Record Multiple, and Close itself.

Key pairs come out of the card's random generator, signatures have the nonce of RFC 6979: a seeded card
repeats itself.

Source: calypso-pki §2, §3, §9; calypso-card §2.4, §2.5, §4.17, §4.21, §4.23, §5.10. Our choice: every DF
with the option is an autonomous PKI application, so Generate never answers 6986; a certificate may be
replaced; the first part of one is forgotten with the selection.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from cardbench.emulator.calypso.commands.records import addressed_file, read_record
from cardbench.emulator.calypso.state import PkiTranscript, Session, SessionMode
from cardbench.emulator.calypso.structure import (
    ca_certificate_key,
    card_certificate_key,
    pki_key_pair_key,
)
from cardbench.emulator.calypso.table import COMMANDS, NEEDS_PKI_MODE, OUTSIDE, UNDIGESTED, ZERO
from cardbench.emulator.chassis import Refusal, bits, exactly
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import CalypsoIns, DataObject
from cardbench.protocol.calypso.pki import card_key, sizes
from cardbench.protocol.errors import UsageError
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric import ec

    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.calypso.table import Declaration
    from cardbench.emulator.chassis import Key, Value
    from cardbench.protocol.apdu import CommandApdu

OPEN_DATA_SIZE: Final = 9
"""A zero byte, then the 8-byte terminal challenge."""
RANDOM_SIZE: Final = 5
NO_KEY_INDEX: Final = 4
"""Stands for the key of a session without key: it satisfies no access condition."""

_PUBLIC_KEY_HEAD: Final = bytes.fromhex("DF2C40")
_SPLIT: Final = 245
"""Certificate bytes in the first part that Get Data gives (calypso-card §2.4)."""
_TRANSCRIPT_HEAD: Final = b"\x10"
_NOT_RATIFIED: Final = 0x01
_AID_FIELD: Final = slice(31, 48)  # of a card certificate: size, then 16 bytes
_AID_END: Final = 48

_UNSIGNED: Final = frozenset(
    (
        CalypsoIns.CLOSE_SECURE_SESSION,
        CalypsoIns.MANAGE_SECURE_SESSION,
        CalypsoIns.GET_RESPONSE,
        CalypsoIns.GET_DATA,
        CalypsoIns.PUT_DATA,
        CalypsoIns.GENERATE_ASYMMETRIC_KEY_PAIR,
        CalypsoIns.CHANGE_KEY,
        CalypsoIns.SEARCH_RECORD_MULTIPLE,
        CalypsoIns.READ_RECORD_MULTIPLE,
    )
)


class _Certificate(NamedTuple):
    """A certificate as the card keeps it: tag and length of its first part, size, type, where it is."""

    head: bytes
    size: int
    kind: bytes
    key_of: Callable[[int], Key]


_CARD_CERTIFICATE: Final = _Certificate(
    bytes.fromhex("DF4C82013C"),
    sizes.CARD_CERTIFICATE_SIZE_BYTES,
    bytes.fromhex("9101"),
    card_certificate_key,
)
_CA_CERTIFICATE: Final = _Certificate(
    bytes.fromhex("DF4A820180"),
    sizes.CA_CERTIFICATE_SIZE_BYTES,
    bytes.fromhex("9001"),
    ca_certificate_key,
)


def _object(card: CalypsoCard, key_of: Callable[[int], Key]) -> bytes:
    """Return an object of the current DF, empty where it is not there."""
    return cast("bytes", card.memory.get(key_of(card.volatile.application.lid), b""))


def erasure(lid: int) -> dict[Key, Value]:
    """Return the changes that erase the PKI objects of a DF (calypso-pki §2.2)."""
    return {
        pki_key_pair_key(lid): None,
        card_certificate_key(lid): None,
        ca_certificate_key(lid): None,
    }


# Get Data


def public_key(card: CalypsoCard) -> bytes:
    """Return the object of the card's public key; empty where there is none."""
    pair = _object(card, pki_key_pair_key)
    return pair and _PUBLIC_KEY_HEAD + pair[: sizes.PUBLIC_KEY_SIZE_BYTES]


def card_certificate_head(card: CalypsoCard) -> bytes:
    """Return tag, length and first part of the card certificate; empty where there is none."""
    return _first_part(card, _CARD_CERTIFICATE)


def card_certificate_tail(card: CalypsoCard) -> bytes:
    """Return the last part of the card certificate; empty where there is none."""
    return _object(card, card_certificate_key)[_SPLIT:]


def ca_certificate_head(card: CalypsoCard) -> bytes:
    """Return tag, length and first part of the CA certificate; empty where there is none."""
    return _first_part(card, _CA_CERTIFICATE)


def ca_certificate_tail(card: CalypsoCard) -> bytes:
    """Return the last part of the CA certificate; empty where there is none."""
    return _object(card, ca_certificate_key)[_SPLIT:]


def _first_part(card: CalypsoCard, certificate: _Certificate) -> bytes:
    raw = _object(card, certificate.key_of)
    return raw and certificate.head + raw[:_SPLIT]


# Key pair


@COMMANDS.command(
    name="Generate Asymmetric Key Pair",
    ins=CalypsoIns.GENERATE_ASYMMETRIC_KEY_PAIR,
    p1=ZERO,
    p2=ZERO,
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((len(sizes.CURVE_OID),)),
    answers=(0x9000, 0x6700, 0x6985, 0x6A80),
    source="calypso-card §4.21",
    where=OUTSIDE,
    traits={NEEDS_PKI_MODE},
)
def generate_key_pair(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Make a key pair on secp256r1, where there is none."""
    _check_no_key_pair(card)
    if command.data != sizes.CURVE_OID:
        raise Refusal(StatusWord.WRONG_DATA)
    key = card_key.generate_private_key(card.entropy.draw(card_key.KEY_MATERIAL_SIZE_BYTES))
    _write(card, pki_key_pair_key, card_key.encode_key_pair(key))
    return b""


def _check_no_key_pair(card: CalypsoCard) -> None:
    card.check_valid()
    if _object(card, pki_key_pair_key):
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)


def _write(card: CalypsoCard, key_of: Callable[[int], Key], content: bytes) -> None:
    card.memory.commit({key_of(card.volatile.application.lid): content})


# Put Data


def _put_data(what: str, tag: DataObject, *answers: int) -> Declaration:
    """Declare a form of Put Data, with the status words that it alone has."""
    return COMMANDS.command(
        name=f"Put Data ({what})",
        ins=CalypsoIns.PUT_DATA,
        p1=exactly(tag >> 8),
        p2=exactly(tag & 0xFF),
        cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
        answers=(0x9000, 0x6700, 0x6985, 0x6A80, *answers),
        source="calypso-card §2.5, §4.23",
        where=OUTSIDE,
        traits={NEEDS_PKI_MODE},
    )


@_put_data("card key pair", DataObject.CARD_KEY_PAIR, 0x6A87)
def put_key_pair(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Take a key pair, X ‖ Y ‖ private scalar, where there is none."""
    _check_no_key_pair(card)
    if len(command.data) != sizes.KEY_PAIR_SIZE_BYTES:
        raise Refusal(StatusWord.WRONG_DATA)
    try:
        card_key.parse_key_pair(command.data)
    except UsageError:
        raise Refusal(StatusWord.LC_INCONSISTENT) from None
    _write(card, pki_key_pair_key, command.data)
    return b""


@_put_data("CA certificate, first part", DataObject.CA_CERTIFICATE, 0x6A87)
def put_ca_certificate_head(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Take tag, length and first part of the CA certificate, wherever it is cut."""
    _take_head(card, _CA_CERTIFICATE, command.data)
    return b""


@_put_data("CA certificate, last part", DataObject.CA_CERTIFICATE_END)
def put_ca_certificate_tail(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Take the rest of the CA certificate, and write it."""
    _take_tail(card, _CA_CERTIFICATE, command.data)
    return b""


@_put_data("card certificate, first part", DataObject.CARD_CERTIFICATE, 0x6A87, 0x6A8A)
def put_card_certificate_head(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Take tag, length and first part of the card certificate, behind the key pair."""
    if not _object(card, pki_key_pair_key):
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    _take_head(card, _CARD_CERTIFICATE, command.data)
    return b""


@_put_data("card certificate, last part", DataObject.CARD_CERTIFICATE_END)
def put_card_certificate_tail(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Take the rest of the card certificate, and write it."""
    _take_tail(card, _CARD_CERTIFICATE, command.data)
    return b""


def _take_head(card: CalypsoCard, certificate: _Certificate, data: bytes) -> None:
    """Check the first part of a certificate and let it wait for the last.

    Raises:
        Refusal: 6985 invalidated DF; 6A80 too short to tell whose it is, or nothing left for the last
            part; 6A87 wrong tag, length, type or version; 6A8A the AID is not the DF name.
    """
    card.check_valid()
    head, raw = data[: len(certificate.head)], data[len(certificate.head) :]
    if not _AID_END <= len(raw) < certificate.size:
        raise Refusal(StatusWord.WRONG_DATA)
    if head != certificate.head or not raw.startswith(certificate.kind):
        raise Refusal(StatusWord.LC_INCONSISTENT)
    if certificate is _CARD_CERTIFICATE:
        aid = card.volatile.application.aid
        if raw[_AID_FIELD] != bytes((len(aid),)) + aid.ljust(16, b"\0"):
            raise Refusal(StatusWord.WRONG_AID)
    card.volatile.put_data = (certificate.head, raw)


def _take_tail(card: CalypsoCard, certificate: _Certificate, data: bytes) -> None:
    """Join the last part of a certificate to the first and write the whole.

    Raises:
        Refusal: 6985 no first part, or an invalidated DF; 6A80 another number of bytes than is missing.
    """
    card.check_valid()
    volatile = card.volatile
    if volatile.put_data is None or volatile.put_data[0] != certificate.head:
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    raw = volatile.put_data[1] + data
    if len(raw) != certificate.size:
        raise Refusal(StatusWord.WRONG_DATA)
    volatile.put_data = None
    _write(card, certificate.key_of, raw)


# Session


@COMMANDS.command(
    name="Open Secure Session (PKI)",
    ins=CalypsoIns.OPEN_SECURE_SESSION,
    p2=bits("SFI×8 + 3", 0x07, 0x03),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((OPEN_DATA_SIZE,)),
    answers=(
        0x9000,
        0x6700,
        0x6900,
        0x6981,
        0x6982,
        0x6985,
        0x6986,
        0x6A80,
        0x6A82,
        0x6A83,
        0x6B00,
    ),
    source="calypso-card §4.17, §4.23; calypso-pki §3.2, §9",
    where=OUTSIDE,
    traits={UNDIGESTED, NEEDS_PKI_MODE},
)
def open_pki(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Open a session that the card signs; P1 is record×8.

    Answer: length of the DF name, DF name, serial number, 00, challenge 8, flags, 0000, length, record.
    """
    if command.p1 & 0x07:
        raise Refusal(StatusWord.P1P2_NOT_SUPPORTED)
    if command.data[0] != 0:
        raise Refusal(StatusWord.WRONG_DATA)
    if not _object(card, pki_key_pair_key) or not _object(card, card_certificate_key):
        raise Refusal(StatusWord.CONDITIONS_NOT_SATISFIED)
    card.check_transaction_counter()
    volatile = card.volatile
    application = volatile.application
    record = b""
    if command.p1 >> 3:
        record = read_record(card, addressed_file(card, command.p2 >> 3), command.p1 >> 3)
    is_ratified = card.memory[application.ratified_key]
    answer = b"".join(
        (
            bytes((len(application.aid),)) + application.aid,
            bytes(2) + card.structure.serial[2:],
            bytes(1),
            card.count_transaction().to_bytes(3) + card.entropy.draw(RANDOM_SIZE),
            bytes((0 if is_ratified else _NOT_RATIFIED, 0, 0, len(record))),
            record,
        )
    )
    transcript = PkiTranscript(_TRANSCRIPT_HEAD)
    transcript.absorb(command._replace(ne=None).encode())
    transcript.absorb(answer + StatusWord.OK.to_bytes(2))
    volatile.pre_open = None
    volatile.session = Session(
        mode=SessionMode.PKI,
        key_index=NO_KEY_INDEX,
        key=b"",
        digest=transcript,
        buffer_left=application.buffer_size,
        is_manageable=False,
        undigested=_UNSIGNED,
    )
    return answer


def close_pki(card: CalypsoCard, session: Session) -> bytes:
    """Sign what was exchanged, commit, leave the DF ratified; answer r ‖ s.

    The signature is made before anything is written: a card that cannot sign changes nothing.
    """
    volatile = card.volatile
    transcript = cast("PkiTranscript", session.digest)
    pair = _object(card, pki_key_pair_key)
    signature = card_key.sign(_private_key(pair), bytes(transcript.message))
    volatile.session = None
    changes = session.changes
    ratified_key = volatile.application.ratified_key
    if not card.memory[ratified_key]:
        changes[ratified_key] = 1
    card.memory.commit(changes)
    return signature


@lru_cache(maxsize=64)
def _private_key(pair: bytes) -> ec.EllipticCurvePrivateKey:
    """Remember what is slow to make: a key that does not change."""
    return card_key.parse_key_pair(pair)
