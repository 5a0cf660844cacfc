"""The digest of a secure session: both ends compute the same MACs, and every misuse is refused.

The card's side is played with the symmetric suite alone.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cardbench.protocol.calypso.aes_suite import AesSessionDigest, AesSuite
from cardbench.protocol.calypso.suite import public_test_master
from cardbench.sam_emulator import SamCard

Send = Callable[[str], str]
Hand = Callable[[SamCard], Send]
Make = Callable[..., SamCard]

CARD = "00000000C17BE1F6"
OPEN_REGULAR = "030AB2CF0030791D" + "00" * 29
OPEN_EXTENDED = "C8C7C6C5C4C3C2C102307400"
REQUEST = "00B2013C1D"
RESPONSE = "71" + "11" * 28 + "9000"


def card_digest(
    kif: int, kvc: int, challenge: str, open_data: str, *, extended: bool = False
) -> AesSessionDigest:
    suite = AesSuite()
    return suite.start_session(
        suite.diversify(public_test_master(kif, kvc), bytes.fromhex(CARD)),
        extended=extended,
        terminal_challenge=bytes.fromhex(challenge),
        open_data=bytes.fromhex(open_data),
    )


def command(header: str, data: str) -> str:
    return f"{header}{len(data) // 2:02X}{data}"


def multiple(*elements: str) -> str:
    return command("808C8000", "".join(f"{len(one) // 2:02X}{one}" for one in elements))


def open_session(send: Send, *, extended: bool = False) -> AesSessionDigest:
    """Select the diversifier, get a challenge, start the digest; return the card's digest."""
    challenge = send("8084000008" if extended else "8084000004")
    assert challenge[-4:] == "9000"
    assert send(f"8014000008{CARD}") == "9000"
    kvc, data = (0x74, OPEN_EXTENDED) if extended else (0x79, OPEN_REGULAR)
    assert send(command(f"808A0{2 * extended}FF", f"30{kvc:02X}{data}")) == "9000"
    return card_digest(0x30, kvc, challenge[:-4], data, extended=extended)


def absorb(digest: AesSessionDigest, *elements: str) -> None:
    for element in elements:
        digest.absorb(bytes.fromhex(element))


@pytest.mark.parametrize("extended", [False, True])
def test_a_session_ends_with_both_macs(send: Send, extended: bool) -> None:
    card = open_session(send, extended=extended)
    assert send(multiple(REQUEST, RESPONSE)) == "9000"
    absorb(card, REQUEST, RESPONSE)
    size = 8 if extended else 4
    assert send(f"808E0000{size:02X}") == card.terminal_mac()[:size].hex().upper() + "9000"
    assert send(command("80820000", card.card_mac()[:size].hex())) == "9000"


def test_grouped_and_single_updates_give_the_same_mac(sam: SamCard, send_to: Hand) -> None:
    open_session(send_to(sam))
    single, grouped = send_to(sam.fork()), send_to(sam)
    assert single(command("808C0000", REQUEST)) == "9000"
    assert single(command("808C0000", RESPONSE)) == "9000"
    assert grouped(multiple(REQUEST, RESPONSE)) == "9000"
    assert single("808E000004") == grouped("808E000004")


def test_a_wrong_card_mac_ends_the_session(send: Send) -> None:
    card = open_session(send)
    send("808E000004")
    wrong = bytes((card.card_mac()[0] ^ 1,)) + card.card_mac()[1:4]
    assert send(command("80820000", wrong.hex())) == "6988"
    assert send(command("80820000", card.card_mac()[:4].hex())) == "6985"


def test_a_regular_session_takes_the_first_four_bytes_of_a_long_challenge(send: Send) -> None:
    challenge = send("8084000008")[:8]
    send(f"8014000008{CARD}")
    assert send(command("808A00FF", "3079" + OPEN_REGULAR)) == "9000"
    card = card_digest(0x30, 0x79, challenge, OPEN_REGULAR)
    assert send("808E000004") == card.terminal_mac()[:4].hex().upper() + "9000"


def test_digest_init_consumes_the_challenge(send: Send) -> None:
    open_session(send)
    assert send(command("808A00FF", "3079" + OPEN_REGULAR)) == "6985"


def test_a_refused_digest_init_ends_the_earlier_session(send: Send) -> None:
    open_session(send)
    assert send(command("808A00FF", "3079" + OPEN_REGULAR)) == "6985"  # no challenge
    assert send("808E000004") == "6985"


def test_a_digest_init_with_a_wrong_length_leaves_the_session(send: Send) -> None:
    open_session(send)
    assert send(command("808A00FF", "3079030AB2")) == "6700"
    assert send(command("808A0080", "3079" + OPEN_REGULAR)) == "6A00"
    assert send(command("808A04FF", "3079" + OPEN_REGULAR)) == "6B00"
    assert send("808E000004")[-4:] == "9000"


def test_digest_init_names_a_key_that_is_not_there(send: Send) -> None:
    send("8084000004")
    send(f"8014000008{CARD}")
    assert send(command("808A00FF", "0000" + OPEN_REGULAR)) == "6A83"
    assert send(command("808A0030", OPEN_REGULAR)) == "6A83"


def test_digest_init_takes_a_key_by_its_record(send: Send) -> None:
    challenge = send("8084000004")[:8]
    send(f"8014000008{CARD}")
    assert send(command("808A0003", OPEN_REGULAR)) == "9000"  # record 03 is 30/79
    card = card_digest(0x30, 0x79, challenge, OPEN_REGULAR)
    assert send("808E000004") == card.terminal_mac()[:4].hex().upper() + "9000"


@pytest.mark.parametrize(
    ("before", "header"),
    [
        (["8084000004"], "808A00FF"),  # no diversifier
        ([f"8014000008{CARD}"], "808A00FF"),  # no challenge
        (["8084000004", f"8014000008{CARD}"], "808A02FF"),  # 4 bytes for an extended session
        (["8084000008", f"8014000008{CARD}"], "808A01FF"),  # verification mode
    ],
)
def test_digest_init_without_its_preconditions(send: Send, before: list[str], header: str) -> None:
    for one in before:
        send(one)
    assert send(command(header, "3079" + OPEN_REGULAR)) == "6985"


@pytest.mark.parametrize(
    "misuse",
    [
        "808C000005" + REQUEST,
        "808C008005" + REQUEST,
        "808C80000605" + REQUEST,
        "808E000004",
        "8088800008",
        "808200000401020304",
    ],
)
def test_digest_commands_without_a_session(send: Send, misuse: str) -> None:
    assert send(misuse) == "6985"


def test_digest_close_after_a_lone_request(send: Send) -> None:
    open_session(send)
    send(command("808C0000", REQUEST))
    assert send("808E000004") == "6985"
    send(command("808C0000", RESPONSE))
    assert send("808E000004")[-4:] == "9000"


def test_digest_close_with_the_other_modes_length(send: Send) -> None:
    open_session(send)
    assert send("808E000008") == "6700"
    assert send("808E0000") == "6700"
    assert send("808E000004")[-4:] == "9000"


@pytest.mark.parametrize(
    "data",
    ["00", "0500B2013C", "0500B2013C1D00", "0500B2013C1D1F71"],
    ids=["empty element", "cut short", "empty at the end", "second cut short"],
)
def test_a_wrong_element_list_leaves_nothing_absorbed(send: Send, data: str) -> None:
    card = open_session(send)
    assert send(command("808C8000", data)) == "6A80"
    assert send("808E000004") == card.terminal_mac()[:4].hex().upper() + "9000"


@pytest.mark.parametrize("header", ["808C8080", "808C0001", "808C0100", "808C8001"])
def test_other_parameters_of_digest_update(send: Send, header: str) -> None:
    open_session(send)
    assert send(command(header, REQUEST)) == "6B00"


def test_a_card_mac_of_another_length_is_not_looked_at(send: Send) -> None:
    card = open_session(send)
    send("808E000004")
    assert send(command("80820000", card.card_mac().hex())) == "6700"
    assert send(command("80820000", "00" * 16)) == "6700"
    assert send(command("80820000", card.card_mac()[:4].hex())) == "9000"


def test_a_short_card_mac_is_taken_in_an_extended_session(send: Send) -> None:
    card = open_session(send, extended=True)
    send("808E000008")
    assert send(command("80820000", card.card_mac()[:4].hex())) == "9000"


def test_early_mutual_authentication_leaves_the_session_open(send: Send) -> None:
    card = open_session(send, extended=True)
    send(multiple(REQUEST, RESPONSE))
    absorb(card, REQUEST, RESPONSE)
    for _ in range(2):
        assert send("8088800008") == card.terminal_proof().hex().upper() + "9000"
        assert send(command("80820000", card.card_proof()[:4].hex())) == "6700"
        assert send(command("80820000", card.card_proof().hex())) == "9000"
        assert send(command("80820000", card.card_proof().hex())) == "6985"
    assert send("808E000008") == card.terminal_mac().hex().upper() + "9000"


def test_a_wrong_proof_of_the_card_ends_the_session(send: Send) -> None:
    open_session(send, extended=True)
    send("8088800008")
    assert send("8082000008" + "00" * 8) == "6988"
    assert send("808E000008") == "6985"


def test_the_250th_proof_is_refused(send: Send) -> None:
    open_session(send, extended=True)
    answers = [send("8088800008")[-4:] for _ in range(250)]
    assert answers == ["9000"] * 249 + ["6985"]
    assert send("8088000008") == "6B00"


def test_an_encrypted_section(send: Send) -> None:
    card = open_session(send, extended=True)
    request, response = "00DC010C01AA", "11229000"
    ciphered = request[:10] + card.cipher(b"\xaa").hex().upper()
    assert send(command("808C0080", request)) == ciphered + "9000"
    absorb(card, request)
    travels = card.cipher(bytes.fromhex("1122")).hex() + "9000"
    assert send(command("808C0080", travels)) == response + "9000"
    absorb(card, response)
    assert send(multiple(REQUEST, RESPONSE)) == "9000"  # in clear again
    absorb(card, REQUEST, RESPONSE)
    assert send(command("808C0080", REQUEST)) == REQUEST + "9000"  # nothing to encipher
    assert send(command("808C0080", "9000")) == "90009000"
    absorb(card, REQUEST, "9000")
    assert send("808E000008") == card.terminal_mac().hex().upper() + "9000"


def test_encrypted_updates_that_are_too_short(send: Send) -> None:
    open_session(send, extended=True)
    assert send(command("808C0080", "00B20144")) == "6A80"
    send(command("808C0080", REQUEST))
    assert send(command("808C0080", "90")) == "6A80"


def test_encryption_needs_an_extended_session_with_an_aes_key(send: Send) -> None:
    open_session(send)
    assert send(command("808C0080", REQUEST)) == "6985"
    assert send("8088800008") == "6985"
    send("8084000008")
    assert send(command("808A02FF", "3079" + OPEN_EXTENDED)) == "9000"  # 30/79 is no AES key
    assert send(command("808C0080", REQUEST)) == "6985"
    assert send("8088800008") == "6985"


def test_a_later_diversifier_does_not_disturb_the_digest(send: Send) -> None:
    card = open_session(send)
    assert send("801400000411223344") == "9000"
    assert send("808E000004") == card.terminal_mac()[:4].hex().upper() + "9000"


def test_both_spellings_of_a_short_diversifier_are_the_same(sam: SamCard, send_to: Hand) -> None:
    send_to(sam)("8084000004")
    short, long = send_to(sam.fork()), send_to(sam)
    short("801400000411223344")
    long("80140000080000000011223344")
    for send in (short, long):
        assert send(command("808A00FF", "3079" + OPEN_REGULAR)) == "9000"
    assert short("808E000004") == long("808E000004")


def test_a_power_cycle_forgets_the_session(sam: SamCard, send: Send) -> None:
    open_session(send)
    sam.reset()
    assert send("808E000004") == "6985"
    assert send("8084000004")[-4:] == "9000"
    assert send(command("808A00FF", "3079" + OPEN_REGULAR)) == "6985"  # no diversifier


@pytest.mark.parametrize("preset", ["sam-s1e1", "sam-s1dx"])
def test_products_without_extended_mode(make_sam: Make, send_to: Hand, preset: str) -> None:
    send = send_to(make_sam(preset))
    send("8084000008")
    send(f"8014000008{CARD}")
    assert send(command("808A02FF", "3079" + OPEN_EXTENDED)) == "6985"
    send("8084000004")
    assert send(command("808A00FF", "3079" + OPEN_REGULAR)) == "9000"
    assert send(command("808C0080", REQUEST)) == "6B00"
    assert send("8088800008") == "6D00"


def test_a_product_may_have_extended_mode_and_short_updates(sam: SamCard, send: Send) -> None:
    sam.memory.commit({("features",): (1, 1, 100, 0, 3000)})
    sam.power_on()
    open_session(send, extended=True)
    for header in ("808C0000", "808C0080"):
        assert send(command(header, "00B2013C" + "00" * 97)) == "6700"


def test_products_differ_in_what_one_update_holds(make_sam: Make, send_to: Hand) -> None:
    for preset, most in (("bench", 255), ("hsm-c1", 255), ("sam-s1e1", 240), ("sam-s1dx", 70)):
        send = send_to(make_sam(preset))
        open_session(send)
        assert send(command("808C0000", "00" * most)) == "9000"
        if most < 255:
            assert send(command("808C0000", "00" * (most + 1))) == "6700"
        if preset == "sam-s1e1":
            assert send(multiple(*["00" * 79] * 3)) == "9000"
            assert send(multiple(*["00" * 80] * 3)) == "6700"
        grouped = send(multiple(REQUEST))
        assert grouped == ("6B00" if preset == "sam-s1dx" else "9000")
