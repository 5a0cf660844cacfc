"""Drive the Calypso card against its simple model for a number of commands; `make fuzz` calls it.

    python tools/fuzz_card.py                       100,000 commands, another seed each time
    python tools/fuzz_card.py --commands 1000000    more of them
    python tools/fuzz_card.py --seed 42             begin with this seed: what it finds, it finds again

The commands are made by the Hypothesis machine of `tests/support/calypso_machine.py`, in rounds; the
seed of a round is the one of the round before plus one. A disagreement is shrunk and printed with the
line that reproduces it. Exit status: 0 no disagreement, 1 a disagreement.
"""

from __future__ import annotations

import argparse
import importlib
import secrets
import sys
import traceback
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

TESTS = Path(__file__).resolve().parent.parent / "tests"
EXAMPLES_OF_A_ROUND = 50
STEPS_OF_AN_EXAMPLE = 60
SEED_MAX = 2**31 - 1


def main(arguments: list[str] | None = None) -> int:
    """Run rounds until the commands are exchanged; print one line at the end."""
    parser = argparse.ArgumentParser(
        description="Send the same commands to the Calypso card and to a simple model of it.",
        epilog="A failure prints the line that reproduces it.",
    )
    parser.add_argument(
        "--commands", type=_positive, default=100_000, help="how many (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=_positive, help="of the first round; drawn by chance if not given"
    )
    chosen = parser.parse_args(arguments)
    seed = chosen.seed or 1 + secrets.randbelow(SEED_MAX)
    return run(chosen.commands, seed, Console())


def _positive(text: str) -> int:
    number = int(text.replace("_", "").replace(",", ""))
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def run(commands: int, seed: int, console: Console) -> int:
    """Exchange at least so many commands, in rounds of examples, and tell what came of it."""
    tested = machine()
    exchanged = tested.tally
    exchanged.commands = 0
    exchanged.pairs.clear()
    console.print(f"card against model: {commands:,} commands, seed {seed}")
    columns = (TextColumn("commands"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    number, failure = seed, None
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("commands", total=commands)
        while exchanged.commands < commands and failure is None:
            failure = _failure_of_a_round(tested, number)
            progress.update(task, completed=exchanged.commands)
            number += 1
    if failure is not None:
        _tell(failure, number - 1, exchanged.commands, console)
        return 1
    console.print(
        f"{exchanged.commands:,} commands exchanged, {len(exchanged.pairs)} pairs of instruction and "
        f"status word, no disagreement (seeds {seed} to {number - 1})",
        soft_wrap=True,
    )
    return 0


def machine() -> Any:  # noqa: ANN401 - a class of the tests
    """Import the machine, from the tests."""
    if str(TESTS) not in sys.path:
        sys.path.insert(0, str(TESTS))
    return importlib.import_module("support.calypso_machine").CardMachine


def _failure_of_a_round(rules: Any, number: int) -> Exception | None:  # noqa: ANN401 - as above
    chosen = settings(
        max_examples=EXAMPLES_OF_A_ROUND,
        stateful_step_count=STEPS_OF_AN_EXAMPLE,
        deadline=None,
        database=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    # The seed is an attribute of the class: each round gets a class of its own.
    one = seeded(number)(type(rules.__name__, (rules,), {}))
    try:
        run_state_machine_as_test(one, settings=chosen)
    except Exception as failure:  # noqa: BLE001 - whatever a round finds is told
        return failure
    return None


def _tell(failure: Exception, number: int, commands: int, console: Console) -> None:
    text = "".join(traceback.format_exception(failure, limit=-1))
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"[red]disagreement[/] after {commands:,} commands (shrinking included), seed {number}"
    )
    console.print(f"again: make fuzz-card SEED={number} COMMANDS=1", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
