"""The commands of the SAM, one module per family; each declares its rows in `table.TABLE`."""

from __future__ import annotations

from importlib import import_module

_FAMILIES = (
    "basics",
    "card_keys",
    "certificates",
    "digest",
    "reading",
    "sealing",
    "signatures",
    "stored_value",
    "writing",
)


def fill_table() -> None:
    """Import every family, so that the command table is whole."""
    for family in _FAMILIES:
        import_module(f"{__name__}.{family}")
