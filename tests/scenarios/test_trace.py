"""The tape, and what of it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.calypso.ins import CalypsoIns, SamIns
from cardbench.protocol.errors import CardRemoved
from cardbench.protocol.hexadecimal import from_hex
from cardbench.scenarios.trace import Act, Recorded, Role, Tape, command_name, shown
from cardbench.terminal.readers import InProcessReader, Reader

if TYPE_CHECKING:
    from tests.scenarios.conftest import EchoCard


@pytest.fixture
def reader(echo_card: EchoCard) -> Reader:
    slot = CardSlot("slot")
    slot.insert(echo_card)
    return InProcessReader(slot, is_contactless=False)


def apdu(command: str, response: str = "9000", role: Role = Role.CARD) -> Recorded:
    return Recorded(role, Act.APDU, from_hex(command), from_hex(response))


def test_a_recorded_reader_is_a_reader_and_says_what_the_other_says(reader: Reader) -> None:
    recorded = Tape().record(reader, Role.CARD)
    assert isinstance(recorded, Reader)
    assert recorded.name == "slot"
    assert recorded.is_contactless is False
    assert recorded.state() == reader.state()
    assert recorded.wait_for_change(0, timeout_s=0) == reader.state()


def test_every_act_is_kept_in_order(reader: Reader) -> None:
    tape = Tape()
    recorded = tape.record(reader, Role.SAM)
    recorded.connect()
    recorded.transmit(from_hex("00DA000001AA"))
    recorded.reset()
    recorded.disconnect()
    assert tape.entries == [
        (Role.SAM, Act.CONNECT, b"", from_hex("3B00")),
        (Role.SAM, Act.APDU, from_hex("00DA000001AA"), from_hex("AA9000")),
        (Role.SAM, Act.RESET, b"", from_hex("3B00")),
        (Role.SAM, Act.DISCONNECT, b"", b""),
    ]


def test_a_command_without_an_answer_is_kept_too(reader: Reader) -> None:
    tape = Tape()
    recorded = tape.record(reader, Role.CARD)
    recorded.connect()
    with pytest.raises(CardRemoved):
        recorded.transmit(from_hex("00EE0000"))
    (entry,) = tape.apdus()
    assert entry.sent == from_hex("00EE0000")
    assert shown(entry).status == "no answer"


def test_the_apdus_of_one_reader_are_picked_out() -> None:
    tape = Tape()
    tape.entries += [apdu("00840000"), apdu("80840000", role=Role.SAM)]
    assert [entry.role for entry in tape.apdus(Role.SAM)] == [Role.SAM]
    assert len(list(tape.apdus())) == 2


@pytest.mark.parametrize(
    ("role", "command", "secret", "hidden"),
    [
        (Role.CARD, "0020000004 30303030", "30303030", "0020000004********"),
        (Role.CARD, "0020000004 04040404", "04040404", "0020000004********"),
        (Role.CARD, "0020000000 0004 30313233 0000", "30313233", "00200000000004********0000"),
        (Role.CARD, "00200000 0930", "30", "00200000****"),  # malformed
        (Role.CARD, "00D800FF04 31323334", "31323334", "00D800FF04********"),
        (Role.CARD, "00DADF3C03 0A0B0C", "0A0B0C", "00DADF3C03******"),
        (Role.CARD, "0020000000 0004 3031323300", "30313233", "00200000" + 8 * "**"),  # too
        (Role.SAM, "8020000002 A1A2", "A1A2", "8020000002****"),
        (Role.SAM, "801280FF06 3079 31323334", "31323334", "801280FF06************"),
        (Role.SAM, "801A80E002 A1A2", "A1A2", "801A80E002****"),
        (Role.SAM, "808C000009 0020000004 31323334", "31323334", "808C000009" + 9 * "**"),
        (
            Role.SAM,
            "808C80000D 02 9000 09 0020000004 31323334",
            "31323334",
            "808C80000D" + 13 * "**",
        ),
    ],
)
def test_a_secret_in_plain_is_hidden_unless_it_is_asked_for(
    role: Role, command: str, secret: str, hidden: str
) -> None:
    entry = apdu(command, role=role)
    assert shown(entry).command == hidden
    assert secret in shown(entry, with_secrets=True).command


@pytest.mark.parametrize(
    ("role", "command"),
    [
        (Role.CARD, "0020000000"),  # asks for the PIN's status
        (Role.CARD, "00200000"),
        (Role.CARD, "00D800FF08 0102030405060708"),  # an enciphered PIN
        (Role.CARD, "00D8000108 0102030405060708"),  # an enciphered key
        (Role.CARD, "00B2013C00"),
        (Role.SAM, "8014000008 0000000011223344"),
        (Role.SAM, "8012FFFF05 2174217590"),
        (Role.SAM, "808C000005 00B2013C1D"),
        (Role.SAM, "808C800009 05 00B2013C1D 02 9000"),
        (Role.SAM, "808C800003 09 0020"),  # cut short
        (Role.CARD, ""),
    ],
)
def test_what_is_no_secret_is_shown(role: Role, command: str) -> None:
    entry = apdu(command, role=role)
    assert shown(entry) == shown(entry, with_secrets=True)
    assert "*" not in shown(entry).command


@given(st.binary(max_size=300), st.sampled_from(Role), st.binary(max_size=4))
def test_any_bytes_can_be_shown(command: bytes, role: Role, response: bytes) -> None:
    entry = Recorded(role, Act.APDU, command, response)
    assert len(shown(entry).command) == 2 * len(command)


@given(st.binary(min_size=1, max_size=255), st.booleans(), st.sampled_from([None, 1, 256]))
def test_no_byte_of_a_pin_is_shown_however_it_is_encoded(
    pin: bytes, extended: bool, ne: int | None
) -> None:
    command = CommandApdu(0, CalypsoIns.VERIFY_PIN, 0, 0, pin, ne, extended).encode()
    hidden = shown(Recorded(Role.CARD, Act.APDU, command, b"\x90\0")).command
    head = 14 if extended else 10
    assert set(hidden[head : head + 2 * len(pin)]) == {"*"}
    assert from_hex(hidden[:head] + hidden[head + 2 * len(pin) :]) == (
        command[: head // 2] + command[head // 2 + len(pin) :]
    )


def test_commands_are_named_as_the_field_does() -> None:
    assert command_name(Role.CARD, bytes((0, CalypsoIns.VERIFY_PIN, 0, 0))) == "Verify PIN"
    assert command_name(Role.CARD, bytes((0, CalypsoIns.SV_GET, 0, 0))) == "SV Get"
    assert command_name(Role.SAM, bytes((0x80, SamIns.DIGEST_INIT, 0, 0))) == "Digest Init"
    assert command_name(Role.SAM, bytes((0x80, 0xF7, 0, 0))) == "INS F7"
    assert command_name(Role.CARD, b"") == "no command"


def test_key_pair_that_a_sam_makes_is_hidden() -> None:
    entry = Recorded(
        Role.SAM,
        Act.APDU,
        bytes.fromhex("804680000A06082A8648CE3D03010763"),
        bytes.fromhex("DF3C60") + bytes(96) + b"\x90\0",
    )
    assert shown(entry).response == "**" * 99 + "9000"
    assert shown(entry, with_secrets=True).response == "DF3C60" + "00" * 96 + "9000"
