"""A Wallet lives in a file: closed and opened, and after its power failed in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.wallet_session import BALANCE, SELECT, VERIFY, WRONG

from cardbench.emulator.applets.wallet import WALLET_PACKAGE, wallet_card
from cardbench.emulator.chassis import Moment, Tear
from cardbench.emulator.javacard import JavaCard
from cardbench.emulator.storage import CardFile
from cardbench.protocol.errors import MalformedImage
from cardbench.protocol.link import PowerLoss

if TYPE_CHECKING:
    from pathlib import Path

CREDIT = "B03000000164"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "wallet.card"
    CardFile.create(place, wallet_card(b"1234").snapshot()).close()
    return place


def answers(file: CardFile, *commands: str) -> list[str]:
    card = JavaCard(file.memory, packages=(WALLET_PACKAGE,), entropy=file.entropy, clock=file.clock)
    card.power_on()
    return [card.transmit(bytes.fromhex(each)).hex().upper() for each in (SELECT, *commands)][1:]


def test_a_wallet_goes_on_where_its_file_was_closed(path: Path) -> None:
    with CardFile.open(path) as file:
        assert answers(file, VERIFY, CREDIT, WRONG) == ["9000", "9000", "6300"]
    with CardFile.open(path) as file:
        assert answers(file, CREDIT, BALANCE, WRONG, WRONG) == ["6301", "00649000", "6300", "6300"]
        assert answers(file, BALANCE) == ["6999"]


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("write", range(4))
def test_a_torn_credit_is_recovered_from_the_file(path: Path, write: int, moment: Moment) -> None:
    with CardFile.open(path) as file:
        card = JavaCard(file.memory, packages=(WALLET_PACKAGE,))
        card.power_on()
        for command in (SELECT, VERIFY):
            card.transmit(bytes.fromhex(command))
        file.memory.arm(Tear(write, moment))
        with pytest.raises(PowerLoss):
            card.transmit(bytes.fromhex(CREDIT))
    with CardFile.open(path) as file:
        is_new = write > 1 or (write == 1 and moment is Moment.AFTER)
        assert answers(file, BALANCE) == ["00649000" if is_new else "00009000"]


def test_another_cards_file_is_no_wallet(tmp_path: Path) -> None:
    card = wallet_card(b"1234")
    card.memory.commit({("applets",): b"something else"})
    with (
        CardFile.create(tmp_path / "other.card", card.snapshot()) as file,
        pytest.raises(MalformedImage),
    ):
        answers(file, BALANCE)
