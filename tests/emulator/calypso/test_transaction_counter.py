"""What counts the transaction counter down, by how much, and what is refused where none is left.

Every case of the catalogue is played, so that nothing else counts either.

Source: calypso-card §5.7, §4.23.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from support.calypso_cases import CASES
from support.calypso_cases.steps import card_of_peer, exhausted, situated

from cardbench.emulator.calypso.structure import PIN_TRIES_KEY, TRANSACTION_COUNTER_KEY
from cardbench.emulator.calypso.table import COMMANDS

if TYPE_CHECKING:
    from support.calypso_cases.case import Case

OPENS = {row.name for row in COMMANDS if row.name.startswith("Open Secure Session")}
PRESENTATIONS = {"Verify PIN (plain)", "Verify PIN (ciphered)"}
CHANGES = {"Change PIN", "Change Key"}
OPERATIONS = {"SV Reload", "SV Debit", "SV Undebit"}
COUNTING = OPENS | PRESENTATIONS | CHANGES | OPERATIONS
ROWS = sorted({case.row for case in CASES})


def counted(case: Case) -> tuple[int, int, int]:
    """Play a case; return the status word, by how much the counter went down, and the tries before."""
    peer, command = situated(case)
    card = card_of_peer(peer)
    before, tries = card.memory[TRANSACTION_COUNTER_KEY], card.memory[PIN_TRIES_KEY]
    sw = int(peer.send(command)[-4:], 16)
    return sw, before - card.memory[TRANSACTION_COUNTER_KEY], tries  # type: ignore[operator,return-value]


def expected(row: str, sw: int, tries: int) -> set[int]:
    """By how much the counter may have gone down."""
    succeeded = sw in (0x9000, 0x6200)
    if row in OPENS | OPERATIONS:
        return {int(succeeded)}
    if row in PRESENTATIONS:  # right or wrong, but not where the PIN is blocked
        return {int(succeeded or sw >> 4 == 0x63C or (sw == 0x6983 and tries > 0))}
    if row in CHANGES:  # behind a challenge, a wrong cryptogram counts too
        return {1} if succeeded or sw == 0x6988 else {0, 1} if sw == 0x6A80 else {0}
    return {0}


@pytest.mark.parametrize("row", ROWS)
def test_a_transaction_is_counted_once_or_not_at_all(row: str) -> None:
    for case in (each for each in CASES if each.row == row):
        sw, by, tries = counted(case)
        assert by in expected(row, sw, tries), f"{case.title()} counted {by}"


def test_what_counts_is_refused_where_no_transaction_is_left_and_nothing_else_is() -> None:
    refused: dict[str, set[bool]] = defaultdict(set)
    for case in CASES:
        refused[case.row].add(case.sw == 0x6900 and exhausted in case.given)
    assert {row for row, marks in refused.items() if True in marks} == COUNTING
    declared = {row.name for row in COMMANDS if 0x6900 in row.answers}
    assert declared == COUNTING
