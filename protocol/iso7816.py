"""Offsets, instruction bytes and status words that Java Card gathers under the name ISO7816.

The names are those of `javacard.framework.ISO7816`, so that an applet is ported line by line. Numbers
that `StatusWord` also names are taken from there.

Source: ISO/IEC 7816-4; wallet-javacard §1, §6; Java Card API 2.2.2, interface ISO7816.
"""

from __future__ import annotations

from typing import Final

from cardbench.protocol.status import StatusWord


class ISO7816:
    """Constants of the command header, instructions and status words; never instantiated."""

    OFFSET_CLA: Final = 0
    OFFSET_INS: Final = 1
    OFFSET_P1: Final = 2
    OFFSET_P2: Final = 3
    OFFSET_LC: Final = 4  # P3: Lc, or Le where the command has no data
    OFFSET_CDATA: Final = 5
    OFFSET_EXT_CDATA: Final = 7

    CLA_ISO7816: Final = 0x00

    INS_MANAGE_CHANNEL: Final = 0x70
    INS_EXTERNAL_AUTHENTICATE: Final = 0x82
    INS_SELECT: Final = 0xA4
    INS_READ_BINARY: Final = 0xB0
    INS_UPDATE_BINARY: Final = 0xD6

    SW_NO_ERROR: Final = int(StatusWord.OK)
    SW_BYTES_REMAINING_00: Final = 0x6100
    SW_WARNING_STATE_UNCHANGED: Final = int(StatusWord.WARNING)
    SW_WRONG_LENGTH: Final = int(StatusWord.WRONG_LENGTH)
    SW_LOGICAL_CHANNEL_NOT_SUPPORTED: Final = int(StatusWord.CHANNEL_NOT_SUPPORTED)
    SW_SECURE_MESSAGING_NOT_SUPPORTED: Final = int(StatusWord.SECURE_MESSAGING_NOT_SUPPORTED)
    SW_LAST_COMMAND_EXPECTED: Final = 0x6883
    SW_COMMAND_CHAINING_NOT_SUPPORTED: Final = 0x6884
    SW_SECURITY_STATUS_NOT_SATISFIED: Final = int(StatusWord.SECURITY_NOT_SATISFIED)
    SW_FILE_INVALID: Final = int(StatusWord.BLOCKED)
    SW_DATA_INVALID: Final = 0x6984
    SW_CONDITIONS_NOT_SATISFIED: Final = int(StatusWord.CONDITIONS_NOT_SATISFIED)
    SW_COMMAND_NOT_ALLOWED: Final = int(StatusWord.NO_CURRENT_FILE)
    SW_APPLET_SELECT_FAILED: Final = int(StatusWord.SELECT_FAILED)
    SW_WRONG_DATA: Final = int(StatusWord.WRONG_DATA)
    SW_FUNC_NOT_SUPPORTED: Final = int(StatusWord.FUNCTION_NOT_SUPPORTED)
    SW_FILE_NOT_FOUND: Final = int(StatusWord.FILE_NOT_FOUND)
    SW_RECORD_NOT_FOUND: Final = int(StatusWord.RECORD_NOT_FOUND)
    SW_FILE_FULL: Final = int(StatusWord.NOT_ENOUGH_MEMORY)
    SW_INCORRECT_P1P2: Final = int(StatusWord.WRONG_P1P2)
    SW_WRONG_P1P2: Final = int(StatusWord.P1P2_NOT_SUPPORTED)
    SW_CORRECT_LENGTH_00: Final = 0x6C00  # plus the right Le
    SW_INS_NOT_SUPPORTED: Final = int(StatusWord.INS_NOT_SUPPORTED)
    SW_CLA_NOT_SUPPORTED: Final = int(StatusWord.CLA_NOT_SUPPORTED)
    SW_UNKNOWN: Final = int(StatusWord.UNKNOWN)
