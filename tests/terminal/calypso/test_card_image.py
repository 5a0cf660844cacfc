"""The card image: identity, files, counters, rollback."""

from __future__ import annotations

import pytest

from cardbench.protocol.calypso.file_header import DirectoryHeader, EfType, FileHeader, FileType
from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.calypso.startup import ProductType
from cardbench.protocol.errors import UsageError
from cardbench.terminal.calypso import CalypsoCard

REV1_ATR = bytes.fromhex("3B8F8001805A0A010320031124B77FE7829000F7")
FCI = "6F238409315449432E49434131A516BF0C13C70800000000112233445307{}"


def card(startup: str = "0A3C2005141001") -> CalypsoCard:
    response = bytes.fromhex(FCI.format(startup) + "9000")
    return CalypsoCard.from_selection(b"\x3b\x00", response, is_df_invalidated=False)


@pytest.mark.parametrize(
    ("startup", "product", "abilities"),
    [
        ("0A3C2005141001", ProductType.PRIME_REVISION_3, "deselect"),
        ("0A3C2405141001", ProductType.PRIME_REVISION_3, ""),
        ("0A3C3B02141001", ProductType.PRIME_REVISION_3, "extended pki pin sv deselect"),
        ("0A3C2105141001", ProductType.PRIME_REVISION_3, "pin deselect"),
        ("0A2E1242000101", ProductType.PRIME_REVISION_2, "sv"),
        ("064393312B0100", ProductType.LIGHT, ""),
        ("04519B33141001", ProductType.BASIC, ""),
    ],
)
def test_startup_information_tells_product_and_options(
    startup: str, product: ProductType, abilities: str
) -> None:
    image = card(startup)
    has = {
        "extended": image.is_extended_mode_supported,
        "pki": image.is_pki_mode_supported,
        "pin": image.is_pin_feature_available,
        "sv": image.is_sv_feature_available,
        "deselect": image.is_ratification_on_deselect_supported,
    }
    assert image.product_type is product
    assert " ".join(name for name, value in has.items() if value) == abilities


@pytest.mark.parametrize(
    ("startup", "size", "payload"),
    [
        ("0A3C2005141001", 430, 235),  # platform 3C, version 10: a chip with less room
        ("0A3D2005141001", 430, 250),
        ("372F2005141001", 1_048_576, 250),
        ("0A2E1142000101", 6, 128),
        ("064390312B0100", 215, 250),
        ("04519833141001", 4, 250),
    ],
)
def test_buffer_and_payload_follow_the_product(startup: str, size: int, payload: int) -> None:
    image = card(startup)
    assert (image.session_buffer_size, image.payload_max_bytes) == (size, payload)


def test_a_revision_1_card_is_told_by_its_atr() -> None:
    image = CalypsoCard.from_selection(REV1_ATR, None, is_df_invalidated=False)
    assert image.product_type is ProductType.PRIME_REVISION_1
    assert image.serial == bytes.fromhex("0000000024B77FE7")
    assert (image.df_name, image.session_buffer_size) == (None, 3)
    assert image.payload_max_bytes == 250
    assert image.is_ratification_on_deselect_supported


def test_a_card_without_fci_is_unknown() -> None:
    image = CalypsoCard.from_selection(b"\x3b\x00", b"\x90\x00", is_df_invalidated=False)
    assert image.product_type is ProductType.UNKNOWN
    assert (image.serial, image.application_serial, image.startup) == (None, None, None)
    assert not image.is_hce
    assert image.session_buffer_size == 0
    with pytest.raises(UsageError, match="not identified"):
        image.require_identified()
    assert CalypsoCard.from_selection(None, None, is_df_invalidated=False).serial is None


def test_serial_is_full_for_the_diversifier_and_cut_for_the_application() -> None:
    response = bytes.fromhex(
        FCI.format("0A3C2005141001").replace("0000000011223344", "12340080FEDCBA98")
    )
    image = CalypsoCard.from_selection(None, response + b"\x90\x00", is_df_invalidated=False)
    assert image.serial == bytes.fromhex("12340080FEDCBA98")
    assert image.application_serial == bytes.fromhex("00000080FEDCBA98")
    assert image.is_hce


def test_what_was_never_asked_is_none() -> None:
    image = card()
    assert image.is_df_ratified is None
    assert image.transaction_counter is None
    assert image.is_pin_blocked is None
    assert image.sv_balance is None
    assert image.directory_header is None
    assert image.files == ()
    assert image.file(7) is None
    assert image.file_by_lid(0x2001) is None


def test_pin_is_blocked_when_no_attempt_is_left() -> None:
    image = card()
    image.pin_attempts_remaining = 3
    assert image.is_pin_blocked is False
    image.pin_attempts_remaining = 0
    assert image.is_pin_blocked is True


def test_reads_and_updates_merge() -> None:
    image = card()
    image.take_record(7, 1, b"abcdef")
    image.take_record(7, 1, b"XY")
    assert image.record(7, 1) == b"XYcdef"
    image.take_record(7, 1, b"Z", 4)
    assert image.record(7, 1) == b"XYcdZf"
    image.take_record(7, 1, b"longer than it was")
    assert image.record(7, 1) == b"longer than it was"
    image.take_record(9, 2, b"q", 3)
    assert image.record(9, 2) == b"\0\0\0q"


def test_a_write_sets_bits_only() -> None:
    image = card()
    image.take_record(7, 1, b"\x0f\x01\xff")
    image.take_written(7, 1, b"\xf0\x02")
    assert image.record(7, 1) == b"\xff\x03\xff"
    image.take_written(7, 1, b"\x0f\x0f", 2)
    assert image.record(7, 1) == b"\xff\x03\xff"  # the fourth byte was never read
    image.take_written(9, 1, b"\x80", 1)
    assert image.record(9, 1) is None


def test_an_append_shifts_what_is_known_and_drops_the_oldest() -> None:
    image = card()
    image.take_header(
        FileHeader(0x2010, 8, EfType.CYCLIC, 4, 3, bytes(4), bytes(4)), is_current=False
    )
    for number, content in ((1, b"one!"), (2, b"two!"), (3, b"3rd!")):
        image.take_record(8, number, content)
    image.take_appended(8, b"new")
    assert [image.record(8, n) for n in (1, 2, 3, 4)] == [b"new\0", b"one!", b"two!", None]


def test_an_append_shifts_records_behind_a_gap_too() -> None:
    image = card()
    image.take_record(8, 2, b"two!")
    image.take_appended(8, b"new")
    assert (image.record(8, 1), image.record(8, 2), image.record(8, 3)) == (b"new", None, b"two!")


def test_counters_are_read_out_of_record_1() -> None:
    image = card()
    image.take_record(0x19, 1, bytes.fromhex("000001 000002 0000"))
    file = image.file(0x19)
    assert file is not None
    assert file.data.counters == {1: 1, 2: 2}
    assert (image.counter(0x19, 2), image.counter(0x19, 3)) == (2, None)
    assert file.data.counter(2) == 2
    with pytest.raises(UsageError, match="from 1 on"):
        file.data.counter(0)


def test_a_counter_whose_neighbours_are_not_known_stands_alone() -> None:
    image = card()
    image.take_counter(0x19, 3, 7)
    file = image.file(0x19)
    assert file is not None
    assert file.data.counters == {3: 7}
    assert file.data.records == {}
    image.take_counter(0x19, 1, 5)
    assert (image.counter(0x19, 1), image.counter(0x19, 2), image.counter(0x19, 3)) == (5, None, 7)
    image.take_record(0x19, 1, bytes.fromhex("00000A00000B00000C"))
    assert image.counter(0x19, 3) == 0x0C
    image.take_counter(0x19, 2, 99)
    assert image.record(0x19, 1) == bytes.fromhex("00000A00006300000C")


def test_a_simulated_counter_has_number_0() -> None:
    image = card()
    image.take_counter(0x0A, 0, 9)
    assert image.counter(0x0A, 0) == 9
    assert image.record(0x0A, 1) == b"\x00\x00\x09"


def test_sfi_0_is_the_current_file() -> None:
    image = card()
    image.take_record(7, 1, b"env")
    image.take_record(0, 2, b"two")
    assert image.record(7, 2) == b"two"


def test_files_show_header_and_data_together() -> None:
    image = card()
    image.take_header(FileHeader(0x2010, 8, EfType.CYCLIC, 29, 3), is_current=True)
    image.take_header(FileHeader(0x2FF0, 0, EfType.LINEAR, 29, 1), is_current=False)
    image.take_record(0, 1, b"event")
    image.take_record(7, 1, b"env")
    assert [file.sfi for file in image.files] == [7, 8, 0]
    event = image.file_by_lid(0x2010)
    assert event is not None
    assert event.header is not None
    assert (event.header.record_count, event.data.content()) == (3, b"event")
    nameless = image.file_by_lid(0x2FF0)
    assert nameless is not None
    assert nameless.data.records == {}


def test_a_fuller_header_is_not_replaced_by_a_poorer_one() -> None:
    image = card()
    full = FileHeader(0x2010, 8, EfType.CYCLIC, 29, 3, bytes(4), bytes(4), 0, 0)
    image.take_header(full, is_current=False)
    image.take_header(FileHeader(0x2010, 8, EfType.CYCLIC, 29, 3), is_current=False)
    file = image.file(8)
    assert file is not None
    assert file.header == full


def test_parts_of_a_record_are_checked() -> None:
    image = card()
    image.take_record(7, 1, b"abcdef")
    file = image.file(7)
    assert file is not None
    data = file.data
    assert (data.content(), data.content(1, 2, 3), data.content(1, 4)) == (b"abcdef", b"cde", b"ef")
    assert data.content(2) == data.content(2, 1, 4) == b""
    for offset, length in ((-1, None), (0, 0), (4, 3), (7, None)):
        with pytest.raises(UsageError):
            data.content(1, offset, length)


def test_a_backup_brings_back_everything_that_a_session_changes() -> None:
    image = card()
    image.take_record(7, 1, b"env")
    image.take_counter(0x19, 3, 7)
    image.sv_balance = 100
    backup = image.backup()
    image.take_record(7, 1, b"new")
    image.take_counter(0x19, 3, 6)
    image.is_df_invalidated = True
    image.sv_balance = 0
    image.restore(backup)
    assert (image.record(7, 1), image.counter(0x19, 3)) == (b"env", 7)
    assert (image.is_df_invalidated, image.sv_balance) == (False, 100)


def test_the_image_names_itself_without_its_content() -> None:
    assert repr(card()) == "<CalypsoCard PRIME_REVISION_3 315449432E49434131>"
    unknown = CalypsoCard.from_selection(None, None, is_df_invalidated=False)
    assert repr(unknown) == "<CalypsoCard UNKNOWN no DF name>"


def test_a_card_of_the_first_days_is_recognised() -> None:
    assert card("03080304000200").is_legacy_case_1
    assert not card("03080304000201").is_legacy_case_1


def test_a_counter_that_the_record_cuts_off_is_told() -> None:
    """terminal-api §10.1: no value, and not "unknown" either; the list leaves it out."""
    image = card()
    image.take_record(0x19, 1, bytes.fromhex("000005 0000"))
    file = image.file(0x19)
    assert file is not None
    assert file.data.counters == {1: 5}
    assert file.data.counter(3) is None
    with pytest.raises(UsageError, match="ends inside counter 2"):
        file.data.counter(2)


@pytest.mark.parametrize("index", [0, 4])
def test_a_directory_has_three_keys(index: int) -> None:
    header = DirectoryHeader(0x2000, FileType.DF, bytes(4), bytes(4), 0, b"abc", b"def")
    assert (header.kif(WriteAccessLevel.DEBIT), header.kvc(1)) == (ord("f"), ord("a"))
    for look in (header.kif, header.kvc):
        with pytest.raises(UsageError, match="1 to 3"):
            look(index)
