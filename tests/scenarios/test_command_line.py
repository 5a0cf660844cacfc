"""The command line as a person, or a program, meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import cardbench
from cardbench.protocol.errors import UsageError
from cardbench.protocol.hexadecimal import from_hex
from cardbench.scenarios import stories
from cardbench.scenarios.cli import app as app_module
from cardbench.scenarios.cli import main
from cardbench.scenarios.errors import StoryFailed
from cardbench.scenarios.needs import CalypsoCardNeeds
from cardbench.scenarios.stories import STORIES
from cardbench.scenarios.stories.story import Stage, Story
from cardbench.scenarios.trace import Role
from cardbench.terminal.card import PlainRequest

if TYPE_CHECKING:
    from cardbench.scenarios.needs import Needs

VERIFY_PIN = PlainRequest(from_hex("002000000430303030"))
GET_CHALLENGE = PlainRequest(from_hex("0084000008"))


def tell_pin(stage: Stage) -> None:
    with stage.step("Verify the PIN"):
        stage.card.transmit([VERIFY_PIN])


def tell_challenge(stage: Stage) -> None:
    with stage.step("Draw a challenge"):
        challenge, _ = stage.card.transmit([GET_CHALLENGE, VERIFY_PIN])
        stage.note("a note with [brackets]")
        stage.conclude(challenge=challenge[:-2].hex())


def tell_failure(stage: Stage) -> None:
    tell_challenge(stage)
    if stage.entropy("fate").draw(1)[0] < 64:
        raise StoryFailed("the gate stays shut")


PERSONAL = CalypsoCardNeeds(aid=from_hex("A000000291FF9101"), preset="no such preset")


@pytest.fixture(autouse=True)
def _test_stories(monkeypatch: pytest.MonkeyPatch, echo_needs: Needs) -> None:
    told = {
        "pin": (tell_pin, echo_needs),
        "challenge": (tell_challenge, echo_needs),
        "failure": (tell_failure, echo_needs),
        "personal": (tell_pin, PERSONAL),
    }
    module = ModuleType("stories_of_the_test")
    for name, (tell, needs) in told.items():
        summary = f"the test story {name}"
        story = Story(name=name, summary=summary, needs={Role.CARD: needs}, play=tell)
        setattr(module, name, story)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    listed = {name: f"{module.__name__}:{name}" for name in told}
    monkeypatch.setattr(stories, "STORIES", {**STORIES, **listed})


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"cardbench {cardbench.__version__}\n"


def test_an_unknown_command_is_a_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("no-such-command") == 2
    assert "no-such-command" in capsys.readouterr().err


@pytest.mark.parametrize("command", [(), ("run",), ("stories",), ("doctor",)])
def test_help_is_there_for_every_command(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*command, "--help") == 0
    assert "Usage: cardbench" in capsys.readouterr().out


def test_the_help_of_run_gives_examples(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run("run", "--help")
    out = capsys.readouterr().out
    assert "cardbench run validation --trace --seed 7" in out
    assert "in-process: software cards in slots of this process" in out


def test_stories_are_listed_with_what_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("stories") == 0
    out = capsys.readouterr().out
    assert "challenge" in out
    assert "the test story challenge" in out


def test_stories_are_listed_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("stories", "--json") == 0
    listed = json.loads(capsys.readouterr().out)["stories"]
    assert {
        "name": "challenge",
        "summary": "the test story challenge",
        "readers": ["card"],
    } in listed


def test_a_run_tells_steps_notes_counts_and_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "challenge", "--seed", "5") == 0
    out = capsys.readouterr().out
    assert "backend in-process, seed 5" in out
    assert "✓ Draw a challenge  card 1 exchange, 2 APDUs" in out
    assert "    a note with [brackets]\n" in out
    assert "challenge done: 1 card exchange (2 APDUs), " in out
    assert "0084000008" not in out


def test_a_trace_shows_every_apdu_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "challenge", "--seed", "5", "--trace") == 0
    out = capsys.readouterr().out
    assert "    card > 0084000008  Get Challenge\n" in out
    assert "  9000 ok\n" in out


def test_a_plain_pin_is_shown_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    run("run", "pin", "--trace")
    assert "0020000004********  Verify PIN" in capsys.readouterr().out
    run("run", "pin", "--trace", "--show-secrets")
    assert "002000000430303030  Verify PIN" in capsys.readouterr().out
    run("run", "pin", "--trace", "--json")
    assert '"command": "0020000004********"' in capsys.readouterr().out


def test_a_sequence_tells_exchange_by_exchange(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "sale", "--seed", "1", "--sequence") == 0
    out = capsys.readouterr().out
    assert "1  card #1  Select Application: 9000 ok, 36 bytes\n" in out
    assert "            Close Secure Session: 9000 ok, 4 bytes\n6  SAM #3" in out
    assert "\n3 exchanges with the card, 3 exchanges with the SAM\n" in out
    assert run("run", "sale", "--seed", "1", "--sequence", "--json") == 0
    sequence = read_json(capsys)["sequence"]
    assert [(one["party"], one["number"]) for one in sequence] == [
        ("card", 1),
        ("SAM", 1),
        ("card", 2),
        ("SAM", 2),
        ("card", 3),
        ("SAM", 3),
    ]
    assert sequence[1]["commands"][0]["command"] == "8084000004"


def test_a_sequence_counts_what_the_story_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """`validation-prefetched` fetches a challenge before it is counted."""
    run("run", "validation-prefetched", "--sequence", "--json")
    told = read_json(capsys)
    parties = [one["party"] for one in told["sequence"]]
    assert parties.count("card") == told["card_exchanges"] == 7
    assert parties.count("SAM") == told["sam_exchanges"] == 2


def test_a_sequence_is_drawn_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "sale", "--seed", "1", "--mermaid") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "sequenceDiagram"
    assert len([line for line in lines if "->>" in line]) == 6 * 2


def test_a_sequence_hides_a_pin_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    run("run", "plain-pin", "--sequence", "--json")
    assert "0020000004****" in capsys.readouterr().out
    run("run", "plain-pin", "--sequence", "--json", "--show-secrets")
    assert "002000000430303030" in capsys.readouterr().out


def test_a_story_that_cannot_begin_has_no_sequence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "personal", "--json", "--sequence", "--seed", "1") == 1
    assert read_json(capsys)["sequence"] == []
    assert run("run", "personal", "--mermaid", "--seed", "1") == 1
    assert capsys.readouterr().out == ""


def read_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    captured = capsys.readouterr()
    content = json.loads(captured.out)
    assert isinstance(content, dict)
    return content


def test_json_is_one_object_with_all_that_a_program_wants(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("run", "challenge", "--json", "--seed", "9") == 0
    told = read_json(capsys)
    elapsed_ms = told.pop("elapsed_ms")
    assert 0 < elapsed_ms < 1000
    assert told.pop("median_ms") == elapsed_ms
    challenge = told["outcome"].pop("challenge")
    assert len(from_hex(challenge)) == 8
    assert told == {
        "story": "challenge",
        "backend": "in-process",
        "ok": True,
        "error": None,
        "seed": 9,
        "last_seed": 9,
        "runs": 1,
        "card_exchanges": 1,
        "card_apdus": 2,
        "sam_exchanges": 0,
        "sam_apdus": 0,
        "outcome": {},
        "steps": [
            {
                "title": "Draw a challenge",
                "ok": True,
                "notes": ["a note with [brackets]"],
                "exchanges": {"card": 1},
                "apdus": {"card": 2},
            }
        ],
    }


def test_a_seed_that_nobody_gave_is_drawn_and_plays_the_same_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("run", "challenge", "--json")
    first = read_json(capsys)
    run("run", "challenge", "--json")
    assert read_json(capsys)["seed"] != first["seed"]
    run("run", "challenge", "--json", "--seed", str(first["seed"]))
    assert read_json(capsys)["outcome"] == first["outcome"]


def test_a_repeated_story_takes_seed_after_seed_and_is_summed_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("run", "challenge", "--repeat", "3", "--seed", "10", "--json") == 0
    told = read_json(capsys)
    assert (told["seed"], told["last_seed"], told["runs"]) == (10, 12, 3)
    assert (told["card_exchanges"], told["card_apdus"]) == (3, 6)
    assert run("run", "challenge", "--repeat", "3") == 0
    out = capsys.readouterr().out
    assert "challenge done: 3 card exchanges (6 APDUs), " in out
    assert "for 3 runs, median " in out


def test_a_repeated_story_stops_at_the_first_failure_and_tells_that_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("run", "failure", "--repeat", "100", "--seed", "0", "--json") == 1
    told = read_json(capsys)
    failing = told["last_seed"]
    assert told["ok"] is False
    assert told["error"] == {"kind": "StoryFailed", "message": "the gate stays shut"}
    assert told["runs"] == failing + 1
    assert run("run", "failure", "--repeat", "100", "--seed", "0") == 1
    out = capsys.readouterr().out
    again = f"cardbench run failure --backend in-process --seed {failing} --trace"
    assert f"to play it again: {again}" in out
    assert run(*again.split()[1:]) == 1


def test_a_failure_is_one_sentence_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "epic") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("cardbench: no story 'epic'; there are: identify")
    assert captured.err.count("\n") == 1


def test_an_unknown_backend_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "challenge", "--backend", "plastic") == 1
    error = capsys.readouterr().err
    assert error.startswith("cardbench: no backend 'plastic'; there are: in-process, rootless, ")
    assert error.count("\n") == 1


def test_a_story_that_cannot_begin_still_gives_its_object(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("run", "personal", "--json", "--trace", "--seed", "1") == 1
    told = read_json(capsys)
    assert told["ok"] is False
    assert told["error"]["kind"] == "UsageError"
    assert (told["runs"], told["card_apdus"], told["steps"], told["trace"]) == (0, 0, [], [])
    assert run("run", "epic", "--json", "--trace") == 1
    assert read_json(capsys)["trace"] == []


@pytest.mark.parametrize("place", [0, 2])
def test_debug_shows_where_an_error_came_from(place: int) -> None:
    arguments = ["run", "epic"]
    arguments.insert(place, "--debug")
    with pytest.raises(UsageError, match="epic"):
        main(arguments)


def tell_interruption(_: Stage) -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_interrupted_story_is_one_sentence_and_the_status_of_shells(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, echo_needs: Needs
) -> None:
    needs = {Role.CARD: echo_needs}
    story = Story(name="pin", summary="", needs=needs, play=tell_interruption)
    monkeypatch.setattr(sys.modules["stories_of_the_test"], "pin", story)
    assert run("run", "pin") == 130
    assert capsys.readouterr().err == "cardbench: interrupted\n"


def test_an_interruption_before_any_command_is_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "app", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    assert run("stories") == 130
    assert capsys.readouterr().err == "cardbench: interrupted\n"


def test_what_stands_behind_a_double_dash_is_not_ours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("run", "--", "--debug") == 1
    assert "no story '--debug'" in capsys.readouterr().err


def clean_process(*arguments: str, **environment: str) -> str:
    """Run the command in a process of its own."""
    source = Path(cardbench.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "cardbench", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(source)} | environment,
    )
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_the_same_seed_gives_the_same_apdus_in_two_processes(name: str) -> None:
    arguments = ("run", name, "--seed", "42", "--json", "--trace", "--show-secrets")
    one = json.loads(clean_process(*arguments, PYTHONHASHSEED="1"))
    two = json.loads(clean_process(*arguments, PYTHONHASHSEED="2", TZ="Pacific/Kiritimati"))
    assert one["trace"]
    assert one["trace"] == two["trace"]
    assert one["outcome"] == two["outcome"]


@pytest.mark.slow
def test_help_loads_neither_cards_nor_terminal() -> None:
    program = (
        "import sys\nfrom cardbench.scenarios.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted(m for m in sys.modules if m.startswith(('cryptography', 'pydantic', "
        "'cardbench.emulator', 'cardbench.sam_emulator', 'cardbench.terminal'))))"
    )
    source = Path(cardbench.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(source)},
    )
    assert done.stdout.splitlines()[-1] == "[]"
