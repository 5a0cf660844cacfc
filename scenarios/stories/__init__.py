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
    "validation-prefetched": "cardbench.scenarios.stories.validation:VALIDATION_PREFETCHED",
    "recovery": "cardbench.scenarios.stories.validation:RECOVERY",
    "sale": "cardbench.scenarios.stories.sale:SALE",
    "plain-pin": "cardbench.scenarios.stories.pin:PLAIN_PIN",
    "key-and-pin-update": "cardbench.scenarios.stories.pin:KEY_AND_PIN_UPDATE",
    "ciphered-pin-inside": "cardbench.scenarios.stories.pin:CIPHERED_PIN_INSIDE",
    "data-signing-outside": "cardbench.scenarios.stories.signing:DATA_SIGNING_OUTSIDE",
    "data-signing-inside": "cardbench.scenarios.stories.signing:DATA_SIGNING_INSIDE",
    "stored-value-outside": "cardbench.scenarios.stories.stored_value:STORED_VALUE_OUTSIDE",
    "stored-value-inside": "cardbench.scenarios.stories.stored_value:STORED_VALUE_INSIDE",
    "multiple-sessions": "cardbench.scenarios.stories.sessions:MULTIPLE_SESSIONS",
    "early-authentication": "cardbench.scenarios.stories.sessions:EARLY_AUTHENTICATION",
    "encrypted-session": "cardbench.scenarios.stories.sessions:ENCRYPTED_SESSION",
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
