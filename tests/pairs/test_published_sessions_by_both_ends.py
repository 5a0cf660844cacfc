"""The published regular sessions, produced by our terminal, answered by our card, our SAM between them.

Every byte on the card's wire is as published, but for those that a MAC or a random number fills; which
these are follows from the command (`support.published`).

Source: calypso-card §9.2 (a real card with a real SAM), §9.3 (tests of a reference terminal).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import calypso_traces as traces
from support.published import CardMasks, assert_published

from cardbench.emulator.calypso import card_of
from cardbench.emulator.calypso.personalisation import parse_personalisation
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.sam_emulator import new_sam
from cardbench.scenarios.ticketing.terminal import select_sam
from cardbench.scenarios.trace import Role, Tape
from cardbench.terminal.calypso import (
    CalypsoSelection,
    SecureRegularModeTransactionManager,
    SymmetricSecuritySetting,
    WriteAccessLevel,
)
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers import InProcessReader
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from support.calypso_traces import Trace

    from cardbench.protocol.link import Card
    from cardbench.terminal.calypso import CalypsoCard

AID = bytes.fromhex("315449432E49434131")
ENVIRONMENT, EVENTS, COUNTERS = 0x07, 0x08, 0x10
RECORD_81 = bytes.fromhex(traces.RECORD_81)


class Bench:
    """Both ends of the wire and the tape between them."""

    def __init__(self, trace: Trace, *, ratification: bool, read_on_open: bool) -> None:
        self.tape = Tape()
        card = card_of(parse_personalisation(trace.toml, origin=trace.name))
        self.channel = self._channel(card, Role.CARD)
        sam = new_sam("bench", entropy=Entropy(b"sam"), clock=Clock())
        crypto = select_sam(self._channel(sam, Role.SAM))
        manager = CardSelectionManager()
        manager.prepare_selection(IsoCardSelector(aid=AID), CalypsoSelection())
        self.image: CalypsoCard = manager.process(self.channel).active_smart_card  # type: ignore[assignment]
        self.transaction = SecureRegularModeTransactionManager(
            self.channel,
            self.image,
            SymmetricSecuritySetting(
                crypto=crypto, ratification=ratification, read_on_open=read_on_open
            ),
        )
        self.tape.entries.clear()

    def _channel(self, card: Card, role: Role) -> CardChannel:
        slot = CardSlot(role)
        slot.insert(card)
        return CardChannel(self.tape.record(InProcessReader(slot), role))

    def assert_as_published(self, trace: Trace) -> None:
        ours = [(each.sent, each.received) for each in self.tape.apdus(Role.CARD)]
        masks = CardMasks()
        assert len(ours) == len(trace.exchanges)
        for our, (command, response) in zip(ours, trace.exchanges, strict=True):
            published = bytes.fromhex(command), bytes.fromhex(response)
            assert_published(masks.fields(*published), published, our)


def test_the_session_of_a_real_card_and_a_real_sam() -> None:
    trace = traces.REAL_SESSION
    bench = Bench(trace, ratification=False, read_on_open=True)
    with bench.transaction.secure_session(WriteAccessLevel.DEBIT) as session:
        environment = session.prepare_read_record(ENVIRONMENT, 1, size_bytes=29)
    # The published terminal closed as ratified and sent the ratification command all the same.
    bench.channel.reader.transmit(bytes.fromhex("00B2000000"))
    assert environment.value == bytes(29)
    bench.assert_as_published(trace)


@pytest.mark.parametrize(
    ("trace", "ratification"),
    [(traces.REGULAR_SESSION, False), (traces.UNRATIFIED_SESSION, True)],
    ids=["closed ratified", "closed to be ratified"],
)
def test_the_session_with_read_update_and_decrease(trace: Trace, ratification: bool) -> None:
    bench = Bench(trace, ratification=ratification, read_on_open=False)
    with bench.transaction.secure_session(WriteAccessLevel.DEBIT) as session:
        session.prepare_read_record(ENVIRONMENT, 1, size_bytes=29)
        session.prepare_update_record(EVENTS, 1, RECORD_81)
        counter = session.prepare_decrease_counter(COUNTERS, 1, by=100)
    assert counter.value == 0x0010BE
    bench.assert_as_published(trace)


def test_the_session_that_is_aborted() -> None:
    trace = traces.ABORTED_SESSION
    bench = Bench(trace, ratification=False, read_on_open=False)
    session = bench.transaction
    session.prepare_open_secure_session(WriteAccessLevel.DEBIT)
    session.prepare_read_record(ENVIRONMENT, 1, size_bytes=29)
    session.prepare_update_record(EVENTS, 1, RECORD_81)
    session.prepare_decrease_counter(COUNTERS, 1, by=100)
    session.prepare_cancel_secure_session()
    session.process_commands()
    bench.assert_as_published(trace)
    assert bench.image.counter(COUNTERS, 1) is None, "the image went back with the card"
