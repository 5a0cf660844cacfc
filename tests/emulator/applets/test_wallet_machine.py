"""The Wallet against an independent model: any commands in any order, and power lost anywhere."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from models.wallet import WalletModel

from cardbench.emulator.applets.wallet import FAITHFUL_WALLET_AID, WALLET_PACKAGE, wallet_card
from cardbench.emulator.chassis import Memory, Moment, Tear
from cardbench.emulator.javacard import JavaCard
from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.link import PowerLoss
from cardbench.protocol.wallet import WALLET_AID

BYTE = st.integers(0, 255)
AMOUNTS = st.sampled_from([0, 1, 2, 0x40, 0x7F, 0x80, 0xFF]) | BYTE
LE = st.none() | st.sampled_from([1, 2, 3, 256])
TOP = 32767
MOSTLY = st.sampled_from([True, True, False])


def command(cla: int, ins: int, data: bytes = b"", ne: int | None = None) -> bytes:
    return CommandApdu(cla, ins, 0, 0, data, ne).encode()


class WalletMachine(RuleBasedStateMachine):
    """The card and the model get the same bytes."""

    wraps = False

    @initialize(pin=st.binary(min_size=1, max_size=8))
    def begin(self, pin: bytes) -> None:
        self.pin = pin
        self.aid = FAITHFUL_WALLET_AID if self.wraps else WALLET_AID
        self.card = wallet_card(pin, module_aid=self.aid)
        self.card.power_on()
        self.model = WalletModel(pin, wraps=self.wraps)

    def both(self, raw: bytes) -> bytes:
        # The model knows one AID; the faithful Wallet is another module of the package.
        seen = raw.replace(FAITHFUL_WALLET_AID, WALLET_AID)
        expected = self.model.answer(seen)
        assert self.card.transmit(raw) == expected, raw.hex()
        return expected

    @rule(p2=st.sampled_from([0, 0, 4, 0x0C]), ne=LE, length=st.sampled_from([8, 8, 5, 7]))
    def select(self, p2: int, ne: int | None, length: int) -> None:
        data = self.aid[:length]
        if length < 8 and self.wraps:
            data = self.aid
        self.both(CommandApdu(0x00, 0xA4, 0x04, p2, data, ne).encode())

    @rule(p1=st.sampled_from([0, 4]), data=st.binary(max_size=17))
    def select_something_else(self, p1: int, data: bytes) -> None:
        self.both(CommandApdu(0x00, 0xA4, p1, 0x00, data).encode())

    @rule(ne=LE)
    def verify_right(self, ne: int | None) -> None:
        self.both(command(0xB0, 0x20, self.pin, ne))

    @rule(data=st.binary(max_size=10))
    def verify(self, data: bytes) -> None:
        self.both(command(0xB0, 0x20, data))

    def enter(self) -> None:
        """Select and present the PIN, where that is still to be done: most rules are dull without."""
        if not self.model.chosen:
            self.both(CommandApdu(0x00, 0xA4, 0x04, 0x00, self.aid).encode())
        if self.model.chosen and not self.model.trusted:
            self.both(command(0xB0, 0x20, self.pin))

    @rule(ins=st.sampled_from([0x30, 0x40]), amount=AMOUNTS, ne=LE, inside=MOSTLY)
    def move(self, ins: int, amount: int, ne: int | None, *, inside: bool) -> None:
        if inside:
            self.enter()
        self.both(command(0xB0, ins, bytes((amount,)), ne))

    @rule(ins=st.sampled_from([0x30, 0x40]), data=st.binary(max_size=3), ne=LE, inside=MOSTLY)
    def move_anything(self, ins: int, data: bytes, ne: int | None, *, inside: bool) -> None:
        if inside:
            self.enter()
        self.both(command(0xB0, ins, data, ne))

    @rule(room=st.integers(-1, 3))
    def fill(self, room: int) -> None:
        """Credit until so much is left to the top; or try to credit one more than fits."""
        self.enter()
        missing = TOP - max(room, 0) - self.model.money
        if self.model.trusted and missing >= 0:
            for amount in [127] * (missing // 127) + [missing % 127]:
                self.both(command(0xB0, 0x30, bytes((amount,))))
            if room < 0:
                self.both(command(0xB0, 0x30, b"\x01"))

    @rule(room=st.integers(-1, 2))
    def empty(self, room: int) -> None:
        """Debit until so much is left; or try to debit one more than there is."""
        self.enter()
        while self.both(command(0xB0, 0x40, b"\x7f")) == b"\x90\x00":
            pass
        if 0 <= self.model.money - room <= 127:
            self.both(command(0xB0, 0x40, bytes((self.model.money - room,))))

    @rule(data=st.binary(max_size=2), ne=LE)
    def get_balance(self, data: bytes, ne: int | None) -> None:
        self.both(command(0xB0, 0x50, data, ne))

    @rule(
        cla=st.sampled_from([0xB0, 0x80, 0x00, 0x0C, 0xB1, 0xFF]),
        ins=BYTE.filter(lambda ins: ins != 0x70),
        data=st.binary(max_size=4),
        ne=LE,
        extended=st.booleans(),
    )
    def anything(self, cla: int, ins: int, data: bytes, ne: int | None, *, extended: bool) -> None:
        self.both(CommandApdu(cla, ins, 0x11, 0x22, data, ne, extended).encode())

    @rule(raw=st.binary(max_size=3) | st.just(bytes.fromhex("B03000000501")))
    def malformed(self, raw: bytes) -> None:
        self.both(raw)

    @rule(cold=st.booleans())
    def reset(self, *, cold: bool) -> None:
        self.card.power_off() if cold else None
        self.card.reset()
        self.model.power_up()

    @rule()
    def rebuild(self) -> None:
        """Go on with a new card object, made from the memory alone."""
        memory = Memory()
        memory.restore(self.card.memory.image())
        self.card = JavaCard(memory, packages=(WALLET_PACKAGE,))
        self.card.power_on()
        self.model.power_up()

    @rule(
        write=st.integers(0, 8),
        moment=st.sampled_from(Moment),
        ins=st.sampled_from([0x20, 0x30, 0x40]),
        is_right=st.booleans(),
        amount=st.integers(0, 127),
    )
    def torn(self, write: int, moment: Moment, ins: int, *, is_right: bool, amount: int) -> None:
        """Cut a command: the card must be where the model was before it, or where it is after it."""
        data = (self.pin if is_right else b"") if ins == 0x20 else bytes((amount,))
        raw = command(0xB0, ins, data)
        self.enter()
        self.card.memory.arm(Tear(write, moment))
        old = (self.model.money, self.model.left)
        try:
            answer = self.card.transmit(raw)
        except PowerLoss:
            self.model.answer(raw)
            new = (self.model.money, self.model.left)
            self.card.power_on()
            self.model.power_up()
            self._agree(old, new, may_spend=ins == 0x20)
        else:
            self.card.memory.arm(None)
            assert answer == self.model.answer(raw)

    def _agree(self, old: tuple[int, int], new: tuple[int, int], *, may_spend: bool) -> None:
        """Look into a fork for balance and tries; let the model go on from there."""
        money, left = self._look()
        allowed = {old, new}
        if may_spend:  # cut between taking the try and giving all back
            allowed.add((old[0], max(old[1] - 1, 0)))
        assert (money, left) in allowed
        self.model.money, self.model.left = money, left

    def _look(self) -> tuple[int, int]:
        twin = self.card.fork()
        twin.reset()
        select = CommandApdu(0x00, 0xA4, 0x04, 0x00, self.aid).encode()
        wrong = command(0xB0, 0x20, b"")
        left = 0
        money = self.model.money
        while twin.transmit(select) == b"\x90\x00":
            answer = twin.transmit(command(0xB0, 0x50, b"", 2))
            money = int.from_bytes(answer[:2], "big", signed=True)
            twin.transmit(wrong)
            left += 1
            assert left <= 3
        return money, left

    @invariant()
    def the_memory_is_in_order(self) -> None:
        if hasattr(self, "card"):
            image = self.card.memory.image()
            assert not image.journal
            assert image.mark is None


class FaithfulWalletMachine(WalletMachine):
    """The same for the Wallet that wraps."""

    wraps = True


TestWallet = pytest.mark.slow(WalletMachine.TestCase)
TestFaithfulWallet = pytest.mark.slow(FaithfulWalletMachine.TestCase)
