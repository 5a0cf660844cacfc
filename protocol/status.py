"""Status words: the two bytes SW1 SW2 that end every response, as one number 0…FFFF.

Source: ISO/IEC 7816-4 (general meaning); calypso-card §4.0 and legacy-sam §5 for what a Calypso card
or SAM means by them; globalplatform and wallet-javacard sheets for the Java Card side.
"""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class StatusWord(IntEnum):
    """The status words that a cardbench card answers with; a peer may send any other number."""

    OK = 0x9000
    WARNING = 0x6200  # success with a nuance: partial, postponed, or pre-open
    INVALIDATED = 0x6283
    BUFFER_OVERFLOW = 0x6400
    WRONG_LENGTH = 0x6700
    CHANNEL_NOT_SUPPORTED = 0x6881
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882
    COUNTER_EXHAUSTED = 0x6900
    WRONG_FILE_TYPE = 0x6981
    SECURITY_NOT_SATISFIED = 0x6982
    BLOCKED = 0x6983
    CONDITIONS_NOT_SATISFIED = 0x6985
    NO_CURRENT_FILE = 0x6986
    WRONG_CRYPTOGRAM = 0x6988
    SELECT_FAILED = 0x6999
    WRONG_P1P2_LEGACY = 0x6A00
    WRONG_DATA = 0x6A80
    FUNCTION_NOT_SUPPORTED = 0x6A81
    FILE_NOT_FOUND = 0x6A82
    RECORD_NOT_FOUND = 0x6A83
    NOT_ENOUGH_MEMORY = 0x6A84
    WRONG_P1P2 = 0x6A86
    LC_INCONSISTENT = 0x6A87
    DATA_NOT_FOUND = 0x6A88
    WRONG_AID = 0x6A8A
    P1P2_NOT_SUPPORTED = 0x6B00
    INS_NOT_SUPPORTED = 0x6D00
    CLA_NOT_SUPPORTED = 0x6E00
    UNKNOWN = 0x6F00


def more_bytes(count: int) -> int:
    """Return 61xx: `count` more response bytes wait for GET RESPONSE; 256 and more are shown as 00."""
    return 0x6100 | (count if count < 0x100 else 0)


def describe(sw: int) -> str:
    """Put a status word in words, for traces and error texts: `6A82 file not found`."""
    if sw & 0xFFF0 == 0x63C0:
        return f"{sw:04X} {sw & 0xF} attempt(s) left"
    if sw >> 8 == 0x61:
        return f"{sw:04X} {sw & 0xFF or 256} byte(s) to fetch"
    if sw >> 8 == 0x6C:
        return f"{sw:04X} exact length is {sw & 0xFF or 256}"
    try:
        return f"{sw:04X} {StatusWord(sw).name.lower().replace('_', ' ')}"
    except ValueError:
        return f"{sw:04X}"
