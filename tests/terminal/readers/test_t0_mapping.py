"""The terminal's T=0 mapping, against a scripted link: what goes out, what comes back."""

from __future__ import annotations

import pytest

from cardbench.protocol.errors import ProtocolError, UsageError
from cardbench.terminal.readers.t0 import exchange_t0


class Link:
    """Answers in the order given, and keeps what was sent."""

    def __init__(self, *answers: str) -> None:
        self.answers = [bytes.fromhex(answer) for answer in answers]
        self.sent = []

    def __call__(self, command: bytes) -> bytes:
        self.sent.append(command.hex().upper())
        return self.answers.pop(0)


def exchange(command: str, *answers: str) -> tuple[list[str], str]:
    link = Link(*answers)
    response = exchange_t0(link, bytes.fromhex(command))
    assert link.answers == []
    return link.sent, response.hex().upper()


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        ("00B20104", "00B2010400"),  # case 1 gets a fifth byte
        ("00B201041D", "00B201041D"),
        ("00A4040002AABB", "00A4040002AABB"),
        ("00A4040002AABB00", "00A4040002AABB"),  # Le of case 4 is dropped
        ("00A40400000000", "00A4040000"),  # extended case 2 for 65,536 bytes
        ("00A40400000080", "00A4040080"),
        ("00A40400000002AABB", "00A4040002AABB"),
        ("00A40400000002AABB0000", "00A4040002AABB"),
    ],
)
def test_each_case_goes_out_as_t0_can_carry_it(command: str, sent: str) -> None:
    assert exchange(command, "9000") == ([sent], "9000")


@pytest.mark.parametrize("cla", ["00", "80", "94"])
def test_waiting_data_are_fetched_in_the_commands_class(cla: str) -> None:
    sent, response = exchange(f"{cla}A4040002AABB00", "6103", "0102039000")
    assert sent[1:] == [f"{cla}C0000003"]
    assert response == "0102039000"


def test_data_that_wait_in_pieces_are_put_together() -> None:
    sent, response = exchange("00CA000002", "01026102", "036101", "046283")
    assert sent == ["00CA000002", "00C0000002", "00C0000001"]
    assert response == "010203046283"


def test_a_wrong_length_is_corrected_once() -> None:
    assert exchange("00B2010400", "6C02", "AABB9000") == (["00B2010400", "00B2010402"], "AABB9000")
    assert exchange("00B2010400", "6C02", "6C03")[1] == "6C03"
    assert exchange("00B20104", "6C02", "AABB9000")[0] == ["00B2010400", "00B2010402"]


def test_a_length_may_be_corrected_while_fetching() -> None:
    sent, response = exchange("80A4040001AA00", "6100", "6C02", "AABB9000")
    assert sent[1:] == ["80C0000000", "80C0000002"]
    assert response == "AABB9000"


def test_a_command_with_data_is_never_sent_again() -> None:
    assert exchange("00A4040001AA00", "6C02") == (["00A4040001AA"], "6C02")


def test_a_response_that_is_none_is_handed_up() -> None:
    assert exchange("00A4040001AA00", "")[1] == ""


@pytest.mark.parametrize("command", ["", "00A404", "00A4040003AABB", "00A4040000AA"])
def test_bytes_that_are_no_command_are_refused(command: str) -> None:
    with pytest.raises(UsageError):
        exchange(command)


def test_more_data_than_t0_carries_is_refused() -> None:
    with pytest.raises(UsageError, match="at most 255"):
        exchange("00A40400000100" + "00" * 256)


@pytest.mark.parametrize("answers", [("6102", "6102"), ("6102", "")])
def test_a_card_that_announces_and_does_not_give_is_reported(answers: tuple[str, ...]) -> None:
    with pytest.raises(ProtocolError):
        exchange("00A4040001AA00", *answers)


def test_a_card_that_never_ends_is_reported() -> None:
    with pytest.raises(ProtocolError, match="no end"):
        exchange_t0(lambda _command: bytes(200) + b"\x61\x10", bytes.fromhex("00B2010400"))
