"""Answers to reset: outside vectors, the ATRs of the sheets rebuilt, refusals."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.protocol.atr import (
    Atr,
    Category,
    CompactTlv,
    Convention,
    HistoricalBytes,
    InterfaceLevel,
    contact,
    contactless,
    contactless_from_atqb,
    contactless_from_ats,
    encode_compact_tlv,
    parse_compact_tlv,
)
from cardbench.protocol.errors import MalformedAtr, UsageError

# Outside vectors


def fields_of(atr: Atr) -> dict[str, Any]:
    return {
        "interface_bytes": {name: f"{byte:02X}" for name, byte in atr.interface_bytes().items()},
        "historical": atr.historical.hex().upper(),
        "tck": None if atr.tck is None else f"{atr.tck:02X}",
    }


@pytest.mark.vectors("atr.json", "well_formed")
def test_published_atrs_are_read_as_another_implementation_reads_them(
    vector: dict[str, Any],
) -> None:
    raw = bytes.fromhex(vector["atr"])
    atr = Atr.parse(raw)
    assert fields_of(atr) == {
        name: vector[name] for name in ("interface_bytes", "historical", "tck")
    }
    assert list(atr.protocols) == [t for t in vector["protocols"] if t != 15]
    assert atr.has_right_tck
    assert atr.encode() == raw


@pytest.mark.vectors("atr.json", "well_formed")
def test_published_atrs_are_built_from_their_parts(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["atr"])
    parts = Atr.parse(raw)
    built = Atr.build(
        historical=bytes.fromhex(vector["historical"]),
        levels=parts.levels,
        convention=Convention(raw[0]),
    )
    assert built.encode() == raw


@pytest.mark.vectors("atr.json", "wrong_tck")
def test_a_wrong_tck_is_refused_or_reported(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["atr"])
    with pytest.raises(MalformedAtr, match="TCK"):
        Atr.parse(raw)
    atr = Atr.parse(raw, strict=False)
    assert not atr.has_right_tck
    assert fields_of(atr) == {
        name: vector[name] for name in ("interface_bytes", "historical", "tck")
    }
    assert atr.encode() == raw


@pytest.mark.vectors("atr.json", "wrong_length")
@pytest.mark.parametrize("strict", [True, False])
def test_an_atr_of_another_length_than_announced_is_refused(vector: str, strict: bool) -> None:
    with pytest.raises(MalformedAtr):
        Atr.parse(bytes.fromhex(vector), strict=strict)


# The ATRs of the facts sheets

CALYPSO_REV_1 = "3B8F8001805A0A010320031124B77FE7829000F7"  # calypso-card §2.6
CALYPSO_CONTACT = [  # calypso-card §2.6
    ("3B6F0000805A28114210122B26147C55829000", "28114210122B", "26147C55"),
    ("3B6F0000805A0A070620042D9363A22B829000", "0A070620042D", "9363A22B"),
    ("3B6F0000805A08060820022B9319C24F829000", "08060820022B", "9319C24F"),
    ("3B5F9600805A3F2BC4141001C52E6FD3829000", "3F2BC4141001", "C52E6FD3"),
]
SAM = [  # legacy-sam §2.3
    ("3B3F9600805A4880C120501711223344829000", "4880C1205017", "11223344"),
    ("3B3F9600805A4880C1205017AEC11A36829000", "4880C1205017", "AEC11A36"),
    ("3B6F0000805A4880C1205001AEC00295829000", "4880C1205001", "AEC00295"),
    ("3B3F9600805A2380E1083108AE0136DD829000", "2380E1083108", "AE0136DD"),
]
SAM_PATTERN = "3B(.{6}|.{10})805A(.{20})829000"  # legacy-sam §2.2


def calypso_historical(startup: str, serial: str) -> bytes:
    return HistoricalBytes(
        Category.COMPACT_TLV,
        (CompactTlv(5, bytes.fromhex(startup + serial)), CompactTlv(8, b"\x90\x00")),
    ).encode()


def test_a_rev_1_contactless_atr_is_rebuilt() -> None:
    built = contactless(calypso_historical("0A0103200311", "24B77FE7"))
    assert built.encode() == bytes.fromhex(CALYPSO_REV_1)
    assert built.is_contactless


@pytest.mark.parametrize(("raw", "startup", "serial"), CALYPSO_CONTACT + SAM)
def test_contact_atrs_of_cards_and_sams_are_rebuilt(raw: str, startup: str, serial: str) -> None:
    levels = Atr.parse(bytes.fromhex(raw)).levels
    built = Atr.build(historical=calypso_historical(startup, serial), levels=levels)
    assert built.encode() == bytes.fromhex(raw)
    assert built.tck is None
    assert built.protocols == (0,)
    assert not built.is_contactless


def test_the_default_contact_atr_is_that_of_a_sam() -> None:
    raw = contact(calypso_historical("4880C1205017", "11223344")).encode().hex().upper()
    assert raw == "3B3F9600805A4880C120501711223344829000"
    found = re.search(SAM_PATTERN, raw)
    assert found
    assert found.group(2) == "4880C120501711223344"


def test_a_type_b_card_shows_its_atqb() -> None:
    # calypso-card §2.6: pseudo-ATR of a real card; PUPI is not in it.
    atqb = bytes.fromhex("50 11223344 00000000 917171")
    assert contactless_from_atqb(atqb).encode().hex() == "3b888001000000009171710098"
    extended = atqb + b"\x00"
    assert contactless_from_atqb(extended) == contactless_from_atqb(atqb)
    assert contactless_from_atqb(atqb, attrib_response=0x7F).historical[-1] == 0x70


def test_a_type_a_card_shows_the_historical_bytes_of_its_ats() -> None:
    # desfire §1: ATS and ATR of a DESFire.
    assert contactless_from_ats(bytes.fromhex("067577810280")).encode().hex() == "3b8180018080"
    # calypso-card §2.6: Hoplink stub.
    historical = "80318066409089120802830190 00"
    ats = bytes.fromhex("13 78 80 70 02" + historical)
    assert contactless_from_ats(ats).encode().hex() == "3b8e800180318066409089120802830190000b"
    assert contactless_from_ats(b"\x01") == contactless(b"")
    assert contactless_from_ats(b"\x12\x00" + bytes(range(16))).historical == bytes(range(15))


def test_the_wrong_check_byte_of_a_unit_test_is_reported() -> None:
    # calypso-card §2.6: F4 would be right, nobody checks it.
    raw = bytes.fromhex("3B8F8001805A0A010320031112345678829000F7")
    with pytest.raises(MalformedAtr, match="TCK is F7; F4 would be right"):
        Atr.parse(raw)
    atr = Atr.parse(raw, strict=False)
    assert not atr.has_right_tck
    assert atr.is_contactless
    assert HistoricalBytes.parse(atr.historical).find(5) == bytes.fromhex("0A010320031112345678")


@pytest.mark.parametrize("raw", ["3B888001000000009171710098", "3B8180018080"])
def test_atrs_of_contactless_cards_are_recognised(raw: str) -> None:
    atr = Atr.parse(bytes.fromhex(raw))
    assert atr.is_contactless
    assert atr.protocols == (0, 1)
    assert re.match("3B8.8001", raw)


# Reading


@given(st.binary(max_size=36))
def test_any_bytes_are_refused_or_given_back_exactly(raw: bytes) -> None:
    for strict in (True, False):
        try:
            atr = Atr.parse(raw, strict=strict)
        except MalformedAtr:
            continue
        assert atr.encode() == raw
        assert atr.has_right_tck or not strict


byte_or_none = st.none() | st.integers(0, 255)
levels_of_any_shape = st.tuples(
    st.builds(InterfaceLevel, byte_or_none, byte_or_none, byte_or_none, st.none()),
    st.lists(
        st.builds(InterfaceLevel, byte_or_none, byte_or_none, byte_or_none, st.integers(0, 15)),
        max_size=3,
    ),
).map(lambda found: (found[0], *found[1]))


@given(levels_of_any_shape, st.binary(max_size=15), st.sampled_from(Convention))
def test_what_is_built_is_read_back(
    levels: tuple[InterfaceLevel, ...], historical: bytes, convention: Convention
) -> None:
    built = Atr.build(historical=historical, levels=levels, convention=convention)
    assert Atr.parse(built.encode()) == built
    assert built.has_right_tck
    assert built.needs_tck is (built.tck is not None)


@given(st.integers(1, 19), st.integers(0, 7))
def test_one_flipped_bit_never_passes_the_check(position: int, bit: int) -> None:
    raw = bytearray.fromhex(CALYPSO_REV_1)
    raw[position] ^= 1 << bit
    with pytest.raises(MalformedAtr):
        Atr.parse(bytes(raw))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "0 byte"),
        ("3B", "1 byte"),
        ("3B" + "00" * 33, "34 byte"),
        ("0300", "TS is 03"),
        ("3B10", "within the interface bytes of level 1"),
        ("3B8080", "within the interface bytes of level 2"),
        ("3B02AA", "announce 4 and no TCK"),
        ("3B00FF", "announce 2 and no TCK"),
        ("3B8001", "announce 3 and a TCK"),
    ],
)
def test_malformed_atrs_are_refused_with_the_reason(raw: str, message: str) -> None:
    with pytest.raises(MalformedAtr, match=message):
        Atr.parse(bytes.fromhex(raw))


def test_ta2_names_the_specific_protocol() -> None:
    levels = (InterfaceLevel(ta=0x96), InterfaceLevel(ta=0x81, protocol=1))
    atr = Atr.build(levels=levels)
    assert atr.specific_protocol == 1
    assert atr.protocols == (1,)
    assert list(atr.interface_bytes()) == ["TA1", "TD1", "TA2"]
    assert contactless(b"").specific_protocol is None
    assert contact(b"").specific_protocol is None


def test_t_15_is_no_protocol_but_wants_a_tck() -> None:
    levels = (InterfaceLevel(), InterfaceLevel(protocol=0), InterfaceLevel(ta=0xC7, protocol=15))
    atr = Atr.build(levels=levels)
    assert atr.protocols == (0,)
    assert atr.tck is not None


# Building


@pytest.mark.parametrize(
    "atr",
    [
        pytest.param(Atr(historical=bytes(16)), id="16 historical bytes"),
        pytest.param(Atr(levels=()), id="no level 1"),
        pytest.param(Atr(levels=(InterfaceLevel(protocol=0),)), id="level 1 announced by a TD"),
        pytest.param(Atr(levels=(InterfaceLevel(), InterfaceLevel(ta=1))), id="no protocol"),
        pytest.param(
            Atr(levels=(InterfaceLevel(), InterfaceLevel(protocol=16)), tck=0), id="protocol 16"
        ),
        pytest.param(Atr(levels=(InterfaceLevel(ta=256),)), id="TA1 of 256"),
        pytest.param(Atr(tck=0), id="a TCK under T=0"),
        pytest.param(Atr(levels=(InterfaceLevel(), InterfaceLevel(protocol=1))), id="no TCK"),
        pytest.param(
            Atr(levels=(InterfaceLevel(), InterfaceLevel(protocol=1)), tck=256), id="TCK of 256"
        ),
        pytest.param(
            Atr(levels=(InterfaceLevel(),) + (InterfaceLevel(1, 2, 3, protocol=0),) * 8),
            id="34 bytes",
        ),
    ],
)
def test_what_is_no_atr_is_not_encoded(atr: Atr) -> None:
    with pytest.raises(UsageError):
        atr.encode()


def test_builders_refuse_what_does_not_fit() -> None:
    with pytest.raises(UsageError):
        contact(bytes(16))
    with pytest.raises(UsageError):
        contactless(bytes(16))
    with pytest.raises(UsageError):
        Atr.build(levels=(InterfaceLevel(), InterfaceLevel(ta=999, protocol=1)))
    with pytest.raises(UsageError):
        contactless_from_atqb(b"\x50" + bytes(11), attrib_response=256)


@pytest.mark.parametrize("ats", ["", "0575778102 80", "0278", "05"])
def test_what_is_no_ats_is_refused(ats: str) -> None:
    with pytest.raises(MalformedAtr):
        contactless_from_ats(bytes.fromhex(ats))


@pytest.mark.parametrize("atqb", [b"", bytes(12), b"\x50" + bytes(10), b"\x50" + bytes(13)])
def test_what_is_no_atqb_is_refused(atqb: bytes) -> None:
    with pytest.raises(MalformedAtr):
        contactless_from_atqb(atqb)


# Historical bytes


@given(st.binary(max_size=15))
def test_historical_bytes_are_refused_or_given_back_exactly(raw: bytes) -> None:
    try:
        found = HistoricalBytes.parse(raw)
    except MalformedAtr:
        return
    assert found.encode() == raw


@given(st.lists(st.builds(CompactTlv, st.integers(0, 15), st.binary(max_size=15)), max_size=4))
def test_compact_objects_come_back_as_they_were(objects: list[CompactTlv]) -> None:
    assert list(parse_compact_tlv(encode_compact_tlv(objects))) == objects


def test_the_status_may_stand_behind_the_objects() -> None:
    raw = bytes.fromhex("00 31C0 07 9000")
    found = HistoricalBytes.parse(raw)
    assert found == HistoricalBytes(
        Category.STATUS_LAST, (CompactTlv(3, b"\xc0"),), bytes.fromhex("079000")
    )
    assert found.find(3) == b"\xc0"
    assert found.find(5) is None


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "no historical"),
        ("10AA", "category 10"),
        ("009000", "three status"),
        ("805A00", "object 5"),
    ],
)
def test_unreadable_historical_bytes_are_refused(raw: str, message: str) -> None:
    with pytest.raises(MalformedAtr, match=message):
        HistoricalBytes.parse(bytes.fromhex(raw))


@pytest.mark.parametrize(
    "historical",
    [
        HistoricalBytes(Category.COMPACT_TLV, (CompactTlv(16, b""),)),
        HistoricalBytes(Category.COMPACT_TLV, (CompactTlv(5, bytes(16)),)),
        HistoricalBytes(Category.COMPACT_TLV, (), b"\x00\x90\x00"),
        HistoricalBytes(Category.STATUS_LAST, (), b"\x90\x00"),
        HistoricalBytes(Category.DIR_REFERENCE, ()),
    ],
)
def test_what_are_no_historical_bytes_is_not_encoded(historical: HistoricalBytes) -> None:
    with pytest.raises(UsageError):
        historical.encode()
