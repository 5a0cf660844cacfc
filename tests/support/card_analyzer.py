"""What the Calypso Card Analyzer would report of a card: its walk over the card, its names, its form.

Written from the published source of the tool (github.com/calypsonet/calypso-card-analyzer, release 2.0.3) as
facts: which commands it sends, in which order, and what it writes of the answers. Nothing of the project but
the bytes of the card comes in.

Held against the tool itself, on the presets of the project behind a PC/SC service: both wrote the same.

Its form of numbers: bytes in two digits, longer ones without leading zeros unless padded to four; `index`
of a record in hexadecimal. Its walk: the AID prefixes below, first and next occurrence; the current DF; first
and next EF; every record of a file that has an SFI, is no binary file and is read without PIN or encryption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardbench.protocol.link import Card

PREFIXES = ("A000000291", "A000000404", "D276000085", "334D54522E", "315449432E", "304554502E")
UNREAD = (0x01, 0x14, 0x15)
BINARY = 1
REVISION_2, LIGHT, BASIC = range(0x01, 0x20), range(0x90, 0x98), range(0x98, 0xA0)


def number(value: int) -> str:
    """Digits in pairs, as few as it takes."""
    return f"{value:02X}" if value < 0x100 else f"{value:04X}"


def analyse(card: Card) -> dict[str, Any]:
    """Walk over a card that is powered here."""
    card.power_on()
    return {
        "id": "20240514_CardData_287454020.json",
        "infos": "AnalyzeCardFileStructure",
        "date": "14/05/2024 10:11:12",
        "version": 2,
        "software": "Calypso Card Analyzer",
        "traceability": traceability(card).hex().upper(),
        "applicationList": [
            application(card, aid) for prefix in PREFIXES for aid in applications(card, prefix)
        ],
    }


def select(card: Card, aid: str, *, following: bool = False) -> bytes:
    """Return the FCI, or nothing."""
    name = bytes.fromhex(aid)
    p2 = 0x02 if following else 0x00
    answer = card.transmit(bytes((0, 0xA4, 4, p2, len(name))) + name + b"\0")
    return answer[:-2] if answer[-2:] in (b"\x90\0", b"\x62\x83") else b""


def element(data: bytes, tag: bytes) -> bytes:
    """Return the value of a primitive element of an FCI."""
    at = data.index(tag) + len(tag)
    return data[at + 1 : at + 1 + data[at]]


def applications(card: Card, prefix: str) -> list[str]:
    found = []
    fci = select(card, prefix)
    while fci:
        found.append(element(fci, b"\x84").hex().upper())
        fci = select(card, prefix, following=True)
    return found


def traceability(card: Card) -> bytes:
    for prefix in PREFIXES:
        fci = select(card, prefix)
        if fci:
            answer = card.transmit(bytes((cla_of(fci), 0xCA, 0x01, 0x85, 0)))
            return answer[:-2] if answer[-2:] == b"\x90\0" else b""
    return b""


def cla_of(fci: bytes) -> int:
    return 0x94 if element(fci, b"\x53")[2] in REVISION_2 else 0x00


def header(card: Card, cla: int, p1: int, p2: int) -> bytes:
    answer = card.transmit(bytes((cla, 0xA4, p1, p2, 2, 0, 0, 0)))
    return answer[2:-2] if answer[-2:] == b"\x90\0" else b""


def application(card: Card, aid: str) -> dict[str, Any]:
    fci = select(card, aid)
    cla, startup, serial = cla_of(fci), element(fci, b"\x53"), element(fci, b"\xc7")
    csn = bytes(2) + serial[2:]
    df = header(card, cla, 0x09, 0x00)
    lid = df[20:22] if cla == 0x94 else df[21:23]
    return {
        "fci": (fci + (b"\x62\x83" if df[13] else b"\x90\0")).hex().upper(),
        "calypsoRevision": revision(startup[2]),
        "aid": aid,
        "csn": csn.hex().upper(),
        "csnDec": int.from_bytes(csn),
        "sessionModif": f"{startup[0]:04X}",
        "sessionModifDec": startup[0],
        "bufferSize": 430,
        "platform": f"{startup[1]:02X}",
        "applicationType": f"{startup[2]:02X}",
        "applicationSubtype": f"{startup[3]:02X}",
        "issuer": {"value": f"{startup[4]:02X}", "name": "--"},
        "version": f"{startup[5]:02X}",
        "revision": f"{startup[6]:02X}",
        "transactionCounter": "Not available",
        "transactionCounterDec": 0,
        "accessConditions": conditions(df),
        "status": f"{df[13]:02X}",
        **{f"kif{index + 1}": f"{df[17 + index]:02X}" for index in range(3)},
        **{f"kvc{index + 1}": f"{df[14 + index]:02X}" for index in range(3)},
        "lid": number(int.from_bytes(lid)),
        "fileList": [file(card, cla, ef) for ef in files(card, cla)],
    }


def revision(application_type: int) -> str:
    if application_type in REVISION_2:
        return "PRIME_REVISION_2"
    if application_type in LIGHT:
        return "LIGHT"
    return "BASIC" if application_type in BASIC else "PRIME_REVISION_3"


def conditions(data: bytes) -> dict[str, dict[str, str]]:
    return {
        f"group{group}": {
            "accessCondition": f"{data[5 + group]:02X}",
            "keyLevel": f"{data[9 + group]:02X}",
            "description": "--",
        }
        for group in range(4)
    }


def files(card: Card, cla: int) -> list[bytes]:
    found = []
    ef = header(card, cla, 0x02, 0x00)
    while ef:
        found.append(ef)
        ef = header(card, cla, 0x02, 0x02)
    return found


def file(card: Card, cla: int, ef: bytes) -> dict[str, Any]:
    is_binary = ef[2] == BINARY
    size, count = (int.from_bytes(ef[3:5]), 1) if is_binary else (ef[3], ef[4])
    is_read = not is_binary and ef[5] not in UNREAD and ef[0]
    return {
        "sfi": f"{ef[0]:02X}",
        "lid": (ef[20:22] if cla == 0x94 else ef[21:23]).hex().upper(),
        "efType": f"{ef[2]:02X}",
        "ref": f"{int.from_bytes(ef[14:16]):04X}",
        "recSize": f"{size:04X}",
        "recSizeDec": size,
        "numRec": number(count),
        "numRecDec": count,
        "accessConditions": conditions(ef),
        "recordDataList": [
            {"index": number(index), "value": record(card, cla, ef[0], index)}
            for index in range(1, count + 1)
            if is_read
        ],
    }


def record(card: Card, cla: int, sfi: int, index: int) -> str:
    answer = card.transmit(bytes((cla, 0xB2, index, sfi << 3 | 4, 0)))
    assert answer[-2:] == b"\x90\0"
    return answer[:-2].hex().upper()
