"""A model that judges the project must not lean on it: it may import the APDU encoding, no more.

A model in several modules may import those: each of them is held to the same rule.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

MODELS = sorted((Path(__file__).resolve().parents[1] / "models").glob("*.py"))
ALLOWED = {"cardbench.protocol.apdu"} | {f"models.{path.stem}" for path in MODELS}


def imports(source: str) -> set[str]:
    """Return every module that a source imports, wherever in it; relative ones with their dots."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Name) and node.id in {"__import__", "exec", "eval"}:
            found.add(f".{node.id}")
    return found


def of_ours(modules: set[str]) -> set[str]:
    """Return those that are the project's, its tests', or not to be seen through."""
    ours = {"cardbench", "support", "models", "independent", "conftest", "importlib"}
    return {name for name in modules if name.startswith(".") or name.partition(".")[0] in ours}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_imports_nothing_of_ours_but_the_apdu_encoding(path: Path) -> None:
    assert of_ours(imports(path.read_text(encoding="utf-8"))) <= ALLOWED


def test_there_are_models() -> None:
    assert MODELS


@pytest.mark.parametrize(
    "line",
    [
        "import cardbench.emulator.javacard",
        "from cardbench.protocol import wallet",
        "from cardbench import protocol",
        "def late():\n    from cardbench.emulator.applets.wallet import Wallet",
        "from support.javacard_scene import Bench",
        "from . import other",
        "from models.anything import other",
        "import models",
        "import importlib",
        "__import__('cardbench')",
    ],
)
def test_the_check_sees_every_way_in(line: str) -> None:
    assert of_ours(imports(line)) - ALLOWED
