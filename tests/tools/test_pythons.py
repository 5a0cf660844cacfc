"""Pinning versions."""

from __future__ import annotations

import pins


def test_pins_that_agree_are_one_line_and_others_name_their_python() -> None:
    frozen = {
        "3.11": {"rich": "15.0", "numbers": "1.0", "backport": "2.0"},
        "3.12": {"rich": "15.0", "numbers": "1.1"},
    }
    assert pins.merge(frozen) == [
        "backport==2.0",
        'numbers==1.0; python_version == "3.11"',
        'numbers==1.1; python_version == "3.12"',
        "rich==15.0",
    ]
