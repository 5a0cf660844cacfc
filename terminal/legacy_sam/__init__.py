"""Legacy SAM API: SAM selection, image, the symmetric crypto service, certificates."""

from cardbench.terminal.legacy_sam.certificates import CardCertificateRequest, SamCertification
from cardbench.terminal.legacy_sam.crypto_service import LegacySamCryptoFactory
from cardbench.terminal.legacy_sam.sam import LegacySam, SamProductType, SamTraits
from cardbench.terminal.legacy_sam.selection import LegacySamSelection, sam_selector
from cardbench.terminal.legacy_sam.signatures import (
    BasicSignature,
    CardTransactionLegacySamExtension,
    SamTrace,
    SamTraceabilityMode,
    SignedData,
    TraceableSignature,
)

__all__ = [
    "BasicSignature",
    "CardCertificateRequest",
    "CardTransactionLegacySamExtension",
    "LegacySam",
    "LegacySamCryptoFactory",
    "LegacySamSelection",
    "SamCertification",
    "SamProductType",
    "SamTrace",
    "SamTraceabilityMode",
    "SamTraits",
    "SignedData",
    "TraceableSignature",
    "sam_selector",
]
