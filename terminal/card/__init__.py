"""Card API: grouped requests and their responses, and what a card solution extends."""

from cardbench.terminal.card.channel import CardChannel, Observer
from cardbench.terminal.card.extension import (
    CardSelectionExtension,
    CardSelectionRequest,
    CardSelectionResponse,
    SmartCard,
)
from cardbench.terminal.card.handle import Handle
from cardbench.terminal.card.journal import Exchange, Journal, JournalEntry
from cardbench.terminal.card.requests import (
    SUCCESS,
    ApduRequest,
    ChannelControl,
    PlainRequest,
    SecretRequest,
)

__all__ = [
    "SUCCESS",
    "ApduRequest",
    "CardChannel",
    "CardSelectionExtension",
    "CardSelectionRequest",
    "CardSelectionResponse",
    "ChannelControl",
    "Exchange",
    "Handle",
    "Journal",
    "JournalEntry",
    "Observer",
    "PlainRequest",
    "SecretRequest",
    "SmartCard",
]
