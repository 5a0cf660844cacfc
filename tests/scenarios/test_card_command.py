"""`cardbench card`: Calypso cards in files, as a person or a program meets them."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from cardbench.emulator.calypso.personalisation import preset_names
from cardbench.emulator.chassis import Entropy, Memory, Moment, Snapshot, Tear
from cardbench.emulator.storage import CardFile
from cardbench.protocol.link import PowerLoss
from cardbench.scenarios.card_files import card_in
from cardbench.scenarios.cli import main

REPORT = Path(__file__).parents[1] / "vectors" / "card_analyzer_report.json"
Capture = pytest.CaptureFixture[str]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["card", *map(str, arguments)])
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card file that nobody changes."""
    path = tmp_path_factory.mktemp("original") / "my.card"
    assert run("new", "bench", path, "--seed", 1) == 0
    return path


@pytest.fixture
def file(original: Path, tmp_path: Path) -> Path:
    """A card file of one's own."""
    return Path(shutil.copy(original, tmp_path))


def use(path: Path, *commands: str) -> list[str]:
    """Open the card in a file, send commands, close it again."""
    with CardFile.open(path) as card_file:
        card = card_in(card_file)
        card.power_on()
        return [card.transmit(bytes.fromhex(one)).hex().upper() for one in commands]


def shown(capsys: Capture, *arguments: object) -> str:
    capsys.readouterr()
    assert run("show", *arguments) == 0
    return capsys.readouterr().out


def as_json(capsys: Capture, *arguments: object) -> dict[str, Any]:
    found = json.loads(shown(capsys, *arguments, "--json"))
    assert isinstance(found, dict)
    return found


def test_a_new_card_says_what_it_is(capsys: Capture, tmp_path: Path) -> None:
    assert run("new", "light-classic", tmp_path / "a.card", "--serial", "00000000AABBCCDD") == 0
    assert capsys.readouterr().out.endswith(
        "a.card: light-classic (light), serial number 00000000AABBCCDD\n"
    )
    assert "AABBCCDD" in use(tmp_path / "a.card", "00A4040008A000000291FF910100")[0]


def test_what_a_command_changes_lives_on_in_the_file(file: Path) -> None:
    assert use(file, "0020000004FFFFFFFF") == ["63C2"]
    assert use(file, "0020000000") == ["63C2"]


@pytest.mark.slow
def test_the_presets_are_listed(capsys: Capture) -> None:
    assert run("presets") == 0
    told = capsys.readouterr().out
    assert run("presets", "--json") == 0
    listed = json.loads(capsys.readouterr().out)["presets"]
    assert [each["name"] for each in listed] == list(preset_names())
    assert all(each["name"] in told and each["description"] in told for each in listed)


@pytest.mark.slow
def test_the_card_of_a_story_has_what_the_story_needs(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "gate.card"
    assert run("new", "story:validation", path) == 0
    assert "1: 10; the other 8 at 0" in shown(capsys, path)


def test_a_tree_shows_files_keys_and_status(file: Path, capsys: Capture) -> None:
    run("set", file, "--invalidated", "--not-ratified", "--pin-tries", 0, "--balance", -5)
    text = shown(capsys, file)
    for words in (
        "product prime-3, serial number 0000000011223344",
        "transaction counter 200,000",
        "PIN blocked",
        "purse balance -5, transaction number 0",
        "DF 2000 AID A000000291FF9101 invalidated last session not ratified",
        "pin, stored value, extended mode, pki mode",
        "3 debit key 30/74, algorithm A0",
        "EF 2020 SFI 09 linear, 4 × 29 bytes, access AA S2 S3 NN",
        "EF 2069 SFI 19 counters, 29 bytes",
        "1: 10; the other 8 at 0",
        "debit log of the purse",
    ):
        assert words in text


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_can_be_shown(preset: str, capsys: Capture) -> None:
    assert f"product {as_json(capsys, preset)['profile']}" in shown(capsys, preset)


@pytest.mark.slow
def test_shared_simulated_and_long_contents_are_told(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "kit.card"
    run("new", "kit-extended", path)
    run("set", path, "-a", "2100", "--binary", f"12:0={'AB' * 200}", "--binary", "12:4095=01")
    text = shown(capsys, path)
    assert "shares the content of EF 2117" in text
    assert "and 3,968 bytes more" in text
    assert "keys: load and debit key of DF 1000" in text
    run("new", "gtml", tmp_path / "gtml.card")
    run("set", tmp_path / "gtml.card", "--counter", "0A:1=7", "--counter", "0B:1=9")
    assert "counter 2 of SFI 19" in shown(capsys, tmp_path / "gtml.card")
    assert "1: 7; 2: 9; the other 7 at 0" in shown(capsys, tmp_path / "gtml.card")


def test_one_application_is_shown_when_asked(capsys: Capture) -> None:
    text = shown(capsys, "kit-regular", "-a", "2200")
    assert "DF 2200" in text
    assert "DF 2000" not in text
    assert "DF E100" in shown(capsys, "kit-regular", "-a", "D276")


@pytest.mark.slow
def test_secrets_show_only_when_asked_for(file: Path, capsys: Capture) -> None:
    run("set", file, "--pin", "39383736")
    with CardFile.open(file) as card_file:
        keys = [
            value[3].hex().upper()
            for name, value in card_file.memory.objects().items()
            if name[0] == "key" or name[-1] in ("load key", "debit key")
            if isinstance(value, tuple) and isinstance(value[3], bytes)
        ]
    assert len(keys) == 5
    hidden = shown(capsys, file) + shown(capsys, file, "--json")
    assert not [secret for secret in [*keys, "39383736"] if secret in hidden]
    told = shown(capsys, file, "--show-secrets")
    assert all(secret in told for secret in [*keys, "39383736"])
    assert as_json(capsys, file, "--show-secrets")["pin"] == "39383736"


@pytest.mark.slow
def test_certificates_are_told_without_the_private_key(tmp_path: Path, capsys: Capture) -> None:
    assert "key pair, card certificate and CA certificate of" in shown(capsys, "pki")
    run("new", "pki", tmp_path / "pki.card")
    assert "PKI: key pair, card certificate, CA certificate" in shown(capsys, tmp_path / "pki.card")
    objects = as_json(capsys, tmp_path / "pki.card")["applications"][0]["pki_objects"]
    assert set(objects) == {"card_certificate", "ca_certificate"}


def test_contents_are_set(file: Path) -> None:
    arguments = (
        "--record 09:2=0102 --record 2020:4=FF --binary 1A:298=AABB --counter 19:9=0x10 "
        "--balance 1000 --sv-number 5 --pin 31323334 --pin-tries 2 --transactions 7"
    )
    assert run("set", file, *arguments.split()) == 0
    answers = use(
        file,
        "00B2024C02",
        "00B2044C02",
        "00B09A0000",
        "00B0012A02",
        "00B201CC1D",
        "007C00091E",
        "002000000431323334",
        "0020000000",
        "008A030104C1C2C3C400",
    )
    assert answers[:5] == [
        "01029000",
        "FF009000",
        "00" * 256 + "9000",
        "AABB9000",
        "00000A" + "00" * 21 + "000010" + "0000" + "9000",
    ]
    assert "0003E8" in answers[5]
    assert answers[6:8] == ["9000", "9000"]
    assert answers[8].startswith("000005")  # the PIN took one transaction, Open another


def test_a_key_is_changed_to_the_test_key_of_its_kif_and_kvc(file: Path) -> None:
    assert run("set", file, "--key", "3=30/7A", "--key", "2=27/75/B0") == 0
    assert use(file, "00A409000200 00 00")[0][32:44] == "74757A212730"
    with CardFile.open(file) as card_file:
        assert card_file.memory["key", 0x2000, 2][2] == 0xB0  # type: ignore[index]
        assert card_file.memory["key", 0x2000, 3][2] == 0xA0  # type: ignore[index]


@pytest.mark.slow
def test_the_status_of_an_application_is_set_and_taken_back(file: Path) -> None:
    select = "00A4040008A000000291FF910100"
    assert run("set", file, "--invalidated") == 0
    assert use(file, select)[0].endswith("6283")
    assert run("set", file, "--valid", "--not-ratified") == 0
    selected, opened = use(file, select, "008A030104C1C2C3C400")
    assert selected.endswith("9000")
    assert opened[8:10] != "00"
    assert run("set", file, "--ratified") == 0
    assert use(file, select, "008A030104C1C2C3C400")[1][8:10] == "00"


def test_setting_what_is_so_already_writes_nothing(file: Path, capsys: Capture) -> None:
    run("set", file, "--balance", 0)
    assert capsys.readouterr().out.endswith("it is so already\n")


@pytest.mark.slow
def test_setting_is_all_or_nothing(file: Path, capsys: Capture) -> None:
    before = as_json(capsys, file)
    assert run("set", file, "--record", "09:1=FF", "--counter", "19:10=1") == 1
    assert as_json(capsys, file) == before


def test_setting_finishes_what_the_power_cut_first(file: Path) -> None:
    with CardFile.open(file) as card_file:
        card = card_in(card_file)
        card.power_on()
        card_file.memory.arm(Tear(3, Moment.AFTER))
        with pytest.raises(PowerLoss):
            card.transmit(bytes.fromhex("0020000004FFFFFFFF"))
    assert run("set", file, "--balance", 1) == 0
    assert use(file, "0020000000") == ["63C2"]


@pytest.mark.slow
def test_an_exported_card_comes_back_as_it_was(file: Path, tmp_path: Path, capsys: Capture) -> None:
    use(file, "0020000004FFFFFFFF")
    document, twin = tmp_path / "my.json", tmp_path / "twin.card"
    assert run("export", file, document) == 0
    assert stat.S_IMODE(document.stat().st_mode) == 0o600
    assert run("import", document, twin) == 0
    assert as_json(capsys, twin) == as_json(capsys, file) == as_json(capsys, document)
    with CardFile.open(file) as one, CardFile.open(twin) as other:
        assert one.memory.image() == other.memory.image()
    assert use(twin, "0020000000") == ["63C2"]


def test_a_document_that_was_changed_makes_the_changed_card(file: Path, tmp_path: Path) -> None:
    document = tmp_path / "my.json"
    run("export", file, document)
    fields = json.loads(document.read_text("utf-8"))
    fields["card"]["applications"][0]["files"][2]["content"] = ["AA55"]
    document.write_text(json.dumps(fields), "utf-8")
    run("import", document, tmp_path / "twin.card")
    assert use(tmp_path / "twin.card", "00B2013C02") == ["AA559000"]


def test_export_without_a_target_goes_to_standard_output(file: Path, capsys: Capture) -> None:
    capsys.readouterr()
    assert run("export", file) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "cardbench calypso card"


@pytest.mark.slow
def test_equal_seeds_make_equal_cards(tmp_path: Path) -> None:
    challenges = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert run("new", "bench", tmp_path / name, "--seed", seed) == 0
        challenges += use(tmp_path / name, "0084000008")
    assert challenges[0] == challenges[1] != challenges[2]


@pytest.mark.slow
def test_a_report_of_the_card_analyzer_becomes_a_card(tmp_path: Path, capsys: Capture) -> None:
    assert run("import", REPORT, tmp_path / "real.card", "--seed", 1) == 0
    told = capsys.readouterr().out
    assert (
        "real.card: 20240514_CardData_3735928559 (prime-2), serial number 00000000DEADBEEF" in told
    )
    assert "  keys are the public test keys of their KIF and KVC\n" in told
    text = shown(capsys, tmp_path / "real.card")
    assert "DF 2000 AID 315449432E494341 invalidated" in text
    assert "access 1201 S3 NN NN (rehabilitate, invalidate)" in text
    assert "EF 2003 SFI 03 linear, 29 bytes, access PN S2 NN NN" in text
    assert "1: 7; 2: 42; the other 7 at 0" in text
    serial = "00000000AABBCCDD"
    assert run("import", REPORT, tmp_path / "other.card", "--serial", serial) == 0
    assert serial in capsys.readouterr().out


OWN = """
base = "bench"
name = "mine"
serial = "00000000AABBCCDD"
[[applications]]
lid = "2000"
[[applications.files]]
lid = "2FF0"
sfi = "0B"
type = "linear"
size = 4
access = "AA S3 NN NN"
content = ["01020304"]
"""


def test_a_card_of_ones_own(tmp_path: Path, capsys: Capture) -> None:
    own = tmp_path / "own.toml"
    own.write_text(OWN, encoding="utf-8")
    assert run("new", own, tmp_path / "own.card") == 0
    assert use(tmp_path / "own.card", "00B2015C04") == ["010203049000"]
    assert as_json(capsys, own)["serial"] == "00000000AABBCCDD"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sfi = 7", "DF 2000: two files with the same LID or SFI"),
        ("sfi = 31", "DF 2000.EF 2FF0.sfi: Input should be less than or equal to 30"),
        ("size = 251", "EF 2FF0: a record has at most 250 bytes"),
        ('content = ["0G"]', "DF 2000.EF 2FF0.content.0: not hexadecimal"),
        ('content = ["0102030405"]', "EF 2FF0: content longer than 4 bytes"),
        ('access = "AA S9 NN NN"', "no access condition 'S9'; there are AA, NN, PN, S1"),
        ('access = "AA S3"', "DF 2000.EF 2FF0.access: Tuple should have at least 4 items"),
        ("recrods = 2", "DF 2000.EF 2FF0.recrods: no such name; did you mean 'records'?"),
        ('type = "lineal"', "DF 2000.EF 2FF0.type: Input should be 'binary', 'linear'"),
        ('lid = "20"', "DF 2000.EF 20.lid: not 4 hexadecimal digits"),
        ("size = ", "own.toml: not TOML"),
    ],
)
def test_what_is_wrong_with_a_card_of_ones_own_is_said_with_its_place(
    line: str, words: str, tmp_path: Path, capsys: Capture
) -> None:
    own = tmp_path / "own.toml"
    name = line.split("=", maxsplit=1)[0]
    kept = [each for each in OWN.splitlines() if not each.startswith(name) or "2000" in each]
    own.write_text("\n".join([*kept, line]), encoding="utf-8")
    assert run("new", own, tmp_path / "own.card") == 1
    said = capsys.readouterr().err
    assert words in said
    assert "own.toml" in said
    assert not (tmp_path / "own.card").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["new", "bensh", "x.card"], "no card preset 'bensh'; did you mean 'bench'?"),
        (["new", "nope.toml", "x.card"], "nope.toml: No such file"),
        (["new", "bench", "x.card", "--serial", "1122"], "at least 8 bytes"),
        (["new", "bench", "x.card", "--serial", "xyz"], "serial: not hexadecimal"),
        (["new", "bench", "my.card"], "file of that name already"),
        (["new", "story:nope", "x.card"], "no story 'nope'"),
        (["new", "story:wallet", "x.card"], "is no Calypso card"),
        (["show", "nothing"], "no card preset 'nothing'"),
        (["show", "my.card", "-a", "77"], "no application '77'; the card has 2000 (A000"),
        (["show", "kit-regular", "-a", "A0"], "more than one application 'A0'"),
        (["show", "other.sam"], "of family 'sam', no Calypso card"),
        (["export", "my.card", "there.json"], "File exists"),
        (["export", "strange.card"], "no Calypso card's memory"),
        (["import", "there.json", "x.card"], "no JSON"),
        (["import", "binary.json", "x.card"], "no text in UTF-8"),
        (["new", "story:identify", "nowhere/x.card"], "nowhere/x.card: No such file"),
        (["import", "other.json", "x.card"], "neither the JSON document of a card nor a report"),
        (["import", "newer.json", "x.card"], "version 99"),
        (["import", "newer.json", "x.card", "--seed", "1"], "says serial number and randomness"),
        (["import", "report.json", "x.card"], "aid: Field required"),
        (["set", "my.card"], "nothing to set on bench"),
        (["set", "none.card", "--balance", "1"], "no such card file"),
        (["set", "my.card", "--record", "7:1=00"], "wanted is --record SFI:NUMBER=HEX"),
        (["set", "my.card", "--record", "07:2=00"], "no record 2; it has 1 to 1"),
        (["set", "my.card", "--record", "0C:1=00"], "no file 0C in DF 2000; it has 02, 03"),
        (["set", "my.card", "--record", "3333:1=00"], "no file 3333 in DF 2000"),
        (["set", "my.card", "--record", "07:1=" + "00" * 30], "30 bytes for a record of 29"),
        (["set", "my.card", "--record", "07:1=0"], "not hexadecimal"),
        (["set", "my.card", "--record", "1A:1=00"], "is a binary file; it has no records"),
        (["set", "my.card", "--record", "14:1=00"], "is a log of the purse"),
        (["set", "my.card", "--binary", "07:0=00"], "is a linear file, no binary one"),
        (["set", "my.card", "--binary", "1A:300=00"], "1 bytes at 300; the file has 300"),
        (["set", "my.card", "--counter", "19:10=1"], "no counter 10; it has 1 to 9"),
        (["set", "my.card", "--counter", "19:1=0x1000000"], "a counter has 0 to 16777215"),
        (["set", "my.card", "--counter", "19:1=many"], "'many' is no number"),
        (["set", "my.card", "--counter", "07:1=1"], "holds no counters"),
        (["set", "my.card", "--key", "30/79"], "wanted is --key INDEX=KIF/KVC[/ALG]"),
        (["set", "my.card", "--key", "4=30/79"], "no key 4; an application has 1 (issuer)"),
        (["set", "my.card", "--pin", "123"], "pin: not hexadecimal"),
        (["set", "my.card", "--pin-tries", "4"], "pin_tries: Input should be less"),
        (["set", "my.card", "--balance", "8388608"], "balance: Input should be less"),
        (["set", "my.card", "--transactions", "-1"], "transaction_counter: Input should be"),
        (["set", "light.card", "--balance", "1"], "light-classic: the card has no Stored Value"),
        (["set", "gtml.card", "--counter", "0A:2=1"], "one simulated counter; its number is 1"),
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
    Path("other.json").write_text('{"schema": "cardbench sam"}', encoding="utf-8")
    Path("newer.json").write_text(
        '{"schema": "cardbench calypso card", "version": 99}', encoding="utf-8"
    )
    Path("report.json").write_text('{"applicationList": [{}]}', encoding="utf-8")
    for name, family in (("other.sam", "sam"), ("strange.card", "calypso")):
        if name not in arguments:
            continue
        strange = Snapshot(Memory({("a",): 1}).image(), Entropy(b"").state, 0.0)
        CardFile.create(name, strange, labels={"family": family}).close()
    for preset in {"light.card", "gtml.card"}.intersection(arguments):
        run("new", preset.replace("light.", "light-classic.").removesuffix(".card"), preset)
    capsys.readouterr()
    assert run(*arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("cardbench: ")
    assert words in said
    assert len(said.splitlines()) == 1
    assert not Path("x.card").exists()
