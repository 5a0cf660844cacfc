"""Legacy SAM API: SAM selection, image and the symmetric crypto service."""

from cardbench.terminal.legacy_sam.crypto_service import LegacySamCryptoFactory
from cardbench.terminal.legacy_sam.sam import LegacySam, SamProductType, SamTraits
from cardbench.terminal.legacy_sam.selection import LegacySamSelection, sam_selector

__all__ = [
    "LegacySam",
    "LegacySamCryptoFactory",
    "LegacySamSelection",
    "SamProductType",
    "SamTraits",
    "sam_selector",
]
