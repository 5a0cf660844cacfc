"""Stored Value logs: the load log (22 bytes) and the debit log (19 bytes).

In a 29-byte record of SFI 14 or 15 the log comes first; `parse` reads its beginning.

Source: calypso-card §6.3; terminal-api §10.4.
"""

from __future__ import annotations

from typing import NamedTuple

from cardbench.protocol.errors import MalformedCardData

SFI_LOAD_LOG = 0x14
SFI_DEBIT_LOG = 0x15
LOAD_LOG_SIZE_BYTES = 22
DEBIT_LOG_SIZE_BYTES = 19
DEBIT_LOG_RECORDS = 3

BALANCE_MIN = -0x80_0000
BALANCE_MAX = 0x7F_FFFF


def _signed(raw: bytes) -> int:
    return int.from_bytes(raw, signed=True)


class SvLoadLog(NamedTuple):
    """One reload of the purse.

    Attributes:
        date, time: 2 bytes each, as the terminal gave them.
        free: the two free bytes.
        kvc: version of the load key.
        balance: after the reload, signed.
        amount: signed; negative = unload.
        sam_id: 4 bytes.
        sam_tnum: transaction number of the SAM.
        sv_tnum: transaction number of the purse.
    """

    date: bytes
    time: bytes
    free: bytes
    kvc: int
    balance: int
    amount: int
    sam_id: bytes
    sam_tnum: int
    sv_tnum: int

    @classmethod
    def parse(cls, raw: bytes) -> SvLoadLog:
        """Read a load log.

        Raises:
            MalformedCardData: shorter than 22 bytes.
        """
        if len(raw) < LOAD_LOG_SIZE_BYTES:
            raise MalformedCardData(f"SV load log of {len(raw)} byte(s); it has 22")
        return cls(
            date=raw[0:2],
            time=raw[11:13],
            free=raw[2:3] + raw[4:5],
            kvc=raw[3],
            balance=_signed(raw[5:8]),
            amount=_signed(raw[8:11]),
            sam_id=raw[13:17],
            sam_tnum=int.from_bytes(raw[17:20]),
            sv_tnum=int.from_bytes(raw[20:22]),
        )

    def encode(self) -> bytes:
        """Write the 22 bytes."""
        return b"".join(
            (
                self.date,
                self.free[:1],
                bytes((self.kvc,)),
                self.free[1:],
                self.balance.to_bytes(3, signed=True),
                self.amount.to_bytes(3, signed=True),
                self.time,
                self.sam_id,
                self.sam_tnum.to_bytes(3),
                self.sv_tnum.to_bytes(2),
            )
        )


class SvDebitLog(NamedTuple):
    """One debit or undebit of the purse.

    Attributes:
        amount: signed; negative = debit, positive = undebit.
        date, time: 2 bytes each, as the terminal gave them.
        kvc: version of the debit key.
        sam_id: 4 bytes.
        sam_tnum: transaction number of the SAM.
        balance: after the operation, signed.
        sv_tnum: transaction number of the purse.
    """

    amount: int
    date: bytes
    time: bytes
    kvc: int
    sam_id: bytes
    sam_tnum: int
    balance: int
    sv_tnum: int

    @classmethod
    def parse(cls, raw: bytes) -> SvDebitLog:
        """Read a debit log.

        Raises:
            MalformedCardData: shorter than 19 bytes.
        """
        if len(raw) < DEBIT_LOG_SIZE_BYTES:
            raise MalformedCardData(f"SV debit log of {len(raw)} byte(s); it has 19")
        return cls(
            amount=_signed(raw[0:2]),
            date=raw[2:4],
            time=raw[4:6],
            kvc=raw[6],
            sam_id=raw[7:11],
            sam_tnum=int.from_bytes(raw[11:14]),
            balance=_signed(raw[14:17]),
            sv_tnum=int.from_bytes(raw[17:19]),
        )

    def encode(self) -> bytes:
        """Write the 19 bytes."""
        return b"".join(
            (
                self.amount.to_bytes(2, signed=True),
                self.date,
                self.time,
                bytes((self.kvc,)),
                self.sam_id,
                self.sam_tnum.to_bytes(3),
                self.balance.to_bytes(3, signed=True),
                self.sv_tnum.to_bytes(2),
            )
        )
