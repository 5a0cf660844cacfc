"""The Wallet: every command and status word of its tables, in the tables' order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.wallet_session import BALANCE, SELECT, SESSION, VERIFY, WRONG

from cardbench.emulator.applets.wallet import (
    FAITHFUL_WALLET_AID,
    KIT_WALLET_AID,
    WALLET_PACKAGE,
    wallet_card,
)
from cardbench.emulator.chassis import Memory
from cardbench.emulator.javacard import InstallationRefused, JavaCard, PINException
from cardbench.protocol.wallet import WALLET_AID, WALLET_PACKAGE_AID

Send = Callable[[str], str]


def sender(card: JavaCard) -> Send:
    return lambda command: card.transmit(bytes.fromhex(command)).hex().upper()


@pytest.fixture
def card() -> JavaCard:
    made = wallet_card(b"1234")
    made.power_on()
    return made


@pytest.fixture
def send(card: JavaCard) -> Send:
    """A selected Wallet."""
    send = sender(card)
    assert send(SELECT) == "9000"
    return send


@pytest.fixture
def trusted(send: Send) -> Send:
    """A selected Wallet that knows its holder."""
    assert send(VERIFY) == "9000"
    return send


def credit(amount: int) -> str:
    return f"B030000001{amount:02X}"


def debit(amount: int) -> str:
    return f"B040000001{amount:02X}"


def fill(send: Send, balance: int) -> None:
    for _ in range(balance // 127):
        assert send(credit(127)) == "9000"
    assert send(credit(balance % 127)) == "9000"


# The article's session


def test_the_articles_session_runs(card: JavaCard) -> None:
    send = sender(card)
    assert [(command, send(command)) for command, _ in SESSION] == SESSION


# Identity


def test_the_wallet_has_the_articles_identifiers(card: JavaCard) -> None:
    assert WALLET_AID.hex().upper() == "F234123456100001"
    assert WALLET_AID[:-1] == WALLET_PACKAGE_AID
    assert [instance.aid for instance in card.instances()] == [WALLET_AID]


def test_a_new_wallet_is_empty(send: Send) -> None:
    assert send(BALANCE) == "00009000"


# SELECT


def test_select_answers_9000_without_data(card: JavaCard) -> None:
    assert sender(card)(SELECT + "00") == "9000"


def test_a_partial_aid_selects(card: JavaCard) -> None:
    assert sender(card)("00A4040005F234123456") == "9000"


def test_select_is_refused_while_the_pin_is_blocked(send: Send) -> None:
    for _ in range(3):
        send(WRONG)
    assert send(SELECT) == "6999"


def test_nothing_stays_selected_after_a_refused_selection(send: Send) -> None:
    for _ in range(3):
        send(WRONG)
    send(SELECT)
    assert [send(BALANCE), send(VERIFY), send("B060000000")] == ["6999"] * 3


def test_a_select_of_another_applet_is_answered_as_the_code_has_it(trusted: Send) -> None:
    assert trusted("00A4040006A00000000101") == "9000"
    assert trusted(credit(1)) == "9000"  # it was no selection: the PIN still counts


def test_before_any_selection_everything_is_6999(card: JavaCard) -> None:
    send = sender(card)
    commands = (BALANCE, VERIFY, credit(1), debit(1), "B060000000", "8050000002")
    assert {send(command) for command in commands} == {"6999"}


# VERIFY


def test_verify_accepts_the_pin(send: Send) -> None:
    assert send(VERIFY) == "9000"


@pytest.mark.parametrize(
    "command",
    [
        WRONG,
        "B020000003313233",  # too short
        "B0200000053132333435",  # too long
        "B020000009313233343536373839",  # longer than any PIN
        "B020000000",  # no data
        "B0200000",
        "B0200000FF" + "31" * 255,
    ],
)
def test_verify_of_anything_else_is_6300_and_costs_a_try(send: Send, command: str) -> None:
    assert [send(command) for _ in range(3)] == ["6300"] * 3
    assert send(VERIFY) == "6300"
    assert send(SELECT) == "6999"


def test_verify_says_6300_of_a_blocked_pin_too(send: Send) -> None:
    for _ in range(3):
        send(WRONG)
    assert send(VERIFY) == "6300"


def test_a_right_pin_gives_the_tries_back(send: Send) -> None:
    for _ in range(4):
        assert [send(WRONG), send(WRONG), send(VERIFY)] == ["6300", "6300", "9000"]


def test_a_wrong_pin_after_the_right_one_ends_the_trust(trusted: Send) -> None:
    assert trusted(WRONG) == "6300"
    assert trusted(credit(1)) == "6301"


def test_tries_are_not_given_back_by_a_reset(card: JavaCard, send: Send) -> None:
    send(WRONG)
    send(WRONG)
    card.reset()
    assert [send(SELECT), send(WRONG), send(VERIFY)] == ["9000", "6300", "6300"]


# CREDIT


def test_credit_needs_the_pin(send: Send) -> None:
    assert send(credit(1)) == "6301"


def test_credit_adds(trusted: Send) -> None:
    assert [trusted(credit(127)), trusted(credit(1)), trusted(BALANCE)] == [
        "9000",
        "9000",
        "00809000",
    ]


def test_credit_of_nothing_is_accepted(trusted: Send) -> None:
    assert [trusted(credit(0)), trusted(BALANCE)] == ["9000", "00009000"]


@pytest.mark.parametrize("instruction", ["30", "40"])
@pytest.mark.parametrize("rest", ["", "00", "01", "FF", "020001", "03000102", "02000100"])
def test_an_amount_is_one_byte_or_6700(trusted: Send, instruction: str, rest: str) -> None:
    assert trusted(f"B0{instruction}0000{rest}") == "6700"


@pytest.mark.parametrize("amount", [0x80, 0x81, 0xFF])
@pytest.mark.parametrize("instruction", ["30", "40"])
def test_an_amount_above_127_is_6a83(trusted: Send, instruction: str, amount: int) -> None:
    assert trusted(f"B0{instruction}000001{amount:02X}") == "6A83"


def test_an_amount_may_come_with_le(trusted: Send) -> None:
    assert trusted(credit(5) + "00") == "9000"
    assert trusted(BALANCE) == "00059000"


def test_a_balance_above_32767_is_6a84(trusted: Send) -> None:
    fill(trusted, 0x7FFF)
    assert trusted(credit(0)) == "9000"
    assert trusted(credit(1)) == "6A84"
    assert trusted(BALANCE) == "7FFF9000"


# DEBIT


def test_debit_needs_the_pin(send: Send) -> None:
    assert send(debit(1)) == "6301"


def test_debit_takes(trusted: Send) -> None:
    trusted(credit(100))
    assert [trusted(debit(100)), trusted(BALANCE)] == ["9000", "00009000"]


def test_debit_of_nothing_is_accepted(trusted: Send) -> None:
    assert trusted(debit(0)) == "9000"


def test_a_balance_below_0_is_6a85(trusted: Send) -> None:
    trusted(credit(3))
    assert [trusted(debit(4)), trusted(BALANCE)] == ["6A85", "00039000"]


# GET BALANCE


def test_get_balance_needs_no_pin(send: Send) -> None:
    assert send(BALANCE) == "00009000"


@pytest.mark.parametrize("le", ["00", "02", "03", "FF"])
def test_get_balance_takes_any_le_of_2_or_more(trusted: Send, le: str) -> None:
    trusted(credit(0x12))
    assert trusted("B0500000" + le) == "00129000"


@pytest.mark.parametrize("rest", ["", "01", "01AA", "01AA01"])
def test_get_balance_with_le_less_than_2_is_6700(send: Send, rest: str) -> None:
    assert send("B0500000" + rest) == "6700"


def test_get_balance_drops_data(send: Send) -> None:
    assert send("B050000001AA02") == "00009000"


def test_get_balance_works_with_a_blocked_pin_until_the_next_selection(trusted: Send) -> None:
    trusted(credit(9))
    for _ in range(3):
        trusted(WRONG)
    assert trusted(BALANCE) == "00099000"


# Order of the checks


@pytest.mark.parametrize("instruction", ["30", "40"])
@pytest.mark.parametrize("rest", ["", "020001", "0180"])
def test_the_pin_comes_before_length_and_amount(send: Send, instruction: str, rest: str) -> None:
    assert send(f"B0{instruction}0000{rest}") == "6301"


def test_the_length_comes_before_the_amount(trusted: Send) -> None:
    assert trusted("B0300000028000") == "6700"


def test_the_amount_comes_before_the_balance(trusted: Send) -> None:
    fill(trusted, 0x7FFF)
    assert trusted(credit(0x80)) == "6A83"
    assert trusted(credit(0x7F)) == "6A84"


def test_the_class_comes_before_the_instruction(send: Send) -> None:
    assert send("8060000000") == "6E00"


# P1 and P2, classes and instructions


@pytest.mark.parametrize("parameters", ["0001", "0100", "FFFF"])
def test_p1_and_p2_are_not_looked_at(send: Send, parameters: str) -> None:
    assert send(f"B020{parameters}0431323334") == "9000"
    assert send(f"B030{parameters}0105") == "9000"
    assert send(f"B040{parameters}0101") == "9000"
    assert send(f"B050{parameters}02") == "00049000"


def test_every_other_instruction_is_6d00(send: Send) -> None:
    known = {0x20, 0x30, 0x40, 0x50}
    answers = {send(f"B0{ins:02X}000000") for ins in range(256) if ins not in known}
    assert answers == {"6D00"}


def test_every_other_class_is_6e00(send: Send) -> None:
    classes = [cla for cla in range(256) if cla != 0xB0]
    on_other_channels = {cla for cla in classes if cla >> 4 in {0, 8, 9, 10} and cla & 3}
    answers = {send(f"{cla:02X}50000002") for cla in classes if cla not in on_other_channels}
    assert answers == {"6E00"}
    assert {send(f"{cla:02X}50000002") for cla in on_other_channels} == {"6881"}


@pytest.mark.parametrize("command", ["B0", "B05000", "B0300000020A", "B030000001", "B03000000000"])
def test_what_is_no_apdu_is_6700(trusted: Send, command: str) -> None:
    assert trusted(command) == "6700"


def test_extended_apdus_are_6700(trusted: Send) -> None:
    assert trusted("B03000000000010A") == "6700"
    assert trusted("B0500000000002") == "6700"


# Life cycle


def test_deselection_ends_the_trust(trusted: Send) -> None:
    assert trusted(SELECT) == "9000"
    assert trusted(credit(1)) == "6301"


def test_a_reset_ends_trust_and_selection_and_keeps_the_balance(
    card: JavaCard, trusted: Send
) -> None:
    trusted(credit(7))
    card.reset()
    assert trusted(BALANCE) == "6999"
    assert [trusted(SELECT), trusted(credit(1)), trusted(BALANCE)] == ["9000", "6301", "00079000"]


def test_a_second_channel_cannot_select_the_wallet_too(send: Send) -> None:
    assert send("0070000001") == "019000"
    assert send("01" + SELECT[2:]) == "6985"


def test_on_another_channel_the_articles_class_check_refuses(card: JavaCard) -> None:
    send = sender(card)
    send("0070000001")
    assert send("01" + SELECT[2:]) == "6E00"  # it is selected, and sees class 01
    assert send(SELECT) == "6985"


def test_only_installing_anew_unblocks(card: JavaCard, send: Send) -> None:
    for _ in range(3):
        send(WRONG)
    card.reset()
    card.delete(WALLET_AID)
    card.install(WALLET_AID, parameters=b"1234")
    assert [send(SELECT), send(VERIFY), send(BALANCE)] == ["9000", "9000", "00009000"]


# Installation


@pytest.mark.parametrize("pin", [b"1", b"12345678", b"\0\0\0"])
def test_a_pin_has_1_to_8_bytes(pin: bytes) -> None:
    card = wallet_card(pin)
    card.power_on()
    send = sender(card)
    send(SELECT)
    assert send(f"B0200000{len(pin):02X}{pin.hex()}") == "9000"


@pytest.mark.parametrize("pin", [b"", b"123456789"])
def test_another_pin_is_refused(pin: bytes) -> None:
    with pytest.raises(InstallationRefused) as refused:
        wallet_card(pin)
    assert refused.value.sw == 0x6F00
    assert isinstance(refused.value.__cause__, PINException)


def raw_wallet(install_data: bytes) -> Send:
    card = JavaCard(Memory(), packages=(WALLET_PACKAGE,))
    card.power_on()
    card.instantiate(WALLET_AID, proposed_aid=WALLET_AID, install_data=install_data)
    send = sender(card)
    assert send(SELECT) == "9000"
    return send


def test_raw_installation_data_are_the_pin() -> None:
    assert raw_wallet(b"1234")(VERIFY) == "9000"


def test_installation_data_of_three_fields_hold_the_pin_last() -> None:
    assert raw_wallet(b"\x01\xaa\x00\x041234")(VERIFY) == "9000"


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"123456789", b"\x00\x00\x09123456789"])
def test_installation_data_without_a_pin_are_refused(data: bytes) -> None:
    with pytest.raises(InstallationRefused):
        raw_wallet(data)


# The other Wallets


def test_the_faithful_wallet_wraps_as_the_articles_code_does() -> None:
    card = wallet_card(b"1234", module_aid=FAITHFUL_WALLET_AID)
    card.power_on()
    send = sender(card)
    assert send("00A4040008F234123456100002") == "9000"
    send(VERIFY)
    fill(send, 0x7FFF)
    assert [send(credit(1)), send(BALANCE)] == ["9000", "80009000"]
    assert send(debit(0)) == "6A85"
    assert [send(debit(1)), send(BALANCE)] == ["9000", "7FFF9000"]


def test_the_kits_wallet_has_class_80_on_any_channel() -> None:
    card = wallet_card(b"1234", module_aid=KIT_WALLET_AID)
    card.power_on()
    send = sender(card)
    assert send("02A4040008F234123456100003") == "9000"
    assert [send("8220000004" + b"1234".hex()), send("8230000001" + "05")] == ["9000", "9000"]
    assert send("8250000002") == "00059000"
    assert send("00A4040008F234123456100003") == "6985"
    assert send("0070800200") == "9000"
    assert send("00A4040008F234123456100003") == "9000"
    assert [send("8050000002"), send("8030000001" + "05")] == ["00059000", "6301"]
    assert send(BALANCE) == "6E00"
