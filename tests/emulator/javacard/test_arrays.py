"""Arrays: persistent and transient, bounds, atomic and non-atomic writes."""

from __future__ import annotations

from typing import Any

import pytest
from support.javacard_scene import CLIENT_AID, PROBE_AID, Bench, Node

from cardbench.emulator.chassis import Moment, Tear
from cardbench.emulator.javacard import (
    AID,
    ArrayIndexOutOfBoundsException,
    BooleanArray,
    ByteArray,
    JCSystem,
    NegativeArraySizeException,
    NullPointerException,
    ObjectArray,
    SecurityException,
    ShortArray,
    SystemException,
    Util,
    byte,
    short,
)
from cardbench.protocol.link import PowerLoss

RESET, DESELECT = JCSystem.CLEAR_ON_RESET, JCSystem.CLEAR_ON_DESELECT


@pytest.fixture
def bench() -> Bench:
    return Bench()


def keep(bench: Bench, make: Any) -> None:
    bench.do(lambda applet, _: setattr(applet, "link", make()))


def again(bench: Bench) -> None:
    bench.card.reset()
    bench.select(PROBE_AID)


@pytest.mark.parametrize(
    ("kind", "elements", "zero"),
    [
        (ByteArray, [1, 255, 0], 0),
        (ShortArray, [-32768, 32767, 1], 0),
        (BooleanArray, [True, False, True], False),
        (ObjectArray, [None, 5, b"x"], None),
    ],
)
def test_a_persistent_array_keeps_its_elements(
    bench: Bench, kind: Any, elements: list[Any], zero: object
) -> None:
    keep(bench, lambda: kind(4))

    def fill(applet: Any, _: object) -> None:
        for index, element in enumerate(elements):
            applet.link[index] = element

    bench.do(fill)
    again(bench)
    assert bench.do(lambda applet, _: [applet.link[index] for index in range(4)]) == [
        *elements,
        zero,
    ]


@pytest.mark.parametrize("kind", [ByteArray, ShortArray, BooleanArray, ObjectArray])
@pytest.mark.parametrize("index", [-1, 3, 100])
def test_an_index_outside_is_out_of_bounds(bench: Bench, kind: Any, index: int) -> None:
    keep(bench, lambda: kind(3))
    with pytest.raises(ArrayIndexOutOfBoundsException):
        bench.do(lambda applet, _: applet.link[index])
    with pytest.raises(ArrayIndexOutOfBoundsException):
        bench.do(lambda applet, _: applet.link.__setitem__(index, 1))


def test_an_array_of_less_than_nothing_is_refused(bench: Bench) -> None:
    with pytest.raises(NegativeArraySizeException):
        bench.do(lambda _, __: ByteArray(-1))


def test_the_length_of_an_array_is_a_short(bench: Bench) -> None:
    assert bench.do(lambda _, __: len(ByteArray(0x7FFF))) == 0x7FFF
    with pytest.raises(SystemException) as refused:
        bench.do(lambda _, __: ByteArray(0x8000))
    assert refused.value.reason == SystemException.NO_RESOURCE


@pytest.mark.parametrize(("kind", "bad"), [(ByteArray, 256), (ByteArray, -1), (ShortArray, 40000)])
def test_an_element_that_does_not_fit_is_refused(bench: Bench, kind: Any, bad: int) -> None:
    keep(bench, lambda: kind(1))
    with pytest.raises(ValueError, match=r"."):
        bench.do(lambda applet, _: applet.link.__setitem__(0, bad))
    assert bench.do(lambda applet, _: applet.link[0]) == 0


def test_an_array_has_no_attributes(bench: Bench) -> None:
    keep(bench, lambda: ByteArray(1))
    with pytest.raises(AttributeError, match="elements"):
        bench.do(lambda applet, _: setattr(applet.link, "length", 2))


def test_a_byte_array_takes_slices(bench: Bench) -> None:
    keep(bench, lambda: ByteArray(6))
    bench.do(lambda applet, _: applet.link.__setitem__(slice(1, 4), b"abc"))
    assert bench.do(lambda applet, _: applet.link[:]) == b"\0abc\0\0"


@pytest.mark.parametrize("where", [slice(0, 2), slice(0, 5), slice(0, 6, 2), slice(4, 1)])
def test_a_slice_takes_exactly_as_many_bytes_as_it_has(bench: Bench, where: slice) -> None:
    keep(bench, lambda: ByteArray(6))
    with pytest.raises(ArrayIndexOutOfBoundsException):
        bench.do(lambda applet, _: applet.link.__setitem__(where, b"abc"))


def test_a_slice_assignment_is_one_atomic_write(bench: Bench) -> None:
    keep(bench, lambda: ByteArray(6))
    before = bench.card.memory.writes
    bench.do(lambda applet, _: applet.link.__setitem__(slice(0, 6), b"abcdef"))
    assert bench.card.memory.writes - before == 4


@pytest.mark.parametrize(
    ("make", "element", "zero"),
    [
        (JCSystem.make_transient_byte_array, 7, 0),
        (JCSystem.make_transient_short_array, -7, 0),
        (JCSystem.make_transient_boolean_array, True, False),
        (JCSystem.make_transient_object_array, b"x", None),
    ],
)
@pytest.mark.parametrize(
    ("event", "after_select"), [(RESET, "element"), (DESELECT, "zero")], ids=["reset", "deselect"]
)
def test_a_transient_array_is_cleared_by_its_event(
    bench: Bench, make: Any, element: object, zero: object, event: int, after_select: str
) -> None:
    keep(bench, lambda: make(2, event))
    before = bench.card.memory.writes
    bench.do(lambda applet, _: applet.link.__setitem__(1, element))
    assert bench.card.memory.writes == before
    bench.select(PROBE_AID)
    expected = element if after_select == "element" else zero
    assert bench.do(lambda applet, _: applet.link[1]) == expected
    bench.do(lambda applet, _: applet.link.__setitem__(1, element))
    again(bench)
    assert bench.do(lambda applet, _: (len(applet.link), applet.link[1])) == (2, zero)


def test_is_transient_tells_the_event(bench: Bench) -> None:
    def look(_: object, __: object) -> list[int]:
        return [
            JCSystem.is_transient(something)
            for something in (
                JCSystem.make_transient_byte_array(1, RESET),
                JCSystem.make_transient_byte_array(1, DESELECT),
                ByteArray(1),
                None,
            )
        ]

    assert bench.do(look) == [RESET, DESELECT, JCSystem.NOT_A_TRANSIENT_OBJECT, 0]


@pytest.mark.parametrize("make", [JCSystem.make_transient_byte_array, ByteArray])
def test_an_unknown_event_is_refused(bench: Bench, make: Any) -> None:
    with pytest.raises(SystemException) as refused:
        bench.do(lambda _, __: make(1, 3))
    assert refused.value.get_reason() == SystemException.ILLEGAL_VALUE


def test_a_transient_array_of_an_aborted_transaction_leaves_its_space(bench: Bench) -> None:
    def work(_: object, __: object) -> int:
        before = JCSystem.get_available_memory(DESELECT)
        JCSystem.begin_transaction()
        JCSystem.make_transient_byte_array(100, DESELECT)
        JCSystem.abort_transaction()
        return before - JCSystem.get_available_memory(DESELECT)

    assert bench.do(work) == 0
    assert bench.select(PROBE_AID) == "9000"


@pytest.mark.parametrize("event", [RESET, DESELECT])
def test_transient_space_is_limited_and_counted_across_sessions(bench: Bench, event: int) -> None:
    room = bench.do(lambda _, __: JCSystem.get_available_memory(event))
    keep(bench, lambda: JCSystem.make_transient_short_array(100, event))
    again(bench)
    left = bench.do(lambda _, __: JCSystem.get_available_memory(event))
    assert room - left == 200
    with pytest.raises(SystemException) as refused:
        bench.do(lambda _, __: JCSystem.make_transient_byte_array(left + 1, event))
    assert refused.value.get_reason() == SystemException.NO_TRANSIENT_SPACE
    bench.do(lambda _, __: JCSystem.make_transient_byte_array(left, event))


def test_persistent_memory_is_as_large_as_a_short_can_say(bench: Bench) -> None:
    available = bench.do(lambda _, __: JCSystem.get_available_memory(0))
    assert available == 0x7FFF
    with pytest.raises(SystemException):
        bench.do(lambda _, __: JCSystem.get_available_memory(3))


def test_a_deselect_array_belongs_to_the_selected_package() -> None:
    bench = Bench(PROBE_AID, CLIENT_AID)
    keep(bench, lambda: JCSystem.make_transient_byte_array(1, DESELECT))
    array = bench.do(lambda applet, _: applet.link)
    bench.select(CLIENT_AID)
    with pytest.raises(SecurityException):
        bench.do(lambda _, __: array[0])


# Util


def test_copies_fill_and_compare() -> None:
    bench = Bench()

    def work(_: object, __: object) -> tuple[object, ...]:
        array = ByteArray(8)
        ends = (
            Util.array_copy(b"abcd", 1, array, 2, 3),
            Util.array_fill(array, 0, 2, 0x11),
            Util.array_copy_non_atomic(b"xyz", 0, array, 5, 2),
            Util.array_fill_non_atomic(array, 7, 1, -1),
        )
        return ends, array[:]

    assert bench.do(work) == ((5, 2, 7, 8), b"\x11\x11bcdxy\xff")
    assert Util.array_compare(b"\x01\xff", 1, b"\x01", 0, 1) == 1
    assert Util.array_compare(b"\x01", 0, b"\x02", 0, 1) == -1
    assert Util.array_compare(b"ab", 0, b"xab", 1, 2) == 0


def test_a_copy_onto_itself_moves_the_old_bytes(bench: Bench) -> None:
    def work(_: object, apdu: Any) -> bytes:
        buffer = apdu.get_buffer()
        buffer[0:4] = b"abcd"
        Util.array_copy(buffer, 0, buffer, 1, 4)
        return bytes(buffer[:5])

    assert bench.do(work) == b"aabcd"


def test_shorts_are_high_byte_first_and_signed() -> None:
    array = bytearray(4)
    assert Util.set_short(array, 1, -2) == 3
    assert array == b"\0\xff\xfe\0"
    assert Util.get_short(array, 1) == -2
    assert Util.make_short(0x12, 0x34) == 0x1234
    assert Util.make_short(0xFF, 0xFF) == -1


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 5), (4, 1), (0, -1)])
def test_offsets_and_lengths_outside_are_out_of_bounds(offset: int, length: int) -> None:
    array = bytearray(4)
    for work in (
        lambda: Util.array_copy(array, offset, bytearray(9), 0, length),
        lambda: Util.array_fill(array, offset, length, 0),
        lambda: Util.array_compare(array, offset, bytes(9), 0, length),
    ):
        with pytest.raises(ArrayIndexOutOfBoundsException):
            work()
    if length >= 0:
        with pytest.raises(ArrayIndexOutOfBoundsException):
            Util.array_copy(bytes(9), 0, array, offset, length)


def test_no_array_is_a_null_pointer() -> None:
    nothing: Any = None
    with pytest.raises(NullPointerException):
        Util.get_short(nothing, 0)
    with pytest.raises(NullPointerException):
        Util.set_short(nothing, 0, 1)


def test_a_constant_cannot_be_written() -> None:
    with pytest.raises(SecurityException):
        Util.set_short(b"\0\0", 0, 1)


@pytest.mark.parametrize(("number", "wrapped"), [(127, 127), (128, -128), (255, -1), (-129, 127)])
def test_byte_wraps(number: int, wrapped: int) -> None:
    assert byte(number) == wrapped


@pytest.mark.parametrize(
    ("number", "wrapped"), [(32767, 32767), (32768, -32768), (65535, -1), (-32769, 32767)]
)
def test_short_wraps(number: int, wrapped: int) -> None:
    assert short(number) == wrapped


def torn(bench: Bench, write: int, moment: Moment, copy: Any) -> bytes:
    """Cut a copy of 100 bytes over zeros; return what is left."""
    keep(bench, lambda: ByteArray(100))
    bench.card.memory.arm(Tear(write, moment))
    with pytest.raises(PowerLoss):
        bench.do(lambda applet, _: copy(b"x" * 100, 0, applet.link, 0, 100))
    again_bench = bench
    bench.card.power_on()
    bench.select(PROBE_AID)
    found: bytes = again_bench.do(lambda applet, _: applet.link[:])
    return found


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("write", range(4))
def test_a_torn_atomic_copy_is_whole_or_not_there(write: int, moment: Moment) -> None:
    left = torn(Bench(), write, moment, Util.array_copy)
    assert left in {bytes(100), b"x" * 100}


def test_a_torn_non_atomic_copy_may_leave_a_part() -> None:
    seen = {torn(Bench(), write, Moment.AFTER, Util.array_copy_non_atomic) for write in range(16)}
    assert seen == {b"x" * pages + bytes(100 - pages) for pages in (0, 32, 64, 96, 100)}


# AID


def test_an_aid_compares_by_its_bytes() -> None:
    aid = AID(b"..ABCDEF", 2, 6)
    assert aid.equals(b"ABCDEF", 0, 6)
    assert not aid.equals(b"ABCDE", 0, 5)
    assert aid.partial_equals(b"ABC", 0, 3)
    assert aid.rid_equals(AID(b"ABCDEx"))
    assert not aid.rid_equals(AID(b"ABCDxF"))
    assert not aid.rid_equals(None)
    assert {aid: 1}[AID(b"ABCDEF")] == 1
    assert aid != b"ABCDEF"
    assert repr(aid) == "AID(414243444546)"


def test_an_aid_gives_its_bytes() -> None:
    aid, array = AID(b"ABCDEF"), bytearray(8)
    assert aid.get_bytes(array, 1) == 6
    assert array == b"\0ABCDEF\0"
    assert aid.get_partial_bytes(4, array, 0, 0) == 2
    assert aid.get_partial_bytes(0, array, 6, 2) == 2
    assert array == b"EFBCDEAB"


@pytest.mark.parametrize("length", [0, 4, 17])
def test_an_aid_has_5_to_16_bytes(length: int) -> None:
    with pytest.raises(SystemException) as refused:
        AID(bytes(20), 0, length)
    assert refused.value.reason == SystemException.ILLEGAL_VALUE


def test_objects_in_an_array_come_back(bench: Bench) -> None:
    def build(applet: Any, _: object) -> None:
        array = ObjectArray(2)
        array[1] = Node(5)
        applet.link = array

    bench.do(build)
    again(bench)
    assert bench.do(lambda applet, _: applet.link[1].value) == 5
