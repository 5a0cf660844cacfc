"""Files of the simple Calypso card: selection, descriptors, records, binaries, counters, search.

Part of `calypso_card`, written from the facts sheet alone, without a look at the emulator.

Source: calypso-card §2, §3, §4.1 to §4.10, §4.16, §4.22.
"""

from __future__ import annotations

from models.calypso_state import (
    BINARY,
    COUNTERS,
    CYCLIC,
    LINEAR,
    SIMULATED,
    Command,
    Directory,
    File,
    No,
    State,
)

Answer = tuple[bytes, int]
OK = 0x9000


def tlv(tag: str, value: bytes) -> bytes:
    return bytes.fromhex(tag) + bytes((len(value),)) + value


class FileCommands(State):
    """Reading, writing and selecting."""

    # Selection

    def select(self, c: Command) -> Answer:
        if c.p1 == 4 and self.product.selects:
            return self.select_application(c)
        form = c.p1 << 8 | c.p2
        if form == 0x0200:
            return self.select_first(self.lid(c, 2))
        if form == 0x0202:
            return self.select_next(self.lid(c, 2))
        if form == 0x0900:
            lid = self.lid(c, 0, 2)
            return self.select_directory() if lid is None else self.select_lid(lid)
        if form == 0x0000:
            lid = self.lid(c, 0, 2)
            return self.select_anything(int.from_bytes(lid or b"\x3f\0"))
        if form == 0x0300:
            self.lid(c, 0)
            return self.select_anything(0x3F00)  # every DF here is the MF's
        if form == 0x0800:
            return self.select_path(c)
        raise No(0x6B00)

    @staticmethod
    def lid(c: Command, *sizes: int) -> bytes | None:
        if len(c.data) not in sizes:
            raise No(0x6700)
        return None if c.data in {b"", b"\0\0"} and 0 in sizes and c.p1 == 9 else c.data or None

    def made_current(self, file: File | None) -> Answer:
        self.now.file = file
        return self.descriptor(), OK

    def select_first(self, lid: bytes | None) -> Answer:
        files = self.now.df.files
        if lid == b"\0\0" and files:
            return self.made_current(files[0])
        return self.select_lid(lid)

    def select_next(self, data: bytes | None) -> Answer:
        if data != b"\0\0":
            raise No(0x6A80)
        files = self.now.df.files
        at = files.index(self.now.file) + 1 if self.now.file else 0
        if at >= len(files):
            raise No(0x6A82)
        return self.made_current(files[at])

    def select_lid(self, lid: bytes | None) -> Answer:
        for file in self.now.df.files:
            if lid and file.lid == int.from_bytes(lid):
                return self.made_current(file)
        if lid and self.now.df.lid == int.from_bytes(lid):
            return self.made_current(None)
        raise No(0x6A82)

    def select_directory(self) -> Answer:
        return self.made_current(None)

    def select_anything(self, lid: int) -> Answer:
        """Select an EF of the current DF, or a DF. Choice: any DF, not the MF alone."""
        for file in self.now.df.files:
            if file.lid == lid:
                return self.made_current(file)
        for df in self.directories:
            if df.lid == lid:
                return self.entered(df) if df is not self.now.df else self.made_current(None)
        raise No(0x6A82)

    def select_path(self, c: Command) -> Answer:
        if len(c.data) not in {2, 4, 6, 8}:
            raise No(0x6700)
        lids = [int.from_bytes(c.data[at : at + 2]) for at in range(0, len(c.data), 2)]
        df, file = self.now.df, None
        for step, lid in enumerate(lids):
            inside = [one for one in df.files if one.lid == lid]
            whole = [one for one in self.directories if one.lid == lid]
            if file is None and inside and step == len(lids) - 1:
                file = inside[0]
            elif file is None and whole:
                df = whole[0]
            else:
                raise No(0x6A82)
        if df is not self.now.df:
            self.entered(df)
        return self.made_current(file)

    def entered(self, df: Directory) -> Answer:
        """Another DF becomes current: as any selection, it ends the session (§2.1)."""
        self.roll_back()
        now = self.now
        now.df, now.file, now.pin_verified, now.frozen = df, None, False, None
        return self.descriptor(), OK

    def select_application(self, c: Command) -> Answer:
        if c.p2 & ~0x0F:
            raise No(0x6B00)
        if not 5 <= len(c.data) <= 16:
            raise No(0x6700)
        if c.p2 & 0x0C == 8:  # choice: there is no FMD, and its length is looked at first
            raise No(0x6B00)
        all_of_them = self.directories
        here = all_of_them.index(self.now.df)
        occurrence = c.p2 & 3
        order = {
            0: all_of_them,
            1: all_of_them[::-1],
            2: all_of_them[here + 1 :],
            3: all_of_them[:here][::-1],
        }[occurrence]
        for df in order:
            if df.aid.startswith(c.data):
                self.entered(df)
                sw = 0x6283 if self.is_invalidated else OK
                form = c.p2 & 0x0C
                return (self.fci() if form == 0 else self.descriptor() if form == 4 else b""), sw
        raise No(0x6A82)

    def fci(self) -> bytes:
        """The answer to a selection; a revision 1 card has none (§1.1)."""
        df = self.now.df
        if not self.product.selects:
            return b""
        inside = tlv("C7", self.serial) + tlv("53", df.startup)
        return tlv("6F", tlv("84", df.aid) + tlv("A5", tlv("BF0C", inside)))

    def descriptor(self) -> bytes:
        """Descriptor of the current file (§3.2)."""
        df, file = self.now.df, self.now.file
        status = bytes((self.is_invalidated,))
        if file is None:
            kvcs = bytes(key.kvc if (key := self.key(index)) else 0 for index in (1, 2, 3))
            kifs = bytes(key.kif if (key := self.key(index)) else 0 for index in (1, 2, 3))
            kifs = bytes(3) if self.product.revision == 2 else kifs
            head = bytes((0, 1 if df.is_master else 2, 0, 0, 0))
            body = head + df.access + df.levels + status + kvcs + kifs
            lid = df.lid
        else:
            size = file.size.to_bytes(2) if file.kind == BINARY else bytes((file.size, file.count))
            head = bytes((file.sfi, 4, file.kind)) + size
            body = head + file.access + file.levels + status + file.reference.to_bytes(2) + bytes(4)
            lid = file.lid
        tail = lid.to_bytes(2) + b"\0" if self.product.revision == 2 else b"\0" + lid.to_bytes(2)
        return b"\x85\x17" + body + tail

    def get_data(self, c: Command) -> Answer:
        tag = c.p1 << 8 | c.p2
        if c.data:  # choice: before the tag
            raise No(0x6700)
        if tag in {0xDF2C, 0xDF4A, 0xDF4B, 0xDF4C, 0xDF4D}:
            value = b""
        elif (value := self.plain_object(tag)) is None:
            raise No(0x6B00)
        if not value:
            raise No(0x6A88)
        return value, 0x6283 if tag == 0x006F and self.is_invalidated else OK

    def plain_object(self, tag: int) -> bytes | None:
        """What Get Data has without PKI; empty: not on this card. Choice: 004F, 00D0, 5F52."""
        df = self.now.df
        others = [tlv("4F", one.aid) for one in self.directories if one is not df]
        if tag == 0x00C0:
            blocks = b""
            for file in df.files:
                if file.listed:
                    end = (file.size << 8 if file.kind != BINARY else 0) | (
                        file.size if file.kind == BINARY else file.count
                    )
                    blocks += b"\xc1\x06" + file.lid.to_bytes(2) + bytes((file.sfi, file.kind))
                    blocks += end.to_bytes(2)
            return tlv("C0", blocks)
        return {
            0x006F: self.fci(),
            0x0062: self.descriptor(),
            0x0185: self.traceability,
            0x004F: tlv("4F", df.aid),
            0x00D0: b"".join(others),
            0x5F52: self.historical,
        }.get(tag)

    # Reading

    def readable(self, sfi: int, number: int, *, binary: bool = False) -> File:
        """Find a file to read, as far as to its record or offset."""
        file = self.locate(sfi)
        if (file.kind == BINARY) is not binary:
            raise No(0x6981)
        if binary and number >= file.size:
            raise No(0x6A83)
        if not binary and not 1 <= number <= file.count:
            raise No(0x6A83)
        return file

    def may_read(self, file: File) -> None:
        session = self.now.session
        if file.is_log and session is not None and session.sv_done:
            raise No(0x6985)
        self.require(file.access[0], file.levels[0])

    def read_records(self, c: Command) -> Answer:
        several = c.p2 & 7 == 5 and self.product.reads_several
        if not (c.p2 & 7 == 4 or several):
            raise No(0x6B00)
        if c.data:
            raise No(0x6700)
        file = self.readable(c.p2 >> 3, c.p1)
        self.may_read(file)
        self.now.file = file
        if not several:
            return self.record(file, c.p1)[: c.le], OK
        out = b""
        for number in range(c.p1, file.count + 1):
            record = self.record(file, number)
            if len(out) + 2 + len(record) > (c.le or 256):
                # Choice: one record at least, and what of it fits.
                return (out or (bytes((number, len(record))) + record)[: c.le]), OK
            out += bytes((number, len(record))) + record
        return out, OK

    def read_multiple(self, c: Command) -> Answer:
        if c.p2 & 7 != 5:
            raise No(0x6B00)
        if len(c.data) != 4:
            raise No(0x6700)
        file = self.readable(c.p2 >> 3, c.p1)
        self.may_read(file)
        tag, size_of_rest, offset, size = c.data
        if (tag, size_of_rest) != (0x54, 2) or not size or offset + size > file.record_size:
            raise No(0x6A80)
        fit = (c.le or 256) // size
        if not fit:
            raise No(0x6700)
        self.now.file = file
        numbers = range(c.p1, file.count + 1)
        out = b"".join(self.record(file, one)[offset : offset + size] for one in numbers[:fit])
        return out, 0x6200 if fit < len(numbers) else OK

    def search(self, c: Command) -> Answer:
        if c.p2 & 7 != 7:
            raise No(0x6B00)
        if len(c.data) < 4:
            raise No(0x6700)
        file = self.readable(c.p2 >> 3, c.p1)
        self.may_read(file)
        mode, offset, n = c.data[:3]
        if mode & 0x7E or not n or len(c.data) != 3 + 2 * n or offset + n > file.record_size:
            raise No(0x6A80)
        wanted, mask = c.data[3 : 3 + n], c.data[3 + n :]
        last = file.record_size - n if mode & 0x80 else offset
        found = []
        for number in range(c.p1, file.count + 1):
            record = self.record(file, number)
            if any(
                all((record[at + i] ^ wanted[i]) & mask[i] == 0 for i in range(n))
                for at in range(offset, last + 1)
            ):
                found.append(number)
        out = bytes((len(found), *found))
        if mode & 1 and found:
            out += self.record(file, found[0])
        if len(out) > (c.le or 256):
            raise No(0x6400)
        self.now.file = file
        return out, OK

    def place(self, c: Command) -> tuple[int, int]:
        """SFI and offset of a binary command (§4.4)."""
        if c.p1 < 0x80:
            return 0, c.p1 << 8 | c.p2
        if c.p1 > 0x9F:
            raise No(0x6B00)
        return c.p1 & 0x1F, c.p2

    def read_binary(self, c: Command) -> Answer:
        sfi, offset = self.place(c)
        if c.data:
            raise No(0x6700)
        file = self.readable(sfi, offset, binary=True)
        self.may_read(file)
        self.now.file = file
        return self.kept.content[file.store][offset:][: c.le or 256], OK

    # Writing

    def may_write(self, file: File, group: int) -> None:
        if self.is_invalidated:
            raise No(0x6985)
        self.require(file.access[group], file.levels[group])

    def written(self, file: File, c: Command, at: int, *, merge: bool) -> Answer:
        """Update, or Write, which is an OR."""
        self.charge(len(c.data))
        data = c.data[:3] if file.kind == SIMULATED else c.data  # choice: 29 bytes are announced
        if merge:
            old = self.kept.content[file.store][at : at + len(data)]
            data = bytes(a | b for a, b in zip(old, data, strict=True))
        self.put(file, at, data)
        self.now.file = file
        return b"", OK

    def write_binary(self, c: Command) -> Answer:
        sfi, offset = self.place(c)
        self.case_3(c)
        file = self.readable(sfi, offset, binary=True)
        if offset + len(c.data) > file.size:
            raise No(0x6700)
        merge = c.ins == 0xD0
        self.may_write(file, 2 if merge else 1)
        return self.written(file, c, offset, merge=merge)

    @staticmethod
    def case_3(c: Command) -> None:
        """A command with data; choice: a Le that is too much is no mistake."""
        if not c.data:
            raise No(0x6700)

    def write_record(self, c: Command) -> Answer:
        if c.p2 & 7 != 4:
            raise No(0x6B00)
        self.case_3(c)
        merge = c.ins == 0xD2
        file = self.locate(c.p2 >> 3)
        if file.kind == BINARY or (merge and file.kind not in {LINEAR, CYCLIC}):
            raise No(0x6981)
        if not 1 <= c.p1 <= file.count:
            raise No(0x6A83)
        if file.kind == CYCLIC and c.p1 != 1:
            raise No(0x6981)
        if len(c.data) > file.size:
            raise No(0x6700)
        self.may_write(file, 2 if merge else 1)
        return self.written(file, c, (c.p1 - 1) * file.size, merge=merge)

    def append(self, c: Command) -> Answer:
        if c.p1 or c.p2 & 7:
            raise No(0x6B00)
        self.case_3(c)
        file = self.locate(c.p2 >> 3)
        if file.kind != CYCLIC:
            raise No(0x6981)
        if len(c.data) > file.size:
            raise No(0x6700)
        self.may_write(file, 3)
        self.charge(len(c.data))
        old = self.kept.content[file.store]
        self.kept.content[file.store] = c.data.ljust(file.size, b"\0") + old[: -file.size]
        self.now.file = file
        return b"", OK

    # Counters

    def stepped(self, file: File, number: int, step: int) -> bytes:
        at = file.offset + 3 * (number - 1)
        value = int.from_bytes(self.kept.content[file.store][at : at + 3]) + step
        if not 0 <= value <= 0xFFFFFF:
            raise No(0x6A80)
        return value.to_bytes(3)

    def count(self, c: Command) -> Answer:
        if c.p1 > 83 or c.p2 & 7:
            raise No(0x6B00)
        if len(c.data) != 3:
            raise No(0x6700)
        file = self.locate(c.p2 >> 3)
        if file.kind not in {COUNTERS, SIMULATED}:
            raise No(0x6981)
        number = c.p1 + 1 if file.kind == SIMULATED else c.p1
        if not 1 <= number <= file.counters:
            raise No(0x6B00)
        up = c.ins == 0x32
        self.may_write(file, 3 if up else 2)
        step = int.from_bytes(c.data)
        value = self.stepped(file, number, step if up else -step)
        self.charge(3)
        self.put(file, 3 * (number - 1), value)
        self.now.file = file
        session = self.now.session
        if session is not None and self.product.postpones:
            session.postponed += b"\x04" + value
            return b"", 0x6200
        return value, OK

    def count_multiple(self, c: Command) -> Answer:
        if c.p1 or c.p2 & 7:
            raise No(0x6B00)
        if not c.data or len(c.data) % 4:
            raise No(0x6700)
        file = self.locate(c.p2 >> 3)
        if file.kind != COUNTERS:
            raise No(0x6981)
        up = c.ins == 0x3A
        self.may_write(file, 3 if up else 2)
        blocks = [c.data[at : at + 4] for at in range(0, len(c.data), 4)]
        numbers = [block[0] for block in blocks]
        # Choice: not in order is no mistake.
        if (
            len(set(numbers)) != len(numbers)
            or not 1 <= min(numbers) <= max(numbers) <= file.counters
        ):
            raise No(0x6A80)
        values = []
        for block in blocks:
            step = int.from_bytes(block[1:])
            values.append(self.stepped(file, block[0], step if up else -step))
        self.charge(len(c.data))
        out = b""
        for number, value in zip(numbers, values, strict=True):
            self.put(file, 3 * (number - 1), value)
            out += bytes((number,)) + value
        self.now.file = file
        return out, OK

    # The DF

    def change_status(self, c: Command) -> Answer:
        """Invalidate and Rehabilitate (§4.16)."""
        if c.p1 or c.p2:
            raise No(0x6B00)
        if c.data:
            raise No(0x6700)
        down = c.ins == 0x04
        if self.is_invalidated is down:
            raise No(0x6985)
        df = self.now.df
        group = 1 if down else 0
        self.require(df.access[group], df.levels[group])
        self.charge(0)
        self.kept.invalidated[df.lid] = down
        return b"", OK
