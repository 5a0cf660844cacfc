"""The catalogue of cases behind the card's coverage report: (command row, status word) by example.

Each module adds the cases of one family of commands; importing the package fills the catalogue.

Source: calypso-card §4 (what each command answers), §4.22 (order of refusals), §4.23 (misuse).
"""

from support.calypso_cases import (  # noqa: F401 - they fill the catalogue
    binary_files,
    counters,
    pin_and_keys,
    pki,
    records,
    selection,
    sessions,
    stored_value,
)
from support.calypso_cases.case import CASES, NOT_REACHED, Case, run
from support.calypso_cases.steps import altered, ciphered_pin, invalid, new_key, new_pin, sv

__all__ = [
    "CASES",
    "NOT_REACHED",
    "Case",
    "altered",
    "ciphered_pin",
    "invalid",
    "new_key",
    "new_pin",
    "run",
    "sv",
]
