"""The report of the Calypso Card Analyzer becomes a software card with the same structure and data.

No report of a real card is published, and one would hold somebody's journeys. The vector here was made by
hand in the form of the tool's source; `support/card_analyzer.py` walks over a card as the tool does. A card
of revision 1 is left out: it has no FCI, and the tool does not see it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.calypso_peer import Peer
from support.calypso_workshop import made
from support.card_analyzer import analyse

from cardbench.emulator.calypso.analyzer_report import parse_report
from cardbench.emulator.calypso.factory import card_of
from cardbench.emulator.calypso.from_report import FromReport, card_from_report
from cardbench.emulator.calypso.personalisation import preset_names
from cardbench.protocol.errors import MalformedImage, UsageError

VECTOR = Path(__file__).parents[2] / "vectors" / "card_analyzer_report.json"


def whole() -> dict[str, Any]:
    fields = json.loads(VECTOR.read_text("utf-8"))
    assert isinstance(fields, dict)
    return fields


def read(fields: object, **options: bytes) -> FromReport:
    return card_from_report(parse_report(json.dumps(fields)), **options)


@pytest.mark.parametrize("preset", sorted({*preset_names()} - {"prime-1"}))
def test_a_card_made_of_a_report_is_reported_alike(preset: str) -> None:
    report = analyse(made(preset))
    assert report["applicationList"]
    assert analyse(card_of(read(report).card)) == report


def test_a_card_in_use_is_reported_alike_again() -> None:
    peer = Peer(made("bench"))
    for mark in ("AA", "BB", "CC"):
        peer.open(1)
        peer.ok("00DC013C02" + mark * 2, "00E2004002" + mark * 2, "003202C803000005 00")
        assert peer.send(peer.sv_command(0xB8, 500, peer.ok("007C000721") + "9000")) == "6200"
        peer.close_ok()
    peer.open(1)
    peer.ok("0004000000")
    peer.close_ok()
    report = analyse(peer.card)  # type: ignore[arg-type]
    twin = card_of(read(report).card)
    assert analyse(twin) == report
    assert twin.memory[("purse",)][:2] == (1500, 3)  # type: ignore[index]


def test_the_published_form_is_read_field_by_field() -> None:
    report = whole()
    (application,) = report["applicationList"]
    found = read(report)
    card = card_of(found.card)
    peer = Peer(card, serial="00000000DEADBEEF", kvc=0x79, cla=0x94)
    assert peer.send("00A4040008315449432E494341 00") == application["fci"]
    assert peer.ok("94A4090002000000")[4 + 10 : 4 + 26] == "12100000" + "01030101"
    assert peer.ok("94B2013C1D") == application["fileList"][0]["recordDataList"][0]["value"]
    assert peer.ok("94B201CC1D") == application["fileList"][2]["recordDataList"][0]["value"]
    assert peer.ok("94B2015C03") == "00002A"
    assert peer.ok("94B201AC1D") == application["fileList"][5]["recordDataList"][0]["value"]
    assert peer.sw("94B2011C1D") == 0x6982
    assert peer.ok("94CA018500") == "3C142310"
    peer.open(3, mode="revision 2")
    assert peer.ok("94B2013C1D")
    peer.close_ok()
    assert found.card.purse is not None
    assert (found.card.purse.balance, found.card.purse.transaction_number) == (480, 6)


def test_what_a_report_does_not_say_is_told() -> None:
    notes = "\n".join(read(whole()).notes)
    for words in (
        "PIN 30303030 and answer to reset are those of a preset",
        "keys are the public test keys",
        "transaction counter 200,000: the report has none",
        "DF 2000: KIFs that the card does not tell are usual",
        "keys of the purse are 07/79 and 10/79",
        "balance and number of the purse are those of its newest log",
        "file of SFI 07: LID 2007, for the report has none",
        "DF 2000: zero, for the report has no content: 03",
    ):
        assert words in notes


PROFILE_FIELDS = (
    "aid",
    "applicationType",
    "applicationSubtype",
    "accessConditions",
    "status",
    "lid",
)
KEYS = tuple(f"{name}{index}" for name in ("kif", "kvc") for index in (1, 2, 3))
FILE_FIELDS = ("sfi", "lid", "efType", "recSize", "numRec", "accessConditions")


def profile_of(report: dict[str, Any]) -> dict[str, Any]:
    """Cut a report down to what the profiles of the test kits have."""
    return {
        "id": "TestKit.json",
        "version": 2,
        "applicationList": [
            {name: application[name] for name in (*PROFILE_FIELDS, *KEYS)}
            | {
                "fileList": [
                    {name: file[name] for name in FILE_FIELDS} for file in application["fileList"]
                ]
            }
            for application in report["applicationList"]
        ],
    }


def test_a_profile_with_few_fields_is_read() -> None:
    report = analyse(made("gtml"))
    found = read(profile_of(report))
    again = analyse(card_of(found.card))
    assert [each["aid"] for each in again["applicationList"]] == [
        each["aid"] for each in report["applicationList"]
    ]
    simulated = [
        file["ref"]
        for application in again["applicationList"]
        for file in application["fileList"]
        if file["efType"] == "08"
    ]
    assert simulated == [f"190{number}" for number in range(1, 10)]
    notes = "\n".join(found.notes)
    assert "serial number 0000000011223344: the report has none" in notes
    assert "startup information is filled in from a preset" in notes
    assert "simulated counters are images of the counters in their order" in notes


def test_files_that_name_each_other_share_their_content() -> None:
    report = analyse(made("kit-extended"))
    for application in report["applicationList"]:
        for file in application["fileList"]:
            partner = {"21": "22", "22": "21"}.get(file["lid"][:2])
            if file["ref"] != "0000" and partner:
                file["ref"] = partner + file["lid"][2:]
    card = card_of(read(report).card)
    original = made("kit-extended")
    for each in (card, original):
        peer = Peer(each)
        peer.ok("00A404000B A000000291A00000019102 00")
        peer.ok("00DC01D401AB")
        peer.ok("00A4040008 A000000291FF9111 00")
        assert peer.ok("00B201D401") == "AB"
    assert analyse(card)["applicationList"] == analyse(original)["applicationList"]


def test_a_shared_content_is_taken_from_the_file_that_could_be_read() -> None:
    report = analyse(made("kit-extended"))
    hoplink, intercode = report["applicationList"][2], report["applicationList"][3]
    names = {each["lid"]: each for each in hoplink["fileList"]}
    assert names["2112"]["recordDataList"][0]["value"][20:22] == "FF"
    names["2112"]["recordDataList"] = []
    assert intercode["lid"] == "2200"
    assert analyse(card_of(read(report).card)) == analyse(made("kit-extended"))


def test_a_kif_that_the_card_hides_stays_hidden_and_the_usual_key_is_behind_it() -> None:
    report = analyse(made("light-classic"))
    for index in (1, 2, 3):
        report["applicationList"][0][f"kif{index}"] = "FF"
    card = card_of(read(report).card)
    peer = Peer(card, kvc=0x79)
    assert peer.open(3)[10:14] == "FF79"
    peer.ok("00DC014401AA")
    peer.close_ok()


def test_an_hce_card_keeps_its_validity_token() -> None:
    report = analyse(made("hce"))
    assert report["applicationList"][0]["csn"].startswith("0000")
    assert read(report).card.serial == made("hce").structure.serial


def test_another_serial_number_may_be_given() -> None:
    found = read(whole(), serial=bytes.fromhex("0000000011223344"))
    assert found.card.serial.hex() == "0000000011223344"


def test_the_certificates_that_a_report_does_not_have_are_told() -> None:
    assert any("certificates" in note for note in read(analyse(made("pki"))).notes)


def test_a_binary_file_without_a_size_is_given_one() -> None:
    report = profile_of(analyse(made("kit-regular")))
    del report["applicationList"][-1]["fileList"][1]["recSize"]
    found = read(report)
    assert found.card.applications[-1].files[1].size == 2048
    assert any("2048 bytes, for the report has no size" in note for note in found.notes)


def test_an_application_that_is_reported_twice_is_taken_once() -> None:
    report = whole()
    report["applicationList"] *= 2
    found = read(report)
    assert len(found.card.applications) == 1
    assert "an application that is reported twice is taken once" in found.notes


@pytest.mark.parametrize("status_word", ["", "9000", "6283"])
def test_an_fci_is_read_with_and_without_its_status_word(status_word: str) -> None:
    report = whole()
    application = report["applicationList"][0]
    application["fci"] = application["fci"].removesuffix("6283") + status_word
    application["platform"] = "FF"
    assert read(report).card.platform == 0x2E


def test_an_fci_that_cannot_be_read_is_replaced_by_the_fields() -> None:
    report = whole()
    report["applicationList"][0]["fci"] = "6F02"
    found = read(report)
    assert found.card.platform == 0x2E
    assert found.card.serial.hex() == "00000000deadbeef"
    assert any("the FCI cannot be read" in note for note in found.notes)


def test_serial_numbers_that_differ_are_told() -> None:
    report = analyse(made("kit-regular"))
    report["applicationList"][1]["fci"] = ""
    report["applicationList"][1]["csn"] = "0000000099999999"
    assert any("applications have different ones" in note for note in read(report).notes)


def test_a_transaction_counter_that_is_told_is_taken() -> None:
    report = whole()
    report["applicationList"][0]["transactionCounter"] = "030D40"
    assert read(report).card.transaction_counter == 200_000
    report["applicationList"][0]["transactionCounter"] = "000005"
    assert read(report).card.transaction_counter == 5


def test_startup_bytes_of_one_application_alone_are_kept() -> None:
    report = analyse(made("kit-regular"))
    for application in report["applicationList"][1:]:
        application["fci"] = application["fci"].replace("53070A3C", "53070AC0")
    found = read(report)
    assert found.card.applications[0].platform is None
    assert {each.platform for each in found.card.applications[1:]} == {0xC0}


def test_names_that_are_not_known_and_a_last_comma_are_let_pass() -> None:
    text = VECTOR.read_text("utf-8").replace('"version": 2,', '"version": 9, "colour": "blue",')
    parse_report(text.replace("]\n        }\n      ]", "]\n        },\n      ]"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"aid": "zz"}, "aid: not hexadecimal"),
        ({"aid": "31"}, "aid: Data should have at least 5 bytes"),
        ({"kif1": "F"}, "kif1: not hexadecimal, or an odd number of digits"),
        ({"accessConditions": {}}, "accessConditions.group0: Field required"),
        ({"kvc1": -1}, "kvc1: Input should be greater than or equal to 0"),
        ({"calypsoRevision": "PRIME_REVISION_9"}, "calypsoRevision 'PRIME_REVISION_9'; known are"),
        ({"calypsoRevision": "", "applicationType": "00"}, "calypsoRevision ''"),
        ({"applicationType": "20", "fci": ""}, "application type 20; prime-2 has 01…1F"),
    ],
)
def test_what_is_wrong_with_an_application_is_said(change: dict[str, object], words: str) -> None:
    report = whole()
    report["applicationList"][0] |= change
    with pytest.raises(UsageError, match=words):
        read(report)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"efType": "03"}, "file of SFI 07: no EF type 03"),
        ({"recSize": None}, "file of SFI 07: recSize is missing"),
        ({"recSize": "0002"}, "EF 2007: content longer than 2 bytes"),
        ({"recSize": "00FB"}, "EF 2007: a record has at most 250 bytes"),
        ({"sfi": "1F"}, "sfi: Input should be less than or equal to 30"),
        ({"sfi": "03"}, "file of SFI 03 has no LID, and 2003 is taken"),
        ({"lid": "2069"}, "two files with the same LID or SFI"),
        ({"numRec": "00"}, "records: Input should be greater"),
        ({"recordDataList": [{"index": "FFFF", "value": ""}]}, "index: Input should be less"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(change: dict[str, object], words: str) -> None:
    report = whole()
    files = report["applicationList"][0]["fileList"]
    files[1]["lid"] = "2003"
    files[0] |= change
    with pytest.raises(UsageError, match=words):
        read(report)


def test_applications_of_different_products_are_no_one_card() -> None:
    report = analyse(made("kit-regular"))
    report["applicationList"][0]["calypsoRevision"] = "LIGHT"
    with pytest.raises(UsageError, match="different products, LIGHT, PRIME_REVISION_3"):
        read(report)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[]", "no report of the Calypso Card Analyzer"),
        ('{"id": "x"}', "no report of the Calypso Card Analyzer"),
    ],
)
def test_what_is_no_report_is_refused(text: str, words: str) -> None:
    with pytest.raises(MalformedImage, match=words):
        parse_report(text, "x.json")
