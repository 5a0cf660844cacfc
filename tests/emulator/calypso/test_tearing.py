"""Power cut before, inside and behind every write of every writing command, and of the recovery.

Every product, out of a session and in one. What is found afterwards is old or new, never mixed; what a card
counts before it does the work, and the money in its purse, have rules of their own
(`cardbench.scenarios.campaigns.judge`, which has tests of its own).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
from support.calypso_cases import CASES
from support.calypso_cases.steps import card_of_peer, situated
from support.calypso_workshop import peer_of
from support.calypso_writings import PRODUCTS, WRITINGS, Product, Writing

from cardbench.emulator.calypso.structure import PIN_TRIES_KEY, TRANSACTION_COUNTER_KEY
from cardbench.emulator.calypso.table import MODIFIES
from cardbench.emulator.chassis import Memory, Moment, Tear
from cardbench.protocol.link import PowerLoss
from cardbench.scenarios.campaigns.judge import faults_of_a_cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.calypso_peer import Peer

    from cardbench.emulator.calypso import CalypsoCard
    from cardbench.emulator.chassis import Key, Value

SESSION_ONLY = {"Invalidate", "Rehabilitate"}
"""Rows whose access condition asks for a session on every preset."""


def ready(writing: Writing) -> Peer:
    peer = peer_of(writing.product.preset)
    for step in writing.before:
        step(peer)
    return peer


def twin(peer: Peer) -> Peer:
    """Both ends in the same state, to be cut somewhere else."""
    other = copy.copy(peer)
    other.card = card_of_peer(peer).fork()
    other.digest = copy.deepcopy(peer.digest)
    return other


def recoveries(card: CalypsoCard) -> Iterator[dict[Key, Value]]:
    """Recover, undisturbed and cut at every write; give what is found each time."""
    image = card.memory.image()
    before = card.memory.writes
    card.power_on()
    writes = card.memory.writes - before
    yield card.memory.objects()
    for write in range(writes):
        for moment in Moment:
            card.power_off()
            card.memory.restore(image)
            card.memory.arm(Tear(write, moment))
            with pytest.raises(PowerLoss):
                card.power_on()
            card.power_on()
            yield card.memory.objects()


def faults_of(writing: Writing) -> list[str]:
    """Cut a writing everywhere; return what is wrong behind any cut."""
    peer = ready(writing)
    whole = twin(peer)
    memory = card_of_peer(whole).memory
    before, writes = memory.objects(), memory.writes
    writing.action(whole)
    after, writes = memory.objects(), memory.writes - writes
    assert after != before
    faults = faults_of_a_cut(before, after, after)
    for write in range(writes):
        for moment in Moment:
            torn = twin(peer)
            card = card_of_peer(torn)
            card.memory.arm(Tear(write, moment))
            with pytest.raises(PowerLoss):
                writing.action(torn)
            assert not card.is_powered
            for found in recoveries(card):
                faults += faults_of_a_cut(before, after, found)
    return faults


@pytest.mark.parametrize("writing", WRITINGS, ids=Writing.title)
def test_a_cut_leaves_old_or_new(writing: Writing) -> None:
    assert faults_of(writing) == []


@pytest.mark.parametrize(
    ("row", "how"),
    [
        ("Close Secure Session", "ratified"),
        ("SV Reload", "outside"),
        ("SV Debit", "in a session"),
        ("Change Key", "of slot 1, outside"),
    ],
)
def test_a_card_that_commits_object_by_object_is_caught(
    row: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Memory.commit

    def one_by_one(memory: Memory, changes: Mapping[Key, Value]) -> None:
        for key, value in changes.items():
            whole(memory, {key: value})

    product = "prime-3 PKI" if row == "Change Key" else "prime-3 regular"
    (writing,) = (w for w in WRITINGS if (w.product.name, w.row, w.how) == (product, row, how))
    monkeypatch.setattr(Memory, "commit", one_by_one)
    assert any("mixed state" in fault for fault in faults_of(writing))


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.name)
def test_every_modifying_command_of_the_product_is_cut_outside_and_in_a_session(
    product: Product,
) -> None:
    table = peer_of(product.preset).card.structure.applications[0].commands  # type: ignore[attr-defined]
    for row in table:
        cut = {w.how for w in WRITINGS if w.product == product and w.row == row.name}
        if MODIFIES not in row.traits or (product.name, row.name) == ("basic", "Rehabilitate"):
            continue
        if row.name not in SESSION_ONLY:
            assert "outside" in cut, row.name
        if product.mode != "PKI" or not (row.name in SESSION_ONLY or row.name.startswith("SV")):
            assert "in a session" in cut, row.name


@pytest.mark.slow
def test_every_command_that_writes_is_cut() -> None:
    """Which ones write is seen in the catalogue of cases, not said."""
    cut = {writing.row for writing in WRITINGS}
    for case in CASES:
        peer, command = situated(case)
        card = card_of_peer(peer)
        ratifies = card.volatile.awaits_ratification
        writes = card.memory.writes
        peer.send(command)
        if card.memory.writes != writes and not ratifies and card.last_row is not None:
            assert card.last_row.name in cut


@pytest.mark.parametrize("pin", ["30303030", "39393939"])
def test_no_cut_gives_an_attempt_back_or_hides_one(pin: str) -> None:
    index = 0
    while True:
        for moment in Moment:
            peer = peer_of("bench")
            card = card_of_peer(peer)
            assert peer.send("002000000439393939") == "63C2"
            card.memory.arm(Tear(index, moment))
            try:
                answer = peer.send("0020000004" + pin)
            except PowerLoss:
                card.power_on()
            else:
                assert index, answer
                return
            tries = card.memory[PIN_TRIES_KEY]
            counted = card.memory[TRANSACTION_COUNTER_KEY] == 199_998
            assert tries in ((1, 3) if pin == "30303030" else (1,)) if counted else tries == 2
        index += 1
