"""Card selection: by AID, power-on data and protocol."""

from cardbench.terminal.selection.manager import (
    CardSelectionManager,
    CardSelectionResult,
    ScheduledResponse,
)
from cardbench.terminal.selection.selectors import (
    BasicCardSelector,
    FileControlInformation,
    FileOccurrence,
    IsoCardSelector,
)

__all__ = [
    "BasicCardSelector",
    "CardSelectionManager",
    "CardSelectionResult",
    "FileControlInformation",
    "FileOccurrence",
    "IsoCardSelector",
    "ScheduledResponse",
]
