"""Our card and our terminal in a PKI session: what the documentation says works, one flipped bit does not."""

from __future__ import annotations

import re
import textwrap
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.calypso.ins import DataObject
from cardbench.protocol.calypso.pki.public_test_keys import public_test_pca
from cardbench.protocol.errors import (
    AccessDenied,
    CardbenchError,
    CardError,
    InvalidCardSignature,
    InvalidCertificate,
    MalformedCardData,
)
from cardbench.sam_emulator import new_sam
from cardbench.scenarios.pki.trust import ROOTS, trusting
from cardbench.scenarios.ticketing.terminal import TRANSPORT_AID, ApplicationSelection, select_sam
from cardbench.terminal.calypso import FreeTransactionManager, SecurePkiModeTransactionManager
from cardbench.terminal.legacy_sam import CardCertificateRequest, SamCertification
from cardbench.terminal.readers import InProcessReader

if TYPE_CHECKING:
    from cardbench.emulator.calypso import CalypsoCard
    from cardbench.terminal.calypso import AsymmetricSecuritySetting

DOCS = Path(__file__).parents[2] / "docs" / "pki.md"
TODAY = date(2026, 6, 1)
CARD = new_card("pki", entropy=Entropy(b"pair"))


class Wire:
    """A card behind a wire on which one bit of one command or answer is flipped.

    Attributes:
        apdus: commands and answers, as the terminal sees them.
        flip: which of them, and which bit; None: none.
    """

    def __init__(self, card: CalypsoCard) -> None:
        self.card = card
        self.apdus: list[bytes] = []
        self.flip: tuple[int, int] | None = None
        self.answer_delay_s = 0.0
        self.power_on, self.reset = card.power_on, card.reset
        self.power_off, self.deselect = card.power_off, card.deselect

    def transmit(self, command: bytes) -> bytes:
        self.apdus.append(command)
        answer = self.card.transmit(self._flipped(command, len(self.apdus) - 1))
        self.apdus.append(self._flipped(answer, len(self.apdus)))
        return self.apdus[-1]

    def _flipped(self, apdu: bytes, index: int) -> bytes:
        if self.flip is None or self.flip[0] != index:
            return apdu
        changed = bytearray(apdu)
        changed[self.flip[1] // 8] ^= 0x80 >> self.flip[1] % 8
        return bytes(changed)


def reader_over(wire: Wire) -> InProcessReader:
    slot = CardSlot("wire")
    slot.insert(wire)
    return InProcessReader(slot)


def trust() -> AsymmetricSecuritySetting:
    return trusting(ROOTS[0], today=lambda: TODAY, random_bytes=Entropy(b"terminal").draw)


def session(flip: tuple[int, int] | None = None) -> tuple[list[bytes], bytes]:
    """Read two records in a session; return what was exchanged behind the selection, and a record."""
    wire = Wire(CARD.fork())
    reader = reader_over(wire)
    card = ApplicationSelection(TRANSPORT_AID).select(reader)
    wire.apdus.clear()
    wire.flip = flip
    with SecurePkiModeTransactionManager(reader, card, trust()).secure_session() as transaction:
        transaction.prepare_read_record(0x07, 1, size_bytes=29)
        contract = transaction.prepare_read_record(0x09, 1, size_bytes=29)
    return wire.apdus, contract.value


EXCHANGED, CONTRACT = session()


def is_outside(index: int, byte: int) -> bool:
    """Whether a byte is outside of all that is signed: Le of a command, but of a read."""
    apdu = EXCHANGED[index]
    return index % 2 == 0 and apdu[1] != 0xB2 and byte == len(apdu) - 1


REFUSALS = (InvalidCertificate, InvalidCardSignature, CardError, MalformedCardData)


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(EXCHANGED)))
def test_each_flipped_bit_on_the_wire_is_refused(index: int) -> None:
    for bit in range(8 * len(EXCHANGED[index])):
        if is_outside(index, bit // 8):
            continue
        with pytest.raises(CardbenchError) as refusal:
            session((index, bit))
        assert isinstance(refusal.value, REFUSALS), f"bit {bit}: {refusal.value!r}"


@pytest.mark.parametrize(
    ("ins", "byte", "error"),
    [
        (0xCA, 40, InvalidCertificate),
        (0x8A, 20, InvalidCardSignature),
        (0xB2, 3, InvalidCardSignature),
        (0x8E, 63, InvalidCardSignature),
    ],
    ids=["certificate", "answer to Open", "record", "signature"],
)
def test_error_names_the_step(ins: int, byte: int, error: type[CardbenchError]) -> None:
    answer = next(i + 1 for i, apdu in enumerate(EXCHANGED) if not i % 2 and apdu[1] == ins)
    with pytest.raises(error):
        session((answer, 8 * byte))


def test_bits_outside_of_what_is_signed_do_no_harm() -> None:
    opening = next(i for i, apdu in enumerate(EXCHANGED) if apdu[1] == 0x8A)
    exchanged, contract = session((opening, 8 * len(EXCHANGED[opening]) - 1))
    assert contract == CONTRACT
    assert exchanged == EXCHANGED


def test_documentation_reads_a_card() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    root = public_test_pca().content
    reader = reader_over(Wire(CARD.fork()))
    names = {
        "date": date,
        "reference": root.reference.raw,
        "modulus": root.public_key.public_numbers().n.to_bytes(256),
        "reader": reader,
        "card": ApplicationSelection(TRANSPORT_AID).select(reader),
    }
    exec(textwrap.dedent(block), names)  # noqa: S102 - the documentation's own code
    environment = names["environment"]
    assert len(environment.value) == 29  # type: ignore[attr-defined]


def test_card_is_personalised_by_our_terminal_with_what_it_made_elsewhere() -> None:
    """The pair of one card, brought to another: both halves and certificates travel."""
    donor = CARD.fork()
    reader = reader_over(Wire(new_card("bench", entropy=Entropy(b"other"))))
    card = ApplicationSelection(TRANSPORT_AID).select(reader)
    transaction = FreeTransactionManager(reader, card)
    for tag, name in (
        (DataObject.CARD_KEY_PAIR, "key pair"),
        (DataObject.CA_CERTIFICATE, "CA certificate"),
        (DataObject.CARD_CERTIFICATE, "card certificate"),
    ):
        content = donor.memory["pki", 0x2000, name]
        assert isinstance(content, bytes)
        transaction.prepare_put_data(tag, content)
    transaction.process_commands()
    with SecurePkiModeTransactionManager(reader, card, trust()).secure_session() as signed:
        signed.prepare_read_record(0x07, 1, size_bytes=29)


def test_sam_makes_the_key_pair_of_a_card() -> None:
    """calypso-pki §2.3, flow with the key made by the SAM: it certifies the pair that it made last."""
    slot = CardSlot("sam")
    slot.insert(new_sam("pki", entropy=Entropy(b"sam"), clock=Clock()))
    sam = select_sam(InProcessReader(slot, is_contactless=False))
    reader = reader_over(Wire(new_card("bench", entropy=Entropy(b"other"))))
    card = ApplicationSelection(TRANSPORT_AID).select(reader)
    assert card.startup is not None
    authority = SamCertification(InProcessReader(slot, is_contactless=False), sam.sam)
    pair = authority.generate_card_key_pair()
    certificate = authority.compute_card_certificate(
        CardCertificateRequest(
            aid=TRANSPORT_AID, serial=card.serial or b"", startup=card.startup.encode()
        )
    )
    ca_certificate = authority.get_ca_certificate()
    transaction = FreeTransactionManager(reader, card)
    transaction.prepare_put_data(DataObject.CARD_KEY_PAIR, pair.result())
    transaction.prepare_put_data(DataObject.CA_CERTIFICATE, ca_certificate.result())
    transaction.prepare_put_data(DataObject.CARD_CERTIFICATE, certificate.result())
    transaction.process_commands()
    signing = SecurePkiModeTransactionManager(reader, card, trust())
    with signing.secure_session() as signed:
        signed.prepare_read_record(0x07, 1, size_bytes=29)
    assert signing.card_public_key is not None
    assert signing.card_public_key.raw_value == pair.result()[:64]


def test_what_needs_a_key_is_refused_and_the_session_ends() -> None:
    reader = reader_over(Wire(CARD.fork()))
    card = ApplicationSelection(TRANSPORT_AID).select(reader)
    transaction = SecurePkiModeTransactionManager(reader, card, trust())
    with pytest.raises(AccessDenied), transaction.secure_session() as signed:
        signed.prepare_update_record(0x07, 1, b"\x01")
    with transaction.secure_session() as signed:
        environment = signed.prepare_read_record(0x07, 1, size_bytes=29)
    assert environment.value[0] == 1
