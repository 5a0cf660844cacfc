"""Published Stored Value logs are read and written back."""

import pytest

from cardbench.protocol.calypso.sv_log import SvDebitLog, SvLoadLog
from cardbench.protocol.errors import MalformedCardData


def test_real_load_record_is_read() -> None:
    raw = bytes.fromhex("00000073000000000000000000AE11875000E76C0002F9F26C00000000")
    log = SvLoadLog.parse(raw)
    assert (log.kvc, log.balance, log.amount, log.sv_tnum) == (0x73, 0, 0, 2)
    assert (log.sam_id.hex().upper(), log.sam_tnum) == ("AE118750", 0x00E76C)
    assert log.encode() == raw[:22]


def test_real_debit_record_is_read() -> None:
    raw = bytes.fromhex("00000000000073AE11875000E76B0000000001D5972400000000000000")
    log = SvDebitLog.parse(raw)
    assert (log.amount, log.kvc, log.balance, log.sv_tnum) == (0, 0x73, 0, 1)
    assert log.sam_tnum == 0x00E76B
    assert log.encode() == raw[:19]


def test_load_log_with_every_field_different_round_trips() -> None:
    raw = bytes.fromhex("0123 12 34 34 7890AB 223344 3210 11223344 543210 5678")
    log = SvLoadLog.parse(raw)
    assert log.date.hex() == "0123"
    assert log.free.hex() == "1234"
    assert log.kvc == 0x34
    assert log.balance == 0x7890AB
    assert log.amount == 0x223344
    assert log.time.hex() == "3210"
    assert log.sv_tnum == 0x5678
    assert log.encode() == raw


def test_debit_amount_is_negative() -> None:
    raw = bytes.fromhex("FFFE 0000 0000 79 12345678 0000DD 000016 0072")
    log = SvDebitLog.parse(raw)
    assert (log.amount, log.balance, log.sv_tnum) == (-2, 0x16, 0x72)
    assert log.encode() == raw


def test_short_logs_are_refused() -> None:
    with pytest.raises(MalformedCardData, match="it has 22"):
        SvLoadLog.parse(bytes(21))
    with pytest.raises(MalformedCardData, match="it has 19"):
        SvDebitLog.parse(bytes(18))
