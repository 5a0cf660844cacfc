"""The rootless PC/SC service: unmodified PC/SC programs see our slots, with no pcscd and no root."""

from cardbench.emulator.readers.pcsclite.reader import PublishedReader
from cardbench.emulator.readers.pcsclite.service import (
    SOCKET_VARIABLE,
    PcscService,
    ServiceBusy,
)

__all__ = ["SOCKET_VARIABLE", "PcscService", "PublishedReader", "ServiceBusy"]
