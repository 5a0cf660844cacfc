"""What holds signals back gives them free again, whatever happens."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.readers.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Iterable

real = signal.pthread_sigmask


class Stopped(BaseException):
    pass


def blocked() -> set[int]:
    return set(real(signal.SIG_BLOCK, ()))


def test_signals_are_held_back_within_and_free_again_behind() -> None:
    before = blocked()
    with uninterrupted():
        assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= blocked()
    assert blocked() == before


def test_a_signal_that_comes_just_before_leaves_nothing_blocked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def changes_then_hears(how: int, signals: Iterable[int]) -> set[int]:
        before = set(real(how, signals))
        if how == signal.SIG_BLOCK and signals:
            raise Stopped  # as a handler does that runs at the end of the call
        return before

    before = blocked()
    monkeypatch.setattr(signal, "pthread_sigmask", changes_then_hears)
    try:
        with pytest.raises(Stopped), uninterrupted():
            raise AssertionError
        assert blocked() == before
    finally:
        real(signal.SIG_SETMASK, before)
