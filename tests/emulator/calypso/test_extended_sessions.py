"""Extended mode: encrypted sections, early authentication, pre-open, keys that are not AES."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.calypso_cases import new_key
from support.calypso_workshop import peer_of

if TYPE_CHECKING:
    from support.calypso_peer import Peer

SECRET_RECORD = "00DC015C08" + "5A" * 8
READ_SECRET = "00B2015C08"
OPEN = "008A03020900C1C2C3C4C5C6C7C800"
PRE_OPEN = "008A0302010000"


def intercode(**changes: object) -> Peer:
    """The Intercode application of the AES kit, which has confidential files."""
    peer = peer_of("kit-extended", **changes)
    peer.ok("00A4040008A000000291FF911100")
    peer.kvc = 0x75
    return peer


def test_confidential_files_need_encryption_and_the_key() -> None:
    peer = intercode()
    read_id2, update_id2 = "00B2016410", "00DC0164021122"
    assert peer.send(read_id2) == "6982"
    peer.open(3, mode="extended")
    assert peer.send(read_id2) == "6982"
    peer.manage(encrypted=True)
    peer.ok(read_id2)
    assert peer.send(update_id2) == "6982"  # key 1
    peer.manage(encrypted=False)
    assert peer.send(read_id2) == "6982"
    peer.close_ok()
    peer.open(1, mode="extended")
    peer.manage(encrypted=True)
    peer.ok(update_id2)
    assert peer.ok("00B2016402") == "1122"
    peer.close_ok()


def test_confidential_files_under_pin_need_both() -> None:
    peer = intercode()
    read_id3 = "00B2016C10"
    peer.open(3, mode="extended")
    peer.manage(encrypted=True)
    assert peer.send(read_id3) == "6982"
    peer.ok("002000000430303030", read_id3)
    peer.close_ok()
    assert peer.send(read_id3) == "6982"


def test_secured_counters_and_events_travel_ciphered() -> None:
    peer = intercode()
    peer.open(2, mode="extended")
    peer.manage(encrypted=True, authenticate=True)
    assert peer.ok("003201700300000700") == "000007"
    assert peer.ok("003001700300000200") == "000005"
    peer.ok("00E2007804CAFECAFE")
    assert peer.ok("00B2017C04") == "CAFECAFE"
    peer.close_ok()


def test_no_data_field_of_an_encrypted_section_is_on_the_wire() -> None:
    peer = peer_of("workshop")
    seen = []
    transmit = peer.card.transmit

    def spy(command: bytes) -> bytes:
        answer = transmit(command)
        seen.append(command.hex().upper() + " " + answer.hex().upper())
        return answer

    peer.card.transmit = spy  # type: ignore[method-assign]
    peer.open(3, mode="extended")
    peer.manage(encrypted=True)
    peer.ok(SECRET_RECORD)
    assert peer.ok(READ_SECRET) == "5A" * 8
    peer.ok("002000000430303030")
    peer.close_ok()
    assert not [line for line in seen if "5A5A" in line or "30303030" in line]


def test_a_case_4_command_without_le_is_answered_with_its_data() -> None:
    peer = peer_of("bench")
    peer.open(2, mode="extended")
    peer.manage(encrypted=True)
    assert peer.ok("003201C803000001") == "00000B"
    peer.close_ok()


def test_a_cipher_stream_serves_one_element_only() -> None:
    peer = peer_of("workshop")
    peer.open(3, mode="extended")
    peer.manage(encrypted=True)
    peer.ok(SECRET_RECORD)
    raw = []
    for _ in range(2):
        assert peer.digest is not None
        answer = peer.card.transmit(bytes.fromhex(READ_SECRET))
        raw.append(answer[:-2])
        peer.digest.absorb(bytes.fromhex(READ_SECRET))
        peer.digest.absorb(peer.digest.cipher(answer[:-2]) + answer[-2:])
    assert raw[0] != raw[1]
    peer.close_ok()


def test_refusals_in_an_encrypted_section_keep_both_ends_together() -> None:
    peer = peer_of("workshop")
    peer.open(3, mode="extended")
    peer.manage(encrypted=True)
    for refused in ("00DC013C0411223344", "00B201FC00", "FFDC013C0411223344", "00FF000004AABBCCDD"):
        assert len(peer.send(refused)) == 4
    peer.ok(SECRET_RECORD)
    peer.close_ok()
    assert peer.send(READ_SECRET) == "6982"


@pytest.mark.parametrize("authenticate", [False, True])
def test_encryption_ends_with_the_session(*, authenticate: bool) -> None:
    peer = peer_of("workshop")
    peer.open(3, mode="extended")
    peer.manage(encrypted=True, authenticate=authenticate)
    peer.close_ok()
    peer.open(3, mode="extended")
    assert peer.send(READ_SECRET) == "6982"
    peer.close_ok()


def test_early_authentication_covers_what_came_before_and_changes_nothing() -> None:
    peer = peer_of("bench")
    peer.open(3, mode="extended")
    for _ in range(5):
        peer.manage(encrypted=False, authenticate=True)
        peer.ok("00E20040011" + "1")
    peer.close_ok()


def test_managing_a_session_costs_nothing_of_its_buffer() -> None:
    peer = peer_of("bench")
    peer.open(3, mode="extended")
    for encrypted in (True, False) * 20:
        peer.manage(encrypted=encrypted, authenticate=True)
        peer.manage(encrypted=not encrypted)
    peer.manage(encrypted=False)
    peer.ok(*["00E200401D" + "CD" * 29] * 12)
    peer.close_ok()


def test_a_wrong_proof_ends_the_session_and_rolls_it_back() -> None:
    peer = peer_of("bench")
    peer.open(3, mode="extended")
    peer.ok("00E200400111")
    assert peer.digest is not None
    wrong = bytes(8) if peer.digest.terminal_proof() != bytes(8) else b"\1" * 8
    assert peer.send(f"0082000108{wrong.hex()}00") == "6988"
    assert peer.close() == "6985"
    assert peer.ok("00B2014401") == "00"


def test_a_proof_is_not_a_mac() -> None:
    peer = peer_of("bench")
    peer.open(3, mode="extended")
    assert peer.digest is not None
    assert peer.close(mac=peer.digest.terminal_proof()) == "6988"
    peer.open(3, mode="extended")
    mac = peer.terminal_mac().hex()
    assert peer.send(f"0082000108{mac}00") == "6988"


def test_a_key_that_is_not_aes_makes_the_session_unmanageable_with_a_short_card_mac() -> None:
    peer = intercode(
        applications=[
            {"lid": 0x2200, "keys": {"kifs": [0x21, 0x27, 0x30], "kvc": 0x75, "algorithm": 0x40}}
        ]
    )
    assert peer.open(3, mode="extended")[16:18] == "00"
    assert peer.send("0082000200") == "6985"
    peer.ok("00E200500111")
    answer = peer.close()
    assert peer.digest is not None
    assert answer == peer.digest.card_mac()[:4].hex().upper() + "9000"


def test_a_product_may_refuse_regular_sessions_with_aes_keys() -> None:
    peer = peer_of("bench", product={"extended_only_algorithms": [0xA0]})
    assert peer.send("008A030104C1C2C3C400") == "6982"
    peer.open(3, mode="extended")
    peer.close_ok()


# Pre-open


def test_the_open_behind_a_pre_open_gives_the_same_answer() -> None:
    peer = peer_of("bench")
    frozen = peer.send(PRE_OPEN)
    assert frozen[-4:] == "6200"
    assert peer.send("008E000000") == "6985"  # no session is open yet
    peer.ok("00B2013C1D", "00B201441D")
    command = bytes.fromhex(OPEN)
    answer = peer.card.transmit(command)
    assert answer.hex().upper() == frozen[:-4] + "9000"
    peer.follow(command, answer)
    peer.ok("00B2013C1D", "00E200400111")
    peer.close_ok()


def test_a_pre_open_counts_the_transaction_and_its_open_does_not() -> None:
    peer = peer_of("bench", transaction_counter=1)
    assert peer.send(PRE_OPEN)[:6] == "000000"
    assert peer.send(PRE_OPEN) == "6900"
    assert peer.send(OPEN)[-4:] == "9000"


@pytest.mark.parametrize(
    "drop",
    [
        "008A02020900C1C2C3C4C5C6C7C800",  # another key
        "008A030104C1C2C3C400",  # another mode
        "008A0B3A0900C1C2C3C4C5C6C7C800",  # with a record
        "00A4040008A000000291FF910100",
        "reset",
        "used",
    ],
)
def test_what_drops_a_pre_open(drop: str) -> None:
    peer = peer_of("bench")
    frozen = peer.send(PRE_OPEN)[:-4]
    if drop == "reset":
        peer.card.reset()
    else:
        peer.ok(OPEN if drop == "used" else drop)
        peer.card.transmit(bytes.fromhex("008E000000"))
    assert peer.send(OPEN)[:-4] != frozen


def test_an_open_with_a_record_is_none_that_a_pre_open_was_for() -> None:
    peer = peer_of("bench")
    frozen = peer.send(PRE_OPEN)[:-4]
    answer = peer.send("008A0B3A0900C1C2C3C4C5C6C7C800")
    assert answer[22:24] == "1D"
    assert len(answer) == len(frozen) + 2 * 29 + 4
    assert int(answer[:6], 16) == int(frozen[:6], 16) - 1


def test_a_refused_open_keeps_a_pre_open() -> None:
    peer = peer_of("bench")
    frozen = peer.send(PRE_OPEN)[:-4]
    assert peer.send("008A07020900C1C2C3C4C5C6C7C800") == "6A81"
    assert peer.send("008A03020901C1C2C3C4C5C6C7C800") == "6A80"
    assert peer.send(OPEN) == frozen + "9000"


def test_a_changed_key_drops_a_pre_open() -> None:
    peer = peer_of("bench")
    frozen = peer.send(PRE_OPEN)
    peer.ok(new_key(3, 0x30, 0x75)(peer))
    assert peer.send(OPEN)[18:22] == "3075"
    assert frozen[18:22] == "3074"


def test_a_second_pre_open_replaces_the_first() -> None:
    peer = peer_of("bench")
    first, second = peer.send(PRE_OPEN), peer.send(PRE_OPEN)
    assert first != second
    assert peer.send(OPEN)[:-4] == second[:-4]


def test_a_pre_open_that_asks_for_a_record_is_refused_for_its_parameters() -> None:
    """Found by the model: the first data byte was looked at before P1 (calypso-card §4.22)."""
    assert peer_of("bench").send("008A0902010100") == "6B00"
