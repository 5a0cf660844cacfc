"""Rules of the Calypso machine about files: selection, reading, writing, counters."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule
from models.calypso_state import BINARY, COUNTERS, CYCLIC, LINEAR, SIMULATED
from support.calypso_exchange import (
    ANY,
    LE,
    PICK,
    SMALL,
    Exchanges,
    Spoilt,
    spoilt_somehow,
)

SIZES = st.sampled_from([1, 1, 2, 2, 3, 4, 5, 0])


class FileRules(Exchanges):
    """Commands on files, right and wrong."""

    # Selection

    @rule(
        pick=SMALL,
        size=st.sampled_from([16, 16, 5, 8, 4]),
        p2=st.sampled_from([0, 0, 0, 2, 1, 3, 4, 8, 12, 5, 16]),
        le=LE,
        spoilt=spoilt_somehow,
    )
    def select_application(
        self, pick: int, size: int, p2: int, le: int | None, spoilt: Spoilt
    ) -> None:
        directories = self.model.directories
        aid = directories[pick % len(directories)].aid[:size]
        self.send(0xA4, 4, p2, aid, le, spoilt, cla=0)

    @rule(
        form=st.sampled_from([0x0200, 0x0202, 0x0202, 0x0900, 0x0900, 0x0800, 0x0000, 0x0300]),
        pick=PICK,
        le=LE,
        spoilt=spoilt_somehow,
    )
    def select_file(self, form: int, pick: int, le: int | None, spoilt: Spoilt) -> None:
        df = self.model.now.df
        lids = [b"\0\0", b"\x3f\0", b"", df.lid.to_bytes(2)]
        lids += [one.lid.to_bytes(2) for one in self.model.directories]
        lids += [file.lid.to_bytes(2) for file in df.files]
        lid = lids[pick % len(lids)]
        if form == 0x0202 and pick < 20:
            lid = b"\0\0"
        if form == 0x0800 and pick % 3:
            lid = df.lid.to_bytes(2) + lid
        self.send(0xA4, form >> 8, form & 255, lid, le, spoilt)

    @rule(
        tag=st.sampled_from(
            [0x006F, 0x0062, 0x00C0, 0x0185, 0xDF2C, 0xDF4C, 0x004F, 0x00D0, 0x5F52, 0x1234]
        ),
        le=LE,
        spoilt=spoilt_somehow,
    )
    def get_data(self, tag: int, le: int | None, spoilt: Spoilt) -> None:
        self.send(0xCA, tag >> 8, tag & 255, b"", le, spoilt)

    # Files

    @rule(pick=PICK, number=SMALL, form=st.sampled_from([4, 4, 5]), le=LE, spoilt=spoilt_somehow)
    def read_records(
        self, pick: int, number: int, form: int, le: int | None, spoilt: Spoilt
    ) -> None:
        sfi = self.sfi(pick, LINEAR, CYCLIC, COUNTERS, SIMULATED)
        self.send(0xB2, number, sfi * 8 + form, b"", le, spoilt)

    @rule(pick=PICK, number=SMALL, offset=SMALL, size=SIZES, le=LE, spoilt=spoilt_somehow)
    def read_record_multiple(  # noqa: PLR0917 - the parts of an APDU
        self, pick: int, number: int, offset: int, size: int, le: int | None, spoilt: Spoilt
    ) -> None:
        sfi = self.sfi(pick, LINEAR, CYCLIC, COUNTERS, SIMULATED)
        self.send(0xB3, number, sfi * 8 + 5, bytes((0x54, 2, offset, size)), le, spoilt)

    @rule(
        pick=PICK,
        number=SMALL,
        mode=st.sampled_from([0, 1, 0x80, 0x81, 0xFF]),
        offset=SMALL,
        wanted=st.binary(min_size=1, max_size=3),
        mask=st.sampled_from([0, 0xFF, 0x0F]),
        le=LE,
        spoilt=spoilt_somehow,
    )
    def search(  # noqa: PLR0917 - the parts of an APDU
        self,
        pick: int,
        number: int,
        mode: int,
        offset: int,
        wanted: bytes,
        mask: int,
        le: int | None,
        spoilt: Spoilt,
    ) -> None:
        sfi = self.sfi(pick, LINEAR, CYCLIC, COUNTERS, SIMULATED)
        data = bytes((mode, offset, len(wanted))) + wanted + bytes((mask,)) * len(wanted)
        self.send(0xA2, number, sfi * 8 + 7, data, le, spoilt)

    @rule(
        pick=PICK,
        offset=st.sampled_from([0, 1, 5, 15, 16, 19, 255, 256, 299, 300]),
        le=LE,
        spoilt=spoilt_somehow,
    )
    def read_binary(self, pick: int, offset: int, le: int | None, spoilt: Spoilt) -> None:
        sfi = self.sfi(pick, BINARY)
        if sfi and offset <= 255:
            self.send(0xB0, 0x80 + sfi, offset, b"", le, spoilt)
        else:
            self.send(0xB0, offset >> 8, offset & 255, b"", le, spoilt)

    @rule(
        ins=st.sampled_from([0xD0, 0xD6]),
        pick=PICK,
        offset=st.sampled_from([0, 1, 5, 15, 16, 19, 255, 256, 299, 300]),
        data=st.binary(max_size=8),
        le=st.sampled_from([None, None, None, 0]),
        spoilt=spoilt_somehow,
    )
    def write_binary(  # noqa: PLR0917 - the parts of an APDU
        self, ins: int, pick: int, offset: int, data: bytes, le: int | None, spoilt: Spoilt
    ) -> None:
        sfi = self.sfi(pick, BINARY)
        if sfi and offset <= 255:
            self.send(ins, 0x80 + sfi, offset, data, le, spoilt)
        else:
            self.send(ins, offset >> 8, offset & 255, data, le, spoilt)

    @rule(
        ins=st.sampled_from([0xD2, 0xDC, 0xDC]),
        pick=PICK,
        number=st.sampled_from([1, 1, 1, 2, 3, 0, 4]),
        size=st.sampled_from([29, 4, 3, 6, 1, 30, 0, 64]),
        fill=ANY,
        le=st.sampled_from([None, None, None, None, 0]),
        spoilt=spoilt_somehow,
    )
    def write_record(  # noqa: PLR0917 - the parts of an APDU
        self,
        ins: int,
        pick: int,
        number: int,
        size: int,
        fill: int,
        le: int | None,
        spoilt: Spoilt,
    ) -> None:
        sfi = self.sfi(pick, LINEAR, CYCLIC, COUNTERS, SIMULATED)
        data = bytes((fill + n) & 255 for n in range(size))
        self.send(ins, number, sfi * 8 + 4, data, le, spoilt)

    @rule(pick=PICK, size=st.sampled_from([29, 4, 3, 1, 30, 0]), fill=ANY, spoilt=spoilt_somehow)
    def append(self, pick: int, size: int, fill: int, spoilt: Spoilt) -> None:
        self.send(0xE2, 0, self.sfi(pick, CYCLIC) * 8, bytes((fill,)) * size, None, spoilt)

    # Counters

    @rule(
        ins=st.sampled_from([0x30, 0x32, 0x32]),
        pick=PICK,
        number=SMALL,
        step=st.sampled_from([0, 1, 2, 255, 0x7FFFFF, 0xFFFFFF]),
        le=LE,
        spoilt=spoilt_somehow,
    )
    def count(  # noqa: PLR0917 - the parts of an APDU
        self, ins: int, pick: int, number: int, step: int, le: int | None, spoilt: Spoilt
    ) -> None:
        sfi = self.sfi(pick, COUNTERS, SIMULATED)
        kinds = {file.sfi: file.kind for file in self.model.now.df.files}
        if kinds.get(sfi) == SIMULATED and spoilt.by < 200:
            number = 0
        self.send(ins, number, sfi * 8, step.to_bytes(3), le, spoilt)

    @rule(
        ins=st.sampled_from([0x38, 0x3A, 0x3A]),
        pick=PICK,
        steps=st.lists(st.tuples(SMALL, st.sampled_from([0, 1, 2, 0xFFFFFF])), max_size=4),
        inorder=st.booleans(),
        le=LE,
        spoilt=spoilt_somehow,
    )
    def count_multiple(  # noqa: PLR0917 - the parts of an APDU
        self,
        ins: int,
        pick: int,
        steps: list[tuple[int, int]],
        inorder: bool,
        le: int | None,
        spoilt: Spoilt,
    ) -> None:
        if inorder:
            steps = sorted(dict(steps).items())
        data = b"".join(bytes((number,)) + step.to_bytes(3) for number, step in steps)
        self.send(ins, 0, self.sfi(pick, COUNTERS) * 8, data, le, spoilt)

    # The DF

    @rule(
        ins=st.sampled_from([0x04, 0x44, 0x44]),
        le=st.sampled_from([0, 0, None, 8]),
        spoilt=spoilt_somehow,
    )
    def change_status(self, ins: int, le: int | None, spoilt: Spoilt) -> None:
        self.send(ins, 0, 0, b"", le, spoilt)

    # What a terminal can read

    @rule(pick=PICK)
    def read_a_file(self, pick: int) -> None:
        """Read a file through, its descriptor too, by plain commands."""
        files = self.model.now.df.files
        file = files[pick % len(files)]
        p1 = 0x02 if self.product.revision < 3 else 0x09
        self.send(0xA4, p1, 0x00, file.lid.to_bytes(2), 0)
        if file.kind == BINARY:
            self.send(0xB0, 0, 0, b"", 0)
        for number in range(1, min(file.count, 4) + 1):
            self.send(0xB2, number, 4, b"", 0)

    @rule()
    def enumerate_files(self) -> None:
        """List the files of the DF, as a terminal does that knows nothing of it."""
        for p2 in (0x00, 0x02, 0x02, 0x02, 0x02):
            self.send(0xA4, 0x02, p2, b"\0\0", 0)
