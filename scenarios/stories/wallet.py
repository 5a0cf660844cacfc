"""The story `wallet`: a Java Card Wallet is credited and debited, and refuses what it must.

The balance is 90 more at the end than at the beginning. The PIN is presented wrong once and then right, so
that no try is lost.

Source: wallet-javacard §3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.hexadecimal import from_hex, to_hex
from cardbench.protocol.status import StatusWord
from cardbench.protocol.wallet import CLA_WALLET, WALLET_AID, WalletIns, WalletStatus
from cardbench.scenarios.errors import StoryFailed
from cardbench.scenarios.permission import Change
from cardbench.scenarios.stories.story import Stage, Story
from cardbench.scenarios.trace import Role
from cardbench.scenarios.wallet_needs import GET_BALANCE, SELECT, WalletNeeds, balance_in
from cardbench.terminal.card import PlainRequest, SecretRequest

if TYPE_CHECKING:
    from cardbench.terminal.card import CardChannel

PIN = from_hex("31323334")
WRONG_PIN = from_hex("31313131")
MAX_AMOUNT = 127
CREDITED, DEBITED = 100, 10
OK = int(StatusWord.OK)


class WalletTerminal:
    """The terminal's part: one method for each command of the Wallet.

    Args:
        channel: the channel to the card; the Wallet is selected.
    """

    def __init__(self, channel: CardChannel) -> None:
        self._channel = channel

    def balance(self) -> int:
        """Read the balance."""
        return balance_in(self._channel.transmit([GET_BALANCE])[0])

    def verify(self, pin: bytes) -> bool:
        """Present a PIN; return whether it was accepted."""
        command = CommandApdu(CLA_WALLET, WalletIns.VERIFY, 0, 0, pin).encode()
        success = frozenset({OK, int(WalletStatus.VERIFICATION_FAILED)})
        return self._status(SecretRequest(command, success, "Verify")) == OK

    def credit(self, amount: int) -> int:
        """Try to credit an amount, 0 … 127; return the status word."""
        return self._move(WalletIns.CREDIT, amount)

    def debit(self, amount: int) -> int:
        """Try to debit an amount, 0 … 127; return the status word."""
        return self._move(WalletIns.DEBIT, amount)

    def _move(self, ins: WalletIns, amount: int) -> int:
        command = CommandApdu(CLA_WALLET, ins, 0, 0, bytes((amount,))).encode()
        success = frozenset({OK, *map(int, WalletStatus)})
        return self._status(PlainRequest(command, success, ins.name.capitalize()))

    def _status(self, request: PlainRequest | SecretRequest) -> int:
        return int.from_bytes(self._channel.transmit([request])[0][-2:])


def play(stage: Stage) -> None:
    """Tell the story."""
    wallet = WalletTerminal(stage.card)
    refused: list[str] = []

    def expect(what: str, sw: int, expected: int) -> None:
        if sw != expected:
            raise StoryFailed(f"{what}: the Wallet answered {sw:04X}, it should {expected:04X}")
        if sw != OK:
            refused.append(f"{sw:04X}")
            stage.note(f"{what}: refused, {sw:04X}")

    with stage.step("Select the Wallet"):
        stage.note(f"ATR {to_hex(stage.card.open())}")
        stage.card.transmit([SELECT])
        before = wallet.balance()
        stage.note(f"AID {to_hex(WALLET_AID)}, balance {before}")
    with stage.step("Try to credit without the PIN"):
        expect("credit 1", wallet.credit(1), WalletStatus.PIN_VERIFICATION_REQUIRED)
    with stage.step("Present a wrong PIN, then the right one"):
        if wallet.verify(WRONG_PIN):
            raise StoryFailed("the Wallet accepted a wrong PIN")
        stage.note(f"wrong PIN: refused, {WalletStatus.VERIFICATION_FAILED:04X}")
        if not wallet.verify(PIN):
            raise StoryFailed("the Wallet refused the PIN: one try is gone")
    with stage.step(f"Credit {CREDITED}"):
        expect(f"credit {CREDITED}", wallet.credit(CREDITED), OK)
        stage.note(f"balance {wallet.balance()}")
    with stage.step("Try to debit more than there is"):
        held = wallet.balance()
        if held < MAX_AMOUNT:
            expect(f"debit {held + 1}", wallet.debit(held + 1), WalletStatus.NEGATIVE_BALANCE)
        else:
            stage.note(f"{held} is more than one debit can take")
    with stage.step(f"Debit {DEBITED}"):
        expect(f"debit {DEBITED}", wallet.debit(DEBITED), OK)
        after = wallet.balance()
        stage.note(f"balance {after}")
    if after != before + CREDITED - DEBITED:
        raise StoryFailed(f"the balance is {after}, not {before + CREDITED - DEBITED}")
    stage.conclude(balance_before=before, balance_after=after, refused=list(refused))


WALLET = Story(
    name="wallet",
    summary="a Java Card Wallet is credited and debited, and refuses what it must",
    needs={Role.CARD: WalletNeeds(pin=PIN, room=CREDITED)},
    play=play,
    changes=frozenset({Change.PIN, Change.VALUE}),
)
