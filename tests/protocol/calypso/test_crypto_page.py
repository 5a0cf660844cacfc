"""`docs/crypto.md` says what the code does: every vector on it, and its example for licensees."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from support.pages import texts_of
from support.suite_calls import OURS

from cardbench.emulator.calypso import CalypsoCard
from cardbench.protocol.calypso.aes_suite import AesSuite
from cardbench.protocol.calypso.suite import ENTRY_POINT_GROUP, SymmetricSuite, load_suite
from cardbench.protocol.errors import UsageError
from cardbench.sam_emulator import SamCard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Install = Callable[..., None]

REPEATED = {"element"}


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "crypto.md").read_text("utf-8")


def vector_of(block: str) -> dict[str, Any]:
    """Read a vector block: the function, `name = value` lines, then the results after arrows."""
    function, *lines = block.splitlines()
    inputs: dict[str, Any] = {}
    outputs: dict[str, str] = {}
    for line in lines:
        name, value = line.removeprefix("→ ").split(" = ")
        if line.startswith("→ "):
            outputs[name] = value
        elif name in REPEATED:
            inputs.setdefault(name, []).append(value)
        else:
            inputs[name] = value
    return {"function": function, "inputs": inputs, "outputs": outputs}


def test_every_vector_on_the_page_is_what_the_code_computes(page: str) -> None:
    found = [vector_of(block) for block in texts_of(page, "vector")]
    assert {vector["function"] for vector in found} == set(OURS)
    for vector in found:
        results = OURS[vector["function"]](AesSuite(), vector["inputs"])
        shown = {name: value.hex().upper() for name, value in results.items()}
        assert vector["outputs"] == shown, vector["function"]


def test_the_page_shows_the_vectors_of_the_file(page: str, repository: Path) -> None:
    """So that whoever writes a third implementation can take either."""
    file = repository / "tests" / "vectors" / "symmetric_suite.json"
    kept = json.loads(file.read_text("utf-8"))["functions"]
    for vector in kept:
        vector["inputs"] = {name: found for name, found in vector["inputs"].items() if found != []}
    shown = [vector_of(block) for block in texts_of(page, "vector")]
    order = sorted(kept, key=json.dumps)
    assert sorted(shown, key=json.dumps) == order


def test_every_function_of_a_suite_is_on_the_page(page: str) -> None:
    names = {name for name in vars(SymmetricSuite) if not name.startswith("_")}
    inverse = {"open_pin_change", "unwrap_key", "open_sam_block"}
    shown = {vector_of(block)["function"] for block in texts_of(page, "vector")}
    assert shown - {"public_test_master", "session"} | {"start_session"} == names - inverse


# A licensee's package


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package as pip leaves it: a module, and metadata that names entry points."""

    def put(name: str, value: str, code: str = "") -> None:
        module = value.split(":", maxsplit=1)[0]
        if code:
            (tmp_path / f"{module}.py").write_text(code)
        metadata = tmp_path / f"{name}_suite-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}-suite\nVersion: 1.0\n"
        )
        (metadata / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(tmp_path)

    return put


def test_the_example_of_the_page_is_a_suite_for_card_and_sam(page: str, install: Install) -> None:
    suite_code, use = texts_of(page, "python")
    (entry,) = texts_of(page, "toml")
    header, line = entry.splitlines()
    assert header == f'[project.entry-points."{ENTRY_POINT_GROUP}"]'
    name, value = re.fullmatch(r'(\w+) = "([\w:]+)"', line).groups()  # type: ignore[union-attr]
    install(name, value, suite_code)

    suite = load_suite(name)
    assert suite.name == name
    assert suite.diversify(bytes(16), bytes(8)) != AesSuite().diversify(bytes(16), bytes(8))
    built: dict[str, Any] = {}
    exec(use, built)  # noqa: S102 - our own page
    assert isinstance(built["card"], CalypsoCard)
    assert isinstance(built["sam"], SamCard)
    for one in (built["card"], built["sam"]):
        assert one.suite.name == name


def test_a_suite_that_is_not_installed_is_named_with_those_that_are(install: Install) -> None:
    install("other", "other_suite:Suite")
    with pytest.raises(UsageError, match=r"no symmetric suite 'acme'; installed: .*aes.*other"):
        load_suite("acme")


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ("absent_module:Suite", "", "absent_module"),
        ("suite_without:Suite", "pass", "Suite"),
        ("suite_wanting:Suite", "class Suite:\n    def __init__(self, seed): pass", "seed"),
        ("suite_partial:Suite", "class Suite:\n    name = 'partial'", "lacks: diversify, .*unlock"),
    ],
)
def test_what_is_no_suite_is_refused_with_the_reason(
    install: Install, value: str, code: str, message: str
) -> None:
    install("broken", value, code)
    with pytest.raises(UsageError, match=message):
        load_suite("broken")
