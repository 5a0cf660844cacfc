"""Power cut before, inside and behind every write of every writing command, and of the recovery.

What is found afterwards is one of the states that the undisturbed command goes through from commit to
commit: old or new, never mixed.
"""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - a named tuple's field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import pytest
from support.calypso_cases import altered, ciphered_pin, invalid, new_key, new_pin, sv
from support.calypso_workshop import peer_of

from cardbench.emulator.calypso.structure import (
    DEBIT_LOG_KEY,
    LOAD_LOG_KEY,
    PIN_TRIES_KEY,
    PURSE_KEY,
    TRANSACTION_COUNTER_KEY,
)
from cardbench.emulator.chassis import Memory, Moment, Tear
from cardbench.protocol.calypso.sv_log import SvDebitLog, SvLoadLog
from cardbench.protocol.link import PowerLoss

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.calypso_peer import Peer

    from cardbench.emulator.calypso import CalypsoCard
    from cardbench.emulator.chassis import Key, Value

Objects: TypeAlias = "dict[Key, Value]"


class Writing(NamedTuple):
    """A writing command: what comes before, and the command that is cut."""

    name: str
    preset: str
    before: Callable[[Peer], object]
    command: Callable[[Peer], object]


def nothing(peer: Peer) -> None:
    pass


def sent(*commands: str) -> Callable[[Peer], object]:
    return lambda peer: [peer.send(command) for command in commands]


def session(*commands: str, key_index: int = 3, mode: str = "regular") -> Callable[[Peer], object]:
    """Open, and modify what Close will commit."""

    def play(peer: Peer) -> None:
        peer.open(key_index, mode=mode)
        assert peer.ok(*commands) is not None

    return play


def close(*, ratified: bool) -> Callable[[Peer], object]:
    return lambda peer: peer.close(ratified=ratified)


def made(
    command: Callable[[Peer], str], *others: Callable[[Peer], object]
) -> Callable[[Peer], object]:
    def play(peer: Peer) -> None:
        for other in others:
            other(peer)
        peer.send(command(peer))

    return play


def sv_session(*, extended: bool) -> Callable[[Peer], object]:
    def play(peer: Peer) -> None:
        peer.open(3, mode="extended" if extended else "regular")
        assert peer.send(sv(0xB8, 100, extended=extended)(peer)) == "6200"
        peer.ok("00E200400411223344")

    return play


def old_session(peer: Peer) -> None:
    """A session of revision 1 or 2 with postponed counters."""
    peer.open(
        2, mode="revision 2" if peer.card.structure.profile.name == "prime-2" else "revision 1"
    )  # type: ignore[attr-defined]
    assert peer.send("943201C803000005") == "6200"
    peer.ok("94E2004004AABBCCDD")


def shared_session(peer: Peer) -> None:
    """A session of the Intercode application that changes a Hoplink file."""
    peer.ok("00A4040008A000000291FF911100")
    peer.kvc = 0x75
    peer.open(3, mode="extended")
    peer.ok("00DC01C40411223344", "00E20050041122AABB")


ALWAYS = {
    "Update Record": "00DC016C0411223344",
    "Write Record": "00D2016C0411223344",
    "Append Record": "00E200780411223344",
    "Increase": "003201700300000500",
    "Increase Multiple": "003A007008010000010200000200",
    "Update Binary": "00D6900A021122",
    "Write Binary": "00D0900A021122",
}
MUCH = ("00DC01441D" + "AB" * 29, "00E200401D" + "CD" * 29, "003001C80300000100", "00DC01F40102")
LITTLE = (*MUCH[:2], MUCH[3])
WRITINGS = [
    *(Writing(name, "workshop", nothing, sent(command)) for name, command in ALWAYS.items()),
    Writing("Decrease", "workshop", sent(ALWAYS["Increase"]), sent("003001700300000200")),
    Writing("Open", "bench", nothing, lambda peer: peer.open(3)),
    Writing("Pre-open", "bench", nothing, sent("008A0302010000")),
    Writing("Close", "bench", session(*MUCH), close(ratified=True)),
    Writing("Close to be ratified", "bench", session(*MUCH), close(ratified=False)),
    Writing("Close, extended", "bench", session(*MUCH, mode="extended"), close(ratified=True)),
    Writing("Close, shared file", "kit-extended", shared_session, close(ratified=True)),
    Writing("Close, postponed, rev 1", "prime-1", old_session, close(ratified=False)),
    Writing("Close, postponed, rev 2", "prime-2", old_session, close(ratified=False)),
    Writing("Close, Light", "light-classic", session(*LITTLE), close(ratified=False)),
    Writing("Close, Basic", "basic", session(*LITTLE), close(ratified=False)),
    Writing("Close, invalidated", "bench", session("0004000000"), close(ratified=True)),
    Writing(
        "Close, rehabilitated",
        "bench",
        lambda peer: (invalid(peer), session("0044000000", key_index=1)(peer)),
        close(ratified=True),
    ),
    Writing("Close, SV", "bench", sv_session(extended=False), close(ratified=True)),
    Writing("Close, SV extended", "bench", sv_session(extended=True), close(ratified=True)),
    Writing(
        "Ratification",
        "bench",
        lambda peer: (peer.open(3), peer.close_ok(ratified=False)),
        sent("00B2000000"),
    ),
    Writing(
        "Ratification by deselect",
        "bench",
        lambda peer: (peer.open(3), peer.close_ok(ratified=False)),
        lambda peer: peer.card.deselect(),
    ),
    Writing("Verify PIN, right", "bench", sent("002000000439393939"), sent("002000000430303030")),
    Writing("Verify PIN, wrong", "bench", nothing, sent("002000000439393939")),
    Writing("Verify PIN, ciphered", "bench", nothing, made(ciphered_pin())),
    Writing("Verify PIN in a session", "bench", session(*MUCH), sent("002000000439393939")),
    Writing("Change PIN", "bench", sent("002000000430303030"), sent("00D800FF0431323334")),
    Writing("Change PIN, ciphered", "bench", sent("002000000439393939"), made(new_pin("31323334"))),
    Writing("Change PIN, wrong", "bench", nothing, made(altered(new_pin("31323334")))),
    Writing("Change Key", "bench", nothing, made(new_key(3, 0x30, 0x75))),
    Writing("Change Key, wrong", "bench", nothing, made(altered(new_key(3, 0x30, 0x75)))),
    Writing("SV Reload", "bench", nothing, made(sv(0xB8, 100))),
    Writing("SV Debit", "bench", made(sv(0xB8, 100)), made(sv(0xBA, -7))),
    Writing("SV Undebit", "bench", made(sv(0xB8, 100)), made(sv(0xBC, 7, extended=True))),
    Writing("SV Debit, rev 2", "prime-2", nothing, made(sv(0xBA, -7))),
]


def stages(memory: Memory, action: Callable[[], object]) -> list[Objects]:
    """Run undisturbed; return the objects before, and behind every commit."""
    found = [memory.objects()]

    class Watched(Memory):
        __slots__ = ()

        def commit(self, changes: Mapping[Key, Value]) -> None:
            super().commit(changes)
            found.append(self.objects())

    memory.__class__ = Watched
    action()
    memory.__class__ = Memory
    return found


def cut(peer: Peer, writing: Writing, tear: Tear) -> bool:
    """Cut the command; return whether the tear struck."""
    card: CalypsoCard = peer.card  # type: ignore[assignment]
    card.memory.arm(tear)
    try:
        writing.command(peer)
    except PowerLoss:
        return True
    card.memory.arm(None)
    return False


def recover_with_cuts(card: CalypsoCard) -> list[Objects]:
    """Recover, undisturbed and cut at every write; return what is found each time."""
    image = card.memory.image()
    card.power_on()
    found = [card.memory.objects()]
    index = 0
    while True:
        for moment in Moment:
            card.power_off()
            card.memory.restore(image)
            card.memory.arm(Tear(index, moment))
            try:
                card.power_on()
            except PowerLoss:
                card.power_on()
                found.append(card.memory.objects())
            else:
                card.memory.arm(None)
                return found
        index += 1


@pytest.mark.parametrize("writing", WRITINGS, ids=lambda writing: writing.name)
def test_a_cut_leaves_old_or_new(writing: Writing) -> None:
    peer = peer_of(writing.preset)
    writing.before(peer)
    undisturbed: CalypsoCard = peer.card  # type: ignore[assignment]
    allowed = stages(undisturbed.memory, lambda: writing.command(peer))
    cuts = 0
    index = 0
    while True:
        for moment in Moment:
            peer = peer_of(writing.preset)
            writing.before(peer)
            if not cut(peer, writing, Tear(index, moment)):
                assert cuts == 3 * index
                writes = sum(2 * _changed(*pair) + 2 for pair in pairwise(allowed))
                assert cuts >= 3 * writes
                return
            cuts += 1
            card: CalypsoCard = peer.card  # type: ignore[assignment]
            assert not card.is_powered
            for objects in recover_with_cuts(card):
                assert objects in allowed
                check_money(objects)
        index += 1


def _changed(before: Objects, after: Objects) -> int:
    return sum(before.get(key) != value for key, value in after.items())


def check_money(objects: Objects) -> None:
    """Balance, transaction number and logs of the purse say the same."""
    if PURSE_KEY not in objects:
        return
    balance, number, _ = objects[PURSE_KEY]  # type: ignore[misc]
    load = SvLoadLog.parse(objects[LOAD_LOG_KEY])  # type: ignore[arg-type]
    debit = SvDebitLog.parse(objects[DEBIT_LOG_KEY])  # type: ignore[arg-type]
    last = max((load, debit), key=lambda log: log.sv_tnum)
    assert (last.balance, last.sv_tnum) == (balance, number)


@pytest.mark.parametrize("pin", ["30303030", "39393939"])
def test_no_cut_gives_an_attempt_back_or_hides_one(pin: str) -> None:
    index = 0
    while True:
        for moment in Moment:
            peer = peer_of("bench")
            card: CalypsoCard = peer.card  # type: ignore[assignment]
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
