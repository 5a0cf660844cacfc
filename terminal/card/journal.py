"""The journal of a transaction: its exchanges with card and crypto module, in order, ready to be told.

Every transaction keeps one (`transaction.journal`), and tells its own sequence from it. One journal may
serve selection and transactions alike; handed to each of them it tells the whole story:

    journal = Journal()
    card = manager.process(reader, journal=journal).active_smart_card
    transaction = FreeTransactionManager(reader, card, journal=journal)

A journal is an `Observer` too: `channel.observer = journal` notes whatever goes over a channel.

What is told is what was asked for: GET RESPONSE and repeats belong to the command that needed them. PINs,
keys and what repeats them are masked, in bytes that are shown; names, lengths and status words are not.
`audit_data` masks nothing.

Not thread-safe: a journal belongs to one thread, as a transaction does.

Source: terminal-api §11.1 (`getTransactionAuditData`); sequences (what an exchange is, how it is counted).
The forms that are printed are our choice.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from cardbench.protocol.hexadecimal import to_hex
from cardbench.protocol.status import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cardbench.terminal.card.channel import CardChannel
    from cardbench.terminal.card.requests import ApduRequest

STATUS_WORD_BYTES = 2
_HIDDEN = re.compile(r"\*+")


class JournalEntry(NamedTuple):
    """One command and its answer.

    Attributes:
        name: the command in the field's words, and what it works on, where the request says that.
        command: as it was sent.
        response: data and status word; empty: none came.
        shown_command, shown_response: in upper-case hexadecimal, what is secret masked.
    """

    name: str
    command: bytes
    response: bytes
    shown_command: str
    shown_response: str

    @property
    def sw(self) -> int | None:
        """Status word; None without an answer."""
        return int.from_bytes(self.response[-STATUS_WORD_BYTES:]) if self.response else None

    @property
    def outcome(self) -> str:
        """Status word in words, and how many bytes came with it."""
        if not self.response:
            return "no answer"
        size = len(self.response) - STATUS_WORD_BYTES
        brought = f", {size} byte{'' if size == 1 else 's'}" if size else ""
        return describe(int.from_bytes(self.response[-STATUS_WORD_BYTES:])) + brought


class Exchange(NamedTuple):
    """One group of commands and its answers.

    Attributes:
        party: with whom: `card`, `SAM`, `control SAM`.
        number: how many there were with that party, this one included.
        reader_name: over which reader.
        entries: the commands that were sent.
    """

    party: str
    number: int
    reader_name: str
    entries: tuple[JournalEntry, ...]


class Journal:
    """Keeps exchanges, and tells them."""

    def __init__(self) -> None:
        self._noted: list[tuple[str, CardChannel, Sequence[ApduRequest], Sequence[bytes]]] = []

    def exchange(
        self, channel: CardChannel, requests: Sequence[ApduRequest], responses: Sequence[bytes]
    ) -> None:
        """Note an exchange (the channel's side)."""
        self._noted.append((channel.party, channel, tuple(requests), tuple(responses)))

    def clear(self) -> None:
        """Forget everything."""
        self._noted.clear()

    # Reading

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All exchanges, in order."""
        numbers: Counter[str] = Counter()
        told = []
        for party, channel, requests, responses in self._noted:
            numbers[party] += 1
            entries = tuple(
                _entry(request, responses[index] if index < len(responses) else b"")
                for index, request in enumerate(requests)
            )
            told.append(Exchange(party, numbers[party], channel.name, entries))
        return tuple(told)

    @property
    def counts(self) -> dict[str, int]:
        """How many exchanges there were, by party, in the order in which they first appear."""
        return dict(Counter(party for party, *_ in self._noted))

    @property
    def audit_data(self) -> list[bytes]:
        """Every command and answer as it was, alternating: nothing is masked, a PIN in clear included.

        A command without answer is followed by an empty one.
        """
        return [
            part
            for _, _, requests, responses in self._noted
            for index, request in enumerate(requests)
            for part in (request.apdu, responses[index] if index < len(responses) else b"")
        ]

    # Telling

    def to_text(self, *, with_bytes: bool = False, with_secrets: bool = False) -> str:
        """Tell the sequence as a numbered list.

        Args:
            with_bytes: show the bytes of commands and answers.
            with_secrets: do not mask PINs, keys and what repeats them.
        """
        exchanges = self.exchanges
        if not exchanges:
            return "no exchange"
        labels = [f"{one.party} #{one.number}" for one in exchanges]
        head = len(str(len(exchanges)))
        width = max(map(len, labels))
        indent = " " * (head + width + 4)
        lines = []
        for index, (exchange, label) in enumerate(zip(exchanges, labels, strict=True), 1):
            first = f"{index:>{head}}  {label:<{width}}  "
            for entry in exchange.entries:
                lines.append(f"{first}{entry.name}: {entry.outcome}")
                first = indent
                if with_bytes:
                    sent, came = entry.shown_command, entry.shown_response
                    if with_secrets:
                        sent, came = to_hex(entry.command), to_hex(entry.response)
                    lines += [f"{indent}  > {_short(sent)}", f"{indent}  < {_short(came)}"]
        spent = (
            f"{count} exchange{'' if count == 1 else 's'} with the {party}"
            for party, count in self.counts.items()
        )
        return "\n".join([*lines, ", ".join(spent)])

    def to_mermaid(self) -> str:
        """Tell the sequence as a Mermaid sequence diagram: names and status words, no bytes."""
        parties = tuple(self.counts)
        lines = ["sequenceDiagram", "    participant terminal"]
        lines += [f"    participant P{index} as {party}" for index, party in enumerate(parties)]
        for exchange in self.exchanges:
            party = f"P{parties.index(exchange.party)}"
            asked = "<br/>".join(entry.name for entry in exchange.entries)
            lines += [
                f"    terminal->>{party}: ({exchange.number}) {asked}",
                f"    {party}-->>terminal: {_words(exchange)}",
            ]
        return "\n".join(lines)

    def as_json(self, *, with_secrets: bool = False) -> list[dict[str, Any]]:
        """Return the sequence as lists and dictionaries of text and numbers, for JSON."""
        return [
            {
                "party": exchange.party,
                "number": exchange.number,
                "reader": exchange.reader_name,
                "commands": [
                    {
                        "name": entry.name,
                        "command": to_hex(entry.command) if with_secrets else entry.shown_command,
                        "response": to_hex(entry.response)
                        if with_secrets
                        else entry.shown_response,
                    }
                    for entry in exchange.entries
                ],
            }
            for exchange in self.exchanges
        ]

    def __repr__(self) -> str:
        spent = ", ".join(f"{party} {count}" for party, count in self.counts.items())
        return f"<Journal {spent or 'empty'}>"


def _entry(request: ApduRequest, response: bytes) -> JournalEntry:
    name = request.name
    shown = to_hex(response)
    if getattr(request, "hides_answer", False):
        hidden = max(0, len(response) - STATUS_WORD_BYTES)
        shown = "*" * hidden + to_hex(response[hidden:])
    subject = getattr(request, "subject", "")
    return JournalEntry(
        f"{name} ({subject})" if subject else name,
        request.apdu,
        response,
        request.describe().removeprefix(name).strip(),
        shown,
    )


def _short(shown: str) -> str:
    return _HIDDEN.sub(lambda stars: f" ({len(stars[0])} bytes hidden) ", shown).strip() or "–"


def _words(exchange: Exchange) -> str:
    """Status words of an exchange; the same one after the other is counted."""
    words: list[list[Any]] = []
    for entry in exchange.entries:
        word = "no answer" if entry.sw is None else f"{entry.sw:04X}"
        if words and words[-1][0] == word:
            words[-1][1] += 1
        else:
            words.append([word, 1])
    return ", ".join(word if count == 1 else f"{count} × {word}" for word, count in words)
