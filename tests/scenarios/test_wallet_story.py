"""The story `wallet`: on a software card, and on one that somebody put into a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.applets.wallet import wallet_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.errors import CardbenchError, UsageError
from cardbench.scenarios import runner
from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.campaigns.tear import TearCampaign
from cardbench.scenarios.errors import NeedsNotMet, StoryFailed
from cardbench.scenarios.stories import find_story
from cardbench.scenarios.stories.wallet import PIN
from cardbench.scenarios.trace import Act, Recorded, Role, shown
from cardbench.scenarios.wallet_needs import WalletNeeds
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers import InProcessReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.javacard import JavaCard
    from cardbench.scenarios.stories.story import StoryResult

SELECT = "00A4040008F234123456100001"
VERIFY = "B02000000431323334"


def holding(*commands: str) -> JavaCard:
    card = wallet_card(PIN)
    card.power_on()
    for command in (SELECT, VERIFY, *commands):
        card.transmit(bytes.fromhex(command))
    card.power_off()
    return card


def missing(card: JavaCard, *, room: int = 100) -> list[str]:
    slot = CardSlot("slot")
    slot.insert(card)
    return WalletNeeds(pin=PIN, room=room).missing(CardChannel(InProcessReader(slot)))


def play(monkeypatch: pytest.MonkeyPatch, card: JavaCard | None = None) -> StoryResult:
    """Play the story, on a card of its own or on a given one."""
    story = find_story("wallet")
    if card is not None:
        monkeypatch.setattr(WalletNeeds, "personalise", lambda *_, **__: card)
    with runner.world_for(story, open_backend("in-process")) as world:
        return runner.run(story, world, seed=1)


def test_the_story_comes_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    result = play(monkeypatch)
    assert result.ok
    assert result.facts == {
        "balance_before": 0,
        "balance_after": 90,
        "refused": ["6301", "6A85"],
    }
    assert result.traffic[Role.CARD].apdus == 11


def test_the_story_adds_to_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    result = play(monkeypatch, holding(*["B0300000017F"] * 3))
    assert result.ok
    assert (result.facts["balance_before"], result.facts["balance_after"]) == (381, 471)
    assert result.facts["refused"] == ["6301"]


@pytest.mark.parametrize(
    ("wallet", "sentence"),
    [
        (lambda: wallet_card(b"9999"), "refused the PIN"),
        (lambda: wallet_card(b"1111"), "accepted a wrong PIN"),
    ],
)
def test_another_pin_ends_the_story(
    monkeypatch: pytest.MonkeyPatch, wallet: Callable[[], JavaCard], sentence: str
) -> None:
    result = play(monkeypatch, wallet())
    assert isinstance(result.error, StoryFailed)
    assert sentence in str(result.error)


@pytest.mark.parametrize(
    ("command", "answer", "sentence"),
    [
        ("B030000001", "9000", "it should 6301"),
        ("B040000001", "6A83", "the Wallet answered 6A83"),
        ("B0500000", "01F49000", "the balance is 500, not 590"),
        ("B0500000", "6700", "6700"),
    ],
)
def test_a_wallet_that_answers_otherwise_ends_the_story(
    monkeypatch: pytest.MonkeyPatch, command: str, answer: str, sentence: str
) -> None:
    card = wallet_card(PIN)
    transmit = card.transmit

    def otherwise(raw: bytes) -> bytes:
        if raw.hex().upper().startswith(command):
            return bytes.fromhex(answer)
        return transmit(raw)

    monkeypatch.setattr(card, "transmit", otherwise)
    result = play(monkeypatch, card)
    assert isinstance(result.error, CardbenchError)
    assert sentence in str(result.error)


def test_a_card_with_a_wallet_lacks_nothing() -> None:
    assert missing(holding()) == []


def test_a_card_without_a_wallet_is_told_so() -> None:
    card = holding()
    card.power_on()
    card.delete(bytes.fromhex("F234123456100001"))
    assert missing(card)[0].startswith("the card has no Wallet F234123456100001")


def test_a_blocked_wallet_is_told_so() -> None:
    assert "6999" in missing(holding(*["B020000000"] * 3))[0]


def test_a_full_wallet_is_told_so() -> None:
    assert missing(holding("B03000000105"), room=32763) == [
        "the Wallet holds 5, at most 4 leaves room"
    ]


def test_a_look_at_the_card_costs_no_try() -> None:
    card = holding()
    for _ in range(4):
        assert missing(card) == []


def test_a_missing_wallet_stops_the_story_before_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = find_story("wallet")
    empty = holding(*["B020000000"] * 3)
    with runner.world_for(story, open_backend("in-process")) as world:
        world.plug({Role.CARD: empty})
        monkeypatch.setattr(world, "hands", {})
        with pytest.raises(NeedsNotMet, match="no Wallet"):
            runner.run(story, world, seed=1)


def test_the_needs_make_a_card_with_the_worlds_randomness() -> None:
    needs = WalletNeeds(pin=PIN)
    card = needs.personalise(entropy=Entropy(b"x"), clock=Clock())
    assert card.power_on()
    assert "31323334" not in repr(needs)
    assert not needs.is_contactless


@pytest.mark.parametrize(
    ("command", "name", "printed"),
    [
        (VERIFY, "Verify", "B020000004********"),
        ("B03000000164", "Credit", "B03000000164"),
        ("B040000001FF", "Debit", "B040000001FF"),
        ("B050000002", "Get Balance", "B050000002"),
        ("B060000000", "INS 60", "B060000000"),
    ],
)
def test_a_trace_speaks_of_the_wallet_in_its_own_words(
    command: str, name: str, printed: str
) -> None:
    entry = Recorded(Role.CARD, Act.APDU, bytes.fromhex(command), b"\x90\x00")
    assert shown(entry)[1:3] == (name, printed)


def test_the_tear_campaign_says_that_it_judges_other_cards() -> None:
    with pytest.raises(UsageError, match="wallet cannot be torn"):
        TearCampaign(find_story("wallet")).run()
