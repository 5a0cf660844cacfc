"""Ratification: what tells the next terminal that the last one may have missed the Close answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.calypso_workshop import peer_of, workshop

if TYPE_CHECKING:
    from support.calypso_peer import Peer

RATIFIED, NOT_RATIFIED = "00", "01"


def flag(peer: Peer, mode: str = "regular") -> str:
    """Open anew and read the ratification status."""
    answer = peer.open(3, mode=mode)
    peer.abort()
    return f"{int(answer[16:18], 16) & 1:02X}" if mode == "extended" else answer[8:10]


def closed(preset: str = "bench", *, ratified: bool) -> Peer:
    peer = peer_of(preset)
    peer.open(3)
    peer.close_ok(ratified=ratified)
    return peer


def power_cycle(peer: Peer) -> None:
    """Take the power away as a card that is pulled loses it: without deselect."""
    peer.card.power_off()
    peer.card.power_on()


@pytest.mark.parametrize("mode", ["regular", "extended"])
def test_a_new_card_is_ratified(mode: str) -> None:
    assert flag(peer_of("bench"), mode) == RATIFIED


@pytest.mark.parametrize("mode", ["regular", "extended"])
def test_power_lost_behind_a_close_to_be_ratified_leaves_it_not_ratified(mode: str) -> None:
    peer = closed(ratified=False)
    power_cycle(peer)
    assert flag(peer, mode) == NOT_RATIFIED


def test_commands_of_a_later_activation_do_not_ratify() -> None:
    peer = closed(ratified=False)
    power_cycle(peer)
    peer.ok("00A4040008A000000291FF910100", "00B2013C00")
    assert flag(peer) == NOT_RATIFIED


def test_a_session_closed_as_ratified_is_ratified_without_more() -> None:
    peer = closed(ratified=True)
    power_cycle(peer)
    assert flag(peer) == RATIFIED


@pytest.mark.parametrize(
    "command",
    [
        "00B2000000",
        "94B2000000",
        "00B2013C00",
        "00",
        "",
        "FF00000000",
        "008E000000",
        "00B200000000",
    ],
)
def test_any_command_ratifies_even_a_refused_or_malformed_one(command: str) -> None:
    peer = closed(ratified=False)
    peer.send(command)
    power_cycle(peer)
    assert flag(peer) == RATIFIED


def test_the_next_open_ratifies_by_coming() -> None:
    peer = closed(ratified=False)
    assert flag(peer) == RATIFIED


def test_a_deselect_ratifies() -> None:
    peer = closed(ratified=False)
    peer.card.deselect()
    power_cycle(peer)
    assert flag(peer) == RATIFIED


def test_a_deselect_does_not_ratify_where_a_command_is_required() -> None:
    applications = [{**each, "type": 0x3F} for each in workshop().model_dump()["applications"]]
    peer = peer_of("workshop", applications=applications)
    peer.open(3)
    peer.close_ok(ratified=False)
    peer.card.deselect()
    power_cycle(peer)
    assert flag(peer) == NOT_RATIFIED


def test_an_aborted_session_leaves_the_status_of_the_one_before() -> None:
    peer = closed(ratified=False)
    power_cycle(peer)
    peer.open(3)
    peer.abort()
    assert flag(peer) == NOT_RATIFIED
    peer.open(3)
    peer.close_ok()
    assert flag(peer) == RATIFIED


def test_the_status_belongs_to_the_application() -> None:
    peer = peer_of("kit-regular")
    select_transport, select_stored_value = (
        f"00A4040008A000000291FF{aid}00" for aid in ("9101", "9201")
    )
    peer.ok(select_transport)
    peer.open(3)
    peer.close_ok(ratified=False)
    power_cycle(peer)
    peer.ok(select_stored_value)
    peer.kifs = (0x01, 0x07, 0x10)
    assert flag(peer) == RATIFIED
    peer.ok(select_transport)
    assert flag(peer) == NOT_RATIFIED


@pytest.mark.parametrize(
    ("preset", "mode", "short", "long"),
    [("prime-1", "revision 1", 4, 6), ("prime-2", "revision 2", 5, 7)],
)
def test_old_products_tell_by_the_length_of_the_answer(
    preset: str, mode: str, short: int, long: int
) -> None:
    peer = peer_of(preset)
    assert len(peer.open(3, mode=mode)) == 2 * short
    peer.close_ok(ratified=False)
    power_cycle(peer)
    assert len(peer.open(3, mode=mode)) == 2 * long
    peer.abort()
    assert len(peer.open(3, mode=mode, sfi=0x07, record=1)) == 2 * (long + 29)
