"""A gate: it lets a passenger through and takes a trip, within one secure session.

It reads one thing at a time and decides on each, so that a card that may not pass costs as little time
as possible. The session is closed "not ratified" and a ratification command follows: if the card leaves
before the gate has its answer, the next gate sees a recent event that was never ratified, and lets the
passenger through without taking a second trip.

Source: sequences §7 (steps), §14 (ratification). What counts as recent, and the deny list, are our
choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.scenarios.ticketing.model import (
    COUNTER_OF_CONTRACT,
    RECORD_SIZE_BYTES,
    VERSION,
    Contract,
    ContractList,
    Environment,
    Event,
    File,
    Priority,
    day_number,
    day_of,
)
from cardbench.scenarios.ticketing.narrator import Narrator, Silence
from cardbench.scenarios.ticketing.terminal import TRANSPORT_AID, ApplicationSelection
from cardbench.terminal.calypso import (
    SecureRegularModeTransactionManager,
    SymmetricSecuritySetting,
)
from cardbench.terminal.card import ChannelControl

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cardbench.terminal.card import CardChannel
    from cardbench.terminal.crypto import SymmetricCryptoFactory

_SILENCE = Silence()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """What a gate goes by.

    Attributes:
        aid: the application to select.
        location: number of the place, written into events.
        recent_minutes: an event at this place that is not older counts as the same passage.
        denied_applications: application numbers that may not pass.
        denied_contracts: contracts that may not be used, as (sale SAM, sale counter).
    """

    aid: bytes = TRANSPORT_AID
    location: int = 1
    recent_minutes: int = 2
    denied_applications: frozenset[int] = frozenset()
    denied_contracts: frozenset[tuple[bytes, bytes]] = frozenset()


class Passage(NamedTuple):
    """How a validation ended.

    Attributes:
        is_open: the gate opened.
        reason: why it did not; or `recovered`; empty after a plain validation.
        contract: the contract that was used; 0: none.
        trips_left: of that contract; None: it does not count trips.
    """

    is_open: bool
    reason: str = ""
    contract: int = 0
    trips_left: int | None = None


class Gate:
    """Validates cards, one after the other.

    Args:
        crypto: the crypto module.
        policy: what the gate goes by.
        now: date and time.
    """

    def __init__(
        self,
        crypto: SymmetricCryptoFactory,
        *,
        now: Callable[[], datetime],
        policy: GatePolicy | None = None,
    ) -> None:
        self.policy = policy or GatePolicy()
        self.setting = SymmetricSecuritySetting(crypto=crypto, ratification=True)
        self._now = now
        self._application = ApplicationSelection(self.policy.aid)

    def validate(self, card_channel: CardChannel, narrator: Narrator = _SILENCE) -> Passage:
        """Validate the card in the reader; a refusal is a result, and changes nothing on the card.

        Raises:
            CardbenchError: card, SAM or link failed; the gate stays closed.
        """
        return _Validation(self, card_channel, narrator, self._now()).run(self._application)


class _Refused(Exception):
    """No error: the way out of a session that must not be closed."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class _Validation:
    """One card at one gate."""

    def __init__(self, gate: Gate, channel: CardChannel, narrator: Narrator, now: datetime) -> None:
        self._channel = channel
        self._narrator = narrator
        self._policy = gate.policy
        self._setting = gate.setting
        self._today = day_number(now.date())
        self._minute = now.hour * 60 + now.minute

    def run(self, application: ApplicationSelection) -> Passage:
        step = self._narrator.step
        with step("Select the application, unless it is invalidated"):
            self._card = application.select(self._channel)
        self._transaction = SecureRegularModeTransactionManager(
            self._channel, self._card, self._setting
        )
        try:
            with self._transaction.secure_session(
                WriteAccessLevel.DEBIT, channel_control=ChannelControl.CLOSE_AFTER
            ):
                with step("Open a DEBIT session, reading the environment"):
                    self._check_environment(self._read(File.ENVIRONMENT))
                with step("Read the last event"):
                    last = Event.parse(self._read(File.EVENTS))
                    is_recovery = self._is_recovery(last)
                if is_recovery:
                    return self._recover(last)
                with step("Read the contract list"):
                    priorities = ContractList.parse(self._read(File.CONTRACT_LIST))
                    number = self._choose(priorities)
                with step(f"Read contract {number}"):
                    contract = self._check_contract(self._read(File.CONTRACTS, number))
                return self._pass(number, contract, priorities)
        except _Refused as refusal:
            return Passage(is_open=False, reason=refusal.reason)

    def _read(self, file: File, record: int = 1) -> bytes:
        handle = self._transaction.prepare_read_record(file, record, size_bytes=RECORD_SIZE_BYTES)
        self._transaction.process_commands()
        return handle.value

    def _check_environment(self, record: bytes) -> None:
        environment = Environment.parse(record)
        if environment.version != VERSION:
            raise _Refused("unknown environment")
        if environment.end_date < self._today:
            raise _Refused("the card has expired")
        if environment.application_number in self._policy.denied_applications:
            raise _Refused("the card is on the deny list")
        self._narrator.note(f"valid until {day_of(environment.end_date)}")

    def _is_recovery(self, last: Event) -> bool:
        """Tell whether the passenger comes back after a validation that was cut off.

        Raises:
            _Refused: the last validation was complete, and is too recent: somebody hands a card back.
        """
        if last.version != VERSION or last.location != self._policy.location:
            return False
        age = (self._today - last.date) * 1440 + self._minute - last.time
        if not 0 <= age <= self._policy.recent_minutes:
            return False
        if self._card.is_df_ratified:
            raise _Refused("anti-passback: the card was just used here")
        self._narrator.note("the last validation was cut off before the gate knew of it")
        return True

    def _recover(self, last: Event) -> Passage:
        """Close without a change: the MAC proves the event, the trip was taken already."""
        with self._narrator.step("Close the session unchanged, ratify, authenticate the card"):
            self._close()
        return Passage(is_open=True, reason="recovered", contract=last.contract_used)

    def _choose(self, priorities: ContractList) -> int:
        number = priorities.best(Priority.SEASON_PASS, Priority.MULTI_TRIP)
        if not number:
            raise _Refused("no contract")
        self._narrator.note(f"contract {number} is used first")
        return number

    def _check_contract(self, record: bytes) -> Contract:
        contract = Contract.parse(record)
        if contract.version != VERSION:
            raise _Refused("the contract is blank")
        if contract.validity_end_date < self._today:
            raise _Refused("the contract has expired")
        if (contract.sale_sam, contract.sale_counter) in self._policy.denied_contracts:
            raise _Refused("the contract is on the deny list")
        return contract

    def _pass(self, number: int, contract: Contract, priorities: ContractList) -> Passage:
        transaction, step, note = self._transaction, self._narrator.step, self._narrator.note
        trips = None
        counter = COUNTER_OF_CONTRACT[number]
        if contract.tariff == Priority.MULTI_TRIP:
            with step(f"Read counter {counter}"):
                handle = transaction.prepare_read_counter(File.COUNTERS, counter)
                transaction.process_commands()
                trips = handle.value
                note(f"{trips} trip(s) left")
                if not trips:
                    raise _Refused("no trip left")
            title = f"Decrease counter {counter}, append the event, close, ratify, authenticate"
        else:
            title = "Append the event, close, ratify, authenticate"
        with step(title):
            if trips is not None:
                transaction.prepare_decrease_counter(File.COUNTERS, counter, by=1)
                trips -= 1
            event = Event(
                VERSION,
                self._today,
                self._minute,
                self._policy.location,
                number,
                priorities.priorities,
            )
            transaction.prepare_append_record(File.EVENTS, event.encode())
            self._close()
        return Passage(is_open=True, contract=number, trips_left=trips)

    def _close(self) -> None:
        self._transaction.prepare_close_secure_session()
        self._transaction.process_commands(ChannelControl.CLOSE_AFTER)
