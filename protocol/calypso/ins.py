"""Instruction bytes, access levels and data object tags of the Calypso card application.

What both ends of the wire call the commands. P1, P2 and data layouts belong to the command's own code
on each side, which are written separately.

Source: calypso-card §4.0 (index of commands), §2.4, §2.5 (data objects), §3.1 (Select File); legacy-sam
§5.1 (SAM commands); terminal-api §8.2 (enumerations).
"""

from __future__ import annotations

from enum import IntEnum, unique

CLA_ISO = 0x00
CLA_LEGACY = 0x94  # Prime revision 1 and 2
CLA_LEGACY_SV = 0xFA  # Stored Value commands of Prime revision 1 and 2
CLA_SAM = 0x80
CLA_SAM_LEGACY = 0x94  # SAM-S1Dx


@unique
class CalypsoIns(IntEnum):
    """Instruction bytes of a Calypso card. Ratification is `READ_RECORDS` with P1 = P2 = 00."""

    INVALIDATE = 0x04
    VERIFY_PIN = 0x20
    DECREASE = 0x30
    INCREASE = 0x32
    DECREASE_MULTIPLE = 0x38
    INCREASE_MULTIPLE = 0x3A
    REHABILITATE = 0x44
    GENERATE_ASYMMETRIC_KEY_PAIR = 0x46
    SV_GET = 0x7C
    MANAGE_SECURE_SESSION = 0x82
    GET_CHALLENGE = 0x84
    OPEN_SECURE_SESSION = 0x8A
    CLOSE_SECURE_SESSION = 0x8E
    SEARCH_RECORD_MULTIPLE = 0xA2
    SELECT = 0xA4  # P1 04: application by DF name; others: Select File
    READ_BINARY = 0xB0
    READ_RECORDS = 0xB2
    READ_RECORD_MULTIPLE = 0xB3
    SV_RELOAD = 0xB8
    SV_DEBIT = 0xBA
    SV_UNDEBIT = 0xBC
    GET_RESPONSE = 0xC0
    GET_DATA = 0xCA
    WRITE_BINARY = 0xD0
    WRITE_RECORD = 0xD2
    UPDATE_BINARY = 0xD6
    CHANGE_KEY = 0xD8  # P2 FF: Change PIN
    PUT_DATA = 0xDA
    UPDATE_RECORD = 0xDC
    APPEND_RECORD = 0xE2


@unique
class SamIns(IntEnum):
    """Instruction bytes of a Calypso Legacy SAM."""

    CARD_GENERATE_KEY = 0x12  # and Card Cipher PIN, told apart by P1
    SELECT_DIVERSIFIER = 0x14
    SAM_GENERATE_KEY = 0x16  # and SAM Data Cipher, told apart by P2
    WRITE_KEY = 0x1A
    DATA_CIPHER = 0x1C
    UNLOCK = 0x20
    PSO = 0x2A
    GENERATE_ASYMMETRIC_KEY_PAIR = 0x46
    SV_PREPARE_DEBIT = 0x54
    SV_PREPARE_LOAD = 0x56
    SV_CHECK = 0x58
    SV_PREPARE_UNDEBIT = 0x5C
    DIGEST_AUTHENTICATE = 0x82
    GET_CHALLENGE = 0x84
    GIVE_RANDOM = 0x86
    DIGEST_INTERNAL_AUTHENTICATE = 0x88
    DIGEST_INIT = 0x8A
    DIGEST_UPDATE = 0x8C
    DIGEST_CLOSE = 0x8E
    READ_KEY_PARAMETERS = 0xBC
    READ_PARAMETERS = 0xBE  # event counters, ceilings and SAM parameters, told apart by P2
    GET_RESPONSE = 0xC0
    GET_DATA = 0xCA
    WRITE_PARAMETERS = 0xD8  # ceilings and SAM parameters, told apart by P2


@unique
class WriteAccessLevel(IntEnum):
    """Level of a secure session: the index of the key that it is opened with.

    A lower number opens more: key 1 personalises, loads and debits, key 3 only debits.
    """

    PERSONALIZATION = 1
    LOAD = 2
    DEBIT = 3


@unique
class DataObject(IntEnum):
    """Objects of Get Data and Put Data, by their P1P2."""

    DF_NAME = 0x004F
    FCP = 0x0062
    FCI = 0x006F
    EF_LIST = 0x00C0
    AID_LIST = 0x00D0  # of the other applications
    TRACEABILITY_INFORMATION = 0x0185
    HISTORICAL_BYTES = 0x5F52  # of the ATR
    CARD_PUBLIC_KEY = 0xDF2C
    CARD_KEY_PAIR = 0xDF3C  # Put Data only
    CA_CERTIFICATE = 0xDF4A  # first part
    CA_CERTIFICATE_END = 0xDF4B
    CARD_CERTIFICATE = 0xDF4C  # first part
    CARD_CERTIFICATE_END = 0xDF4D
