"""Personalisation: a card described in TOML, checked with clear errors.

A personalisation names a product profile, the card's identity, its applications, files, keys and first
contents. `words.py` says how access conditions are written, `profile.py` what a profile holds.

`base` names a preset, or a file, that this one changes (`layers.py`). `product` changes single fields of the
profile, for a card with a quirk of its own.

Keys are the public test masters, diversified by the serial number, unless a `value` is given.
Signatures in records are real ones, computed at the factory with the same suite that the SAM uses.

This module reads packaged files (an edge); the card itself never does.

Source: our choice; structures of calypso-card §8.3, keys of §10.5.
"""

from __future__ import annotations

from datetime import date
from functools import reduce
from operator import xor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from cardbench.emulator.calypso.layers import merged, read_layers
from cardbench.emulator.calypso.profile import (
    Part,
    ProfileModel,
    load_profile,
    names_in,
    packaged,
    validated,
)
from cardbench.emulator.calypso.structure import COUNTER_SIZE, PIN_TRIES
from cardbench.emulator.calypso.words import Access, Byte, HexBytes, Lid, Sfi, access_bytes
from cardbench.protocol.calypso.file_header import EfType
from cardbench.protocol.calypso.startup import (
    BINARY_SIZE_MAX_BYTES,
    COUNTER_MAX,
    RECORD_NUMBER_MAX,
    RECORD_SIZE_MAX_BYTES,
    ApplicationOption,
    StartupInformation,
)
from cardbench.protocol.calypso.sv_log import BALANCE_MAX, BALANCE_MIN, DEBIT_LOG_RECORDS
from cardbench.protocol.errors import MalformedCardData, UsageError
from cardbench.protocol.hexadecimal import from_hex, to_hex

if TYPE_CHECKING:
    from collections.abc import Mapping

SERIAL_SIZE: Final = 8
KEY_SIZE: Final = 16
PURSE_LOG_SIZE: Final = 29
LISTED_FILES_MAX: Final = 31
KEY_PAIR_SIZE: Final = 96
CARD_CERTIFICATE_SIZE: Final = 316
CA_CERTIFICATE_SIZE: Final = 384
TEST_CERTIFICATE_START: Final = date(2024, 1, 1)
TEST_CERTIFICATE_END: Final = date(2099, 12, 31)

SHARED_STARTUP: Final = (
    "session_modification",
    "platform",
    "software_issuer",
    "software_version",
    "software_revision",
)
"""Startup bytes 0, 1, 4, 5, 6: the card says them for all applications, or one for itself."""

FileKind = Literal["binary", "linear", "cyclic", "simulated counters", "counters"]


class KeyModel(Part):
    """A key slot: KIF and KVC 00 mean that it is empty."""

    kif: Byte
    kvc: Byte
    algorithm: Byte
    value: HexBytes | None = Field(
        default=None, min_length=KEY_SIZE, max_length=KEY_SIZE, repr=False
    )


def _three_keys(value: object) -> object:
    """Write `{kifs = […], kvc, algorithm}` out as three keys."""
    if isinstance(value, dict) and set(value) == {"kifs", "kvc", "algorithm"}:
        rest = {"kvc": value["kvc"], "algorithm": value["algorithm"]}
        return [{"kif": kif, **rest} for kif in value["kifs"]]
    return value


class SignatureModel(Part):
    """A signature that the factory computes over bytes `message[0]` … `message[1] - 1` of a record."""

    record: int = Field(ge=1)
    purpose: Literal["data-cipher", "pso"]
    kif: Byte
    kvc: Byte
    message: tuple[int, int]
    at: int = Field(ge=0)
    size: int = Field(ge=1, le=8)


class FileModel(Part):
    """An elementary file.

    Attributes:
        lid, sfi: identifiers; SFI 0 for none.
        type: kind of EF.
        records, size: number of records, and bytes of each (of a binary file as a whole).
        access: groups 0…3.
        reference: data reference. Files with the same one share their content; for a simulated counter
            it is the SFI of the counters file and the counter's number in it.
        purse_log: it is a Stored Value log of the card's purse.
        listed: the EF list of Get Data names it.
        content: first records; the rest is zero.
        signatures: computed over the content.
    """

    lid: Lid
    sfi: Sfi = 0
    type: FileKind
    records: int = Field(ge=1, le=RECORD_NUMBER_MAX, default=1)
    size: int = Field(ge=1, le=BINARY_SIZE_MAX_BYTES)
    access: Access
    reference: Lid = 0
    purse_log: Literal["load", "debit"] | None = None
    listed: bool = True
    content: tuple[HexBytes, ...] = ()
    signatures: tuple[SignatureModel, ...] = ()

    @property
    def ef_type(self) -> EfType:
        """The kind as the protocol names it."""
        return EfType[self.type.upper().replace(" ", "_")]

    @property
    def conditions(self) -> tuple[bytes, bytes]:
        """Condition bytes and key indexes of groups 0…3."""
        return access_bytes(self.access)

    @property
    def shape(self) -> tuple[str, int, int]:
        """What files that share their content have in common."""
        return (self.type, self.records, self.size)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        complaint = self._complaint()
        if complaint:
            raise ValueError(f"EF {self.lid:04X}: {complaint}")
        for signature in self.signatures:
            low, high = signature.message
            if signature.record > self.records or not 0 <= low < high <= self.size:
                raise ValueError(f"EF {self.lid:04X}: a signature outside of the record")
            if signature.at + signature.size > self.size:
                raise ValueError(f"EF {self.lid:04X}: a signature that does not fit the record")
        return self

    def _complaint(self) -> str | None:
        """Say what does not fit the kind of file."""
        if self.type != "binary" and self.size > RECORD_SIZE_MAX_BYTES:
            return f"a record has at most {RECORD_SIZE_MAX_BYTES} bytes"
        if self.type in ("binary", "counters", "simulated counters") and self.records != 1:
            return f"a {self.type} file has one record"
        if self.type == "counters" and self.size < COUNTER_SIZE:
            return f"a counters file has at least {COUNTER_SIZE} bytes"
        if self.type == "simulated counters" and (not self.reference or self.content):
            return "a simulated counter has a reference and no content"
        if self.purse_log and self.content:
            return "the purse gives the content of its logs"
        if len(self.content) > self.records:
            return f"more contents than its {self.records} record(s)"
        if any(len(content) > self.size for content in self.content):
            return f"content longer than {self.size} bytes"
        if self.purse_log and self.shape != _PURSE_LOGS[self.purse_log]:
            kind, records, size = _PURSE_LOGS[self.purse_log]
            return f"a {self.purse_log} log is {kind}, {records} × {size} bytes"
        return None


_PURSE_LOGS = {
    "load": ("cyclic", 1, PURSE_LOG_SIZE),
    "debit": ("cyclic", DEBIT_LOG_RECORDS, PURSE_LOG_SIZE),
}


class PkiModel(Part):
    """Key pair and certificates that an application has from the factory, under the public test CA.

    Attributes:
        private_key: scalar of 32 bytes; without one, a public test key made of serial number and AID.
        start_date, end_date: validity of the card certificate.
        index: card index.
    """

    private_key: HexBytes | None = Field(default=None, min_length=32, max_length=32, repr=False)
    start_date: date | None = TEST_CERTIFICATE_START
    end_date: date | None = TEST_CERTIFICATE_END
    index: int = Field(ge=0, le=0xFFFF_FFFF, default=0)


class PkiObjectsModel(Part):
    """Key pair and certificates byte for byte, as Put Data brings them; what is missing is not there.

    Attributes:
        key_pair: X ‖ Y ‖ private scalar.
        card_certificate, ca_certificate: whole certificates.
    """

    key_pair: HexBytes | None = Field(
        default=None, min_length=KEY_PAIR_SIZE, max_length=KEY_PAIR_SIZE, repr=False
    )
    card_certificate: HexBytes | None = Field(
        default=None, min_length=CARD_CERTIFICATE_SIZE, max_length=CARD_CERTIFICATE_SIZE
    )
    ca_certificate: HexBytes | None = Field(
        default=None, min_length=CA_CERTIFICATE_SIZE, max_length=CA_CERTIFICATE_SIZE
    )


class ApplicationModel(Part):
    """An application (DF), or the master file.

    Attributes:
        lid, aid: identifiers.
        type, subtype: startup bytes 2 and 3.
        session_modification … software_revision: startup bytes, where they are not the card's.
        master: it is the master file.
        access: groups 0 (Rehabilitate) and 1 (Invalidate); 2 and 3 are unused.
        keys: issuer, load and debit key.
        invalidated, ratified: its status.
        files: in the order of Select File.
        pki: it has a key pair and certificates from the factory.
        pki_objects: it has these.
    """

    lid: Lid
    aid: HexBytes = Field(min_length=5, max_length=16)
    type: Byte
    subtype: Byte
    master: bool = False
    access: Access
    keys: Annotated[tuple[KeyModel, KeyModel, KeyModel], BeforeValidator(_three_keys)]
    session_modification: Byte | None = None
    platform: Byte | None = None
    software_issuer: Byte | None = None
    software_version: Byte | None = None
    software_revision: Byte | None = None
    invalidated: bool = False
    ratified: bool = True
    files: tuple[FileModel, ...] = ()
    pki: PkiModel | None = None
    pki_objects: PkiObjectsModel | None = None

    @property
    def conditions(self) -> tuple[bytes, bytes]:
        """Condition bytes and key indexes of groups 0…3."""
        return access_bytes(self.access)

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        name = f"DF {self.lid:04X}"
        lids = [file.lid for file in self.files]
        sfis = [file.sfi for file in self.files if file.sfi]
        if len(set(lids)) != len(lids) or len(set(sfis)) != len(sfis):
            raise ValueError(f"{name}: two files with the same LID or SFI")
        if sum(file.listed for file in self.files) > LISTED_FILES_MAX:
            raise ValueError(f"{name}: an EF list holds at most {LISTED_FILES_MAX} files")
        for file in self.files:
            if file.type == "simulated counters":
                self.counters_file_of(file)
        return self

    def counters_file_of(self, simulated: FileModel) -> FileModel:
        """Return the counters file that a simulated counter images.

        Raises:
            ValueError: there is none, or it has no such counter.
        """
        sfi, number = divmod(simulated.reference, 0x100)
        for file in self.files:
            if file.sfi == sfi and file.type == "counters":
                if 1 <= number <= file.size // COUNTER_SIZE:
                    return file
                break
        raise ValueError(
            f"EF {simulated.lid:04X} images counter {number} of SFI {sfi:02X}, which is not there"
        )


class PurseModel(Part):
    """The card's Stored Value purse.

    Attributes:
        keys_of: LID of the DF whose slots 2 and 3 are its load and debit key.
        load, debit: the two keys themselves, where no DF has them.
        balance, transaction_number: at the start.
        last_signature: the signature of the last operation, which SV Get shows; 6 bytes.
        load_log, debit_logs: log entries at the start, the newest debit first; 22 and 19 bytes.
    """

    keys_of: Lid | None = None
    load: KeyModel | None = None
    debit: KeyModel | None = None
    balance: int = Field(ge=BALANCE_MIN, le=BALANCE_MAX, default=0)
    transaction_number: int = Field(ge=0, le=0xFFFF, default=0)
    last_signature: HexBytes = Field(default=bytes(6), min_length=6, max_length=6)
    load_log: HexBytes = Field(default=b"", max_length=PURSE_LOG_SIZE)
    debit_logs: tuple[Annotated[HexBytes, Field(max_length=PURSE_LOG_SIZE)], ...] = Field(
        default=(), max_length=DEBIT_LOG_RECORDS
    )

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if (self.keys_of is None) == (self.load is None or self.debit is None):
            raise ValueError("a purse has either `keys_of` or both `load` and `debit`")
        return self


class Personalisation(Part):
    """A whole card.

    Attributes:
        profile, product: name of the product's profile, and fields of it that this card changes.
        serial: full serial number, 8 bytes.
        atr: answer to reset in hex, in which `{startup}` stands for startup bytes 1…6 of the first
            application, `{serial}` for the last four bytes of the serial number, `{tck}` for the check
            byte.
        transaction_counter: transactions left.
        pin, pin_tries: the PIN, 4 bytes, and the tries left; 0: blocked.
        session_modification … software_revision: startup bytes, for all applications that do not say
            otherwise.
    """

    name: str
    description: str = ""
    profile: str
    product: dict[str, Any] = Field(default_factory=dict)
    serial: HexBytes = Field(min_length=SERIAL_SIZE, max_length=SERIAL_SIZE)
    atr: str
    traceability: HexBytes = b""
    transaction_counter: int = Field(ge=0, le=COUNTER_MAX)
    pin: HexBytes = Field(min_length=4, max_length=4, repr=False)
    pin_tries: int = Field(ge=0, le=PIN_TRIES, default=PIN_TRIES)
    session_modification: Byte
    platform: Byte
    software_issuer: Byte
    software_version: Byte
    software_revision: Byte
    purse: PurseModel | None = None
    applications: tuple[ApplicationModel, ...] = Field(min_length=1)

    def product_profile(self) -> ProfileModel:
        """Return the profile with this card's changes.

        Raises:
            UsageError: no such profile, or a change that it does not take.
        """
        return load_profile(self.profile, **self.product)

    def startup(self, application: ApplicationModel) -> bytes:
        """Return the seven bytes of startup information of an application."""
        own = {
            name: getattr(self, name)
            if getattr(application, name) is None
            else getattr(application, name)
            for name in SHARED_STARTUP
        }
        return bytes(
            (
                own["session_modification"],
                own["platform"],
                application.type,
                application.subtype,
                own["software_issuer"],
                own["software_version"],
                own["software_revision"],
            )
        )

    def atr_bytes(self) -> bytes:
        """Return the ATR with everything in place."""
        startup = to_hex(self.startup(self.applications[0])[1:])
        text = self.atr.replace("{startup}", startup).replace("{serial}", to_hex(self.serial[4:]))
        atr = from_hex(text.replace("{tck}", ""))
        if "{tck}" in text:
            atr += bytes((reduce(xor, atr[1:]),))
        return atr

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        profile = self.product_profile()
        lids = [each.lid for each in self.applications]
        aids = [each.aid for each in self.applications]
        if len(set(lids)) != len(lids) or len(set(aids)) != len(aids):
            raise ValueError("two applications with the same LID or AID")
        for application in self.applications:
            self._check_application(application, profile)
        self._check_sharing()
        if self.purse and self.purse.keys_of is not None and self.purse.keys_of not in lids:
            raise ValueError(f"the purse's keys are in DF {self.purse.keys_of:04X}: no such DF")
        if len(self.atr_bytes()) < 2:
            raise ValueError("an ATR has at least two bytes")
        return self

    def _check_application(self, application: ApplicationModel, profile: ProfileModel) -> None:
        name = f"DF {application.lid:04X}"
        ranges = profile.application_types
        if not any(low <= application.type <= high for low, high in ranges):
            allowed = ", ".join(f"{low:02X}…{high:02X}" for low, high in ranges)
            raise ValueError(
                f"{name}: application type {application.type:02X}; {profile.name} has {allowed}"
            )
        try:
            StartupInformation.parse(self.startup(application))
        except MalformedCardData as error:
            raise ValueError(f"{name}: {error}") from None
        has_purse = application.type & profile.options & ApplicationOption.STORED_VALUE
        if (application.pki or application.pki_objects) and not (
            application.type & profile.options & ApplicationOption.PKI_MODE
        ):
            raise ValueError(f"{name} has a certificate, but no PKI mode")
        if self.purse is None and (has_purse or any(f.purse_log for f in application.files)):
            raise ValueError(f"{name} has Stored Value, but the card has no purse")

    def _check_sharing(self) -> None:
        seen: dict[int, FileModel] = {}
        for application in self.applications:
            for file in application.files:
                if not file.reference or file.type == "simulated counters":
                    continue
                other = seen.setdefault(file.reference, file)
                if other.shape != file.shape or (file is not other and file.content):
                    raise ValueError(
                        f"EF {file.lid:04X} shares its content with EF {other.lid:04X}: type, records "
                        "and size must be the same, and the first one gives the content"
                    )

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


def parse_personalisation(text: str, *, origin: str, folder: Path | None = None) -> Personalisation:
    """Read and check a personalisation.

    Args:
        text: TOML.
        origin: what to call it in an error text.
        folder: where a base that is a file is looked for; by default the current one.

    Raises:
        UsageError: it is no TOML, or a value is missing, unknown or out of range; the text says where.
    """
    return validated(Personalisation, read_layers(text, origin, folder or Path()), origin)


def preset_names() -> tuple[str, ...]:
    """Return the names of the packaged personalisations."""
    return names_in("presets")


def load_preset(name: str, /, **changes: object) -> Personalisation:
    """Read a packaged personalisation.

    Args:
        name: of the preset.
        changes: top-level values to change, as a file with this preset as `base` would.

    Raises:
        UsageError: there is none of that name (the text lists them), or a change is not valid.
    """
    document = read_layers(packaged("presets", name, "card preset"), f"preset {name}")
    return validated(Personalisation, merged(document, changes), f"preset {name}")
