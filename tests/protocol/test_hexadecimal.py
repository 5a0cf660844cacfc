"""Hexadecimal text, at the edges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.protocol.errors import UsageError
from cardbench.protocol.hexadecimal import from_hex, to_hex


@given(st.binary(max_size=40))
def test_bytes_come_back(data: bytes) -> None:
    text = to_hex(data)
    assert from_hex(text) == data
    assert from_hex(text.lower()) == data
    assert from_hex(" ".join(text[at : at + 2] for at in range(0, len(text), 2))) == data
    assert len(text) == 2 * len(data)


def test_text_is_upper_case_without_spaces() -> None:
    assert to_hex(b"\x00\xa4\xff") == "00A4FF"


@pytest.mark.parametrize("text", ["0", "0G", "00 A", "0x00", "٠٠", "00-A4"])
def test_what_is_no_hexadecimal_is_refused_and_shown(text: str) -> None:
    with pytest.raises(UsageError, match="not hexadecimal"):
        from_hex(text)
