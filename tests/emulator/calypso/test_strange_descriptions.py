"""Whatever stands in a document, a report or a TOML file: a card, or an error that the user can read."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.calypso_workshop import made

from cardbench.emulator.calypso.analyzer_report import parse_report
from cardbench.emulator.calypso.document import (
    document_of,
    encode_document,
    parse_document,
    snapshot_of,
)
from cardbench.emulator.calypso.factory import card_of
from cardbench.emulator.calypso.from_report import card_from_report
from cardbench.emulator.calypso.personalisation import parse_personalisation
from cardbench.protocol.errors import CardbenchError

VECTOR = Path(__file__).parents[2] / "vectors" / "card_analyzer_report.json"
REPORT: dict[str, Any] = json.loads(VECTOR.read_text("utf-8"))
DOCUMENT: dict[str, Any] = json.loads(encode_document(document_of(made("pki").snapshot())))

Path_ = tuple[str | int, ...]


def places(value: object, path: Path_ = ()) -> list[Path_]:
    """Every place of a JSON value."""
    found = [path] if path else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, child in items:
        found += places(child, (*path, name))
    return found


STRANGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(
        ["", "00", "FF", "0000", "FFFF", "1F", "zz", "é", "AA", "S1", "linear", "bench", "0A" * 300]
    ),
    st.lists(st.integers(0, 300), max_size=3),
    st.dictionaries(st.sampled_from(["lid", "kif", "x"]), st.integers(0, 3), max_size=2),
)


def changed(original: dict[str, Any], changes: list[tuple[int, object]]) -> dict[str, Any]:
    """Put a strange value at some places; a place that is gone is left out."""
    result = copy.deepcopy(original)
    known = places(original)
    for number, value in changes:
        *way, last = known[number % len(known)]
        at: Any = result
        try:
            for name in way:
                at = at[name]
            at[last] = value
        except (LookupError, TypeError):
            continue
    return result


CHANGES = st.lists(st.tuples(st.integers(0, 10_000), STRANGE), min_size=1, max_size=3)


@pytest.mark.slow
@given(CHANGES)
def test_a_changed_document_makes_a_card_or_an_error(changes: list[tuple[int, object]]) -> None:
    fields = changed(DOCUMENT, changes)
    try:
        snapshot = snapshot_of(parse_document(json.dumps(fields)))
    except CardbenchError:
        return
    assert snapshot_of(document_of(snapshot)) == snapshot


@pytest.mark.slow
@given(CHANGES)
@example([(40, -1)])
@example([(41, -1)])
@example([(3940, 256)])
def test_a_changed_report_makes_a_card_or_an_error(changes: list[tuple[int, object]]) -> None:
    fields = changed(REPORT, changes)
    try:
        found = card_from_report(parse_report(json.dumps(fields)))
    except CardbenchError:
        return
    card = card_of(found.card)
    card.power_on()
    assert len(card.transmit(bytes.fromhex("94B2013C1D"))) >= 2


@pytest.mark.slow
@given(st.text(max_size=60))
@example('product = { name = "x" }')
@example("applications = 1")
@example("[[applications]]\nlid = []")
@example("applications = [1]")
@example("base = 1")
def test_any_text_is_a_card_or_an_error(text: str) -> None:
    for whole in (text, f'base = "bench"\n{text}'):
        try:
            card = parse_personalisation(whole, origin="my card")
        except CardbenchError:
            continue
        card_of(card).power_on()
