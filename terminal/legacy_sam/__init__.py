"""Legacy SAM API: SAM selection, image, the symmetric crypto service, certificates."""

from cardbench.terminal.legacy_sam.certificates import CardCertificateRequest, SamCertification
from cardbench.terminal.legacy_sam.crypto_service import LegacySamCryptoFactory
from cardbench.terminal.legacy_sam.sam import LegacySam, SamProductType, SamTraits
from cardbench.terminal.legacy_sam.selection import LegacySamSelection, sam_selector

__all__ = [
    "CardCertificateRequest",
    "LegacySam",
    "LegacySamCryptoFactory",
    "LegacySamSelection",
    "SamCertification",
    "SamProductType",
    "SamTraits",
    "sam_selector",
]
