"""The secure session: commit, rollback, buffer, transaction counter, hierarchy of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.calypso_workshop import made, peer_of

from cardbench.emulator.calypso.structure import TRANSACTION_COUNTER_KEY

if TYPE_CHECKING:
    from support.calypso_peer import Peer

    from cardbench.emulator.chassis import Key, Value

UPDATE_EVENT = "00DC01441D" + "AB" * 29
APPEND_EVENT = "00E200401D" + "CD" * 29
DECREASE = "003001C80300000100"


def data_of(peer: Peer) -> dict[Key, Value]:
    """Everything on the card but the transaction counter, which only ever goes down."""
    objects = peer.card.memory.objects()  # type: ignore[attr-defined]
    del objects[TRANSACTION_COUNTER_KEY]
    return objects


@pytest.fixture(params=["regular", "extended"])
def peer(request: pytest.FixtureRequest) -> Peer:
    peer = peer_of("bench")
    peer.mode = request.param  # type: ignore[attr-defined]
    return peer


def opened(peer: Peer, key_index: int = 3) -> None:
    peer.open(key_index, mode=peer.mode)  # type: ignore[attr-defined]


def test_a_right_mac_commits_everything_and_is_answered_with_the_cards(peer: Peer) -> None:
    opened(peer)
    peer.ok(APPEND_EVENT, DECREASE)
    assert peer.close_ok() == ""
    assert peer.ok("00B201441D") == "CD" * 29
    assert peer.ok("00B201CC03") == "000009"


def test_reads_in_the_session_see_what_it_changed_and_nobody_else_does(peer: Peer) -> None:
    before = data_of(peer)
    opened(peer)
    peer.ok(APPEND_EVENT, DECREASE)
    assert peer.ok("00B201441D") == "CD" * 29
    assert peer.ok(DECREASE) == "000008"
    assert data_of(peer) == before


@pytest.mark.parametrize(
    "end", ["wrong MAC", "abort", "reset", "power loss", "deselect", "selection"]
)
def test_what_ends_a_session_otherwise_rolls_it_back(peer: Peer, end: str) -> None:
    before = data_of(peer)
    opened(peer)
    peer.ok(APPEND_EVENT, DECREASE)
    if end == "wrong MAC":
        right = peer.terminal_mac()
        assert peer.close(mac=bytes((right[0] ^ 1,)) + right[1:]) == "6988"
    elif end == "abort":
        assert peer.abort() == "9000"
    elif end == "reset":
        peer.card.reset()
    elif end == "power loss":
        peer.card.power_off()
        peer.card.power_on()
    elif end == "deselect":
        peer.card.deselect()
    else:
        peer.card.transmit(bytes.fromhex("00A4040008A000000291FF910100"))
    assert data_of(peer) == before
    peer.digest = None
    assert peer.send("008E000000") == "6985"
    assert peer.ok("00B201CC03") == "00000A"


def test_a_selection_that_finds_nothing_leaves_the_session_open(peer: Peer) -> None:
    opened(peer)
    peer.ok(DECREASE)
    assert peer.send("00A4040005AABBCCDDEE00") == "6A82"
    peer.close_ok()
    assert peer.ok("00B201CC03") == "000009"


def test_a_close_that_is_refused_for_its_form_leaves_the_session_open(peer: Peer) -> None:
    opened(peer)
    peer.ok(DECREASE)
    assert peer.send("008E40000411223344") == "6B00"
    assert peer.close(mac=bytes(5)) == "6700"
    assert peer.send("008A030104C1C2C3C400") == "6985"  # an Open meanwhile is digested as refused
    peer.close_ok()
    assert peer.ok("00B201CC03") == "000009"


@pytest.mark.parametrize("wrong", ["KIF", "KVC", "serial number", "terminal challenge"])
def test_another_key_or_challenge_than_the_cards_is_refused(peer: Peer, wrong: str) -> None:
    before = data_of(peer)
    if wrong == "KIF":
        peer.kifs = (0x21, 0x27, 0x31)
    elif wrong == "KVC":
        peer.kvc = 0x75
    elif wrong == "serial number":
        peer.serial = bytes.fromhex("0000000011223345")
    opened(peer)
    if wrong == "terminal challenge":
        command = bytes.fromhex("008A030104C1C2C3C500")
        peer.abort()
        answer = peer.card.transmit(bytes.fromhex("008A030104C1C2C3C400"))
        peer.follow(command, answer)
    peer.ok(DECREASE)
    assert peer.close() == "6988"
    assert data_of(peer) == before


def test_the_terminals_mac_is_not_the_cards() -> None:
    peer = peer_of("bench")
    peer.open(3, mode="extended")
    assert peer.digest is not None
    assert peer.close(mac=peer.digest.card_mac()) == "6988"


def test_a_mac_serves_one_session_only() -> None:
    peer = peer_of("bench")
    peer.open(3)
    mac = peer.terminal_mac()
    peer.close_ok()
    peer.open(3)
    assert peer.close(mac=mac) == "6988"


# Buffer


def test_a_buffer_of_430_bytes_holds_twelve_updates_of_29_bytes_and_one_of_4() -> None:
    peer = peer_of("bench")
    peer.open(3)
    peer.ok(*[UPDATE_EVENT] * 12, "00DC01440411223344")
    assert peer.send("0004000000") == "6400"
    peer.close_ok()
    assert peer.ok("00B2014405") == "11223344AB"


def test_one_byte_more_overflows_and_changes_nothing() -> None:
    peer = peer_of("bench")
    peer.open(3)
    peer.ok(*[UPDATE_EVENT] * 12)
    assert peer.send("00DC0144051122334455") == "6400"
    assert peer.ok("00B2014402") == "ABAB"
    peer.ok("00DC01440411223344")
    peer.close_ok()


@pytest.mark.parametrize(
    ("command", "cost_bytes"),
    [
        (UPDATE_EVENT, 35),
        (APPEND_EVENT, 35),
        ("00D2014403112233", 9),
        (DECREASE, 9),
        ("003800C804 01000001 00", 10),
        ("00D69A00021122", 8),
        ("00D09A00021122", 8),
        ("0004000000", 6),
    ],
)
def test_a_modification_costs_its_data_and_six_bytes(command: str, cost_bytes: int) -> None:
    peer = peer_of("bench")
    peer.open(3)
    spare = 430 - cost_bytes
    while spare:
        part = spare if spare <= 35 else min(35, spare - 7)
        peer.ok(f"00DC0144{part - 6:02X}" + "11" * (part - 6))
        spare -= part
    peer.ok(command)
    assert peer.send("00E200400111") == ("6985" if command.startswith("0004") else "6400")


@pytest.mark.parametrize(
    "command", ["00B2013C00", "00A4090002201000", "0084000008", "0020000000", "007C00091E"]
)
def test_what_changes_nothing_costs_nothing(command: str) -> None:
    peer = peer_of("bench")
    peer.open(3)
    peer.ok(*[command] * 100)
    peer.ok(*[UPDATE_EVENT] * 12)
    peer.close_ok()


# Transaction counter


def test_every_open_counts_the_transaction_counter_down_for_good(peer: Peer) -> None:
    challenges = set()
    for expected in range(199_999, 199_989, -1):
        opened(peer)
        peer.abort()
        assert peer.card.memory[TRANSACTION_COUNTER_KEY] == expected  # type: ignore[attr-defined]
        peer.card.reset()
    opened(peer)
    challenges.add(peer.close_ok())


def test_the_last_transaction_opens_and_the_next_is_refused() -> None:
    peer = peer_of("bench", transaction_counter=1)
    assert peer.open(3).startswith("000000")
    peer.ok(DECREASE)
    peer.close_ok()
    assert peer.send("008A030104C1C2C3C400") == "6900"
    assert peer.send("002000000430303030") == "6900"
    assert peer.send("0084000008")[-4:] == "9000"


def test_a_refused_open_costs_no_transaction() -> None:
    peer = peer_of("bench")
    for refused in ("008A000104C1C2C3C400", "008A0BF904C1C2C3C400", "008A1B3904C1C2C3C400"):
        assert peer.send(refused)[:2] == "6A"
    assert peer.open(3).startswith(f"{199_999:06X}")


# Access


@pytest.mark.parametrize(
    ("key_index", "allowed"), [(1, {0x07, 0x09, 0x08}), (2, {0x09, 0x08}), (3, {0x08})]
)
def test_a_stronger_key_may_do_what_a_weaker_one_may(key_index: int, allowed: set[int]) -> None:
    for sfi in (0x07, 0x09, 0x08):  # updated with key 1, 2, 3
        peer = peer_of("bench")
        peer.open(key_index)
        expected = "9000" if sfi in allowed else "6982"
        assert peer.send(f"00DC01{sfi << 3 | 4:02X}0111") == expected


def test_a_file_that_is_always_writable_is_provisional_in_a_session_too() -> None:
    peer = peer_of("workshop")
    peer.open(3)
    peer.ok("00DC016C0111")
    peer.abort()
    assert peer.ok("00B2016C01") == "00"
    peer.ok("00DC016C0111")
    peer.card.reset()
    assert peer.ok("00B2016C01") == "11"


def test_two_cards_made_alike_answer_alike_and_two_seeds_do_not() -> None:
    commands = ["008A0B3904C1C2C3C400", "00B2014C00", "008E000000", "0084000008"]

    def answers(seed: bytes) -> list[bytes]:
        card = made("bench", seed=seed)
        card.power_on()
        return [card.transmit(bytes.fromhex(each)) for each in commands]

    assert answers(b"1") == answers(b"1")
    assert answers(b"1") != answers(b"2")


@pytest.mark.parametrize("spoilt", ["008E8000041122", "008E80000811223344", "00B2000000FF"])
def test_bytes_that_are_no_close_leave_the_right_one_right(peer: Peer, spoilt: str) -> None:
    """Found by the model: a spoilt Close was absorbed, and the MAC of the next one did not match."""
    opened(peer)
    assert peer.card.transmit(bytes.fromhex(spoilt)).hex() == "6700"
    peer.ok(UPDATE_EVENT)
    peer.close_ok()
