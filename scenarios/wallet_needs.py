"""What a story needs of a card with a Wallet.

Source: our choice; wallet-javacard §3 for what can be seen without the PIN.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.errors import CardError
from cardbench.protocol.hexadecimal import to_hex
from cardbench.protocol.iso7816 import ISO7816
from cardbench.protocol.wallet import CLA_WALLET, WALLET_AID, WalletIns
from cardbench.terminal.card import PlainRequest

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Clock, Entropy
    from cardbench.protocol.link import Card
    from cardbench.terminal.card import CardChannel

SELECT_BY_DF_NAME = 0x04
BALANCE_SIZE_BYTES = 2
MAX_BALANCE = 0x7FFF

SELECT = PlainRequest(
    CommandApdu(0x00, ISO7816.INS_SELECT, SELECT_BY_DF_NAME, 0x00, WALLET_AID).encode(),
    name="Select the Wallet",
)
GET_BALANCE = PlainRequest(
    CommandApdu(CLA_WALLET, WalletIns.GET_BALANCE, 0, 0, ne=BALANCE_SIZE_BYTES).encode(),
    name="Get Balance",
)


def balance_in(response: bytes) -> int:
    """Return the balance that Get Balance answered."""
    return int.from_bytes(response[:BALANCE_SIZE_BYTES], signed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletNeeds:
    """A Java Card with a Wallet; implements `Needs`.

    Attributes:
        pin: what a software card gets. Of a card that is present it is not asked: a wrong one would cost
            a try.
        room: how much must still fit into the Wallet.
        is_contactless: how the card is reached.
    """

    pin: bytes = field(repr=False)
    room: int = 0
    is_contactless: bool = False

    def personalise(self, *, entropy: Entropy, clock: Clock) -> Card:
        """Make a card with an empty Wallet."""
        from cardbench.emulator.applets.wallet import wallet_card  # noqa: PLC0415 - not needed on real readers

        return wallet_card(self.pin, entropy=entropy, clock=clock)

    def missing(self, channel: CardChannel) -> list[str]:
        """Select the Wallet and look at its balance."""
        try:
            response = channel.transmit([SELECT, GET_BALANCE])[1]
        except CardError as error:
            return [f"the card has no Wallet {to_hex(WALLET_AID)} that can be selected ({error})"]
        balance = balance_in(response)
        if balance > MAX_BALANCE - self.room:
            return [f"the Wallet holds {balance}, at most {MAX_BALANCE - self.room} leaves room"]
        return []

    def identity(self, channel: CardChannel) -> bytes:
        """Return the answer to reset: the applet has no serial number."""
        return channel.open()
