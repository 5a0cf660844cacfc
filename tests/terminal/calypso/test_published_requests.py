"""Published requests that no session test sends: selections, old cards, PIN, keys, Stored Value with its SAM.

Card and SAM are recordings; what depends on secrets comes from the recorded answers, so nothing is masked.
A current terminal adds Le where the oldest traces have none or `00` (calypso-card §9.8 says which).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.errors import FileNotFound
from cardbench.terminal.calypso import (
    CalypsoCard,
    CalypsoSelection,
    FreeTransactionManager,
    SecureExtendedModeTransactionManager,
    SecureRegularModeTransactionManager,
    SelectFileControl,
    SvAction,
    SvOperation,
    SymmetricSecuritySetting,
)
from cardbench.terminal.card import CardChannel
from cardbench.terminal.legacy_sam import LegacySam, LegacySamCryptoFactory
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader
    from cardbench.terminal.selection import CardSelectionResult

SAM_ATR = bytes.fromhex("3B3F9600805A4880C1205017AEC11A36829000")
DEBIT = WriteAccessLevel.DEBIT
SELECT_DIVERSIFIER = ("80140000080000000011223344", "9000")
REGULAR, EXTENDED, REVISION_2 = "0A3C2305141001", "0A3C2B05141001", "0A2E0242000101"


def image(startup: str) -> CalypsoCard:
    fci = f"6F238409315449432E49434131A516BF0C13C70800000000112233445307{startup}9000"
    return CalypsoCard.from_selection(None, bytes.fromhex(fci), is_df_invalidated=False)


def setting(
    sam: ScriptedReader, atr: bytes = SAM_ATR, **options: object
) -> SymmetricSecuritySetting:
    factory = LegacySamCryptoFactory(CardChannel(sam), LegacySam(atr))
    return SymmetricSecuritySetting(crypto=factory, **options)  # type: ignore[arg-type]


def selected(reader: CardChannel, aid: str, extension: CalypsoSelection) -> CardSelectionResult:
    manager = CardSelectionManager()
    manager.prepare_selection(IsoCardSelector(aid=bytes.fromhex(aid)), extension)
    return manager.process(reader)


# Selection: calypso-card §9.1, §9.12


def test_an_unknown_aid_is_no_match(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00A4040005AABBCCDDEE00", "6A82"))
    assert selected(CardChannel(reader), "AABBCCDDEE", CalypsoSelection()).active_smart_card is None


def test_the_hoplink_application_by_a_part_of_its_aid(scripted: type[ScriptedReader]) -> None:
    """The partial AID of §9.1; then the stub of §9.12: T2 files and an opening that reads SFI 1A."""
    environment, usage = "24" * 48, "00" * 32
    card_reader = scripted(
        (
            "00A404000AA000000291A00000019100",
            "6F25840BA000000291A00000019102A516BF0C13C708000000001122334453070A3C230C1410019000",
        ),
        ("00B201A420", f"{usage}9000"),
        ("00B201D430", f"{environment}9000"),
        ("008A0BD104C1C2C3C400", f"03082ED700300E30{environment}9000"),
        ("008E8000040506070800", "010203049000"),
    )
    sam_reader = scripted(
        ("8084000004", "C1C2C3C49000"),
        SELECT_DIVERSIFIER,
        (f"808A00FF3A300E03082ED700300E30{environment}", "9000"),
        ("808E000004", "050607089000"),
        ("808200000401020304", "9000"),
        atr=SAM_ATR,
    )
    channel = CardChannel(card_reader)
    card = selected(channel, "A000000291A000000191", CalypsoSelection()).active_smart_card
    assert isinstance(card, CalypsoCard)
    assert (card.df_name or b"").hex().upper() == "A000000291A00000019102"
    transaction = SecureRegularModeTransactionManager(channel, card, setting(sam_reader))
    transaction.prepare_read_record(0x14, 1, size_bytes=32)
    transaction.prepare_read_record(0x1A, 1, size_bytes=48)
    transaction.process_commands()
    with transaction.secure_session(DEBIT) as session:
        read = session.prepare_read_record(0x1A, 1, size_bytes=48)
    assert read.value == b"\x24" * 48


def test_the_classic_stub_opens_by_its_event_and_closes_both_ways(
    scripted: type[ScriptedReader],
) -> None:
    """§9.12: the event is read by Open; the contract list outside; Close with and without ratification."""
    event, opening = "11" * 29, "0304909800"
    card_reader = scripted(
        (
            "00A4040009315449432E4943413100",
            "6F238409315449432E49434131A516BF0C13C708000000001122334453070A3C23120C10019000",
        ),
        ("00B2013C00", f"24B92848080000131A500012{'00' * 17}9000"),
        ("00B201F400", f"{'00' * 29}9000"),
        ("008A0B4104C1C2C3C400", f"{opening}30791D{event}9000"),
        (f"00E200401D{event}", "9000"),
        ("008E0000040506070800", "010203049000"),
        ("00B2000000", "6B00"),
    )
    framed = f"2200E200401D{event}029000"
    sam_reader = scripted(
        ("8084000004", "C1C2C3C49000"),
        SELECT_DIVERSIFIER,
        (f"808A00FF273079{opening}30791D{event}", "9000"),
        (f"808C8000{len(framed) // 2:02X}{framed}", "9000"),
        ("808E000004", "050607089000"),
        ("808200000401020304", "9000"),
        atr=SAM_ATR,
    )
    extension = CalypsoSelection()
    extension.prepare_read_record(7, 1)
    extension.prepare_read_record(0x1E, 1)
    channel = CardChannel(card_reader)
    card = selected(channel, "315449432E49434131", extension).active_smart_card
    assert isinstance(card, CalypsoCard)
    options = setting(sam_reader, ratification=True)
    with SecureRegularModeTransactionManager(channel, card, options).secure_session(
        DEBIT
    ) as session:
        session.prepare_read_record(8, 1, size_bytes=29)
        session.process_commands()
        session.prepare_append_record(8, bytes.fromhex(event))


def test_a_pre_opened_selection_with_its_reads(scripted: type[ScriptedReader]) -> None:
    """§9.6: the pre-open, the reads outside, the real opening, the same reads again."""
    opening, first, second = "C8C7C6C5C4C3C2C102307900", "71" * 29, "72" * 29
    reads = (("00B2013C1D", f"{first}9000"), ("00B201441D", f"{second}9000"))
    fci = f"6F238409315449432E49434131A516BF0C13C70800000000112233445307{EXTENDED}9000"
    card_reader = scripted(
        ("00A4040009315449432E4943413100", fci),
        ("008A0302010000", f"{opening}6200"),
        *reads,
        ("008A03020900C1C2C3C4C5C6C7C800", f"{opening}9000"),
        *reads,
        ("008E800008112233445566778800", "88776655443322119000"),
    )
    elements = [reads[0][0], reads[0][1], reads[1][0], reads[1][1]]
    framed = "".join(f"{len(element) // 2:02X}{element}" for element in elements)
    sam_reader = scripted(
        ("8084000008", "C1C2C3C4C5C6C7C89000"),
        SELECT_DIVERSIFIER,
        (f"808A02FF0E3079{opening}", "9000"),
        (f"808C8000{len(framed) // 2:02X}{framed}", "9000"),
        ("808E000008", "11223344556677889000"),
        ("80820000088877665544332211", "9000"),
        atr=SAM_ATR,
    )
    extension = CalypsoSelection()
    extension.prepare_pre_open_secure_session(DEBIT)
    channel = CardChannel(card_reader)
    card = selected(channel, "315449432E49434131", extension).active_smart_card
    assert isinstance(card, CalypsoCard)
    transaction = SecureExtendedModeTransactionManager(channel, card, setting(sam_reader))
    transaction.prepare_read_record(7, 1, size_bytes=29)
    transaction.prepare_read_record(8, 1, size_bytes=29)
    transaction.process_commands()
    with transaction.secure_session(DEBIT) as session:
        session.prepare_read_record(7, 1, size_bytes=29)
        session.prepare_read_record(8, 1, size_bytes=29)
    assert card.record(8, 1) == bytes.fromhex(second)


# Files: calypso-card §9.4, §9.11


def test_a_revision_2_card_selects_a_file_by_its_lid(scripted: type[ScriptedReader]) -> None:
    descriptor = "85170204021D011F00000001010101000000000000000000123400"
    reader = scripted(("94A4020002123400", descriptor[: 2 * 25] + "9000"))
    transaction = FreeTransactionManager(reader, image(REVISION_2))
    handle = transaction.prepare_select_file(0x1234)
    transaction.process_commands()
    assert handle.value is not None


def test_the_current_df_and_its_files_are_described_as_published(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(
        ("00A4090002000000", "85170001000000101000000103010100777879616770003F009000"),
        ("00A4020002000000", "85170204021D011F00000001010101003F02000000000000029000"),
        ("00A4020202000000", "6A82"),
        ("00A4090002000200", "85170204021D011F00000001010101003F02000000000000029000"),
    )
    transaction = FreeTransactionManager(reader, image(REGULAR))
    transaction.prepare_select_file(SelectFileControl.CURRENT_DF)
    transaction.prepare_select_file(SelectFileControl.FIRST_EF)
    transaction.process_commands()
    transaction.prepare_select_file(SelectFileControl.NEXT_EF)
    with pytest.raises(FileNotFound):
        transaction.process_commands()
    transaction.prepare_select_file(0x0002)
    transaction.process_commands()
    header = transaction.card.directory_header
    assert header is not None
    assert [header.kif(level) for level in (1, 2, 3)] == [0x61, 0x67, 0x70]
    assert [header.kvc(level) for level in (1, 2, 3)] == [0x77, 0x78, 0x79]


# PIN and keys: calypso-card §9.7


def test_a_pin_is_ciphered_by_the_sam(scripted: type[ScriptedReader]) -> None:
    """The trace has key 00/00, which stands for "none was set"; ours wants one, and sends it there."""
    card_reader = scripted(
        ("0084000008", "C1C2C3C4C5C6C7C89000"), ("00200000081122334455667788", "9000")
    )
    sam_reader = scripted(
        SELECT_DIVERSIFIER,
        ("8086000008C1C2C3C4C5C6C7C8", "9000"),
        ("801280FF06307930303030", "11223344556677889000"),
        atr=SAM_ATR,
    )
    transaction = SecureRegularModeTransactionManager(
        card_reader, image(REGULAR), setting(sam_reader, pin_verification_key=(0x30, 0x79))
    )
    transaction.prepare_verify_pin(b"0000")
    transaction.process_commands()
    assert transaction.card.pin_attempts_remaining == 3


def test_a_pin_and_a_key_are_changed_with_cryptograms_of_the_sam(
    scripted: type[ScriptedReader],
) -> None:
    challenge = ("0084000008", "C1C2C3C4C5C6C7C89000")
    pin, key = (
        "88776655443322111122334455667788",
        "000102030405060708090A0B0C0D0E0FF0E0D0C0B0A090807060504030201000",
    )
    card_reader = scripted(
        challenge, (f"00D800FF10{pin}", "9000"), challenge, (f"00D8000120{key}", "9000")
    )
    give_random = ("8086000008C1C2C3C4C5C6C7C8", "9000")
    sam_reader = scripted(
        SELECT_DIVERSIFIER,
        give_random,
        ("801240FF0A21790000000034353637", f"{pin}9000"),
        give_random,
        ("8012FFFF0521792180 90", f"{key}9000"),
        atr=SAM_ATR,
    )
    transaction = SecureRegularModeTransactionManager(
        card_reader, image(REGULAR), setting(sam_reader, pin_modification_key=(0x21, 0x79))
    )
    transaction.prepare_change_pin(b"4567")
    transaction.process_commands()
    transaction.prepare_change_key(1, new_key=(0x21, 0x80), issuer_key=(0x21, 0x79))
    transaction.process_commands()


# Stored Value: calypso-card §9.4 (revision 2), §9.8, §9.9

LOAD_STATE = "790072 21D35F 0E36 00001A 0000 00 79 00 00001A 000002 0000 12345678 0000DB 0070"
DEBIT_STATE = "790073 A54BC9 7DFA 00001C FFFE 0000 0000 79 12345678 0000DD 000016 0072"
PURSE_SAM_ATR = bytes.fromhex("3B3F9600805A4880C120501712345678829000")


def test_a_reload_with_its_sam(scripted: type[ScriptedReader]) -> None:
    state = LOAD_STATE.replace(" ", "")
    card_reader = scripted(
        ("007C000721", f"{state}9000"),
        ("00B8959117 16 0000 00 79 00 000002 0000 12345678 0000DE 2C8CB3D280 03", "A54BC9 9000"),
    )
    sam_reader = scripted(
        SELECT_DIVERSIFIER,
        (f"805601FF36 7C000721 {state}9000 B8000017 00 0000 00 79 00 000002 0000",
         "959116 0000DE 2C8CB3D280 9000"),
        ("8058000003A54BC9", "9000"),
        atr=PURSE_SAM_ATR,
    )  # fmt: skip
    transaction = SecureRegularModeTransactionManager(
        card_reader, image(REGULAR), setting(sam_reader, PURSE_SAM_ATR)
    )
    transaction.prepare_sv_get(SvOperation.RELOAD)
    transaction.process_commands()
    transaction.prepare_sv_reload(2)
    transaction.process_commands()
    assert transaction.card.sv_balance == 0x1C


@pytest.mark.parametrize(
    ("action", "prepare", "ins", "amount"),
    [(SvAction.DO, "5401", "BA", "FFFE"), (SvAction.UNDO, "5C01", "BC", "0002")],
)
def test_a_debit_and_an_undebit_with_their_sam(
    scripted: type[ScriptedReader], action: SvAction, prepare: str, ins: str, amount: str
) -> None:
    state = DEBIT_STATE.replace(" ", "")
    card_reader = scripted(
        ("007C00091E", f"{state}9000"),
        (f"00{ins}CD0014 34 {amount} 0000 0000 79 12345678 0000DF 0C9437AABB 03", "A54BC9 9000"),
    )
    sam_reader = scripted(
        SELECT_DIVERSIFIER,
        (f"80{prepare}FF30 7C00091E {state}9000 {ins}000014 00 {amount} 0000 0000 79",
         "CD0034 0000DF 0C9437AABB 9000"),
        ("8058000003A54BC9", "9000"),
        atr=PURSE_SAM_ATR,
    )  # fmt: skip
    transaction = SecureRegularModeTransactionManager(
        card_reader, image(REGULAR), setting(sam_reader, PURSE_SAM_ATR)
    )
    transaction.prepare_sv_get(SvOperation.DEBIT, action)
    transaction.process_commands()
    transaction.prepare_sv_debit(2)
    transaction.process_commands()


def test_a_revision_2_card_has_a_class_of_its_own_for_the_purse(
    scripted: type[ScriptedReader],
) -> None:
    card_reader = scripted(("FA7C000721", f"{LOAD_STATE}9000"))
    transaction = SecureRegularModeTransactionManager(
        card_reader, image(REVISION_2), setting(scripted(atr=SAM_ATR))
    )
    transaction.prepare_sv_get(SvOperation.RELOAD)
    transaction.process_commands()
    assert transaction.card.sv_balance == 0x1A


def test_the_logs_are_read_as_any_record(scripted: type[ScriptedReader]) -> None:
    load = f"0000 00 78 00 00001A 000002 0000 AABBCCDD 0000DB 0070 {'00' * 7}".replace(" ", "")
    debit = "1DFFFE0000000079AABBCC000000DA000018006F" + "00" * 9
    debits = "".join(f"{number:02X}1D{debit}" for number in (1, 2, 3))
    reader = scripted(("00B201A400", f"{load}9000"), ("00B201AD5D", f"{debits}9000"))
    transaction = FreeTransactionManager(reader, image(REGULAR))
    first = transaction.prepare_read_record(0x14, 1)
    others = transaction.prepare_read_records(0x15, 1, 3, record_size_bytes=29)
    transaction.process_commands()
    assert first.value.hex().upper() == load
    assert set(others.value) == {1, 2, 3}


LOGS_9_9 = "0123123434 7890AB 223344 3210 11223344 543210 5678"
DEBIT_LOG_9_9 = "3344 0123 3210 34 11223344 543210 7890AB 5678"
ATR_9_9 = bytes.fromhex("3B3F9600805A4880C1205017AABBCCDD829000")


@pytest.mark.parametrize(
    ("extended", "operation", "command"),
    [
        (False, "reload", "00B8556617 77 1122 F3 AA EE 000001 3344 AABBCCDD 123456 1122334455"),
        (
            True,
            "reload",
            "00B855661C 77 1122 F3 AA EE 000001 3344 AABBCCDD 123456 11223344556677889900",
        ),
        (False, "debit", "00BA556614 77 FFFF 1122 3344 AA AABBCCDD 123456 1122334455"),
        (True, "debit", "00BA556619 77 FFFF 1122 3344 AA AABBCCDD 123456 11223344556677889900"),
    ],
)
def test_vectors_with_every_field_different(
    scripted: type[ScriptedReader], extended: bool, operation: str, command: str
) -> None:
    """§9.9; the KVC of the operation is that of SV Get, so SV Get answers AA here."""
    is_reload = operation == "reload"
    logs = LOGS_9_9 if is_reload else DEBIT_LOG_9_9
    if extended:
        get = "007C01073D" if is_reload else "007C01093D"
        state = f"8877665544332211 AA 1234 55AABB66DD77 564321 {LOGS_9_9} {DEBIT_LOG_9_9}"
        signature, le, answer = "11223344556677889900", "06", "A54BC99CB45A"
    else:
        get = "007C000721" if is_reload else "007C00091E"
        state = f"AA 1234 A54BC9 7DFA 564321 {logs}"
        signature, le, answer = "1122334455", "03", "A54BC9"
    state = state.replace(" ", "")
    card_reader = scripted((get, f"{state}9000"), (f"{command} {le}", f"{answer}9000"))
    ins, size = command[2:4], command[8:10]
    fixed = "00 1122 F3 AA EE 000001 3344" if is_reload else "00 FFFF 1122 3344 AA"
    data = f"{get[2:]}{state}9000{ins}0000{size}{fixed}".replace(" ", "")
    prepare = "56" if is_reload else "54"
    sam_reader = scripted(
        SELECT_DIVERSIFIER,
        (f"80{prepare}01FF{len(data) // 2:02X}{data}", f"556677123456{signature}9000"),
        (f"80580000{len(answer) // 2:02X}{answer}", "9000"),
        atr=ATR_9_9,
    )
    manager = (
        SecureExtendedModeTransactionManager if extended else SecureRegularModeTransactionManager
    )
    transaction = manager(
        card_reader,
        image(EXTENDED if extended else REGULAR),
        setting(sam_reader, ATR_9_9),
    )
    kind = SvOperation.RELOAD if is_reload else SvOperation.DEBIT
    transaction.prepare_sv_get(kind)
    transaction.process_commands()
    if is_reload:
        transaction.prepare_sv_reload(1, date=b"\x11\x22", time=b"\x33\x44", free=b"\xf3\xee")
    else:
        transaction.prepare_sv_debit(1, date=b"\x11\x22", time=b"\x33\x44")
    transaction.process_commands()
