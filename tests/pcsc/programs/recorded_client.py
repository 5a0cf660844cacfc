"""What a PC/SC client library says to the service, kept byte for byte: recorded_client.py

A client of the machine's libpcsclite (or of the one that LD_LIBRARY_PATH leads to) goes through every call
that sends something, against a service of this process, with a relay between them. Handle and context
numbers are counted instead of drawn. Prints the conversation as a JSON list of steps, in their order:

    [connection, ">", bytes]   from the client
    [connection, "<", bytes]   to the client
    [0, "hand", "remove"]      what a hand did to the card

Bytes are hexadecimal; `(n)` stands for n zero bytes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.pcsclite import SOCKET_VARIABLE, PcscService

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from support.scripted_card import ScriptedCard

if TYPE_CHECKING:
    from collections.abc import Iterator

Step = tuple[int, str, str]
ZEROS = re.compile(r"(?:00 ?){9,}")
HANDS = ("remove", "insert")

CLIENT = """
import sys, threading, time
from smartcard.scard import *
def order(what):
    print(what, flush=True); sys.stdin.readline()
name, pnp = "Test card 00 00", "\\\\\\\\?PnP?\\\\Notification"
_, context = SCardEstablishContext(SCARD_SCOPE_SYSTEM)
SCardListReaders(context, [])
_, states = SCardGetStatusChange(context, 0, [(name, SCARD_STATE_UNAWARE), (pnp, 0)])
known = [(entry[0], entry[1] & ~SCARD_STATE_CHANGED) for entry in states]
SCardGetStatusChange(context, 1, known)
removal = threading.Timer(0.3, order, ["remove"])
removal.start()
SCardGetStatusChange(context, 20000, known[:1])
removal.join()
order("insert")
threading.Timer(0.3, SCardCancel, [context]).start()
SCardGetStatusChange(context, 20000, [(name, SCARD_STATE_PRESENT)])
_, card, protocol = SCardConnect(context, name, SCARD_SHARE_SHARED, SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1)
SCardStatus(card)
SCardBeginTransaction(card)
SCardTransmit(card, SCARD_PCI_T1, [0, 1, 0, 0, 2, 0xAB, 0xCD])
SCardTransmit(card, SCARD_PCI_T0, [0, 1, 0, 0])
SCardControl(card, SCARD_CTL_CODE(3400), [1, 2])
SCardGetAttrib(card, SCARD_ATTR_ATR_STRING)
SCardSetAttrib(card, SCARD_ATTR_VENDOR_NAME, [1])
SCardEndTransaction(card, SCARD_RESET_CARD)
SCardStatus(card)
SCardReconnect(card, SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_T1, SCARD_UNPOWER_CARD)
SCardDisconnect(card, SCARD_UNPOWER_CARD)
SCardReleaseContext(context)
"""


class Relay:
    """Stands between clients and a service, and writes down what passes."""

    def __init__(self, place: Path, target: Path) -> None:
        self.steps: list[Step] = []
        self._target = str(target)
        self._guard = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def note(self, connection: int, way: str, what: str) -> None:
        """Write a step down; what goes on in one direction is one step."""
        with self._guard:
            if self.steps and self.steps[-1][:2] == (connection, way):
                what = self.steps.pop()[2] + what
            self.steps.append((connection, way, what))

    def _accept(self) -> None:
        for connection in itertools.count():
            client, _ = self._listener.accept()
            service = socket.socket(socket.AF_UNIX)
            service.connect(self._target)
            for ends, way in (((client, service), ">"), ((service, client), "<")):
                threading.Thread(
                    target=self._pass, args=(connection, way, *ends), daemon=True
                ).start()

    def _pass(self, connection: int, way: str, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the one that ended first took the other's socket along
            while data := source.recv(65536):
                self.note(connection, way, data.hex())
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def counted() -> Iterator[int]:
    """Numbers of contexts and handles, from 1001 on."""
    return itertools.count(1000)


def main() -> None:
    """Record, and print."""
    numbers = counted()
    secrets.randbelow = lambda _limit: next(numbers)
    with tempfile.TemporaryDirectory() as name, PcscService(Path(name) / "run") as service:
        slot, card = CardSlot("Test card"), ScriptedCard()
        slot.insert(card)
        service.add_reader(slot)
        relay = Relay(Path(name) / "relay", service.socket_path)
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {SOCKET_VARIABLE: str(Path(name) / "relay")},
        )
        assert client.stdin is not None
        assert client.stdout is not None
        for line in client.stdout:
            relay.note(0, "hand", line.strip())
            if line == "remove\n":
                slot.remove()
            else:
                slot.insert(card)
            client.stdin.write("\n")
            client.stdin.flush()
        assert client.wait() == 0
    print(json.dumps([(*step[:2], _shorter(step[2])) for step in relay.steps]))


def _shorter(text: str) -> str:
    if text in HANDS:
        return text
    spaced = bytes.fromhex(text).hex(" ")
    return ZEROS.sub(lambda zeros: f"({len(zeros[0].split())})", spaced).replace(" ", "")


main()
