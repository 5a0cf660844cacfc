"""The known divergences and traps of the published APIs, one by one: what this terminal does there.

The numbers are those of terminal-api §22. Card and SAM are the software ones, unless a recording is meant.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from cardbench import terminal
from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol import errors
from cardbench.protocol.errors import (
    FileNotFound,
    InconsistentData,
    UnauthorizedKey,
    UsageError,
)
from cardbench.sam_emulator import new_sam
from cardbench.terminal.calypso import (
    CalypsoCard,
    CalypsoSelection,
    DataObject,
    FreeTransactionManager,
    SearchQuery,
    SecureExtendedModeTransactionManager,
    SecureRegularModeTransactionManager,
    SvAction,
    SvOperation,
    SymmetricSecuritySetting,
    WriteAccessLevel,
)
from cardbench.terminal.card import CardChannel, ChannelControl, Journal
from cardbench.terminal.legacy_sam import (
    LegacySam,
    LegacySamCryptoFactory,
    SamSecureWriteTransaction,
    SamSecuritySetting,
)
from cardbench.terminal.readers import InProcessReader, ScriptedReader
from cardbench.terminal.readers.observation import (
    DetectionMode,
    NotificationMode,
    ObservableCardReader,
    ObservationState,
    ReaderEventType,
)
from cardbench.terminal.selection import BasicCardSelector, CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from collections.abc import Callable

AID = bytes.fromhex("A000000291FF9101")
DEBIT, LOAD = WriteAccessLevel.DEBIT, WriteAccessLevel.LOAD
RECORD = 29


class Bench:
    """A card and a SAM in readers.

    Attributes:
        journal: of everything that went to either.
    """

    def __init__(self, preset: str = "bench") -> None:
        self.slot, safe = CardSlot("card"), CardSlot("sam")
        self.slot.insert(new_card(preset, entropy=Entropy(b"card"), clock=Clock()))
        safe.insert(new_sam("bench", entropy=Entropy(b"sam"), clock=Clock()))
        self.channel = CardChannel(InProcessReader(self.slot))
        self.sam_channel = CardChannel(InProcessReader(safe, is_contactless=False))
        self.crypto = LegacySamCryptoFactory(self.sam_channel, LegacySam(self.sam_channel.open()))
        self.journal = Journal()

    def select(self, extension: CalypsoSelection | None = None) -> CalypsoCard:
        manager = CardSelectionManager()
        manager.prepare_selection(IsoCardSelector(aid=AID), extension or CalypsoSelection())
        card = manager.process(self.channel, journal=self.journal).active_smart_card
        assert isinstance(card, CalypsoCard)
        return card

    def secure(
        self,
        card: CalypsoCard,
        kind: type[Any] = SecureRegularModeTransactionManager,
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - one of two managers
        setting = SymmetricSecuritySetting(crypto=self.crypto, **options)
        return kind(self.channel, card, setting, journal=self.journal)


def test_1_power_on_data_match_as_a_whole_and_missing_ones_pass() -> None:
    bench = Bench()
    atr = bench.channel.open().hex().upper()
    for pattern, matches in ((atr, True), (atr[:-2], False), (atr[2:], False), (f"{atr}..", False)):
        manager = CardSelectionManager()
        manager.prepare_selection(BasicCardSelector(power_on_data=pattern), CalypsoSelection())
        found = manager.process(bench.channel).active_selection_index == 0
        assert found is matches
    assert BasicCardSelector(power_on_data="00").accepts_power_on_data(None)


def test_2_close_after_ends_the_processing_and_singleshot_waits_for_the_card_to_leave() -> None:
    bench = Bench()
    manager = CardSelectionManager()
    manager.prepare_selection(IsoCardSelector(aid=AID), CalypsoSelection())
    observed = ObservableCardReader(bench.channel)
    manager.schedule(observed, NotificationMode.ALWAYS)
    seen = []
    for event in observed.events(DetectionMode.SINGLESHOT, timeout_s=0.05):
        seen.append(event.type)
        if event.type is ReaderEventType.CARD_MATCHED:
            card = manager.parse_scheduled(event.scheduled_response).active_smart_card
            assert isinstance(card, CalypsoCard)
            free = FreeTransactionManager(bench.channel, card)
            free.prepare_read_record(7)
            free.process_commands(ChannelControl.CLOSE_AFTER)
            assert observed.state is ObservationState.WAIT_FOR_CARD_REMOVAL
    assert seen == [ReaderEventType.CARD_MATCHED]  # it is still there: no removal is told
    events = observed.events(DetectionMode.SINGLESHOT, timeout_s=0.05)
    assert next(events).type is ReaderEventType.CARD_MATCHED
    bench.slot.remove()
    assert [event.type for event in events] == [ReaderEventType.CARD_REMOVED]


def test_3_a_channel_that_was_released_says_so_and_json_says_what_keyple_says() -> None:
    bench = Bench()
    manager = CardSelectionManager(release_channel=True)
    extension = CalypsoSelection()
    extension.prepare_read_record(7)
    manager.prepare_selection(IsoCardSelector(aid=AID), extension)
    manager.process(bench.channel)
    assert not bench.channel.is_open
    (told,) = json.loads(manager.export_processed())
    assert told["cardResponse"]["isLogicalChannelOpen"] is True


def test_4_all_cases_run_and_the_channel_is_closed_once_behind_the_last() -> None:
    reader = ScriptedReader(
        *[
            answer
            for _ in range(2)
            for answer in (
                ("00A4040008A000000291FF910100", "6F00 9000"),
                ("00B2013C00", "AA 9000"),
            )
        ]
    )
    server = CardSelectionManager(multiple=True, release_channel=True)
    extension = CalypsoSelection()
    extension.prepare_read_record(7)
    for _ in range(2):
        server.prepare_selection(IsoCardSelector(aid=AID), extension)
    manager = CardSelectionManager()
    manager.import_scenario(server.export_scenario())
    manager.process(reader)
    assert reader.remaining == ()
    assert (reader.connections, reader.is_connected) == (1, False)


# For each prepare method: arguments that are refused while a session is open.
BAD: dict[str, list[Callable[[Any], object]]] = {
    "open_secure_session": [lambda p: p(DEBIT), lambda p: p(4)],
    "append_record": [lambda p: p(31, b"\x01"), lambda p: p(8, b""), lambda p: p(8, bytes(251))],
    "update_record": [lambda p: p(-1, 1, b"\x01"), lambda p: p(7, 251, b"\x01")],
    "write_record": [lambda p: p(7, 0, b"\x01"), lambda p: p(7, 1, bytes(251))],
    "update_binary": [lambda p: p(0x1A, 32_768, b"\x01"), lambda p: p(0x1A, 0, b"")],
    "write_binary": [lambda p: p(31, 0, b"\x01"), lambda p: p(0x1A, -1, b"\x01")],
    "read_binary": [lambda p: p(0x1A, 0, 0), lambda p: p(0x1A, 32_767, 2)],
    "read_record": [lambda p: p(7), lambda p: p(7, 251, size_bytes=1), lambda p: p(31)],
    "read_records": [
        lambda p: p(9, 2, 1, record_size_bytes=RECORD),
        lambda p: p(9, 1, 2, record_size_bytes=251),
    ],
    "read_records_partially": [lambda p: p(9, 1, 2, offset=0, length=1)],
    "read_counter": [lambda p: p(0x19, 0), lambda p: p(0x19, 84)],
    "search_records": [lambda p: p(SearchQuery(sfi=9, data=b"\x01"))],
    "increase_counter": [lambda p: p(0x19, 84, by=1), lambda p: p(0x19, 1, by=-1)],
    "decrease_counter": [lambda p: p(31, 1, by=1), lambda p: p(0x19, 1, by=0x1000000)],
    "increase_counters": [lambda p: p(0x19, {}), lambda p: p(0x19, {1: 1, 84: 1})],
    "decrease_counters": [lambda p: p(0x19, {0: 1}), lambda p: p(0x19, {1: -1})],
    "set_counter": [lambda p: p(0x0A, 1, 5), lambda p: p(0x19, 1, -1)],
    "select_file": [lambda p: p(0x10000), lambda p: p(-1)],
    "get_data": [lambda p: p(DataObject.FCI), lambda p: p(DataObject.CARD_KEY_PAIR)],
    "put_data": [lambda p: p(DataObject.CARD_KEY_PAIR, bytes(96))],
    "generate_asymmetric_key_pair": [lambda p: p()],
    "verify_pin": [lambda p: p(b"123"), lambda p: p(b"12345")],
    "change_pin": [lambda p: p(b"1234")],
    "change_key": [lambda p: p(1, new_key=(1, 2), issuer_key=(3, 4))],
    "sv_reload": [lambda p: p(1), lambda p: p(0x800000)],
    "sv_debit": [lambda p: p(1), lambda p: p(-1)],
    "sv_read_all_logs": [lambda p: p()],
    "rehabilitate": [lambda p: p()],
}
HARMLESS = {  # nothing can be wrong with them in an open session of this card
    "activate_encryption",
    "cancel_secure_session",
    "check_pin_status",
    "close_secure_session",
    "deactivate_encryption",
    "early_mutual_authentication",
    "invalidate",
    "sv_get",
}


def test_5_a_refused_prepare_sends_nothing_and_the_session_goes_on() -> None:
    bench = Bench("bench-small")
    card = bench.select()
    transaction = bench.secure(card, SecureExtendedModeTransactionManager)
    methods = {name.removeprefix("prepare_") for name in dir(transaction) if "prepare_" in name}
    assert set(BAD) | HARMLESS == {name for name in methods if not name.startswith("_")}
    with transaction.secure_session(DEBIT) as session:
        trips = session.prepare_read_counter(0x19, 1)
        session.process_commands()
        sent = bench.journal.counts
        for name, calls in BAD.items():
            for call in calls:
                with pytest.raises(UsageError):
                    call(getattr(session, f"prepare_{name}"))
                assert session._queue == []
        assert bench.journal.counts == sent
        left = session.prepare_decrease_counter(0x19, 1, by=1)
    assert left.value == trips.value - 1


def test_6_an_absent_record_in_the_middle_of_a_free_group_is_no_end() -> None:
    bench = Bench()
    free = FreeTransactionManager(bench.channel, bench.select())
    first, absent, last = (free.prepare_read_record(sfi) for sfi in (7, 0x1B, 0x1E))
    free.process_commands()
    assert len(first.value) == len(last.value) == RECORD
    assert isinstance(absent.error, FileNotFound)


def test_7_an_undebit_gains_the_amount_in_the_image_as_in_the_card() -> None:
    bench = Bench()
    card = bench.select()
    transaction = bench.secure(card)
    for operation, action, amount, prepare in (
        (SvOperation.RELOAD, SvAction.DO, 100, transaction.prepare_sv_reload),
        (SvOperation.DEBIT, SvAction.DO, 3, transaction.prepare_sv_debit),
        (SvOperation.DEBIT, SvAction.UNDO, 3, transaction.prepare_sv_debit),
    ):
        before = transaction.prepare_sv_get(operation, action)
        transaction.process_commands()
        prepare(amount)
        transaction.process_commands()
        gained = (
            amount if prepare == transaction.prepare_sv_reload or action is SvAction.UNDO else -3
        )
        assert card.sv_balance == before.value.balance + gained
    told = transaction.prepare_sv_get(SvOperation.DEBIT)
    transaction.process_commands()
    assert told.value.balance == card.sv_balance
    assert told.value.debit_log is not None
    assert told.value.debit_log.amount == 3


def test_8_a_debit_in_a_session_costs_the_published_exchanges() -> None:
    bench = Bench()
    transaction = bench.secure(bench.select(), ratification=True)
    with transaction.secure_session(DEBIT) as session:
        session.prepare_read_record(7, 1, size_bytes=RECORD)
        session.prepare_read_record(9, 1, size_bytes=RECORD)
        session.prepare_sv_get(SvOperation.DEBIT)
        session.process_commands()
        session.prepare_sv_debit(0)
        session.prepare_append_record(8, bytes(RECORD))
    assert bench.journal.counts == {"card": 3, "SAM": 4}  # 4 and 5 in the reference implementation


def test_9_purse_keys_are_checked_and_pin_keys_and_undebits_refused_early() -> None:
    bench = Bench()
    card = bench.select()
    only_others = bench.secure(card, authorized_sv_keys=frozenset({(0x10, 0x01)}))
    only_others.prepare_sv_get(SvOperation.DEBIT)
    only_others.process_commands()
    with pytest.raises(UnauthorizedKey):
        only_others.prepare_sv_debit(1)
    transaction = bench.secure(card)
    sent = bench.journal.counts
    with pytest.raises(UsageError, match="set pin_verification_key"):
        transaction.prepare_verify_pin(b"0000")
    with pytest.raises(UsageError, match="set pin_modification_key"):
        transaction.prepare_change_pin(b"0000")
    assert bench.journal.counts == sent
    transaction.prepare_sv_get(SvOperation.DEBIT, SvAction.UNDO)
    transaction.process_commands()
    with pytest.raises(UsageError, match="undebit amount 32768; allowed: 0 to 32767"):
        transaction.prepare_sv_debit(32_768)


def test_10_a_pre_opened_session_is_one_exchange_behind_the_selection() -> None:
    bench = Bench()
    extension = CalypsoSelection()
    extension.prepare_read_record(9)
    extension.prepare_pre_open_secure_session(LOAD)
    card = bench.select(extension)
    assert card.pre_opening is not None
    transaction = bench.secure(card, SecureExtendedModeTransactionManager)
    with transaction.secure_session(LOAD) as session:
        contract = session.prepare_read_record(9, 1, size_bytes=RECORD)
        session.prepare_update_record(9, 1, b"\x01" * RECORD)
    assert bench.journal.counts == {"card": 2, "SAM": 3}
    assert contract.value != card.record(9, 1) == b"\x01" * RECORD


def test_10_data_that_changed_since_the_pre_open_are_told() -> None:
    bench = Bench()
    extension = CalypsoSelection()
    extension.prepare_read_record(7)
    extension.prepare_pre_open_secure_session(LOAD)
    card = bench.select(extension)
    card.take_record(7, 1, bytes(RECORD))  # what the terminal remembers is not what the card has
    transaction = bench.secure(card, SecureExtendedModeTransactionManager)
    with pytest.raises(InconsistentData), transaction.secure_session(LOAD) as session:
        session.prepare_read_record(7, 1, size_bytes=RECORD)


def test_11_a_ratification_that_the_card_refuses_ratifies() -> None:
    bench = Bench()
    card = bench.select()
    transaction = bench.secure(card, ratification=True)
    with transaction.secure_session(DEBIT):
        pass
    (last,) = [
        entry
        for exchange in bench.journal.exchanges
        for entry in exchange.entries
        if entry.name == "Ratification"
    ]
    assert last.sw == 0x6B00  # refused, and no error
    with transaction.secure_session(DEBIT):
        pass
    assert card.is_df_ratified is True


def test_12_no_two_public_classes_have_one_name() -> None:
    defined: defaultdict[str, set[str]] = defaultdict(set)
    packages = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(terminal.__path__, "cardbench.terminal.")
    ]
    for module in [*packages, errors]:
        for name, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == module.__name__ and name[0] != "_":
                defined[name].add(module.__name__)
    assert len(defined) > 150
    ambiguous = {name for name, modules in defined.items() if len(modules) > 1}
    assert ambiguous <= {"Observer"}  # of a channel's exchanges; of a reader's events: a callable
    offered = {getattr(module, "ChannelControl", ChannelControl) for module in packages}
    assert offered == {ChannelControl}


def test_13_a_transferred_key_has_ten_parameter_bytes_and_the_sam_29() -> None:
    bench = Bench()
    sam = bench.crypto.sam
    setting = SamSecuritySetting(control_reader=bench.sam_channel, control_sam=sam)
    transaction = SamSecureWriteTransaction(bench.sam_channel, sam, setting)
    for wrong in (9, 11, 13, 29):
        with pytest.raises(UsageError, match="are 10"):
            transaction.prepare_transfer_work_key((0x30, 0x79), bytes(wrong), record=5)
    transaction.prepare_transfer_work_key((0x30, 0x79), bytes(10), record=5)
    with pytest.raises(UsageError, match="they have 29"):
        transaction.prepare_write_sam_parameters(bytes(10))
    transaction.prepare_write_sam_parameters(bytes(29))


def test_14_keys_are_diversified_by_the_whole_serial_number() -> None:
    bench = Bench("hce")
    card = bench.select()
    assert card.is_hce
    assert card.serial == bytes.fromhex("12340080FEDCBA98")
    assert card.application_serial == bytes.fromhex("00000080FEDCBA98")
    transaction = bench.secure(card)
    with transaction.secure_session(DEBIT) as session:
        session.prepare_read_record(7, 1, size_bytes=RECORD)
    diversifiers = [
        entry.command[5:]
        for exchange in bench.journal.exchanges
        for entry in exchange.entries
        if entry.name == "Select Diversifier"
    ]
    assert diversifiers == [card.serial]
