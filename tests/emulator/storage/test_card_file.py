"""A card in a file: it lives on, whatever stops the process; and what is no card is refused."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.file_card import FileCard
from support.memory_strategies import keys, values

from cardbench.emulator.chassis import Memory, MemoryImage, Moment, Snapshot, Tear
from cardbench.emulator.chassis.entropy import EntropyState
from cardbench.emulator.storage import CardFile
from cardbench.protocol.errors import (
    ImageInUse,
    MalformedImage,
    StorageError,
    UnsupportedSchema,
    UsageError,
)
from cardbench.protocol.link import PowerLoss

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.chassis import Key, Value

WRITE_1 = bytes.fromhex("00D0010003") + b"two"
WRITE_0_TO_2 = bytes.fromhex("00D2020003") + b"new"
READ_1 = bytes.fromhex("00B0010000")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a card?.db"  # a name that a URI must quote


@pytest.fixture
def whole(path: Path) -> Path:
    """Return the path of a closed card file."""
    CardFile.create(path, FileCard(seed=b"seed").snapshot()).close()
    return path


def abandon(file: CardFile) -> None:
    """Let go of a file as a killed process does: nothing of ours runs."""
    file._connection.close()


# Living on


def test_a_card_goes_on_where_it_was_closed(path: Path) -> None:
    snapshot = FileCard().snapshot()._replace(clock_s=1.5)
    with CardFile.create(path, snapshot, labels={"family": "files"}) as file:
        card = FileCard(file.memory)
        card.power_on()
        assert card.transmit(READ_1) == b"one\x90\x00"
        card.transmit(WRITE_1)
        file.clock.advance(2)
    with CardFile.open(path) as file:
        assert file.labels == {"family": "files"}
        assert file.clock.now_s == 3.5
        card = FileCard(file.memory)
        card.power_on()
        assert card.transmit(READ_1) == b"two\x90\x00"
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_what_was_written_is_there_even_if_nobody_closes(whole: Path) -> None:
    file = CardFile.open(whole)
    file.clock.advance(7)
    file.memory.commit({("file", 1): b"two", ("new",): (1, b"\x00")})
    file.clock.advance(9)
    abandon(file)
    with CardFile.open(whole) as again:
        assert again.memory.objects() == {("file", 1): b"two", ("new",): (1, b"\x00")}
        assert again.clock.now_s == 7  # time is kept with the changes, and at the end


changes = st.dictionaries(keys, values, max_size=3)


@settings(max_examples=10)
@given(changes, st.lists(st.tuples(changes, st.none() | st.integers(0, 9)), max_size=4))
def test_a_file_holds_what_a_memory_holds_in_the_same_order(
    first: dict[Key, Value], commits: list[tuple[dict[Key, Value], int | None]]
) -> None:
    memory = Memory(first)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "card.db"
        image = MemoryImage(memory.objects(), {}, None)
        file = CardFile.create(path, Snapshot(image, EntropyState(b"", 0), 0.0))
        for change, write in commits:
            for one in (memory, file.memory):
                one.arm(None if write is None else Tear(write, Moment.INSIDE))
                with suppress(PowerLoss):
                    one.commit(change)
            abandon(file)
            file = CardFile.open(path)
            assert file.memory.image() == memory.image()
            assert list(file.memory) == list(memory)
        file.close()


def test_a_restored_snapshot_takes_the_place_of_all_there_was(whole: Path) -> None:
    other = MemoryImage({("b",): 1, ("a",): None}, {0: (("b",), 2), 1: "\0torn"}, None)
    with CardFile.open(whole) as file:
        file.memory.restore(other)
    with CardFile.open(whole) as file:
        assert file.memory.image() == other
        assert list(file.memory) == [("b",), ("a",)]


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("write", range(8))
def test_a_card_torn_in_one_opening_recovers_in_the_next(
    whole: Path, write: int, moment: Moment
) -> None:
    file = CardFile.open(whole)
    card = FileCard(file.memory)
    card.power_on()
    card.memory.arm(Tear(write, moment))
    with pytest.raises(PowerLoss):
        card.transmit(WRITE_0_TO_2)
    abandon(file)
    with CardFile.open(whole) as again:
        card = FileCard(again.memory)
        card.power_on()
        is_new = (write, moment is Moment.AFTER) >= (3, True)
        expected = {("file", n): b"new" for n in range(3)} if is_new else {("file", 1): b"one"}
        assert card.memory.objects() == expected


# Killed processes

OLD_OR_NEW = "all ten files bear one generation, the one acknowledged last or the one after it"


def generation_of(path: Path) -> int:
    with CardFile.open(path) as file:
        card = FileCard(file.memory)
        card.power_on()
        found = {file.memory.get(("file", number)) for number in range(10)}
        assert len(found) == 1, OLD_OR_NEW
        assert file.memory.image()[1:] == ({}, None)
    (value,) = found
    return int.from_bytes(value) if isinstance(value, bytes) else 0


@pytest.fixture
def blank(path: Path) -> Path:
    """Return the path of a closed card file without files in it."""
    CardFile.create(path, FileCard(Memory()).snapshot()).close()
    return path


def kill_at_work(
    killer: Callable[..., tuple[list[str], int]], path: Path, after: int, *mode: str
) -> None:
    """Start a process, kill it when it has acknowledged some generations, look at the file."""
    before = generation_of(path)
    acknowledged, returncode = killer("work", str(path), *mode, kill_after=after)
    assert returncode == -9
    last = int(acknowledged[-1]) if acknowledged else before
    assert generation_of(path) in (last, last + 1), OLD_OR_NEW


def test_a_killed_process_leaves_the_old_or_the_new_state(
    blank: Path, killer: Callable[..., tuple[list[str], int]]
) -> None:
    kill_at_work(killer, blank, 5)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["plain", "journal"])
def test_many_killed_processes_leave_the_old_or_the_new_state(
    blank: Path, killer: Callable[..., tuple[list[str], int]], mode: str
) -> None:
    for round_ in range(25):
        kill_at_work(killer, blank, round_ % 8, *(["journal"] if mode == "journal" else []))


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "statements"), [("plain", 12), ("journal", 67)])
def test_a_process_killed_before_any_statement_leaves_the_old_or_the_new_state(
    blank: Path,
    tmp_path: Path,
    killer: Callable[..., tuple[list[str], int]],
    mode: str,
    statements: int,
) -> None:
    copies = [tmp_path / f"{number}.db" for number in range(statements + 1)]
    for copy in copies:
        shutil.copy(blank, copy)
    arguments = [str(copy) for copy in copies] + (["journal"] if mode == "journal" else [])
    fates, _ = killer("die", *arguments)
    assert fates == ["9"] * statements + ["lived"]
    generations = [generation_of(copy) for copy in copies]
    assert generations == sorted(generations)
    assert set(generations) == {1, 2}


# Randomness


def draws(path: Path, count: int) -> list[bytes]:
    found = []
    for _ in range(count):
        file = CardFile.open(path)
        found += [file.entropy.draw(8), file.entropy.draw(8)]
        abandon(file)
    return found


def test_a_reopened_card_never_repeats_random_bytes(whole: Path) -> None:
    found = draws(whole, 5)
    assert len(set(found)) == len(found)


def test_equal_snapshots_draw_alike_and_others_do_not(tmp_path: Path) -> None:
    for name, seed in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        CardFile.create(tmp_path / name, FileCard(seed=seed).snapshot()).close()
    assert draws(tmp_path / "a", 2) == draws(tmp_path / "b", 2)
    assert draws(tmp_path / "a", 2) != draws(tmp_path / "c", 2)


# One process at a time


def test_a_card_file_is_open_once(
    whole: Path, killer: Callable[..., tuple[list[str], int]]
) -> None:
    with CardFile.open(whole):
        with pytest.raises(ImageInUse, match="open already"):
            CardFile.open(whole)
        assert killer("open", str(whole))[0] == ["ImageInUse"]
    with CardFile.open(whole):
        pass


def test_a_file_in_use_cannot_be_read_by_another_program_either(whole: Path) -> None:
    with (
        CardFile.open(whole),
        closing(sqlite3.connect(whole, timeout=0)) as other,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("SELECT * FROM card")


def test_a_closed_file_is_closed(whole: Path) -> None:
    file = CardFile.open(whole)
    file.close()
    file.close()
    with pytest.raises(StorageError, match="closed"):
        file.memory.commit({("file", 1): b"two"})
    assert file.memory[("file", 1)] == b"one"


# A storage that fails


def test_a_change_that_finds_no_room_changes_nothing(whole: Path) -> None:
    with CardFile.open(whole) as file:
        (pages,) = file._connection.execute("PRAGMA page_count").fetchone()
        file._connection.execute(f"PRAGMA max_page_count = {pages}")
        image = file.memory.image()
        with pytest.raises(StorageError, match="full"):
            file.memory.commit({("file", 1): b"two", ("large",): bytes(100_000)})
        with pytest.raises(StorageError, match="full"):
            file.memory.restore(MemoryImage({("large",): bytes(100_000)}, {}, None))
        file.memory.arm(Tear(50, Moment.BEFORE))
        with pytest.raises(StorageError, match="full"):
            file.memory.commit({("large",): bytes(100_000)})
        file.memory.arm(None)
        assert file.memory.image() == image
        file.memory.commit({("file", 1): b"two"})
    with CardFile.open(whole) as file:
        assert file.memory.objects() == {("file", 1): b"two"}


def test_a_value_that_no_memory_keeps_changes_nothing(whole: Path) -> None:
    with CardFile.open(whole) as file:
        with pytest.raises(UsageError):
            file.memory.commit({("file", 1): b"two", ("bad",): 1.5})  # type: ignore[dict-item]
        assert file.memory.objects() == {("file", 1): b"one"}
    with CardFile.open(whole) as file:
        assert file.memory.objects() == {("file", 1): b"one"}


# What is no card


def test_a_card_is_not_written_over_another_file(whole: Path) -> None:
    before = whole.read_bytes()
    with pytest.raises(StorageError, match="already"):
        CardFile.create(whole, FileCard().snapshot())
    assert whole.read_bytes() == before
    assert [found.name for found in whole.parent.iterdir()] == [whole.name]


def test_a_snapshot_that_cannot_be_written_leaves_no_file(path: Path) -> None:
    image = MemoryImage({("bad",): 1.5}, {}, None)  # type: ignore[dict-item]
    with pytest.raises(UsageError):
        CardFile.create(path, Snapshot(image, EntropyState(b"", 0), 0.0))
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_is_not_there_takes_no_card(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        CardFile.create(tmp_path / "nowhere" / "card.db", FileCard().snapshot())


def test_a_file_system_without_links_takes_no_card(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    with pytest.raises(StorageError, match="not permitted"):
        CardFile.create(path, FileCard().snapshot())
    assert list(path.parent.iterdir()) == []


def test_only_the_owner_may_read_the_keys(whole: Path) -> None:
    assert whole.stat().st_mode & 0o777 == 0o600


def test_no_file_and_no_folder_are_no_card(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such"):
        CardFile.open(tmp_path / "missing.db")
    with pytest.raises(StorageError):
        CardFile.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"text", bytes(4096), b"SQLite format 3\0" + bytes(500)])
def test_a_file_that_is_no_database_is_refused_untouched(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(MalformedImage, match="no card"):
        CardFile.open(path)
    assert path.read_bytes() == content


def test_a_database_of_somebody_else_is_refused_untouched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE card (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(MalformedImage, match="no card file"):
        CardFile.open(path)
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def spoilt(path: Path, statement: str) -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(statement)
    return path


def test_a_file_of_a_newer_version_is_refused_with_both_versions_named(whole: Path) -> None:
    with pytest.raises(UnsupportedSchema, match=r"version 2; .* up to 1"):
        CardFile.open(spoilt(whole, "PRAGMA user_version = 2"))


@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA user_version = 0",
        "DROP TABLE objects",
        "DROP TABLE card",
        "DELETE FROM card",
        "UPDATE card SET seed = 'text'",
        "UPDATE card SET openings = -3",
        "UPDATE card SET openings = 'many'",
        "UPDATE card SET clock_s = 'noon'",
        "UPDATE card SET mark = 'no JSON'",
        "UPDATE card SET mark = '1'",
        "UPDATE card SET mark = '\"marked\"'",
        "UPDATE objects SET key = '1'",
        "UPDATE objects SET key = '[1.5]'",
        "UPDATE objects SET value = '{}'",
        "UPDATE objects SET value = x'FF'",
        "INSERT INTO journal VALUES (0, 'null,')",
    ],
)
def test_a_damaged_card_file_is_refused_and_stays_unlocked(whole: Path, statement: str) -> None:
    spoilt(whole, statement)
    with pytest.raises(MalformedImage):
        CardFile.open(whole)
    with closing(sqlite3.connect(whole, timeout=0)) as other:
        other.execute("BEGIN EXCLUSIVE")


def test_a_cut_off_card_file_is_refused(whole: Path) -> None:
    whole.write_bytes(whole.read_bytes()[:-4096])
    with pytest.raises(MalformedImage):
        CardFile.open(whole)
