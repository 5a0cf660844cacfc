"""Selection: implicit, by AID and its parts, by occurrence; files by walking, LID and path."""

from __future__ import annotations

import pytest
from support.calypso_workshop import peer_of

from cardbench.emulator.calypso import card_of
from cardbench.emulator.calypso.personalisation import load_preset

STORED_VALUE, TRANSPORT, HOPLINK, INTERCODE, NDEF = (
    "A000000291FF9201",
    "A000000291FF9101",
    "A000000291A00000019102",
    "A000000291FF9111",
    "D2760000850101",
)
RID = "A000000291"


def selected(answer: str) -> str:
    """DF name in an FCI."""
    raw = bytes.fromhex(answer[:-4])
    return raw[4 : 4 + raw[3]].hex().upper()


def select(aid: str, p2: int = 0) -> str:
    return f"00A404{p2:02X}{len(aid) // 2:02X}{aid}00"


def test_the_first_application_is_selected_by_itself() -> None:
    peer = peer_of("kit-regular")
    assert STORED_VALUE in peer.ok("00CA006F00")
    peer.ok("00B201A41D")
    peer.ok(select(NDEF))
    peer.card.reset()
    assert STORED_VALUE in peer.ok("00CA006F00")


def test_a_part_of_an_aid_selects_the_first_that_begins_with_it() -> None:
    peer = peer_of("kit-regular")
    assert selected(peer.send(select("A000000291FF91"))) == TRANSPORT
    assert selected(peer.send(select("A000000291A000000191"))) == HOPLINK
    assert peer.send(select("A000000291FF911100")) == "6A82"


def test_next_walks_through_all_that_match_and_then_finds_no_more() -> None:
    peer = peer_of("kit-regular")
    walk = [selected(peer.send(select(RID)))]
    while (answer := peer.send(select(RID, 0x02))) != "6A82":
        walk.append(selected(answer))
    assert walk == [STORED_VALUE, TRANSPORT, HOPLINK, INTERCODE]
    assert selected(peer.send(select(RID, 0x01))) == INTERCODE
    back = []
    while (answer := peer.send(select(RID, 0x03))) != "6A82":
        back.append(selected(answer))
    assert back == [HOPLINK, TRANSPORT, STORED_VALUE]


def test_a_selection_that_finds_nothing_leaves_the_current_application_and_file() -> None:
    peer = peer_of("kit-regular")
    peer.ok(select(TRANSPORT), "00B2013C1D")
    assert peer.send(select("AABBCCDDEE")) == "6A82"
    assert peer.send("00B2010400")[-4:] == "9000"
    assert TRANSPORT in peer.ok("00CA004F00")


def test_a_refused_command_leaves_the_current_file() -> None:
    peer = peer_of("bench")
    peer.ok("00B2013C1D")
    assert peer.send("00B2094C00") == "6A83"
    assert peer.send("00A4090002999900") == "6A82"
    assert peer.ok("00CA006200")[4:6] == "07"
    peer.open(3)
    assert peer.send("00B2094C00") == "6A83"
    assert peer.ok("00CA006200")[4:6] == "07"


def test_walking_the_files_gives_the_ef_list() -> None:
    for preset in ("bench", "gtml", "kit-extended", "light-reference"):
        peer = peer_of(preset)
        listed = bytes.fromhex(peer.ok("00CA00C000"))[2:]
        walked = []
        answer = peer.send("00A4020002000000")
        while answer != "6A82":
            raw = bytes.fromhex(answer)
            walked.append(b"\xc1\x06" + raw[23:25] + raw[2:3] + raw[4:7])
            answer = peer.send("00A4020202000000")
        assert b"".join(walked) == listed


def test_a_df_without_files_has_no_first_one() -> None:
    bench = load_preset("bench")
    empty = bench.applications[0].model_copy(update={"files": ()})
    card = card_of(bench.model_copy(update={"applications": (empty,)}))
    card.power_on()
    for p2 in ("00", "02"):
        assert card.transmit(bytes.fromhex(f"00A402{p2}02000000")) == b"\x6a\x82"
    assert card.transmit(bytes.fromhex("00CA00C000")) == bytes.fromhex("C0009000")


def test_a_df_that_anybody_may_invalidate_needs_no_session() -> None:
    peer = peer_of("bench", applications=[{"lid": 0x2000, "access": ["AA", "AA", "NN", "NN"]}])
    peer.ok("0004000000")
    assert peer.send(select(TRANSPORT))[-4:] == "6283"
    peer.ok("0044000000")
    assert peer.send(select(TRANSPORT))[-4:] == "9000"


def test_every_file_that_a_command_addresses_becomes_current() -> None:
    peer = peer_of("workshop")
    for command, sfi in (
        ("00B2014C00", 0x09),
        ("00DC016C0111", 0x0D),
        ("00E200780111", 0x0F),
        ("003201700300000100", 0x0E),
        ("00B0900001", 0x10),
        ("00B301ED045402000100", 0x1D),
        ("00A2014F0500000111FF00", 0x09),
    ):
        peer.ok(command)
        assert peer.ok("00CA006200")[4:6] == f"{sfi:02X}"
    peer.ok("00A4090002000000")
    assert peer.send("00B2010400") == "6986"


def test_a_binary_file_longer_than_255_bytes_is_read_by_its_sfi_and_then_by_offset() -> None:
    peer = peer_of("bench")
    peer.open(3)
    peer.ok("00D69A000111", "00D601000166")
    peer.close_ok()
    assert peer.ok("00B09A0001") == "11"
    assert peer.ok("00B0010001") == "66"
    assert peer.ok("00B0010064") == "66" + "00" * 43


def test_a_path_and_the_parent_lead_through_the_master_file() -> None:
    peer = peer_of("prime-2")
    assert peer.ok("94A40800043F000002")[-6:-2] == "0002"
    assert peer.ok("94CA004F00") == "4F08334D54522E494341"
    assert peer.ok("94A408000420002001")[-6:-2] == "2001"
    assert peer.ok("94A4030000")[-6:-2] == "3F00"
    assert peer.ok("94A40000022000")[-6:-2] == "2000"


def test_going_to_another_df_ends_the_session_of_this_one() -> None:
    peer = peer_of("prime-2")
    peer.open(3, mode="revision 2")
    peer.ok("94E200400111")
    assert peer.card.transmit(bytes.fromhex("94A4030000"))[-2:] == b"\x90\x00"
    assert peer.card.transmit(bytes.fromhex("948E000000")) == b"\x69\x85"
    peer.digest = None
    peer.ok("94A40000022000")
    assert peer.ok("94B2014401") == "00"


@pytest.mark.parametrize("status", ["9000", "6283"])
def test_an_invalidated_application_is_told_everywhere_and_writes_no_more(status: str) -> None:
    peer = peer_of("bench")
    if status == "6283":
        peer.open(3)
        peer.ok("0004000000")
        peer.close_ok()
    flag = "01" if status == "6283" else "00"
    assert peer.send(select(TRANSPORT))[-4:] == status
    assert peer.send("00CA006F00")[-4:] == status
    assert peer.ok("00A4090002000000")[30:32] == flag
    assert peer.ok("00A4090002201000")[30:32] == flag
    peer.ok("00B2013C1D")
    peer.open(3)
    assert peer.send("00E200400111") == ("6985" if status == "6283" else "9000")
    assert peer.send("0044000000") == ("6982" if status == "6283" else "6985")
    peer.abort()


def test_the_issuer_rehabilitates() -> None:
    peer = peer_of("bench")
    peer.open(3)
    peer.ok("0004000000")
    peer.close_ok()
    peer.open(1)
    peer.ok("0044000000", "00E200400111")
    peer.close_ok()
    assert peer.send(select(TRANSPORT))[-4:] == "9000"
