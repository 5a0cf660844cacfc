"""What the rules that drive card and model have in common: an exchange, its mistakes, the comparison.

Terminal and SAM are played with the model's knowledge alone: keys, challenges and the session's MACs
come from it, so that the card is never asked what would be right. After each command the answers must
be the same byte for byte, and so must everything that the card keeps.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from models.calypso_state import Key, without_le
from support.calypso_twin import (
    PRESETS,
    forgotten_by,
    fresh_memory,
    kept_by,
    model_of,
    should_be_forgotten,
    should_be_kept,
)

from cardbench.emulator.calypso import CalypsoCard
from cardbench.emulator.calypso.structure import PIN_TRIES_KEY, PURSE_KEY, TRANSACTION_COUNTER_KEY
from cardbench.emulator.chassis import Entropy, Memory

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Value

TERMINAL_CHALLENGE = bytes.fromhex("C1C2C3C4C5C6C7C8")


class Exchanged:
    """How many commands were exchanged, by all machines of this process."""

    commands = 0
    pairs: ClassVar[Counter[tuple[int, int]]] = Counter()
    """How often an instruction was answered with a status word."""


class Spoilt(NamedTuple):
    """How an APDU is spoilt on its way: a kind of mistake, its place, and a byte for it."""

    kind: str
    at: int
    by: int


RIGHT = Spoilt("not", 0, 0)
TWISTS = [("not", 0)] * 130
TWISTS += [("byte", at) for at in (0, 1, 2, 2, 3, 3, 4)]
TWISTS += [("cut", 1), ("cut", 2), ("add", 0), ("add", 8), ("extended", 0), ("data", 0)]
spoilt_somehow = st.builds(
    lambda twist, by: Spoilt(*twist, by), st.sampled_from(TWISTS), st.integers(0, 255)
)
ANY = st.integers(0, 255)
SMALL = st.integers(0, 5)
PICK = st.integers(0, 23)
LE = st.sampled_from([None, 0, 0, 1, 3, 4, 6, 29, 31, 62, 255])
commands = st.sampled_from(
    [
        *(0x04, 0x20, 0x30, 0x32, 0x38, 0x3A, 0x44, 0x7C, 0x82, 0x84, 0x8A, 0x8E, 0xA2, 0xA4, 0xB0),
        *(0xB2, 0xB3, 0xB8, 0xBA, 0xBC, 0xC0, 0xCA, 0xD0, 0xD2, 0xD6, 0xD8, 0xDC, 0xE2, 0x46, 0xDA),
    ]
)


def in_no_session(machine: Exchanges) -> bool:
    return machine.model.now.session is None


def in_a_session(machine: Exchanges) -> bool:
    return machine.model.now.session is not None


def in_a_manageable_session(machine: Exchanges) -> bool:
    session = machine.model.now.session
    return session is not None and session.manageable


class Exchanges(RuleBasedStateMachine):
    """Sends to both, compares the answers and what is kept."""

    tally = Exchanged

    @initialize(preset=st.sampled_from(PRESETS), seed=st.integers(0, 3))
    def personalise(self, preset: str, seed: int) -> None:
        self.card = CalypsoCard(Memory(dict(fresh_memory(preset))), entropy=Entropy(bytes((seed,))))
        self.model = model_of(self.card)
        self.card.power_on()
        self.product = self.model.product
        self.cla = 0x00 if 0x00 in self.product.classes else 0x94

    # Both get it

    def exchange(self, raw: bytes) -> bytes:
        Exchanged.commands += 1
        answer = self.card.transmit(raw)
        Exchanged.pairs[raw[1] if len(raw) > 1 else 0, int.from_bytes(answer[-2:])] += 1
        should = self.model.exchange(raw, answer)
        assert answer.hex(" ") == should.hex(" "), f"to {raw.hex(' ')}"
        assert kept_by(self.card) == should_be_kept(self.model), f"after {raw.hex(' ')}"
        assert forgotten_by(self.card) == should_be_forgotten(self.model), f"after {raw.hex(' ')}"
        return answer

    def send(  # noqa: PLR0917 - the parts of an APDU
        self,
        ins: int,
        p1: int,
        p2: int,
        data: bytes = b"",
        le: int | None = None,
        spoilt: Spoilt = RIGHT,
        cla: int | None = None,
    ) -> bytes:
        cla = self.cla if cla is None else cla
        raw = bytes((cla, ins, p1, p2)) + (bytes((len(data),)) + data if data else b"")
        raw += b"" if le is None else bytes((le,))
        return self.exchange(self.ciphered(twisted(raw, spoilt)))

    def ciphered(self, raw: bytes) -> bytes:
        """As it travels: in an encrypted section the data field is ciphered (§5.11)."""
        session = self.model.now.session
        if session is None or not session.encrypted or raw[1:2] in {b"\x82", b"\x8e"}:
            return raw
        end = len(without_le(raw))
        if len(raw) < 6 or raw[4] != end - 5:
            return raw
        return raw[:5] + session.digest.cipher(raw[5:end]) + raw[end:]

    def sfi(self, pick: int, *kinds: int) -> int:
        """Short identifier of a file: mostly one of these kinds, now and then any, current, none."""
        files = [file for file in self.model.now.df.files if file.sfi]
        right = [file for file in files if file.kind in kinds]
        if pick < 16 and right:
            return right[pick % len(right)].sfi
        if pick < 20 and files:
            return files[pick % len(files)].sfi
        return {22: 31, 23: 3}.get(pick, 0)

    # Life

    @rule(orderly=st.booleans())
    def lose_the_field(self, orderly: bool) -> None:
        if orderly:
            self.card.deselect()
            self.model.deselect()
        else:
            self.model.reset()
        self.card.power_off()
        self.card.power_on()

    @rule(
        what=st.sampled_from(["counter", "number", "balance", "balance", "tries", "key"]),
        left=SMALL,
    )
    def wear(self, what: str, left: int) -> None:
        """As years of use would: so that the ends of all counts are reached."""
        if self.model.now.session is not None:
            return
        kept = self.model.kept
        if what == "counter":
            kept.counter = left
        elif what == "number":
            kept.number = 0xFFFB + min(left, 4)
        elif what == "balance":
            kept.balance = (1 << 23) - 1 - left if left % 2 else left - (1 << 23)
        elif what == "tries":
            kept.tries = min(left, 3)
        changes: dict[Any, Value] = {
            TRANSACTION_COUNTER_KEY: kept.counter,
            PIN_TRIES_KEY: kept.tries,
        }
        if self.model.purse is not None:
            changes[PURSE_KEY] = (kept.balance, kept.number, kept.signature)
        if what == "key" and left < 4:  # a slot that the factory left without a key
            slot = ("key", self.model.now.df.lid, left or 1)
            kept.keys[slot] = Key(0, 0, 0x40, bytes(16))
            changes[slot] = tuple(kept.keys[slot])
        self.card.memory.commit(changes)


def twisted(raw: bytes, spoilt: Spoilt) -> bytes:
    """Spoil an APDU in one place."""
    kind, at, by = spoilt
    if kind == "byte" and at < len(raw):
        return raw[:at] + bytes((by,)) + raw[at + 1 :]
    if kind == "cut":
        return raw[:-at]
    if kind == "add":
        return raw + bytes((by,)) * (at or 1)
    if kind == "extended" and len(raw) > 5:
        return raw[:4] + b"\0\0" + raw[4:]
    if kind == "data" and len(raw) > 5:
        place = 5 + by % (len(raw) - 5)
        return raw[:place] + bytes((raw[place] ^ 0x21,)) + raw[place + 1 :]
    return raw
