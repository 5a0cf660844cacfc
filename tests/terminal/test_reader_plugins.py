"""Reader plug-ins come from other distributions, by entry point."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.errors import ReaderError, ReaderNotFound, UsageError
from cardbench.terminal.readers.plugins import (
    is_address,
    load_plugin,
    open_reader,
    plugin_addresses,
    plugin_names,
)

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
from cardbench.terminal.readers import ScriptedReader

class Plugin:
    names = ("left", "right")
    def reader_names(self):
        return self.names
    def open_reader(self, name):
        return ScriptedReader(("00B2013C00", "71 9000"), name=name)

class Single(Plugin):
    names = ("only",)
"""


@pytest.fixture
def second_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a distribution of one module and its metadata."""
    (tmp_path / "acme_readers.py").write_text(CODE, "utf-8")
    metadata = tmp_path / "acme_readers-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-readers\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[cardbench.reader_plugins]\nacme = acme_readers:Plugin\nsolo = acme_readers:Single\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_readers", raising=False)


@pytest.mark.usefixtures("second_distribution")
def test_a_plugin_of_another_distribution_is_found() -> None:
    assert {"acme", "solo"} <= set(plugin_names())
    assert load_plugin("acme").reader_names() == ("left", "right")
    reader = open_reader("acme:right")
    reader.connect()
    assert reader.name == "right"
    assert reader.transmit(bytes.fromhex("00B2013C00")) == b"\x71\x90\x00"


@pytest.mark.usefixtures("second_distribution")
def test_an_only_reader_needs_no_name() -> None:
    assert open_reader("solo").name == "only"
    with pytest.raises(
        ReaderNotFound, match="acme: name one of its readers; there are: left, right"
    ):
        open_reader("acme")


def test_an_unknown_plugin_is_named() -> None:
    with pytest.raises(UsageError, match="no reader plug-in 'nowhere'; installed: "):
        open_reader("nowhere:reader")


@pytest.mark.usefixtures("second_distribution")
def test_the_addresses_of_all_plugins_are_listed() -> None:
    addresses = plugin_addresses()
    assert [each for each in addresses if each.startswith(("acme:", "solo:"))] == [
        "acme:left",
        "acme:right",
        "solo:only",
    ]
    assert is_address("acme:left")
    assert is_address("acme:")
    assert not is_address("acme")
    assert not is_address("Reader of acme: 00")


def test_a_plugin_that_does_not_load_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "broken_readers-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: broken-readers\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text(
        "[cardbench.reader_plugins]\nbroken = broken_readers:Plugin\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ReaderError, match=r"'broken' \(broken_readers:Plugin\) does not load"):
        open_reader("broken:any")
