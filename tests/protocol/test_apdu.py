"""Command and response APDUs: all cases, both forms, an outside implementation, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cardbench.protocol.apdu import (
    CommandApdu,
    IsoCase,
    ResponseApdu,
    without_le_of_case_4,
)
from cardbench.protocol.errors import MalformedApdu, UsageError

# An outside implementation


@pytest.mark.vectors("apdu.json", "encoded")
def test_commands_are_encoded_as_another_implementation_encodes_them(
    vector: dict[str, Any],
) -> None:
    data = bytes((7 * at + 1) & 0xFF for at in range(vector["nc"]))
    command = CommandApdu(0x80, 0xC2, 0x01, 0xFF, data, vector["ne"] or None)
    raw = bytes.fromhex(vector["head"]) + data + bytes.fromhex(vector["tail"])
    assert command.encode() == raw


@pytest.mark.vectors("apdu.json", "decoded")
def test_commands_are_read_as_another_implementation_reads_them(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["raw"])
    command = CommandApdu.parse(raw)
    assert bytes(command[:4]) == raw[:4]
    assert command.data == bytes.fromhex(vector["data"])
    assert (command.ne or 0) == vector["ne"]


@pytest.mark.vectors("apdu.json", "refused")
def test_commands_are_refused_that_another_implementation_refuses(vector: str) -> None:
    with pytest.raises(MalformedApdu):
        CommandApdu.parse(bytes.fromhex(vector))


# The cases


HEADER = (0x00, 0xB2, 0x01, 0x3C)


@pytest.mark.parametrize(
    ("command", "case", "raw"),
    [
        (CommandApdu(*HEADER), IsoCase.NO_DATA, "00B2013C"),
        (CommandApdu(*HEADER, ne=29), IsoCase.DATA_OUT, "00B2013C1D"),
        (CommandApdu(*HEADER, ne=256), IsoCase.DATA_OUT, "00B2013C00"),
        (CommandApdu(*HEADER, ne=257), IsoCase.DATA_OUT, "00B2013C000101"),
        (CommandApdu(*HEADER, ne=65_536), IsoCase.DATA_OUT, "00B2013C000000"),
        (CommandApdu(*HEADER, b"\xaa"), IsoCase.DATA_IN, "00B2013C01AA"),
        (CommandApdu(*HEADER, b"\xaa", ne=1), IsoCase.DATA_IN_OUT, "00B2013C01AA01"),
        (CommandApdu(*HEADER, b"\xaa", ne=256), IsoCase.DATA_IN_OUT, "00B2013C01AA00"),
        (CommandApdu(*HEADER, b"\xaa", ne=257), IsoCase.DATA_IN_OUT, "00B2013C000001AA0101"),
        (CommandApdu(*HEADER, b"\xaa", ne=65_536), IsoCase.DATA_IN_OUT, "00B2013C000001AA0000"),
    ],
)
def test_each_case_has_its_encoding(command: CommandApdu, case: IsoCase, raw: str) -> None:
    assert command.case is case
    assert command.encode() == bytes.fromhex(raw)
    assert CommandApdu.parse(bytes.fromhex(raw)).encode() == bytes.fromhex(raw)


@pytest.mark.parametrize(
    ("command", "raw"),
    [
        (CommandApdu(*HEADER, ne=256, extended=True), "00B2013C000100"),
        (CommandApdu(*HEADER, b"\xaa", extended=True), "00B2013C000001AA"),
        (CommandApdu(*HEADER, b"\xaa", ne=1, extended=True), "00B2013C000001AA0001"),
    ],
)
def test_the_extended_form_can_be_asked_for_and_is_kept(command: CommandApdu, raw: str) -> None:
    assert command.encode() == bytes.fromhex(raw)
    assert CommandApdu.parse(bytes.fromhex(raw)) == command


@pytest.mark.parametrize("nc", [255, 256, 65_535])
@pytest.mark.parametrize("ne", [None, 1, 256, 65_536])
def test_data_grows_into_the_extended_form(nc: int, ne: int | None) -> None:
    command = CommandApdu(*HEADER, bytes(nc), ne)
    read = CommandApdu.parse(command.encode())
    assert read == command._replace(extended=nc > 255 or (ne or 0) > 256)


# Exactness


@st.composite
def near_apdus(draw: st.DrawFn) -> bytes:
    """Byte strings whose Lc is right, or wrong by little, in both forms."""
    body = draw(st.binary(max_size=20))
    size = max(0, len(body) + draw(st.integers(-3, 1)))
    lc = draw(st.sampled_from([bytes((size,)), b"\0" + size.to_bytes(2), b""]))
    return draw(st.binary(min_size=4, max_size=4)) + lc + body


@given(st.binary(max_size=24) | near_apdus())
@example(bytes.fromhex("00B2013C0000"))
@example(bytes.fromhex("00B2013C00000000"))
@example(bytes.fromhex("00B2013C0000000000"))
def test_any_bytes_are_refused_or_given_back_exactly(raw: bytes) -> None:
    try:
        command = CommandApdu.parse(raw)
    except MalformedApdu:
        return
    assert command.encode() == raw


header_bytes = st.integers(0, 255)
commands = st.builds(
    CommandApdu,
    *[header_bytes] * 4,
    st.binary(max_size=300),
    st.none() | st.integers(1, 65_536),
    st.booleans(),
)


@given(commands)
def test_what_is_encoded_is_read_back(command: CommandApdu) -> None:
    read = CommandApdu.parse(command.encode())
    assert read[:6] == command[:6]
    assert read.encode() == command.encode()
    assert read.case is command.case


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("", id="nothing"),
        pytest.param("00B201", id="header cut off"),
        pytest.param("00B2013C0000", id="extended Lc cut off"),
        pytest.param("00B2013C02AA", id="data cut off"),
        pytest.param("00B2013C01AABBCC", id="bytes behind Le"),
        pytest.param("00B2013C00000000", id="extended Lc of 0 with a byte"),
        pytest.param("00B2013C0000000000", id="extended Lc of 0 with Le"),
        pytest.param("00B2013C000002AA", id="extended data cut off"),
        pytest.param("00B2013C000001AA00", id="extended Le of one byte"),
        pytest.param("00B2013C000001AA000000", id="extended Le of three bytes"),
    ],
)
def test_malformed_commands_are_refused(raw: str) -> None:
    with pytest.raises(MalformedApdu):
        CommandApdu.parse(bytes.fromhex(raw))


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(CommandApdu(256, 0, 0, 0), id="CLA"),
        pytest.param(CommandApdu(0, -1, 0, 0), id="INS"),
        pytest.param(CommandApdu(0, 0, 256, 0), id="P1"),
        pytest.param(CommandApdu(0, 0, 0, 256), id="P2"),
        pytest.param(CommandApdu(0, 0, 0, 0, bytes(65_536)), id="data"),
        pytest.param(CommandApdu(0, 0, 0, 0, ne=0), id="ne 0"),
        pytest.param(CommandApdu(0, 0, 0, 0, ne=-1), id="ne -1"),
        pytest.param(CommandApdu(0, 0, 0, 0, ne=65_537), id="ne 65537"),
    ],
)
def test_what_is_no_command_is_not_encoded(command: CommandApdu) -> None:
    with pytest.raises(UsageError):
        command.encode()


# Responses


@given(st.binary(max_size=40))
def test_a_response_is_refused_or_given_back_exactly(raw: bytes) -> None:
    try:
        response = ResponseApdu.parse(raw)
    except MalformedApdu:
        assert len(raw) < 2
        return
    assert response.encode() == raw


def test_a_response_is_data_and_status_word() -> None:
    assert ResponseApdu.parse(bytes.fromhex("AABB6283")) == ResponseApdu(b"\xaa\xbb", 0x6283)
    assert ResponseApdu.parse(b"\x90\x00") == ResponseApdu(b"", 0x9000)


# Le of case 4, calypso-card §5.2


@pytest.mark.parametrize(
    ("raw", "digested"),
    [
        pytest.param("008A0B3904C1C2C3C400", "008A0B3904C1C2C3C4", id="case 4"),
        pytest.param("00320145 01 AA 00", "0032014501AA", id="case 4, one byte"),
        pytest.param("00B2013C00", "00B2013C00", id="case 2"),
        pytest.param("00B2013CFF", "00B2013CFF", id="case 2, Le FF"),
        pytest.param("00DC013C02AABB", "00DC013C02AABB", id="case 3"),
        pytest.param("00040000", "00040000", id="case 1"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_le_of_a_case_4_command_is_not_digested(raw: str, digested: str) -> None:
    assert without_le_of_case_4(bytes.fromhex(raw)) == bytes.fromhex(digested)


@given(st.binary(min_size=1, max_size=255), st.none() | st.integers(1, 256))
def test_le_is_dropped_by_true_case_for_every_length(data: bytes, ne: int | None) -> None:
    command = CommandApdu(0x00, 0x30, 0x00, 0x00, data, ne)
    assert without_le_of_case_4(command.encode()) == command._replace(ne=None).encode()


@given(st.integers(1, 256))
def test_a_command_without_data_is_never_shortened(ne: int) -> None:
    raw = CommandApdu(0x00, 0xB2, 0x01, 0x3C, ne=ne).encode()
    assert without_le_of_case_4(raw) == raw
