"""What tells the products apart: classes, forms of Open, postponed counters, descriptors, presets."""

from __future__ import annotations

import pytest
from support.calypso_workshop import made, peer_of

from cardbench.emulator.calypso.personalisation import load_preset, preset_names
from cardbench.protocol.calypso.fci import Fci
from cardbench.protocol.calypso.startup import (
    ApplicationOption,
    ProductType,
    StartupInformation,
    parse_rev1_atr,
)

KVCS = {0x79, 0x78, 0x74, 0x75, 0x73, 0x0C, 0x09}


@pytest.mark.parametrize("preset", preset_names())
def test_every_application_of_every_preset_selects_reads_and_closes_a_session(preset: str) -> None:
    peer = peer_of(preset)
    card = peer.card
    for application in card.structure.applications:  # type: ignore[attr-defined]
        if len(card.structure.applications) > 1:  # type: ignore[attr-defined]
            peer.ok(f"00A40400{len(application.aid):02X}{application.aid.hex()}00")
        cla = f"{peer.cla:02X}"
        descriptor = bytes.fromhex(peer.ok(f"{cla}A4090002000000"))
        assert len(descriptor) == 25
        kif, peer.kvc, algorithm, _ = card.memory[application.key_slots[3]]  # type: ignore[attr-defined]
        peer.kifs = (peer.kifs[0], peer.kifs[1], kif)
        assert peer.kvc in KVCS
        assert algorithm in (0x40, 0xA0, 0xB0)
        for file in application.files:
            if file.sfi and file.kind.name != "BINARY" and file.access[0] == 0x1F:
                peer.ok(f"{cla}B201{file.sfi << 3 | 4:02X}00")
        modes = {"prime-1": "revision 1", "prime-2": "revision 2", "tango": "revision 2"}
        peer.open(3, mode=modes.get(preset, "regular"))
        peer.close_ok()


@pytest.mark.parametrize("preset", preset_names())
def test_the_fci_of_a_preset_says_what_its_product_is(preset: str) -> None:
    personalisation = load_preset(preset)
    products = {
        "prime-2": ProductType.PRIME_REVISION_2,
        "prime-3": ProductType.PRIME_REVISION_3,
        "light": ProductType.LIGHT,
        "basic": ProductType.BASIC,
    }
    card = made(preset)
    if personalisation.profile == "prime-1":
        assert not card.structure.applications[0].fci
        return
    for application in card.structure.applications:
        fci = Fci.parse(application.fci)
        assert fci.serial == personalisation.serial
        assert fci.startup.product_type is products[personalisation.profile]
        product = fci.startup.product_type.value
        assert product.cla in card.structure.profile.classes
        assert product.options == ApplicationOption(card.structure.profile.options)


def test_a_revision_1_card_is_told_by_its_published_atr() -> None:
    card = made("prime-1")
    atr = card.power_on()
    assert atr.hex().upper() == "3B8F8001805A0A010320031124B77FE7829000F7"
    identity = parse_rev1_atr(atr)
    assert identity is not None
    assert identity.serial == card.structure.serial
    assert identity.startup == StartupInformation.parse(bytes.fromhex("030A0103200311"))


CONTACT_ATRS = {
    "Navigo": ("prime-2", "3B6F0000", "3B6F0000805A28114210122B26147C55829000"),
    "Rav-Kav": ("prime-2", "3B6F0000", "3B6F0000805A0A070620042D9363A22B829000"),
    "OPUS": ("prime-2", "3B6F0000", "3B6F0000805A08060820022B9319C24F829000"),
    "MOBIB": ("bench", "3B5F9600", "3B5F9600805A3F2BC4141001C52E6FD3829000"),
}
"""Preset, interface bytes and whole ATR of real cards on their contacts (calypso-card §2.6)."""


@pytest.mark.parametrize("card", CONTACT_ATRS)
def test_a_card_on_its_contacts_says_what_it_is_as_real_ones_do(card: str) -> None:
    preset, interface, atr = CONTACT_ATRS[card]
    platform, kind, subtype, issuer, version, revision = bytes.fromhex(atr)[6:12]
    lids = [each.lid for each in load_preset(preset).applications]
    peer = peer_of(
        preset,
        atr=f"{interface} 805A {{startup}} {{serial}} 829000",
        serial="00000000" + atr[24:32],
        platform=platform,
        software_issuer=issuer,
        software_version=version,
        software_revision=revision,
        applications=[{"lid": lid, "type": kind, "subtype": subtype} for lid in lids],
    )
    assert peer.atr.hex().upper() == atr
    assert peer.ok(f"{peer.cla:02X}CA5F5200") == "805A" + atr[12:32] + "829000"


def test_a_card_of_an_old_product_may_take_class_00_for_its_selection_alone() -> None:
    """As the sheet has it (§4.23); the preset also takes the rest in 00, as many real cards do."""
    peer = peer_of("prime-2", product={"classes": [0x94], "select_classes": [0x00]})
    peer.ok("00A4040005A00000040400", "94B2013C00")
    assert peer.send("00C0000010") == "6985"
    assert [peer.send(each) for each in ("00B2013C00", "00A4090002000000", "00CA006F00")] == [
        "6E00"
    ] * 3


def test_a_revision_1_card_has_no_fci_to_give() -> None:
    peer = peer_of("prime-1")
    assert peer.send("94CA006F00") == "6A88"
    assert peer.ok("94CA006200") == peer.ok("94A4090002000000")


def test_another_serial_number_comes_into_atr_fci_and_keys() -> None:
    peer = peer_of("prime-1", serial="0000000012345678")
    assert peer.atr.hex().upper() == "3B8F8001805A0A010320031112345678829000F4"
    peer.open(3, mode="revision 1")
    peer.close_ok()


def test_a_phones_validity_token_stands_in_the_fci_and_counts_in_its_keys() -> None:
    peer = peer_of("hce")
    assert "C70812340080FEDCBA98" in peer.ok("00CA006F00")
    peer.open(3)
    peer.close_ok()
    peer.serial = bytes(2) + peer.serial[2:]
    peer.open(3)
    assert peer.close() == "6988"


@pytest.mark.parametrize(
    ("preset", "cla", "command", "sw"),
    [
        ("prime-1", "94", "B2013C1D", "9000"),
        ("prime-1", "00", "B2013C00", "9000"),
        ("prime-1", "80", "B2013C1D", "6E00"),
        ("prime-1", "00", "A4040008315449432E494341", "6B00"),
        ("prime-1", "00", "A4090002000000", "9000"),
        ("prime-1", "FA", "7C000721", "6D00"),
        ("prime-1", "FA", "B2013C1D", "6E00"),
        ("prime-1", "94", "A4040008315449432E494341", "6B00"),
        ("prime-2", "94", "B2013C1D", "9000"),
        ("prime-2", "00", "B2013C00", "9000"),
        ("prime-2", "80", "B2013C1D", "6E00"),
        ("prime-2", "00", "A4040005A00000040400", "9000"),
        ("prime-2", "94", "A4040005A00000040400", "9000"),
        ("prime-2", "00", "A4090002000000", "9000"),
        ("prime-2", "00", "CA006F00", "9000"),
        ("prime-2", "FA", "7C000721", "9000"),
        ("prime-2", "94", "7C000721", "9000"),
        ("prime-2", "00", "7C000721", "9000"),
        ("prime-2", "FA", "B2013C1D", "6E00"),
        ("bench", "00", "B2013C1D", "9000"),
        ("bench", "94", "B2013C1D", "9000"),
        ("bench", "80", "B2013C1D", "6E00"),
        ("bench", "FA", "7C000721", "6E00"),
        ("light-classic", "94", "B2013C1D", "9000"),
        ("basic", "94", "B2013C1D", "9000"),
    ],
)
def test_the_classes_of_each_product(preset: str, cla: str, command: str, sw: str) -> None:
    assert peer_of(preset).send(cla + command)[-4:] == sw


@pytest.mark.parametrize("cla", ["00", "80", "94"])
@pytest.mark.parametrize("preset", ["prime-1", "prime-2", "bench", "light-classic", "basic"])
def test_get_response_is_refused_in_every_class_as_nothing_is_pending(
    preset: str, cla: str
) -> None:
    assert peer_of(preset).send(f"{cla}C0000010") == "6985"


@pytest.mark.parametrize(("preset", "mode"), [("prime-1", "revision 1"), ("prime-2", "revision 2")])
def test_postponed_counters_come_with_close_in_order(preset: str, mode: str) -> None:
    peer = peer_of(preset)
    peer.open(2, mode=mode)
    assert peer.send("943201C803000005") == "6200"
    assert peer.send("943202C80300000A00") == "6200"
    assert peer.send("943002C803000001") == "6200"
    assert peer.close_ok() == "04000005" + "0400000A" + "04000009"
    assert peer.ok("94B201CC06") == "000005000009"


def test_counters_and_a_stored_value_signature_are_postponed_in_the_order_of_the_commands() -> None:
    peer = peer_of("prime-2")
    peer.open(2, mode="revision 2")
    peer.send("943201C803000005")
    assert peer.send(peer.sv_command(0xB8, 1, peer.send("FA7C000721"))) == "6200"
    peer.send("943201C803000005")
    assert peer.close_ok() == "04000005" + "04" + peer.sv_lo + "0400000A"


def test_postponed_items_start_anew_with_each_session() -> None:
    peer = peer_of("prime-2")
    peer.open(2, mode="revision 2")
    peer.send("943201C803000005")
    peer.abort()
    peer.open(2, mode="revision 2")
    assert peer.close_ok() == ""


def test_outside_a_session_a_counter_answers_at_once() -> None:
    card = "prime-2"
    files = [{"lid": 0x2069, "access": ["AA", "AA", "AA", "AA"]}]
    peer = peer_of(card, applications=[{"lid": 0x2000, "files": files}])
    assert peer.ok("943201C803000005") == "000005"


def test_a_card_of_an_old_product_may_answer_its_counters_at_once() -> None:
    peer = peer_of("prime-2", product={"postpones_counters": False})
    peer.open(2, mode="revision 2")
    assert peer.ok("943201C803000005") == "000005"
    peer.close_ok()


def test_a_record_read_at_the_opening_of_old_products_stands_behind_the_challenge() -> None:
    record = "24B928480805CBABAE3000124080" + "00" * 15
    for preset, mode, head in (("prime-1", "revision 1", 8), ("prime-2", "revision 2", 10)):
        files = [{"lid": 0x2001, "content": [record]}]
        peer = peer_of(preset, applications=[{"lid": 0x2000, "files": files}])
        assert peer.open(3, mode=mode, sfi=7, record=1)[head:] == record
        peer.close_ok()


def test_simulated_counters_image_the_counters_file() -> None:
    peer = peer_of("gtml")
    peer.open(2)
    assert peer.ok("003200500300000500") == "000005"
    assert peer.ok("003209C80300000900") == "000009"
    assert peer.ok("00B201CC1B")[:6] == "000005"
    assert peer.ok("00B2019403") == "000009"
    peer.ok("00DC015C04AABBCC" + "DD")
    peer.close_ok()
    assert peer.ok("00B201CC09") == "000005AABBCC000000"


def test_files_of_one_reference_share_their_content_across_applications() -> None:
    peer = peer_of("kit-extended")
    hoplink, intercode = "00A404000BA000000291A0000001910200", "00A4040008A000000291FF911100"
    peer.ok(hoplink)
    peer.ok("00DC01D40411223344")
    peer.ok(intercode)
    assert peer.ok("00B201D404") == "11223344"
    peer.kvc = 0x75
    peer.open(3, mode="extended")
    peer.ok("00DC01C402CAFE")
    peer.close_ok()
    peer.ok(hoplink)
    assert peer.ok("00B201C402") == "CAFE"
    assert peer.ok("00A4090002211600")[32:36] == "2116"
    peer.ok(intercode)
    assert peer.ok("00A4090002221600")[32:36] == "2116"


def test_a_simulated_counter_describes_itself_as_published() -> None:
    peer = peer_of("gtml")
    assert (
        peer.ok("00A4090002202B00")
        == "8517" + "0B04081D01" + "1F101010" + "01020302" + "00" + "1902" + "0000000000" + "202B"
    )


def test_a_legacy_case_1_card_selects_by_lid_with_p1_08_and_reads_with_le_1d() -> None:
    peer = peer_of("tango")
    assert peer.ok("94A4080002201000")[-8:] == "002010" + "00"
    assert len(peer.ok("94B201441D")) == 58
    fci = peer.ok("94CA006F00")
    assert fci.endswith("03080304000200")


@pytest.mark.parametrize(("preset", "answer"), [("prime-2", "6200"), ("tango", "0000059000")])
def test_a_revision_2_card_postpones_counters_as_its_startup_information_says(
    preset: str, answer: str
) -> None:
    peer = peer_of(preset)
    peer.open(2, mode="revision 2")
    assert peer.send("943201C803000005") == answer
    peer.close_ok()
    assert peer.ok("94B201CC03") == "000005"
