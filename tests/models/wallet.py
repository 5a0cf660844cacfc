"""The Wallet, told a second time: to judge the applet and its runtime by.

Written from the published tables alone: what a terminal sees, with no runtime, no objects and no memory
underneath. It imports nothing of the project but the APDU encoding.

A basic channel, one applet, nothing else on the card.
"""

from __future__ import annotations

from cardbench.protocol.apdu import CommandApdu

AID = bytes([0xF2, 0x34, 0x12, 0x34, 0x56, 0x10, 0x00, 0x01])
TRIES = 3
TOP = 32767


class WalletModel:
    """A card with one Wallet, seen from outside.

    Args:
        pin: the PIN, 1 to 8 bytes.
        wraps: a credit past the top makes the balance negative, as the article's code has it.
    """

    def __init__(self, pin: bytes, *, wraps: bool = False) -> None:
        self.pin = pin
        self.wraps = wraps
        self.money = 0
        self.left = TRIES
        self.chosen = False
        self.trusted = False

    def power_up(self) -> None:
        """Power came back, or the card was reset: nothing is chosen, nobody trusted."""
        self.chosen = self.trusted = False

    def answer(self, raw: bytes) -> bytes:
        """Return the response APDU."""
        try:
            command = CommandApdu.parse(raw)
        except Exception:  # noqa: BLE001 - whatever is no APDU
            return b"\x67\x00"
        if self._names_an_applet(command) and AID.startswith(command.data):
            return self._choose()
        if self._is_for_the_card(command):
            raise NotImplementedError("the model has one channel")
        if not self.chosen:
            return b"\x69\x99"
        if command.extended:
            return b"\x67\x00"
        return self._wallet(command)

    @staticmethod
    def _names_an_applet(command: CommandApdu) -> bool:
        head = (command.cla, command.ins, command.p1)
        return (
            head == (0x00, 0xA4, 0x04)
            and command.p2 in {0x00, 0x04, 0x08, 0x0C}
            and 5 <= len(command.data) <= 16
            and not command.extended
        )

    @staticmethod
    def _is_for_the_card(command: CommandApdu) -> bool:
        high, low = divmod(command.cla, 16)
        return (high == 0 and command.ins == 0x70) or (high in {0, 8, 9, 10} and low % 4 > 0)

    def _choose(self) -> bytes:
        self.trusted = False
        self.chosen = self.left > 0
        return b"\x90\x00" if self.chosen else b"\x69\x99"

    def _wallet(self, command: CommandApdu) -> bytes:
        if (command.cla, command.ins) == (0x00, 0xA4):
            return b"\x90\x00"
        if command.cla != 0xB0:
            return b"\x6e\x00"
        if command.ins == 0x20:
            return self._present(command.data)
        if command.ins in {0x30, 0x40}:
            return self._move(command, sign=1 if command.ins == 0x30 else -1)
        if command.ins == 0x50:
            if command.ne is None or command.ne < 2:
                return b"\x67\x00"
            return (self.money % 65536).to_bytes(2, "big") + b"\x90\x00"
        return b"\x6d\x00"

    def _present(self, value: bytes) -> bytes:
        self.trusted = self.left > 0 and value == self.pin
        if self.trusted:
            self.left = TRIES
            return b"\x90\x00"
        self.left = max(0, self.left - 1)
        return b"\x63\x00"

    def _move(self, command: CommandApdu, *, sign: int) -> bytes:
        if not self.trusted:
            return b"\x63\x01"
        if len(command.data) != 1:
            return b"\x67\x00"
        amount = command.data[0]
        if amount >= 128:
            return b"\x6a\x83"
        after = self.money + sign * amount
        if self.wraps:
            after = after + 65536 if after < -32768 else after - 65536 if after > TOP else after
        elif after > TOP:
            return b"\x6a\x84"
        if sign < 0 and after < 0:
            return b"\x6a\x85"
        self.money = after
        return b"\x90\x00"
