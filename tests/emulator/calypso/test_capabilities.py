"""What each product type can do and what it lets lie: the facts sheet's table, column by column.

Source: calypso-card §1.2 (option bits), §1.3 (capabilities), §5.5 (buffers), §5.6 (ratification).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.calypso_workshop import peer_of

from cardbench.emulator.calypso.personalisation import load_preset

if TYPE_CHECKING:
    from support.calypso_peer import Peer

COLUMNS = ("prime-1", "prime-2", "bench", "light-classic", "basic")
UNKNOWN = ("6D00", "6B00")
OPEN_MODES = ("revision 1", "revision 2", "regular", "regular", "regular")


class Capability(NamedTuple):
    """One row of the table: a command, without class, and whether revision 1, 2, 3, Light, Basic have it."""

    name: str
    command: str
    has: str

    def pairs(self) -> list[tuple[str, bool]]:
        return [(preset, mark == "+") for preset, mark in zip(COLUMNS, self.has, strict=True)]


CAPABILITIES = (
    Capability("Read Records, one", "B2013C1D", "+++++"),
    Capability("Read Records, several", "B2013D00", "--++-"),
    Capability("Read Record Multiple", "B3013D045402000100", "--++-"),
    Capability("Search Record Multiple", "A2013F0500000111FF00", "--+--"),
    Capability("Read Binary", "B0870001", "-++--"),
    Capability("Update Binary", "D687000111", "-++--"),
    Capability("Write Binary", "D087000111", "-++--"),
    Capability("Increase", "3201C803000001", "+++++"),
    Capability("Increase Multiple", "3A00C8040100000100", "-++--"),
    Capability("Decrease Multiple", "3800C8040100000100", "-++--"),
    Capability("Update Record", "DC013C0111", "+++++"),
    Capability("Write Record", "D201440111", "+++++"),
    Capability("Append Record", "E200400111", "+++++"),
    Capability("Change Key", "D8000320" + "11" * 32, "++++-"),
    Capability("PIN status", "20000000", "-++--"),
    Capability("Verify PIN", "20000004" + "30" * 4, "-++--"),
    Capability("Change PIN", "D800FF0430303030", "-++--"),
    Capability("SV Get", "7C000700", "-++--"),
    Capability("SV Reload", "B8000017" + "00" * 23, "-++--"),
    Capability("SV Debit", "BA000014" + "00" * 20, "-++--"),
    Capability("SV Undebit", "BC000014" + "00" * 20, "-++--"),
    Capability("Open, revision 1", "8A030004C1C2C3C400", "+----"),
    Capability("Open, revision 2", "8A830004C1C2C3C400", "-+---"),
    Capability("Open, regular", "8A030104C1C2C3C400", "--+++"),
    Capability("Open, extended", "8A03020900C1C2C3C4C5C6C7C800", "--+--"),
    Capability("Pre-open", "8A0302010000", "--+--"),
    Capability("Open, PKI", "8A00030900C1C2C3C4C5C6C7C800", "--+--"),
    Capability("Manage Secure Session", "82000200", "--+--"),
    Capability("Generate Asymmetric Key Pair", "4600000A06082A8648CE3D030107", "--+--"),
    Capability("Put Data", "DADF3C60" + "00" * 96, "--+--"),
    Capability("Get Data", "CA006F00", "+++++"),
    Capability("Get Challenge", "84000008", "+++++"),
    Capability("Invalidate", "04000000", "+++++"),
    Capability("Rehabilitate", "44000000", "+++++"),
    Capability("Select Application", "A4040005A00000029100", "-++++"),
    Capability("Select File", "A4020002000000", "+++++"),
)


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda capability: capability.name)
def test_a_product_knows_the_commands_of_its_column_and_no_others(capability: Capability) -> None:
    for preset, has in capability.pairs():
        # Every mode of Open has its own form of P1: "80 + …" of revision 2 is a record of revision 1.
        if capability.name == "Open, revision 2" and preset == "prime-1":
            continue
        peer = peer_of(preset)
        answer = peer.send(f"{peer.cla:02X}{capability.command}")
        assert (answer not in UNKNOWN) is has, f"{preset} answered {answer}"


OPTIONS = (
    # bit, command, answer without it
    (0x01, "0020000000", "6D00"),
    (0x01, "00D800FF0430303030", "6B00"),
    (0x02, "007C000700", "6D00"),
    (0x02, "00BA000014" + "00" * 20, "6D00"),
    (0x08, "008A03020900C1C2C3C4C5C6C7C800", "6B00"),
    (0x08, "008A0302010000", "6B00"),
    (0x08, "0082000200", "6D00"),
    (0x08, "007C010700", "6A81"),
    (0x10, "008A00030900C1C2C3C4C5C6C7C800", "6B00"),
    (0x10, "004600000A06082A8648CE3D030107", "6D00"),
    (0x10, "00DADF3C60" + "00" * 96, "6D00"),
)


@pytest.mark.parametrize(("bit", "command", "without"), OPTIONS)
def test_an_option_bit_of_revision_3_makes_its_commands(
    bit: int, command: str, without: str
) -> None:
    for options in range(0x20):
        if options & 0x04:
            continue  # ratification by command: no command comes or goes with it
        if bit == 0x08 and command.startswith("007C") and not options & 0x02:
            continue
        peer = peer_of("bench", applications=[{"lid": 0x2000, "type": 0x20 | options}])
        answer = peer.send(command)
        assert (answer == without) is not bool(options & bit), (
            f"type {0x20 | options:02X}: {answer}"
        )


@pytest.mark.parametrize(("bit", "command"), [(0x01, "9420000000"), (0x02, "FA7C000700")])
def test_an_option_bit_of_revision_2_makes_its_commands(bit: int, command: str) -> None:
    for options in range(4):
        types = [{"lid": lid, "type": 0x04 | options} for lid in (0x2000, 0x3F00)]
        peer = peer_of("prime-2", applications=types)
        assert (peer.send(command) == "6D00") is not bool(options & bit)


@pytest.mark.parametrize("type_", [0x90, 0x97, 0x98, 0x9F])
def test_light_and_basic_read_no_option_bit(type_: int) -> None:
    peer = peer_of(
        "light-classic" if type_ < 0x98 else "basic", applications=[{"lid": 0x2000, "type": type_}]
    )
    for _, command, without in OPTIONS:
        if not command.startswith("007C01"):
            assert peer.send(command) in (without, "6D00")


# Counters


@pytest.mark.parametrize(("preset", "mode"), list(zip(COLUMNS, OPEN_MODES, strict=True)))
def test_revisions_1_and_2_may_postpone_a_counter_and_the_others_answer_at_once(
    preset: str, mode: str
) -> None:
    for command in ("3201C803000001", "3201C80300000100"):
        peer = peer_of(preset)
        before = int(peer.ok(f"{peer.cla:02X}B201CC03"), 16)
        peer.open(2, mode=mode)
        answer = peer.send(f"{peer.cla:02X}{command}")
        new = f"{before + 1:06X}"
        postponed = mode.startswith("revision")
        assert answer == ("6200" if postponed else new + "9000")
        assert peer.close_ok() == ("04" + new if postponed else "")


# Session buffer

UPDATE = "DC01F41D" + "11" * 29


@pytest.mark.parametrize(
    ("preset", "mode", "fit"),
    [("prime-1", "revision 1", 3), ("prime-2", "revision 2", 6), ("basic", "regular", 4),
     ("bench", "regular", 12), ("light-classic", "regular", 12), ("bench-small", "regular", 7)],
)  # fmt: skip
def test_a_session_buffer_holds_so_many_updates_of_29_bytes(
    preset: str, mode: str, fit: int
) -> None:
    peer = peer_of(preset)
    update = f"{peer.cla:02X}{UPDATE}"
    peer.open(3, mode=mode)
    peer.ok(*[update] * fit)
    assert peer.send(update) == "6400"
    peer.close_ok()


def test_the_buffer_is_as_large_as_the_modification_byte_says() -> None:
    for byte, updates in (
        (0x06, 215 // 35),
        (0x07, 256 // 35),
        (0x0B, 512 // 35),
        (0x10, 1217 // 35),
    ):
        peer = peer_of("bench", session_modification=byte)
        peer.open(3)
        peer.ok(*["00" + UPDATE] * updates)
        assert peer.send("00" + UPDATE) == "6400"


# Ratification on deselect


def unratified(peer: Peer, mode: str) -> bool:
    """Close to be ratified, deselect, and see whether the next Open says so."""
    length = len(peer.open(3, mode=mode))
    peer.close_ok(ratified=False)
    peer.card.deselect()
    answer = peer.open(3, mode=mode)
    return answer[8:10] != "00" if mode == "regular" else len(answer) > length


@pytest.mark.parametrize(
    ("preset", "mode", "ratifies"),
    [("prime-1", "revision 1", True), ("prime-2", "revision 2", False), ("bench", "regular", True),
     ("light-classic", "regular", False), ("basic", "regular", False)],
)  # fmt: skip
def test_which_products_ratify_on_deselect(preset: str, mode: str, *, ratifies: bool) -> None:
    assert unratified(peer_of(preset), mode) is not ratifies


def test_the_option_that_wants_a_ratification_command_is_revision_3s_alone() -> None:
    for preset, mode, lids in (
        ("prime-1", "revision 1", (0x2000,)),
        ("bench", "regular", (0x2000,)),
    ):
        kinds = {each.lid: each.type | 0x04 for each in load_preset(preset).applications}
        changes = [{"lid": lid, "type": kinds[lid]} for lid in lids]
        assert unratified(peer_of(preset, applications=changes), mode) is (preset == "bench")
