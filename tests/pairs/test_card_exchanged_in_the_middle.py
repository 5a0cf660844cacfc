"""A transaction speaks to the card it was made for, and to no other that sits in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.errors import CardRemoved, SessionState
from cardbench.sam_emulator import new_sam
from cardbench.terminal.calypso import (
    CalypsoCard,
    CalypsoSelection,
    FreeTransactionManager,
    SecureRegularModeTransactionManager,
    SymmetricSecuritySetting,
    WriteAccessLevel,
)
from cardbench.terminal.card import CardChannel, ChannelControl
from cardbench.terminal.legacy_sam import LegacySam, LegacySamCryptoFactory
from cardbench.terminal.readers import InProcessReader
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from collections.abc import Callable


def card(seed: bytes) -> Any:  # noqa: ANN401 - a card
    return new_card("bench", entropy=Entropy(seed), clock=Clock())


@pytest.fixture
def slot() -> CardSlot:
    slot = CardSlot("gate")
    slot.insert(card(b"one"))
    return slot


@pytest.fixture
def channel(slot: CardSlot) -> CardChannel:
    return CardChannel(InProcessReader(slot))


def select(channel: CardChannel) -> CalypsoCard:
    manager = CardSelectionManager()
    aid = bytes.fromhex("A000000291FF9101")
    manager.prepare_selection(IsoCardSelector(aid=aid), CalypsoSelection())
    found = manager.process(channel).active_smart_card
    assert isinstance(found, CalypsoCard)
    return found


def exchange(slot: CardSlot, channel: CardChannel) -> None:
    """Another card of the same issue: same application, same ATR."""
    slot.remove()
    slot.insert(card(b"two"))
    select(channel)


def close(slot: CardSlot, channel: CardChannel) -> None:
    del slot
    channel.close()


@pytest.mark.parametrize("happening", [exchange, close])
def test_nothing_is_sent_to_another_card_or_to_one_that_was_not_selected(
    slot: CardSlot, channel: CardChannel, happening: Callable[[CardSlot, CardChannel], None]
) -> None:
    free = FreeTransactionManager(channel, select(channel))
    free.prepare_read_record(7)
    happening(slot, channel)
    before = channel.traffic
    with pytest.raises(CardRemoved, match="begin another transaction"):
        free.process_commands()
    assert channel.traffic == before
    assert free.card.record(7, 1) is None


def test_a_session_does_not_go_on_with_another_card(slot: CardSlot, channel: CardChannel) -> None:
    safe = CardSlot("safe")
    safe.insert(new_sam("bench", entropy=Entropy(b"sam"), clock=Clock()))
    sam_reader = InProcessReader(safe, is_contactless=False)
    crypto = LegacySamCryptoFactory(sam_reader, LegacySam(sam_reader.connect()))
    setting = SymmetricSecuritySetting(crypto=crypto)
    image = select(channel)
    transaction = SecureRegularModeTransactionManager(channel, image, setting)
    transaction.prepare_open_secure_session(WriteAccessLevel.DEBIT)
    trips = transaction.prepare_read_counter(0x19, 1)
    transaction.process_commands()
    exchange(slot, channel)
    transaction.prepare_decrease_counter(0x19, 1, by=1)
    transaction.prepare_close_secure_session()
    before = channel.traffic
    with pytest.raises(CardRemoved) as caught:
        transaction.process_commands()
    assert caught.value.session_state is SessionState.ABORTED
    assert channel.traffic == before
    assert image.counter(0x19, 1) in {None, trips.value}
    again = SecureRegularModeTransactionManager(channel, select(channel), setting)
    with again.secure_session(WriteAccessLevel.DEBIT) as session:
        session.prepare_read_counter(0x19, 1)


def test_a_transaction_that_opens_the_channel_itself_is_the_first_cards(slot: CardSlot) -> None:
    reader = InProcessReader(slot)
    image = select(CardChannel(reader))
    free = FreeTransactionManager(reader, image)  # over the reader: a channel of its own
    free.prepare_read_record(7)
    free.process_commands(ChannelControl.CLOSE_AFTER)
    assert free.card.record(7, 1)
    free.prepare_read_record(7)
    with pytest.raises(CardRemoved):
        free.process_commands()
