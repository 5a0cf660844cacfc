"""PIN, keys and Stored Value: calypso-card §9.7 to §9.10."""

from __future__ import annotations

from support.calypso_traces.trace import EVENT, Trace, transport

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
_SV_GET_DEBIT = ("007C00091E", "790073A54BC97DFA123456" + _DEBIT_LOG + "9000")
_OLD_SV_GET_LOAD = ("007C000700", _SV_GET_LOAD[1])
_OLD_SV_GET_DEBIT = ("007C000900", _SV_GET_DEBIT[1])
_RELOADED = ("00B8959117160000007900000002000012345678 0000DE2C8CB3D280", "A54BC99000")
_DEBITED = ("00BACD001434FFFE000000007912345678 0000DF0C9437AABB", "A54BC99000")
_UNDEBITED = ("00BCCD0014340002000000007912345678 0000DF0C9437AABB", "A54BC99000")


def _with_le(exchange: tuple[str, str]) -> tuple[str, str]:
    """As terminals send it today."""
    return (exchange[0] + "03", exchange[1])


SV_RELOAD = Trace(
    "§9.8 SV Reload",
    _purse(0x72, 0x123456, _LOAD_LOG, [_DEBIT_LOG]),
    (_OLD_SV_GET_LOAD, _RELOADED),
)
SV_RELOAD_TODAY = Trace(
    "§9.8 SV Reload, with the Le that terminals send today",
    _purse(0x72, 0x123456, _LOAD_LOG, [_DEBIT_LOG]),
    (_SV_GET_LOAD, _with_le(_RELOADED)),
)
SV_DEBIT = Trace(
    "§9.8 SV Debit",
    _purse(0x73, 0x123456, _LOAD_LOG, [_DEBIT_LOG]),
    (_OLD_SV_GET_DEBIT, _DEBITED),
)
SV_DEBIT_TODAY = Trace(
    "§9.8 SV Debit, with the Le that terminals send today",
    _purse(0x73, 0x123456, _LOAD_LOG, [_DEBIT_LOG]),
    (_SV_GET_DEBIT, _with_le(_DEBITED)),
)
SV_UNDEBIT = Trace(
    "§9.8 SV Undebit",
    _purse(0x73, 0x123456, _LOAD_LOG, [_DEBIT_LOG]),
    (_SV_GET_DEBIT, _UNDEBITED),
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

# The operations of §9.9: published commands, answers by layout

_REGULAR_HI, _EXTENDED_HI = "1122334455", "11223344556677889900"
_RELOAD_DATA = "77 1122 F3 AA EE 000001 3344 AABBCCDD 123456"
_DEBIT_DATA = "77 FFFF 1122 3344 AA AABBCCDD 123456"


SV_RELOAD_DISTINCT = Trace(
    "§9.9 SV Reload, every field different",
    _purse(0x1234, 0x564321, _LOAD_9, [_DEBIT_9], kvc=0xAA),
    (
        ("007C000721", "AA1234A54BC97DFA564321" + _LOAD_9 + "9000"),
        ("00B8556617" + _RELOAD_DATA + _REGULAR_HI, "A54BC99000"),
    ),
)
SV_DEBIT_DISTINCT = Trace(
    "§9.9 SV Debit, every field different",
    _purse(0x1234, 0x564321, _LOAD_9, [_DEBIT_9], kvc=0xAA),
    (
        ("007C00091E", "AA1234A54BC97DFA564321" + _DEBIT_9 + "9000"),
        ("00BA556614" + _DEBIT_DATA + _REGULAR_HI, "A54BC99000"),
    ),
)
SV_RELOAD_EXTENDED = Trace(
    "§9.9 SV Reload, extended, every field different",
    _extended_purse(0xAA),
    (
        (
            "007C01073D",
            "8877665544332211 AA 1234 55AABB66DD77 564321" + _LOAD_9 + _DEBIT_9 + "9000",
        ),
        ("00B855661C" + _RELOAD_DATA + _EXTENDED_HI, "55AABB66DD779000"),
    ),
)
SV_DEBIT_EXTENDED = Trace(
    "§9.9 SV Debit, extended, every field different",
    _extended_purse(0xAA),
    (
        (
            "007C01093D",
            "8877665544332211 AA 1234 55AABB66DD77 564321" + _LOAD_9 + _DEBIT_9 + "9000",
        ),
        ("00BA556619" + _DEBIT_DATA + _EXTENDED_HI, "55AABB66DD779000"),
    ),
)

# §9.10: layout only

SV_IN_SESSION = Trace(
    "§9.10 Stored Value inside a session",
    transport(0x030490),
    (
        ("008A0B3904C1C2C3C400", "03049098003079 1D" + "00" * 29 + "9000"),
        ("007C00091E", "790000A54BC97DFA000000" + "00" * 19 + "9000"),
        ("00BACD001434FFFE000000007912345678 0000DF0C9437AABB", "6200"),
        ("00E200401D" + EVENT, "9000"),
        ("008E8000041234567800", "04A54BC99ABCDEF0 9000"),
    ),
)
