"""Snapshots as bytes: whole, across processes, and refused when damaged."""

from __future__ import annotations

import json
from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.file_card import FileCard
from support.memory_strategies import keys, values

from cardbench.emulator.chassis import (
    EntropyState,
    MemoryImage,
    Snapshot,
    Tear,
    decode_snapshot,
    encode_snapshot,
)
from cardbench.emulator.chassis.codec import (
    DEPTH_MAX,
    decode_key,
    decode_value,
    encode_key,
    encode_value,
)
from cardbench.emulator.chassis.memory import TORN, Memory, Moment
from cardbench.protocol.errors import MalformedImage, UnsupportedSchema, UsageError
from cardbench.protocol.link import PowerLoss

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cardbench.emulator.chassis import Key, Value

objects = st.dictionaries(keys, values, max_size=2)


@st.composite
def images(draw: st.DrawFn) -> MemoryImage:
    """Physical contents as any cut of a commit or recovery leaves them."""
    memory = Memory(draw(objects))
    memory.arm(Tear(draw(st.integers(0, 12)), draw(st.sampled_from(Moment))))
    with suppress(PowerLoss):
        memory.commit(draw(objects))
    return memory.image()


snapshots = st.builds(
    Snapshot,
    images(),
    st.builds(EntropyState, st.binary(max_size=40), st.integers(0, 2**70)),
    st.floats(allow_nan=False, allow_infinity=False),
)


def shape(value: object) -> object:
    """Put types beside values: True is not 1 here, and a tuple no list."""
    if isinstance(value, tuple | list):
        return type(value), [shape(element) for element in value]
    return type(value), value


@given(snapshots)
def test_a_snapshot_comes_back_type_by_type_and_in_order(snapshot: Snapshot) -> None:
    back = decode_snapshot(encode_snapshot(snapshot))
    assert back == snapshot
    for name in ("objects", "journal"):
        ours, theirs = getattr(snapshot.memory, name), getattr(back.memory, name)
        assert shape(list(ours.items())) == shape(list(theirs.items()))
    assert encode_snapshot(back) == encode_snapshot(snapshot)


@given(keys, values)
def test_keys_and_values_come_back_one_by_one(key: Key, value: Value) -> None:
    assert decode_key(encode_key(key)) == key
    assert shape(decode_value(encode_value(value))) == shape(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(2**63 - 1, id="63 bits"),
        pytest.param(2**63, id="64 bits"),
        pytest.param(-(2**63), id="64 bits, negative"),
        pytest.param(2**20_000, id="more digits than Python prints"),
        pytest.param(-(2**20_000), id="negative, more digits than Python prints"),
        pytest.param(True, id="a truth value"),
        pytest.param("\ud800", id="half a character"),
        pytest.param(TORN, id="torn"),
        pytest.param("", id="empty text"),
    ],
)
def test_values_at_the_edges_come_back(value: Value) -> None:
    assert shape(decode_value(encode_value(value))) == shape(value)


def test_the_text_is_plain_json_that_names_its_schema() -> None:
    snapshot = Snapshot(
        MemoryImage({("é", 1): b"\x00\xff"}, {}, None), EntropyState(b"\x01", 2), 1.5
    )
    assert json.loads(encode_snapshot(snapshot)) == {
        "schema": "cardbench snapshot",
        "version": 1,
        "memory": {"objects": [[["é", 1], {"bytes": "00FF"}]], "journal": [], "mark": None},
        "entropy": {"seed": "01", "blocks": 2},
        "clock_s": 1.5,
    }


# A new process

REBUILD = """
import sys
sys.path.insert(0, sys.argv[1])
from support.file_card import FileCard
from cardbench.emulator.chassis import decode_snapshot
card = FileCard()
card.restore(decode_snapshot(sys.stdin.buffer.read()))
card.power_on()
for line in sys.argv[2:]:
    print(card.transmit(bytes.fromhex(line)).hex(), card.clock.now_s)
"""

COMMANDS = ["0084000008", "00B0010000", "00B0030000", "00D2020002AABB", "0084000020", "00B0020000"]


def test_a_card_goes_on_in_a_new_process_as_it_would_have_here(
    new_process: Callable[..., str], repository: Path
) -> None:
    card = FileCard(seed=b"seed")
    card.power_on()
    card.transmit(bytes.fromhex("0084000003"))
    card.clock.advance(2.25)
    card.memory.arm(Tear(7, Moment.INSIDE))  # the snapshot holds a marked journal, half applied
    with pytest.raises(PowerLoss):
        card.transmit(bytes.fromhex("00D20300 03112233"))
    raw = encode_snapshot(card.snapshot())
    assert card.memory.image().mark == 4

    tests = str(repository / "tests")
    theirs = new_process(REBUILD, tests, *COMMANDS, stdin=raw.decode()).splitlines()

    card.power_on()
    ours = [f"{card.transmit(bytes.fromhex(c)).hex()} {card.clock.now_s}" for c in COMMANDS]
    assert theirs == ours
    assert ours[2] == "1122339000 2.25"


# Refusals


class Kind(IntEnum):
    ONE = 1


@pytest.mark.parametrize("value", [1.5, [1], {"a": 1}, bytearray(b"x"), (1, [2]), object()])
def test_a_value_that_no_memory_keeps_is_not_written(value: Value) -> None:
    with pytest.raises(UsageError, match="a memory keeps no"):
        encode_value(value)


@pytest.mark.parametrize("key", ["text", [1], (1.5,), (b"x",), (True,), (("nested",),), None])
def test_a_key_that_no_memory_keeps_is_not_written(key: Key) -> None:
    with pytest.raises(UsageError, match="no key"):
        encode_key(key)


def test_a_clock_without_time_is_not_written() -> None:
    image = MemoryImage({}, {}, None)
    for clock_s in (float("nan"), float("inf")):
        with pytest.raises(UsageError, match="clock"):
            encode_snapshot(Snapshot(image, EntropyState(b"", 0), clock_s))


def nested(levels: int) -> Value:
    value: Value = 1
    for _ in range(levels):
        value = (value,)
    return value


def test_nesting_has_a_bound_both_ways() -> None:
    assert decode_value(encode_value(nested(DEPTH_MAX))) == nested(DEPTH_MAX)
    with pytest.raises(UsageError):
        encode_value(nested(DEPTH_MAX + 1))
    for levels in (DEPTH_MAX + 1, 100_000):
        with pytest.raises(MalformedImage):
            decode_value("[" * levels + "]" * levels)


WHOLE: dict[str, Any] = {
    "schema": "cardbench snapshot",
    "version": 1,
    "memory": {"objects": [[["file"], 1]], "journal": [[0, [["file"], 2]]], "mark": 1},
    "entropy": {"seed": "00", "blocks": 0},
    "clock_s": 0,
}


def changed(path: str, value: object) -> bytes:
    document = json.loads(json.dumps(WHOLE))
    *way, last = path.split(".")
    place = document
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(document).encode()


def test_the_document_that_the_next_test_damages_is_whole() -> None:
    assert decode_snapshot(json.dumps(WHOLE).encode()).memory.mark == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", ...),
        ("schema", "another"),
        ("version", ...),
        ("version", 0),
        ("version", "1"),
        ("version", True),
        ("memory", ...),
        ("memory", []),
        ("memory.objects", ...),
        ("memory.objects", 1),
        ("memory.objects", ["ab"]),
        ("memory.objects", [[["file"]]]),
        ("memory.objects", [["file", 1]]),
        ("memory.objects", [[["file"], 1.5]]),
        ("memory.objects", [[["file"], {}]]),
        ("memory.objects", [[["file"], {"float": "1"}]]),
        ("memory.objects", [[["file"], {"bytes": "0G"}]]),
        ("memory.objects", [[["file"], {"bytes": 1}]]),
        ("memory.objects", [[["file"], {"int": "zz"}]]),
        ("memory.objects", [[["file"], {"int": "1", "bytes": "00"}]]),
        ("memory.objects", [[[True], 1]]),
        ("memory.objects", [[[["file"]], 1]]),
        ("memory.objects", [[["file"], 1], [["file"], 2]]),
        ("memory.journal", [[-1, [["file"], 2]]]),
        ("memory.journal", [["0", [["file"], 2]]]),
        ("memory.journal", []),
        ("memory.journal", [[1, [["file"], 2]]]),
        ("memory.journal", [[0, TORN]]),
        ("memory.journal", [[0, [["file"]]]]),
        ("memory.journal", [[0, ["file", 2]]]),
        ("memory.mark", ...),
        ("memory.mark", 0),
        ("memory.mark", -1),
        ("memory.mark", 2),
        ("memory.mark", 10**30),
        ("memory.mark", {"int": "F" * 5000}),
        ("memory.objects", [[[{"int": "F" * 5000}], 1], [[{"int": "F" * 5000}], 2]]),
        ("memory.mark", True),
        ("memory.mark", "marked"),
        ("memory.mark", [1]),
        ("entropy", ...),
        ("entropy.seed", "0"),
        ("entropy.seed", 0),
        ("entropy.blocks", -1),
        ("entropy.blocks", 1.5),
        ("entropy.blocks", True),
        ("clock_s", ...),
        ("clock_s", "0"),
        ("clock_s", True),
        ("clock_s", 10**400),
    ],
)
def test_a_damaged_snapshot_is_refused(path: str, value: object) -> None:
    with pytest.raises(MalformedImage):
        decode_snapshot(changed(path, value))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"1e999",
        b"NaN",
        b"9" * 5000,
        b"[" * 100_000,
        changed("clock_s", 0).replace(b'"clock_s": 0', b'"clock_s": 1e999'),
        changed("clock_s", 0).replace(b'"clock_s": 0', b'"clock_s": NaN'),
    ],
)
def test_bytes_that_are_no_snapshot_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedImage):
        decode_snapshot(raw)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_a_snapshot(raw: bytes) -> None:
    with pytest.raises(MalformedImage):
        decode_snapshot(raw)


@given(st.data())
def test_a_snapshot_with_a_damaged_byte_is_refused_or_whole(data: st.DataObject) -> None:
    raw = bytearray(json.dumps(WHOLE).encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        snapshot = decode_snapshot(bytes(raw))
    except (MalformedImage, UnsupportedSchema):
        return
    memory = Memory()
    memory.restore(snapshot.memory)
    memory.recover()


def test_a_newer_snapshot_is_refused_with_both_versions_named() -> None:
    with pytest.raises(UnsupportedSchema, match=r"version 2; .* up to 1"):
        decode_snapshot(changed("version", 2))


def test_enumerated_values_are_kept_as_their_numbers() -> None:
    assert decode_value(encode_value(Kind.ONE)) == 1
