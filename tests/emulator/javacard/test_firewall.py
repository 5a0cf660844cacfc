"""The firewall: shareable objects can be called, everything else of another package cannot be used."""

from __future__ import annotations

from typing import Any

import pytest
from support.javacard_scene import (
    CLIENT_AID,
    MULTI_AID,
    PROBE_AID,
    TWIN_AID,
    Bench,
    Node,
    SharedCounter,
)

from cardbench.emulator.javacard import (
    AID,
    ByteArray,
    JCSystem,
    OwnerPIN,
    RandomData,
    SecurityException,
    SystemException,
)
from cardbench.emulator.javacard.security import CryptoException


@pytest.fixture
def bench() -> Bench:
    """A server with a shared counter in its `link`; the client is selected."""
    bench = Bench(PROBE_AID, CLIENT_AID)
    bench.do(lambda applet, _: setattr(applet, "link", SharedCounter()))
    bench.select(CLIENT_AID)
    bench.calls.clear()
    return bench


def shared(parameter: int = 0) -> Any:
    return JCSystem.get_applet_shareable_interface_object(AID(PROBE_AID), parameter)


def test_a_client_gets_the_servers_object_and_the_server_sees_who_asks(bench: Bench) -> None:
    assert bench.do(lambda _, __: shared(5).count(2)) == 2
    assert f"share AID({CLIENT_AID.hex().upper()}) 5" in bench.calls


def test_a_call_runs_in_the_servers_context(bench: Bench) -> None:
    bench.do(lambda _, __: shared().count(3))
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.link.total) == 3


def test_the_server_sees_its_caller(bench: Bench) -> None:
    assert bench.do(lambda _, __: shared().caller()) == AID(CLIENT_AID)
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.link.caller()) is None


def test_a_shareable_reference_can_be_kept(bench: Bench) -> None:
    bench.do(lambda applet, _: setattr(applet, "link", shared()))
    bench.card.reset()
    bench.select(CLIENT_AID)
    assert bench.do(lambda applet, _: applet.link.count(4)) == 4
    assert bench.do(lambda applet, _: applet.link == shared())
    assert bench.do(lambda applet, _: {applet.link: 1}[shared()]) == 1
    assert bench.do(lambda applet, _: bool(applet.link))


@pytest.mark.parametrize(
    "use",
    [
        lambda foreign: foreign.total,
        lambda foreign: foreign.hidden(),
        lambda foreign: setattr(foreign, "total", 1),
        lambda foreign: foreign[0],
        lambda foreign: foreign.__setitem__(0, 1),
        len,
    ],
)
def test_nothing_but_the_interface_can_be_used(bench: Bench, use: Any) -> None:
    with pytest.raises(SecurityException):
        bench.do(lambda _, __: use(shared()))
    assert bench.response == "6F00"


def test_python_finds_no_special_methods_on_a_foreign_object(bench: Bench) -> None:
    with pytest.raises(AttributeError):
        bench.do(lambda _, __: shared().__index__())


def test_an_object_that_is_not_shareable_is_not_shared(bench: Bench) -> None:
    bench.select(PROBE_AID)
    bench.do(lambda applet, _: setattr(applet, "link", Node(1)))
    bench.select(CLIENT_AID)
    with pytest.raises(SecurityException, match="not shareable"):
        bench.do(lambda _, __: shared())
    with pytest.raises(SecurityException, match="not shareable"):
        bench.do(lambda _, __: shared(9))


def test_a_server_may_decline(bench: Bench) -> None:
    bench.select(PROBE_AID)
    bench.do(lambda applet, _: setattr(applet, "link", None))
    bench.select(CLIENT_AID)
    assert bench.do(lambda _, __: shared()) is None


def test_there_may_be_no_server(bench: Bench) -> None:
    unknown = AID(bytes(6))
    assert (
        bench.do(lambda _, __: JCSystem.get_applet_shareable_interface_object(unknown, 0)) is None
    )


def test_a_foreign_object_comes_back_to_its_owner_as_itself(bench: Bench) -> None:
    def work(applet: Any, _: object) -> tuple[bool, ...]:
        mine = Node(1)
        applet.link = mine
        array = ByteArray(2)
        return shared().echo(mine) is mine, shared().echo(array) is array

    assert bench.do(work) == (True, True)


def test_what_a_client_hands_over_cannot_be_used_by_the_server(bench: Bench) -> None:
    bench.do(lambda _, __: shared().echo(Node(1)))
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.link.kept) is None


@pytest.mark.parametrize("value", [None, 5, True, b"bytes", AID(PROBE_AID)])
def test_values_cross_as_they_are(bench: Bench, value: object) -> None:
    assert bench.do(lambda _, __: shared().echo(value)) == value


def test_the_global_arrays_and_the_apdu_cross(bench: Bench) -> None:
    def work(_: object, apdu: Any) -> tuple[bool, bool]:
        buffer = apdu.get_buffer()
        return shared().echo(buffer) is buffer, shared().echo(apdu) is apdu

    assert bench.do(work) == (True, True)


@pytest.mark.parametrize("value", [[1], bytearray(2), object()])
def test_what_java_card_does_not_know_does_not_cross(bench: Bench, value: object) -> None:
    with pytest.raises(SecurityException, match="cannot cross"):
        bench.do(lambda _, __: shared().echo(value))


def test_the_context_is_switched_back_after_an_exception(bench: Bench) -> None:
    def work(applet: Any, _: object) -> int:
        with pytest.raises(ValueError, match="32 bits"):
            shared().count(1 << 40)
        applet.first = 1
        return int(applet.first)

    assert bench.do(work) == 1


def test_an_object_reached_past_the_firewall_cannot_be_written(bench: Bench) -> None:
    bench.select(PROBE_AID)
    leaked = bench.do(lambda applet, _: applet)
    pin = bench.do(lambda _, __: OwnerPIN(3, 4))
    array = bench.do(lambda _, __: ByteArray(1))
    bench.select(CLIENT_AID)
    for write in (
        lambda: setattr(leaked, "first", 1),
        lambda: pin.check(b"", 0, 0),
        lambda: array.__setitem__(0, 1),
        lambda: array[0],
    ):
        with pytest.raises(SecurityException):
            bench.do(lambda _, __, write=write: write())


def test_a_package_shares_its_objects_among_its_applets() -> None:
    bench = Bench(PROBE_AID, TWIN_AID)
    node = bench.do(lambda applet, _: setattr(applet, "link", Node(1)) or applet.link)
    bench.select(TWIN_AID)
    bench.do(lambda applet, _: (setattr(node, "value", 2), setattr(applet, "link", node)))
    bench.card.reset()
    bench.select(TWIN_AID)
    assert bench.do(lambda applet, _: applet.link.value) == 2


def test_a_class_of_the_client_is_none_of_the_servers(bench: Bench) -> None:
    assert bench.do(lambda _, __: Node(1).value) == 1
    with pytest.raises(Exception, match="SharedCounter"):
        bench.do(lambda _, __: SharedCounter())


def test_a_busy_server_that_is_not_multiselectable_cannot_be_called() -> None:
    bench = Bench(PROBE_AID, CLIENT_AID)
    bench.do(lambda applet, _: setattr(applet, "link", SharedCounter()))
    bench.select(CLIENT_AID)
    bench.do(lambda applet, _: setattr(applet, "link", shared()))
    bench.select(PROBE_AID, channel=1)
    with pytest.raises(SecurityException, match="another channel"):
        bench.do(lambda _, __: shared())
    with pytest.raises(SecurityException, match="another channel"):
        bench.do(lambda applet, _: applet.link.count(1))
    bench.send("0070800100")
    assert bench.do(lambda applet, _: applet.link.count(1)) == 1


def test_a_busy_server_that_is_multiselectable_can_be_called() -> None:
    bench = Bench(MULTI_AID, CLIENT_AID)
    bench.do(lambda applet, _: setattr(applet, "link", SharedCounter()))
    bench.select(MULTI_AID, channel=1)
    bench.select(CLIENT_AID)
    find = JCSystem.get_applet_shareable_interface_object
    assert bench.do(lambda _, __: find(AID(MULTI_AID), 0).count(1)) == 1


def test_a_server_makes_no_deselect_arrays_for_a_client(bench: Bench) -> None:
    with pytest.raises(SystemException) as refused:
        bench.do(lambda _, __: shared().make_array(JCSystem.CLEAR_ON_DESELECT))
    assert refused.value.reason == SystemException.ILLEGAL_TRANSIENT


def test_an_array_that_a_server_hands_out_cannot_be_used(bench: Bench) -> None:
    with pytest.raises(SecurityException):
        bench.do(lambda _, __: shared().make_array(JCSystem.CLEAR_ON_RESET)[0])


def test_a_servers_deselect_arrays_are_closed_while_a_client_is_selected(bench: Bench) -> None:
    bench.select(PROBE_AID)
    bench.do(lambda applet, _: applet.link.make_array(JCSystem.CLEAR_ON_DESELECT))
    assert bench.do(lambda applet, _: applet.link.peek()) == 0
    bench.select(CLIENT_AID)
    with pytest.raises(SecurityException, match="not selected"):
        bench.do(lambda _, __: shared().peek())


def test_a_fork_has_its_own_end_of_every_reference(bench: Bench) -> None:
    bench.do(lambda applet, _: setattr(applet, "link", shared()))
    bench.do(lambda applet, _: applet.link.make_array(JCSystem.CLEAR_ON_RESET))
    twin = bench.card.fork()
    assert bench.do(lambda applet, _: applet.link.count(1)) == 1
    original, bench.card = bench.card, twin
    assert bench.do(lambda applet, _: (applet.link.peek(), applet.link.count(5))) == (0, 5)
    assert bench.do(lambda applet, _: applet.link == shared())
    bench.card = original
    assert bench.do(lambda applet, _: applet.link.count(1)) == 2


# JCSystem


def test_an_applet_knows_itself_and_others() -> None:
    bench = Bench(PROBE_AID, CLIENT_AID)

    def work(_: object, __: object) -> tuple[object, ...]:
        return (
            JCSystem.get_aid(),
            JCSystem.lookup_aid(CLIENT_AID, 0, 6),
            JCSystem.lookup_aid(CLIENT_AID, 0, 5),
            JCSystem.is_applet_active(AID(PROBE_AID)),
            JCSystem.is_applet_active(AID(CLIENT_AID)),
            JCSystem.get_assigned_channel(),
            JCSystem.get_version(),
        )

    assert bench.do(work) == (AID(PROBE_AID), AID(CLIENT_AID), None, True, False, 0, 0x0202)


def test_object_deletion_is_not_supported(bench: Bench) -> None:
    assert not JCSystem.is_object_deletion_supported()
    with pytest.raises(SystemException) as refused:
        bench.do(lambda _, __: JCSystem.request_object_deletion())
    assert refused.value.reason == SystemException.ILLEGAL_USE


# RandomData


def test_random_bytes_come_from_the_cards_own_generator() -> None:
    def draw(_: object, apdu: Any) -> bytes:
        buffer = apdu.get_buffer()
        generator = RandomData.get_instance(RandomData.ALG_SECURE_RANDOM)
        generator.generate_data(buffer, 2, 8)
        return bytes(buffer[2:10])

    first, second = Bench(), Bench()
    drawn = first.do(draw)
    assert drawn == second.do(draw)
    assert drawn != first.do(draw)


def test_random_data_refuse_what_they_do_not_know(bench: Bench) -> None:
    with pytest.raises(CryptoException) as refused:
        RandomData.get_instance(9)
    assert refused.value.reason == CryptoException.NO_SUCH_ALGORITHM
    with pytest.raises(CryptoException) as refused:
        bench.do(lambda _, apdu: RandomData().generate_data(apdu.get_buffer(), 0, 0))
    assert refused.value.reason == CryptoException.ILLEGAL_VALUE
