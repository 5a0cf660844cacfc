"""Which commands which kind of EF takes: the facts sheet's table of EF types, cell by cell.

Source: calypso-card §8.1, §3.3; §4.6, §4.7 (cyclic files), §4.9 (P1 of a simulated counter).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.calypso_workshop import peer_of

if TYPE_CHECKING:
    from support.calypso_peer import Peer

SFIS = {"binary": 0x10, "linear": 0x0D, "cyclic": 0x0F, "simulated": 0x0A, "counters": 0x0E}
EVERY = set(SFIS)
RECORDS = EVERY - {"binary"}
COUNTING = {"simulated", "counters"}
OK, WRONG_TYPE = "9000", "6981"


def on(sfi: int, low: int) -> str:
    return f"{sfi << 3 | low:02X}"


COMMANDS = {
    # command: how it is written for an SFI, which kinds take it
    "Read Binary": (lambda sfi: f"00B0{0x80 | sfi:02X}0001", {"binary"}),
    "Update Binary": (lambda sfi: f"00D6{0x80 | sfi:02X}000111", {"binary"}),
    "Write Binary": (lambda sfi: f"00D0{0x80 | sfi:02X}000111", {"binary"}),
    "Read Records, one": (lambda sfi: f"00B201{on(sfi, 4)}00", RECORDS),
    "Read Records, several": (lambda sfi: f"00B201{on(sfi, 5)}00", RECORDS),
    "Read Record Multiple": (lambda sfi: f"00B301{on(sfi, 5)}045402000100", RECORDS),
    "Search Record Multiple": (lambda sfi: f"00A201{on(sfi, 7)}0500000111FF00", RECORDS),
    "Update Record": (lambda sfi: f"00DC01{on(sfi, 4)}03000001", RECORDS),
    "Write Record": (lambda sfi: f"00D201{on(sfi, 4)}03000001", {"linear", "cyclic"}),
    "Append Record": (lambda sfi: f"00E200{on(sfi, 0)}03000001", {"cyclic"}),
    "Increase": (
        lambda sfi: f"0032{sfi != SFIS['simulated']:02X}{on(sfi, 0)}0300000100",
        COUNTING,
    ),
    "Decrease": (
        lambda sfi: f"0030{sfi != SFIS['simulated']:02X}{on(sfi, 0)}0300000000",
        COUNTING,
    ),
    "Increase Multiple": (lambda sfi: f"003A00{on(sfi, 0)}040100000100", {"counters"}),
    "Decrease Multiple": (lambda sfi: f"003800{on(sfi, 0)}040100000000", {"counters"}),
    "Open with a record": (lambda sfi: f"008A09{on(sfi, 1)}04C1C2C3C400", RECORDS),
}


@pytest.fixture
def peer() -> Peer:
    return peer_of("workshop")


@pytest.mark.parametrize("kind", SFIS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_kind_of_file_takes_its_commands_and_no_others(
    peer: Peer, command: str, kind: str
) -> None:
    written, takes = COMMANDS[command]
    if not command.startswith("Open"):
        peer.open(1)
    assert peer.send(written(SFIS[kind]))[-4:] == (OK if kind in takes else WRONG_TYPE)


@pytest.mark.parametrize("number", [2, 3])
def test_older_records_of_a_cyclic_file_are_read_and_never_written(peer: Peer, number: int) -> None:
    sfi = SFIS["cyclic"]
    peer.ok(f"00B2{number:02X}{on(sfi, 4)}00")
    for ins in ("DC", "D2"):
        assert peer.send(f"00{ins}{number:02X}{on(sfi, 4)}0111") == WRONG_TYPE


def test_a_new_record_moves_the_others_up_and_the_oldest_out(peer: Peer) -> None:
    for content in ("AA", "BB", "CC", "DD"):
        peer.ok(f"00E20078 01{content}".replace(" ", ""))
    assert [peer.ok(f"00B20{n}7C01") for n in (1, 2, 3)] == ["DD", "CC", "BB"]
    assert peer.ok("00B2017C00") == "DD000000", "a shorter record is filled with zeros"


def test_a_counters_file_holds_a_third_of_its_bytes_and_the_rest_is_no_counter() -> None:
    peer = peer_of("bench")  # 29 bytes: 9 counters
    peer.open(2)
    assert peer.ok("003209C80300000100") == "000001"
    assert peer.send("00320AC80300000100") == "6B00"
    assert peer.send("003A00C8040A00000100") == "6A80"
    peer.close_ok()


def test_counter_i_stands_at_offset_3_times_i_minus_1() -> None:
    peer = peer_of("bench")
    peer.open(2)
    for number in range(1, 10):
        peer.send(f"0032{number:02X}C8030000{number:02X}00")
    peer.close_ok()
    content = bytes.fromhex(peer.ok("00B201CC00"))
    assert [int.from_bytes(content[i : i + 3]) for i in range(0, 27, 3)] == [
        11,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
    ]


def test_update_keeps_what_it_does_not_reach_and_write_only_sets_bits(peer: Peer) -> None:
    peer.ok("00DC016C08" + "F0" * 8, "00DC016C0212 34".replace(" ", ""))
    assert peer.ok("00B2016C00") == "1234" + "F0" * 6
    peer.ok("00D2016C030F0001")
    assert peer.ok("00B2016C00") == "1F34F1" + "F0" * 5


def test_a_simulated_counter_is_one_counter_of_its_file(peer: Peer) -> None:
    """SFI 0A images counter 2 of SFI 19; announced with 29 bytes, read as 3."""
    peer.open(1)
    peer.ok("00DC015403000102")
    assert peer.ok("00B2015400") == "000102"
    assert peer.ok("003200500300000100") == "000103"
    assert peer.ok("00B201CC06") == "00000A000103"
    assert peer.ok("003002C80300000300") == "000100"
    assert peer.ok("00B201541D") == "000100"
    peer.close_ok()
    assert peer.ok("00A4090002300500")[4:14] == "0A04081D01"


def test_an_ndef_message_of_300_bytes_is_written_and_read_without_a_session() -> None:
    peer = peer_of("kit-regular")
    peer.ok("00A4040007D276000085010100")
    message = bytes(range(250)) + b"\xaa" * 50
    peer.ok("00D68200FA" + message[:250].hex(), "00D600FA32" + message[250:].hex())
    assert peer.ok("00B08200FA") + peer.ok("00B000FA32") == message.hex().upper()
    assert peer.send("00D607FF021122") == "6700"
    assert peer.send("00D681000111") == "6982", "the capability container is the issuer's"
