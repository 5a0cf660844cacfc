"""SAMs are recognised by their ATR: published examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.errors import MalformedCardData, UsageError
from cardbench.terminal.card import CardSelectionResponse
from cardbench.terminal.legacy_sam import (
    LegacySam,
    LegacySamCryptoFactory,
    LegacySamSelection,
    SamProductType,
    sam_selector,
)
from cardbench.terminal.selection import CardSelectionManager

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader

# legacy-sam §2.3
ATRS = [
    ("3B3F9600805A4880C120501711223344829000", SamProductType.SAM_C1, "11223344"),
    ("3B3F9600805A4880C1205017AEC11A36829000", SamProductType.SAM_C1, "AEC11A36"),
    ("3B6F0000805A4880C1205001AEC00295829000", SamProductType.SAM_C1, "AEC00295"),
    ("3B3F9600805A0080C120000012345678829000", SamProductType.SAM_C1, "12345678"),
    ("3B3F9600805A2380E1083108AE0136DD829000", SamProductType.SAM_S1E1, "AE0136DD"),
    ("3B001122805A0180D102030411223344829000", SamProductType.SAM_S1DX, "11223344"),
    ("3B3F9600805A4880C108501711223344829000", SamProductType.HSM_C1, "11223344"),
    ("3B3F9600805A2380F1083102AE013AF2829000", SamProductType.UNKNOWN, "AE013AF2"),
]


@pytest.mark.parametrize(("atr", "product", "serial"), ATRS)
def test_published_atr_gives_product_and_serial(
    atr: str, product: SamProductType, serial: str
) -> None:
    sam = LegacySam(bytes.fromhex(atr))
    assert (sam.product_type, sam.serial.hex().upper()) == (product, serial)
    assert sam.product_info == f"Type: {product.name}, S/N: {serial}"
    assert repr(sam) == f"<LegacySam {sam.product_info}>"


@pytest.mark.parametrize(("atr", "product", "serial"), ATRS)
def test_the_selector_of_a_product_lets_its_sams_through_and_no_others(
    atr: str, product: SamProductType, serial: str
) -> None:
    for candidate in SamProductType:
        accepts = sam_selector(candidate).accepts_power_on_data(bytes.fromhex(atr))
        is_hsm_as_c1 = product is SamProductType.HSM_C1 and candidate is SamProductType.SAM_C1
        assert accepts is (candidate in (product, SamProductType.UNKNOWN) or is_hsm_as_c1)
    assert sam_selector(product, serial=serial).accepts_power_on_data(bytes.fromhex(atr))


def test_a_serial_filter_keeps_other_sams_out() -> None:
    atr = bytes.fromhex(ATRS[0][0])
    assert not sam_selector(SamProductType.SAM_C1, serial="AEC.{5}").accepts_power_on_data(atr)
    assert sam_selector(SamProductType.SAM_C1, serial="112.{5}").accepts_power_on_data(atr)
    assert sam_selector().accepts_power_on_data(b"\x3b\x00")


def test_fields_of_the_atr() -> None:
    sam = LegacySam(bytes.fromhex(ATRS[1][0]))
    assert (sam.platform, sam.application_type, sam.application_subtype) == (0x48, 0x80, 0xC1)
    assert (sam.software_issuer, sam.software_version, sam.software_revision) == (0x20, 0x50, 0x17)


def test_another_atr_is_no_sam() -> None:
    sam = LegacySam(bytes.fromhex("3B888001000000009171710098"))
    assert (sam.product_type, sam.serial, sam.platform) == (SamProductType.UNKNOWN, bytes(4), 0)


def test_a_sam_is_selected_without_a_command(scripted: type[ScriptedReader]) -> None:
    manager = CardSelectionManager()
    manager.prepare_selection(sam_selector(SamProductType.SAM_C1), LegacySamSelection())
    reader = scripted(atr=bytes.fromhex(ATRS[0][0]))
    sam = manager.process(reader).active_smart_card
    assert isinstance(sam, LegacySam)
    assert sam.power_on_data == bytes.fromhex(ATRS[0][0])


def test_a_sam_without_atr_is_none() -> None:
    with pytest.raises(MalformedCardData, match="ATR"):
        LegacySamSelection().parse(CardSelectionResponse(None, None, has_matched=True))


def test_an_unknown_sam_serves_no_card(scripted: type[ScriptedReader]) -> None:
    with pytest.raises(UsageError, match="unknown product"):
        LegacySamCryptoFactory(scripted(), LegacySam(b"\x3b\x00"))
