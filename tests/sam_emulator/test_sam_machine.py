"""A SAM and a simple model of one are sent the same commands, right and wrong, and never disagree.

The power fails now and then inside a command: the model then stands before or behind it.
"""

from __future__ import annotations

import copy

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from models.sam_model import SamModel, Sealed

from cardbench.emulator.chassis import Clock, Entropy, Memory, Moment, Tear
from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.calypso.aes_suite import AesSuite
from cardbench.protocol.link import PowerLoss
from cardbench.sam_emulator import SamCard, new_sam

SYSTEM = (0xC1, 0xC2, 0xC3, 0xC4)
LOCK_VALUE = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
KEY_SEARCHES = (0xF0, 0xF8, 0xFA, 0xFA)
PADDING = bytes(7) + b"\x80\0\0"

tears = st.one_of(
    st.none(),
    st.none(),
    st.none(),
    st.none(),
    st.builds(Tear, st.integers(0, 8), st.sampled_from(Moment)),
)
NAMES = "3079 2179 3074 2B19 EC85 0779 1079 1074 0000 E1F1 AA71"
names = st.sampled_from([bytes.fromhex(name) for name in NAMES.split()])
lengths = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 21, 30, 32, 48, 80, 255])
bytes_of_any_length = lengths.flatmap(lambda n: st.binary(min_size=n, max_size=n))


def block_of(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value[:13]


class SamMachine(RuleBasedStateMachine):
    """Sends to both, compares the answers, and audits what is kept."""

    @initialize(preset=st.sampled_from(["bench", "locked", "control", "sam-s1e1", "sam-s1dx"]))
    def personalise(self, preset: str) -> None:
        self.suite = AesSuite()
        self.sam = new_sam(preset, entropy=Entropy(b"machine"), clock=Clock())
        self.sam.power_on()
        memory, features = self.sam.memory, self.sam.features
        self.model = SamModel(
            serial=self.sam.serial,
            work={n: block_of(memory["key", n]) for n in range(1, 0x7F) if ("key", n) in memory},
            system={n: block_of(memory["key", n]) for n in SYSTEM},
            lock=block_of(memory["key", 0xE0]) if preset == "locked" else None,
            parameters=self.sam.parameters,
            extended=bool(features.extended),
            multiple=bool(features.update_multiple),
            most=features.digest_bytes_max,
        )

    # Both get it

    def both(
        self,
        command: CommandApdu,
        *,
        right: bool = False,
        sealed: Sealed | None = None,
        tear: Tear | None = None,
    ) -> None:
        before = copy.deepcopy(self.model)
        expected = self.model.answer(command, right=right, sealed=sealed)
        self.sam.memory.arm(tear)
        try:
            raw = self.sam.transmit(command.encode())
        except PowerLoss:
            self.after_a_tear(before)
            return
        self.sam.memory.arm(None)
        assert (len(raw) - 2, raw[-2:].hex()) == (len(expected.data), f"{expected.sw:04x}")
        for mine, theirs in zip(raw[:-2], expected.data, strict=True):
            assert theirs in (None, mine), (raw.hex(), expected)
        if command.ins == 0x84 and expected.sw == 0x9000:
            self.model.learn_challenge(raw[:-2])

    def after_a_tear(self, before: SamModel) -> None:
        self.sam.power_on()
        state = self.kept()
        assert state in (before.kept(), self.model.kept())
        if state == before.kept():
            before.now_ms = self.model.now_ms
            self.model = before
        self.model.reset()

    def send(
        self, ins: int, p1: int = 0, p2: int = 0, data: bytes = b"", ne: int | None = None
    ) -> CommandApdu:
        return CommandApdu(0x80, ins, p1, p2, data, ne)

    # What is kept

    def kept(self) -> tuple[object, ...]:
        memory, sam = self.sam.memory, self.sam
        until_ms = memory.get(("busy until",)) or 0
        assert isinstance(until_ms, int)
        lock = memory.get(("key", 0xE0))
        return (
            [sam.counter(n) for n in range(27)],
            [sam.ceiling(n) for n in range(27)],
            [sam.free_increment(n) for n in (1, 2, 3)],
            sam.sv_number,
            sam.parameters,
            {n: block_of(memory["key", n]) for n in range(1, 0x7F) if ("key", n) in memory},
            {n: block_of(memory["key", n]) for n in SYSTEM if ("key", n) in memory},
            None if lock is None else block_of(lock),
            max(0, until_ms - sam.now_ms),
        )

    @invariant()
    def what_is_kept_is_the_same(self) -> None:
        if hasattr(self, "model"):
            assert self.kept() == self.model.kept()

    # Life

    @rule()
    def reset(self) -> None:
        self.sam.reset()
        self.model.reset()

    @rule()
    def go_on_with_a_fork(self) -> None:
        self.sam = self.sam.fork()

    @rule()
    def go_on_from_a_snapshot(self) -> None:
        snapshot = self.sam.snapshot()
        self.sam = SamCard(Memory(), entropy=Entropy(b""), clock=Clock())
        self.sam.restore(snapshot)
        self.sam.power_on()
        self.model.reset()

    @rule(seconds=st.integers(0, 4))
    def wait(self, seconds: int) -> None:
        self.sam.clock.advance(seconds)
        self.model.now_ms += 1000 * seconds

    @rule(number=st.integers(0, 26), left=st.integers(0, 2))
    def lower_a_ceiling(self, number: int, left: int) -> None:
        """As a factory would: so that ceilings are reached."""
        ceiling = self.sam.counter(number) + left
        self.sam.memory.commit({("ceiling", number): ceiling})
        self.model.ceilings[number] = ceiling

    # Basics

    @rule(size=st.sampled_from([4, 8]))
    def select_diversifier(self, size: int) -> None:
        self.both(self.send(0x14, data=bytes(range(1, size + 1))))

    @rule(ne=st.sampled_from([4, 8, 8, 5, 256]))
    def get_challenge(self, ne: int) -> None:
        self.both(self.send(0x84, ne=ne))

    @rule(data=st.binary(min_size=8, max_size=8))
    def give_random(self, data: bytes) -> None:
        self.both(self.send(0x86, data=data))

    @rule(right=st.booleans(), dynamic=st.booleans())
    def unlock(self, right: bool, dynamic: bool) -> None:
        data = LOCK_VALUE
        lock = self.sam.key(0xE0)
        if lock is not None:
            data = lock.value
        if dynamic:
            challenge = self.sam.volatile.challenge
            data = self.suite.unlock_proof(data, self.sam.serial, challenge)
        if not right:
            data = bytes((data[0] ^ 1,)) + data[1:]
        self.both(self.send(0x20, data=data), right=right)

    @rule(ne=st.sampled_from([1, 16, 256]))
    def get_response(self, ne: int) -> None:
        self.both(CommandApdu(0, 0xC0, 0, 0, b"", ne))

    @rule(
        cla=st.sampled_from([0x80, 0x94, 0x00, 0x84]),
        header=st.binary(min_size=3, max_size=3),
        data=bytes_of_any_length,
        ne=st.sampled_from([None, 4, 8, 256]),
    )
    def anything(self, cla: int, header: bytes, data: bytes, ne: int | None) -> None:
        ins, p1, p2 = header
        known = {0x46, 0xCA} | ({0x2A} if (p1, p2) == (0xEE, 0xAC) else set())
        if ins not in known:  # the model has no certificates
            self.both(CommandApdu(cla, ins, p1, p2, data, ne))

    # Digest

    @rule(
        p1=st.sampled_from([0, 0, 2, 2, 1, 3, 4]),
        p2=st.sampled_from([0xFF, 0xFF, 0xFF, 3, 0x12, 0x7E, 0x80]),
        name=names,
        size=st.sampled_from([4, 8, 20, 3]),
        tear=tears,
    )
    def digest_init(self, p1: int, p2: int, name: bytes, size: int, tear: Tear | None) -> None:
        data = (name if p2 == 0xFF else b"") + bytes(size)
        self.both(self.send(0x8A, p1, p2, data), tear=tear)

    @rule(
        form=st.sampled_from([(0, 0), (0, 0x80), (0x80, 0)]),
        elements=st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=4),
        cut=st.booleans(),
    )
    def digest_update(self, form: tuple[int, int], elements: list[bytes], cut: bool) -> None:
        data = elements[0]
        if form == (0x80, 0):
            data = b"".join(bytes((len(one),)) + one for one in elements)
            data = data[:-1] if cut else data
        self.both(self.send(0x8C, *form, data))

    @rule(ne=st.sampled_from([4, 8, 4, 8, 5]))
    def digest_close(self, ne: int) -> None:
        self.both(self.send(0x8E, ne=ne))

    @rule()
    def internal_authenticate(self) -> None:
        self.both(self.send(0x88, 0x80, ne=8))

    @rule(right=st.booleans(), size=st.sampled_from([4, 8, 16]))
    def digest_authenticate(self, right: bool, size: int) -> None:
        session = self.sam.volatile.session
        mac = (session.expected if session else b"").ljust(16, b"\0")[:size]
        if not right:
            mac = bytes((mac[0] ^ 0x80,)) + mac[1:]
        self.both(self.send(0x82, data=mac), right=right)

    @rule(extended=st.booleans(), proof=st.booleans())
    def whole_session(self, extended: bool, proof: bool) -> None:
        """The way of a good terminal, so that deep states are reached."""
        self.both(self.send(0x14, data=bytes(8)))
        self.both(self.send(0x84, ne=8))
        self.both(self.send(0x8A, 2 * extended, 0xFF, b"\x30\x74" + bytes(8)))
        self.both(self.send(0x8C, 0, 0, bytes(5)))
        self.both(self.send(0x8C, 0, 0, bytes(2)))
        if proof:
            self.both(self.send(0x88, 0x80, ne=8))
            self.digest_authenticate_rightly()
        self.both(self.send(0x8E, ne=8 if extended else 4))
        self.digest_authenticate_rightly()

    def digest_authenticate_rightly(self) -> None:
        session = self.sam.volatile.session
        if session is not None and session.expected:
            mac = session.expected[: 8 if session.extended else 4]
            self.both(self.send(0x82, data=mac), right=True)

    # Cards

    @rule(
        form=st.sampled_from([(0x80, 0xFF), (0x40, 0xFF), (0xFF, 0xFF), (0xFF, 0), (0x80, 0)]),
        name=names,
        other=names,
        end=st.sampled_from([0x90, 0x90, 0x91]),
        tear=tears,
    )
    def card_cipher(
        self, form: tuple[int, int], name: bytes, other: bytes, end: int, tear: Tear | None
    ) -> None:
        data = {
            (0x80, 0xFF): name + b"1234",
            (0x40, 0xFF): name + b"\0\0\0\0" + b"1234",
            (0xFF, 0xFF): name + other + bytes((end,)),
        }.get(form, other + bytes((end,)))
        self.both(self.send(0x12, *form, data), tear=tear)

    @rule(
        ins=st.sampled_from([0x54, 0x56, 0x5C]),
        extended=st.booleans(),
        kvc=st.sampled_from([0x79, 0x74, 0xAA]),
        spoil=st.sampled_from([None, None, None, 0, 1, 2, 3, 4, -1, -2, -5, -12, -15]),
        tear=tears,
    )
    def sv_prepare(
        self, ins: int, extended: bool, kvc: int, spoil: int | None, tear: Tear | None
    ) -> None:
        load = ins == 0x56
        answer = 61 if extended else 33 if load else 30
        get = bytearray(
            bytes((0x7C, extended, 7 if load else 9, answer)) + bytes(answer) + b"\x90\0"
        )
        get[4 + 8 * extended] = kvc
        partial = bytearray(15 if load else 12)
        partial[0] = {0x54: 0xBA, 0x56: 0xB8, 0x5C: 0xBC}[ins]
        partial[3] = (0x17 if load else 0x14) + 5 * extended
        partial[8 if load else 11] = kvc
        data = get + partial
        if spoil is not None:
            data[spoil] ^= 0x40
        self.both(self.send(ins, 1, 0xFF, bytes(data)), tear=tear)

    @rule(right=st.booleans(), size=st.sampled_from([0, 3, 6]))
    def sv_check(self, right: bool, size: int) -> None:
        data, sv = bytes(size), self.sam.volatile.sv
        if sv is not None and size:
            data = self.suite.sv_signature_lo(
                sv.key, sv.message, sv.signature, extended=sv.extended
            ).ljust(size, b"\0")[:size]
            if not right:
                data = bytes((data[0] ^ 1,)) + data[1:]
        self.both(self.send(0x58, data=data), right=right)

    # Signatures

    @rule(name=names, size=st.sampled_from([8, 16, 9, 0]), tear=tears)
    def data_cipher(self, name: bytes, size: int, tear: Tear | None) -> None:
        self.both(self.send(0x1C, 0x40, 0, name + bytes(size)), tear=tear)

    @rule(
        name=names,
        mode=st.sampled_from([0x88, 0x08, 0xC8, 0x61, 0xE4, 0x90, 0x80]),
        offset=st.sampled_from([0, 1, 7, 24, 32, 33, 200]),
        size=st.sampled_from([1, 6, 7, 10, 206, 208]),
        tear=tears,
    )
    def pso_compute(
        self, name: bytes, mode: int, offset: int, size: int, tear: Tear | None
    ) -> None:
        head = b"\xff" + name + bytes((mode,)) + (offset.to_bytes(2) if mode & 0x70 else b"")
        self.both(self.send(0x2A, 0x9E, 0x9A, (head + b"\x5a" * size)[:212]), tear=tear)

    @rule(right=st.booleans(), mode=st.sampled_from([0x88, 0x08, 0xC8, 0x63]), tear=tears)
    def pso_verify(self, right: bool, mode: int, tear: Tear | None) -> None:
        head = b"\xff\x2b\x19" + bytes((mode,)) + (b"\0\0" if mode & 0x70 else b"")
        size, message = mode & 15, bytes(12)
        signature = bytes(size)
        key = self.sam.key(0x20)
        if key is not None and self.sam.volatile.diversifier:
            purpose = "pso" if mode & 0x80 else "pso-no-busy"
            signature = self.suite.sign(self.sam.diversified(key), purpose, message)[:size]
            if not right:
                signature = bytes((signature[0] ^ 1,)) + signature[1:]
        command = self.send(0x2A, 0x00, 0xA8, head + message + signature)
        self.both(command, right=right, tear=tear)

    # Reading

    @rule(
        p2=st.sampled_from([*range(0x24), *range(0xC0, 0xC6), *KEY_SEARCHES, 0xE0, 0x7F]),
        name=names,
        ne=st.sampled_from([None, 256, 10]),
    )
    def read_key(self, p2: int, name: bytes, ne: int | None) -> None:
        self.both(self.send(0xBC, 0, p2, name, ne))

    @rule(
        p1=st.sampled_from([0, 0, 0, 5, 26, 27]),
        p2=st.sampled_from(
            [0xE1, 0xE2, 0xE3, 0xE4, 0xB1, 0xB2, 0xB3, 0xB8, 0xA0, 0x80, 0x84, 0x9A, 0x9B]
        ),
        ne=st.sampled_from([256, 20]),
        tear=tears,
    )
    def read_data(self, p1: int, p2: int, ne: int, tear: Tear | None) -> None:
        self.both(self.send(0xBE, p1, p2, b"", ne), tear=tear)

    # Control and target

    @rule(
        p1=st.sampled_from([0, 0, 1, 2, 8]),
        p2=st.sampled_from([0xA0, 0xB1, 0xB8, 0xE8, 0xC0, 0xE0, 0xF0, 0x40, 0xB4]),
        kvc=st.sampled_from([0xF1, 0xF2, 0xF3, 0xF4]),
        size=st.sampled_from([30, 13, 21]),
        name=names,
        tear=tears,
    )
    def sam_cipher(  # noqa: PLR0917 - one for each part of the command
        self, p1: int, p2: int, kvc: int, size: int, name: bytes, tear: Tear | None
    ) -> None:
        data = (bytes((kvc,)) + name).ljust(size, b"\0")
        self.both(self.send(0x16, p1, p2, data), tear=tear)

    @rule(
        what=st.sampled_from(
            [
                (0x1A, 0xC2, 0x40, "work"),
                (0x1A, 0xC2, 0xF0, "work"),
                (0x1A, 0xC2, 0x03, "work"),
                (0x1A, 0xC1, 0xC0, "system"),
                (0x1A, 0xC1, 0xE0, "lock"),
                (0xD8, 0xC3, 0xB8, "ceiling"),
                (0xD8, 0xC3, 0xB1, "ceilings"),
                (0xD8, 0xC3, 0xB3, "ceilings"),
                (0xD8, 0xC1, 0xA0, "parameters"),
            ]
        ),
        p1=st.sampled_from([0, 0, 0, 8, 0x80, 0xC0, 0x40]),
        draw=st.data(),
        fresh=st.booleans(),
        spoil=st.sampled_from([None, None, None, None, "key", "challenge", "p2", "frame"]),
        caad=st.sampled_from([b"", b"", b"", bytes(32)]),
        tear=tears,
    )
    def write(  # noqa: PLR0917 - one for each part of the command
        self,
        what: tuple[int, int, int, str],
        p1: int,
        draw: st.DataObject,
        fresh: bool,
        spoil: str | None,
        caad: bytes,
        tear: Tear | None,
    ) -> None:
        ins, by, p2, kind = what
        if fresh:
            self.get_challenge(8)
        content = draw.draw(CONTENTS[kind])
        inside = content + bytes((p2,)) + (bytes(10) if spoil == "frame" else PADDING)
        if p1 & 0x80:
            data = bytes(8) + inside
            self.both(self.send(ins, p1, p2, data + caad), tear=tear)
            return
        key = self.sam.key(0xC4 if spoil == "key" else by)
        assert key is not None
        challenge = self.sam.volatile.challenge
        if p1 & 8:
            number = self.sam.counter_of(key)
            challenge = (self.sam.counter(number) if number else 0).to_bytes(8)
        if spoil == "challenge":
            challenge = b"\x55" * 8
        bound = p2 ^ 1 if spoil == "p2" else p2
        data = self.suite.seal_sam_block(key.value, challenge, bound, inside)
        sealed = Sealed(0xC4 if spoil == "key" else by, challenge, bound, inside)
        if self.same_value(key.reference, by):
            sealed = sealed._replace(key=by)
        self.both(self.send(ins, p1, p2, data + caad), sealed=sealed, tear=tear)

    def same_value(self, one: int, other: int) -> bool:
        """Two system keys may have been written with one value."""
        mine, theirs = self.sam.key(one), self.sam.key(other)
        return mine is not None and theirs is not None and mine.value == theirs.value


def key_object(  # noqa: PLR0917 - one for each byte
    kif: int, kvc: int, alg: int, par4: int, par6: int, par10: int
) -> bytes:
    return bytes((kif, kvc, alg, 7, 0, 0, par4, 1, par6, 0, 0, 0, par10)) + b"\x5e" * 16


CONTENTS: dict[str, st.SearchStrategy[bytes]] = {
    "work": st.builds(
        key_object,
        st.sampled_from([0xAA, 0x30, 0xE1, 0x00]),
        st.sampled_from([0x71, 0x72, 0x79]),
        st.sampled_from([0x40, 0xA0, 0x41]),
        st.sampled_from([0, 9, 27]),
        st.sampled_from([0, 0x81]),
        st.sampled_from([0, 0, 1]),
    ),
    "system": st.builds(
        key_object,
        st.sampled_from([0xE1, 0xFD, 0xE7, 0xFA, 0x30]),
        st.just(0xF5),
        st.sampled_from([0x40, 0xA0]),
        st.sampled_from([0, 1, 3]),
        st.just(0),
        st.sampled_from([0, 0, 1]),
    ),
    "lock": st.builds(
        key_object,
        st.sampled_from([0xEF, 0xEF, 0xEE]),
        st.just(1),
        st.just(0),
        st.just(0),
        st.just(0),
        st.sampled_from([0, 1]),
    ),
    "ceiling": st.builds(
        lambda number, value, last: (
            bytes((number,)) + value.to_bytes(3) + bytes(24) + bytes((last,))
        ),
        st.integers(0, 27),
        st.sampled_from([0, 5, 0xFFFFFA, 0xFFFFFB]),
        st.sampled_from([0, 0, 0, 1]),
    ),
    "ceilings": st.builds(
        lambda value, bits: value.to_bytes(3) * 9 + bits.to_bytes(2),
        st.sampled_from([0, 7, 0x20000, 0xFFFFFA, 0xFFFFFB]),
        st.sampled_from([0, 0x1FF, 0x200]),
    ),
    "parameters": st.builds(
        lambda flags: bytes((flags,)) + bytes(28), st.sampled_from([4, 4, 4, 0, 5, 6, 8, 0x14])
    ),
}

TestSamAgainstItsModel = pytest.mark.slow(SamMachine.TestCase)
