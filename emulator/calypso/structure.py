"""The fixed part of a card: what it is made of, and what no command changes.

A `Structure` is read from one object of the card's memory, so that memory alone rebuilds the card. It
holds the product's profile (what this type of card can do, as data), the applications (DFs) and their
elementary files with access conditions. Contents, keys, counters and status live in objects of their
own, named by the `*_KEY` helpers below.

Source: calypso-card §1 (products), §3 (descriptors and access conditions), §8 (file system).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from cardbench.protocol.calypso.file_header import EfType
from cardbench.protocol.hexadecimal import from_hex

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Key

AES_ALGORITHMS: Final = frozenset((0xA0, 0xB0))
"""ALG values of AES keys (calypso-card §10.5)."""

STRUCTURE_KEY: Final[Key] = ("structure",)
"""JSON text: the card's structure."""
TRANSACTION_COUNTER_KEY: Final[Key] = ("transaction counter",)
"""Number 0…FFFFFF, counted down."""
PIN_KEY: Final[Key] = ("pin",)
"""4 bytes."""
PIN_TRIES_KEY: Final[Key] = ("pin tries",)
"""Attempts left, 0…3."""


def key_slot_key(lid: int, index: int) -> Key:
    """Name the object of a key slot: (KIF, KVC, algorithm, value of 16 bytes)."""
    return ("key", lid, index)


def invalidated_key(lid: int) -> Key:
    """Name the object that says whether a DF is invalidated: 0 or 1."""
    return ("invalidated", lid)


def ratified_key(lid: int) -> Key:
    """Name the object that says whether the last session of a DF is ratified: 0 or 1."""
    return ("ratified", lid)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementaryFile:
    """One EF.

    Attributes:
        lid: two-byte identifier.
        sfi: short identifier 1…30, or 0 for none.
        kind: type of EF.
        record_size: bytes of a record; the whole size of a binary EF.
        record_count: number of records; 1 for a binary EF.
        access: condition byte of groups 0…3.
        key_levels: key index of groups 0…3.
        reference: data reference; files with the same reference other than 0 share their memory.
        content_key: the memory object that holds the content, records one after the other.
        counter: for a simulated counter, its number in the counters file it images.
    """

    lid: int
    sfi: int
    kind: EfType
    record_size: int
    record_count: int
    access: bytes
    key_levels: bytes
    reference: int
    content_key: Key
    counter: int = 0

    @property
    def size_bytes(self) -> int:
        """Length of the content."""
        return self.record_size * self.record_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One DF with its EFs; `startup` are the seven bytes of startup information."""

    lid: int
    aid: bytes
    startup: bytes
    access: bytes
    key_levels: bytes
    files: tuple[ElementaryFile, ...]
    by_sfi: dict[int, ElementaryFile] = field(repr=False, compare=False)
    by_lid: dict[int, ElementaryFile] = field(repr=False, compare=False)
    key_slots: tuple[Key, ...] = field(repr=False, compare=False)
    """Memory objects of the key slots; index 0 is unused."""
    invalidated_key: Key = field(repr=False, compare=False)
    ratified_key: Key = field(repr=False, compare=False)

    @property
    def options(self) -> int:
        """Startup byte 2: product type and option bits (calypso-card §1.2)."""
        return self.startup[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a product type does, as data (files in `profiles/`).

    Attributes:
        name: such as `prime-3`.
        classes: CLA values accepted for every command.
        select_class: a further CLA value, accepted for SELECT APPLICATION and GET RESPONSE only.
        buffer_unit: `bytes`, or `operations`.
        buffer_operations: session buffer size where the unit is operations.
        instructions: the instruction bytes that the product has.
    """

    name: str
    classes: frozenset[int]
    select_classes: frozenset[int]
    buffer_unit: str
    buffer_operations: int
    instructions: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """The whole fixed part of a card."""

    profile: Profile
    serial: bytes
    atr: bytes
    traceability: bytes
    applications: tuple[Application, ...]


@lru_cache(maxsize=64)
def read_structure(text: str) -> Structure:
    """Read the structure object; the text was written by `personalisation` and is well formed."""
    document = json.loads(text)
    profile = document["profile"]
    return Structure(
        profile=Profile(
            name=profile["name"],
            classes=frozenset(profile["classes"]),
            select_classes=frozenset(profile["select_classes"]),
            buffer_unit=profile["buffer_unit"],
            buffer_operations=profile["buffer_operations"],
            instructions=frozenset(profile["instructions"]),
        ),
        serial=from_hex(document["serial"]),
        atr=from_hex(document["atr"]),
        traceability=from_hex(document["traceability"]),
        applications=tuple(_read_application(each) for each in document["applications"]),
    )


def _read_application(document: dict[str, Any]) -> Application:
    lid = document["lid"]
    files = tuple(_read_file(lid, each) for each in document["files"])
    return Application(
        lid=lid,
        aid=from_hex(document["aid"]),
        startup=from_hex(document["startup"]),
        access=from_hex(document["access"]),
        key_levels=from_hex(document["key_levels"]),
        files=files,
        by_sfi={file.sfi: file for file in files if file.sfi},
        by_lid={file.lid: file for file in files},
        key_slots=tuple(key_slot_key(lid, index) for index in range(4)),
        invalidated_key=invalidated_key(lid),
        ratified_key=ratified_key(lid),
    )


def _read_file(application_lid: int, document: dict[str, Any]) -> ElementaryFile:
    reference = document["reference"]
    content_key: Key = ("file", application_lid, document["lid"])
    if document["content_of"]:
        content_key = ("file", *document["content_of"])
    return ElementaryFile(
        lid=document["lid"],
        sfi=document["sfi"],
        kind=EfType(document["kind"]),
        record_size=document["record_size"],
        record_count=document["record_count"],
        access=from_hex(document["access"]),
        key_levels=from_hex(document["key_levels"]),
        reference=reference,
        content_key=content_key,
        counter=document["counter"],
    )
