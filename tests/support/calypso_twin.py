"""A Calypso card beside its simple model: made of the same, and compared in all that they keep.

Source of the sizes and names: the card's structure; the model goes its own way from there.
"""

from __future__ import annotations

import importlib.util
import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from models.calypso_card import CalypsoModel
from models.calypso_state import PRODUCTS, Directory, File, Kept, Key
from support.calypso_workshop import workshop

from cardbench.emulator.calypso.factory import factory_memory
from cardbench.emulator.calypso.personalisation import load_preset, parse_personalisation
from cardbench.emulator.calypso.structure import (
    DEBIT_LOG_KEY,
    LOAD_LOG_KEY,
    PIN_KEY,
    PIN_TRIES_KEY,
    PURSE_KEY,
    TRANSACTION_COUNTER_KEY,
)
from cardbench.protocol.calypso.suite import load_suite

if TYPE_CHECKING:
    from types import ModuleType

    from cardbench.emulator.calypso import CalypsoCard
    from cardbench.emulator.calypso.personalisation import Personalisation
    from cardbench.emulator.chassis import Value

SECOND_SUITE = Path(__file__).resolve().parents[1] / "independent" / "second_suite.py"
PRESETS = (
    "workshop",
    "workshop",
    "kit-extended",
    "kit-extended",
    "kit-regular",
    "gtml",
    "light-classic",
    "light-reference",
    "basic",
    "prime-2",
    "prime-1",
    "tango",
    "hce",
)
LOGS = {LOAD_LOG_KEY: ("log", "load"), DEBIT_LOG_KEY: ("log", "debit")}


def second_suite() -> ModuleType:
    """The second suite over AES and CMAC of OpenSSL: its own are slow, and not what is judged here."""
    spec = importlib.util.spec_from_file_location("quick_second_suite", SECOND_SUITE)
    assert spec is not None
    assert spec.loader is not None
    suite: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(suite)

    @lru_cache(256)
    def blocks(key: bytes) -> Any:  # noqa: ANN401 - a context of the library
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - block by block

    def cmac(key: bytes, message: bytes) -> bytes:
        state = CMAC(algorithms.AES(key))
        state.update(message)
        return state.finalize()

    suite.encrypt_block = lambda key, block: blocks(key).update(block)
    suite.cmac = cmac
    return suite  # type: ignore[no-any-return]


SUITE = second_suite()

_FREE_FILES = """
base = "{base}"
name = "machine"
transaction_counter = 60
[[applications]]
lid = 0x2000
[[applications.files]]
lid = 0x3001
sfi = 0x01
type = "linear"
records = 3
size = 6
access = ["AA", "AA", "AA", "NN"]
[[applications.files]]
lid = 0x3002
sfi = 0x04
type = "cyclic"
records = 3
size = 4
access = ["AA", "AA", "AA", "AA"]
[[applications.files]]
lid = 0x3003
sfi = 0x13
type = "counters"
size = 9
access = ["AA", "AA", "AA", "AA"]
[[applications.files]]
lid = 0x3004
type = "binary"
size = 20
access = ["AA", "AA", "AA", "NN"]
"""


def without_pki(card: Personalisation) -> Personalisation:
    """The same card without the option PKI, of which the model knows nothing."""
    document = card.model_dump()
    for application in document["applications"]:
        application["type"] &= ~0x10 if application["type"] in range(0x20, 0x90) else 0xFF
        application["pki"] = None
    return type(card).model_validate(document)


@lru_cache
def fresh_memory(preset: str) -> dict[Any, Value]:
    """What a card of a preset has in its memory when it leaves the factory."""
    if preset == "workshop":
        card = workshop(transaction_counter=60)
    elif preset == "hce":
        card = load_preset(preset, session_modification=0x06)
    else:
        card = parse_personalisation(_FREE_FILES.format(base=preset), origin="machine")
    return factory_memory(without_pki(card), load_suite())


def model_of(card: CalypsoCard) -> CalypsoModel:
    """Give the model what the card is made of; from then on it goes its own way."""
    structure, memory = card.structure, card.memory.objects()

    def store(key: object) -> object:
        return LOGS.get(key, key)  # type: ignore[call-overload]

    document = json.loads(memory["structure",])  # type: ignore[arg-type]
    startups = {one["lid"]: bytes.fromhex(one["startup"]) for one in document["applications"]}
    slots = [key for df in structure.applications for key in df.key_slots[1:]]
    slots += [structure.purse.load_key, structure.purse.debit_key] if structure.purse else []

    directories = tuple(
        Directory(
            lid=df.lid,
            aid=df.aid,
            startup=startups[df.lid],
            is_master=df.is_master,
            access=df.access,
            levels=df.key_levels,
            files=tuple(
                File(
                    lid=file.lid,
                    sfi=file.sfi,
                    kind=int(file.kind),
                    size=file.record_size,
                    count=file.record_count,
                    access=file.access,
                    levels=file.key_levels,
                    reference=file.reference,
                    store=store(file.content_key),
                    offset=file.counter_offset,
                    listed=file.is_listed,
                    is_log=file.is_purse_log,
                )
                for file in df.files
            ),
        )
        for df in structure.applications
    )
    content = {store(k): v for k, v in memory.items() if k[0] in {"file", "shared"} or k in LOGS}
    purse, profile = structure.purse, structure.profile
    product = PRODUCTS[profile.name]
    if product.revision < 3:
        product = product._replace(postpones=profile.postpones_counters)
    balance, number, signature = memory.get(PURSE_KEY, (0, 0, bytes(6)))  # type: ignore[misc]
    return CalypsoModel(
        product=product,
        serial=structure.serial,
        traceability=structure.traceability,
        historical=historical_bytes(structure.atr),
        directories=directories,
        purse=purse and (purse.load_key, purse.debit_key),
        kept=Kept(
            content=content,  # type: ignore[arg-type]
            keys={slot: Key(*memory[slot]) for slot in slots},  # type: ignore[misc]
            invalidated={k[1]: bool(v) for k, v in memory.items() if k[0] == "invalidated"},  # type: ignore[misc]
            ratified={k[1]: bool(v) for k, v in memory.items() if k[0] == "ratified"},  # type: ignore[misc]
            counter=memory[TRANSACTION_COUNTER_KEY],  # type: ignore[arg-type]
            pin=memory[PIN_KEY],  # type: ignore[arg-type]
            tries=memory[PIN_TRIES_KEY],  # type: ignore[arg-type]
            balance=balance,
            number=number,
            signature=signature,
        ),
        suite=SUITE,
    )


def historical_bytes(atr: bytes) -> bytes:
    """Historical bytes of an ATR (ISO 7816-3 §8.2)."""
    count, at, next_ones = atr[1] & 15, 2, atr[1] >> 4
    while next_ones:
        interface = atr[at : at + next_ones.bit_count()]
        at += len(interface)
        next_ones = interface[-1] >> 4 if next_ones & 8 else 0
    return atr[at : at + count]


def kept_by(card: CalypsoCard) -> dict[object, object]:
    """Everything that the card keeps, but for its structure."""
    objects = card.memory.objects()
    return {LOGS.get(key, key): value for key, value in objects.items() if key != ("structure",)}


def should_be_kept(model: CalypsoModel) -> dict[object, object]:
    """The same as the model has it: in a session, what was before it."""
    session, now = model.now.session, model.kept
    kept = now if session is None else session.backup
    out: dict[object, object] = dict(kept.content)
    out.update((slot, tuple(key)) for slot, key in kept.keys.items())
    out.update((("invalidated", lid), int(value)) for lid, value in kept.invalidated.items())
    out.update((("ratified", lid), int(value)) for lid, value in now.ratified.items())
    out[TRANSACTION_COUNTER_KEY], out[PIN_TRIES_KEY] = now.counter, now.tries
    out[PIN_KEY] = kept.pin
    if model.purse is not None:
        out[PURSE_KEY] = (kept.balance, kept.number, kept.signature)
    return out


def forgotten_by(card: CalypsoCard) -> tuple[object, ...]:
    """What a reset takes, as far as a terminal can notice."""
    volatile, session = card.volatile, card.volatile.session
    return (
        volatile.application.lid,
        volatile.file and volatile.file.lid,
        volatile.pin_verified,
        volatile.awaits_ratification,
        session and (session.encrypted, session.buffer_left, session.key_index, session.postponed),
    )


def should_be_forgotten(model: CalypsoModel) -> tuple[object, ...]:
    """The same as the model has it."""
    now, session = model.now, model.now.session
    return (
        now.df.lid,
        now.file and now.file.lid,
        now.pin_verified,
        now.awaits_ratification,
        session and (session.encrypted, session.left, session.index, session.postponed),
    )
