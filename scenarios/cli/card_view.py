"""What `cardbench card show` and `presets` print: a tree for people, one object for programs.

PIN and key values show only where they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from cardbench.emulator.calypso.edit import find_application
from cardbench.emulator.calypso.structure import COUNTER_SIZE, PIN_TRIES
from cardbench.emulator.calypso.words import CONDITIONS
from cardbench.protocol.calypso.startup import ApplicationOption
from cardbench.protocol.hexadecimal import to_hex

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.emulator.calypso.personalisation import (
        ApplicationModel,
        FileModel,
        KeyModel,
        Personalisation,
    )

KEY_NAMES: Final = ("issuer", "load", "debit")
_PLAIN_CONDITIONS: Final = {
    f"{condition:02X}": word
    for word, (condition, _) in CONDITIONS.items()
    if word in ("AA", "NN", "PN")
}
_PIPE_WIDTH: Final = 1000
_LINE_BYTES: Final = 32
_BINARY_LINES: Final = 4


def _console() -> Console:
    """Return standard output; what a program reads is not broken into lines."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def card_as_json(card: Personalisation, *, with_secrets: bool = False) -> dict[str, Any]:
    """Return what is shown, for programs: the personalisation, without PIN and key values."""
    content = card.model_dump(mode="json")
    if not with_secrets:
        del content["pin"]
        for application in content["applications"]:
            for key in application["keys"]:
                del key["value"]
            for pki in (application["pki"], application["pki_objects"]):
                for secret in ("private_key", "key_pair"):
                    (pki or {}).pop(secret, None)
        for key in ("load", "debit"):
            ((content["purse"] or {}).get(key) or {}).pop("value", None)
    return content


def presets_as_json(presets: Mapping[str, Personalisation]) -> list[dict[str, Any]]:
    """Return the presets, for programs."""
    return [
        {
            "name": name,
            "description": card.description,
            "product": card.profile,
            "applications": [to_hex(each.aid) for each in card.applications],
        }
        for name, card in presets.items()
    ]


def print_presets(presets: Mapping[str, Personalisation]) -> None:
    """Print a table of the presets."""
    table = Table.grid(padding=(0, 2))
    for name, card in presets.items():
        table.add_row(f"[bold]{name}[/]", card.profile, escape(card.description))
    _console().print(table)


def print_card(
    card: Personalisation,
    *,
    application: str = "",
    with_secrets: bool = False,
    console: Console | None = None,
) -> None:
    """Print a card as a tree.

    Args:
        card: the card.
        application: LID or AID of the one application to print; "": all.
        with_secrets: print PIN and key values.
        console: where; by default standard output.

    Raises:
        UsageError: no such application.
    """
    console = console or _console()
    shown = [find_application(card, application)] if application else card.applications
    tree = Tree(_head(card))
    tree.add(f"ATR {to_hex(card.atr_bytes())}")
    tree.add(f"transaction counter {card.transaction_counter:,}")
    tree.add(_pin(card, with_secrets=with_secrets))
    if card.purse is not None:
        _add_purse(tree, card, with_secrets=with_secrets)
    for each in shown:
        _add_application(tree, card, each, with_secrets=with_secrets)
    console.print(tree)


def _head(card: Personalisation) -> str:
    profile = card.product_profile()
    return (
        f"[bold]{escape(card.name)}[/] {escape(card.description or profile.description)}\n"
        f"product {escape(profile.name)}, serial number {to_hex(card.serial)}"
    )


def _pin(card: Personalisation, *, with_secrets: bool) -> str:
    shown = f" {to_hex(card.pin)}" if with_secrets else ""
    if not card.pin_tries:
        return f"PIN{shown} [red]blocked[/]"
    left = f"{card.pin_tries} of {PIN_TRIES} tries left"
    return f"PIN{shown}, " + (left if card.pin_tries == PIN_TRIES else f"[yellow]{left}[/]")


def _add_purse(tree: Tree, card: Personalisation, *, with_secrets: bool) -> None:
    purse = card.purse
    assert purse is not None, "the caller looked"
    branch = tree.add(
        f"[bold]purse[/] balance {purse.balance:,}, transaction number {purse.transaction_number}"
    )
    if purse.keys_of is not None:
        branch.add(f"keys: load and debit key of DF {purse.keys_of:04X}")
    for name, key in (("load", purse.load), ("debit", purse.debit)):
        if key is not None:
            branch.add(_key(name, key, with_secrets=with_secrets))
    if purse.load_log:
        branch.add(f"load log {to_hex(purse.load_log)}")
    for number, log in enumerate(purse.debit_logs, 1):
        branch.add(f"debit log {number}: {to_hex(log)}")


def _access(words: tuple[str, ...]) -> str:
    """Write access conditions; a key index that means nothing is left away."""
    return " ".join(
        _PLAIN_CONDITIONS.get(word[:2], word) if len(word) > 2 else word for word in words
    )


def _key(name: str, key: KeyModel, *, with_secrets: bool) -> str:
    if not key.kif and not key.kvc:
        return f"{name} key: none"
    value = f" {to_hex(key.value)}" if with_secrets and key.value is not None else ""
    return f"{name} key {key.kif:02X}/{key.kvc:02X}, algorithm {key.algorithm:02X}{value}"


def _add_application(
    tree: Tree, card: Personalisation, application: ApplicationModel, *, with_secrets: bool
) -> None:
    kind = "MF" if application.master else "DF"
    status = " [red]invalidated[/]" * application.invalidated
    status += " [yellow]last session not ratified[/]" * (not application.ratified)
    branch = tree.add(
        f"[bold]{kind} {application.lid:04X}[/] AID {to_hex(application.aid)}{status}"
    )
    startup = to_hex(card.startup(application))
    branch.add(f"startup information {startup}{_options(card, application)}")
    branch.add(f"access {_access(application.access)} (rehabilitate, invalidate)")
    for number, (name, key) in enumerate(zip(KEY_NAMES, application.keys, strict=True), 1):
        branch.add(f"{number} " + _key(name, key, with_secrets=with_secrets))
    if application.pki or application.pki_objects:
        branch.add(_pki(application))
    for file in application.files:
        _add_file(branch, card, file)


def _options(card: Personalisation, application: ApplicationModel) -> str:
    options = ApplicationOption(application.type & card.product_profile().options)
    names = [str(option.name).lower().replace("_", " ") for option in options]
    return f": {', '.join(names)}" if names else ""


def _pki(application: ApplicationModel) -> str:
    if application.pki:
        return "PKI: key pair, card certificate and CA certificate of the public test CA"
    objects = application.pki_objects.model_dump(exclude_none=True)  # type: ignore[union-attr]
    return "PKI: " + ", ".join(name.replace("_", " ").replace("ca ", "CA ") for name in objects)


def _add_file(branch: Tree, card: Personalisation, file: FileModel) -> None:
    name = f"SFI {file.sfi:02X}" if file.sfi else "no SFI"
    size = f"{file.size} bytes" if file.records == 1 else f"{file.records} × {file.size} bytes"
    at = branch.add(
        f"[bold]EF {file.lid:04X}[/] {name} {file.type}, {size}, access {_access(file.access)}"
    )
    if file.type == "simulated counters":
        sfi, number = divmod(file.reference, 0x100)
        at.add(f"counter {number} of SFI {sfi:02X}")
        return
    if file.purse_log:
        at.add(f"{file.purse_log} log of the purse")
        return
    giver = _giver(card, file)
    if giver is not file:
        at.add(f"shares the content of EF {giver.lid:04X}")
        return
    if file.type == "counters":
        at.add(_counters(file))
    elif file.type == "binary":
        _add_binary(at, file)
    else:
        _add_records(at, file)
    for signature in file.signatures:
        at.add(f"record {signature.record}: signed at the factory, at byte {signature.at}")


def _giver(card: Personalisation, file: FileModel) -> FileModel:
    """Return the file that gives the content of this one."""
    if not file.reference:
        return file
    return next(
        other
        for application in card.applications
        for other in application.files
        if other.reference == file.reference and other.type == file.type
    )


def _counters(file: FileModel) -> str:
    content = file.content[0] if file.content else b""
    content = content.ljust(file.size, b"\0")
    values = [
        int.from_bytes(content[start : start + COUNTER_SIZE])
        for start in range(0, file.size - COUNTER_SIZE + 1, COUNTER_SIZE)
    ]
    said = [f"{number}: {value:,}" for number, value in enumerate(values, 1) if value]
    rest = f"the other {len(values) - len(said)} at 0" if said else f"all {len(values)} at 0"
    return "; ".join([*said, rest] if len(said) < len(values) else said)


def _add_binary(at: Tree, file: FileModel) -> None:
    content = (file.content[0] if file.content else b"").rstrip(b"\0")
    for start in range(0, len(content), _LINE_BYTES)[:_BINARY_LINES]:
        at.add(f"{start:5}: {to_hex(content[start : start + _LINE_BYTES])}")
    left = len(content) - _BINARY_LINES * _LINE_BYTES
    if left > 0:
        at.add(f"       and {left:,} bytes more")
    elif len(content) < file.size:
        at.add("zero" if not content else "       the rest is zero")


def _add_records(at: Tree, file: FileModel) -> None:
    said = 0
    for number, content in enumerate(file.content, 1):
        if any(content):
            said += 1
            at.add(f"{number}: {to_hex(content.ljust(file.size, bytes(1)))}")
    if said < file.records:
        rest = file.records - said
        at.add(f"the other {rest} zero" if said else "zero")
