"""What `cardbench sam show` prints: a table for people, one object for programs; no key value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from cardbench.protocol.calypso.sam import (
    AES_ALGORITHMS,
    CEILING_MAX,
    SYSTEM_KEY_REFERENCES,
    KeyReference,
    Par1,
    Par5,
    SamFlag,
)
from cardbench.protocol.hexadecimal import to_hex

if TYPE_CHECKING:
    from cardbench.sam_emulator.document import CounterPart, KeyPart, SamDocument

ALG, PAR1, PAR4, PAR5 = 2, 3, 6, 7
NAMES = {
    int(reference): kif.name.lower().replace("_", " ")
    for kif, reference in SYSTEM_KEY_REFERENCES.items()
} | {int(KeyReference.LOCK): "lock secret"}


MAY = (
    (PAR1, Par1.CIPHER_ENABLE, "cipher"),
    (PAR1, Par1.DECIPHER_DATA_ENABLE, "decipher"),
    (PAR1, Par1.STATIC_CIPHER_ENABLE, "static"),
    (PAR5, Par5.DATA_CIPHER_ENABLE, "sign"),
)
"""Offset in the key block, bit, word."""


def _allows(key: KeyPart) -> str:
    """What a key may do, in words."""
    if key.reference == KeyReference.LOCK:
        return ""
    return " ".join(word for offset, flag, word in MAY if key.block[offset] & flag)


def _algorithm(key: KeyPart) -> str:
    alg = key.block[ALG]
    return f"{alg:02X} {'AES' if alg in AES_ALGORITHMS else ''}".rstrip() if alg else ""


def _flags(document: SamDocument) -> list[SamFlag]:
    return [flag for flag in SamFlag if document.parameters[0] & flag]


def _used(counter: CounterPart, document: SamDocument) -> list[str]:
    return [key.name for key in document.keys if key.block[PAR4] == counter.number != 0]


def as_json(document: SamDocument) -> dict[str, object]:
    """Return what is shown, for programs."""
    return {
        "product": document.product,
        "serial": to_hex(document.serial),
        "atr": to_hex(document.atr),
        "locks_at_reset": any(key.reference == KeyReference.LOCK for key in document.keys),
        "parameters": to_hex(document.parameters),
        "flags": [str(flag.name).lower() for flag in _flags(document)],
        "features": document.features.model_dump(),
        "keys": [
            {
                "reference": f"{key.reference:02X}",
                "kif": f"{key.block[0]:02X}",
                "kvc": f"{key.block[1]:02X}",
                "alg": f"{key.block[ALG]:02X}",
                "parameters": to_hex(key.block[PAR1:]),
                "counter": key.block[PAR4] or None,
            }
            for key in document.keys
        ],
        "counters": [
            {**counter.model_dump(), "keys": _used(counter, document)}
            for counter in document.counters
        ],
        "sv_number": document.sv_number,
        "has_ca_certificate": document.ca_certificate is not None,
        "has_ca_key": document.ca_key is not None,
    }


def print_sam(
    document: SamDocument, *, with_all: bool = False, console: Console | None = None
) -> None:
    """Print a SAM.

    Args:
        document: the SAM.
        with_all: print the counters that nothing uses, too.
        console: where; by default standard output.
    """
    console = console or Console(highlight=False)
    console.print(f"[bold]{document.product}[/], serial number {to_hex(document.serial)}")
    console.print(f"ATR {to_hex(document.atr)}", soft_wrap=True)
    flags = [str(flag.name).lower().replace("_", " ") for flag in _flags(document)]
    console.print(f"SAM parameters: {', '.join(flags) or 'no flag is set'}")
    if any(key.reference == KeyReference.LOCK for key in document.keys):
        console.print("locked after every reset, until the lock secret is presented")
    console.print(f"Stored Value operations prepared: {document.sv_number}")
    if document.ca_certificate is not None:
        console.print(f"CA certificate: yes; its private key: {'yes' if document.ca_key else 'no'}")
    console.print(_key_table(document))
    console.print(_counter_table(document, with_all=with_all))


def _key_table(document: SamDocument) -> Table:
    table = Table(
        title="keys", title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for heading in ("reference", "KIF/KVC", "ALG", "PAR1…PAR10", "counter", "may"):
        table.add_column(heading, no_wrap=heading != "may")
    for key in document.keys:
        counter = key.block[PAR4]
        table.add_row(
            f"{key.reference:02X} {NAMES.get(key.reference, '')}".rstrip(),
            key.name,
            _algorithm(key),
            to_hex(key.block[PAR1:]),
            str(counter) if counter else "",
            _allows(key),
        )
    return table


def _counter_table(document: SamDocument, *, with_all: bool) -> Table:
    table = Table(
        title="event counters", title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for heading in ("number", "value", "ceiling", "left"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("counts")
    for counter in document.counters:
        keys = _used(counter, document)
        is_used = keys or counter.value or counter.ceiling != CEILING_MAX or counter.free_increment
        if with_all or is_used:
            left = max(0, counter.ceiling - counter.value)
            table.add_row(
                str(counter.number),
                f"{counter.value:,}",
                f"{counter.ceiling:,}",
                f"[red]{left:,}[/]" if left == 0 else f"{left:,}",
                ", ".join(keys) + (" freely" if counter.free_increment else ""),
            )
    return table
