"""One case of the catalogue: a way to a status word of a command row; and how it is played.

Source: calypso-card §4.22 (order of refusals), §4.23 (misuse).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from support.calypso_cases.steps import (
    Command,
    Step,
    buffer_full,
    card_of_peer,
    invalid,
    session,
    situated,
)

from cardbench.emulator.calypso.structure import (
    PIN_TRIES_KEY,
    TRANSACTION_COUNTER_KEY,
    ratified_key,
)
from cardbench.emulator.calypso.table import COMMANDS
from cardbench.protocol.apdu import CommandApdu

if TYPE_CHECKING:
    from collections.abc import Callable


class Case(NamedTuple):
    """One way to one status word.

    Attributes:
        row: the row of the command table that answers.
        sw: status word.
        command: in hexadecimal, or made when the card is ready.
        given: what happens before.
        preset: the card.
        data: response data in hexadecimal, where it is known.
    """

    row: str
    sw: int
    command: Command
    given: tuple[Step, ...] = ()
    preset: str = "workshop"
    data: str | None = None

    def title(self) -> str:
        return f"{self.row}-{self.sw:04X}"


MAY_CHANGE_WHEN_REFUSED = frozenset((TRANSACTION_COUNTER_KEY, PIN_TRIES_KEY, ratified_key(0x2000)))


def run(case: Case) -> None:
    """Play a case; check row, status word, data, and that a refusal changed nothing."""
    peer, command = situated(case)
    card = card_of_peer(peer)
    before = card.memory.objects()
    session = card.volatile.session
    provisional = dict(session.changes) if session else {}
    answer = peer.send(command)
    assert int(answer[-4:], 16) == case.sw, f"{command} was answered {answer}"
    if case.data is not None:
        assert answer[:-4] == case.data.replace(" ", "")
    parsed = CommandApdu.parse(bytes.fromhex(command))
    if card.last_row is not None:
        assert card.last_row.name == case.row
    else:  # refused by the table: an unknown instruction or parameters, or a wrong length
        assert case.sw in (0x6700, 0x6B00, 0x6D00)
        assert case.row in {row.name for row in COMMANDS.rows_for(parsed)}
    if case.sw >> 8 not in (0x90, 0x62):
        after = card.memory.objects()
        changed = {key for key in after if after[key] != before[key]}
        assert changed <= MAY_CHANGE_WHEN_REFUSED
        assert len(answer) == 4
        if session and card.volatile.session:
            assert session.changes == provisional


CASES: list[Case] = []
NOT_REACHED: dict[tuple[str, int], str] = {}
"""Declared status words that no case reaches, with the reason."""


class Row:
    """Adds cases of one row to the catalogue."""

    def __init__(self, name: str, preset: str = "workshop") -> None:
        self.name = name
        self.preset = preset

    def __call__(
        self,
        sw: int,
        command: Command,
        *given: Step,
        data: str | None = None,
        preset: str | None = None,
    ) -> None:
        CASES.append(Case(self.name, sw, command, given, preset or self.preset, data))

    def by_sfi(
        self,
        command: Callable[[int], str],
        *,
        wrong_type: int,
        needs_key: int,
        never: int,
        wrong_p: str,
    ) -> None:
        """Add what every command that takes an SFI refuses alike.

        Args:
            command: makes the command for an SFI.
            wrong_type: SFI of a file of another type.
            needs_key: SFI of a file whose condition is not satisfied.
            never: SFI of a file that never allows it.
            wrong_p: the command with a P1 or P2 that the instruction does not take.
        """
        self(0x6981, command(wrong_type))
        self(0x6982, command(needs_key))
        self(0x6985, command(never))
        self(0x6986, command(0))
        self(0x6A82, command(0x1F))
        self(0x6B00, wrong_p)

    def writes(self, command: str) -> None:
        """Add what every modification has: done, session buffer full, DF invalidated.

        Args:
            command: on a file that always allows it.
        """
        self(0x9000, command)
        self(0x9000, command, session())
        self(0x6400, command, buffer_full)
        self(0x6985, command, invalid)
