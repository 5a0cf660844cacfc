"""Transactions with a SAM: reads, locks and writes, as published."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cardbench.protocol.errors import (
    CardRemoved,
    CryptoModuleError,
    CryptoModuleUnreachable,
    MalformedCardData,
    RecordNotFound,
    UsageError,
    WrongCryptogram,
)
from cardbench.terminal.card import CardChannel, ChannelControl
from cardbench.terminal.legacy_sam import (
    BasicSignature,
    CounterIncrementAccess,
    KeyParameter,
    LegacySam,
    LegacySamSelection,
    MalformedSamDocument,
    SamAsyncCreator,
    SamAsyncExecutor,
    SamFreeTransaction,
    SamProductType,
    SamSecureWriteTransaction,
    SamSecuritySetting,
    SystemKeyType,
    sam_selector,
)
from cardbench.terminal.selection import CardSelectionManager

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader

ATR = bytes.fromhex("3B3F9600805A4880C120501711223344829000")
CONTROL_ATR = bytes.fromhex("3B3F9600805A4880C120501755667788829000")
SIGNATURE = "C1C2C3C4C5C6C7C8"
TAIL = "11223344FAFF40800000"
ENABLED = CounterIncrementAccess.FREE_COUNTING_ENABLED
DISABLED = CounterIncrementAccess.FREE_COUNTING_DISABLED
CHALLENGE = "A1A2A3A4A5A6A7A8"
BLOCK = "B0" * 48


def key(
    kif: str, kvc: str, reference: str, parameters: str = "40" + "11" * 3 + "03" + "15" * 6
) -> str:
    return f"{SIGNATURE}{kif}{kvc}{parameters}{reference}{TAIL}9000"


def record(content: str, reference: str) -> str:
    return f"{SIGNATURE}{content}{reference}11223344FAFF408000009000"


COUNTERS = "100000111111122222133333144444155555166666177777188888"
# legacy-sam §12.2
COUNTER_RECORD_1 = ("80BE00E100", record(COUNTERS + "0000", "E1"))
CEILING_RECORD_1 = ("80BE00B100", record("FFFFFA" * 9 + "0102", "B1"))


def free(reader: ScriptedReader) -> SamFreeTransaction:
    return SamFreeTransaction(reader, LegacySam(ATR))


# Reading


def test_keys_are_read_as_published(scripted: type[ScriptedReader]) -> None:
    answer = f"{SIGNATURE} E1F140 1112130115161718191A C1 11223344 FAFF40 800000 9000"
    transaction = free(scripted(("80BC00C1020000", answer)))
    handle = transaction.prepare_read_system_key_parameters(SystemKeyType.PERSONALIZATION)
    transaction.process_commands()
    parameter = handle.value
    assert (parameter.kif, parameter.kvc, parameter.algorithm) == (0xE1, 0xF1, 0x40)
    assert [parameter.parameter_value(n) for n in (1, 4, 10)] == [0x11, 0x01, 0x1A]
    assert parameter.counter_number == 1
    assert transaction.sam.system_key_parameter(SystemKeyType.PERSONALIZATION) == parameter
    for number in (0, 11):
        with pytest.raises(UsageError, match="1 to 10"):
            parameter.parameter_value(number)


@pytest.mark.parametrize(
    ("asked", "command"),
    [(5, "80BC0005020000"), (126, "80BC007E020000"), ((0x30, 0x79), "80BC00F0023079")],
)
def test_work_keys_are_read_by_record_or_name(
    scripted: type[ScriptedReader], asked: int | tuple[int, int], command: str
) -> None:
    transaction = free(scripted((command, key("30", "79", "05"))))
    handle = transaction.prepare_read_work_key_parameters(asked)
    transaction.process_commands()
    assert (handle.value.kif, handle.value.kvc) == (0x30, 0x79)
    assert transaction.sam.work_key_parameter(asked) == handle.value


def test_a_key_that_is_not_there_leaves_the_error_in_its_handle(
    scripted: type[ScriptedReader],
) -> None:
    transaction = free(
        scripted(("80BC0005020000", "6A83"), ("80BC0006020000", key("30", "79", "06")))
    )
    absent = transaction.prepare_read_work_key_parameters(5)
    there = transaction.prepare_read_work_key_parameters(6)
    transaction.process_commands()
    assert isinstance(absent.error, RecordNotFound)
    assert there.value.kif == 0x30
    assert transaction.sam.work_key_parameter(5) is None


def test_counters_are_read_with_their_ceilings_once(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(COUNTER_RECORD_1, CEILING_RECORD_1))
    first = transaction.prepare_read_counter_status(0)
    second = transaction.prepare_read_counter_status(1)
    last = transaction.prepare_read_counter_status(8)
    transaction.process_commands()
    assert first.value == (0x100000, 0xFFFFFA, DISABLED)
    assert second.value == (0x111111, 0xFFFFFA, ENABLED)
    assert last.value == (0x188888, 0xFFFFFA, ENABLED)
    sam = transaction.sam
    assert (sam.counter(1), sam.counter_ceiling(1)) == (0x111111, 0xFFFFFA)
    assert sam.counter_increment_access(0) is DISABLED
    assert sam.counter(9) is None
    with pytest.raises(UsageError):
        sam.counter(27)


def test_an_unsigned_answer_is_taken(scripted: type[ScriptedReader]) -> None:
    unsigned = (COUNTER_RECORD_1[0], COUNTER_RECORD_1[1][:-4] + "6200")
    transaction = free(scripted(unsigned, CEILING_RECORD_1))
    handle = transaction.prepare_read_counter_status(3)
    transaction.process_commands()
    assert handle.value.value == 0x133333


def test_all_counters_take_six_commands(scripted: type[ScriptedReader]) -> None:
    script = []
    for number in range(3):
        script.append((f"80BE00E{number + 1}00", record(COUNTERS + "0000", f"E{number + 1}")))
        script.append((f"80BE00B{number + 1}00", record("000064" * 9 + "01FF", f"B{number + 1}")))
    transaction = free(scripted(*script))
    handle = transaction.prepare_read_all_counters_status()
    transaction.process_commands(ChannelControl.CLOSE_AFTER)
    assert handle.value[26] == (0x188888, 100, ENABLED)
    assert transaction.traffic == (1, 6)


def test_parameters_are_29_bytes(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("80BE00A000", record("04" + "00" * 28, "A0"))))
    handle = transaction.prepare_read_sam_parameters()
    transaction.process_commands()
    assert handle.value == transaction.sam.sam_parameters == b"\x04" + bytes(28)


def test_an_answer_of_another_size_is_refused(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("80BE00A000", "00009000")))
    handle = transaction.prepare_read_sam_parameters()
    transaction.process_commands()
    assert isinstance(handle.error, MalformedCardData)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda t: t.prepare_read_work_key_parameters(0),
        lambda t: t.prepare_read_work_key_parameters(127),
        lambda t: t.prepare_read_work_key_parameters((256, 0)),
        lambda t: t.prepare_read_counter_status(27),
        lambda t: t.prepare_plain_write_lock(256, 0, bytes(16)),
        lambda t: t.prepare_plain_write_lock(1, 0, bytes(15)),
    ],
)
def test_bad_arguments_are_refused_early(
    scripted: type[ScriptedReader],
    prepare: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(UsageError):
        prepare(free(scripted()))


def test_the_sam_signs_with_its_own_diversifier(scripted: type[ScriptedReader]) -> None:
    """legacy-sam §12.2, §7.8."""
    reader = scripted(
        ("801400000411223344", "9000"), ("801C40000A0102A1A2A3A4A5A6A7A8", f"{SIGNATURE}9000")
    )
    transaction = free(reader)
    handle = transaction.prepare_compute_signature(
        BasicSignature(data=bytes.fromhex("A1A2A3A4A5A6A7A8"), kif=1, kvc=2)
    )
    transaction.process_commands()
    assert handle.value.signature.hex().upper() == SIGNATURE


PLAIN_LOCK = (
    "801A80E030 0000000000000000 EF01 0000000000 21 0000000000 "
    "A0A1A2A3A4A5A6A7A8A9AAABACADAEAF E0 00000000000000 80 0000"
)


def test_a_lock_is_written_in_clear_as_captured(scripted: type[ScriptedReader]) -> None:
    """legacy-sam §12.4; the value never shows in an error."""
    transaction = free(scripted((PLAIN_LOCK, "9000"), (PLAIN_LOCK, "6985")))
    value = bytes(range(0xA0, 0xB0))
    handle = transaction.prepare_plain_write_lock(0x01, 0x21, value)
    transaction.process_commands()
    assert handle.is_done
    transaction.prepare_plain_write_lock(0x01, 0x21, value)
    with pytest.raises(CryptoModuleError) as caught:
        transaction.process_commands()
    assert "A0A1A2" not in str(caught.value)


def test_a_lost_sam_is_told(scripted: type[ScriptedReader]) -> None:
    transaction = free(scripted(("80BE00A000", CardRemoved("gone"))))
    handle = transaction.prepare_read_sam_parameters()
    with pytest.raises(CryptoModuleUnreachable):
        transaction.process_commands()
    assert isinstance(handle.error, CryptoModuleUnreachable)


# Writing with a control SAM: legacy-sam §8.1, §12.4


class Pair:
    """A target and a control SAM, both scripted."""

    def __init__(self, scripted: type[ScriptedReader]) -> None:
        self.target_reader = scripted(atr=ATR)
        self.control_reader = scripted(atr=CONTROL_ATR)
        self.target = LegacySam(ATR)
        self.control = LegacySam(CONTROL_ATR)
        self.setting = SamSecuritySetting(
            control_reader=self.control_reader, control_sam=self.control
        )
        self.transaction = SamSecureWriteTransaction(self.target_reader, self.target, self.setting)

    def expect(self, sealing: str, writing: str, *, diversifier: str, key: str | None) -> None:
        if key:
            reference = {"E1": "C1", "FD": "C2", "E7": "C3"}[key[:2]]
            self.target_reader.expect(
                (f"80BC00{reference}020000", globals()["key"](key[:2], key[2:], reference))
            )
        self.target_reader.expect(("8084000008", f"{CHALLENGE}9000"), (f"{writing}{BLOCK}", "9000"))
        if diversifier:
            self.control_reader.expect((diversifier, "9000"))
        self.control_reader.expect((f"8086000008{CHALLENGE}", "9000"), (sealing, f"{BLOCK}9000"))


SHORT, LONG = "801400000411223344", "80140000080000000011223344"


@pytest.mark.parametrize(
    ("prepare", "sealing", "writing", "diversifier", "system_key"),
    [
        (
            lambda t: t.prepare_write_sam_parameters(bytes(29)),
            "801600A01EF1" + "00" * 29,
            "80D800A030",
            SHORT,
            "E1F1",
        ),
        (
            lambda t: t.prepare_write_counter_ceiling(3, 300),
            "801600B81EF20300012C" + "00" * 25,
            "80D800B830",
            SHORT,
            "E7F2",
        ),
        (
            lambda t: t.prepare_transfer_system_key(SystemKeyType.RELOADING, 0xF3, bytes(10)),
            "801600C00DF1E7F3" + "00" * 10,
            "801A00C030",
            LONG,
            "E1F1",
        ),
        (
            lambda t: t.prepare_transfer_system_key(
                SystemKeyType.RELOADING, 0xF3, bytes(10), diversified=True
            ),
            "801601C00DF1E7F3" + "00" * 10,
            "801A00C030",
            LONG,
            "E1F1",
        ),
        (
            lambda t: t.prepare_transfer_work_key((0x21, 0x79), bytes(10)),
            "801600F00DF12179" + "00" * 10,
            "801A00F030",
            LONG,
            "FDF1",
        ),
        (
            lambda t: t.prepare_transfer_work_key(
                (0x21, 0x79), bytes(10), record=5, diversified=True
            ),
            "801601050DF12179" + "00" * 10,
            "801A000530",
            LONG,
            "FDF1",
        ),
        (
            lambda t: t.prepare_transfer_work_key(
                (0x21, 0x79),
                bytes(10),
                record=5,
                diversified=True,
                diversifier=bytes.fromhex("0102030405060708"),
            ),
            "8016010515F12179" + "00" * 10 + "0102030405060708",
            "801A000530",
            LONG,
            "FDF1",
        ),
        (
            lambda t: t.prepare_transfer_lock(0x01, 0x21, diversified=True),
            "801601E00DF1EF0100000000002100000000",
            "801A00E030",
            LONG,
            "E1F1",
        ),
    ],
)
def test_objects_are_sealed_and_written_as_captured(  # noqa: PLR0917 - the columns of a table
    scripted: type[ScriptedReader],
    prepare: Any,  # noqa: ANN401
    sealing: str,
    writing: str,
    diversifier: str,
    system_key: str,
) -> None:
    pair = Pair(scripted)
    pair.expect(sealing, writing, diversifier=diversifier, key=system_key)
    handle = prepare(pair.transaction)
    assert not handle.is_done
    pair.transaction.process_commands()
    assert handle.is_done
    assert handle.value is None
    assert pair.transaction.traffic.exchanges == 2


def test_a_write_and_the_next_challenge_share_an_exchange(scripted: type[ScriptedReader]) -> None:
    pair = Pair(scripted)
    pair.expect("801600B81EF200000064" + "00" * 25, "80D800B830", diversifier=SHORT, key="E7F2")
    pair.expect("801600B81EF20300012C" + "00" * 25, "80D800B830", diversifier="", key=None)
    transaction = pair.transaction
    first = transaction.prepare_write_counter_ceiling(0, 100)
    second = transaction.prepare_write_counter_ceiling(3, 300)
    transaction.process_commands()
    assert (first.is_done, second.is_done) == (True, True)
    assert transaction.traffic.exchanges == 3


def test_counters_of_a_record_are_configured_together_and_the_others_stay(
    scripted: type[ScriptedReader],
) -> None:
    pair = Pair(scripted)
    pair.target_reader.expect(
        ("80BC00C3020000", key("E7", "F2", "C3")), COUNTER_RECORD_1, CEILING_RECORD_1
    )
    ceilings = "FFFFFA" + "000064" + "0000C8" + "FFFFFA" * 6
    pair.expect(f"801600B11EF2{ceilings}0104", "80D800B130", diversifier=SHORT, key=None)
    first = pair.transaction.prepare_write_counter_configuration(1, 100, DISABLED)
    second = pair.transaction.prepare_write_counter_configuration(2, 200, ENABLED)
    assert first is second
    pair.transaction.process_commands()
    assert first.is_done


def test_counter_0_never_counts_freely(scripted: type[ScriptedReader]) -> None:
    pair = Pair(scripted)
    pair.target_reader.expect(
        ("80BC00C3020000", key("E7", "F2", "C3")), COUNTER_RECORD_1, CEILING_RECORD_1
    )
    pair.expect(
        f"801600B11EF2{'000001' + 'FFFFFA' * 8}0102", "80D800B130", diversifier=SHORT, key=None
    )
    pair.transaction.prepare_write_counter_configuration(0, 1, ENABLED)
    pair.transaction.process_commands()


def test_a_plain_lock_needs_no_control_sam(scripted: type[ScriptedReader]) -> None:
    pair = Pair(scripted)
    pair.target_reader.expect((PLAIN_LOCK, "9000"))
    handle = pair.transaction.prepare_plain_write_lock(0x01, 0x21, bytes(range(0xA0, 0xB0)))
    pair.transaction.process_commands()
    assert handle.is_done


def test_a_refused_write_is_told_and_what_follows_is_not_done(
    scripted: type[ScriptedReader],
) -> None:
    pair = Pair(scripted)
    pair.target_reader.expect(
        ("80BC00C3020000", key("E7", "F2", "C3")),
        ("8084000008", f"{CHALLENGE}9000"),
        (f"80D800B830{BLOCK}", "6988"),
    )
    pair.control_reader.expect(
        (SHORT, "9000"),
        (f"8086000008{CHALLENGE}", "9000"),
        ("801600B81EF200000064" + "00" * 25, f"{BLOCK}9000"),
    )
    first = pair.transaction.prepare_write_counter_ceiling(0, 100)
    second = pair.transaction.prepare_write_counter_ceiling(1, 100)
    with pytest.raises(CryptoModuleError, match="write ceiling of counter 0") as caught:
        pair.transaction.process_commands()
    assert isinstance(caught.value.__cause__, WrongCryptogram)
    for handle in (first, second):
        assert handle.error is caught.value
        with pytest.raises(CryptoModuleError):
            _ = handle.value


def test_a_target_without_the_key_cannot_be_written(scripted: type[ScriptedReader]) -> None:
    pair = Pair(scripted)
    pair.target_reader.expect(("80BC00C3020000", "6A83"), ("8084000008", f"{CHALLENGE}9000"))
    handle = pair.transaction.prepare_write_counter_ceiling(0, 100)
    with pytest.raises(UsageError, match="not processed"):
        _ = handle.value
    with pytest.raises(UsageError, match="no reloading key"):
        pair.transaction.process_commands()


@pytest.mark.parametrize(
    "prepare",
    [
        lambda t: t.prepare_write_sam_parameters(bytes(28)),
        lambda t: t.prepare_write_counter_ceiling(27, 0),
        lambda t: t.prepare_write_counter_ceiling(0, 0xFFFFFB),
        lambda t: t.prepare_write_counter_configuration(0, -1, ENABLED),
        lambda t: t.prepare_transfer_system_key(SystemKeyType.RELOADING, 256, bytes(10)),
        lambda t: t.prepare_transfer_system_key(SystemKeyType.RELOADING, 1, bytes(29)),
        lambda t: t.prepare_transfer_work_key((0x21, 0x79), bytes(10), record=127),
        lambda t: t.prepare_transfer_work_key((0x21, 0x79), bytes(10), diversifier=bytes(8)),
        lambda t: t.prepare_transfer_lock(256, 0),
    ],
)
def test_bad_writes_are_refused_early(
    scripted: type[ScriptedReader],
    prepare: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(UsageError):
        prepare(Pair(scripted).transaction)


# Asynchronous: legacy-sam §8.2, §12.3

CONTEXT = json.dumps(
    {
        "serialNumber": "11223344",
        "isDynamicMode": False,
        "systemKeyTypeToCounterNumberMap": {"RELOADING": "03"},
        "systemKeyTypeToKvcMap": {"RELOADING": "F2", "PERSONALIZATION": "F1"},
        "counterNumberToCounterValueMap": {"03": "017B"},
    }
)


def test_ceilings_for_a_sam_elsewhere_as_published(scripted: type[ScriptedReader]) -> None:
    first = "".join(f"{n:06X}" for n in range(1, 10))
    control = scripted(
        ("801400000411223344", "9000"),
        ("8086000008000000000000017B", "9000"),
        ("801600B81EF200000064" + "00" * 25, f"{'B1' * 48}9000"),
        ("8086000008000000000000017C", "9000"),
        ("801600B81EF20300012C" + "00" * 25, f"{'B2' * 48}9000"),
        ("8086000008000000000000017D", "9000"),
        (f"801600B11EF2{first}01FE", f"{'B3' * 48}9000"),
        atr=CONTROL_ATR,
    )
    channel = CardChannel(control)
    creator = SamAsyncCreator(
        CONTEXT, SamSecuritySetting(control_reader=channel, control_sam=LegacySam(CONTROL_ATR))
    )
    creator.prepare_write_counter_ceiling(0, 100)
    creator.prepare_write_counter_ceiling(3, 300)
    for number in range(9):
        creator.prepare_write_counter_configuration(number, number + 1, ENABLED)
    commands = creator.export_commands()
    assert channel.traffic.exchanges == 1
    document = json.loads(commands)
    assert document["samCommands"][0] == {
        "commandRef": "WRITE_CEILINGS",
        "le": "00",
        "name": "Write Ceilings",
        "apduRequest": {
            "apdu": "80D808B830" + "B1" * 48,
            "successfulStatusWords": ["9000"],
            "info": "Write Ceilings",
        },
    }
    assert len(document["samCommandsTypes"]) == 3
    target = scripted(
        ("80D808B830" + "B1" * 48, "9000"),
        ("80D808B830" + "B2" * 48, "9000"),
        ("80D808B130" + "B3" * 48, "9000"),
        atr=ATR,
    )
    executor = SamAsyncExecutor(target, LegacySam(ATR), commands)
    executor.process_commands(ChannelControl.CLOSE_AFTER)
    assert executor.traffic.exchanges == 1
    assert not target.is_connected


def test_the_context_of_a_target_is_exported(scripted: type[ScriptedReader]) -> None:
    parameters = "40" + "00" * 10
    counted = "40" + "000000" + "03" + "00" * 6
    transaction = free(
        scripted(
            ("80BC00C1020000", key("E1", "F1", "C1", parameters)),
            ("80BC00C2020000", key("FD", "F2", "C2", counted)),
            ("80BC00C3020000", key("E7", "F3", "C3", counted)),
            COUNTER_RECORD_1,
            CEILING_RECORD_1,
        )
    )
    assert json.loads(transaction.export_target_sam_context()) == {
        "serialNumber": "11223344",
        "isDynamicMode": False,
        "systemKeyTypeToCounterNumberMap": {"KEY_MANAGEMENT": "03", "RELOADING": "03"},
        "systemKeyTypeToKvcMap": {
            "PERSONALIZATION": "F1",
            "KEY_MANAGEMENT": "F2",
            "RELOADING": "F3",
        },
        "counterNumberToCounterValueMap": {"03": "133333"},
    }
    assert transaction.traffic.exchanges == 2


def creator_for(scripted: type[ScriptedReader], context: str = CONTEXT) -> SamAsyncCreator:
    setting = SamSecuritySetting(
        control_reader=scripted(atr=CONTROL_ATR), control_sam=LegacySam(CONTROL_ATR)
    )
    return SamAsyncCreator(context, setting)


def test_a_creator_has_no_target_to_process(scripted: type[ScriptedReader]) -> None:
    with pytest.raises(UsageError, match="export_commands"):
        creator_for(scripted).process_commands()


def test_a_record_for_a_sam_elsewhere_is_written_whole(scripted: type[ScriptedReader]) -> None:
    creator = creator_for(scripted)
    creator.prepare_write_counter_configuration(10, 1, ENABLED)
    with pytest.raises(UsageError, match="name all nine"):
        creator.export_commands()


def test_a_context_without_the_key_cannot_be_written_for(scripted: type[ScriptedReader]) -> None:
    context = json.loads(CONTEXT)
    del context["systemKeyTypeToKvcMap"]["RELOADING"]
    creator = creator_for(scripted, json.dumps(context))
    creator.prepare_write_counter_ceiling(0, 1)
    with pytest.raises(UsageError, match="names no reloading key"):
        creator.export_commands()


def test_a_key_without_counter_is_bound_to_zeros(scripted: type[ScriptedReader]) -> None:
    context = json.loads(CONTEXT)
    context["systemKeyTypeToCounterNumberMap"] = {}
    creator = creator_for(scripted, json.dumps(context))
    assert creator.context.challenge(SystemKeyType.RELOADING, 5) == bytes(8)


@pytest.mark.parametrize(
    "context",
    [
        "",
        "[]",
        "{}",
        CONTEXT.replace("11223344", "112233"),
        CONTEXT.replace("11223344", "1122334Z"),
        CONTEXT.replace('"RELOADING": "03"', '"OTHER": "03"'),
        CONTEXT.replace('{"03": "017B"}', '{"04": "017B"}'),
        CONTEXT.replace('{"03": "017B"}', "[]"),
    ],
)
def test_a_faulty_context_is_refused(scripted: type[ScriptedReader], context: str) -> None:
    with pytest.raises(MalformedSamDocument):
        creator_for(scripted, context)


@pytest.mark.parametrize(
    "commands",
    ["", "{}", '{"samCommands": [{}]}', '{"samCommands": [{"apduRequest": {"apdu": "80"}}]}'],
)
def test_faulty_commands_are_refused(scripted: type[ScriptedReader], commands: str) -> None:
    with pytest.raises(MalformedSamDocument):
        SamAsyncExecutor(scripted(), LegacySam(ATR), commands)


# Selection: unlocking, and reads


def select(reader: ScriptedReader | CardChannel, selection: LegacySamSelection) -> LegacySam:
    manager = CardSelectionManager()
    manager.prepare_selection(sam_selector(SamProductType.SAM_C1), selection)
    sam = manager.process(reader).active_smart_card
    assert isinstance(sam, LegacySam)
    return sam


@pytest.mark.parametrize("answer", ["9000", "6985"])
def test_a_sam_is_unlocked_at_selection_and_read(
    scripted: type[ScriptedReader], answer: str
) -> None:
    """legacy-sam §12.2; 6985: it was not locked."""
    selection = LegacySamSelection(unlock_data=bytes.fromhex("00112233445566778899AABBCCDDEEFF"))
    selection.prepare_read_sam_parameters()
    selection.prepare_read_system_key_parameters(SystemKeyType.RELOADING)
    selection.prepare_read_work_key_parameters(5)
    selection.prepare_read_counter_status(0)
    selection.prepare_read_counter_status(1)
    reader = scripted(
        ("802000001000112233445566778899AABBCCDDEEFF", answer),
        ("80BE00A000", record("04" + "00" * 28, "A0")),
        ("80BC00C3020000", key("E7", "F2", "C3")),
        ("80BC0005020000", "6A83"),
        COUNTER_RECORD_1,
        CEILING_RECORD_1,
        atr=ATR,
    )
    sam = select(reader, selection)
    assert sam.sam_parameters is not None
    assert sam.system_keys[SystemKeyType.RELOADING].kvc == 0xF2
    assert sam.work_keys == {}
    assert sam.counter(1) == 0x111111


def test_wrong_unlock_data_fail_the_selection_without_being_shown(
    scripted: type[ScriptedReader],
) -> None:
    selection = LegacySamSelection(unlock_data=bytes.fromhex("00112233445566778899AABBCCDDEEFF"))
    reader = scripted(("802000001000112233445566778899AABBCCDDEEFF", "6988"), atr=ATR)
    with pytest.raises(WrongCryptogram) as caught:
        select(reader, selection)
    assert "00112233" not in str(caught.value)


def test_somebody_is_asked_for_static_unlock_data(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        ("8020000010" + "AA" * 16, "9000"), ("80BE00A000", record("00" * 29, "A0")), atr=ATR
    )
    asked: list[bytes] = []

    def unlock(serial: bytes) -> bytes:
        asked.append(serial)
        return b"\xaa" * 16

    selection = LegacySamSelection(static_unlock=unlock, reader=reader)
    selection.prepare_read_sam_parameters()
    assert select(reader, selection).sam_parameters == bytes(29)
    assert asked == [bytes.fromhex("11223344")]


def test_somebody_is_asked_for_dynamic_unlock_data(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        ("8084000008", f"{CHALLENGE}9000"),
        ("80200000080011223344556677", "9000"),
        ("80BC0005020000", "6A83"),
        atr=ATR,
    )
    asked: list[tuple[bytes, bytes]] = []

    def unlock(serial: bytes, challenge: bytes) -> bytes:
        asked.append((serial, challenge))
        return bytes.fromhex("0011223344556677")

    selection = LegacySamSelection(dynamic_unlock=unlock, reader=reader)
    selection.prepare_read_work_key_parameters(5)
    assert select(reader, selection).work_keys == {}
    assert asked == [(bytes.fromhex("11223344"), bytes.fromhex(CHALLENGE))]


@pytest.mark.parametrize(
    "options",
    [
        {"unlock_data": bytes(15)},
        {"unlock_data": bytes(16), "static_unlock": lambda _s: bytes(16)},
        {"static_unlock": lambda _s: bytes(16)},
        {"dynamic_unlock": lambda _s, _c: bytes(8)},
    ],
)
def test_ways_to_unlock_exclude_each_other(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        LegacySamSelection(**options)


def test_unlock_data_of_another_length_are_refused(scripted: type[ScriptedReader]) -> None:
    reader = scripted(atr=ATR)
    selection = LegacySamSelection(static_unlock=lambda _serial: bytes(8), reader=reader)
    with pytest.raises(UsageError, match=r"8 byte\(s\); allowed: 16"):
        select(reader, selection)


def test_a_refused_read_fails_the_selection(scripted: type[ScriptedReader]) -> None:
    selection = LegacySamSelection()
    selection.prepare_read_all_counters_status()
    script = [(f"80BE00{letter}{n}00", "6A00") for n in (1, 2, 3) for letter in ("E", "B")]
    with pytest.raises(Exception, match="6A00"):
        select(scripted(*script, atr=ATR), selection)
    with pytest.raises(UsageError):
        selection.prepare_read_counter_status(27)


def test_key_parameters_are_thirteen_bytes() -> None:
    parameter = KeyParameter(bytes(range(13)))
    assert (parameter.kif, parameter.kvc, parameter.algorithm) == (0, 1, 2)
    assert parameter.parameter_value(10) == 12


def test_a_work_key_of_the_image_is_asked_for_by_a_record_that_can_be() -> None:
    sam = LegacySam(ATR)
    assert sam.work_key_parameter(126) is None
    for record in (0, 127):
        with pytest.raises(UsageError, match="1 to 126"):
            sam.work_key_parameter(record)


def test_an_old_sam_is_read_in_its_class_at_selection(scripted: type[ScriptedReader]) -> None:
    """legacy-sam §1: SAM-S1Dx are spoken to with class 94."""
    selection = LegacySamSelection(product_type=SamProductType.SAM_S1DX)
    selection.prepare_read_work_key_parameters(5)
    manager = CardSelectionManager()
    manager.prepare_selection(sam_selector(SamProductType.SAM_S1DX), selection)
    reader = scripted(
        ("94BC0005020000", key("30", "79", "05")),
        atr=bytes.fromhex("3B3F9600805A0080D0020501AEC11A36829000"),
    )
    sam = manager.process(reader).active_smart_card
    assert isinstance(sam, LegacySam)
    assert sam.work_keys[5].kif == 0x30
