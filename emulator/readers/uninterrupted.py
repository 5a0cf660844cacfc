"""Sections that a signal does not cut: what is half made is either finished or was never begun."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and its kin from this thread, and from threads started meanwhile, to the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        # A signal that came just before raises from this call, when the mask is changed already.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
