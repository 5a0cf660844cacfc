"""The image of a Legacy SAM: what its ATR says, and what its product type can do.

Source: legacy-sam §1 (products), §2 (ATR).
"""

from __future__ import annotations

import re
from enum import Enum, unique
from typing import TYPE_CHECKING, NamedTuple

from cardbench.protocol.calypso.ins import CLA_SAM, CLA_SAM_LEGACY
from cardbench.protocol.calypso.sam import COUNTERS, WORK_KEY_RECORDS, KeyReference, SystemKif
from cardbench.protocol.errors import UsageError

if TYPE_CHECKING:
    from cardbench.terminal.legacy_sam.link import SamLink

_ATR = re.compile(rb"\x3b(?:...|.....)\x80\x5a(.{10})\x82\x90\x00", re.DOTALL)
_ISSUER_HSM = 0x08


class SamTraits(NamedTuple):
    """What a SAM product can do.

    Attributes:
        cla: class byte that it is spoken to with.
        is_extended_mode_supported: extended sessions.
        digest_max_bytes: most bytes of one digest element, and of the data of one digest command.
        groups_digest: Digest Update Multiple is used.
        atr_pattern: what its ATR looks like in upper-case hex; `{serial}` stands for the serial number.
    """

    cla: int = CLA_SAM
    is_extended_mode_supported: bool = False
    digest_max_bytes: int = 0
    groups_digest: bool = False
    atr_pattern: str = ".*"


@unique
class SamProductType(Enum):
    """SAM products; the value is what they can do."""

    SAM_C1 = SamTraits(
        is_extended_mode_supported=True,
        digest_max_bytes=255,
        groups_digest=True,
        atr_pattern="3B(.{{6}}|.{{10}})805A..80C1.{{6}}{serial}829000",
    )
    HSM_C1 = SamTraits(
        is_extended_mode_supported=True,
        digest_max_bytes=255,
        atr_pattern="3B(.{{6}}|.{{10}})805A..80C108.{{4}}{serial}829000",
    )
    SAM_S1E1 = SamTraits(
        digest_max_bytes=240,
        groups_digest=True,
        atr_pattern="3B(.{{6}}|.{{10}})805A..80E1.{{6}}{serial}829000",
    )
    SAM_S1DX = SamTraits(
        cla=CLA_SAM_LEGACY,
        digest_max_bytes=70,
        atr_pattern="3B(.{{6}}|.{{10}})805A..80D.{{1}}.{{6}}{serial}829000",
    )
    UNKNOWN = SamTraits()


def _product_type(subtype: int, issuer: int) -> SamProductType:
    if subtype == 0xC1:
        return SamProductType.HSM_C1 if issuer == _ISSUER_HSM else SamProductType.SAM_C1
    if subtype == 0xE1:
        return SamProductType.SAM_S1E1
    if 0xD0 <= subtype <= 0xD7:
        return SamProductType.SAM_S1DX
    return SamProductType.UNKNOWN


@unique
class SystemKeyType(Enum):
    """A SAM's own keys; the value is KIF and reference."""

    PERSONALIZATION = (SystemKif.PERSONALIZATION, KeyReference.PERSONALIZATION)
    KEY_MANAGEMENT = (SystemKif.KEY_MANAGEMENT, KeyReference.KEY_MANAGEMENT)
    RELOADING = (SystemKif.RELOADING, KeyReference.RELOADING)
    AUTHENTICATION = (SystemKif.AUTHENTICATION, KeyReference.AUTHENTICATION)


@unique
class CounterIncrementAccess(Enum):
    """Whether a counter may be incremented by anybody."""

    FREE_COUNTING_ENABLED = True
    FREE_COUNTING_DISABLED = False


class KeyParameter(NamedTuple):
    """The parameter block of a key: 13 bytes."""

    raw_data: bytes

    @property
    def kif(self) -> int:
        """KIF."""
        return self.raw_data[0]

    @property
    def kvc(self) -> int:
        """KVC."""
        return self.raw_data[1]

    @property
    def algorithm(self) -> int:
        """ALG."""
        return self.raw_data[2]

    def parameter_value(self, number: int) -> int:
        """Return PAR1 to PAR10.

        Raises:
            UsageError: another number.
        """
        if not 1 <= number <= 10:
            raise UsageError(f"key parameter {number}; allowed: 1 to 10")
        return self.raw_data[2 + number]

    @property
    def counter_number(self) -> int:
        """Number of the key's event counter; 0: it has none."""
        return self.parameter_value(4)


def _counter(number: int) -> int:
    if number not in COUNTERS:
        raise UsageError(f"event counter {number}; allowed: 0 to 26")
    return number


class LegacySam:
    """What is known of a SAM.

    Attributes:
        power_on_data: ATR.
        product_type: kind of SAM.
        serial: 4 bytes.
        platform, application_type, application_subtype, software_issuer, software_version,
            software_revision: bytes of the ATR; 0 when it is no SAM's.
        sam_parameters: 29 bytes; None when they were not read.
        system_keys: parameters by type, as far as they were read.
        work_keys: parameters by record number or by (KIF, KVC), as they were read.
        counters, counter_ceilings: values by number, as far as they were read.
        counter_increment_accesses: by number, as far as they were read.
        ca_certificate: 384 bytes; None when it was not read.
    """

    select_application_response: None = None

    def __init__(self, power_on_data: bytes) -> None:
        self.power_on_data = power_on_data
        found = _ATR.search(power_on_data)
        fields = bytes(10) if found is None else found.group(1)
        self.platform = fields[0]
        self.application_type = fields[1]
        self.application_subtype = fields[2]
        self.software_issuer = fields[3]
        self.software_version = fields[4]
        self.software_revision = fields[5]
        self.serial = fields[6:]
        self.product_type = (
            SamProductType.UNKNOWN
            if found is None
            else _product_type(self.application_subtype, self.software_issuer)
        )
        self.traits = self.product_type.value
        self.link: SamLink | None = None
        self.sam_parameters: bytes | None = None
        self.system_keys: dict[SystemKeyType, KeyParameter] = {}
        self.work_keys: dict[int | tuple[int, int], KeyParameter] = {}
        self.counters: dict[int, int] = {}
        self.counter_ceilings: dict[int, int] = {}
        self.counter_increment_accesses: dict[int, CounterIncrementAccess] = {}
        self.ca_certificate: bytes | None = None

    # What a Keypop application asks for by number

    def counter(self, number: int) -> int | None:
        """Return the value of an event counter, 0…26; None when it was not read."""
        return self.counters.get(_counter(number))

    def counter_ceiling(self, number: int) -> int | None:
        """Return the ceiling of an event counter, 0…26; None when it was not read."""
        return self.counter_ceilings.get(_counter(number))

    def counter_increment_access(self, number: int) -> CounterIncrementAccess | None:
        """Return whether an event counter, 0…26, counts freely; None when it was not read."""
        return self.counter_increment_accesses.get(_counter(number))

    def system_key_parameter(self, kind: SystemKeyType) -> KeyParameter | None:
        """Return the parameters of one of the SAM's own keys; None when they were not read."""
        return self.system_keys.get(kind)

    def work_key_parameter(self, key: int | tuple[int, int]) -> KeyParameter | None:
        """Return the parameters of a work key, by record 1…126 or (KIF, KVC); None when not read.

        Raises:
            UsageError: no such record.
        """
        if isinstance(key, int) and key not in WORK_KEY_RECORDS:
            raise UsageError(f"work key record {key}; allowed: 1 to 126")
        return self.work_keys.get(key)

    @property
    def product_info(self) -> str:
        """Type and serial number, for people."""
        return f"Type: {self.product_type.name}, S/N: {self.serial.hex().upper()}"

    def __repr__(self) -> str:
        return f"<LegacySam {self.product_info}>"
