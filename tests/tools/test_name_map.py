"""The page of Keypop's names: complete, up to date, and every name of ours is really there."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import name_map
import pytest
from name_map import Keypop, NameMapError, Ours

from cardbench.terminal.card import ChannelControl
from cardbench.terminal.legacy_sam import LegacySam

if TYPE_CHECKING:
    from pathlib import Path

INDEX = (name_map.FOLDER / "index.txt").read_text("utf-8")
NAMES = (name_map.FOLDER / "names.txt").read_text("utf-8")
ALIASES, OURS = name_map.read_names(NAMES)
VERSIONS, TYPES = name_map.read_index(INDEX)


def test_the_page_is_what_the_names_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert name_map.main(["--check"]) == 0
    assert name_map.PAGE.read_text("utf-8") == name_map.render()
    assert capsys.readouterr() == ("", "")


def test_every_name_of_the_index_is_on_the_page() -> None:
    page = name_map.PAGE.read_text("utf-8")
    for api, title in name_map.TITLES.items():
        section = page.partition(f"## {title} {VERSIONS[api]}\n")[2].partition("\n## ")[0]
        told = Counter(line.split("`")[1] for line in section.splitlines() if "`" in line)
        asked = Counter(
            name for kind in TYPES if kind.api == api for name in (kind.name, *kind.members)
        )
        assert told == asked
        assert all(len(line.split("|")[2].strip()) > 2 for line in section.splitlines()[3:] if line)


# terminal-api §23, counted: types (inner enumerations and exceptions included) and members (overloads
# not counted). An index that shrinks is seen.
COUNTS = {
    "reader": (29, 61),
    "card": (15, 24),
    "calypso": (49, 189),
    "legacysam": (36, 110),
    "symmetric": (5, 25),
    "asymmetric": (11, 25),
    "generic": (3, 7),
}


def test_the_index_is_the_whole_of_the_sheet() -> None:
    types = Counter(kind.api for kind in TYPES)
    members: Counter[str] = Counter()
    for kind in TYPES:
        members[kind.api] += len(kind.members)
    assert {api: (types[api], members[api]) for api in VERSIONS} == COUNTS
    assert VERSIONS["calypso"] == "2.2.0"
    deprecated = {f"{kind.name}.{name}" for kind in TYPES for name in kind.deprecated}
    assert "transaction.TransactionManager.processCommands" in deprecated
    assert "transaction.CardIOException." in deprecated
    overloaded = {
        (kind.name, name): count
        for kind in TYPES
        for name, count in kind.members.items()
        if count > 1
    }
    assert overloaded["card.FileData", "getContent"] == 3


def test_enumerations_have_keypops_members_under_their_names() -> None:
    renamed = {"FCP_FOR_CURRENT_FILE", "FCI_FOR_CURRENT_DF", "CA_CERTIFICATE"}
    seen = 0
    for kind in TYPES:
        for member in kind.members:
            if member.isupper() and member not in renamed:
                (row,) = [
                    row for row in name_map.rows_of(kind, OURS, ALIASES) if f"`{member}`" in row[0]
                ]
                assert row.ours.rstrip("`").endswith(f".{member}")
                seen += 1
    assert seen > 50


def test_a_keypop_name_without_ours_stops_the_run() -> None:
    with pytest.raises(NameMapError, match="reader Novelty has no counterpart"):
        name_map.rows_of(Keypop("reader", "Novelty", {}, frozenset()), OURS, ALIASES)
    kind = Keypop("reader", "CardReader", {"getSoul": 1}, frozenset())
    with pytest.raises(NameMapError, match=r"CardReader.getSoul: .*CardChannel.soul: no soul"):
        name_map.rows_of(kind, OURS, ALIASES)


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("card:CardChannel.soul", "no soul"),
        ("card:Soul", "no public Soul"),
        ("hex:soul", "has no soul"),
        ("soul:Soul", "no target"),
        ("CardChannel", "no target"),
        ("selection:IsoCardSelector(soul)", "takes no soul"),
        ("observation:CardChannel", "no public CardChannel"),  # imported there, offered elsewhere
    ],
)
def test_a_name_of_ours_that_is_not_there_stops_the_run(target: str, complaint: str) -> None:
    with pytest.raises(NameMapError, match=complaint):
        name_map.look_up(target, ALIASES)


def test_a_name_that_is_in_no_index_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(name_map, "FOLDER", tmp_path)
    (tmp_path / "index.txt").write_text(INDEX, "utf-8")
    (tmp_path / "names.txt").write_text(NAMES + "Novelty = generic:GenericCard\n", "utf-8")
    assert name_map.main([]) == 1
    assert "not in the index: [('generic', 'Novelty')]" in capsys.readouterr().err
    with pytest.raises(NameMapError, match="named twice"):
        name_map.read_names(NAMES + "CardTransactionManager = generic:GenericTransaction\n")


def test_a_stale_page_is_told_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(name_map, "ROOT", tmp_path)
    monkeypatch.setattr(name_map, "PAGE", tmp_path / "page.md")
    assert name_map.main(["--check"]) == 1
    assert "not up to date: page.md" in capsys.readouterr().err
    assert name_map.main([]) == 0
    assert name_map.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("member", "ours"),
    [
        ("getSamId", ".sam_id"),
        ("isHce", ".is_hce"),
        ("prepareReadCounter", ".prepare_read_counter"),
        ("KEEP_OPEN", ".KEEP_OPEN"),
        ("getterless", ".getterless"),
    ],
)
def test_a_member_is_called_as_in_keypop_unless_something_else_is_said(
    member: str, ours: str
) -> None:
    assert name_map.usual(member) == ours


def test_attributes_are_found_wherever_a_class_has_them() -> None:
    assert name_map.has_attribute(LegacySam, "counters")  # set in __init__
    assert name_map.has_attribute(Ours, "how")
    assert name_map.has_attribute(ChannelControl, "KEEP_OPEN")
    assert not name_map.has_attribute(LegacySam, "soul")
    assert not name_map.has_attribute(LegacySam.counter, "soul")
