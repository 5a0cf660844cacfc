"""OwnerPIN: the counter first, and no way to gain a try."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.javacard_scene import PROBE_AID, Bench

from cardbench.emulator.chassis import Moment, Tear
from cardbench.emulator.javacard import (
    PIN,
    ArrayIndexOutOfBoundsException,
    JCSystem,
    NullPointerException,
    OwnerPIN,
    PINException,
)
from cardbench.protocol.link import PowerLoss

RIGHT, WRONG = b"1234", b"9999"


def make(applet: Any, _: object) -> None:
    pin = OwnerPIN(3, 8)
    pin.update(RIGHT, 0, 4)
    applet.link = pin


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.do(make)
    return bench


def check(bench: Bench, value: bytes) -> bool:
    found: bool = bench.do(lambda applet, _: applet.link.check(value, 0, len(value)))
    return found


def state(bench: Bench) -> tuple[int, bool]:
    found: tuple[int, bool] = bench.do(
        lambda applet, _: (applet.link.get_tries_remaining(), applet.link.is_validated())
    )
    return found


def test_the_right_value_validates_and_gives_all_tries_back(bench: Bench) -> None:
    assert not check(bench, WRONG)
    assert state(bench) == (2, False)
    assert check(bench, RIGHT)
    assert state(bench) == (3, True)


def test_a_wrong_value_after_a_right_one_is_no_longer_validated(bench: Bench) -> None:
    check(bench, RIGHT)
    check(bench, WRONG)
    assert state(bench) == (2, False)


@pytest.mark.parametrize("value", [b"", b"123", b"12345", b"1234\0", WRONG])
def test_content_and_length_must_be_right(bench: Bench, value: bytes) -> None:
    assert not check(bench, value)
    assert state(bench) == (2, False)


def test_a_blocked_pin_stays_blocked_for_the_right_value(bench: Bench) -> None:
    for _ in range(3):
        check(bench, WRONG)
    assert state(bench) == (0, False)
    assert not check(bench, RIGHT)
    assert state(bench) == (0, False)


def test_the_flag_goes_with_the_session_and_the_tries_stay(bench: Bench) -> None:
    check(bench, WRONG)
    check(bench, RIGHT)
    check(bench, WRONG)
    bench.card.reset()
    bench.select(PROBE_AID)
    assert state(bench) == (2, False)


def test_the_flag_survives_a_selection(bench: Bench) -> None:
    check(bench, RIGHT)
    bench.select(PROBE_AID)
    assert state(bench) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((None, 0, 4), NullPointerException),
        ((RIGHT, 0, 5), ArrayIndexOutOfBoundsException),
        ((RIGHT, -1, 4), ArrayIndexOutOfBoundsException),
    ],
)
def test_no_value_at_all_costs_a_try_too(
    bench: Bench, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        bench.do(lambda applet, _: applet.link.check(*arguments))
    assert state(bench) == (2, False)


def test_reset_forgets_a_validation(bench: Bench) -> None:
    check(bench, RIGHT)
    bench.do(lambda applet, _: applet.link.reset())
    assert state(bench) == (3, False)


def test_reset_does_nothing_without_a_validation(bench: Bench) -> None:
    check(bench, WRONG)
    bench.do(lambda applet, _: applet.link.reset())
    assert state(bench) == (2, False)


def test_reset_restores_tries_where_a_subclass_keeps_the_flag(bench: Bench) -> None:
    check(bench, WRONG)
    bench.do(lambda applet, _: applet.link.set_validated_flag(value=True))
    bench.do(lambda applet, _: applet.link.reset())
    assert state(bench) == (3, False)


def test_reset_and_unblock_unblocks(bench: Bench) -> None:
    for _ in range(3):
        check(bench, WRONG)
    bench.do(lambda applet, _: applet.link.reset_and_unblock())
    assert state(bench) == (3, False)


def test_update_sets_value_and_tries(bench: Bench) -> None:
    check(bench, RIGHT)
    bench.do(lambda applet, _: applet.link.update(b"xx5678", 2, 4))
    assert state(bench) == (3, False)
    assert not check(bench, RIGHT)
    assert check(bench, b"5678")


def test_a_value_longer_than_the_maximum_is_refused(bench: Bench) -> None:
    with pytest.raises(PINException) as error:
        bench.do(lambda applet, _: applet.link.update(bytes(9), 0, 9))
    assert error.value.reason == PINException.ILLEGAL_VALUE
    assert check(bench, RIGHT)


@pytest.mark.parametrize(("limit", "size"), [(0, 8), (3, 0), (-1, 8)])
def test_a_pin_needs_a_try_and_a_byte(bench: Bench, limit: int, size: int) -> None:
    with pytest.raises(PINException) as error:
        bench.do(lambda _, __: OwnerPIN(limit, size))
    assert error.value.reason == PINException.ILLEGAL_VALUE


def test_an_owner_pin_is_a_pin(bench: Bench) -> None:
    def use(pin: PIN) -> int:
        return pin.get_tries_remaining()

    assert bench.do(lambda applet, _: use(applet.link)) == 3


def test_neither_value_nor_tries_show_in_a_repr(bench: Bench) -> None:
    shown = bench.do(lambda applet, _: repr(applet.link))
    assert "1234" not in shown
    assert RIGHT.hex() not in shown


def test_an_abort_gives_no_try_back(bench: Bench) -> None:
    def work(applet: Any, _: object) -> None:
        JCSystem.begin_transaction()
        applet.link.check(WRONG, 0, 4)
        JCSystem.abort_transaction()

    bench.do(work)
    assert state(bench) == (2, False)


def test_an_aborted_update_leaves_the_old_value_and_no_more_tries_than_before(
    bench: Bench,
) -> None:
    check(bench, WRONG)
    check(bench, WRONG)  # one try is left

    def work(applet: Any, _: object) -> None:
        JCSystem.begin_transaction()
        applet.link.update(b"5678", 0, 4)
        applet.link.check(WRONG, 0, 4)
        applet.link.check(b"5678", 0, 4)
        JCSystem.abort_transaction()

    bench.do(work)
    assert state(bench)[0] == 0


def test_a_committed_update_has_the_tries_that_its_checks_left(bench: Bench) -> None:
    def work(applet: Any, _: object) -> None:
        JCSystem.begin_transaction()
        applet.link.update(b"5678", 0, 4)
        applet.link.check(WRONG, 0, 4)
        JCSystem.commit_transaction()

    bench.do(work)
    assert state(bench) == (2, False)
    bench.card.reset()
    bench.select(PROBE_AID)
    assert state(bench) == (2, False)
    assert check(bench, b"5678")


@pytest.mark.parametrize("value", [RIGHT, WRONG])
@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("write", range(8))
def test_a_torn_check_never_gains_a_try(write: int, moment: Moment, value: bytes) -> None:
    bench = Bench()
    bench.do(make)
    check(bench, WRONG)
    bench.card.memory.arm(Tear(write, moment))
    try:
        check(bench, value)
    except PowerLoss:
        bench.card.power_on()
        bench.select(PROBE_AID)
        tries, is_validated = state(bench)
        assert not is_validated
        # The counter goes back up only by writes that follow the comparison with the right value.
        assert tries in ({1, 2} if value == WRONG or write < 4 else {1, 3})
    else:
        assert write >= 4
        assert value == WRONG


@given(
    st.integers(0, 3),
    st.lists(st.sampled_from([RIGHT, WRONG, "update"]), max_size=8),
)
def test_an_abort_never_leaves_more_tries_than_the_transaction_found(
    spent: int, actions: list[bytes | str]
) -> None:
    """Only a right presentation of the old value, before any update, gives tries back."""
    bench = Bench()
    bench.do(make)
    for _ in range(spent):
        check(bench, WRONG)

    def work(applet: Any, _: object) -> None:
        pin, most = applet.link, 3 - spent
        is_updated = False
        JCSystem.begin_transaction()
        for action in actions:
            if isinstance(action, str):
                pin.update(b"5678", 0, 4)
                is_updated = True
                continue
            counted = pin.get_tries_remaining() > 0
            if pin.check(action, 0, 4):
                most = 3
            elif counted:
                most = max(most - 1, 0)
            assert not (is_updated and pin.is_validated())
        JCSystem.abort_transaction()
        assert pin.get_tries_remaining() == most

    bench.do(work)
