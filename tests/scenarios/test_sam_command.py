"""`cardbench sam`: SAMs in files, as a person or a program meets them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from cardbench.emulator.chassis import Clock, Entropy, Memory, Snapshot
from cardbench.emulator.storage import CardFile
from cardbench.sam_emulator import SamCard
from cardbench.scenarios.cli import main

Capture = pytest.CaptureFixture[str]
SIGN = "802A9E9A0DFF2B1988" + "00" * 9


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["sam", *map(str, arguments)])
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gate.sam"
    assert run("new", "bench", path, "--serial", "AEC11A36", "--seed", 1) == 0
    return path


def use(path: Path, *commands: str) -> list[str]:
    """Open the SAM in a file, send commands, close it again."""
    with CardFile.open(path) as card_file:
        sam = SamCard(card_file.memory, entropy=card_file.entropy, clock=card_file.clock)
        sam.power_on()
        return [sam.transmit(bytes.fromhex(one)).hex().upper() for one in commands]


def shown(capsys: Capture, *arguments: object) -> str:
    capsys.readouterr()
    assert run("show", *arguments) == 0
    return capsys.readouterr().out


def test_a_new_sam_says_what_it_is(capsys: Capture, tmp_path: Path) -> None:
    assert run("new", "sam-s1e1", tmp_path / "a.sam") == 0
    assert capsys.readouterr().out.endswith("a.sam: SAM-S1E1, serial number 11223344\n")


def test_counters_live_on_in_the_file(file: Path, capsys: Capture) -> None:
    assert use(file, "801400000411223344", SIGN, SIGN)[-1][-4:] == "9000"
    found = json.loads(shown(capsys, file, "--json"))
    assert found["serial"] == "AEC11A36"
    assert found["counters"][4]["value"] == 2
    assert found["counters"][4]["keys"] == ["2B/19"]


def test_keys_are_shown_by_kif_and_kvc_without_their_values(file: Path, capsys: Capture) -> None:
    text = shown(capsys, file)
    for words in (
        "SAM-C1",
        "AEC11A36",
        "30/79",
        "C1 personalization",
        "plain work key input enable",
    ):
        assert words in text
    assert "16,777,210" in text
    with CardFile.open(file) as card_file:
        rows = [row for key, row in card_file.memory.objects().items() if key[0] == "key"]
    program = shown(capsys, file, "--json")
    for row in rows:
        assert isinstance(row, bytes)
        assert row[13:].hex().upper() not in (text + program).upper()


def test_the_preset_itself_can_be_shown(capsys: Capture) -> None:
    assert "E1/F1" in shown(capsys, "control")
    assert "locked after every reset" in shown(capsys, "locked")
    assert "its private key: yes" in shown(capsys, "pki")


def test_unused_counters_are_shown_when_asked(capsys: Capture) -> None:
    few, many = shown(capsys, "bench"), shown(capsys, "bench", "--all")
    assert len(many.splitlines()) - len(few.splitlines()) == 27 - 5


def test_an_exported_sam_comes_back_as_it_was(file: Path, tmp_path: Path, capsys: Capture) -> None:
    use(file, "801400000411223344", SIGN)
    document, twin = tmp_path / "gate.json", tmp_path / "twin.sam"
    assert run("export", file, document) == 0
    assert stat.S_IMODE(document.stat().st_mode) == 0o600
    assert run("import", document, twin) == 0
    capsys.readouterr()
    assert json.loads(shown(capsys, twin, "--json")) == json.loads(shown(capsys, file, "--json"))
    assert json.loads(shown(capsys, document, "--json")) == json.loads(
        shown(capsys, file, "--json")
    )
    assert use(twin, "801400000411223344", SIGN, "80BE008400")[-1][16:24] == "04000002"


def test_export_without_a_target_goes_to_standard_output(file: Path, capsys: Capture) -> None:
    capsys.readouterr()
    assert run("export", file) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "cardbench sam"


@pytest.mark.slow
def test_equal_seeds_make_equal_sams(tmp_path: Path) -> None:
    answers = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        path = tmp_path / name
        assert run("new", "bench", path, "--seed", seed) == 0
        answers += use(path, "8084000008")
    assert answers[0] == answers[1] != answers[2]


def test_a_sam_of_ones_own(tmp_path: Path, capsys: Capture) -> None:
    own = tmp_path / "own.toml"
    own.write_text('extends = "bench"\nserial = "00000007"\nsv_number = 9\n', encoding="utf-8")
    path = tmp_path / "own.sam"
    assert run("new", own, path, "--answer-delay", "0.05", "--busy-delay", "1") == 0
    found = json.loads(shown(capsys, path, "--json"))
    assert (found["serial"], found["sv_number"]) == ("00000007", 9)
    assert found["features"]["answer_delay_ms"] == 50
    assert found["features"]["busy_delay_ms"] == 1000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["new", "nope", "x.sam"], "no SAM preset 'nope'"),
        (["new", "nope.toml", "x.sam"], "nope.toml: No such file"),
        (["new", "bench", "x.sam", "--serial", "1122"], "2 byte(s); it has 4"),
        (["new", "bench", "x.sam", "--serial", "xyz"], "not hexadecimal"),
        (["new", "bench", "x.sam", "--busy-delay", "11"], "allowed: 0 to 10000"),
        (["new", "bench", "gate.sam"], "file of that name already"),
        (["show", "nothing"], "no such card file"),
        (["show", "nothing.json"], "No such file"),
        (["show", "other.card"], "of family 'calypso', no SAM"),
        (["export", "gate.sam", "there.json"], "File exists"),
        (["import", "there.json", "x.sam"], "no JSON"),
        (["import", "binary.json", "x.sam"], "no text in UTF-8"),
    ],
)
def test_what_does_not_work_is_said_in_a_sentence(
    file: Path,
    arguments: list[str],
    words: str,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(file.parent)
    Path("there.json").write_text("{", encoding="utf-8")
    Path("binary.json").write_bytes(b"\xff\xfe")
    other = Snapshot(Memory({("a",): 1}).image(), Entropy(b"").state, Clock().now_s)
    CardFile.create("other.card", other, labels={"family": "calypso"}).close()
    assert run(*arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("cardbench: ")
    assert words in said
    assert len(said.splitlines()) == 1
    assert not Path("x.sam").exists()
