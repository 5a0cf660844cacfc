"""A SAM written down as JSON and read back is the same SAM."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.sam_scene import SELECT_CARD, Scene, command, sv_debit_data

from cardbench.emulator.chassis import Clock, Entropy, Memory, Moment, Tear
from cardbench.protocol.errors import MalformedImage, StorageError
from cardbench.protocol.link import PowerLoss
from cardbench.sam_emulator import SamCard
from cardbench.sam_emulator.document import (
    document_of,
    encode_document,
    parse_document,
    snapshot_of,
)
from cardbench.sam_emulator.personalisation import presets


def text_of(scene: Scene) -> str:
    return encode_document(document_of(scene.sam.snapshot()))


@pytest.fixture
def used() -> Scene:
    """A SAM that has counted, numbered and become busy."""
    scene = Scene()
    scene.change("caad", 2, value=b"\xca" * 29)
    scene.sam.memory.commit({("free", 2): 0x0101, ("ceiling", 9): 77})
    scene.ok(SELECT_CARD, "802A9E9A0DFF2B1988" + "00" * 9)
    scene.ok(command("805401FF", sv_debit_data()))
    scene.send("802A00A812FF2B1988" + "00" * 14)
    return scene


@pytest.mark.parametrize("preset", presets())
def test_every_preset_comes_back_whole(preset: str) -> None:
    snapshot = Scene(preset).sam.snapshot()
    document = parse_document(encode_document(document_of(snapshot)))
    assert snapshot_of(document) == snapshot


def test_an_imported_sam_goes_on_like_the_exported_one(used: Scene) -> None:
    used.clock.advance(1.5)
    snapshot = snapshot_of(parse_document(text_of(used)))
    assert snapshot == used.sam.snapshot()
    twin = SamCard(Memory(), entropy=Entropy(b""), clock=Clock())
    twin.restore(snapshot)
    used.sam.power_on()
    assert twin.power_on() == used.sam.atr()
    for one in ("8084000008", SELECT_CARD, "80BE00E100", command("805401FF", sv_debit_data())):
        assert twin.transmit(bytes.fromhex(one)).hex().upper() == used.send(one)


def test_a_document_can_be_read_by_people(used: Scene) -> None:
    document: dict[str, Any] = json.loads(text_of(used))
    assert document["schema"] == "cardbench sam"
    assert document["serial"] == "11223344"
    assert document["counters"][4] == {
        "number": 4,
        "value": 1,
        "ceiling": 0xFFFFFA,
        "free_increment": False,
    }
    assert document["counters"][9]["free_increment"] is True
    assert document["keys"][2]["reference"] == "03"
    assert document["keys"][2]["block"][:6] == "307940"
    assert document["busy_until_ms"] == 3000


def test_a_torn_write_is_finished_first() -> None:
    scene = Scene()
    scene.ok(SELECT_CARD)
    scene.sam.memory.arm(Tear(2, Moment.BEFORE))  # the mark is whole, nothing is applied
    with pytest.raises(PowerLoss):
        scene.send("802A9E9A0DFF2B1988" + "00" * 9)
    document = document_of(scene.sam.snapshot())
    assert document.counters[4].value == 1


def test_no_key_value_shows_in_a_repr(used: Scene) -> None:
    document = document_of(used.sam.snapshot())
    for key in document.keys:
        assert repr(key.value) not in repr(document)
        assert key.name == f"{key.block[0]:02X}/{key.block[1]:02X}"


def changed(scene: Scene, *path: str | int, value: object) -> str:
    document = json.loads(text_of(scene))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("serial",), "112233", "serial: "),
        (("serial",), "11223G44", "serial: .*not hexadecimal"),
        (("serail",), "11223344", "serail: Extra inputs"),
        (("version",), 2, "reads versions up to 1"),
        (("version",), "x", "damaged document"),
        (("schema",), "something else", "schema: "),
        (("keys", 0, "reference"), "0304", "keys.0.reference: .*not one byte"),
        (("keys", 0, "reference"), "9F", "none of 01…7E"),
        (("keys", 0, "reference"), "02", "there twice"),
        (("keys", 0, "value"), "5E" * 15, "keys.0.value: "),
        (("counters", 3, "number"), 4, "there twice"),
        (("counters", 3, "ceiling"), 0xFFFFFB, "counters.3.ceiling: "),
        (("features", "digest_bytes_max"), 0, "features.digest_bytes_max: "),
        (("clock_s",), -1.0, "clock_s: "),
    ],
)
def test_a_wrong_document_is_refused_in_words(
    used: Scene, path: tuple[str | int, ...], value: object, words: str
) -> None:
    with pytest.raises(StorageError, match=words) as refused:
        parse_document(changed(used, *path, value=value))
    assert "5E" * 15 not in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", b"\xff"])
def test_what_is_no_document(text: str | bytes) -> None:
    with pytest.raises(MalformedImage):
        parse_document(text)


def test_another_cards_memory_is_no_sam() -> None:
    scene = Scene()
    snapshot = scene.sam.snapshot()
    objects = snapshot.memory.objects
    with pytest.raises(MalformedImage, match="no SAM's memory"):
        document_of(snapshot._replace(memory=Memory({("file", 1): b""}).image()))
    with pytest.raises(MalformedImage, match="objects that no SAM has"):
        document_of(snapshot._replace(memory=Memory({**objects, ("file", 1): b""}).image()))
