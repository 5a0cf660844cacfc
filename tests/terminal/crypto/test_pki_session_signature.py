"""The signature of a PKI session: published vectors, and which bytes of an exchange are signed."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from independent import second_pki

from cardbench.protocol.errors import UsageError
from cardbench.terminal.crypto.pki import CalypsoPki, PkiCardPublicKey, PkiSession

VECTORS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "calypso-pki.toml").read_text()
)
OWN = VECTORS["own"]
OWN_SESSION = [bytes.fromhex(apdu) for apdu in OWN["session"]["apdus"]]
SCALAR = 0x5EED
PUBLIC = second_pki.ec_public(SCALAR)
PKI = CalypsoPki(today=lambda: date(2026, 6, 1), is_test=True)
REFERENCE_PKI = CalypsoPki(today=lambda: date(2026, 6, 1), is_test=True, signed_lc=True)


def session(apdus: list[bytes], public: bytes = PUBLIC, pki: CalypsoPki = PKI) -> PkiSession:
    started = pki.create_card_transaction()
    started.init_terminal_pki_session(PkiCardPublicKey(public))
    for apdu in apdus:
        started.update_terminal_pki_session(apdu)
    return started


def signed(*elements: bytes) -> bytes:
    """Sign elements as they are given: each already without the Le that does not count."""
    message = b"\x10" + b"".join(bytes((len(each) & 0xFF,)) + each for each in elements)
    return second_pki.ec_sign(SCALAR, message)


@pytest.mark.parametrize("name", ["own", "rfc6979_session"])
def test_published_session_is_valid(name: str) -> None:
    vector = VECTORS[name]
    exchanged = vector["session"] if name == "own" else vector
    public = bytes.fromhex(vector["card_public_key" if name == "own" else "public_key"])
    running = session([bytes.fromhex(apdu) for apdu in exchanged["apdus"]], public)
    assert running.is_card_pki_session_valid(bytes.fromhex(exchanged["signature"]))


@given(data=st.data())
def test_one_flipped_bit_of_an_exchange_is_seen(data: st.DataObject) -> None:
    which = data.draw(st.integers(0, len(OWN_SESSION) - 1))
    apdu = bytearray(OWN_SESSION[which])
    bit = data.draw(st.integers(0, 8 * len(apdu) - 1))
    if which == 0 and bit // 8 in {4, 14}:
        return  # Lc of the request makes it no APDU, and its Le is not signed
    apdu[bit // 8] ^= 1 << bit % 8
    apdus = [*OWN_SESSION[:which], bytes(apdu), *OWN_SESSION[which + 1 :]]
    running = session(apdus, bytes.fromhex(OWN["card_public_key"]))
    assert not running.is_card_pki_session_valid(bytes.fromhex(OWN["session"]["signature"]))


@given(bit=st.integers(0, 511))
def test_one_flipped_bit_of_the_signature_is_seen(bit: int) -> None:
    signature = int(OWN["session"]["signature"].replace("\n", ""), 16) ^ 1 << bit
    running = session(OWN_SESSION, bytes.fromhex(OWN["card_public_key"]))
    assert not running.is_card_pki_session_valid(signature.to_bytes(64))


# The rows of the published table, by the rule of this project and by that of the reference terminal

LONG_CASE_4 = bytes.fromhex("00DC014490") + bytes(0x90) + b"\0"
READ_FF = bytes.fromhex("00B2014CFF")
OPEN, OPEN_ANSWER, READ, READ_ANSWER = OWN_SESSION
OK = b"\x90\x00"


@pytest.mark.parametrize("pki", [PKI, REFERENCE_PKI])
def test_open_and_read_are_signed(pki: CalypsoPki) -> None:
    signature = signed(OPEN[:-1], OPEN_ANSWER, READ, READ_ANSWER)
    assert session(OWN_SESSION, pki=pki).is_card_pki_session_valid(signature)


@pytest.mark.parametrize(
    ("pki", "is_le_signed"), [(PKI, False), (REFERENCE_PKI, True)], ids=["ours", "reference"]
)
def test_le_of_a_long_case_4(pki: CalypsoPki, *, is_le_signed: bool) -> None:
    exchange = [OPEN, OPEN_ANSWER, LONG_CASE_4, OK]
    with_le = signed(OPEN[:-1], OPEN_ANSWER, LONG_CASE_4, OK)
    without = signed(OPEN[:-1], OPEN_ANSWER, LONG_CASE_4[:-1], OK)
    running = session(exchange, pki=pki)
    assert running.is_card_pki_session_valid(with_le) is is_le_signed
    assert running.is_card_pki_session_valid(without) is not is_le_signed


@pytest.mark.parametrize(
    ("pki", "is_le_signed"), [(PKI, True), (REFERENCE_PKI, False)], ids=["ours", "reference"]
)
def test_le_of_a_read_of_255_bytes(pki: CalypsoPki, *, is_le_signed: bool) -> None:
    exchange = [OPEN, OPEN_ANSWER, READ_FF, OK]
    with_le = signed(OPEN[:-1], OPEN_ANSWER, READ_FF, OK)
    without = signed(OPEN[:-1], OPEN_ANSWER, READ_FF[:-1], OK)
    running = session(exchange, pki=pki)
    assert running.is_card_pki_session_valid(with_le) is is_le_signed
    assert running.is_card_pki_session_valid(without) is not is_le_signed


@pytest.mark.parametrize(
    "request_", ["0004000000", "00DC01440411223344", "00B2014C00", "003001C80300000100"]
)
def test_each_case_is_signed_as_the_second_implementation_says(request_: str) -> None:
    exchange = [OPEN, OPEN_ANSWER, bytes.fromhex(request_), OK]
    signature = second_pki.ec_sign(SCALAR, second_pki.session_message(exchange))
    assert session(exchange).is_card_pki_session_valid(signature)


def test_length_of_a_long_response_counts_modulo_256() -> None:
    answer = bytes(256) + OK
    signature = signed(OPEN[:-1], OPEN_ANSWER, READ, answer)
    assert session([OPEN, OPEN_ANSWER, READ, answer]).is_card_pki_session_valid(signature)


# Misuse


def test_session_must_be_started() -> None:
    with pytest.raises(UsageError, match="no PKI session"):
        PkiSession().update_terminal_pki_session(OPEN)
    with pytest.raises(UsageError, match="no PKI session"):
        PkiSession().is_card_pki_session_valid(bytes(64))


def test_request_without_its_response_cannot_be_verified() -> None:
    with pytest.raises(UsageError, match="last response"):
        session([OPEN]).is_card_pki_session_valid(bytes(64))


def test_what_is_too_short_is_not_fed() -> None:
    with pytest.raises(UsageError, match="no request"):
        session([OPEN[:4]])
    with pytest.raises(UsageError, match="no response"):
        session([OPEN, b"\x90"])


def test_key_must_lie_on_the_curve() -> None:
    with pytest.raises(UsageError, match="secp256r1"):
        session([], bytes(64))


def test_new_session_forgets_the_one_before() -> None:
    running = session([OPEN, OPEN_ANSWER, READ, READ_ANSWER])
    running.init_terminal_pki_session(PkiCardPublicKey(PUBLIC))
    running.update_terminal_pki_session(OPEN)
    running.update_terminal_pki_session(OPEN_ANSWER)
    assert running.is_card_pki_session_valid(signed(OPEN[:-1], OPEN_ANSWER))
