"""Personalisations of a SAM: TOML files, checked and turned into a memory.

A personalisation names a product, a serial number, the SAM parameters, system keys, work keys, an
optional lock, counters and ceilings. It may extend a preset: then only what differs is written.
Key values that are left out are public test masters.

An edge: presets and products are read from the package's own files.

Source: our choice, for the objects of legacy-sam §4 and the presets of §14.
"""

from __future__ import annotations

import tomllib
from functools import cache
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

from cardbench.emulator.chassis import Memory
from cardbench.protocol.calypso.sam import (
    CEILING_MAX,
    COUNTERS,
    COUNTERS_PER_RECORD,
    KEY_LENGTH,
    LOCK_KIF,
    OBJECT_LENGTH,
    SV_NUMBER_MAX,
    SYSTEM_KEY_REFERENCES,
    WORK_KEY_RECORDS,
    KeyReference,
    SamFlag,
    SamIdentity,
    SystemKif,
)
from cardbench.protocol.calypso.suite import public_test_master
from cardbench.protocol.errors import UsageError
from cardbench.sam_emulator import layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cardbench.emulator.chassis import Key, Value
    from cardbench.protocol.calypso.suite import SymmetricSuite

_PACKAGE = "cardbench.sam_emulator"
_CEILING_RECORDS = (1, 2, 3)
_CERTIFIED_MODULUS = slice(94, 128)  # of the CA certificate: the head of the modulus
_MODULUS_HEAD = 34
_DELAYS_MAX_MS = {"answer_delay_ms": 60_000, "busy_delay_ms": 10_000}


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError("not hexadecimal") from None


Hex = Annotated[bytes, BeforeValidator(_bytes)]
"""Bytes, written as hexadecimal text."""
KeyValue = Annotated[Hex, Field(min_length=KEY_LENGTH, max_length=KEY_LENGTH)]
Byte = Annotated[int, Field(ge=0, le=255)]
Algorithm = Literal[0x40, 0xA0, 0xB0]
CounterNumber = Annotated[int, Field(ge=COUNTERS.start, lt=COUNTERS.stop)]
CounterValue = Annotated[int, Field(ge=0, le=CEILING_MAX)]


class _Model(BaseModel):
    """Strict: an unknown name or another type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Product(_Model):
    """A SAM product: the fixed part of its ATR and what it offers."""

    atr_head: Hex
    platform: Byte
    application_type: Byte
    application_subtype: Byte
    software_issuer: Byte
    software_version: Byte
    software_revision: Byte
    extended: bool
    update_multiple: bool
    digest_bytes_max: Annotated[int, Field(ge=1, le=255)]


class Parameters(_Model):
    """The 29 bytes of SAM parameters: the named flags of byte 0, and the rest as it is."""

    system_lock_enable: bool = False
    work_keys_lock_enable: bool = False
    plain_work_key_input_enable: bool = False
    plain_write_disabled: bool = False
    locked_lock: bool = False
    rest: Annotated[Hex, Field(min_length=OBJECT_LENGTH - 1, max_length=OBJECT_LENGTH - 1)] = bytes(
        OBJECT_LENGTH - 1
    )

    def encode(self) -> bytes:
        """Write the 29 bytes."""
        flags = sum(flag for flag in SamFlag if getattr(self, str(flag.name).lower()))
        return bytes((flags,)) + self.rest


class KeyEntry(_Model):
    """What all keys have: KIF, KVC, ALG, PAR1…PAR10 and a value of 16 bytes."""

    kif: Byte
    kvc: Byte
    alg: Byte
    par1: Byte = 0
    par2: Byte = 0
    par3: Byte = 0
    par4: CounterNumber = 0
    par5: Byte = 0
    par6: Byte = 0
    par7: Byte = 0
    par8: Byte = 0
    par9: Byte = 0
    par10: Byte = 0
    value: KeyValue | None = Field(default=None, repr=False)

    @property
    def block(self) -> bytes:
        """The 13-byte parameter block."""
        parameters = [getattr(self, f"par{n}") for n in range(1, 11)]
        return bytes((self.kif, self.kvc, self.alg, *parameters))

    @property
    def master(self) -> bytes:
        """The value, or the public test master."""
        return self.value or public_test_master(self.kif, self.kvc)


class SystemKey(KeyEntry):
    """One of the four keys of the SAM itself; `value` is the diversified value."""

    kif: Literal[0xE1, 0xE7, 0xFA, 0xFD]
    alg: Algorithm


class WorkKey(KeyEntry):
    """A key for cards, signatures or other SAMs; `value` is a master."""

    record: Annotated[int, Field(ge=WORK_KEY_RECORDS.start, lt=WORK_KEY_RECORDS.stop)]
    alg: Algorithm
    par1: Byte = 0x03


class Lock(KeyEntry):
    """The lock secret; `kvc` is the lock index, `par5` the lock parameter."""

    kif: Literal[0xEF] = LOCK_KIF
    alg: Byte = 0
    value: KeyValue = Field(repr=False)


class Counter(_Model):
    """An event counter that does not stand at 0, or has another ceiling than FFFFFA."""

    number: CounterNumber
    value: CounterValue = 0
    ceiling: CounterValue = CEILING_MAX
    free_increment: bool = False


class Caad(_Model):
    """A CAAD record."""

    record: Annotated[int, Field(ge=1, le=7)]
    content: Annotated[Hex, Field(min_length=OBJECT_LENGTH, max_length=OBJECT_LENGTH)]


class CaKey(_Model):
    """The private key of the CA; `counter` is its event counter, 0 for none."""

    modulus: Annotated[Hex, Field(min_length=256, max_length=256)]
    prime: Annotated[Hex, Field(min_length=128, max_length=128, repr=False)]
    counter: CounterNumber = 0

    @property
    def primes(self) -> tuple[bytes, bytes]:
        """Both primes, 128 bytes each."""
        other = int.from_bytes(self.modulus) // int.from_bytes(self.prime)
        return self.prime, other.to_bytes(len(self.prime))

    @model_validator(mode="after")
    def _is_a_key(self) -> CaKey:
        prime = int.from_bytes(self.prime)
        if prime >> 1023 != 1 or int.from_bytes(self.modulus) % prime:
            raise ValueError("the prime has 1024 bits and divides the modulus")
        return self


class Personalisation(_Model):
    """A whole SAM as its file describes it."""

    product: str
    serial: Annotated[Hex, Field(min_length=4, max_length=4)]
    parameters: Parameters = Parameters()
    system_keys: list[SystemKey] = []
    work_keys: list[WorkKey] = []
    lock: Lock | None = None
    counters: list[Counter] = []
    caad: list[Caad] = []
    sv_number: Annotated[int, Field(ge=0, le=SV_NUMBER_MAX)] = 0
    ca_certificate: Annotated[Hex, Field(min_length=384, max_length=384)] | None = None
    ca_key: CaKey | None = None
    answer_delay_ms: Annotated[int, Field(ge=0, le=_DELAYS_MAX_MS["answer_delay_ms"])] = 0
    busy_delay_ms: Annotated[int, Field(ge=0, le=_DELAYS_MAX_MS["busy_delay_ms"])] = 3_000

    def with_delays(
        self, answer_delay_s: float | None = None, busy_delay_s: float | None = None
    ) -> Personalisation:
        """Return the same SAM with other delays; None keeps what there is.

        Raises:
            UsageError: a delay is out of range.
        """
        changes = {
            name: round(1000 * delay_s)
            for name, delay_s in (
                ("answer_delay_ms", answer_delay_s),
                ("busy_delay_ms", busy_delay_s),
            )
            if delay_s is not None
        }
        for name, delay_ms in changes.items():
            if not 0 <= delay_ms <= _DELAYS_MAX_MS[name]:
                raise UsageError(f"{name} is {delay_ms}; allowed: 0 to {_DELAYS_MAX_MS[name]}")
        return self.model_copy(update=changes) if changes else self

    @model_validator(mode="after")
    def _is_consistent(self) -> Personalisation:
        if self.product not in products():
            raise ValueError(f"no product {self.product!r}; known: {', '.join(products())}")
        _refuse_twice("work-key record", (f"{key.record:02X}" for key in self.work_keys))
        _refuse_twice("work key", (f"{key.kif:02X}/{key.kvc:02X}" for key in self.work_keys))
        _refuse_twice("system key", (f"{key.kif:02X}" for key in self.system_keys))
        _refuse_twice("counter", (str(counter.number) for counter in self.counters))
        _refuse_twice("CAAD record", (str(caad.record) for caad in self.caad))
        if any(counter.number == 0 and counter.free_increment for counter in self.counters):
            raise ValueError("counter 0 is never incremented freely")
        if self.ca_key is not None and (
            self.ca_certificate is None
            or self.ca_certificate[_CERTIFIED_MODULUS] != self.ca_key.modulus[:_MODULUS_HEAD]
        ):
            raise ValueError("the CA key is not the one of the CA certificate")
        return self


def _refuse_twice(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name} is there twice")
        seen.add(name)


class _Extension(BaseModel):
    """How a file differs from the preset it extends; everything else in it replaces the preset's."""

    model_config = ConfigDict(extra="allow", strict=True, hide_input_in_errors=True)

    extends: str
    only_algorithms: list[Algorithm] = []
    more_work_keys: list[dict[str, Any]] = []


def _text_of(name: str) -> str:
    return files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")


@cache
def products() -> Mapping[str, Product]:
    """Return the known products by name."""
    return {
        name: Product.model_validate(fields)
        for name, fields in tomllib.loads(_text_of("products.toml")).items()
    }


@cache
def presets() -> tuple[str, ...]:
    """Return the names of the presets that come with the package."""
    folder = files(_PACKAGE).joinpath("presets")
    return tuple(
        sorted(
            entry.name.removesuffix(".toml")
            for entry in folder.iterdir()
            if entry.name.endswith(".toml")
        )
    )


@cache
def load_preset(name: str) -> Personalisation:
    """Return a preset of the package.

    Raises:
        UsageError: no preset has that name.
    """
    return parse_personalisation(_preset_text(name), f"preset {name}")


def _preset_text(name: str) -> str:
    if name not in presets():
        raise UsageError(f"no SAM preset {name!r}; known: {', '.join(presets())}")
    return _text_of(f"presets/{name}.toml")


def parse_personalisation(text: str, source: str = "personalisation") -> Personalisation:
    """Read a personalisation from TOML text.

    Args:
        text: the file's content.
        source: what to call it in errors.

    Raises:
        UsageError: not TOML, an unknown name, a value out of range, a key that is there twice, an
            unknown product or preset. The message names each place; it shows no value.
    """
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source}: not TOML: {error}") from None
    try:
        return Personalisation.model_validate(_extended(fields))
    except ValidationError as error:
        raise UsageError(f"{source}: {_in_words(error)}") from None


def _extended(fields: dict[str, Any]) -> dict[str, Any]:
    if "extends" not in fields:
        return fields
    extension = _Extension.model_validate(fields)
    base = _extended(tomllib.loads(_preset_text(extension.extends)))
    work_keys = [
        key
        for key in base.get("work_keys", [])
        if not extension.only_algorithms or key["alg"] in extension.only_algorithms
    ]
    changes = extension.model_extra or {}
    return {**base, "work_keys": work_keys + extension.more_work_keys, **changes}


def _in_words(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'the whole'}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False)
    )


def personalise(
    personalisation: Personalisation, *, suite: SymmetricSuite, serial: bytes | None = None
) -> Memory:
    """Make the memory of a fresh SAM.

    Args:
        personalisation: what it holds.
        suite: diversifies the system keys that have no value of their own.
        serial: serial number, 4 bytes, in place of the personalisation's.

    Raises:
        UsageError: the serial number has another length.
    """
    serial = personalisation.serial if serial is None else serial
    if len(serial) != 4:
        raise UsageError(f"SAM serial number of {len(serial)} byte(s); it has 4")
    product = products()[personalisation.product]
    identity = SamIdentity(
        product.platform,
        product.application_type,
        product.application_subtype,
        product.software_issuer,
        product.software_version,
        product.software_revision,
        serial,
    )
    features = layout.Features(
        extended=int(product.extended),
        update_multiple=int(product.update_multiple),
        digest_bytes_max=product.digest_bytes_max,
        answer_delay_ms=personalisation.answer_delay_ms,
        busy_delay_ms=personalisation.busy_delay_ms,
    )
    objects: dict[Key, Value] = {
        layout.PRODUCT: personalisation.product,
        layout.ATR: identity.encode_atr(product.atr_head),
        layout.SERIAL: serial,
        layout.FEATURES: tuple(features),
        layout.PARAMETERS: personalisation.parameters.encode(),
        layout.SV_NUMBER: personalisation.sv_number,
    }
    for number in COUNTERS:
        objects[layout.counter_at(number)] = 0
        objects[layout.ceiling_at(number)] = CEILING_MAX
    for record in _CEILING_RECORDS:
        objects[layout.free_at(record)] = 0
    _put_counters(objects, personalisation.counters)
    _put_keys(objects, personalisation, suite, serial)
    for caad in personalisation.caad:
        objects[layout.caad_at(caad.record)] = caad.content
    if personalisation.ca_certificate is not None:
        objects[layout.CA_CERTIFICATE] = personalisation.ca_certificate
    if personalisation.ca_key is not None:
        objects[layout.CA_KEY] = personalisation.ca_key.primes
        objects[layout.CA_COUNTER] = personalisation.ca_key.counter
    return Memory(objects)


def _put_counters(objects: dict[Key, Value], counters: list[Counter]) -> None:
    for counter in counters:
        objects[layout.counter_at(counter.number)] = counter.value
        objects[layout.ceiling_at(counter.number)] = counter.ceiling
        record, bit = divmod(counter.number, COUNTERS_PER_RECORD)
        if counter.free_increment:
            bits = objects[layout.free_at(record + 1)]
            assert isinstance(bits, int)
            objects[layout.free_at(record + 1)] = bits | 1 << bit


def _put_keys(
    objects: dict[Key, Value],
    personalisation: Personalisation,
    suite: SymmetricSuite,
    serial: bytes,
) -> None:
    for system in personalisation.system_keys:
        value = system.value or suite.diversify(system.master, bytes(4) + serial)
        reference = SYSTEM_KEY_REFERENCES[SystemKif(system.kif)]
        objects[layout.key_at(reference)] = system.block + value
    for key in personalisation.work_keys:
        objects[layout.key_at(key.record)] = key.block + key.master
    lock = personalisation.lock
    if lock is not None:
        objects[layout.key_at(KeyReference.LOCK)] = lock.block + lock.value
