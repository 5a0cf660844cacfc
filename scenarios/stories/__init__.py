"""The stories of the bench, in one explicit list. A story's module is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cardbench.protocol.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.scenarios.stories.story import Story

__all__ = ["STORIES", "find_story"]

STORIES: Mapping[str, str] = {
    "identify": "cardbench.scenarios.stories.identify:IDENTIFY",
    "validation": "cardbench.scenarios.stories.validation:VALIDATION",
    "sale": "cardbench.scenarios.stories.sale:SALE",
    "pki-session": "cardbench.scenarios.stories.pki_session:PKI_SESSION",
    "pki-personalise": "cardbench.scenarios.stories.pki_personalise:PKI_PERSONALISE",
    "wallet": "cardbench.scenarios.stories.wallet:WALLET",
}
"""Name of each story, and where it is: `module:attribute`."""


def find_story(name: str) -> Story:
    """Return the story of this name.

    Raises:
        UsageError: there is none; the text lists them.
    """
    try:
        module, _, attribute = STORIES[name].partition(":")
    except KeyError:
        raise UsageError(f"no story {name!r}; there are: {', '.join(STORIES)}") from None
    story: Story = getattr(import_module(module), attribute)
    return story
