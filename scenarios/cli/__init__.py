"""The command line: `cardbench` and `python -m cardbench`.

`main` is the console entry. An error of the bench is one sentence on standard error and a non-zero exit
status; `--debug` shows where it came from. What a command needs is imported when the command runs, so
that help and the light commands start fast.

Ctrl-C, and a request to end, unwind whatever runs, so that sockets and folders are given back; further
ones are then ignored. The exit status is 128 and the number of the signal.
"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cardbench.protocol.errors import CardbenchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

__all__ = ["main"]

FAILED = 1
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
DEBUG = "--debug"
WALLET_LINES = "wallet-lines"
DEFAULT_WALLET_PIN = "01020304"


class Stopped(BaseException):
    """A signal asks the process to end; not an error, so that no handler of errors takes it."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


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
        with _stoppable():
            if _ran_light(given):
                sys.exit(0)
            from cardbench.scenarios.cli.app import app

            app(given, prog_name="cardbench")
    except CardbenchError as error:
        if is_debugging:
            raise
        _say(str(error))
        sys.exit(FAILED)
    except Stopped as stop:
        _say("interrupted" if stop.number == signal.SIGINT else f"stopped by {stop}")
        sys.exit(128 + stop.number)
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


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn the first signal that asks for the end into `Stopped`; ignore those that come after it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    wanted = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in wanted:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
