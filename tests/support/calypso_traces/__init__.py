"""Published traces of Calypso cards, as the sheet has them, with the card that must answer so.

Source: calypso-card §9 and the examples of §4; each trace names where the sheet took it from
(keyple-website user guide: a real card and SAM; keyple-java 1.0 and keyple-card-calypso tests;
layout-based where nothing is public).
"""

from support.calypso_traces import examples, files, pin_and_stored_value, real_card, sessions
from support.calypso_traces.sessions import (
    ABORTED_SESSION,
    REAL_SESSION,
    REGULAR_SESSION,
    UNRATIFIED_SESSION,
)
from support.calypso_traces.trace import RECORD_81, Trace

ALL: tuple[Trace, ...] = tuple(
    value
    for module in (sessions, pin_and_stored_value, files, examples, real_card)
    for value in vars(module).values()
    if isinstance(value, Trace)
)
"""Every trace there is."""

__all__ = [
    "ABORTED_SESSION",
    "ALL",
    "REAL_SESSION",
    "RECORD_81",
    "REGULAR_SESSION",
    "UNRATIFIED_SESSION",
    "Trace",
]
