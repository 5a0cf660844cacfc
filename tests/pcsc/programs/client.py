"""A PC/SC client over pyscard, run as a program of its own: client.py WHAT [ARGUMENT…].

Prints JSON lines. What it waits for is bounded; what it is told to do for ever ends with it.
"""

from __future__ import annotations

import json
import sys
import time

from smartcard.CardMonitoring import CardMonitor, CardObserver
from smartcard.CardRequest import CardRequest
from smartcard.CardType import ATRCardType
from smartcard.Exceptions import CardRequestTimeoutException
from smartcard.ReaderMonitoring import ReaderMonitor, ReaderObserver
from smartcard.scard import (
    SCARD_LEAVE_CARD,
    SCARD_PCI_T0,
    SCARD_PCI_T1,
    SCARD_PROTOCOL_T0,
    SCARD_PROTOCOL_T1,
    SCARD_SCOPE_USER,
    SCARD_SHARE_SHARED,
    SCARD_UNPOWER_CARD,
    SCardBeginTransaction,
    SCardConnect,
    SCardDisconnect,
    SCardEndTransaction,
    SCardEstablishContext,
    SCardReleaseContext,
    SCardTransmit,
)

T0_OR_T1 = SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1
ASK_EVERY_S = 0.02


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def request(atr: str) -> None:
    """Wait for a card by its ATR, send it a command; then wait in vain for another."""
    service = CardRequest(timeout=10, cardType=ATRCardType(list(bytes.fromhex(atr)))).waitforcard()
    service.connection.connect()
    response, sw1, sw2 = service.connection.transmit([0x00, 0x84, 0x00, 0x00, 0x08])
    tell(
        reader=service.connection.getReader(),
        atr=bytes(service.connection.getATR()).hex(),
        response=bytes(response).hex(),
        sw=f"{sw1:02X}{sw2:02X}",
    )
    service.connection.disconnect()
    service.connection.release()
    try:
        CardRequest(timeout=0.3, cardType=ATRCardType([0x3B, 0x00])).waitforcard()
    except CardRequestTimeoutException:
        tell(timeout=True)


class Cards(CardObserver):
    def update(self, observable: object, handlers: tuple[list[object], list[object]]) -> None:
        del observable
        for happened, cards in zip(("inserted", "removed"), handlers, strict=True):
            for card in cards:
                tell(happened=happened, reader=str(card.reader), atr=bytes(card.atr).hex())


class Readers(ReaderObserver):
    def update(self, observable: object, handlers: tuple[list[object], list[object]]) -> None:
        del observable
        for happened, readers in zip(("added", "removed"), handlers, strict=True):
            for reader in readers:
                tell(happened=happened, reader=str(reader))


def watch_cards() -> None:
    """Tell insertions and removals until standard input ends."""
    monitor, observer = CardMonitor(), Cards()
    monitor.addObserver(observer)
    tell(ready=True)
    sys.stdin.read()
    monitor.deleteObserver(observer)


def watch_readers() -> None:
    """Tell readers that come and go until standard input ends."""
    monitor, observer = ReaderMonitor(period=0.1), Readers()
    monitor.addObserver(observer)
    tell(ready=True)
    sys.stdin.read()
    monitor.deleteObserver(observer)


def check(code: int) -> None:
    if code:
        tell(error=f"{code & 0xFFFFFFFF:08X}")
        sys.exit(1)


def connected(reader: str) -> tuple[int, int, object]:
    code, context = SCardEstablishContext(SCARD_SCOPE_USER)
    check(code)
    code, card, protocol = SCardConnect(context, reader, SCARD_SHARE_SHARED, T0_OR_T1)
    check(code)
    return context, card, SCARD_PCI_T1 if protocol == SCARD_PROTOCOL_T1 else SCARD_PCI_T0


def transmit(reader: str, count: str) -> None:
    """Send so many commands one after the other."""
    _, card, pci = connected(reader)
    begun = time.perf_counter()
    for _ in range(int(count)):
        code, response = SCardTransmit(card, pci, [0x00, 0x84, 0x00, 0x00, 0x08])
        check(code)
        assert bytes(response).hex() == "00010203040506079000", response
    tell(seconds=time.perf_counter() - begun)
    check(SCardDisconnect(card, SCARD_LEAVE_CARD))


def slow(reader: str, tenths: str) -> None:
    """Be in the middle of a command that is answered late."""
    _, card, pci = connected(reader)
    tell(ready=True)
    code, _ = SCardTransmit(card, pci, [0x00, 0x10, int(tenths), 0x00, 0x00])
    check(code)
    tell(done=True)


def hold(reader: str) -> None:
    """Hold a transaction until standard input ends."""
    _, card, _ = connected(reader)
    check(SCardBeginTransaction(card))
    tell(ready=True)
    sys.stdin.read()
    check(SCardEndTransaction(card, SCARD_LEAVE_CARD))


def come_and_go(reader: str, count: str) -> None:
    """Connect and disconnect so many times; a new context every hundred times."""
    code, context = SCardEstablishContext(SCARD_SCOPE_USER)
    check(code)
    for number in range(int(count)):
        if number % 100 == 99:
            check(SCardReleaseContext(context))
            code, context = SCardEstablishContext(SCARD_SCOPE_USER)
            check(code)
        code, card, _ = SCardConnect(context, reader, SCARD_SHARE_SHARED, T0_OR_T1)
        check(code)
        check(SCardDisconnect(card, SCARD_LEAVE_CARD))
    tell(done=int(count))


def count_up(reader: str) -> None:
    """Count the card's value up for ever; when PC/SC fails, ask again until the card is back.

    Tells each value, and how often it had to ask for the card before it.
    """
    asked = 0
    while True:
        asked += 1
        code, context = SCardEstablishContext(SCARD_SCOPE_USER)
        if not code:
            code, card, protocol = SCardConnect(context, reader, SCARD_SHARE_SHARED, T0_OR_T1)
            is_connected = not code
            pci = SCARD_PCI_T1 if protocol == SCARD_PROTOCOL_T1 else SCARD_PCI_T0
            while not code:
                code, response = SCardTransmit(card, pci, [0x00, 0x32, 0x00, 0x00, 0x00])
                if not code:
                    tell(value=int.from_bytes(bytes(response[:4])), asked=asked)
                    asked = 0
            if is_connected:
                SCardDisconnect(card, SCARD_UNPOWER_CARD)
            SCardReleaseContext(context)
        time.sleep(ASK_EVERY_S)


WHAT = (request, watch_cards, watch_readers, transmit, slow, hold, come_and_go, count_up)

if __name__ == "__main__":
    {action.__name__: action for action in WHAT}[sys.argv[1]](*sys.argv[2:])
