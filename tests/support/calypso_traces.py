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
        exchanges: (command, response with status word) in hexadecimal; where the exchange is encrypted,
            also the plain data of the command or response.
        kvc: version of the session keys.
    """

    name: str
    toml: str
    exchanges: tuple[tuple[str, str] | tuple[str, str, str], ...]
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

# §9.4, from keyple-java 1.0

REV2_RECORD = "24B928480805CBABAE3000124080" + "00" * 15
REVISION_2_SESSION = Trace(
    "§9.4 session of a revision 2 card",
    f"""
    base = "prime-2"
    transaction_counter = {0x030D31}
    [[applications]]
    lid = 0x2000
    [[applications.files]]
    lid = 0x2001
    content = ["{REV2_RECORD}"]
    """,
    (
        ("948A8B3804C1C2C3C400", "79030D3071" + REV2_RECORD + "9000"),
        ("94DC01441D" + RECORD_81, "9000"),
    ),
)

REVISION_2_SELECT_FILE = Trace(
    "§9.4 Select File by LID on a revision 2 card",
    """
    base = "prime-2"
    [[applications]]
    lid = 0x2000
    [[applications.files]]
    lid = 0x1234
    sfi = 0x12
    type = "linear"
    size = 29
    access = ["AA", "NN", "NN", "NN"]
    """,
    (
        (
            "94A4020002123400",
            "85171204021D011F00000001010101000000000000001234009000",
        ),
        (
            "FA7C000721",
            "79 0000 000000 0E36 000000" + "00" * 22 + "9000",
        ),
    ),
)

# §9.5, from keyple-card-calypso: the toy cipher of the test is not ours, hence the plain data

_SECRETS = """
    base = "bench"
    transaction_counter = {counter}
    [[applications]]
    lid = 0x2000
    keys = {{ kifs = [0x21, 0x27, 0x30], kvc = 0x79, algorithm = {algorithm} }}
    [[applications.files]]
    lid = 0x20F0
    sfi = 0x01
    type = "linear"
    records = 6
    size = 1
    access = ["AA", "S3", "S3", "NN"]
    content = ["11", "22", "33", "44", "55", "66"]
    """
_EXTENDED = ("008A03020900C1C2C3C4C5C6C7C800", "C8C7C6C5C4C3C2C102307900 9000")
_PROOF = "112233445566778800"
_CARD_PROOF = "88776655443322119000"

ENCRYPTION_ON_AND_OFF = Trace(
    "§9.5 early authentication and encryption, up to the intermediate Close",
    _SECRETS.format(counter=0xC8C7C7, algorithm=0xA0),
    (
        _EXTENDED,
        ("0082000308" + _PROOF, _CARD_PROOF),
        ("00B2010C01", "E19000", "11"),
        ("0082000108" + _PROOF, _CARD_PROOF),
        ("00B2020C01", "229000"),
        ("0082000200", "9000"),
        ("0082000308" + _PROOF, _CARD_PROOF),
        ("00B2030C01", "E39000", "33"),
        ("00DC010C01E1", "9000", "AA"),
        ("008E800008112233445566778800", "88776655443322119000"),
    ),
)

ENCRYPTION_AFTER_REOPENING = Trace(
    "§9.5 from the automatic re-opening on",
    _SECRETS.format(counter=0xC8C7C7, algorithm=0xA0),
    (
        _EXTENDED,
        ("0082000200", "9000"),
        ("00DC020C01E2", "9000", "BB"),
        ("0082000000", "9000"),
        ("00B2040C01", "449000"),
        ("0082000108" + _PROOF, _CARD_PROOF),
        ("00B2050C01", "559000"),
        ("0082000200", "9000"),
        ("00B2060C01", "E69000", "66"),
        ("008E800008112233445566778800", "88776655443322119000"),
    ),
)

EXTENDED_MODE_REFUSED = Trace(
    "§9.5 Manage Secure Session not authorised",
    _SECRETS.format(counter=0xC8C7C7, algorithm=0x40),
    (
        ("008A03020900C1C2C3C4C5C6C7C800", "C8C7C6C50000000000307900 9000"),
        ("0082000108" + _PROOF, "6985"),
    ),
)

# §9.6: layout only

PRE_OPEN = Trace(
    "§9.6 pre-open",
    _SECRETS.format(counter=0xC8C7C7, algorithm=0xA0),
    (
        ("008A0302010000", "C8C7C6C5C4C3C2C102307900 6200"),
        ("00B2010C01", "119000"),
        _EXTENDED,
        ("00B2010C01", "119000"),
    ),
)

# §9.7, from keyple-java 1.0 and keyple-card-calypso

_PIN = """
    base = "bench"
    pin = "{pin}"
    [[applications]]
    lid = 0x2000
    """
PIN_RIGHT = Trace(
    "§9.7 PIN status, plain, ciphered",
    _PIN.format(pin="30303030"),
    (
        ("0020000000", "9000"),
        ("002000000430303030", "9000"),
        ("0084000008", "C1C2C3C4C5C6C7C89000"),
        ("00200000081122334455667788", "9000"),
        ("00D800FF0434353637", "9000"),
        ("0084000008", "C1C2C3C4C5C6C7C89000"),
        ("00D800FF1088776655443322111122334455667788", "9000"),
        ("0084000008", "C1C2C3C4C5C6C7C89000"),
        (
            "00D8000120000102030405060708090A0B0C0D0E0FF0E0D0C0B0A090807060504030201000",
            "9000",
        ),
    ),
    kvc=0x74,
)
PIN_WRONG = Trace(
    "§9.7 wrong PIN",
    _PIN.format(pin="30303030"),
    (
        ("002000000431323334", "63C2"),
        ("0020000000", "63C2"),
        ("002000000431323334", "63C1"),
        ("0020000000", "63C1"),
        ("002000000431323334", "6983"),
        ("0020000000", "6983"),
    ),
    kvc=0x74,
)

# §9.8, from keyple-java 1.0; the published balance is the test's own, so each operation has its card

_LOAD_LOG = "000000790000001A0000020000123456780000DB0070"
_DEBIT_LOG = "FFFE0000000079123456780000DD0000160072"


def _purse(number: int, balance: int, load_log: str, debit_logs: list[str], kvc: int = 0x79) -> str:
    logs = ", ".join(f'"{log}"' for log in debit_logs)
    return f"""
        base = "gtml"
        [purse]
        balance = {balance}
        transaction_number = {number}
        load_log = "{load_log}"
        debit_logs = [{logs}]
        [[applications]]
        lid = 0x1000
        keys = {{ kifs = [0x01, 0x07, 0x10], kvc = {kvc}, algorithm = 0x40 }}
        """


_SV_GET_LOAD = ("007C000721", "79007221D35F0E36123456" + _LOAD_LOG + "9000")
_SV_GET_DEBIT = ("007C00091E", "790072A54BC97DFA123456" + _DEBIT_LOG + "9000")
SV_RELOAD = Trace(
    "§9.8 SV Reload",
    _purse(0x72, 0x123456, _LOAD_LOG, [_DEBIT_LOG]),
    (
        _SV_GET_LOAD,
        ("00B8959117160000007900000002000012345678 0000DE2C8CB3D280", "A54BC99000"),
    ),
)
SV_DEBIT = Trace(
    "§9.8 SV Debit",
    _purse(0x72, 0x123456, _LOAD_LOG, [_DEBIT_LOG]),
    (
        _SV_GET_DEBIT,
        ("00BACD001434FFFE000000007912345678 0000DF0C9437AABB", "A54BC99000"),
    ),
)
SV_UNDEBIT = Trace(
    "§9.8 SV Undebit",
    _purse(0x72, 0x123456, _LOAD_LOG, [_DEBIT_LOG]),
    (
        _SV_GET_DEBIT,
        ("00BCCD0014340002000000007912345678 0000DF0C9437AABB", "A54BC99000"),
    ),
)
_OLD_LOAD = "000000780000001A0000020000AABBCCDD0000DB0070"
_OLD_DEBIT = "FFFE0000000079AABBCC0{}0000DA000018006F"
SELECT_SV = (
    "00A4040008304554502E49434100",
    "6F228408304554502E494341A516BF0C13C708000000001122334453070A3C2320141001 9000",
)
SV_LOGS = Trace(
    "§9.8 the logs, read as files",
    _purse(0x72, 0, _OLD_LOAD, [_OLD_DEBIT.format(n) for n in (1, 2, 3)]),
    (
        SELECT_SV,
        ("00B201A400", _OLD_LOAD + "00" * 7 + "9000"),
        (
            "00B201AD5D",
            "".join(f"0{n}1D" + _OLD_DEBIT.format(n) + "00" * 10 for n in (1, 2, 3)) + "9000",
        ),
    ),
)

# §9.9, from keyple-card-calypso and keyple-java 1.0

_LOAD_9 = "01231234347890AB2233443210112233445432105678"
_DEBIT_9 = "33440123321034112233445432107890AB5678"
SV_GET_RELOAD = Trace(
    "§9.9 SV Get for a reload",
    _purse(0x1234, 0x564321, _LOAD_9, [_DEBIT_9], kvc=0x12),
    (("007C000721", "121234A54BC97DFA564321" + _LOAD_9 + "9000"),),
)
SV_GET_DEBIT = Trace(
    "§9.9 SV Get for a debit",
    _purse(0x1234, 0x564321, _LOAD_9, [_DEBIT_9], kvc=0xCD),
    (("007C00091E", "CD1234A54BC97DFA564321" + _DEBIT_9 + "9000"),),
)


def _extended_purse(kvc: int) -> str:
    return _purse(0x1234, 0x564321, _LOAD_9, [_DEBIT_9], kvc).replace(
        "lid = 0x1000", "lid = 0x2000\n type = 0x2B\n [[applications]]\n lid = 0x1000"
    )


SV_GET_EXTENDED_RELOAD = Trace(
    "§9.9 SV Get, extended, for a reload",
    _extended_purse(0x12),
    (
        (
            "007C01073D",
            "8877665544332211 12 1234 55AABB66DD77 564321" + _LOAD_9 + _DEBIT_9 + "9000",
        ),
    ),
)
SV_GET_EXTENDED_DEBIT = Trace(
    "§9.9 SV Get, extended, for a debit",
    _extended_purse(0xCD),
    (
        (
            "007C01093D",
            "8877665544332211 CD 1234 55AABB66DD77 564321" + _LOAD_9 + _DEBIT_9 + "9000",
        ),
    ),
)

# §9.10: layout only

SV_IN_SESSION = Trace(
    "§9.10 Stored Value inside a session",
    _transport(0x030490),
    (
        ("008A0B3904C1C2C3C400", "03049098003079 1D" + "00" * 29 + "9000"),
        ("007C00091E", "790000A54BC97DFA000000" + "00" * 19 + "9000"),
        ("00BACD001434FFFE000000007912345678 0000DF0C9437AABB", "6200"),
        ("00E200401D" + EVENT, "9000"),
        ("008E8000041234567800", "04A54BC99ABCDEF0 9000"),
    ),
)

# §9.11, from keyple-card-calypso and keyple-java 1.0; the EF list from proxmark3

FILES = Trace(
    "§9.11 files and data",
    """
    base = "gtml"
    [[applications]]
    lid = 0x2000
    [[applications]]
    lid = 0x3F00
    aid = "334D54522E494341"
    master = true
    type = 0x23
    subtype = 0x05
    access = ["S1", "S3", "NN", "NN"]
    keys = [
        { kif = 0x61, kvc = 0x77, algorithm = 0x40 },
        { kif = 0x67, kvc = 0x78, algorithm = 0x40 },
        { kif = 0x70, kvc = 0x79, algorithm = 0x40 },
    ]
    [[applications.files]]
    lid = 0x0002
    sfi = 0x02
    type = "linear"
    size = 29
    access = ["AA", "NN", "NN", "NN"]
    reference = 0x3F02
    """,
    (
        (
            "00A4040008334D54522E49434100",
            "6F228408334D54522E494341A516BF0C13C708000000001122334453070A3C2305141001 9000",
        ),
        ("00A4090002000000", "8517000100000010100000010301010077787961677000 3F00 9000"),
        ("00A4020002000000", "85170204021D011F00000001010101003F020000000000 0002 9000"),
        ("00A4020202000000", "6A82"),
        ("00A4090002000200", "85170204021D011F00000001010101003F020000000000 0002 9000"),
        ("00CA006200", "85170204021D011F00000001010101003F020000000000 0002 9000"),
        (
            "00CA006F00",
            "6F228408334D54522E494341A516BF0C13C708000000001122334453070A3C2305141001 9000",
        ),
        ("00CA018500", "00112233445566778899 9000"),
    ),
)

_REAL_FILES = (
    # LID, SFI, type, records, size, listed
    (0x2001, 0x07, "linear", 1, 29, "true"),
    (0x2010, 0x08, "cyclic", 3, 29, "true"),
    (0x2050, 0x1E, "linear", 1, 29, "true"),
    (0x2020, 0x09, "linear", 4, 29, "true"),
    (0x2030, 0x06, "linear", 4, 29, "true"),
    (0x2069, 0x19, "counters", 1, 27, "true"),
    (0x2040, 0x1D, "linear", 3, 29, "true"),
    (0x0002, 0x02, "linear", 1, 29, "false"),
)

EF_LIST = Trace(
    "§2.4.1 EF list of a real card",
    """
    base = "hoplink-small"
    [[applications]]
    lid = 0x2000
    aid = "315449432E494341"
    type = 0x20
    subtype = 0x06
    access = ["S1", "S3", "NN", "NN"]
    keys = { kifs = [0x21, 0x27, 0x30], kvc = 0x79, algorithm = 0x40 }
    """
    + "".join(
        f"""
        [[applications.files]]
        lid = {lid}
        sfi = {sfi}
        type = "{kind}"
        records = {records}
        size = {size}
        listed = {listed}
        access = ["AA", "S1", "S3", "S3"]
        """
        for lid, sfi, kind, records, size, listed in _REAL_FILES
    ),
    (
        (
            "00A4040008315449432E49434100",
            "6F228408315449432E494341A516BF0C13C708000000001122334453070A3C2006141001 9000",
        ),
        (
            "00CA00C000",
            "C038C106200107021D01C106201008041D03C10620501E021D01C106202009021D04"  # noqa: ISC004
            "C106203006021D04C106206919091B01C10620401D021D03 9000",
        ),
    ),
)

# §9.12, from the card stubs of keyple-java 1.0; a stub says different things of one file, hence two cards


def _stub(counter: int, environment: str, *, kvc: int = 0x79) -> str:
    return f"""
        base = "gtml"
        transaction_counter = {counter + 1}
        [[applications]]
        lid = 0x2000
        subtype = 0x12
        keys = {{ kifs = [0x21, 0x27, 0x30], kvc = {kvc}, algorithm = 0x40 }}
        [[applications.files]]
        lid = 0x2001
        content = ["{environment}"]
        [[applications.files]]
        lid = 0x2010
        content = ["{EVENT}"]
        """


_ENVIRONMENT_READ = "24B92848080000131A500012" + "00" * 17
_ENVIRONMENT_OPENED = "24B928480800000606F00012" + "00" * 17
STUB_READ = Trace(
    "§9.12 transport card: selection, reading, opening with an event",
    _stub(0x030490, _ENVIRONMENT_READ),
    (
        (
            "00A4040009315449432E4943413100",
            "6F238409315449432E49434131A516BF0C13C708000000001122334453070A3C2312141001 9000",
        ),
        ("00B2013C00", _ENVIRONMENT_READ + "9000"),
        ("00B2014C00", BLANK_CONTRACT + "9000"),
        ("00B2014D00", "".join(f"0{n}1D{BLANK_CONTRACT}" for n in (1, 2, 3, 4)) + "9000"),
        ("00B201F400", "00" * 29 + "9000"),
        ("008A0B4104C1C2C3C400", "03049098003079 1D" + EVENT + "9000"),
        ("00E200401D" + EVENT, "9000"),
        ("008E0000040506070800", "010203049000"),
        ("00B2000000", "6B00"),
    ),
)
STUB_OPEN = Trace(
    "§9.12 transport card: opening with the environment",
    _stub(0x030830, _ENVIRONMENT_OPENED, kvc=0x7E),
    (
        ("008A0B3904C1C2C3C400", "0308306C00307E1D" + _ENVIRONMENT_OPENED + "9000"),
        ("008E8000040506070800", "010203049000"),
    ),
    kvc=0x7E,
)
STUB_HOPLINK = Trace(
    "§9.12 Hoplink card",
    f"""
    base = "hoplink-small"
    transaction_counter = {0x03082F}
    [[applications]]
    lid = 0x2100
    keys = {{ kifs = [0x21, 0x27, 0x30], kvc = 0x0E, algorithm = 0x40 }}
    """,
    (
        ("00B201A420", "00" * 32 + "9000"),
        ("00B201D430", "00" * 48 + "9000"),
        ("008A0BD104C1C2C3C400", "03082ED700300E30" + "00" * 48 + "9000"),
    ),
    kvc=0x0E,
)
