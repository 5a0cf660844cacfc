"""Stories of the Stored Value purse: reloaded on its own, debited within a session.

Source: sequences §5 (reload outside), §6 (debit inside: 3 + 4, where the postponed answer is foreseen).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.calypso.startup import ApplicationOption
from cardbench.protocol.calypso.sv_log import DEBIT_LOG_RECORDS, SFI_DEBIT_LOG, SFI_LOAD_LOG
from cardbench.scenarios.needs import PurseNeed
from cardbench.scenarios.permission import Change
from cardbench.scenarios.stories.story import Story
from cardbench.scenarios.stories.transport import (
    DEBIT_PURSE_KEY,
    LOAD_PURSE_KEY,
    begin_with_sam,
    card_needs,
    event_now,
    needs,
    select_card,
)
from cardbench.scenarios.ticketing.model import RECORD_SIZE_BYTES, File
from cardbench.terminal.calypso import (
    SecureRegularModeTransactionManager,
    SvOperation,
    SymmetricSecuritySetting,
)
from cardbench.terminal.card import ChannelControl

if TYPE_CHECKING:
    from cardbench.scenarios.stories.story import Stage

RELOAD_AMOUNT = 2_000
DEBIT_AMOUNT = 180


def play_outside(stage: Stage) -> None:
    """Load an amount into the purse."""
    crypto = begin_with_sam(stage)
    debits = ((SFI_DEBIT_LOG, number) for number in range(1, DEBIT_LOG_RECORDS + 1))
    card = select_card(stage, (SFI_LOAD_LOG, 1), *debits)
    transaction = SecureRegularModeTransactionManager(
        stage.card, card, SymmetricSecuritySetting(crypto=crypto)
    )
    with stage.step("Ask the purse for its state"):
        state = transaction.prepare_sv_get(SvOperation.RELOAD)
        transaction.process_commands()
        stage.note(f"balance {state.value.balance}, operation {state.value.tnum}")
    with stage.step(f"Load {RELOAD_AMOUNT}, verify the card's signature"):
        transaction.prepare_sv_reload(RELOAD_AMOUNT)
        transaction.process_commands(ChannelControl.CLOSE_AFTER)
        stage.note(f"balance {card.sv_balance}")
    stage.conclude(balance=card.sv_balance, operation=card.sv_last_tnum)


STORED_VALUE_OUTSIDE = Story(
    name="stored-value-outside",
    summary="an amount is loaded into the purse, no session",
    needs=needs(card_needs(options=ApplicationOption.STORED_VALUE), LOAD_PURSE_KEY),
    play=play_outside,
    changes=frozenset({Change.VALUE}),
)


def play_inside(stage: Stage) -> None:
    """Debit the purse and write the event, in one session."""
    crypto = begin_with_sam(stage)
    card = select_card(stage)
    transaction = SecureRegularModeTransactionManager(
        stage.card, card, SymmetricSecuritySetting(crypto=crypto, ratification=True)
    )
    size = RECORD_SIZE_BYTES
    with transaction.secure_session(
        WriteAccessLevel.DEBIT, channel_control=ChannelControl.CLOSE_AFTER
    ) as session:
        with stage.step("Open a DEBIT session, reading environment, contract 1 and the purse"):
            session.prepare_read_record(File.ENVIRONMENT, 1, size_bytes=size)
            session.prepare_read_record(File.CONTRACTS, 1, size_bytes=size)
            state = session.prepare_sv_get(SvOperation.DEBIT)
            session.process_commands()
            stage.note(f"balance {state.value.balance}")
        with stage.step(f"Debit {DEBIT_AMOUNT}, append the event, close, authenticate both"):
            session.prepare_sv_debit(DEBIT_AMOUNT)
            session.prepare_append_record(File.EVENTS, event_now(stage).encode())
            session.prepare_close_secure_session()
            session.process_commands(ChannelControl.CLOSE_AFTER)
            stage.note(f"balance {card.sv_balance}")
    stage.conclude(balance=card.sv_balance, operation=card.sv_last_tnum)


STORED_VALUE_INSIDE = Story(
    name="stored-value-inside",
    summary="the purse is debited and the event written, in one session",
    needs=needs(
        card_needs(
            WriteAccessLevel.DEBIT,
            options=ApplicationOption.STORED_VALUE,
            purse=PurseNeed(balance=5_000, at_least=DEBIT_AMOUNT),
        ),
        DEBIT_PURSE_KEY,
    ),
    play=play_inside,
    changes=frozenset({Change.TICKETS, Change.VALUE}),
)
