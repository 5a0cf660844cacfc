"""Calypso Card API: card image and transaction managers."""

from cardbench.protocol.calypso.file_header import DirectoryHeader, EfType, FileHeader
from cardbench.protocol.calypso.ins import DataObject, WriteAccessLevel
from cardbench.protocol.calypso.startup import ProductType, StartupInformation
from cardbench.protocol.calypso.sv_log import SvDebitLog, SvLoadLog
from cardbench.terminal.calypso.card import CalypsoCard
from cardbench.terminal.calypso.commands.management import SelectFileControl
from cardbench.terminal.calypso.commands.searching import SearchQuery, SearchResult
from cardbench.terminal.calypso.commands.session import SessionOpening
from cardbench.terminal.calypso.commands.stored_value import SvAction, SvOperation, SvState
from cardbench.terminal.calypso.files import ElementaryFile, FileData
from cardbench.terminal.calypso.pki import SecurePkiModeTransactionManager
from cardbench.terminal.calypso.pki_setting import AsymmetricSecuritySetting
from cardbench.terminal.calypso.purse_commands import SvLogs
from cardbench.terminal.calypso.secure import (
    SecureExtendedModeTransactionManager,
    SecureRegularModeTransactionManager,
    SecureSymmetricTransactionManager,
)
from cardbench.terminal.calypso.selection import CalypsoSelection
from cardbench.terminal.calypso.setting import SymmetricSecuritySetting
from cardbench.terminal.calypso.transaction import FreeTransactionManager, TransactionManager
from cardbench.terminal.card.handle import Handle

__all__ = [
    "AsymmetricSecuritySetting",
    "CalypsoCard",
    "CalypsoSelection",
    "DataObject",
    "DirectoryHeader",
    "EfType",
    "ElementaryFile",
    "FileData",
    "FileHeader",
    "FreeTransactionManager",
    "Handle",
    "ProductType",
    "SearchQuery",
    "SearchResult",
    "SecureExtendedModeTransactionManager",
    "SecurePkiModeTransactionManager",
    "SecureRegularModeTransactionManager",
    "SecureSymmetricTransactionManager",
    "SelectFileControl",
    "SessionOpening",
    "StartupInformation",
    "SvAction",
    "SvDebitLog",
    "SvLoadLog",
    "SvLogs",
    "SvOperation",
    "SvState",
    "SymmetricSecuritySetting",
    "TransactionManager",
    "WriteAccessLevel",
]
