"""Every row of the facts sheet's table of misuse, and its order of checks.

The ids are the sheet's rows. Where a command is refused, no file, counter, PIN, key or session state moves,
but for what the sheet lets a refusal count.

Source: calypso-card §4.22, §4.23.
"""

from __future__ import annotations

import pytest
from support.calypso_cases.case import MAY_CHANGE_WHEN_REFUSED
from support.calypso_cases.steps import card_of_peer, invalid, situated
from support.calypso_misuse import MISUSES, Play, is_over
from support.calypso_workshop import peer_of

PLAYS = [
    pytest.param(play, id=f"{text} {number}")
    for text, plays in MISUSES.items()
    for number, play in enumerate(plays, 1)
]
SUCCESS = (0x90, 0x62)


@pytest.mark.parametrize("play", PLAYS)
def test_a_misuse_is_answered_as_the_sheet_says(play: Play) -> None:
    peer, command = situated(play)
    card = card_of_peer(peer)
    before, running = card.memory.objects(), card.volatile.session
    provisional = dict(running.changes) if running else {}
    verified, file = card.volatile.pin_verified, card.volatile.file
    answer = peer.send(command)
    assert int(answer[-4:], 16) == play.sw, f"{command} was answered {answer}"
    if play.sw >> 8 not in SUCCESS:
        after = card.memory.objects()
        assert {key for key in after if after[key] != before[key]} <= MAY_CHANGE_WHEN_REFUSED
        assert card.volatile.file is file
        assert card.volatile.pin_verified <= verified
        if running is not None and play.then is not is_over:
            assert card.volatile.session is running
            assert running.changes == provisional
    if play.then is not None:
        play.then(peer)


# The order of checks (§4.22): each command mends what the one before was refused for


UPDATE_LADDER = (
    ("FFDC01FF00", 0x6E00, "class"),
    ("00DC01FF00", 0x6B00, "parameters"),
    ("00DC01FC00", 0x6700, "Lc"),
    ("00DC01FC0111", 0x6A82, "file"),
    ("00DC05840111", 0x6981, "type of file"),
    ("00DC050C0111", 0x6A83, "record"),
    ("00DC010C0511" + "22" * 4, 0x6700, "length against the record"),
    ("00DC010C0111", 0x6985, "never"),
    ("00DC013C0111", 0x6982, "key"),
)
INCREASE_LADDER = (
    ("FF3254FB02", 0x6E00, "class"),
    ("003254FB020000", 0x6B00, "parameters"),
    ("003253F8020000", 0x6700, "Lc"),
    ("003253F803FFFFFF", 0x6A82, "file"),
    ("0032533803FFFFFF", 0x6981, "type of file"),
    ("0032532803FFFFFF", 0x6B00, "counter"),
    ("0032012803FFFFFF", 0x6985, "never"),
    ("003201C803FFFFFF", 0x6982, "key"),
    ("0032017003FFFFFF", 0x6A80, "data"),
    ("003201700300000100", 0x6400, "buffer"),
)


@pytest.mark.parametrize(("command", "sw", "what"), UPDATE_LADDER, ids=str)
def test_an_update_is_checked_in_the_order_of_the_sheet(command: str, sw: int, what: str) -> None:
    peer = peer_of("workshop")
    peer.open(3)
    assert peer.send(command) == f"{sw:04X}", what


@pytest.mark.parametrize(("command", "sw", "what"), INCREASE_LADDER, ids=str)
def test_an_increase_is_checked_in_the_order_of_the_sheet(command: str, sw: int, what: str) -> None:
    peer = peer_of("workshop")
    peer.ok("003201700300000100")
    peer.open(3)
    peer.ok(*["00DC01441D" + "11" * 29] * 7, "00DC014405" + "22" * 5)
    assert peer.send(command) == f"{sw:04X}", what


def test_an_invalidated_df_is_refused_before_the_key_is_looked_at() -> None:
    peer = peer_of("workshop")
    invalid(peer)
    assert peer.send("00DC013C0111") == "6985"
    assert peer.send("003201C80300000100") == "6985"
    assert peer.send("00DC05840111") == "6981"
