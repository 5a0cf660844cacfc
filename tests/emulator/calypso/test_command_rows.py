"""Every row of the command table, reaching every status word that it declares.

A case names its row and status word; together they are the coverage report (`docs/calypso-commands.md`
prints it). A refusal must leave the card's data as they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.calypso_cases import CASES, NOT_REACHED, Case, run

from cardbench.emulator.calypso.table import COMMANDS
from cardbench.emulator.chassis import ANY

if TYPE_CHECKING:
    from cardbench.emulator.calypso import CalypsoCard
    from cardbench.emulator.chassis import CommandRow

BY_THE_TABLE = {0x6B00, 0x6D00}
"""What a row's instruction is refused with before a row is found."""
NEVER_WAIVED = {0x9000, 0x6400, 0x6700, 0x6982, 0x6985, 0x6988, 0x6A80, 0x6A82, 0x6A83, 0x6B00}


@pytest.mark.parametrize("case", CASES, ids=Case.title)
def test_a_row_answers(case: Case) -> None:
    run(case)


@pytest.mark.parametrize("row", list(COMMANDS), ids=lambda row: row.name)
def test_every_declared_status_word_is_reached(row: CommandRow[CalypsoCard]) -> None:
    reached = {case.sw for case in CASES if case.row == row.name}
    waived = {sw for name, sw in NOT_REACHED if name == row.name}
    assert set(row.answers) <= reached | waived
    assert reached - set(row.answers) <= BY_THE_TABLE
    assert not waived & (reached | NEVER_WAIVED)


@pytest.mark.parametrize("ins", sorted({row.ins for row in COMMANDS}), ids="{:02X}".format)
def test_parameters_that_no_row_takes_are_refused(ins: int) -> None:
    rows = [row for row in COMMANDS if row.ins == ins]
    takes_all = any(row.p1 == row.p2 == ANY for row in rows)
    cases = [case for case in CASES if case.sw == 0x6B00 and case.row in {r.name for r in rows}]
    assert bool(cases) is not takes_all or ins == 0xCA  # Get Data refuses its tags itself


def test_cases_name_rows_of_the_table() -> None:
    assert {case.row for case in CASES} == {row.name for row in COMMANDS}
