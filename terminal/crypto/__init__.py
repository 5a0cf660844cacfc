"""Symmetric Crypto API: the seam between a Calypso card transaction and any SAM."""

from cardbench.terminal.crypto.symmetric import (
    Deferred,
    SvCommandData,
    SvSecurityData,
    SymmetricCryptoFactory,
    SymmetricCryptoTransaction,
)

__all__ = [
    "Deferred",
    "SvCommandData",
    "SvSecurityData",
    "SymmetricCryptoFactory",
    "SymmetricCryptoTransaction",
]
