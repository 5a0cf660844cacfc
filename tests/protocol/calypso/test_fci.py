"""Published FCIs are read and written back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.protocol.calypso.fci import Fci
from cardbench.protocol.calypso.startup import ProductType, StartupInformation
from cardbench.protocol.errors import MalformedCardData, ProtocolError, UsageError

# calypso-card §2.2: name, DF name, serial, startup information, FCI
PUBLISHED = [
    ("real card", "315449432E49434131", "00000000C17BE1F6", "0A3C2305141001",
     "6F238409315449432E49434131A516BF0C13C70800000000C17BE1F653070A3C2305141001"),
    ("MOBIB", "315449432E494341D05600019101", "00000000C0D69990", "0A3C23C4141001",
     "6F28840E315449432E494341D05600019101A516BF0C13C70800000000C0D6999053070A3C23C4141001"),
    ("Hoplink", "A000000291A00000019102", "0000000011223344", "0A3C230C141001",
     "6F25840BA000000291A00000019102A516BF0C13C708000000001122334453070A3C230C141001"),
    ("revision 2.4", "A0000004040125090101000000000000", "0000000011223344", "0A2E1142000101",
     "6F2A8410A0000004040125090101000000000000A516BF0C13C708000000001122334453070A2E1142000101"),
    *((f"revision 3, type {kind}", "315449432E49434131", "0000000011223344", f"0A3C{kind}05141001",
       f"6F238409315449432E49434131A516BF0C13C708000000001122334453070A3C{kind}05141001")
      for kind in ("20", "21", "22", "28", "2A")),
    ("revision 3, old test", "315449432E49434131", "0000000011223344", "0A3C2312141001",
     "6F238409315449432E49434131A516BF0C13C708000000001122334453070A3C2312141001"),
    ("Stored Value alone", "315449432E49434131", "0000000011223344", "0A3C2320141001",
     "6F238409315449432E49434131A516BF0C13C708000000001122334453070A3C2320141001"),
    ("content of revision 1", "315449432E494341", "0000000011223344", "060A0103200311",
     "6F228408315449432E494341A516BF0C13C70800000000112233445307060A0103200311"),
    ("Light", "315449432E49434134", "0000000011223344", "064390312B0100",
     "6F238409315449432E49434134A516BF0C13C70800000000112233445307064390312B0100"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "df_name", "serial", "startup", "fci"), PUBLISHED)
def test_published_fci_is_read_and_written_back(
    name: str, df_name: str, serial: str, startup: str, fci: str
) -> None:
    parsed = Fci.parse(bytes.fromhex(fci))
    assert parsed.df_name.hex().upper() == df_name, name
    assert parsed.serial.hex().upper() == serial
    assert parsed.startup.encode().hex().upper() == startup
    assert parsed.encode().hex().upper() == fci


def test_tags_may_come_in_another_order() -> None:
    fci = "6F23A516BF0C1353070A3C2005141001C70800000000123456788409315449432E49434131"
    parsed = Fci.parse(bytes.fromhex(fci))
    assert parsed.df_name == b"1TIC.ICA1"
    assert parsed.startup.product_type is ProductType.PRIME_REVISION_3


def test_other_tags_and_long_lengths_are_skipped() -> None:
    inner = bytes.fromhex("C708000000001122334453070A3C2005141001 DF10810199 C700")
    discretionary = b"\xbf\x0c\x81" + bytes((len(inner),)) + inner
    body = b"\x50\x00\x84\x05abcde\xa5" + bytes((len(discretionary),)) + discretionary
    fci = b"\x6f\x82\x00" + bytes((len(body),)) + body
    assert Fci.parse(fci).serial.hex() == "0000000011223344"


@pytest.mark.parametrize(
    ("fci", "complaint"),
    [
        ("", "no tag 84"),
        ("6F07840561626364 65", "no tag C7"),
        ("6F1E8404615449432E49434131", "too many"),
        ("6F228404A5494341A516BF0C13C708000000001122334453070A3C2005141001", "too many"),
        ("6F1E840461626364A516BF0C13C708000000001122334453070A3C2005141001", "allowed: 5 to 16"),
        ("6F1E84056162636465A515BF0C12C7070000000011223353070A3C2005141001", "it has 8"),
        ("6F", "ends inside"),
        ("6F238409315449432E49434131A516BF0C13C708000000001122334453070A3C0005141001", "type 00"),
    ],
)
def test_bad_fci_is_refused(fci: str, complaint: str) -> None:
    with pytest.raises(ProtocolError, match=complaint):
        Fci.parse(bytes.fromhex(fci))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        Fci.parse(raw)
    except ProtocolError:
        return


def test_hce_serial_keeps_its_validity_token_for_the_diversifier_only() -> None:
    startup = StartupInformation.parse(bytes.fromhex("0A3C2005141001"))
    fci = Fci(b"1TIC.ICA", bytes.fromhex("12340080FEDCBA98"), startup)
    assert fci.is_hce
    assert fci.application_serial.hex().upper() == "00000080FEDCBA98"


@pytest.mark.parametrize(("df_name", "serial"), [(b"1234", bytes(8)), (b"12345", bytes(7))])
def test_fci_that_cannot_be_is_not_written(df_name: bytes, serial: bytes) -> None:
    startup = StartupInformation.parse(bytes.fromhex("0A3C2005141001"))
    with pytest.raises(UsageError):
        Fci(df_name, serial, startup).encode()


def test_missing_element_is_named() -> None:
    with pytest.raises(MalformedCardData, match="no tag 53"):
        Fci.parse(bytes.fromhex("6F1384056162636465 A50A C7080000000011223344"))
