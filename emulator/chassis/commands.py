"""The command table: a command is declared once, beside its handler.

A row says what the command is called, which bytes it answers to, where it is allowed, what it may
answer and where that is written. Dispatch, the refusal of unknown instructions, parameters and
lengths, the documentation, the coverage report and the fuzzer's grammar all read the same rows.

    table = CommandTable[MyCard]("my card")

    @table.command(name="Read Binary", ins=0xB0, p1=ANY, p2=ANY, cases={IsoCase.DATA_OUT},
                   answers=(0x9000, 0x6A82), source="my-sheet 4.4")
    def read_binary(card: MyCard, command: CommandApdu) -> bytes: ...

A handler returns response data (status 9000), or data and a status word; it refuses by raising
`Refusal`. Rows of one instruction are tried in the order they were declared; of those whose P1 and P2
rules hold, the first that takes the number of data bytes is the one. So the forms of a command that
differ by Lc alone are rows of their own.

Source: our choice (DESIGN idea 4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from cardbench.protocol.apdu import CommandApdu, IsoCase
from cardbench.protocol.errors import UsageError
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

CardType = TypeVar("CardType")

Answer: TypeAlias = bytes | tuple[bytes, int]
"""Response data for 9000, or response data with another status word."""


class Refusal(Exception):
    """Ends a handler with a status word and no data; nothing that the handler prepared is kept."""

    def __init__(self, sw: int) -> None:
        self.sw = sw

    def __str__(self) -> str:
        return f"{self.sw:04X}"


@dataclass(frozen=True, slots=True)
class ByteRule:
    """Which values a header byte may take: `byte & mask == value`, within `low` … `high` after that.

    Attributes:
        text: how the documentation writes it, such as `SFI×8 + 4`.
        mask, value: the fixed bits.
        low, high: inclusive bounds of the whole byte.
    """

    text: str
    mask: int = 0
    value: int = 0
    low: int = 0
    high: int = 255

    def allows(self, byte: int) -> bool:
        """Whether the rule holds for this byte."""
        return byte & self.mask == self.value and self.low <= byte <= self.high

    def values(self) -> list[int]:
        """All bytes that the rule allows, for documentation and fuzzing."""
        return [byte for byte in range(256) if self.allows(byte)]


ANY = ByteRule("any")


def exactly(value: int) -> ByteRule:
    """One value only."""
    return ByteRule(f"{value:02X}", 0xFF, value)


def between(low: int, high: int) -> ByteRule:
    """A range, both ends included."""
    return ByteRule(f"{low:02X}…{high:02X}", low=low, high=high)


def bits(text: str, mask: int, value: int) -> ByteRule:
    """Some bits fixed, the others free."""
    return ByteRule(text, mask, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow(Generic[CardType]):
    """One form of one command.

    Attributes:
        name: the field's name for it.
        ins: instruction byte.
        p1, p2: rules for the parameters; what no row allows is refused with 6B00.
        cases: the ISO cases that are answered. Le is never demanded: under T=0 it may be missing.
        lc: allowed numbers of data bytes; others are refused with 6700.
        answers: every status word the handler may answer with, 9000 included where it can succeed.
        source: document and section, or `our choice: …`.
        where: where it is allowed, in words of the card family (`session`, `outside`, …).
        traits: properties that the card family acts upon (`digested`, `modifies`, …).
        handler: the function that carries it out.
    """

    name: str
    ins: int
    p1: ByteRule
    p2: ByteRule
    cases: frozenset[IsoCase]
    lc: Collection[int]
    answers: tuple[int, ...]
    source: str
    where: str
    traits: frozenset[str]
    handler: Callable[[CardType, CommandApdu], Answer] = field(repr=False)


_MET_MAX = 8192
NO_DATA: Collection[int] = frozenset((0,))
ANY_DATA: Collection[int] = range(1, 256)
ANY_OR_NO_DATA: Collection[int] = range(256)

_WITHOUT_DATA = frozenset((IsoCase.NO_DATA, IsoCase.DATA_OUT))


def _lengths(name: str, cases: Collection[IsoCase], lc: Collection[int] | None) -> Collection[int]:
    without_data = not _WITHOUT_DATA.isdisjoint(cases)
    with_data = not _WITHOUT_DATA.issuperset(cases)
    if lc is None:
        if without_data and with_data:
            return ANY_OR_NO_DATA
        return ANY_DATA if with_data else NO_DATA
    if (0 in lc, any(lc)) != (without_data, with_data) or not cases:
        raise UsageError(f"{name}: the numbers of data bytes contradict the ISO cases")
    return lc


class CommandTable(Generic[CardType]):
    """The commands of one card family.

    Args:
        name: the family, for documentation.
        unknown_parameters: answer where the instruction is known but no row takes P1 and P2.
    """

    def __init__(
        self, name: str, *, unknown_parameters: int = StatusWord.P1P2_NOT_SUPPORTED
    ) -> None:
        self.name = name
        self._unknown_parameters = unknown_parameters
        self._unknown_parameters_of: dict[int, int] = {}
        self._rows: dict[int, list[CommandRow[CardType]]] = {}
        self._met: dict[tuple[int, int, int, int], CommandRow[CardType]] = {}
        """Rows by instruction, P1, P2 and number of data bytes, as far as they have been asked for."""

    def __iter__(self) -> Iterator[CommandRow[CardType]]:
        for ins in sorted(self._rows):
            yield from self._rows[ins]

    def command(
        self,
        *,
        name: str,
        ins: int,
        cases: Collection[IsoCase],
        answers: Collection[int],
        source: str,
        p1: ByteRule = ANY,
        p2: ByteRule = ANY,
        lc: Collection[int] | None = None,
        where: str = "anywhere",
        traits: Collection[str] = (),
    ) -> Callable[
        [Callable[[CardType, CommandApdu], Answer]], Callable[[CardType, CommandApdu], Answer]
    ]:
        """Declare a row; the decorated function becomes its handler and stays callable.

        Without `lc` the row takes every number of data bytes of a short APDU that its cases allow.

        Raises:
            UsageError: `lc` and `cases` contradict each other.
        """
        lc = _lengths(name, cases, lc)

        def declare(
            handler: Callable[[CardType, CommandApdu], Answer],
        ) -> Callable[[CardType, CommandApdu], Answer]:
            row = CommandRow(
                name=name,
                ins=ins,
                p1=p1,
                p2=p2,
                cases=frozenset(cases),
                lc=lc,
                answers=tuple(answers),
                source=source,
                where=where,
                traits=frozenset(traits),
                handler=handler,
            )
            self._rows.setdefault(ins, []).append(row)
            self._met.clear()
            return handler

        return declare

    def refuse_parameters(self, ins: int, sw: int) -> None:
        """Choose the answer for one instruction where no row takes P1 and P2."""
        self._unknown_parameters_of[ins] = sw
        self._met.clear()

    def parameter_refusal(self, ins: int) -> int:
        """Return the answer where the instruction is known but no row takes P1 and P2."""
        return self._unknown_parameters_of.get(ins, self._unknown_parameters)

    def find(self, command: CommandApdu) -> CommandRow[CardType]:
        """Return the row that answers this command.

        Raises:
            Refusal: 6D00 unknown instruction, 6B00 (or the table's choice) unknown parameters,
                6700 wrong number of data bytes.
        """
        _, ins, p1, p2, data, _, _ = command
        meant = (ins, p1, p2, len(data))
        row = self._met.get(meant)
        if row is None:
            found = self._find(*meant)
            if not isinstance(found, CommandRow):
                raise Refusal(found)
            if len(self._met) >= _MET_MAX:
                self._met.clear()
            row = self._met[meant] = found
        return row

    def rows_for(self, command: CommandApdu) -> list[CommandRow[CardType]]:
        """Return every row that a command can have meant: by P1 and P2, else by instruction."""
        rows = self._rows.get(command.ins, [])
        fitting = [r for r in rows if r.p1.allows(command.p1) and r.p2.allows(command.p2)]
        return fitting or list(rows)

    def subset(self, wanted: Callable[[CommandRow[CardType]], bool]) -> CommandTable[CardType]:
        """Return a table of the rows that a product has; the others are unknown to it."""
        table: CommandTable[CardType] = CommandTable(
            self.name, unknown_parameters=self._unknown_parameters
        )
        table._unknown_parameters_of.update(self._unknown_parameters_of)
        for row in self:
            if wanted(row):
                table._rows.setdefault(row.ins, []).append(row)
        return table

    def _find(self, ins: int, p1: int, p2: int, nc: int) -> CommandRow[CardType] | int:
        rows = self._rows.get(ins)
        if rows is None:
            return StatusWord.INS_NOT_SUPPORTED
        answer = self.parameter_refusal(ins)
        for row in rows:
            if row.p1.allows(p1) and row.p2.allows(p2):
                if nc in row.lc:
                    return row
                answer = StatusWord.WRONG_LENGTH
        return answer
