"""What a story needs of its cards, said as data.

The bench reads it in two ways. A software card is made to fit: the preset, with the contents that are
asked for. A card that somebody put into a reader is looked at, and what is missing is named.

Source: our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.calypso.ins import CLA_SAM, SamIns, WriteAccessLevel
from cardbench.protocol.calypso.startup import ApplicationOption
from cardbench.protocol.errors import CardError, FileNotFound, ProtocolError, UsageError
from cardbench.protocol.hexadecimal import to_hex
from cardbench.protocol.status import StatusWord
from cardbench.scenarios.survey import CardSurvey, purse_balance, read_record, select, survey
from cardbench.terminal.card import PlainRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cardbench.emulator.chassis import Clock, Entropy
    from cardbench.protocol.calypso.file_header import EfType
    from cardbench.protocol.link import Card
    from cardbench.terminal.card import CardChannel

COUNTER_SIZE_BYTES = 3
KEY_BY_KIF_KVC = 0xF0

_KEY_KNOWN = frozenset({int(StatusWord.OK), int(StatusWord.WARNING)})


class Needs(Protocol):
    """What a story needs in one reader."""

    @property
    def is_contactless(self) -> bool:
        """Whether the card is meant to be reached without contacts."""
        ...

    def personalise(self, *, entropy: Entropy, clock: Clock) -> Card:
        """Make a software card that has everything.

        Raises:
            UsageError: what is asked for does not fit the preset.
        """
        ...

    def missing(self, channel: CardChannel) -> list[str]:
        """Look at the card that is present; return a sentence part for each thing that it lacks.

        Nothing on the card changes.

        Raises:
            ReaderError: the link failed.
        """
        ...

    def identity(self, channel: CardChannel) -> bytes:
        """Return what tells the card that is present from all others: its serial number.

        A card that has none is told by its answer to reset.

        Raises:
            CardError, ProtocolError: the card is not of the kind that is needed.
            ReaderError: the link failed.
        """
        ...


class FileNeed(NamedTuple):
    """An elementary file.

    Attributes:
        sfi: short file identifier, 1…30.
        ef_type: kind of EF.
        record_size_bytes: least size of a record; of a binary file, its least size.
        record_count: least number of records.
    """

    sfi: int
    ef_type: EfType
    record_size_bytes: int
    record_count: int = 1


class KeyNeed(NamedTuple):
    """A session key, as the application's DF names it."""

    level: WriteAccessLevel
    kif: int
    kvc: int


class RecordNeed(NamedTuple):
    """The content of a record.

    Attributes:
        sfi, number: which record.
        content: what a software card gets; the rest of the record is zero.
        check: how many of the first bytes a card that is present must have as well.
    """

    sfi: int
    number: int
    content: bytes
    check: int = 0


class CounterNeed(NamedTuple):
    """The value of one counter of a counters file.

    Attributes:
        sfi: the counters file.
        number: counter, from 1.
        value: what a software card gets; counters that nobody names get 0.
        at_least: what a card that is present must have.
    """

    sfi: int
    number: int
    value: int
    at_least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyCardNeeds:
    """Any card whatever; implements `Needs`.

    Attributes:
        preset: the Calypso card that is made where the bench plugs one in.
        is_contactless: how the card is reached.
    """

    preset: str = "bench"
    is_contactless: bool = True

    def personalise(self, *, entropy: Entropy, clock: Clock) -> Card:
        """Make a card of the preset."""
        from cardbench.emulator.calypso import new_card  # noqa: PLC0415 - not needed on real readers

        return new_card(self.preset, entropy=entropy, clock=clock)

    def missing(self, channel: CardChannel) -> list[str]:
        """See that the card answers to reset."""
        channel.open()
        return []

    def identity(self, channel: CardChannel) -> bytes:
        """Return the answer to reset."""
        return channel.open()


class PurseNeed(NamedTuple):
    """The balance of the Stored Value purse.

    Attributes:
        balance: what a software card gets.
        at_least: what a card that is present must have.
    """

    balance: int
    at_least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CalypsoCardNeeds:
    """A Calypso card; implements `Needs`.

    Attributes:
        aid: application to select.
        preset: personalisation that a software card starts from.
        options: what the application must be able to do.
        files: elementary files.
        keys: session keys.
        records, counters: contents.
        purse: balance of the purse; None: whatever it is.
        is_contactless: how the card is reached.
    """

    aid: bytes
    preset: str = "bench"
    options: ApplicationOption = ApplicationOption.NONE
    files: tuple[FileNeed, ...] = ()
    keys: tuple[KeyNeed, ...] = ()
    records: tuple[RecordNeed, ...] = ()
    counters: tuple[CounterNeed, ...] = ()
    purse: PurseNeed | None = None
    is_contactless: bool = True

    def personalise(self, *, entropy: Entropy, clock: Clock) -> Card:
        """Make a card of the preset with the contents that are asked for."""
        # Not needed on real readers, and slow to load.
        from cardbench.emulator.calypso.factory import card_of  # noqa: PLC0415
        from cardbench.emulator.calypso.personalisation import load_preset  # noqa: PLC0415

        changes = {} if self.purse is None else {"purse": {"balance": self.purse.balance}}
        personalisation = load_preset(self.preset, **changes)
        return card_of(
            personalisation.with_records(self.factory_records()), entropy=entropy, clock=clock
        )

    def factory_records(self) -> dict[tuple[int, int], bytes]:
        """Return the contents that a software card gets, by SFI and record number.

        Raises:
            UsageError: a counter's value or number is out of range.
        """
        records = {(need.sfi, need.number): need.content for need in self.records}
        for need in self.counters:
            start = COUNTER_SIZE_BYTES * (need.number - 1)
            if need.number < 1 or not 0 <= need.value < 1 << 8 * COUNTER_SIZE_BYTES:
                raise UsageError(f"counter {need.number} of value {need.value} does not exist")
            counters = bytearray(records.get((need.sfi, 1), b""))
            counters.extend(bytes(max(0, start + COUNTER_SIZE_BYTES - len(counters))))
            counters[start : start + COUNTER_SIZE_BYTES] = need.value.to_bytes(COUNTER_SIZE_BYTES)
            records[need.sfi, 1] = bytes(counters)
        return records

    def missing(self, channel: CardChannel) -> list[str]:
        """Select the application, compare files, keys and contents."""
        try:
            found = survey(channel, self.aid)
        except FileNotFound:
            return [f"the card has no application {to_hex(self.aid)}"]
        except (CardError, ProtocolError) as error:
            return [f"the card is no Calypso card that can be looked at ({error})"]
        lacking = list(self._structure_missing(found))
        return lacking or list(self._content_missing(channel, found))

    def identity(self, channel: CardChannel) -> bytes:
        """Return the serial number of the application, all 8 bytes of it."""
        return select(channel, self.aid)[0].serial

    def _structure_missing(self, found: CardSurvey) -> Iterator[str]:
        if found.is_invalidated:
            yield "the application is invalidated"
        options = found.fci.startup.options
        for option in self.options:
            if option not in options:
                yield f"the card has no {str(option.name).lower().replace('_', ' ')}"
        for key in self.keys:
            kif, kvc = found.directory.kif(key.level), found.directory.kvc(key.level)
            if (kif, kvc) != (key.kif, key.kvc):
                yield (
                    f"session key {key.level} is KIF {kif:02X} KVC {kvc:02X}, "
                    f"not KIF {key.kif:02X} KVC {key.kvc:02X}"
                )
        for need in self.files:
            header = found.file(need.sfi)
            if header is None:
                yield f"no file has SFI {need.sfi:02X}"
            elif header.ef_type is not need.ef_type:
                yield (
                    f"the file of SFI {need.sfi:02X} is {header.ef_type.name.lower()}, "
                    f"not {need.ef_type.name.lower()}"
                )
            elif (
                header.record_size_bytes < need.record_size_bytes
                or header.record_count < need.record_count
            ):
                yield (
                    f"the file of SFI {need.sfi:02X} has {header.record_count} record(s) of "
                    f"{header.record_size_bytes} bytes, at least {need.record_count} of "
                    f"{need.record_size_bytes} are needed"
                )

    def _content_missing(self, channel: CardChannel, found: CardSurvey) -> Iterator[str]:
        cla = found.fci.startup.product_type.value.cla
        for need in self.records:
            wanted = need.content[: need.check]
            try:
                content = read_record(channel, cla, need.sfi, need.number)
            except CardError as error:
                yield f"record {need.number} of SFI {need.sfi:02X} cannot be read ({error})"
                continue
            if not content.startswith(wanted):
                yield (
                    f"record {need.number} of SFI {need.sfi:02X} begins "
                    f"{to_hex(content[: need.check])}, not {to_hex(wanted)}"
                )
        for counter in self.counters:
            try:
                content = read_record(channel, cla, counter.sfi, 1)
            except CardError as error:
                yield f"the counters of SFI {counter.sfi:02X} cannot be read ({error})"
                continue
            start = COUNTER_SIZE_BYTES * (counter.number - 1)
            value = int.from_bytes(content[start : start + COUNTER_SIZE_BYTES])
            if value < counter.at_least:
                yield (
                    f"counter {counter.number} of SFI {counter.sfi:02X} stands at {value}, "
                    f"at least {counter.at_least} is needed"
                )
        if self.purse is not None:
            yield from self._balance_missing(channel, found)

    def _balance_missing(self, channel: CardChannel, found: CardSurvey) -> Iterator[str]:
        assert self.purse is not None, "the caller looked"
        try:
            balance = purse_balance(channel, found.fci.startup.product_type.value.sv_cla)
        except CardError as error:
            yield f"the purse does not say its balance ({error})"
            return
        if balance < self.purse.at_least:
            yield f"the purse holds {balance}, at least {self.purse.at_least} is needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamNeeds:
    """A Calypso Legacy SAM; implements `Needs`.

    Attributes:
        preset: personalisation that a software SAM has.
        keys: work keys, as (KIF, KVC).
        is_contactless: no SAM is.
    """

    preset: str = "bench"
    keys: tuple[tuple[int, int], ...] = ()
    is_contactless: bool = False

    def personalise(self, *, entropy: Entropy, clock: Clock) -> Card:
        """Make a SAM of the preset."""
        from cardbench.sam_emulator import new_sam  # noqa: PLC0415 - not needed on real readers

        return new_sam(self.preset, entropy=entropy, clock=clock)

    def missing(self, channel: CardChannel) -> list[str]:
        """Ask the SAM for each key."""
        lacking = []
        for kif, kvc in self.keys:
            command = CommandApdu(
                CLA_SAM, SamIns.READ_KEY_PARAMETERS, 0x00, KEY_BY_KIF_KVC, bytes((kif, kvc))
            )
            request = PlainRequest(command.encode(), _KEY_KNOWN, "Read Key Parameters")
            try:
                channel.transmit([request])
            except CardError as error:
                lacking.append(f"the SAM has no key KIF {kif:02X} KVC {kvc:02X} ({error.sw:04X})")
        return lacking

    def identity(self, channel: CardChannel) -> bytes:
        """Return the answer to reset, which holds the serial number of a SAM."""
        return channel.open()
