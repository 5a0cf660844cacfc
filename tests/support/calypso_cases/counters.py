"""Increase and Decrease, of one counter and of several.

Source: calypso-card §4.9, §4.10.
"""

from __future__ import annotations

from support.calypso_cases.case import Row
from support.calypso_cases.steps import ok, session

for _name, _ins, _sign in (("Increase", "32", 1), ("Decrease", "30", -1)):
    row = Row(_name)
    row.by_sfi(
        lambda sfi, ins=_ins: f"00{ins}01{sfi << 3:02X}0300000000",  # type: ignore[misc]
        wrong_type=0x07,
        needs_key=0x19,
        never=0x05,
        wrong_p=f"00{_ins}01C90300000000",
    )
    row.writes(f"00{_ins}01700300000000")
    row(0x9000, f"00{_ins}01C80300000100", session(2), data=f"{10 + _sign:06X}")
    row(0x9000, f"00{_ins}01C803000001", session(2), data=f"{10 + _sign:06X}")
    row(0x9000, f"00{_ins}00500300000000", session(2), data="000000")  # a simulated counter
    row(0x6B00, f"00{_ins}01500300000000", session(2))
    row(0x6B00, f"00{_ins}00C80300000000", session(2))
    row(0x6B00, f"00{_ins}0AC80300000000", session(2))
    row(0x6B00, f"00{_ins}54C80300000000", session(2))
    row(0x6700, f"00{_ins}01C8020000")
    row(0x6200, f"94{_ins}01C803000000", session(2, "revision 2"), preset="prime-2", data="")
    row(0x6200, f"94{_ins}01C803000000", session(2, "revision 1"), preset="prime-1", data="")
Row("Increase")(0x6A80, "0032017003FFFFFF00", ok("003201700300000100"))
Row("Decrease")(0x6A80, "003001700300000100")

for _name, _ins in (("Increase Multiple", "3A"), ("Decrease Multiple", "38")):
    row = Row(_name)
    row.by_sfi(
        lambda sfi, ins=_ins: f"00{ins}00{sfi << 3:02X}040100000000",  # type: ignore[misc]
        wrong_type=0x0A,
        needs_key=0x19,
        never=0x05,
        wrong_p=f"00{_ins}01C8040100000000",
    )
    row.writes(f"00{_ins}007008010000000200000000")
    row(0x6A80, f"00{_ins}007008010000000100000000")  # a counter twice
    row(0x6A80, f"00{_ins}0070040400000000")  # no such counter
    row(0x6A80, f"00{_ins}0070040000000000")
    row(0x6700, f"00{_ins}0070050100000000")
    row(0x9000, f"94{_ins}00C8040100000000", session(2, "revision 2"), preset="prime-2")
row = Row("Increase Multiple")
row(
    0x9000,
    "003A00700C01000001020000020300000300",
    ok("003A00700C01000010020000200300003000"),
    data="010000110200002203000033",
)
row(0x6A80, "003A00700401FFFFFF00", ok("003201700300000100"))
Row("Decrease Multiple")(0x6A80, "0038007008010000000200000100")
