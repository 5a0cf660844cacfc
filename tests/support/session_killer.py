"""A Calypso card in a file, killed again and again in the middle of secure sessions. Not a test: run by one.

session_killer.py FILE KILLS SEED      print one JSON object: what came of it

Each life is a process of its own that opens the card file and works on, session after session: a wrong
PIN twice, one generation written everywhere (a record, a cyclic file, two counters, the purse), the right
PIN. Before every command and after every answer it says so. It gets SIGKILL at a random moment behind an
Open Secure Session, or behind its birth; all lives are judged, the kills within a session alone are counted.
This process, which has opened nothing, then opens the file and asks the card, by commands alone, what it
holds. A presentation that is killed behind its counting may block the PIN for good; such a card has done
right, and the work goes on with a copy of the first one.

Judged is every life:

* the file opens, and the card answers to reset;
* all places hold the same generation: the last one whose Close was answered, or, if Close was on its way,
  the next; purse and log agree;
* the transaction counter has fallen by one for each command that takes a transaction, no more and no less
  but for the one that was on its way;
* PIN tries are those that the presentations left, never more.

The judge computes nothing from the card's code: it compares what commands answered.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.calypso_peer import Peer

from cardbench.emulator.calypso import CalypsoCard
from cardbench.emulator.storage import CardFile

if TYPE_CHECKING:
    from cardbench.protocol.link import Card

PIN, WRONG_PIN = "30303030", "31313131"
DEBIT = 0xBA
START = 0x00FFFF
"""What the second counter holds at generation 0; the first one holds the generation."""
SESSIONS_MAX = 3
"""A life is killed in one of its first sessions, or while it opens the file."""
LATEST = 1.2
"""A kill comes up to so many durations of a session behind Open."""


class Told:
    """A card whose every command is told to another process, before and after."""

    def __init__(self, card: Card, pipe: int) -> None:
        self._card = card
        self._pipe = pipe

    def power_on(self) -> bytes:
        return self._card.power_on()

    def transmit(self, command: bytes) -> bytes:
        self.say(f"> {command.hex()}")
        answer = self._card.transmit(command)
        self.say(f"< {answer[-2:].hex()}")
        return answer

    def say(self, line: str) -> None:
        os.write(self._pipe, f"{line}\n".encode())


def work(path: str, pipe: int) -> None:
    """Work on the card for ever."""
    with CardFile.open(path) as file:
        card = CalypsoCard(file.memory, entropy=file.entropy, clock=file.clock)
        peer = Peer(Told(card, pipe))  # type: ignore[arg-type]  # what a peer needs of a card it has
        generation = int(peer.ok("00B201CC03"), 16)
        peer.ok("00200000 04" + PIN)
        while True:
            generation += 1
            write_generation(peer, generation)


def write_generation(peer: Peer, generation: int) -> None:
    """Write a generation in one session; every other one is extended, and not ratified at once."""
    odd = generation % 2 == 1
    peer.open(1, mode="extended" if odd else "regular")
    assert peer.send("00200000 04" + WRONG_PIN) == "63C2"
    assert peer.send("00200000 04" + WRONG_PIN) == "63C1"
    mark = generation.to_bytes(4).hex() * 7
    peer.ok("00DC013C 1C" + mark, "00E20040 1C" + mark)
    peer.ok("003201C8 03 000001 00", "003002C8 03 000001 00")
    got = peer.send("007C01093D" if odd else "007C00091E")
    assert peer.send(peer.sv_command(DEBIT, -1, got, extended=odd)) == "6200"
    peer.ok("00200000 04" + PIN)
    peer.close_ok(ratified=not odd)


@dataclass
class Expected:
    """What the card may hold, told by what was said of the commands.

    Attributes:
        generation: of the last Close that was answered.
        transactions: what the transaction counter must show.
        tries: PIN tries that may be left.
        pending: the command on its way; "": none.
        in_session: a session was opened, and its Close not answered.
    """

    generation: int = 0
    transactions: int = 0
    tries: set[int] = field(default_factory=lambda: {3})
    pending: str = ""
    in_session: bool = False

    def tell(self, line: str) -> None:
        """Take note of a command on its way, or of its answer."""
        if line.startswith(">"):
            self.pending = line[2:]
            return
        sent, self.pending = self.pending, ""
        self.transactions -= takes_transaction(sent)
        self.generation += is_close(sent) and line[2:] == "9000"
        self.tries = tries_after(sent, self.tries)
        self.in_session = is_open(sent) or (self.in_session and not is_close(sent))

    def generations(self) -> set[int]:
        return {self.generation, self.generation + is_close(self.pending)}

    def counters(self) -> set[int]:
        return {self.transactions, self.transactions - takes_transaction(self.pending)}

    def tries_left(self) -> set[int]:
        if not is_pin(self.pending):
            return self.tries
        counted = {max(0, each - 1) for each in self.tries}
        return self.tries | counted | tries_after(self.pending, self.tries)


def takes_transaction(command: str) -> bool:
    """Open, a PIN presentation, a Stored Value operation (calypso-card §5.7)."""
    return command[2:4] in ("8a", "ba") or is_pin(command)


def is_open(command: str) -> bool:
    return command[2:4] == "8a"


def is_close(command: str) -> bool:
    return command[2:4] == "8e"


def is_pin(command: str) -> bool:
    return command[2:4] == "20"


def tries_after(command: str, tries: set[int]) -> set[int]:
    """The tries left behind a presentation; a blocked PIN stays blocked."""
    if not is_pin(command):
        return tries
    is_right = command.endswith(PIN)
    return {0 if not each else (3 if is_right else each - 1) for each in tries}


@dataclass
class Found:
    """What a card holds, as commands show it."""

    generations: set[int]
    is_whole: bool
    transactions: int
    tries: int
    challenge: str


def look(path: str) -> Found:
    """Open the file and ask the card; only the Open of the last line takes something of it."""
    with CardFile.open(path) as file:
        card = CalypsoCard(file.memory, entropy=file.entropy, clock=file.clock)
        peer = Peer(card)
        status = peer.send("0020000000")
        tries = {"9000": 3, "6983": 0}.get(status, int(status[-1], 16))
        record, event = peer.ok("00B2013C1C"), peer.ok("00B201441C")
        up, down = (int(peer.ok("00B201CC06")[at : at + 6], 16) for at in (0, 6))
        balance = int.from_bytes(bytes.fromhex(peer.ok("007C00091E")[16:22]), signed=True)
        log = bytes.fromhex(peer.ok("00B201AC1D"))
        logged, number = int.from_bytes(log[14:17], signed=True), int.from_bytes(log[17:19])
        numbers = {int(record[:8], 16), int(event[:8], 16), up, START - down, -balance, number}
        is_whole = record == record[:8] * 7 and event == event[:8] * 7 and logged == balance
        challenge = peer.ok("0084000008")
        opened = peer.open(3)
        peer.abort()
        return Found(numbers, is_whole, int(opened[:6], 16) + 1, tries, challenge)


def live_and_die(path: str, sessions: int, after_s: float) -> list[str]:
    """Let a process work on the card; kill it so long behind the Open of that session, 0: behind its birth.

    Returns:
        What it said, line by line.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            work(path, writing)
        finally:  # whatever happens, this process is not the one that goes on below
            os._exit(1)
    os.close(writing)
    lines: list[bytes] = []
    with os.fdopen(reading, "rb") as said:
        while sessions and (line := said.readline()):
            sessions -= line.startswith(b"<") and is_open(lines[-1][2:].decode())
            lines.append(line)
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        lines += said.readlines()
    if not os.WIFSIGNALED(status):
        raise AssertionError("a life ended by itself")
    return [line.decode().strip() for line in lines if line.endswith(b"\n")]


def make_ready(path: str) -> tuple[Expected, float]:
    """Bring the second counter and the records to generation 0.

    Returns:
        What the card holds, and how many seconds a session takes.
    """
    with CardFile.open(path) as file:
        peer = Peer(CalypsoCard(file.memory, entropy=file.entropy, clock=file.clock))
        peer.open(1)
        peer.ok("00DC01CC 06 000000" + f"{START:06X}")
        peer.close_ok()
        write_generation(peer, 1)  # the first time costs imports
        begun = time.perf_counter()
        write_generation(peer, 2)
        session_s = time.perf_counter() - begun
    found = look(path)
    return Expected(min(found.generations), found.transactions - 1, {found.tries}), session_s


def judge(expected: Expected, found: Found) -> list[str]:
    """Return what is wrong."""
    wrong = []
    if not found.is_whole or len(found.generations) != 1:
        wrong.append(f"a mixture of generations: {found}")
    elif not found.generations <= expected.generations():
        wrong.append(f"generation {found.generations}, not in {expected.generations()}")
    if found.transactions not in expected.counters():
        wrong.append(f"transaction counter {found.transactions}, not in {expected.counters()}")
    if found.tries not in expected.tries_left():
        wrong.append(f"{found.tries} PIN tries, not in {expected.tries_left()}")
    return [f"{each}; on its way: {expected.pending or 'nothing'}" for each in wrong]


def main(path: str, kills: int, seed: int) -> dict[str, object]:
    """Kill until so many kills have come within a session, or something is wrong."""
    draw = random.Random(seed)
    begin, session_s = make_ready(path)
    shutil.copy(path, f"{path}.original")
    expected = replace(begin)
    challenges: set[tuple[int, str]] = set()
    wrong: list[str] = []
    lives = within = in_close = newer = blocked = 0
    while within < kills and not wrong:
        sessions, after_s = draw.randint(0, SESSIONS_MAX), draw.uniform(0, LATEST) * session_s
        for line in live_and_die(path, sessions, after_s):
            expected.tell(line)
        found = look(path)
        wrong = judge(expected, found)
        lives += 1
        within += expected.in_session
        in_close += is_close(expected.pending)
        newer += found.generations == {expected.generation + 1}
        challenges.add((blocked, found.challenge))
        expected = Expected(min(found.generations), found.transactions - 1, {found.tries})
        if not found.tries:
            blocked += 1
            shutil.copy(f"{path}.original", path)
            expected = replace(begin)
    return {
        "wrong": wrong,
        "lives": lives,
        "within_a_session": within,
        "within_close": in_close,
        "newer_than_answered": newer,
        "blocked": blocked,
        "different_challenges": len(challenges),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201 - to the test
