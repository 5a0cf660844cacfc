"""Read, Update, Write and Append Record; Read Record Multiple and Search Record Multiple.

Source: calypso-card §4.1 to §4.3, §4.6 to §4.8, §4.20.
"""

from __future__ import annotations

from support.calypso_cases.case import Row
from support.calypso_cases.steps import (
    BLANK,
    RECORD,
    encrypted,
    invalid,
    ok,
    session,
    sv_debited,
    verified,
)

row = Row("Read Records (one)")
row.by_sfi(
    lambda sfi: f"00B201{sfi << 3 | 4:02X}00",
    wrong_type=0x10,
    needs_key=0x03,
    never=0x01,
    wrong_p="00B2013E00",
)
row(0x9000, "00B2024C1D", data=BLANK)
row(0x9000, "00B2024C00", data=BLANK)
row(0x9000, "00B2024C03", data="00000F")
row(0x9000, "00B2024CFA", data=BLANK)
row(0x9000, "00B2024C", data=BLANK)
row(0x9000, "94B2024C1D", data=BLANK)
row(0x9000, "00B2020400", ok("00B2014C01"), data=BLANK)  # the current EF
row(0x9000, "00B2011C1D", verified, data="00" * 29)
row(0x9000, "00B2015400", data="000000")  # a simulated counter
row(0x9000, "00B201CC06", data="00000A000000")
row(0x9000, "00B2013C00", invalid)
row(0x6982, "00B2015C00", session())
row(0x9000, "00B2015C00", encrypted, data="00" * 8)
row(0x6982, "00B2016400", encrypted)
row(0x6982, "00B2016400", verified)
row(0x9000, "00B2016400", verified, encrypted, data="00" * 8)
row(0x6985, "00B201A400", sv_debited)
row(0x6A83, "00B2003C00")
row(0x6A83, "00B2023C00")
row(0x6A83, "00B2FF3C00")
row(0x6700, "00B2013C01AA")

row = Row("Read Records (several)")
row.by_sfi(
    lambda sfi: f"00B201{sfi << 3 | 5:02X}00",
    wrong_type=0x10,
    needs_key=0x03,
    never=0x01,
    wrong_p="00B2013F00",
)
row(0x9000, "00B2034D3E", data="031D" + BLANK + "041D" + BLANK)
row(0x9000, "00B2034D3D", data="031D" + BLANK)
row(0x9000, "00B2034D05", data="031D00000F")
row(0x9000, "00B2019500", data="".join(f"{n:02X}08" + "00" * 8 for n in range(1, 26)))
row(0x6A83, "00B2054D00")
row(0x6A83, "00B2004D00")
row(0x6700, "00B2014D01AA")

row = Row("Ratification")
row(0x6B00, "00B2000000")
row(0x6B00, "94B20000")

# Update, Write, Append Record

row = Row("Update Record")
row.by_sfi(
    lambda sfi: f"00DC01{sfi << 3 | 4:02X}0411223344",
    wrong_type=0x10,
    needs_key=0x07,
    never=0x01,
    wrong_p="00DC013D0400112233",
)
row.writes("00DC016C0411223344")
row(0x9000, "00DC013C0400112233", session(1))
row(0x9000, "00DC01441D" + RECORD, session())
row(0x9000, "00DC01CC03000005", session(2))
row(0x9000, "00DC015403000005", session(2))
row(0x6982, "00DC014C0111", session(3))
row(0x6981, "00DC02440111", session())  # a cyclic file takes record 1 only
row(0x6A83, "00DC04440111", session())
row(0x6A83, "00DC003C0111", session(1))
row(0x6700, "00DC013C1E" + "11" * 30, session(1))
row(0x6700, "00DC013C00")

row = Row("Write Record")
row.by_sfi(
    lambda sfi: f"00D201{sfi << 3 | 4:02X}0411223344",
    wrong_type=0x19,
    needs_key=0x02,
    never=0x1D,
    wrong_p="00D2013D0111",
)
row.writes("00D2016C0411223344")
row(0x6981, "00D201540111", session())  # simulated counter
row(0x6981, "00D201840111", session())  # binary
row(0x9000, "00D201440484332211", session())
row(0x6981, "00D202440111", session())
row(0x6A83, "00D204440111", session())
row(0x6A83, "00D2036C0111")
row(0x6700, "00D2016C09" + "11" * 9)

row = Row("Append Record")
row.by_sfi(
    lambda sfi: f"00E200{sfi << 3:02X}0411223344",
    wrong_type=0x07,
    needs_key=0x08,
    never=0x06,
    wrong_p="00E201400111",
)
row.writes("00E200780411223344")
row(0x9000, "00E200401D" + RECORD, session())
row(0x6700, "00E2007805" + "11" * 5)

# Read Record Multiple, Search Record Multiple

row = Row("Read Record Multiple")
row.by_sfi(
    lambda sfi: f"00B301{sfi << 3 | 5:02X}045402000100",
    wrong_type=0x10,
    needs_key=0x03,
    never=0x01,
    wrong_p="00B3014C045402000100",
)
row(0x9000, "00B3014D045402020100", data="130F0F0F")
row(0x9000, "00B3034D045402020204", data="0FFF0FFF")
row(0x6200, "00B3024D045402020204", data="0FFF0FFF")
row(0x6200, "00B30195045402000200", data="00" * 256)
row(0x6A80, "00B3014D045502000100")
row(0x6A80, "00B3014D045403000100")
row(0x6A80, "00B3014D045402000000")
row(0x6A80, "00B3014D0454021D0100")
row(0x6A80, "00B3014D045402001E00")
row(0x6A83, "00B3004D045402000100")
row(0x6A83, "00B3054D045402000100")
row(0x6700, "00B3014D0354020000")
row(0x6700, "00B3014D045402000201")
row(0x9000, "00B30155045402000300", data="000000")

row = Row("Search Record Multiple")
row.by_sfi(
    lambda sfi: f"00A201{sfi << 3 | 7:02X}0500000111FF00",
    wrong_type=0x10,
    needs_key=0x03,
    never=0x01,
    wrong_p="00A2014E0500000111FF00",
)
row(0x9000, "00A2014F050002010FFF00", data="03020304")
row(0x9000, "00A2034F050002010FFF00", data="020304")
row(0x9000, "00A2014F0500020155FF00", data="00")
row(0x9000, "00A2014F0501020155FF00", data="00")
row(0x9000, "00A2014F050102010FFF00", data="03020304" + BLANK)
row(0x9000, "00A2014F058000010FFF00", data="03020304")
row(0x9000, "00A2014F058003010FFF00", data="00")
row(0x9000, "00A2014F050003010F0F00", data="03020304")
row(0x9000, "00A201CF0900000300000AFFFFFF00", data="0101")
row(0x9000, "00A201570500000100FF00", data="0101")
row(0x6400, "00A201970501000100FF00", preset="workshop")
row(0x6400, "00A2014F050102010FFF02")
row(0x6A80, "00A2014F050000020FFF00")
row(0x6A80, "00A2014F054002010FFF00")
row(0x6A80, "00A2014F05001D010FFF00")
row(0x6A80, "00A201570500030100FF00")
row(0x6A83, "00A2004F050002010FFF00")
row(0x6A83, "00A2054F050002010FFF00")
row(0x6700, "00A2014F0300020100")
