"""Whatever a session did, in whatever order and however ciphered: the image is what the card has.

Also when the card refuses something in the middle, and the session is undone on both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.errors import CardError, SessionState
from cardbench.sam_emulator import new_sam
from cardbench.terminal.calypso import (
    CalypsoCard,
    CalypsoSelection,
    FreeTransactionManager,
    SecureExtendedModeTransactionManager,
    SecureRegularModeTransactionManager,
    SymmetricSecuritySetting,
    WriteAccessLevel,
)
from cardbench.terminal.card import CardChannel
from cardbench.terminal.legacy_sam import LegacySam, LegacySamCryptoFactory
from cardbench.terminal.readers import InProcessReader
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

AID = bytes.fromhex("A000000291FF9101")
CONTRACTS, EVENTS, COUNTERS = 0x09, 0x08, 0x19
SIZE = 29

records = st.integers(1, 4)
counters = st.integers(1, 3)
amounts = st.integers(0, 4)
contents = st.binary(min_size=1, max_size=SIZE)

plain_steps = st.one_of(
    st.builds(lambda n: lambda s: s.prepare_read_record(CONTRACTS, n, size_bytes=SIZE), records),
    st.builds(lambda n: lambda s: s.prepare_read_record(EVENTS, n, size_bytes=SIZE), st.just(1)),
    st.builds(lambda n: lambda s: s.prepare_read_counter(COUNTERS, n), counters),
    st.builds(lambda n, c: lambda s: s.prepare_update_record(CONTRACTS, n, c), records, contents),
    st.builds(lambda n, c: lambda s: s.prepare_write_record(CONTRACTS, n, c), records, contents),
    st.builds(lambda c: lambda s: s.prepare_append_record(EVENTS, c), contents),
    st.builds(
        lambda n, by: lambda s: s.prepare_decrease_counter(COUNTERS, n, by=by), counters, amounts
    ),
    st.builds(
        lambda n, by: lambda s: s.prepare_increase_counter(COUNTERS, n, by=by), counters, amounts
    ),
    st.builds(
        lambda steps: lambda s: s.prepare_decrease_counters(COUNTERS, steps),
        st.dictionaries(counters, amounts, min_size=1),
    ),
    st.just(lambda s: s.process_commands()),
)
guarded_steps = st.one_of(
    plain_steps,
    st.just(lambda s: s.prepare_activate_encryption()),
    st.just(lambda s: s.prepare_deactivate_encryption()),
    st.just(lambda s: s.prepare_early_mutual_authentication()),
)


class Bench:
    """A card, a SAM, and a channel to each."""

    def __init__(self) -> None:
        slot, safe = CardSlot("card"), CardSlot("sam")
        slot.insert(new_card("bench", entropy=Entropy(b"card"), clock=Clock()))
        safe.insert(new_sam("bench", entropy=Entropy(b"sam"), clock=Clock()))
        self.channel = CardChannel(InProcessReader(slot))
        sam_channel = CardChannel(InProcessReader(safe, is_contactless=False))
        self.crypto = LegacySamCryptoFactory(sam_channel, LegacySam(sam_channel.open()))

    def select(self) -> CalypsoCard:
        manager = CardSelectionManager()
        manager.prepare_selection(IsoCardSelector(aid=AID), CalypsoSelection())
        card = manager.process(self.channel).active_smart_card
        assert isinstance(card, CalypsoCard)
        return card

    def truth(self) -> CalypsoCard:
        """What the card has, read afresh."""
        card = self.select()
        free = FreeTransactionManager(self.channel, card)
        free.prepare_read_records(CONTRACTS, 1, 4, record_size_bytes=SIZE)
        free.prepare_read_records(EVENTS, 1, 3, record_size_bytes=SIZE)
        free.prepare_read_counter(COUNTERS, 9)
        free.process_commands()
        return card


def follow(kind: type[Any], steps: list[Callable[[Any], object]], *, knows: bool) -> None:
    bench = Bench()
    image = bench.truth() if knows else bench.select()
    setting = SymmetricSecuritySetting(crypto=bench.crypto, multiple_session=True)
    transaction = kind(bench.channel, image, setting)
    refused: CardError | None = None
    try:
        with transaction.secure_session(WriteAccessLevel.PERSONALIZATION) as session:
            for step in steps:
                step(session)
    except CardError as error:  # a counter below zero
        refused = error
    assert refused is None or refused.session_state is SessionState.ABORTED
    truth = bench.truth()
    for file in image.files:
        for number, known in file.data.records.items():
            if file.sfi == EVENTS and number > 3:
                continue  # the image does not know how many records the file has
            has = truth.record(file.sfi, number)
            assert has is not None
            size = min(len(has), len(known))
            assert has[:size] == known[:size]
        for number, value in file.data.counters.items():
            if file.sfi == COUNTERS:
                assert truth.counter(file.sfi, number) == value


@given(st.lists(plain_steps, max_size=12), st.booleans())
def test_after_a_regular_session(steps: list[Callable[[Any], object]], knows: bool) -> None:
    follow(SecureRegularModeTransactionManager, steps, knows=knows)


@given(st.lists(guarded_steps, max_size=12), st.booleans())
def test_after_an_extended_session(steps: list[Callable[[Any], object]], knows: bool) -> None:
    follow(SecureExtendedModeTransactionManager, steps, knows=knows)
