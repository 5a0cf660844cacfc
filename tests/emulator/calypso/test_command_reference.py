"""Every row of the facts sheet's command reference: its index and each status word of each command.

The ids are the sheet's rows, so that a row's test is found by its name; `support.calypso_sheet` is the
transcription, `support.calypso_cases` the examples by which a status word is reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from calypso_products import NEVER_GIVEN
from support.calypso_cases import CASES, run
from support.calypso_cases.steps import card_of_peer, session, situated
from support.calypso_sheet import BY_MISUSE, INDEX, STATUS_WORDS, Answers, Example, IndexRow

from cardbench.emulator.calypso.state import SessionMode
from cardbench.emulator.calypso.table import COMMANDS

if TYPE_CHECKING:
    from support.calypso_peer import Peer

INDEXED = pytest.mark.parametrize("row", INDEX, ids=IndexRow.title)
OVERHEAD_BYTES = 6
NOT_INDEXED = {"Select Application", "Get Response"}


def prepared(example: Example, *, in_session: bool = False) -> tuple[Peer, str]:
    """Get a card ready, in a session if asked; return the command to send."""
    return situated(example, *((session(),) if in_session and not example.opens else ()))


def played(example: Example, *, in_session: bool = False) -> tuple[Peer, str, str]:
    """Send an example; return it and the answer."""
    peer, command = prepared(example, in_session=in_session)
    return peer, command, peer.send(command)


def data_size(command: str) -> int:
    return int(command[8:10], 16) if len(command) > 10 else 0


def succeeds(answer: str, example: Example) -> bool:
    return int(answer[-4:], 16) == example.sw


# §4.0, column by column


@INDEXED
def test_the_index_row_is_answered(row: IndexRow) -> None:
    reached = set()
    for example in row.examples:
        peer, _, answer = played(example)
        assert succeeds(answer, example), f"{example} was answered {answer}"
        last = card_of_peer(peer).last_row
        assert last is not None
        assert last.ins == row.ins
        reached.add(last.name)
    assert reached <= set(row.forms)
    assert reached == set(row.forms) or row.name == "Put Data"  # each part has its case


@INDEXED
def test_the_index_row_has_the_parameters_and_lengths_of_the_sheet(row: IndexRow) -> None:
    forms = [form for form in COMMANDS if form.name in row.forms]
    assert {form.ins for form in forms} == {row.ins}
    if row.p1 is not None and row.p2 is not None:
        assert {p1 for form in forms for p1 in form.p1.values()} == set(row.p1)
        assert {p2 for form in forms for p2 in form.p2.values()} == set(row.p2)
    assert {length for form in forms for length in form.lc} == set(row.lc)


@INDEXED
def test_the_index_row_has_the_case_of_the_sheet_and_needs_no_le(row: IndexRow) -> None:
    """Case 1 is sent as five bytes or four, case 2 may come with Le 00 or none, case 4 without its Le."""
    for example in row.examples:
        _, command, answer = played(example)
        nc, has_data = data_size(command), len(answer) > 4
        case = (4 if has_data else 3) if nc else (2 if has_data else 1)
        assert case in row.cases
        if row.name == "Get Challenge":
            continue  # it alone demands its Le
        answers = set()
        for le in ("", "00"):
            peer, _ = prepared(example)
            answers.add(peer.send(command[: 10 + 2 * nc if nc else 8] + le))
        assert len(answers) == 1
        assert case == 2 or answers == {answer}


@pytest.mark.parametrize("row", [each for each in INDEX if each.where == "yes"], ids=IndexRow.title)
def test_the_index_row_works_in_a_session_and_is_digested_and_charged(row: IndexRow) -> None:
    for example in row.examples:
        if example.preset != "workshop":
            continue  # its command is another form of one that the workshop has
        peer, command = prepared(example, in_session=True)
        running = card_of_peer(peer).volatile.session
        assert running is not None
        left, absorbed = running.buffer_left, running.mac_digest.elements
        answer = peer.send(command)
        assert answer[-4:] in ("9000", "6200"), f"{command} was answered {answer}"
        cost = data_size(command) + OVERHEAD_BYTES if row.cost else 0
        assert left - running.buffer_left == cost
        assert running.mac_digest.elements == absorbed + 2
        peer.close_ok()


@pytest.mark.parametrize(
    "row", [each for each in INDEX if each.where in ("no", "executed")], ids=IndexRow.title
)
def test_the_index_row_in_a_session_is_refused_or_only_terminals_refuse_it(row: IndexRow) -> None:
    for example in row.examples:
        peer, command, answer = played(example, in_session=True)
        assert answer[-4:] == ("6985" if row.where == "no" else "9000"), command
        peer.close_ok()


def test_the_other_index_rows_are_the_ones_that_open_manage_and_close_sessions() -> None:
    others = {row.name: row.where for row in INDEX if row.where not in ("yes", "no", "executed")}
    assert others == {
        "Open Secure Session": "opens",
        "Manage Secure Session": "extended only",
        "Close Secure Session": "closes",
        "Ratification": "after close",
    }
    for row in INDEX:
        for example in row.examples if row.where == "opens" else ():
            running = card_of_peer(played(example)[0]).volatile.session
            assert (running is None) is (example.sw == 0x6200)
        for example in row.examples if row.where == "closes" else ():
            assert card_of_peer(played(example)[0]).volatile.session is None
        for example in row.examples if row.where == "extended only" else ():
            running = card_of_peer(played(example)[0]).volatile.session
            assert running is not None
            assert running.mode is SessionMode.EXTENDED


def test_every_row_of_the_cards_table_is_in_the_index() -> None:
    indexed = [form for row in INDEX for form in row.forms]
    assert len(indexed) == len(set(indexed))
    assert {row.name for row in COMMANDS} == set(indexed) | NOT_INDEXED


# The status word tables

PAIRS = [(answers, word) for answers in STATUS_WORDS for word in answers.words.split()]


def never_given(command: str) -> set[str]:
    """Status words that the command page says this card never gives for a command."""
    return {
        word
        for each in NEVER_GIVEN
        if command in each.commands and not each.when
        for word in each.words
    }


@pytest.mark.parametrize(
    ("answers", "word"), PAIRS, ids=[f"{a.section} {a.command} {word}" for a, word in PAIRS]
)
def test_the_status_word_of_the_sheet_is_given(answers: Answers, word: str) -> None:
    cases = [case for case in CASES if case.row in answers.forms and f"{case.sw:04X}" == word]
    if word in never_given(answers.command):
        assert not cases
        return
    assert cases, f"no case reaches {word}"
    for case in cases:
        run(case)


@pytest.mark.parametrize("answers", STATUS_WORDS, ids=lambda answers: answers.command)
def test_the_declared_status_words_are_those_of_the_sheet(answers: Answers) -> None:
    declared = {f"{sw:04X}" for row in COMMANDS if row.name in answers.forms for sw in row.answers}
    sheet = set(answers.words.split()) - never_given(answers.command)
    by_misuse = {f"{sw:04X}" for command, sw in BY_MISUSE if command == answers.command}
    assert not by_misuse & sheet
    by_the_table = {"6B00", "6D00"}  # unknown parameters, unknown instruction: no row's to declare
    assert sheet - declared <= by_the_table
    assert declared - sheet == by_misuse


def test_every_row_of_the_cards_table_has_a_table_of_status_words() -> None:
    listed = {form for answers in STATUS_WORDS for form in answers.forms}
    assert {row.name for row in COMMANDS} == listed | {"Get Response"}


def test_what_is_said_never_to_be_given_is_in_the_sheet() -> None:
    words = {(answers.command, word) for answers in STATUS_WORDS for word in answers.words.split()}
    waived = {
        (command, word) for each in NEVER_GIVEN for command in each.commands for word in each.words
    }
    assert {pair for pair in waived - words if not pair[1].endswith("XX")} == set()
