"""The purse: balance, logs, signatures, its rules in and out of sessions, shared by all applications."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calypso_cases import sv
from support.calypso_workshop import peer_of

from cardbench.emulator.calypso.structure import (
    DEBIT_LOG_KEY,
    LOAD_LOG_KEY,
    PURSE_KEY,
    TRANSACTION_COUNTER_KEY,
)
from cardbench.protocol.calypso.sv_log import SvDebitLog, SvLoadLog

if TYPE_CHECKING:
    from support.calypso_peer import Peer

RELOAD, DEBIT, UNDEBIT = 0xB8, 0xBA, 0xBC


def memory(peer: Peer, key: tuple[str | int, ...]) -> object:
    return peer.card.memory[key]  # type: ignore[attr-defined]


def operate(peer: Peer, ins: int, amount: int, *, extended: bool = False, **others: object) -> str:
    return peer.send(sv(ins, amount, extended=extended, **others)(peer))


@pytest.mark.parametrize("extended", [False, True])
def test_each_operation_changes_balance_number_log_and_signature(*, extended: bool) -> None:
    peer = peer_of("bench")
    size = 6 if extended else 3
    for number, (ins, amount, balance) in enumerate(
        ((RELOAD, 1000, 1000), (DEBIT, -300, 700), (UNDEBIT, 100, 800), (RELOAD, -900, -100)), 1
    ):
        answer = operate(peer, ins, amount, extended=extended)
        assert answer == peer.sv_lo + "9000"
        assert len(peer.sv_lo) == 2 * size
        stored = bytes.fromhex(peer.sv_lo).ljust(6, b"\0")
        assert memory(peer, PURSE_KEY) == (balance, number, stored)
        if ins == RELOAD:
            load = SvLoadLog.parse(memory(peer, LOAD_LOG_KEY))  # type: ignore[arg-type]
            assert (load.amount, load.balance, load.sv_tnum) == (amount, balance, number)
            assert (load.date.hex(), load.time.hex(), load.free.hex()) == ("1122", "3344", "f3ee")
            assert (load.kvc, load.sam_id.hex(), load.sam_tnum) == (0x74, "aabbccdd", 0x123456)
        else:
            debit = SvDebitLog.parse(memory(peer, DEBIT_LOG_KEY))  # type: ignore[arg-type]
            assert (debit.amount, debit.balance, debit.sv_tnum) == (amount, balance, number)
            assert (debit.kvc, debit.sam_id.hex(), debit.sam_tnum) == (0x74, "aabbccdd", 0x123456)


def test_the_log_record_holds_log_signature_and_zeros_and_the_newest_debit_comes_first() -> None:
    peer = peer_of("bench")
    signatures = []
    for _ in range(4):
        operate(peer, DEBIT, -1)
        signatures.append(peer.sv_lo)
    records = [peer.ok(f"00B20{n}AC00") for n in (1, 2, 3)]
    assert [record[38:44] for record in records] == signatures[:0:-1]
    assert [record[44:] for record in records] == ["00" * 7] * 3
    assert [record[34:38] for record in records] == ["0004", "0003", "0002"]


def test_a_regular_sv_get_shows_three_bytes_of_a_signature_and_an_extended_one_six() -> None:
    peer = peer_of("bench")
    assert peer.ok("007C000721")[6:12] == "000000"
    operate(peer, RELOAD, 5, extended=True)
    long = peer.sv_lo
    assert peer.ok("007C000721")[6:12] == long[:6]
    assert peer.ok("007C00091E")[6:12] == long[:6]
    assert peer.ok("007C01073D")[22:34] == long
    operate(peer, RELOAD, 5)
    assert peer.ok("007C01093D")[22:34] == peer.sv_lo + "000000"


def test_an_operation_in_a_session_is_postponed_to_close() -> None:
    for extended in (False, True):
        peer = peer_of("bench")
        peer.open(3, mode="extended" if extended else "regular")
        assert operate(peer, DEBIT, -5, extended=extended) == "6200"
        signature = peer.sv_lo
        assert memory(peer, PURSE_KEY)[0] == 0  # type: ignore[index]
        peer.ok("00E2004003112233")
        assert peer.close_ok() == f"{len(signature) // 2 + 1:02X}" + signature
        assert memory(peer, PURSE_KEY)[:2] == (-5, 1)  # type: ignore[index]


def test_an_aborted_session_takes_the_operation_back_but_not_the_transaction() -> None:
    peer = peer_of("bench")
    purse = memory(peer, PURSE_KEY)
    peer.open(3)
    counter = memory(peer, TRANSACTION_COUNTER_KEY)
    assert operate(peer, RELOAD, 5) == "6200"
    peer.abort()
    assert memory(peer, PURSE_KEY) == purse
    assert memory(peer, LOAD_LOG_KEY) == bytes(29)
    assert memory(peer, TRANSACTION_COUNTER_KEY) == counter - 1  # type: ignore[operator]


def test_the_logs_are_not_read_in_the_session_behind_an_operation() -> None:
    peer = peer_of("bench")
    peer.open(3)
    peer.ok("00B201A400", "00B201AC00")
    operate(peer, DEBIT, -5)
    refused = ("00B201A400", "00B201AD00", "00B301AD045402000100", "00A201AF0500000100FF00")
    assert [peer.send(each) for each in refused] == ["6985"] * 4
    assert peer.send("007C00091E") == "6985"
    peer.close_ok()
    peer.ok("00B201A400", "00B201AC00", "007C00091E")


def test_sv_get_serves_the_next_command_only_and_one_operation() -> None:
    peer = peer_of("bench")
    for between in ("00B2013C00", "0084000008", "00", "FFFFFFFF00", "007C000721"):
        command = sv(DEBIT, -1)(peer)
        peer.send(between)
        assert peer.send(command) == "6985"
    command = sv(DEBIT, -1)(peer)
    assert peer.send(command)[-4:] == "9000"
    assert peer.send(command) == "6985"


def test_an_operation_of_the_other_kind_or_mode_is_refused() -> None:
    peer = peer_of("bench")
    for_reload = peer.send("007C000721")
    assert peer.send(peer.sv_command(DEBIT, -1, for_reload)) == "6985"
    for_debit = peer.send("007C00091E")
    assert peer.send(peer.sv_command(RELOAD, 1, for_debit)) == "6985"
    regular = peer.send("007C00091E")
    extended = peer.send("007C01093D")
    assert peer.send(peer.sv_command(DEBIT, -1, regular)) == "6985"
    regular = peer.send("007C00091E")
    assert peer.send(peer.sv_command(DEBIT, -1, extended, extended=True)) == "6985"


def test_one_byte_changed_anywhere_in_an_operation_is_refused() -> None:
    peer = peer_of("bench")
    command = bytes.fromhex(sv(RELOAD, 1)(peer))
    before = peer.card.memory.objects()  # type: ignore[attr-defined]
    for index in range(len(command)):
        raw = bytearray.fromhex(sv(RELOAD, 1)(peer))
        raw[index] ^= 0x01
        assert peer.card.transmit(bytes(raw))[0] in (0x67, 0x69, 0x6D, 0x6E)
        assert peer.card.memory.objects() == before  # type: ignore[attr-defined]


def test_the_signature_covers_what_sv_get_said() -> None:
    peer = peer_of("bench")
    answer = bytes.fromhex(peer.send("007C000721"))
    for index in range(len(answer) - 2):
        fresh = bytearray.fromhex(peer.send("007C000721"))
        fresh[index] ^= 0x01
        assert peer.send(peer.sv_command(RELOAD, 1, fresh.hex(), kvc=0x74))[-4:] in ("6988", "6985")


@pytest.mark.parametrize(
    ("balance", "ins", "amount", "possible"),
    [
        (0x7FFFFE, RELOAD, 1, True),
        (0x7FFFFF, RELOAD, 1, False),
        (-0x7FFFFF, RELOAD, -1, True),
        (-0x800000, RELOAD, -1, False),
        (-0x800000, DEBIT, 0, True),
        (-0x800000, DEBIT, -1, False),
        (0x7FFFFF, UNDEBIT, 0, True),
        (0x7FFFFF, UNDEBIT, 1, False),
        (0, DEBIT, 1, False),
        (0, UNDEBIT, -1, False),
        (0, DEBIT, -0x7FFF, True),
        (0, UNDEBIT, 0x7FFF, True),
        (0, RELOAD, -0x800000, True),
    ],
)
def test_the_balance_stays_within_24_bits_and_amounts_have_their_sign(
    balance: int, ins: int, amount: int, *, possible: bool
) -> None:
    peer = peer_of("bench")
    peer.card.memory.commit({PURSE_KEY: (balance, 7, bytes(6))})  # type: ignore[attr-defined]
    answer = operate(peer, ins, amount)
    assert answer[-4:] == ("9000" if possible else "6985")
    assert memory(peer, PURSE_KEY)[:2] == ((balance + amount, 8) if possible else (balance, 7))  # type: ignore[index]


def test_the_transaction_number_ends_before_fffe() -> None:
    peer = peer_of("bench")
    peer.card.memory.commit({PURSE_KEY: (0, 0xFFFD, bytes(6))})  # type: ignore[attr-defined]
    assert operate(peer, RELOAD, 1)[-4:] == "9000"
    assert operate(peer, RELOAD, 1) == "6900"
    assert memory(peer, PURSE_KEY)[:2] == (1, 0xFFFE)  # type: ignore[index]


def test_every_application_with_the_option_reaches_the_one_purse() -> None:
    peer = peer_of("kit-regular")
    peer.kvc = 0x79
    operate(peer, RELOAD, 1000)
    peer.ok("00A4040008A000000291FF910100")
    assert peer.ok("007C00091E")[16:22] == "0003E8"
    operate(peer, DEBIT, -1)
    assert peer.send("00B201A400") == "6A82"  # SFI 14 names no log here
    peer.ok("00A4040008A000000291FF920100")
    assert peer.ok("00B201A400")[10:16] == "0003E8"
    assert peer.ok("00B201AC00")[28:34] == "0003E7"
    peer.ok("00A404000BA000000291A0000001910200")
    assert peer.send("007C00091E") == "6D00"


def test_changing_the_key_of_the_stored_value_application_changes_the_purses() -> None:
    peer = peer_of("kit-regular")
    peer.kifs = (0x01, 0x07, 0x10)
    challenge = peer.ok("0084000008")
    peer.ok("00D8000320" + peer.key_cryptogram(challenge, 0x10, 0x55, 0x40))
    assert peer.ok("007C00091E")[:2] == "55"
    assert peer.ok("007C000721")[:2] == "79"
    assert operate(peer, DEBIT, -1)[-4:] == "9000"


@given(
    st.lists(
        st.tuples(
            st.sampled_from((RELOAD, DEBIT, UNDEBIT)),
            st.integers(0, 0x7FFF),
            st.booleans(),
            st.sampled_from(("none", "close", "abort", "wrong")),
        ),
        max_size=10,
    )
)
def test_no_money_is_made_or_lost(operations: list[tuple[int, int, bool, str]]) -> None:
    peer = peer_of("bench")
    balance = number = 0
    for ins, size, extended, session in operations:
        amount = -size if ins == DEBIT else size
        if session != "none":
            peer.open(3, mode="extended" if extended else "regular")
        assert operate(peer, ins, amount, extended=extended)[-4:] in ("9000", "6200")
        if session == "close":
            peer.close_ok()
        elif session == "abort":
            peer.abort()
        elif session == "wrong":
            assert peer.close(mac=bytes(8 if extended else 4)) == "6988"
            peer.digest = None
        if session in ("none", "close"):
            balance, number = balance + amount, number + 1
        assert memory(peer, PURSE_KEY)[:2] == (balance, number)  # type: ignore[index]
        answer = bytes.fromhex(peer.ok("007C01093D"))
        load, debit = SvLoadLog.parse(answer[20:42]), SvDebitLog.parse(answer[42:61])
        last = max((load, debit), key=lambda log: log.sv_tnum)
        assert (last.balance, last.sv_tnum) == (balance, number)
