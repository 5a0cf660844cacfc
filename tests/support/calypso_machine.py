"""A Hypothesis state machine: a Calypso card and a simple model of one get the same commands."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from models.calypso_state import BINARY, COUNTERS, CYCLIC, LINEAR, SIMULATED
from support.calypso_exchange import (
    ANY,
    LE,
    PICK,
    SMALL,
    TERMINAL_CHALLENGE,
    Spoilt,
    commands,
    in_a_manageable_session,
    in_a_session,
    in_no_session,
    spoilt_somehow,
)
from support.calypso_file_rules import FileRules
from support.calypso_secret_rules import SecretRules


class CardMachine(FileRules, SecretRules):
    """All rules: of files, of secrets, and here of sessions and of nonsense."""

    # The way of a good terminal, so that deep states are reached

    def open_rightly(self, index: int, extended: bool, number: int = 0, sfi: int = 0) -> None:
        revision = self.product.revision
        extended = extended and self.model.has(8)
        data = b"\0" + TERMINAL_CHALLENGE if extended else TERMINAL_CHALLENGE[:4]
        p1 = (0x80 if revision == 2 else 0) + number * 8 + index
        low = 0 if revision < 3 else 2 if extended else 1
        self.send(0x8A, p1, sfi * 8 + low, data, 0)

    @precondition(in_no_session)
    @rule(index=st.sampled_from([1, 1, 2, 3]), extended=st.booleans())
    def open_a_session(self, index: int, extended: bool) -> None:
        self.open_rightly(index, extended)

    @precondition(in_no_session)
    @rule(index=st.sampled_from([1, 1, 2, 3]), extended=st.booleans())
    def open_another_session(self, index: int, extended: bool) -> None:
        self.open_rightly(index, extended)

    @precondition(in_no_session)
    @rule(index=st.sampled_from([1, 2, 3]), extended=st.booleans(), pick=PICK, number=SMALL)
    def open_with_a_record(self, index: int, extended: bool, pick: int, number: int) -> None:
        self.open_rightly(index, extended, number, self.sfi(pick, LINEAR, CYCLIC, COUNTERS))

    @precondition(in_no_session)
    @rule(index=st.sampled_from([1, 2, 3]), read=st.booleans(), other=st.booleans())
    def open_early(self, index: int, read: bool, other: bool) -> None:
        """Pre-open, and the session that it announced (§5.9)."""
        if self.model.has(8):
            self.send(0x8A, index, 0x02, b"\0", 0)
            if read:
                self.send(0xB2, 1, self.sfi(0, LINEAR) * 8 + 4, b"", 0)
            self.open_rightly(index % 3 + 1 if other else index, True)

    @precondition(in_a_session)
    @rule(p1=st.sampled_from([0x00, 0x80]), wrong_bit=st.sampled_from([0, 0, 0, 1, 0x80]))
    def close_the_session(self, p1: int, wrong_bit: int) -> None:
        session = self.model.now.session
        assert session is not None
        mac = session.digest.mac(1)[: 8 if session.extended else 4]
        self.send(0x8E, p1, 0, mac[:-1] + bytes((mac[-1] ^ wrong_bit,)), 0)

    @precondition(in_a_manageable_session)
    @rule(encrypted=st.booleans())
    def authenticate(self, encrypted: bool) -> None:
        session = self.model.now.session
        assert session is not None
        self.send(0x82, 0, 3 if encrypted else 1, session.digest.mac(3), 0)

    @precondition(in_a_manageable_session)
    @rule()
    def encrypt(self) -> None:
        self.send(0x82, 0, 2, b"", 0)

    @precondition(in_a_session)
    @rule(ins=st.sampled_from([0x04, 0x44]))
    def change_status_in_a_session(self, ins: int) -> None:
        self.send(ins, 0, 0, b"", 0)

    @rule(pick=PICK, either=st.booleans(), fill=ANY)
    def write_rightly(self, pick: int, either: bool, fill: int) -> None:
        """Modify a file in a way that its type allows; whether a key is there is another matter."""
        files = [file for file in self.model.now.df.files if file.sfi]
        file = files[pick % len(files)]
        data, p2 = bytes((fill ^ n) & 255 for n in range(file.size)), file.sfi * 8
        if file.kind == LINEAR:
            self.send(0xDC if either else 0xD2, 1 + fill % file.count, p2 + 4, data[: fill or 1])
        elif file.kind == CYCLIC:
            self.send(*((0xE2, 0, p2) if either else (0xDC, 1, p2 + 4)), data)
        elif file.kind == BINARY:
            at = fill % file.size
            size = min(file.size - at, 30)
            self.send(0xD6 if either else 0xD0, 0x80 + file.sfi, at, data[:size])
        else:
            number = 0 if file.kind == SIMULATED else 1 + fill % file.counters
            step = (fill % 5).to_bytes(3)
            self.send(0x32 if either else 0x30, number, p2, step, 0 if fill & 1 else None)

    @rule(pick=PICK, either=st.booleans(), fill=ANY)
    def write_rightly_again(self, pick: int, either: bool, fill: int) -> None:
        self.write_rightly(pick, either, fill)

    @precondition(in_a_session)
    @rule(pick=PICK, either=st.booleans())
    def fill_the_buffer(self, pick: int, either: bool) -> None:
        """Modify until the session buffer refuses; where it is large, not to its end."""
        for fill in range(9):
            self.write_rightly(pick, either, 3 * fill)

    @rule(pick=PICK, up=st.booleans(), step=SMALL)
    def count_several_rightly(self, pick: int, up: bool, step: int) -> None:
        for file in self.model.now.df.files:
            if file.kind == COUNTERS and file.sfi == self.sfi(pick, COUNTERS):
                numbers = range(1, 1 + file.counters)
                data = b"".join(bytes((number,)) + step.to_bytes(3) for number in numbers)
                self.send(0x3A if up else 0x38, 0, file.sfi * 8, data, 0)

    # Sessions

    @rule(
        index=st.sampled_from([1, 2, 3, 1, 2, 3, 0, 4]),
        number=st.sampled_from([0, 0, 1, 1, 2, 31]),
        pick=PICK,
        mode=st.sampled_from(["right", "right", "right", "extended", "extended", "pre", "other"]),
        first=st.sampled_from([0] * 9 + [1]),
        le=st.sampled_from([0, 0, None]),
        spoilt=spoilt_somehow,
    )
    def open(  # noqa: PLR0917 - the parts of an APDU
        self,
        index: int,
        number: int,
        pick: int,
        mode: str,
        first: int,
        le: int | None,
        spoilt: Spoilt,
    ) -> None:
        revision = self.product.revision
        sfi = self.sfi(pick, LINEAR, CYCLIC, COUNTERS) if number else 0
        low = {1: 0, 2: 0, 3: 1}[revision]
        data = TERMINAL_CHALLENGE[:4]
        if mode in {"extended", "pre"} and (self.model.has(8) or pick == 3):
            low, data = 2, bytes((first,)) + TERMINAL_CHALLENGE
        if mode == "pre" and low == 2:
            data = bytes((first,))
            if pick < 20:
                number = sfi = 0
        if mode == "other":
            low = pick % 8 if pick % 8 != 3 else 4
        p1 = (number * 8 + index) & (0x7F if revision == 2 else 0xFF)
        self.send(0x8A, p1 | (0x80 if revision == 2 else 0), sfi * 8 + low, data, le, spoilt)

    @rule(
        right=st.sampled_from([True, True, True, True, False]),
        p1=st.sampled_from([0x80, 0x00, 0x80, 0x00, 0x01]),
        size=st.sampled_from([0, 0, 0, 0, 4, 8, 5]),
        le=st.sampled_from([0, 0, None]),
        spoilt=spoilt_somehow,
    )
    def close(self, right: bool, p1: int, size: int, le: int | None, spoilt: Spoilt) -> None:
        session = self.model.now.session
        mac = session.digest.mac(1) if session else TERMINAL_CHALLENGE
        mac = mac[: size or (8 if session and session.extended else 4)]
        mac = mac if right else bytes((mac[0] ^ 0x80,)) + mac[1:]
        self.send(0x8E, p1, 0, mac, le, spoilt)

    @rule(le=st.sampled_from([0, 0, None]), spoilt=spoilt_somehow)
    def abort(self, le: int | None, spoilt: Spoilt) -> None:
        self.send(0x8E, 0, 0, b"", le, spoilt)

    @rule(
        p2=st.sampled_from([0, 1, 2, 2, 3, 3, 4]),
        right=st.sampled_from([True] * 6 + [False]),
        le=st.sampled_from([0, 0, None]),
        spoilt=spoilt_somehow,
    )
    def manage(self, p2: int, right: bool, le: int | None, spoilt: Spoilt) -> None:
        session = self.model.now.session
        data = b""
        if p2 & 1:
            data = session.digest.mac(3) if session else TERMINAL_CHALLENGE
            data = data if right else bytes(8)
        self.send(0x82, 0, p2, data, le, spoilt)

    @rule(le=st.sampled_from([0, 0, None]), spoilt=spoilt_somehow)
    def ratify(self, le: int | None, spoilt: Spoilt) -> None:
        self.send(0xB2, 0, 0, b"", le, spoilt)

    # Nonsense

    @rule(le=LE, spoilt=spoilt_somehow)
    def get_response(self, le: int | None, spoilt: Spoilt) -> None:
        self.send(0xC0, 0, 0, b"", le, spoilt, cla=0)

    @rule(
        cla=st.sampled_from([0x00, 0x94, 0xFA, 0x80, 0x0C]),
        ins=commands | ANY,
        p1=ANY,
        p2=ANY,
        data=st.binary(max_size=12),
        le=LE,
    )
    def header(self, cla: int, ins: int, p1: int, p2: int, data: bytes, le: int | None) -> None:  # noqa: PLR0917 - the parts of an APDU
        self.send(ins, p1, p2, data, le, cla=cla)

    @rule(raw=st.binary(max_size=20))
    def bytes_of_any_kind(self, raw: bytes) -> None:
        self.exchange(raw)
