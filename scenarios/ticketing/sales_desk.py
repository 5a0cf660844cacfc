"""A sales desk: it writes a contract of several trips into a card, far from the SAM.

What the decision needs is read with the selection; the session reads it again, together, so that it is
authenticated; the writes and Close go together. So the terminal at the counter and the server with the
SAM meet as seldom as possible. The session is closed "as ratified": a sale is recovered at the same desk.

Source: sequences §9.1 (steps; its level DEBIT is an erratum: contracts and counters need key 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.scenarios.ticketing.model import (
    CONTRACT_COUNT,
    COUNTER_OF_CONTRACT,
    RECORD_SIZE_BYTES,
    VERSION,
    Contract,
    ContractList,
    Environment,
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

    from cardbench.terminal.calypso import CalypsoCard
    from cardbench.terminal.card import CardChannel
    from cardbench.terminal.legacy_sam import LegacySamCryptoFactory

_SILENCE = Silence()


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What is sold.

    Attributes:
        trips: how many.
        validity_days: how long they can be used.
    """

    trips: int = 10
    validity_days: int = 365


class Sale(NamedTuple):
    """How a sale ended.

    Attributes:
        is_sold: the card holds the contract.
        reason: why not; empty otherwise.
        contract: where the contract is; 0: nowhere.
        trips: on its counter.
    """

    is_sold: bool
    reason: str = ""
    contract: int = 0
    trips: int = 0


class SalesDesk:
    """Sells contracts, to one card after the other.

    Args:
        crypto: the crypto module.
        product: what is sold.
        aid: the application to select.
        now: date and time.
    """

    def __init__(
        self,
        crypto: LegacySamCryptoFactory,
        *,
        now: Callable[[], datetime],
        product: Product | None = None,
        aid: bytes = TRANSPORT_AID,
    ) -> None:
        self.product = product or Product()
        self._crypto = crypto
        self._setting = SymmetricSecuritySetting(crypto=crypto)
        self._now = now
        self._application = ApplicationSelection(
            aid, (File.ENVIRONMENT, 1), (File.CONTRACT_LIST, 1)
        )

    def sell(self, card_channel: CardChannel, narrator: Narrator = _SILENCE) -> Sale:
        """Sell to the card in the reader; a refusal is a result, and changes nothing on the card.

        Raises:
            CardbenchError: card, SAM or link failed; nothing is sold.
        """
        today = day_number(self._now().date())
        with narrator.step("Select the application, reading environment and contract list"):
            card = self._application.select(card_channel)
            reason = self._reason_not_to_sell(card, today)
            if reason:
                narrator.note(f"nothing is sold: {reason}")
                return Sale(is_sold=False, reason=reason)
            new, other = _slots(_contract_list(card))
            narrator.note(f"the contract will be number {new}")
        transaction = SecureRegularModeTransactionManager(card_channel, card, self._setting)
        with transaction.secure_session(
            WriteAccessLevel.LOAD, channel_control=ChannelControl.CLOSE_AFTER
        ) as session:
            with narrator.step("Open a LOAD session, reading everything again, authenticated"):
                size = RECORD_SIZE_BYTES
                environment = session.prepare_read_record(File.ENVIRONMENT, 1, size_bytes=size)
                listed = session.prepare_read_record(File.CONTRACT_LIST, 1, size_bytes=size)
                session.prepare_read_record(File.CONTRACTS, new, size_bytes=size)
                session.prepare_read_record(File.CONTRACTS, other, size_bytes=size)
                counter = COUNTER_OF_CONTRACT[new]
                trips = session.prepare_read_counter(File.COUNTERS, CONTRACT_COUNT)
                session.process_commands()
                left = card.counter(File.COUNTERS, counter) or 0
                narrator.note(f"counter {counter} stands at {left}, counter 4 at {trips.value}")
                reason = self._reason_not_to_sell(card, today)
                if reason:
                    session.cancel()
                    return Sale(is_sold=False, reason=reason)
            with narrator.step("Update list, contract and counter, close, authenticate the card"):
                contract = Contract(
                    VERSION,
                    Priority.MULTI_TRIP,
                    today,
                    min(
                        today + self.product.validity_days,
                        Environment.parse(environment.value).end_date,
                    ),
                    sale_sam=self._crypto.sam.serial,
                )
                priorities = ContractList.parse(listed.value)
                updated = priorities.with_priority(new, Priority.MULTI_TRIP)
                session.prepare_update_record(File.CONTRACT_LIST, 1, updated.encode())
                session.prepare_update_record(File.CONTRACTS, new, contract.encode())
                change = self.product.trips - left
                if change < 0:
                    session.prepare_decrease_counter(File.COUNTERS, counter, by=-change)
                else:
                    session.prepare_increase_counter(File.COUNTERS, counter, by=change)
                session.prepare_close_secure_session()
                session.process_commands(ChannelControl.CLOSE_AFTER)
                narrator.note(
                    f"contract {new}: {self.product.trips} trips, valid until "
                    f"{day_of(contract.validity_end_date)}"
                )
        return Sale(is_sold=True, contract=new, trips=self.product.trips)

    @staticmethod
    def _reason_not_to_sell(card: CalypsoCard, today: int) -> str:
        """Say why this card gets no contract; empty if it may have one."""
        environment = Environment.parse(card.record(File.ENVIRONMENT, 1) or b"")
        if environment.version != VERSION:
            return "unknown environment"
        if environment.end_date < today:
            return "the card has expired"
        if not _contract_list(card).free_slots():
            return "no contract is free"
        return ""


def _contract_list(card: CalypsoCard) -> ContractList:
    return ContractList.parse(card.record(File.CONTRACT_LIST, 1) or b"")


def _slots(priorities: ContractList) -> tuple[int, int]:
    """Return the contract to write, and another one to look at."""
    new = priorities.free_slots()[0]
    other = next(
        (
            number
            for number, priority in enumerate(priorities.priorities, start=1)
            if number != new and priority != Priority.FORBIDDEN
        ),
        new % CONTRACT_COUNT + 1,
    )
    return new, other
