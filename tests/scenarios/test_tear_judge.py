"""What the judge of a torn card calls a fault, and what it lets pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso.structure import (
    DEBIT_LOG_KEY,
    LOAD_LOG_KEY,
    PIN_TRIES_KEY,
    PURSE_KEY,
    TRANSACTION_COUNTER_KEY,
    content_key,
    ratified_key,
)
from cardbench.scenarios.campaigns.judge import faults_of_a_cut

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Key, Value

EVENTS, COUNTERS = content_key(0x2000, 0x2010), content_key(0x2000, 0x2069)
RATIFIED = ratified_key(0x2000)
LOG = bytes(14) + (5).to_bytes(3) + (1).to_bytes(2) + bytes(10)
"""Debit log of balance 5 behind operation 1."""
BEFORE: dict[Key, Value] = {
    TRANSACTION_COUNTER_KEY: 100,
    PIN_TRIES_KEY: 2,
    RATIFIED: 1,
    EVENTS: b"old",
    COUNTERS: b"old",
    PURSE_KEY: (0, 0, bytes(6)),
    LOAD_LOG_KEY: bytes(29),
    DEBIT_LOG_KEY: bytes(87),
}
AFTER: dict[Key, Value] = BEFORE | {
    TRANSACTION_COUNTER_KEY: 99,
    PIN_TRIES_KEY: 3,
    RATIFIED: 0,
    EVENTS: b"new",
    COUNTERS: b"new",
}


@pytest.mark.parametrize(
    "found",
    [
        BEFORE,
        AFTER,
        BEFORE | {TRANSACTION_COUNTER_KEY: 99},
        BEFORE | {PIN_TRIES_KEY: 1},
        BEFORE | {PIN_TRIES_KEY: 1, TRANSACTION_COUNTER_KEY: 99},
        BEFORE | {RATIFIED: 0},
    ],
)
def test_old_new_or_counted_on_the_way_is_no_fault(found: dict[Key, Value]) -> None:
    assert faults_of_a_cut(BEFORE, AFTER, found) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({EVENTS: b"new"}, "mixed state: file/8192/8208 new, file/8192/8297 old"),
        ({EVENTS: b"nld"}, "file/8192/8208 is neither old nor new"),
        ({EVENTS: None}, "file/8192/8208 is neither old nor new"),
        ({("other",): 1}, "other is neither old nor new"),
        ({TRANSACTION_COUNTER_KEY: 101}, "the transaction counter went 100 to 101"),
        ({TRANSACTION_COUNTER_KEY: 98}, "the transaction counter went 100 to 98"),
        ({PIN_TRIES_KEY: 0}, "the PIN tries went 2 to 0"),
        ({RATIFIED: 2}, "ratified/8192 is neither old nor new"),
    ],
)
def test_anything_else_is_one(change: dict[Key, Value], fault: str) -> None:
    assert faults_of_a_cut(BEFORE, AFTER, BEFORE | change) == [fault]


def test_a_try_that_is_gained_is_a_fault() -> None:
    wrong = BEFORE | {PIN_TRIES_KEY: 1, TRANSACTION_COUNTER_KEY: 99}
    assert faults_of_a_cut(BEFORE, wrong, BEFORE | {PIN_TRIES_KEY: 3}) == [
        "the PIN tries went 2 to 3"
    ]


def test_money_that_its_log_does_not_know_is_a_fault() -> None:
    after = BEFORE | {PURSE_KEY: (5, 1, b"signed"), DEBIT_LOG_KEY: LOG + bytes(58)}
    assert faults_of_a_cut(BEFORE, after, after) == []
    found = after | {PURSE_KEY: (6, 1, b"signed")}
    assert faults_of_a_cut(BEFORE, found, found) == [
        "the purse has 6 at operation 1, its newest log 5 at 1"
    ]
