"""Snapshots as bytes: a card written down in one process and rebuilt in another.

A snapshot is written as JSON, so that people can read it and any language can:

    {"schema": "cardbench snapshot", "version": 1,
     "memory": {"objects": [[key, value], …], "journal": [[number, value], …], "mark": value},
     "entropy": {"seed": "00FF…", "blocks": 3}, "clock_s": 12.5}

Rules
-----
* Values keep their types: a string is a JSON string, None is null, a tuple is a list, bytes are
  `{"bytes": "00FF"}`; an integer is a JSON number, or `{"int": "-1F…"}` in hexadecimal past 63 bits.
* Objects keep their order: what a card finds first before, it finds first after.
* A version higher than ours is refused, and so is everything that no `encode_snapshot` can have
  written: a journal whose mark vouches for entries that are not there never reaches a card.
* A snapshot holds the card's keys in clear. It is a test card's; treat it as such.

Nothing here reads or writes a file.

Source: our choice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar, cast

from cardbench.emulator.chassis.card import Snapshot
from cardbench.emulator.chassis.entropy import EntropyState
from cardbench.emulator.chassis.memory import TORN, MemoryImage
from cardbench.protocol.errors import MalformedImage, UnsupportedSchema, UsageError
from cardbench.protocol.hexadecimal import to_hex

if TYPE_CHECKING:
    from cardbench.emulator.chassis.memory import Key, Value

KeyType = TypeVar("KeyType", bound=Hashable)

SCHEMA: Final = "cardbench snapshot"
VERSION: Final = 1

DEPTH_MAX: Final = 64  # tuples within tuples

_JSON_NUMBER_BITS: Final = 63


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Write a snapshot as JSON, in ASCII.

    Raises:
        UsageError: it holds a value of a type that no memory keeps.
    """
    memory, entropy, clock_s = snapshot
    if not math.isfinite(clock_s):
        raise UsageError(f"the clock shows {clock_s} s")
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "memory": {
            "objects": [[_plain_key(key), _plain(value)] for key, value in memory.objects.items()],
            "journal": [[number, _plain(value)] for number, value in memory.journal.items()],
            "mark": _plain(memory.mark),
        },
        "entropy": {"seed": to_hex(entropy.seed), "blocks": entropy.blocks},
        "clock_s": clock_s,
    }
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def decode_snapshot(raw: bytes) -> Snapshot:
    """Read a snapshot that `encode_snapshot` wrote, here or elsewhere.

    Raises:
        UnsupportedSchema: it comes from a newer version.
        MalformedImage: the bytes are no snapshot, or a damaged one.
    """
    document = _load(raw)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise MalformedImage(f"no snapshot: the schema {SCHEMA!r} is not named")
    check_version("snapshot", document.get("version"), VERSION)
    try:
        memory, entropy = document["memory"], document["entropy"]
        image = MemoryImage(
            _unique((_key(key), _value(value)) for key, value in memory["objects"]),
            _unique((_natural(number), _value(value)) for number, value in memory["journal"]),
            _value(memory["mark"]),
        )
        state = EntropyState(bytes.fromhex(entropy["seed"]), _natural(entropy["blocks"]))
        clock_s = _seconds(document["clock_s"])
    except KeyError as error:
        raise MalformedImage(f"damaged snapshot: {error} is missing") from None
    except (TypeError, ValueError) as error:
        raise MalformedImage(f"damaged snapshot: {error}") from None
    check_image(image)
    return Snapshot(image, state, clock_s)


# Parts, for storage that keeps each object by itself


def encode_key(key: Key) -> str:
    """Write a key as JSON.

    Raises:
        UsageError: it is no tuple of strings and integers.
    """
    return json.dumps(_plain_key(key), separators=(",", ":"))


def decode_key(text: str | bytes) -> Key:
    """Read a key. Raises `MalformedImage`."""
    return _key(_load(text))


def encode_value(value: Value) -> str:
    """Write a value as JSON.

    Raises:
        UsageError: it is of a type that no memory keeps.
    """
    return json.dumps(_plain(value), separators=(",", ":"))


def decode_value(text: str | bytes) -> Value:
    """Read a value. Raises `MalformedImage`."""
    return _value(_load(text))


def check_version(what: str, version: object, known: int) -> None:
    """Check the version that a snapshot or card file names.

    Raises:
        UnsupportedSchema: it is newer than `known`.
        MalformedImage: it is no version.
    """
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise MalformedImage(f"damaged {what}: version {version!r}")
    if version > known:
        raise UnsupportedSchema(
            f"{what} of version {version}; this cardbench reads versions up to {known}"
        )


def check_image(image: MemoryImage) -> None:
    """Check that recovery will find whole journal entries under a whole mark.

    Raises:
        MalformedImage: it would not.
    """
    mark = image.mark
    if mark is None or mark == TORN:
        return
    if isinstance(mark, bool) or not isinstance(mark, int) or not 0 < mark <= len(image.journal):
        raise MalformedImage(
            f"a commit mark that {len(image.journal)} journal entries do not bear out"
        )
    for number in range(mark):
        entry = image.journal.get(number)
        if not isinstance(entry, tuple) or len(entry) != 2 or not _is_key(entry[0]):
            raise MalformedImage(f"journal entry {number} is not whole, but its mark is")


# From values to what JSON knows


def _plain(value: object, depth: int = 0) -> object:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, bytes):
        return {"bytes": to_hex(value)}
    if isinstance(value, int):
        return value if value.bit_length() <= _JSON_NUMBER_BITS else {"int": f"{value:X}"}
    if isinstance(value, tuple):
        if depth == DEPTH_MAX:
            raise UsageError(f"tuples nested deeper than {DEPTH_MAX}")
        return [_plain(element, depth + 1) for element in value]
    raise UsageError(f"a memory keeps no {type(value).__name__}")


def _plain_key(key: Key) -> object:
    if not _is_key(key):
        raise UsageError(f"{key!r} is no key: a tuple of strings and integers is")
    return _plain(key)


def _is_key(key: object) -> bool:
    return isinstance(key, tuple) and all(
        isinstance(part, str | int) and not isinstance(part, bool) for part in key
    )


# And back


def _load(raw: str | bytes) -> object:
    try:
        found: object = json.loads(raw, parse_constant=_no_constant)
    except RecursionError:
        raise MalformedImage("no JSON that a card could have written: nested too deep") from None
    except (TypeError, ValueError) as error:  # a damaged file may hold no text at all
        raise MalformedImage(f"no JSON: {error}") from None
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _value(found: object, depth: int = 0) -> Value:
    if found is None or isinstance(found, str | int):
        return found
    if isinstance(found, list):
        if depth == DEPTH_MAX:
            raise MalformedImage(f"lists nested deeper than {DEPTH_MAX}")
        return tuple([_value(element, depth + 1) for element in found])
    if isinstance(found, dict) and len(found) == 1:
        kind, text = next(iter(found.items()))
        if isinstance(text, str) and kind in _READERS:
            try:
                return _READERS[kind](text)
            except ValueError as error:
                raise MalformedImage(f"damaged value: {error}") from None
    raise MalformedImage(f"a value of no type that a memory keeps: {type(found).__name__}")


def _hexadecimal(text: str) -> int:
    return int(text, 16)


_READERS: Final[dict[str, Callable[[str], bytes | int]]] = {
    "bytes": bytes.fromhex,
    "int": _hexadecimal,
}


def _key(found: object) -> Key:
    key = _value(found)
    if not _is_key(key):
        raise MalformedImage("damaged key: it is no list of strings and integers")
    return cast("Key", key)


def _natural(found: object) -> int:
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise MalformedImage(f"damaged number: {found!r}")
    return found


def _seconds(found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise MalformedImage(f"damaged time: {found!r}")
    try:
        seconds = float(found)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise MalformedImage("damaged time: it has no end")
    return seconds


def _unique(pairs: Iterable[tuple[KeyType, Value]]) -> dict[KeyType, Value]:
    found: dict[KeyType, Value] = {}
    for key, value in pairs:
        if key in found:
            raise MalformedImage("an object or journal entry is there twice")
        found[key] = value
    return found
