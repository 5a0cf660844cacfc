"""Power cut at every write of the two stories, at every write of each recovery, after every command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso import CalypsoCard
from cardbench.emulator.calypso.structure import TRANSACTION_COUNTER_KEY
from cardbench.emulator.chassis import Memory, Moment
from cardbench.protocol.errors import UsageError
from cardbench.scenarios.campaigns.tear import Cut, TearCampaign
from cardbench.scenarios.cli import main
from cardbench.scenarios.stories import STORIES as ALL_STORIES
from cardbench.scenarios.stories import find_story

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Key, Value

STORIES = ("validation", "sale")
UNTEARABLE = {"recovery": "takes the card away itself", "wallet": "a session of a Calypso card"}
TEARABLE = sorted(name for name in ALL_STORIES if name not in UNTEARABLE)
ONCE = {"plain-pin"}
"""Stories that change what they begin with, the PIN: they cannot be played twice on one card."""
OPEN_WRITES = 4
"""Opening a session counts the transaction counter down: one object, 2n + 2 writes."""


@pytest.mark.parametrize("name", STORIES)
def test_every_cut_leaves_the_card_old_or_new_and_able_to_complete_the_story(name: str) -> None:
    report = TearCampaign(find_story(name), seed=5).run()
    assert report.faults == []
    assert report.write_cuts == report.writes * len(Moment)
    assert report.recovery_cuts > report.write_cuts
    assert report.command_cuts >= 8


@pytest.mark.slow
@pytest.mark.parametrize("name", TEARABLE)
def test_every_story_of_a_calypso_card_can_be_torn(name: str) -> None:
    report = TearCampaign(find_story(name), seed=6).run()
    assert report.faults == []
    assert report.write_cuts == report.writes * len(Moment)
    assert report.is_repeatable is (name not in ONCE)


@pytest.mark.parametrize("name", UNTEARABLE)
def test_a_story_that_cannot_be_torn_says_why(name: str) -> None:
    with pytest.raises(UsageError, match=UNTEARABLE[name]):
        TearCampaign(find_story(name), seed=6).run()


@pytest.mark.parametrize("name", STORIES)
def test_a_session_that_changes_n_objects_offers_at_least_2n_plus_2_write_cuts(name: str) -> None:
    report = TearCampaign(find_story(name), seed=5).run()
    assert report.objects >= 2
    assert report.writes - OPEN_WRITES >= 2 * report.objects + 2


def test_each_cut_is_judged_once() -> None:
    judged: list[Cut] = []
    report = TearCampaign(find_story("validation"), seed=5, on_cut=judged.append).run()
    assert len(judged) == report.write_cuts + report.command_cuts
    assert len(set(map(str, judged))) == len(judged)


def test_a_card_that_commits_object_by_object_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Memory.commit

    def one_by_one(memory: Memory, changes: dict[Key, Value]) -> None:
        for key, value in changes.items():
            whole(memory, {key: value})

    monkeypatch.setattr(Memory, "commit", one_by_one)
    report = TearCampaign(find_story("validation"), seed=5).run()
    assert any("mixed state" in fault for fault in report.faults)


def test_a_card_that_forgets_its_recovery_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Memory, "recover", lambda _: None)
    report = TearCampaign(find_story("validation"), seed=5).run()
    assert not report.ok


def test_a_transaction_counter_that_runs_back_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def count_up(card: CalypsoCard) -> int:
        counter = card.memory[TRANSACTION_COUNTER_KEY]
        assert isinstance(counter, int)
        card.memory.commit({TRANSACTION_COUNTER_KEY: counter + 1})
        return counter + 1

    monkeypatch.setattr(CalypsoCard, "count_transaction", count_up)
    report = TearCampaign(find_story("validation"), seed=5).run()
    assert any("transaction counter" in fault for fault in report.faults)


def test_the_command_prints_how_many_cuts_there_were(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["tear", "sale", "--seed", "5"])
    assert "cuts, old or new each time" in " ".join(capsys.readouterr().out.split())


def test_the_command_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["tear", "validation", "--seed", "5", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["ok"]
    assert report["cuts"] == (
        report["write_cuts"] + report["recovery_cuts"] + report["command_cuts"]
    )


def test_the_command_fails_where_harm_was_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Memory, "recover", lambda _: None)
    with pytest.raises(SystemExit, match="1"):
        main(["tear", "validation", "--seed", "5"])
    assert "did harm" in capsys.readouterr().err
