"""A card for tests: the bench card with a file of every kind under every kind of access condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.calypso_peer import Peer

from cardbench.emulator.calypso import CalypsoCard
from cardbench.emulator.calypso.factory import factory_memory
from cardbench.emulator.calypso.personalisation import load_preset, parse_personalisation
from cardbench.emulator.chassis import Entropy, Memory
from cardbench.protocol.calypso.suite import load_suite

if TYPE_CHECKING:
    from cardbench.emulator.calypso.personalisation import Personalisation
    from cardbench.emulator.chassis import Key, Value

_FILES = (
    # LID, SFI, type, records, size, access, reference
    (0x3001, 0x01, "linear", 2, 4, "NN NN NN NN", 0),
    (0x3002, 0x04, "binary", 1, 16, "NN NN NN NN", 0),
    (0x3003, 0x05, "counters", 1, 6, "NN NN NN NN", 0),
    (0x3004, 0x06, "cyclic", 2, 4, "AA NN NN NN", 0),
    (0x3005, 0x0A, "simulated counters", 1, 29, "AA S2 S3 S2", 0x1902),
    (0x3006, 0x0B, "linear", 1, 8, "C3 C3 NN NN", 0),
    (0x3007, 0x0C, "linear", 1, 8, "P3 P3 NN NN", 0),
    (0x3008, 0x0D, "linear", 2, 8, "AA AA AA NN", 0),
    (0x3009, 0x0E, "counters", 1, 9, "AA AA AA AA", 0),
    (0x300A, 0x0F, "cyclic", 3, 4, "AA AA AA AA", 0),
    (0x300B, 0x10, "binary", 1, 300, "AA AA AA NN", 0),
    (0x300C, 0x11, "binary", 1, 16, "PN S3 S3 NN", 0),
    (0x300D, 0x12, "linear", 250, 8, "AA AA AA NN", 0),
    (0x300F, 0x13, "linear", 1, 29, "PN S2 NN NN", 0),
    (0x300E, 0x00, "linear", 1, 8, "AA AA AA NN", 0),
)
_EVERYWHERE = (0x3001, 0x3002, 0x300F, 0x3008, 0x3009, 0x300A, 0x300B)
"""Files that fit beside those of a preset, as long as it leaves their SFI free."""


def workshop(base: str = "bench-small", **changes: object) -> Personalisation:
    """The personalisation; `changes` are top-level values."""
    lines = [f'base = "{base}"', 'name = "workshop"', "[[applications]]", "lid = 0x2000"]
    taken = {file.sfi for each in load_preset(base).applications for file in each.files}
    for lid, sfi, kind, records, size, access, reference in _FILES:
        if base != "bench-small" and (lid not in _EVERYWHERE or sfi in taken):
            continue
        words = ", ".join(f'"{word}"' for word in access.split())
        lines += [
            "[[applications.files]]",
            f'lid = {lid}\nsfi = {sfi}\ntype = "{kind}"\nrecords = {records}\nsize = {size}',
            f"access = [{words}]\nreference = {reference}",
        ]
    card = parse_personalisation("\n".join(lines), origin="workshop")
    return type(card).model_validate({**card.model_dump(), **changes})


_KVC = {"prime-1": 0x79, "prime-2": 0x79, "tango": 0x79, "basic": 0x73, "gtml": 0x79}
_KVC |= {"light-classic": 0x79, "light-reference": 0x79, "hoplink-small": 0x0C}
_KVC |= {"kit-regular": 0x79}


_factory: dict[str, dict[Key, Value]] = {}


def made(preset: str = "workshop", *, seed: bytes = b"card", **changes: object) -> CalypsoCard:
    """Make a card of a preset, of the workshop, or of `PRESET workshop`; the factory works once for each."""
    name = f"{preset} {changes}"
    if name not in _factory:
        if preset.endswith("workshop"):
            card = workshop(preset.removesuffix("workshop").strip() or "bench-small", **changes)
        else:
            card = load_preset(preset, **changes)
        _factory[name] = factory_memory(card, load_suite())
    return CalypsoCard(Memory(_factory[name]), entropy=Entropy(seed))


def peer_of(preset: str = "workshop", *, seed: bytes = b"card", **changes: object) -> Peer:
    """Make a card of a preset, or of the workshop, powered, with the other end that fits it."""
    card = made(preset, seed=seed, **changes)
    return Peer(
        card,
        serial=card.structure.serial.hex(),
        kvc=_KVC.get(preset.removesuffix(" workshop"), 0x74),
        cla=0x94 if card.structure.profile.name in ("prime-1", "prime-2") else 0x00,
    )
