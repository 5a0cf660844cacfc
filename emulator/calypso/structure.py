"""The fixed part of a card: what it is made of, and what no command changes.

A `Structure` is read from one object of the card's memory, so that memory alone rebuilds the card. It
holds the product's profile (what this type of card can do, as data), the applications (DFs) and their
elementary files with access conditions. Contents, keys, counters and status live in objects of their
own, named by the `*_KEY` constants and `*_key` functions below.

Source: calypso-card §1 (products), §3 (descriptors and access conditions), §6.1 (purse), §8 (files).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Self

from cardbench.emulator.calypso.table import product_table
from cardbench.protocol.calypso.fci import Fci
from cardbench.protocol.calypso.file_header import EfType
from cardbench.protocol.calypso.startup import (
    ApplicationOption,
    StartupInformation,
    session_buffer_size_bytes,
)
from cardbench.protocol.hexadecimal import from_hex

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.chassis import CommandTable, Key

AES_ALGORITHMS: Final = frozenset((0xA0, 0xB0))
"""ALG values of AES keys (calypso-card §10.5)."""
COUNTER_SIZE: Final = 3
PIN_TRIES: Final = 3
"""Attempts behind a right PIN."""

STRUCTURE_KEY: Final[Key] = ("structure",)
"""JSON text: the card's structure."""
TRANSACTION_COUNTER_KEY: Final[Key] = ("transaction counter",)
"""Number 0…FFFFFF, counted down."""
PIN_KEY: Final[Key] = ("pin",)
"""4 bytes."""
PIN_TRIES_KEY: Final[Key] = ("pin tries",)
"""Attempts left, 0…3."""
PURSE_KEY: Final[Key] = ("purse",)
"""(balance, signed; transaction number; signatureLo of the last operation, 6 bytes)."""
LOAD_LOG_KEY: Final[Key] = ("purse", "load log")
"""Content of the load log, 1 record of 29 bytes."""
DEBIT_LOG_KEY: Final[Key] = ("purse", "debit log")
"""Content of the debit log, 3 records of 29 bytes, the newest first."""


def key_slot_key(lid: int, index: int) -> Key:
    """Name the object of a key slot: (KIF, KVC, algorithm, value of 16 bytes)."""
    return ("key", lid, index)


def pki_key_pair_key(lid: int) -> Key:
    """Name the object of a DF's key pair: X ‖ Y ‖ private scalar, 96 bytes; it may not be there."""
    return ("pki", lid, "key pair")


def card_certificate_key(lid: int) -> Key:
    """Name the object of a DF's card certificate, 316 bytes; it may not be there."""
    return ("pki", lid, "card certificate")


def ca_certificate_key(lid: int) -> Key:
    """Name the object of a DF's CA certificate, 384 bytes; it may not be there."""
    return ("pki", lid, "CA certificate")


def invalidated_key(lid: int) -> Key:
    """Name the object that says whether a DF is invalidated: 0 or 1."""
    return ("invalidated", lid)


def ratified_key(lid: int) -> Key:
    """Name the object that says whether the last session of a DF is ratified: 0 or 1."""
    return ("ratified", lid)


def content_key(application_lid: int, file_lid: int) -> Key:
    """Name the object that holds a file's content, records one after the other."""
    return ("file", application_lid, file_lid)


def shared_content_key(reference: int) -> Key:
    """Name the object that files with the same data reference have their content in."""
    return ("shared", reference)


class _Immutable:
    """Part of the structure: copies of a card share it."""

    __slots__ = ()

    def __deepcopy__(self, memo: object) -> Self:
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementaryFile(_Immutable):
    """One EF.

    Attributes:
        lid: two-byte identifier.
        sfi: short identifier 1…30, or 0 for none.
        kind: type of EF.
        record_size: bytes of a record; the whole size of a binary EF.
        record_count: number of records; 1 for a binary EF.
        access: condition byte of groups 0…3.
        key_levels: key index of groups 0…3.
        reference: data reference that the descriptor shows.
        content_key: the memory object that holds the content; files that share data name the same.
        counter_offset: for a simulated counter, where its bytes stand in the counters file it images.
        is_listed: the EF list of Get Data names it.
        is_purse_log: a Stored Value log.
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
    counter_offset: int = 0
    is_listed: bool = True
    is_purse_log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Application(_Immutable):
    """One DF with its EFs.

    Attributes:
        lid, aid: identifiers.
        fci: the answer to its selection; empty where the product has none.
        is_master: the master file (MF).
        access: condition byte of groups 0…3.
        key_levels: key index of groups 0…3.
        files: in the order of Select File.
        by_sfi, by_lid: the same, to look up.
        commands: what the application answers to.
        buffer_size: of the session buffer, in the profile's unit.
        has_extended_mode: extended sessions and Stored Value signatures.
        deselect_ratifies: an orderly deselect ratifies a session.
        key_slots: memory objects of the key slots; index 0 is unused.
        invalidated_key, ratified_key: memory objects of its status.
    """

    lid: int
    aid: bytes
    fci: bytes
    is_master: bool
    access: bytes
    key_levels: bytes
    files: tuple[ElementaryFile, ...]
    by_sfi: dict[int, ElementaryFile] = field(repr=False, compare=False)
    by_lid: dict[int, ElementaryFile] = field(repr=False, compare=False)
    commands: CommandTable[CalypsoCard] = field(repr=False, compare=False)
    buffer_size: int
    has_extended_mode: bool
    deselect_ratifies: bool
    key_slots: tuple[Key, ...] = field(repr=False, compare=False)
    invalidated_key: Key = field(repr=False, compare=False)
    ratified_key: Key = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(_Immutable):
    """What a product type does, as data; the files in `profiles/` say what each field means."""

    name: str
    classes: frozenset[int]
    select_classes: frozenset[int]
    stored_value_classes: frozenset[int]
    options: int
    deselect_ratifies: str
    buffer_operations: int
    postpones_counters: bool
    algorithms: frozenset[int]
    extended_only_algorithms: frozenset[int]
    descriptor_lid_offset: int
    descriptor_shows_kif: bool
    signed_lc_in_digest: bool
    commands: frozenset[str]
    has_fci: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse(_Immutable):
    """Where the keys of the card's purse are: memory objects of key slots."""

    load_key: Key
    debit_key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure(_Immutable):
    """The whole fixed part of a card; the first application is the one that is selected by itself."""

    name: str
    profile: Profile
    serial: bytes
    atr: bytes
    traceability: bytes
    applications: tuple[Application, ...]
    purse: Purse | None


@lru_cache(maxsize=64)
def read_structure(text: str) -> Structure:
    """Read the structure object; the text was written by `personalisation` and is well formed."""
    document = json.loads(text)
    profile = _read_profile(document["profile"])
    serial = from_hex(document["serial"])
    purse = document["purse"]
    return Structure(
        name=document["name"],
        profile=profile,
        serial=serial,
        atr=from_hex(document["atr"]),
        traceability=from_hex(document["traceability"]),
        applications=tuple(
            _read_application(each, profile, serial) for each in document["applications"]
        ),
        purse=purse
        and Purse(load_key=tuple(purse["load_key"]), debit_key=tuple(purse["debit_key"])),
    )


def _read_profile(document: dict[str, Any]) -> Profile:
    values: dict[str, Any] = {}
    for name, value in document.items():
        values[name] = frozenset(value) if isinstance(value, list) else value
    return Profile(**values)


def _read_application(document: dict[str, Any], profile: Profile, serial: bytes) -> Application:
    lid = document["lid"]
    files = tuple(_read_file(each) for each in document["files"])
    aid = from_hex(document["aid"])
    startup = StartupInformation.parse(from_hex(document["startup"]))
    options = startup.application_type & profile.options
    needs_command = options & ApplicationOption.RATIFICATION_COMMAND_REQUIRED.value
    ratifies = {"always": True, "never": False, "option": not needs_command}
    return Application(
        lid=lid,
        aid=aid,
        fci=Fci(aid, serial, startup).encode() if profile.has_fci else b"",
        is_master=document["is_master"],
        access=from_hex(document["access"]),
        key_levels=from_hex(document["key_levels"]),
        files=files,
        by_sfi={file.sfi: file for file in files if file.sfi},
        by_lid={file.lid: file for file in files},
        commands=product_table(profile.commands, options),
        buffer_size=(
            profile.buffer_operations or session_buffer_size_bytes(startup.session_modification)
        ),
        has_extended_mode=bool(options & ApplicationOption.EXTENDED_MODE.value),
        deselect_ratifies=ratifies[profile.deselect_ratifies],
        key_slots=tuple(key_slot_key(lid, index) for index in range(4)),
        invalidated_key=invalidated_key(lid),
        ratified_key=ratified_key(lid),
    )


def _read_file(document: dict[str, Any]) -> ElementaryFile:
    return ElementaryFile(
        lid=document["lid"],
        sfi=document["sfi"],
        kind=EfType(document["kind"]),
        record_size=document["record_size"],
        record_count=document["record_count"],
        access=from_hex(document["access"]),
        key_levels=from_hex(document["key_levels"]),
        reference=document["reference"],
        content_key=tuple(document["content_key"]),
        counter_offset=document["counter_offset"],
        is_listed=document["is_listed"],
        is_purse_log=tuple(document["content_key"]) in (LOAD_LOG_KEY, DEBIT_LOG_KEY),
    )
