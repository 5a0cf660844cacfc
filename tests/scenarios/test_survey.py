"""Looking at cards that somebody put into a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.errors import FileNotFound, MalformedCardData
from cardbench.protocol.hexadecimal import from_hex
from cardbench.scenarios.backends import Backend, Place, Seat
from cardbench.scenarios.errors import StoryFailed
from cardbench.scenarios.runner import run, world_for
from cardbench.scenarios.stories import find_story
from cardbench.scenarios.survey import survey
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers import ScriptedReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cardbench.scenarios.stories.story import StoryResult

# calypso-card §2.2 and §3.7: answers of real cards and of the test kits
FCI_REVISION_2 = (
    "6F2A8410A0000004040125090101000000000000A516BF0C13C708000000001122334453070A2E1142000101"
)
DF_REVISION_2 = "8517 00 02 00 00 00 12120000 01030101 00 606060 000000 2000 00"
FCI_REVISION_3 = "6F238409315449432E49434131A516BF0C13C708000000001122334453070A3C2005141001"
DF_REVISION_3 = "8517 00 02 00 00 00 10100000 01030000 00 959595 212730 00 2000"
ENVIRONMENT = "8517 07 04 02 30 02 1F100000 01010101 00 0000 0000000000 2001"
NOT_FOUND = "6A82"


class ScriptedBackend(Backend):
    """One reader with a recording in it."""

    name = "scripted"

    def __init__(self, *script: tuple[str, str]) -> None:
        self.reader = ScriptedReader(*script)

    def open(self, seats: Sequence[Seat], *, sleep: Callable[[float], None]) -> Sequence[Place]:
        del seats, sleep
        return [Place(self.reader, None)]

    def close(self) -> None:
        pass


def identified(*script: tuple[str, str]) -> StoryResult:
    story = find_story("identify")
    backend = ScriptedBackend(*script)
    with world_for(story, backend) as world:
        result = run(story, world, seed=1)
    assert backend.reader.remaining == ()
    return result


def test_a_revision_2_card_is_spoken_to_in_its_class_and_described() -> None:
    result = identified(
        ("00A4040005 A000000291 00", NOT_FOUND),
        ("00A4040008 315449432E494341 00", NOT_FOUND),
        ("00A4040005 A000000404 00", FCI_REVISION_2 + "9000"),
        ("94A4090002000000", DF_REVISION_2 + "9000"),
        ("94A4020002000000", ENVIRONMENT + "9000"),
        ("94A4020202000000", NOT_FOUND),
    )
    assert result.ok
    assert result.facts["product"] == "prime_revision_2"
    notes = result.steps[1].notes
    assert "session buffer: 6 modifications" in notes
    assert "key 1 (personalization): KIF 00, KVC 60" in notes


def test_an_invalidated_card_is_said_to_be_one() -> None:
    result = identified(
        ("00A4040005 A000000291 00", NOT_FOUND),
        ("00A4040008 315449432E494341 00", FCI_REVISION_3 + "6283"),
        ("00A4090002000000", DF_REVISION_3 + "9000"),
        ("00A4020002000000", NOT_FOUND),
    )
    assert result.facts["invalidated"] is True
    assert "application 315449432E49434131, invalidated" in result.steps[1].notes
    assert result.facts["files"] == []


def test_a_card_without_a_calypso_application_still_tells_its_atr() -> None:
    names = "A000000291", "315449432E494341", "A000000404"
    more = "304554502E494341", "324D50502E494341", "334D54522E494341"
    script = [(f"00A40400{len(name) // 2:02X}{name}00", NOT_FOUND) for name in names + more]
    result = identified(*script)
    assert isinstance(result.error, StoryFailed)
    assert result.steps[0].ok
    assert result.steps[0].notes == ["ATR 3B888001000000009171710098"]


def surveyed(*script: tuple[str, str]) -> object:
    return survey(CardChannel(ScriptedReader(*script)), from_hex("315449432E494341"))


def test_a_current_df_that_is_an_ef_is_refused() -> None:
    with pytest.raises(MalformedCardData, match="describes no DF"):
        surveyed(
            ("00A4040008 315449432E494341 00", FCI_REVISION_3 + "9000"),
            ("00A4090002000000", ENVIRONMENT + "9000"),
        )


def test_an_application_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFound):
        surveyed(("00A4040008 315449432E494341 00", NOT_FOUND))


def test_a_list_of_files_without_end_is_not_followed_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cardbench.scenarios.survey.FILES_MAX", 3)
    found = survey(
        CardChannel(
            ScriptedReader(
                ("00A4040008 315449432E494341 00", FCI_REVISION_3 + "9000"),
                ("00A4090002000000", DF_REVISION_3 + "9000"),
                ("00A4020002000000", ENVIRONMENT + "9000"),
                *[("00A4020202000000", ENVIRONMENT + "9000")] * 3,
            )
        ),
        from_hex("315449432E494341"),
    )
    assert len(found.files) == 3
