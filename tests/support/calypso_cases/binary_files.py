"""Read, Update and Write Binary.

Source: calypso-card §4.4, §4.5.
"""

from __future__ import annotations

from support.calypso_cases.case import Row
from support.calypso_cases.steps import buffer_full, invalid, ok, session, verified

for _name, _ins in (("Read Binary", "B0"), ("Update Binary", "D6"), ("Write Binary", "D0")):
    _tail = "02" if _ins == "B0" else "021122"
    _head = f"00{_ins}"
    row = Row(f"{_name} (by SFI)")
    row(0x9000, f"{_head}9000{_tail}")
    row(0x6981, f"{_head}8700{_tail}")
    row(0x6982, f"{_head}9100{_tail}")
    row(0x6985, f"{_head}8400{_tail}")
    row(0x6986, f"{_head}8000{_tail}")
    row(0x6A82, f"{_head}9F00{_tail}")
    row(0x6A83, f"{_head}9110{_tail}", verified, session())
    row(0x6B00, f"{_head}C100{_tail}")
    row = Row(f"{_name} (current EF)")
    row(0x9000, f"{_head}0100{_tail}", ok("00B0900001"))
    row(0x6981, f"{_head}0000{_tail}", ok("00B2013C01"))
    row(0x6982, f"{_head}0000{_tail}", ok("00A4090002300C"))
    row(0x6985, f"{_head}0000{_tail}", ok("00A40900023002"))
    row(0x6986, f"{_head}0000{_tail}")
    row(0x6A83, f"{_head}012C{_tail}", ok("00B0900001"))
    row(0x6A83, f"{_head}7FFF{_tail}", ok("00B0900001"))
    row(0x6B00, f"{_head}C000{_tail}", ok("00B0900001"))
for _name, _ins in (("Update Binary", "D6"), ("Write Binary", "D0")):
    row = Row(f"{_name} (by SFI)")
    row.writes(f"00{_ins}9000021122")
    row(0x6700, f"00{_ins}910F021122", session())
    row = Row(f"{_name} (current EF)")
    row(0x9000, f"00{_ins}0000021122", session(), ok("00B0900001"))
    row(0x6985, f"00{_ins}0000021122", ok("00B0900001"), invalid)
    row(0x6400, f"00{_ins}0000021122", buffer_full, ok("00B0900001"))
    row(0x6700, f"00{_ins}012B021122", ok("00B0900001"))
Row("Read Binary (by SFI)")(0x6700, "00B0900001AA")
Row("Read Binary (by SFI)")(0x9000, "00B0910E00", verified, data="0000")
Row("Read Binary (by SFI)")(0x9000, "00B0900000", data="00" * 256)
Row("Read Binary (by SFI)")(0x9000, "00B09000", data="00" * 256)
Row("Read Binary (current EF)")(0x6700, "00B0000001AA", ok("00B0900001"))
