"""Sections of the Calypso card's command page: which product has which command, presets, choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cardbench.emulator.calypso.personalisation import load_preset, preset_names
from cardbench.emulator.calypso.profile import ProfileModel, load_profile, profile_names
from cardbench.emulator.calypso.table import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable

PROFILES = """\
The files are in `emulator/calypso/profiles`; a personalisation may change single fields of its
product's profile, for a card with a quirk of its own."""


class NeverGiven(NamedTuple):
    """Status words that the facts sheet has for commands and that our card gives to none of them.

    Attributes:
        commands: as the sheet calls them.
        words: in hexadecimal, `XX` for any byte.
        when: on which occasion; empty for ever.
        why: the reason.
    """

    commands: tuple[str, ...]
    words: tuple[str, ...]
    when: str
    why: str


NEVER_GIVEN = (
    NeverGiven(
        ("Select Application", "Select File", "Increase", "Decrease", "Open Secure Session"),
        ("61XX", "6CXX"),
        "",
        "It is T=0's: the slot says it, not the card.",
    ),
    NeverGiven(("Get Data",), ("6A82",), "", "There is always a current DF to describe."),
    NeverGiven(("SV Get",), ("6982",), "", "No condition that it could miss is public."),
    NeverGiven(
        ("Verify PIN",), ("6985",), "in a session", "Published sequences verify inside sessions."
    ),
    NeverGiven(
        ("Put Data",),
        ("6400", "6982", "6A88"),
        "",
        "It is refused in sessions, and unknown tags are 6B00; no condition of its own is public.",
    ),
    NeverGiven(
        ("Generate Asymmetric Key Pair",),
        ("6986",),
        "",
        "A DF without PKI mode does not know the command.",
    ),
)
WORDS = {
    0x9000: "done",
    0x6200: "done, with a nuance: not all fitted, the answer comes with Close, or a pre-open opened nothing",
    0x6283: "done, but the DF is invalidated",
    0x63C1: "wrong PIN, 1 attempt left; as PIN status: 1 attempt left",
    0x63C2: "wrong PIN, 2 attempts left; as PIN status: 2 attempts left",
    0x6400: "the session buffer is full; to a search: the answer does not fit",
    0x6700: "Lc or Le that the command does not take, or data behind the end of the record or file",
    0x6900: "no transaction is left, or no Stored Value operation",
    0x6981: "the EF is of another type",
    0x6982: "no session, too weak a key, PIN not presented, no encryption, or no challenge just before",
    0x6983: "the PIN is blocked",
    0x6985: "never allowed here: condition Never, DF invalidated, session open or not open, preconditions",
    0x6986: "no current EF",
    0x6988: "wrong MAC, cryptogram or signature",
    0x6A80: "wrong data: a counter would leave its range, a search that does not fit the record",
    0x6A81: "no such key; to SV Get: P1 or P2",
    0x6A82: "no such file or application",
    0x6A83: "no such record, or an offset behind the end of the file",
    0x6A86: "Le that does not fit P2",
    0x6A87: "Lc that does not fit P2; to Put Data: data that is no such object",
    0x6A88: "no such data object",
    0x6A8A: "the certificate is for another DF name",
    0x6B00: "P1 or P2; the expected answer to a ratification",
}
"""What status words mean to a Calypso card (calypso-card §4.0)."""
ORDER = ("prime-3", "prime-2", "prime-1", "light", "basic")


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _products(profiles: list[ProfileModel]) -> str:
    return _table(
        ["Command", *(profile.name for profile in profiles)],
        (
            [row.name, *("yes" if row.name in profile.commands else "–" for profile in profiles)]
            for row in COMMANDS
        ),
    )


def _traits(profiles: list[ProfileModel]) -> str:
    def classes(numbers: Iterable[int]) -> str:
        return " ".join(f"{number:02X}" for number in numbers) or "–"

    def buffer(profile: ProfileModel) -> str:
        return f"{profile.buffer_operations} operations" if profile.buffer_operations else "bytes"

    ratifies = {"always": "yes", "never": "no", "option": "unless option 04"}
    return _table(
        [
            "Product",
            "Types",
            "Class",
            "Select",
            "SV",
            "Buffer",
            "Counters postponed",
            "Deselect ratifies",
            "ALG of new keys",
            "FCI",
        ],
        (
            [
                profile.name,
                ", ".join(f"{low:02X}…{high:02X}" for low, high in profile.application_types),
                classes(profile.classes),
                classes(profile.select_classes),
                classes(profile.stored_value_classes),
                buffer(profile),
                "yes" if profile.postpones_counters else "no",
                ratifies[profile.deselect_ratifies],
                classes(profile.algorithms),
                "yes" if profile.has_fci else "no: the ATR tells",
            ]
            for profile in profiles
        ),
    )


def _presets() -> str:
    cards = [load_preset(name) for name in preset_names()]
    return _table(
        ["Preset", "Product", "Applications: AID, type", "What it is"],
        (
            [
                card.name,
                card.profile,
                "<br>".join(
                    f"{each.aid.hex().upper()} {each.type:02X}" for each in card.applications
                ),
                card.description,
            ]
            for card in cards
        ),
    )


def sections() -> list[str]:
    """Return the sections, headings included."""
    assert set(ORDER) == set(profile_names())
    profiles = [load_profile(name) for name in ORDER]
    return [
        "## Which product has which command",
        _products(profiles),
        "## What else a product's profile says",
        _traits(profiles),
        PROFILES,
        "## Presets",
        _presets(),
        "## Status words of the facts sheet that this card never gives",
        _table(
            ["Command", "Status word", "Why"],
            (
                [
                    ", ".join(each.commands),
                    ", ".join(each.words) + f" {each.when}".rstrip(),
                    each.why,
                ]
                for each in NEVER_GIVEN
            ),
        ),
    ]
