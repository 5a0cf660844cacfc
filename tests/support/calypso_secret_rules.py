"""Rules of the Calypso machine about secrets: PIN, keys, Stored Value."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule
from support.calypso_exchange import (
    RIGHT,
    SMALL,
    Exchanges,
    Spoilt,
    spoilt_somehow,
)
from support.calypso_twin import SUITE


class SecretRules(Exchanges):
    """Commands that a secret opens, right and wrong."""

    # PIN and keys

    def value_of(self, index: int) -> bytes:
        """A key of the current DF; where there is none, the null key."""
        key = self.model.key(index)
        return bytes(16) if key is None else key.value

    @rule(le=st.sampled_from([8, 8, 8, 0, None, 4]), spoilt=spoilt_somehow)
    def get_challenge(self, le: int | None, spoilt: Spoilt) -> None:
        self.send(0x84, 0, 0, b"", le, spoilt)

    @rule(le=st.sampled_from([0, 0, None, 4]), spoilt=spoilt_somehow)
    def pin_status(self, le: int | None, spoilt: Spoilt) -> None:
        self.send(0x20, 0, 0, b"", le, spoilt)

    @rule(
        form=st.sampled_from(["plain", "plain", "ciphered", "ciphered", "unasked", "short"]),
        right=st.sampled_from([True, True, False]),
        other=st.booleans(),
        le=st.sampled_from([None, None, 0]),
        spoilt=spoilt_somehow,
    )
    def verify_pin(
        self, form: str, right: bool, other: bool, le: int | None, spoilt: Spoilt
    ) -> None:
        pin = self.model.kept.pin if right else b"\x99\x99\x99\x99"
        data = pin
        if form in {"ciphered", "unasked"}:
            if form == "ciphered":
                self.send(0x84, 0, 0, b"", 8)
            session = self.model.now.session
            key = self.value_of(3) if session is None or other else session.key.value
            challenge = self.model.now.challenge or bytes(8)
            data = SUITE.pin_presentation(key, challenge, pin)
        elif form == "short":
            data = pin[:3]
        self.send(0x20, 0, 0, data, le, spoilt)

    @rule(
        form=st.sampled_from(["plain", "plain", "ciphered", "ciphered", "unasked", "wrong"]),
        verify=st.booleans(),
        old=st.sampled_from([b"\0\0\0\0", b"1234", b"0000"]),
        new=st.sampled_from([b"1234", b"0000"]),
        spoilt=spoilt_somehow,
    )
    def change_pin(self, form: str, verify: bool, old: bytes, new: bytes, spoilt: Spoilt) -> None:
        if form == "plain":
            if verify:
                self.send(0x20, 0, 0, self.model.kept.pin)
            self.send(0xD8, 0, 0xFF, new, None, spoilt)
            return
        if form != "unasked":
            self.send(0x84, 0, 0, b"", 8)
        key = self.value_of(2 if form == "wrong" else 1)
        challenge = self.model.now.challenge or bytes(8)
        data = SUITE.pin_change(key, challenge, old, new)
        self.send(0xD8, 0, 0xFF, data, None, spoilt)

    @rule(
        index=st.sampled_from([1, 2, 3, 3, 0, 4]),
        form=st.sampled_from(
            [
                "right",
                "right",
                "right",
                "unasked",
                "wrong",
                "old",
                "padding",
                "foreign",
                "pin",
                "null",
            ]
        ),
        kvc=st.sampled_from([0x74, 0x79, 0x75]),
        same=st.booleans(),
        spoilt=spoilt_somehow,
    )
    def change_key(self, index: int, form: str, kvc: int, same: bool, spoilt: Spoilt) -> None:
        if form != "unasked":
            self.send(0x84, 0, 0, b"", 8)
        issuer, slot = self.value_of(2 if form == "wrong" else 1), self.model.key(index)
        challenge = self.model.now.challenge or bytes(8)
        kif, _, algorithm, value = slot or (0x30, 0, 0x40, bytes(16))
        if form == "null":
            kif = kvc = 0
        algorithm = 0x41 if form == "foreign" else algorithm
        value = value if same else bytes((kvc,)) * 16
        tail = b"\1" if form == "padding" else b""
        content = value + (bytes((kif, kvc, algorithm)) + tail).ljust(8, b"\0")
        data = SUITE.seal(issuer, "key", [challenge], content)
        if form in {"old", "pin"}:
            data = data[: 24 if form == "old" else 16]
        self.send(0xD8, 0, index, data, None, spoilt)

    # Stored Value

    @rule(
        extended=st.booleans(),
        p2=st.sampled_from([7, 9, 9, 8]),
        le=st.sampled_from(["right", "right", 0, None, 3]),
        spoilt=spoilt_somehow,
    )
    def sv_get(self, extended: bool, p2: int, le: int | str | None, spoilt: Spoilt) -> None:
        self.get_before(extended, p2, le, spoilt)

    def get_before(
        self, extended: bool, p2: int, le: int | str | None, spoilt: Spoilt = RIGHT
    ) -> None:
        right = 0x3D if extended else 0x21 if p2 == 7 else 0x1E
        size = right if isinstance(le, str) else le
        self.send(0x7C, int(extended), p2, b"", size, spoilt, cla=self.purse_class)

    @property
    def purse_class(self) -> int:
        return 0xFA if self.product.revision == 2 else self.cla

    @rule(
        ins=st.sampled_from([0xB8, 0xBA, 0xBC]),
        extended=st.sampled_from([False, False, True]),
        amount=st.sampled_from([0, 1, -1, -2, 100, -100, 0x7FFF, -0x8000, 0x7FFFFF, -0x800000]),
        spoil=st.sampled_from(
            [None] * 8 + ["signature", "kvc", "kind", "mode", "get", "middle", "sign"]
        ),
        le=st.sampled_from(["right", None, None, 0]),
        spoilt=spoilt_somehow,
    )
    def sv_operate(  # noqa: PLR0917 - the parts of an APDU
        self,
        ins: int,
        extended: bool,
        amount: int,
        spoil: str | None,
        le: int | str | None,
        spoilt: Spoilt,
    ) -> None:
        self.sv_operate_with(ins, extended, amount, spoil, le, spoilt)

    def sv_operate_with(  # noqa: PLR0917 - the parts of an APDU
        self,
        ins: int,
        extended: bool,
        amount: int,
        spoil: str | None,
        le: int | str | None,
        spoilt: Spoilt,
    ) -> None:
        load = ins == 0xB8
        extended = extended and self.model.has(8)
        if spoil != "get":
            self.get_before(extended, 7 if load is not (spoil == "kind") else 9, "right")
        if spoil == "middle":
            self.send(0x84, 0, 0, b"", 8)
        got = self.model.now.sv
        kvc = (got.kvc if got else 0x79) ^ (spoil == "kvc")
        if load:
            fixed = b"\x12\x34\x56" + bytes((kvc, 0x78))
            fixed += amount.to_bytes(3, signed=True) + b"\x9a\xbc"
        else:
            amount = -abs(amount) if (ins == 0xBA) is not (spoil == "sign") else abs(amount)
            amount = max(-0x8000, min(0x7FFF, amount))
            fixed = amount.to_bytes(2, signed=True) + b"\x12\x34\x56\x78" + bytes((kvc,))
        extended = extended is not (spoil == "mode")
        size = len(fixed) + 8 + (10 if extended else 5)
        message = (got.transcript if got else b"") + bytes((ins, 0, 0, size, 0)) + fixed
        message += b"\xa1\xa2\xa3" + b"\x00\x01\x02" + b"\xaa\xbb\xcc\xdd"
        high = SUITE.sv_signature_hi(got.key if got else bytes(16), message, 10 if extended else 5)
        if spoil == "signature":
            high = bytes((high[0] ^ 1,)) + high[1:]
        data = b"\xa3" + fixed + b"\xaa\xbb\xcc\xdd" + b"\x00\x01\x02" + high
        end = (6 if extended else 3) if isinstance(le, str) else le
        self.send(ins, 0xA1, 0xA2, data, end, spoilt, cla=self.purse_class)

    @rule(ins=st.sampled_from([0xB8, 0xBA, 0xBC]), extended=st.booleans(), amount=SMALL)
    def sv_operate_rightly(self, ins: int, extended: bool, amount: int) -> None:
        self.sv_operate_with(ins, extended, amount, None, "right", RIGHT)
