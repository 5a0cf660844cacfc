"""Cards that live in files, put to use: which family a card file holds, and the card that it is.

    with CardFile.open(path) as file:
        card = card_in(file)

Source: our choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.chassis import Snapshot
from cardbench.emulator.storage import CardFile
from cardbench.protocol.calypso.suite import DEFAULT_SUITE, load_suite
from cardbench.protocol.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cardbench.emulator.chassis import Clock
    from cardbench.protocol.link import Card

CALYPSO: Final = "calypso"
SAM: Final = "sam"
FAMILIES: Final[Mapping[str, str]] = {CALYPSO: "Calypso card", SAM: "SAM"}
"""What a card file's label `family` may say, and in words."""


def labels(family: str, suite: str = DEFAULT_SUITE) -> dict[str, str]:
    """Return what a card file says of its card."""
    return {"family": family, "suite": suite}


def check_family(file: CardFile, family: str) -> None:
    """Check which family of card is in a file.

    Raises:
        UsageError: another one.
    """
    found = file.labels.get("family")
    if found != family:
        raise UsageError(f"{file.path}: a card file of family {found!r}, no {FAMILIES[family]}")


def family_of(path: Path) -> str:
    """Return the family of the card in a file.

    Raises:
        StorageError: see `CardFile.open`.
        UsageError: a family that nobody here can use.
    """
    with CardFile.open(path) as file:
        family = file.labels.get("family", "")
    if family not in FAMILIES:
        known = ", ".join(FAMILIES.values())
        raise UsageError(f"{path}: a card file of family {family!r}; usable are: {known}")
    return family


def card_in(file: CardFile, clock: Clock | None = None) -> Card:
    """Return the card in a file, without power; every change of it goes to the file.

    Args:
        file: open, and to stay open while the card is used.
        clock: the time that the card sees and the file keeps; by default the file's own.

    Raises:
        UsageError: its family is none of `FAMILIES`, or its symmetric suite is not installed.
    """
    family = file.labels.get("family")
    if clock is not None:
        file.clock = clock
    suite = load_suite(file.labels.get("suite", DEFAULT_SUITE))
    # Slow to load, each.
    if family == CALYPSO:
        from cardbench.emulator.calypso import CalypsoCard  # noqa: PLC0415

        return CalypsoCard(file.memory, entropy=file.entropy, clock=file.clock, suite=suite)
    if family == SAM:
        from cardbench.sam_emulator import SamCard  # noqa: PLC0415

        return SamCard(file.memory, entropy=file.entropy, clock=file.clock, suite=suite)
    known = ", ".join(FAMILIES.values())
    raise UsageError(f"{file.path}: a card file of family {family!r}; usable are: {known}")


def snapshot_in(path: Path, family: str) -> Snapshot:
    """Read the card in a file as it is.

    Raises:
        StorageError: see `CardFile.open`.
        UsageError: a card of another family.
    """
    with CardFile.open(path) as file:
        check_family(file, family)
        return Snapshot(file.memory.image(), file.entropy.state, file.clock.now_s)
