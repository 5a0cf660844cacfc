"""The examples of the command reference, on cards that have such files: calypso-card §4.1 to §4.10.

Left out is §4.2's example: its terminal's stub stops after two records of one byte each, where a card has
room for all five.
"""

from __future__ import annotations

from support.calypso_traces.trace import BLANK_CONTRACT, Trace

_ALWAYS = '["AA", "AA", "AA", "AA"]'


def _card(*files: tuple[int, str, int, str]) -> str:
    """A card with files of (SFI, type, size, contents), every one always accessible."""
    text = 'base = "bench"\n[[applications]]\nlid = 0x2000\naid = "A000000291FF9101"\n'
    for sfi, kind, size, contents in files:
        records = [f'"{content}"' for content in contents.split()]
        text += f"""
            [[applications.files]]
            lid = {0x3000 + sfi}
            sfi = {sfi}
            type = "{kind}"
            records = {max(1, len(records))}
            size = {size}
            access = {_ALWAYS}
            content = [{", ".join(records)}]
            """
    return text


READ_RECORDS = Trace(
    "§4.1 two records of one byte",
    _card((0x01, "linear", 1, "11 22")),
    (("00B2010D06", "01 01 11 02 01 22 9000"),),
)
READ_CONTRACTS = Trace(
    "§4.1 two contracts of 29 bytes; one record",
    'base = "kit-regular"\n[[applications]]\nlid = 0x2000\n',
    (
        (
            "00A4040008A000000291FF910100",
            "6F228408A000000291FF9101A516BF0C13C708000000001122334453070A3C2302141001 9000",
        ),
        ("00B2034D3E", f"031D{BLANK_CONTRACT} 041D{BLANK_CONTRACT} 9000"),
        ("00B2013C1D", "00" * 29 + "9000"),
    ),
)
SEARCH = Trace(
    "§4.3 search at one offset",
    _card((0x01, "linear", 6, "00 000000001234 00 1234 00 1234")),
    (("00A2010F07 00 00 02 1234 FFFF 00", "02 04 06 9000"),),
)
SEARCH_EVERY_OFFSET = Trace(
    "§4.3 search at every offset, with the content of the first match",
    _card((0x04, "linear", 6, "000000001234 00 1234 112233123456 00 000000001234")),
    (("00A2022707 81 03 02 1234 FFFF 00", "02 04 06 112233123456 9000"),),
)
UPDATE_BINARY = Trace(
    "§4.4, §4.5 Update Binary and Read Binary",
    _card((0x01, "binary", 300, "")),
    (
        ("00D68100021122", "9000"),
        ("00D68102023344", "9000"),
        ("00D681040155", "9000"),
        ("00D601000166", "9000"),
        ("00B0810001", "11 9000"),
        ("00B0010001", "66 9000"),
    ),
)
WRITE_BINARY = Trace(
    "§4.5 Write Binary",
    _card((0x01, "binary", 300, "80 ")),
    (
        ("00D08100021122", "9000"),
        ("00D08102023344", "9000"),
        ("00D081040155", "9000"),
        ("00D001000166", "9000"),
        ("00B0810005", "91 22334455 9000"),
    ),
)
RECORDS = Trace(
    "§4.6 to §4.8 Update, Write and Append Record",
    _card((0x06, "linear", 29, "AAAAAAAAAA"), (0x0F, "cyclic", 29, "00 00 00")),
    (
        ("00DC01340400112233", "9000"),
        ("00B2013405", "00112233AA 9000"),
        ("00D201340484332211", "9000"),
        ("00B2013405", "84332233AA 9000"),
        ("00E20078048899AABB", "9000"),
        ("00B2017C05", "8899AABB00 9000"),
    ),
)
DECREASE = Trace(
    "§4.9 Decrease",
    _card((0x01, "counters", 29, "001122")),
    (("003001080300006400", "0010BE 9000"),),
)
INCREASE = Trace(
    "§4.9 Increase",
    _card((0x01, "counters", 29, "002211")),
    (("003201080300006400", "002275 9000"),),
)
INCREASE_WITHOUT_LE = Trace(
    "§4.9 Increase as case 3",
    _card((0x01, "counters", 29, "002211")),
    (("0032010803000064", "002275 9000"),),
)
INCREASE_MULTIPLE = Trace(
    "§4.10 Increase Multiple",
    _card((0x01, "counters", 29, "000010000020000030")),
    (("003A00080C 01000001 02000002 03000003 00", "01000011 02000022 03000033 9000"),),
)
DECREASE_MULTIPLE = Trace(
    "§4.10 Decrease Multiple",
    _card(
        (
            0x01,
            "counters",
            29,
            "000122 000244 000000 000000 000000 000000 000000 000910".replace(" ", ""),
        )
    ),
    (("003800080C 01000011 02000022 08000088 00", "01000111 02000222 08000888 9000"),),
)
