"""The image of a Calypso card: what the terminal knows of it, from selection on.

Commands fill it; an application reads it. Inside a secure session it shows the provisional content; if
the session fails, the content goes back to what it was before.

Counters are held in record 1 of their file. A counter whose left neighbours were never read is kept
apart, so that unknown counters are never shown as zero.

Source: terminal-api §10; calypso-card §1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from cardbench.protocol.calypso.fci import Fci
from cardbench.protocol.calypso.startup import (
    RECORD_NUMBER_MAX,
    ApplicationOption,
    ProductTraits,
    ProductType,
    StartupInformation,
    parse_rev1_atr,
    session_buffer_size_bytes,
)
from cardbench.protocol.errors import UsageError
from cardbench.terminal.calypso.files import COUNTER_SIZE_BYTES, ElementaryFile, FileData

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.protocol.calypso.file_header import DirectoryHeader, FileHeader
    from cardbench.protocol.calypso.ins import WriteAccessLevel
    from cardbench.protocol.calypso.sv_log import SvDebitLog, SvLoadLog

_UNKNOWN_TRAITS = ProductType.UNKNOWN.value
_CHALLENGE_COUNTER_BYTES = 3
_RECORD_BITS = 8

# Chips that take less than their product type says: platform, software version, payload.
_PAYLOAD_BY_CHIP = {(0x3C, 0x10): 235}
# A card of the first days that selects files, and reads records, in its own way.
_LEGACY_CASE_1 = bytes.fromhex("03080304000200")


@lru_cache(maxsize=64)
def _features(
    product_type: ProductType, startup: StartupInformation
) -> tuple[ProductTraits, ApplicationOption, bool, int]:
    """Return traits, options, extended mode and payload of a product; many cards share one."""
    traits = product_type.value
    options = ApplicationOption(startup.application_type & traits.options)
    payload_max_bytes = traits.payload_max_bytes
    if product_type is ProductType.PRIME_REVISION_3:
        chip = startup.platform, startup.software_version
        payload_max_bytes = _PAYLOAD_BY_CHIP.get(chip, payload_max_bytes)
    return traits, options, ApplicationOption.EXTENDED_MODE in options, payload_max_bytes


class PreOpening(NamedTuple):
    """A card's answer to a pre-open: the session that it will open.

    Attributes:
        level: of the session.
        open_data: response data, which the real Open will repeat.
    """

    level: WriteAccessLevel
    open_data: bytes


class _Backup(NamedTuple):
    records: dict[int, bytes]
    loose_counters: dict[int, int]
    is_df_invalidated: bool
    sv: tuple[int | None, int | None, SvLoadLog | None, tuple[SvDebitLog, ...]]


class CalypsoCard:
    """What is known of the selected application; `None` always means "not known".

    Attributes:
        power_on_data: ATR, or what the reader gives in its place.
        select_application_response: answer to SELECT, status word included.
        product_type: kind of application.
        startup: startup information.
        df_name: the application's AID; None for a revision 1 card.
        serial: full serial number, 8 bytes: the diversifier of the card's keys.
        is_df_invalidated: the DF is invalidated.
        directory_header: description of the current DF.
        is_df_ratified: the last session before the one opened last was ratified.
        transaction_counter: as the last Open told it.
        pin_attempts_remaining: 0 to 3.
        sv_balance, sv_last_tnum: of the last SV Get, kept up to date by SV commands.
        sv_load_log: last reload.
        sv_debit_logs: debits and undebits, newest first.
        postpones_counters: whether Increase and Decrease hold their result back until Close.
        pre_opening: what the card said to a pre-open at selection; None: there was none.
        traceability_information, card_public_key, card_certificate, ca_certificate: data objects.

    Changed only by the commands of a transaction; not thread-safe.
    """

    __slots__ = (
        "_current_sfi",
        "_headers",
        "_is_extended",
        "_loose_counters",
        "_records",
        "ca_certificate",
        "card_certificate",
        "card_public_key",
        "df_name",
        "directory_header",
        "is_df_invalidated",
        "is_df_ratified",
        "options",
        "payload_max_bytes",
        "pin_attempts_remaining",
        "postpones_counters",
        "power_on_data",
        "pre_opening",
        "product_type",
        "select_application_response",
        "serial",
        "startup",
        "sv_balance",
        "sv_debit_logs",
        "sv_last_tnum",
        "sv_load_log",
        "traceability_information",
        "traits",
        "transaction_counter",
    )

    def __init__(
        self,
        *,
        power_on_data: bytes | None,
        select_application_response: bytes | None,
        is_df_invalidated: bool = False,
    ) -> None:
        self.power_on_data = power_on_data
        self.select_application_response = select_application_response
        self.is_df_invalidated = is_df_invalidated
        self.directory_header: DirectoryHeader | None = None
        self.is_df_ratified: bool | None = None
        self.transaction_counter: int | None = None
        self.pin_attempts_remaining: int | None = None
        self.sv_balance: int | None = None
        self.sv_last_tnum: int | None = None
        self.sv_load_log: SvLoadLog | None = None
        self.sv_debit_logs: tuple[SvDebitLog, ...] = ()
        self.postpones_counters: bool | None = None
        self.pre_opening: PreOpening | None = None
        self.traceability_information: bytes | None = None
        self.card_public_key: bytes | None = None
        self.card_certificate: bytes | None = None
        self.ca_certificate: bytes | None = None
        self._records: dict[int, bytes] = {}
        self._loose_counters: dict[int, int] = {}
        self._headers: dict[int, FileHeader] = {}  # by LID
        self._current_sfi = 0
        self.df_name: bytes | None = None
        self._identify_unknown()

    @classmethod
    def from_selection(
        cls, power_on_data: bytes | None, select_response: bytes | None, *, is_df_invalidated: bool
    ) -> CalypsoCard:
        """Make the image of a card that was just selected.

        With an FCI the card is what the FCI says. Without, it may be a revision 1 card, told by its
        ATR; else it stays unknown until an FCI is read with Get Data.

        Raises:
            ProtocolError: the FCI does not decode.
        """
        card = cls(
            power_on_data=power_on_data,
            select_application_response=select_response,
            is_df_invalidated=is_df_invalidated,
        )
        if select_response is not None and len(select_response) > 2:
            card.identify(Fci.parse(select_response[:-2]))
        elif power_on_data is not None:
            rev1 = parse_rev1_atr(power_on_data)
            if rev1 is not None:
                card._identify_as(ProductType.PRIME_REVISION_1, rev1.startup, rev1.serial)
        return card

    def identify(self, fci: Fci) -> None:
        """Take over what an FCI says."""
        self.df_name = fci.df_name
        self._identify_as(fci.startup.product_type, fci.startup, fci.serial)

    def _identify_as(
        self, product_type: ProductType, startup: StartupInformation, serial: bytes
    ) -> None:
        self.product_type = product_type
        self.startup: StartupInformation | None = startup
        self.serial: bytes | None = serial
        self.traits, self.options, self._is_extended, self.payload_max_bytes = _features(
            product_type, startup
        )

    def _identify_unknown(self) -> None:
        self.product_type = ProductType.UNKNOWN
        self.traits = _UNKNOWN_TRAITS
        self.startup = None
        self.serial = None
        self.options = ApplicationOption.NONE
        self._is_extended = False
        self.payload_max_bytes = self.traits.payload_max_bytes

    # Identity

    @property
    def application_serial(self) -> bytes | None:
        """Serial number with its first two bytes zeroed: there an HCE card keeps a validity token."""
        return None if self.serial is None else b"\0\0" + self.serial[2:]

    @property
    def is_hce(self) -> bool:
        """Whether a phone, or another host, emulates the card."""
        return self.serial is not None and bool(self.serial[3] & 0x80)

    @property
    def is_extended_mode_supported(self) -> bool:
        """Whether the extended mode can be used; an Open may take it back."""
        return self._is_extended

    def revoke_extended_mode(self) -> None:
        """Note that the card said, at Open, that the session's key does not allow the extended mode."""
        self._is_extended = False

    @property
    def is_pki_mode_supported(self) -> bool:
        """Whether the PKI mode can be used."""
        return ApplicationOption.PKI_MODE in self.options

    @property
    def is_ratification_on_deselect_supported(self) -> bool:
        """Whether a deselect ratifies, so that no ratification command is needed."""
        if self.product_type is ProductType.PRIME_REVISION_3:
            return ApplicationOption.RATIFICATION_COMMAND_REQUIRED not in self.options
        return self.product_type is ProductType.PRIME_REVISION_1

    @property
    def is_pin_feature_available(self) -> bool:
        """Whether the card has a PIN."""
        return ApplicationOption.PIN in self.options

    @property
    def is_sv_feature_available(self) -> bool:
        """Whether the card has a Stored Value purse."""
        return ApplicationOption.STORED_VALUE in self.options

    @property
    def is_pin_blocked(self) -> bool | None:
        """Whether no PIN attempt is left."""
        attempts = self.pin_attempts_remaining
        return None if attempts is None else attempts == 0

    @property
    def is_legacy_case_1(self) -> bool:
        """Whether the card selects files with P1 = 08 and wants Le = 1D in Read Records."""
        return self.startup is not None and self.startup.encode() == _LEGACY_CASE_1

    @property
    def session_buffer_size(self) -> int:
        """Size of the session buffer: bytes, or operations for a product that counts those."""
        if self.traits.buffer_operations or self.startup is None:
            return self.traits.buffer_operations
        return session_buffer_size_bytes(self.startup.session_modification)

    # Files

    @property
    def files(self) -> tuple[ElementaryFile, ...]:
        """Files of which something is known, in increasing order of SFI."""
        known = {key >> _RECORD_BITS for key in self._records}
        known |= {key >> _RECORD_BITS for key in self._loose_counters}
        by_sfi = {header.sfi: header for header in self._headers.values() if header.sfi}
        files = [
            ElementaryFile(sfi, by_sfi.get(sfi), self._data(sfi))
            for sfi in sorted(known | set(by_sfi))
        ]
        without = [header for header in self._headers.values() if not header.sfi]
        files += [ElementaryFile(0, header, FileData({}, {})) for header in without]
        return tuple(files)

    def file(self, sfi: int) -> ElementaryFile | None:
        """Return the file of an SFI; None if nothing is known of it, or for SFI 0."""
        return next((file for file in self.files if file.sfi == sfi), None) if sfi else None

    def file_by_lid(self, lid: int) -> ElementaryFile | None:
        """Return the file of a LID, if its header was read."""
        header = self._headers.get(lid)
        if header is None:
            return None
        return ElementaryFile(
            header.sfi, header, self._data(header.sfi) if header.sfi else FileData({}, {})
        )

    def _data(self, sfi: int) -> FileData:
        records = {
            key & 0xFF: content
            for key, content in sorted(self._records.items())
            if key >> _RECORD_BITS == sfi
        }
        return FileData(records, self._counters(sfi, records.get(1, b"")))

    def _counters(self, sfi: int, content: bytes) -> Mapping[int, int]:
        counters = {
            key & 0xFF: value
            for key, value in sorted(self._loose_counters.items())
            if key >> _RECORD_BITS == sfi
        }
        whole = len(content) // COUNTER_SIZE_BYTES
        for number in range(1, whole + 1):
            end = number * COUNTER_SIZE_BYTES
            counters[number] = int.from_bytes(content[end - COUNTER_SIZE_BYTES : end])
        return dict(sorted(counters.items()))

    def record(self, sfi: int, number: int) -> bytes | None:
        """Return what is known of a record; None if nothing is."""
        return self._records.get(sfi << _RECORD_BITS | number)

    def counter(self, sfi: int, number: int) -> int | None:
        """Return the value of a counter; number 0 is the one of a simulated counter file."""
        end = (number or 1) * COUNTER_SIZE_BYTES
        content = self._records.get(sfi << _RECORD_BITS | 1)
        if content is not None and len(content) >= end:
            return int.from_bytes(content[end - COUNTER_SIZE_BYTES : end])
        return self._loose_counters.get(sfi << _RECORD_BITS | (number or 1))

    # What commands write: the SFI 0 stands for the current file

    def take_current_file(self, sfi: int) -> int:
        """Make the file of an SFI the current one; return the SFI that 0 stands for."""
        if sfi:
            self._current_sfi = sfi
        return self._current_sfi

    def take_header(self, header: FileHeader, *, is_current: bool) -> None:
        """Note a file's description."""
        known = self._headers.get(header.lid)
        if known is None or header.access_conditions or not known.access_conditions:
            self._headers[header.lid] = header
        if is_current:
            self._current_sfi = header.sfi

    def take_record(self, sfi: int, number: int, content: bytes, offset: int = 0) -> None:
        """Note bytes of a record, at an offset; what is known after them stays."""
        if sfi:
            self._current_sfi = sfi
        else:
            sfi = self._current_sfi
        key = sfi << _RECORD_BITS | number
        known = self._records.get(key)
        if offset or (known is not None and len(known) > len(content)):
            known = (known or b"").ljust(offset, b"\0")
            content = known[:offset] + content + known[offset + len(content) :]
        self._records[key] = content

    def take_written(self, sfi: int, number: int, content: bytes, offset: int = 0) -> None:
        """Note a Write: bits are set, none is cleared. What is not known stays so: half of it is a guess."""
        known = self.record(self.take_current_file(sfi), number) or b""
        merged = bytes(old | new for old, new in zip(known[offset:], content, strict=False))
        if merged:
            self.take_record(sfi, number, merged, offset)

    def take_appended(self, sfi: int, content: bytes) -> None:
        """Note an Append: the record becomes the first, the others move on; the oldest goes."""
        sfi = self.take_current_file(sfi)
        records = self._records
        first = sfi << _RECORD_BITS | 1
        keys = [key for key in records if key >> _RECORD_BITS == sfi]
        if keys:
            last = first - 1 + self._record_count(sfi)
            for key in sorted(keys, reverse=True):
                moved = records.pop(key)
                if key < last:
                    records[key + 1] = moved
        records[first] = content.ljust(len(records.get(first + 1, b"")), b"\0")

    def _record_count(self, sfi: int) -> int:
        """Return how many records a file has, as far as its header is known."""
        for header in self._headers.values():
            if header.sfi == sfi:
                return header.record_count
        return RECORD_NUMBER_MAX

    def take_counter(self, sfi: int, number: int, value: int) -> None:
        """Note the value of one counter."""
        sfi = self.take_current_file(sfi)
        end = (number or 1) * COUNTER_SIZE_BYTES
        start = end - COUNTER_SIZE_BYTES
        content = self._records.get(sfi << _RECORD_BITS | 1, b"")
        if len(content) >= start:
            self._records[sfi << _RECORD_BITS | 1] = (
                content[:start] + value.to_bytes(COUNTER_SIZE_BYTES) + content[end:]
            )
        else:
            self._loose_counters[sfi << _RECORD_BITS | (number or 1)] = value

    def take_challenge(self, challenge: bytes, *, is_ratified: bool) -> None:
        """Note what Open says besides the key: transaction counter and ratification."""
        self.transaction_counter = int.from_bytes(challenge[:_CHALLENGE_COUNTER_BYTES])
        self.is_df_ratified = is_ratified

    # Rollback

    def backup(self) -> _Backup:
        """Keep what a session may change."""
        return _Backup(
            self._records.copy(),
            self._loose_counters.copy(),
            self.is_df_invalidated,
            (self.sv_balance, self.sv_last_tnum, self.sv_load_log, self.sv_debit_logs),
        )

    def restore(self, backup: _Backup) -> None:
        """Go back to what was kept."""
        self._records = backup.records
        self._loose_counters = backup.loose_counters
        self.is_df_invalidated = backup.is_df_invalidated
        self.sv_balance, self.sv_last_tnum, self.sv_load_log, self.sv_debit_logs = backup.sv

    def require_identified(self) -> bytes:
        """Return the full serial number.

        Raises:
            UsageError: neither an FCI nor an ATR has told what the card is.
        """
        if self.serial is None:
            raise UsageError("the card is not identified: read its FCI first")
        return self.serial

    def __repr__(self) -> str:
        name = "no DF name" if self.df_name is None else self.df_name.hex().upper()
        return f"<CalypsoCard {self.product_type.name} {name}>"
