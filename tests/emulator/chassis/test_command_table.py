"""The command table: who answers, who refuses, and what a row says of itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.emulator.chassis import (
    ANY,
    ANY_DATA,
    NO_DATA,
    ByteRule,
    CommandTable,
    Refusal,
    between,
    bits,
    exactly,
)
from cardbench.protocol.apdu import CommandApdu, IsoCase
from cardbench.protocol.errors import UsageError


def table_of_three() -> CommandTable[None]:
    table: CommandTable[None] = CommandTable("three")

    @table.command(
        name="short write",
        ins=0xD6,
        p1=bits("SFI", 0xE0, 0x80),
        lc=range(1, 11),
        cases={IsoCase.DATA_IN},
        answers=(0x9000,),
        source="1",
    )
    def short_write(_card: None, command: CommandApdu) -> bytes:
        return b"short" + command.data

    @table.command(
        name="long write",
        ins=0xD6,
        p1=bits("SFI", 0xE0, 0x80),
        lc=range(11, 21),
        cases={IsoCase.DATA_IN},
        answers=(0x9000,),
        source="2",
        traits={"modifies"},
    )
    def long_write(_card: None, command: CommandApdu) -> bytes:
        return b"long" + command.data

    @table.command(
        name="read",
        ins=0xB0,
        p1=exactly(0),
        p2=between(4, 6),
        cases={IsoCase.DATA_OUT},
        answers=(0x9000, 0x6A82),
        source="3",
        where="session",
    )
    def read(_card: None, _command: CommandApdu) -> tuple[bytes, int]:
        return b"", 0x6A82

    return table


def answer(table: CommandTable[None], command: CommandApdu) -> object:
    try:
        return table.find(command).handler(None, command)
    except Refusal as refusal:
        return refusal.sw


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (CommandApdu(0, 0xB0, 0, 4), (b"", 0x6A82)),
        (CommandApdu(0, 0xB0, 0, 6, ne=1), (b"", 0x6A82)),
        (CommandApdu(0, 0xB0, 0, 3), 0x6B00),
        (CommandApdu(0, 0xB0, 0, 7), 0x6B00),
        (CommandApdu(0, 0xB0, 1, 4), 0x6B00),
        (CommandApdu(0, 0xB0, 0, 4, b"x"), 0x6700),
        (CommandApdu(0, 0xB1, 0, 4), 0x6D00),
        (CommandApdu(0, 0xD6, 0x9F, 0, b"a"), b"shorta"),
        (CommandApdu(0, 0xD6, 0x80, 0, b"a" * 10), b"short" + b"a" * 10),
        (CommandApdu(0, 0xD6, 0x80, 0, b"a" * 11), b"long" + b"a" * 11),
        (CommandApdu(0, 0xD6, 0x80, 0, b"a" * 21), 0x6700),
        (CommandApdu(0, 0xD6, 0x80, 0), 0x6700),
        (CommandApdu(0, 0xD6, 0xA0, 0, b"a"), 0x6B00),
    ],
)
def test_the_row_that_fits_answers_and_else_the_reason_does(
    command: CommandApdu, expected: object
) -> None:
    table = table_of_three()
    assert answer(table, command) == expected
    assert answer(table, command) == expected  # found again, now from memory


def test_a_table_may_refuse_unknown_parameters_in_its_own_way() -> None:
    table: CommandTable[None] = CommandTable("own", unknown_parameters=0x6A86)
    table.command(
        name="read", ins=0xB0, p1=exactly(0), cases={IsoCase.NO_DATA}, answers=(), source=""
    )(lambda _card, _command: b"")
    assert answer(table, CommandApdu(0, 0xB0, 1, 0)) == 0x6A86
    assert answer(table.subset(lambda _row: True), CommandApdu(0, 0xB0, 1, 0)) == 0x6A86


def test_one_instruction_may_refuse_parameters_in_its_own_way() -> None:
    table = table_of_three()
    assert answer(table, CommandApdu(0, 0xB0, 1, 4)) == 0x6B00
    table.refuse_parameters(0xB0, 0x6A00)
    assert table.parameter_refusal(0xB0) == 0x6A00
    for same in (table, table.subset(lambda _row: True)):
        assert answer(same, CommandApdu(0, 0xB0, 1, 4)) == 0x6A00
        assert answer(same, CommandApdu(0, 0xD6, 0xA0, 0, b"a")) == 0x6B00


def test_a_row_declared_later_is_found_too() -> None:
    table = table_of_three()
    late = CommandApdu(0, 0xB2, 0, 0)
    assert answer(table, late) == 0x6D00
    table.command(name="late", ins=0xB2, cases={IsoCase.NO_DATA}, answers=(0x9000,), source="")(
        lambda _card, _command: b"late"
    )
    assert answer(table, late) == b"late"


def test_rows_can_be_read_for_documentation() -> None:
    rows = {row.name: row for row in table_of_three()}
    assert list(rows) == ["read", "short write", "long write"]  # by instruction, then as declared
    assert rows["read"].where == "session"
    assert rows["read"].answers == (0x9000, 0x6A82)
    assert rows["read"].p2.text == "04…06"
    assert rows["read"].p1.text == "00"
    assert rows["long write"].traits == {"modifies"}
    assert rows["short write"].cases == {IsoCase.DATA_IN}
    assert "handler" not in repr(rows["read"])


def test_a_product_s_table_is_a_part_of_the_family_s() -> None:
    table = table_of_three()
    part = table.subset(lambda row: "modifies" not in row.traits)
    assert [row.name for row in part] == ["read", "short write"]
    assert answer(part, CommandApdu(0, 0xD6, 0x80, 0, b"a" * 11)) == 0x6700
    assert len(list(table)) == 3


def test_rows_that_a_command_may_have_meant_are_told() -> None:
    table = table_of_three()
    by_length = table.rows_for(CommandApdu(0, 0xD6, 0x80, 0, b"a" * 99))
    assert [row.name for row in by_length] == ["short write", "long write"]
    assert [row.name for row in table.rows_for(CommandApdu(0, 0xB0, 9, 9))] == ["read"]
    assert table.rows_for(CommandApdu(0, 0x00, 0, 0)) == []


@pytest.mark.parametrize(
    ("cases", "lengths"),
    [
        ({IsoCase.NO_DATA}, {0}),
        ({IsoCase.DATA_OUT}, {0}),
        ({IsoCase.NO_DATA, IsoCase.DATA_OUT}, {0}),
        ({IsoCase.DATA_IN}, {*range(1, 256)}),
        ({IsoCase.DATA_IN, IsoCase.DATA_IN_OUT}, {*range(1, 256)}),
        ({IsoCase.DATA_OUT, IsoCase.DATA_IN_OUT}, {*range(256)}),
        (set(IsoCase), {*range(256)}),
    ],
)
def test_the_lengths_that_a_row_takes_follow_from_its_cases(
    cases: set[IsoCase], lengths: set[int]
) -> None:
    table: CommandTable[None] = CommandTable("cases")
    table.command(name="x", ins=1, cases=cases, answers=(), source="")(lambda _card, _command: b"")
    (row,) = table
    assert {size for size in range(300) if size in row.lc} == lengths


@pytest.mark.parametrize(
    ("cases", "lc"),
    [
        ({IsoCase.NO_DATA}, ANY_DATA),
        ({IsoCase.DATA_OUT}, range(2)),
        ({IsoCase.DATA_IN}, NO_DATA),
        ({IsoCase.DATA_IN}, range(5)),
        ({IsoCase.DATA_IN, IsoCase.DATA_OUT}, NO_DATA),
        ({IsoCase.DATA_IN, IsoCase.DATA_OUT}, ANY_DATA),
        (set(), NO_DATA),
        ({IsoCase.DATA_IN}, ()),
    ],
)
def test_a_row_whose_lengths_contradict_its_cases_is_refused(
    cases: set[IsoCase], lc: range | tuple[int, ...]
) -> None:
    table: CommandTable[None] = CommandTable("cases")
    with pytest.raises(UsageError, match="x: "):
        table.command(name="x", ins=1, cases=cases, lc=lc, answers=(), source="")
    assert list(table) == []


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_a_rule_allows_exactly_the_values_it_lists(
    mask: int, value: int, low: int, high: int
) -> None:
    for rule in (ANY, exactly(value), between(low, high), bits("", mask, value & mask)):
        assert rule.values() == [byte for byte in range(256) if rule.allows(byte)]
    assert exactly(value).values() == [value]
    assert between(low, high).values() == [*range(low, high + 1)]
    assert len(ANY.values()) == 256
    assert len(bits("", mask, value & mask).values()) == 2 ** (8 - mask.bit_count())


def test_mask_and_range_hold_together() -> None:
    assert ByteRule("", mask=0x07, value=0x04, low=8, high=31).values() == [12, 20, 28]


def test_a_refusal_is_named_by_its_status_word() -> None:
    assert str(Refusal(0x6982)) == "6982"
