"""`cardbench readers`, `up` and `pcsc`: PC/SC readers seen, filled, and lent to other programs."""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cardbench.protocol.atr import Atr
from cardbench.protocol.errors import MalformedAtr, ReaderError, UsageError
from cardbench.protocol.hexadecimal import to_hex
from cardbench.scenarios.backends.rootless import place_for_sockets
from cardbench.scenarios.cli.show import print_json
from cardbench.scenarios.plugged import Plugged, PluggedBench
from cardbench.terminal.readers.pcsc import view_readers
from cardbench.terminal.readers.plugins import plugin_addresses

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from cardbench.terminal.readers.pcsc import ReaderView

DRAWN_SEED_BITS = 32
NOT_FOUND = 127
NOT_EXECUTABLE = 126


def _drawn(seed: int | None) -> int:
    return secrets.randbits(DRAWN_SEED_BITS) if seed is None else seed


# readers


def tell_readers(*, as_json: bool) -> None:
    """Print the readers of PC/SC and what is in them, and the readers of installed plug-ins.

    Raises:
        ReaderError: pyscard is missing, or no PC/SC service runs, and there is no plug-in either; or a
            plug-in does not load.
    """
    plugged = plugin_addresses()
    missing = ""
    try:
        found = view_readers()
    except ReaderError as error:
        if not plugged:
            raise
        found, missing = [], str(error)
    if as_json:
        readers = [{**view._asdict(), "atr": to_hex(view.atr)} for view in found]
        print_json({"readers": readers, "plugin_readers": plugged})
        return
    console = Console(highlight=False)
    if missing:
        console.print(escape(missing), soft_wrap=True)
    elif not found:
        console.print("PC/SC shows no reader; [bold]cardbench up[/] makes some.")
    table = Table.grid(padding=(0, 2))
    for view in found:
        table.add_row(escape(view.name), escape(_in_words(view)))
    for address in plugged:
        table.add_row(escape(address), "of a plug-in")
    console.print(table)


def _in_words(view: ReaderView) -> str:
    if not view.is_present:
        return "no card"
    if view.is_mute:
        return "a card that does not answer"
    try:
        atr = Atr.parse(view.atr, strict=False)
        way = "contactless" if atr.is_contactless else "T=" + ", T=".join(map(str, atr.protocols))
    except MalformedAtr:
        way = "not a well-formed ATR"
    return f"ATR {to_hex(view.atr)}, {way}" + (", in use" * view.is_in_use)


# up


def user_folder() -> Path:
    """Return where this user's service lives unless told otherwise."""
    run = os.environ.get("XDG_RUNTIME_DIR", "")
    if run:
        place = Path(run)
        try:
            about = place.stat()
        except OSError:
            about = None
        if about and about.st_uid == os.geteuid() and not stat.S_IMODE(about.st_mode) & 0o077:
            return place / "cardbench"
    return place_for_sockets() / f"cardbench-{os.geteuid()}"


def stay_up(
    presets: Sequence[str], *, vpcd: bool, folder: Path | None, strict_t0: bool, seed: int | None
) -> None:
    """Plug cards in, tell what to type next, and stay until a signal comes.

    Raises:
        UsageError: no such preset, more cards than readers, or options that exclude each other.
        ReaderError: the socket is busy, or pcscd does not take the cards.
    """
    if vpcd and folder is not None:
        raise UsageError("--folder is for a service of your own; with --vpcd there is none")
    place = None if vpcd else (folder or user_folder()).absolute()
    seed = _drawn(seed)
    with PluggedBench(presets, folder=place, seed=seed, strict_t0=strict_t0) as bench:
        _tell_bench(bench, seed)
        while True:
            signal.pause()


def _tell_bench(bench: PluggedBench, seed: int) -> None:
    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2))
    for plugged in bench.plugged:
        what = f"{plugged.kind.name}:{plugged.preset}"
        table.add_row(f"[bold]{escape(plugged.reader_name)}[/]", escape(what))
    console.print(table)
    console.print(f"[dim]seed {seed}; Ctrl-C pulls the cards out[/]\n")
    console.print("Next, in another terminal:")
    for name, value in bench.environment.items():
        console.print(f"  export {name}={shlex.quote(value)}", soft_wrap=True)
    console.print("  pcsc_scan -r")
    for line in _examples(bench.plugged):
        console.print(f"  {escape(line)}", soft_wrap=True)


def _examples(plugged: Sequence[Plugged]) -> list[str]:
    lines = []
    names = {each.kind.name: each.reader_name for each in reversed(plugged)}
    if "card" in names:
        line = (
            f"cardbench run identify --backend readers --card-reader {shlex.quote(names['card'])}"
        )
        lines.append(line)
        if "sam" in names:
            lines.append(
                line.replace("identify", "validation")
                + f" --sam-reader {shlex.quote(names['sam'])}"
            )
    if "javacard" in names:
        (atr, *_) = (to_hex(each.atr) for each in plugged if each.kind.name == "javacard")
        reader = shlex.quote(names["javacard"])
        lines.append(
            f"cardbench run wallet --backend readers --card-reader {reader} --allow-write {atr}"
        )
    lines.append(f"opensc-tool --reader {shlex.quote(plugged[0].reader_name)} --atr")
    return lines


# pcsc


def run_program(
    command: Sequence[str], presets: Sequence[str], *, strict_t0: bool, seed: int | None
) -> int:
    """Run a program against a private bench; return its exit status.

    Raises:
        UsageError: no such preset.
        ReaderError: the bench cannot be made.
    """
    with (
        tempfile.TemporaryDirectory(prefix="cardbench-", dir=place_for_sockets()) as place,
        PluggedBench(presets, folder=Path(place), seed=_drawn(seed), strict_t0=strict_t0) as bench,
    ):
        signals = _ProgramsSignals()
        with signals:
            try:
                program = subprocess.Popen(command, env=os.environ | bench.environment)
            except FileNotFoundError:
                print(f"cardbench: {command[0]}: no such program", file=sys.stderr)
                return NOT_FOUND
            except OSError as error:
                print(f"cardbench: {command[0]}: {error.strerror}", file=sys.stderr)
                return NOT_EXECUTABLE
            signals.hand_to(program)
            status = program.wait()
            return 128 - status if status < 0 else status


class _ProgramsSignals:
    """While the block lasts, signals that we get are the program's: those that came before it too."""

    def __init__(self) -> None:
        self._program: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if (
                signal.getsignal(number) is not signal.SIG_IGN
            ):  # else the program ignores it as well
                self._before[number] = signal.signal(number, self._take)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self._program is None:
            self._early.append(number)
        elif number != signal.SIGINT:  # Ctrl-C reaches the whole foreground group, the program too
            self._program.send_signal(number)

    def hand_to(self, program: subprocess.Popen[bytes]) -> None:
        """Say which program it is."""
        self._program = program
        for number in self._early:
            program.send_signal(number)
