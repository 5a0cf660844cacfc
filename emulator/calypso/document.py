"""A whole Calypso card as a readable JSON document: what `cardbench card export` writes and `import` reads.

A document is a personalisation in JSON, under the names that the TOML has, with the contents, keys and
status of this moment, and the card's randomness and time. Unlike a snapshot, which is the memory as it
is, it has a name for everything in it, so that people and other programs can read and change it. Nothing
is lost: a card made from the document goes on exactly where the exported one stood.

    {"schema": "cardbench calypso card", "version": 1, "card": {…}, "entropy": {…}, "clock_s": 0.0}

It holds PIN and keys in clear. They are test keys; treat the file as such.

Source: our choice, for the objects that `structure.py` names.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from pydantic import Field, ValidationError

from cardbench.emulator.calypso.factory import factory_memory
from cardbench.emulator.calypso.personalisation import SHARED_STARTUP, Personalisation
from cardbench.emulator.calypso.profile import Part, load_profile, validated
from cardbench.emulator.calypso.structure import (
    DEBIT_LOG_KEY,
    LOAD_LOG_KEY,
    PIN_KEY,
    PIN_TRIES_KEY,
    PURSE_KEY,
    STRUCTURE_KEY,
    TRANSACTION_COUNTER_KEY,
    Application,
    ElementaryFile,
    Structure,
    ca_certificate_key,
    card_certificate_key,
    pki_key_pair_key,
    read_structure,
)
from cardbench.emulator.calypso.words import HexBytes, access_words
from cardbench.emulator.chassis import EntropyState, Memory, Snapshot
from cardbench.emulator.chassis.codec import check_version
from cardbench.protocol.calypso.file_header import EfType
from cardbench.protocol.calypso.suite import load_suite
from cardbench.protocol.errors import MalformedImage, UsageError
from cardbench.protocol.hexadecimal import to_hex

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.emulator.chassis import Key, Value
    from cardbench.protocol.calypso.suite import SymmetricSuite

SCHEMA: Final = "cardbench calypso card"
VERSION: Final = 1

_SLOTS: Final = (1, 2, 3)
_STARTUP_OFFSETS: Final = dict(zip(SHARED_STARTUP, (0, 1, 4, 5, 6), strict=True))
_TYPE, _SUBTYPE = 2, 3


class EntropyPart(Part):
    """Where the card's random bytes come from: a seed, and how many blocks of it were drawn."""

    seed: HexBytes = Field(repr=False)
    blocks: int = Field(ge=0)


class CardDocument(Part):
    """The document.

    Attributes:
        card: the card, with its contents and status.
        entropy, clock_s: its randomness, and its time in seconds.
    """

    schema_name: Literal["cardbench calypso card"] = Field(default=SCHEMA, alias="schema")
    version: Literal[1] = VERSION
    card: Personalisation
    entropy: EntropyPart
    clock_s: float = Field(ge=0, allow_inf_nan=False)


def document_of(snapshot: Snapshot) -> CardDocument:
    """Describe a card.

    Raises:
        MalformedImage: the snapshot is that of another card, or holds what a document has no name for.
    """
    memory = Memory()
    memory.restore(snapshot.memory)
    memory.recover()  # a commit that the power cut is finished or forgotten first
    return CardDocument(
        schema=SCHEMA,
        card=personalisation_of(memory.objects()),
        entropy=EntropyPart(seed=snapshot.entropy.seed, blocks=snapshot.entropy.blocks),
        clock_s=snapshot.clock_s,
    )


def personalisation_of(objects: Mapping[Key, Value]) -> Personalisation:
    """Describe what is in a card's memory; a factory makes the same memory of it.

    Raises:
        MalformedImage: this is no Calypso card's memory, or it holds what a description has no name for.
    """
    try:
        card = Personalisation.model_validate(_fields(objects))
    except (KeyError, TypeError, IndexError, ValidationError, UsageError):
        raise MalformedImage("this is no Calypso card's memory") from None
    made = factory_memory(card, load_suite())
    if made != objects:
        strange = [key for key in {**made, **objects} if made.get(key) != objects.get(key)]
        raise MalformedImage(f"the memory holds what no description can say: {strange[0]}")
    return card


def snapshot_of(document: CardDocument, suite: SymmetricSuite | None = None) -> Snapshot:
    """Return the card that a document describes."""
    image = Memory(factory_memory(document.card, suite or load_suite())).image()
    return Snapshot(
        image, EntropyState(document.entropy.seed, document.entropy.blocks), document.clock_s
    )


def encode_document(document: CardDocument) -> str:
    """Write a document as indented JSON, ending with a newline; what is as by default is left out."""
    whole = document.model_dump(mode="json", by_alias=True, exclude={"card"})
    whole["card"] = document.card.model_dump(mode="json", exclude_defaults=True)
    order = ("schema", "version", "card", "entropy", "clock_s")
    return json.dumps({name: whole[name] for name in order}, indent=2, ensure_ascii=False) + "\n"


def is_document(fields: object) -> bool:
    """Whether JSON calls itself a card's document."""
    return isinstance(fields, dict) and fields.get("schema") == SCHEMA


def parse_document(text: str | bytes, source: str = "document") -> CardDocument:
    """Read a document.

    Args:
        text: JSON.
        source: what to call it in errors.

    Raises:
        UnsupportedSchema: a newer version of cardbench wrote it.
        MalformedImage: no JSON, or no card's document.
        UsageError: a value is missing, unknown or out of range; the text says where.
    """
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise MalformedImage(f"{source}: no JSON: {error}") from None
    if not is_document(fields):
        raise MalformedImage(f"{source}: not the JSON document of a card")
    check_version(source, fields.get("version"), VERSION)
    return validated(CardDocument, fields, source)


def _fields(objects: Mapping[Key, Value]) -> dict[str, Any]:
    text = cast("str", objects[STRUCTURE_KEY])
    raw, structure = json.loads(text), read_structure(text)
    startup = _startup_of(raw["applications"][0])
    described: set[Key] = set()
    return {
        "name": structure.name,
        "profile": raw["base_profile"],
        "product": _changes(raw["profile"], raw["base_profile"]),
        "serial": structure.serial,
        "atr": to_hex(structure.atr),
        "traceability": structure.traceability,
        "transaction_counter": objects[TRANSACTION_COUNTER_KEY],
        "pin": objects[PIN_KEY],
        "pin_tries": objects[PIN_TRIES_KEY],
        **startup,
        "purse": _purse(structure, objects),
        "applications": [
            _application(application, document, objects, startup, described)
            for application, document in zip(
                structure.applications, raw["applications"], strict=True
            )
        ],
    }


def _changes(profile: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Return what a card's profile has otherwise than the packaged one."""
    packaged = json.loads(json.dumps(load_profile(base).model_dump()))
    return {name: value for name, value in profile.items() if packaged[name] != value}


def _startup_of(application: Mapping[str, Any]) -> dict[str, int]:
    startup = bytes.fromhex(application["startup"])
    return {name: startup[offset] for name, offset in _STARTUP_OFFSETS.items()}


def _application(
    application: Application,
    raw: Mapping[str, Any],
    objects: Mapping[Key, Value],
    common: dict[str, int],
    described: set[Key],
) -> dict[str, Any]:
    startup = bytes.fromhex(raw["startup"])
    own = {name: value for name, value in _startup_of(raw).items() if value != common[name]}
    lid = application.lid
    pki = {
        "key_pair": objects.get(pki_key_pair_key(lid)),
        "card_certificate": objects.get(card_certificate_key(lid)),
        "ca_certificate": objects.get(ca_certificate_key(lid)),
    }
    return {
        "lid": lid,
        "aid": application.aid,
        "type": startup[_TYPE],
        "subtype": startup[_SUBTYPE],
        **own,
        "master": application.is_master,
        "access": access_words(application.access, application.key_levels),
        "keys": [_key(objects[application.key_slots[index]]) for index in _SLOTS],
        "invalidated": bool(objects[application.invalidated_key]),
        "ratified": bool(objects[application.ratified_key]),
        "files": [_file(file, objects, described) for file in application.files],
        "pki_objects": pki if any(pki.values()) else None,
    }


def _key(slot: Value) -> dict[str, Any]:
    kif, kvc, algorithm, value = cast("tuple[int, int, int, bytes]", slot)
    return {"kif": kif, "kvc": kvc, "algorithm": algorithm, "value": value}


def _file(
    file: ElementaryFile, objects: Mapping[Key, Value], described: set[Key]
) -> dict[str, Any]:
    """Describe a file; the first of those that share a content gives it."""
    key = file.content_key
    gives_content = (
        file.kind is not EfType.SIMULATED_COUNTERS
        and not file.is_purse_log
        and key not in described
    )
    content: tuple[bytes, ...] = ()
    if gives_content:
        described.add(key)
        content = _records(cast("bytes", objects[key]), file.record_size)
    logs = {LOAD_LOG_KEY: "load", DEBIT_LOG_KEY: "debit"}
    return {
        "lid": file.lid,
        "sfi": file.sfi,
        "type": file.kind.name.lower().replace("_", " "),
        "records": file.record_count,
        "size": file.record_size,
        "access": access_words(file.access, file.key_levels),
        "reference": file.reference,
        "purse_log": logs.get(key),
        "listed": file.is_listed,
        "content": content,
    }


def _records(content: bytes, size: int) -> tuple[bytes, ...]:
    """Split a content into its records; the zero ones at the end are left out."""
    records = [content[start : start + size] for start in range(0, len(content), size)]
    while records and not any(records[-1]):
        records.pop()
    return tuple(records)


def _purse(structure: Structure, objects: Mapping[Key, Value]) -> dict[str, Any] | None:
    if structure.purse is None:
        return None
    load, debit = structure.purse.load_key, structure.purse.debit_key
    balance, number, signature = cast("tuple[int, int, bytes]", objects[PURSE_KEY])
    is_in_df = load[0] == "key"
    log = cast("bytes", objects[LOAD_LOG_KEY])
    return {
        "keys_of": load[1] if is_in_df else None,
        "load": None if is_in_df else _key(objects[load]),
        "debit": None if is_in_df else _key(objects[debit]),
        "balance": balance,
        "transaction_number": number,
        "last_signature": signature,
        "load_log": log if any(log) else b"",
        "debit_logs": _records(cast("bytes", objects[DEBIT_LOG_KEY]), len(log)),
    }
