"""Certificates in words: every field with its meaning, as rows of a table.

Source: calypso-pki §4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cardbench.protocol.calypso.pki.ca_certificate import Scope, SigningRight
from cardbench.protocol.calypso.pki.card_key import parse_public_key
from cardbench.protocol.calypso.startup import StartupInformation
from cardbench.protocol.errors import MalformedCardData, UsageError
from cardbench.protocol.hexadecimal import to_hex

if TYPE_CHECKING:
    from datetime import date

    from cardbench.protocol.calypso.pki.ca_certificate import CaCertificate
    from cardbench.protocol.calypso.pki.card_certificate import (
        CardCertificate,
        CardCertificateRecoverable,
    )
    from cardbench.protocol.calypso.pki.key_reference import KeyReference

_RIGHTS: Final = {
    SigningRight.NOT_SPECIFIED: "not specified, so allowed",
    SigningRight.FORBIDDEN: "shall not be signed",
    SigningRight.ALLOWED: "may be signed",
    SigningRight.RESERVED: "reserved value, so forbidden",
}
_SCOPES: Final = {
    int(Scope.PRODUCTION): "production, or not specified",
    int(Scope.TEST): "development and test",
    int(Scope.UNRESTRICTED): "unrestricted",
}


class Row(NamedTuple):
    """A field of a certificate.

    Attributes:
        name: what it is called.
        value: its bytes in hexadecimal, or its value.
        meaning: in words; empty where the value says all.
    """

    name: str
    value: str
    meaning: str = ""


def ca_rows(certificate: CaCertificate) -> list[Row]:
    """Put a CA certificate in words."""
    fields = certificate.fields
    return [
        Row("type", to_hex(certificate.raw[:2]), "CA certificate, structure version 1"),
        *_reference_rows("issuer", fields.issuer),
        *_reference_rows("certified key", fields.target),
        Row("valid from", _day(fields.start_date)),
        Row("valid to", _day(fields.end_date)),
        Row("card certificates", *_right(fields.rights.card_certificates)),
        Row("CA certificates", *_right(fields.rights.ca_certificates)),
        *(
            [Row("reserved rights", f"{fields.rights.reserved:X}")]
            if fields.rights.reserved
            else []
        ),
        Row(
            "scope", f"{fields.scope:02X}", _SCOPES.get(fields.scope, "unknown, nobody accepts it")
        ),
        Row(
            "AID restriction",
            "none" if fields.target_aid is None else to_hex(fields.target_aid),
            ""
            if fields.target_aid is None
            else ("and every longer one" if fields.allows_longer_aid else "this one only"),
        ),
        Row("modulus, first 34 bytes", to_hex(certificate.modulus_header)),
    ]


def card_rows(
    certificate: CardCertificate, recovered: CardCertificateRecoverable | None
) -> list[Row]:
    """Put a card certificate in words.

    Args:
        certificate: its clear part.
        recovered: what its signature carries; None where no key opened it.
    """
    fields = certificate.fields
    rows = [
        Row("type", to_hex(certificate.raw[:2]), "card certificate, structure version 1"),
        *_reference_rows("issuer", fields.issuer),
        Row("AID", to_hex(fields.aid)),
        Row("serial number", to_hex(fields.serial)),
        Row("index", str(fields.index)),
    ]
    if recovered is None:
        return rows
    return [
        *rows,
        Row("valid from", _day(recovered.start_date)),
        Row("valid to", _day(recovered.end_date)),
        Row("rights", f"{recovered.rights:02X}"),
        Row("startup information", to_hex(recovered.startup), _product(recovered.startup)),
        Row("public key", to_hex(recovered.public_key), _curve(recovered.public_key)),
    ]


def _reference_rows(name: str, reference: KeyReference) -> list[Row]:
    try:
        aid = reference.aid
    except UsageError as error:
        return [Row(name, str(reference), str(error))]
    of = "no AID" if aid is None else f"AID {to_hex(aid)}"
    meaning = f"{of}, serial {to_hex(reference.serial)}, key {reference.key_id}"
    return [Row(name, str(reference), meaning)]


def _day(day: date | None) -> str:
    return "no limit" if day is None else day.isoformat()


def _right(right: SigningRight) -> tuple[str, str]:
    return f"{right:02b}", _RIGHTS[right]


def _product(startup: bytes) -> str:
    try:
        product = StartupInformation.parse(startup).product_type
    except MalformedCardData as error:
        return str(error)
    return product.name.capitalize().replace("_", " ")


def _curve(public_key: bytes) -> str:
    try:
        parse_public_key(public_key)
    except UsageError as error:
        return str(error)
    return "a point of secp256r1"
