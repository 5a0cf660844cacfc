"""PIN, keys and Stored Value of the simple Calypso card.

Part of `calypso_card`, written from the facts sheet alone, without a look at the emulator.

Source: calypso-card §4.11 to §4.15, §4.23, §6, §7; docs/crypto.md.
"""

from __future__ import annotations

from models.calypso_files import OK, Answer, FileCommands
from models.calypso_state import Command, File, Key, No, SvGet

WRONG = {2: 0x63C2, 1: 0x63C1, 0: 0x6983}


class SecretCommands(FileCommands):
    """What a secret opens."""

    def get_challenge(self, c: Command) -> Answer:
        if c.p1 or c.p2:
            raise No(0x6B00)
        if c.data or c.le != 8:
            raise No(0x6700)
        self.now.challenge = self.chance(0, 8)
        return self.now.challenge, OK

    # PIN

    def verify_pin(self, c: Command, challenge: bytes | None) -> Answer:
        if c.p1 or c.p2:
            raise No(0x6B00)
        if len(c.data) not in {0, 4, 8}:
            raise No(0x6700)
        if self.is_invalidated:
            raise No(0x6985)
        kept = self.kept
        if not c.data:
            if kept.tries < 3:
                raise No(WRONG[kept.tries])
            return b"", OK
        if not kept.tries:
            raise No(0x6983)
        if not kept.counter:
            raise No(0x6900)
        right = kept.pin if len(c.data) == 4 else self.cryptogram(challenge)
        self.spend()
        self.now.pin_verified = c.data == right
        kept.tries = 3 if c.data == right else kept.tries - 1
        if c.data != right:
            raise No(WRONG[kept.tries])
        return b"", OK

    def cryptogram(self, challenge: bytes | None) -> bytes:
        """What the right PIN looks like ciphered: under key 3, in a session under its key (§7)."""
        if challenge is None:
            raise No(0x6982)
        session = self.now.session
        key = session.key if session is not None else self.key(3)
        value = bytes(16) if key is None else key.value  # choice: the null key ciphers too
        made: bytes = self.suite.pin_presentation(value, challenge, self.kept.pin)
        return made

    def unseal(self, key: bytes, label: str, challenge: bytes, sealed: bytes) -> bytes | None:
        """Open what docs/crypto.md seals; None: it does not check."""
        suite, check = self.suite, sealed[:8]
        start = suite.cmac(key, suite.framed(label + " counter", challenge, check))
        content: bytes = suite.counter_mode(key, start, sealed[8:])
        return content if suite.seal(key, label, [challenge], content) == sealed else None

    def change_secret(self, c: Command, challenge: bytes | None) -> Answer:
        """Change PIN and Change Key (§4.13, §4.14)."""
        for_pin = c.p2 == 0xFF and self.has(1)
        for_key = 1 <= c.p2 <= 3 and self.product.changes_keys
        if c.p1 or not (for_pin or for_key):
            raise No(0x6B00)
        if len(c.data) not in {0x04, 0x10, 0x18, 0x20}:
            raise No(0x6700)
        if self.now.session is not None:
            raise No(0x6985)
        if (len(c.data) in {0x04, 0x10}) is not for_pin:
            raise No(0x6A87)
        if self.is_invalidated:
            raise No(0x6985)
        if not self.kept.counter:
            raise No(0x6900)
        if len(c.data) == 4:
            if not self.now.pin_verified:
                raise No(0x6982)
            self.spend()
            return self.new_pin(c.data)
        if challenge is None:
            raise No(0x6982)
        return self.change_pin(c, challenge) if for_pin else self.change_key(c, challenge)

    def issued(self, label: str, challenge: bytes, sealed: bytes) -> bytes:
        """Open what the issuer key has sealed; the attempt counts as a transaction (§5.7)."""
        self.spend()
        issuer = self.key(1)
        cipher = issuer.value if issuer is not None else bytes(16)
        content = self.unseal(cipher, label, challenge, sealed)
        if content is None:
            raise No(0x6988)
        return content

    def change_pin(self, c: Command, challenge: bytes) -> Answer:
        content = self.issued("PIN change", challenge, c.data)
        if content[:4] not in {bytes(4), self.kept.pin}:
            raise No(0x6A80)
        return self.new_pin(content[4:])

    def change_key(self, c: Command, challenge: bytes) -> Answer:
        if len(c.data) == 0x18:
            raise No(0x6A80)
        content = self.issued("key", challenge, c.data)
        kif, kvc, algorithm = content[16:19]
        # Choice: a key without KIF or KVC is none.
        if (
            content[19:] != bytes(5)
            or not kif
            or not kvc
            or algorithm not in self.product.algorithms
        ):
            raise No(0x6A80)
        self.kept.keys["key", self.now.df.lid, c.p2] = Key(kif, kvc, algorithm, content[:16])
        self.now.frozen = None  # what a pre-open announced is not true any more
        return b"", OK

    def new_pin(self, pin: bytes) -> Answer:
        self.kept.pin, self.kept.tries = pin, 3
        return b"", OK

    # Stored Value

    def log(self, kind: str) -> File:
        """A log as a file that is always there, whichever DF is current (§6.1)."""
        count = 1 if kind == "load" else 3
        store = ("log", kind)
        return File(0, 0, 4, 29, count, b"", b"", 0, store)

    def purse_key(self, *, load: bool) -> Key:
        assert self.purse is not None
        return self.kept.keys[self.purse[0 if load else 1]]

    def sv_get(self, c: Command) -> Answer:
        if c.data:  # choice: before P1 and P2
            raise No(0x6700)
        if c.p1 not in {0, self.has(8)} or c.p2 not in {7, 9}:
            raise No(0x6A81)
        extended, load = c.p1 == 1, c.p2 == 7
        size = 61 if extended else 33 if load else 30
        if c.le not in {None, 256, size}:
            raise No(0x6A86)
        session = self.now.session
        if session is not None and session.sv_done:
            raise No(0x6985)
        key, kept = self.purse_key(load=load), self.kept
        number = kept.number.to_bytes(2)
        balance = (kept.balance % (1 << 24)).to_bytes(3)
        load_log = self.record(self.log("load"), 1)[:22]
        debit_log = self.record(self.log("debit"), 1)[:19]
        if extended:
            answer = self.chance(0, 8) + bytes((key.kvc,)) + number + kept.signature
            answer += balance + load_log + debit_log
        else:
            answer = bytes((key.kvc,)) + number + kept.signature[:3]
            answer += self.chance(6, 2) + balance + (load_log if load else debit_log)
        got = bytes((0x7C, c.p1, c.p2, size)) + answer + b"\x90\0"
        self.now.sv = SvGet(c.p2, extended, key.kvc, key.value, got)
        return answer, OK

    def sv_operate(self, c: Command, got: SvGet | None) -> Answer:
        """Reload, Debit, Undebit (§6.4 to §6.7)."""
        load = c.ins == 0xB8
        if len(c.data) not in {0x14, 0x17, 0x19, 0x1C}:
            raise No(0x6700)
        if self.is_invalidated:
            raise No(0x6985)
        kept, session = self.kept, self.now.session
        if got is None or (got.p2 == 7) is not load:
            raise No(0x6985)
        fixed = 18 if load else 15
        kvc = c.data[4 if load else 7]
        if len(c.data) != fixed + (10 if got.extended else 5) or kvc != got.kvc:
            raise No(0x6985)
        if not kept.counter or kept.number >= 0xFFFE:
            raise No(0x6900)
        message = got.transcript + bytes((c.ins, 0, 0, len(c.data))) + b"\0"
        tail = c.data[fixed - 7 : fixed]  # SAM id 4, SAM TNum 3
        message += c.data[1 : fixed - 7]
        message += bytes((c.p1, c.p2, c.data[0])) + tail[4:] + tail[:4]
        high = c.data[fixed:]
        if high != self.suite.sv_signature_hi(got.key, message, len(high)):
            raise No(0x6988)
        amount = int.from_bytes(c.data[6:9] if load else c.data[1:3], signed=True)
        if (c.ins == 0xBA and amount > 0) or (c.ins == 0xBC and amount < 0):  # choice
            raise No(0x6985)
        balance = kept.balance + amount
        if not -(1 << 23) <= balance < 1 << 23:
            raise No(0x6985)
        self.charge(len(c.data))
        self.spend()
        size = 6 if got.extended else 3
        low: bytes = self.suite.sv_signature_lo(got.key, message, high, size)
        kept.number += 1
        kept.balance, kept.signature = balance, low.ljust(6, b"\0")
        after, number = (balance % (1 << 24)).to_bytes(3), kept.number.to_bytes(2)
        d = c.data
        entry = (
            d[1:6] + after + d[6:11] + tail + number
            if load
            else d[1:3] + d[3:8] + tail + after + number
        )
        log = self.log("load" if load else "debit")
        record = (entry + low).ljust(29, b"\0")
        kept.content[log.store] = (record + kept.content[log.store])[: 29 * log.count]
        if session is None:
            return low, OK
        session.sv_done = True
        session.postponed += bytes((size + 1,)) + low
        return b"", 0x6200
