"""The Calypso card: file system, secure sessions, access conditions."""

from cardbench.emulator.calypso.card import CalypsoCard
from cardbench.emulator.calypso.factory import new_card

__all__ = ["CalypsoCard", "new_card"]
