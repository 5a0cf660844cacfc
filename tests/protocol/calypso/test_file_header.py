"""Published file descriptors and EF lists are read and written back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.protocol.calypso.file_header import (
    AccessCondition,
    DfAccess,
    DirectoryHeader,
    EfAccess,
    EfType,
    FileHeader,
    FileType,
    encode_ef_list,
    parse_ef_list,
    parse_file_header,
)
from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.errors import MalformedCardData, UsageError

# calypso-card §3.7
PUBLISHED = [
    "851700010000001010000001030000001515150000000000 00",
    "8517000200000010100000010300000095959521273000 2000",
    "85170001000000101000000103010100777879616770003F00",
    "8517 02 04 02 1D 01 1F000000 01010101 00 3F02 0000000000 0002",
    "8517 0B 04 08 1D 01 1F101010 00020302 00 1902 0000000000 202B",
    "8517 07 04 02 30 02 1F100000 01010101 00 0000 0000000000 2001",
    "8517 08 04 04 30 03 1F101010 01030303 00 0000 0000000000 2010",
    "8517 19 04 09 24 01 1F101010 01020302 00 0000 0000000000 2069",
    "8517 12 04 01 10 00 1F100000 01020101 00 2117 0000000000 2117",
    "8517 02 04 02 1D 01 1F000000 01010101 00 0000 0000000000 0002",
    "8517 03 04 02 1D 01 01100000 01020101 00 0000 0000000000 0003",
    "8517 09 04 02 30 0C 1F101000 01020301 00 0000 0000000000 2020",
    "8517 1D 04 02 30 04 1F100000 01030101 00 0000 0000000000 2040",
    "8517 1E 04 02 30 01 1F100000 01030101 00 0000 0000000000 2050",
    "8517 01 04 02 30 01 1F1F1F00 01010101 00 0000 0000000000 20F0",
    "8517 14 04 04 1D 01 1F000000 00000000 00 0000 0000000000 1014",
    "8517 15 04 04 1D 03 1F000000 00000000 00 0000 0000000000 1015",
]

EF_LIST = (
    "C028 C106 2001 07 02 1D 01 C106 20FF 09 01 1D 04 C106 F123 10 04 F3 F4"
    "C106 F124 11 08 F3 F4 C106 F125 1F 09 F3 F4"
)


@pytest.mark.parametrize("text", PUBLISHED)
def test_published_descriptor_round_trips(text: str) -> None:
    raw = bytes.fromhex(text)
    assert parse_file_header(raw).encode() == raw


def test_df_descriptor_gives_keys() -> None:
    header = parse_file_header(bytes.fromhex("851700020000001010000001030000009595952127300020 00"))
    assert isinstance(header, DirectoryHeader)
    assert (header.lid, header.file_type) == (0x2000, FileType.DF)
    assert [header.kif(level) for level in WriteAccessLevel] == [0x21, 0x27, 0x30]
    assert [header.kvc(level) for level in WriteAccessLevel] == [0x95, 0x95, 0x95]
    assert header.access_conditions[DfAccess.REHABILITATE] == AccessCondition.SESSION
    assert header.key_indexes[DfAccess.INVALIDATE] == WriteAccessLevel.DEBIT
    assert not header.is_invalidated


def test_invalidated_df_is_seen() -> None:
    header = parse_file_header(bytes.fromhex("851700020000001010000001030000019595952127300020 00"))
    assert isinstance(header, DirectoryHeader)
    assert header.is_invalidated


def test_ef_descriptor_gives_type_size_and_access() -> None:
    header = parse_file_header(bytes.fromhex(PUBLISHED[4]))
    assert isinstance(header, FileHeader)
    assert (header.lid, header.sfi, header.ef_type) == (0x202B, 0x0B, EfType.SIMULATED_COUNTERS)
    assert (header.record_size_bytes, header.record_count) == (29, 1)
    assert header.shared_reference == 0x1902
    assert header.access_conditions[EfAccess.READ] == AccessCondition.ALWAYS


def test_binary_file_has_one_area_of_sixteen_bit_size() -> None:
    header = parse_file_header(bytes.fromhex(PUBLISHED[8]))
    assert isinstance(header, FileHeader)
    assert (header.record_size_bytes, header.record_count) == (4096, 1)


def test_revision_2_has_its_lid_one_byte_earlier() -> None:
    raw = bytes.fromhex("8517 00 02 00 00 00 12120000 01030101 00 606060 000000 2000 00")
    header = parse_file_header(raw, lid_offset=20)
    assert isinstance(header, DirectoryHeader)
    assert header.lid == 0x2000
    assert header.kvcs == bytes.fromhex("606060")


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (bytes(25), "expected 8517"),
        (b"\x85\x17" + bytes(22), "expected 8517"),
        (b"\x85\x17\x00\x03" + bytes(21), "file type 03"),
        (b"\x85\x17\x00\x04\x03" + bytes(20), "EF type 03"),
    ],
)
def test_bad_descriptor_is_refused(raw: bytes, complaint: str) -> None:
    with pytest.raises(MalformedCardData, match=complaint):
        parse_file_header(raw)


@given(st.binary(min_size=23, max_size=23))
def test_any_descriptor_is_read_or_refused(content: bytes) -> None:
    try:
        parse_file_header(b"\x85\x17" + content)
    except MalformedCardData:
        return


def test_published_ef_list_round_trips() -> None:
    headers = parse_ef_list(bytes.fromhex(EF_LIST))
    assert [(header.lid, header.sfi, header.ef_type) for header in headers] == [
        (0x2001, 0x07, EfType.LINEAR),
        (0x20FF, 0x09, EfType.BINARY),
        (0xF123, 0x10, EfType.CYCLIC),
        (0xF124, 0x11, EfType.SIMULATED_COUNTERS),
        (0xF125, 0x1F, EfType.COUNTERS),
    ]
    assert headers[1].record_size_bytes == 0x1D04
    assert headers[0].shared_reference is None
    assert headers[0].access_conditions == b""
    assert encode_ef_list(headers) == bytes.fromhex(EF_LIST)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "C0",
        "C108C106200107021D01",
        "C007C106200107021D",
        "C008C206200107021D01",
        "C009C106200107021D01",
    ],
)
def test_bad_ef_list_is_refused(text: str) -> None:
    with pytest.raises(MalformedCardData):
        parse_ef_list(bytes.fromhex(text))


def test_header_that_does_not_fit_is_not_written() -> None:
    ef = FileHeader(0x2001, 7, EfType.LINEAR, 29, 1, access_conditions=b"\x1f")
    with pytest.raises(UsageError, match="four groups"):
        ef.encode()
    df = DirectoryHeader(0x2000, FileType.DF, bytes(4), bytes(4), 0, bytes(2), bytes(3))
    with pytest.raises(UsageError, match="three KVCs"):
        df.encode()
    with pytest.raises(UsageError, match="at most 31"):
        encode_ef_list((ef,) * 32)


def test_unknown_parts_of_a_header_are_written_as_zero() -> None:
    raw = FileHeader(0x2001, 7, EfType.LINEAR, 29, 1).encode()
    assert raw.hex() == "8517070402" + "1d01" + "00" * 8 + "00" + "0000" + "00" * 5 + "2001"
