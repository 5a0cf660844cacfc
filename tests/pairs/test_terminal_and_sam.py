"""The terminal's transactions with SAMs, against the software SAM: what one writes the other reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.calypso.suite import load_suite
from cardbench.protocol.errors import CryptoModuleError, InvalidSignature
from cardbench.sam_emulator import new_sam
from cardbench.terminal.card import CardChannel
from cardbench.terminal.legacy_sam import (
    BasicSignature,
    CounterIncrementAccess,
    LegacySam,
    LegacySamSelection,
    SamAsyncCreator,
    SamAsyncExecutor,
    SamFreeTransaction,
    SamProductType,
    SamSecureWriteTransaction,
    SamSecuritySetting,
    SamTrace,
    SamTraceabilityMode,
    SystemKeyType,
    TraceableSignature,
    sam_selector,
)
from cardbench.terminal.readers import InProcessReader
from cardbench.terminal.selection import CardSelectionManager

if TYPE_CHECKING:
    from collections.abc import Callable

LOCK_VALUE = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
ENABLED = CounterIncrementAccess.FREE_COUNTING_ENABLED
# ALG and PAR1 to PAR9 of an ordinary work key: ciphering and deciphering allowed
WORK_KEY = bytes.fromhex("40 03 00 00 00 00 00 00 00 00")


def reader(preset: str, serial: str | None = None) -> CardChannel:
    slot = CardSlot(preset)
    sam = new_sam(
        preset,
        entropy=Entropy(preset.encode()),
        clock=Clock(),
        serial=bytes.fromhex(serial) if serial else None,
    )
    slot.insert(sam)
    return CardChannel(InProcessReader(slot, is_contactless=False))


def select(channel: CardChannel, selection: LegacySamSelection | None = None) -> LegacySam:
    manager = CardSelectionManager()
    manager.prepare_selection(
        sam_selector(SamProductType.SAM_C1), selection or LegacySamSelection()
    )
    sam = manager.process(channel).active_smart_card
    assert isinstance(sam, LegacySam)
    return sam


@pytest.fixture
def target() -> CardChannel:
    return reader("bench")


@pytest.fixture
def setting() -> SamSecuritySetting:
    channel = reader("control")
    return SamSecuritySetting(control_reader=channel, control_sam=select(channel))


def test_everything_can_be_read(target: CardChannel) -> None:
    sam = select(target)
    transaction = SamFreeTransaction(target, sam)
    keys = {kind: transaction.prepare_read_system_key_parameters(kind) for kind in SystemKeyType}
    work = transaction.prepare_read_work_key_parameters((0x30, 0x79))
    counters = transaction.prepare_read_all_counters_status()
    parameters = transaction.prepare_read_sam_parameters()
    transaction.process_commands()
    kinds = {kind: (key.value.kif, key.value.kvc) for kind, key in keys.items()}
    assert kinds == {
        SystemKeyType.PERSONALIZATION: (0xE1, 0xF1),
        SystemKeyType.KEY_MANAGEMENT: (0xFD, 0xF2),
        SystemKeyType.RELOADING: (0xE7, 0xF3),
        SystemKeyType.AUTHENTICATION: (0xFA, 0xF4),
    }
    assert (work.value.kif, work.value.algorithm) == (0x30, 0x40)
    assert {status.ceiling for status in counters.value.values()} == {0xFFFFFA}
    assert parameters.value[0] == 0x04


def test_ceilings_and_configurations_are_written(
    target: CardChannel, setting: SamSecuritySetting
) -> None:
    sam = select(target)
    transaction = SamSecureWriteTransaction(target, sam, setting)
    transaction.prepare_write_counter_ceiling(3, 300)
    transaction.prepare_write_counter_configuration(10, 500, ENABLED)
    transaction.prepare_write_counter_configuration(11, 600, ENABLED)
    transaction.process_commands()
    fresh = select(target)
    reading = SamFreeTransaction(target, fresh)
    reading.prepare_read_all_counters_status()
    reading.process_commands()
    assert [fresh.counter_ceiling(n) for n in (3, 10, 11, 12)] == [300, 500, 600, 0xFFFFFA]
    assert fresh.counter_increment_access(10) is ENABLED
    assert fresh.counter_increment_access(12) is CounterIncrementAccess.FREE_COUNTING_DISABLED


def test_keys_parameters_and_locks_are_written(
    target: CardChannel, setting: SamSecuritySetting
) -> None:
    sam = select(target)
    transaction = SamSecureWriteTransaction(target, sam, setting)
    transaction.prepare_write_sam_parameters(b"\x04" + bytes(27) + b"\x07")
    transaction.prepare_transfer_work_key((0x30, 0x79), WORK_KEY, record=0x7E)
    with pytest.raises(
        CryptoModuleError, match="6A80"
    ):  # the target has this key in another record
        transaction.process_commands()
    transaction.prepare_transfer_lock(0x01, 0x00)
    transaction.process_commands()
    fresh = select(target)
    reading = SamFreeTransaction(target, fresh)
    reading.prepare_read_sam_parameters()
    reading.process_commands()
    assert fresh.sam_parameters is not None
    assert fresh.sam_parameters[28] == 0x07
    target.close()
    locked = select(target)
    transaction = SamSecureWriteTransaction(target, locked, setting)
    transaction.prepare_write_counter_ceiling(3, 300)
    with pytest.raises(CryptoModuleError, match="6985"):
        transaction.process_commands()


def test_a_sam_elsewhere_is_written(target: CardChannel, setting: SamSecuritySetting) -> None:
    sam = select(target)
    context = SamFreeTransaction(target, sam).export_target_sam_context()
    creator = SamAsyncCreator(context, setting)
    creator.prepare_write_counter_ceiling(3, 300)
    creator.prepare_write_counter_ceiling(4, 400)
    for number in range(9, 18):
        creator.prepare_write_counter_configuration(number, 1000 + number, ENABLED)
    commands = creator.export_commands()
    SamAsyncExecutor(target, sam, commands).process_commands()
    fresh = select(target)
    reading = SamFreeTransaction(target, fresh)
    reading.prepare_read_all_counters_status()
    reading.process_commands()
    assert [fresh.counter_ceiling(n) for n in (3, 4, 9, 17)] == [300, 400, 1009, 1017]
    with pytest.raises(CryptoModuleError, match="6988"):  # each command once
        SamAsyncExecutor(target, sam, commands).process_commands()


def test_signatures_verify_where_nothing_was_changed(target: CardChannel) -> None:
    transaction = SamFreeTransaction(target, select(target))
    basic = BasicSignature(data=bytes(16), kif=0xEC, kvc=0x85)
    traceable = TraceableSignature(
        data=bytes(20),
        kif=0x2B,
        kvc=0x19,
        trace=SamTrace(5, SamTraceabilityMode.FULL_SERIAL_NUMBER),
        busy_mode=False,
    )
    first = transaction.prepare_compute_signature(basic)
    second = transaction.prepare_compute_signature(traceable)
    transaction.process_commands()
    signed = TraceableSignature(
        data=second.value.data,
        kif=0x2B,
        kvc=0x19,
        trace=traceable.trace,
        busy_mode=False,
    )
    assert traceable.trace is not None
    assert traceable.trace.read(signed.data) == (bytes.fromhex("11223344"), 1)
    good = transaction.prepare_verify_signature(basic, first.value.signature)
    also = transaction.prepare_verify_signature(signed, second.value.signature)
    transaction.process_commands()
    assert good.value
    assert also.value
    forged = bytearray(second.value.signature)
    forged[0] ^= 1
    transaction.prepare_verify_signature(signed, bytes(forged))
    with pytest.raises(InvalidSignature):
        transaction.process_commands()


def static(channel: CardChannel) -> LegacySamSelection:
    del channel
    return LegacySamSelection(unlock_data=LOCK_VALUE)


def asked(channel: CardChannel) -> LegacySamSelection:
    return LegacySamSelection(static_unlock=lambda _serial: LOCK_VALUE, reader=channel)


def dynamic(channel: CardChannel) -> LegacySamSelection:
    suite = load_suite()
    return LegacySamSelection(
        dynamic_unlock=lambda serial, challenge: suite.unlock_proof(LOCK_VALUE, serial, challenge),
        reader=channel,
    )


@pytest.mark.parametrize("way", [static, asked, dynamic])
def test_a_locked_sam_is_unlocked(way: Callable[[CardChannel], LegacySamSelection]) -> None:
    channel = reader("locked")
    sam = select(channel)
    transaction = SamFreeTransaction(channel, sam)
    transaction.prepare_compute_signature(BasicSignature(data=bytes(8), kif=0xEC, kvc=0x85))
    with pytest.raises(CryptoModuleError, match="6985"):
        transaction.process_commands()
    sam = select(channel, way(channel))
    transaction = SamFreeTransaction(channel, sam)
    handle = transaction.prepare_compute_signature(
        BasicSignature(data=bytes(8), kif=0xEC, kvc=0x85)
    )
    transaction.process_commands()
    assert len(handle.value.signature) == 8


def test_a_sam_that_is_busy_lets_a_good_signature_through_in_the_end(target: CardChannel) -> None:
    """The software SAM lets a tenth of a second pass with each answer; nobody sleeps."""
    waited: list[float] = []
    transaction = SamFreeTransaction(target, select(target), wait=waited.append)
    signature = TraceableSignature(data=bytes(20), kif=0x2B, kvc=0x19, busy_mode=True)
    signed = transaction.prepare_compute_signature(signature)
    transaction.process_commands()
    transaction.prepare_verify_signature(signature, bytes(8))
    with pytest.raises(InvalidSignature):
        transaction.process_commands()
    assert waited == []
    good = transaction.prepare_verify_signature(signature, signed.value.signature)
    transaction.process_commands()
    assert good.value
    assert 0 < len(waited) <= 100
