"""A second, simple Calypso card, PKI left out: files, counters, PIN, Stored Value, sessions.

Written from the facts sheet alone, without a look at the emulator; it imports nothing of the project.
It answers byte for byte: MACs, cryptograms and signatures come from the suite that it is handed, which
is written from docs/crypto.md. What only chance knows it takes from the answer that it judges.

A session writes at once and keeps a backup, as the sheet's terminal does; an abort brings it back.

Where the sheet leaves a choice, the card's own, told in docs/calypso-commands.md, is taken; such places
say `choice`.

Source: calypso-card §4, §5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.calypso_files import OK, Answer
from models.calypso_secrets import SecretCommands
from models.calypso_state import (
    AES,
    Command,
    File,
    Key,
    No,
    Session,
    SvGet,
    parse,
    session_bytes,
    without_le,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SV = {0x7C, 0xB8, 0xBA, 0xBC}
UNDIGESTED = {0x8E, 0x82, 0xC0}


class CalypsoModel(SecretCommands):
    """A card of which only the rules are known."""

    def exchange(self, raw: bytes, answer: bytes) -> bytes:
        """Tell what `raw` should be answered.

        Args:
            raw: the command on the wire.
            answer: what the card said: bytes of chance are taken out of it, nothing else.
        """
        now = self.now
        if now.awaits_ratification:
            now.awaits_ratification = False
            self.kept.ratified[now.df.lid] = True
        challenge, now.challenge = now.challenge, None
        sv, now.sv = now.sv, None
        session = now.session
        c = parse(raw)
        ins = raw[1] if len(raw) > 1 else 0
        clear = session is None or not session.encrypted or ins in UNDIGESTED or c is None
        if session is not None and not clear and c is not None:
            c = c._replace(data=session.digest.cipher(c.data))
        digested = session is not None and ins not in UNDIGESTED
        digested = digested and raw[1:4] != b"\xb2\0\0"
        if session is not None and digested:
            plain = without_le(raw)
            session.digest.absorb(plain[:5] + c.data if c is not None and c.data else plain)
        self.answer = answer
        if session is not None and not clear:
            self.answer = session.digest.cipher(answer[:-2]) + answer[-2:]
        data, sw = self.execute(c, challenge, sv)
        told = data
        if session is not None and digested and now.session is session:
            if not clear:
                told = session.digest.cipher(data)
            session.digest.absorb(data + sw.to_bytes(2))
        return told + sw.to_bytes(2)

    def execute(self, c: Command | None, challenge: bytes | None, sv: SvGet | None) -> Answer:
        if c is None:
            return b"", 0x6700
        try:
            self.check_class(c)
            return self.handler(c, challenge, sv)(c)
        except No as no:
            return b"", no.sw

    def check_class(self, c: Command) -> None:
        """§4.23."""
        if c.cla in self.product.classes:
            return
        if c.ins == 0xC0 and c.cla == 0x80:  # choice: as a SAM beside it takes it
            return
        if self.product.revision < 3 and c.cla == 0xFA and c.ins in {*SV, 0xC0}:
            return
        raise No(0x6E00)

    def handler(
        self, c: Command, challenge: bytes | None, sv: SvGet | None
    ) -> Callable[[Command], Answer]:
        product = self.product
        rows: dict[int, tuple[bool, Callable[[Command], Answer]]] = {
            0x04: (True, self.change_status),
            0x44: (True, self.change_status),
            0x20: (self.has(1), lambda c: self.verify_pin(c, challenge)),
            0x30: (True, self.count),
            0x32: (True, self.count),
            0x38: (product.counts_multiple, self.count_multiple),
            0x3A: (product.counts_multiple, self.count_multiple),
            0x7C: (self.has(2), self.sv_get),
            0xB8: (self.has(2), lambda c: self.sv_operate(c, sv)),
            0xBA: (self.has(2), lambda c: self.sv_operate(c, sv)),
            0xBC: (self.has(2), lambda c: self.sv_operate(c, sv)),
            0x82: (self.has(8), self.manage),
            0x84: (True, self.get_challenge),
            0x8A: (True, self.open),
            0x8E: (True, self.close),
            0xA2: (product.searches, self.search),
            0xA4: (True, self.select),
            0xB0: (product.binary, self.read_binary),
            0xB2: (True, self.read_records),
            0xB3: (product.reads_multiple, self.read_multiple),
            0xC0: (True, self.get_response),
            0xCA: (True, self.get_data),
            0xD0: (product.binary, self.write_binary),
            0xD6: (product.binary, self.write_binary),
            0xD2: (True, self.write_record),
            0xDC: (True, self.write_record),
            0xE2: (True, self.append),
            0xD8: (product.changes_keys, lambda c: self.change_secret(c, challenge)),
        }
        there, handler = rows.get(c.ins, (False, None))
        if not there or handler is None:
            raise No(0x6D00)
        return handler

    @staticmethod
    def get_response(c: Command) -> Answer:
        if c.data:
            raise No(0x6700)
        raise No(0x6985)

    # Sessions

    def open(self, c: Command) -> Answer:
        revision, mode = self.product.revision, c.p2 & 7
        number, index = c.p1 >> 3, c.p1 & 7
        if revision == 2:
            number &= 0x0F
        right = {1: mode == 0, 2: mode == 0 and c.p1 >= 0x80}.get(
            revision, mode == 1 or (mode == 2 and self.has(8))
        )
        if not right:
            raise No(0x6B00)
        extended = mode == 2
        pre = c.p2 == 2 and len(c.data) == 1 and extended
        if not pre and len(c.data) != (9 if extended else 4):
            raise No(0x6700)
        if self.now.session is not None:
            raise No(0x6985)
        if pre and number:
            raise No(0x6B00)
        if extended and c.data[0]:
            raise No(0x6A80)
        key = self.key(index) if 1 <= index <= 3 else None
        if key is None:
            raise No(0x6A81)
        return self.opened(c, key, index, number, extended=extended, pre=pre)

    def opened(
        self, c: Command, key: Key, index: int, number: int, *, extended: bool, pre: bool
    ) -> Answer:
        now = self.now
        frozen = now.frozen
        fits = extended and not pre and not number and frozen is not None and frozen[0] == index
        if not fits and not self.kept.counter:
            raise No(0x6900)
        file = self.to_read_at_opening(c.p2 >> 3, number, index) if number else None
        if fits and frozen is not None:
            answer = frozen[1]
        else:
            self.spend()
            answer = self.announcement(key, self.record(file, number) if file else b"", extended)
        now.frozen = (index, answer) if pre else None
        if pre:
            return answer, 0x6200
        if file is not None:
            now.file = file
        challenge = c.data[1:] if extended else c.data
        mode = "extended" if extended else "regular"
        digest = self.suite.Session(key.value, mode, challenge, answer)
        left = self.product.buffer or session_bytes(now.df.startup[0])
        now.session = Session(extended, index, key, digest, left, self.kept.copy())
        return answer, OK

    def to_read_at_opening(self, sfi: int, number: int, index: int) -> File:
        """The record that Open reads: its conditions are those of the session to come."""
        file = self.readable(sfi, number)
        condition, level = file.access[0], file.levels[0]
        if condition == 0x10 and index <= level:
            return file
        self.may_read(file)
        return file

    def announcement(self, key: Key, record: bytes, extended: bool) -> bytes:
        """The answer to Open (§4.17)."""
        counter = self.kept.counter.to_bytes(3)
        ratified = self.kept.ratified[self.now.df.lid]
        revision = self.product.revision
        if revision < 3:
            kvc = bytes((key.kvc,)) if revision == 2 else b""
            chance = self.chance(len(kvc) + 3, 1)
            loose = b"" if ratified else self.chance(len(kvc) + 4, 2)
            return kvc + counter + chance + loose + record
        if extended:
            flags = (not ratified) | 2 * (key.algorithm in AES)
            head = counter + self.chance(3, 5) + bytes((flags,))
        else:
            head = counter + self.chance(3, 1) + bytes((not ratified,))
        return head + bytes((key.kif, key.kvc, len(record))) + record

    def close(self, c: Command) -> Answer:
        if c.p1 not in {0x00, 0x80} or c.p2:
            raise No(0x6B00)
        abort = not c.data
        if (abort and c.p1) or len(c.data) not in {0, 4, 8}:
            raise No(0x6700)
        session = self.now.session
        if session is None:
            raise No(0x6985)
        if abort:
            self.roll_back()
            return b"", OK
        if len(c.data) != (8 if session.extended else 4):
            raise No(0x6700)
        if c.data != session.digest.mac(1)[: len(c.data)]:
            self.roll_back()
            raise No(0x6988)
        self.now.session = None
        self.kept.ratified[self.now.df.lid] = c.p1 == 0x80
        self.now.awaits_ratification = c.p1 == 0x00
        size = 8 if session.manageable else 4
        return session.postponed + session.digest.mac(2)[:size], OK

    def manage(self, c: Command) -> Answer:
        if c.p1 or c.p2 > 3:
            raise No(0x6B00)
        authenticate = bool(c.p2 & 1)
        if len(c.data) != (8 if authenticate else 0):
            raise No(0x6700)
        session = self.now.session
        if session is None or not session.manageable:
            raise No(0x6985)
        if authenticate and c.data != session.digest.mac(3):
            self.roll_back()
            raise No(0x6988)
        session.encrypted = bool(c.p2 & 2)
        return (session.digest.mac(4) if authenticate else b""), OK
