"""Change what is on a card: contents, counters, PIN, purse, keys, status; checked as a new card is.

Every function takes a personalisation and returns another. A test author prepares a situation with it;
no command of a real card could do so at will.

Source: our choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cardbench.emulator.calypso.factory import factory_memory
from cardbench.emulator.calypso.personalisation import (
    ApplicationModel,
    FileModel,
    KeyModel,
    Personalisation,
)
from cardbench.emulator.calypso.profile import validated
from cardbench.emulator.calypso.structure import COUNTER_SIZE
from cardbench.protocol.calypso.startup import COUNTER_MAX
from cardbench.protocol.calypso.suite import load_suite
from cardbench.protocol.errors import UsageError
from cardbench.protocol.hexadecimal import to_hex

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.emulator.chassis import Key, Value

_KEYS: Final = 3


class FileAddress(NamedTuple):
    """A file of an application; the first application where `application` is empty.

    Attributes:
        application: LID or AID in hexadecimal, or the beginning of an AID.
        sfi: short identifier, or 0 and a `lid`.
        lid: identifier, where `sfi` is 0.
    """

    application: str
    sfi: int
    lid: int = 0


def find_application(card: Personalisation, name: str) -> ApplicationModel:
    """Return an application by its LID or AID in hexadecimal, or by the beginning of its AID; "": the first.

    Raises:
        UsageError: there is none, or more than one; the text lists them.
    """
    wanted = name.upper().replace(" ", "")
    if not wanted:
        return card.applications[0]
    exact = [each for each in card.applications if f"{each.lid:04X}" == wanted]
    found = exact or [each for each in card.applications if to_hex(each.aid).startswith(wanted)]
    if len(found) != 1:
        known = ", ".join(f"{each.lid:04X} ({to_hex(each.aid)})" for each in card.applications)
        what = "more than one application" if found else "no application"
        raise UsageError(f"{what} {name!r}; the card has {known}")
    return found[0]


def find_file(card: Personalisation, address: FileAddress) -> FileModel:
    """Return a file.

    Raises:
        UsageError: there is none; the text lists the application's files.
    """
    application = find_application(card, address.application)
    for file in application.files:
        if file.sfi == address.sfi if address.sfi else file.lid == address.lid:
            return file
    known = ", ".join(
        f"{file.sfi:02X}" if file.sfi else f"{file.lid:04X}" for file in application.files
    )
    name = f"{address.sfi:02X}" if address.sfi else f"{address.lid:04X}"
    raise UsageError(f"no file {name} in DF {application.lid:04X}; it has {known}")


def with_record(
    card: Personalisation, address: FileAddress, number: int, content: bytes
) -> Personalisation:
    """Return the card with another content of one record; what `content` leaves over becomes zero.

    Raises:
        UsageError: no such file or record, a content too long, or a file that has no records.
    """
    file = find_file(card, address)
    if file.type in ("binary", "simulated counters"):
        raise UsageError(f"EF {file.lid:04X} is a {file.type} file; it has no records to set")
    if not 1 <= number <= file.records:
        raise UsageError(f"EF {file.lid:04X}: no record {number}; it has 1 to {file.records}")
    if len(content) > file.size:
        raise UsageError(
            f"EF {file.lid:04X}: {len(content)} bytes for a record of {file.size} bytes"
        )
    return _with_bytes(card, address, number, 0, content.ljust(file.size, b"\0"))


def with_binary(
    card: Personalisation, address: FileAddress, offset: int, content: bytes
) -> Personalisation:
    """Return the card with other bytes in a binary file; the rest of the file stays.

    Raises:
        UsageError: no such file, no binary one, or bytes beyond its end.
    """
    file = find_file(card, address)
    if file.type != "binary":
        raise UsageError(f"EF {file.lid:04X} is a {file.type} file, no binary one")
    if offset < 0 or offset + len(content) > file.size:
        raise UsageError(
            f"EF {file.lid:04X}: {len(content)} bytes at {offset}; the file has {file.size} bytes"
        )
    return _with_bytes(card, address, 1, offset, content)


def with_counter(
    card: Personalisation, address: FileAddress, number: int, value: int
) -> Personalisation:
    """Return the card with another value of a counter; a simulated counter is number 1 of its file.

    Raises:
        UsageError: no such file or counter, no counters file, or a value out of range.
    """
    file = find_file(card, address)
    if not 0 <= value <= COUNTER_MAX:
        raise UsageError(f"counter {number}: {value}; a counter has 0 to {COUNTER_MAX}")
    if file.type == "simulated counters":
        if number != 1:
            raise UsageError(f"EF {file.lid:04X} is one simulated counter; its number is 1")
        sfi, number = divmod(file.reference, 0x100)
        address = address._replace(sfi=sfi)
        file = find_file(card, address)
    if file.type != "counters":
        raise UsageError(f"EF {file.lid:04X} is a {file.type} file; it holds no counters")
    there = file.size // COUNTER_SIZE
    if not 1 <= number <= there:
        raise UsageError(f"EF {file.lid:04X}: no counter {number}; it has 1 to {there}")
    return _with_bytes(card, address, 1, COUNTER_SIZE * (number - 1), value.to_bytes(COUNTER_SIZE))


def with_key(card: Personalisation, application: str, index: int, key: KeyModel) -> Personalisation:
    """Return the card with another key; without a value it is the public test key of that KIF and KVC.

    Raises:
        UsageError: no such application or index.
    """
    found = find_application(card, application)
    if not 1 <= index <= _KEYS:
        raise UsageError(f"no key {index}; an application has 1 (issuer), 2 (load), 3 (debit)")
    keys = list(found.keys)
    keys[index - 1] = key
    return _with_application(card, found, keys=tuple(keys))


def with_status(card: Personalisation, application: str, **status: bool) -> Personalisation:
    """Return the card with another status of an application.

    Args:
        application: see `find_application`.
        status: `invalidated`, `ratified`.

    Raises:
        UsageError: no such application.
    """
    return _with_application(card, find_application(card, application), **status)


def with_purse(card: Personalisation, **changes: object) -> Personalisation:
    """Return the card with another purse; `changes` are fields of `PurseModel`.

    Raises:
        UsageError: the card has no purse, or a value is out of range.
    """
    if card.purse is None:
        raise UsageError(f"{card.name}: the card has no Stored Value purse")
    return with_values(card, purse=card.purse.model_dump() | changes)


def with_values(card: Personalisation, **changes: object) -> Personalisation:
    """Return the card with other top-level values.

    Raises:
        UsageError: a value is out of range.
    """
    return validated(Personalisation, card.model_dump() | changes, card.name)


def memory_changes(objects: Mapping[Key, Value], card: Personalisation) -> dict[Key, Value]:
    """Return what must be committed to a memory so that it holds this card; None erases."""
    made = factory_memory(card, load_suite())
    gone: dict[Key, Value] = {key: None for key in objects if key not in made}
    return gone | {
        key: value for key, value in made.items() if key not in objects or objects[key] != value
    }


def _with_bytes(
    card: Personalisation, address: FileAddress, number: int, offset: int, content: bytes
) -> Personalisation:
    """Overwrite bytes of a record; where files share their content, in the one that gives it."""
    application, file = _content_of(card, find_file(card, address), address)
    records = [record.ljust(file.size, b"\0") for record in file.content]
    records += [bytes(file.size)] * (number - len(records))
    old = records[number - 1]
    records[number - 1] = old[:offset] + content + old[offset + len(content) :]
    changed = file.model_copy(
        update={
            "content": tuple(records),
            "signatures": tuple(each for each in file.signatures if each.record != number),
        }
    )
    files = tuple(changed if each is file else each for each in application.files)
    return _with_application(card, application, files=files)


def _content_of(
    card: Personalisation, file: FileModel, address: FileAddress
) -> tuple[ApplicationModel, FileModel]:
    """Return the file that gives a content, with its application."""
    if file.purse_log:
        raise UsageError(f"EF {file.lid:04X} is a log of the purse, which gives its content")
    if file.reference:
        for application in card.applications:
            for other in application.files:
                if other.reference == file.reference and other.type == file.type:
                    return application, other
    return find_application(card, address.application), file


def _with_application(
    card: Personalisation, old: ApplicationModel, **changes: object
) -> Personalisation:
    changed = old.model_copy(update=changes)
    applications = tuple(changed if each is old else each for each in card.applications)
    return with_values(card, applications=[each.model_dump() for each in applications])
