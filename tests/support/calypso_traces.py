"""Published traces of Calypso cards, as the sheet has them, with the card that must answer so.

Source: calypso-card §9; each trace names where the sheet took it from (keyple-website user guide: a real
card and SAM; keyple-java 1.0 and keyple-card-calypso tests; layout-based where nothing is public).
"""

from __future__ import annotations

from typing import NamedTuple

RECORD_71 = "71" + "11" * 28
RECORD_81 = "81" + "11" * 28
BLANK_CONTRACT = "00000F" + "FF" * 26
EVENT = "0011" + "22" * 27


class Trace(NamedTuple):
    """Commands with their answers, and the personalisation of the card.

    Attributes:
        name: section of the sheet and what it shows.
        toml: the card, as changes of a preset.
        exchanges: (command, response with status word) in hexadecimal.
        kvc: version of the session keys.
    """

    name: str
    toml: str
    exchanges: tuple[tuple[str, str], ...]
    kvc: int = 0x79


def _transport(
    transaction_counter: int, files: str = "", *, serial: str = "", subtype: int = 5
) -> str:
    """The first test kit's card, next to announce `transaction_counter`."""
    serial_line = f'serial = "{serial}"' if serial else ""
    return f"""
        base = "gtml"
        transaction_counter = {transaction_counter + 1}
        {serial_line}
        [[applications]]
        lid = 0x2000
        subtype = {subtype}
        {files}
        """


def _file(lid: int, sfi: int, content: str = "", *, kind: str = "linear", more: str = "") -> str:
    """A file of the trace's card that the kit has with another content, or not at all."""
    return f"""
        [[applications.files]]
        lid = {lid}
        sfi = {sfi}
        type = "{kind}"
        content = [{content}]
        {more}
        """


_NEW = 'size = 29\n access = ["AA", "S3", "S3", "S3"]\n'
_COUNTER = _file(0x206A, 0x10, '"001122"', kind="counters", more=_NEW)
# SFI 10 is simulated counter 2060 in the kit, a counters file in the published trace.
_NO_2060 = "[[applications.files]]\n lid = 0x2060\n sfi = 0x00\n"

SELECTION = Trace(
    "§9.1 selection",
    _transport(0x030AB2, serial="00000000C17BE1F6"),
    (
        (
            "00A4040009315449432E49434131 00",
            "6F238409315449432E49434131A516BF0C13C70800000000C17BE1F653070A3C2305141001 9000",
        ),
        ("00A4040005AABBCCDDEE00", "6A82"),
    ),
)

HOPLINK_SELECTION = Trace(
    "§9.1 selection by a part of the AID",
    """
    base = "hoplink-small"
    [purse]
    load = { kif = 7, kvc = 12, algorithm = 64 }
    debit = { kif = 16, kvc = 12, algorithm = 64 }
    [[applications]]
    lid = 0x2100
    type = 0x23
    """,
    (
        (
            "00A404000AA000000291A00000019100",
            "6F25840BA000000291A00000019102A516BF0C13C708000000001122334453070A3C230C141001 9000",
        ),
    ),
    kvc=0x0C,
)

REAL_SESSION = Trace(
    "§9.2 regular session of a real card and a real SAM",
    _transport(0x030AB2, serial="00000000C17BE1F6"),
    (
        ("008A0B3904EF48651D00", "030AB2CF0030791D" + "00" * 29 + "9000"),
        ("008E800004819E515D00", "08D222E99000"),
        ("00B2000000", "6B00"),
    ),
)

_SESSION_CARD = _transport(0x030490, _file(0x2001, 7, f'"{RECORD_71}"') + _NO_2060 + _COUNTER)
_OPENED = ("008A030104C1C2C3C400", "03049098003079009000")
_BODY = (
    ("00B2013C1D", RECORD_71 + "9000"),
    ("00DC01441D" + RECORD_81, "9000"),
    ("003001800300006400", "0010BE9000"),
)

REGULAR_SESSION = Trace(
    "§9.3 regular session with read, update, decrease",
    _SESSION_CARD,
    (_OPENED, *_BODY, ("008E8000041234567800", "9ABCDEF09000")),
)

UNRATIFIED_SESSION = Trace(
    "§9.3 variant: closed to be ratified, and the ratification command",
    _SESSION_CARD,
    (_OPENED, *_BODY, ("008E0000041234567800", "9ABCDEF09000"), ("00B2000000", "6B00")),
)

ABORTED_SESSION = Trace(
    "§9.3 variant: aborted",
    _SESSION_CARD,
    (_OPENED, *_BODY, ("008E000000", "9000")),
)
