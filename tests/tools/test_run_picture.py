"""The picture of a run."""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree as ET

import run_picture


def text_of(picture: str) -> str:
    root = ET.fromstring(picture)  # noqa: S314 - our own
    return html.unescape(" ".join("".join(node.itertext()) for node in root.iter() if node.text))


def test_it_shows_the_run_and_is_the_same_each_time() -> None:
    picture = run_picture.draw("validation")
    assert "7 card exchanges (10 APDUs), 3 SAM exchanges (6 APDUs)" in text_of(picture).replace(
        "\xa0", " "
    )
    assert picture == run_picture.draw("validation")


def test_it_fetches_nothing() -> None:
    assert not re.search(r"url\(\W*https?:", run_picture.draw("identify"))
