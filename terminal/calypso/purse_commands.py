"""The Stored Value purse: its logs, which every transaction can read.

Source: terminal-api §11.1; calypso-card §6.1, §6.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cardbench.protocol.calypso.startup import SUBTYPE_STORED_VALUE
from cardbench.protocol.calypso.sv_log import (
    DEBIT_LOG_RECORDS,
    SFI_DEBIT_LOG,
    SFI_LOAD_LOG,
    SvDebitLog,
    SvLoadLog,
)
from cardbench.terminal.calypso.commands.stored_value import ReadSvLog
from cardbench.terminal.calypso.preparing import Preparing
from cardbench.terminal.card.handle import Joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cardbench.terminal.card.handle import Handle

LOG_RECORD_SIZE_BYTES = 29


class SvLogs(NamedTuple):
    """The logs of a purse: the last reload, and the last debits and undebits, newest first."""

    load: SvLoadLog
    debits: tuple[SvDebitLog, ...]


class PurseLogCommands(Preparing):
    """Part of `TransactionManager`: the logs of the purse."""

    def prepare_sv_read_all_logs(self) -> Handle[SvLogs]:
        """Read the load log and the debit logs of a Stored Value application.

        Raises:
            NotSupported: the card has no purse, or the application is no Stored Value one.
        """
        self._require(self.card.is_sv_feature_available, "Stored Value")
        startup = self.card.startup
        self._require(
            startup is not None and startup.application_subtype == SUBTYPE_STORED_VALUE,
            "reading the Stored Value logs",
        )
        records = [(SFI_LOAD_LOG, 1)]
        records += [(SFI_DEBIT_LOG, number) for number in range(1, DEBIT_LOG_RECORDS + 1)]
        strict = self.is_session_prepared
        return Joined(
            [
                self._add(
                    ReadSvLog(self._cla, sfi, number, LOG_RECORD_SIZE_BYTES, is_strict=strict)
                )
                for sfi, number in records
            ],
            _logs,
        )


def _logs(records: Sequence[bytes]) -> SvLogs:
    return SvLogs(SvLoadLog.parse(records[0]), tuple(map(SvDebitLog.parse, records[1:])))
