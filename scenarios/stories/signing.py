"""Stories of signed data: verified outside a session; verified, and made, inside one.

The environment carries a basic signature, contract 1 a traceable one; the SAM verifies both. A signature
that does not verify fails the story, and inside a session nothing is written.

Source: sequences §3 (outside), §4 (inside); legacy-sam §5.10–5.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.scenarios.permission import Change
from cardbench.scenarios.stories.story import Story
from cardbench.scenarios.stories.transport import (
    BASIC_KEY,
    TRACEABLE_KEY,
    begin_with_sam,
    card_needs,
    event_now,
    needs,
    select_card,
)
from cardbench.scenarios.ticketing.model import RECORD_SIZE_BYTES, File
from cardbench.terminal.calypso import (
    SecureRegularModeTransactionManager,
    SymmetricSecuritySetting,
)
from cardbench.terminal.card import ChannelControl
from cardbench.terminal.legacy_sam import (
    BasicSignature,
    CardTransactionLegacySamExtension,
    SamTrace,
    SamTraceabilityMode,
    TraceableSignature,
)

if TYPE_CHECKING:
    from cardbench.scenarios.stories.story import Stage

# Where the bench card has its signatures.
SIGNED_ENVIRONMENT_BYTES = 16
SIGNED_CONTRACT_BYTES = 14
CONTRACT_SIGNATURE_BYTES = 3
CONTRACT_TRACE = SamTrace(8 * 6, SamTraceabilityMode.FULL_SERIAL_NUMBER)


def environment_signature(record: bytes) -> tuple[BasicSignature, bytes]:
    """Return what is signed of an environment, and its signature."""
    end = SIGNED_ENVIRONMENT_BYTES
    kif, kvc = BASIC_KEY
    return BasicSignature(data=record[:end], kif=kif, kvc=kvc), record[end : end + 8]


def contract_signature(record: bytes) -> tuple[TraceableSignature, bytes]:
    """Return what is signed of a contract, and its signature."""
    end = SIGNED_CONTRACT_BYTES
    kif, kvc = TRACEABLE_KEY
    signature = TraceableSignature(
        data=record[:end],
        kif=kif,
        kvc=kvc,
        size_bytes=CONTRACT_SIGNATURE_BYTES,
        trace=CONTRACT_TRACE,
        busy_mode=True,
    )
    return signature, record[end : end + CONTRACT_SIGNATURE_BYTES]


def play_outside(stage: Stage) -> None:
    """Read environment and contract, and have the environment's signature verified."""
    crypto = begin_with_sam(stage)
    card = select_card(stage, (File.ENVIRONMENT, 1))
    transaction = SecureRegularModeTransactionManager(
        stage.card, card, SymmetricSecuritySetting(crypto=crypto)
    )
    sam = transaction.crypto_extension(CardTransactionLegacySamExtension)
    with stage.step("Read environment and contract 1; verify the environment's signature"):
        transaction.prepare_read_record(File.ENVIRONMENT)
        valid = sam.prepare_verify_signature(
            *environment_signature(card.record(File.ENVIRONMENT, 1) or b"")
        )
        transaction.prepare_read_record(File.CONTRACTS, 1)
        transaction.process_commands(ChannelControl.CLOSE_AFTER)
        stage.note("the signature is right")
    stage.conclude(signature_valid=valid.value)


DATA_SIGNING_OUTSIDE = Story(
    name="data-signing-outside",
    summary="the SAM verifies the signature of the environment, no session",
    needs=needs(card_needs(), BASIC_KEY),
    play=play_outside,
)


def play_inside(stage: Stage) -> None:
    """Verify environment and contract within a session, sign the event, write it."""
    crypto = begin_with_sam(stage)
    card = select_card(stage, (File.ENVIRONMENT, 1))
    transaction = SecureRegularModeTransactionManager(
        stage.card, card, SymmetricSecuritySetting(crypto=crypto, ratification=True)
    )
    sam = transaction.crypto_extension(CardTransactionLegacySamExtension)
    size = RECORD_SIZE_BYTES
    with transaction.secure_session(
        WriteAccessLevel.DEBIT, channel_control=ChannelControl.CLOSE_AFTER
    ) as session:
        with stage.step("Open a DEBIT session; verify the environment's signature"):
            first = sam.prepare_verify_signature(
                *environment_signature(card.record(File.ENVIRONMENT, 1) or b"")
            )
            session.prepare_read_record(File.ENVIRONMENT, 1, size_bytes=size)
            contract = session.prepare_read_record(File.CONTRACTS, 1, size_bytes=size)
            session.prepare_read_counter(File.COUNTERS, 1)
            session.process_commands()
            stage.note("the environment's signature is right")
        with stage.step("Verify the contract's signature, sign the event"):
            second = sam.prepare_verify_signature(*contract_signature(contract.value))
            event = event_now(stage).encode()
            kif, kvc = BASIC_KEY
            signed = sam.prepare_compute_signature(
                BasicSignature(data=event[:SIGNED_ENVIRONMENT_BYTES], kif=kif, kvc=kvc)
            )
            session.process_commands()
            stage.note("the contract's signature is right")
        with stage.step("Decrease the counter, append the signed event, close, authenticate"):
            record = signed.value.data + signed.value.signature
            left = session.prepare_decrease_counter(File.COUNTERS, 1, by=1)
            session.prepare_append_record(File.EVENTS, record.ljust(size, b"\0"))
            session.prepare_close_secure_session()
            session.process_commands(ChannelControl.CLOSE_AFTER)
    stage.conclude(
        environment_valid=first.value, contract_valid=second.value, trips_left=left.value
    )


DATA_SIGNING_INSIDE = Story(
    name="data-signing-inside",
    summary="the SAM verifies environment and contract and signs the event, within a session",
    needs=needs(card_needs(WriteAccessLevel.DEBIT), BASIC_KEY, TRACEABLE_KEY),
    play=play_inside,
    changes=frozenset({Change.TICKETS}),
)
