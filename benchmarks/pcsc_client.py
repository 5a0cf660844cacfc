"""The PC/SC client of the benchmark: pyscard's thin layer, one command again and again.

    pcsc_client.py READER COMMAND RESPONSE

Waits until the reader shows a card, connects, prints `ready`. For each line with a number on standard
input it sends the command so often, holds each response against the one it was told to expect, and prints
the seconds that it took. The process finds the PC/SC service as any program does: by its environment.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from smartcard import scard

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 10
T0_OR_T1 = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1


def check(code: int) -> None:
    """End the program with what PC/SC answered, unless it is success."""
    if code:
        sys.exit(scard.SCardGetErrorMessage(code))


def connected(reader: str) -> Callable[[list[int]], tuple[int, list[int]]]:
    """Return what carries a command to the card in a reader, which may take a moment to be seen."""
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    check(code)
    give_up_at_s = time.monotonic() + PATIENCE_S
    while True:
        code, card, protocol = scard.SCardConnect(
            context, reader, scard.SCARD_SHARE_SHARED, T0_OR_T1
        )
        if not code or time.monotonic() > give_up_at_s:
            break
        time.sleep(0.05)
    check(code)
    pci = scard.SCARD_PCI_T1 if protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
    transmit = scard.SCardTransmit
    return lambda command: transmit(card, pci, command)


def main(reader: str, command: str, response: str) -> None:
    """Send until standard input ends."""
    send, expected = connected(reader), list(bytes.fromhex(response))
    bytes_sent = list(bytes.fromhex(command))
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        begun_s = time.perf_counter()
        for _ in range(count):
            code, got = send(bytes_sent)
            if code or got != expected:
                check(code)
                sys.exit(f"{command} was answered with {bytes(got).hex()}")
        print(time.perf_counter() - begun_s, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
