"""A field is persistent unless declared transient; an undeclared name cannot be assigned."""

from __future__ import annotations

import pytest
from support.javacard_scene import PROBE_AID, Bench, Node

from cardbench.emulator.chassis import Moment, Tear
from cardbench.emulator.javacard import (
    AID,
    ISOException,
    NullPointerException,
    OwnerPIN,
    SecurityException,
)
from cardbench.protocol.errors import UsageError
from cardbench.protocol.link import PowerLoss


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_field_survives_a_reset(bench: Bench) -> None:
    bench.do(lambda applet, _: setattr(applet, "first", 7))
    bench.card.reset()
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.first) == 7


def test_a_field_has_the_value_of_the_class_until_it_is_assigned(bench: Bench) -> None:
    assert bench.do(lambda applet, _: (applet.first, applet.link, applet.flag)) == (0, None, False)


def test_a_field_without_a_value_is_null(bench: Bench) -> None:
    with pytest.raises(NullPointerException):
        bench.do(lambda applet, _: applet.never)


def test_an_undeclared_name_cannot_be_assigned(bench: Bench) -> None:
    with pytest.raises(AttributeError, match="declares no field 'frist'"):
        bench.do(lambda applet, _: setattr(applet, "frist", 1))
    assert bench.response == "6F00"


def test_a_constant_is_no_field(bench: Bench) -> None:
    with pytest.raises(AttributeError, match="LIMIT"):
        bench.do(lambda applet, _: setattr(applet, "LIMIT", 1))


def test_an_unknown_name_cannot_be_read(bench: Bench) -> None:
    with pytest.raises(AttributeError, match="no attribute 'frist'"):
        bench.do(lambda applet, _: applet.frist)


def test_a_field_cannot_be_deleted(bench: Bench) -> None:
    with pytest.raises(AttributeError, match="cannot be taken away"):
        bench.do(lambda applet, _: delattr(applet, "first"))


@pytest.mark.parametrize(
    "value", [0, -1, 0x7FFF_FFFF, -0x8000_0000, True, False, None, b"", b"\x01\x02"]
)
def test_every_kind_of_value_comes_back_as_it_was(bench: Bench, value: object) -> None:
    bench.do(lambda applet, _: setattr(applet, "link", value))
    bench.card.power_off()
    bench.card.power_on()
    bench.select(PROBE_AID)
    found = bench.do(lambda applet, _: applet.link)
    assert found == value
    assert type(found) is type(value)


def test_a_null_is_kept_where_the_class_says_something_else(bench: Bench) -> None:
    bench.do(lambda applet, _: setattr(applet, "first", None))
    bench.card.reset()
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.first) is None


def test_an_aid_is_kept_by_its_bytes(bench: Bench) -> None:
    bench.do(lambda applet, _: setattr(applet, "link", AID(PROBE_AID)))
    bench.card.reset()
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.link) == AID(PROBE_AID)


@pytest.mark.parametrize("value", [0x8000_0000, -0x8000_0001])
def test_a_number_of_more_than_32_bits_is_refused(bench: Bench, value: int) -> None:
    with pytest.raises(ValueError, match="32 bits"):
        bench.do(lambda applet, _: setattr(applet, "first", value))


@pytest.mark.parametrize("value", [[], {}, bytearray(2), 1.5, "text"])
def test_what_java_card_does_not_know_is_refused(bench: Bench, value: object) -> None:
    with pytest.raises(TypeError, match="cannot be stored"):
        bench.do(lambda applet, _: setattr(applet, "link", value))
    assert bench.do(lambda applet, _: applet.link) is None


@pytest.mark.parametrize("field", ["link", "session", "selection"])
def test_the_apdu_buffer_cannot_be_stored(bench: Bench, field: str) -> None:
    with pytest.raises(SecurityException, match="cannot be stored"):
        bench.do(lambda applet, apdu: setattr(applet, field, apdu.get_buffer()))


def test_the_apdu_object_cannot_be_stored(bench: Bench) -> None:
    with pytest.raises(SecurityException, match="APDU"):
        bench.do(lambda applet, apdu: setattr(applet, "link", apdu))


def test_objects_come_back_with_what_they_refer_to(bench: Bench) -> None:
    def build(applet: object, _: object) -> None:
        first, second = Node(1), Node(2)
        first.after, second.after = second, first
        applet.link = first  # type: ignore[attr-defined]

    bench.do(build)
    bench.card.reset()
    bench.select(PROBE_AID)
    values = bench.do(lambda applet, _: (applet.link.value, applet.link.after.value))
    assert values == (1, 2)
    assert bench.do(lambda applet, _: applet.link.after.after is applet.link)


def test_a_long_chain_of_objects_is_read_without_recursion(bench: Bench) -> None:
    def build(applet: object, _: object) -> None:
        last = None
        for value in range(2000):
            node = Node(value)
            node.after = last
            last = node
        applet.link = last  # type: ignore[attr-defined]

    bench.do(build)
    bench.card.reset()
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.link.after.after.value) == 1997


def test_a_transient_field_of_the_session_survives_a_selection_but_no_reset(bench: Bench) -> None:
    bench.do(lambda applet, _: setattr(applet, "session", 3))
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.session) == 3
    bench.card.reset()
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.session) == 0


def test_a_transient_field_of_the_selection_goes_with_the_selection(bench: Bench) -> None:
    bench.do(lambda applet, _: setattr(applet, "selection", 3))
    assert bench.do(lambda applet, _: applet.selection) == 3
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.selection) == 0


def test_a_transient_field_writes_no_memory(bench: Bench) -> None:
    before = bench.card.memory.writes
    bench.do(lambda applet, _: setattr(applet, "session", 3))
    assert bench.card.memory.writes == before


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("write", range(4))
def test_a_torn_assignment_leaves_the_old_value_or_the_new(write: int, moment: Moment) -> None:
    bench = Bench()
    bench.do(lambda applet, _: setattr(applet, "first", 0x0102))
    bench.card.memory.arm(Tear(write, moment))
    with pytest.raises(PowerLoss):
        bench.do(lambda applet, _: setattr(applet, "first", 0x0304))
    bench.card.power_on()
    bench.select(PROBE_AID)
    is_marked = write > 1 or (write == 1 and moment is Moment.AFTER)
    assert bench.do(lambda applet, _: applet.first) == (0x0304 if is_marked else 0x0102)


def test_an_applet_that_catches_every_exception_cannot_catch_a_power_loss(bench: Bench) -> None:
    def stubborn(applet: object, _: object) -> None:
        try:
            applet.first = 1  # type: ignore[attr-defined]
        except Exception:  # noqa: BLE001 - the point of the test
            ISOException.throw_it(0x9000)

    bench.card.memory.arm(Tear(0, Moment.BEFORE))
    with pytest.raises(PowerLoss):
        bench.do(stubborn)
    assert not bench.card.is_powered


def test_an_object_needs_a_running_card() -> None:
    with pytest.raises(UsageError, match="no applet is running"):
        OwnerPIN(3, 4)


def test_an_object_needs_a_class_of_its_package(bench: Bench) -> None:
    class Stranger(Node):
        pass

    with pytest.raises(UsageError, match=r"list it in Package\.classes"):
        bench.do(lambda _, __: Stranger(1))
    assert bench.response == "6F00"


def test_an_object_of_another_session_cannot_be_stored(bench: Bench) -> None:
    old = bench.do(lambda _, __: Node(1))
    bench.card.reset()
    bench.select(PROBE_AID)
    with pytest.raises(SecurityException, match="another session"):
        bench.do(lambda applet, _: setattr(applet, "link", old))
