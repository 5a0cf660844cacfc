"""The published stub that the Wallet is measured against: what a quick mock of it costs.

It is a program of one loop that answers the same lines as `cardbench wallet-lines`: a line in, a line out,
the Wallet's rules for the commands that the benchmark sends, its state in local variables. It has no
runtime, no objects, no non-volatile memory, no channels, and checks nothing that the benchmark would not
notice. It hands each answer on as it is made, as a program that is talked to must.
"""

from __future__ import annotations

import sys

PIN = bytes.fromhex("01020304")
SELECT = bytes.fromhex("00A4040008F234123456100001")


def main() -> None:  # noqa: C901 - one loop is what a quick mock is
    """Answer until the input ends."""
    is_selected = is_trusted = False
    balance, tries = 0, 3
    for line in sys.stdin:
        command = bytes.fromhex(line)
        ins = command[1]
        if command == SELECT:
            is_selected, is_trusted = tries > 0, False
            answer = "9000" if is_selected else "6999"
        elif not is_selected:
            answer = "6999"
        elif command[0] != 0xB0:
            answer = "6E00"
        elif ins == 0x50:
            answer = f"{balance:04X}9000"
        elif ins == 0x20:
            is_trusted = tries > 0 and command[5:] == PIN
            tries = 3 if is_trusted else max(tries - 1, 0)
            answer = "9000" if is_trusted else "6300"
        elif ins not in {0x30, 0x40}:
            answer = "6D00"
        elif not is_trusted:
            answer = "6301"
        elif len(command) != 6:
            answer = "6700"
        elif command[5] > 127:
            answer = "6A83"
        else:
            after = balance + (command[5] if ins == 0x30 else -command[5])
            answer = "6A84" if after > 32767 else "6A85" if after < 0 else "9000"
            balance = after if answer == "9000" else balance
        print(answer, flush=True)


if __name__ == "__main__":
    main()
