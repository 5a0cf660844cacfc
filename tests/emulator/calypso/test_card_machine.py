"""A Calypso card and a simple model of one are sent the same commands and never disagree.

`make fuzz` does the same for 100,000 commands or more (`tools/fuzz_card.py`).
"""

from __future__ import annotations

import pytest
from support.calypso_machine import CardMachine

TestCardAgainstItsModel = pytest.mark.slow(CardMachine.TestCase)
