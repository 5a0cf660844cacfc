"""Startup information: the seven bytes in which a Calypso application says what it is.

Also here: what follows from them alone, product type, options and session buffer size, and the
contactless ATR of a revision 1 card, which carries six of the seven bytes instead of an FCI.

Source: calypso-card §1.1–1.4, §1.7, §1.8, §2.6; terminal-api §10.2.
"""

from __future__ import annotations

from enum import Enum, IntFlag, unique
from functools import lru_cache
from math import isqrt
from typing import NamedTuple

from cardbench.protocol.calypso.ins import CLA_ISO, CLA_LEGACY, CLA_LEGACY_SV
from cardbench.protocol.errors import MalformedCardData, UsageError

STARTUP_SIZE_BYTES = 7
SUBTYPE_STORED_VALUE = 0x20
FORBIDDEN_SUBTYPES = frozenset({0x00, 0xFF})

SESSION_MODIFICATION_MIN = 0x06
SESSION_MODIFICATION_MAX = 0x37

COUNTER_MAX = 0xFF_FFFF
SFI_MAX = 30
RECORD_NUMBER_MAX = 250
COUNTER_NUMBER_MAX = 83
RECORD_SIZE_MAX_BYTES = 250
BINARY_SIZE_MAX_BYTES = 32_767

_REV1_ATR_SIZE_BYTES = 20
_REV1_ATR_HEAD = bytes.fromhex("3B8F8001805A")
_REV1_ATR_TAIL = bytes.fromhex("829000")
_REV1_SESSION_MODIFICATION = 0x03  # three operations


@unique
class ApplicationOption(IntFlag):
    """Option bits of the application type byte."""

    NONE = 0
    PIN = 0x01
    STORED_VALUE = 0x02
    RATIFICATION_COMMAND_REQUIRED = 0x04  # clear: a deselect ratifies
    EXTENDED_MODE = 0x08
    PKI_MODE = 0x10


class ProductTraits(NamedTuple):
    """What a product type can do, as a terminal sees it.

    Attributes:
        cla, sv_cla: class bytes of ordinary and of Stored Value commands.
        options: the option bits that count; the others are not looked at.
        buffer_operations: size of the session buffer in modifying commands; 0: it is counted in bytes.
        session_modifications: lowest and highest session-modification byte that makes sense.
        payload_max_bytes: most bytes a terminal puts into one command or asks of one response.
        reads_many_records: Read Records gives several records.
        reads_slices: Read Record Multiple exists.
        searches: Search Record Multiple exists.
        has_binary_files: Read, Update and Write Binary exist.
        counts_multiple: Increase and Decrease Multiple exist.
        may_postpone_counters: the result of Increase and Decrease may come with Close only.
        changes_keys: Change Key exists.
        record_in_open_max: highest record number that P1 of Open Secure Session holds.
    """

    cla: int = CLA_ISO
    sv_cla: int = CLA_ISO
    options: ApplicationOption = ApplicationOption.NONE
    buffer_operations: int = 0
    session_modifications: tuple[int, int] = (SESSION_MODIFICATION_MIN, SESSION_MODIFICATION_MAX)
    payload_max_bytes: int = 250
    reads_many_records: bool = False
    reads_slices: bool = False
    searches: bool = False
    has_binary_files: bool = False
    counts_multiple: bool = False
    may_postpone_counters: bool = False
    changes_keys: bool = True
    record_in_open_max: int = 31


@unique
class ProductType(Enum):
    """The kinds of Calypso application; the value is what they can do."""

    PRIME_REVISION_1 = ProductTraits(
        cla=CLA_LEGACY,
        sv_cla=CLA_LEGACY_SV,
        buffer_operations=3,
        session_modifications=(0x00, 0xFF),
        may_postpone_counters=True,
    )
    PRIME_REVISION_2 = ProductTraits(
        cla=CLA_LEGACY,
        sv_cla=CLA_LEGACY_SV,
        options=ApplicationOption.PIN | ApplicationOption.STORED_VALUE,
        buffer_operations=6,
        session_modifications=(0x00, 0xFF),
        payload_max_bytes=128,
        has_binary_files=True,
        counts_multiple=True,
        may_postpone_counters=True,
        record_in_open_max=15,
    )
    PRIME_REVISION_3 = ProductTraits(
        options=ApplicationOption(0x1F),
        reads_many_records=True,
        reads_slices=True,
        searches=True,
        has_binary_files=True,
        counts_multiple=True,
    )
    LIGHT = ProductTraits(reads_many_records=True, reads_slices=True)
    BASIC = ProductTraits(
        buffer_operations=4,
        session_modifications=(0x04, SESSION_MODIFICATION_MAX),
        changes_keys=False,
    )
    UNKNOWN = ProductTraits(session_modifications=(0x00, 0xFF), changes_keys=False)


# First application type byte of each range, in increasing order.
_APPLICATION_TYPES: tuple[tuple[int, ProductType], ...] = (
    (0x01, ProductType.PRIME_REVISION_2),
    (0x20, ProductType.PRIME_REVISION_3),
    (0x90, ProductType.LIGHT),
    (0x98, ProductType.BASIC),
    (0xA0, ProductType.PRIME_REVISION_3),
    (0xFF, ProductType.UNKNOWN),
)
_PRODUCT_OF_TYPE: tuple[ProductType, ...] = tuple(
    next(
        (product for first, product in reversed(_APPLICATION_TYPES) if byte >= first),
        ProductType.UNKNOWN,
    )
    for byte in range(256)
)


@lru_cache(maxsize=64)
def session_buffer_size_bytes(session_modification: int) -> int:
    """Return the session buffer size that a session-modification byte stands for.

    ⌊2^(8 + (n − 7)/4)⌋ bytes for n from 06 to 37.

    Raises:
        UsageError: n is outside that range.

    Source: calypso-card §1.4.
    """
    if not SESSION_MODIFICATION_MIN <= session_modification <= SESSION_MODIFICATION_MAX:
        raise UsageError(
            f"session-modification byte {session_modification:02X}; allowed: "
            f"{SESSION_MODIFICATION_MIN:02X} to {SESSION_MODIFICATION_MAX:02X}"
        )
    return isqrt(isqrt(1 << (25 + session_modification)))


class StartupInformation(NamedTuple):
    """The startup information, byte by byte.

    Attributes:
        session_modification: size of the session buffer, coded (`session_buffer_size_bytes`).
        platform: chip.
        application_type: product type and options.
        application_subtype: file structure.
        software_issuer, software_version, software_revision: of the card's program.
        rest: bytes after the seventh, kept as they came.
    """

    session_modification: int
    platform: int
    application_type: int
    application_subtype: int
    software_issuer: int
    software_version: int
    software_revision: int
    rest: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> StartupInformation:
        """Read startup information.

        Raises:
            MalformedCardData: shorter than seven bytes, application type 00, a forbidden subtype, or a
                session-modification byte that the product type does not have.
        """
        if len(raw) < STARTUP_SIZE_BYTES:
            raise MalformedCardData(
                f"startup information of {len(raw)} byte(s); at least 7 are needed"
            )
        return _read_startup(bytes(raw))

    def encode(self) -> bytes:
        """Write the seven bytes and the rest."""
        return bytes(self[:7]) + self.rest

    @property
    def product_type(self) -> ProductType:
        """Product type that the application type byte stands for."""
        return _PRODUCT_OF_TYPE[self.application_type]

    @property
    def options(self) -> ApplicationOption:
        """Options of the application; bits that the product type does not use are left out."""
        return ApplicationOption(self.application_type & self.product_type.value.options)


@lru_cache(maxsize=256)
def _read_startup(raw: bytes) -> StartupInformation:
    """Read and check; all cards of one issue share what is read here."""
    startup = StartupInformation(raw[0], raw[1], raw[2], raw[3], raw[4], raw[5], raw[6], raw[7:])
    if not startup.application_type:
        raise MalformedCardData("application type 00 is not allowed")
    if startup.application_subtype in FORBIDDEN_SUBTYPES:
        raise MalformedCardData(
            f"application subtype {startup.application_subtype:02X} is not allowed"
        )
    low, high = startup.product_type.value.session_modifications
    if not low <= startup.session_modification <= high:
        raise MalformedCardData(
            f"session-modification byte {startup.session_modification:02X}; a "
            f"{startup.product_type.name} has {low:02X} to {high:02X}"
        )
    return startup


class Rev1Identity(NamedTuple):
    """What the ATR of a revision 1 card tells: startup information and serial number (8 bytes)."""

    startup: StartupInformation
    serial: bytes


def parse_rev1_atr(atr: bytes) -> Rev1Identity | None:
    """Read the contactless ATR of a Prime revision 1 card, or return None if it is another one.

    The check byte is not checked: published test ATRs have a wrong one.

    Source: calypso-card §2.6.
    """
    if (
        len(atr) != _REV1_ATR_SIZE_BYTES
        or not atr.startswith(_REV1_ATR_HEAD)
        or atr[16:19] != _REV1_ATR_TAIL
    ):
        return None
    startup = StartupInformation(_REV1_SESSION_MODIFICATION, *atr[6:12])
    return Rev1Identity(startup, bytes(4) + atr[12:16])
