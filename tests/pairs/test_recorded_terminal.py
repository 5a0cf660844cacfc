"""Our cards and SAMs answer an outside terminal's requests: recorded once, played again without it.

The terminal is the reference implementation of the CNA Terminal APIs; its requests are facts that we did not
write. Card and SAM must satisfy each other over them: the SAM accepts the card's MACs, the card the SAM's.

Source: `tests/vectors/recorded-terminal.toml`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from support.recorded_terminal import Flip, recorded_sessions, replay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.recorded_terminal import RecordedSession

SESSIONS = recorded_sessions()
RECORDED_WITH = "1"
OPEN_ON_CARD = re.compile(r"(00|94)8A")
ABORT = re.compile(r"(00|94)8E000000$")
DIGEST_AUTHENTICATE = re.compile(r"(80|94)82")
WRONG_ANYWAY = re.compile(r"(6988|63C.)$")


def _each(sessions: list[RecordedSession]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("session", sessions, ids=lambda session: session.what)


@pytest.mark.parametrize("seed", [RECORDED_WITH, "another"])
@_each(SESSIONS)
def test_a_recorded_session_is_answered_as_it_was(session: RecordedSession, seed: str) -> None:
    assert replay(session, seed) == [exchange.answer for exchange in session.exchanges]


def _within_abandoned(session: RecordedSession) -> set[int]:
    """Return the exchanges from each Open to the abort that made it vain."""
    vain: set[int] = set()
    opened = 0
    for number, exchange in enumerate(session.exchanges):
        if session.readers[exchange.reader].startswith("sam"):
            continue
        if OPEN_ON_CARD.match(exchange.request):
            opened = number
        elif ABORT.match(exchange.request):
            vain.update(range(opened, number))
    return vain


def _flips(session: RecordedSession) -> Iterator[Flip]:
    vain = _within_abandoned(session)
    for number, exchange in enumerate(session.exchanges):
        if number not in vain:
            for nth in range(len(exchange.passed_on)):
                yield Flip(number, nth)


def _counts(session: RecordedSession) -> bool:
    """Whether every flip must be seen.

    A cryptogram that is wrong anyway stays wrong, and a SAM certifies the serial number that it is given: the
    terminal that verifies the certificate sees that.
    """
    wrong = any(WRONG_ANYWAY.search(exchange.answer) for exchange in session.exchanges)
    return not wrong and "sam:pki" not in session.readers and any(_flips(session))


@pytest.mark.slow
@_each([each for each in SESSIONS if _counts(each)])
def test_one_flipped_bit_in_what_the_terminal_passes_on_is_noticed(
    session: RecordedSession,
) -> None:
    recorded = [exchange.answer for exchange in session.exchanges]
    for flip in _flips(session):
        assert replay(session, RECORDED_WITH, flip=flip) != recorded, flip


def test_the_sam_accepts_the_mac_of_every_session_that_was_closed() -> None:
    authenticated = [
        exchange
        for session in SESSIONS
        for exchange in session.exchanges
        if session.readers[exchange.reader].startswith("sam")
        and DIGEST_AUTHENTICATE.match(exchange.request)
    ]
    assert all(exchange.answer == "9000" for exchange in authenticated)
    assert len(authenticated) > 60
