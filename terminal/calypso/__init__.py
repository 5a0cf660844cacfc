"""Calypso Card API: card image and transaction managers."""

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.terminal.calypso.card import CalypsoCard
from cardbench.terminal.calypso.commands.handle import Handle
from cardbench.terminal.calypso.files import ElementaryFile, FileData
from cardbench.terminal.calypso.pki import SecurePkiModeTransactionManager
from cardbench.terminal.calypso.pki_setting import AsymmetricSecuritySetting
from cardbench.terminal.calypso.secure import (
    SecureExtendedModeTransactionManager,
    SecureRegularModeTransactionManager,
    SecureSymmetricTransactionManager,
)
from cardbench.terminal.calypso.selection import CalypsoSelection
from cardbench.terminal.calypso.setting import SymmetricSecuritySetting
from cardbench.terminal.calypso.transaction import FreeTransactionManager, TransactionManager

__all__ = [
    "AsymmetricSecuritySetting",
    "CalypsoCard",
    "CalypsoSelection",
    "ElementaryFile",
    "FileData",
    "FreeTransactionManager",
    "Handle",
    "SecureExtendedModeTransactionManager",
    "SecurePkiModeTransactionManager",
    "SecureRegularModeTransactionManager",
    "SecureSymmetricTransactionManager",
    "SymmetricSecuritySetting",
    "TransactionManager",
    "WriteAccessLevel",
]
