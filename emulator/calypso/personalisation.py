"""Personalisation: a card described in TOML, checked, and written into a memory as a factory would.

A personalisation names a product profile, the card's identity, its applications, files, keys and first
contents. Access conditions are written as the test kits do (calypso-card §3.5):

    AA always   NN never   PN PIN   S1 S2 S3 session key   C1 C2 C3 confidential   P3 PIN and confidential

Keys are the public test masters, diversified by the serial number, unless a `value` is given.
Signatures in records are real ones, computed here with the same suite that the SAM uses.

This module reads packaged files (an edge); the card itself never does.

Source: our choice; structures of calypso-card §8.3, keys of §10.5.
"""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from cardbench.emulator.calypso.structure import (
    PIN_KEY,
    PIN_TRIES_KEY,
    STRUCTURE_KEY,
    TRANSACTION_COUNTER_KEY,
    invalidated_key,
    key_slot_key,
    ratified_key,
)
from cardbench.protocol.calypso.file_header import AccessCondition, EfType
from cardbench.protocol.calypso.suite import public_test_master
from cardbench.protocol.errors import UsageError
from cardbench.protocol.hexadecimal import from_hex, to_hex

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.emulator.chassis import Key, Value
    from cardbench.protocol.calypso.suite import SymmetricSuite

PIN_TRIES = 3
RECORD_MAX = 250
SERIAL_LENGTH = 8

_CONDITIONS = {
    "AA": (AccessCondition.ALWAYS, 1),
    "NN": (AccessCondition.NEVER, 1),
    "PN": (AccessCondition.PIN, 1),
    **{f"S{k}": (AccessCondition.SESSION, k) for k in (1, 2, 3)},
    **{f"C{k}": (AccessCondition.CONFIDENTIAL, k) for k in (1, 2, 3)},
    **{f"P{k}": (AccessCondition.PIN_AND_CONFIDENTIAL, k) for k in (1, 2, 3)},
}


def _bytes_of(value: object) -> object:
    return from_hex(value) if isinstance(value, str) else value


HexBytes = Annotated[bytes, BeforeValidator(_bytes_of)]
Byte = Annotated[int, Field(ge=0, le=0xFF)]
Access = tuple[Literal["AA", "NN", "PN", "S1", "S2", "S3", "C1", "C2", "C3", "P1", "P2", "P3"], ...]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyModel(_Model):
    """A key slot: KIF and KVC 00 mean that it is empty."""

    kif: Byte
    kvc: Byte
    algorithm: Byte
    value: HexBytes | None = Field(default=None, min_length=16, max_length=16)


class SignatureModel(_Model):
    """A signature that the factory computes over bytes `message[0]` … `message[1] - 1` of a record."""

    record: int = Field(ge=1)
    purpose: Literal["data-cipher", "pso"]
    kif: Byte
    kvc: Byte
    message: tuple[int, int]
    at: int = Field(ge=0)
    size: int = Field(ge=1, le=8)


class FileModel(_Model):
    """An elementary file. `content` gives the first records; the rest is zero."""

    lid: int = Field(ge=0, le=0xFFFF)
    sfi: int = Field(ge=0, le=30, default=0)
    type: Literal["binary", "linear", "cyclic", "simulated counters", "counters"]
    records: int = Field(ge=1, le=RECORD_MAX, default=1)
    size: int = Field(ge=1, le=0x7FFF)
    access: Access = Field(min_length=4, max_length=4)
    reference: int = Field(ge=0, le=0xFFFF, default=0)
    shares: tuple[int, int] | None = None
    """(LID of DF, LID of EF) whose content this file shares."""
    counter: int = Field(ge=0, le=83, default=0)
    content: tuple[HexBytes, ...] = ()
    signatures: tuple[SignatureModel, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> FileModel:
        if self.type != "binary" and self.size > RECORD_MAX:
            raise ValueError(f"EF {self.lid:04X}: a record has at most {RECORD_MAX} bytes")
        if self.type in ("binary", "counters", "simulated counters") and self.records != 1:
            raise ValueError(f"EF {self.lid:04X}: a {self.type} file has one record")
        if len(self.content) > self.records:
            raise ValueError(f"EF {self.lid:04X}: more contents than its {self.records} record(s)")
        for content in self.content:
            if len(content) > self.size:
                raise ValueError(f"EF {self.lid:04X}: content longer than {self.size} bytes")
        for signature in self.signatures:
            low, high = signature.message
            if signature.record > self.records or not 0 <= low < high <= self.size:
                raise ValueError(f"EF {self.lid:04X}: a signature outside of the record")
            if signature.at + signature.size > self.size:
                raise ValueError(f"EF {self.lid:04X}: a signature that does not fit the record")
        return self


class ApplicationModel(_Model):
    """An application (DF)."""

    lid: int = Field(ge=0, le=0xFFFF)
    aid: HexBytes = Field(min_length=5, max_length=16)
    type: Byte
    subtype: int = Field(ge=0x01, le=0xFE)
    access: Access = Field(min_length=4, max_length=4)
    keys: tuple[KeyModel, KeyModel, KeyModel]
    files: tuple[FileModel, ...]

    @model_validator(mode="after")
    def _is_unambiguous(self) -> ApplicationModel:
        lids = [file.lid for file in self.files]
        sfis = [file.sfi for file in self.files if file.sfi]
        if len(set(lids)) != len(lids) or len(set(sfis)) != len(sfis):
            raise ValueError(f"DF {self.lid:04X}: two files with the same LID or SFI")
        return self


class Personalisation(_Model):
    """A whole card."""

    name: str
    description: str
    profile: str
    serial: HexBytes = Field(min_length=SERIAL_LENGTH, max_length=SERIAL_LENGTH)
    atr: HexBytes
    traceability: HexBytes
    transaction_counter: int = Field(ge=0, le=0xFFFFFF)
    pin: HexBytes = Field(min_length=4, max_length=4)
    session_modification: Byte
    platform: Byte
    software_issuer: Byte
    software_version: Byte
    software_revision: Byte
    applications: tuple[ApplicationModel, ...] = Field(min_length=1)

    def with_records(self, records: Mapping[tuple[int, int], bytes]) -> Personalisation:
        """Return a copy with other contents; signatures of a replaced record are not computed.

        Args:
            records: content by (SFI, record number) in the first application.

        Raises:
            UsageError: no such file or record, or the content is too long.
        """
        first = self.applications[0]
        changed = {file.sfi: file for file in first.files}
        for (sfi, number), content in records.items():
            file = changed.get(sfi)
            if file is None or not sfi or not 1 <= number <= file.records:
                raise UsageError(f"{self.name}: no record {number} in a file of SFI {sfi:02X}")
            if len(content) > file.size:
                raise UsageError(
                    f"{self.name}: {len(content)} bytes for a record of {file.size} (SFI {sfi:02X})"
                )
            contents = list(file.content) + [b""] * (number - len(file.content))
            contents[number - 1] = content
            changed[sfi] = file.model_copy(
                update={
                    "content": tuple(contents),
                    "signatures": tuple(s for s in file.signatures if s.record != number),
                }
            )
        files_ = tuple(changed[file.sfi] if file.sfi else file for file in first.files)
        application = first.model_copy(update={"files": files_})
        return self.model_copy(update={"applications": (application, *self.applications[1:])})


def parse_personalisation(text: str, *, origin: str) -> Personalisation:
    """Read and check a personalisation.

    Args:
        text: TOML.
        origin: what to call it in an error text.

    Raises:
        UsageError: it is no TOML, or a value is missing, unknown or out of range; the text says where.
    """
    try:
        return Personalisation.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{origin}: not TOML: {error}") from None
    except ValidationError as error:
        places = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'card'}: {each['msg']}"
            for each in error.errors()
        )
        raise UsageError(f"{origin}: {places}") from None


def preset_names() -> tuple[str, ...]:
    """Return the names of the packaged personalisations."""
    folder = files("cardbench.emulator.calypso").joinpath("presets")
    return tuple(
        sorted(e.name.removesuffix(".toml") for e in folder.iterdir() if e.name.endswith(".toml"))
    )


def load_preset(name: str) -> Personalisation:
    """Read a packaged personalisation.

    Raises:
        UsageError: there is none of that name; the text lists them.
    """
    if name not in preset_names():
        raise UsageError(f"no card preset {name!r}; there are: {', '.join(preset_names())}")
    return parse_personalisation(_packaged("presets", name), origin=f"preset {name}")


def factory_memory(card: Personalisation, suite: SymmetricSuite) -> dict[Key, Value]:
    """Return the content of a new card's memory."""
    memory: dict[Key, Value] = {
        STRUCTURE_KEY: json.dumps(_structure_document(card), sort_keys=True),
        TRANSACTION_COUNTER_KEY: card.transaction_counter,
        PIN_KEY: card.pin,
        PIN_TRIES_KEY: PIN_TRIES,
    }
    for application in card.applications:
        memory[invalidated_key(application.lid)] = 0
        memory[ratified_key(application.lid)] = 1
        for index, key in enumerate(application.keys, start=1):
            value = key.value or suite.diversify(public_test_master(key.kif, key.kvc), card.serial)
            slot = (key.kif, key.kvc, key.algorithm, value)
            memory[key_slot_key(application.lid, index)] = slot
        for file in application.files:
            if file.shares is None and file.type != "simulated counters":
                memory[("file", application.lid, file.lid)] = _content(card, file, suite)
    return memory


def _content(card: Personalisation, file: FileModel, suite: SymmetricSuite) -> bytes:
    records = [bytearray(content.ljust(file.size, b"\0")) for content in file.content]
    records += [bytearray(file.size) for _ in range(file.records - len(records))]
    for signature in file.signatures:
        record = records[signature.record - 1]
        key = suite.diversify(public_test_master(signature.kif, signature.kvc), card.serial)
        low, high = signature.message
        signed = suite.sign(key, signature.purpose, bytes(record[low:high]))
        record[signature.at : signature.at + signature.size] = signed[: signature.size]
    return b"".join(records)


def _structure_document(card: Personalisation) -> dict[str, Any]:
    profile = tomllib.loads(_packaged("profiles", card.profile))
    return {
        "profile": profile,
        "serial": to_hex(card.serial),
        "atr": to_hex(card.atr),
        "traceability": to_hex(card.traceability),
        "applications": [_application_document(card, each) for each in card.applications],
    }


def _application_document(card: Personalisation, application: ApplicationModel) -> dict[str, Any]:
    startup = bytes(
        (
            card.session_modification,
            card.platform,
            application.type,
            application.subtype,
            card.software_issuer,
            card.software_version,
            card.software_revision,
        )
    )
    access, levels = _access_bytes(application.access)
    return {
        "lid": application.lid,
        "aid": to_hex(application.aid),
        "startup": to_hex(startup),
        "access": access,
        "key_levels": levels,
        "files": [_file_document(card, application.lid, file) for file in application.files],
    }


def _file_document(card: Personalisation, df: int, file: FileModel) -> dict[str, Any]:
    access, levels = _access_bytes(file.access)
    content_of = file.shares
    if file.type == "simulated counters":
        content_of = _counters_file_of(card, df, file)
    return {
        "lid": file.lid,
        "sfi": file.sfi,
        "kind": EfType[file.type.upper().replace(" ", "_")].value,
        "record_size": file.size,
        "record_count": file.records,
        "access": access,
        "key_levels": levels,
        "reference": file.reference,
        "content_of": list(content_of) if content_of else None,
        "counter": file.counter,
    }


def _counters_file_of(card: Personalisation, df: int, file: FileModel) -> tuple[int, int]:
    """Find the counters file that a simulated counter images: SFI in its reference's high byte."""
    sfi = file.reference >> 8
    for application in card.applications:
        if application.lid == df:
            for other in application.files:
                if other.sfi == sfi and other.type == "counters":
                    return df, other.lid
    raise UsageError(f"{card.name}: EF {file.lid:04X} images a counters file that is not there")


def _access_bytes(access: Access) -> tuple[str, str]:
    pairs = [_CONDITIONS[word] for word in access]
    return to_hex(bytes(pair[0] for pair in pairs)), to_hex(bytes(pair[1] for pair in pairs))


def _packaged(folder: str, name: str) -> str:
    root = files("cardbench.emulator.calypso")
    return root.joinpath(folder, f"{name}.toml").read_text(encoding="utf-8")
