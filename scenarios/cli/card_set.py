"""`cardbench card set`: what the options say, and how it comes into the card file at once.

Source: our choice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cardbench.emulator.calypso import edit
from cardbench.emulator.calypso.document import personalisation_of
from cardbench.emulator.calypso.personalisation import KeyModel
from cardbench.emulator.storage import CardFile
from cardbench.protocol.errors import UsageError
from cardbench.protocol.hexadecimal import from_hex
from cardbench.scenarios.card_files import CALYPSO, check_family

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cardbench.emulator.calypso.personalisation import Personalisation

_IN_FILE: Final = re.compile(
    r"(?P<file>[0-9A-Fa-f]{2}|[0-9A-Fa-f]{4}):(?P<number>\d+)=(?P<value>.*)"
)
_KEY: Final = re.compile(
    r"(?P<index>\d)=(?P<kif>[0-9A-Fa-f]{2})/(?P<kvc>[0-9A-Fa-f]{2})(/(?P<alg>[0-9A-Fa-f]{2}))?"
)
_SFI_DIGITS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What the options say; None: nothing.

    Attributes:
        application: which application the files, keys and the status are of; "": the first.
        records, binaries, counters: `FILE:NUMBER=VALUE` each.
        keys: `INDEX=KIF/KVC[/ALG]` each.
        values: top-level values of the personalisation.
        purse: values of the purse.
        status: `invalidated`, `ratified`.
    """

    application: str = ""
    records: Sequence[str] = ()
    binaries: Sequence[str] = ()
    counters: Sequence[str] = ()
    keys: Sequence[str] = ()
    values: Mapping[str, object] = field(default_factory=dict, repr=False)
    purse: Mapping[str, int | None] = field(default_factory=dict)
    status: Mapping[str, bool | None] = field(default_factory=dict)


def set_card(file: Path, changes: Changes) -> None:
    """Change the card in a file, in one commit.

    Raises:
        UsageError: no change is asked for, or one that does not fit; nothing then has changed.
        StorageError: the file cannot be read or written.
    """
    with CardFile.open(file) as card_file:
        check_family(card_file, CALYPSO)
        card_file.memory.recover()  # what the power cut is finished or forgotten first
        objects = card_file.memory.objects()
        before = personalisation_of(objects)
        after = changed(before, changes)
        different = edit.memory_changes(objects, after)
        card_file.memory.commit(different)
    print(f"{file}: {'changed' if different else 'it is so already'}")


def changed(card: Personalisation, changes: Changes) -> Personalisation:
    """Return the card with all changes.

    Raises:
        UsageError: no change is asked for, or one that does not fit.
    """
    before = card
    asked = False
    for text in changes.records:
        address, number, value = _in_file(text, changes.application, "--record SFI:NUMBER=HEX")
        card = edit.with_record(card, address, number, from_hex(value))
    for text in changes.binaries:
        address, number, value = _in_file(text, changes.application, "--binary SFI:OFFSET=HEX")
        card = edit.with_binary(card, address, number, from_hex(value))
    for text in changes.counters:
        address, number, value = _in_file(text, changes.application, "--counter SFI:NUMBER=VALUE")
        card = edit.with_counter(card, address, number, _number(text, value))
    for text in changes.keys:
        card = _with_key(card, changes.application, text)
    asked = bool(changes.records or changes.binaries or changes.counters or changes.keys)
    for given, apply in (
        (changes.values, edit.with_values),
        (changes.purse, edit.with_purse),
        (changes.status, lambda it, **status: edit.with_status(it, changes.application, **status)),
    ):
        wanted = {name: value for name, value in given.items() if value is not None}
        if wanted:
            card, asked = apply(card, **wanted), True
    if not asked:
        raise UsageError(
            f"nothing to set on {before.name}; `cardbench card set --help` says what can be"
        )
    return card


def _in_file(text: str, application: str, form: str) -> tuple[edit.FileAddress, int, str]:
    found = _IN_FILE.fullmatch(text.replace(" ", ""))
    if found is None:
        raise UsageError(f"{text!r}: wanted is {form}, the SFI in two hexadecimal digits")
    number = int(found["file"], 16)
    by_sfi = len(found["file"]) == _SFI_DIGITS
    address = edit.FileAddress(application, number if by_sfi else 0, 0 if by_sfi else number)
    return address, int(found["number"]), found["value"]


def _number(text: str, value: str) -> int:
    try:
        return int(value, 0)
    except ValueError:
        raise UsageError(f"{text!r}: {value!r} is no number") from None


def _with_key(card: Personalisation, application: str, text: str) -> Personalisation:
    found = _KEY.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r}: wanted is --key INDEX=KIF/KVC[/ALG], in hexadecimal")
    index, alg = int(found["index"]), found["alg"]
    keys = edit.find_application(card, application).keys
    there = keys[index - 1].algorithm if 1 <= index <= len(keys) else 0
    key = KeyModel(
        kif=int(found["kif"], 16),
        kvc=int(found["kvc"], 16),
        algorithm=there if alg is None else int(alg, 16),
    )
    return edit.with_key(card, application, index, key)
