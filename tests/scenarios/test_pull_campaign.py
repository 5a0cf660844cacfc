"""Card and SAM pulled out at every command of every story."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso import CalypsoCard as EmulatedCard
from cardbench.emulator.calypso.structure import PIN_TRIES_KEY
from cardbench.protocol.errors import CardMacNotVerifiable, UsageError
from cardbench.scenarios import runner
from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.campaigns.facts import differences, facts_of_card, facts_of_image
from cardbench.scenarios.campaigns.prescribed import Moment, Pull
from cardbench.scenarios.campaigns.pull import PullCampaign, PullReport
from cardbench.scenarios.cli import main
from cardbench.scenarios.stories import STORIES, find_story
from cardbench.scenarios.ticketing.terminal import TRANSPORT_AID, ApplicationSelection
from cardbench.scenarios.trace import Role
from cardbench.terminal.calypso import CalypsoCard, SecureRegularModeTransactionManager
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers import InProcessReader

if TYPE_CHECKING:
    from tests.scenarios.conftest import HandlessBackend

    from cardbench.emulator.readers.in_process import CardSlot

pytestmark = pytest.mark.slow

RECOVERED_AT_A_GATE = {"validation": 2, "recovery": 18, "ciphered-pin-inside": 2}


def pulled(name: str) -> PullReport:
    return PullCampaign(find_story(name), seed=5).run()


@pytest.mark.parametrize("name", STORIES)
def test_every_pull_ends_as_documented_and_spoils_nothing(name: str) -> None:
    report = pulled(name)
    assert report.faults == []
    assert report.pulls == report.planned == sum(report.outcomes.values())
    assert report.card_pulls == 2 * report.commands[Role.CARD] >= 6
    assert (report.sam_pulls > 0) == (Role.SAM in find_story(name).needs)


@pytest.mark.parametrize(("name", "recovered"), RECOVERED_AT_A_GATE.items())
def test_a_validation_that_was_cut_off_is_recovered(name: str, recovered: int) -> None:
    """Close was carried out, and its answer or the ratification behind it was not."""
    report = pulled(name)
    assert report.recovered == recovered
    assert report.refused == 3  # ratified: the last answer, and SAM #3 before and behind its check


def test_the_errors_are_the_documented_ones() -> None:
    assert pulled("sale").outcomes == {
        "CardRemoved": 24,  # each of twelve commands
        "CryptoModuleUnreachable": 10,
        "CardMacNotVerifiable": 2,  # Digest Authenticate
    }


def test_only_the_ratification_may_go_unnoticed() -> None:
    assert pulled("validation").outcomes["unnoticed"] == 2
    assert pulled("sale").outcomes["unnoticed"] == 0  # closed as ratified


def test_each_pull_is_told_once() -> None:
    made: list[Pull] = []
    report = PullCampaign(find_story("plain-pin"), seed=5, on_pull=made.append).run()
    assert made == [Pull(Role.CARD, n, moment) for n in range(3) for moment in Moment]
    assert len(made) == report.pulls
    assert str(made[1]) == "card pulled before the answer to command 0"
    assert str(Pull(Role.SAM, 2, Moment.BEFORE_COMMAND)) == "SAM pulled before command 2"


def test_the_same_seed_gives_the_same_report() -> None:
    assert pulled("stored-value-inside") == pulled("stored-value-inside")


def test_readers_that_the_bench_does_not_fill_are_refused(handless: type[HandlessBackend]) -> None:
    with pytest.raises(UsageError, match="the backend handless fills no readers"):
        PullCampaign(find_story("validation"), backend=handless({})).run()


# What is wrong is found


def test_an_image_that_keeps_what_the_card_never_wrote_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CalypsoCard, "restore", lambda *_: None)
    faults = pulled("sale").faults
    assert faults
    assert all("the terminal's image is not any state of the card: record" in f for f in faults)


def test_an_image_that_forgets_what_the_card_wrote_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager = SecureRegularModeTransactionManager
    settle = manager._settle

    def forget(transaction: SecureRegularModeTransactionManager) -> None:
        before = transaction._backup
        try:
            settle(transaction)
        except CardMacNotVerifiable:
            transaction.card.restore(before)
            raise

    monkeypatch.setattr(manager, "_settle", forget)
    faults = pulled("sale").faults
    assert len(faults) == 2
    assert all("the terminal's image is not the card's: record" in fault for fault in faults)


def test_a_gate_that_never_recovers_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    always = property(lambda _: True, lambda *_: None)
    monkeypatch.setattr(CalypsoCard, "is_df_ratified", always)
    faults = pulled("validation").faults
    assert any("says 'anti-passback" in fault and "not 'recovered'" in fault for fault in faults)


def test_a_reader_that_does_not_see_the_next_card_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def connect(reader: InProcessReader) -> bytes:
        if reader._atr is None:
            reader._atr = reader._slot.power_on()
        return reader._atr

    def disconnect(reader: InProcessReader) -> None:
        if reader._slot.state().present:  # of a card that was pulled it takes no leave
            reader._atr = None
            reader._slot.power_off()

    monkeypatch.setattr(InProcessReader, "connect", connect)
    monkeypatch.setattr(InProcessReader, "disconnect", disconnect)
    faults = pulled("plain-pin").faults
    assert any("the reader does not serve the next card" in fault for fault in faults)


def test_a_reader_that_does_not_tell_a_removal_from_an_empty_reader_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = InProcessReader.__init__

    def straight(reader: InProcessReader, slot: CardSlot, **about: bool) -> None:
        whole(reader, slot, **about)
        reader.transmit = slot.transmit

    monkeypatch.setattr(InProcessReader, "__init__", straight)
    faults = pulled("plain-pin").faults
    assert any("ended in CardNotPresent" in f and "prescribed is CardRemoved" in f for f in faults)


def test_a_card_that_loses_something_with_its_power_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def power_off(card: EmulatedCard) -> None:
        if card.is_powered and card.volatile.session is not None:
            card.memory.commit({PIN_TRIES_KEY: 2})
        card._volatile = None

    monkeypatch.setattr(EmulatedCard, "power_off", power_off)
    faults = pulled("sale").faults
    assert any("the card: pin tries is not as its last command left it" in f for f in faults)


# What is compared


def test_image_and_card_are_compared_fact_by_fact() -> None:
    story = find_story("stored-value-inside")
    with runner.world_for(story, open_backend("in-process")) as world:
        runner.prepare(story, world, 1)
        channel = CardChannel(world.readers[Role.CARD])
        card = facts_of_card(channel, TRANSPORT_AID)
        image = ApplicationSelection(TRANSPORT_AID, (7, 1), (9, 2)).select(channel)
        channel.close()
    shown = facts_of_image(image)
    assert set(shown) == {("record", 7, 1), ("record", 9, 2)}
    assert card["balance",] == 5000
    assert card["tries",] == 3
    assert differences(shown, card) == []
    image.take_counter(0x19, 3, 12)
    image.sv_balance = 1
    image.pin_attempts_remaining = 2
    image.take_record(7, 1, b"\xff")
    assert differences(facts_of_image(image), card) == [
        "record 7 1",
        "counter 25 3",
        "balance",
        "tries",
    ]
    assert differences({("counter", 3, 1): 5, ("balance",): 5}, {}) == []


# The command


def test_the_command_prints_how_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["pull", "validation", "--seed", "5"])
    told = " ".join(capsys.readouterr().out.split())
    assert "10 commands to the card and 6 commands to the SAM" in told
    assert "20 pulls of the card, 12 of the SAM: 32 pulls, each ended as it must" in told
    assert "back at a gate: 2 recovered, 3 refused as just used" in told


def test_the_command_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["pull", "plain-pin", "--seed", "5", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["ok"]
    assert report["pulls"] == report["card_pulls"] == 6
    assert report["outcomes"] == {"CardRemoved": 6}


def test_the_command_fails_where_harm_was_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(CalypsoCard, "restore", lambda *_: None)
    with pytest.raises(SystemExit, match="1"):
        main(["pull", "sale", "--seed", "5"])
    captured = capsys.readouterr()
    assert "harm was done" in captured.out
    assert "the terminal's image is not any state of the card" in captured.err


def test_the_command_refuses_readers_that_it_cannot_pull_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(["pull", "sale", "--backend", "readers"])
    assert "choose in-process or rootless" in capsys.readouterr().err
