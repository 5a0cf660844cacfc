"""The published session with a Wallet whose PIN is 31323334: each command and its response."""

from __future__ import annotations

SELECT = "00A4040008F234123456100001"
VERIFY = "B02000000431323334"
WRONG = "B02000000431313131"
BALANCE = "B050000002"

SESSION = [
    (SELECT, "9000"),
    (BALANCE, "00009000"),
    ("B03000000164", "6301"),
    (WRONG, "6300"),
    (VERIFY, "9000"),
    ("B03000000164", "9000"),
    ("B04000000165", "6A85"),
    ("B0400000010A", "9000"),
    (BALANCE, "005A9000"),
    ("B03000000180", "6A83"),
    ("B0300000020001", "6700"),
    ("B060000000", "6D00"),
    ("8050000002", "6E00"),
    (WRONG, "6300"),
    (WRONG, "6300"),
    (WRONG, "6300"),
    ("B03000000101", "6301"),
    (BALANCE, "005A9000"),
    (SELECT, "6999"),
]
