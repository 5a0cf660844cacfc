"""What the simple Calypso card is made of: products as rules, files as bytes, a backup for a session.

Part of `calypso_card`, written from the facts sheet alone, without a look at the emulator.

Source: calypso-card §1.2 and §1.3 (products), §1.4 (buffer), §3 (descriptors), §8 (files).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

BINARY, LINEAR, CYCLIC, SIMULATED, COUNTERS = 0x01, 0x02, 0x04, 0x08, 0x09
ALWAYS, NEVER, PIN, SESSION, CONFIDENTIAL, PIN_AND_CONFIDENTIAL = 0x1F, 0, 1, 0x10, 0x14, 0x15
AES = {0xA0, 0xB0}


class No(Exception):
    """A refusal."""

    def __init__(self, sw: int) -> None:
        self.sw = sw


class Product(NamedTuple):
    """What a type of product can do (§1.3). `buffer` counts operations; 0: bytes."""

    classes: frozenset[int]
    revision: int
    buffer: int
    reads_several: bool
    reads_multiple: bool
    searches: bool
    binary: bool
    counts_multiple: bool
    changes_keys: bool
    options: int
    algorithms: frozenset[int]
    selects: bool = True
    postpones: bool = False
    """Counters, in a session: old products may, it depends on the card (§5.8)."""


BOTH, DES = frozenset((0x00, 0x94)), frozenset((0x40,))
# Choice: old products take class 00 for every command, as many real cards do (§1.7).
PRODUCTS = {
    "prime-3": Product(BOTH, 3, 0, True, True, True, True, True, True, 0x1F, DES | AES),
    "prime-2": Product(BOTH, 2, 6, False, False, False, True, True, True, 0x03, DES),
    "prime-1": Product(BOTH, 1, 3, False, False, False, False, False, True, 0, DES, selects=False),
    "light": Product(BOTH, 3, 0, True, True, False, False, False, True, 0, DES),
    "basic": Product(BOTH, 3, 4, False, False, False, False, False, False, 0, DES),
}


class Key(NamedTuple):
    kif: int
    kvc: int
    algorithm: int
    value: bytes


@dataclass(frozen=True)
class File:
    """An EF. `store` names its content; `offset` is where a simulated counter stands in there."""

    lid: int
    sfi: int
    kind: int
    size: int
    count: int
    access: bytes
    levels: bytes
    reference: int
    store: object
    offset: int = 0
    listed: bool = True
    is_log: bool = False

    @property
    def record_size(self) -> int:
        return 3 if self.kind == SIMULATED else self.size

    @property
    def counters(self) -> int:
        return 1 if self.kind == SIMULATED else self.size // 3


@dataclass(frozen=True)
class Directory:
    """A DF. `startup` are the 7 bytes of its FCI."""

    lid: int
    aid: bytes
    startup: bytes
    is_master: bool
    access: bytes
    levels: bytes
    files: tuple[File, ...]


class Transcript(Protocol):
    """What the MACs of a session are made of: docs/crypto.md, Session."""

    parts: list[bytes]

    def absorb(self, element: bytes) -> None: ...
    def mac(self, label: int) -> bytes: ...
    def cipher(self, data: bytes) -> bytes: ...


class Session:
    """A running session; `backup` is what all there is was before it."""

    def __init__(  # noqa: PLR0917 - a record
        self, extended: bool, index: int, key: Key, digest: Transcript, left: int, backup: Kept
    ) -> None:
        self.extended, self.index, self.key, self.digest = extended, index, key, digest
        self.left, self.backup = left, backup
        self.manageable = extended and key.algorithm in AES
        self.encrypted = False
        self.sv_done = False
        self.postponed = b""


@dataclass
class Kept:
    """What survives a reset. All values are immutable, so that a copy is cheap."""

    content: dict[object, bytes]
    keys: dict[object, Key]
    invalidated: dict[int, bool]
    ratified: dict[int, bool]
    counter: int
    pin: bytes
    tries: int = 3
    balance: int = 0
    number: int = 0
    signature: bytes = bytes(6)

    def copy(self) -> Kept:
        return Kept(
            **{
                name: dict(value) if isinstance(value, dict) else value
                for name, value in vars(self).items()
            }
        )


class SvGet(NamedTuple):
    """What an SV Get has left for the next command."""

    p2: int
    extended: bool
    kvc: int
    key: bytes
    transcript: bytes


@dataclass
class Volatile:
    """What a reset takes."""

    df: Directory
    file: File | None = None
    session: Session | None = None
    awaits_ratification: bool = False
    pin_verified: bool = False
    challenge: bytes | None = None
    sv: SvGet | None = None
    frozen: tuple[int, bytes] | None = None


class Command(NamedTuple):
    """A short APDU; `le` is 1…256, or None where there is none."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes
    le: int | None


def parse(raw: bytes) -> Command | None:
    """Read a short APDU; None: it is none."""
    head, rest = raw[:4], raw[4:]
    if len(head) < 4:
        return None
    if len(rest) <= 1:
        return Command(*head, b"", (rest[0] or 256) if rest else None)
    lc = rest[0]
    if lc and len(rest) == 1 + lc:
        return Command(*head, rest[1:], None)
    if lc and len(rest) == 2 + lc:
        return Command(*head, rest[1:-1], rest[-1] or 256)
    return None


def without_le(raw: bytes) -> bytes:
    """Drop Le of a case 4 command (§5.2)."""
    return raw[:-1] if len(raw) > 6 and len(raw) == raw[4] + 6 else raw


def session_bytes(modification: int) -> int:
    """Size of the session buffer (§1.4): the quarter powers of two, 215 being the first."""
    return int(2 ** (8 + (modification - 7) / 4))


@dataclass
class State:
    """The whole card. `suite` makes the bytes of docs/crypto.md; `dice` are those that chance made."""

    product: Product
    serial: bytes
    traceability: bytes
    historical: bytes
    directories: tuple[Directory, ...]
    purse: tuple[object, object] | None
    kept: Kept
    suite: Any
    answer: bytes = b""
    now: Volatile = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Lose the power: a session is rolled back."""
        if hasattr(self, "now"):
            self.roll_back()
        self.now = Volatile(self.directories[0])

    def deselect(self) -> None:
        """Leave the field in order (§5.6): where the product ratifies on deselect, it does."""
        if self.now.awaits_ratification and self.ratifies_on_deselect:
            self.kept.ratified[self.now.df.lid] = True
        self.reset()

    @property
    def ratifies_on_deselect(self) -> bool:
        """§1.2: rev 1 does, rev 3 if bit 04 is not set; Light, Basic and rev 2 do not."""
        if self.product.revision == 1:
            return True
        return bool(self.product.options & 4) and not self.now.df.startup[2] & 4

    def roll_back(self) -> None:
        """End the session, undone; what counts tries and challenges stays as it is (§5.7, §11)."""
        session, self.now.session = self.now.session, None
        if session is not None:
            backup = session.backup
            backup.counter, backup.tries = self.kept.counter, self.kept.tries
            self.kept = backup

    def chance(self, at: int, size: int) -> bytes:
        """Return the bytes that only chance knows: those that the card answered."""
        return self.answer[at : at + size].ljust(size, b"\0")

    # The current DF

    def has(self, option: int) -> bool:
        return bool(self.now.df.startup[2] & self.product.options & option)

    def key(self, index: int) -> Key | None:
        """A key of the current DF; a slot with KIF and KVC 00 has none (§4.14)."""
        key = self.kept.keys.get(("key", self.now.df.lid, index))
        return key if key is not None and (key.kif or key.kvc) else None

    @property
    def is_invalidated(self) -> bool:
        return self.kept.invalidated[self.now.df.lid]

    def spend(self) -> None:
        """Take one from the transaction counter (§5.7)."""
        if not self.kept.counter:
            raise No(0x6900)
        self.kept.counter -= 1

    def charge(self, lc: int) -> None:
        """Take a modification from the session buffer (§5.5)."""
        session = self.now.session
        if session is not None:
            cost = 1 if self.product.buffer else lc + 6
            if cost > session.left:
                raise No(0x6400)
            session.left -= cost

    def require(self, condition: int, level: int) -> None:
        """Check an access condition (§3.4)."""
        if condition == NEVER:
            raise No(0x6985)
        session = self.now.session
        in_session = session is not None and session.index <= level
        encrypted = in_session and session is not None and session.encrypted
        right = {
            ALWAYS: True,
            PIN: self.now.pin_verified,
            SESSION: in_session,
            CONFIDENTIAL: encrypted,
            PIN_AND_CONFIDENTIAL: encrypted and self.now.pin_verified,
        }
        if not right[condition]:
            raise No(0x6982)

    def locate(self, sfi: int) -> File:
        """Find the EF that a command addresses; 0 is the current one."""
        if sfi == 0:
            if self.now.file is None:
                raise No(0x6986)
            return self.now.file
        for file in self.now.df.files:
            if file.sfi == sfi:
                return file
        raise No(0x6A82)

    def record(self, file: File, number: int) -> bytes:
        content = self.kept.content[file.store]
        if file.kind == SIMULATED:
            return content[file.offset : file.offset + 3]
        return content[(number - 1) * file.size : number * file.size]

    def put(self, file: File, at: int, data: bytes) -> None:
        """Overwrite part of a content; `at` counts from its start."""
        at += file.offset
        old = self.kept.content[file.store]
        self.kept.content[file.store] = old[:at] + data + old[at + len(data) :]
