"""The mask of a published trace excuses what secrets and chance fill, and nothing else."""

from __future__ import annotations

import pytest
from support.calypso_traces import ALL, Trace
from support.published import CardMasks, Field, Fill, Side, assert_published, masked


def exchanges(trace: Trace) -> list[tuple[bytes, bytes, tuple[Field, ...]]]:
    masks = CardMasks()
    found = []
    for sent, answered, *_ in trace.exchanges:
        command, response = bytes.fromhex(sent), bytes.fromhex(answered)
        found.append((command, response, masks.fields(command, response)))
    return found


@pytest.mark.parametrize("trace", ALL, ids=lambda trace: trace.name.replace("§", ""))
def test_any_other_byte_that_differs_is_refused(trace: Trace) -> None:
    for command, response, fields in exchanges(trace):
        for side, raw in ((Side.COMMAND, command), (Side.RESPONSE, response)):
            hidden = {i for f in fields if f.side is side for i in range(f.start, f.stop)}
            for index in range(len(raw)):
                altered = raw[:index] + bytes((raw[index] ^ 0x01,)) + raw[index + 1 :]
                ours = (altered, response) if side is Side.COMMAND else (command, altered)
                if index in hidden:
                    assert_published(fields, (command, response), ours)
                else:
                    with pytest.raises(AssertionError):
                        assert_published(fields, (command, response), ours)


@pytest.mark.parametrize("change", [b"", b"\x00"])
def test_another_length_is_refused(change: bytes) -> None:
    masks = CardMasks()
    command, response = bytes.fromhex("008E80000412345678 00"), bytes.fromhex("9ABCDEF09000")
    fields = masks.fields(command, response)
    longer = response + change if change else response[1:]
    with pytest.raises(AssertionError):
        assert_published(fields, (command, response), (command, longer))


def test_a_mask_of_another_kind_is_refused() -> None:
    field = Field(Side.RESPONSE, 0, 3, "transaction counter")  # type: ignore[arg-type]
    exchange = (b"\x00\x84\x00\x00\x08", bytes(10))
    with pytest.raises(TypeError, match="transaction counter"):
        assert_published((field,), exchange, exchange)


def mask_of(*exchange: str) -> tuple[str, str]:
    masks = CardMasks()
    command, response = (bytes.fromhex(text) for text in exchange)
    fields = masks.fields(command, response)
    return masked(command, Side.COMMAND, fields), masked(response, Side.RESPONSE, fields)


@pytest.mark.parametrize(
    ("exchange", "command", "response"),
    [
        (
            ("008A030104C1C2C3C400", "03049098003079009000"),
            "008A030104········00",
            "030490··003079009000",
        ),
        (
            ("008A03020900C1C2C3C4C5C6C7C800", "C8C7C6C5C4C3C2C1023079009000"),
            "008A03020900················00",
            "C8C7C6··········023079009000",
        ),
        (
            ("948A8B3804C1C2C3C400", "79030D30719000"),
            "948A8B3804········00",
            "79030D30··9000",
        ),
        (("948A0B3804C1C2C3C400", "030D30719000"), "948A0B3804········00", "030D30··9000"),
        (("008A030104C1C2C3C400", "6985"), "008A030104········00", "6985"),
        (("0084000008", "C1C2C3C4C5C6C7C89000"), "0084000008", "················9000"),
        (("00200000081122334455667788", "9000"), "0020000008················", "9000"),
        (("002000000430303030", "9000"), "002000000430303030", "9000"),
        (("00D800FF0434353637", "9000"), "00D800FF0434353637", "9000"),
        (
            ("007C00091E", "CD1234A54BC97DFA5643219000"),
            "007C00091E",
            "CD1234··········5643219000",
        ),
        (
            ("00B8959117160000007900000002000012345678 0000DE2C8CB3D280", "A54BC99000"),
            "00B8····17··00000079000000020000123456780000DE··········",
            "······9000",
        ),
        (
            ("00BACD001434FFFE000000007912345678 0000DF0C9437AABB", "A54BC99000"),
            "00BA····14··FFFE0000000079123456780000DF··········",
            "······9000",
        ),
        (("00B2013C1D", "71119000"), "00B2013C1D", "71119000"),
    ],
)
def test_the_mask_of_each_command(exchange: tuple[str, str], command: str, response: str) -> None:
    assert mask_of(*exchange) == (command, response)


def test_postponed_signatures_are_masked_and_postponed_counters_are_not() -> None:
    masks = CardMasks()
    for sent, answered in (
        ("94300108030000 01", "6200"),
        ("FABACD001434FFFE000000007912345678 0000DF0C9437AABB", "6200"),
    ):
        masks.fields(bytes.fromhex(sent), bytes.fromhex(answered))
    command = bytes.fromhex("948E8000041234567800")
    response = bytes.fromhex("0434567804A54BC9FEDCBA989000")
    fields = masks.fields(command, response)
    assert masked(response, Side.RESPONSE, fields) == "0434567804··············9000"
    assert {field.fill for field in fields} == {Fill.MAC, Fill.SIGNATURE}


def test_data_fields_are_masked_in_an_encrypted_section_only() -> None:
    masks = CardMasks()
    shown = []
    for sent, answered in (
        ("00DC010C01AA", "9000"),
        ("0082000200", "9000"),
        ("00DC010C01E1", "9000"),
        ("00B2010C01", "E19000"),
        ("0082000000", "9000"),
        ("00B2010C01", "119000"),
    ):
        command, response = bytes.fromhex(sent), bytes.fromhex(answered)
        fields = masks.fields(command, response)
        shown.append(
            masked(command, Side.COMMAND, fields) + " " + masked(response, Side.RESPONSE, fields)
        )
    assert shown == [
        "00DC010C01AA 9000",
        "0082000200 9000",
        "00DC010C01·· 9000",
        "00B2010C01 ··9000",
        "0082000000 9000",
        "00B2010C01 119000",
    ]
