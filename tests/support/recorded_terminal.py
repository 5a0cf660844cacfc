"""Sessions that an outside terminal held with our cards and SAMs, to be played again without it.

The file keeps the terminal's requests. What the terminal only passed on, a challenge, a MAC, a cryptogram,
is written as a place in the exchange that it came from; so a session holds for any seed, and proves that
what one side computes the other accepts.

Source: `tests/vectors/recorded-terminal.toml`, where the form is explained.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.sam_emulator import new_sam

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.protocol.link import Card

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "recorded-terminal.toml"
UNCOMPARED = ".."
_PASSED_ON = re.compile(r"\{(>?)(\d+):(\d+):(\d+)\}")


class Exchange(NamedTuple):
    """One line of a session.

    Attributes:
        reader: number of the reader.
        request: what the terminal sent, or what the card went through: off, on, reset.
        answer: data and status word in hexadecimal; empty where nothing was sent.
    """

    reader: int
    request: str
    answer: str

    @property
    def is_command(self) -> bool:
        """Whether a request was sent."""
        return bool(self.answer)

    @property
    def passed_on(self) -> list[re.Match[str]]:
        """What the terminal passed on in this request."""
        return list(_PASSED_ON.finditer(self.request))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSession:
    """A session.

    Attributes:
        what: it, in words.
        readers: the preset in each reader.
        exchanges: in their order.
    """

    what: str
    readers: tuple[str, ...]
    exchanges: tuple[Exchange, ...]

    def cards(self, seed: str) -> list[Card]:
        """Return fresh cards with power, one for each reader."""
        clock = Clock()
        made: list[Card] = []
        for number, text in enumerate(self.readers):
            kind, preset = text.split(":")
            entropy = Entropy(f"{seed}/{kind}/{number}".encode())
            make = new_sam if kind == "sam" else new_card
            made.append(make(preset, entropy=entropy, clock=clock))
            made[-1].power_on()
        return made


class Flip(NamedTuple):
    """A bit that is wrong on its way: of what is passed on for the nth time in the kth exchange."""

    exchange: int
    nth: int


def recorded_sessions() -> list[RecordedSession]:
    """Return all sessions of the file."""
    return [
        RecordedSession(
            what=each["what"],
            readers=tuple(each["readers"]),
            exchanges=tuple(_exchange(line) for line in each["exchanges"].split("\n") if line),
        )
        for each in tomllib.loads(VECTORS.read_text(encoding="utf-8"))["session"]
    ]


def _exchange(line: str) -> Exchange:
    reader, request, *answer = line.split(" ", 2)
    return Exchange(int(reader), request, answer[0].removeprefix("> ") if answer else "")


def replay(
    session: RecordedSession,
    seed: str,
    *,
    flip: Flip | None = None,
    requests: dict[int, bytes] | None = None,
) -> list[str]:
    """Play a session; return each answer, as far as the file compares it.

    Args:
        session: which.
        seed: where the randomness of its cards comes from.
        flip: a bit that is wrong on its way.
        requests: takes what was sent, by number of the exchange.
    """
    cards = session.cards(seed)
    requests = {} if requests is None else requests
    answers: dict[int, bytes] = {}
    told = []
    for number, exchange in enumerate(session.exchanges):
        card = cards[exchange.reader]
        if not exchange.is_command:
            {"off": card.power_off, "on": card.power_on, "reset": card.reset}[exchange.request]()
            told.append("")
            continue
        nth = flip.nth if flip and flip.exchange == number else None
        requests[number] = _filled(exchange, requests, answers, nth)
        answer = card.transmit(requests[number])
        answers[number] = answer[:-2]
        text = answer.hex().upper()
        told.append(UNCOMPARED + text[-4:] if exchange.answer.startswith(UNCOMPARED) else text)
    return told


def requests_to(session: RecordedSession, reader: int, seed: str) -> list[bytes]:
    """Return the requests that the outside terminal sends to a reader when the cards have this seed."""
    requests: dict[int, bytes] = {}
    replay(session, seed, requests=requests)
    return [sent for number, sent in requests.items() if session.exchanges[number].reader == reader]


def _filled(
    exchange: Exchange,
    requests: Mapping[int, bytes],
    answers: Mapping[int, bytes],
    flipped: int | None,
) -> bytes:
    nth = -1

    def passed_on(match: re.Match[str]) -> str:
        nonlocal nth
        nth += 1
        source = requests if match[1] else answers
        there = bytearray(source[int(match[2])][int(match[3]) : int(match[4])])
        if nth == flipped:
            there[-1] ^= 0x01
        return there.hex()

    return bytes.fromhex(_PASSED_ON.sub(passed_on, exchange.request))
