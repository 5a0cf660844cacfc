"""A process that works on a card file until it is killed. Not a test: started by one.

card_killer.py work FILE [journal]     write generation after generation, and say so, until killed
card_killer.py die FILE… [journal]     for the n-th file: kill oneself before the n-th SQL statement
card_killer.py open FILE               open the file and say what happens
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.file_card import FileCard

from cardbench.emulator.chassis import Moment, Tear
from cardbench.emulator.storage import CardFile
from cardbench.protocol.errors import CardbenchError

FAR = Tear(10**9, Moment.BEFORE)  # never strikes, but makes the memory write its journal


def say(what: object) -> None:
    print(what, flush=True)  # noqa: T201 - to the test that started this process


def start(path: str, journal: bool) -> FileCard:
    file = CardFile.open(path)
    card = FileCard(file.memory)
    if journal:
        card.memory.arm(FAR)
    card.power_on()
    return card


def write_generation(card: FileCard, generation: int) -> None:
    """Write the generation's number to ten files in one commit."""
    card.transmit(bytes.fromhex("00D2090004") + generation.to_bytes(4))


def work(path: str, journal: bool) -> None:
    card = start(path, journal)
    for generation in count(1):
        write_generation(card, generation)
        say(generation)


def die(path: str, statement: int, journal: bool) -> None:
    card = start(path, journal)
    write_generation(card, 1)
    left = count(statement, -1)

    def strike(_sql: str) -> None:
        if not next(left):
            os.kill(os.getpid(), signal.SIGKILL)

    card.memory._store._connection.set_trace_callback(strike)
    write_generation(card, 2)


def main(act: str, *arguments: str) -> None:
    journal = arguments[-1] == "journal"
    paths = arguments[:-1] if journal else arguments
    if act == "open":
        try:
            CardFile.open(paths[0]).close()
        except CardbenchError as error:
            say(type(error).__name__)
        else:
            say("opened")
    elif act == "work":
        work(paths[0], journal)
    else:
        for statement, path in enumerate(paths):
            if not (child := os.fork()):
                die(path, statement, journal)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            say(os.WTERMSIG(status) if os.WIFSIGNALED(status) else "lived")


if __name__ == "__main__":
    main(*sys.argv[1:])
