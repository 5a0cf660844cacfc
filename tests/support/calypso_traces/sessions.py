"""Selection, sessions of every revision, encryption, pre-open: calypso-card §9.1 to §9.6."""

from __future__ import annotations

from support.calypso_traces.trace import RECORD_71, RECORD_81, Trace, file, transport

from cardbench.emulator.calypso.structure import invalidated_key, ratified_key

_NEW = 'size = 29\n access = ["AA", "S3", "S3", "S3"]\n'
_COUNTER = file(0x206A, 0x10, '"001122"', kind="counters", more=_NEW)
# SFI 10 is simulated counter 2060 in the kit, a counters file in the published trace.
_NO_2060 = "[[applications.files]]\n lid = 0x2060\n sfi = 0x00\n"

SELECTION = Trace(
    "§9.1 selection",
    transport(0x030AB2, serial="00000000C17BE1F6"),
    (
        (
            "00A4040009315449432E49434131 00",
            "6F238409315449432E49434131A516BF0C13C70800000000C17BE1F653070A3C2305141001 9000",
        ),
        ("00A4040005AABBCCDDEE00", "6A82"),
    ),
)

INVALIDATED_SELECTION = Trace(
    "§9.1 selection of an invalidated DF",
    """
    base = "gtml"
    [[applications]]
    lid = 0x2000
    type = 0x20
    """,
    (
        (
            "00A4040009315449432E4943413100",
            "6F238409315449432E49434131A516BF0C13C708000000001122334453070A3C2005141001 6283",
        ),
    ),
    history=((invalidated_key(0x2000), 1),),
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
    transport(0x030AB2, serial="00000000C17BE1F6"),
    (
        ("008A0B3904EF48651D00", "030AB2CF0030791D" + "00" * 29 + "9000"),
        ("008E800004819E515D00", "08D222E99000"),
        ("00B2000000", "6B00"),
    ),
)

_SESSION_CARD = transport(0x030490, file(0x2001, 7, f'"{RECORD_71}"') + _NO_2060 + _COUNTER)
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

WRONG_MAC = Trace(
    "§9.3 variant: wrong terminal MAC, nothing is written",
    _SESSION_CARD,
    (
        _OPENED,
        *_BODY,
        ("008E8000041234567800", "6988"),
        ("00B201441D", "00" * 29 + "9000"),
    ),
)

UNRATIFIED_OPENING = Trace(
    "§9.3 variant: the previous session is not ratified",
    _SESSION_CARD,
    (("008A0B3904C1C2C3C400", "030490980130791D" + RECORD_71 + "9000"),),
    history=((ratified_key(0x2000), 0),),
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
    _SECRETS.format(counter=0xC8C7C7, algorithm=0xA0)
    + file(0x2001, 7, f'"{RECORD_71}"', more="signatures = []")
    + file(0x2010, 8, f'"{RECORD_81}"', kind="cyclic"),
    (
        ("008A0302010000", "C8C7C6C5C4C3C2C102307900 6200"),
        ("00B2013C1D", RECORD_71 + "9000"),
        ("00B201441D", RECORD_81 + "9000"),
        _EXTENDED,
        ("00B2013C1D", RECORD_71 + "9000"),
        ("00B201441D", RECORD_81 + "9000"),
    ),
)
