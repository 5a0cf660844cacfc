"""Our requests are those of the published traces, byte for byte; card and SAM are recordings.

What depends on secrets (challenges, MACs) comes from the recorded answers, so nothing is masked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.errors import (
    CardMacNotVerifiable,
    CardRemoved,
    InvalidCardMac,
    WrongCryptogram,
)
from cardbench.terminal.calypso import (
    CalypsoCard,
    CalypsoSelection,
    SecureExtendedModeTransactionManager,
    SecureRegularModeTransactionManager,
    SymmetricSecuritySetting,
    WriteAccessLevel,
)
from cardbench.terminal.card import CardChannel, ChannelControl
from cardbench.terminal.legacy_sam import LegacySam, LegacySamCryptoFactory
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader

SAM_ATR = bytes.fromhex("3B3F9600805A4880C1205017AEC11A36829000")
ENVIRONMENT, EVENTS, CONTRACTS, CONTRACT_LIST, COUNTERS = 0x07, 0x08, 0x09, 0x1E, 0x19
ZEROS = "00" * 29
DEBIT = WriteAccessLevel.DEBIT


def select(channel: CardChannel, aid: str, *reads: tuple[int, int]) -> CalypsoCard:
    selection = CalypsoSelection()
    for sfi, record in reads:
        selection.prepare_read_record(sfi, record)
    manager = CardSelectionManager()
    manager.prepare_selection(IsoCardSelector(aid=bytes.fromhex(aid)), selection)
    card = manager.process(channel).active_smart_card
    assert isinstance(card, CalypsoCard)
    return card


def setting(sam: CardChannel, **options: bool) -> SymmetricSecuritySetting:
    factory = LegacySamCryptoFactory(sam, LegacySam(SAM_ATR))
    return SymmetricSecuritySetting(crypto=factory, **options)  # type: ignore[arg-type]


def image(startup: str = "0A3C2005141001") -> CalypsoCard:
    fci = f"6F238409315449432E49434131A516BF0C13C70800000000112233445307{startup}9000"
    return CalypsoCard.from_selection(None, bytes.fromhex(fci), is_df_invalidated=False)


def test_session_of_a_real_card_with_a_real_sam(scripted: type[ScriptedReader]) -> None:
    """calypso-card §9.1, §9.2; the order of the SAM's commands is that of legacy-sam §7.1."""
    card_reader = scripted(
        (
            "00A4040009315449432E4943413100",
            "6F238409315449432E49434131A516BF0C13C70800000000C17BE1F653070A3C23051410019000",
        ),
        ("008A0B3904EF48651D00", f"030AB2CF0030791D{ZEROS}9000"),
        ("008E800004819E515D00", "08D222E99000"),
    )
    sam_reader = scripted(
        ("8084000004", "EF48651D9000"),
        ("801400000800000000C17BE1F6", "9000"),
        (f"808A00FF273079030AB2CF0030791D{ZEROS}", "9000"),
        ("808E000004", "819E515D9000"),
        ("808200000408D222E9", "9000"),
        atr=SAM_ATR,
    )
    card_channel, sam_channel = CardChannel(card_reader), CardChannel(sam_reader)
    card = select(card_channel, "315449432E49434131")
    transaction = SecureRegularModeTransactionManager(card_channel, card, setting(sam_channel))
    with transaction.secure_session(DEBIT, channel_control=ChannelControl.CLOSE_AFTER) as session:
        environment = session.prepare_read_record(ENVIRONMENT, 1, size_bytes=29)
    assert environment.value == bytes(29)
    assert (card.transaction_counter, card.is_df_ratified) == (0x030AB2, True)
    assert card_channel.traffic == (2 + 1, 3)  # nothing to foresee: Open and Close travel apart
    assert sam_channel.traffic == (3, 5)
    assert not card_reader.is_connected


READ_UPDATE_DECREASE = (
    ("008A030104C1C2C3C400", "03049098003079009000"),
    ("00B2013C1D", f"71{'11' * 28}9000"),
    (f"00DC01441D81{'11' * 28}", "9000"),
    ("003001800300006400", "0010BE9000"),
)


@pytest.mark.parametrize(
    ("contactless", "close"),
    [
        (False, (("008E8000041234567800", "9ABCDEF09000"),)),
        (True, (("008E0000041234567800", "9ABCDEF09000"), ("00B2000000", "6B00"))),
    ],
)
def test_session_with_read_update_and_decrease(
    scripted: type[ScriptedReader], contactless: bool, close: tuple[tuple[str, str], ...]
) -> None:
    """calypso-card §9.3, both ways to close; the digested bytes are those of §5.2."""
    card_reader = scripted(*READ_UPDATE_DECREASE, *close, is_contactless=contactless)
    elements = [
        "00B2013C1D",
        f"71{'11' * 28}9000",
        f"00DC01441D81{'11' * 28}",
        "9000",
        "0030018003000064",
        "0010BE9000",
    ]
    framed = "".join(f"{len(element) // 2:02X}{element}" for element in elements)
    sam_reader = scripted(
        ("8084000004", "C1C2C3C49000"),
        ("80140000080000000011223344", "9000"),
        ("808A00FF0A30790304909800307900", "9000"),
        (f"808C8000{len(framed) // 2:02X}{framed}", "9000"),
        ("808E000004", "123456789000"),
        ("80820000049ABCDEF0", "9000"),
        atr=SAM_ATR,
    )
    options = setting(CardChannel(sam_reader), read_on_open=False, ratification=True)
    card = image()
    transaction = SecureRegularModeTransactionManager(card_reader, card, options)
    with transaction.secure_session(DEBIT) as session:
        record = session.prepare_read_record(ENVIRONMENT, 1, size_bytes=29)
        update = session.prepare_update_record(EVENTS, 1, b"\x81" + b"\x11" * 28)
        counter = session.prepare_decrease_counter(0x10, 1, by=100)
    assert record.value == b"\x71" + b"\x11" * 28
    assert update.is_done
    assert counter.value == 4286
    assert card.record(EVENTS, 1) == b"\x81" + b"\x11" * 28
    assert card.counter(0x10, 1) == 4286
    # The counter was not known, so the writes went before Close; the session is right all the same.
    assert transaction.traffic.exchanges == 2


def session_that_ends(
    scripted: type[ScriptedReader], *end: tuple[str, str | CardRemoved], sam_end: bool = True
) -> tuple[ScriptedReader, SecureRegularModeTransactionManager, CalypsoCard]:
    card_reader = scripted(*READ_UPDATE_DECREASE[:3:2], *end)
    framed = f"2200DC01441D81{'11' * 28}029000"
    script = [
        ("8084000004", "C1C2C3C49000"),
        ("80140000080000000011223344", "9000"),
        ("808A00FF0A30790304909800307900", "9000"),
        (f"808C800026{framed}", "9000"),
        ("808E000004", "123456789000"),
    ]
    sam_reader = scripted(*script, atr=SAM_ATR)
    if sam_end:
        sam_reader.expect(("80820000049ABCDEF0", "6988"))
    card = image()
    card.take_record(EVENTS, 1, b"before")
    options = setting(CardChannel(sam_reader))
    return card_reader, SecureRegularModeTransactionManager(card_reader, card, options), card


def write_an_event(transaction: SecureRegularModeTransactionManager) -> None:
    with transaction.secure_session(DEBIT) as session:
        session.process_commands()
        session.prepare_update_record(EVENTS, 1, b"\x81" + b"\x11" * 28)


def test_a_terminal_mac_that_the_card_refuses_aborts_and_restores(
    scripted: type[ScriptedReader],
) -> None:
    """calypso-card §9.3, the variant with 6988; an abort follows, whatever its answer."""
    _, transaction, card = session_that_ends(
        scripted, ("008E8000041234567800", "6988"), ("008E000000", "6985"), sam_end=False
    )
    with pytest.raises(WrongCryptogram, match="Close Secure Session 008E8000041234567800"):
        write_an_event(transaction)
    assert card.record(EVENTS, 1) == b"before"


def test_a_card_mac_that_does_not_verify_restores_the_image(
    scripted: type[ScriptedReader],
) -> None:
    _, transaction, card = session_that_ends(scripted, ("008E8000041234567800", "9ABCDEF09000"))
    with pytest.raises(InvalidCardMac):
        write_an_event(transaction)
    assert card.record(EVENTS, 1) == b"before"


def test_a_card_pulled_before_its_answer_to_close_leaves_the_old_image(
    scripted: type[ScriptedReader],
) -> None:
    reader, transaction, card = session_that_ends(
        scripted, ("008E8000041234567800", CardRemoved("gone")), sam_end=False
    )
    with pytest.raises(CardRemoved):
        write_an_event(transaction)
    assert card.record(EVENTS, 1) == b"before"
    assert not reader.is_connected


def test_a_sam_that_is_gone_after_close_is_told_apart(scripted: type[ScriptedReader]) -> None:
    card_reader = scripted(*READ_UPDATE_DECREASE[:3:2], ("008E8000041234567800", "9ABCDEF09000"))
    framed = f"2200DC01441D81{'11' * 28}029000"
    sam_reader = scripted(
        ("8084000004", "C1C2C3C49000"),
        ("80140000080000000011223344", "9000"),
        ("808A00FF0A30790304909800307900", "9000"),
        (f"808C800026{framed}", "9000"),
        ("808E000004", "123456789000"),
        ("80820000049ABCDEF0", CardRemoved("gone")),
        atr=SAM_ATR,
    )
    card = image()
    transaction = SecureRegularModeTransactionManager(
        card_reader, card, setting(CardChannel(sam_reader))
    )
    with pytest.raises(CardMacNotVerifiable, match="cannot be checked"):
        write_an_event(transaction)
    assert card.record(EVENTS, 1) == b"\x81" + b"\x11" * 28  # the card has committed


def test_sale_as_the_reference_terminal_sends_it(scripted: type[ScriptedReader]) -> None:
    """sequences §9.2: 3 exchanges with the card, 3 with the SAM."""
    fci = "6F228408A000000291FF9101A516BF0C13C708000000001122334453070A3C20021410019000"
    contract, counters = "71" * 29, "000005" + "000006"
    new = "72" * 29
    card_reader = scripted(
        ("00A4040008A000000291FF910100", fci),
        ("00B2013C00", f"{ZEROS}9000"),
        ("00B201F400", f"{ZEROS}9000"),
        ("008A0B3904C1C2C3C400", f"030490980030791D{ZEROS}9000"),
        ("00B201F41D", f"{ZEROS}9000"),
        ("00B2014C1D", f"{contract}9000"),
        ("00B201CC06", f"{counters}9000"),
        (f"00DC01F41D{new}", "9000"),
        (f"00DC014C1D{new}", "9000"),
        ("003001C80300000100", "0000049000"),
        ("008E8000041234567800", "9ABCDEF09000"),
    )
    elements = [
        "00B201F41D",
        f"{ZEROS}9000",
        "00B2014C1D",
        f"{contract}9000",
        "00B201CC06",
        f"{counters}9000",
        f"00DC01F41D{new}",
        "9000",
        f"00DC014C1D{new}",
        "9000",
        "003001C803000001",
        "0000049000",
    ]
    framed = "".join(f"{len(element) // 2:02X}{element}" for element in elements)
    sam_reader = scripted(
        ("8084000004", "C1C2C3C49000"),
        ("80140000080000000011223344", "9000"),
        (f"808A00FF273079030490980030791D{ZEROS}", "9000"),
        (f"808C8000{len(framed) // 2:02X}{framed}", "9000"),
        ("808E000004", "123456789000"),
        ("80820000049ABCDEF0", "9000"),
        atr=SAM_ATR,
    )
    card_channel, sam_channel = CardChannel(card_reader), CardChannel(sam_reader)
    card = select(card_channel, "A000000291FF9101", (ENVIRONMENT, 1), (CONTRACT_LIST, 1))
    transaction = SecureRegularModeTransactionManager(card_channel, card, setting(sam_channel))
    with transaction.secure_session(DEBIT, channel_control=ChannelControl.CLOSE_AFTER) as session:
        session.prepare_read_record(ENVIRONMENT, 1, size_bytes=29)
        session.prepare_read_record(CONTRACT_LIST, 1, size_bytes=29)
        session.prepare_read_record(CONTRACTS, 1, size_bytes=29)
        session.prepare_read_counter(COUNTERS, 2)
        session.process_commands()
        session.prepare_update_record(CONTRACT_LIST, 1, bytes.fromhex(new))
        session.prepare_update_record(CONTRACTS, 1, bytes.fromhex(new))
        left = session.prepare_decrease_counter(COUNTERS, 1, by=1)
    assert left.value == 4
    assert (card_channel.traffic, sam_channel.traffic) == ((3, 11), (3, 6))
    assert card.counter(COUNTERS, 2) == 6


def test_session_of_a_revision_2_card(scripted: type[ScriptedReader]) -> None:
    """calypso-card §9.4: class 94, P1 with its extra bit, KVC first, KIF by default."""
    fci = "6F2A8410A0000004040125090101000000000000A516BF0C13C708000000001122334453070A2E1142000101"
    record = "24B928480805CBABAE3000124080" + "00" * 15
    event = "AA" * 29
    card_reader = scripted(
        ("948A8B3804C1C2C3C400", f"79030D3071{record}9000"),
        (f"94DC01441D{event}", "9000"),
        ("948E8000041234567800", "9ABCDEF09000"),
    )
    framed = f"2294DC01441D{event}029000"
    sam_reader = scripted(
        ("8084000004", "C1C2C3C49000"),
        ("80140000080000000011223344", "9000"),
        (f"808A00FF24307979030D3071{record}", "9000"),
        (f"808C800026{framed}", "9000"),
        ("808E000004", "123456789000"),
        ("80820000049ABCDEF0", "9000"),
        atr=SAM_ATR,
    )
    card = CalypsoCard.from_selection(None, bytes.fromhex(fci + "9000"), is_df_invalidated=False)
    factory = LegacySamCryptoFactory(CardChannel(sam_reader), LegacySam(SAM_ATR))
    options = SymmetricSecuritySetting(crypto=factory, default_kif={DEBIT: 0x30})
    transaction = SecureExtendedModeTransactionManager(card_reader, card, options)
    with transaction.secure_session(DEBIT) as session:
        environment = session.prepare_read_record(ENVIRONMENT, 1, size_bytes=29)
        session.process_commands()
        session.prepare_update_record(EVENTS, 1, bytes.fromhex(event))
    assert environment.value.hex().upper() == record
    assert (card.transaction_counter, card.is_df_ratified) == (0x030D30, True)


def test_extended_session_has_long_challenges_and_macs(scripted: type[ScriptedReader]) -> None:
    """calypso-card §9.5, first, ninth and last line, without encryption."""
    card_reader = scripted(
        ("008A03020900C1C2C3C4C5C6C7C800", "C8C7C6C5C4C3C2C1023079009000"),
        ("00B2020C01", "229000"),
        ("00DC010C01AA", "9000"),
        ("008E800008112233445566778800", "88776655443322119000"),
    )
    sam_reader = scripted(
        ("8084000008", "C1C2C3C4C5C6C7C89000"),
        ("80140000080000000011223344", "9000"),
        ("808A02FF0E3079C8C7C6C5C4C3C2C102307900", "9000"),
        ("808C800014" + "0500B2020C01" + "03229000" + "0600DC010C01AA" + "029000", "9000"),
        ("808E000008", "11223344556677889000"),
        ("80820000088877665544332211", "9000"),
        atr=SAM_ATR,
    )
    card = image("0A3C2805141001")
    options = setting(CardChannel(sam_reader), read_on_open=False)
    transaction = SecureExtendedModeTransactionManager(card_reader, card, options)
    with transaction.secure_session(DEBIT) as session:
        read = session.prepare_read_record(1, 2, size_bytes=1)
        session.process_commands()
        session.prepare_update_record(1, 1, b"\xaa")
    assert read.value == b"\x22"
    assert card.transaction_counter == 0xC8C7C6


def test_a_card_that_takes_the_extended_mode_back_answers_with_a_short_mac(
    scripted: type[ScriptedReader],
) -> None:
    """calypso-card §4.17 and §9.5, end: flags 00; the terminal's MAC stays long, the card's is short."""
    card_reader = scripted(
        ("008A03020900C1C2C3C4C5C6C7C800", "C8C7C6C500000000003079009000"),
        ("008E800008112233445566778800", "887766559000"),
    )
    sam_reader = scripted(
        ("8084000008", "C1C2C3C4C5C6C7C89000"),
        ("80140000080000000011223344", "9000"),
        ("808A02FF0E3079C8C7C6C50000000000307900", "9000"),
        ("808E000008", "11223344556677889000"),
        ("808200000488776655", "9000"),
        atr=SAM_ATR,
    )
    card = image("0A3C2805141001")
    transaction = SecureExtendedModeTransactionManager(
        card_reader, card, setting(CardChannel(sam_reader))
    )
    with transaction.secure_session(DEBIT):
        pass
    assert not card.is_extended_mode_supported
