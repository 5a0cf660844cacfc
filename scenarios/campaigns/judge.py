"""What a power failure may leave of a Calypso card: the state before a command or the one behind it.

Between the two, and only there, three things may stand on a step of their own, because the card counts
them before it does the work:

* the transaction counter has gone down by no more than the whole command takes, and never up;
* the PIN tries are as before, one less, or as the whole command leaves them: a try is never gained;
* a ratification flag follows the command's arrival, or its Close.

Everything else is all old or all new. A purse that has moved agrees with the newest entry of its logs, so
that no money is made or lost.

Source: calypso-card §5.1 (atomic sessions), §5.6, §5.7, §6.6, §7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cardbench.emulator.calypso.structure import (
    DEBIT_LOG_KEY,
    LOAD_LOG_KEY,
    PIN_TRIES_KEY,
    PURSE_KEY,
    TRANSACTION_COUNTER_KEY,
)
from cardbench.protocol.calypso.sv_log import SvDebitLog, SvLoadLog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from cardbench.emulator.chassis import Key, Value

    Objects: TypeAlias = Mapping[Key, Value]

RATIFIED = "ratified"
"""First part of the keys of ratification flags."""


def faults_of_a_cut(before: Objects, after: Objects, found: Objects) -> list[str]:
    """Judge the objects that are found behind a power failure.

    Args:
        before, after: the objects before the command that was cut, and behind it with nothing cut.
        found: the objects behind the cut and the recovery.

    Returns:
        What is wrong, in words; empty where all is well.
    """
    faults = [
        *_atomicity(before, after, found),
        *_transaction_counter(before, after, found),
        *_pin_tries(before, after, found),
    ]
    if found.get(PURSE_KEY) != before.get(PURSE_KEY):
        faults += faults_of_a_purse(found)
    return faults


def is_counted(key: Key) -> bool:
    """Whether an object may move in a write of its own."""
    return key in (TRANSACTION_COUNTER_KEY, PIN_TRIES_KEY) or key[0] == RATIFIED


def _name(key: Key) -> str:
    return "/".join(map(str, key))


def _atomicity(before: Objects, after: Objects, found: Objects) -> list[str]:
    keys = before.keys() | after.keys() | found.keys()
    strange = [key for key in keys if found.get(key) not in (before.get(key), after.get(key))]
    faults = [f"{_name(key)} is neither old nor new" for key in strange if key[0] == RATIFIED]
    strange = [key for key in strange if not is_counted(key)]
    faults += [f"{_name(key)} is neither old nor new" for key in sorted(strange, key=_name)]
    moved = [key for key in keys if before.get(key) != after.get(key) and not is_counted(key)]
    news = [key for key in moved if found.get(key) == after.get(key)]
    if news and len(news) < len(moved) and not strange:
        text = ", ".join(
            f"{_name(key)} {'new' if key in news else 'old'}" for key in sorted(moved, key=_name)
        )
        faults.append(f"mixed state: {text}")
    return faults


def _transaction_counter(before: Objects, after: Objects, found: Objects) -> list[str]:
    high, low, counter = (
        cast("int", objects[TRANSACTION_COUNTER_KEY]) for objects in (before, after, found)
    )
    if low <= counter <= high:
        return []
    return [f"the transaction counter went {high} to {counter}"]


def _pin_tries(before: Objects, after: Objects, found: Objects) -> list[str]:
    old, new, tries = (cast("int", objects[PIN_TRIES_KEY]) for objects in (before, after, found))
    if tries in (old, old - 1, new) and tries >= 0:
        return []
    return [f"the PIN tries went {old} to {tries}"]


def faults_of_a_purse(objects: Objects) -> list[str]:
    """Say where balance and transaction number of a purse that has moved disagree with its newest log."""
    purse = objects.get(PURSE_KEY)
    if purse is None:
        return []
    balance, number, _ = cast("tuple[int, int, bytes]", purse)
    load = SvLoadLog.parse(cast("bytes", objects[LOAD_LOG_KEY]))
    debit = SvDebitLog.parse(cast("bytes", objects[DEBIT_LOG_KEY]))
    newest: SvLoadLog | SvDebitLog = load if load.sv_tnum > debit.sv_tnum else debit
    if (newest.balance, newest.sv_tnum) == (balance, number):
        return []
    logged = f"its newest log {newest.balance} at {newest.sv_tnum}"
    return [f"the purse has {balance} at operation {number}, {logged}"]
