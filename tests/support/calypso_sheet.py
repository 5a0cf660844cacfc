"""The facts sheet's command reference as data: its index, and the status words of each command.

Transcribed by hand, and used by tests alone: the card's own table is written from the same sheet, so the
two are compared.

Source: calypso-card §2.1, §2.4, §2.5, §3.1, §4.0 to §4.21.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from support.calypso_cases.pki import GENERATE, PUT_KEY_PAIR
from support.calypso_cases.steps import (
    OPEN_PKI,
    ciphered_pin,
    closing,
    encrypted,
    invalid,
    new_key,
    new_pin,
    ok,
    session,
    sv,
    terminal_proof,
    verified,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from support.calypso_cases.steps import Command, Step

# §4.0 Index


class Example(NamedTuple):
    """A command that succeeds.

    Attributes:
        command: in hexadecimal, or made when the card is ready.
        given: what happens before.
        sw: the success; 6B00 for the ratification command.
        preset: the card.
        opens: what happens before opens a session.
    """

    command: Command
    given: tuple[Step, ...] = ()
    sw: int = 0x9000
    preset: str = "workshop"
    opens: bool = False


class IndexRow(NamedTuple):
    """One row of the index.

    Attributes:
        ins: instruction byte.
        name: as the sheet has it.
        p1, p2: values that the row allows; None where the handler decides, with words of its own.
        lc: numbers of data bytes.
        cases: ISO cases, of the forms in turn.
        cost: it is charged to the session buffer.
        where: `yes` in a session too, `no` outside only, `executed` where only terminals refuse it in a
            session, `opens`, `closes`, `extended only`.
        section: of the sheet.
        forms: rows of the card's table.
        examples: successes, one for each form at least.
    """

    ins: int
    name: str
    p1: Collection[int] | None
    p2: Collection[int] | None
    lc: Collection[int]
    cases: tuple[int, ...]
    cost: bool
    where: str
    section: str
    forms: tuple[str, ...]
    examples: tuple[Example, ...]

    def title(self) -> str:
        """Name the row."""
        return f"{self.section} {self.ins:02X} {self.name}"


_ANY = range(256)
_ZERO = (0,)
_NONE = (0,)
_DATA = range(1, 256)
_S = range(0, 256, 8)
"""SFI×8."""


def _s(*low: int) -> set[int]:
    """SFI×8 plus each of some numbers."""
    return {sfi + each for sfi in _S for each in low}


_BINARY_P1 = range(0xA0)
_SV_LC = (0x14, 0x17, 0x19, 0x1C)
_ALWAYS_COUNTER = "01700300000100"


def _by_sfi_and_current(name: str) -> tuple[str, str]:
    return (f"{name} (by SFI)", f"{name} (current EF)")


INDEX = (
    IndexRow(0x04, "Invalidate", _ZERO, _ZERO, _NONE, (1,), True, "yes", "4.16",
             ("Invalidate",), (Example("0004000000", (session(3),), opens=True),)),
    IndexRow(0x20, "Verify PIN, PIN status", _ZERO, _ZERO, (0, 4, 8), (1, 3), False, "yes", "4.12",
             ("PIN status", "Verify PIN (plain)", "Verify PIN (ciphered)"),
             (Example("0020000000"), Example("002000000430303030"), Example(ciphered_pin()))),
    IndexRow(0x30, "Decrease", range(84), _S, (3,), (4,), True, "yes", "4.9", ("Decrease",),
             (Example("0030" + _ALWAYS_COUNTER, (ok("0032" + _ALWAYS_COUNTER),)),)),
    IndexRow(0x32, "Increase", range(84), _S, (3,), (4,), True, "yes", "4.9", ("Increase",),
             (Example("0032" + _ALWAYS_COUNTER),)),
    IndexRow(0x38, "Decrease Multiple", _ZERO, _S, range(4, 256, 4), (4,), True, "yes", "4.10",
             ("Decrease Multiple",), (Example("003800700801000000 0200000000"),)),
    IndexRow(0x3A, "Increase Multiple", _ZERO, _S, range(4, 256, 4), (4,), True, "yes", "4.10",
             ("Increase Multiple",), (Example("003A00700801000001 0200000100"),)),
    IndexRow(0x44, "Rehabilitate", _ZERO, _ZERO, _NONE, (1,), True, "yes", "4.16",
             ("Rehabilitate",), (Example("0044000000", (invalid, session(1)), opens=True),)),
    IndexRow(0x46, "Generate Asymmetric Key Pair", _ZERO, _ZERO, (10,), (3,), False, "no", "4.21",
             ("Generate Asymmetric Key Pair",), (Example(GENERATE),)),
    IndexRow(0x7C, "SV Get", None, None, _NONE, (2,), False, "yes", "4.15", ("SV Get",),
             (Example("007C000721"), Example("007C00091E"), Example("007C01073D"))),
    IndexRow(0x82, "Manage Secure Session", _ZERO, range(4), (0, 8), (1, 4), False, "extended only",
             "4.19",
             ("Manage Secure Session (encryption)", "Manage Secure Session (authentication)"),
             (Example("0082000200", (session(mode="extended"),)),
              Example("0082000000", (encrypted,)),
              Example(terminal_proof(0x01), (session(mode="extended"),)),
              Example(terminal_proof(0x03), (session(mode="extended"),)))),
    IndexRow(0x84, "Get Challenge", _ZERO, _ZERO, _NONE, (2,), False, "yes", "4.11",
             ("Get Challenge",), (Example("0084000008"),)),
    IndexRow(0x8A, "Open Secure Session", _ANY, _s(0, 1, 2, 3), (1, 4, 9), (4,), False, "opens", "4.17",
             tuple(f"Open Secure Session ({mode})" for mode in
                   ("revision 1", "revision 2", "regular", "extended", "pre-open", "PKI")),
             (Example("948A033804C1C2C3C400", preset="prime-1"),
              Example("948A8B3804C1C2C3C400", preset="prime-2"),
              Example("008A0B3904C1C2C3C400"),
              Example("008A0B3A0900C1C2C3C4C5C6C7C800"),
              Example("008A0302010000", sw=0x6200),
              Example(OPEN_PKI, preset="pki"))),
    IndexRow(0x8E, "Close Secure Session", (0x00, 0x80), _ZERO, (0, 4, 8), (4, 1), False, "closes",
             "4.18", ("Close Secure Session", "Abort Secure Session"),
             (Example(closing(0x80), (session(),)), Example(closing(0x00), (session(),)),
              Example(closing(), (session(mode="extended"),)), Example("008E000000", (session(),)))),
    IndexRow(0xA2, "Search Record Multiple", _ANY, _s(7), range(4, 256), (4,), False, "executed", "4.3",
             ("Search Record Multiple",), (Example("00A2014F050002010FFF00"),)),
    IndexRow(0xA4, "Select File", (0x00, 0x02, 0x03, 0x08, 0x09), (0x00, 0x02), (0, 2, 4, 6, 8), (4, 2),
             False, "yes", "3",
             ("Select File (first EF, or by LID)", "Select File (next EF)",
              "Select File (current DF, or by LID)", "Select File (by path)",
              "Select File (MF, or by LID)", "Select File (parent DF)"),
             (Example("00A4020002000000"), Example("00A4020202000000"), Example("00A4090002000000"),
              Example("00A4090002201000"), Example("00A4080002201000"),
              Example("94A40000023F00", preset="prime-2"),
              Example("94A4030000", preset="prime-2"))),
    IndexRow(0xB0, "Read Binary", _BINARY_P1, _ANY, _NONE, (2,), False, "yes", "4.4",
             _by_sfi_and_current("Read Binary"),
             (Example("00B0900002"), Example("00B0000002", (ok("00B0900001"),)))),
    IndexRow(0xB2, "Read Records", _ANY, _s(4, 5), _NONE, (2,), False, "yes", "4.1",
             ("Read Records (one)", "Read Records (several)"),
             (Example("00B2013C1D"), Example("00B2013C00"), Example("00B2014D00"))),
    IndexRow(0xB2, "Ratification", _ZERO, _ZERO, _NONE, (1,), False, "after close", "4.20",
             ("Ratification",), (Example("00B2000000", sw=0x6B00),)),
    IndexRow(0xB3, "Read Record Multiple", _ANY, _s(5), (4,), (4,), False, "executed", "4.2",
             ("Read Record Multiple",), (Example("00B3014D045402020100"),)),
    IndexRow(0xB8, "SV Reload", _ANY, _ANY, _SV_LC, (4,), True, "yes", "4.15", ("SV Reload",),
             (Example(sv(0xB8, 1, le="03")), Example(sv(0xB8, 1, extended=True, le="06")))),
    IndexRow(0xBA, "SV Debit", _ANY, _ANY, _SV_LC, (4,), True, "yes", "4.15", ("SV Debit",),
             (Example(sv(0xBA, -1, le="03")), Example(sv(0xBA, -1, extended=True, le="06")))),
    IndexRow(0xBC, "SV Undebit", _ANY, _ANY, _SV_LC, (4,), True, "yes", "4.15", ("SV Undebit",),
             (Example(sv(0xBC, 1, le="03")), Example(sv(0xBC, 1, extended=True, le="06")))),
    IndexRow(0xCA, "Get Data", None, None, _NONE, (2,), False, "executed", "2.4", ("Get Data",),
             (Example("00CA006F00"), Example("00CA006200"), Example("00CA00C000"), Example("00CA018500"))),
    IndexRow(0xD0, "Write Binary", _BINARY_P1, _ANY, _DATA, (3,), True, "yes", "4.5",
             _by_sfi_and_current("Write Binary"),
             (Example("00D09000021122"), Example("00D00000021122", (ok("00B0900001"),)))),
    IndexRow(0xD2, "Write Record", _ANY, _s(4), _DATA, (3,), True, "yes", "4.7", ("Write Record",),
             (Example("00D2016C021122"),)),
    IndexRow(0xD6, "Update Binary", _BINARY_P1, _ANY, _DATA, (3,), True, "yes", "4.5",
             _by_sfi_and_current("Update Binary"),
             (Example("00D69000021122"), Example("00D60000021122", (ok("00B0900001"),)))),
    IndexRow(0xD8, "Change PIN", _ZERO, (0xFF,), (4, 0x10, 0x18, 0x20), (3,), False, "no", "4.13",
             ("Change PIN",), (Example("00D800FF0434353637", (verified,)), Example(new_pin("34353637")))),
    IndexRow(0xD8, "Change Key", _ZERO, (1, 2, 3), (4, 0x10, 0x18, 0x20), (3,), False, "no", "4.14",
             ("Change Key",), tuple(Example(new_key(each, 0x30, 0x75)) for each in (1, 2, 3))),
    IndexRow(0xDA, "Put Data", (0xDF,), (0x3C, 0x4A, 0x4B, 0x4C, 0x4D), _DATA, (3,), False, "no", "2.5",
             tuple(f"Put Data ({what})" for what in
                   ("card key pair", "CA certificate, first part", "CA certificate, last part",
                    "card certificate, first part", "card certificate, last part")),
             (Example(PUT_KEY_PAIR),)),
    IndexRow(0xDC, "Update Record", _ANY, _s(4), _DATA, (3,), True, "yes", "4.6", ("Update Record",),
             (Example("00DC016C021122"),)),
    IndexRow(0xE2, "Append Record", _ZERO, _S, _DATA, (3,), True, "yes", "4.8", ("Append Record",),
             (Example("00E20078021122"),)),
)  # fmt: skip
"""§4.0, row for row; Select Application (§2.1) and Get Response (§4.23) have no row there."""


# Status words


class Answers(NamedTuple):
    """The status words of one command.

    Attributes:
        section: of the sheet.
        command: as the sheet calls it.
        forms: rows of the card's table.
        words: status words in hexadecimal, `61XX` for any byte.
    """

    section: str
    command: str
    forms: tuple[str, ...]
    words: str


_FORMS = {row.name: row.forms for row in INDEX}
_FILE = "6981 6982 6985 6986 6A82"

STATUS_WORDS = (
    Answers("2.1", "Select Application", ("Select Application",), "9000 6283 6A82 61XX 6CXX"),
    Answers("2.4", "Get Data", _FORMS["Get Data"], "9000 6283 6A88 6A82 6B00"),
    Answers("2.5", "Put Data", _FORMS["Put Data"],
            "9000 6400 6700 6982 6985 6A80 6A87 6A88 6A8A 6B00 6D00"),
    Answers("3.1", "Select File", _FORMS["Select File"], "9000 61XX 6700 6A82 6A80"),
    Answers("4.1", "Read Records", _FORMS["Read Records"], f"9000 {_FILE} 6A83 6B00"),
    Answers("4.2", "Read Record Multiple", _FORMS["Read Record Multiple"],
            f"9000 6200 6700 {_FILE} 6A80 6A83 6B00"),
    Answers("4.3", "Search Record Multiple", _FORMS["Search Record Multiple"],
            f"9000 6400 6700 {_FILE} 6A80 6A83 6B00"),
    Answers("4.4", "Read Binary", _FORMS["Read Binary"], f"9000 {_FILE} 6A83 6B00"),
    Answers("4.5", "Update Binary", _FORMS["Update Binary"], f"9000 6400 6700 {_FILE} 6A83 6B00"),
    Answers("4.5", "Write Binary", _FORMS["Write Binary"], f"9000 6400 6700 {_FILE} 6A83 6B00"),
    Answers("4.6", "Update Record", _FORMS["Update Record"], f"9000 6400 6700 {_FILE} 6A83 6B00"),
    Answers("4.7", "Write Record", _FORMS["Write Record"], f"9000 6400 6700 {_FILE} 6A83 6B00"),
    Answers("4.8", "Append Record", _FORMS["Append Record"], f"9000 6400 6700 {_FILE} 6B00"),
    Answers("4.9", "Increase", _FORMS["Increase"], f"9000 61XX 6200 6400 6700 {_FILE} 6B00 6A80"),
    Answers("4.9", "Decrease", _FORMS["Decrease"], f"9000 61XX 6200 6400 6700 {_FILE} 6B00 6A80"),
    Answers("4.10", "Increase Multiple", _FORMS["Increase Multiple"], f"9000 6400 6700 {_FILE} 6A80 6B00"),
    Answers("4.10", "Decrease Multiple", _FORMS["Decrease Multiple"], f"9000 6400 6700 {_FILE} 6A80 6B00"),
    Answers("4.11", "Get Challenge", _FORMS["Get Challenge"], "9000"),
    Answers("4.12", "Verify PIN", _FORMS["Verify PIN, PIN status"],
            "9000 63C2 63C1 6983 6700 6900 6982 6985 6D00"),
    Answers("4.13", "Change PIN", _FORMS["Change PIN"], "9000 6700 6900 6982 6985 6988 6A80 6A87 6B00"),
    Answers("4.14", "Change Key", _FORMS["Change Key"], "9000 6700 6900 6982 6985 6988 6A80 6A87 6B00"),
    Answers("4.15", "SV Get", _FORMS["SV Get"], "9000 6982 6985 6A81 6A86 6D00"),
    Answers("4.15", "SV Reload", _FORMS["SV Reload"], "9000 6200 6400 6700 6900 6985 6988"),
    Answers("4.15", "SV Debit", _FORMS["SV Debit"], "9000 6200 6400 6700 6900 6985 6988"),
    Answers("4.15", "SV Undebit", _FORMS["SV Undebit"], "9000 6200 6400 6700 6900 6985 6988"),
    Answers("4.16", "Invalidate", _FORMS["Invalidate"], "9000 6400 6700 6982 6985"),
    Answers("4.16", "Rehabilitate", _FORMS["Rehabilitate"], "9000 6400 6700 6982 6985"),
    Answers("4.17", "Open Secure Session", _FORMS["Open Secure Session"],
            "9000 6200 61XX 6700 6900 6981 6982 6985 6986 6A81 6A82 6A83 6B00"),
    Answers("4.18", "Close Secure Session", _FORMS["Close Secure Session"], "9000 6700 6985 6988 6B00"),
    Answers("4.19", "Manage Secure Session", _FORMS["Manage Secure Session"],
            "9000 6700 6985 6988 6D00 6B00"),
    Answers("4.20", "Ratification", _FORMS["Ratification"], "6B00"),
    Answers("4.21", "Generate Asymmetric Key Pair", _FORMS["Generate Asymmetric Key Pair"],
            "9000 6700 6985 6986 6A80 6D00"),
)  # fmt: skip
"""The status word tables of the commands; 6B00 of Manage is in the misuse table only (§4.23)."""

BY_MISUSE = {
    ("Select Application", 0x6700): "§2.1 gives 5 to 16 bytes; §4.23",
    ("Select Application", 0x6B00): "§2.1: a response form that the card does not have",
    ("Get Data", 0x6700): "§4.23: Lc where there is none",
    ("Read Records", 0x6700): "§4.23: Lc where there is none",
    ("Read Binary", 0x6700): "§4.23: Lc where there is none",
    ("Get Challenge", 0x6700): "§4.23: another Le than 8",
    ("SV Get", 0x6700): "§4.23: Lc where there is none",
    ("Open Secure Session", 0x6A80): "§4.23: first byte of the data is not 00",
}
"""Status words that the card declares and the command's own table in the sheet does not have."""
