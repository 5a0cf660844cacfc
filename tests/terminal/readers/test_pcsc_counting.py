"""Insertions and removals over PC/SC are counted once, whoever looks, and whenever the service restarts."""

from __future__ import annotations

import pytest

from cardbench.protocol.errors import ReaderError
from cardbench.protocol.pcsc import ReturnCode
from cardbench.terminal.readers import pcsc
from cardbench.terminal.readers.pcsc import PcscReader

PRESENT, EMPTY = 0x20, 0x10


class ThinLayer:
    """Answers SCardGetStatusChange with what a test says: a return code, and a state."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, int]] = []

    def SCardEstablishContext(self, _scope: int) -> tuple[int, int]:  # noqa: N802
        return 0, 1

    def SCardReleaseContext(self, _context: int) -> int:  # noqa: N802
        return 0

    def SCardListReaders(self, _context: int, _groups: list[str]) -> tuple[int, list[str]]:  # noqa: N802
        return 0, ["gate"]

    def SCardGetStatusChange(  # noqa: N802
        self, _context: int, _timeout_ms: int, asked: list[tuple[str, int]]
    ) -> tuple[int, list[tuple[str, int, list[int]]]]:
        code, state = self.answers.pop(0)
        return code, [(asked[0][0], state, [])]


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> ThinLayer:
    layer = ThinLayer()
    monkeypatch.setattr(pcsc, "_thin_layer", lambda: layer)
    return layer


def state(counter: int, bits: int = PRESENT) -> tuple[int, int]:
    return 0, counter << 16 | bits


def test_changes_are_counted_beyond_sixteen_bits(layer: ThinLayer) -> None:
    reader = PcscReader("gate")
    layer.answers = [state(0xFFFE), state(0xFFFF, EMPTY), state(1)]
    first, second, third = (reader.state() for _ in range(3))
    assert [second.changes - first.changes, third.changes - first.changes] == [1, 3]
    assert [each.present for each in (first, second, third)] == [True, False, True]


def test_a_look_that_comes_late_counts_nothing_and_learns_the_newer(layer: ThinLayer) -> None:
    """One thread looked before a removal and counts after another thread that looked behind it."""
    reader = PcscReader("gate")
    layer.answers = [state(5), state(6, EMPTY), state(5), state(6, EMPTY)]
    begun = reader.state()
    removed = reader.state()
    late = reader.state()
    assert removed == late == (False, begun.changes + 1)
    assert reader.state() == removed


def test_a_service_that_began_anew_is_one_change(layer: ThinLayer) -> None:
    reader = PcscReader("gate")
    layer.answers = [state(7), (int(ReturnCode.SERVICE_STOPPED), 0), state(0), state(1, EMPTY)]
    before = reader.state()
    with pytest.raises(ReaderError):
        reader.state()
    assert reader.state() == (True, before.changes + 1)
    assert reader.state() == (False, before.changes + 2)


def test_a_service_that_never_answered_has_lost_no_count(layer: ThinLayer) -> None:
    reader = PcscReader("gate")
    layer.answers = [(int(ReturnCode.SERVICE_STOPPED), 0), state(3)]
    with pytest.raises(ReaderError):
        reader.state()
    assert reader.state().changes == 0
