"""Secure sessions: what is refused early, what may go wrong, and what then holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.errors import (
    AccessDenied,
    CardbenchError,
    CardNotPresent,
    CardRemoved,
    ConditionsNotSatisfied,
    CryptoModuleError,
    CryptoModuleUnreachable,
    FileNotFound,
    InconsistentData,
    InvalidCardMac,
    InvalidSignature,
    MalformedCardData,
    SessionBufferOverflow,
    SessionState,
    UnauthorizedKey,
    UsageError,
)
from cardbench.terminal.calypso import (
    CalypsoCard,
    SecureExtendedModeTransactionManager,
    SecureRegularModeTransactionManager,
    SecureSymmetricTransactionManager,
    SymmetricSecuritySetting,
)
from cardbench.terminal.card import CardChannel, ChannelControl
from cardbench.terminal.crypto import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.protocol.errors import ReaderError
    from cardbench.terminal.card import Journal
    from cardbench.terminal.readers import ScriptedReader

DEBIT = WriteAccessLevel.DEBIT
OPEN = ("008A030104C1C2C3C400", "0304909800307900 9000")
CLOSE = ("008E80000412345678 00", "9ABCDEF0 9000")
ABORT = ("008E000000", "9000")


class FakeModule:
    """A crypto module that answers at once, and keeps what it was fed."""

    is_extended_mode_supported = False
    max_card_apdu_length_supported = 255

    def __init__(self) -> None:
        self.fed: list[str] = []
        self.valid = [True]
        self.fails: Exception | None = None
        self.challenges = 0

    def pre_init_terminal_session_context(self) -> None:
        self.fed.append("pre-init")

    def create_card_transaction(
        self, diversifier: bytes, *, use_extended_mode: bool, journal: Journal
    ) -> Any:  # noqa: ANN401
        del journal  # it exchanges nothing
        assert not use_extended_mode
        assert len(diversifier) == 8
        return self

    def init_terminal_secure_session_context(self) -> Deferred[bytes]:
        self.challenges += 1
        return Deferred.of(bytes.fromhex("C1C2C3C4"))

    def init_terminal_session_mac(self, open_data: bytes, kif: int, kvc: int) -> None:
        self.fed = [f"init {kif:02X}{kvc:02X}{open_data.hex().upper()}"]

    def update_terminal_session_mac(self, apdu: bytes) -> None:
        self.fed.append(apdu.hex().upper())

    def finalize_terminal_session_mac(self) -> Deferred[bytes]:
        if self.fails is not None:
            raise self.fails
        return Deferred.of(bytes.fromhex("12345678"))

    def is_card_session_mac_valid(self, card_mac: bytes) -> Deferred[bool]:
        assert card_mac.hex().upper() == "9ABCDEF0"
        valid = self.valid.pop(0) if len(self.valid) > 1 else self.valid[0]
        return Deferred.of(valid)

    def synchronize(self) -> None: ...


@pytest.fixture
def module() -> FakeModule:
    return FakeModule()


def image(startup: str = "0A2F2005141001") -> CalypsoCard:
    fci = f"6F238409315449432E49434131A516BF0C13C70800000000112233445307{startup}9000"
    return CalypsoCard.from_selection(None, bytes.fromhex(fci), is_df_invalidated=False)


def begin(
    reader: ScriptedReader,
    module: FakeModule,
    startup: str = "0A2F2005141001",
    **options: Any,  # noqa: ANN401
) -> SecureRegularModeTransactionManager:
    setting = SymmetricSecuritySetting(crypto=module, **options)  # type: ignore[arg-type]
    return SecureRegularModeTransactionManager(reader, image(startup), setting)


def test_a_session_of_writes_only_is_processed_in_one_go(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    """sequences §9.3: Open and the writes, then Close."""
    transaction = begin(scripted(OPEN, ("00DC013C01AA", "9000"), CLOSE), module)
    with transaction.secure_session(DEBIT) as session:
        session.prepare_update_record(7, 1, b"\xaa")
    assert transaction.traffic == (2, 3)
    assert module.fed == ["init 30790304909800307900", "00DC013C01AA", "9000"]


def test_leaving_with_an_error_aborts_on_card_and_image(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(OPEN, ("00DC013C01AA", "9000"), ABORT), module)

    def fail() -> None:
        with transaction.secure_session(
            DEBIT, channel_control=ChannelControl.CLOSE_AFTER
        ) as session:
            update = session.prepare_update_record(7, 1, b"\xaa")
            session.process_commands()
            assert update.is_done
            raise LookupError("the application's own trouble")

    with pytest.raises(LookupError):
        fail()
    assert transaction.card.record(7, 1) is None
    assert not transaction.channel.is_open
    assert not transaction.is_session_prepared


def test_a_session_may_be_cancelled_inside_its_block(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(OPEN, ("00B2013C01", "AA9000"), ABORT), module)
    with transaction.secure_session(DEBIT) as session:
        read = session.prepare_read_record(7, 1, size_bytes=1)
        session.prepare_read_record(8, 1, size_bytes=1)
        session.cancel()
        assert not transaction.channel.exchanges
        session.prepare_open_secure_session(DEBIT)
        session.process_commands()
        again = session.prepare_read_record(7, 1, size_bytes=1)
        session.prepare_cancel_secure_session()
        session.process_commands()
    assert again.value == b"\xaa"
    with pytest.raises(UsageError, match="cancelled"):
        _ = read.value
    assert transaction.card.record(7, 1) is None


def test_cancelling_without_a_session_sends_nothing(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    begin(scripted(), module).cancel()


def test_wrong_order_is_refused_and_changes_nothing(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(), module)
    for refused in (
        transaction.prepare_close_secure_session,
        transaction.prepare_cancel_secure_session,
    ):
        with pytest.raises(UsageError, match="no secure session"):
            refused()
    transaction.prepare_open_secure_session(DEBIT)
    with pytest.raises(UsageError, match="already"):
        transaction.prepare_open_secure_session(DEBIT)
    assert transaction.is_session_prepared


def test_a_bad_argument_does_not_kill_the_open_session(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(OPEN, ("00B2013C01", "AA9000"), CLOSE), module)
    with transaction.secure_session(DEBIT) as session:
        session.process_commands()
        for bad in (
            lambda: session.prepare_read_record(31, 1, size_bytes=1),
            lambda: session.prepare_read_record(7, 0, size_bytes=1),
            lambda: session.prepare_read_record(7, 251, size_bytes=1),
            lambda: session.prepare_read_record(7, 1),
            lambda: session.prepare_read_record(7, 1, size_bytes=251),
            lambda: session.prepare_read_records(7, 3, 2, record_size_bytes=1),
            lambda: session.prepare_read_records(7, 1, 2, record_size_bytes=0),
            lambda: session.prepare_read_counter(7, 0),
            lambda: session.prepare_read_counter(7, 84),
            lambda: session.prepare_append_record(7, b""),
            lambda: session.prepare_update_record(7, 1, bytes(251)),
            lambda: session.prepare_increase_counter(7, 1, by=1 << 24),
            lambda: session.prepare_decrease_counter(7, 84, by=1),
            lambda: session.prepare_decrease_counter(7, 1, by=-1),
        ):
            with pytest.raises(UsageError):
                bad()
        read = session.prepare_read_record(7, 1, size_bytes=1)
    assert read.value == b"\xaa"


def test_a_refused_command_ends_the_session_with_an_abort(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(
        scripted(OPEN, ("00DC013C01AA", "9000"), ("00DC014401BB", "6982"), ABORT), module
    )
    with pytest.raises(AccessDenied) as caught, transaction.secure_session(DEBIT) as session:
        session.process_commands()
        first = session.prepare_update_record(7, 1, b"\xaa")
        second = session.prepare_update_record(8, 1, b"\xbb")
    assert caught.value.responses == (b"\x90\x00", b"\x69\x82")
    assert first.is_done
    assert second.error is caught.value
    with pytest.raises(AccessDenied):
        _ = second.value
    assert transaction.card.record(7, 1) is None


def test_an_absent_record_inside_a_session_is_an_error(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(OPEN, ("00B2013C01", "6A82"), ABORT), module)
    with pytest.raises(FileNotFound), transaction.secure_session(DEBIT) as session:
        session.process_commands()
        session.prepare_read_record(7, 1, size_bytes=1)


def test_a_refused_open_needs_no_abort(scripted: type[ScriptedReader], module: FakeModule) -> None:
    transaction = begin(scripted((OPEN[0], "6985")), module)
    with pytest.raises(ConditionsNotSatisfied), transaction.secure_session(DEBIT):
        pass


def test_an_answer_other_than_foreseen_is_told(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    reader = scripted(
        OPEN, ("00B201CC03", "00000A9000"), ("003001C803000001 00", "000008 9000"), CLOSE, ABORT
    )
    transaction = begin(reader, module)
    with (
        pytest.raises(InconsistentData, match="answered 0000089000, foreseen was 0000099000"),
        transaction.secure_session(DEBIT) as session,
    ):
        session.process_commands()
        session.prepare_read_counter(0x19, 1)
        session.process_commands()
        session.prepare_decrease_counter(0x19, 1, by=1)
    assert transaction.card.counter(0x19, 1) is None


def test_several_changes_of_one_counter_are_foreseen_together(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    reader = scripted(
        OPEN,
        ("00B201CC03", "00000A9000"),
        ("003001C803000001 00", "000009 9000"),
        ("003201C803000005 00", "00000E 9000"),
        CLOSE,
    )
    transaction = begin(reader, module)
    with transaction.secure_session(DEBIT) as session:
        session.process_commands()
        session.prepare_read_counter(0x19, 1)
        session.process_commands()
        session.prepare_decrease_counter(0x19, 1, by=1)
        last = session.prepare_increase_counter(0x19, 1, by=5)
    assert last.value == 14
    assert transaction.traffic.exchanges == 3


def test_an_impossible_step_is_left_to_the_card(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    reader = scripted(OPEN, ("00B201CC03", "0000009000"), ("003001C803000001 00", "6A80"), ABORT)
    transaction = begin(reader, module)
    with pytest.raises(Exception, match="6A80"), transaction.secure_session(DEBIT) as session:
        session.process_commands()
        session.prepare_read_counter(0x19, 1)
        session.process_commands()
        session.prepare_decrease_counter(0x19, 1, by=1)


# Open and the first read


def test_the_first_read_is_merged_into_open(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    reader = scripted(("008A0B3904C1C2C3C400", "03049098003079 02 7172 9000"), CLOSE)
    transaction = begin(reader, module)
    with transaction.secure_session(DEBIT) as session:
        read = session.prepare_read_record(7, 1, size_bytes=1)
    assert read.value == b"\x71"
    assert transaction.card.record(7, 1) == b"\x71\x72"
    assert module.fed == ["init 307903049098003079027172"]


def test_a_counter_read_is_merged_too(scripted: type[ScriptedReader], module: FakeModule) -> None:
    reader = scripted(("008A0BC904C1C2C3C400", "03049098003079 06 000001000002 9000"), CLOSE)
    transaction = begin(reader, module)
    with transaction.secure_session(DEBIT) as session:
        counter = session.prepare_read_counter(0x19, 2)
    assert counter.value == 2


@pytest.mark.parametrize("record", [31, 32])
def test_p1_of_open_holds_records_up_to_31(
    scripted: type[ScriptedReader], module: FakeModule, record: int
) -> None:
    if record == 31:
        reader = scripted(("008AFB3904C1C2C3C400", "03049098003079 01 71 9000"), CLOSE)
    else:
        reader = scripted(OPEN, ("00B2203C01", "71 9000"), CLOSE)
    with begin(reader, module).secure_session(DEBIT) as session:
        read = session.prepare_read_record(7, record, size_bytes=1)
    assert read.value == b"\x71"


def test_merging_can_be_switched_off(scripted: type[ScriptedReader], module: FakeModule) -> None:
    reader = scripted(OPEN, ("00B2013C01", "71 9000"), CLOSE)
    with begin(reader, module, read_on_open=False).secure_session(DEBIT) as session:
        session.prepare_read_record(7, 1, size_bytes=1)


@pytest.mark.parametrize(("answer", "ratified"), [("00", True), ("01", False), ("FF", False)])
def test_open_tells_whether_the_session_before_was_ratified(
    scripted: type[ScriptedReader], module: FakeModule, answer: str, ratified: bool
) -> None:
    transaction = begin(scripted((OPEN[0], f"03049098{answer}3079009000"), ABORT), module)
    opening = transaction.prepare_open_secure_session(DEBIT)
    transaction.process_commands()
    assert opening.value.is_ratified is ratified
    assert transaction.card.is_df_ratified is ratified
    transaction.cancel()


@pytest.mark.parametrize("answer", ["", "030490980030", "0304909800307901", "030490980030790071"])
def test_an_answer_to_open_that_does_not_fit_is_refused(
    scripted: type[ScriptedReader], module: FakeModule, answer: str
) -> None:
    script = [(OPEN[0], f"{answer}9000"), ABORT]
    if not answer:  # a case 4 command answered without data is asked again
        script.insert(1, ("00C0000000", "6985"))
    transaction = begin(scripted(*script), module)
    with pytest.raises(MalformedCardData), transaction.secure_session(DEBIT):
        pass


# Keys


@pytest.mark.parametrize(
    ("named", "options", "key"),
    [
        ("3079", {}, "3079"),
        ("FF79", {"kif_by_level_kvc": {(DEBIT, 0x79): 0x31}, "default_kif": {DEBIT: 0x32}}, "3179"),
        ("FF79", {"kif_by_level_kvc": {(DEBIT, 0x78): 0x31}, "default_kif": {DEBIT: 0x32}}, "3279"),
        ("3079", {"authorized_session_keys": frozenset({(0x30, 0x79)})}, "3079"),
    ],
)
def test_the_sessions_key_is_resolved(
    scripted: type[ScriptedReader],
    module: FakeModule,
    named: str,
    options: dict[str, Any],
    key: str,
) -> None:
    reader = scripted((OPEN[0], f"0304909800{named}009000"), CLOSE)
    with begin(reader, module, **options).secure_session(DEBIT):
        pass
    assert module.fed == [f"init {key}0304909800{named}00"]


@pytest.mark.parametrize(
    ("named", "options", "complaint"),
    [
        ("FF79", {}, "names no KIF"),
        ("FF79", {"default_kif": {WriteAccessLevel.LOAD: 0x27}}, "names no KIF"),
        ("3079", {"authorized_session_keys": frozenset({(0x30, 0x78)})}, "allowed: 30/78"),
        ("3079", {"authorized_session_keys": frozenset()}, "30/79 is not allowed"),
    ],
)
def test_an_unknown_or_forbidden_key_aborts(
    scripted: type[ScriptedReader],
    module: FakeModule,
    named: str,
    options: dict[str, Any],
    complaint: str,
) -> None:
    transaction = begin(scripted((OPEN[0], f"0304909800{named}009000"), ABORT), module, **options)
    with (
        pytest.raises(UnauthorizedKey, match=complaint) as caught,
        transaction.secure_session(DEBIT),
    ):
        pass
    assert caught.value.kvc == 0x79


def test_a_revision_1_card_names_no_key(scripted: type[ScriptedReader], module: FakeModule) -> None:
    atr = bytes.fromhex("3B8F8001805A0A010320031124B77FE7829000F7")
    card = CalypsoCard.from_selection(atr, None, is_df_invalidated=False)
    record = "71" * 29
    reader = scripted(
        ("948A0B3804C1C2C3C400", f"03049098 0101 {record} 9000"),
        ("948E80000412345678 00", "9ABCDEF09000"),
    )
    setting = SymmetricSecuritySetting(
        crypto=module,  # type: ignore[arg-type]
        default_kif={DEBIT: 0x30},
        default_kvc={DEBIT: 0x79},
    )
    transaction = SecureRegularModeTransactionManager(reader, card, setting)
    with transaction.secure_session(DEBIT) as session:
        read = session.prepare_read_record(7, 1, size_bytes=29)
    assert read.value.hex() == record
    assert card.is_df_ratified is False  # two bytes more say so
    reader.expect(("948A0B3804C1C2C3C400", "0304909871 9000"), ("948E000000", "6985"))
    with pytest.raises(MalformedCardData, match="fits no form"), transaction.secure_session(DEBIT):
        transaction.prepare_read_record(7, 1, size_bytes=29)
    setting = SymmetricSecuritySetting(crypto=module, default_kif={DEBIT: 0x30})  # type: ignore[arg-type]
    transaction = SecureRegularModeTransactionManager(reader, card, setting)
    reader.expect(("948A030004C1C2C3C400", "03049098 9000"), ("948E000000", "6985"))
    with pytest.raises(UnauthorizedKey, match="names no KVC"), transaction.secure_session(DEBIT):
        transaction.prepare_read_record(7, 1, size_bytes=48)  # only 29 bytes can be merged


# Session buffer: calypso-card §5.5


def test_twelve_updates_of_29_bytes_and_one_of_4_fill_430_bytes(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(), module)
    transaction.prepare_open_secure_session(DEBIT)
    for _ in range(12):
        transaction.prepare_update_record(8, 1, bytes(29))
    with pytest.raises(SessionBufferOverflow, match="needs 11 of the session buffer, 10 are left"):
        transaction.prepare_update_record(8, 1, bytes(5))
    transaction.prepare_update_record(8, 1, bytes(4))
    with pytest.raises(SessionBufferOverflow) as caught:
        transaction.prepare_decrease_counter(0x19, 1, by=1)
    assert (caught.value.needed, caught.value.available) == (10, 0)


def test_a_revision_2_card_counts_six_operations(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(), module, "0A2E1142000101")
    transaction.prepare_open_secure_session(DEBIT)
    for _ in range(6):
        transaction.prepare_update_record(8, 1, bytes(29))
    with pytest.raises(SessionBufferOverflow, match="needs 1 of the session buffer, 0 are left"):
        transaction.prepare_append_record(8, bytes(1))


def test_writes_outside_a_session_take_no_buffer(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(*[("00DC014401AA", "9000")] * 100), module)
    for _ in range(100):
        transaction.prepare_update_record(8, 1, b"\xaa")
    transaction.process_commands()


def test_a_session_that_is_too_long_is_split_if_that_is_allowed(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    """sequences §11: the part closed first is ratified at once; then the same level again."""
    update = ("00DC01441D" + "AA" * 29, "9000")
    reader = scripted(OPEN, *[update] * 12, CLOSE, OPEN, update, CLOSE)
    channel = CardChannel(reader)
    transaction = begin(channel, module, multiple_session=True)  # type: ignore[arg-type]
    with transaction.secure_session(DEBIT) as session:
        for _ in range(13):
            session.prepare_update_record(8, 1, b"\xaa" * 29)
    assert channel.traffic.exchanges == 4
    assert module.challenges == 2


def test_what_no_session_can_hold_is_refused_even_then(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(), module, "062F2005141001", multiple_session=True)
    transaction.prepare_open_secure_session(DEBIT)
    with pytest.raises(SessionBufferOverflow):
        transaction.prepare_update_record(8, 1, bytes(250))


def test_a_wrong_mac_of_the_first_part_stops_the_second(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    update = ("00DC01441D" + "AA" * 29, "9000")
    module.valid = [False]
    transaction = begin(scripted(OPEN, *[update] * 12, CLOSE), module, multiple_session=True)
    with pytest.raises(InvalidCardMac), transaction.secure_session(DEBIT) as session:
        for _ in range(13):
            session.prepare_update_record(8, 1, b"\xaa" * 29)
    assert transaction.card.record(8, 1) is None


def test_the_first_part_stays_when_the_second_fails(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    update = ("00DC01441D" + "AA" * 29, "9000")
    reader = scripted(OPEN, *[update] * 12, CLOSE, OPEN, ("00DC01441D" + "BB" * 29, "6982"), ABORT)
    transaction = begin(reader, module, multiple_session=True)
    with pytest.raises(AccessDenied), transaction.secure_session(DEBIT) as session:
        for _ in range(12):
            session.prepare_update_record(8, 1, b"\xaa" * 29)
        session.prepare_update_record(8, 1, b"\xbb" * 29)
    assert transaction.card.record(8, 1) == b"\xaa" * 29


# The crypto module


@pytest.mark.parametrize("failure", [CryptoModuleError("no"), CryptoModuleUnreachable("gone")])
def test_a_module_that_fails_before_close_aborts(
    scripted: type[ScriptedReader], module: FakeModule, failure: CryptoModuleError
) -> None:
    module.fails = failure
    transaction = begin(scripted(OPEN, ABORT), module)
    with pytest.raises(type(failure)), transaction.secure_session(DEBIT):
        pass


def test_an_interrupt_aborts_too(scripted: type[ScriptedReader], module: FakeModule) -> None:
    module.fails = KeyboardInterrupt()  # type: ignore[assignment]
    transaction = begin(scripted(OPEN, ABORT), module)
    with pytest.raises(KeyboardInterrupt), transaction.secure_session(DEBIT) as session:
        session.process_commands()


def test_a_lost_abort_is_no_error_of_its_own(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(OPEN, (ABORT[0], CardRemoved("gone"))), module)
    with pytest.raises(LookupError), transaction.secure_session(DEBIT) as session:
        session.process_commands()
        raise LookupError


def test_a_challenge_can_be_fetched_in_advance(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(), module)
    transaction.setting.init_crypto_context_for_next_transaction()
    assert module.fed == ["pre-init"]


# Close


@pytest.mark.parametrize(
    ("contactless", "close"), [(True, "008E0000041234567800"), (False, CLOSE[0])]
)
def test_ratification_is_for_contactless_readers(
    scripted: type[ScriptedReader], module: FakeModule, contactless: bool, close: str
) -> None:
    script = [OPEN, (close, CLOSE[1])] + [("00B2000000", "6B00")] * contactless
    reader = scripted(*script, is_contactless=contactless)
    with begin(reader, module, ratification=True).secure_session(DEBIT):
        pass


def test_a_card_that_leaves_before_the_ratification_has_closed_its_session(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    reader = scripted(
        OPEN,
        ("00DC013C01AA", "9000"),
        ("008E0000041234567800", CLOSE[1]),
        ("00B2000000", CardRemoved("gone")),
    )
    transaction = begin(reader, module, ratification=True)
    with transaction.secure_session(DEBIT) as session:
        session.process_commands()
        session.prepare_update_record(7, 1, b"\xaa")
    assert transaction.card.record(7, 1) == b"\xaa"


@pytest.mark.parametrize("answer", ["", "9ABC", "059ABCDEF0", "019ABCDEF0", "00AA9ABCDEF0"])
def test_an_answer_to_close_that_does_not_fit_is_refused(
    scripted: type[ScriptedReader], module: FakeModule, answer: str
) -> None:
    script = [OPEN, (CLOSE[0], f"{answer}9000")]
    if not answer:
        script.append(("00C0000000", "6985"))
    transaction = begin(scripted(*script), module)
    with (
        pytest.raises(MalformedCardData, match="postponed data and MAC"),
        transaction.secure_session(DEBIT),
    ):
        pass


def test_postponed_data_that_nobody_waits_for_are_told(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(OPEN, (CLOSE[0], "04345678 03AABB 9ABCDEF0 9000")), module)
    with (
        pytest.raises(InconsistentData, match=r"2 postponed answer\(s\), 0 command\(s\) wait"),
        transaction.secure_session(DEBIT),
    ):
        pass


# Reading several records, handles


def test_many_records_travel_in_few_commands(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    """calypso-card §4.1: at most payload / (size + 2) records in one command."""
    one = "".join(f"{n:02X}1D" + f"{n:02X}" * 29 for n in range(1, 9))
    reader = scripted(OPEN, ("00B2014DF8", one + "9000"), ("00B2094C1D", "09" * 29 + "9000"), CLOSE)
    transaction = begin(reader, module, "0A3D2005141001")
    with transaction.secure_session(DEBIT) as session:
        records = session.prepare_read_records(9, 1, 9, record_size_bytes=29)
    assert records.is_done
    assert records.error is None
    assert records.value == {n: bytes((n,)) * 29 for n in range(1, 10)}


def test_one_record_of_several_is_a_mapping_all_the_same(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(("00B2024C02", "71729000")), module)
    records = transaction.prepare_read_records(9, 2, 2, record_size_bytes=2)
    assert not records.is_done
    transaction.process_commands()
    assert records.value == {2: b"\x71\x72"}


def test_old_products_read_records_one_by_one(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(
        scripted(("94B2014C01", "719000"), ("94B2024C01", "729000")), module, "0A2E1142000101"
    )
    records = transaction.prepare_read_records(9, 1, 2, record_size_bytes=1)
    transaction.process_commands()
    assert records.value == {1: b"\x71", 2: b"\x72"}


@pytest.mark.parametrize("answer", ["01", "0102AA", "010271720202"])
def test_a_cut_off_answer_of_several_records_is_refused(
    scripted: type[ScriptedReader], module: FakeModule, answer: str
) -> None:
    transaction = begin(scripted(("00B2014D08", f"{answer}9000")), module)
    transaction.prepare_read_records(9, 1, 2, record_size_bytes=2)
    with pytest.raises(MalformedCardData, match="cut off"):
        transaction.process_commands()


def test_a_counter_that_the_answer_does_not_reach_is_told(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(("00B201CC06", "0000019000")), module)
    transaction.prepare_read_counter(0x19, 2)
    with pytest.raises(MalformedCardData, match="counter 2 is not in them"):
        transaction.process_commands()


@pytest.mark.parametrize("answer", ["9000", "00019000"])
def test_a_counter_answer_has_three_bytes(
    scripted: type[ScriptedReader], module: FakeModule, answer: str
) -> None:
    script = [("003001C80300000100", answer)]
    if answer == "9000":
        script.append(("00C0000000", "6985"))
    transaction = begin(scripted(*script), module)
    transaction.prepare_decrease_counter(0x19, 1, by=1)
    with pytest.raises(MalformedCardData, match="a counter has 3"):
        transaction.process_commands()


def test_a_write_record_sets_bits(scripted: type[ScriptedReader], module: FakeModule) -> None:
    """calypso-card §4.7."""
    transaction = begin(scripted(("00D201440484332211", "9000")), module)
    transaction.prepare_write_record(8, 1, bytes.fromhex("84332211"))
    transaction.card.take_record(8, 1, bytes.fromhex("0100001000"))
    transaction.process_commands()
    assert transaction.card.record(8, 1) == bytes.fromhex("8533221100")


def test_a_write_of_what_was_never_read_leaves_it_unknown(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    """Which bits were set before, nobody here knows: half a content would be taken for the whole."""
    transaction = begin(scripted(("00D201440484332211", "9000")), module)
    written = transaction.prepare_write_record(8, 1, bytes.fromhex("84332211"))
    transaction.process_commands()
    assert written.is_done
    assert transaction.card.record(8, 1) is None


def test_only_cards_that_are_known_have_transactions(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    card = CalypsoCard.from_selection(b"\x3b\x00", None, is_df_invalidated=False)
    setting = SymmetricSecuritySetting(crypto=module)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not identified"):
        SecureExtendedModeTransactionManager(scripted(), card, setting)


def test_an_extended_transaction_falls_back_where_the_module_is_regular(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    setting = SymmetricSecuritySetting(crypto=module)  # type: ignore[arg-type]
    transaction: SecureSymmetricTransactionManager = SecureExtendedModeTransactionManager(
        scripted(OPEN, CLOSE), image("0A2F2805141001"), setting
    )
    with transaction.secure_session(DEBIT):
        pass


# What an error says of the session on the card

UPDATE = ("00DC013C01AA", "9000")
LOST = CardRemoved("gone")


def failed(reader: ScriptedReader | CardChannel, module: FakeModule) -> CardbenchError:
    """Play a session of one update; return the error that it ends with."""
    transaction = begin(reader, module)  # type: ignore[arg-type]
    with pytest.raises(CardbenchError) as caught, transaction.secure_session(DEBIT) as session:
        session.prepare_update_record(7, 1, b"\xaa")
    return caught.value


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ([(OPEN[0], "6985")], None),  # no session was opened
        ([(OPEN[0], LOST)], SessionState.ABORTED),
        ([OPEN, (UPDATE[0], LOST)], SessionState.ABORTED),
        ([OPEN, (UPDATE[0], "6982"), ABORT], SessionState.ABORTED),
        ([OPEN, UPDATE, (CLOSE[0], "6988"), ABORT], SessionState.ABORTED),
        ([OPEN, UPDATE, (CLOSE[0], LOST)], SessionState.UNKNOWN),
        ([OPEN, UPDATE, (CLOSE[0], CardNotPresent("empty"))], SessionState.ABORTED),
        ([OPEN, UPDATE, (CLOSE[0], "9ABC9000")], SessionState.COMMITTED),  # no MAC
    ],
)
def test_an_error_says_what_the_card_made_of_the_session(
    scripted: type[ScriptedReader],
    script: list[tuple[str, str | ReaderError]],
    state: SessionState | None,
) -> None:
    assert failed(scripted(*script), FakeModule()).session_state is state


def test_a_close_that_was_answered_is_committed_whatever_follows(
    scripted: type[ScriptedReader],
) -> None:
    module = FakeModule()
    module.valid = [False]
    error = failed(scripted(OPEN, UPDATE, CLOSE), module)
    assert isinstance(error, InvalidCardMac)
    assert error.session_state is SessionState.COMMITTED

    module = FakeModule()
    module.synchronize = raising(InvalidSignature("wrong"))  # type: ignore[method-assign]
    error = failed(scripted(OPEN, UPDATE, CLOSE), module)
    assert error.session_state is SessionState.COMMITTED


def raising(error: CardbenchError) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_a_module_that_fails_before_close_leaves_nothing_on_the_card(
    scripted: type[ScriptedReader],
) -> None:
    module = FakeModule()
    module.fails = CryptoModuleError("no")
    error = failed(scripted(OPEN, UPDATE, ABORT), module)
    assert error.session_state is SessionState.ABORTED


def test_a_close_that_never_left_the_terminal_is_no_unknown_end(
    scripted: type[ScriptedReader],
) -> None:
    """The card is gone before the exchange with Close begins: the session died with its power."""
    reader = scripted(OPEN, UPDATE)
    channel = CardChannel(reader)
    transaction = begin(channel, FakeModule())  # type: ignore[arg-type]
    transaction.prepare_open_secure_session(DEBIT)
    transaction.prepare_update_record(7, 1, b"\xaa")
    transaction.process_commands()
    channel.close()
    reader._atr = None
    transaction.prepare_close_secure_session()
    with pytest.raises(CardRemoved, match="begin another transaction") as caught:
        transaction.process_commands()
    assert caught.value.session_state is SessionState.ABORTED
    assert caught.value.commands == ()


def test_an_answer_that_was_not_foreseen_is_told_with_the_state(
    scripted: type[ScriptedReader],
) -> None:
    """The card has closed, and said of a counter another thing than the MAC covers."""
    reader = scripted(
        OPEN, ("00B201CC03", "0000059000"), ("003001C80300000100", "0000039000"), CLOSE
    )
    transaction = begin(reader, FakeModule())
    transaction.prepare_open_secure_session(DEBIT)
    transaction.process_commands()
    transaction.prepare_read_counter(0x19, 1)
    transaction.process_commands()
    transaction.prepare_decrease_counter(0x19, 1, by=1)
    transaction.prepare_close_secure_session()
    reader.expect(ABORT)
    with pytest.raises(InconsistentData) as caught:
        transaction.process_commands()
    assert caught.value.session_state is SessionState.COMMITTED


# What takes several commands is prepared whole or not at all


def test_several_counters_that_do_not_fit_leave_the_queue_as_it_was(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    """Where one command changes one counter, and the buffer has room for one more."""
    transaction = begin(scripted(), module, "0A2E1142000101")
    transaction.prepare_open_secure_session(DEBIT)
    for _ in range(5):
        transaction.prepare_update_record(8, 1, b"\xaa")
    queue, left = list(transaction._queue), transaction._buffer_left
    transaction.card.traits = transaction.card.traits._replace(counts_multiple=False)
    with pytest.raises(SessionBufferOverflow):
        transaction.prepare_decrease_counters(0x19, {1: 1, 2: 1})
    assert (transaction._queue, transaction._buffer_left) == (queue, left)
    transaction.prepare_decrease_counters(0x19, {1: 1})


def test_a_binary_write_that_does_not_fit_leaves_the_queue_as_it_was(
    scripted: type[ScriptedReader], module: FakeModule
) -> None:
    transaction = begin(scripted(), module)
    transaction.prepare_open_secure_session(DEBIT)
    queue, left = list(transaction._queue), transaction._buffer_left
    with pytest.raises(SessionBufferOverflow):
        transaction.prepare_update_binary(0x1A, 256, bytes(600))
    assert (transaction._queue, transaction._buffer_left) == (queue, left)
