"""Stories of the PIN: presented and changed in clear; changed ciphered, with a key; presented in a session.

Source: sequences §1 (plain), §2 (key and PIN update), §10 (ciphered in a session).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.calypso.startup import ApplicationOption
from cardbench.scenarios.errors import StoryFailed
from cardbench.scenarios.permission import Change
from cardbench.scenarios.stories.story import Story
from cardbench.scenarios.stories.transport import (
    PIN,
    SESSION_KEYS,
    begin_with_sam,
    card_needs,
    event_now,
    needs,
    select_card,
)
from cardbench.scenarios.ticketing.model import RECORD_SIZE_BYTES, File
from cardbench.scenarios.ticketing.terminal import TRANSPORT_AID
from cardbench.scenarios.trace import Role
from cardbench.terminal.calypso import (
    CalypsoCard,
    CalypsoSelection,
    FreeTransactionManager,
    SecureRegularModeTransactionManager,
    SelectFileControl,
    SymmetricSecuritySetting,
)
from cardbench.terminal.card import ChannelControl
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from cardbench.scenarios.stories.story import Stage

NEW_PIN = b"4711"
NEW_KEY = (0x30, 0x75)

_LEVELS = WriteAccessLevel
_PIN = ApplicationOption.PIN


def play_plain(stage: Stage) -> None:
    """Present the PIN in clear, then change it."""
    card = select_card(stage)
    transaction = FreeTransactionManager(stage.card, card)
    with stage.step("Present the PIN, in clear"):
        transaction.prepare_verify_pin(PIN)
        transaction.process_commands()
        stage.note(f"{card.pin_attempts_remaining} attempts remain")
    with stage.step("Change the PIN, in clear"):
        transaction.prepare_change_pin(NEW_PIN)
        transaction.process_commands(ChannelControl.CLOSE_AFTER)
    stage.conclude(pin_changed=True, attempts=card.pin_attempts_remaining)


PLAIN_PIN = Story(
    name="plain-pin",
    summary="the PIN is presented and changed in clear, no SAM needed",
    needs={Role.CARD: card_needs(options=_PIN)},
    play=play_plain,
    changes=frozenset({Change.PIN}),
)


def play_update(stage: Stage) -> None:
    """Change the debit key and the PIN, both ciphered by the SAM."""
    crypto = begin_with_sam(stage)
    with stage.step("Select the application and the current DF, which names its keys"):
        extension = CalypsoSelection()
        extension.prepare_select_file(SelectFileControl.CURRENT_DF)
        manager = CardSelectionManager()
        manager.prepare_selection(IsoCardSelector(aid=TRANSPORT_AID), extension)
        card = manager.process(stage.card).active_smart_card
        if not isinstance(card, CalypsoCard) or card.directory_header is None:
            raise StoryFailed("the card has no transport application")
        header = card.directory_header
        keys = [(header.kif(level), header.kvc(level)) for level in _LEVELS]
        stage.note("keys " + ", ".join(f"{kif:02X}/{kvc:02X}" for kif, kvc in keys))
    transaction = SecureRegularModeTransactionManager(
        stage.card,
        card,
        SymmetricSecuritySetting(
            crypto=crypto, pin_modification_key=SESSION_KEYS[_LEVELS.PERSONALIZATION]
        ),
    )
    with stage.step(f"Change key 3 to {NEW_KEY[0]:02X}/{NEW_KEY[1]:02X}"):
        transaction.prepare_change_key(_LEVELS.DEBIT, new_key=NEW_KEY, issuer_key=keys[0])
        transaction.process_commands()
    with stage.step("Change the PIN, ciphered"):
        transaction.prepare_change_pin(NEW_PIN)
        transaction.process_commands(ChannelControl.CLOSE_AFTER)
    changed = card.directory_header
    stage.conclude(key_3=f"{changed.kif(3):02X}/{changed.kvc(3):02X}", pin_changed=True)


KEY_AND_PIN_UPDATE = Story(
    name="key-and-pin-update",
    summary="the debit key and the PIN are changed, ciphered by the SAM",
    needs=needs(card_needs(_LEVELS.PERSONALIZATION, options=_PIN), NEW_KEY),
    play=play_update,
    changes=frozenset({Change.KEYS, Change.PIN}),
)


def play_ciphered(stage: Stage) -> None:
    """Present the PIN within a session, ciphered by the session's key."""
    crypto = begin_with_sam(stage)
    card = select_card(stage)
    transaction = SecureRegularModeTransactionManager(
        stage.card, card, SymmetricSecuritySetting(crypto=crypto, ratification=True)
    )
    size = RECORD_SIZE_BYTES
    with transaction.secure_session(
        _LEVELS.DEBIT, channel_control=ChannelControl.CLOSE_AFTER
    ) as session:
        with stage.step("Open a DEBIT session, reading environment, contract 1 and counter 1"):
            session.prepare_read_record(File.ENVIRONMENT, 1, size_bytes=size)
            session.prepare_read_record(File.CONTRACTS, 1, size_bytes=size)
            trips = session.prepare_read_counter(File.COUNTERS, 1)
            session.process_commands()
            stage.note(f"{trips.value} trip(s) left")
        with stage.step("Present the PIN, ciphered by the session's key"):
            session.prepare_verify_pin(PIN)
            session.process_commands()
            stage.note(f"{card.pin_attempts_remaining} attempts remain")
        with stage.step("Decrease the counter, append the event, close, ratify, authenticate"):
            left = session.prepare_decrease_counter(File.COUNTERS, 1, by=1)
            session.prepare_append_record(File.EVENTS, event_now(stage).encode())
            session.prepare_close_secure_session()
            session.process_commands(ChannelControl.CLOSE_AFTER)
    stage.conclude(trips_left=left.value, attempts=card.pin_attempts_remaining)


CIPHERED_PIN_INSIDE = Story(
    name="ciphered-pin-inside",
    summary="the PIN is presented within a session, ciphered by the session's key",
    needs=needs(card_needs(_LEVELS.DEBIT, options=_PIN)),
    play=play_ciphered,
    changes=frozenset({Change.TICKETS, Change.PIN}),
)
