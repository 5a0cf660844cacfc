"""Any byte string is answered with a status word, and a refusal changes nothing that it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calypso_workshop import made

from cardbench.emulator.calypso.structure import PIN_TRIES_KEY, TRANSACTION_COUNTER_KEY
from cardbench.emulator.calypso.table import COMMANDS
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso import CalypsoCard

PRESETS = ("workshop", "kit-extended", "gtml", "light-reference", "basic", "prime-2", "prime-1")
LONGEST = 65_544
KNOWN = {*StatusWord, 0x63C1, 0x63C2}
SUCCESS = (0x90, 0x62)


def headers() -> st.SearchStrategy[bytes]:
    """Headers that the command table knows, and others."""
    rows = list(COMMANDS)

    @st.composite
    def header(draw: st.DrawFn) -> bytes:
        row = draw(st.sampled_from(rows))
        cla = draw(st.sampled_from((0x00, 0x94, 0xFA)))
        p1 = draw(st.sampled_from(row.p1.values()))
        p2 = draw(st.sampled_from(row.p2.values()))
        return bytes((cla, row.ins, p1, p2))

    return header() | st.binary(min_size=4, max_size=4)


def apdus() -> st.SearchStrategy[bytes]:
    """Well-formed APDUs of every case, the short form."""
    data = st.binary(max_size=40) | st.sampled_from((b"0000", b"\x54\x02\x00\x01", bytes(9)))
    le = st.sampled_from((b"", b"\x00", b"\x08", b"\x1d"))
    return st.builds(
        lambda head, body, end: head + (bytes((len(body),)) + body if body else b"") + end,
        headers(),
        data,
        le,
    )


def check(card: CalypsoCard, command: bytes) -> None:
    """Send a command; check the answer, and what a refusal has left as it was."""
    before = card.memory.objects()
    session = card.volatile.session
    provisional = dict(session.changes) if session else None
    file, application = card.volatile.file, card.volatile.application
    awaited = card.volatile.awaits_ratification
    answer = card.transmit(command)
    sw = int.from_bytes(answer[-2:])
    assert sw in KNOWN
    assert len(answer) <= 258
    if sw >> 8 in SUCCESS:
        return
    assert len(answer) == 2
    after = card.memory.objects()
    allowed = {application.ratified_key} if awaited else set()
    if after[TRANSACTION_COUNTER_KEY] != before[TRANSACTION_COUNTER_KEY]:
        assert after[TRANSACTION_COUNTER_KEY] == before[TRANSACTION_COUNTER_KEY] - 1  # type: ignore[operator]
        assert after[PIN_TRIES_KEY] <= before[PIN_TRIES_KEY]  # type: ignore[operator]
        allowed |= {TRANSACTION_COUNTER_KEY, PIN_TRIES_KEY}
    assert {key for key in after if after[key] != before[key]} <= allowed
    assert card.volatile.file is file
    assert card.volatile.application is application
    if card.volatile.session is not None:
        assert card.volatile.session is session
        assert session.changes == provisional
    else:
        assert session is None or sw == StatusWord.WRONG_CRYPTOGRAM


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("in_session", [False, True], ids=["outside", "in a session"])
@given(commands=st.lists(apdus(), max_size=12))
def test_any_sequence_of_apdus(preset: str, in_session: bool, commands: list[bytes]) -> None:
    card = made(preset)
    card.power_on()
    if in_session:
        open_session(card)
    for command in commands:
        check(card, command)


@given(command=st.binary(max_size=300))
@pytest.mark.parametrize("in_session", [False, True], ids=["outside", "in a session"])
def test_any_bytes(in_session: bool, command: bytes) -> None:
    card = made("workshop")
    card.power_on()
    if in_session:
        open_session(card)
    check(card, command)


@given(
    head=headers(),
    length=st.integers(0, LONGEST - 4) | st.sampled_from((65_535 + 3, 65_535 + 5, LONGEST - 4)),
    fill=st.integers(0, 255),
    lc=st.booleans(),
)
@pytest.mark.parametrize("in_session", [False, True], ids=["outside", "in a session"])
def test_up_to_the_longest_apdu_there_is(
    in_session: bool, head: bytes, length: int, fill: int, lc: bool
) -> None:
    card = made("workshop")
    card.power_on()
    if in_session:
        open_session(card)
    body = bytes((fill,)) * length
    if lc and length > 3:
        body = b"\0" + min(length - 3, 65_535).to_bytes(2) + body[3:]
    check(card, head + body)


def open_session(card: CalypsoCard) -> None:
    """Open with whatever form of Open the product has."""
    for text in (
        "008A02020900C1C2C3C4C5C6C7C800",
        "008A010104C1C2C3C400",
        "948A820004C1C2C3C400",
        "948A020004C1C2C3C400",
    ):
        if card.transmit(bytes.fromhex(text))[-2:] == b"\x90\x00":
            return
    pytest.fail("no session")
