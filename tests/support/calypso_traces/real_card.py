"""A real MOBIB card, as its dump shows it: calypso-card §2.2, §3.7, §4.1 (a shorter Le), §6.3, §8.4."""

from __future__ import annotations

from support.calypso_traces.trace import Trace

_ICC = "00000000000000040071B30000000000C0D69990025014000025564400"
_LOAD_LOG = "00000073000000000000000000AE11875000E76C0002F9F26C00000000"
_DEBIT_LOG = "00000000000073AE11875000E76B0000000001D5972400000000000000"
_ENVIRONMENT = "13" + "57" * 47

_FILES = (
    # LID, SFI, type, records, size, access, first content
    (0x0002, 0x02, "linear", 1, 29, "AA NN NN NN", _ICC),
    (0x0003, 0x03, "linear", 1, 29, "PN S2 NN NN", ""),
    (0x2001, 0x07, "linear", 2, 48, "AA S1 NN NN", _ENVIRONMENT),
    (0x2010, 0x08, "cyclic", 3, 48, "AA S3 S3 S3", ""),
    (0x2020, 0x09, "linear", 12, 48, "AA S2 S3 NN", ""),
    (0x2040, 0x1D, "linear", 4, 48, "AA S3 NN NN", ""),
    (0x2050, 0x1E, "linear", 1, 48, "AA S3 NN NN", ""),
    (0x2069, 0x19, "counters", 1, 36, "AA S2 S3 S2", ""),
    (0x20F0, 0x01, "linear", 1, 48, "AA AA AA NN", ""),
)
_LOGS = "1F00 0000 0000 0000"
"""Access of the logs, with key indexes that no word names."""


def _toml() -> str:
    text = f"""
        base = "bench"
        serial = "00000000C0D69990"
        [purse]
        transaction_number = 2
        load_log = "{_LOAD_LOG}"
        debit_logs = ["{_DEBIT_LOG}"]
        [[applications]]
        lid = 0x2000
        aid = "315449432E494341D05600019101"
        type = 0x23
        subtype = 0xC4
        """
    for lid, sfi, kind, records, size, access, content in _FILES:
        text += f"""
            [[applications.files]]
            lid = {lid}
            sfi = {sfi}
            type = "{kind}"
            records = {records}
            size = {size}
            access = "{access}"
            content = ["{content}"]
            signatures = []
            """
    for lid in (0x1014, 0x1015):
        text += f"""
            [[applications.files]]
            lid = {lid}
            access = "{_LOGS}"
            """
    return text


MOBIB = Trace(
    "§3.7 a real card: FCI, descriptors, logs and ICC",
    _toml(),
    (
        (
            "00A404000E315449432E494341D0560001910100",
            "6F28840E315449432E494341D05600019101A516BF0C13C70800000000C0D69990"  # noqa: ISC004
            "53070A3C23C41410019000",
        ),
        ("00A4090002200100", "8517 07 04 02 30 02 1F100000 01010101 00 0000 0000000000 2001 9000"),
        ("00A4090002000200", "8517 02 04 02 1D 01 1F000000 01010101 00 0000 0000000000 0002 9000"),
        ("00A4090002000300", "8517 03 04 02 1D 01 01100000 01020101 00 0000 0000000000 0003 9000"),
        ("00A4090002201000", "8517 08 04 04 30 03 1F101010 01030303 00 0000 0000000000 2010 9000"),
        ("00A4090002202000", "8517 09 04 02 30 0C 1F101000 01020301 00 0000 0000000000 2020 9000"),
        ("00A4090002204000", "8517 1D 04 02 30 04 1F100000 01030101 00 0000 0000000000 2040 9000"),
        ("00A4090002205000", "8517 1E 04 02 30 01 1F100000 01030101 00 0000 0000000000 2050 9000"),
        ("00A4090002206900", "8517 19 04 09 24 01 1F101010 01020302 00 0000 0000000000 2069 9000"),
        ("00A409000220F000", "8517 01 04 02 30 01 1F1F1F00 01010101 00 0000 0000000000 20F0 9000"),
        ("00A4090002101400", "8517 14 04 04 1D 01 1F000000 00000000 00 0000 0000000000 1014 9000"),
        ("00A4090002101500", "8517 15 04 04 1D 03 1F000000 00000000 00 0000 0000000000 1015 9000"),
        ("00B201A41D", _LOAD_LOG + "9000"),
        ("00B201AC1D", _DEBIT_LOG + "9000"),
        ("00B201141D", _ICC + "9000"),
        ("00B2013C1D", _ENVIRONMENT[:58] + "9000"),
    ),
    kvc=0x74,
)
