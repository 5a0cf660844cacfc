"""Installation, deletion, and a card that is rebuilt from its memory."""

from __future__ import annotations

import json
from ast import literal_eval
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.javacard_scene import (
    CLIENT_AID,
    CLIENT_PACKAGE,
    MULTI_AID,
    PACKAGES,
    PROBE_AID,
    PROBE_PACKAGE,
    TWIN_AID,
    Bench,
    Multi,
    Node,
    Probe,
    SharedCounter,
)

from cardbench.emulator.applets.wallet import WALLET_PACKAGE, wallet_card
from cardbench.emulator.chassis import Memory, Moment, Refusal, Tear
from cardbench.emulator.javacard import (
    AID,
    Applet,
    ByteArray,
    InstallationRefused,
    InstallData,
    ISOException,
    JavaCard,
    JCSystem,
    OwnerPIN,
    Package,
    SystemException,
)
from cardbench.emulator.javacard.packages import FRAMEWORK_PACKAGE
from cardbench.protocol.errors import CardMute, MalformedImage, UsageError
from cardbench.protocol.link import PowerLoss
from cardbench.protocol.wallet import WALLET_AID

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.chassis import Key, Value

OTHER_AID = bytes.fromhex("A0000000DD01")


def card() -> JavaCard:
    """A powered card that could have all probes and has none."""
    Probe.action = Probe.installing = Probe.selecting = Probe.deselecting = None
    made = JavaCard(Memory(), packages=PACKAGES)
    made.power_on()
    return made


def refusal(made: JavaCard, installing: Any, module: bytes = PROBE_AID, **options: Any) -> int:
    before = made.memory.objects()
    Probe.installing = installing
    with pytest.raises(InstallationRefused) as refused:
        made.install(module, **options)
    Probe.installing = None
    # The package may have been loaded; of the applet there is no trace.
    left = {key: value for key, value in made.memory.objects().items() if key[0] != "package"}
    assert left == {key: value for key, value in before.items() if key[0] != "package"}
    assert made.instances() == []
    return refused.value.sw


# Installation


def test_an_applet_is_installed_under_its_modules_aid_by_default() -> None:
    made = card()
    assert made.install(PROBE_AID) == PROBE_AID
    assert [instance.aid for instance in made.instances()] == [PROBE_AID]


def test_the_loader_may_propose_another_aid() -> None:
    made = card()
    assert made.install(PROBE_AID, instance_aid=OTHER_AID) == OTHER_AID
    assert made.transmit(b"\x00\xa4\x04\x00\x06" + OTHER_AID) == b"\x90\x00"


def test_the_applet_may_choose_its_own_aid() -> None:
    made = card()
    Probe.installing = lambda applet, *_: applet.register(OTHER_AID, 0, 6)
    assert made.install(PROBE_AID) == OTHER_AID


def test_one_module_can_be_installed_twice() -> None:
    made = card()
    made.install(PROBE_AID)
    made.install(PROBE_AID, instance_aid=OTHER_AID)
    assert [instance.aid for instance in made.instances()] == [PROBE_AID, OTHER_AID]


def test_an_applet_is_told_three_fields_and_they_are_zeroed_afterwards() -> None:
    made, seen, kept = card(), [], []

    def install(applet: Any, array: Any, offset: int, length: int) -> None:
        seen.append(bytes(array[offset : offset + length]))
        kept.append(array)
        applet.register()

    Probe.installing = install
    made.install(PROBE_AID, control=b"\x04", parameters=b"own")
    assert seen == [b"\x06" + PROBE_AID + b"\x01\x04" + b"\x03own"]
    assert kept[0] == bytes(len(seen[0]))


def test_the_installation_data_cannot_be_stored() -> None:
    def keep(applet: Any, array: Any, *_: Any) -> None:
        applet.link = array

    assert refusal(card(), keep) == 0x6F00


def test_raw_installation_data_arrive_as_they_are() -> None:
    made, seen = card(), []

    def install(applet: Any, array: Any, offset: int, length: int) -> None:
        seen.append(bytes(array[offset : offset + length]))
        applet.register()

    Probe.installing = install
    made.instantiate(PROBE_AID, proposed_aid=PROBE_AID, install_data=b"1234")
    assert seen == [b"1234"]


def test_an_iso_exception_in_install_keeps_its_reason() -> None:
    assert refusal(card(), lambda *_: ISOException.throw_it(0x6A84)) == 0x6A84


def test_any_other_exception_in_install_is_6f00() -> None:
    made = card()

    def fail(applet: Any, *_: Any) -> None:
        applet.link = OwnerPIN(0, 4)

    assert refusal(made, fail) == 0x6F00


def test_an_applet_that_registers_nothing_is_not_installed() -> None:
    assert refusal(card(), lambda *_: None) == 0x6A80


def test_an_applet_without_an_install_method_cannot_be_installed() -> None:
    class Bare(Applet):
        pass

    made = JavaCard(Memory(), packages=(Package(aid=bytes(5), applets={OTHER_AID: Bare}),))
    made.power_on()
    with pytest.raises(InstallationRefused) as refused:
        made.install(OTHER_AID)
    assert refused.value.sw == 0x6A81


def test_an_applet_needs_no_more_than_install_and_process() -> None:
    class Plain(Applet):
        @classmethod
        def install(cls, *_: object) -> None:
            cls().register()

        def process(self, _: object) -> None:
            assert self.get_shareable_interface_object(None, 0) is None

    made = JavaCard(Memory(), packages=(Package(aid=bytes(5), applets={OTHER_AID: Plain}),))
    made.power_on()
    made.install(OTHER_AID)
    assert made.transmit(b"\x00\xa4\x04\x00\x06" + OTHER_AID) == b"\x90\x00"
    assert made.transmit(bytes(4)) == b"\x90\x00"


@pytest.mark.parametrize("length", [4, 17])
def test_an_aid_of_a_wrong_length_cannot_be_registered(length: int) -> None:
    assert refusal(card(), lambda applet, *_: applet.register(bytes(20), 0, length)) == 0x6F00


def test_an_applet_registers_once() -> None:
    def twice(applet: Any, *_: Any) -> None:
        applet.register()
        with pytest.raises(SystemException) as refused:
            applet.register()
        assert refused.value.reason == SystemException.ILLEGAL_AID
        ISOException.throw_it(0x6985)

    assert refusal(card(), twice) == 0x6985


def test_an_aid_that_is_taken_cannot_be_registered() -> None:
    made = card()
    made.install(PROBE_AID)
    Probe.installing = lambda applet, *_: applet.register(PROBE_AID, 0, 6)
    with pytest.raises(InstallationRefused) as refused:
        made.install(CLIENT_AID)
    assert refused.value.sw == 0x6F00
    assert isinstance(refused.value.__cause__, SystemException)


def test_nothing_registers_outside_an_installation() -> None:
    bench = Bench()
    with pytest.raises(SystemException):
        bench.do(lambda applet, _: applet.register())


def test_a_proposed_aid_that_is_taken_is_refused() -> None:
    made = card()
    made.install(PROBE_AID)
    with pytest.raises(InstallationRefused) as refused:
        made.install(CLIENT_AID, instance_aid=PROBE_AID)
    assert refused.value.sw == 0x6A80


def test_an_unknown_module_is_refused() -> None:
    assert refusal(card(), None, bytes(6)) == 0x6A88


def test_more_than_127_bytes_of_installation_data_are_refused() -> None:
    assert refusal(card(), None, parameters=bytes(118)) == 0x6A80
    made = card()
    made.install(PROBE_AID, parameters=bytes(117))


def test_nothing_is_installed_while_an_applet_of_the_package_is_active() -> None:
    bench = Bench()
    with pytest.raises(InstallationRefused) as refused:
        bench.card.install(TWIN_AID)
    assert refused.value.sw == 0x6985
    assert bench.card.install(CLIENT_AID) == CLIENT_AID


def test_a_card_without_power_installs_nothing() -> None:
    with pytest.raises(CardMute):
        JavaCard(Memory(), packages=PACKAGES).install(PROBE_AID)


def test_an_applet_may_use_transactions_and_transient_arrays_in_install() -> None:
    def install(applet: Any, *_: Any) -> None:
        assert JCSystem.get_aid() is None
        JCSystem.begin_transaction()
        applet.first = 1
        applet.link = Node(5)
        JCSystem.commit_transaction()
        JCSystem.begin_transaction()
        applet.first = 2
        Node(6)
        JCSystem.abort_transaction()
        assert applet.first == 1
        applet.link.after = JCSystem.make_transient_byte_array(4, JCSystem.CLEAR_ON_DESELECT)
        applet.register()
        assert JCSystem.get_aid() == AID(PROBE_AID)

    made = card()
    Probe.installing = install
    made.install(PROBE_AID)
    bench = Bench(memory=made.memory)
    bench.select(PROBE_AID)
    found = bench.do(lambda a, _: (a.first, a.link.value, len(a.link.after)))
    assert found == (1, 5, 4)


def test_a_transaction_left_open_in_install_counts_for_nothing() -> None:
    def install(applet: Any, *_: Any) -> None:
        applet.register()
        JCSystem.begin_transaction()
        applet.first = 1

    made = card()
    Probe.installing = install
    made.install(PROBE_AID)
    bench = Bench(memory=made.memory)
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.first) == 0


def test_a_pin_checked_in_install_is_part_of_the_installation() -> None:
    def install(applet: Any, *_: Any) -> None:
        applet.link = OwnerPIN(3, 4)
        applet.link.check(b"no", 0, 2)
        JCSystem.begin_transaction()
        applet.link.check(b"no", 0, 2)
        JCSystem.abort_transaction()
        applet.register()

    made = card()
    Probe.installing = install
    made.install(PROBE_AID)
    bench = Bench(memory=made.memory)
    bench.select(PROBE_AID)
    assert bench.do(lambda applet, _: applet.link.get_tries_remaining()) == 1


def test_a_failed_installation_takes_no_try_and_no_number() -> None:
    made = card()

    def install(applet: Any, *_: Any) -> None:
        applet.link = OwnerPIN(3, 4)
        applet.link.check(b"no", 0, 2)
        ISOException.throw_it(0x6985)

    assert refusal(made, install) == 0x6985
    Probe.installing = None
    made.install(PROBE_AID)


@pytest.mark.parametrize("moment", list(Moment))
def test_a_torn_installation_installs_all_or_nothing(moment: Moment) -> None:
    def install(applet: Any, *_: Any) -> None:
        applet.first = 7
        applet.link = Node(5)
        applet.register()

    made = card()
    Probe.installing = install
    before = made.memory.writes
    made.install(PROBE_AID)
    writes = made.memory.writes - before
    outcomes = set()
    for write in range(writes):
        made = card()
        Probe.installing = install
        made.memory.arm(Tear(write, moment))
        with pytest.raises(PowerLoss):
            made.install(PROBE_AID)
        assert not made.is_powered
        bench = Bench(memory=made.memory)
        is_there = bench.select(PROBE_AID) == "9000"
        outcomes.add(is_there)
        if is_there:
            assert bench.do(lambda a, _: (a.first, a.link.value)) == (7, 5)
        else:
            assert bench.card.instances() == []
            assert not any(key[0] in {"object", "heap"} for key in bench.card.memory)
            Probe.installing = install
            bench.card.install(PROBE_AID)
    assert outcomes == {True, False}


# Installation data


def test_installation_data_are_three_fields() -> None:
    raw = bytes.fromhex("05A000000001 0104 023132".replace(" ", ""))
    assert InstallData.parse(raw) == InstallData(bytes.fromhex("A000000001"), b"\x04", b"12")
    assert InstallData(b"", b"", b"").encode() == bytes(3)


@pytest.mark.parametrize("raw", ["", "00", "0000", "000001", "00000000", "31323334", "0102"])
def test_anything_else_is_no_installation_data(raw: str) -> None:
    assert InstallData.parse(bytes.fromhex(raw)) is None


# Packages


def test_a_package_has_no_two_classes_of_one_name() -> None:
    other = type("Probe", (Applet,), {})
    with pytest.raises(UsageError, match="two classes"):
        Package(aid=bytes(5), applets={PROBE_AID: Probe}, classes=(other,))


def test_a_package_is_multiselectable_as_a_whole_or_not_at_all() -> None:
    with pytest.raises(UsageError, match="or none"):
        Package(aid=bytes(5), applets={PROBE_AID: Probe, MULTI_AID: Multi})


def test_one_class_may_be_several_modules() -> None:
    package = Package(aid=bytes(5), applets={PROBE_AID: Probe, OTHER_AID: Probe})
    assert not package.is_multiselectable


def test_the_framework_is_a_package_too() -> None:
    assert set(FRAMEWORK_PACKAGE.by_name) == {
        "OwnerPIN",
        "ByteArray",
        "ShortArray",
        "BooleanArray",
        "ObjectArray",
    }


# Deletion


def test_a_deleted_applet_is_gone_with_everything_it_made() -> None:
    made = card()
    before = set(made.memory.objects())

    def install(applet: Any, *_: Any) -> None:
        applet.link = Node(1)
        applet.link.after = JCSystem.make_transient_byte_array(9, JCSystem.CLEAR_ON_RESET)
        applet.register()

    Probe.installing = install
    made.install(PROBE_AID)
    made.select_by_default(PROBE_AID)
    Probe.installing = None
    made.delete(PROBE_AID)
    assert made.instances() == []
    left = set(made.memory.objects()) - before
    assert not any(key[0] in {"object", "applet", "default"} and len(key) > 1 for key in left)
    assert made.memory.get(("heap", JCSystem.CLEAR_ON_RESET)) == 0
    made.reset()
    assert made.transmit(bytes.fromhex("8010000000")) == bytes.fromhex("6999")
    made.install(PROBE_AID)


def test_an_active_applet_is_not_deleted() -> None:
    bench = Bench(PROBE_AID)
    with pytest.raises(Refusal) as refused:
        bench.card.delete(PROBE_AID)
    assert refused.value.sw == 0x6985


def test_an_unknown_applet_is_not_deleted() -> None:
    with pytest.raises(Refusal) as refused:
        card().delete(PROBE_AID)
    assert refused.value.sw == 0x6A88


def test_an_applet_that_others_refer_to_is_not_deleted() -> None:
    bench = Bench(PROBE_AID, CLIENT_AID)
    bench.do(lambda applet, _: setattr(applet, "link", SharedCounter()))
    bench.select(CLIENT_AID)
    find = JCSystem.get_applet_shareable_interface_object
    bench.do(lambda applet, _: setattr(applet, "link", find(AID(PROBE_AID), 0)))
    with pytest.raises(Refusal) as refused:
        bench.card.delete(PROBE_AID)
    assert refused.value.sw == 0x6985
    bench.do(lambda applet, _: setattr(applet, "link", None))
    bench.card.delete(PROBE_AID)


@pytest.mark.parametrize("fails", [False, True])
def test_an_applet_that_wants_to_know_is_told_of_its_deletion(*, fails: bool) -> None:
    made, faults = card(), []
    made.on_fault = faults.append
    made.install(CLIENT_AID)

    def fail(_: object) -> None:
        raise ZeroDivisionError

    Probe.calls.clear()
    Probe.deselecting = fail if fails else None
    made.delete(CLIENT_AID)
    assert Probe.calls == ["uninstall"]
    assert len(faults) == fails
    assert made.instances() == []


@pytest.mark.parametrize("moment", list(Moment))
def test_a_torn_deletion_deletes_all_or_nothing(moment: Moment) -> None:
    made = card()
    made.install(PROBE_AID)
    image = made.memory.image()
    before = made.memory.writes
    made.delete(PROBE_AID)
    outcomes = set()
    for write in range(made.memory.writes - before):
        memory = Memory()
        memory.restore(image)
        bench = Bench(memory=memory)
        memory.arm(Tear(write, moment))
        with pytest.raises(PowerLoss):
            bench.card.delete(PROBE_AID)
        assert not bench.card.is_powered
        bench.card.power_on()
        is_there = bench.select(PROBE_AID) == "9000"
        assert is_there == bool(bench.card.instances())
        assert is_there or not any(key[0] == "object" for key in memory)
        outcomes.add(is_there)
    assert outcomes == {True, False}


# A card from its memory


def test_a_card_is_rebuilt_from_its_memory_alone() -> None:
    bench = Bench(PROBE_AID, CLIENT_AID)
    bench.do(lambda applet, _: (setattr(applet, "first", 5), setattr(applet, "link", Node(7))))
    memory = Memory()
    memory.restore(bench.card.memory.image())
    again = Bench(memory=memory)
    assert again.card.instances() == bench.card.instances()
    again.select(PROBE_AID)
    assert again.do(lambda applet, _: (applet.first, applet.link.value)) == (5, 7)


def test_packages_may_be_given_in_another_order() -> None:
    bench = Bench(PROBE_AID, CLIENT_AID)
    again = JavaCard(bench.card.memory, packages=tuple(reversed(PACKAGES)))
    again.power_on()
    assert again.transmit(b"\x00\xa4\x04\x00\x06" + CLIENT_AID) == b"\x90\x00"


def test_a_card_needs_the_packages_that_its_memory_names() -> None:
    bench = Bench(PROBE_AID, CLIENT_AID)
    with pytest.raises(UsageError, match=CLIENT_PACKAGE.aid.hex().upper()):
        JavaCard(bench.card.memory, packages=(PROBE_PACKAGE,))


def test_a_card_takes_no_snapshot_of_a_card_with_other_packages() -> None:
    bench = Bench(PROBE_AID, CLIENT_AID)
    other = JavaCard(Memory(), packages=(PROBE_PACKAGE,))
    other.power_on()
    with pytest.raises(UsageError, match="not given"):
        other.restore(bench.card.snapshot())
    assert other.is_powered
    other.restore(Bench(PROBE_AID).card.snapshot())
    assert not other.is_powered


def test_a_class_is_looked_up_in_its_package_and_nowhere_else() -> None:
    bench = Bench()
    objects = bench.card.memory.objects()
    key = next(key for key, value in objects.items() if key[0] == "object" and len(key) == 2)
    header = objects[key]
    assert isinstance(header, tuple)
    for stranger in ("JavaCard", "builtins.print", "os.system", "Client", ""):
        memory = Memory({**objects, key: (header[0], stranger, *header[2:])})
        with pytest.raises(MalformedImage, match="no such class"):
            Bench(memory=memory)


def damaged() -> dict[str, tuple[Key, Value]]:
    """What a memory may hold after something that was no card wrote it."""
    return {
        "package without an AID": (("package", 1), 5),
        "package of another kind": (("package", "one"), b"A0000"),
        "registry": (("applets",), 7),
        "instance": (("applet", 1), b"x"),
        "instance that is not there": (("applets",), (1, 2)),
        "instance of another package": (("applet", 1), (PROBE_AID, 9, PROBE_AID, 1)),
        "instance of another module": (("applet", 1), (PROBE_AID, 1, TWIN_AID, 1)),
        "instance without an object": (("applet", 1), (PROBE_AID, 1, PROBE_AID, 77)),
        "instance that is another's": (("applet", 1), (PROBE_AID, 1, PROBE_AID, 2)),
        "header": (("object", 2), b"x"),
        "header too short": (("object", 2), (1,)),
        "handle": (("object", "two"), (1, "Node", 1)),
        "handle never given": (("object", 99), (1, "Node", 1)),
        "heap": (("heap",), b"x"),
        "field": (("object", 1, "link"), ("ref",)),
        "field of no kind": (("object", 1, "link"), ("reference", 2)),
        "reference to no handle": (("object", 1, "link"), ("ref", "two")),
        "aid": (("object", 1, "link"), ("aid", 5)),
        "array length": (("object", 3), (0, "ByteArray", 1, -1, 0)),
        "array far too long": (("object", 3), (0, "ByteArray", 1, 10**12, 0)),
        "array content": (("object", 3, "content"), b"too long for it"),
        "array content of another kind": (("object", 3, "content"), 5),
    }


@pytest.mark.parametrize("damage", list(damaged()))
def test_a_damaged_memory_is_refused_before_any_command(damage: str) -> None:
    def build(applet: Any, _: object) -> None:
        applet.link = Node(1)
        applet.link.after = ByteArray(4)
        applet.link.after[0] = 1

    bench = Bench()
    bench.do(build)
    key, value = damaged()[damage]
    with pytest.raises(MalformedImage):
        JavaCard(Memory({**bench.card.memory.objects(), key: value}), packages=PACKAGES)


@given(st.data())
def test_any_single_change_of_the_memory_is_refused_or_answered_for(data: st.DataObject) -> None:
    """Whatever one value becomes: no card, or a card that answers every command."""
    card = wallet_card(b"1234")
    objects = card.memory.objects()
    key = data.draw(st.sampled_from(sorted(objects, key=repr)))
    values = st.recursive(
        st.none() | st.integers() | st.binary(max_size=9) | st.sampled_from(["ref", "Wallet", ""]),
        lambda parts: st.lists(parts, max_size=5).map(tuple),
        max_leaves=5,
    )
    changed = {**objects, key: data.draw(values)}
    try:
        again = JavaCard(Memory(changed), packages=(WALLET_PACKAGE,))
    except (MalformedImage, UsageError):
        return
    again.power_on()
    for command in (
        "00A4040008F234123456100001",
        "B02000000431323334",
        "B03000000101",
        "B050000002",
    ):
        assert len(again.transmit(bytes.fromhex(command))) >= 2


def test_a_reference_to_nothing_reads_as_null() -> None:
    bench = Bench()
    bench.do(lambda applet, _: setattr(applet, "link", Node(1)))
    objects = bench.card.memory.objects()
    reference = next(
        value for value in objects.values() if isinstance(value, tuple) and "ref" in value
    )
    assert isinstance(reference, tuple)
    again = Bench(
        memory=Memory({k: v for k, v in objects.items() if k != ("object", reference[1])})
    )
    again.select(PROBE_AID)
    assert again.do(lambda applet, _: applet.link) is None


REBUILD = """
import json, sys
from ast import literal_eval
from cardbench.emulator.applets.wallet import WALLET_PACKAGE
from cardbench.emulator.chassis import Memory
from cardbench.emulator.javacard import JavaCard

card = JavaCard(Memory(literal_eval(sys.stdin.read())), packages=(WALLET_PACKAGE,))
card.power_on()
print(json.dumps([card.transmit(bytes.fromhex(line)).hex() for line in sys.argv[1:]]))
print(card.memory.objects())
"""


@pytest.mark.slow
def test_a_wallet_goes_on_in_a_new_process(new_process: Callable[..., str]) -> None:
    select, balance = "00A4040008F234123456100001", "B050000002"
    verify, wrong, credit = "B02000000431323334", "B02000000439393939", "B030000001"
    first = wallet_card(b"1234")
    first.power_on()
    for command in (select, verify, credit + "64", wrong):
        first.transmit(bytes.fromhex(command))
    printed = new_process(
        REBUILD, select, balance, credit + "01", wrong, wrong, stdin=repr(first.memory.objects())
    )
    answers, objects = printed.splitlines()
    assert json.loads(answers) == ["9000", "00649000", "6301", "6300", "6300"]
    back = JavaCard(Memory(literal_eval(objects)), packages=(WALLET_PACKAGE,))
    back.power_on()
    assert back.transmit(b"\x00\xa4\x04\x00\x08" + WALLET_AID) == b"\x69\x99"
