"""Status words and how they are put in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.protocol.errors import CardError, InvalidPin
from cardbench.protocol.status import StatusWord, describe, more_bytes


@pytest.mark.parametrize(
    ("sw", "words"),
    [
        (0x9000, "9000 ok"),
        (0x6A82, "6A82 file not found"),
        (0x63C0, "63C0 0 attempt(s) left"),
        (0x63C3, "63C3 3 attempt(s) left"),
        (0x6110, "6110 16 byte(s) to fetch"),
        (0x6100, "6100 256 byte(s) to fetch"),
        (0x6C1D, "6C1D exact length is 29"),
        (0x6C00, "6C00 exact length is 256"),
        (0x6F42, "6F42"),
    ],
)
def test_a_status_word_is_put_in_words(sw: int, words: str) -> None:
    assert describe(sw) == words


@given(st.integers(0, 0xFFFF))
def test_every_description_starts_with_the_four_digits(sw: int) -> None:
    assert describe(sw).split(" ", maxsplit=1)[0] == f"{sw:04X}"


@pytest.mark.parametrize("sw", StatusWord)
def test_the_status_words_are_those_of_iso_7816_4(sw: StatusWord) -> None:
    # ISO/IEC 7816-4 §5.6: SW1 is 6x but not 60, or 90.
    assert sw == 0x9000 or sw >> 8 in {*range(0x61, 0x70)}


def test_every_error_names_status_words_that_cards_use() -> None:
    claimed = {sw for child in CardError.__subclasses__() for sw in child.status_words}
    counting = InvalidPin.status_words  # `describe` tells the attempts
    assert claimed - counting <= set(StatusWord)


@pytest.mark.parametrize(
    ("count", "sw"), [(1, 0x6101), (255, 0x61FF), (256, 0x6100), (999, 0x6100)]
)
def test_waiting_bytes_are_announced_with_61xx(count: int, sw: int) -> None:
    assert more_bytes(count) == sw
