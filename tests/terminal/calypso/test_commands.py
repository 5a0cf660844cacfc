"""Commands outside a session: their bytes are the published ones, their answers fill handle and image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cardbench.protocol.calypso.file_header import DirectoryHeader, EfType, FileHeader
from cardbench.protocol.errors import (
    AuthenticationBlocked,
    CardRemoved,
    FileNotFound,
    InvalidPin,
    MalformedCardData,
    NotSupported,
    UsageError,
)
from cardbench.terminal.calypso import (
    CalypsoCard,
    DataObject,
    FreeTransactionManager,
    SearchQuery,
    SearchResult,
    SelectFileControl,
)

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader

REV3 = "0A2F2305141001"  # PIN and Stored Value
REV2 = "0A2E1142000101"
LIGHT = "064390312B0100"
BASIC = "04519833141001"
LEGACY_CASE_1 = "03080304000200"


def free(reader: ScriptedReader, startup: str = REV3) -> FreeTransactionManager:
    fci = f"6F238409315449432E49434131A516BF0C13C70800000000112233445307{startup}9000"
    card = CalypsoCard.from_selection(None, bytes.fromhex(fci), is_df_invalidated=False)
    return FreeTransactionManager(reader, card)


def rev1(reader: ScriptedReader) -> FreeTransactionManager:
    atr = bytes.fromhex("3B8F8001805A0A010320031124B77FE7829000F7")
    return FreeTransactionManager(
        reader, CalypsoCard.from_selection(atr, None, is_df_invalidated=False)
    )


# Select File and Get Data: calypso-card §3.1, §9.11

DF = "85170001000000101000000103010100777879616770003F00"
EF = "85170204021D011F00000001010101003F0200000000000002"


def test_the_current_df_tells_its_keys(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00A4090002000000", f"{DF}9000")))
    handle = transaction.prepare_select_file(SelectFileControl.CURRENT_DF)
    transaction.process_commands()
    header = handle.value
    assert isinstance(header, DirectoryHeader)
    assert (header.lid, header.kifs.hex(), header.kvcs.hex()) == (0x3F00, "616770", "777879")
    assert transaction.card.directory_header == header


def test_files_are_walked_through(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00A4020002000000", f"{EF}9000"), ("00A4020202000000", "6A82")))
    transaction.prepare_select_file(SelectFileControl.FIRST_EF)
    transaction.prepare_select_file(SelectFileControl.NEXT_EF)
    with pytest.raises(FileNotFound):
        transaction.process_commands()
    file = transaction.card.file_by_lid(0x0002)
    assert file is not None
    assert file.header is not None
    assert (file.sfi, file.header.ef_type) == (2, EfType.LINEAR)


@pytest.mark.parametrize(
    ("startup", "command"),
    [
        (REV3, "00A4090002000200"),
        (LIGHT, "00A4090002000200"),
        (REV2, "94A4020002000200"),
        (LEGACY_CASE_1, "94A4080002000200"),
    ],
)
def test_select_by_lid_has_the_products_form(
    scripted: type[ScriptedReader], startup: str, command: str
) -> None:
    descriptor = EF
    if command.startswith("94"):  # the LID is one byte earlier
        descriptor = EF[: 2 * (2 + 20)] + "0002" + "00"
    transaction = free(scripted((command, f"{descriptor}9000")), startup)
    handle = transaction.prepare_select_file(0x0002)
    transaction.process_commands()
    assert handle.value.lid == 0x0002


def test_select_by_lid_of_a_revision_1_card(scripted: type[ScriptedReader]) -> None:
    transaction = rev1(scripted(("94A4080002000200", f"{EF}9000")))
    transaction.prepare_select_file(0x0002)
    transaction.process_commands()


def test_a_df_that_answers_to_a_lid_is_no_ef(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00A4090002200000", f"{DF}9000")))
    transaction.prepare_select_file(0x2000)
    with pytest.raises(MalformedCardData, match="is a DF"):
        transaction.process_commands()


def test_a_selected_file_is_the_current_one(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00A4090002000200", f"{EF}9000"), ("00B2010401", "AA9000")))
    transaction.prepare_select_file(0x0002)
    transaction.prepare_read_record(0, 1, size_bytes=1)
    transaction.process_commands()
    assert transaction.card.record(2, 1) == b"\xaa"


FCI = "6F238409315449432E49434131A516BF0C13C708000000001122334453070A2F2305141001"
EF_LIST = "C010C10620010702 1D01C106201008041D03".replace(" ", "")


def test_get_data_describes_the_application(scripted: type[ScriptedReader]) -> None:
    transaction = free(
        scripted(
            ("00CA006F00", f"{FCI}6283"),
            ("00CA006200", f"{EF}9000"),
            ("00CA00C000", f"{EF_LIST}9000"),
            ("00CA018500", "00112233445566778899 9000"),
        )
    )
    tags = (
        DataObject.FCI,
        DataObject.FCP,
        DataObject.EF_LIST,
        DataObject.TRACEABILITY_INFORMATION,
    )
    handles = [transaction.prepare_get_data(tag) for tag in tags]
    transaction.process_commands()
    card = transaction.card
    assert [handle.value.hex().upper() for handle in handles[:2]] == [FCI, EF]
    assert card.is_df_invalidated
    assert card.traceability_information == bytes.fromhex("00112233445566778899")
    assert {file.header.lid for file in card.files if file.header} == {0x0002, 0x2001, 0x2010}
    event = card.file(8)
    assert event is not None
    assert isinstance(event.header, FileHeader)
    assert event.header.record_count == 3


# Binary files: calypso-card §4.4, §4.5


def test_binary_commands_are_the_published_ones(scripted: type[ScriptedReader]) -> None:
    transaction = free(
        scripted(
            ("00D68100021122", "9000"),
            ("00D68102023344", "9000"),
            ("00D681040155", "9000"),
            ("00B0810001", "119000"),
            ("00D601000166", "9000"),
        )
    )
    transaction._payload_max_bytes = 2
    whole = transaction.prepare_update_binary(1, 0, bytes.fromhex("1122334455"))
    far = transaction.prepare_update_binary(1, 256, b"\x66")
    transaction.process_commands()
    assert whole.is_done
    assert whole.value is None
    assert far.value is None
    content = transaction.card.record(1, 1)
    assert content is not None
    assert content[:5].hex() == "1122334455"
    assert content[256] == 0x66


def test_write_binary_sets_bits(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00D0810002F001", "9000"), ("00D08100020F02", "9000")))
    transaction.prepare_write_binary(1, 0, b"\xf0\x01")
    transaction.prepare_write_binary(1, 0, b"\x0f\x02")
    transaction.card.take_record(1, 1, b"\x00\x10\x20")
    transaction.process_commands()
    assert transaction.card.record(1, 1) == b"\xff\x13\x20"


def test_a_long_binary_file_is_read_in_parts(scripted: type[ScriptedReader]) -> None:
    first, second = "AA" * 250, "BB" * 50
    transaction = free(scripted(("00B09A00FA", f"{first}9000"), ("00B09AFA32", f"{second}9000")))
    handle = transaction.prepare_read_binary(0x1A, 0, 300)
    transaction.process_commands()
    assert handle.value.hex().upper() == first + second


def test_beyond_offset_255_the_file_is_made_current_first(scripted: type[ScriptedReader]) -> None:
    transaction = free(
        scripted(("00B0810001", "009000"), ("00B0010001", "669000"), ("00B0010101", "779000"))
    )
    handle = transaction.prepare_read_binary(1, 256, 1)
    current = transaction.prepare_read_binary(0, 257, 1)
    transaction.process_commands()
    assert (handle.value, current.value) == (b"\x66", b"\x77")


def test_a_binary_answer_that_is_too_long_is_refused(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00B0810001", "00009000")))
    transaction.prepare_read_binary(1, 0, 1)
    with pytest.raises(MalformedCardData, match="1 were asked"):
        transaction.process_commands()


def test_an_absent_binary_file_is_best_effort(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00B0810001", "6A82"), ("00B2013C00", "719000")))
    absent = transaction.prepare_read_binary(1, 0, 1)
    read = transaction.prepare_read_record(7)
    transaction.process_commands()
    assert isinstance(absent.error, FileNotFound)
    assert read.value == b"\x71"


# Read and Search Record Multiple: calypso-card §4.2, §4.3


def test_slices_are_read_in_as_many_commands_as_it_takes(scripted: type[ScriptedReader]) -> None:
    transaction = free(
        scripted(
            ("00B3010D045402030100", "11226200"),
            ("00B3030D045402030100", "33446200"),
            ("00B3050D045402030100", "559000"),
        )
    )
    transaction._payload_max_bytes = 2
    handle = transaction.prepare_read_records_partially(1, 1, 5, offset=3, length=1)
    transaction.process_commands()
    assert handle.value == {1: b"\x11", 2: b"\x22", 3: b"\x33", 4: b"\x44", 5: b"\x55"}
    assert transaction.card.record(1, 4) == b"\0\0\0\x44"


def test_slices_of_an_absent_file_are_best_effort(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00B3010D045402030100", "6A82")))
    handle = transaction.prepare_read_records_partially(1, 1, 5, offset=3, length=1)
    transaction.process_commands()
    assert isinstance(handle.error, FileNotFound)


def test_slices_of_a_wrong_size_are_refused(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00B3010D045402000200", "1122339000")))
    transaction.prepare_read_records_partially(1, 1, 2, offset=0, length=2)
    with pytest.raises(MalformedCardData, match="no slices of 2"):
        transaction.process_commands()


def test_searches_are_the_published_ones(scripted: type[ScriptedReader]) -> None:
    transaction = free(
        scripted(
            ("00A2010F07 0000021234FFFF 00", "0204069000"),
            ("00A2022707 8103021234FFFF 00", "0204061122331234569000"),
            ("00A2010F07 00000212340F FF 00", "009000"),
        )
    )
    data = bytes.fromhex("1234")
    plain = transaction.prepare_search_records(SearchQuery(sfi=1, data=data))
    fetching = transaction.prepare_search_records(
        SearchQuery(sfi=4, data=data, start=2, offset=3, repeat_offset=True, fetch_first=True)
    )
    masked = transaction.prepare_search_records(SearchQuery(sfi=1, data=data, mask=b"\x0f"))
    transaction.process_commands()
    assert plain.value == SearchResult((4, 6))
    assert fetching.value == SearchResult((4, 6), bytes.fromhex("112233123456"))
    assert masked.value == SearchResult(())
    assert transaction.card.record(4, 4) == bytes.fromhex("112233123456")


def test_a_search_in_no_file_is_best_effort(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00A2010F05 00000134FF 00", "6A82")))
    handle = transaction.prepare_search_records(SearchQuery(sfi=1, data=b"\x34"))
    transaction.process_commands()
    assert isinstance(handle.error, FileNotFound)


@pytest.mark.parametrize("answer", ["020490 00", "9000"])
def test_a_search_answer_that_is_cut_off_is_refused(
    scripted: type[ScriptedReader], answer: str
) -> None:
    script = [("00A2010F05 00000134FF 00", answer)]
    if answer == "9000":
        script.append(("00C0000000", "6985"))
    transaction = free(scripted(*script))
    transaction.prepare_search_records(SearchQuery(sfi=1, data=b"\x34"))
    with pytest.raises(MalformedCardData, match="announced"):
        transaction.process_commands()


@pytest.mark.parametrize(
    "bad",
    [
        {"sfi": 31, "data": b"1"},
        {"sfi": 1, "data": b""},
        {"sfi": 1, "data": b"1", "mask": b"12"},
        {"sfi": 1, "data": b"1", "start": 0},
        {"sfi": 1, "data": b"1", "offset": 250},
    ],
)
def test_a_search_is_checked_early(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        SearchQuery(**bad)


def test_a_search_that_fits_no_command_is_refused(scripted: type[ScriptedReader]) -> None:
    with pytest.raises(UsageError, match="allowed: 1 to 255"):
        free(scripted()).prepare_search_records(SearchQuery(sfi=1, data=bytes(200)))


# Counters: calypso-card §4.9, §4.10


def test_several_counters_change_in_one_command(scripted: type[ScriptedReader]) -> None:
    transaction = free(
        scripted(
            ("003A00080C 010000010200000203000003 00", "01000011 02000022 030000339000"),
            ("003800080C 010000110200002208000088 00", "01000111 02000222 080008889000"),
        )
    )
    up = transaction.prepare_increase_counters(1, {3: 3, 1: 1, 2: 2})
    down = transaction.prepare_decrease_counters(1, {1: 0x11, 2: 0x22, 8: 0x88})
    transaction.process_commands()
    assert up.value == {1: 0x11, 2: 0x22, 3: 0x33}
    assert down.value == {1: 0x111, 2: 0x222, 8: 0x888}
    assert transaction.card.counter(1, 8) == 0x888


def test_many_counters_take_several_commands(scripted: type[ScriptedReader]) -> None:
    transaction = free(
        scripted(
            ("003A000804 01000001 00", "010000019000"), ("003A000804 02000001 00", "020000019000")
        )
    )
    transaction._payload_max_bytes = 4
    handle = transaction.prepare_increase_counters(1, {1: 1, 2: 1})
    transaction.process_commands()
    assert handle.value == {1: 1, 2: 1}


def test_products_without_the_multiple_form_change_one_by_one(
    scripted: type[ScriptedReader],
) -> None:
    transaction = free(
        scripted(("0032010803 000001 00", "0000019000"), ("0032020803 000002 00", "0000029000")),
        LIGHT,
    )
    handle = transaction.prepare_increase_counters(1, {2: 2, 1: 1})
    transaction.process_commands()
    assert handle.value == {1: 1, 2: 2}


@pytest.mark.parametrize("answer", ["02000011", "0100001102000022", "010000"])
def test_an_answer_about_other_counters_is_refused(
    scripted: type[ScriptedReader], answer: str
) -> None:
    transaction = free(scripted(("003A000804 01000001 00", f"{answer}9000")))
    transaction.prepare_increase_counters(1, {1: 1})
    with pytest.raises(MalformedCardData, match="not of these counters"):
        transaction.process_commands()


def test_a_counter_is_brought_to_a_value_by_one_step(scripted: type[ScriptedReader]) -> None:
    transaction = free(
        scripted(
            ("00B201CC03", "00000A9000"),
            ("003201C803 000005 00", "00000F9000"),
            ("003001C803 00000F 00", "0000009000"),
        )
    )
    with pytest.raises(UsageError, match="read it first"):
        transaction.prepare_set_counter(0x19, 1, 5)
    transaction.prepare_read_counter(0x19, 1)
    transaction.process_commands()
    same = transaction.prepare_set_counter(0x19, 1, 10)
    assert (same.is_done, same.value, same.error, same.value_or(0)) == (True, 10, None, 10)
    up = transaction.prepare_set_counter(0x19, 1, 15)
    transaction.process_commands()
    down = transaction.prepare_set_counter(0x19, 1, 0)
    transaction.process_commands()
    assert (up.value, down.value) == (15, 0)


# PIN: calypso-card §9.7


@pytest.mark.parametrize(
    ("answer", "attempts"), [("9000", 3), ("63C2", 2), ("63C1", 1), ("6983", 0)]
)
def test_the_status_of_the_pin_presents_nothing(
    scripted: type[ScriptedReader], answer: str, attempts: int
) -> None:
    transaction = free(scripted(("0020000000", answer)))
    handle = transaction.prepare_check_pin_status()
    transaction.process_commands()
    assert handle.value == transaction.card.pin_attempts_remaining == attempts
    assert transaction.card.is_pin_blocked is (attempts == 0)


def test_a_plain_pin_is_presented_and_changed(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("002000000430303030", "9000"), ("00D800FF0434353637", "9000")))
    transaction.prepare_verify_pin(b"0000")
    change = transaction.prepare_change_pin(b"4567")
    transaction.process_commands()
    assert change.is_done
    assert transaction.card.pin_attempts_remaining == 3


@pytest.mark.parametrize(
    ("answer", "error", "attempts"),
    [("63C2", InvalidPin, 2), ("63C1", InvalidPin, 1), ("6983", AuthenticationBlocked, 0)],
)
def test_a_wrong_pin_is_told_and_counted(
    scripted: type[ScriptedReader], answer: str, error: type[Exception], attempts: int
) -> None:
    transaction = free(scripted(("002000000431323334", answer)))
    transaction.prepare_verify_pin(b"1234")
    with pytest.raises(error) as caught:
        transaction.process_commands()
    assert "31323334" not in str(caught.value)
    assert transaction.card.pin_attempts_remaining == attempts
    if isinstance(caught.value, InvalidPin):
        assert caught.value.attempts_remaining == attempts


def test_another_refusal_counts_no_attempt(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("002000000431323334", "6985")))
    verify = transaction.prepare_verify_pin(b"1234")
    with pytest.raises(Exception, match="6985"):
        transaction.process_commands()
    assert transaction.card.pin_attempts_remaining is None
    assert repr(verify) == "<Verify PIN 0020000004****: failed>"


def test_a_pin_of_another_length_is_refused_without_showing_it(
    scripted: type[ScriptedReader],
) -> None:
    with pytest.raises(UsageError, match=r"a PIN of 5 byte\(s\)") as caught:
        free(scripted()).prepare_verify_pin(b"12345")
    assert "12345" not in str(caught.value)


# What a product does not have is refused early


@pytest.mark.parametrize(
    ("startup", "prepare"),
    [
        (LIGHT, lambda t: t.prepare_search_records(SearchQuery(sfi=1, data=b"1"))),
        (REV2, lambda t: t.prepare_read_records_partially(1, 1, 2, offset=0, length=1)),
        (LIGHT, lambda t: t.prepare_read_binary(1, 0, 1)),
        (BASIC, lambda t: t.prepare_update_binary(1, 0, b"1")),
        ("0A2F2005141001", lambda t: t.prepare_verify_pin(b"1234")),
        ("0A2F2005141001", lambda t: t.prepare_check_pin_status()),
        (LIGHT, lambda t: t.prepare_change_pin(b"1234")),
        ("0A2F2005141001", lambda t: t.prepare_sv_read_all_logs()),
        (REV3, lambda t: t.prepare_sv_read_all_logs()),
    ],
)
def test_functions_that_a_card_does_not_have(
    scripted: type[ScriptedReader],
    startup: str,
    prepare: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(NotSupported, match="has no such function"):
        prepare(free(scripted(), startup))


@pytest.mark.parametrize(
    "prepare",
    [
        lambda t: t.prepare_select_file(0x10000),
        lambda t: t.prepare_read_binary(1, 32_768, 1),
        lambda t: t.prepare_read_binary(1, 0, 0),
        lambda t: t.prepare_read_binary(1, 32_000, 1_000),
        lambda t: t.prepare_read_binary(31, 0, 1),
        lambda t: t.prepare_read_records_partially(1, 2, 1, offset=0, length=1),
        lambda t: t.prepare_read_records_partially(1, 1, 2, offset=250, length=1),
        lambda t: t.prepare_read_records_partially(1, 1, 2, offset=200, length=51),
        lambda t: t.prepare_increase_counters(1, {}),
        lambda t: t.prepare_increase_counters(1, {0: 1}),
        lambda t: t.prepare_increase_counters(1, {1: -1}),
        lambda t: t.prepare_set_counter(1, 1, 1 << 24),
        lambda t: t.prepare_get_data(0x4F),
    ],
)
def test_bad_arguments_are_refused_early(
    scripted: type[ScriptedReader],
    prepare: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(UsageError):
        prepare(free(scripted()))


# Stored Value logs: calypso-card §6.3

LOAD_LOG = "00000073000000000000000000AE11875000E76C0002F9F26C00000000"
DEBIT_LOG = "00000000000073AE11875000E76B0000000001D5972400000000000000"


def test_the_logs_of_a_purse_are_read(scripted: type[ScriptedReader]) -> None:
    transaction = free(
        scripted(
            ("00B201A41D", f"{LOAD_LOG}9000"),
            ("00B201AC1D", f"{DEBIT_LOG}9000"),
            ("00B202AC1D", f"{DEBIT_LOG}9000"),
            ("00B203AC1D", f"{'00' * 29}9000"),
        ),
        "0A2F2320141001",
    )
    handle = transaction.prepare_sv_read_all_logs()
    transaction.process_commands()
    logs = handle.value
    assert (logs.load.kvc, logs.load.sv_tnum) == (0x73, 2)
    assert [log.sv_tnum for log in logs.debits] == [1, 1, 0]
    card = transaction.card
    assert (card.sv_load_log, card.sv_debit_logs) == (logs.load, logs.debits)


def test_a_pulled_card_leaves_the_rest_undone(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("00B0810001", CardRemoved("gone"))))
    handle = transaction.prepare_read_binary(1, 0, 1)
    with pytest.raises(CardRemoved):
        transaction.process_commands()
    assert isinstance(handle.error, CardRemoved)
