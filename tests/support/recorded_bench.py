"""Our terminal before the cards of a recorded session, and short words for what it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.errors import CardbenchError
from cardbench.scenarios.ticketing.terminal import select_sam
from cardbench.terminal.calypso import (
    CalypsoCard,
    CalypsoSelection,
    FreeTransactionManager,
    SecureExtendedModeTransactionManager,
    SecureRegularModeTransactionManager,
    SvOperation,
    SymmetricSecuritySetting,
    WriteAccessLevel,
)
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers import InProcessReader
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.recorded_terminal import RecordedSession

    from cardbench.protocol.link import Card

SEED = "1"
ENVIRONMENT, EVENTS, CONTRACTS, COUNTERS, SPECIAL, CONTRACT_LIST = 7, 8, 9, 0x19, 0x1D, 0x1E
UNDER_PIN, BINARY = 3, 0x1A
PERSONALIZATION, LOAD, DEBIT = WriteAccessLevel
KIF = {PERSONALIZATION: 0x21, LOAD: 0x27, DEBIT: 0x30}
RELOAD_IT, DEBIT_IT = SvOperation.RELOAD, SvOperation.DEBIT
DATE, TIME, FREE = b"\x12\x34", b"\x56\x78", b"\xf3\xee"
PIN, OTHER_PIN, WRONG_PIN = b"0000", b"1234", bytes(4)

Secure: TypeAlias = SecureRegularModeTransactionManager | SecureExtendedModeTransactionManager


class Listener:
    """A card that keeps what it was sent."""

    def __init__(self, card: Card, heard: list[bytes]) -> None:
        self._card = card
        self._heard = heard

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._card, name)

    def transmit(self, command: bytes) -> bytes:
        self._heard.append(command)
        return self._card.transmit(command)


def listening(session: RecordedSession) -> tuple[list[CardChannel], list[list[bytes]]]:
    """Return a channel to each card of a session, and what each will have heard."""
    channels, heard = [], []
    for card in session.cards(SEED):
        commands: list[bytes] = []
        slot = CardSlot("")
        slot.insert(Listener(card, commands))
        channels.append(CardChannel.over(InProcessReader(slot)))
        heard.append(commands)
    return channels, heard


class Bench:
    """Our terminal before the cards of a recorded session."""

    def __init__(self, session: RecordedSession, aid: str) -> None:
        channels, self.heard = listening(session)
        self.channel = channels[0]
        self._aid = bytes.fromhex(aid)
        self._crypto = select_sam(channels[1])
        self.select()

    def select(self, *, invalidated_too: bool = False) -> None:
        manager = CardSelectionManager()
        extension = CalypsoSelection(accept_invalidated=invalidated_too)
        manager.prepare_selection(IsoCardSelector(aid=self._aid), extension)
        card = manager.process(self.channel).active_smart_card
        if isinstance(card, CalypsoCard):
            self.card = card

    def setting(self, **options: Any) -> SymmetricSecuritySetting:  # noqa: ANN401
        return SymmetricSecuritySetting(crypto=self._crypto, **options)

    def free(self) -> FreeTransactionManager:
        return FreeTransactionManager(self.channel, self.card)

    def extended(self, setting: SymmetricSecuritySetting) -> SecureExtendedModeTransactionManager:
        return SecureExtendedModeTransactionManager(self.channel, self.card, setting)

    def secure(self, setting: SymmetricSecuritySetting) -> Secure:
        if self.card.is_extended_mode_supported:
            return self.extended(setting)
        return SecureRegularModeTransactionManager(self.channel, self.card, setting)

    def within(
        self,
        setting: SymmetricSecuritySetting,
        level: WriteAccessLevel,
        prepare: Callable[[Secure], object],
    ) -> None:
        """Do something in a session of its own, in one go."""
        transaction = self.secure(setting)
        transaction.prepare_open_secure_session(level)
        prepare(transaction)
        transaction.prepare_close_secure_session()
        transaction.process_commands()

    def reads(self, *prepare: Callable[[FreeTransactionManager], object]) -> None:
        transaction = self.free()
        for each in prepare:
            each(transaction)
        transaction.process_commands()

    def sv_get(self, setting: SymmetricSecuritySetting) -> None:
        transaction = self.secure(setting)
        transaction.prepare_sv_get(DEBIT_IT)
        transaction.process_commands()


def refused(act: Callable[[], object]) -> None:
    with pytest.raises(CardbenchError):
        act()


def padded(start: str, size: int = 29) -> bytes:
    return bytes.fromhex(start).ljust(size, b"\0")


def record(
    sfi: int, number: int = 1, size: int | None = None
) -> Callable[[FreeTransactionManager], object]:
    return lambda t: t.prepare_read_record(sfi, number, size_bytes=size)


def counter(number: int) -> Callable[[FreeTransactionManager], object]:
    return lambda t: t.prepare_read_counter(COUNTERS, number)


def records(sfi: int, first: int, last: int) -> Callable[[FreeTransactionManager], object]:
    return lambda t: t.prepare_read_records(sfi, first, last, record_size_bytes=29)
