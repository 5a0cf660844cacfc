"""Any byte string is answered with a status word, and a refusal changes nothing that it may not.

What a refusal may change is what the sheet says, and never to the sender's good: a transaction or a PIN
attempt is counted, a challenge or an SV Get is used up, a right PIN is forgotten, the session is aborted,
a session that waited for one more command is ratified, the digest goes on.

Source: calypso-card §4.23 (misuse), §5.2 (digest), §5.6 (ratification), §5.7 (transaction counter).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calypso_workshop import made

from cardbench.emulator.calypso.personalisation import preset_names
from cardbench.emulator.calypso.structure import PIN_TRIES_KEY, TRANSACTION_COUNTER_KEY
from cardbench.emulator.calypso.table import COMMANDS
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.calypso import CalypsoCard
    from cardbench.emulator.calypso.state import Session
    from cardbench.emulator.chassis import Key, Value

PRESETS = ("workshop", *preset_names())
ONE_OF_EACH_PRODUCT = ("workshop", "pki", "light-reference", "basic", "prime-2", "prime-1")
LONGEST = 65_544
KNOWN = {*StatusWord, 0x63C1, 0x63C2}
SUCCESS = (0x90, 0x62)
BY_THE_TABLE = {0x6700, 0x6985}
"""What a row may be refused with before its handler runs: its length, or where it is allowed."""
CLOSE, MANAGE = 0x8E, 0x82

pytestmark = pytest.mark.slow


# What is sent


ROWS = list(COMMANDS)
CLASSES = (0x00, 0x00, 0x00, 0x94, 0x94, 0xFA)


@st.composite
def table_headers(draw: st.DrawFn) -> bytes:
    """Headers that the command table knows."""
    row = draw(st.sampled_from(ROWS))
    p1, p2 = row.p1.values(), row.p2.values()
    few = draw(st.booleans())  # low numbers name records and files that there are
    return bytes(
        (
            draw(st.sampled_from(CLASSES)),
            row.ins,
            draw(st.sampled_from(p1[:4] if few else p1)),
            draw(st.sampled_from(p2)),
        )
    )


def headers() -> st.SearchStrategy[bytes]:
    """Headers that the command table knows, and others."""
    return table_headers() | st.binary(min_size=4, max_size=4)


@st.composite
def meant_apdus(draw: st.DrawFn) -> bytes:
    """APDUs that get as far as a row of the table: with a number of data bytes that it takes."""
    head = draw(table_headers())
    rows = [r for r in ROWS if r.ins == head[1] and r.p1.allows(head[2]) and r.p2.allows(head[3])]
    nc = draw(st.sampled_from(sorted(draw(st.sampled_from(rows)).lc)[:40]))
    body = draw(st.binary(min_size=nc, max_size=nc))
    return head + (bytes((nc,)) + body if nc else draw(st.sampled_from((b"\0", b"\x08"))))


def bodies() -> st.SearchStrategy[bytes]:
    right_ones = (b"0000", b"\x54\x02\x00\x01", bytes(9), b"\0" + bytes(8), b"\0\0")
    return st.binary(max_size=40) | st.sampled_from(right_ones)


def apdus() -> st.SearchStrategy[bytes]:
    """Well-formed APDUs of every case, in the short form."""
    return st.builds(
        lambda head, body, end: head + (bytes((len(body),)) + body if body else b"") + end,
        headers(),
        bodies(),
        st.sampled_from((b"", b"\x00", b"\x08", b"\x1d")),
    )


def extended_apdus() -> st.SearchStrategy[bytes]:
    """Well-formed APDUs of every case, in the extended form."""
    return st.builds(
        lambda head, body, end: (
            head + b"\0" + (len(body).to_bytes(2) + body if body else b"") + end
        ),
        headers(),
        bodies() | st.integers(256, 65_535).map(bytes),
        st.sampled_from((b"", b"\0\0", b"\x00\x1d", b"\xff\xff")),
    )


def longest_apdus() -> st.SearchStrategy[bytes]:
    """Up to 65,544 bytes: 4 of header, 3 of Lc, 65,535 of data, 2 of Le."""
    lengths = st.integers(0, LONGEST - 4) | st.sampled_from((65_535 + 3, 65_535 + 5))

    def build(head: bytes, length: int, fill: int, has_lc: bool) -> bytes:
        body = bytes((fill,)) * length
        if has_lc and length > 3:
            body = b"\0" + min(length - 3, 65_535).to_bytes(2) + body[3:]
        return head + body

    return st.builds(build, headers(), lengths, st.integers(0, 255), st.booleans())


ANY_APDU = st.one_of(meant_apdus(), meant_apdus(), meant_apdus(), apdus(), extended_apdus())


# Where the card is when it comes

OPEN = {
    "extended": "008A02020900C1C2C3C4C5C6C7C800",
    "regular": "008A010104C1C2C3C400",
    "revision 2": "948A810004C1C2C3C400",
    "revision 1": "948A010004C1C2C3C400",
    "PKI": "008A00030900C1C2C3C4C5C6C7C800",
}
SITUATIONS: dict[str, tuple[str, ...]] = {
    "outside": (),
    **{f"{mode} session": (text,) for mode, text in OPEN.items()},
    "encrypted section": (OPEN["extended"], "0082000200"),
    "challenge": ("0084000008",),
    "challenge of an old card": ("9484000008",),
    "SV Get": ("007C000721",),
    "SV Get of an old card": ("FA7C00091E",),
    "SV Get in a session": (OPEN["regular"], "007C00091E"),
    "right PIN": ("002000000430303030",),
    "right PIN in a session": (OPEN["regular"], "002000000430303030"),
    "changes in a session": (OPEN["regular"], "0004000000"),
    "current file": ("00A4020002000000",),
    "pre-open": ("008A0102010000",),
}
TO_BE_RATIFIED = "to be ratified"
WAYS_TO_BE_RATIFIED = [(OPEN[mode],) for mode in ("regular", "revision 2", "revision 1")]


def bring(preset: str, situation: str) -> CalypsoCard | None:
    """Bring a card of a preset into a situation; None: this product knows none such."""
    for texts in WAYS_TO_BE_RATIFIED if situation == TO_BE_RATIFIED else (SITUATIONS[situation],):
        card = made(preset)
        card.power_on()
        if all(card.transmit(bytes.fromhex(text))[-2] in SUCCESS for text in texts):
            if situation == TO_BE_RATIFIED:
                close(card, texts[0][:2])
            return card
    return None


def close(card: CalypsoCard, cla: str) -> None:
    """Close the card's session, to be ratified by one more command."""
    session = card.volatile.session
    assert session is not None
    mac = session.mac_digest.terminal_mac()[:4].hex()
    assert card.transmit(bytes.fromhex(f"{cla}8E000004{mac}00"))[-2:] == b"\x90\x00"
    assert card.volatile.awaits_ratification


@lru_cache
def reachable(preset: str) -> list[str]:
    names = [*SITUATIONS, TO_BE_RATIFIED]
    return [name for name in names if bring(preset, name) is not None]


def test_every_situation_is_reached_by_a_product_and_every_product_reaches_a_session() -> None:
    reached = {preset: reachable(preset) for preset in ONE_OF_EACH_PRODUCT}
    assert {name for names in reached.values() for name in names} == {*SITUATIONS, TO_BE_RATIFIED}
    for names in reached.values():
        assert "outside" in names
        assert TO_BE_RATIFIED in names
        assert any(name.endswith(" session") for name in names)


# What it may change


class State(NamedTuple):
    """What could be gained."""

    memory: dict[Key, Value]
    application: object
    file: object
    pin_verified: bool
    awaits_ratification: bool
    pre_open: object
    put_data: object
    session: Session | None
    in_session: tuple[object, ...]


def state_of(card: CalypsoCard) -> State:
    volatile, session = card.volatile, card.volatile.session
    inside: tuple[object, ...] = ()
    if session is not None:
        inside = (
            dict(session.changes),
            session.mode,
            session.key_index,
            session.key,
            session.buffer_left,
            session.is_manageable,
            session.encrypted,
            session.postponed,
            session.sv_done,
        )
    return State(
        card.memory.objects(),
        volatile.application,
        volatile.file,
        volatile.pin_verified,
        volatile.awaits_ratification,
        volatile.pre_open,
        volatile.put_data,
        session,
        inside,
    )


def check(card: CalypsoCard, command: bytes) -> None:
    """Send a command; check the answer, and what a refusal has left as it was."""
    before = state_of(card)
    answer = card.transmit(command)
    sw = int.from_bytes(answer[-2:])
    assert sw in KNOWN
    assert len(answer) <= 258
    row = card.last_row
    if row is not None:
        assert sw in {*row.answers, *BY_THE_TABLE}
    if sw >> 8 in SUCCESS:
        return
    assert len(answer) == 2
    after = state_of(card)
    check_memory(before, after)
    assert card.volatile.preparing is None, "a challenge or an SV Get waits"
    assert after.application is before.application
    assert after.file is before.file
    assert after.pin_verified <= before.pin_verified
    assert not after.awaits_ratification
    assert after.pre_open in (before.pre_open, None)
    assert after.put_data in (before.put_data, None)
    if after.session is None:
        aborted = sw == StatusWord.WRONG_CRYPTOGRAM and command[1] in {CLOSE, MANAGE}
        assert before.session is None or aborted
    else:
        assert after.session is before.session
        assert after.in_session == before.in_session


def check_memory(before: State, after: State) -> None:
    old, new = before.memory, after.memory
    changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    if before.awaits_ratification:
        ratified = before.application.ratified_key  # type: ignore[attr-defined]
        assert new[ratified] == 1
        changed.discard(ratified)
    if TRANSACTION_COUNTER_KEY in changed:
        assert new[TRANSACTION_COUNTER_KEY] == old[TRANSACTION_COUNTER_KEY] - 1  # type: ignore[operator]
        assert new[PIN_TRIES_KEY] <= old[PIN_TRIES_KEY]  # type: ignore[operator]
        changed -= {TRANSACTION_COUNTER_KEY, PIN_TRIES_KEY}
    assert not changed


# The tests


def sent_to(preset: str, draw: Callable[[st.SearchStrategy[str]], str]) -> CalypsoCard:
    card = bring(preset, draw(st.sampled_from(reachable(preset))))
    assert card is not None
    return card


@pytest.mark.parametrize("preset", PRESETS)
@given(data=st.data(), commands=st.lists(ANY_APDU, min_size=3, max_size=12))
def test_any_sequence_of_apdus(preset: str, data: st.DataObject, commands: list[bytes]) -> None:
    card = sent_to(preset, data.draw)
    for command in commands:
        check(card, command)


@pytest.mark.parametrize("preset", ONE_OF_EACH_PRODUCT)
@given(data=st.data(), commands=st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_any_bytes(preset: str, data: st.DataObject, commands: list[bytes]) -> None:
    card = sent_to(preset, data.draw)
    for command in commands:
        check(card, command)


@pytest.mark.parametrize("preset", ONE_OF_EACH_PRODUCT)
@given(data=st.data(), command=longest_apdus())
def test_up_to_the_longest_apdu_there_is(preset: str, data: st.DataObject, command: bytes) -> None:
    check(sent_to(preset, data.draw), command)


@pytest.mark.parametrize("preset", ONE_OF_EACH_PRODUCT)
def test_the_longest_bytes_are_answered_in_every_situation(preset: str) -> None:
    for situation in reachable(preset):
        for row in COMMANDS:
            card = bring(preset, situation)
            assert card is not None
            head = bytes((0, row.ins, row.p1.values()[0], row.p2.values()[0]))
            whole = head + b"\0\xff\xff" + bytes(65_535) + b"\0\0"
            assert len(whole) == LONGEST
            check(card, whole)
