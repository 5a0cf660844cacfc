"""Selection by name, what happens around it, and logical channels 0 to 3."""

from __future__ import annotations

from typing import Any

import pytest
from support.javacard_scene import (
    CLIENT_AID,
    MULTI_AID,
    MULTI_TWIN_AID,
    PROBE_AID,
    TWIN_AID,
    Bench,
    Probe,
)

from cardbench.emulator.chassis import Memory, Moment, Tear
from cardbench.emulator.javacard import APDU, ISOException, JavaCard, JCSystem
from cardbench.protocol.atr import Atr
from cardbench.protocol.errors import UsageError
from cardbench.protocol.link import PowerLoss

OPEN, CLOSE_1 = "0070000001", "00708001"


@pytest.fixture
def bench() -> Bench:
    return Bench(PROBE_AID, TWIN_AID, CLIENT_AID)


def who(bench: Bench, channel: int = 0) -> str | None:
    """Tell which applet answers on a channel; None where nothing is selected."""
    names: list[str] = []

    def note(_: object, __: object) -> None:
        names.append(repr(JCSystem.get_aid()))

    Probe.action = note
    answer = bench.send(f"8{channel}10000000")
    Probe.action = None
    assert answer in {"9000", "6999", "6881"}
    return names[0][4:-1] if names else None


def hexed(aid: bytes) -> str:
    return aid.hex().upper()


def test_the_answer_to_reset_is_well_formed() -> None:
    atr = Atr.parse(Bench().card.power_on())
    assert 1 in atr.protocols
    assert atr.historical == bytes.fromhex("8073C0011B")


def test_the_bench_may_choose_the_answer_to_reset() -> None:
    assert JavaCard(Memory(), packages=(), atr=b"\x3b\x00").power_on() == b"\x3b\x00"


# Selection by name


def test_a_full_name_selects(bench: Bench) -> None:
    assert bench.select(TWIN_AID) == "9000"
    assert who(bench) == hexed(TWIN_AID)


def test_the_beginning_of_a_name_selects_the_first_in_registry_order(bench: Bench) -> None:
    bench.select(CLIENT_AID)
    assert bench.send("00A4040005A000000001") == "9000"
    assert who(bench) == hexed(PROBE_AID)


def test_the_next_occurrence_follows_in_registry_order(bench: Bench) -> None:
    seen = [who(bench)]
    while bench.send("00A4040205A000000001") == "9000" and who(bench) != seen[-1]:
        seen.append(who(bench))
    assert seen == [hexed(PROBE_AID), hexed(TWIN_AID)]


def test_the_next_occurrence_with_nothing_selected_is_the_first(bench: Bench) -> None:
    bench.card.reset()
    assert bench.send("00A4040205A000000001") == "9000"
    assert who(bench) == hexed(PROBE_AID)


@pytest.mark.parametrize("p2", ["00", "04", "08", "0C"])
def test_which_control_information_is_wanted_does_not_matter(bench: Bench, p2: str) -> None:
    assert bench.send(f"00A404{p2}06{hexed(TWIN_AID)}") == "9000"
    assert who(bench) == hexed(TWIN_AID)


def test_selection_deselects_selects_and_processes(bench: Bench) -> None:
    bench.calls.clear()
    bench.select(TWIN_AID)
    assert bench.calls == ["deselect", "select", "process"]


def test_selecting_the_same_applet_again_is_a_whole_cycle(bench: Bench) -> None:
    bench.calls.clear()
    bench.select(PROBE_AID)
    assert bench.calls == ["deselect", "select", "process"]


def test_only_the_select_of_the_applet_itself_is_selecting(bench: Bench) -> None:
    seen: list[bool] = []

    def process(applet: Any, _: APDU) -> None:
        seen.append(applet.selecting_applet())

    original, Probe.process = Probe.process, process  # type: ignore[method-assign]
    try:
        bench.select(TWIN_AID)
        bench.send("00A4040006A0000000FFFF")
        bench.send("8010000000")
        bench.select(PROBE_AID)
    finally:
        Probe.process = original  # type: ignore[method-assign]
    assert seen == [True, False, False, True]


@pytest.mark.parametrize("how", ["false", "exception"])
def test_a_refused_selection_leaves_nothing_selected(bench: Bench, how: str) -> None:
    def refuse(_: object) -> bool:
        if how == "exception":
            ISOException.throw_it(0x6985)
        return False

    Probe.selecting = refuse
    assert bench.select(TWIN_AID) == "6999"
    assert bench.calls == ["deselect", "select"]
    assert bench.send("8010000000") == "6999"
    assert who(bench) is None


def test_an_exception_in_deselect_is_ignored(bench: Bench) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    Probe.deselecting = fail
    assert bench.select(TWIN_AID) == "9000"
    assert isinstance(bench.faults[-1], ZeroDivisionError)


def test_an_exception_in_the_answer_to_select_leaves_the_applet_selected(bench: Bench) -> None:
    def process(_: Any, __: APDU) -> None:
        ISOException.throw_it(0x6283)

    original, Probe.process = Probe.process, process  # type: ignore[method-assign]
    try:
        assert bench.select(TWIN_AID) == "6283"
    finally:
        Probe.process = original  # type: ignore[method-assign]
    assert who(bench) == hexed(TWIN_AID)


def test_a_name_that_nobody_has_goes_to_the_selected_applet(bench: Bench) -> None:
    bench.calls.clear()
    assert bench.send("00A4040006A0000000FFFF") == "9000"
    assert bench.calls == ["process"]
    assert who(bench) == hexed(PROBE_AID)


def test_a_name_that_nobody_has_is_6999_where_nothing_is_selected(bench: Bench) -> None:
    bench.card.reset()
    assert bench.send("00A4040006A0000000FFFF") == "6999"


@pytest.mark.parametrize(
    "command",
    [
        "00A4000006A00000000102",  # not by name
        "00A4040106A00000000102",  # last occurrence
        "00A4040004A0000000",  # too short a name
        "00A4040011" + "A0" * 17,  # too long a name
        "0CA4040006A00000000102",  # secure messaging
        "80A4040006A00000000102",  # another class
        "00A40400",  # the default applet, and there is none
        "00A4040000",
    ],
)
def test_what_is_no_selection_goes_to_the_selected_applet(bench: Bench, command: str) -> None:
    bench.calls.clear()
    bench.send(command)
    assert bench.calls == ["process"]
    bench.card.reset()
    assert bench.send(command) == "6999"


def test_nothing_is_selected_after_a_reset(bench: Bench) -> None:
    bench.calls.clear()
    bench.card.reset()
    assert bench.send("8010000000") == "6999"
    assert bench.calls == []


@pytest.mark.parametrize("command", ["", "80", "801000", "801000000201"])
def test_what_is_no_command_is_6700(bench: Bench, command: str) -> None:
    assert bench.send(command) == "6700"


# The default applet


def test_the_default_applet_is_selected_at_power_up_without_process(bench: Bench) -> None:
    bench.card.select_by_default(TWIN_AID)
    bench.calls.clear()
    bench.card.reset()
    assert bench.calls == ["select"]
    assert who(bench) == hexed(TWIN_AID)


@pytest.mark.parametrize("command", ["00A40400", "00A4040000"])
def test_a_select_without_a_name_selects_the_default_applet(bench: Bench, command: str) -> None:
    bench.card.select_by_default(CLIENT_AID)
    assert bench.send(command) == "9000"
    assert who(bench) == hexed(CLIENT_AID)


def test_a_default_applet_can_refuse(bench: Bench) -> None:
    bench.card.select_by_default(TWIN_AID)
    Probe.selecting = lambda _: False
    bench.card.reset()
    assert bench.send("8010000000") == "6999"


def test_the_default_applet_can_be_taken_back(bench: Bench) -> None:
    bench.card.select_by_default(TWIN_AID)
    bench.card.select_by_default(None)
    bench.card.reset()
    assert who(bench) is None


def test_the_default_applet_must_exist(bench: Bench) -> None:
    with pytest.raises(UsageError, match="no applet"):
        bench.card.select_by_default(bytes(6))


def test_a_power_loss_while_the_default_applet_is_selected_leaves_the_card_off(
    bench: Bench,
) -> None:
    bench.card.select_by_default(TWIN_AID)
    Probe.selecting = lambda applet: setattr(applet, "first", 1) is None
    bench.card.memory.arm(Tear(0, Moment.BEFORE))
    with pytest.raises(PowerLoss):
        bench.card.power_on()
    assert not bench.card.is_powered


# Logical channels


def test_channels_are_given_one_after_the_other(bench: Bench) -> None:
    assert [bench.send(OPEN) for _ in range(4)] == ["019000", "029000", "039000", "6A81"]


def test_a_closed_channel_is_given_again(bench: Bench) -> None:
    bench.send(OPEN)
    bench.send(OPEN)
    assert bench.send(CLOSE_1) == "9000"
    assert bench.send(OPEN) == "019000"


def test_the_terminal_may_name_the_channel(bench: Bench) -> None:
    assert bench.send("00700002") == "9000"
    assert bench.send("00700002") == "6A86"
    assert bench.send("0070000200") == "6A86"
    assert bench.send(OPEN) == "019000"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("0070010001", "6A81"),  # P1
        ("0070000401", "6A81"),  # no such channel
        ("00708000", "6A81"),  # the basic channel stays open
        ("00708004", "6A81"),
        ("00708003", "6200"),  # closed already
        ("0070000002", "6C01"),  # Le
        ("0070000000", "6C01"),
        ("00700000", "6C01"),
        ("01700000", "6881"),  # from a channel that is not open
        ("0470000001", "6882"),  # secure messaging
    ],
)
def test_manage_channel_refuses(bench: Bench, command: str, sw: str) -> None:
    assert bench.send(command) == sw


def test_manage_channel_never_reaches_an_applet(bench: Bench) -> None:
    bench.calls.clear()
    bench.send(OPEN)
    bench.send("0070010001")
    assert bench.calls == []


@pytest.mark.parametrize("cla", ["01", "82", "93", "A1"])
def test_a_command_on_a_closed_channel_is_6881(bench: Bench, cla: str) -> None:
    assert bench.send(cla + "10000000") == "6881"


@pytest.mark.parametrize("cla", ["B1", "C2", "E3", "FF", "11", "21", "41"])
def test_classes_without_a_channel_are_of_the_basic_one(bench: Bench, cla: str) -> None:
    assert bench.answer(lambda _, __: None, cla + "10000000") == "9000"


def test_each_channel_has_its_own_applet(bench: Bench) -> None:
    bench.send(OPEN)
    assert who(bench, 1) is None
    assert bench.select(CLIENT_AID, channel=1) == "9000"
    assert (who(bench, 0), who(bench, 1)) == (hexed(PROBE_AID), hexed(CLIENT_AID))


def test_a_selection_opens_its_channel(bench: Bench) -> None:
    assert bench.select(CLIENT_AID, channel=3) == "9000"
    assert who(bench, 3) == hexed(CLIENT_AID)
    assert bench.send(OPEN) == "019000"


def test_an_applet_knows_its_channel(bench: Bench) -> None:
    bench.select(CLIENT_AID, channel=2)
    seen = bench.do(
        lambda _, __: (JCSystem.get_assigned_channel(), APDU.get_cla_channel()), "8210000000"
    )
    assert seen == (2, 2)


def test_closing_a_channel_deselects(bench: Bench) -> None:
    bench.select(CLIENT_AID, channel=1)
    bench.calls.clear()
    assert bench.send(CLOSE_1) == "9000"
    assert bench.calls == ["deselect"]
    assert bench.send("8110000000") == "6881"


def test_an_applet_may_close_its_own_channel(bench: Bench) -> None:
    bench.select(CLIENT_AID, channel=1)
    assert bench.send("01708001") == "9000"


@pytest.mark.parametrize("aid", [PROBE_AID, TWIN_AID])
def test_a_second_selection_in_one_package_is_refused_without_multiselectable(
    bench: Bench, aid: bytes
) -> None:
    bench.calls.clear()
    assert bench.select(aid, channel=1) == "6985"
    assert bench.calls == []
    assert who(bench, 0) == hexed(PROBE_AID)
    assert who(bench, 1) is None


def test_a_multiselectable_applet_is_told_of_the_other_channels() -> None:
    bench = Bench(MULTI_AID, MULTI_TWIN_AID)
    bench.calls.clear()
    assert bench.select(MULTI_AID, channel=1) == "9000"
    assert bench.select(MULTI_TWIN_AID, channel=2) == "9000"
    assert bench.calls == ["multi_select True", "process", "multi_select False", "process"]
    bench.send("00708001")
    bench.send("00708002")
    assert bench.calls == ["multi_deselect True", "multi_deselect False"]
    bench.select(MULTI_TWIN_AID)
    assert bench.calls == ["deselect", "select", "process"]


def test_a_multiselection_can_be_refused() -> None:
    bench = Bench(MULTI_AID)
    bench.do(lambda applet, _: setattr(applet, "selection", 5))
    Probe.selecting = lambda _: False
    assert bench.select(MULTI_AID, channel=1) == "6999"
    assert who(bench, 1) is None
    assert bench.do(lambda applet, _: applet.selection) == 5


def test_transient_data_of_the_selection_stay_while_the_package_is_active_anywhere() -> None:
    bench = Bench(MULTI_AID)
    bench.do(lambda applet, _: setattr(applet, "selection", 5))
    bench.select(MULTI_AID, channel=1)
    bench.select(MULTI_AID)
    assert bench.do(lambda applet, _: applet.selection) == 5
    bench.send(CLOSE_1)
    bench.select(MULTI_AID)
    assert bench.do(lambda applet, _: applet.selection) == 0


def test_a_new_channel_gets_the_default_applet_where_it_may() -> None:
    bench = Bench(MULTI_AID, CLIENT_AID)
    bench.card.select_by_default(MULTI_AID)
    assert bench.send(OPEN) == "019000"
    assert who(bench, 1) == hexed(MULTI_AID)


def test_a_new_channel_stays_closed_where_the_default_applet_is_busy(bench: Bench) -> None:
    bench.card.select_by_default(PROBE_AID)
    assert bench.send(OPEN) == "6985"
    assert bench.send("8110000000") == "6881"


def test_a_new_channel_stays_closed_where_the_default_applet_refuses(bench: Bench) -> None:
    bench.card.select_by_default(CLIENT_AID)
    Probe.selecting = lambda _: False
    assert bench.send("00700001") == "6999"
    assert bench.send("8110000000") == "6881"


def test_a_channel_opened_from_another_gets_its_applet() -> None:
    bench = Bench(MULTI_AID)
    bench.select(MULTI_AID, channel=1)
    assert bench.send("0170000001") == "029000"
    assert who(bench, 2) == hexed(MULTI_AID)


def test_a_reset_closes_the_channels(bench: Bench) -> None:
    bench.select(CLIENT_AID, channel=1)
    bench.calls.clear()
    bench.card.reset()
    assert bench.calls == []
    assert bench.send("8110000000") == "6881"


# Forks


def test_a_fork_goes_on_from_the_same_session(bench: Bench) -> None:
    bench.do(lambda applet, _: (setattr(applet, "first", 1), setattr(applet, "session", 2)))
    twin = bench.card.fork()
    bench.do(lambda applet, _: (setattr(applet, "first", 8), setattr(applet, "session", 9)))
    seen: list[tuple[int, int]] = []
    Probe.action = lambda applet, _: seen.append((applet.first, applet.session))
    twin.transmit(bytes.fromhex("8010000000"))
    assert seen == [(1, 2)]
    Probe.action = lambda applet, _: setattr(applet, "first", 5)
    twin.transmit(bytes.fromhex("8010000000"))
    assert bench.do(lambda applet, _: applet.first) == 8
