"""Our terminal, asked for what an outside terminal was asked for, sends the same bytes.

Both are programmed by the CNA Terminal APIs, both stand before the same cards of the same seed: so the
requests can be compared literally, MACs and cryptograms included. What each reader gets is compared in its
order. Two things may differ, and are taken away on both sides:

* Le behind data: the outside terminal lets it fall where the SAM ciphered the command, or where it did not
  know how the card counts.
* Select Diversifier with the diversifier that the SAM has already: our terminal does not repeat it.

Where card and SAM have the extended mode, the outside terminal uses it in its "regular" manager too; here
the manager for extended mode stands for both.

Source: `tests/vectors/recorded-terminal.toml`.
"""

from __future__ import annotations

import pytest
from support.recorded_bench import SEED, Bench, listening
from support.recorded_plays import PLAYED
from support.recorded_sam_plays import SAM_PLAYED
from support.recorded_terminal import recorded_sessions, requests_to

from cardbench.protocol.apdu import without_le_of_case_4

SELECT_DIVERSIFIER = 0x14
WAS = {each.what: each for each in recorded_sessions()}


def without_repeated_diversifiers(commands: list[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    last = b""
    for command in commands:
        if command[1] == SELECT_DIVERSIFIER:
            if command == last:
                continue
            last = command
        kept.append(command)
    return kept


def in_hexadecimal(commands: list[bytes]) -> list[str]:
    return [without_le_of_case_4(command).hex().upper() for command in commands]


@pytest.mark.parametrize("what", PLAYED)
def test_our_terminal_sends_what_the_outside_terminal_sent(what: str) -> None:
    session = WAS[what]
    play, aid = PLAYED[what]
    bench = Bench(session, aid)
    play(bench)
    to_card, to_sam = (requests_to(session, reader, SEED) for reader in (0, 1))
    assert in_hexadecimal(bench.heard[0]) == in_hexadecimal(to_card)
    ours, theirs = map(without_repeated_diversifiers, (bench.heard[1], to_sam))
    assert in_hexadecimal(ours) == in_hexadecimal(theirs)


@pytest.mark.parametrize("what", SAM_PLAYED)
def test_our_terminal_asks_a_sam_what_the_outside_terminal_asked(what: str) -> None:
    channels, heard = listening(WAS[what])
    SAM_PLAYED[what](channels[0])
    asked = (heard[0], requests_to(WAS[what], 0, SEED))
    ours, theirs = map(without_repeated_diversifiers, asked)
    assert in_hexadecimal(ours) == in_hexadecimal(theirs)
