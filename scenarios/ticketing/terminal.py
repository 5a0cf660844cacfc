"""What gate and sales desk have in common: a SAM that is selected once, and a card application.

Source: sequences §8 (the SAM stays selected).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.errors import CardNotPresent, FileNotFound
from cardbench.terminal.calypso import CalypsoCard, CalypsoSelection
from cardbench.terminal.card import CardChannel
from cardbench.terminal.legacy_sam import (
    LegacySam,
    LegacySamCryptoFactory,
    LegacySamSelection,
    SamProductType,
    sam_selector,
)
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from cardbench.terminal.readers import Reader

TRANSPORT_AID = bytes.fromhex("A000000291FF9101")


def select_sam(reader: Reader | CardChannel) -> LegacySamCryptoFactory:
    """Select the SAM by its ATR; return the crypto module that it is.

    Raises:
        CardNotPresent: no SAM that can serve is in the reader.
        ReaderError: the link failed.
    """
    channel = CardChannel.over(reader)
    manager = CardSelectionManager()
    for product in (SamProductType.SAM_C1, SamProductType.SAM_S1E1):
        manager.prepare_selection(sam_selector(product), LegacySamSelection())
    sam = manager.process(channel).active_smart_card
    if not isinstance(sam, LegacySam):
        raise CardNotPresent(f"{channel.name}: what is in the reader is no SAM")
    return LegacySamCryptoFactory(channel, sam)


class ApplicationSelection:
    """Selects the transport application, and reads records along.

    Args:
        aid: DF name, or its beginning.
        reads: SFI and record number of what is read along.
    """

    def __init__(self, aid: bytes, *reads: tuple[int, int]) -> None:
        self._aid = aid
        extension = CalypsoSelection()
        for sfi, record in reads:
            extension.prepare_read_record(sfi, record)
        self._manager = CardSelectionManager()
        self._manager.prepare_selection(IsoCardSelector(aid=aid), extension)

    def select(self, reader: Reader | CardChannel) -> CalypsoCard:
        """Select; an invalidated application does not match.

        Raises:
            FileNotFound: the card has no such application, or it is invalidated.
            ReaderError: the link failed.
        """
        card = self._manager.process(reader).active_smart_card
        if not isinstance(card, CalypsoCard):
            raise FileNotFound(0x6A82, f"Select Application {self._aid.hex().upper()}")
        return card
