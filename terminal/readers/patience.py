"""Waiting for another program in PC/SC, so that Ctrl-C is heard.

A call that PC/SC holds back, because another program has the card in a transaction, sits in C, where no
signal handler of Python runs. Two kinds of calls wait:

* A connection waits in the service. It is made in a helper thread, and the main thread waits for that.
* Everything else waits in pcsc-lite's client library, which asks again and again; told by an environment
  variable not to, it gives the call back, and we ask again. The variable is for a whole process, so only
  a program that is all ours sets it.

Source: pcsclite-protocol §1 (variables), §5 (check 6), §6.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, TypeVar

from cardbench.protocol.pcsc import ReturnCode

if TYPE_CHECKING:
    from collections.abc import Callable

NO_BLOCKING_VARIABLE = "PCSCLITE_NO_BLOCKING"
"""In the environment of a process at its first PC/SC call: pcsc-lite leaves the waiting to us."""

ASK_AGAIN_S = 0.1
HEAR_AGAIN_S = 0.1

Result = TypeVar("Result")


def interruptible(call: Callable[[], Result]) -> Result:
    """Make a call that may wait; a signal ends the waiting, though not the call.

    Whoever is interrupted leaves what the call uses (a context) to it, and takes another.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    outcome: Future[Result] = Future()

    def make_it() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            outcome.set_exception(error)

    threading.Thread(target=make_it, name="pcsc-call", daemon=True).start()
    while not wait([outcome], HEAR_AGAIN_S).done:
        pass  # a signal that came just before the wait, or to another thread, does not end it
    return outcome.result()


def when_shared(call: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    """Make a call, again and again while another program's transaction holds the card."""
    while True:
        answer = call()
        if answer[0] & 0xFFFFFFFF != ReturnCode.SHARING_VIOLATION:
            return answer
        time.sleep(ASK_AGAIN_S)
