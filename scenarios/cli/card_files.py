"""Cards as the commands of `cardbench card` take and keep them: presets, stories' cards, TOML, JSON, files.

Source: our choice.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cardbench.emulator.calypso import CalypsoCard
from cardbench.emulator.calypso.analyzer_report import is_report, load_json, parse_report
from cardbench.emulator.calypso.document import (
    document_of,
    is_document,
    parse_document,
    personalisation_of,
    snapshot_of,
)
from cardbench.emulator.calypso.edit import with_values
from cardbench.emulator.calypso.factory import card_of
from cardbench.emulator.calypso.from_report import card_from_report
from cardbench.emulator.calypso.personalisation import (
    load_preset,
    parse_personalisation,
    preset_names,
)
from cardbench.emulator.chassis import Clock, Entropy, Snapshot
from cardbench.emulator.storage import CardFile
from cardbench.protocol.calypso.suite import DEFAULT_SUITE
from cardbench.protocol.errors import UsageError
from cardbench.protocol.hexadecimal import from_hex, to_hex
from cardbench.scenarios.card_files import CALYPSO, labels, snapshot_in
from cardbench.scenarios.cli.files import read_text
from cardbench.scenarios.stories import find_story
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from cardbench.emulator.calypso.personalisation import Personalisation

STORY: Final = "story:"
SEED_BYTES: Final = 32


def described(what: str, *, serial: str | None = None) -> Personalisation:
    """Return the card of a preset, of a story (`story:NAME`), of a TOML or JSON file, or of a card file.

    Args:
        what: which card.
        serial: another serial number, in hexadecimal; its keys then are those of that number.

    Raises:
        UsageError: there is no such thing, or it does not describe a card.
        StorageError: a file cannot be read, or holds no card.
    """
    path = Path(what)
    changes = {} if serial is None else {"serial": serial}
    if what.startswith(STORY):
        return _changed(_card_of_story(what.removeprefix(STORY)), changes)
    if path.suffix == ".toml":
        return _changed(
            parse_personalisation(read_text(path), origin=what, folder=path.parent), changes
        )
    if path.suffix == ".json":
        return _changed(parse_document(read_text(path), what).card, changes)
    if path.is_file() and what not in preset_names():
        return _changed(document_of(snapshot_in(path, CALYPSO)).card, changes)
    return load_preset(what, **changes)


def _changed(card: Personalisation, changes: dict[str, str]) -> Personalisation:
    return with_values(card, **changes) if changes else card


def _card_of_story(name: str) -> Personalisation:
    needs = find_story(name).needs
    if Role.CARD not in needs:
        raise UsageError(f"the story {name} needs no card")
    card = needs[Role.CARD].personalise(entropy=Entropy(b""), clock=Clock())
    if not isinstance(card, CalypsoCard):
        raise UsageError(f"the story {name} needs a card that is no Calypso card")
    return personalisation_of(card.memory.objects())


def write_card(card: Personalisation, file: Path, *, seed: int | None = None) -> None:
    """Make a card file and say what is in it.

    Raises:
        StorageError: the file is there already, or cannot be written.
    """
    first = os.urandom(SEED_BYTES) if seed is None else f"{seed}/card".encode()
    made = card_of(card, entropy=Entropy(first), clock=Clock())
    _create(file, made.snapshot(), made.suite.name)
    _tell(file, card)


def import_card(
    document: Path, file: Path, *, serial: str | None = None, seed: int | None = None
) -> None:
    """Make a card file from a JSON document or from a report of the Card Analyzer; say what is in it.

    Args:
        document: where the JSON is.
        file: the new card file.
        serial: another serial number than the analysed card's, in hexadecimal.
        seed: where the randomness of an analysed card comes from.

    Raises:
        UsageError, StorageError: it is neither, or the file cannot be written.
    """
    text, origin = read_text(document), str(document)
    fields = load_json(text, origin)
    if is_report(fields):
        found = card_from_report(
            parse_report(text, origin), serial=None if serial is None else from_hex(serial)
        )
        write_card(found.card, file, seed=seed)
        for note in found.notes:
            print(f"  {note}")
        return
    if not is_document(fields):
        raise UsageError(
            f"{origin}: neither the JSON document of a card nor a report of the Card Analyzer"
        )
    if serial is not None or seed is not None:
        raise UsageError(f"{origin}: the document says serial number and randomness itself")
    read = parse_document(text, origin)
    _create(file, snapshot_of(read), DEFAULT_SUITE)
    _tell(file, read.card)


def _create(file: Path, snapshot: Snapshot, suite: str) -> None:
    CardFile.create(file, snapshot, labels=labels(CALYPSO, suite)).close()


def _tell(file: Path, card: Personalisation) -> None:
    profile = card.product_profile().name
    print(f"{file}: {card.name} ({profile}), serial number {to_hex(card.serial)}")
