"""Selectors: the filters that a card must pass to match a case of a selection.

All filters are optional and combine with "and"; without any, every card matches.

Source: terminal-api §3.3, §5, §6 (SELECT); calypso-card §2.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum, unique

from cardbench.protocol.calypso.fci import DF_NAME_MAX_BYTES, DF_NAME_MIN_BYTES
from cardbench.protocol.calypso.ins import CLA_ISO, CalypsoIns
from cardbench.protocol.errors import UsageError

_P1_SELECT_BY_DF_NAME = 0x04


@unique
class FileOccurrence(IntEnum):
    """Which of the applications that match a DF name; bits 1 and 2 of P2."""

    FIRST = 0x00
    LAST = 0x01
    NEXT = 0x02
    PREVIOUS = 0x03


@unique
class FileControlInformation(IntEnum):
    """What SELECT answers; bits 3 and 4 of P2."""

    FCI = 0x00
    FCP = 0x04
    FMD = 0x08
    NO_RESPONSE = 0x0C


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCardSelector:
    """Filters on what is known before any command.

    Attributes:
        protocol: logical protocol name that the reader was told for the card's physical protocol.
        power_on_data: regular expression for the whole power-on data, written as upper-case
            hexadecimal. A reader that gives no power-on data passes.

    Raises:
        UsageError: an empty name, or a regular expression that is none.
    """

    protocol: str | None = None
    power_on_data: str | None = None
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.protocol is not None and not self.protocol:
            raise UsageError("a protocol filter needs a name")
        if self.power_on_data is not None:
            if not self.power_on_data:
                raise UsageError("a power-on data filter needs a regular expression")
            try:
                pattern = re.compile(self.power_on_data)
            except re.error as error:
                raise UsageError(
                    f"power-on data filter {self.power_on_data!r} is no regular expression: {error}"
                ) from None
            object.__setattr__(self, "_pattern", pattern)

    def accepts_power_on_data(self, power_on_data: bytes | None) -> bool:
        """Whether the power-on data pass the filter; none at all pass."""
        if self._pattern is None or power_on_data is None:
            return True
        return self._pattern.fullmatch(power_on_data.hex().upper()) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoCardSelector(BasicCardSelector):
    """Filters of `BasicCardSelector`, and an application that SELECT must find.

    Attributes:
        aid: DF name or its beginning, 5 to 16 bytes; None: no SELECT is sent.
        occurrence: which matching application.
        file_control_information: what SELECT answers.

    Raises:
        UsageError: an AID of the wrong length, and as `BasicCardSelector`.
    """

    aid: bytes | None = None
    occurrence: FileOccurrence = FileOccurrence.FIRST
    file_control_information: FileControlInformation = FileControlInformation.FCI
    _select: bytes | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        BasicCardSelector.__post_init__(self)
        aid = self.aid
        if aid is None:
            return
        if not DF_NAME_MIN_BYTES <= len(aid) <= DF_NAME_MAX_BYTES:
            raise UsageError(f"an AID of {len(aid)} byte(s); allowed: 5 to 16")
        header = (
            CLA_ISO,
            CalypsoIns.SELECT,
            _P1_SELECT_BY_DF_NAME,
            self.occurrence | self.file_control_information,
            len(aid),
        )
        object.__setattr__(self, "_select", bytes(header) + aid + b"\0")

    @property
    def select_command(self) -> bytes | None:
        """The SELECT command, Le always present; None without AID."""
        return self._select
