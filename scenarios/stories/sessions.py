"""Stories of long and of guarded sessions: split in two, authenticated early, encrypted.

Source: sequences §11 (multiple sessions), §12.1 (early authentication), §12.2 (encryption).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.calypso.startup import ApplicationOption
from cardbench.scenarios.permission import Change
from cardbench.scenarios.stories.story import Story
from cardbench.scenarios.stories.transport import (
    begin_with_sam,
    card_needs,
    event_now,
    needs,
    select_card,
)
from cardbench.scenarios.ticketing.model import (
    CONTRACT_COUNT,
    RECORD_SIZE_BYTES,
    Contract,
    ContractList,
    Environment,
    File,
    day_number,
)
from cardbench.terminal.calypso import (
    SecureExtendedModeTransactionManager,
    SecureRegularModeTransactionManager,
    SymmetricSecuritySetting,
)
from cardbench.terminal.card import ChannelControl

if TYPE_CHECKING:
    from cardbench.scenarios.stories.story import Stage

_LEVELS = WriteAccessLevel
_VALID_DAYS = 365
_TRIPS = 10


def play_multiple(stage: Stage) -> None:
    """Write a whole card afresh: more than one session holds."""
    crypto = begin_with_sam(stage)
    card = select_card(stage)
    transaction = SecureRegularModeTransactionManager(
        stage.card, card, SymmetricSecuritySetting(crypto=crypto, multiple_session=True)
    )
    today = day_number(stage.now.date())
    end = today + _VALID_DAYS
    with stage.step("Write environment, list, contracts, counters and three events"):
        transaction.prepare_open_secure_session(_LEVELS.PERSONALIZATION)
        environment = Environment(1, 1, today, end, 7, 8)
        transaction.prepare_update_record(File.ENVIRONMENT, 1, environment.encode())
        priorities = ContractList((2,) * CONTRACT_COUNT)
        transaction.prepare_update_record(File.CONTRACT_LIST, 1, priorities.encode())
        for number in range(1, CONTRACT_COUNT + 1):
            contract = Contract(1, 2, today, end, sale_sam=crypto.sam.serial)
            transaction.prepare_update_record(File.CONTRACTS, number, contract.encode())
        counters = _TRIPS.to_bytes(3) * CONTRACT_COUNT
        transaction.prepare_update_record(
            File.COUNTERS, 1, counters.ljust(RECORD_SIZE_BYTES, b"\0")
        )
        for location in (1, 2, 3):
            event = event_now(stage, location)
            transaction.prepare_append_record(File.EVENTS, event.encode())
        transaction.prepare_close_secure_session()
        transaction.process_commands(ChannelControl.CLOSE_AFTER)
        stage.note("the card's buffer took two sessions")
    stage.conclude(events=3, contracts=CONTRACT_COUNT, trips=card.counter(File.COUNTERS, 1))


MULTIPLE_SESSIONS = Story(
    name="multiple-sessions",
    summary="more is written than one session holds: it is split in two",
    needs=needs(card_needs(_LEVELS.PERSONALIZATION, preset="bench-small")),
    play=play_multiple,
    changes=frozenset({Change.CONTENT}),
)


def _read_all(
    stage: Stage, session: SecureExtendedModeTransactionManager, *, first: str = ""
) -> None:
    """Read last event, contract list, contract and counter, one exchange each."""
    size = RECORD_SIZE_BYTES
    with stage.step(f"{first}Read the last event"):
        session.prepare_read_record(File.EVENTS, 1, size_bytes=size)
        session.process_commands()
    with stage.step("Read the contract list"):
        session.prepare_read_record(File.CONTRACT_LIST, 1, size_bytes=size)
        session.process_commands()
    with stage.step("Read contract 1"):
        session.prepare_read_record(File.CONTRACTS, 1, size_bytes=size)
        session.process_commands()
    with stage.step("Read counter 1"):
        trips = session.prepare_read_counter(File.COUNTERS, 1)
        session.process_commands()
        stage.note(f"{trips.value} trip(s) left")


def _pass(stage: Stage, session: SecureExtendedModeTransactionManager) -> int:
    with stage.step("Decrease the counter, append the event, close, ratify, authenticate"):
        left = session.prepare_decrease_counter(File.COUNTERS, 1, by=1)
        session.prepare_append_record(File.EVENTS, event_now(stage).encode())
        session.prepare_close_secure_session()
        session.process_commands(ChannelControl.CLOSE_AFTER)
    return left.value


def play_early(stage: Stage) -> None:
    """Let card and terminal prove themselves before anything is decided."""
    crypto = begin_with_sam(stage)
    card = select_card(stage)
    transaction = SecureExtendedModeTransactionManager(
        stage.card, card, SymmetricSecuritySetting(crypto=crypto, ratification=True)
    )
    with transaction.secure_session(
        _LEVELS.DEBIT, channel_control=ChannelControl.CLOSE_AFTER
    ) as session:
        with stage.step("Open a DEBIT session, reading the environment"):
            session.prepare_read_record(File.ENVIRONMENT, 1, size_bytes=RECORD_SIZE_BYTES)
            session.process_commands()
        with stage.step("Authenticate card and terminal to each other"):
            session.prepare_early_mutual_authentication()
            session.process_commands()
            stage.note("the card is genuine")
        _read_all(stage, session)
        left = _pass(stage, session)
    stage.conclude(trips_left=left)


EARLY_AUTHENTICATION = Story(
    name="early-authentication",
    summary="a validation whose card proves itself before anything is decided",
    needs=needs(card_needs(_LEVELS.DEBIT, options=ApplicationOption.EXTENDED_MODE)),
    play=play_early,
    changes=frozenset({Change.TICKETS}),
)


def play_encrypted(stage: Stage) -> None:
    """Validate with everything after the opening enciphered."""
    crypto = begin_with_sam(stage)
    card = select_card(stage)
    transaction = SecureExtendedModeTransactionManager(
        stage.card, card, SymmetricSecuritySetting(crypto=crypto, ratification=True)
    )
    with transaction.secure_session(
        _LEVELS.DEBIT, channel_control=ChannelControl.CLOSE_AFTER
    ) as session:
        with stage.step("Open a DEBIT session, reading the environment"):
            session.prepare_read_record(File.ENVIRONMENT, 1, size_bytes=RECORD_SIZE_BYTES)
            session.process_commands()
        session.prepare_activate_encryption()
        _read_all(stage, session, first="Switch encryption on. ")
        left = _pass(stage, session)
    stage.conclude(trips_left=left)


ENCRYPTED_SESSION = Story(
    name="encrypted-session",
    summary="a validation with everything after the opening enciphered",
    needs=needs(card_needs(_LEVELS.DEBIT, options=ApplicationOption.EXTENDED_MODE)),
    play=play_encrypted,
    changes=frozenset({Change.TICKETS}),
)
