"""What an outside terminal was asked for in the recorded sessions, asked of our terminal.

One function for each session of `tests/vectors/recorded-terminal.toml` that a card and a SAM were in;
`PLAYED` names them by the words of that file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.recorded_bench import (
    BINARY,
    CONTRACT_LIST,
    CONTRACTS,
    COUNTERS,
    DATE,
    DEBIT,
    DEBIT_IT,
    ENVIRONMENT,
    EVENTS,
    FREE,
    KIF,
    LOAD,
    OTHER_PIN,
    PERSONALIZATION,
    PIN,
    RELOAD_IT,
    SPECIAL,
    TIME,
    UNDER_PIN,
    WRONG_PIN,
    counter,
    padded,
    record,
    records,
    refused,
)

from cardbench.terminal.calypso import SearchQuery, SvAction
from cardbench.terminal.card import ChannelControl

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.recorded_bench import Bench, Secure

    from cardbench.terminal.calypso import (
        SecureExtendedModeTransactionManager,
        SymmetricSecuritySetting,
    )


def validation_and_sale(bench: Bench, *, trips: bool) -> None:
    setting = bench.setting(ratification=True)
    gate = bench.secure(setting)
    gate.prepare_read_record(ENVIRONMENT, size_bytes=29)
    gate.prepare_read_record(EVENTS)
    gate.process_commands()
    gate.prepare_open_secure_session(DEBIT)
    for sfi in (ENVIRONMENT, EVENTS, CONTRACTS):
        gate.prepare_read_record(sfi, size_bytes=29)
    gate.prepare_read_counter(COUNTERS, 1)
    gate.process_commands()
    gate.prepare_append_record(EVENTS, padded("A5A502" if trips else "A5A501"))
    if trips:
        gate.prepare_decrease_counter(COUNTERS, 1, by=1)
    else:
        gate.prepare_read_counter(COUNTERS, 1)
    gate.prepare_close_secure_session()
    gate.process_commands()
    bench.reads(records(EVENTS, 1, 2), counter(1))
    desk = bench.secure(setting)
    desk.prepare_open_secure_session(LOAD)
    desk.prepare_read_record(CONTRACTS, size_bytes=29)
    desk.prepare_update_record(CONTRACTS, 1, padded("0102030405"))
    desk.prepare_update_record(CONTRACT_LIST, 1, padded("0100"))
    desk.prepare_increase_counter(COUNTERS, 1, by=10)
    desk.prepare_close_secure_session()
    desk.process_commands()
    bench.reads(record(CONTRACTS), counter(1))
    regretted = bench.secure(setting)
    regretted.prepare_open_secure_session(LOAD)
    regretted.prepare_update_record(CONTRACTS, 1, padded("FF"))
    regretted.process_commands()
    regretted.prepare_cancel_secure_session()
    regretted.process_commands()
    bench.reads(record(CONTRACTS))
    issuer = bench.secure(setting)
    issuer.prepare_open_secure_session(PERSONALIZATION)
    issuer.prepare_update_record(ENVIRONMENT, 1, padded("0711"))
    issuer.prepare_close_secure_session()
    issuer.process_commands(ChannelControl.CLOSE_AFTER)
    bench.select()
    bench.reads(record(ENVIRONMENT))


def stored_value(bench: Bench) -> None:
    setting = bench.setting(sv_load_and_debit_log=True)
    purse = bench.secure(setting)
    purse.prepare_sv_get(RELOAD_IT)
    purse.process_commands()
    purse.prepare_sv_reload(1000, date=DATE, time=TIME, free=FREE)
    purse.process_commands()
    purse.prepare_sv_get(DEBIT_IT)
    purse.process_commands()
    purse.prepare_sv_debit(300, date=DATE, time=TIME)
    purse.process_commands()
    purse.prepare_sv_get(DEBIT_IT)
    purse.process_commands()
    purse.prepare_sv_get(DEBIT_IT, SvAction.UNDO)
    purse.process_commands()
    purse.prepare_sv_debit(100, date=DATE, time=TIME)
    purse.process_commands()
    purse.prepare_sv_get(RELOAD_IT)
    purse.process_commands()
    purse.prepare_sv_reload(-50)
    purse.process_commands()
    bench.sv_get(setting)
    too_much = bench.secure(setting)
    too_much.prepare_sv_get(DEBIT_IT)
    too_much.process_commands()
    refused(lambda: too_much.prepare_sv_debit(10_000))
    may_owe = bench.setting(sv_load_and_debit_log=True, sv_negative_balance=True)
    owing = bench.secure(may_owe)
    owing.prepare_sv_get(DEBIT_IT)
    owing.process_commands()
    owing.prepare_sv_debit(1000)
    owing.process_commands()
    bench.sv_get(may_owe)


def stored_value_in_sessions(bench: Bench) -> None:
    setting = bench.setting(sv_load_and_debit_log=True, ratification=True)
    purse = bench.secure(setting)
    purse.prepare_open_secure_session(LOAD)
    purse.prepare_sv_get(RELOAD_IT)
    purse.process_commands()
    purse.prepare_sv_reload(500, date=DATE, time=TIME, free=FREE)
    purse.prepare_close_secure_session()
    purse.process_commands()
    bench.sv_get(setting)
    shop = bench.secure(setting)
    shop.prepare_open_secure_session(DEBIT)
    shop.prepare_read_record(EVENTS, size_bytes=29)
    shop.prepare_sv_get(DEBIT_IT)
    shop.process_commands()
    shop.prepare_sv_debit(120, date=DATE, time=TIME)
    shop.prepare_append_record(EVENTS, padded("5E"))
    shop.prepare_close_secure_session()
    shop.process_commands()
    bench.sv_get(setting)
    for action, amount, ends in ((SvAction.DO, 120, False), (SvAction.UNDO, 20, True)):
        shop = bench.secure(setting)
        shop.prepare_open_secure_session(DEBIT)
        shop.prepare_sv_get(DEBIT_IT, action)
        shop.process_commands()
        shop.prepare_sv_debit(amount, date=DATE, time=TIME)
        if ends:
            shop.prepare_close_secure_session()
        else:
            shop.prepare_cancel_secure_session()
        shop.process_commands()
        bench.sv_get(setting)


def pins(bench: Bench) -> None:
    ciphered = bench.setting(pin_verification_key=(0x30, 0x74), pin_modification_key=(0x21, 0x74))
    plain = bench.setting(pin_plain=True)

    def status() -> None:
        bench.reads(lambda t: t.prepare_check_pin_status())

    def present(pin: bytes) -> None:
        bench.reads(lambda t: t.prepare_verify_pin(pin))

    def secure(setting: SymmetricSecuritySetting, act: str, pin: bytes) -> None:
        transaction = bench.secure(setting)
        getattr(transaction, f"prepare_{act}_pin")(pin)
        transaction.process_commands()

    def within_a_session(transaction: Secure) -> None:
        transaction.prepare_verify_pin(OTHER_PIN)
        transaction.prepare_read_record(UNDER_PIN, size_bytes=29)

    def wrong_within_a_session(transaction: Secure) -> None:
        transaction.prepare_append_record(EVENTS, padded("DD"))
        transaction.prepare_verify_pin(WRONG_PIN)

    status()
    refused(lambda: present(b"1111"))
    present(PIN)
    bench.reads(record(UNDER_PIN, 1, 29))
    bench.select()
    secure(ciphered, "verify", PIN)
    refused(lambda: secure(ciphered, "verify", b"2222"))
    status()
    secure(ciphered, "change", OTHER_PIN)
    secure(ciphered, "verify", OTHER_PIN)
    bench.within(ciphered, DEBIT, within_a_session)
    bench.within(plain, DEBIT, lambda t: t.prepare_verify_pin(OTHER_PIN))
    secure(plain, "change", PIN)
    secure(plain, "verify", PIN)
    refused(lambda: bench.within(ciphered, DEBIT, wrong_within_a_session))
    bench.select()
    status()
    bench.reads(record(EVENTS))
    refused(lambda: present(WRONG_PIN))
    refused(lambda: present(WRONG_PIN))
    refused(lambda: present(PIN))
    bench.select()
    status()
    secure(ciphered, "change", b"5555")
    secure(ciphered, "verify", b"5555")
    status()


def key_change(bench: Bench) -> None:
    setting = bench.setting()

    def change(index: int, new: tuple[int, int], issuer: tuple[int, int]) -> None:
        transaction = bench.secure(setting)
        transaction.prepare_change_key(index, new_key=new, issuer_key=issuer)
        transaction.process_commands()

    old, new = (0x21, 0x74), (0x21, 0x79)
    change(3, (0x30, 0x79), old)
    bench.within(setting, DEBIT, lambda t: t.prepare_append_record(EVENTS, padded("C3")))
    change(1, new, old)
    refused(lambda: change(3, (0x30, 0x74), old))
    change(3, (0x30, 0x74), new)
    change(2, (0x27, 0x79), new)
    bench.within(setting, LOAD, lambda t: t.prepare_increase_counter(COUNTERS, 1, by=1))
    refused(lambda: change(2, (0x27, 0x79), (0, 0)))


def invalidation(bench: Bench) -> None:
    setting = bench.setting()
    alone = bench.secure(setting)
    alone.prepare_invalidate()
    refused(alone.process_commands)
    bench.within(setting, DEBIT, lambda t: t.prepare_invalidate())
    bench.select()
    bench.select(invalidated_too=True)
    refused(lambda: bench.within(setting, DEBIT, lambda t: t.prepare_rehabilitate()))
    bench.within(setting, PERSONALIZATION, lambda t: t.prepare_rehabilitate())
    bench.select()


def early_authentication(bench: Bench) -> None:
    gate = bench.extended(bench.setting())
    gate.prepare_open_secure_session(DEBIT)
    gate.prepare_read_record(ENVIRONMENT, size_bytes=29)
    gate.prepare_early_mutual_authentication()
    gate.process_commands()
    gate.prepare_append_record(EVENTS, padded("EA"))
    gate.prepare_early_mutual_authentication()
    gate.prepare_decrease_counter(COUNTERS, 1, by=1)
    gate.prepare_close_secure_session()
    gate.process_commands()
    bench.reads(record(EVENTS), counter(1))


def encryption(bench: Bench) -> None:
    setting = bench.setting()
    gate = bench.extended(setting)
    gate.prepare_open_secure_session(DEBIT)
    gate.prepare_read_record(ENVIRONMENT, size_bytes=29)
    gate.prepare_activate_encryption()
    gate.prepare_read_records(EVENTS, 1, 3, record_size_bytes=29)
    gate.prepare_read_record(CONTRACTS, size_bytes=29)
    gate.process_commands()
    gate.prepare_append_record(EVENTS, padded("EC"))
    gate.prepare_decrease_counter(COUNTERS, 1, by=1)
    gate.prepare_deactivate_encryption()
    gate.prepare_read_record(CONTRACT_LIST, size_bytes=29)
    gate.prepare_close_secure_session()
    gate.process_commands()
    bench.reads(record(EVENTS), counter(1))
    both = bench.extended(setting)
    both.prepare_open_secure_session(DEBIT)
    both.prepare_activate_encryption()
    both.prepare_early_mutual_authentication()
    both.prepare_append_record(EVENTS, padded("ED"))
    both.prepare_update_binary(BINARY, 0, padded("BB", 100))
    both.prepare_read_binary(BINARY, 0, 100)
    both.prepare_deactivate_encryption()
    both.prepare_close_secure_session()
    both.process_commands()
    bench.reads(record(EVENTS))
    to_the_end = bench.extended(bench.setting())
    to_the_end.prepare_open_secure_session(LOAD)
    to_the_end.prepare_activate_encryption()
    to_the_end.prepare_increase_counter(COUNTERS, 1, by=1)
    to_the_end.prepare_close_secure_session()
    to_the_end.process_commands()
    bench.reads(counter(1))


def secrets_enciphered(bench: Bench) -> None:
    def act(*parts: Callable[[SecureExtendedModeTransactionManager], object]) -> None:
        transaction = bench.extended(bench.setting(pin_plain=True))
        transaction.prepare_open_secure_session(DEBIT)
        transaction.prepare_activate_encryption()
        for part in parts:
            part(transaction)
        transaction.prepare_deactivate_encryption()
        transaction.prepare_close_secure_session()
        transaction.process_commands()

    act(
        lambda t: t.prepare_verify_pin(PIN),
        lambda t: t.prepare_read_record(UNDER_PIN, size_bytes=29),
    )
    purse = bench.extended(bench.setting())
    purse.prepare_open_secure_session(LOAD)
    purse.prepare_activate_encryption()
    purse.prepare_sv_get(RELOAD_IT)
    purse.process_commands()
    purse.prepare_sv_reload(99)
    purse.prepare_deactivate_encryption()
    purse.prepare_close_secure_session()
    purse.process_commands()
    bench.sv_get(bench.setting())
    act(lambda t: t.prepare_invalidate())


def full_sessions(bench: Bench) -> None:
    def append(how_many: int) -> Callable[[Secure], object]:
        def prepare(transaction: Secure) -> None:
            for number in range(how_many):
                transaction.prepare_append_record(EVENTS, padded(f"{number:02X}"))

        return prepare

    def to_the_last_byte(transaction: Secure) -> None:
        append(12)(transaction)
        transaction.prepare_update_record(SPECIAL, 1, bytes(4))

    refused(lambda: bench.within(bench.setting(), DEBIT, append(20)))
    bench.select()
    bench.within(bench.setting(multiple_session=True), DEBIT, append(20))
    bench.reads(records(EVENTS, 1, 3))
    bench.within(bench.setting(), DEBIT, to_the_last_byte)


def kinds_of_files(bench: Bench) -> None:
    setting = bench.setting()
    multiple = bench.setting(multiple_session=True)
    content = bytes(index & 0xFF for index in range(300))

    def update(transaction: Secure) -> None:
        transaction.prepare_update_binary(BINARY, 0, content)
        transaction.prepare_read_binary(BINARY, 0, 300)

    def write(transaction: Secure) -> None:
        transaction.prepare_write_binary(BINARY, 256, b"\xf0\xf0")
        transaction.prepare_read_binary(BINARY, 256, 4)

    def replace(transaction: Secure) -> None:
        transaction.prepare_update_record(CONTRACTS, 2, padded("F0"))
        transaction.prepare_read_record(CONTRACTS, 2, size_bytes=29)

    everywhere = SearchQuery(
        sfi=CONTRACTS, data=bytes.fromhex("00000F"), repeat_offset=True, fetch_first=True
    )
    masked = SearchQuery(
        sfi=CONTRACTS, data=bytes.fromhex("0200"), mask=bytes.fromhex("FF00"), offset=1
    )
    bench.reads(
        lambda t: t.prepare_read_records_partially(CONTRACTS, 1, 4, offset=0, length=3),
        lambda t: t.prepare_search_records(everywhere),
    )
    bench.reads(lambda t: t.prepare_search_records(masked))
    bench.reads(lambda t: t.prepare_read_binary(BINARY, 0, 300))
    refused(lambda: bench.reads(lambda t: t.prepare_update_binary(BINARY, 0, b"\1")))
    bench.within(multiple, DEBIT, update)
    bench.reads(lambda t: t.prepare_read_binary(BINARY, 0, 300))
    bench.within(setting, DEBIT, write)
    bench.reads(lambda t: t.prepare_read_binary(BINARY, 250, 10))
    several = bench.secure(setting)
    several.prepare_open_secure_session(LOAD)
    several.prepare_read_counter(COUNTERS, 9)
    several.process_commands()
    several.prepare_increase_counters(COUNTERS, {1: 5, 2: 7, 3: 9})
    several.prepare_set_counter(COUNTERS, 4, 44)
    several.prepare_close_secure_session()
    several.process_commands()
    bench.within(setting, DEBIT, lambda t: t.prepare_decrease_counters(COUNTERS, {1: 1, 3: 2}))
    bench.reads(counter(9))
    bench.within(setting, LOAD, replace)


def written_over(bench: Bench) -> None:
    def write(transaction: Secure) -> None:
        transaction.prepare_write_record(CONTRACTS, 2, padded("F0"))
        transaction.prepare_read_record(CONTRACTS, 2, size_bytes=29)

    bench.within(bench.setting(), DEBIT, write)
    bench.reads(record(CONTRACTS, 2, 29))


def counter_below_zero(bench: Bench) -> None:
    def debit(transaction: Secure) -> None:
        transaction.prepare_decrease_counter(COUNTERS, 1, by=11)

    refused(lambda: bench.within(bench.setting(), DEBIT, debit))
    bench.select()
    bench.reads(counter(1))


def any_product(bench: Bench, *, kvc: int = 0x79, several: bool = False) -> None:
    def setting(**options: Any) -> SymmetricSecuritySetting:  # noqa: ANN401
        kvcs = dict.fromkeys(KIF, kvc)
        return bench.setting(ratification=True, default_kif=KIF, default_kvc=kvcs, **options)

    def count_several(transaction: Secure) -> None:
        transaction.prepare_read_counter(COUNTERS, 3)
        transaction.prepare_increase_counters(COUNTERS, {1: 1, 2: 2})

    bench.reads(record(ENVIRONMENT))
    bench.reads(records(EVENTS, 1, 2), record(CONTRACTS, 1, 29), counter(1))
    desk = bench.secure(setting())
    desk.prepare_open_secure_session(LOAD)
    desk.prepare_read_record(CONTRACTS, size_bytes=29)
    desk.prepare_read_counter(COUNTERS, 1)
    desk.process_commands()
    desk.prepare_update_record(CONTRACTS, 1, padded("C0"))
    desk.prepare_increase_counter(COUNTERS, 1, by=5)
    desk.prepare_close_secure_session()
    desk.process_commands()
    gate = bench.secure(setting())
    gate.prepare_open_secure_session(DEBIT)
    gate.prepare_read_record(EVENTS, size_bytes=29)
    gate.prepare_read_record(CONTRACTS, size_bytes=29)
    gate.prepare_read_counter(COUNTERS, 1)
    gate.process_commands()
    gate.prepare_append_record(EVENTS, padded("EE"))
    gate.prepare_decrease_counter(COUNTERS, 1, by=2)
    gate.prepare_close_secure_session()
    gate.process_commands()
    bench.reads(record(EVENTS, 1, 29), record(CONTRACTS, 1, 29), counter(1))
    if several:
        bench.within(setting(read_on_open=False), LOAD, count_several)
        bench.reads(counter(3))
    if bench.card.is_pin_feature_available:
        bench.reads(lambda t: t.prepare_verify_pin(PIN))
    if bench.card.is_sv_feature_available:
        _purse(bench, setting())


def _purse(bench: Bench, setting: SymmetricSecuritySetting) -> None:
    purse = bench.secure(setting)
    purse.prepare_sv_get(RELOAD_IT)
    purse.process_commands()
    purse.prepare_sv_get(RELOAD_IT)
    purse.process_commands()
    purse.prepare_sv_reload(50)
    purse.process_commands()
    purse.prepare_sv_get(DEBIT_IT)
    purse.process_commands()
    purse.prepare_sv_debit(20)
    purse.process_commands()
    purse.prepare_sv_get(DEBIT_IT)
    purse.process_commands()
    shop = bench.secure(setting)
    shop.prepare_open_secure_session(DEBIT)
    shop.prepare_read_record(EVENTS, size_bytes=29)
    shop.prepare_read_counter(COUNTERS, 1)
    shop.prepare_sv_get(DEBIT_IT)
    shop.process_commands()
    shop.prepare_sv_debit(5)
    shop.prepare_decrease_counter(COUNTERS, 1, by=1)
    shop.prepare_append_record(EVENTS, padded("5D"))
    shop.prepare_close_secure_session()
    shop.process_commands()
    bench.sv_get(setting)


TRANSPORT, FIRST_KIT, REVISION_2 = "A000000291FF9101", "315449432E49434131", "A000000404012509"
PLAYED: dict[str, tuple[Callable[[Bench], None], str]] = {
    "extended mode: validation, sale, cancelled sale, personalisation": (
        lambda bench: validation_and_sale(bench, trips=True),
        TRANSPORT,
    ),
    "regular mode: validation, sale, cancelled sale, personalisation": (
        lambda bench: validation_and_sale(bench, trips=False),
        TRANSPORT,
    ),
    "Stored Value: reload, debit, undebit, negative reload and balance, extended mode": (
        stored_value,
        TRANSPORT,
    ),
    "Stored Value in sessions: reload, debit, undebit, a debit cancelled": (
        stored_value_in_sessions,
        TRANSPORT,
    ),
    "PIN: plain, ciphered, in sessions, wrong, blocked, changed": (pins, TRANSPORT),
    "keys changed under the issuer key, and what the old key may no longer": (
        key_change,
        TRANSPORT,
    ),
    "invalidated and rehabilitated": (invalidation, TRANSPORT),
    "early mutual authentication, twice in one session": (early_authentication, TRANSPORT),
    "sessions enciphered in part and to the end": (encryption, TRANSPORT),
    "PIN, Stored Value and invalidation in enciphered sessions": (secrets_enciphered, TRANSPORT),
    "more than one session holds, split; then one filled to the last byte": (
        full_sessions,
        TRANSPORT,
    ),
    "search, partial records, a binary file of 300 bytes, several counters": (
        kinds_of_files,
        TRANSPORT,
    ),
    "a record is written over another, bit by bit": (written_over, TRANSPORT),
    "a counter that would fall below zero ends the session": (counter_below_zero, TRANSPORT),
    "Light: validation and sale": (any_product, TRANSPORT),
    "Basic: validation and sale": (lambda bench: any_product(bench, kvc=0x73), TRANSPORT),
    "revision 2: sessions with postponed counters, PIN, Stored Value": (
        lambda bench: any_product(bench, several=True),
        REVISION_2,
    ),
    "revision 2, legacy case 1": (lambda bench: any_product(bench, several=True), REVISION_2),
    "first test kit, regular mode": (any_product, FIRST_KIT),
    "a card in a phone": (any_product, TRANSPORT),
    "an HSM-C1 digests element by element": (any_product, TRANSPORT),
    "a SAM-S1E1": (any_product, TRANSPORT),
}
