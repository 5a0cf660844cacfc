"""SV Get, SV Reload, SV Debit, SV Undebit.

Source: calypso-card §4.15, §6.
"""

from __future__ import annotations

from support.calypso_cases.case import Row
from support.calypso_cases.steps import (
    altered,
    buffer_full,
    change,
    exhausted,
    invalid,
    last_tnum,
    session,
    sv,
    sv_debited,
    sv_later,
)

# Stored Value
from cardbench.emulator.calypso.structure import PURSE_KEY

row = Row("SV Get")
row(0x9000, "007C000721")
row(0x9000, "007C00091E")
row(0x9000, "007C000700")
row(0x9000, "007C0009")
row(0x9000, "007C01073D")
row(0x9000, "007C01093D", session())
row(0x9000, "FA7C000721", preset="prime-2")
row(0x6985, "007C00091E", sv_debited)
row(0x6A81, "007C000800")
row(0x6A81, "007C020700")
row(0x6A81, "FA7C010700", preset="prime-2")
row(0x6A86, "007C00071E")
row(0x6A86, "007C010721")
row(0x6700, "007C0007021122")
row(0x6D00, "007C000721", preset="light-classic")
row(0x6D00, "007C000721", preset="hoplink-small")

for _name, _ins, _amount in (
    ("SV Reload", 0xB8, 100),
    ("SV Debit", 0xBA, -1),
    ("SV Undebit", 0xBC, 1),
):
    row = Row(_name)
    row(0x9000, sv(_ins, _amount))
    row(0x9000, sv(_ins, _amount, le="03"))
    row(0x9000, sv(_ins, _amount, extended=True, le="06"))
    row(0x9000, sv(_ins, _amount), preset="prime-2")
    row(0x6200, sv(_ins, _amount), session())
    row(0x6400, sv(_ins, _amount), buffer_full)
    row(0x6700, f"00{_ins:02X}5566057711223344")
    row(0x6900, sv(_ins, _amount), exhausted)
    row(0x6900, sv(_ins, _amount), last_tnum)
    row(0x6900, sv(_ins, _amount), change(PURSE_KEY, (0, 0xFFFF, bytes(6))))
    row(0x6985, f"00{_ins:02X}556614" + "11" * 20)
    row(0x6985, sv(_ins, _amount, kvc=0x75))
    row(0x6985, sv(_ins, _amount), invalid)
    row(0x6985, sv_later(sv(_ins, _amount)))
    row(0x6988, altered(sv(_ins, _amount)))
    row(0x6988, altered(sv(_ins, _amount), 6))
    row(0x6D00, f"00{_ins:02X}556614" + "11" * 20, preset="basic")
Row("SV Debit")(0x6985, sv(0xBA, 1))
Row("SV Debit")(0x6985, sv(0xBA, -2), change(PURSE_KEY, (-0x7FFFFF, 0, bytes(6))))
Row("SV Undebit")(0x6985, sv(0xBC, -1))
Row("SV Undebit")(0x6985, sv(0xBC, 1), change(PURSE_KEY, (0x7FFFFF, 0, bytes(6))))
Row("SV Reload")(0x9000, sv(0xB8, -100))
Row("SV Reload")(0x6985, sv(0xB8, 1), change(PURSE_KEY, (0x7FFFFF, 0, bytes(6))))
