"""Selection of a Legacy SAM: by its ATR; unlocking it and reading of it along with that.

A locked SAM is unlocked in one of three ways: with 16 bytes that are known; with 16 bytes that somebody
gives for its serial number; or with 8 bytes that somebody gives for its serial number and its challenge.
The last two ask the SAM while the answers of the selection are read, and need its reader.

Source: legacy-sam §2.2 (recognition patterns), §5.15 (Unlock), §9.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.sam import COUNTERS, COUNTERS_PER_RECORD
from cardbench.protocol.errors import CardError, MalformedCardData, UsageError
from cardbench.protocol.status import StatusWord
from cardbench.terminal.card.extension import CardSelectionRequest
from cardbench.terminal.card.requests import SUCCESS, ApduRequest, PlainRequest, SecretRequest
from cardbench.terminal.legacy_sam.certificates import GET_CA_CERTIFICATE, take_ca_certificate
from cardbench.terminal.legacy_sam.link import CHALLENGE_BYTES, SamLink
from cardbench.terminal.legacy_sam.reading import (
    SamRead,
    read_ceiling_record,
    read_counter_record,
    read_parameters,
    read_system_key,
    read_work_key,
)
from cardbench.terminal.legacy_sam.sam import LegacySam, SamProductType
from cardbench.terminal.selection.selectors import BasicCardSelector

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.terminal.card.channel import CardChannel
    from cardbench.terminal.card.extension import CardSelectionResponse
    from cardbench.terminal.legacy_sam.sam import SystemKeyType
    from cardbench.terminal.readers.reader import Reader

StaticUnlock: TypeAlias = "Callable[[bytes], bytes]"
"""Gives 16 bytes for a serial number."""
DynamicUnlock: TypeAlias = "Callable[[bytes, bytes], bytes]"
"""Gives 8 bytes for a serial number and a challenge."""

ANY_SERIAL = ".{8}"
STATIC_UNLOCK_BYTES = 16
DYNAMIC_UNLOCK_BYTES = 8

_UNLOCKED = SUCCESS | {StatusWord.CONDITIONS_NOT_SATISFIED}  # it was not locked


def sam_selector(
    product_type: SamProductType | None = None, *, serial: str = ANY_SERIAL
) -> BasicCardSelector:
    """Return a selector for SAMs of a product.

    Args:
        product_type: which product; None or `UNKNOWN`: any card.
        serial: regular expression for the serial number in upper-case hex, eight digits.
    """
    pattern = (product_type or SamProductType.UNKNOWN).value.atr_pattern
    return BasicCardSelector(power_on_data=pattern.format(serial=serial))


class LegacySamSelection:
    """Selection extension for SAMs; implements `CardSelectionExtension`.

    Args:
        unlock_data: 16 bytes (or 8, of a dynamic unlock computed elsewhere) that unlock the SAM.
        product_type: what it is, for the class byte of what is sent.
        static_unlock: asked for the 16 bytes.
        dynamic_unlock: asked for the 8 bytes.
        reader: where the SAM is; needed for the last two.

    Raises:
        UsageError: more than one way to unlock, unlock data of another length, or no reader.
    """

    def __init__(
        self,
        *,
        unlock_data: bytes | None = None,
        product_type: SamProductType = SamProductType.SAM_C1,
        static_unlock: StaticUnlock | None = None,
        dynamic_unlock: DynamicUnlock | None = None,
        reader: Reader | CardChannel | None = None,
    ) -> None:
        ways = [way for way in (unlock_data, static_unlock, dynamic_unlock) if way is not None]
        if len(ways) > 1:
            raise UsageError("a SAM is unlocked in one way: several were given")
        if unlock_data is not None:
            _check_unlock(unlock_data, STATIC_UNLOCK_BYTES, DYNAMIC_UNLOCK_BYTES)
        elif ways and reader is None:
            raise UsageError("to ask somebody for unlock data the SAM's reader is needed")
        self._unlock_data = unlock_data
        self._cla = product_type.value.cla
        self._static_unlock = static_unlock
        self._dynamic_unlock = dynamic_unlock
        self._reader = reader
        self._reads: dict[bytes, SamRead[Any]] = {}

    @property
    def _asks_for_unlock(self) -> bool:
        return self._static_unlock is not None or self._dynamic_unlock is not None

    # Prepared reads: the results are in the image of the SAM

    def prepare_read_sam_parameters(self) -> None:
        """Read the SAM parameters."""
        self._add(read_parameters())

    def prepare_read_system_key_parameters(self, kind: SystemKeyType) -> None:
        """Read the parameters of one of the SAM's own keys."""
        self._add(read_system_key(kind))

    def prepare_read_work_key_parameters(self, key: int | tuple[int, int]) -> None:
        """Read the parameters of a work key, by its record 1…126, or by KIF and KVC.

        Raises:
            UsageError: out of range.
        """
        self._add(read_work_key(key))

    def prepare_read_counter_status(self, number: int) -> None:
        """Read an event counter, 0…26, its ceiling and its configuration.

        Raises:
            UsageError: out of range.
        """
        if number not in COUNTERS:
            raise UsageError(f"event counter {number}; allowed: 0 to 26")
        self._add(read_counter_record(number // COUNTERS_PER_RECORD))
        self._add(read_ceiling_record(number // COUNTERS_PER_RECORD))

    def prepare_read_all_counters_status(self) -> None:
        """Read all event counters, their ceilings and configurations."""
        for number in COUNTERS[::COUNTERS_PER_RECORD]:
            self.prepare_read_counter_status(number)

    def prepare_get_ca_certificate(self) -> None:
        """Read the CA certificate; a SAM that has none fails the selection."""
        self._add(
            SamRead(GET_CA_CERTIFICATE, "Get Data (CA certificate)", SUCCESS, take_ca_certificate)
        )

    def _add(self, read: SamRead[Any]) -> None:
        self._reads[read.command] = read

    # The selection's side

    def card_selection_request(self) -> CardSelectionRequest:
        """Return Unlock and the prepared reads; nothing where somebody must be asked first."""
        if self._asks_for_unlock:
            return CardSelectionRequest()
        requests: list[ApduRequest] = []
        if self._unlock_data is not None:
            requests.append(_unlock(self._cla, self._unlock_data))
        requests += [
            PlainRequest(bytes((self._cla,)) + read.command, read.success, read.name)
            for read in self._reads.values()
        ]
        return CardSelectionRequest(tuple(requests))

    def parse(self, response: CardSelectionResponse) -> LegacySam:
        """Make the SAM's image.

        Raises:
            MalformedCardData: the reader gave no ATR.
            CardError: the SAM could not be unlocked, or refused a read.
        """
        if response.power_on_data is None:
            raise MalformedCardData("a SAM is told by its ATR, and the reader gave none")
        sam = LegacySam(response.power_on_data)
        if self._asks_for_unlock:
            self._unlock_and_read(sam)
            return sam
        answers = list(response.responses)
        if self._unlock_data is not None and answers:
            _check_answer(_unlock(self._cla, self._unlock_data), answers.pop(0))
        for read, answer in zip(self._reads.values(), answers, strict=False):
            _check_answer(
                PlainRequest(bytes((self._cla,)) + read.command, read.success, read.name), answer
            )
            if int.from_bytes(answer[-2:]) != StatusWord.RECORD_NOT_FOUND:
                read.take(sam, answer)
        return sam

    def _unlock_and_read(self, sam: LegacySam) -> None:
        """Ask for the unlock data, unlock the SAM, read of it: one exchange, or two."""
        assert self._reader is not None, "the constructor asked for it"
        link = SamLink.of(self._reader, sam)
        if self._static_unlock is not None:
            data = self._static_unlock(sam.serial)
            _check_unlock(data, STATIC_UNLOCK_BYTES)
        else:
            assert self._dynamic_unlock is not None, "one of the two"
            challenge = link.get_challenge(CHALLENGE_BYTES).result()
            data = self._dynamic_unlock(sam.serial, challenge)
            _check_unlock(data, DYNAMIC_UNLOCK_BYTES)
        requests: list[ApduRequest] = [_unlock(link.cla, data)]
        requests += [
            PlainRequest(bytes((link.cla,)) + read.command, read.success, read.name)
            for read in self._reads.values()
        ]
        answers = link.channel.transmit(requests)
        for read, answer in zip(self._reads.values(), answers[1:], strict=True):
            if int.from_bytes(answer[-2:]) != StatusWord.RECORD_NOT_FOUND:
                read.take(sam, answer)


def _check_unlock(data: bytes, *sizes: int) -> None:
    if len(data) not in sizes:
        allowed = " or ".join(map(str, sizes))
        raise UsageError(f"unlock data of {len(data)} byte(s); allowed: {allowed}")


def _unlock(cla: int, data: bytes) -> ApduRequest:
    header = bytes((cla, SamIns.UNLOCK, 0, 0, len(data)))
    return SecretRequest(header + data, _UNLOCKED, "Unlock")


def _check_answer(request: ApduRequest, answer: bytes) -> None:
    sw = int.from_bytes(answer[-2:])
    if sw not in request.success:
        raise CardError.of(sw, request.describe(), sorted(request.success, reverse=True))
