"""The NDEF tag: files, their limits, and several channels at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.emulator.applets.ndef import NDEF_PACKAGE
from cardbench.emulator.applets.wallet import WALLET_PACKAGE
from cardbench.emulator.chassis import Memory, Moment, Tear
from cardbench.emulator.javacard import InstallationRefused, JavaCard
from cardbench.protocol.errors import ProtocolError
from cardbench.protocol.link import PowerLoss
from cardbench.protocol.ndef import NDEF_AID, CapabilityContainer
from cardbench.protocol.wallet import WALLET_AID

SELECT = "00A4040007D276000085010100"
CONTAINER, MESSAGE = "00A4000C02E103", "00A4000C02E104"
HELLO = bytes.fromhex("D1010854026574657265")

Send = Callable[[str], str]


def tag(parameters: bytes = b"") -> tuple[JavaCard, Send]:
    card = JavaCard(Memory(), packages=(NDEF_PACKAGE, WALLET_PACKAGE))
    card.power_on()
    card.install(NDEF_AID, parameters=parameters)
    return card, lambda command: card.transmit(bytes.fromhex(command)).hex().upper()


@pytest.fixture
def send() -> Send:
    _, send = tag(bytes.fromhex("000040") + HELLO)
    assert send(SELECT) == "9000"
    return send


def test_a_reader_finds_the_message_as_the_tag_specification_says(send: Send) -> None:
    assert send(CONTAINER) == "9000"
    container = CapabilityContainer.parse(bytes.fromhex(send("00B000000F")[:-4]))
    assert send(f"00A4000C02{container.file_identifier:04X}") == "9000"
    length = int(send("00B0000002")[:-4], 16)
    assert send(f"00B00002{length:02X}") == HELLO.hex().upper() + "9000"


def test_the_container_says_what_the_tag_can_do(send: Send) -> None:
    send(CONTAINER)
    assert send("00B000000F") == "000F20" + "00FF" + "00FF" + "0406E10400400000" + "9000"


def test_a_message_is_written_length_last(send: Send) -> None:
    send(MESSAGE)
    assert [send("00D60000020000"), send("00D6000203ABCDEF"), send("00D60000020003")] == [
        "9000"
    ] * 3
    assert send("00B0000005") == "0003ABCDEF9000"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00A4000C02E105", "6A82"),  # no such file
        ("00A4000C01E1", "6700"),  # no file identifier
        ("00A4020C02E104", "6A86"),  # another way of selection
        ("00A4000402E104", "6A86"),
        ("80B0000002", "6E00"),
        ("00CA000000", "6D00"),
    ],
)
def test_the_tag_refuses(send: Send, command: str, sw: str) -> None:
    assert send(command) == sw


@pytest.mark.parametrize("command", ["00B0000002", "00D600000100"])
def test_nothing_is_read_or_written_before_a_file_is_selected(send: Send, command: str) -> None:
    assert send(command) == "6986"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00B0004001", "6B00"),  # behind the end
        ("00B0800001", "6B00"),
        ("00D600400100", "6B00"),
        ("00D6003F020000", "6A84"),  # over the end
        ("00D60000", "6700"),  # nothing to write
    ],
)
def test_a_file_has_an_end(send: Send, command: str, sw: str) -> None:
    send(MESSAGE)
    assert send(command) == sw


def test_reading_past_the_end_gives_what_there_is(send: Send) -> None:
    send(MESSAGE)
    assert send("00B0003E10") == "00009000"
    assert len(send("00B0000000")) == 2 * (0x40 + 2)


def test_the_container_is_never_written(send: Send) -> None:
    send(CONTAINER)
    assert send("00D60000020000") == "6982"


def test_a_tag_can_be_made_read_only() -> None:
    _, send = tag(bytes.fromhex("FF0040") + HELLO)
    send(SELECT)
    send(CONTAINER)
    assert send("00B0000E01") == "FF9000"
    send(MESSAGE)
    assert send("00D60000020000") == "6982"


def test_without_parameters_a_tag_is_empty_and_writable() -> None:
    _, send = tag()
    send(SELECT)
    send(MESSAGE)
    assert send("00B0000000") == "00" * 256 + "9000"
    assert send("00D600FE02ABCD") == "9000"


def test_a_message_survives_a_reset_and_the_current_file_does_not() -> None:
    card, send = tag()
    send(SELECT)
    send(MESSAGE)
    send("00D60000020000")
    send("00D6000201AA")
    card.reset()
    send(SELECT)
    assert send("00B0000003") == "6986"
    send(MESSAGE)
    assert send("00B0000003") == "0000AA9000"


@pytest.mark.parametrize(
    "parameters",
    ["00", "0000", "000001", "01" + "0040", "000002AA", "008000", "00000C" + HELLO.hex() + "00"],
)
def test_a_message_that_does_not_fit_is_refused(parameters: str) -> None:
    with pytest.raises(InstallationRefused) as refused:
        tag(bytes.fromhex(parameters))
    assert refused.value.sw == 0x6A80


def test_installation_data_of_another_form_are_refused() -> None:
    card = JavaCard(Memory(), packages=(NDEF_PACKAGE,))
    card.power_on()
    with pytest.raises(InstallationRefused) as refused:
        card.instantiate(NDEF_AID, proposed_aid=NDEF_AID, install_data=b"text")
    assert refused.value.sw == 0x6A80


def test_each_channel_has_a_current_file_of_its_own(send: Send) -> None:
    send(CONTAINER)
    assert send("0070000001") == "019000"
    assert send("01" + SELECT[2:]) == "9000"
    assert send("01B0000002") == "6986"
    send("01" + MESSAGE[2:])
    assert send("01B0000002") == "000A9000"
    assert send("00B0000002") == "000F9000"
    send("0070800100")
    assert send("00B0000002") == "000F9000"
    send("0070000001")
    send("01" + SELECT[2:])
    assert send("01B0000002") == "6986"


def test_tag_and_wallet_live_on_one_card() -> None:
    card, send = tag()
    card.install(WALLET_AID, parameters=b"1234")
    assert send(SELECT) == "9000"
    assert send("01A4040008F234123456100001") == "6E00"
    assert send(MESSAGE) == "9000"
    assert [instance.aid for instance in card.instances()] == [NDEF_AID, WALLET_AID]


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("write", range(4))
def test_a_torn_update_leaves_the_old_bytes_or_the_new(write: int, moment: Moment) -> None:
    card, send = tag()
    send(SELECT)
    send(MESSAGE)
    card.memory.arm(Tear(write, moment))
    with pytest.raises(PowerLoss):
        send("00D6000010" + "AB" * 16)
    card.power_on()
    send(SELECT)
    send(MESSAGE)
    assert send("00B0000010") in {"00" * 16 + "9000", "AB" * 16 + "9000"}


@given(st.lists(st.tuples(st.integers(0, 70), st.binary(min_size=1, max_size=40)), max_size=8))
def test_a_file_is_what_was_written(updates: list[tuple[int, bytes]]) -> None:
    _, send = tag(bytes.fromhex("000040"))
    send(SELECT)
    send(MESSAGE)
    expected = bytearray(64)
    for offset, data in updates:
        answer = send(f"00D6{offset:04X}{len(data):02X}{data.hex()}")
        if offset >= 64:
            assert answer == "6B00"
        elif offset + len(data) > 64:
            assert answer == "6A84"
        else:
            assert answer == "9000"
            expected[offset : offset + len(data)] = data
    assert send("00B0000040") == expected.hex().upper() + "9000"


# The capability container


def test_a_container_round_trips() -> None:
    container = CapabilityContainer(255, 254, 0xE105, 1000, write_access=0xFF)
    assert CapabilityContainer.parse(container.encode()) == container


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "000F2000FF00FF0406E104004000",  # too short
        "000E2000FF00FF0406E10400400000",  # says so itself
        "000F3000FF00FF0406E10400400000",  # another major version
        "000F2000FF00FF0506E10400400000",  # a proprietary file first
        "000F2000FF00FF0407E10400400000",
    ],
)
def test_another_container_is_refused(raw: str) -> None:
    with pytest.raises(ProtocolError):
        CapabilityContainer.parse(bytes.fromhex(raw))


def test_a_later_minor_version_is_understood() -> None:
    raw: Any = bytes.fromhex("000F2300FF00FF0406E10400400000")
    assert CapabilityContainer.parse(raw).file_identifier == 0xE104
