"""The handlers of the Calypso card's commands; importing this package fills the command table."""

from cardbench.emulator.calypso.commands import (
    binary,
    counters,
    data_objects,
    directory,
    keys,
    pin,
    pki,
    records,
    search,
    selection,
    session,
    stored_value,
)

__all__ = [
    "binary",
    "counters",
    "data_objects",
    "directory",
    "keys",
    "pin",
    "pki",
    "records",
    "search",
    "selection",
    "session",
    "stored_value",
]
