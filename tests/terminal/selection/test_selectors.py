"""Selectors build the SELECT of the sheet and refuse arguments early."""

import pytest

from cardbench.protocol.errors import UsageError
from cardbench.terminal.selection import (
    BasicCardSelector,
    FileControlInformation,
    FileOccurrence,
    IsoCardSelector,
)

AID = bytes.fromhex("315449432E49434131")


def test_select_has_first_occurrence_and_fci_unless_told_otherwise() -> None:
    selector = IsoCardSelector(aid=AID)
    assert selector.select_command == bytes.fromhex("00A4040009315449432E4943413100")


@pytest.mark.parametrize("occurrence", FileOccurrence)
@pytest.mark.parametrize("information", FileControlInformation)
def test_p2_is_occurrence_and_control_information(
    occurrence: FileOccurrence, information: FileControlInformation
) -> None:
    command = IsoCardSelector(
        aid=AID, occurrence=occurrence, file_control_information=information
    ).select_command
    assert command is not None
    assert command[3] == occurrence + information
    assert {int(o) for o in FileOccurrence} == {0, 1, 2, 3}
    assert {int(i) for i in FileControlInformation} == {0, 4, 8, 12}


def test_without_aid_nothing_is_selected() -> None:
    assert IsoCardSelector().select_command is None


@pytest.mark.parametrize("size", [4, 17])
def test_an_aid_has_5_to_16_bytes(size: int) -> None:
    with pytest.raises(UsageError, match="allowed: 5 to 16"):
        IsoCardSelector(aid=bytes(size))


@pytest.mark.parametrize("pattern", ["", "3B(", "*"])
def test_a_power_on_data_filter_is_a_regular_expression(pattern: str) -> None:
    with pytest.raises(UsageError):
        BasicCardSelector(power_on_data=pattern)


def test_a_protocol_filter_has_a_name() -> None:
    with pytest.raises(UsageError):
        BasicCardSelector(protocol="")


def test_power_on_data_must_match_from_end_to_end() -> None:
    selector = BasicCardSelector(power_on_data="3B8F8001805A0A..")
    assert selector.accepts_power_on_data(bytes.fromhex("3B8F8001805A0A01"))
    assert not selector.accepts_power_on_data(bytes.fromhex("3B8F8001805A0A0103"))
    assert not selector.accepts_power_on_data(bytes.fromhex("003B8F8001805A0A01"))


def test_a_reader_without_power_on_data_passes() -> None:
    assert BasicCardSelector(power_on_data="3B.*").accepts_power_on_data(None)
