"""BER-TLV: outside vectors, an outside implementation, exact re-encoding, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from asn1crypto import parser as outside
from hypothesis import example, given
from hypothesis import strategies as st

from cardbench.protocol.errors import MalformedTlv, UsageError
from cardbench.protocol.tlv import (
    DEPTH_MAX,
    Tlv,
    encode_all,
    find,
    find_all,
    parse_all,
)

FCI = bytes.fromhex("6F238409315449432E49434131A516BF0C13C708000000001122334453070A3C2005141001")


def tree_of(objects: tuple[Tlv, ...]) -> list[Any]:
    return [
        [
            f"{item.tag:02X}",
            item.content.hex().upper()
            if isinstance(item.content, bytes)
            else tree_of(item.content),
        ]
        for item in objects
    ]


def built_from(tree: list[Any]) -> tuple[Tlv, ...]:
    return tuple(
        Tlv(
            int(tag, 16),
            bytes.fromhex(content) if isinstance(content, str) else built_from(content),
        )
        for tag, content in tree
    )


# Outside vectors


@pytest.mark.vectors("tlv.json", "well_formed")
def test_published_encodings_are_read_as_published(vector: dict[str, Any]) -> None:
    assert tree_of(parse_all(bytes.fromhex(vector["raw"]))) == vector["tree"]


@pytest.mark.vectors("tlv.json", "well_formed")
def test_published_trees_are_encoded_as_published(vector: dict[str, Any]) -> None:
    assert encode_all(built_from(vector["tree"])).hex().upper() == vector["raw"].upper()


@pytest.mark.vectors("tlv.json", "malformed")
def test_encodings_that_the_standards_exclude_are_refused(vector: dict[str, str]) -> None:
    with pytest.raises(MalformedTlv):
        parse_all(bytes.fromhex(vector["raw"]))


# An outside implementation


def first_bytes(tag_class: int, number: int, *, constructed: bool) -> bytes:
    """Encode a tag by X.690 §8.1.2, written for this test alone."""
    first = tag_class << 6 | constructed << 5
    if number < 31:
        return bytes((first | number,))
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(0x80 | number & 0x7F)
    return bytes((first | 0x1F, *reversed(digits)))


def has_reserved_tag(item: Tlv) -> bool:
    """Whether it bears a long tag that a short one could write, such as EMV's `BF0C`: ours alone."""
    return any(
        0 < below.tag & 0xFF < 31 and below.tag >> 8 & 0x1F == 0x1F and below.tag < 0x10000
        for below in item.walk()
    )


def assert_same_as_outside(raw: bytes) -> None:
    """Compare our reading of a sequence of objects with asn1crypto's, level by level."""
    at = 0
    for item in parse_all(raw):
        if has_reserved_tag(item):
            at += len(item.encode())
            continue
        size = outside.peek(raw[at:])
        tag_class, method, number, header, contents, trailer = outside.parse(raw[at : at + size])
        field = first_bytes(tag_class, number, constructed=bool(method))
        assert header.startswith(field)
        assert (item.tag, item.value, trailer) == (int.from_bytes(field), contents, b"")
        assert item.encode() == raw[at : at + size]
        assert_same_as_outside(contents if item.children else b"")
        at += size
    assert at == len(raw)


primitive_tags = st.sampled_from([0x04, 0x84, 0x53, 0xC7, 0x5F2D, 0x9F36, 0xDF21, 0xDF8129])
constructed_tags = st.sampled_from([0x30, 0x6F, 0xA5, 0xE1, 0x7F21, 0xFF8101])
forms = st.sampled_from([0, 0, 3, 4])  # the shortest one, or one that is never the shortest here
objects_of_any_shape = st.recursive(
    st.builds(Tlv, primitive_tags, st.binary(max_size=300), forms),
    lambda inner: st.builds(Tlv, constructed_tags, st.lists(inner, max_size=4).map(tuple), forms),
    max_leaves=12,
)


@given(st.lists(objects_of_any_shape, max_size=3))
def test_what_we_encode_asn1crypto_reads_alike(objects: list[Tlv]) -> None:
    assert_same_as_outside(encode_all(objects))


@st.composite
def damaged_objects(draw: st.DrawFn) -> bytes:
    """Whole encodings with some bytes changed, put in or taken out."""
    raw = bytearray(draw(objects_of_any_shape).encode())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(raw)


@given(st.binary(max_size=40) | damaged_objects())
@example(bytes.fromhex("8481 0155"))
def test_what_we_accept_asn1crypto_reads_alike(raw: bytes) -> None:
    try:
        parse_all(raw)
    except MalformedTlv:
        return
    assert_same_as_outside(raw)


@given(st.integers(0, 3), st.integers(0, 1), st.integers(1, 2**14 - 1), st.binary(max_size=300))
def test_what_asn1crypto_encodes_we_read_alike(
    tag_class: int, method: int, number: int, contents: bytes
) -> None:
    if method:
        contents = outside.emit(2, 0, 4, contents)
    raw = outside.emit(tag_class, method, number, contents)
    item = Tlv.parse(raw)
    assert item.value == contents
    assert item.encode() == raw
    assert item.tag == int.from_bytes(first_bytes(tag_class, number, constructed=bool(method)))


# Exact re-encoding


@given(st.binary(max_size=64) | damaged_objects())
def test_any_bytes_are_refused_or_given_back_exactly(raw: bytes) -> None:
    try:
        objects = parse_all(raw)
    except MalformedTlv:
        return
    assert encode_all(objects) == raw


@given(st.lists(objects_of_any_shape, max_size=3).map(tuple))
def test_objects_come_back_as_they_were(objects: tuple[Tlv, ...]) -> None:
    assert parse_all(encode_all(objects)) == objects


@given(objects_of_any_shape, st.data())
def test_no_proper_prefix_of_an_object_is_an_object(item: Tlv, data: st.DataObject) -> None:
    raw = item.encode()
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(MalformedTlv):
        Tlv.parse(raw[:cut])


@pytest.mark.parametrize(
    ("raw", "length_octets"),
    [("840155", 0), ("84810155", 1), ("8482000155", 2), ("848300000155", 3), ("84840000000155", 4)],
)
def test_a_length_in_a_longer_form_is_kept(raw: str, length_octets: int) -> None:
    item = Tlv.parse(bytes.fromhex(raw))
    assert item == Tlv(0x84, b"\x55", length_octets)
    assert item.encode() == bytes.fromhex(raw)


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8400"),
        (127, "847F"),
        (128, "848180"),
        (255, "8481FF"),
        (256, "84820100"),
        (65_535, "8482FFFF"),
        (65_536, "8483010000"),
    ],
)
def test_lengths_take_their_shortest_form(size: int, head: str) -> None:
    raw = Tlv(0x84, bytes(size)).encode()
    assert raw == bytes.fromhex(head) + bytes(size)
    assert Tlv.parse(raw).length_octets == 0


def test_a_tag_that_iso_reserves_and_emv_uses_is_taken() -> None:
    raw = bytes.fromhex("BF0C04C7020102")
    assert Tlv.parse(raw) == Tlv(0xBF0C, (Tlv(0xC7, b"\x01\x02"),))
    assert has_reserved_tag(Tlv.parse(raw))
    assert not has_reserved_tag(Tlv(0x9F36, b"\x00"))


# Refusals


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("", id="nothing"),
        pytest.param("84", id="no length"),
        pytest.param("9F", id="long tag cut off"),
        pytest.param("9F81", id="longer tag cut off"),
        pytest.param("9F818181 00", id="tag of four bytes"),
        pytest.param("9F81818101 00", id="tag of five bytes"),
        pytest.param("8481", id="length cut off"),
        pytest.param("848201", id="long length cut off"),
        pytest.param("840255", id="value cut off"),
        pytest.param("8480", id="indefinite length"),
        pytest.param("A580840155 0000", id="indefinite length of a template"),
        pytest.param("A503840255", id="child longer than its parent"),
        pytest.param("A5039F3602", id="child's value outside its parent"),
        pytest.param("A50184", id="child without length"),
        pytest.param("A5029F36", id="child's length outside its parent"),
        pytest.param("00840155", id="padding 00 before"),
        pytest.param("84015500", id="padding 00 behind"),
        pytest.param("840155FF", id="padding FF behind"),
        pytest.param("A50400840155", id="padding within a template"),
        pytest.param("840155840166", id="two objects"),
    ],
)
def test_malformed_input_is_refused(raw: str) -> None:
    with pytest.raises(MalformedTlv):
        Tlv.parse(bytes.fromhex(raw))


def nested(levels: int) -> bytes:
    raw = b""
    for _ in range(levels):
        raw = b"\xa5\x82" + len(raw).to_bytes(2) + raw
    return raw


def test_nesting_is_read_down_to_a_bound() -> None:
    assert Tlv.parse(nested(DEPTH_MAX)).encode() == nested(DEPTH_MAX)
    with pytest.raises(MalformedTlv, match="nested deeper"):
        Tlv.parse(nested(DEPTH_MAX + 2))
    with pytest.raises(MalformedTlv, match="nested deeper"):
        Tlv.parse(nested(10_000))


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(Tlv(0, b""), id="tag 0"),
        pytest.param(Tlv(-1, b""), id="negative tag"),
        pytest.param(Tlv(0x8401, b""), id="two bytes where one ends the tag"),
        pytest.param(Tlv(0x9F, b""), id="long tag cut off"),
        pytest.param(Tlv(0x9F00, b""), id="zero digit"),
        pytest.param(Tlv(0xDF818181, b""), id="too many bytes"),
        pytest.param(Tlv(0x6F, b""), id="bytes under a constructed tag"),
        pytest.param(Tlv(0x84, ()), id="objects under a primitive tag"),
        pytest.param(Tlv(0x84, bytes(256), 1), id="too long for its length form"),
        pytest.param(Tlv(0x84, b"", 5), id="no such length form"),
        pytest.param(Tlv(0x84, b"", -1), id="negative length form"),
    ],
)
def test_what_is_no_data_object_is_not_encoded(item: Tlv) -> None:
    with pytest.raises(UsageError):
        item.encode()


# Finding


def test_objects_are_found_by_their_path() -> None:
    fci = Tlv.parse(FCI)
    serial = fci.find(0xA5, 0xBF0C, 0xC7)
    assert serial is not None
    assert serial.value == bytes.fromhex("0000000011223344")
    assert find((fci,), 0x6F, 0xA5, 0xBF0C, 0xC7) == serial
    assert fci.find() is fci
    assert fci.find(0xC7) is None
    assert fci.find(0x84, 0x01) is None
    assert list(find_all((fci,))) == []


def test_every_branch_of_a_path_is_followed_in_order() -> None:
    directory = Tlv(
        0x70,
        (
            Tlv(0x61, (Tlv(0x50, b"no AID here"),)),
            Tlv(0x61, (Tlv(0x4F, b"first"),)),
            Tlv(0x61, (Tlv(0x4F, b"second"), Tlv(0x4F, b"third"))),
        ),
    )
    found = [item.value for item in find_all(directory.children, 0x61, 0x4F)]
    assert found == [b"first", b"second", b"third"]
    assert directory.find(0x61, 0x4F) == Tlv(0x4F, b"first")


def test_a_walk_meets_every_object_in_order() -> None:
    assert [item.tag for item in Tlv.parse(FCI).walk()] == [0x6F, 0x84, 0xA5, 0xBF0C, 0xC7, 0x53]


def test_one_object_is_read_out_of_a_filled_record() -> None:
    record = b"\xff" + FCI + bytes(10)
    item, end = Tlv.parse_first(record, 1)
    assert item.encode() == FCI
    assert record[end:] == bytes(10)
    for offset in (-1, len(record), len(record) + 1):
        with pytest.raises(MalformedTlv):
            Tlv.parse_first(record, offset)
    with pytest.raises(MalformedTlv):
        Tlv.parse_first(record, end)
