"""Generic Card API: any ISO 7816 card, spoken to with plain APDUs."""

from cardbench.terminal.generic.card import GenericCard, GenericCardSelection
from cardbench.terminal.generic.transaction import ApduAnswer, GenericTransaction

__all__ = ["ApduAnswer", "GenericCard", "GenericCardSelection", "GenericTransaction"]
