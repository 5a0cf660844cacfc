"""Extended sessions, PIN, keys and Stored Value of secure transactions, against the published traces.

The crypto module is a stub that answers what the traces answer; what it is asked is checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.errors import (
    CardMacNotVerifiable,
    CryptoModuleUnreachable,
    InconsistentData,
    InvalidCardMac,
    InvalidPin,
    MalformedCardData,
    NotSupported,
    SessionBufferOverflow,
    UnauthorizedKey,
    UsageError,
)
from cardbench.terminal.calypso import (
    CalypsoCard,
    CalypsoSelection,
    SecureExtendedModeTransactionManager,
    SecureRegularModeTransactionManager,
    SvAction,
    SvOperation,
    SymmetricSecuritySetting,
)
from cardbench.terminal.card import CardChannel
from cardbench.terminal.crypto import Deferred, SvCommandData, SvSecurityData
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from cardbench.terminal.card import Journal
    from cardbench.terminal.readers import ScriptedReader

DEBIT = WriteAccessLevel.DEBIT
REGULAR = "0A2F2305141001"
EXTENDED = "0A2F2B05141001"
# calypso-card §9.5: the toy cipher of the trace
TOY = {"11": "E1", "33": "E3", "AA": "E1", "BB": "E2", "66": "E6"}
EXTENDED_OPEN = ("008A03020900C1C2C3C4C5C6C7C800", "C8C7C6C5C4C3C2C1 02307900 9000")
AUTHENTICATE = "8877665544332211 9000"
OPEN = ("008A030104C1C2C3C400", "03049098003079009000")
CLOSE = ("008E80000412345678 00", "9ABCDEF0 9000")
ABORT = ("008E000000", "9000")


class StubModule:
    """A crypto module that answers at once with the values of the published traces."""

    max_card_apdu_length_supported = 255

    def __init__(self, *, extended: bool = False) -> None:
        self.is_extended_mode_supported = True
        self.extended = extended
        self.asked: list[str] = []
        self.fed: list[str] = []
        self.encrypting = False
        self.valid: list[bool] = []
        self.error: Exception | None = None
        self.sv = SvSecurityData(
            bytes.fromhex("12345678"),
            bytes.fromhex("0000DE"),
            bytes.fromhex("959116"),
            bytes.fromhex("2C8CB3D280"),
        )

    def pre_init_terminal_session_context(self) -> None: ...

    def create_card_transaction(
        self, diversifier: bytes, *, use_extended_mode: bool, journal: Journal
    ) -> Any:  # noqa: ANN401
        del journal  # it exchanges nothing
        assert len(diversifier) == 8
        assert use_extended_mode is self.extended
        return self

    def init_terminal_secure_session_context(self) -> Deferred[bytes]:
        return Deferred.of(bytes.fromhex("C1C2C3C4C5C6C7C8")[: 8 if self.extended else 4])

    def init_terminal_session_mac(self, open_data: bytes, kif: int, kvc: int) -> None:
        self.fed = [f"{kif:02X}{kvc:02X}{open_data.hex().upper()}"]

    def update_terminal_session_mac(self, apdu: bytes) -> Deferred[bytes] | None:
        text = apdu.hex().upper()
        self.fed.append(text)
        if not self.encrypting:
            return None
        is_request = len(self.fed) % 2 == 0
        if is_request:
            data = text[10:]
            return Deferred.of(bytes.fromhex(text[:10] + TOY.get(data, data)))
        back = {value: key for key, value in reversed(TOY.items())} | {"E1": "11"}
        return Deferred.of(bytes.fromhex(back.get(text[:-4], text[:-4]) + text[-4:]))

    def finalize_terminal_session_mac(self) -> Deferred[bytes]:
        self.encrypting = False
        return Deferred.of(bytes.fromhex("1122334455667788" if self.extended else "12345678"))

    def generate_terminal_session_mac(self) -> Deferred[bytes]:
        return Deferred.of(bytes.fromhex("1122334455667788"))

    def activate_encryption(self) -> None:
        self.encrypting = True

    def deactivate_encryption(self) -> None:
        self.encrypting = False

    def is_card_session_mac_valid(self, card_mac: bytes) -> Deferred[bool]:
        self.asked.append(f"card MAC {card_mac.hex().upper()}")
        return self._answer()

    def is_card_sv_mac_valid(self, card_sv_mac: bytes) -> Deferred[bool]:
        self.asked.append(f"SV MAC {card_sv_mac.hex().upper()}")
        return self._answer()

    def _answer(self) -> Deferred[bool]:
        if self.error is not None:
            deferred: Deferred[bool] = Deferred()
            deferred.fail(self.error)  # type: ignore[arg-type]
            return deferred
        return Deferred.of(self.valid.pop(0) if self.valid else True)

    def compute_sv_command_security_data(self, data: SvCommandData) -> Deferred[SvSecurityData]:
        self.asked.append("SV " + b"".join(data).hex().upper())
        return Deferred.of(self.sv)

    def cipher_pin_for_presentation(
        self, card_challenge: bytes, pin: bytes, kif: int, kvc: int
    ) -> Deferred[bytes]:
        self.asked.append(f"PIN {card_challenge.hex().upper()} {pin!r} {kif:02X}{kvc:02X}")
        return Deferred.of(bytes.fromhex("1122334455667788"))

    def cipher_pin_for_modification(
        self, card_challenge: bytes, current_pin: bytes, new_pin: bytes, kif: int, kvc: int
    ) -> Deferred[bytes]:
        key = f"{kif:02X}{kvc:02X}"
        self.asked.append(
            f"PIN {card_challenge.hex().upper()} {current_pin.hex()} {new_pin!r} {key}"
        )
        return Deferred.of(bytes.fromhex("88776655443322111122334455667788"))

    def generate_ciphered_card_key(
        self,
        card_challenge: bytes,
        issuer_kif: int,
        issuer_kvc: int,
        target_kif: int,
        target_kvc: int,
    ) -> Deferred[bytes]:
        keys = bytes((issuer_kif, issuer_kvc, target_kif, target_kvc)).hex().upper()
        self.asked.append(f"key {card_challenge.hex().upper()} {keys}")
        return Deferred.of(
            bytes.fromhex("000102030405060708090A0B0C0D0E0FF0E0D0C0B0A090807060504030201000")
        )

    def synchronize(self) -> None: ...


def image(startup: str) -> CalypsoCard:
    fci = f"6F238409315449432E49434131A516BF0C13C70800000000112233445307{startup}9000"
    return CalypsoCard.from_selection(None, bytes.fromhex(fci), is_df_invalidated=False)


def regular(
    reader: ScriptedReader,
    module: StubModule,
    startup: str = REGULAR,
    **options: Any,  # noqa: ANN401
) -> SecureRegularModeTransactionManager:
    setting = SymmetricSecuritySetting(crypto=module, **options)  # type: ignore[arg-type]
    return SecureRegularModeTransactionManager(reader, image(startup), setting)


def extended(
    reader: ScriptedReader,
    module: StubModule,
    startup: str = EXTENDED,
    **options: Any,  # noqa: ANN401
) -> SecureExtendedModeTransactionManager:
    setting = SymmetricSecuritySetting(crypto=module, **options)  # type: ignore[arg-type]
    return SecureExtendedModeTransactionManager(reader, image(startup), setting)


# Early authentication and encryption


@pytest.mark.parametrize("authenticates_first", [True, False])
def test_authentication_travels_with_the_switch_of_encryption_beside_it(
    scripted: type[ScriptedReader], authenticates_first: bool
) -> None:
    mac = "112233445566778800"
    reader = scripted(
        EXTENDED_OPEN,
        (f"0082000308{mac}", AUTHENTICATE),
        (f"0082000108{mac}", AUTHENTICATE),
        (f"008E800008{mac}", AUTHENTICATE),
    )
    transaction = extended(reader, StubModule(extended=True))
    with transaction.secure_session(DEBIT) as session:
        for switch in (session.prepare_activate_encryption, session.prepare_deactivate_encryption):
            acts = [session.prepare_early_mutual_authentication, switch]
            for act in acts if authenticates_first else acts[::-1]:
                act()
            session.process_commands()


def test_authentication_and_encryption_as_published(scripted: type[ScriptedReader]) -> None:
    """calypso-card §9.5, all twenty lines: the session is split, and its encryption restored."""
    mac = "112233445566778800"
    reader = scripted(
        EXTENDED_OPEN,
        (f"0082000308{mac}", AUTHENTICATE),
        ("00B2010C01", "E19000"),
        (f"0082000108{mac}", AUTHENTICATE),
        ("00B2020C01", "229000"),
        ("0082000200", "9000"),
        (f"0082000308{mac}", AUTHENTICATE),
        ("00B2030C01", "E39000"),
        ("00DC010C01E1", "9000"),
        (f"008E800008{mac}", AUTHENTICATE),
        EXTENDED_OPEN,
        ("0082000200", "9000"),
        ("00DC020C01E2", "9000"),
        ("0082000000", "9000"),
        ("00B2040C01", "449000"),
        (f"0082000108{mac}", AUTHENTICATE),
        ("00B2050C01", "559000"),
        ("0082000200", "9000"),
        ("00B2060C01", "E69000"),
        (f"008E800008{mac}", AUTHENTICATE),
    )
    module = StubModule(extended=True)
    transaction = extended(reader, module, multiple_session=True, read_on_open=False)
    with transaction.secure_session(DEBIT) as session:
        session._buffer_left = 7
        session.prepare_early_mutual_authentication()
        session.prepare_activate_encryption()
        one = session.prepare_read_record(1, 1, size_bytes=1)
        session.prepare_early_mutual_authentication()
        session.prepare_deactivate_encryption()
        two = session.prepare_read_record(1, 2, size_bytes=1)
        session.prepare_activate_encryption()
        session.process_commands()
        session.prepare_early_mutual_authentication()
        session.prepare_early_mutual_authentication()  # once more changes nothing
        three = session.prepare_read_record(1, 3, size_bytes=1)
        session.prepare_update_record(1, 1, b"\xaa")
        session.prepare_update_record(1, 2, b"\xbb")
        session.prepare_deactivate_encryption()
        four = session.prepare_read_record(1, 4, size_bytes=1)
        session.prepare_early_mutual_authentication()
        five = session.prepare_read_record(1, 5, size_bytes=1)
        session.prepare_activate_encryption()
        six = session.prepare_read_record(1, 6, size_bytes=1)
    values = [read.value.hex() for read in (one, two, three, four, five, six)]
    assert values == ["11", "22", "33", "44", "55", "66"]
    assert transaction.card.record(1, 1) == b"\xaa"
    assert module.asked == ["card MAC 8877665544332211"] * 6
    assert module.fed == [
        "3079C8C7C6C5C4C3C2C102307900",
        "00DC020C01BB",
        "9000",
        "00B2040C01",
        "449000",
        "00B2050C01",
        "559000",
        "00B2060C01",
        "E69000",
    ]


def test_encryption_may_be_prepared_with_the_opening(scripted: type[ScriptedReader]) -> None:
    """sequences §12.2, "R32 only": Manage Session travels with Open."""
    reader = scripted(
        EXTENDED_OPEN,
        ("00B2020C01", "229000"),
        ("0082000200", "9000"),
        ("00B2010C01", "E19000"),
        ("008E800008112233445566778800", AUTHENTICATE),
    )
    transaction = extended(reader, StubModule(extended=True), read_on_open=False)
    with transaction.secure_session(DEBIT) as session:
        plain = session.prepare_read_record(1, 2, size_bytes=1)
        session.prepare_activate_encryption()
        session.process_commands()
        assert transaction.traffic.exchanges == 1
        ciphered = session.prepare_read_record(1, 1, size_bytes=1)
    assert (plain.value, ciphered.value) == (b"\x22", b"\x11")


def test_a_command_behind_the_switch_waits_for_it(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        EXTENDED_OPEN,
        ("0082000200", "9000"),
        ("00B2010C01", "E19000"),
        ("008E800008112233445566778800", AUTHENTICATE),
    )
    transaction = extended(reader, StubModule(extended=True), read_on_open=False)
    with transaction.secure_session(DEBIT) as session:
        session.prepare_activate_encryption()
        read = session.prepare_read_record(1, 1, size_bytes=1)
    assert read.value == b"\x11"
    assert transaction.traffic.exchanges == 3


@pytest.mark.parametrize("in_one_go", [True, False])
def test_the_image_takes_ciphered_and_plain_answers_in_their_order(
    scripted: type[ScriptedReader], *, in_one_go: bool
) -> None:
    """What was read ciphered is known late; what was written after it must not go back to it."""
    reader = scripted(
        EXTENDED_OPEN,
        ("0082000200", "9000"),
        ("00B2010C01", "E19000"),
        ("0082000000", "9000"),
        ("00DC010C01AA", "9000"),
        ("008E800008112233445566778800", AUTHENTICATE),
    )
    transaction = extended(reader, StubModule(extended=True), read_on_open=False)
    with transaction.secure_session(DEBIT) as session:
        session.prepare_activate_encryption()
        read = session.prepare_read_record(1, 1, size_bytes=1)
        session.prepare_deactivate_encryption()
        update = session.prepare_update_record(1, 1, b"\xaa")
        if not in_one_go:
            session.process_commands()
            assert update.is_done
            assert transaction.card.record(1, 1) == b"\xaa"
    assert read.value == b"\x11"
    assert transaction.card.record(1, 1) == b"\xaa"


def test_a_ciphered_command_with_an_answer_keeps_its_le(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        EXTENDED_OPEN,
        ("0082000200", "9000"),
        ("003001080300000100", "000009 9000"),
        ("008E800008112233445566778800", AUTHENTICATE),
    )
    transaction = extended(reader, StubModule(extended=True), read_on_open=False)
    with transaction.secure_session(DEBIT) as session:
        session.prepare_activate_encryption()
        counter = session.prepare_decrease_counter(1, 1, by=1)
    assert counter.value == 9


def test_a_card_that_does_not_prove_itself_ends_the_session(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(EXTENDED_OPEN, ("0082000108112233445566778800", AUTHENTICATE), ABORT)
    module = StubModule(extended=True)
    module.valid = [False]
    transaction = extended(reader, module)
    with pytest.raises(InvalidCardMac), transaction.secure_session(DEBIT) as session:
        session.prepare_early_mutual_authentication()
        session.process_commands()


def test_a_module_that_is_lost_at_early_authentication_ends_the_session(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(EXTENDED_OPEN, ("0082000108112233445566778800", AUTHENTICATE), ABORT)
    module = StubModule(extended=True)
    module.error = CryptoModuleUnreachable("gone")
    with (
        pytest.raises(CryptoModuleUnreachable),
        extended(reader, module).secure_session(DEBIT) as session,
    ):
        session.prepare_early_mutual_authentication()


def test_a_short_answer_to_the_authentication_is_refused(scripted: type[ScriptedReader]) -> None:
    reader = scripted(EXTENDED_OPEN, ("0082000108112233445566778800", "8877 9000"), ABORT)
    with (
        pytest.raises(MalformedCardData, match="8 are right"),
        extended(reader, StubModule(extended=True)).secure_session(DEBIT) as session,
    ):
        session.prepare_early_mutual_authentication()


def test_a_key_that_takes_the_extended_mode_back_refuses_what_is_prepared(
    scripted: type[ScriptedReader],
) -> None:
    """calypso-card §9.5, end: flags 00."""
    for prepare in ("prepare_early_mutual_authentication", "prepare_activate_encryption"):
        reader = scripted((EXTENDED_OPEN[0], "C8C7C6C500000000 00307900 9000"), ABORT)
        transaction = extended(reader, StubModule(extended=True))
        with (
            pytest.raises(NotSupported, match="does not allow"),
            transaction.secure_session(DEBIT) as session,
        ):
            session.process_commands()
            transaction.card._is_extended = True  # as if it was prepared with the opening
            getattr(session, prepare)()
            transaction.card._is_extended = False
            session.process_commands()


@pytest.mark.parametrize(
    "prepare",
    [
        "prepare_early_mutual_authentication",
        "prepare_activate_encryption",
        "prepare_deactivate_encryption",
    ],
)
def test_sessions_are_managed_where_both_ends_can(
    scripted: type[ScriptedReader], prepare: str
) -> None:
    transaction = extended(scripted(), StubModule(extended=True))
    with pytest.raises(UsageError, match="no secure session"):
        getattr(transaction, prepare)()
    transaction = extended(scripted(), StubModule(), REGULAR)
    transaction.prepare_open_secure_session(DEBIT)
    with pytest.raises(NotSupported):
        getattr(transaction, prepare)()


# Pre-open: calypso-card §9.6, sequences §9.4

FCI = "6F228408A000000291FF9101A516BF0C13C708000000001122334453070A2F2B02141001"
PRE_OPEN = ("008A0302010000", "C8C7C6C5C4C3C2C1 02307900 6200")


def pre_opened(
    reader: ScriptedReader, module: StubModule
) -> tuple[CardChannel, SecureExtendedModeTransactionManager]:
    selection = CalypsoSelection()
    selection.prepare_read_record(7)
    selection.prepare_read_record(8)
    selection.prepare_pre_open_secure_session(DEBIT)
    manager = CardSelectionManager()
    manager.prepare_selection(IsoCardSelector(aid=bytes.fromhex("A000000291FF9101")), selection)
    channel = CardChannel(reader)
    card = manager.process(channel).active_smart_card
    assert isinstance(card, CalypsoCard)
    setting = SymmetricSecuritySetting(crypto=module)  # type: ignore[arg-type]
    return channel, SecureExtendedModeTransactionManager(channel, card, setting)


SELECTION = (
    ("00A4040008A000000291FF910100", f"{FCI}9000"),
    ("00B2013C00", "71 9000"),
    ("00B2014400", "72 9000"),
    PRE_OPEN,
)


def test_a_pre_opened_session_is_one_exchange(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        *SELECTION,
        EXTENDED_OPEN,
        ("00B2013C01", "71 9000"),
        ("00B2014401", "72 9000"),
        ("00DC014401AA", "9000"),
        ("008E800008112233445566778800", AUTHENTICATE),
    )
    module = StubModule(extended=True)
    channel, transaction = pre_opened(reader, module)
    with transaction.secure_session(DEBIT) as session:
        first = session.prepare_read_record(7, 1, size_bytes=1)
        session.prepare_read_record(8, 1, size_bytes=1)
        session.prepare_update_record(8, 1, b"\xaa")
    assert channel.traffic.exchanges == 2
    assert first.value == b"\x71"
    assert transaction.card.pre_opening is None
    assert module.fed[:3] == ["3079C8C7C6C5C4C3C2C102307900", "00B2013C01", "719000"]


def test_data_that_changed_since_selection_are_told(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        *SELECTION,
        EXTENDED_OPEN,
        ("00B2013C01", "AA 9000"),
        ("008E800008112233445566778800", "6988"),
        ABORT,
    )
    _, transaction = pre_opened(reader, StubModule(extended=True))
    with pytest.raises(InconsistentData), transaction.secure_session(DEBIT) as session:
        session.prepare_read_record(7, 1, size_bytes=1)
    assert transaction.card.record(7, 1) == b"\x71"


def test_a_read_that_was_not_done_before_costs_an_exchange(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        *SELECTION,
        EXTENDED_OPEN,
        ("00B2014C01", "73 9000"),
        ("008E800008112233445566778800", AUTHENTICATE),
    )
    channel, transaction = pre_opened(reader, StubModule(extended=True))
    with transaction.secure_session(DEBIT) as session:
        session.prepare_read_record(9, 1, size_bytes=1)
    assert channel.traffic.exchanges == 3


def test_another_level_opens_as_usual(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        *SELECTION,
        ("008A0A3A0900C1C2C3C4C5C6C7C800", "C8C7C6C5C4C3C2C1 02277901 71 9000"),
        ("008E800008112233445566778800", AUTHENTICATE),
    )
    _, transaction = pre_opened(reader, StubModule(extended=True))
    with transaction.secure_session(WriteAccessLevel.LOAD) as session:
        session.prepare_read_record(7, 1, size_bytes=1)


def test_a_card_that_knows_no_pre_open_is_selected_all_the_same(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(*SELECTION[:3], (PRE_OPEN[0], "6B00"))
    _, transaction = pre_opened(reader, StubModule(extended=True))
    assert transaction.card.pre_opening is None


# PIN and keys: calypso-card §9.7

CHALLENGE = ("0084000008", "C1C2C3C4C5C6C7C8 9000")
PIN_KEYS = {"pin_verification_key": (0x30, 0x79), "pin_modification_key": (0x21, 0x79)}


def test_a_ciphered_pin_outside_a_session(scripted: type[ScriptedReader]) -> None:
    reader = scripted(CHALLENGE, ("00200000081122334455667788", "9000"))
    module = StubModule()
    transaction = regular(reader, module, **PIN_KEYS)
    verify = transaction.prepare_verify_pin(b"0000")
    transaction.process_commands()
    assert verify.is_done
    assert module.asked == ["PIN C1C2C3C4C5C6C7C8 b'0000' 3079"]
    assert transaction.card.pin_attempts_remaining == 3


def test_a_ciphered_pin_change(scripted: type[ScriptedReader]) -> None:
    reader = scripted(CHALLENGE, ("00D800FF1088776655443322111122334455667788", "9000"))
    module = StubModule()
    transaction = regular(reader, module, **PIN_KEYS)
    change = transaction.prepare_change_pin(b"4567")
    assert "4567" not in repr(change)
    transaction.process_commands()
    assert module.asked == ["PIN C1C2C3C4C5C6C7C8 00000000 b'4567' 2179"]


def test_a_pin_in_a_session_is_ciphered_by_its_key(scripted: type[ScriptedReader]) -> None:
    """sequences §10, shortcut: everything prepared at once costs two exchanges after selection."""
    reader = scripted(
        OPEN,
        CHALLENGE,
        ("00200000081122334455667788", "9000"),
        ("00DC014401AA", "9000"),
        CLOSE,
    )
    module = StubModule()
    transaction = regular(reader, module)
    with transaction.secure_session(DEBIT) as session:
        session.prepare_verify_pin(b"0000")
        session.prepare_update_record(8, 1, b"\xaa")
    assert transaction.traffic.exchanges == 2
    assert module.asked[0] == "PIN C1C2C3C4C5C6C7C8 b'0000' 3079"
    assert module.fed[1:5] == [
        "0084000008",
        "C1C2C3C4C5C6C7C89000",
        "00200000081122334455667788",
        "9000",
    ]


def test_a_wrong_pin_in_a_session_is_counted_though_the_session_is_undone(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(OPEN, CHALLENGE, ("00200000081122334455667788", "63C2"), ABORT)
    transaction = regular(reader, StubModule())
    with pytest.raises(InvalidPin), transaction.secure_session(DEBIT) as session:
        session.process_commands()
        session.prepare_verify_pin(b"0000")
        session.process_commands()
    assert transaction.card.pin_attempts_remaining == 2


def test_a_pin_may_go_in_clear(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("002000000430303030", "9000"), ("00D800FF0434353637", "9000"))
    transaction = regular(reader, StubModule(), pin_plain=True)
    transaction.prepare_verify_pin(b"0000")
    transaction.prepare_change_pin(b"4567")
    transaction.process_commands()


def test_a_ciphered_pin_in_an_encrypted_session(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        EXTENDED_OPEN,
        ("0082000200", "9000"),
        CHALLENGE,
        ("00200000081122334455667788", "9000"),
        ("008E800008112233445566778800", AUTHENTICATE),
    )
    module = StubModule(extended=True)
    with extended(reader, module).secure_session(DEBIT) as session:
        session.process_commands()
        session.prepare_activate_encryption()
        session.prepare_verify_pin(b"0000")
    assert module.asked[0] == "PIN C1C2C3C4C5C6C7C8 b'0000' 3079"


def test_a_key_is_changed(scripted: type[ScriptedReader]) -> None:
    cryptogram = "000102030405060708090A0B0C0D0E0FF0E0D0C0B0A090807060504030201000"
    df = "85170001000000101000000103010100777879616770003F00"
    reader = scripted(
        ("00A4090002000000", f"{df}9000"), CHALLENGE, (f"00D8000120{cryptogram}", "9000")
    )
    module = StubModule()
    transaction = regular(reader, module)
    from cardbench.terminal.calypso import SelectFileControl  # noqa: PLC0415

    transaction.prepare_select_file(SelectFileControl.CURRENT_DF)
    transaction.prepare_change_key(1, new_key=(0x02, 0x03), issuer_key=(0x05, 0x04))
    transaction.process_commands()
    assert module.asked == ["key C1C2C3C4C5C6C7C8 05040203"]
    header = transaction.card.directory_header
    assert header is not None
    assert (header.kif(1), header.kvc(1), header.kif(2)) == (0x02, 0x03, 0x67)


def test_a_key_change_needs_no_description_of_the_df(scripted: type[ScriptedReader]) -> None:
    cryptogram = "000102030405060708090A0B0C0D0E0FF0E0D0C0B0A090807060504030201000"
    transaction = regular(scripted(CHALLENGE, (f"00D8000320{cryptogram}", "9000")), StubModule())
    transaction.prepare_change_key(3, new_key=(0x30, 0x75), issuer_key=(0x21, 0x74))
    transaction.process_commands()
    assert transaction.card.directory_header is None


def test_a_challenge_has_eight_bytes(scripted: type[ScriptedReader]) -> None:
    transaction = regular(scripted(("0084000008", "C1C2C3C4 9000")), StubModule(), **PIN_KEYS)
    transaction.prepare_verify_pin(b"0000")
    with pytest.raises(MalformedCardData, match="8 asked"):
        transaction.process_commands()


@pytest.mark.parametrize(
    "prepare",
    [
        lambda t: t.prepare_verify_pin(b"0000"),  # no key is set
        lambda t: t.prepare_change_pin(b"0000"),
        lambda t: t.prepare_change_key(4, new_key=(1, 1), issuer_key=(1, 1)),
        lambda t: t.prepare_change_key(1, new_key=(256, 1), issuer_key=(1, 1)),
        lambda t: t.prepare_rehabilitate(),
        lambda t: t.crypto_extension(dict),
    ],
)
def test_what_cannot_be_prepared_is_refused(
    scripted: type[ScriptedReader],
    prepare: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(UsageError):
        prepare(regular(scripted(), StubModule()))


@pytest.mark.parametrize(
    "prepare",
    [
        lambda t: t.prepare_change_pin(b"0000"),
        lambda t: t.prepare_change_key(1, new_key=(1, 1), issuer_key=(1, 1)),
        lambda t: t.prepare_get_data(0x6F),
        lambda t: t.prepare_read_records_partially(1, 1, 2, offset=0, length=1),
    ],
)
def test_what_belongs_outside_a_session_is_refused_in_one(
    scripted: type[ScriptedReader],
    prepare: Any,  # noqa: ANN401
) -> None:
    transaction = regular(scripted(), StubModule(), **PIN_KEYS)
    transaction.prepare_open_secure_session(DEBIT)
    with pytest.raises(UsageError, match="outside a secure session"):
        prepare(transaction)
    assert transaction.is_session_prepared


def test_a_basic_card_changes_no_keys(scripted: type[ScriptedReader]) -> None:
    transaction = regular(scripted(), StubModule(), "04519833141001")
    with pytest.raises(NotSupported):
        transaction.prepare_change_key(1, new_key=(1, 1), issuer_key=(1, 1))


def test_the_application_is_invalidated_and_rehabilitated(scripted: type[ScriptedReader]) -> None:
    reader = scripted(OPEN, ("0004000000", "9000"), CLOSE, OPEN, ("0044000000", "9000"), CLOSE)
    transaction = regular(reader, StubModule())
    with transaction.secure_session(DEBIT) as session:
        session.prepare_invalidate()
    assert transaction.card.is_df_invalidated
    with pytest.raises(UsageError, match="already"):
        transaction.prepare_invalidate()
    with transaction.secure_session(DEBIT) as session:
        session.prepare_rehabilitate()
    assert not transaction.card.is_df_invalidated


# Stored Value: calypso-card §9.8, §9.10

LOAD_STATE = "79007221D35F0E36 00001A 0000007900 00001A 000002 0000 12345678 0000DB 0070".replace(
    " ", ""
)
DEBIT_STATE = "790073A54BC97DFA 000016 FFFE00000000 79 12345678 0000DD 000016 0072".replace(" ", "")
GET_LOAD = ("007C000721", f"{LOAD_STATE}9000")
GET_DEBIT = ("007C00091E", f"{DEBIT_STATE}9000")


def test_a_reload_as_published(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        GET_LOAD,
        (
            "00B8959117 16 0000 00 79 00 000002 0000 12345678 0000DE 2C8CB3D280 03",
            "A54BC9 9000",
        ),
    )
    module = StubModule()
    transaction = regular(reader, module)
    state = transaction.prepare_sv_get(SvOperation.RELOAD)
    transaction.process_commands()
    assert (state.value.kvc, state.value.tnum, state.value.balance) == (0x79, 0x72, 0x1A)
    transaction.prepare_sv_reload(2)
    transaction.process_commands()
    card = transaction.card
    assert (card.sv_balance, card.sv_last_tnum) == (0x1C, 0x73)
    log = card.sv_load_log
    assert log is not None
    assert (log.amount, log.balance, log.sam_tnum, log.sv_tnum) == (2, 0x1C, 0xDE, 0x73)
    assert module.asked == [
        f"SV 7C000721{LOAD_STATE}9000B80000170000000079000000020000",
        "SV MAC A54BC9",
    ]


@pytest.mark.parametrize(
    ("action", "ins", "amount", "balance"),
    [(SvAction.DO, "BA", "FFFE", 0x14), (SvAction.UNDO, "BC", "0002", 0x18)],
)
def test_a_debit_and_an_undebit_as_published(
    scripted: type[ScriptedReader], action: SvAction, ins: str, amount: str, balance: int
) -> None:
    reader = scripted(
        GET_DEBIT,
        (
            f"00{ins}959114 16 {amount} 0000 0000 79 12345678 0000DE 2C8CB3D280 03",
            "A54BC9 9000",
        ),
    )
    module = StubModule()
    transaction = regular(reader, module)
    transaction.prepare_sv_get(SvOperation.DEBIT, action)
    transaction.process_commands()
    command = transaction.prepare_sv_debit(2)
    transaction.process_commands()
    assert repr(command).startswith(f"<SV {'Debit' if ins == 'BA' else 'Undebit'} 00{ins}")
    card = transaction.card
    assert card.sv_balance == balance
    assert [log.balance for log in card.sv_debit_logs] == [balance, 0x16]


def test_a_debit_in_a_session_travels_with_close(scripted: type[ScriptedReader]) -> None:
    """sequences §6: the postponed answer is foreseen; the card's signature comes with Close."""
    reader = scripted(
        OPEN,
        GET_DEBIT,
        ("00BA959114 16 FFFE 0000 0000 79 12345678 0000DE 2C8CB3D280", "6200"),
        ("00E2004001AA", "9000"),
        (CLOSE[0], "04A54BC9 9ABCDEF0 9000"),
    )
    module = StubModule()
    transaction = regular(reader, module)
    with transaction.secure_session(DEBIT) as session:
        session.process_commands()
        session.prepare_sv_get(SvOperation.DEBIT)
        session.process_commands()
        session.prepare_sv_debit(2)
        session.prepare_append_record(8, b"\xaa")
        with pytest.raises(UsageError, match="one Stored Value operation per session"):
            session.prepare_sv_get(SvOperation.DEBIT)
    assert transaction.traffic.exchanges == 3
    assert module.asked[-2:] == ["card MAC 9ABCDEF0", "SV MAC A54BC9"]
    assert transaction.card.sv_balance == 0x14


def test_a_session_that_fails_gives_the_balance_back(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        OPEN,
        GET_DEBIT,
        ("00BA959114 16 FFFE 0000 0000 79 12345678 0000DE 2C8CB3D280", "6200"),
        (CLOSE[0], "04A54BC9 9ABCDEF0 9000"),
    )
    module = StubModule()
    module.valid = [True, False]
    transaction = regular(reader, module)
    with pytest.raises(InvalidCardMac), transaction.secure_session(DEBIT) as session:
        session.process_commands()
        session.prepare_sv_get(SvOperation.DEBIT)
        session.process_commands()
        session.prepare_sv_debit(2)
    assert transaction.card.sv_balance is None


def test_the_extended_form_has_long_signatures_and_both_logs(
    scripted: type[ScriptedReader],
) -> None:
    """calypso-card §9.9."""
    logs = "01231234347890AB223344321011223344543210 5678 3344012332103411223344543210 7890AB 5678"
    state = f"8877665544332211 12 1234 55AABB66DD77 564321 {logs}".replace(" ", "")
    reader = scripted(
        ("007C01073D", f"{state}9000"),
        (
            "00B8556 61C 77 1122 F3 12 EE 000001 3344 AABBCCDD 123456 11223344556677889900 06".replace(
                " ", ""
            ),
            "A54BC99CB45A 9000",
        ),
    )
    module = StubModule(extended=True)
    module.sv = SvSecurityData(
        bytes.fromhex("AABBCCDD"),
        bytes.fromhex("123456"),
        bytes.fromhex("556677"),
        bytes.fromhex("11223344556677889900"),
    )
    transaction = extended(reader, module)
    get = transaction.prepare_sv_get(SvOperation.RELOAD)
    transaction.process_commands()
    assert (get.value.kvc, get.value.tnum, get.value.balance) == (0x12, 0x1234, 0x564321)
    assert get.value.load_log is not None
    assert get.value.debit_log is not None
    transaction.prepare_sv_reload(1, date=b"\x11\x22", time=b"\x33\x44", free=b"\xf3\xee")
    transaction.process_commands()
    assert module.asked[-1] == "SV MAC A54BC99CB45A"


def test_both_logs_of_a_regular_card_take_two_sv_gets(scripted: type[ScriptedReader]) -> None:
    transaction = regular(scripted(GET_LOAD, GET_DEBIT), StubModule(), sv_load_and_debit_log=True)
    transaction.prepare_sv_get(SvOperation.DEBIT)
    transaction.process_commands()
    assert transaction.card.sv_load_log is not None
    assert len(transaction.card.sv_debit_logs) == 1
    assert transaction.prepare_sv_debit(1) is not None


def after_get(
    reader: ScriptedReader,
    operation: SvOperation,
    action: SvAction = SvAction.DO,
    **options: Any,  # noqa: ANN401
) -> SecureRegularModeTransactionManager:
    transaction = regular(reader, StubModule(), **options)
    transaction.prepare_sv_get(operation, action)
    transaction.process_commands()
    return transaction


def test_an_operation_follows_its_own_sv_get(scripted: type[ScriptedReader]) -> None:
    transaction = regular(scripted(), StubModule())
    for prepare in (transaction.prepare_sv_reload, transaction.prepare_sv_debit):
        with pytest.raises(UsageError, match="must be an SV Get"):
            prepare(1)
    transaction = after_get(scripted(GET_LOAD), SvOperation.RELOAD)
    with pytest.raises(UsageError, match="an SV Get for DEBIT"):
        transaction.prepare_sv_debit(1)
    transaction.prepare_read_record(7)
    with pytest.raises(UsageError, match="the first that is prepared"):
        transaction.prepare_sv_reload(1)


def test_an_sv_get_serves_once(scripted: type[ScriptedReader]) -> None:
    transaction = after_get(scripted(GET_LOAD), SvOperation.RELOAD)
    transaction.prepare_sv_reload(1)
    with pytest.raises(UsageError):
        transaction.prepare_sv_reload(1)


def test_a_reload_is_taken_back_by_its_sign(scripted: type[ScriptedReader]) -> None:
    transaction = after_get(scripted(GET_LOAD), SvOperation.RELOAD, SvAction.UNDO)
    command = transaction.prepare_sv_reload(8_388_608)
    assert command.amount == -8_388_608  # type: ignore[attr-defined]


@pytest.mark.parametrize("amount", [-8_388_609, 8_388_608])
def test_a_reload_amount_has_24_bits(scripted: type[ScriptedReader], amount: int) -> None:
    with pytest.raises(UsageError, match="allowed: -8388608 to 8388607"):
        after_get(scripted(GET_LOAD), SvOperation.RELOAD).prepare_sv_reload(amount)


@pytest.mark.parametrize("amount", [-1, 32_768])
def test_a_debit_amount_has_15_bits(scripted: type[ScriptedReader], amount: int) -> None:
    with pytest.raises(UsageError, match="allowed: 0 to 32767"):
        after_get(scripted(GET_DEBIT), SvOperation.DEBIT).prepare_sv_debit(amount)


def test_the_bytes_for_the_log_are_two_each(scripted: type[ScriptedReader]) -> None:
    with pytest.raises(UsageError, match=r"date of 1 byte\(s\)"):
        after_get(scripted(GET_DEBIT), SvOperation.DEBIT).prepare_sv_debit(1, date=b"1")


def test_a_balance_below_zero_needs_leave(scripted: type[ScriptedReader]) -> None:
    with pytest.raises(UsageError, match="a balance of -1"):
        after_get(scripted(GET_DEBIT), SvOperation.DEBIT).prepare_sv_debit(0x17)
    allowed = after_get(scripted(GET_DEBIT), SvOperation.DEBIT, sv_negative_balance=True)
    assert allowed.prepare_sv_debit(0x17) is not None


def test_a_purse_key_may_be_forbidden(scripted: type[ScriptedReader]) -> None:
    keys = frozenset({(0x10, 0x78)})
    transaction = after_get(scripted(GET_DEBIT), SvOperation.DEBIT, authorized_sv_keys=keys)
    with pytest.raises(UnauthorizedKey, match="KVC 79 is not allowed; allowed: 10/78"):
        transaction.prepare_sv_debit(1)
    keys = frozenset({(0x10, 0x79)})
    transaction = after_get(scripted(GET_DEBIT), SvOperation.DEBIT, authorized_sv_keys=keys)
    transaction.prepare_sv_debit(1)


def test_an_operation_takes_room_in_the_buffer(scripted: type[ScriptedReader]) -> None:
    transaction = regular(scripted(OPEN, GET_DEBIT), StubModule())
    transaction.prepare_open_secure_session(DEBIT)
    transaction.prepare_sv_get(SvOperation.DEBIT)
    transaction.process_commands()
    transaction._buffer_left = 25
    with pytest.raises(SessionBufferOverflow, match="SV Debit needs 26"):
        transaction.prepare_sv_debit(1)


@pytest.mark.parametrize(
    ("answer", "complaint"), [("A54B", "3 are right"), ("A54BC9A5", "3 are right")]
)
def test_a_signature_of_another_length_is_refused(
    scripted: type[ScriptedReader], answer: str, complaint: str
) -> None:
    command = "00BA959114 16 FFFE 0000 0000 79 12345678 0000DE 2C8CB3D280 03"
    transaction = after_get(scripted(GET_DEBIT, (command, f"{answer}9000")), SvOperation.DEBIT)
    transaction.prepare_sv_debit(2)
    with pytest.raises(MalformedCardData, match=complaint):
        transaction.process_commands()


def test_an_sv_get_answer_of_another_length_is_refused(scripted: type[ScriptedReader]) -> None:
    transaction = regular(scripted(("007C00091E", "79 9000")), StubModule())
    transaction.prepare_sv_get(SvOperation.DEBIT)
    with pytest.raises(MalformedCardData, match="30 are right"):
        transaction.process_commands()


def test_a_module_that_is_lost_after_an_operation_cannot_check_it(
    scripted: type[ScriptedReader],
) -> None:
    command = "00BA959114 16 FFFE 0000 0000 79 12345678 0000DE 2C8CB3D280 03"
    transaction = after_get(scripted(GET_DEBIT, (command, "A54BC9 9000")), SvOperation.DEBIT)
    module = transaction._crypto
    assert isinstance(module, StubModule)
    module.error = CryptoModuleUnreachable("gone")
    transaction.prepare_sv_debit(2)
    with pytest.raises(CardMacNotVerifiable):
        transaction.process_commands()
    assert transaction.card.sv_balance == 0x14


def test_a_card_without_purse_has_no_stored_value(scripted: type[ScriptedReader]) -> None:
    with pytest.raises(NotSupported):
        regular(scripted(), StubModule(), "0A2F2105141001").prepare_sv_get(SvOperation.DEBIT)


# Postponed counters of old products: calypso-card §5.8

REV2 = "0A2E1142000101"
REV2_OPEN = ("948A830004C1C2C3C400", "79030D3071 9000")


def rev2(reader: ScriptedReader, module: StubModule) -> SecureRegularModeTransactionManager:
    return regular(reader, module, REV2, default_kif={DEBIT: 0x30}, read_on_open=False)


def test_a_card_that_postpones_its_counters_is_learnt(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        REV2_OPEN,
        ("94B201CC03", "00000A9000"),
        ("943001C803000001", "6200"),
        ("943201C803000005", "6200"),
        ("948E80000412345678 00", "04000009 0400000E 9ABCDEF0 9000"),
    )
    module = StubModule()
    transaction = rev2(reader, module)
    with transaction.secure_session(DEBIT) as session:
        session.process_commands()
        session.prepare_read_counter(0x19, 1)
        session.process_commands()
        down = session.prepare_decrease_counter(0x19, 1, by=1)
        session.process_commands()  # now it is known
        assert transaction.card.counter(0x19, 1) == 9
        up = session.prepare_increase_counter(0x19, 1, by=5)
    assert (down.value, up.value) == (9, 14)
    assert transaction.traffic.exchanges == 4
    assert module.fed[-4:] == ["943001C803000001", "6200", "943201C803000005", "6200"]


def test_a_postponed_counter_that_was_not_known_is_learnt_at_close(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(
        REV2_OPEN, ("943001C803000001", "6200"), ("948E80000412345678 00", "04000009 9ABCDEF0 9000")
    )
    transaction = rev2(reader, StubModule())
    with transaction.secure_session(DEBIT) as session:
        down = session.prepare_decrease_counter(0x19, 1, by=1)
    assert down.value == 9
    assert transaction.card.counter(0x19, 1) == 9


def test_an_old_card_may_answer_at_once(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        REV2_OPEN,
        ("943001C803000001", "0000099000"),
        ("943001C803000001 00", "0000089000"),
        ("948E80000412345678 00", "9ABCDEF0 9000"),
    )
    transaction = rev2(reader, StubModule())
    with transaction.secure_session(DEBIT) as session:
        session.prepare_decrease_counter(0x19, 1, by=1)
        session.process_commands()
        down = session.prepare_decrease_counter(0x19, 1, by=1)
    assert down.value == 8
    assert transaction.card.postpones_counters is False


@pytest.mark.parametrize(
    ("postponed", "error", "complaint"),
    [
        ("04000008", InconsistentData, "computed was 9"),
        ("030000", MalformedCardData, "a counter has 3"),
        ("", InconsistentData, "0 postponed"),
    ],
)
def test_postponed_values_are_compared(
    scripted: type[ScriptedReader], postponed: str, error: type[Exception], complaint: str
) -> None:
    reader = scripted(
        REV2_OPEN,
        ("94B201CC03", "00000A9000"),
        ("943001C803000001", "6200"),
        ("948E80000412345678 00", f"{postponed} 9ABCDEF0 9000"),
    )
    transaction = rev2(reader, StubModule())
    with pytest.raises(error, match=complaint), transaction.secure_session(DEBIT) as session:
        session.process_commands()
        session.prepare_read_counter(0x19, 1)
        session.process_commands()
        session.prepare_decrease_counter(0x19, 1, by=1)


def test_several_counters_are_foreseen_together(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        OPEN,
        ("00B201CC06", "00000A00000B9000"),
        ("003800C808 0100000102000002 00", "01000009 02000009 9000"),
        CLOSE,
    )
    transaction = regular(reader, StubModule(), read_on_open=False)
    with transaction.secure_session(DEBIT) as session:
        session.prepare_read_counter(0x19, 2)
        session.process_commands()
        handle = session.prepare_decrease_counters(0x19, {1: 1, 2: 2})
    assert handle.value == {1: 9, 2: 9}
    assert transaction.traffic.exchanges == 2


def test_several_counters_that_are_not_known_cost_an_exchange(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(OPEN, ("003800C804 01000001 00", "01000009 9000"), CLOSE)
    transaction = regular(reader, StubModule())
    with transaction.secure_session(DEBIT) as session:
        session.process_commands()
        session.prepare_decrease_counters(0x19, {1: 1})
    assert transaction.traffic.exchanges == 3
