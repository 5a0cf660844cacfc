"""The story `pki-session`: a terminal without SAM authenticates a card and reads what is on it.

The certificates are read and verified first; the session itself is one exchange.

Source: calypso-pki §3.1, §6.2; calypso-card §5.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.file_header import EfType
from cardbench.protocol.calypso.pki.card_certificate import CardCertificate
from cardbench.protocol.calypso.startup import ApplicationOption
from cardbench.protocol.errors import InvalidCertificateSignature
from cardbench.protocol.hexadecimal import to_hex
from cardbench.scenarios.needs import FileNeed
from cardbench.scenarios.pki.needs import CertifiedCardNeeds
from cardbench.scenarios.pki.trust import ROOTS, trusting
from cardbench.scenarios.stories.story import Stage, Story
from cardbench.scenarios.ticketing.model import (
    CONTRACT_COUNT,
    RECORD_SIZE_BYTES,
    Environment,
    File,
    day_of,
)
from cardbench.scenarios.ticketing.terminal import TRANSPORT_AID, ApplicationSelection
from cardbench.scenarios.trace import Role
from cardbench.terminal.calypso import SecurePkiModeTransactionManager

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.scenarios.needs import Needs
    from cardbench.scenarios.pki.trust import Root
    from cardbench.terminal.calypso import CalypsoCard

NEEDS: Mapping[Role, Needs] = {
    Role.CARD: CertifiedCardNeeds(
        aid=TRANSPORT_AID,
        preset="pki",
        options=ApplicationOption.PKI_MODE,
        files=(
            FileNeed(File.ENVIRONMENT, EfType.LINEAR, RECORD_SIZE_BYTES),
            FileNeed(File.COUNTERS, EfType.COUNTERS, 3 * CONTRACT_COUNT),
        ),
    ),
}


def play(stage: Stage) -> None:
    """Tell the story."""
    with stage.step("Select the application"):
        card = ApplicationSelection(TRANSPORT_AID).select(stage.card)
        stage.note(f"{to_hex(card.df_name or b'')}, serial number {to_hex(card.serial or b'')}")
    with stage.step("Read the certificates, verify them, and read the card in a session it signs"):
        root, transaction, environment, trips = _authenticate(stage, card)
        _tell(stage, card, root, transaction)
        stage.note(f"card valid to {day_of(environment.end_date)}, trips left: {trips}")
    certificate = CardCertificate.parse(card.card_certificate or b"")
    stage.conclude(
        authentic=True,
        root=root.name,
        issuer=str(certificate.fields.issuer),
        serial=to_hex(certificate.fields.serial),
        valid_to=day_of(environment.end_date).isoformat(),
        trips_left=trips,
    )


def _authenticate(
    stage: Stage, card: CalypsoCard
) -> tuple[Root, SecurePkiModeTransactionManager, Environment, int]:
    """Read the card under the root that its chain ends at; the certificates are read once."""
    challenges = stage.entropy("challenge")
    for root in ROOTS:
        setting = trusting(root, today=stage.now.date, random_bytes=challenges.draw)
        transaction = SecurePkiModeTransactionManager(stage.card, card, setting)
        try:
            with transaction.secure_session() as session:
                environment = session.prepare_read_record(
                    File.ENVIRONMENT, 1, size_bytes=RECORD_SIZE_BYTES
                )
                trips = session.prepare_read_counter(File.COUNTERS, 1)
        except InvalidCertificateSignature:
            if root is ROOTS[-1]:
                raise
            stage.note(f"the chain does not end at the {root.name}")
            continue
        return root, transaction, Environment.parse(environment.value), trips.value
    raise AssertionError("the last root either verifies or raises")


def _tell(
    stage: Stage, card: CalypsoCard, root: Root, transaction: SecurePkiModeTransactionManager
) -> None:
    certificate = CardCertificate.parse(card.card_certificate or b"")
    stage.note(f"root: {root.name}")
    stage.note(f"issuer of the card certificate: {certificate.fields.issuer}")
    key = transaction.card_public_key
    assert key is not None, "a session was read"
    stage.note(f"the card's key: {to_hex(key.raw_value[:32])}…")
    for warning in key.warnings:
        stage.note(f"warning: {warning}")
    stage.note("the card's signature verifies")


PKI_SESSION = Story(
    name="pki-session",
    summary="a terminal without SAM authenticates a card by its certificates and its signature",
    needs=NEEDS,
    play=play,
)
