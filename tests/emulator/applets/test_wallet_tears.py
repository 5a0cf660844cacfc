"""The power fails at every write of the Wallet: what was is kept, or what comes is whole."""

from __future__ import annotations

import pytest

from cardbench.emulator.applets.wallet import WALLET_PACKAGE, wallet_card
from cardbench.emulator.chassis import Memory, MemoryImage, Moment, Tear
from cardbench.emulator.javacard import JavaCard
from cardbench.protocol.link import PowerLoss
from cardbench.protocol.wallet import WALLET_AID

SELECT = "00A4040008F234123456100001"
VERIFY = "B02000000431323334"
WRONG = "B02000000431313131"
CREDIT, DEBIT, BALANCE = "B0300000010F", "B0400000010F", "B050000002"
LATEST_WRITE = 20


def send(card: JavaCard, command: str) -> str:
    return card.transmit(bytes.fromhex(command)).hex().upper()


def prepared(*commands: str) -> MemoryImage:
    card = wallet_card(b"1234")
    card.power_on()
    for command in (SELECT, *commands):
        send(card, command)
    return card.memory.image()


def card_with(image: MemoryImage) -> JavaCard:
    memory = Memory()
    memory.restore(image)
    card = JavaCard(memory, packages=(WALLET_PACKAGE,))
    card.power_on()
    return card


def cut(image: MemoryImage, before: list[str], command: str, tear: Tear) -> MemoryImage | None:
    """Cut one command; return what the memory holds, or None if the tear came too late."""
    card = card_with(image)
    for each in (SELECT, *before):
        send(card, each)
    card.memory.arm(tear)
    try:
        send(card, command)
    except PowerLoss:
        assert not card.is_powered
        return card.memory.image()
    return None


def tears() -> list[Tear]:
    return [Tear(write, moment) for write in range(LATEST_WRITE) for moment in Moment]


def recovered(image: MemoryImage) -> list[JavaCard]:
    """Rebuild the card: straight away, and after its recovery was cut again at every write."""
    cards = [card_with(image)]
    for write in range(LATEST_WRITE):
        for moment in Moment:
            memory = Memory()
            memory.restore(image)
            memory.arm(Tear(write, moment))
            card = JavaCard(memory, packages=(WALLET_PACKAGE,))
            try:
                card.power_on()
            except PowerLoss:
                cards.append(card_with(memory.image()))
            else:
                return cards
    raise AssertionError("the recovery never came to its end")


def balance(card: JavaCard) -> int:
    assert send(card, SELECT) == "9000"
    return int(send(card, BALANCE)[:4], 16)


def tries(card: JavaCard) -> int:
    """Count the wrong PINs that it takes to have the selection refused."""
    count = 0
    while send(card, SELECT) == "9000":
        assert send(card, CREDIT) == "6301"  # nobody is trusted after the power came back
        send(card, WRONG)
        count += 1
    return count


@pytest.mark.parametrize(("command", "after"), [(CREDIT, 115), (DEBIT, 85)])
def test_a_torn_movement_leaves_the_old_balance_or_the_new(command: str, after: int) -> None:
    image = prepared(VERIFY, "B03000000164")
    seen = []
    for tear in tears():
        torn = cut(image, [VERIFY], command, tear)
        if torn is not None:
            seen.append({balance(card) for card in recovered(torn)})
    assert all(found in ({100}, {after}) for found in seen)
    assert {100} in seen
    assert {after} in seen
    assert len(seen) == 4 * len(Moment)  # one value, four physical writes


def test_a_torn_wrong_pin_never_gains_a_try() -> None:
    image = prepared(WRONG)
    seen = []
    for tear in tears():
        torn = cut(image, [], WRONG, tear)
        if torn is not None:
            seen.append({tries(card) for card in recovered(torn)})
    assert all(found in ({2}, {1}) for found in seen)
    assert seen[0] == {2}
    assert seen[-1] == {1}
    assert len(seen) == 4 * len(Moment)


def test_a_torn_right_pin_never_gains_a_try_before_it_was_compared() -> None:
    image = prepared(WRONG)
    seen = []
    for tear in tears():
        torn = cut(image, [], VERIFY, tear)
        if torn is not None:
            seen.append((tear.write, {tries(card) for card in recovered(torn)}))
    taking = [found for write, found in seen if write < 4]
    giving = [found for write, found in seen if write >= 4]
    assert all(found in ({2}, {1}) for found in taking)
    assert all(found in ({1}, {3}) for found in giving)
    assert {3} in giving
    assert len(seen) == 8 * len(Moment)


def test_the_last_try_cannot_be_kept_by_pulling_the_card() -> None:
    image = prepared(WRONG, WRONG)
    for tear in tears():
        torn = cut(image, [], WRONG, tear)
        if torn is not None:
            assert all(tries(card) <= 1 for card in recovered(torn))


def test_a_command_that_writes_nothing_is_not_torn() -> None:
    image = prepared()
    for command in (BALANCE, SELECT, CREDIT, "B060000000"):
        assert cut(image, [], command, Tear(0, Moment.BEFORE)) is None


def test_a_torn_installation_leaves_a_whole_wallet_or_none() -> None:
    outcomes = []
    for write in range(100):
        for moment in Moment:
            card = JavaCard(Memory(), packages=(WALLET_PACKAGE,))
            card.power_on()
            card.memory.arm(Tear(write, moment))
            try:
                card.install(WALLET_AID, parameters=b"1234")
            except PowerLoss:
                outcomes.append({state(again) for again in recovered(card.memory.image())})
            else:
                assert set().union(*outcomes) == {"whole", "none"}
                assert all(len(outcome) == 1 for outcome in outcomes)
                assert outcomes == sorted(outcomes, key=lambda outcome: "whole" in outcome)
                return
    raise AssertionError("the installation never came to its end")


def state(card: JavaCard) -> str:
    if send(card, SELECT) == "6999":
        assert card.instances() == []
        card.install(WALLET_AID, parameters=b"1234")  # the way is free for the next attempt
        assert state(card) == "whole"
        return "none"
    answers = [send(card, each) for each in (WRONG, VERIFY, CREDIT, BALANCE)]
    assert answers == ["6300", "9000", "9000", "000F9000"]
    return "whole"
