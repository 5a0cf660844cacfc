"""Selection of a Calypso card: prepared commands, what is best effort, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cardbench.emulator.calypso import new_card
from cardbench.emulator.calypso.personalisation import preset_names
from cardbench.emulator.chassis import Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.calypso.startup import ProductType
from cardbench.protocol.errors import FileNotFound, MalformedCardData, NotSupported, UsageError
from cardbench.terminal.calypso import (
    CalypsoCard,
    CalypsoSelection,
    DataObject,
    SelectFileControl,
)
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers import InProcessReader
from cardbench.terminal.selection import (
    BasicCardSelector,
    CardSelectionManager,
    CardSelectionResult,
    IsoCardSelector,
)

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader

AID = bytes.fromhex("A000000291FF9101")
SELECT = "00A4040008A000000291FF910100"
FCI = "6F228408A000000291FF9101A516BF0C13C708000000001122334453070A2F2B02141001"
DF = "85170002000000101000000103000000747474212730002000"


def select(reader: ScriptedReader, selection: CalypsoSelection) -> CalypsoCard:
    manager = CardSelectionManager()
    manager.prepare_selection(IsoCardSelector(aid=AID), selection)
    card = manager.process(reader).active_smart_card
    assert isinstance(card, CalypsoCard)
    return card


def test_everything_that_can_be_asked_at_selection(scripted: type[ScriptedReader]) -> None:
    selection = CalypsoSelection()
    selection.prepare_select_file(SelectFileControl.CURRENT_DF)
    selection.prepare_select_file(0x2001)
    selection.prepare_get_data(DataObject.TRACEABILITY_INFORMATION)
    selection.prepare_read_record(7)
    selection.prepare_read_binary(0x1A, 0, 300)
    selection.prepare_read_binary(0x1A, 299, 1)
    selection.prepare_read_counter(0x19, 2)
    ef = "851707040 21D011F10000001010101000000000000000 02001".replace(" ", "")
    reader = scripted(
        (SELECT, f"{FCI}9000"),
        ("00A4090002000000", f"{DF}9000"),
        ("00A4090002200100", f"{ef}9000"),
        ("00CA018500", "AABB9000"),
        ("00B2013C00", "719000"),
        ("00B09A00FA", "AA" * 250 + "9000"),
        ("00B09AFA32", "BB" * 50 + "9000"),
        ("00B09A0001", "AA9000"),
        ("00B0012B01", "BB9000"),
        ("00B201CC06", "0000010000029000"),
    )
    card = select(reader, selection)
    assert card.directory_header is not None
    assert card.directory_header.kif(WriteAccessLevel.DEBIT) == 0x30
    assert card.traceability_information == b"\xaa\xbb"
    assert card.record(7, 1) == b"\x71"
    assert card.record(0x1A, 1) == b"\xaa" * 250 + b"\xbb" * 50
    assert card.counter(0x19, 2) == 2
    file = card.file_by_lid(0x2001)
    assert file is not None


def test_what_reads_do_not_find_is_simply_absent(scripted: type[ScriptedReader]) -> None:
    selection = CalypsoSelection()
    selection.prepare_read_record(7)
    selection.prepare_read_record(8)
    selection.prepare_pre_open_secure_session(WriteAccessLevel.DEBIT)
    reader = scripted(
        (SELECT, f"{FCI}9000"),
        ("00B2013C00", "6A82"),
        ("00B2014400", "6982"),
        ("008A0302010000", "6D00"),
    )
    card = select(reader, selection)
    assert card.files == ()
    assert card.pre_opening is None


def test_a_refused_description_is_an_error(scripted: type[ScriptedReader]) -> None:
    selection = CalypsoSelection()
    selection.prepare_select_file(0x2001)
    with pytest.raises(FileNotFound, match="Select File 00A4090002200100"):
        select(scripted((SELECT, f"{FCI}9000"), ("00A4090002200100", "6A82")), selection)


def test_the_fci_may_be_read_where_select_gave_none(scripted: type[ScriptedReader]) -> None:
    selection = CalypsoSelection()
    selection.prepare_get_data(DataObject.FCI)
    reader = scripted((SELECT, "9000"), ("00C0000000", "6985"), ("00CA006F00", f"{FCI}9000"))
    assert select(reader, selection).df_name == AID


@pytest.mark.parametrize(
    "prepare",
    [
        lambda s: s.prepare_select_file(0x3F00),
        lambda s: s.prepare_select_file(0x3FFF),
        lambda s: s.prepare_select_file(0x10000),
        lambda s: s.prepare_read_record(31),
        lambda s: s.prepare_read_counter(7, 84),
        lambda s: s.prepare_read_binary(7, 0, 0),
        lambda s: s.prepare_pre_open_secure_session(4),
    ],
)
def test_what_leaves_the_application_or_is_out_of_range_is_refused(prepare: Any) -> None:  # noqa: ANN401
    selection = CalypsoSelection()
    with pytest.raises(UsageError):
        prepare(selection)
    assert selection.card_selection_request().requests == ()


def test_a_df_change_is_refused_at_prepare() -> None:
    with pytest.raises(UsageError, match="leaves the selected application"):
        CalypsoSelection().prepare_select_file(0x3F00)


def test_other_objects_are_not_read_at_selection() -> None:
    with pytest.raises(NotSupported, match="allowed: FCI, FCP, EF_LIST"):
        CalypsoSelection().prepare_get_data(DataObject.CARD_CERTIFICATE)


def test_a_second_pre_open_is_refused() -> None:
    selection = CalypsoSelection()
    selection.prepare_pre_open_secure_session(WriteAccessLevel.DEBIT)
    with pytest.raises(UsageError, match="one is prepared"):
        selection.prepare_pre_open_secure_session(WriteAccessLevel.LOAD)


def one_selection() -> CardSelectionManager:
    """Prepare the one selection that runs on every product."""
    selection = CalypsoSelection(accept_invalidated=True)
    selection.prepare_select_file(SelectFileControl.CURRENT_DF)
    selection.prepare_read_record(0x07)
    selection.prepare_read_record(0x1E)
    selection.prepare_read_counter(0x19, 1)
    selection.prepare_read_binary(0x1A, 0, 16)
    selection.prepare_pre_open_secure_session(WriteAccessLevel.DEBIT)
    manager = CardSelectionManager()
    for aid in ("A000000291", "315449432E494341", "A000000404"):
        manager.prepare_selection(IsoCardSelector(aid=bytes.fromhex(aid)), selection)
    manager.prepare_selection(BasicCardSelector(power_on_data="3B8F8001805A.*"), CalypsoSelection())
    manager.prepare_selection(BasicCardSelector(power_on_data="3B[56]F.*805A.*"), selection)
    return manager


@pytest.mark.parametrize("preset", preset_names())
def test_one_prepared_selection_runs_on_every_product(preset: str) -> None:
    slot = CardSlot("any")
    slot.insert(new_card(preset, entropy=Entropy(b"seed")))
    result: CardSelectionResult = one_selection().process(InProcessReader(slot))
    card = result.active_smart_card
    assert isinstance(card, CalypsoCard)
    assert card.serial is not None


def test_the_very_same_selection_runs_on_one_product_after_the_other() -> None:
    """One manager, one reader, every product; each image shows its own card."""
    slot = CardSlot("any")
    manager, reader = one_selection(), CardChannel(InProcessReader(slot))
    serials, products = set(), set()
    for preset in preset_names():
        card = new_card(preset, entropy=Entropy(b"seed"))
        slot.insert(card)
        image = manager.process(reader).active_smart_card
        assert isinstance(image, CalypsoCard)
        assert manager.export_processed()
        products.add(image.product_type)
        serials.add(image.serial)
        reader.close()
    assert products == set(ProductType) - {ProductType.UNKNOWN}
    assert None not in serials


def test_a_df_change_is_refused_and_the_selection_runs_without_it() -> None:
    selection = CalypsoSelection()
    selection.prepare_read_record(0x07)
    for lid in (0x3F00, 0x3FFF):
        with pytest.raises(UsageError, match="leaves the selected application"):
            selection.prepare_select_file(lid)
    manager = CardSelectionManager()
    manager.prepare_selection(IsoCardSelector(aid=AID), selection)
    slot = CardSlot("any")
    slot.insert(new_card(entropy=Entropy(b"seed")))
    image = manager.process(InProcessReader(slot)).active_smart_card
    assert isinstance(image, CalypsoCard)
    assert image.record(0x07, 1)


def test_a_lid_that_turns_out_to_be_a_df_is_no_file() -> None:
    """Not every DF shows by its LID; what answers with a DF's description is refused when it does."""
    selection = CalypsoSelection()
    selection.prepare_select_file(0x2000)
    manager = CardSelectionManager()
    manager.prepare_selection(IsoCardSelector(aid=AID), selection)
    slot = CardSlot("any")
    slot.insert(new_card(entropy=Entropy(b"seed")))
    with pytest.raises((FileNotFound, MalformedCardData)):
        manager.process(InProcessReader(slot))
