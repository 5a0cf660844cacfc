"""The certificate commands of a SAM, byte for byte; the certificate is the one of the published vector."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cardbench.protocol.errors import CardError, CryptoModuleError, MalformedCardData, UsageError
from cardbench.terminal.legacy_sam import (
    CardCertificateRequest,
    LegacySam,
    LegacySamSelection,
    SamCertification,
    SamFreeTransaction,
)
from cardbench.terminal.selection import BasicCardSelector, CardSelectionManager

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader

OWN: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "calypso-pki.toml").read_text()
)["own"]
SAM_ATR = bytes.fromhex("3B3F9600805A4880C1205017AEC11A36829000")
CARD_CERTIFICATE = OWN["card_certificate"].replace("\n", "")
CA_CERTIFICATE = OWN["ca_certificate"].replace("\n", "")
PUBLIC = OWN["card_public_key"].replace("\n", "")
PAIR = PUBLIC + OWN["card_private_key"]
REQUEST = CardCertificateRequest(
    aid=bytes.fromhex(OWN["card_aid"]),
    serial=bytes.fromhex("1234000011223344"),
    startup=bytes.fromhex(OWN["card_startup"]),
    start_date=date(2024, 1, 1),
    end_date=date(2099, 12, 31),
)
BODY = (
    "08A000000291FF9101" + "00" * 8 + "0000000011223344" + "00000000"
    "20240101" + "20991231" + "00" + "0A3C2005141001" + "00" * 18
)  # fmt: skip
GENERATE = ("804680000A06082A8648CE3D03010763", f"DF3C60{PAIR}9000")
CERTIFY = (f"802AEEAC42DF253F{BODY}FF", f"DF4582013C{CARD_CERTIFICATE}9000")


def certification(reader: ScriptedReader) -> SamCertification:
    return SamCertification(reader, LegacySam(SAM_ATR))


def test_key_pair_and_certificates_come_in_one_exchange(scripted: type[ScriptedReader]) -> None:
    ca = f"DF43820180{CA_CERTIFICATE}"
    reader = scripted(
        GENERATE,
        CERTIFY,
        ("80CADF43FF", f"{ca[:512]}6185"),
        ("00C0000085", f"{ca[512:]}9000"),
        atr=SAM_ATR,
    )
    authority = certification(reader)
    pair = authority.generate_card_key_pair()
    certificate = authority.compute_card_certificate(REQUEST)
    of_ca = authority.get_ca_certificate()
    assert reader.sent == []
    assert pair.result().hex().upper() == PAIR
    assert certificate.result().hex().upper() == CARD_CERTIFICATE
    assert of_ca.result().hex().upper() == CA_CERTIFICATE


def test_the_ca_certificate_is_read_at_selection_too(scripted: type[ScriptedReader]) -> None:
    selection = LegacySamSelection()
    selection.prepare_get_ca_certificate()
    manager = CardSelectionManager()
    manager.prepare_selection(BasicCardSelector(), selection)
    answer = f"DF43820180{CA_CERTIFICATE}9000"
    sam = manager.process(scripted(("80CADF43FF", answer), atr=SAM_ATR)).active_smart_card
    assert isinstance(sam, LegacySam)
    assert sam.ca_certificate == bytes.fromhex(CA_CERTIFICATE)
    with pytest.raises(CardError):
        manager.process(scripted(("80CADF43FF", "6A88"), atr=SAM_ATR))


def test_the_ca_certificate_is_in_the_image(scripted: type[ScriptedReader]) -> None:
    sam = LegacySam(SAM_ATR)
    reader = scripted(("80CADF43FF", f"DF43820180{CA_CERTIFICATE}9000"), atr=SAM_ATR)
    transaction = SamFreeTransaction(reader, sam)
    certificate = transaction.prepare_get_ca_certificate()
    transaction.process_commands()
    assert sam.ca_certificate == certificate.value == bytes.fromhex(CA_CERTIFICATE)


def test_a_private_key_is_in_no_sequence(scripted: type[ScriptedReader]) -> None:
    transaction = SamFreeTransaction(scripted(GENERATE, atr=SAM_ATR), LegacySam(SAM_ATR))
    transaction.prepare_generate_card_asymmetric_key_pair()
    transaction.process_commands()
    told = transaction.sequence(with_bytes=True)
    assert OWN["card_private_key"] not in told
    assert "(99 bytes hidden) 9000" in told


def test_given_key_is_certified(scripted: type[ScriptedReader]) -> None:
    command = f"802AEEAC82DF257F{BODY}{PUBLIC}FF"
    reader = scripted((command, CERTIFY[1]), atr=SAM_ATR)
    request = REQUEST._replace(public_key=bytes.fromhex(PUBLIC))
    certification(reader).compute_card_certificate(request).result()


def test_no_dates_are_zeros() -> None:
    assert REQUEST._replace(start_date=None, end_date=None).encode()[32:40] == bytes(8)


def test_refusal_of_the_sam_is_an_error(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("80CADF43FF", "6A88"), atr=SAM_ATR)
    with pytest.raises(CryptoModuleError, match="6A88"):
        certification(reader).get_ca_certificate().result()


@pytest.mark.parametrize("answer", ["DF3C5F" + "00" * 95, "DF3C60" + "00" * 95, "00" * 99])
def test_answer_that_is_no_key_pair_is_refused(scripted: type[ScriptedReader], answer: str) -> None:
    reader = scripted((GENERATE[0], answer + "9000"), atr=SAM_ATR)
    with pytest.raises(MalformedCardData, match="card key pair"):
        certification(reader).generate_card_key_pair().result()


@pytest.mark.parametrize(
    "changes",
    [
        {"aid": b"1234"},
        {"aid": bytes(8)},
        {"aid": bytes(range(17))},
        {"serial": bytes(7)},
        {"startup": bytes(8)},
        {"public_key": bytes(63)},
        {"public_key": b""},
    ],
)
def test_request_that_cannot_be_is_refused(changes: dict[str, bytes]) -> None:
    with pytest.raises(UsageError):
        REQUEST._replace(**changes).encode()
