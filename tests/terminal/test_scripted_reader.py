"""The scripted reader insists on its script."""

import pytest

from cardbench.protocol.errors import CardNotPresent, CardRemoved
from cardbench.terminal.readers import ScriptedReader, UnexpectedCommand

READ = bytes.fromhex("00B2013C00")


def test_a_script_is_played_in_order() -> None:
    reader = ScriptedReader(("00B2013C00", "71 9000"), ("00 B2 01 3C 00", CardRemoved("gone")))
    reader.connect()
    assert reader.transmit(READ) == b"\x71\x90\x00"
    with pytest.raises(CardRemoved):
        reader.transmit(READ)
    assert reader.sent == ["00B2013C00"] * 2
    assert reader.remaining == ()


def test_another_command_or_moment_is_refused() -> None:
    reader = ScriptedReader(("00B2014400", "9000"))
    with pytest.raises(UnexpectedCommand, match="closed channel"):
        reader.transmit(READ)
    reader.reset()
    with pytest.raises(UnexpectedCommand, match="expected was 00B2014400"):
        reader.transmit(READ)
    with pytest.raises(UnexpectedCommand, match="after the end"):
        reader.transmit(READ)


def test_an_empty_reader_has_no_card() -> None:
    reader = ScriptedReader(atr=None)
    assert reader.state() == reader.wait_for_change(0, 1.0) == (False, 0)
    with pytest.raises(CardNotPresent):
        reader.connect()
