"""The journal: exchanges in order, told with names and outcomes, secrets masked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.errors import CardRemoved, CryptoModuleError, RecordNotFound
from cardbench.terminal.calypso import (
    CalypsoCard,
    CalypsoSelection,
    FreeTransactionManager,
    SearchQuery,
    SecureRegularModeTransactionManager,
    SelectFileControl,
    SymmetricSecuritySetting,
)
from cardbench.terminal.card import CardChannel, Journal, PlainRequest, SecretRequest
from cardbench.terminal.generic import GenericCard, GenericTransaction
from cardbench.terminal.legacy_sam import (
    KeyParameter,
    LegacySam,
    LegacySamCryptoFactory,
    SamFreeTransaction,
    SamSecureWriteTransaction,
    SamSecuritySetting,
    SystemKeyType,
)
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader

AID = bytes.fromhex("315449432E49434131")
FCI = "6F238409315449432E49434131A516BF0C13C70800000000112233445307 0A2F2305141001"
SELECT = ("00A4040009315449432E4943413100", f"{FCI} 9000")
SAM_ATR = bytes.fromhex("3B3F9600805AAA80C120001211223344829000")

# terminal-api §12, sequences §9.2: what a session asks of card and SAM; MACs are invented
OPEN = ("008A030104C1C2C3C400", "03049098003079009000")
UPDATE = ("00DC013C01AA", "9000")
CLOSE = ("008E80000412345678 00", "9ABCDEF0 9000")
CHALLENGE = ("8084000004", "C1C2C3C4 9000")
DIGEST = (
    ("8014000008 0000000011223344", "9000"),
    ("808A00FF0A 3079 0304909800307900", "9000"),
    ("808C80000A 06 00DC013C01AA 02 9000", "9000"),
    ("808E000004", "12345678 9000"),
)
SAM_2 = ("Select Diversifier", "Digest Init", "Digest Update Multiple", "Digest Close")
AUTHENTICATE = ("8082000004 9ABCDEF0", "9000")


def play(scripted: type[ScriptedReader], journal: Journal | None) -> Journal:
    """Select, open, update, close."""
    reader = scripted(SELECT, OPEN, UPDATE, CLOSE, name="gate")
    sam_reader = scripted(CHALLENGE, *DIGEST, AUTHENTICATE, atr=SAM_ATR, name="safe")
    manager = CardSelectionManager()
    manager.prepare_selection(IsoCardSelector(aid=AID), CalypsoSelection())
    card = manager.process(reader, journal=journal).active_smart_card
    assert isinstance(card, CalypsoCard)
    crypto = LegacySamCryptoFactory(sam_reader, LegacySam(SAM_ATR))
    transaction = SecureRegularModeTransactionManager(
        reader, card, SymmetricSecuritySetting(crypto=crypto), journal=journal
    )
    with transaction.secure_session(WriteAccessLevel.DEBIT) as session:
        session.prepare_update_record(7, 1, b"\xaa")
    return transaction.journal


def test_a_transaction_tells_its_own_sequence(scripted: type[ScriptedReader]) -> None:
    journal = play(scripted, None)
    assert journal.to_text().splitlines() == [
        "1  SAM #1   Get Challenge: 9000 ok, 4 bytes",
        "2  card #1  Open Secure Session: 9000 ok, 8 bytes",
        "            Update Record (SFI 07, record 1): 9000 ok",
        "3  SAM #2   Select Diversifier: 9000 ok",
        "            Digest Init: 9000 ok",
        "            Digest Update Multiple: 9000 ok",
        "            Digest Close: 9000 ok, 4 bytes",
        "4  card #2  Close Secure Session: 9000 ok, 4 bytes",
        "5  SAM #3   Digest Authenticate: 9000 ok",
        "3 exchanges with the SAM, 2 exchanges with the card",
    ]
    assert journal.counts == {"SAM": 3, "card": 2}
    assert repr(journal) == "<Journal SAM 3, card 2>"


def test_one_journal_tells_selection_and_transaction(scripted: type[ScriptedReader]) -> None:
    journal = Journal()
    assert play(scripted, journal) is journal
    assert journal.counts == {"card": 3, "SAM": 3}
    first = journal.exchanges[0]
    assert (first.party, first.number, first.reader_name) == ("card", 1, "gate")
    (entry,) = first.entries
    assert (entry.name, entry.sw) == ("Select Application", 0x9000)
    assert entry.outcome == "9000 ok, 37 bytes"
    journal.clear()
    assert journal.to_text() == "no exchange"
    assert repr(journal) == "<Journal empty>"


def test_it_is_told_as_a_diagram(scripted: type[ScriptedReader]) -> None:
    assert play(scripted, None).to_mermaid().splitlines() == [
        "sequenceDiagram",
        "    participant terminal",
        "    participant P0 as SAM",
        "    participant P1 as card",
        "    terminal->>P0: (1) Get Challenge",
        "    P0-->>terminal: 9000",
        "    terminal->>P1: (1) Open Secure Session<br/>Update Record (SFI 07, record 1)",
        "    P1-->>terminal: 2 × 9000",
        f"    terminal->>P0: (2) {'<br/>'.join(SAM_2)}",
        "    P0-->>terminal: 4 × 9000",
        "    terminal->>P1: (2) Close Secure Session",
        "    P1-->>terminal: 9000",
        "    terminal->>P0: (3) Digest Authenticate",
        "    P0-->>terminal: 9000",
    ]


def test_the_audit_data_are_every_byte_of_card_and_sam(scripted: type[ScriptedReader]) -> None:
    expected = [CHALLENGE, OPEN, UPDATE, *DIGEST, CLOSE, AUTHENTICATE]
    assert play(scripted, None).audit_data == [
        bytes.fromhex(text) for pair in expected for text in pair
    ]


def image(startup: str = "0A2F2305141001") -> CalypsoCard:
    fci = f"6F238409315449432E49434131A516BF0C13C70800000000112233445307{startup}9000"
    return CalypsoCard.from_selection(None, bytes.fromhex(fci), is_df_invalidated=False)


def test_secrets_are_masked_unless_they_are_asked_for(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("002000000431323334", "63C2"))
    transaction = FreeTransactionManager(reader, image())
    transaction.prepare_verify_pin(b"1234")
    with pytest.raises(Exception, match="63C2"):
        transaction.process_commands()
    masked = transaction.sequence(with_bytes=True)
    assert "31323334" not in masked
    assert "> 0020000004 (4 bytes hidden)" in masked
    assert "Verify PIN: 63C2 2 attempt(s) left" in masked
    journal = transaction.journal
    assert "31323334" not in json.dumps(journal.as_json())
    assert "31323334" not in repr(journal)
    for asked in (
        journal.to_text(with_bytes=True, with_secrets=True),
        json.dumps(journal.as_json(with_secrets=True)),
    ):
        assert "002000000431323334" in asked
    assert transaction.audit_data == [bytes.fromhex("002000000431323334"), b"\x63\xc2"]


def test_a_pin_is_not_told_by_the_digest_of_it(scripted: type[ScriptedReader]) -> None:
    """A PIN in clear goes to the SAM as well, in a Digest Update: also where that is refused."""
    reader = scripted(OPEN, ("008E000000", "9000"))
    digest = "06 00DC013C01AA 02 9000 09 002000000431323334 02 9000"
    sam_reader = scripted(
        CHALLENGE, *DIGEST[:2], (f"808C800017 {digest}", "6988"), atr=SAM_ATR, name="safe"
    )
    setting = SymmetricSecuritySetting(
        crypto=LegacySamCryptoFactory(sam_reader, LegacySam(SAM_ATR)), pin_plain=True
    )
    transaction = SecureRegularModeTransactionManager(reader, image(), setting)
    transaction.prepare_open_secure_session(WriteAccessLevel.DEBIT)
    transaction.process_commands()
    transaction.prepare_update_record(7, 1, b"\xaa")
    transaction.prepare_verify_pin(b"1234")
    transaction.prepare_close_secure_session()
    with pytest.raises(CryptoModuleError) as caught:
        transaction.process_commands()
    assert "31323334" not in str(caught.value)
    assert "31323334" not in transaction.sequence(with_bytes=True)


def test_what_was_not_answered_or_not_sent_is_seen(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        ("00B2013C00", "6A82"), ("00B2014400", "AA9000"), ("00B2014C00", CardRemoved("gone"))
    )
    transaction = FreeTransactionManager(reader, image())
    for sfi in (7, 8, 9, 10):
        transaction.prepare_read_record(sfi)
    with pytest.raises(CardRemoved):
        transaction.process_commands()
    assert transaction.sequence(with_bytes=True).splitlines() == [
        "1  card #1  Read Record (SFI 07, record 1): 6A82 file not found",
        "              > 00B2013C00",
        "              < 6A82",
        "            Read Record (SFI 08, record 1): 9000 ok, 1 byte",
        "              > 00B2014400",
        "              < AA9000",
        "            Read Record (SFI 09, record 1): no answer",
        "              > 00B2014C00",
        "              < –",
        "1 exchange with the card",
    ]
    assert transaction.audit_data[-1] == b""
    assert transaction.journal.to_mermaid().endswith("6A82, 9000, no answer")
    assert transaction.journal.exchanges[0].entries[-1].sw is None


def test_a_command_says_what_it_works_on(scripted: type[ScriptedReader]) -> None:
    transaction = FreeTransactionManager(scripted(), image())
    transaction.prepare_read_counter(0x19, 1)
    transaction.prepare_read_counter(0, 3)
    transaction.prepare_decrease_counter(0x19, 2, by=1)
    transaction.prepare_append_record(8, b"\xaa")
    transaction.prepare_read_records(0, 1, 2, record_size_bytes=4)
    transaction.prepare_update_binary(0x1A, 5, b"\xaa")
    transaction.prepare_search_records(SearchQuery(sfi=7, data=b"\xaa", start=2))
    transaction.prepare_select_file(SelectFileControl.FIRST_EF)
    assert [command.subject for command in transaction._queue] == [
        "SFI 19, counter 1",
        "current file, counters 1 to 3",
        "SFI 19, counter 2",
        "SFI 08",
        "current file, from record 1",
        "SFI 1A, offset 5",
        "SFI 07, from record 2",
        "",
    ]


def test_a_hidden_answer_is_masked(scripted: type[ScriptedReader]) -> None:
    channel = CardChannel(scripted(("8046000000", "AABB9000")))
    channel.observer = journal = Journal()
    request = SecretRequest(bytes.fromhex("8046000000"), name="Make Key", hides_answer=True)
    channel.transmit([request])
    (entry,) = journal.exchanges[0].entries
    assert entry.shown_response == "**9000"
    assert "AABB" not in journal.to_text(with_bytes=True)


def test_requests_of_others_are_told_by_their_name(scripted: type[ScriptedReader]) -> None:
    channel = CardChannel(scripted(("00B2013C00", "9000")))
    channel.observer = journal = Journal()
    channel.transmit([PlainRequest(bytes.fromhex("00B2013C00"), name="Look")])
    (entry,) = journal.exchanges[0].entries
    assert (entry.name, entry.shown_command) == ("Look", "00B2013C00")


def test_a_generic_transaction_tells_its_sequence(scripted: type[ScriptedReader]) -> None:
    card = GenericCard(power_on_data=None, select_application_response=None)
    transaction = GenericTransaction(scripted(("00840000", "6D00")), card)
    transaction.prepare_apdu("00840000")
    transaction.process_commands()
    assert transaction.sequence().startswith("1  card #1  APDU: 6D00")


def test_a_sams_transaction_tells_its_own_and_no_others(scripted: type[ScriptedReader]) -> None:
    sam = LegacySam(SAM_ATR)
    reader = scripted(
        ("80BC007E020000", "6A83"),
        ("8084000008", "C1C2C3C4C5C6C7C8 9000"),
        atr=SAM_ATR,
    )
    transaction = SamFreeTransaction(reader, sam)
    key = transaction.prepare_read_work_key_parameters(0x7E)
    transaction.process_commands()
    LegacySamCryptoFactory(reader, sam).pre_init_terminal_session_context()
    assert key.error is not None
    assert transaction.journal.counts == {"SAM": 1}
    assert transaction.audit_data == [bytes.fromhex("80BC007E020000"), b"\x6a\x83"]
    assert "Read Key Parameters: 6A83" in transaction.sequence()


def test_a_control_sam_is_told_apart(scripted: type[ScriptedReader]) -> None:
    target, control = LegacySam(SAM_ATR), LegacySam(SAM_ATR)
    key = KeyParameter(bytes.fromhex("E7 01 C1 00 00 00 00 00 00 00 00 00 00"))
    target.system_keys[SystemKeyType.RELOADING] = key
    reader = scripted(("8084000008", "C1C2C3C4C5C6C7C8 9000"), atr=SAM_ATR)
    sealing = scripted(("8014000004 11223344", "6988"), atr=SAM_ATR)
    transaction = SamSecureWriteTransaction(
        reader, target, SamSecuritySetting(control_reader=sealing, control_sam=control)
    )
    transaction.prepare_write_counter_ceiling(1, 5)
    with pytest.raises(CryptoModuleError):
        transaction.process_commands()
    assert transaction.journal.counts == {"SAM": 1, "control SAM": 1}
    channel = control.link.channel if control.link is not None else None
    assert channel is not None
    assert channel.party == "SAM"  # elsewhere it is one like any other


def test_an_observer_of_the_channel_counts_an_exchange_once(scripted: type[ScriptedReader]) -> None:
    journal = Journal()
    channel = CardChannel(scripted(("00B2013C00", "6A83")))
    channel.observer = journal
    transaction = FreeTransactionManager(channel, image(), journal=journal)
    read = transaction.prepare_read_record(7)
    transaction.process_commands()
    assert isinstance(read.error, RecordNotFound)
    assert len(journal.exchanges) == 1
