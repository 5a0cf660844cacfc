"""The Calypso card: file system, secure sessions, PIN, Stored Value, access conditions, products as data."""

from cardbench.emulator.calypso.card import CalypsoCard
from cardbench.emulator.calypso.factory import card_of, new_card

__all__ = ["CalypsoCard", "card_of", "new_card"]
