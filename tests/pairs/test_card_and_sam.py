"""Every card product and our SAM: they agree on every MAC, cipher and signature, or on none.

The terminal is this test: it carries bytes and computes nothing. For each application of each card preset
that has keys, in each kind of session that the product has, the same random commands must end in MACs
that both accept; one flipped bit in the key, the serial number, a challenge or anything digested must end
in a refusal.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.emulator.calypso import new_card
from cardbench.emulator.calypso.personalisation import load_preset
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.sam_emulator import new_sam

PRESETS = (
    "bench", "contact", "hce", "gtml", "hoplink-small", "kit-regular", "kit-extended",
    "light-classic", "light-reference", "basic", "prime-1", "prime-2", "tango",
)  # fmt: skip
AES = {0xA0, 0xB0}
pytestmark = pytest.mark.slow

EXTENDED_MODE = 0x08  # of the application type
REVISION_3 = {"prime-3", "light", "basic"}


class Kind(NamedTuple):
    """A kind of session with one application of one card."""

    preset: str
    profile: str
    dfname: bytes
    serial: bytes
    kifs: tuple[int, ...]
    kvc: int
    extended: bool
    is_aes: bool

    def __str__(self) -> str:
        mode = "extended" if self.extended else "regular"
        return f"{self.preset}-{self.dfname.hex()}-{mode}"


def kinds() -> list[Kind]:
    found = []
    for name in PRESETS:
        preset = load_preset(name)
        for application in preset.applications:
            keys = application.keys
            if not keys:
                continue
            algorithm = keys[0].algorithm
            has_extended = preset.profile == "prime-3" and application.type & EXTENDED_MODE
            modes = [False, True] if has_extended else [False]
            found += [
                Kind(
                    name,
                    preset.profile,
                    application.aid,
                    preset.serial,
                    tuple(key.kif for key in keys),
                    keys[0].kvc,
                    extended,
                    algorithm in AES,
                )
                for extended in modes
                if extended or algorithm != 0xB0  # B0: extended sessions only
            ]
    return found


KINDS = kinds()


def flipped(data: bytes, bit: int) -> bytes:
    bit %= 8 * len(data)
    return (int.from_bytes(data) ^ 1 << bit).to_bytes(len(data))


class Terminal:
    """Carries a session between a card and a SAM; it may flip one bit on the way."""

    def __init__(self, kind: Kind, *, where: str = "nowhere", bit: int = 0) -> None:
        self.kind, self.where, self.bit = kind, where, bit
        self.card = new_card(kind.preset, entropy=Entropy(b"card"), clock=Clock())
        self.sam = new_sam(entropy=Entropy(b"sam"), clock=Clock())
        if where == "key":
            self.spoil_key()
        self.card.power_on()
        self.sam.power_on()
        self.cla = 0x00 if kind.profile in REVISION_3 else 0x94
        if kind.profile != "prime-1":  # that one is never selected
            self.to_card(bytes((0x00, 0xA4, 0x04, 0x00, len(kind.dfname))) + kind.dfname + b"\0")
        self.encrypted = False

    def spoil_key(self) -> None:
        for record in range(1, 0x7F):
            row = self.sam.memory.get(("key", record))
            if isinstance(row, bytes) and row[1] == self.kind.kvc and row[0] in self.kind.kifs:
                self.sam.memory.commit({("key", record): row[:13] + flipped(row[13:], self.bit)})

    def altered(self, what: str, data: bytes) -> bytes:
        return flipped(data, self.bit) if what == self.where and data else data

    def to_card(self, command: bytes) -> bytes:
        return self.card.transmit(command)

    def to_sam(self, header: str, data: bytes = b"") -> bytes:
        response = self.sam.transmit(
            bytes.fromhex(header) + (bytes((len(data),)) + data if data else b"")
        )
        assert response[-2:] == b"\x90\0", (header, data.hex(), response.hex())
        return response[:-2]

    def open(self, level: int) -> None:
        """Open with key 1, 2 or 3 and start the digest."""
        kind = self.kind
        self.to_sam("80140000", self.altered("serial", kind.serial))
        challenge = self.to_sam("8084000008" if kind.extended else "8084000004")
        challenge = self.altered("terminal challenge", challenge)
        mode = 2 if kind.extended else 1 if kind.profile in REVISION_3 else 0
        p1 = level | (0x80 if kind.profile == "prime-2" else 0)
        data = b"\0" + challenge if kind.extended else challenge
        opened = self.to_card(bytes((self.cla, 0x8A, p1, mode, len(data))) + data + b"\0")
        assert opened[-2:] == b"\x90\0", opened.hex()
        open_data = opened[:-2]
        name = bytes((kind.kifs[level - 1], kind.kvc))
        if kind.profile in REVISION_3:
            place = 9 if kind.extended else 5
            assert open_data[place : place + 2] == name
        init = "808A02FF" if kind.extended else "808A00FF"
        self.to_sam(init, name + self.altered("open data", open_data))

    def run(self, command: bytes, *, alter: bool = False) -> bytes:
        """Carry one command, absorbed on both sides; return the plain response."""
        is_case_4 = len(command) > 6 and command[4] == len(command) - 6
        request = command[:-1] if is_case_4 else command
        if not self.encrypted:
            response = self.to_card(command)
            self.to_sam("808C0000", self.altered("request", request) if alter else request)
            self.to_sam("808C0000", self.altered("response", response) if alter else response)
            return response
        ciphered = self.to_sam("808C0080", request)
        response = self.to_card(self.altered("request", ciphered) if alter else ciphered)
        return self.to_sam("808C0080", self.altered("response", response) if alter else response)

    def authenticate(self, *, encrypt: bool) -> bool:
        """Let both prove themselves in the middle; tell whether both do."""
        proof = self.to_sam("8088800008")
        answer = self.to_card(bytes((0, 0x82, 0, 3 if encrypt else 1, 8)) + proof + b"\0")
        if answer[-2:] != b"\x90\0":
            return False
        self.encrypted = encrypt
        return self.sam.transmit(bytes.fromhex("8082000008") + answer[:-2]) == b"\x90\0"

    def close(self) -> bool:
        """Close; tell whether the card took the SAM's MAC, and the SAM the card's."""
        size = 8 if self.kind.extended else 4
        mac = self.to_sam(f"808E0000{size:02X}")
        answer = self.to_card(bytes((self.cla, 0x8E, 0x80, 0, size)) + mac + b"\0")
        if answer[-2:] != b"\x90\0":
            assert answer == b"\x69\x88"
            return False
        shown = 8 if self.kind.extended and self.kind.is_aes else 4
        mac = answer[:-2][-shown:]
        return self.sam.transmit(bytes((0x80, 0x82, 0, 0, shown)) + mac) == b"\x90\0"


INSTRUCTIONS = (0xB2, 0xDC, 0xD2, 0xE2, 0x30, 0x32, 0xB0, 0xD6, 0x84, 0x20, 0xCA, 0xA2, 0x99)


@st.composite
def card_commands(draw: st.DrawFn) -> bytes:
    """Reading, writing, counting, failing: what may be sent in a session."""
    ins = draw(st.sampled_from(INSTRUCTIONS))
    p1 = draw(st.sampled_from([0, 1, 2, 3, 0x80]))
    p2 = draw(st.sampled_from([0x3C, 0x44, 0x4C, 0xF4, 0xCC, 0x00, 0x04]))
    if (ins, p1, p2) == (0xB2, 0, 0):
        p1 = 1  # with zeros it would be the ratification command, which is never digested
    if ins in {0xB2, 0x84, 0xB0, 0xCA}:
        return bytes((ins, p1, p2, 8 if ins == 0x84 else 0))
    size = {0x30: 3, 0x32: 3, 0x20: 4}.get(ins, 29)
    data = draw(st.binary(min_size=size, max_size=size))
    le = b"\0" if ins in {0x30, 0x32, 0xA2} else b""
    return bytes((ins, p1, p2, size)) + data + le


class Run(NamedTuple):
    """A session: its key, its commands, where they are encrypted, and where a bit may be flipped."""

    level: int
    commands: list[bytes]
    proves: bool
    encrypts: bool
    bit: int


runs = st.builds(
    Run,
    st.sampled_from([1, 2, 3]),
    st.lists(card_commands(), min_size=1, max_size=5),
    st.booleans(),
    st.booleans(),
    st.integers(0, 100_000),
)


def play(kind: Kind, run: Run, where: str) -> tuple[bool, Terminal]:
    """Play a session; return whether both accepted each other to the end."""
    terminal = Terminal(kind, where=where, bit=run.bit)
    terminal.open(run.level)
    place = run.bit % len(run.commands)
    agreed = True
    for number, command in enumerate(run.commands):
        if kind.extended and kind.is_aes and number == len(run.commands) // 2 and run.proves:
            agreed = terminal.authenticate(encrypt=run.encrypts)
            if not agreed:
                return False, terminal
        terminal.run(bytes((terminal.cla,)) + command, alter=number == place)
    return terminal.close() and agreed, terminal


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(run=runs)
def test_both_agree_on_every_mac(kind: Kind, run: Run) -> None:
    assert play(kind, run, "nowhere")[0]


WHERE = ["key", "serial", "terminal challenge", "open data", "request", "response"]


@pytest.mark.parametrize("where", WHERE)
@given(kind=st.sampled_from(KINDS), run=runs)
def test_one_flipped_bit_and_both_refuse(where: str, kind: Kind, run: Run) -> None:
    before = new_card(kind.preset, entropy=Entropy(b"card"), clock=Clock()).memory.objects()
    agreed, terminal = play(kind, run, where)
    assert not agreed
    changed = {
        key for key, value in terminal.card.memory.objects().items() if before.get(key) != value
    }
    assert not {key for key in changed if "content" in key}, "no record is written"


# Cryptograms and signatures outside of MACs

BENCH = next(kind for kind in KINDS if kind.preset == "bench" and not kind.extended)
PIN = b"0000"
spoils = st.none() | st.integers(0, 100_000)


class Bench(Terminal):
    """The bench card and the SAM, nothing altered but what a test alters itself."""

    def __init__(self) -> None:
        super().__init__(BENCH)
        self.to_sam("80140000", BENCH.serial)

    def challenge(self) -> None:
        """Carry the card's challenge to the SAM."""
        answer = self.to_card(bytes.fromhex("0084000008"))
        assert answer[-2:] == b"\x90\0"
        self.to_sam("80860000", answer[:-2])

    def sw(self, header: str, data: bytes, end: str = "") -> str:
        raw = bytes.fromhex(header) + bytes((len(data),)) + data + bytes.fromhex(end)
        return self.to_card(raw)[-2:].hex().upper()


def carried(data: bytes, spoil: int | None) -> bytes:
    return data if spoil is None else flipped(data, spoil)


@given(spoil=spoils, pin=st.just(PIN) | st.binary(min_size=4, max_size=4))
def test_a_presented_pin(spoil: int | None, pin: bytes) -> None:
    bench = Bench()
    bench.challenge()
    cryptogram = bench.to_sam("801280FF", b"\x30\x74" + pin)
    right = spoil is None and pin == PIN
    assert bench.sw("00200000", carried(cryptogram, spoil)) == ("9000" if right else "63C2")


@given(spoil=spoils, pin=st.binary(min_size=4, max_size=4))
def test_a_changed_pin(spoil: int | None, pin: bytes) -> None:
    bench = Bench()
    bench.challenge()
    cryptogram = bench.to_sam("801240FF", b"\x21\x74" + bytes(4) + pin)
    changed = bench.sw("00D800FF", carried(cryptogram, spoil))
    assert changed == ("9000" if spoil is None else "6988")
    bench.challenge()
    presented = bench.to_sam("801280FF", b"\x30\x74" + (pin if spoil is None else PIN))
    assert bench.sw("00200000", presented) == "9000"


@given(spoil=spoils, index=st.sampled_from([1, 2, 3]))
def test_a_changed_key(spoil: int | None, index: int) -> None:
    bench = Bench()
    bench.challenge()
    new = bytes((BENCH.kifs[index - 1], 0x09))
    cryptogram = bench.to_sam("8012FFFF", b"\x21\x74" + new + b"\x90")
    changed = bench.sw(f"00D800{index:02X}", carried(cryptogram, spoil))
    assert changed == ("9000" if spoil is None else "6988")
    bench.kind = BENCH._replace(kvc=0x09 if spoil is None else 0x74)
    bench.open(index)
    assert bench.close()


class Operation(NamedTuple):
    """A Stored Value operation: names of the commands, place of the SAM's serial, fixed data."""

    prepare: str
    card_ins: int
    get_p2: int
    fixed: str


LOAD = Operation("56", 0xB8, 0x07, "00 1122 F3 74 EE 000001 3344")
DEBIT = Operation("54", 0xBA, 0x09, "00 FFFF 1122 3344 74")
UNDEBIT = Operation("5C", 0xBC, 0x09, "00 0001 1122 3344 74")


def prepare(bench: Bench, operation: Operation, *, extended: bool) -> bytes:
    """Get the purse's state, let the SAM sign, and return the card command."""
    le = 0x3D if extended else 0x21 if operation is LOAD else 0x1E
    header = bytes((0x7C, int(extended), operation.get_p2, le))
    got = bench.to_card(b"\0" + header)
    assert got[-2:] == b"\x90\0", got.hex()
    fixed = bytes.fromhex(operation.fixed)
    signature_size = 10 if extended else 5
    size = len(fixed) + 4 + 3 + signature_size
    partial = bytes((operation.card_ins, 0, 0, size)) + fixed
    answer = bench.to_sam(f"80{operation.prepare}01FF", header + got + partial)
    chosen, number, signature = answer[:3], answer[3:6], answer[6:]
    assert len(signature) == signature_size
    data = chosen[2:] + fixed[1:] + bench.sam.serial + number + signature
    return bytes((0, operation.card_ins, chosen[0], chosen[1], size)) + data


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("operation", [LOAD, DEBIT, UNDEBIT], ids=["load", "debit", "undebit"])
@given(spoil=spoils, spoil_answer=spoils)
def test_a_stored_value_operation(
    operation: Operation, extended: bool, spoil: int | None, spoil_answer: int | None
) -> None:
    bench = Bench()
    for first in () if operation is LOAD else (LOAD,):
        assert bench.to_card(prepare(bench, first, extended=extended))[-2:] == b"\x90\0"
    command = prepare(bench, operation, extended=extended)
    # The KVC says which key: without it there is nothing to disagree about.
    signed = command[:5] + carried(command[5:], spoil)
    kvc = 5 + (4 if operation is LOAD else 7)
    if signed[kvc] != 0x74:
        return
    answer = bench.to_card(signed)
    assert answer[-2:].hex() == ("9000" if spoil is None else "6988")
    if spoil is None:
        check = bench.sam.transmit(
            bytes((0x80, 0x58, 0, 0, len(answer) - 2)) + carried(answer[:-2], spoil_answer)
        )
        assert check.hex() == ("9000" if spoil_answer is None else "6988")


@given(spoil=spoils)
def test_the_signatures_in_the_cards_records(spoil: int | None) -> None:
    bench = Bench()
    environment = bench.to_card(bytes.fromhex("00B2013C00"))[:-2]
    contract = bench.to_card(bytes.fromhex("00B2014C00"))[:-2]
    computed = bench.to_sam("801C4000", b"\xec\x85" + carried(environment[:16], spoil))
    assert (computed == environment[16:24]) == (spoil is None)
    signed = carried(contract[:17], spoil)
    verify = bytes.fromhex("802A00A8") + bytes((4 + len(signed),)) + b"\xff\x2b\x19\x83" + signed
    assert bench.sam.transmit(verify).hex() == ("9000" if spoil is None else "6988")


def test_every_product_has_a_session() -> None:
    assert {kind.profile for kind in KINDS} == {"prime-1", "prime-2", "prime-3", "light", "basic"}
    assert {kind.extended for kind in KINDS} == {False, True}
