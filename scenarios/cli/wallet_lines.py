"""`cardbench wallet-lines`: a Java Card with a Wallet, spoken to line by line.

    a command APDU in hexadecimal      the response APDU in hexadecimal
    RESET                              ATR <hexadecimal>
    NEW [pin in hexadecimal]           OK: another card, with this PIN or the one of the start
    # …, or nothing                    no line
    anything else                      ! and the name of the error

The Wallet is installed and not selected. Lines are answered in order, as soon as they have come: whoever
waits for an answer before the next command gets it, and whoever sends ten thousand lines at once gets them
all at once.

An edge; and light: it is started without the command line's own libraries.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol, cast

from cardbench.emulator.applets.wallet import wallet_card
from cardbench.emulator.chassis import Refusal
from cardbench.protocol.errors import UsageError
from cardbench.protocol.hexadecimal import from_hex, to_hex
from cardbench.scenarios.cli import DEFAULT_WALLET_PIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cardbench.emulator.javacard import JavaCard

CHUNK_SIZE_BYTES = 1 << 16
FAILED = 1


class Incoming(Protocol):
    """Where lines come from: a binary stream that gives what it has."""

    def read1(self, size: int, /) -> bytes:
        """Return at least one byte as soon as there is one; nothing at the end."""
        ...


class Outgoing(Protocol):
    """Where lines go to: a binary stream."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""
        ...

    def flush(self) -> None:
        """Hand on what was taken."""
        ...


def run(pin: str = DEFAULT_WALLET_PIN) -> None:
    """Answer the lines of standard input on standard output, to the end of the input.

    Args:
        pin: hexadecimal, 1 to 8 bytes.

    Raises:
        UsageError: it is no such PIN.
        SystemExit: nobody reads the answers any more.
    """
    try:
        first = from_hex(pin)
    except UsageError:
        raise UsageError("the PIN is no hexadecimal") from None  # and is not to be seen in an error
    try:
        Talker(first).talk(cast("Incoming", sys.stdin.buffer), sys.stdout.buffer)
    except BrokenPipeError:
        # What is left in the buffer has nowhere to go either: let the interpreter's last flush succeed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)


def run_light(arguments: Sequence[str]) -> bool:
    """Run if the arguments are as plain as a program gives them; return whether they were.

    Everything else, help and mistakes too, is for the command line proper.
    """
    match list(arguments):
        case []:
            run()
        case ["--pin", pin] if not pin.startswith("-"):
            run(pin)
        case [one] if one.startswith("--pin="):
            run(one.partition("=")[2])
        case _:
            return False
    return True


class Talker:
    """Answers lines.

    Args:
        pin: of the first card, and of every further one that is not given another.

    Raises:
        UsageError: the PIN is empty or longer than 8 bytes.
    """

    def __init__(self, pin: bytes) -> None:
        self._pin = pin
        self._card = _new_card(pin)

    def talk(self, incoming: Incoming, outgoing: Outgoing) -> None:
        """Answer everything that comes; what has come together is answered together."""
        rest = b""
        while chunk := incoming.read1(CHUNK_SIZE_BYTES):
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                self._answer(whole, outgoing)
        if rest:
            self._answer(rest, outgoing)

    def _answer(self, lines: bytes, outgoing: Outgoing) -> None:
        answers: list[str] = []
        from_line, add = bytes.fromhex, answers.append
        transmit = self._card.transmit
        for line in lines.decode("ascii", "replace").split("\n"):
            try:
                command = from_line(line)
            except ValueError:
                word = self._obey(line.split())
                transmit = self._card.transmit
                if word:
                    add(word)
                continue
            if command:
                add(transmit(command).hex().upper())
        if answers:
            answers.append("")
            outgoing.write("\n".join(answers).encode("ascii"))
            outgoing.flush()

    def _obey(self, words: list[str]) -> str:
        """Do what a line without a command says; return its answer."""
        if words[0].startswith("#"):
            return ""
        try:
            match words:
                case ["RESET"]:
                    return f"ATR {to_hex(self._card.reset())}"
                case ["NEW"]:
                    self._card = _new_card(self._pin)
                    return "OK"
                case ["NEW", pin]:
                    self._card = _new_card(from_hex(pin))
                    return "OK"
            from_hex(" ".join(words))
        except UsageError as error:
            return f"!{type(error).__name__}"
        raise AssertionError("a line of hexadecimal was a command")


def _new_card(pin: bytes) -> JavaCard:
    try:
        card = wallet_card(pin)
    except Refusal:
        raise UsageError(f"a PIN of {len(pin)} byte(s); it has 1 to 8") from None
    card.power_on()
    return card
