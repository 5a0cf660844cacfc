"""Every row of the command table, reaching every status word that it declares.

A case names its row and status word; together they are the coverage report (`docs/calypso-commands.md`
prints it). A refusal must leave the card's data as they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.calypso_cases import CASES, NOT_REACHED, Case, run

from cardbench.emulator.calypso.table import COMMANDS

if TYPE_CHECKING:
    from cardbench.emulator.calypso import CalypsoCard
    from cardbench.emulator.chassis import CommandRow

NEVER_WAIVED = {0x9000, 0x6400, 0x6700, 0x6982, 0x6985, 0x6988, 0x6A80, 0x6A82, 0x6A83, 0x6B00}


@pytest.mark.parametrize("case", CASES, ids=Case.title)
def test_a_row_answers(case: Case) -> None:
    run(case)


@pytest.mark.parametrize("row", list(COMMANDS), ids=lambda row: row.name)
def test_every_declared_status_word_is_reached(row: CommandRow[CalypsoCard]) -> None:
    reached = {case.sw for case in CASES if case.row == row.name}
    waived = {sw for name, sw in NOT_REACHED if name == row.name}
    assert reached | waived == set(row.answers)
    assert not waived & (reached | NEVER_WAIVED)


def test_cases_name_rows_of_the_table() -> None:
    assert {case.row for case in CASES} == {row.name for row in COMMANDS}
