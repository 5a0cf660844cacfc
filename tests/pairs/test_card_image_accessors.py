"""Every accessor of the published card image, on a card that was asked everything: known, and right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import name_map
import pytest

from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.sam_emulator import new_sam
from cardbench.terminal.calypso import (
    CalypsoCard,
    CalypsoSelection,
    DataObject,
    EfType,
    ProductType,
    SecureExtendedModeTransactionManager,
    SelectFileControl,
    SvOperation,
    SymmetricSecuritySetting,
    WriteAccessLevel,
)
from cardbench.terminal.legacy_sam import LegacySam, LegacySamCryptoFactory
from cardbench.terminal.readers import InProcessReader
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from collections.abc import Iterator

AID = bytes.fromhex("A000000291FF9101")
PKI_OBJECTS = {"getCardPublicKey", "getCardCertificate", "getCaCertificate", "isPkiModeSupported"}


def asked(preset: str, *objects: DataObject) -> CalypsoCard:
    """Select a card and read all that can be read of it."""
    slot, safe = CardSlot("card"), CardSlot("sam")
    slot.insert(new_card(preset, entropy=Entropy(b"card"), clock=Clock()))
    safe.insert(new_sam("bench", entropy=Entropy(b"sam"), clock=Clock()))
    reader, sam_reader = InProcessReader(slot), InProcessReader(safe, is_contactless=False)
    crypto = LegacySamCryptoFactory(sam_reader, LegacySam(sam_reader.connect()))
    selection = CalypsoSelection()
    selection.prepare_select_file(SelectFileControl.CURRENT_DF)
    selection.prepare_get_data(DataObject.EF_LIST)
    selection.prepare_get_data(DataObject.TRACEABILITY_INFORMATION)
    manager = CardSelectionManager()
    manager.prepare_selection(IsoCardSelector(aid=AID), selection)
    card = manager.process(reader).active_smart_card
    assert isinstance(card, CalypsoCard)
    setting = SymmetricSecuritySetting(crypto=crypto, sv_load_and_debit_log=True)
    transaction = SecureExtendedModeTransactionManager(reader, card, setting)
    for tag in objects:
        transaction.prepare_get_data(tag)
    transaction.prepare_read_counter(0x19, 9)
    transaction.prepare_check_pin_status()
    transaction.prepare_sv_get(SvOperation.DEBIT)
    transaction.process_commands()
    if card.startup is not None and card.startup.application_subtype == 0x20:
        transaction.prepare_sv_read_all_logs()
    with transaction.secure_session(WriteAccessLevel.DEBIT):
        pass
    return card


@pytest.fixture(scope="module")
def bench() -> CalypsoCard:
    return asked("bench")


@pytest.fixture(scope="module")
def pki() -> CalypsoCard:
    return asked(
        "pki",
        DataObject.CARD_PUBLIC_KEY,
        DataObject.CARD_CERTIFICATE,
        DataObject.CA_CERTIFICATE,
    )


def accessors() -> Iterator[tuple[str, str]]:
    """Published accessors, and what they are here: an attribute of the image, or of its startup."""
    _, types = name_map.read_index((name_map.FOLDER / "index.txt").read_text("utf-8"))
    _, ours = name_map.read_names((name_map.FOLDER / "names.txt").read_text("utf-8"))
    (kind,) = [one for one in types if (one.api, one.name) == ("calypso", "card.CalypsoCard")]
    for member in kind.members:
        said = ours.get(("calypso", f"card.CalypsoCard.{member}"))
        yield member, said.targets[0] if said else name_map.usual(member)


def value_of(card: CalypsoCard, target: str) -> Any:  # noqa: ANN401
    holder, _, name = target.rpartition(".")
    return getattr(card.startup if holder.endswith("StartupInformation") else card, name)


@pytest.mark.parametrize(("member", "target"), list(accessors()))
def test_what_a_card_has_been_asked_is_known(
    bench: CalypsoCard, pki: CalypsoCard, member: str, target: str
) -> None:
    value = value_of(pki if member in PKI_OBJECTS else bench, target)
    assert value is not None
    assert value != b""
    assert value != ()


def test_what_is_known_is_what_the_card_was_given(bench: CalypsoCard, pki: CalypsoCard) -> None:
    """emulator/calypso/presets/bench.toml and pki.toml."""
    assert bench.product_type is ProductType.PRIME_REVISION_3
    assert (bench.df_name, bench.application_serial) == (AID, bytes.fromhex("0000000011223344"))
    assert (bench.is_hce, bench.is_df_invalidated, bench.is_pin_blocked) == (False, False, False)
    assert (bench.pin_attempts_remaining, bench.is_df_ratified) == (3, True)
    header = bench.directory_header
    assert header is not None
    assert [header.kif(level) for level in WriteAccessLevel] == [0x21, 0x27, 0x30]
    assert {header.kvc(level) for level in WriteAccessLevel} == {0x74}
    counters = bench.file(0x19)
    assert counters is not None
    assert counters.header is not None
    assert counters.header.ef_type is EfType.COUNTERS
    assert bench.file_by_lid(counters.header.lid) == counters
    assert counters in bench.files
    assert counters.data.counters[1] == 10
    assert bench.file(0) is None
    assert pki.is_pki_mode_supported
    assert pki.card_public_key is not None
    assert (len(pki.card_public_key), len(pki.card_certificate or b"")) == (64, 316)
    assert len(pki.ca_certificate or b"") == 384


def test_before_it_is_asked_nothing_is_known() -> None:
    """`None`, never an empty value, is "not known"."""
    card = CalypsoCard.from_selection(None, None, is_df_invalidated=False)
    known_anyway = {"getProductType", "isHce", "isDfInvalidated", "getFiles", "getSvDebitLog"}
    for member, target in accessors():
        if "StartupInformation" in target or member.startswith(tuple(known_anyway)):
            continue
        if member.startswith("is") and member.endswith(("Supported", "Available")):
            assert value_of(card, target) is False
        elif member not in {"getFileBySfi", "getFileByLid"}:
            assert value_of(card, target) is None, member
    assert card.startup is None
