"""The Wallet: an electronic purse behind a PIN, as "Writing a Java Card Applet" (January 2001) has it.

    class INS        data     answers
    B0    20 VERIFY  PIN      6300
    B0    30 CREDIT  amount   6301 6700 6A83 6A84
    B0    40 DEBIT   amount   6301 6700 6A83 6A85
    B0    50 GET BALANCE      two bytes, high byte first; 6700 if Le is less than 2
    other class 6E00, other instruction 6D00; selection refused, 6999, while no PIN try is left

P1 and P2 are not looked at. CREDIT and DEBIT check, in this order: PIN, length, amount, balance.

Where the article's text and its code differ
--------------------------------------------
* The code cannot notice a balance above 32,767: the sum is cast to a short and turns negative. `Wallet`
  does what the text means, 6A84; `FaithfulWallet` does what the code does.
* Every command of class 00 and instruction A4 that reaches the applet is answered 9000, also the SELECT of
  an applet that is not there: that is what the code tests.
* Three wrong PINs do not end the session: the balance can still be read, until another selection.

The first installation data were the PIN alone; later ones are three fields of which the last is the PIN.
Both are understood: data that are exactly three such fields are taken as such.

Source: wallet-javacard §1 to §4, §8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from cardbench.emulator.chassis import Memory
from cardbench.emulator.javacard import (
    ISO7816,
    Applet,
    InstallData,
    ISOException,
    JavaCard,
    OwnerPIN,
    Package,
    PINException,
    Util,
    byte,
    short,
)
from cardbench.protocol.wallet import (
    CLA_WALLET,
    CLA_WALLET_KIT,
    WALLET_AID,
    WALLET_PACKAGE_AID,
    WalletIns,
    WalletStatus,
)

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Clock, Entropy
    from cardbench.emulator.javacard import APDU, GlobalArray

MAX_BALANCE: Final = 0x7FFF
MAX_TRANSACTION_AMOUNT: Final = 127
PIN_TRY_LIMIT: Final = 3
MAX_PIN_SIZE: Final = 8
CHANNEL_BITS: Final = 0x03

VERIFY: Final = int(WalletIns.VERIFY)
CREDIT: Final = int(WalletIns.CREDIT)
DEBIT: Final = int(WalletIns.DEBIT)
GET_BALANCE: Final = int(WalletIns.GET_BALANCE)


class Wallet(Applet):
    """The article's Wallet."""

    CLA: ClassVar[int] = CLA_WALLET

    _pin: OwnerPIN
    _balance: int = 0

    @classmethod
    def install(cls, array: GlobalArray, offset: int, length: int) -> None:
        """Make a Wallet; see the module text for the installation data."""
        cls(array, offset, length)

    def __init__(self, array: GlobalArray, offset: int, length: int) -> None:
        fields = InstallData.parse(bytes(array[offset : offset + length]))
        if fields is not None:
            length = len(fields.parameters)
            offset = len(array) - length
        if not length:
            PINException.throw_it(PINException.ILLEGAL_VALUE)
        self._pin = OwnerPIN(PIN_TRY_LIMIT, MAX_PIN_SIZE)
        self._pin.update(array, offset, length)
        self.register()

    def select(self) -> bool:
        """Refuse once the PIN is blocked."""
        return self._pin.get_tries_remaining() > 0

    def deselect(self) -> None:
        """Forget that the PIN was presented."""
        self._pin.reset()

    def process(self, apdu: APDU) -> None:
        """Answer a command."""
        buffer = apdu.get_buffer()
        cla, ins = buffer[ISO7816.OFFSET_CLA], buffer[ISO7816.OFFSET_INS]
        if cla == ISO7816.CLA_ISO7816 and ins == ISO7816.INS_SELECT:
            return
        if cla != self.CLA:
            ISOException.throw_it(ISO7816.SW_CLA_NOT_SUPPORTED)
        if ins == GET_BALANCE:
            self._get_balance(apdu)
        elif ins == CREDIT:
            self._credit(apdu)
        elif ins == DEBIT:
            self._debit(apdu)
        elif ins == VERIFY:
            self._verify(apdu)
        else:
            ISOException.throw_it(ISO7816.SW_INS_NOT_SUPPORTED)

    def _verify(self, apdu: APDU) -> None:
        count = apdu.set_incoming_and_receive()
        if not self._pin.check(apdu.get_buffer(), ISO7816.OFFSET_CDATA, count):
            ISOException.throw_it(WalletStatus.VERIFICATION_FAILED)

    def _credit(self, apdu: APDU) -> None:
        amount = self._receive_amount(apdu)
        self._balance = self._increased(amount)

    def _increased(self, amount: int) -> int:
        balance = self._balance + amount
        if balance > MAX_BALANCE:
            ISOException.throw_it(WalletStatus.EXCEED_MAXIMUM_BALANCE)
        return balance

    def _debit(self, apdu: APDU) -> None:
        amount = self._receive_amount(apdu)
        balance = short(self._balance - amount)
        if balance < 0:
            ISOException.throw_it(WalletStatus.NEGATIVE_BALANCE)
        self._balance = balance

    def _receive_amount(self, apdu: APDU) -> int:
        if not self._pin.is_validated():
            ISOException.throw_it(WalletStatus.PIN_VERIFICATION_REQUIRED)
        buffer = apdu.get_buffer()
        announced = buffer[ISO7816.OFFSET_LC]
        if apdu.set_incoming_and_receive() != 1 or announced != 1:
            ISOException.throw_it(ISO7816.SW_WRONG_LENGTH)
        amount = byte(buffer[ISO7816.OFFSET_CDATA])
        if not 0 <= amount <= MAX_TRANSACTION_AMOUNT:
            ISOException.throw_it(WalletStatus.INVALID_TRANSACTION_AMOUNT)
        return amount

    def _get_balance(self, apdu: APDU) -> None:
        if apdu.set_outgoing() < 2:
            ISOException.throw_it(ISO7816.SW_WRONG_LENGTH)
        apdu.set_outgoing_length(2)
        Util.set_short(apdu.get_buffer(), 0, self._balance)
        apdu.send_bytes(0, 2)


class FaithfulWallet(Wallet):
    """The Wallet as the article's code runs: a credit past 32,767 makes the balance negative."""

    def _increased(self, amount: int) -> int:
        return short(self._balance + amount)


class KitWallet(Wallet):
    """The Wallet of the development kits since 2.1.2: class 80, on any logical channel."""

    CLA: ClassVar[int] = CLA_WALLET_KIT

    def process(self, apdu: APDU) -> None:
        """Take the channel out of the class, and answer."""
        if self.selecting_applet():
            return
        apdu.get_buffer()[ISO7816.OFFSET_CLA] &= ~CHANNEL_BITS
        super().process(apdu)


FAITHFUL_WALLET_AID: Final = WALLET_PACKAGE_AID + b"\x02"
KIT_WALLET_AID: Final = WALLET_PACKAGE_AID + b"\x03"

WALLET_PACKAGE: Final = Package(
    aid=WALLET_PACKAGE_AID,
    applets={WALLET_AID: Wallet, FAITHFUL_WALLET_AID: FaithfulWallet, KIT_WALLET_AID: KitWallet},
)


def wallet_card(
    pin: bytes,
    *,
    module_aid: bytes = WALLET_AID,
    memory: Memory | None = None,
    entropy: Entropy | None = None,
    clock: Clock | None = None,
) -> JavaCard:
    """Make a Java Card with one Wallet installed, not selected and not powered.

    Args:
        pin: 1 to 8 bytes.
        module_aid: which of the package's Wallets.

    Raises:
        InstallationRefused: the PIN is empty or too long.
    """
    card = JavaCard(memory or Memory(), packages=(WALLET_PACKAGE,), entropy=entropy, clock=clock)
    card.power_on()
    card.install(module_aid, parameters=pin)
    card.power_off()
    return card
