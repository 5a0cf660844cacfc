"""The command line: `cardbench` and `python -m cardbench`.

`main` is the console entry. An error of the bench is one sentence on standard error and a non-zero exit
status; `--debug` shows where it came from. What a command needs is imported when the command runs, so
that help and the light commands start fast.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cardbench.protocol.errors import CardbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

FAILED = 1
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
DEBUG = "--debug"
WALLET_LINES = "wallet-lines"
DEFAULT_WALLET_PIN = "01020304"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit status.

    Args:
        arguments: what follows the command's name; by default those of the process.

    Raises:
        CardbenchError: only with `--debug`.
        SystemExit: otherwise; 0 for success, 1 for a failure, 2 for a wrong use, 130 when interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    ours = given[: given.index("--")] if "--" in given else given
    is_debugging = DEBUG in ours
    if is_debugging:  # taken out here, so that it may stand anywhere
        given.remove(DEBUG)
    try:
        if _ran_light(given):
            sys.exit(0)
        from cardbench.scenarios.cli.app import app

        app(given, prog_name="cardbench")
    except CardbenchError as error:
        if is_debugging:
            raise
        _say(str(error))
        sys.exit(FAILED)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # the library takes the signal and says nothing
            _say("interrupted")
        raise


def _say(sentence: str) -> None:
    print(f"cardbench: {sentence}", file=sys.stderr)


def _ran_light(given: list[str]) -> bool:
    """Run a command that does without the command line's libraries; return whether it was one."""
    if given[:1] != [WALLET_LINES]:
        return False
    from cardbench.scenarios.cli.wallet_lines import run_light

    return run_light(given[1:])
