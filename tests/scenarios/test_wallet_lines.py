"""`cardbench wallet-lines`: what it answers, when, and what it does not load."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.protocol.errors import UsageError
from cardbench.scenarios.cli import main
from cardbench.scenarios.cli.wallet_lines import Talker, run_light

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SELECT = "00A4040008F234123456100001"
VERIFY = "B02000000401020304"
BALANCE = "B050000002"
PATIENCE_S = 30.0


def talk(*lines: str, pin: str = "01020304", end: str = "\n") -> list[str]:
    out = BytesIO()
    Talker(bytes.fromhex(pin)).talk(BytesIO((end.join(lines) + end).encode()), out)
    return out.getvalue().decode().splitlines()


def test_commands_are_answered_in_order() -> None:
    assert talk(SELECT, BALANCE, VERIFY, "B03000000105", BALANCE) == [
        "9000",
        "00009000",
        "9000",
        "9000",
        "00059000",
    ]


def test_the_wallet_is_installed_and_not_selected() -> None:
    assert talk(BALANCE, "8050000002", "00A4040006A00000000101") == ["6999"] * 3


def test_lower_case_spaces_and_carriage_returns_do_not_matter() -> None:
    assert talk(f"  {SELECT.lower()} ", "B0 50 00 00 02", end="\r\n") == ["9000", "00009000"]


def test_blank_lines_and_remarks_have_no_answer() -> None:
    assert talk("", "   ", "# a remark", "  #", SELECT, "#") == ["9000"]


def test_reset_answers_the_atr_and_ends_the_selection() -> None:
    assert talk(SELECT, "RESET", BALANCE) == ["9000", "ATR 3B85018073C0011BAD", "6999"]


def test_new_takes_another_card() -> None:
    answers = talk(SELECT, VERIFY, "B03000000105", "NEW", BALANCE, SELECT, BALANCE, VERIFY)
    assert answers == ["9000", "9000", "9000", "OK", "6999", "9000", "00009000", "9000"]


def test_new_may_name_a_pin_for_that_card() -> None:
    answers = talk("NEW 31", SELECT, "B02000000131", "NEW", SELECT, VERIFY)
    assert answers == ["OK", "9000", "9000", "OK", "9000", "9000"]


@pytest.mark.parametrize(
    "line",
    [
        "B05000000",
        "B0 5 000 0002x",
        "hello",
        "OK",
        "!",
        "Ünïcode",
        "RESET now",
        "reset",
        "NEW 3",
        "NEW 31 32",
        "NEW " + "31" * 9,
    ],
)
def test_what_is_no_hexadecimal_is_answered_with_a_name(line: str) -> None:
    assert talk(line, SELECT) == ["!UsageError", "9000"]


def test_a_refused_new_keeps_the_card() -> None:
    assert talk(SELECT, "NEW 313233343536373839", BALANCE) == ["9000", "!UsageError", "00009000"]


@pytest.mark.parametrize("line", ["00", "B050", "B05000000200"])
def test_hexadecimal_that_is_no_apdu_gets_the_cards_answer(line: str) -> None:
    assert talk(line) == ["6700"]


def test_the_last_line_needs_no_end() -> None:
    assert talk(SELECT, BALANCE, end="\n")[:1] == ["9000"]
    out = BytesIO()
    Talker(b"1").talk(BytesIO(SELECT.encode()), out)
    assert out.getvalue() == b"9000\n"


class Chunks:
    """A stream that gives its bytes in pieces."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    def read1(self, _: int, /) -> bytes:
        return self.chunks.pop(0) if self.chunks else b""


@given(st.lists(st.sampled_from([SELECT, BALANCE, VERIFY, "# ä", "x", ""]), max_size=8), st.data())
def test_it_does_not_matter_how_the_lines_come_in(lines: list[str], data: st.DataObject) -> None:
    raw = "".join(line + "\n" for line in lines).encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=5)))
    chunks = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    out = BytesIO()
    Talker(bytes.fromhex("01020304")).talk(Chunks([chunk for chunk in chunks if chunk]), out)
    assert out.getvalue().decode().splitlines() == talk(*lines)


@pytest.mark.parametrize("pin", [b"", b"123456789"])
def test_a_pin_has_1_to_8_bytes(pin: bytes) -> None:
    with pytest.raises(UsageError, match="1 to 8"):
        Talker(pin)


def test_a_pin_that_is_no_hexadecimal_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["wallet-lines", "--pin", "12x4"])
    assert ended.value.code == 1
    assert "12x4" not in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["--pin"], ["--pin", "-x"], ["--pen", "31"]])
def test_help_and_mistakes_are_for_the_command_line(arguments: list[str]) -> None:
    assert not run_light(arguments)


def test_help_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["wallet-lines", "--help"])
    assert ended.value.code == 0
    assert "RESET answers ATR" in " ".join(capsys.readouterr().out.split())


# As a process

PROCESS = "from cardbench.scenarios.cli import main; main({})"


def test_the_process_answers_and_loads_nothing_heavy(new_process: Callable[..., str]) -> None:
    code = """
import atexit, sys
heavy = {"typer", "click", "rich", "pydantic", "cryptography"}
atexit.register(lambda: print(sorted(heavy & set(sys.modules))))
from cardbench.scenarios.cli import main
main(["wallet-lines", "--pin", "31"])
"""
    printed = new_process(code, stdin=f"{SELECT}\nB02000000131\n")
    assert printed.splitlines() == ["9000", "9000", "[]"]


def test_the_options_of_the_command_line_proper_work_too(new_process: Callable[..., str]) -> None:
    # Not one of the plain forms: `--pin` given twice; the last one counts.
    code = PROCESS.format(["wallet-lines", "--pin", "31", "--pin=32"])
    assert new_process(code, stdin=f"{SELECT}\nB02000000132\n") == "9000\n9000\n"


@pytest.mark.slow
def test_a_conversation_needs_no_end_of_input(repository: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS.format(["wallet-lines"])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for command, expected in ((SELECT, b"9000\n"), (BALANCE, b"00009000\n")):
            process.stdin.write(command.encode() + b"\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
            assert ready, "no answer while the input was open"
            assert process.stdout.readline() == expected
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.slow
def test_it_ends_quietly_when_nobody_reads(repository: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS.format(["wallet-lines"])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, errors = process.communicate(f"{SELECT}\n".encode(), PATIENCE_S)
        assert errors == b""
        assert process.returncode == 1
