"""The Wallet on the wire: identifiers, instructions and status words of the article's applet.

Source: wallet-javacard §1, §3 ("Writing a Java Card Applet", January 2001).
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final

WALLET_AID: Final = bytes.fromhex("F234123456100001")
WALLET_PACKAGE_AID: Final = bytes.fromhex("F2341234561000")
CLA_WALLET: Final = 0xB0
CLA_WALLET_KIT: Final = 0x80
"""Class of the same applet in the development kits since 2.1.2."""


@unique
class WalletIns(IntEnum):
    """Instruction bytes of the Wallet; P1 and P2 are never looked at."""

    VERIFY = 0x20  # data: the PIN
    CREDIT = 0x30  # data: one byte, the amount
    DEBIT = 0x40  # data: one byte, the amount
    GET_BALANCE = 0x50  # answers two bytes, high byte first


@unique
class WalletStatus(IntEnum):
    """Status words that the Wallet adds to those of ISO 7816."""

    VERIFICATION_FAILED = 0x6300  # wrong, of wrong length, or blocked: alike
    PIN_VERIFICATION_REQUIRED = 0x6301
    INVALID_TRANSACTION_AMOUNT = 0x6A83  # not within 0 … 127
    EXCEED_MAXIMUM_BALANCE = 0x6A84  # the balance would pass 32,767
    NEGATIVE_BALANCE = 0x6A85  # the balance would fall below 0
