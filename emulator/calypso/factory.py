"""Write a personalisation into a memory, as a factory would, and make a card of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from cardbench.emulator.calypso.card import CalypsoCard
from cardbench.emulator.calypso.structure import (
    COUNTER_SIZE,
    DEBIT_LOG_KEY,
    LOAD_LOG_KEY,
    PIN_KEY,
    PIN_TRIES_KEY,
    PURSE_KEY,
    STRUCTURE_KEY,
    TRANSACTION_COUNTER_KEY,
    Profile,
    ca_certificate_key,
    card_certificate_key,
    content_key,
    invalidated_key,
    key_slot_key,
    pki_key_pair_key,
    ratified_key,
    shared_content_key,
)
from cardbench.emulator.chassis import Memory
from cardbench.protocol.calypso.suite import load_suite, public_test_master
from cardbench.protocol.calypso.sv_log import DEBIT_LOG_RECORDS
from cardbench.protocol.hexadecimal import to_hex

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.emulator.calypso.personalisation import (
        ApplicationModel,
        FileModel,
        KeyModel,
        Personalisation,
        PkiModel,
        PkiObjectsModel,
    )
    from cardbench.emulator.chassis import Clock, Entropy, Key, Value
    from cardbench.protocol.calypso.suite import SymmetricSuite

_LOAD, _DEBIT = 2, 3
_PURSE_LOG_KEYS: Final = {"load": LOAD_LOG_KEY, "debit": DEBIT_LOG_KEY}
_LOG_SIZE: Final = 29
_PURSE_LOAD_KEY: Final[Key] = ("purse", "load key")
_PURSE_DEBIT_KEY: Final[Key] = ("purse", "debit key")


def new_card(
    preset: str = "bench",
    *,
    entropy: Entropy | None = None,
    clock: Clock | None = None,
    suite: SymmetricSuite | None = None,
    records: Mapping[tuple[int, int], bytes] | None = None,
    serial: bytes | None = None,
) -> CalypsoCard:
    """Return a new, powerless card.

    Args:
        preset: name of a packaged personalisation.
        entropy, clock, suite: see `CalypsoCard`.
        records: other first contents, by (SFI, record number) in the first application.
        serial: another serial number than the preset's, 8 bytes.

    Raises:
        UsageError: no such preset, file or record.
    """
    from cardbench.emulator.calypso.personalisation import (  # noqa: PLC0415 - pydantic is slow to load
        load_preset,
    )

    personalisation = load_preset(preset, **({"serial": to_hex(serial)} if serial else {}))
    return card_of(
        personalisation.with_records(records or {}), entropy=entropy, clock=clock, suite=suite
    )


def card_of(
    personalisation: Personalisation,
    *,
    entropy: Entropy | None = None,
    clock: Clock | None = None,
    suite: SymmetricSuite | None = None,
) -> CalypsoCard:
    """Return a new, powerless card of any personalisation."""
    suite = suite or load_suite()
    memory = Memory(factory_memory(personalisation, suite))
    return CalypsoCard(memory, entropy=entropy, clock=clock, suite=suite)


def factory_memory(card: Personalisation, suite: SymmetricSuite) -> dict[Key, Value]:
    """Return the content of a new card's memory."""
    memory: dict[Key, Value] = {
        STRUCTURE_KEY: json.dumps(structure_document(card), sort_keys=True),
        TRANSACTION_COUNTER_KEY: card.transaction_counter,
        PIN_KEY: card.pin,
        PIN_TRIES_KEY: card.pin_tries,
    }
    for application in card.applications:
        memory[invalidated_key(application.lid)] = int(application.invalidated)
        memory[ratified_key(application.lid)] = int(application.ratified)
        for index, key in enumerate(application.keys, start=1):
            memory[key_slot_key(application.lid, index)] = _slot(card, key, suite)
        if application.pki is not None:
            memory |= _pki_objects(card, application, application.pki)
        if application.pki_objects is not None:
            memory |= _brought_objects(application.lid, application.pki_objects)
    if card.purse is not None:
        memory[PURSE_KEY] = (
            card.purse.balance,
            card.purse.transaction_number,
            card.purse.last_signature,
        )
        memory[LOAD_LOG_KEY] = card.purse.load_log.ljust(_LOG_SIZE, b"\0")
        debits = b"".join(log.ljust(_LOG_SIZE, b"\0") for log in card.purse.debit_logs)
        memory[DEBIT_LOG_KEY] = debits.ljust(DEBIT_LOG_RECORDS * _LOG_SIZE, b"\0")
        if card.purse.load is not None and card.purse.debit is not None:
            memory[_PURSE_LOAD_KEY] = _slot(card, card.purse.load, suite)
            memory[_PURSE_DEBIT_KEY] = _slot(card, card.purse.debit, suite)
    written: set[Key] = set()
    for application in card.applications:
        for file in application.files:
            where = _content_key(application, file)
            if file.type != "simulated counters" and not file.purse_log and where not in written:
                written.add(where)
                memory[where] = _content(card, file, suite)
    return memory


def _slot(card: Personalisation, key: KeyModel, suite: SymmetricSuite) -> Value:
    value = key.value or suite.diversify(public_test_master(key.kif, key.kvc), card.serial)
    return (key.kif, key.kvc, key.algorithm, value)


def _pki_objects(
    card: Personalisation, application: ApplicationModel, pki: PkiModel
) -> dict[Key, Value]:
    """Make key pair and certificates of an application; the public test CA signs."""
    from cardbench.protocol.calypso.pki import (  # noqa: PLC0415 - few cards need it
        card_key,
        issuing,
        public_test_keys,
    )

    key = (
        card_key.parse_private_key(pki.private_key)
        if pki.private_key is not None
        else public_test_keys.public_test_card_key(card.serial, application.aid)
    )
    request = issuing.CardRequest(
        aid=application.aid,
        serial=card.serial,
        startup=card.startup(application),
        public_key=key.public_key(),
        start_date=pki.start_date,
        end_date=pki.end_date,
        index=pki.index,
    )
    certificate = issuing.issue_card_certificate(
        public_test_keys.public_test_ca(), request, today=public_test_keys.TEST_CHAIN_START
    )
    lid = application.lid
    return {
        pki_key_pair_key(lid): card_key.encode_key_pair(key),
        card_certificate_key(lid): certificate.raw,
        ca_certificate_key(lid): public_test_keys.public_test_ca_certificate().raw,
    }


def _brought_objects(lid: int, objects: PkiObjectsModel) -> dict[Key, Value]:
    given = {
        pki_key_pair_key(lid): objects.key_pair,
        card_certificate_key(lid): objects.card_certificate,
        ca_certificate_key(lid): objects.ca_certificate,
    }
    return {key: value for key, value in given.items() if value is not None}


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


def _content_key(application: ApplicationModel, file: FileModel) -> Key:
    """Name the object that a file's content is in."""
    if file.purse_log:
        return _PURSE_LOG_KEYS[file.purse_log]
    if file.type == "simulated counters":
        return _content_key(application, application.counters_file_of(file))
    if file.reference:
        return shared_content_key(file.reference)
    return content_key(application.lid, file.lid)


def structure_document(card: Personalisation) -> dict[str, Any]:
    """Return the fixed part of the card as `structure.read_structure` takes it."""
    profile = card.product_profile().model_dump()
    purse: dict[str, Any] | None = None
    if card.purse is not None:
        lid = card.purse.keys_of
        purse = {
            "load_key": _PURSE_LOAD_KEY if lid is None else key_slot_key(lid, _LOAD),
            "debit_key": _PURSE_DEBIT_KEY if lid is None else key_slot_key(lid, _DEBIT),
        }
    return {
        "name": card.name,
        "base_profile": card.profile,
        "profile": {name: profile[name] for name in Profile.__dataclass_fields__},
        "serial": to_hex(card.serial),
        "atr": to_hex(card.atr_bytes()),
        "traceability": to_hex(card.traceability),
        "applications": [_application_document(card, each) for each in card.applications],
        "purse": purse,
    }


def _application_document(card: Personalisation, application: ApplicationModel) -> dict[str, Any]:
    access, levels = application.conditions
    return {
        "lid": application.lid,
        "aid": to_hex(application.aid),
        "is_master": application.master,
        "startup": to_hex(card.startup(application)),
        "access": to_hex(access),
        "key_levels": to_hex(levels),
        "files": [_file_document(application, file) for file in application.files],
    }


def _file_document(application: ApplicationModel, file: FileModel) -> dict[str, Any]:
    access, levels = file.conditions
    is_simulated = file.type == "simulated counters"
    return {
        "lid": file.lid,
        "sfi": file.sfi,
        "kind": file.ef_type.value,
        "record_size": file.size,
        "record_count": file.records,
        "access": to_hex(access),
        "key_levels": to_hex(levels),
        "reference": file.reference,
        "content_key": _content_key(application, file),
        "counter_offset": (file.reference % 0x100 - 1) * COUNTER_SIZE if is_simulated else 0,
        "is_listed": file.listed,
    }
