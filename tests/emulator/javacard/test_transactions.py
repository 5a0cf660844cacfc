"""Transactions really roll back: by abort, by the runtime, by power loss."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.javacard_scene import PROBE_AID, Bench, Node, Probe

from cardbench.emulator.chassis import Moment, Tear
from cardbench.emulator.javacard import (
    ByteArray,
    ISOException,
    JCSystem,
    NullPointerException,
    OwnerPIN,
    TransactionException,
    Util,
)
from cardbench.protocol.link import PowerLoss


@pytest.fixture
def bench() -> Bench:
    return Bench()


def fields(bench: Bench) -> tuple[int, int]:
    found: tuple[int, int] = bench.do(lambda applet, _: (applet.first, applet.second))
    return found


def after_reset(bench: Bench) -> tuple[int, int]:
    bench.card.power_on()
    bench.select(PROBE_AID)
    return fields(bench)


def change(applet: Any, _: object) -> None:
    JCSystem.begin_transaction()
    applet.first, applet.second = 1, 2


def commit(applet: Any, apdu: object) -> None:
    change(applet, apdu)
    JCSystem.commit_transaction()


def test_a_commit_keeps_everything(bench: Bench) -> None:
    bench.do(commit)
    assert fields(bench) == after_reset(bench) == (1, 2)


def test_an_abort_takes_everything_back(bench: Bench) -> None:
    def work(applet: Any, apdu: object) -> tuple[int, int]:
        change(applet, apdu)
        JCSystem.abort_transaction()
        return applet.first, applet.second

    assert bench.do(work) == (0, 0)
    assert fields(bench) == after_reset(bench) == (0, 0)


@pytest.mark.parametrize("throws", [True, False])
def test_a_transaction_left_open_is_aborted_by_the_runtime(bench: Bench, *, throws: bool) -> None:
    def work(applet: Any, apdu: object) -> None:
        change(applet, apdu)
        if throws:
            ISOException.throw_it(0x6985)

    assert bench.answer(work) == ("6985" if throws else "9000")
    assert bench.do(lambda _, __: JCSystem.get_transaction_depth()) == 0
    assert fields(bench) == after_reset(bench) == (0, 0)


def test_a_transaction_left_open_in_deselect_is_aborted(bench: Bench) -> None:
    Probe.deselecting = lambda applet: change(applet, None)
    bench.select(PROBE_AID)
    assert fields(bench) == (0, 0)


def test_a_power_loss_in_a_transaction_takes_everything_back(bench: Bench) -> None:
    def work(applet: Any, apdu: object) -> None:
        change(applet, apdu)
        raise PowerLoss

    with pytest.raises(PowerLoss):
        bench.do(work)
    assert after_reset(bench) == (0, 0)


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("write", range(6))
def test_a_torn_commit_keeps_all_or_nothing(write: int, moment: Moment) -> None:
    bench = Bench()
    bench.card.memory.arm(Tear(write, moment))
    with pytest.raises(PowerLoss):
        bench.do(commit)
    assert after_reset(bench) in {(0, 0), (1, 2)}


def test_nothing_is_written_before_the_commit(bench: Bench) -> None:
    before = bench.card.memory.writes

    def work(applet: Any, apdu: object) -> int:
        change(applet, apdu)
        return bench.card.memory.writes

    assert bench.do(work) == before


def test_transactions_do_not_nest(bench: Bench) -> None:
    def work(applet: Any, apdu: object) -> tuple[int, int]:
        change(applet, apdu)
        with pytest.raises(TransactionException) as error:
            JCSystem.begin_transaction()
        return error.value.reason, JCSystem.get_transaction_depth()

    assert bench.do(work) == (TransactionException.IN_PROGRESS, 1)


@pytest.mark.parametrize("end", [JCSystem.commit_transaction, JCSystem.abort_transaction])
def test_there_is_nothing_to_end_outside_a_transaction(bench: Bench, end: Any) -> None:
    with pytest.raises(TransactionException) as error:
        bench.do(lambda _, __: end())
    assert error.value.reason == TransactionException.NOT_IN_PROGRESS


def test_the_commit_buffer_is_finite(bench: Bench) -> None:
    bench.do(lambda applet, _: setattr(applet, "link", ByteArray(5000)))

    def work(applet: Any, _: object) -> tuple[int, int, int]:
        room = JCSystem.get_unused_commit_capacity()
        assert room == JCSystem.get_max_commit_capacity()
        JCSystem.begin_transaction()
        applet.first = 1
        left = JCSystem.get_unused_commit_capacity()
        with pytest.raises(TransactionException) as error:
            Util.array_fill(applet.link, 0, 5000, 1)
        assert applet.link[0] == 0
        applet.first = 2
        assert JCSystem.get_unused_commit_capacity() == left
        JCSystem.commit_transaction()
        return error.value.reason, room - left, applet.first

    assert bench.do(work) == (TransactionException.BUFFER_FULL, 8, 2)
    assert after_reset(bench) == (2, 0)


def test_arrays_roll_back(bench: Bench) -> None:
    bench.do(lambda applet, _: setattr(applet, "link", ByteArray(4)))

    def work(applet: Any, _: object) -> bytes:
        JCSystem.begin_transaction()
        Util.array_copy(b"abcd", 0, applet.link, 0, 4)
        applet.link[0] = 0x7A
        assert applet.link[:] == b"zbcd"
        JCSystem.abort_transaction()
        content: bytes = applet.link[:]
        return content

    assert bench.do(work) == bytes(4)


def test_transient_data_do_not_roll_back(bench: Bench) -> None:
    def work(applet: Any, _: object) -> tuple[int, int]:
        applet.link = JCSystem.make_transient_byte_array(1, JCSystem.CLEAR_ON_RESET)
        JCSystem.begin_transaction()
        applet.link[0] = applet.session = 5
        JCSystem.abort_transaction()
        return applet.link[0], applet.session

    assert bench.do(work) == (5, 5)


def test_a_non_atomic_copy_does_not_roll_back(bench: Bench) -> None:
    bench.do(lambda applet, _: setattr(applet, "link", ByteArray(4)))

    def work(applet: Any, _: object) -> None:
        JCSystem.begin_transaction()
        applet.first = 1
        Util.array_copy_non_atomic(b"ab", 0, applet.link, 0, 2)
        JCSystem.abort_transaction()

    bench.do(work)
    assert bench.do(lambda applet, _: (applet.first, applet.link[:])) == (0, b"ab\0\0")


def test_a_non_atomic_copy_leaves_conditional_bytes_to_the_transaction(bench: Bench) -> None:
    bench.do(lambda applet, _: setattr(applet, "link", ByteArray(4)))

    def work(applet: Any, _: object) -> bytes:
        JCSystem.begin_transaction()
        applet.link[3] = 9
        Util.array_copy_non_atomic(b"ab", 0, applet.link, 0, 2)
        assert applet.link[:] == b"ab\0\t"
        JCSystem.abort_transaction()
        content: bytes = applet.link[:]
        return content

    assert bench.do(work) == b"ab\0\0"


def test_what_an_aborted_transaction_made_is_null(bench: Bench) -> None:
    def work(applet: Any, _: object) -> object:
        JCSystem.begin_transaction()
        node = applet.link = Node(1)
        JCSystem.abort_transaction()
        assert applet.link is None
        with pytest.raises(NullPointerException):
            node.value = 2
        applet.link = node
        return applet.link is node

    assert bench.do(work)
    bench.card.reset()
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.link) is None


def test_what_a_transaction_made_stays_after_its_commit(bench: Bench) -> None:
    def work(applet: Any, _: object) -> None:
        JCSystem.begin_transaction()
        applet.link = Node(1)
        applet.link.after = Node(2)
        JCSystem.commit_transaction()

    bench.do(work)
    bench.card.reset()
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: (applet.link.value, applet.link.after.value)) == (1, 2)


def test_a_handle_of_an_aborted_object_brings_nothing_back(bench: Bench) -> None:
    def lost(_: Any, __: object) -> None:
        JCSystem.begin_transaction()
        pin = OwnerPIN(3, 4)
        pin.update(b"1234", 0, 4)
        pin.check(b"9999", 0, 4)
        JCSystem.abort_transaction()

    before = bench.card.memory.objects()
    bench.do(lost)
    assert bench.card.memory.objects() == before


WRITES = st.lists(
    st.tuples(st.sampled_from(["first", "second"]), st.integers(-5, 5)), min_size=1, max_size=6
)


@given(st.lists(st.tuples(WRITES, st.sampled_from(["commit", "abort", "none", "forget"]))))
def test_fields_are_those_of_the_commits(
    script: list[tuple[list[tuple[str, int]], str]],
) -> None:
    bench, expected = Bench(), {"first": 0, "second": 0}
    for writes, end in script:

        def work(
            applet: Any, _: object, *, writes: list[tuple[str, int]] = writes, end: str = end
        ) -> None:
            if end != "none":
                JCSystem.begin_transaction()
            for name, value in writes:
                setattr(applet, name, value)
            if end == "commit":
                JCSystem.commit_transaction()
            elif end == "abort":
                JCSystem.abort_transaction()

        bench.do(work)
        if end in {"commit", "none"}:
            expected.update(writes)
        assert fields(bench) == (expected["first"], expected["second"])
    assert after_reset(bench) == (expected["first"], expected["second"])
