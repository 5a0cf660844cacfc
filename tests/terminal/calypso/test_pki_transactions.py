"""PKI sessions of the terminal, byte for byte against recordings; the signed one is a published vector."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cardbench.protocol.calypso.fci import Fci
from cardbench.protocol.calypso.ins import DataObject
from cardbench.protocol.calypso.startup import StartupInformation
from cardbench.protocol.errors import (
    CardbenchError,
    CardRemoved,
    CertificateExpired,
    DataNotFound,
    InvalidCardSignature,
    MalformedCardData,
    NotSupported,
    RecordNotFound,
    SessionBufferOverflow,
    SessionState,
    UnknownIssuer,
    UsageError,
)
from cardbench.terminal.calypso import (
    AsymmetricSecuritySetting,
    CalypsoCard,
    FreeTransactionManager,
    SecurePkiModeTransactionManager,
)
from cardbench.terminal.card import CardChannel, ChannelControl
from cardbench.terminal.crypto.pki import CalypsoPki, PkiSession

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader

OWN: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "calypso-pki.toml").read_text()
)["own"]
CARD_CERTIFICATE = bytes.fromhex(OWN["card_certificate"])
CA_CERTIFICATE = bytes.fromhex(OWN["ca_certificate"])
SIGNATURE = OWN["session"]["signature"].replace("\n", "")
OPEN, OPEN_ANSWER, READ, READ_ANSWER = OWN["session"]["apdus"]
CONTRACT_LIST, CONTRACTS = 0x1E, 0x09
CLOSE = "008E000000"

GET_CARD_CERTIFICATE = (
    ("00CADF4C00", f"DF4C82013C{CARD_CERTIFICATE[:245].hex()}9000"),
    ("00CADF4D00", f"{CARD_CERTIFICATE[245:].hex()}9000"),
)
GET_CA_CERTIFICATE = (
    ("00CADF4A00", f"DF4A820180{CA_CERTIFICATE[:245].hex()}9000"),
    ("00CADF4B00", f"{CA_CERTIFICATE[245:].hex()}9000"),
)
SESSION = ((OPEN, OPEN_ANSWER), (READ, READ_ANSWER), (CLOSE, SIGNATURE + "9000"))


def image(application_type: int = 0x30) -> CalypsoCard:
    startup = StartupInformation(0x0A, 0x01, application_type, 0x05, 0x14, 0x10, 0x01)
    fci = Fci(bytes.fromhex(OWN["card_aid"]), bytes.fromhex(OWN["card_serial"]), startup).encode()
    return CalypsoCard.from_selection(None, fci + b"\x90\0", is_df_invalidated=False)


def setting(*, today: date = date(2026, 6, 1), with_root: bool = True) -> AsymmetricSecuritySetting:
    pki = CalypsoPki(today=lambda: today, is_test=True)
    trust = (
        AsymmetricSecuritySetting(pki, random_bytes=lambda n: bytes(range(0xC1, 0xC1 + n)))
        .add_ca_certificate_parser(pki.ca_certificate_parser())
        .add_card_certificate_parser(pki.card_certificate_parser())
    )
    if with_root:
        trust.add_pca_certificate(
            pki.pca_certificate(
                bytes.fromhex(OWN["pca_reference"]), bytes.fromhex(OWN["pca_modulus"])
            )
        )
    return trust


def read(transaction: SecurePkiModeTransactionManager) -> tuple[bytes, bytes]:
    with transaction.secure_session() as session:
        priorities = session.prepare_read_record(CONTRACT_LIST, 1, size_bytes=29)
        contract = session.prepare_read_record(CONTRACTS, 1, size_bytes=29)
    return priorities.value, contract.value


def test_session_of_an_unknown_card_takes_three_exchanges(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(*GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, *SESSION)
    card = image()
    transaction = SecurePkiModeTransactionManager(reader, card, setting())
    priorities, contract = read(transaction)
    assert priorities == bytes(range(0x1D))
    assert contract == bytes(range(0x1D, 0x3A))
    assert transaction.traffic == (3, 7)
    assert card.card_certificate == CARD_CERTIFICATE
    assert card.ca_certificate == CA_CERTIFICATE
    assert (card.transaction_counter, card.is_df_ratified) == (0x123, True)
    assert card.record(CONTRACTS, 1) == contract
    assert transaction.card_public_key is not None
    assert transaction.card_public_key.raw_value == bytes.fromhex(OWN["card_public_key"])


def test_ca_that_is_known_is_not_read_again(scripted: type[ScriptedReader]) -> None:
    trust = setting()
    first = scripted(*GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, *SESSION)
    read(SecurePkiModeTransactionManager(first, image(), trust))
    second = scripted(*GET_CARD_CERTIFICATE, *SESSION)
    transaction = SecurePkiModeTransactionManager(second, image(), trust)
    read(transaction)
    assert transaction.traffic == (2, 5)


def test_session_of_a_known_card_is_one_exchange(scripted: type[ScriptedReader]) -> None:
    reader = scripted(*GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, *SESSION, *SESSION)
    transaction = SecurePkiModeTransactionManager(reader, image(), setting())
    read(transaction)
    before = transaction.traffic
    read(transaction)
    assert transaction.traffic.exchanges == before.exchanges + 1


def test_session_may_be_processed_in_steps(scripted: type[ScriptedReader]) -> None:
    reader = scripted(*GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, *SESSION)
    transaction = SecurePkiModeTransactionManager(reader, image(), setting())
    opening = transaction.prepare_open_secure_session()
    transaction.prepare_read_record(CONTRACT_LIST, 1, size_bytes=29)
    transaction.process_commands()
    assert opening.value.is_ratified
    assert opening.value.record == bytes(range(0x1D))
    transaction.prepare_read_record(CONTRACTS, 1, size_bytes=29)
    transaction.process_commands()
    close = transaction.prepare_close_secure_session()
    transaction.process_commands(ChannelControl.CLOSE_AFTER)
    assert close.value.hex().upper() == SIGNATURE
    assert not reader.is_connected


def test_what_was_prepared_before_travels_with_the_certificates(
    scripted: type[ScriptedReader],
) -> None:
    read_before = ("00B2014400", "11" * 29 + "9000")
    reader = scripted(read_before, *GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, *SESSION)
    transaction = SecurePkiModeTransactionManager(reader, image(), setting())
    before = transaction.prepare_read_record(0x08, 1)
    read(transaction)
    assert before.value == b"\x11" * 29
    assert transaction.traffic.exchanges == 3


# Refusals


def test_wrong_signature_is_an_error_and_the_image_goes_back(
    scripted: type[ScriptedReader],
) -> None:
    forged = SIGNATURE[:-1] + ("0" if SIGNATURE[-1] != "0" else "1")
    session = (*SESSION[:2], (CLOSE, forged + "9000"))
    reader = scripted(*GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, *session)
    card = image()
    transaction = SecurePkiModeTransactionManager(reader, card, setting())
    with pytest.raises(InvalidCardSignature):
        read(transaction)
    assert card.record(CONTRACTS, 1) is None
    assert reader.sent[-1] == CLOSE
    assert not transaction.is_session_prepared


def test_altered_answer_is_seen_at_close(scripted: type[ScriptedReader]) -> None:
    altered = (READ, "1E" + READ_ANSWER[2:])
    reader = scripted(*GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, SESSION[0], altered, SESSION[2])
    with pytest.raises(InvalidCardSignature):
        read(SecurePkiModeTransactionManager(reader, image(), setting()))


def test_card_of_an_unknown_root_is_told_nothing(scripted: type[ScriptedReader]) -> None:
    reader = scripted(*GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE)
    transaction = SecurePkiModeTransactionManager(reader, image(), setting(with_root=False))
    with pytest.raises(UnknownIssuer):
        read(transaction)
    assert transaction.card_public_key is None


def test_card_with_an_expired_chain_is_told_nothing(scripted: type[ScriptedReader]) -> None:
    reader = scripted(*GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE)
    trust = setting(today=date(2100, 1, 1))
    with pytest.raises(CertificateExpired):
        read(SecurePkiModeTransactionManager(reader, image(), trust))


def test_card_without_certificate_is_refused(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00CADF4C00", "6A88"))
    with pytest.raises(DataNotFound):
        read(SecurePkiModeTransactionManager(reader, image(), setting()))


@pytest.mark.parametrize(
    "answers",
    [
        [("00CADF4C00", "DF4A82013C9000"), ("00CADF4D00", "9000")],
        [("00CADF4C00", "DF4C82013C009000"), ("00CADF4D00", "009000")],
    ],
)
def test_object_that_is_no_certificate_is_refused(
    scripted: type[ScriptedReader], answers: list[tuple[str, str]]
) -> None:
    with pytest.raises(MalformedCardData):
        read(SecurePkiModeTransactionManager(scripted(*answers), image(), setting()))


def test_refused_command_ends_the_session_and_what_the_card_accepted_stays(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(
        *GET_CARD_CERTIFICATE,
        *GET_CA_CERTIFICATE,
        (OPEN, OPEN_ANSWER),
        ("00DC01440101", "9000"),
        (READ, "6A83"),
        (CLOSE, "00" * 64 + "9000"),
    )
    card = image()
    transaction = SecurePkiModeTransactionManager(reader, card, setting())
    transaction.prepare_open_secure_session()
    transaction.prepare_read_record(CONTRACT_LIST, 1, size_bytes=29)
    transaction.prepare_update_record(0x08, 1, b"\x01")
    refused = transaction.prepare_read_record(CONTRACTS, 1, size_bytes=29)
    close = transaction.prepare_close_secure_session()
    with pytest.raises(RecordNotFound):
        transaction.process_commands()
    assert isinstance(refused.error, RecordNotFound)
    assert close.error is not None
    assert card.record(0x08, 1) == b"\x01"


def test_card_that_leaves_takes_the_image_back(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        *GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, *SESSION[:2], (CLOSE, CardRemoved("gone"))
    )
    card = image()
    with pytest.raises(CardRemoved):
        read(SecurePkiModeTransactionManager(reader, card, setting()))
    assert card.record(CONTRACTS, 1) is None


def test_refused_open_leaves_no_session(scripted: type[ScriptedReader]) -> None:
    reader = scripted(*GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, (OPEN, "6A83"), SESSION[0])
    transaction = SecurePkiModeTransactionManager(reader, image(), setting())
    with pytest.raises(RecordNotFound):
        read(transaction)
    transaction.prepare_open_secure_session()
    transaction.prepare_read_record(CONTRACT_LIST, 1, size_bytes=29)
    transaction.process_commands()
    reader.expect((CLOSE, "6985"))
    transaction.cancel()


def test_malformed_answer_to_open_ends_the_session(scripted: type[ScriptedReader]) -> None:
    for answer in ("089000", OPEN_ANSWER[:-6] + "9000"):
        reader = scripted(
            *GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, (OPEN, answer), (CLOSE, "6985")
        )
        transaction = SecurePkiModeTransactionManager(reader, image(), setting())
        transaction.prepare_open_secure_session()
        transaction.prepare_read_record(CONTRACT_LIST, 1, size_bytes=29)
        with pytest.raises(MalformedCardData):
            transaction.process_commands()


def test_signature_of_another_size_is_refused(scripted: type[ScriptedReader]) -> None:
    session = (*SESSION[:2], (CLOSE, SIGNATURE[2:] + "9000"), (CLOSE, "6985"))
    reader = scripted(*GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, *session)
    with pytest.raises(MalformedCardData, match="it has 64"):
        read(SecurePkiModeTransactionManager(reader, image(), setting()))


def test_cancel_is_not_verified(scripted: type[ScriptedReader]) -> None:
    reader = scripted(*GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, SESSION[0], (CLOSE, "009000"))
    card = image()
    transaction = SecurePkiModeTransactionManager(reader, card, setting())
    transaction.prepare_open_secure_session()
    transaction.prepare_read_record(CONTRACT_LIST, 1, size_bytes=29)
    transaction.prepare_cancel_secure_session()
    transaction.process_commands()
    assert card.record(CONTRACT_LIST, 1) == bytes(range(0x1D))


def test_error_in_the_block_cancels_and_closes(scripted: type[ScriptedReader]) -> None:
    reader = scripted()
    channel = CardChannel(reader)
    channel.open()
    transaction = SecurePkiModeTransactionManager(channel, image(), setting())
    with (
        pytest.raises(KeyError),
        transaction.secure_session(channel_control=ChannelControl.CLOSE_AFTER),
    ):
        raise KeyError
    assert not transaction.is_session_prepared
    assert not reader.is_connected


# Misuse


def test_misuse_is_refused_at_once(scripted: type[ScriptedReader]) -> None:
    reader = scripted()
    transaction = SecurePkiModeTransactionManager(reader, image(), setting())
    with pytest.raises(UsageError, match="no secure session"):
        transaction.prepare_close_secure_session()
    with pytest.raises(UsageError, match="no secure session"):
        transaction.prepare_cancel_secure_session()
    transaction.prepare_open_secure_session()
    with pytest.raises(UsageError, match="already"):
        transaction.prepare_open_secure_session()
    with pytest.raises(UsageError, match="outside"):
        transaction.prepare_get_data(DataObject.CARD_PUBLIC_KEY)
    with pytest.raises(NotSupported, match="has no PKI mode"):
        SecurePkiModeTransactionManager(reader, image(0x20), setting())
    transaction.cancel()


def test_what_the_library_offers_beyond_sessions_is_asked_for_by_type(
    scripted: type[ScriptedReader],
) -> None:
    transaction = SecurePkiModeTransactionManager(scripted(), image(), setting())
    assert transaction.crypto_extension(PkiSession) is transaction._crypto
    with pytest.raises(UsageError, match="no extension str"):
        transaction.crypto_extension(str)


def test_session_buffer_is_accounted_for(scripted: type[ScriptedReader]) -> None:
    transaction = SecurePkiModeTransactionManager(scripted(), image(), setting())
    transaction.prepare_open_secure_session()
    for _ in range(12):
        transaction.prepare_append_record(0x08, bytes(29))
    with pytest.raises(SessionBufferOverflow):
        transaction.prepare_append_record(0x08, bytes(29))
    transaction.cancel()


def test_challenge_has_eight_bytes(scripted: type[ScriptedReader]) -> None:
    pki = CalypsoPki(today=lambda: date(2026, 6, 1), is_test=True)
    short = AsymmetricSecuritySetting(pki, random_bytes=lambda _: b"short")
    with pytest.raises(UsageError, match="it has 8"):
        SecurePkiModeTransactionManager(scripted(), image(), short).prepare_open_secure_session()


# Data objects


def test_certificates_and_key_are_read(scripted: type[ScriptedReader]) -> None:
    key = bytes(range(64))
    reader = scripted(
        *GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE, ("00CADF2C00", f"DF2C40{key.hex()}9000")
    )
    card = image()
    free = FreeTransactionManager(reader, card)
    of_card = free.prepare_get_data(DataObject.CARD_CERTIFICATE)
    of_ca = free.prepare_get_data(DataObject.CA_CERTIFICATE)
    public = free.prepare_get_data(DataObject.CARD_PUBLIC_KEY)
    free.process_commands()
    assert (of_card.value, of_ca.value, public.value) == (CARD_CERTIFICATE, CA_CERTIFICATE, key)
    assert card.card_public_key == key


def test_certificates_and_key_pair_are_written(scripted: type[ScriptedReader]) -> None:
    pair = bytes(range(96))
    reader = scripted(
        ("004600000A06082A8648CE3D030107", "9000"),
        (f"00DADF3C60{pair.hex()}", "9000"),
        (f"00DADF4AFADF4A820180{CA_CERTIFICATE[:245].hex()}", "9000"),
        (f"00DADF4B8B{CA_CERTIFICATE[245:].hex()}", "9000"),
        (f"00DADF4CFADF4C82013C{CARD_CERTIFICATE[:245].hex()}", "9000"),
        (f"00DADF4D47{CARD_CERTIFICATE[245:].hex()}", "9000"),
    )
    card = image()
    free = FreeTransactionManager(reader, card)
    free.prepare_generate_asymmetric_key_pair()
    secret = free.prepare_put_data(DataObject.CARD_KEY_PAIR, pair)
    free.prepare_put_data(DataObject.CA_CERTIFICATE, CA_CERTIFICATE)
    free.prepare_put_data(DataObject.CARD_CERTIFICATE, CARD_CERTIFICATE)
    free.process_commands()
    assert card.card_public_key == pair[:64]
    assert (card.card_certificate, card.ca_certificate) == (CARD_CERTIFICATE, CA_CERTIFICATE)
    assert pair[64:].hex().upper() not in repr(secret)


def test_refused_first_part_fails_the_whole_object(scripted: type[ScriptedReader]) -> None:
    first = f"00DADF4CFADF4C82013C{CARD_CERTIFICATE[:245].hex()}"
    card = image()
    free = FreeTransactionManager(scripted((first, "6A88")), card)
    put = free.prepare_put_data(DataObject.CARD_CERTIFICATE, CARD_CERTIFICATE)
    with pytest.raises(DataNotFound):
        free.process_commands()
    assert isinstance(put.error, DataNotFound)
    assert card.card_certificate is None


@pytest.mark.parametrize("answer", ["DF2C3F" + "00" * 63, "DF2C40" + "00" * 63, "00" * 67, ""])
def test_object_that_is_no_public_key_is_refused(
    scripted: type[ScriptedReader], answer: str
) -> None:
    free = FreeTransactionManager(scripted(("00CADF2C00", answer + "9000")), image())
    free.prepare_get_data(DataObject.CARD_PUBLIC_KEY)
    with pytest.raises(MalformedCardData):
        free.process_commands()


def test_objects_that_cannot_be_are_refused_at_once(scripted: type[ScriptedReader]) -> None:
    free = FreeTransactionManager(scripted(), image())
    with pytest.raises(UsageError, match="allowed"):
        free.prepare_get_data(DataObject.CARD_KEY_PAIR)
    with pytest.raises(UsageError, match="allowed"):
        free.prepare_put_data(DataObject.CARD_PUBLIC_KEY, bytes(64))
    with pytest.raises(UsageError, match="it has 96"):
        free.prepare_put_data(DataObject.CARD_KEY_PAIR, bytes(95))
    with pytest.raises(UsageError, match="it has 316"):
        free.prepare_put_data(DataObject.CARD_CERTIFICATE, bytes(384))
    plain = FreeTransactionManager(scripted(), image(0x20))
    with pytest.raises(UsageError, match="no PKI mode"):
        plain.prepare_generate_asymmetric_key_pair()


def test_the_state_of_a_pki_session(scripted: type[ScriptedReader]) -> None:
    certificates = (*GET_CARD_CERTIFICATE, *GET_CA_CERTIFICATE)
    forged = (CLOSE, "00" * 64 + "9000")
    for script, state in (
        ((*SESSION[:2], (CLOSE, CardRemoved("gone"))), SessionState.UNKNOWN),
        ((*SESSION[:2], forged), SessionState.COMMITTED),
        ((SESSION[0], (SESSION[1][0], CardRemoved("gone"))), SessionState.ABORTED),
        ((SESSION[0], (SESSION[1][0], "6A83"), forged), SessionState.COMMITTED),  # Close and abort
        ((SESSION[0], (SESSION[1][0], "6A83"), (CLOSE, "6985")), SessionState.ABORTED),
        (((SESSION[0][0], "6985"),), None),
    ):
        reader = scripted(*certificates, *script)
        transaction = SecurePkiModeTransactionManager(reader, image(), setting())
        with pytest.raises(CardbenchError) as caught:
            read(transaction)
        assert caught.value.session_state is state


def test_outside_a_session_there_is_no_state(scripted: type[ScriptedReader]) -> None:
    transaction = SecurePkiModeTransactionManager(
        scripted(("00B201F41D", CardRemoved("gone"))), image(), setting()
    )
    transaction.prepare_read_record(CONTRACT_LIST, 1, size_bytes=29)
    with pytest.raises(CardRemoved) as caught:
        transaction.process_commands()
    assert caught.value.session_state is None
