"""A pytest plug-in: which status words of which commands the tests reached.

Loaded with `-p command_coverage`. Every software card that a test makes tells of each command and the
status word it got; the summary says for each command table how many of the declared pairs were reached,
names the others, and names answers that no row declares. A pair that nobody reaches is a failure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from cardbench.emulator.chassis import CommandRow, CommandTable, SoftwareCard
    from cardbench.protocol.apdu import CommandApdu

Reached: TypeAlias = Counter[tuple[str, str, int]]
"""How often: card class, row (or `other parameters of XX`), status word."""

REACHED = pytest.StashKey[Reached]()
COMMON = frozenset((0x6700, 0x6D00, 0x6E00))
"""Wrong length, unknown instruction, unknown class: the table answers them for every row."""
_WORKER_KEY = "commands reached"


def tables() -> dict[str, CommandTable[Any]]:
    """Return the command tables by the name of their page."""
    from command_pages import PAGES, load  # noqa: PLC0415 - see pytest_collection

    return {page.title: load(page) for page in PAGES}


def families() -> dict[str, str]:
    """Return the name of a page by the module that its cards come from."""
    from command_pages import PAGES  # noqa: PLC0415 - see pytest_collection

    return {page.filled_by: page.title for page in PAGES}


def family_of(card: SoftwareCard[Any]) -> str | None:
    """Return the page that a card's commands are on."""
    module = type(card).__module__
    return next(
        (title for prefix, title in families().items() if f"{module}.".startswith(f"{prefix}.")),
        None,
    )


def row_names(card: SoftwareCard[Any], table: CommandTable[Any], command: CommandApdu) -> list[str]:
    """Name the row that answered a command, or those that it can have meant.

    A card that cuts its table to the product tells which row it was. Otherwise rows that differ by Lc
    alone are told apart by the length it has; a length that none of them has is an answer of all.
    """
    last_row: CommandRow[Any] | None = getattr(card, "last_row", None)
    if last_row is not None:
        return [last_row.name]
    fitting = [
        row
        for row in table.rows_for(command)
        if row.p1.allows(command.p1) and row.p2.allows(command.p2)
    ]
    if not fitting:
        return [f"other parameters of {command.ins:02X}"]
    exact = [row.name for row in fitting if len(command.data) in row.lc]
    return exact[:1] or [row.name for row in fitting]


class Recorder:
    """Counts what the cards tell."""

    def __init__(self) -> None:
        self.reached: Reached = Counter()
        self._tables = tables()

    def watch(self, card: SoftwareCard[Any]) -> None:
        """Let a card tell of its commands."""
        family = family_of(card)
        if family is not None:
            card.on_command = partial(self._record, card, family)

    def _record(self, card: SoftwareCard[Any], family: str, command: CommandApdu, sw: int) -> None:
        for name in row_names(card, self._tables[family], command):
            self.reached[family, name, int(sw)] += 1


def summary(reached: Iterable[tuple[str, str, int]]) -> tuple[list[str], int]:
    """Return the lines of the report and how many declared pairs were not reached."""
    by_family: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for family, name, sw in reached:
        by_family[family].add((name, sw))
    lines, missing_in_all = [], 0
    for family, table in tables().items():
        declared = {(row.name, int(sw)) for row in table for sw in row.answers}
        # A product that lacks a row refuses its parameters.
        lacking = {(row.name, int(table.parameter_refusal(row.ins))) for row in table}
        found = by_family[family]
        missing = sorted(declared - found)
        missing_in_all += len(missing)
        lines.append(f"{family}: {len(declared & found)} of {len(declared)} status words reached")
        lines += [f"  not reached: {name} {sw:04X}" for name, sw in missing]
        lines += [
            f"  not declared: {name} {sw:04X}"
            for name, sw in sorted(found - declared - lacking)
            if not name.startswith("other") and sw not in COMMON and sw >> 8 != 0x61
        ]
    return lines, missing_in_all


def _wrapped(
    method: Callable[..., Any], watch: Callable[[SoftwareCard[Any]], None]
) -> Callable[..., Any]:
    @wraps(method)
    def wrapper(self: SoftwareCard[Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        result = method(self, *arguments, **options)
        watch(self if result is None else result)
        return result

    return wrapper


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Let every card that is made from now on be watched, and every fork of one.

    What a plug-in imports before the session starts is imported before coverage is measured, and its
    lines would count as never run: so the rooms are imported here, not at the top.
    """
    from cardbench.emulator.chassis import SoftwareCard  # noqa: PLC0415

    recorder = Recorder()
    session.config.stash[REACHED] = recorder.reached
    SoftwareCard.__init__ = _wrapped(SoftwareCard.__init__, recorder.watch)  # type: ignore[method-assign]
    SoftwareCard.fork = _wrapped(SoftwareCard.fork, recorder.watch)  # type: ignore[method-assign]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - a worker of pytest-xdist
    """Take over what a worker process reached."""
    for family, name, sw in getattr(node, "workeroutput", {}).get(_WORKER_KEY, ()):
        node.config.stash[REACHED][family, name, sw] += 1


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Fail the run if a declared pair was not reached."""
    result = yield
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput[_WORKER_KEY] = [list(pair) for pair in config.stash[REACHED]]
    elif not config.option.collectonly:
        reached = config.stash[REACHED]
        session.testsfailed += summary(reached)[1]
    return result


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the report."""
    terminalreporter.section("status words of commands")
    reached = config.stash[REACHED]
    for one in summary(reached)[0]:
        terminalreporter.write_line(one)
