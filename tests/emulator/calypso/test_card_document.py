"""A card written down as a document: nothing is lost, nothing is guessed, and damage is named."""

from __future__ import annotations

import json
import random

import pytest
from support.calypso_peer import Peer
from support.calypso_workshop import made, peer_of

from cardbench.emulator.calypso.document import (
    document_of,
    encode_document,
    parse_document,
    personalisation_of,
    snapshot_of,
)
from cardbench.emulator.calypso.edit import memory_changes
from cardbench.emulator.calypso.factory import card_of
from cardbench.emulator.calypso.personalisation import parse_personalisation, preset_names
from cardbench.emulator.chassis import Clock, Entropy, Memory, Moment, Snapshot, Tear
from cardbench.protocol.errors import MalformedImage, UnsupportedSchema, UsageError
from cardbench.protocol.link import PowerLoss
from cardbench.sam_emulator import new_sam


@pytest.mark.parametrize("preset", [*preset_names(), "workshop"])
def test_every_card_comes_back_from_its_document(preset: str) -> None:
    card = made(preset)
    read = parse_document(encode_document(document_of(card.snapshot())))
    assert snapshot_of(read) == card.snapshot()


def test_a_used_card_comes_back_with_everything_that_has_changed() -> None:
    peer = peer_of("bench")
    peer.ok("0020000004" + "30303030")
    peer.send("0020000004" + "FFFFFFFF")
    peer.open(1)
    peer.ok("00DC013C02AABB", "00E2004003010203", "003201C803000005 00".replace(" ", ""))
    peer.close_ok(ratified=False)
    peer.open(1)
    peer.ok("0004000000")
    peer.close_ok()
    card = peer.card
    read = parse_document(encode_document(document_of(card.snapshot())))
    assert snapshot_of(read) == card.snapshot()
    assert read.card.pin_tries == 2
    assert read.card.applications[0].invalidated
    assert read.card.applications[0].files[2].content[0][:2] == b"\xaa\xbb"


def test_a_purse_comes_back_with_its_logs_and_its_last_signature() -> None:
    peer = peer_of("bench")
    got = peer.ok("007C000721") + "9000"
    peer.ok(peer.sv_command(0xB8, 500, got, le="03"))
    got = peer.ok("007C00091E") + "9000"
    peer.ok(peer.sv_command(0xBA, -20, got, le="03"))
    purse = document_of(peer.card.snapshot()).card.purse
    assert purse is not None
    assert (purse.balance, purse.transaction_number) == (480, 2)
    assert purse.last_signature[:3].hex().upper() == peer.sv_lo
    assert len(purse.debit_logs) == 1
    assert any(purse.load_log)
    read = parse_document(encode_document(document_of(peer.card.snapshot())))
    assert snapshot_of(read) == peer.card.snapshot()


def test_a_card_that_the_power_cut_is_written_down_as_it_recovers() -> None:
    card = made("bench")
    card.power_on()
    card.memory.arm(Tear(3, Moment.AFTER))
    with pytest.raises(PowerLoss):
        card.transmit(bytes.fromhex("0020000004FFFFFFFF"))
    snapshot = card.snapshot()
    assert snapshot.memory.journal
    card.power_on()
    assert snapshot_of(document_of(snapshot)).memory == card.memory.image()


def test_a_quirk_of_the_product_is_written_as_the_difference() -> None:
    text = 'base = "bench"\nproduct = { name = "odd", classes = [0], signed_lc_in_digest = true }'
    card = card_of(parse_personalisation(text, origin="odd"))
    document = document_of(card.snapshot())
    assert set(document.card.product) == {"name", "classes", "signed_lc_in_digest"}
    assert snapshot_of(parse_document(encode_document(document))) == card.snapshot()


def test_conditions_that_no_word_names_and_startup_bytes_of_one_application_are_kept() -> None:
    text = """
        base = "kit-regular"
        [[applications]]
        lid = 0x2000
        platform = 0xC0
        access = "1201 1200 00FF 0000"
    """
    card = card_of(parse_personalisation(text, origin="strange"))
    peer = Peer(card)
    peer.ok("00A4040008A000000291FF9101 00".replace(" ", ""))
    header = peer.ok("00A409000200 00 00".replace(" ", ""))
    assert header[4 + 10 : 4 + 26] == "12120000" + "0100FF00"
    assert peer.sw("0004000000") == 0x6982
    document = document_of(card.snapshot())
    assert snapshot_of(parse_document(encode_document(document))) == card.snapshot()
    assert document.card.applications[1].platform == 0xC0
    assert document.card.applications[0].platform is None


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"schema": "other"}, MalformedImage, "not the JSON document of a card"),
        ({"version": 2}, UnsupportedSchema, "version 2"),
        ({"clock_s": -1}, UsageError, "clock_s"),
        ({"entropy": {"seed": "0", "blocks": 0}}, UsageError, "entropy.seed: not hexadecimal"),
        ({"colour": 1}, UsageError, "colour: no such name"),
        ({"card": {}}, UsageError, "card.serial: Field required"),
    ],
)
def test_a_document_that_is_none_is_refused(
    change: dict[str, object], error: type[Exception], words: str
) -> None:
    fields = json.loads(encode_document(document_of(made("bench").snapshot())))
    with pytest.raises(error, match=words):
        parse_document(json.dumps(fields | change))


def test_no_secret_shows_in_an_error() -> None:
    fields = json.loads(encode_document(document_of(made("bench").snapshot())))
    fields["card"]["pin"] = "3938373"
    fields["card"]["applications"][0]["keys"][0]["value"] = "5EC2E7" * 6
    with pytest.raises(UsageError) as raised:
        parse_document(json.dumps(fields))
    assert "3938" not in str(raised.value)
    assert "5EC2E7" not in str(raised.value)


def test_the_memory_of_another_card_is_refused() -> None:
    sam = new_sam("bench", entropy=Entropy(b""), clock=Clock())
    with pytest.raises(MalformedImage, match="no Calypso card's memory"):
        document_of(sam.snapshot())


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (("something",), 1, "what no description can say: .'something'"),
        (("pin",), b"12", "no Calypso card's memory"),
        (("purse",), 7, "no Calypso card's memory"),
        (("file", 0x2000, 0x2001), b"short", "what no description can say"),
    ],
)
def test_a_memory_with_something_strange_is_refused(
    key: tuple[str | int, ...], value: object, words: str
) -> None:
    objects = made("bench").memory.objects() | {key: value}
    with pytest.raises(MalformedImage, match=words):
        document_of(Snapshot(Memory(objects).image(), Entropy(b"").state, 0.0))


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(MalformedImage, match=r"x\.json: no JSON"):
        parse_document("{", "x.json")


@pytest.mark.parametrize("preset", ["bench", "kit-extended", "prime-2", "basic"])
def test_a_card_comes_back_after_whatever_commands(preset: str) -> None:
    draw = random.Random(preset)
    card = made(preset)
    card.power_on()
    for _ in range(300):
        card.transmit(a_random_command(draw))
    read = parse_document(encode_document(document_of(card.snapshot())))
    assert snapshot_of(read) == card.snapshot()


def a_random_command(draw: random.Random) -> bytes:
    """A command that changes something outside of a session, or opens one."""
    cla, sfi, record = draw.choice((0x00, 0x94)), draw.randrange(0x20), draw.randrange(5)
    command = draw.choice(
        (
            "A40400 08 A000000291FF9101 00",
            "A40400 08 A000000291FF9111 00",
            "8A0901 04 C1C2C3C4 00",
            "8A8901 04 C1C2C3C4 00",
            "8E0000 00",
            "200000 04 30303030",
            "200000 04 31323334",
            "D80000 04 30303030",
            f"DC{record:02X}{sfi << 3 | 4:02X} 03 010203",
            f"D2{record:02X}{sfi << 3 | 4:02X} 03 F0F0F0",
            f"E200{sfi << 3:02X} 03 0A0B0C",
            f"32{record:02X}{sfi << 3:02X} 03 000005 00",
            f"30{record:02X}{sfi << 3:02X} 03 000001 00",
            f"D6{0x80 | sfi:02X}02 03 AABBCC",
        )
    )
    return bytes((cla,)) + bytes.fromhex(command)


def test_only_what_differs_is_written() -> None:
    objects = made("bench").memory.objects()
    card = personalisation_of(objects)
    assert memory_changes(objects, card) == {}
    assert memory_changes({**objects, ("old",): 1}, card) == {("old",): None}
