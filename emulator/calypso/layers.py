"""One TOML file laid over another: what `base` does.

`base` names a packaged preset, or a TOML file beside the one that names it. Values replace, tables are
merged, applications and files by their LID; a new one of them stands before the next in the list that the
base has, or at the end.

This module reads files (an edge).

Source: our choice.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cardbench.emulator.calypso.profile import packaged
from cardbench.protocol.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

LAYERS_MAX: Final = 16


def read_layers(text: str, origin: str, folder: Path = Path(), *, depth: int = 1) -> dict[str, Any]:
    """Read TOML with all that it is based on.

    Args:
        text: TOML.
        origin: what to call it in an error text.
        folder: where a base that is a file is looked for.
        depth: how many files lie above, this one included.

    Raises:
        UsageError: it is no TOML, there is no such base, or there is no end of bases.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{origin}: not TOML: {error}") from None
    base = document.pop("base", None)
    if base is None:
        return document
    if depth == LAYERS_MAX:
        raise UsageError(f"{origin}: more than {LAYERS_MAX} files, each the base of the one before")
    if isinstance(base, str) and base.endswith(".toml"):
        path = folder / base
        below = read_layers(_text_of(path, origin), str(path), path.parent, depth=depth + 1)
    else:
        name = str(base)
        packed = packaged("presets", name, "card preset")
        below = read_layers(packed, f"preset {name}", depth=depth + 1)
    return merged(below, document)


def _text_of(path: Path, origin: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{origin}: base {path}: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{origin}: base {path}: no text in UTF-8") from None


def merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one table over another: values replace, tables merge, lists of tables merge by LID."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and key != "keys":
            result[key] = merged(old, value)
        elif old and _is_by_lid(old) and _is_by_lid(value):
            result[key] = _merged_by_lid(old, value)
        else:
            result[key] = value
    return result


def _merged_by_lid(
    below: list[dict[str, Any]], above: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Lay applications or files over others; new ones stand before the next one that is there already."""
    result = list(below)
    at = len(result)
    for table in reversed(above):
        lids = [_lid_of(each) for each in result]
        if _lid_of(table) in lids:
            at = lids.index(_lid_of(table))
            result[at] = merged(result[at], table)
        else:
            result.insert(at, dict(table))
    return result


def _lid_of(table: Mapping[str, Any]) -> object:
    """Return a LID as a number, however it is written; what is no LID is refused later."""
    lid = table["lid"]
    try:
        return int(lid, 16) if isinstance(lid, str) else lid
    except ValueError:
        return lid


def _is_by_lid(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(e, dict) and "lid" in e for e in value)
