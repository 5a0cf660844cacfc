"""A second, simple SAM: what it answers, but no cryptography.

Written from the facts sheet alone, without a look at the emulator: it imports nothing of ours but the
APDU. Bytes that cryptography or chance fills are `None` in an expected answer. Whether a MAC or a lock
value that comes in is right, and what a sealed block holds, is told to the model by who made it.

Source: legacy-sam §4 to §6, §14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cardbench.protocol.apdu import CommandApdu

OK = 0x9000
Bytes = list[int | None]


class Expected(NamedTuple):
    """An answer: data byte by byte, None where any byte is right, and the status word."""

    data: Bytes
    sw: int


class Sealed(NamedTuple):
    """What a block was made from: key reference C1…C3, challenge, P2, and the 40 bytes inside."""

    key: int
    challenge: bytes
    p2: int
    inside: bytes


class No(Exception):
    """A refusal."""

    def __init__(self, sw: int) -> None:
        self.sw = sw


def opaque(count: int) -> Bytes:
    return [None] * count


class Session:
    def __init__(self, *, extended: bool, aes: bool) -> None:
        self.extended, self.aes = extended, aes
        self.elements = 0
        self.proofs = 0


class SamModel:
    """A SAM of which only the rules are known."""

    def __init__(
        self,
        *,
        serial: bytes,
        work: dict[int, bytes],
        system: dict[int, bytes],
        lock: bytes | None,
        parameters: bytes,
        extended: bool,
        multiple: bool,
        most: int,
    ) -> None:
        self.serial = serial
        self.work, self.system, self.lock = dict(work), dict(system), lock
        self.parameters = parameters
        self.extended, self.multiple, self.most = extended, multiple, most
        self.counters = [0] * 27
        self.ceilings = [0xFFFFFA] * 27
        self.free = [0, 0, 0]
        self.sv_number = 0
        self.busy_until_ms = 0
        self.now_ms = 0
        self.reset()

    def reset(self) -> None:
        """Power: all that is volatile goes, a lock locks."""
        self.locked = self.lock is not None
        self.flags_at_reset = self.parameters[0]
        self.diversifier = False
        self.random = False
        self.challenge: bytes | None = None
        self.session: Session | None = None
        self.phase = "idle"
        self.sv: bool | None = None  # extended?
        self.found = 0
        self.pending: Bytes = []

    # One command

    def answer(
        self, command: CommandApdu, *, right: bool = False, sealed: Sealed | None = None
    ) -> Expected:
        """Tell the answer and move on.

        Args:
            command: what is sent.
            right: the MAC, signature or lock value in it is right.
            sealed: what the block in it was made from; None: it is no block.
        """
        self.right, self.sealed = right, sealed
        pending, self.pending = self.pending, []
        try:
            if command.ins == 0xC0 and command.cla in {0x00, 0x80, 0x94}:
                data, sw = self.get_response(command, pending)
            else:
                data, sw = self.execute(command)
        except No as no:
            if command.ins == 0xC0:  # refused: what waits still waits
                self.pending = pending
            return Expected([], no.sw)
        most = command.ne or 256
        if len(data) > most:
            self.pending = data[most:]
            left = len(self.pending)
            return Expected(data[:most], 0x6100 | (left if left < 256 else 0))
        return Expected(data, sw)

    def kept(self) -> tuple[object, ...]:
        """All that survives a power failure."""
        return (
            self.counters,
            self.ceilings,
            self.free,
            self.sv_number,
            self.parameters,
            self.work,
            self.system,
            self.lock,
            max(0, self.busy_until_ms - self.now_ms),
        )

    def learn_challenge(self, challenge: bytes) -> None:
        """Take what Get Challenge really gave."""
        self.challenge = challenge

    def get_response(self, command: CommandApdu, pending: Bytes) -> tuple[Bytes, int]:
        self.parameters_are(command, 0x6B00, (0, 0))
        self.length_is(command, 0)
        if not pending:
            raise No(0x6985)
        return pending, OK

    def execute(self, command: CommandApdu) -> tuple[Bytes, int]:
        if command.cla not in {0x80, 0x94}:
            raise No(0x6E00)
        handler = {
            0x12: self.card_cipher,
            0x14: self.select_diversifier,
            0x16: self.sam_cipher,
            0x1A: self.write_key,
            0x1C: self.data_cipher,
            0x20: self.unlock,
            0x2A: self.pso,
            0x54: self.sv_prepare,
            0x56: self.sv_prepare,
            0x58: self.sv_check,
            0x5C: self.sv_prepare,
            0x82: self.digest_authenticate,
            0x84: self.get_challenge,
            0x86: self.give_random,
            0x88: self.internal_authenticate,
            0x8A: self.digest_init,
            0x8C: self.digest_update,
            0x8E: self.digest_close,
            0xBC: self.read_key,
            0xBE: self.read_data,
            0xD8: self.write_data,
        }.get(command.ins)
        if handler is None or (command.ins == 0x88 and not self.extended):
            raise No(0x6D00)
        return handler(command)

    # Rules that many share

    @staticmethod
    def parameters_are(command: CommandApdu, sw: int, *allowed: tuple[int, int]) -> None:
        if (command.p1, command.p2) not in allowed:
            raise No(sw)

    @staticmethod
    def length_is(command: CommandApdu, *allowed: int) -> None:
        if len(command.data) not in allowed:
            raise No(0x6700)

    def unlocked(self) -> None:
        if self.locked:
            raise No(0x6985)

    @staticmethod
    def need(condition: object, sw: int = 0x6985) -> None:
        if not condition:
            raise No(sw)

    def key(self, kif: int, kvc: int) -> bytes:
        for record in sorted(self.work):
            block = self.work[record]
            if (block[0], block[1]) == (kif, kvc):
                return block
        raise No(0x6A83)

    def check_counter(self, block: bytes) -> int:
        number = block[6]
        if number and self.counters[number] >= self.ceilings[number]:
            raise No(0x6900)
        return number

    def count(self, block: bytes) -> None:
        number = self.check_counter(block)
        if number:
            self.counters[number] += 1

    # Challenges and locks

    def select_diversifier(self, command: CommandApdu) -> tuple[Bytes, int]:
        self.parameters_are(command, 0x6B00, (0, 0))
        self.length_is(command, 4, 8)
        self.unlocked()
        self.diversifier = True
        return [], OK

    def get_challenge(self, command: CommandApdu) -> tuple[Bytes, int]:
        self.parameters_are(command, 0x6B00, (0, 0))
        self.length_is(command, 0)
        self.need(command.ne in {4, 8}, 0x6700)
        return opaque(command.ne or 0), OK

    def give_random(self, command: CommandApdu) -> tuple[Bytes, int]:
        self.parameters_are(command, 0x6B00, (0, 0))
        self.length_is(command, 8)
        self.random = True
        return [], OK

    def unlock(self, command: CommandApdu) -> tuple[Bytes, int]:
        self.parameters_are(command, 0x6B00, (0, 0))
        self.length_is(command, 8, 16)
        self.need(self.locked)
        if len(command.data) == 8:
            challenge, self.challenge = self.challenge, None
            self.need(challenge is not None and len(challenge) == 8, 0x6988)
        self.need(self.right, 0x6988)
        self.locked = False
        return [], OK

    # Digest

    def digest_init(self, command: CommandApdu) -> tuple[Bytes, int]:
        self.need(command.p1 <= 3, 0x6B00)
        data = command.data
        by_name = command.p2 == 0xFF
        self.need(len(data) >= 4, 0x6700)
        self.need(not by_name or len(data) >= 6, 0x6700)
        self.need(by_name or 1 <= command.p2 <= 0x7E, 0x6A00)
        self.session, self.phase = None, "idle"
        extended = command.p1 & 2 != 0
        length = 8 if extended else 4
        self.need(not command.p1 & 1 and self.diversifier)
        self.need(not extended or self.extended)
        self.need(self.challenge is not None and len(self.challenge) >= length)
        if by_name:
            block = self.key(data[0], data[1])
        else:
            self.need(command.p2 in self.work, 0x6A83)
            block = self.work[command.p2]
        self.count(block)
        self.challenge = None
        self.session = Session(extended=extended, aes=block[2] in {0xA0, 0xB0})
        self.phase = "running"
        return [], OK

    def running(self) -> Session:
        if self.session is None or self.phase == "closed":
            raise No(0x6985)
        return self.session

    def digest_update(self, command: CommandApdu) -> tuple[Bytes, int]:
        forms = [(0, 0)]
        forms += [(0, 0x80)] if self.extended else []
        forms += [(0x80, 0)] if self.multiple else []
        self.parameters_are(command, 0x6B00, *forms)
        data = command.data
        self.need(1 <= len(data) <= self.most, 0x6700)
        session = self.running()
        if command.p1:
            count, at = 0, 0
            while at < len(data):
                self.need(data[at] and at + data[at] < len(data), 0x6A80)
                at += 1 + data[at]
                count += 1
            session.elements += count
            return [], OK
        if not command.p2:
            session.elements += 1
            return [], OK
        self.need(session.extended and session.aes)
        is_request = session.elements % 2 == 0
        self.need(len(data) >= (5 if is_request else 2), 0x6A80)
        answer: Bytes = list(data)
        first, behind = (5, min(len(data), 5 + data[4])) if is_request else (0, len(data) - 2)
        answer[first:behind] = opaque(max(0, behind - first))
        session.elements += 1
        return answer, OK

    def digest_close(self, command: CommandApdu) -> tuple[Bytes, int]:
        self.parameters_are(command, 0x6B00, (0, 0))
        self.length_is(command, 0)
        session = self.running()
        self.need(session.elements % 2 == 0)
        length = 8 if session.extended else 4
        self.need(command.ne == length, 0x6700)
        self.phase = "closed"
        return opaque(length), OK

    def internal_authenticate(self, command: CommandApdu) -> tuple[Bytes, int]:
        self.parameters_are(command, 0x6B00, (0x80, 0))
        self.length_is(command, 0)
        session = self.running()
        self.need(session.extended and session.aes and session.proofs < 249)
        session.proofs += 1
        self.phase = "proved"
        return opaque(8), OK

    def digest_authenticate(self, command: CommandApdu) -> tuple[Bytes, int]:
        self.parameters_are(command, 0x6B00, (0, 0))
        self.length_is(command, 4, 8)
        session = self.session
        if session is None or self.phase not in {"closed", "proved"}:
            raise No(0x6985)
        length = len(command.data)
        self.need(
            length == 8 if self.phase == "proved" else session.extended or length == 4, 0x6700
        )
        if not self.right:
            self.session, self.phase = None, "idle"
            raise No(0x6988)
        if self.phase == "closed":
            self.session, self.phase = None, "idle"
        else:
            self.phase = "running"
        return [], OK

    # Cards

    def card_cipher(self, command: CommandApdu) -> tuple[Bytes, int]:
        forms = {
            (0x80, 0xFF): (6, 8),
            (0x40, 0xFF): (10, 16),
            (0xFF, 0xFF): (5, 32),
            (0xFF, 0): (3, 32),
        }
        self.parameters_are(command, 0x6A00, *forms)
        length, size = forms[command.p1, command.p2]
        self.length_is(command, length)
        data = command.data
        is_pin = command.p1 != 0xFF
        self.need(is_pin or data[-1] == 0x90, 0x6A80)
        self.need(self.random and self.diversifier)
        block = self.key(data[0], data[1])
        if is_pin:
            self.count(block)
        elif length == 5:
            self.key(data[2], data[3])
        self.random = False
        return opaque(size), OK

    def sv_prepare(self, command: CommandApdu) -> tuple[Bytes, int]:
        self.parameters_are(command, 0x6A00, (1, 0xFF))
        load = command.ins == 0x56
        answers = (33, 61) if load else (30, 61)
        behind = 15 if load else 12
        lengths = [4 + answer + 2 + behind for answer in answers]
        self.length_is(command, *lengths[: 2 if self.extended else 1])
        data = command.data
        extended = len(data) == lengths[1]
        answer = answers[extended]
        kvc = data[4 + 8] if extended else data[4]
        partial = data[-behind:]
        ins = {0x56: 0xB8, 0x54: 0xBA, 0x5C: 0xBC}[command.ins]
        lc = {False: 0x17, True: 0x1C}[extended] if load else {False: 0x14, True: 0x19}[extended]
        self.need(data[:3] == bytes((0x7C, extended, 0x07 if load else 0x09)), 0x6A80)
        self.need(data[3] in {0, answer}, 0x6A80)
        self.need(data[4 + answer : 6 + answer] == b"\x90\0", 0x6A80)
        self.need(partial[:5] == bytes((ins, 0, 0, lc, 0)), 0x6A80)
        self.need(partial[8 if load else 11] == kvc, 0x6A80)
        self.need(self.diversifier and self.sv_number < 0xFFFFFF)
        self.key(0x07 if load else 0x10, kvc)
        self.sv_number += 1
        self.sv = extended
        signature = 10 if extended else 5
        return [*opaque(3), *self.sv_number.to_bytes(3), *opaque(signature)], OK

    def sv_check(self, command: CommandApdu) -> tuple[Bytes, int]:
        self.parameters_are(command, 0x6B00, (0, 0))
        self.length_is(command, 0, 3, 6)
        self.need(self.sv is not None)
        if command.data:
            self.length_is(command, 6 if self.sv else 3)
        self.sv = None
        self.need(not command.data or self.right, 0x6988)
        return [], OK

    # Signatures

    def data_cipher(self, command: CommandApdu) -> tuple[Bytes, int]:
        self.parameters_are(command, 0x6B00, (0x40, 0))
        size = len(command.data) - 2
        self.need(8 <= size <= 208 and size % 8 == 0, 0x6700)
        self.unlocked()
        self.need(self.diversifier)
        block = self.key(command.data[0], command.data[1])
        self.need(block[7] & 1 and block[3] & 1 and block[2] not in {0xA0, 0xB0})
        self.count(block)
        return opaque(8), OK

    def pso(self, command: CommandApdu) -> tuple[Bytes, int]:
        self.parameters_are(command, 0x6B00, (0x9E, 0x9A), (0x00, 0xA8))
        verify = command.p1 == 0
        data = command.data
        self.need(6 <= len(data) <= 220 if verify else 5 <= len(data) <= 212, 0x6700)
        mode, size = data[3] >> 4, data[3] & 15
        self.need(data[0] == 0xFF and mode & 7 in {0, 4, 6} and 1 <= size <= 8, 0x6A80)
        busy = mode & 8 != 0
        serial = {0: 0, 4: 3, 6: 4}[mode & 7]
        message = data[6 if serial else 4 :]
        if verify:
            room = len(message) - size
            message = message[: max(room, 0)]
            if room < 0 or (serial and len(data) < 6):
                raise No(0x6700)
        self.need(1 <= len(message) <= (206 if serial else 208), 0x6700)
        offset = int.from_bytes(data[4:6]) if serial else 0
        width = 8 * (serial + 3) if serial else 0
        self.need(offset + width <= 8 * len(message), 0x6A80)
        self.need(self.diversifier)
        block = self.key(data[1], data[2])
        if verify:
            return self.verify(busy=busy)
        self.count(block)
        if not serial:
            return opaque(size), OK
        number = block[6]
        counter = self.counters[number] if number else 0
        bits = "".join(f"{byte:08b}" for byte in message)
        trace = "".join(f"{byte:08b}" for byte in self.serial[4 - serial :] + counter.to_bytes(3))
        bits = bits[:offset] + trace + bits[offset + width :]
        traced = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
        return [*traced, *opaque(size)], OK

    def verify(self, *, busy: bool) -> tuple[Bytes, int]:
        if busy and self.now_ms < self.busy_until_ms:
            self.now_ms += 100
            raise No(0x6982)
        if not self.right:
            if busy:
                self.busy_until_ms = self.now_ms + 3000
            raise No(0x6988)
        return [], OK

    # Reading

    def frame(self, content: bytes, reference: int) -> tuple[Bytes, int]:
        block = self.system.get(0xC4)
        tail = content + bytes((reference,)) + self.serial
        if block is None:
            return [*bytes(8), *tail, *bytes(3), 0x80, 0, 0], 0x6200
        self.count(block)
        return [*opaque(8), *tail, block[0], 0xFF, block[2], 0x80, 0, 0], OK

    def read_key(self, command: CommandApdu) -> tuple[Bytes, int]:
        p2 = command.p2
        known = 1 <= p2 <= 0x7E or p2 in {0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xE0, 0xF0, 0xF8, 0xFA}
        self.need(command.p1 == 0 and known, 0x6A00)
        self.length_is(command, 2)
        kif, kvc = command.data
        if p2 in {0xF8, 0xFA}:
            return self.search(kif, next_one=p2 == 0xFA)
        if p2 == 0xF0:
            self.key(kif, kvc)
            p2 = min(r for r, block in self.work.items() if (block[0], block[1]) == (kif, kvc))
        elif p2 == 0xC0:
            p2 = {0xE1: 0xC1, 0xFD: 0xC2, 0xE7: 0xC3, 0xFA: 0xC4}.get(kif, 0)
        found = self.lock if p2 == 0xE0 else self.system.get(p2) or self.work.get(p2)
        if found is None:
            raise No(0x6A83)
        return self.frame(found, p2)

    def search(self, kif: int, *, next_one: bool) -> tuple[Bytes, int]:
        self.need(not next_one or self.found, 0x6A83)
        for record in sorted(self.work):
            if self.work[record][0] == kif and (not next_one or record > self.found):
                answer = self.frame(self.work[record], record)
                self.found = record
                return answer
        self.found = 0
        raise No(0x6A83)

    def read_data(self, command: CommandApdu) -> tuple[Bytes, int]:
        p1, p2 = command.p1, command.p2
        one_ceiling = p2 == 0xB8 and p1 <= 26
        known = 0x80 <= p2 <= 0x9A or p2 in {0xA0, 0xB1, 0xB2, 0xB3, 0xE1, 0xE2, 0xE3}
        self.need(one_ceiling or (p1 == 0 and known), 0x6A00)
        self.length_is(command, 0)
        if p2 == 0xA0:
            return self.frame(self.parameters, p2)
        if p2 == 0xB8:
            return self.frame(bytes((p1,)) + self.ceilings[p1].to_bytes(3) + bytes(25), p2)
        if p2 < 0xA0:
            number = p2 - 0x80
            return self.frame(bytes((number,)) + self.counters[number].to_bytes(3) + bytes(25), p2)
        record = (p2 & 15) - 1
        values = self.ceilings if p2 < 0xE0 else self.counters
        content = b"".join(value.to_bytes(3) for value in values[9 * record : 9 * record + 9])
        bits = self.free[record] if p2 < 0xE0 else 0
        return self.frame(content + bits.to_bytes(2), p2)

    # Control

    def sam_cipher(self, command: CommandApdu) -> tuple[Bytes, int]:
        p1, p2, data = command.p1, command.p2, command.data
        is_data = p2 in {0xA0, 0xB1, 0xB2, 0xB3, 0xB8} or 0xE8 <= p2 <= 0xEE
        is_key = 1 <= p2 <= 0x7E or p2 in {0xC0, 0xE0, 0xF0}
        self.need((is_data and p1 & 0x81 == 0) or (is_key and p1 <= 1), 0x6A00)
        self.length_is(command, *((30,) if is_data else (13, 21)))
        if is_data:
            self.unlocked()
        self.need(is_data or len(data) == 13 or p1 == 1, 0x6700)
        self.need(self.random and self.diversifier)
        system = 0xE1 if p2 in {0xC0, 0xE0} else 0xFD
        kif = {0xA: 0xE1, 0xB: 0xE7, 0xE: 0xFD}[p2 >> 4] if is_data else system
        block = self.key(kif, data[0])
        self.need(block[3] & 1)
        if is_data:
            self.count(block)
        else:
            self.key(data[1], data[2])
        self.random = False
        return opaque(48), OK

    # Writing

    def open_block(self, command: CommandApdu, key: int) -> bytes:
        """Return the object in a block; the caller counts once it is accepted."""
        block = self.system.get(key)
        if block is None:
            raise No(0x6A83)
        static = command.p1 & 8
        self.need(block[3] & 1 and (not static or block[3] & 4))
        if static:
            number = block[6]
            challenge: bytes | None = (self.counters[number] if number else 0).to_bytes(8)
        else:
            challenge = self.challenge
            self.need(challenge is not None and len(challenge) == 8)
        self.check_counter(block)
        if not static:
            self.challenge = None
        sealed = self.sealed
        if sealed is None or (sealed.key, sealed.challenge, sealed.p2) != (
            key,
            challenge,
            command.p2,
        ):
            raise No(0x6988)
        return self.unwrap(sealed.inside, command.p2)

    def unwrap(self, inside: bytes, p2: int) -> bytes:
        self.need(inside[29:] == bytes((p2,)) + bytes(7) + b"\x80\0\0", 0x6A80)
        return inside[:29]

    def take_plain(self, command: CommandApdu) -> bytes:
        self.need(not any(command.data[:8]), 0x6A80)
        return self.unwrap(command.data[8:48], command.p2)

    def write_key(self, command: CommandApdu) -> tuple[Bytes, int]:
        p1, p2 = command.p1, command.p2
        is_work = 1 <= p2 <= 0x7E or p2 == 0xF0
        self.need(is_work or p2 in {0xC0, 0xE0}, 0x6A00)
        self.length_is(command, 48, 80)
        self.unlocked()
        allowed = {0xC0: {0, 8}, 0xE0: {0, 8, 0x80}}.get(p2, {0, 8, 0x80, 0xC0})
        self.need(p1 in allowed, 0x6A00)
        plain = p1 & 0x80
        long = len(command.data) == 80
        self.need(not long or (is_work and not plain), 0x6A87)
        if is_work:
            return self.write_work_key(command, long=long)
        if p2 == 0xC0:
            self.need(not self.parameters[0] & 1)
            content = self.open_block(command, 0xC1)
            reference = {0xE1: 0xC1, 0xFD: 0xC2, 0xE7: 0xC3, 0xFA: 0xC4}.get(content[0])
            self.need(reference is not None and self.is_good(content), 0x6A80)
            self.need(not any(content[9:13]), 0x6A80)
            self.count(self.system[0xC1])
            self.system[reference or 0] = content[:13]
            return [], OK
        self.need(not self.flags_at_reset & 0x10)
        self.need(not plain or not self.flags_at_reset & 0x08)
        content = self.take_plain(command) if plain else self.open_block(command, 0xC1)
        self.need(content[0] == 0xEF and (plain or not any(content[9:13])), 0x6A80)
        if not plain:
            self.count(self.system[0xC1])
        self.lock = content[:13]
        return [], OK

    @staticmethod
    def is_good(block: bytes) -> bool:
        return bool(block[0] and block[1] and block[2] in {0x40, 0xA0, 0xB0} and block[6] <= 26)

    def write_work_key(self, command: CommandApdu, *, long: bool) -> tuple[Bytes, int]:
        plain, p2 = command.p1 & 0x80, command.p2
        free = [record for record in range(1, 0x7F) if record not in self.work]
        self.need(p2 != 0xF0 or free)
        record = free[0] if p2 == 0xF0 else p2
        self.need(not self.parameters[0] & 2)
        self.need(not plain or self.parameters[0] & 4)
        self.need(record not in self.work)
        content = self.take_plain(command) if plain else self.open_block(command, 0xC2)
        self.need(self.is_good(content) and (plain or not any(content[9:13])), 0x6A80)
        names = {(block[0], block[1]) for block in self.work.values()}
        self.need((content[0], content[1]) not in names, 0x6A80)
        self.need(content[0] not in {0xE1, 0xFD} or not self.parameters[0] & 1, 0x6A80)
        if long:  # no CAAD record is ever there
            self.need(0x81 <= content[8] <= 0x87, 0x6A80)
            raise No(0x6A83)
        if not plain:
            self.count(self.system[0xC2])
        self.work[record] = content[:13]
        return [], OK

    def write_data(self, command: CommandApdu) -> tuple[Bytes, int]:
        p1, p2 = command.p1, command.p2
        self.need(p2 in {0xA0, 0xB1, 0xB2, 0xB3, 0xB8}, 0x6A00)
        self.length_is(command, 48)
        self.unlocked()
        self.need(not p1 & 0x80)
        self.need(p1 in {0, 8}, 0x6A00)
        if p2 == 0xA0:
            self.need(not self.parameters[0] & 1)
            content = self.open_block(command, 0xC1)
            self.count(self.system[0xC1])
            self.parameters = content
            return [], OK
        content = self.open_block(command, 0xC3)
        key = self.system[0xC3]
        if p2 == 0xB8:
            number, value = content[0], int.from_bytes(content[1:4])
            self.need(number <= 26 and value <= 0xFFFFFA and not any(content[4:]), 0x6A80)
            self.count(key)
            self.ceilings[number] = value
            return [], OK
        record = (p2 & 15) - 1
        bits = int.from_bytes(content[27:])
        values = [int.from_bytes(content[3 * n : 3 * n + 3]) for n in range(9)]
        self.need(bits <= 0x1FF and max(values) <= 0xFFFFFA, 0x6A80)
        for place, value in enumerate(values):
            raised = value - self.ceilings[9 * record + place]
            self.need(key[2] in {0xA0, 0xB0} or raised <= 131_071, 0x6A80)
        self.count(key)
        self.ceilings[9 * record : 9 * record + 9] = values
        self.free[record] = bits & ~1 if record == 0 else bits
        return [], OK
