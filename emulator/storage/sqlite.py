"""A card that lives on: its non-volatile memory in one SQLite file.

    CardFile.create(path, card.snapshot(), labels={"family": "calypso"}).close()
    with CardFile.open(path) as file:
        card = CalypsoCard(file.memory, entropy=file.entropy, clock=file.clock)

Rules
-----
* Every change is a transaction, on the disk before the card goes on: a process killed at any instant
  leaves the file as it was before the change or after it. A commit with no tear armed is one change;
  with a tear armed each physical write is one, so that a card torn in one process recovers in another.
  Beside the file SQLite may keep a second one, ending in `-wal`: after a kill it belongs to the card.
* One process has a card: the file is locked from opening to closing, or to the end of the process.
* A reopened card never repeats random bytes. The file holds a secret seed and counts its openings, on
  the disk before anything is drawn; the randomness of an opening starts from SHA-256 of both. Equal
  snapshots make equal files, so a seeded bench stays reproducible; a *copy* of a file draws what its
  original draws.
* Virtual time goes on where the last change or the closing left it; it is not a change by itself.
* Another file than a card's is refused and left as it is.
* The card's keys are in the file, in clear; it is made readable for its owner alone.

An edge: it reads and writes files.

Source: our choice; https://www.sqlite.org/wal.html for the second file and the lock.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from cardbench.emulator.chassis.codec import (
    check_image,
    check_version,
    decode_key,
    decode_value,
    encode_key,
    encode_value,
)
from cardbench.emulator.chassis.entropy import Clock, Entropy
from cardbench.emulator.chassis.memory import Area, Memory, MemoryImage
from cardbench.protocol.errors import ImageInUse, MalformedImage, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cardbench.emulator.chassis.card import Snapshot
    from cardbench.emulator.chassis.memory import Key, Value

APPLICATION_ID: Final = int.from_bytes(b"CBcd")
SCHEMA_VERSION: Final = 1

_SCHEMA: Final = f"""
    PRAGMA journal_mode = WAL;
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {SCHEMA_VERSION};
    CREATE TABLE card (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        seed BLOB NOT NULL,
        openings INTEGER NOT NULL,
        clock_s REAL NOT NULL,
        mark TEXT NOT NULL
    );
    CREATE TABLE labels (name TEXT PRIMARY KEY, text TEXT NOT NULL);
    CREATE TABLE objects (place INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value TEXT NOT NULL);
    CREATE TABLE journal (number INTEGER PRIMARY KEY, entry TEXT NOT NULL);
"""  # a new object takes the place behind all others: objects keep their order

_PUT_OBJECT: Final = (
    "INSERT INTO objects (key, value) VALUES (?, ?)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_ERASE_OBJECT: Final = "DELETE FROM objects WHERE key = ?"
_PUT_ENTRY: Final = (
    "INSERT INTO journal (number, entry) VALUES (?, ?)"
    " ON CONFLICT (number) DO UPDATE SET entry = excluded.entry"
)
_PUT_MARK: Final = "UPDATE card SET mark = ?"
_NO_MARK: Final = encode_value(None)


class CardFile:
    """An open card file; implements `chassis.memory.Store`. Make one by `create` or `open`.

    Attributes:
        path: the file.
        labels: what the file says of the card: its family, its symmetric suite …
        memory: the card's memory; every change of it goes to the file.
        entropy: the randomness of this opening.
        clock: the card's virtual clock.

    A context manager that closes the file. One thread at a time may use it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        seed, openings, clock_s = _card_row(connection)
        self.labels: Mapping[str, str] = dict(connection.execute("SELECT name, text FROM labels"))
        self.entropy = Entropy(hashlib.sha256(seed + openings.to_bytes(8)).digest())
        self.clock = Clock(clock_s)
        self._saved_clock_s = clock_s
        self._is_open = True
        self.memory = Memory.opened_from(self)

    # Files

    @classmethod
    def create(
        cls, path: Path | str, snapshot: Snapshot, *, labels: Mapping[str, str] | None = None
    ) -> CardFile:
        """Write a card into a new file and open it.

        The file comes into being whole; a process killed in the middle leaves none of that name.

        Args:
            path: where; nothing may be there.
            snapshot: the card. Its random state becomes the seed of the file.
            labels: what `labels` shall say.

        Raises:
            StorageError: the file is there already, or cannot be written.
            UsageError: the snapshot holds a value of a type that no memory keeps.
        """
        path = Path(path)
        seed = hashlib.sha256(snapshot.entropy.seed + snapshot.entropy.blocks.to_bytes(8)).digest()
        try:
            handle, name = tempfile.mkstemp(prefix=path.name + ".", suffix=".new", dir=path.parent)
            os.close(handle)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from None
        draft = Path(name)
        try:
            connection = sqlite3.connect(draft, isolation_level=None)
            try:
                connection.executescript(_SCHEMA)
                connection.execute("BEGIN")
                connection.execute(
                    "INSERT INTO card VALUES (1, ?, 0, ?, ?)", (seed, snapshot.clock_s, _NO_MARK)
                )
                connection.executemany("INSERT INTO labels VALUES (?, ?)", (labels or {}).items())
                _put_image(connection, snapshot.memory)
                connection.execute("COMMIT")
            finally:
                connection.close()
            os.link(draft, path)
        except sqlite3.Error as error:
            raise StorageError(f"{path}: {error}") from None
        except FileExistsError:
            raise StorageError(f"{path}: there is a file of that name already") from None
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from None
        finally:
            draft.unlink()
        return cls.open(path)

    @classmethod
    def open(cls, path: Path | str) -> CardFile:
        """Open a card file and lock it.

        Raises:
            MalformedImage: the file holds no card, or a damaged one.
            UnsupportedSchema: a newer version of cardbench wrote it.
            ImageInUse: it is open already, here or in another process.
            StorageError: there is no such file, or it cannot be read and written.
        """
        path = Path(path)
        if not path.exists():
            raise StorageError(f"{path}: there is no such card file")
        # SQLite alone may touch the file: to open and close it by hand would drop the lock that another
        # CardFile of this process holds.
        try:
            connection = sqlite3.connect(
                path.absolute().as_uri() + "?mode=rw",
                uri=True,
                timeout=0,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise StorageError(f"{path}: {error}") from None
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA synchronous = FULL")
            _check_whole(path, connection)
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("UPDATE card SET openings = openings + 1")
            connection.execute("COMMIT")
            return cls(path, connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise _opening_error(path, error) from None
            raise

    def close(self) -> None:
        """Keep the time, close the file and unlock it; harmless when closed.

        Raises:
            StorageError: the time cannot be kept; the file is closed and unlocked all the same.
        """
        if not self._is_open:
            return
        try:
            with self._change():
                pass
        finally:
            self._is_open = False
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Store

    def load(self) -> MemoryImage:
        """Read everything back. Raises `StorageError`."""
        execute = self._connection.execute
        objects = execute("SELECT key, value FROM objects ORDER BY place")
        journal = execute("SELECT number, entry FROM journal ORDER BY number")
        (mark,) = execute("SELECT mark FROM card").fetchone()
        image = MemoryImage(
            {decode_key(key): decode_value(value) for key, value in objects},
            {number: decode_value(entry) for number, entry in journal},
            decode_value(mark),
        )
        check_image(image)
        return image

    def write(self, area: Area, key: Key, value: Value) -> None:
        """Keep one physical write. Raises `StorageError`; the file then is as it was."""
        with self._change() as connection:
            if area is Area.OBJECTS:
                _put_object(connection, key, value)
            elif area is Area.JOURNAL:
                connection.execute(_PUT_ENTRY, (key[0], encode_value(value)))
            else:
                connection.execute(_PUT_MARK, (encode_value(value),))

    def erase_journal(self) -> None:
        """Erase mark and journal. Raises `StorageError`; the file then is as it was."""
        with self._change() as connection:
            connection.execute(_PUT_MARK, (_NO_MARK,))
            connection.execute("DELETE FROM journal")

    def commit(self, changes: Mapping[Key, Value]) -> None:
        """Keep all changes at once. Raises `StorageError`; the file then is as it was."""
        with self._change() as connection:
            for key, value in changes.items():
                _put_object(connection, key, value)

    def replace(self, image: MemoryImage) -> None:
        """Keep another content at once. Raises `StorageError`; the file then is as it was."""
        with self._change() as connection:
            connection.execute("DELETE FROM objects")
            connection.execute("DELETE FROM journal")
            _put_image(connection, image)

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction; the time goes with it."""
        if not self._is_open:
            raise StorageError(f"{self.path}: the card file is closed")
        connection, now_s = self._connection, self.clock.now_s
        try:
            connection.execute("BEGIN")
            yield connection
            if now_s != self._saved_clock_s:
                connection.execute("UPDATE card SET clock_s = ?", (now_s,))
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise StorageError(f"{self.path}: {error}") from None
            raise
        self._saved_clock_s = now_s


def _put_object(connection: sqlite3.Connection, key: Key, value: Value) -> None:
    if value is None:
        connection.execute(_ERASE_OBJECT, (encode_key(key),))
    else:
        connection.execute(_PUT_OBJECT, (encode_key(key), encode_value(value)))


def _put_image(connection: sqlite3.Connection, image: MemoryImage) -> None:
    """Write a content where there is none."""
    connection.executemany(
        _PUT_OBJECT,
        [(encode_key(key), encode_value(value)) for key, value in image.objects.items()],
    )
    connection.executemany(
        _PUT_ENTRY, [(number, encode_value(entry)) for number, entry in image.journal.items()]
    )
    connection.execute(_PUT_MARK, (encode_value(image.mark),))


def _check_whole(path: Path, connection: sqlite3.Connection) -> None:
    """Check that this is a card file that we can read, before anything is written.

    Raises:
        MalformedImage, UnsupportedSchema.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != APPLICATION_ID:
        raise MalformedImage(f"{path}: no card file")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    check_version(f"card file {path}", version, SCHEMA_VERSION)
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise MalformedImage(f"{path}: damaged card file: {verdict}")
    _card_row(connection)


def _card_row(connection: sqlite3.Connection) -> tuple[bytes, int, float]:
    rows = connection.execute("SELECT seed, openings, clock_s FROM card").fetchall()
    if len(rows) != 1:
        raise MalformedImage(f"damaged card file: it tells of {len(rows)} cards")
    seed, openings, clock_s = rows[0]
    if not isinstance(seed, bytes) or not isinstance(openings, int) or openings < 0:
        raise MalformedImage("damaged card file: its seed or its openings are gone")
    if not isinstance(clock_s, float):
        raise MalformedImage("damaged card file: its time is gone")
    return seed, openings, clock_s


_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def _opening_error(path: Path, error: sqlite3.Error) -> StorageError:
    code = error.sqlite_errorcode & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return ImageInUse(f"{path}: the card file is open already")
    if code in _DAMAGED:
        return MalformedImage(f"{path}: no card file, or a damaged one: {error}")
    return StorageError(f"{path}: {error}")
