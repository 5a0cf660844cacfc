"""Scripted readers that must have played their whole script when a test ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cardbench.terminal.readers import ScriptedReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cardbench.protocol.errors import ReaderError


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedReader]]:
    """Make scripted readers, as their class does."""
    made: list[ScriptedReader] = []

    def make(*script: tuple[str, str | ReaderError], **options: Any) -> ScriptedReader:  # noqa: ANN401
        reader = ScriptedReader(*script, **options)
        made.append(reader)
        return reader

    yield make
    for reader in made:
        assert reader.remaining == ()
