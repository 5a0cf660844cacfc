"""A whole SAM as a readable JSON document: what `cardbench sam export` writes and `import` reads.

Unlike a snapshot, which is the memory as it is, a document has a name for everything in it, so that
people and other programs can read and change it. Nothing is lost: a SAM made from the document goes on
exactly where the exported one stood, with the same random bytes to come.

A document holds the keys in clear. They are test keys; treat the file as such.

Source: our choice, for the objects of legacy-sam §4.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)

from cardbench.emulator.chassis import EntropyState, Memory, Snapshot
from cardbench.emulator.chassis.codec import check_version
from cardbench.protocol.calypso.sam import (
    CEILING_MAX,
    COUNTERS,
    COUNTERS_PER_RECORD,
    KEY_BLOCK_LENGTH,
    KEY_LENGTH,
    OBJECT_LENGTH,
    SV_NUMBER_MAX,
    SYSTEM_KEY_REFERENCES,
    WORK_KEY_RECORDS,
    KeyReference,
)
from cardbench.protocol.errors import MalformedImage
from cardbench.protocol.hexadecimal import to_hex
from cardbench.sam_emulator import layout

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Key, Value

SCHEMA: Final = "cardbench sam"
VERSION: Final = 1
_REFERENCES = frozenset(WORK_KEY_RECORDS) | {*SYSTEM_KEY_REFERENCES.values(), KeyReference.LOCK}
_CAAD_RECORDS = range(1, 8)


def _from_hex(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError("not hexadecimal") from None


def _to_byte(value: object) -> object:
    if not isinstance(value, str):
        return value
    data = _from_hex(value)
    if not isinstance(data, bytes) or len(data) != 1:
        raise ValueError("not one byte in hexadecimal")
    return data[0]


Hex = Annotated[bytes, BeforeValidator(_from_hex), PlainSerializer(to_hex)]
HexByte = Annotated[
    int, Field(ge=0, le=255), BeforeValidator(_to_byte), PlainSerializer(lambda n: f"{n:02X}")
]


Bytes4 = Annotated[Hex, Field(min_length=4, max_length=4)]
KeyValue = Annotated[Hex, Field(min_length=KEY_LENGTH, max_length=KEY_LENGTH)]
Object = Annotated[Hex, Field(min_length=OBJECT_LENGTH, max_length=OBJECT_LENGTH)]
Block = Annotated[Hex, Field(min_length=KEY_BLOCK_LENGTH, max_length=KEY_BLOCK_LENGTH)]
Prime = Annotated[Hex, Field(min_length=128, max_length=128)]
Certificate = Annotated[Hex, Field(min_length=384, max_length=384)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class KeyPart(_Part):
    """A key: `reference` is a work-key record 01…7E, C1…C4 or E0; `block` its 13 parameter bytes."""

    reference: HexByte
    block: Block
    value: KeyValue = Field(repr=False)

    @property
    def name(self) -> str:
        """KIF and KVC: `30/79`."""
        return f"{self.block[0]:02X}/{self.block[1]:02X}"


class CounterPart(_Part):
    """An event counter, its ceiling, and whether it may be incremented freely."""

    number: Annotated[int, Field(ge=COUNTERS.start, lt=COUNTERS.stop)]
    value: Annotated[int, Field(ge=0, le=0xFFFFFF)]
    ceiling: Annotated[int, Field(ge=0, le=CEILING_MAX)]
    free_increment: bool


class CaadPart(_Part):
    """A CAAD record."""

    record: Annotated[int, Field(ge=1, le=7)]
    content: Object


class FeaturesPart(_Part):
    """What the product offers, and the delays."""

    extended: bool
    update_multiple: bool
    digest_bytes_max: Annotated[int, Field(ge=1, le=255)]
    answer_delay_ms: Annotated[int, Field(ge=0)]
    busy_delay_ms: Annotated[int, Field(ge=0)]


class CaKeyPart(_Part):
    """The CA's private key by its primes, and the number of its event counter."""

    primes: tuple[Prime, Prime] = Field(repr=False)
    counter: Annotated[int, Field(ge=0, lt=COUNTERS.stop)]


class EntropyPart(_Part):
    """Where random bytes come from."""

    seed: Hex
    blocks: Annotated[int, Field(ge=0)]


class SamDocument(_Part):
    """The document."""

    schema_name: Literal["cardbench sam"] = Field(default=SCHEMA, alias="schema")
    version: Literal[1] = VERSION
    product: str
    serial: Bytes4
    atr: Hex
    features: FeaturesPart
    parameters: Object
    keys: list[KeyPart]
    counters: Annotated[list[CounterPart], Field(min_length=27, max_length=27)]
    caad: list[CaadPart]
    sv_number: Annotated[int, Field(ge=0, le=SV_NUMBER_MAX)]
    busy_until_ms: Annotated[int, Field(ge=0)] | None
    ca_certificate: Certificate | None
    ca_key: CaKeyPart | None
    entropy: EntropyPart
    clock_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]


def document_of(snapshot: Snapshot) -> SamDocument:
    """Describe a SAM.

    Raises:
        MalformedImage: the snapshot is that of another card, or holds what a document has no name for.
    """
    memory = Memory()
    memory.restore(snapshot.memory)
    memory.recover()  # a commit that the power cut is finished or forgotten first
    objects = memory.objects()
    try:
        document = SamDocument.model_validate(_fields(objects, snapshot))
    except (KeyError, TypeError, ValidationError):
        raise MalformedImage("this is no SAM's memory") from None
    if _objects(document) != objects:
        raise MalformedImage("the memory holds objects that no SAM has")
    return document


def _fields(objects: dict[Key, Value], snapshot: Snapshot) -> dict[str, Any]:
    features = layout.Features(*cast("tuple[int, ...]", objects[layout.FEATURES]))
    ca_key = objects.get(layout.CA_KEY)
    return {
        "schema": SCHEMA,
        "product": objects[layout.PRODUCT],
        "serial": objects[layout.SERIAL],
        "atr": objects[layout.ATR],
        "features": features._asdict()
        | {
            "extended": bool(features.extended),
            "update_multiple": bool(features.update_multiple),
        },
        "parameters": objects[layout.PARAMETERS],
        "keys": [
            {
                "reference": int(reference),
                "block": row[:KEY_BLOCK_LENGTH],
                "value": row[KEY_BLOCK_LENGTH:],
            }
            for reference in sorted(_REFERENCES)
            if isinstance(row := objects.get(layout.key_at(reference)), bytes)
        ],
        "counters": [_counter(objects, number) for number in COUNTERS],
        "caad": [
            {"record": record, "content": objects[layout.caad_at(record)]}
            for record in _CAAD_RECORDS
            if layout.caad_at(record) in objects
        ],
        "sv_number": objects[layout.SV_NUMBER],
        "busy_until_ms": objects.get(layout.BUSY_UNTIL),
        "ca_certificate": objects.get(layout.CA_CERTIFICATE),
        "ca_key": ca_key and {"primes": ca_key, "counter": objects[layout.CA_COUNTER]},
        "entropy": snapshot.entropy._asdict(),
        "clock_s": snapshot.clock_s,
    }


def _counter(objects: dict[Key, Value], number: int) -> dict[str, Any]:
    record, place = divmod(number, COUNTERS_PER_RECORD)
    bits = cast("int", objects[layout.free_at(record + 1)])
    return {
        "number": number,
        "value": objects[layout.counter_at(number)],
        "ceiling": objects[layout.ceiling_at(number)],
        "free_increment": bits >> place & 1 == 1,
    }


def snapshot_of(document: SamDocument) -> Snapshot:
    """Return the SAM that a document describes."""
    image = Memory(_objects(document)).image()
    return Snapshot(
        image, EntropyState(document.entropy.seed, document.entropy.blocks), document.clock_s
    )


def _objects(document: SamDocument) -> dict[Key, Value]:
    features = document.features
    objects: dict[Key, Value] = {
        layout.PRODUCT: document.product,
        layout.ATR: document.atr,
        layout.SERIAL: document.serial,
        layout.FEATURES: (
            int(features.extended),
            int(features.update_multiple),
            features.digest_bytes_max,
            features.answer_delay_ms,
            features.busy_delay_ms,
        ),
        layout.PARAMETERS: document.parameters,
        layout.SV_NUMBER: document.sv_number,
    }
    bits = [0, 0, 0]
    for counter in document.counters:
        objects[layout.counter_at(counter.number)] = counter.value
        objects[layout.ceiling_at(counter.number)] = counter.ceiling
        record, place = divmod(counter.number, COUNTERS_PER_RECORD)
        bits[record] |= counter.free_increment << place
    for record, value in enumerate(bits, 1):
        objects[layout.free_at(record)] = value
    for key in document.keys:
        objects[layout.key_at(key.reference)] = key.block + key.value
    for caad in document.caad:
        objects[layout.caad_at(caad.record)] = caad.content
    if document.busy_until_ms is not None:
        objects[layout.BUSY_UNTIL] = document.busy_until_ms
    if document.ca_certificate is not None:
        objects[layout.CA_CERTIFICATE] = document.ca_certificate
    if document.ca_key is not None:
        objects[layout.CA_KEY] = document.ca_key.primes
        objects[layout.CA_COUNTER] = document.ca_key.counter
    return objects


def encode_document(document: SamDocument) -> str:
    """Write a document as indented JSON, ending with a newline."""
    return document.model_dump_json(indent=2, by_alias=True) + "\n"


def parse_document(text: str | bytes, source: str = "document") -> SamDocument:
    """Read a document.

    Args:
        text: JSON.
        source: what to call it in errors.

    Raises:
        UnsupportedSchema: a newer version of cardbench wrote it.
        MalformedImage: no JSON, an unknown name, a value out of range, a key or counter that is there
            twice. The message names each place; it shows no value.
    """
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise MalformedImage(f"{source}: no JSON: {error}") from None
    if isinstance(fields, dict) and fields.get("schema") == SCHEMA:
        check_version(source, fields.get("version"), VERSION)
    try:
        document = SamDocument.model_validate_json(text)
    except ValidationError as error:
        places = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'the whole'}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise MalformedImage(f"{source}: {places}") from None
    references = [key.reference for key in document.keys]
    numbers = {counter.number for counter in document.counters}
    records = [caad.record for caad in document.caad]
    if not _REFERENCES.issuperset(references):
        raise MalformedImage(f"{source}: a key reference is none of 01…7E, C1…C4, E0")
    if (
        len(set(references)) != len(references)
        or len(numbers) != len(COUNTERS)
        or len(set(records)) != len(records)
    ):
        raise MalformedImage(f"{source}: a key, counter or CAAD record is there twice")
    return document
