"""Which card is running on this thread: what makes `JCSystem` and constructors static, as in Java.

The runtime names its session while it runs an applet's code, and takes the name back afterwards. Several
cards in one process, each on its own thread, do not see each other.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from cardbench.protocol.errors import UsageError

if TYPE_CHECKING:
    from cardbench.emulator.javacard.session import CardSession

current: ContextVar[CardSession] = ContextVar("current card session")


def running() -> CardSession:
    """Return the session of the card whose applet is running.

    Raises:
        UsageError: no applet is running: this is not called from an applet's method.
    """
    try:
        return current.get()
    except LookupError:
        raise UsageError("no applet is running: this belongs inside an applet's methods") from None
