"""Files, data objects and the published card stubs: calypso-card §2.4.1, §9.11, §9.12."""

from __future__ import annotations

from support.calypso_traces.trace import BLANK_CONTRACT, EVENT, Trace

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

STATUS = Trace(
    "§9.11 Invalidate and Rehabilitate, in a session of the issuer",
    f"""
    base = "gtml"
    transaction_counter = {0x030491}
    """,
    (
        ("008A010104C1C2C3C400", "0304909800217900 9000"),
        ("0004000000", "9000"),
        (
            "00CA006F00",
            "6F238409315449432E49434131A516BF0C13C708000000001122334453070A3C2305141001 6283",
        ),
        ("0044000000", "9000"),
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
