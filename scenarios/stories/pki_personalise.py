"""The story `pki-personalise`: a card makes its key pair, a SAM certifies it, a terminal then trusts it.

Played again on a card that has a key pair, it leaves the key and renews the certificates: so an
interrupted personalisation is finished by playing it again.

Source: calypso-pki §2.3 (flow with the key made by the card).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import DataObject
from cardbench.protocol.calypso.startup import STARTUP_SIZE_BYTES, ApplicationOption
from cardbench.protocol.errors import DataNotFound, InvalidCertificateSignature
from cardbench.protocol.hexadecimal import to_hex
from cardbench.scenarios.needs import CalypsoCardNeeds
from cardbench.scenarios.permission import Change
from cardbench.scenarios.pki.needs import CertifyingSamNeeds
from cardbench.scenarios.pki.trust import ROOTS, TEST_CHAIN_END, trusting
from cardbench.scenarios.stories.story import Stage, Story
from cardbench.scenarios.ticketing.terminal import (
    TRANSPORT_AID,
    ApplicationSelection,
    select_sam,
)
from cardbench.scenarios.trace import Role
from cardbench.terminal.calypso import FreeTransactionManager, SecurePkiModeTransactionManager
from cardbench.terminal.legacy_sam import CardCertificateRequest, SamCertification

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.scenarios.needs import Needs
    from cardbench.terminal.calypso import CalypsoCard

NEEDS: Mapping[Role, Needs] = {
    Role.CARD: CalypsoCardNeeds(aid=TRANSPORT_AID, options=ApplicationOption.PKI_MODE),
    Role.SAM: CertifyingSamNeeds(),
}


def play(stage: Stage) -> None:
    """Tell the story."""
    with stage.step("Select the SAM by its ATR"):
        sam = select_sam(stage.sam).sam
        stage.note(sam.product_info)
    with stage.step("Select the application"):
        card = ApplicationSelection(TRANSPORT_AID).select(stage.card)
        stage.note(f"serial number {to_hex(card.serial or b'')}")
    transaction = FreeTransactionManager(stage.card, card)
    with stage.step("Let the card make its key pair"):
        key = _key_of(stage, transaction)
        stage.note(f"public key {to_hex(key[:32])}…")
    with stage.step("Let the SAM certify the key"):
        certification = SamCertification(stage.sam, sam)
        certificate = certification.compute_card_certificate(_request(stage, card, key))
        ca_certificate = certification.get_ca_certificate()
        stage.note(f"certificate of {len(certificate.result())} bytes")
    with stage.step("Write the certificates"):
        transaction.prepare_put_data(DataObject.CA_CERTIFICATE, ca_certificate.result())
        transaction.prepare_put_data(DataObject.CARD_CERTIFICATE, certificate.result())
        transaction.process_commands()
    with stage.step("Trust the card: open a session and verify its signature"):
        root = _prove(stage, card)
        stage.note(f"root: {root}")
    stage.conclude(
        authentic=True,
        root=root,
        serial=to_hex(card.application_serial or b""),
        public_key=to_hex(key),
        valid_to=TEST_CHAIN_END.isoformat(),
    )


def _key_of(stage: Stage, transaction: FreeTransactionManager) -> bytes:
    """Return the card's public key; let the card make a pair if it has none."""
    there = transaction.prepare_get_data(DataObject.CARD_PUBLIC_KEY)
    try:
        transaction.process_commands()
    except DataNotFound:
        transaction.prepare_generate_asymmetric_key_pair()
        made = transaction.prepare_get_data(DataObject.CARD_PUBLIC_KEY)
        transaction.process_commands()
        return made.value
    stage.note("it has one already, which stays")
    return there.value


def _request(stage: Stage, card: CalypsoCard, key: bytes) -> CardCertificateRequest:
    assert card.startup is not None, "the card was selected"
    return CardCertificateRequest(
        aid=card.df_name or b"",
        serial=card.serial or b"",
        startup=card.startup.encode()[:STARTUP_SIZE_BYTES],
        public_key=key,
        start_date=stage.now.date(),
        end_date=TEST_CHAIN_END,
    )


def _prove(stage: Stage, card: CalypsoCard) -> str:
    """Open and close a session that the card signs; return the name of the root that it ends at."""
    challenges = stage.entropy("challenge")
    for root in ROOTS:
        setting = trusting(root, today=stage.now.date, random_bytes=challenges.draw)
        try:
            with SecurePkiModeTransactionManager(stage.card, card, setting).secure_session():
                pass
        except InvalidCertificateSignature:
            if root is ROOTS[-1]:
                raise
            continue
        return root.name
    raise AssertionError("the last root either verifies or raises")


PKI_PERSONALISE = Story(
    name="pki-personalise",
    summary="a card makes its key pair, a SAM certifies it, and a terminal trusts it from then on",
    needs=NEEDS,
    play=play,
    changes=frozenset({Change.KEYS}),
)
