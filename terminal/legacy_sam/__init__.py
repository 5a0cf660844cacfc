"""Legacy SAM API: selection, image, crypto service, transactions, certificates, resources."""

from cardbench.terminal.legacy_sam.asynchronous import (
    MalformedSamDocument,
    SamAsyncCreator,
    SamAsyncExecutor,
)
from cardbench.terminal.legacy_sam.certificates import CardCertificateRequest, SamCertification
from cardbench.terminal.legacy_sam.crypto_service import LegacySamCryptoFactory
from cardbench.terminal.legacy_sam.reading import CounterStatus
from cardbench.terminal.legacy_sam.resources import (
    SamPool,
    SamResource,
    SamResourceProfile,
    SamResourceService,
)
from cardbench.terminal.legacy_sam.sam import (
    CounterIncrementAccess,
    KeyParameter,
    LegacySam,
    SamProductType,
    SamTraits,
    SystemKeyType,
)
from cardbench.terminal.legacy_sam.secure_write import (
    SamSecureWriteTransaction,
    SamSecuritySetting,
)
from cardbench.terminal.legacy_sam.selection import (
    DynamicUnlock,
    LegacySamSelection,
    StaticUnlock,
    sam_selector,
)
from cardbench.terminal.legacy_sam.signatures import (
    BasicSignature,
    CardTransactionLegacySamExtension,
    Revocation,
    SamTrace,
    SamTraceabilityMode,
    SignedData,
    TraceableSignature,
)
from cardbench.terminal.legacy_sam.transaction import SamFreeTransaction

__all__ = [
    "BasicSignature",
    "CardCertificateRequest",
    "CardTransactionLegacySamExtension",
    "CounterIncrementAccess",
    "CounterStatus",
    "DynamicUnlock",
    "KeyParameter",
    "LegacySam",
    "LegacySamCryptoFactory",
    "LegacySamSelection",
    "MalformedSamDocument",
    "Revocation",
    "SamAsyncCreator",
    "SamAsyncExecutor",
    "SamCertification",
    "SamFreeTransaction",
    "SamPool",
    "SamProductType",
    "SamResource",
    "SamResourceProfile",
    "SamResourceService",
    "SamSecureWriteTransaction",
    "SamSecuritySetting",
    "SamTrace",
    "SamTraceabilityMode",
    "SamTraits",
    "SignedData",
    "StaticUnlock",
    "SystemKeyType",
    "TraceableSignature",
    "sam_selector",
]
