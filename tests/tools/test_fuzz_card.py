"""The long run of card against model: it goes deep, and what it finds can be found again."""

from __future__ import annotations

import fuzz_card
import pytest
from models.calypso_card import CalypsoModel

DEEP = {
    (0x8A, 0x9000): "Open",
    (0x8A, 0x6200): "pre-open",
    (0x8E, 0x9000): "Close",
    (0x8E, 0x6988): "Close, wrong MAC",
    (0x82, 0x9000): "Manage Secure Session",
    (0x20, 0x63C2): "wrong PIN",
    (0xD8, 0x9000): "Change PIN or Change Key",
    (0xD8, 0x6988): "wrong cryptogram",
    (0x7C, 0x9000): "SV Get",
    (0xBA, 0x9000): "SV Debit",
    (0x04, 0x9000): "Invalidate",
    (0x30, 0x6A80): "Decrease below zero",
    (0xDC, 0x6400): "Update Record, buffer full",
    (0xA2, 0x9000): "Search",
    (0xE2, 0x9000): "Append Record",
}


@pytest.mark.slow
def test_a_run_goes_deep_and_says_how_much_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_card.main(["--commands", "15000", "--seed", "1"]) == 0
    pairs = fuzz_card.machine().tally.pairs
    assert {name for pair, name in DEEP.items() if not pairs[pair]} == set()
    assert any(pairs[ins, 0x6200] for ins in (0xB8, 0xBA, 0xBC)), "Stored Value in a session"
    assert len(pairs) > 200
    last = capsys.readouterr().out.splitlines()[-1]
    assert "commands exchanged" in last
    assert "no disagreement" in last
    assert "seeds 1 to " in last


@pytest.mark.slow
def test_a_disagreement_is_told_with_the_line_that_finds_it_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CalypsoModel, "get_challenge", lambda *_: (b"", 0x6985))
    assert fuzz_card.main(["--commands", "100", "--seed", "5"]) == 1
    out = capsys.readouterr().out
    assert "AssertionError: to 00 84 00 00 08" in out
    again = out.splitlines()[-1]
    assert again == "again: make fuzz-card SEED=5 COMMANDS=1"
    assert fuzz_card.main(["--commands", "1", "--seed", "5"]) == 1


@pytest.mark.parametrize("text", ["0", "-3", "many"])
def test_a_count_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fuzz_card.main(["--commands", text])
    assert "--commands" in capsys.readouterr().err
