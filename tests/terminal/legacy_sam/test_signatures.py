"""Signatures of data: the published commands, and what is refused before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cardbench.protocol.errors import CryptoModuleError, InvalidSignature, SamRevoked, UsageError
from cardbench.terminal.card import CardChannel
from cardbench.terminal.legacy_sam import (
    BasicSignature,
    LegacySam,
    LegacySamCryptoFactory,
    SamFreeTransaction,
    SamTrace,
    SamTraceabilityMode,
    SignedData,
    TraceableSignature,
)

if TYPE_CHECKING:
    from cardbench.terminal.legacy_sam.crypto_service import LegacySamCardTransaction
    from cardbench.terminal.readers import ScriptedReader

ATR = bytes.fromhex("3B3F9600805A4880C120501711223344829000")
CARD = bytes.fromhex("00000000AABBCCDD")
SELECT = ("801400000800000000AABBCCDD", "9000")
SAM_DIVERSIFIER = bytes.fromhex("11223344")
SELECT_SAM = ("801400000411223344", "9000")
DATA8 = bytes.fromhex("A1A2A3A4A5A6A7A8")
DATA10 = bytes.fromhex("A1A2A3A4A5A6A7A8A9AA")
TRUNCATED, FULL = (
    SamTraceabilityMode.TRUNCATED_SERIAL_NUMBER,
    SamTraceabilityMode.FULL_SERIAL_NUMBER,
)


def service(reader: ScriptedReader) -> LegacySamCardTransaction:
    factory = LegacySamCryptoFactory(CardChannel(reader), LegacySam(ATR))
    return factory.create_card_transaction(CARD, use_extended_mode=False)


def basic(**changes: Any) -> BasicSignature:  # noqa: ANN401
    return BasicSignature(**{"data": DATA8, "kif": 1, "kvc": 2, **changes})


def traceable(**changes: Any) -> TraceableSignature:  # noqa: ANN401
    return TraceableSignature(**{"data": DATA10, "kif": 1, "kvc": 2, **changes})


def test_a_basic_signature_as_published(scripted: type[ScriptedReader]) -> None:
    """legacy-sam §12.2; the first bytes of the block are the signature."""
    sam = service(scripted(SELECT_SAM, ("801C40000A0102A1A2A3A4A5A6A7A8", "C1C2C3C4C5C6C7C89000")))
    handle = sam.prepare_compute_signature(basic(diversifier=SAM_DIVERSIFIER, size_bytes=5))
    assert not handle.is_done
    with pytest.raises(UsageError, match="Data Cipher is prepared, not processed"):
        _ = handle.value
    sam.synchronize()
    assert handle.value == SignedData(DATA8, bytes.fromhex("C1C2C3C4C5"))


@pytest.mark.parametrize(
    ("signature", "command", "answer", "signed"),
    [
        (traceable(), "802A9E9A0EFF010288A1A2A3A4A5A6A7A8A9AA", "C1C2C3C4C5C6C7C8", DATA10),
        (
            traceable(trace=SamTrace(1, TRUNCATED), busy_mode=False),
            "802A9E9A10FF0102480001A1A2A3A4A5A6A7A8A9AA",
            "B1B2B3B4B5B6B7B8B9BAC1C2C3C4C5C6C7C8",
            bytes.fromhex("B1B2B3B4B5B6B7B8B9BA"),
        ),
        (
            traceable(trace=SamTrace(1, FULL), busy_mode=False),
            "802A9E9A10FF0102680001A1A2A3A4A5A6A7A8A9AA",
            "B1B2B3B4B5B6B7B8B9BAC1C2C3C4C5C6C7C8",
            bytes.fromhex("B1B2B3B4B5B6B7B8B9BA"),
        ),
    ],
)
def test_traceable_signatures_as_published(
    scripted: type[ScriptedReader],
    signature: TraceableSignature,
    command: str,
    answer: str,
    signed: bytes,
) -> None:
    sam = service(scripted(SELECT, (command, f"{answer}9000")))
    handle = sam.prepare_compute_signature(signature)
    sam.synchronize()
    assert handle.value == SignedData(signed, bytes.fromhex("C1C2C3C4C5C6C7C8"))


@pytest.mark.parametrize(
    ("signature", "command"),
    [
        (traceable(), "802A00A816FF010288A1A2A3A4A5A6A7A8A9AAC1C2C3C4C5C6C7C8"),
        (
            traceable(trace=SamTrace(1, TRUNCATED), busy_mode=False),
            "802A00A818FF0102480001A1A2A3A4A5A6A7A8A9AAC1C2C3C4C5C6C7C8",
        ),
    ],
)
@pytest.mark.parametrize("answer", ["9000", "6988"])
def test_traceable_signatures_are_verified_as_published(
    scripted: type[ScriptedReader], signature: TraceableSignature, command: str, answer: str
) -> None:
    sam = service(scripted(SELECT, (command, answer)))
    handle = sam.prepare_verify_signature(signature, bytes.fromhex("C1C2C3C4C5C6C7C8"))
    if answer == "9000":
        sam.synchronize()
        assert handle.value
    else:
        with pytest.raises(InvalidSignature, match="traceable"):
            sam.synchronize()
        assert not handle.value
        sam.synchronize()  # it was told


@pytest.mark.parametrize(("value", "right"), [("C1C2C3", True), ("C1C2C4", False)])
def test_a_basic_signature_is_compared_by_the_terminal(
    scripted: type[ScriptedReader], value: str, right: bool
) -> None:
    sam = service(scripted(SELECT, ("801C40000A0102A1A2A3A4A5A6A7A8", "C1C2C3C4C5C6C7C89000")))
    handle = sam.prepare_verify_signature(basic(size_bytes=3), bytes.fromhex(value))
    if right:
        sam.synchronize()
    else:
        with pytest.raises(InvalidSignature, match="basic"):
            sam.synchronize()
    assert handle.value is right


def test_signatures_within_a_session_as_captured(scripted: type[ScriptedReader]) -> None:
    """legacy-sam §12.4: Digest Init comes first, another diversifier does not disturb the digest."""
    reader = scripted(
        ("8084000004", "C1C2C3C49000"),
        SELECT,
        ("808A00FF0A30790304909800307900", "9000"),
        ("802A9E9A10FF2B19E80000A1A2A3A4A5A6A7A8A9AA", "B1B2B3B4B5B6B7B8B9BAC1C2C3C4C5C6C7C89000"),
        ("8014000008000000AABBCCDD11", "9000"),
        ("801C40000A2B19A1A2A3A4A5A6A7A8", "C1C2C3C4C5C6C7C89000"),
        ("808C800009 05 00B2013C01 02 9000", "9000"),
        ("808E000004", "E1E2E3E49000"),
    )
    sam = service(reader)
    sam.init_terminal_secure_session_context().result()
    sam.init_terminal_session_mac(bytes.fromhex("0304909800307900"), 0x30, 0x79)
    sam.update_terminal_session_mac(bytes.fromhex("00B2013C01"))
    sam.prepare_compute_signature(traceable(kif=0x2B, kvc=0x19, trace=SamTrace(0, FULL)))
    sam.prepare_compute_signature(
        basic(kif=0x2B, kvc=0x19, diversifier=bytes.fromhex("AABBCCDD11"))
    )
    sam.synchronize()
    sam.update_terminal_session_mac(b"\x90\x00")
    sam.finalize_terminal_session_mac().result()


def test_a_signature_rides_with_the_next_exchange(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        SELECT,
        ("801C40000A0102A1A2A3A4A5A6A7A8", "C1C2C3C4C5C6C7C89000"),
        ("8084000004", "C1C2C3C49000"),
    )
    channel = CardChannel(reader)
    sam = LegacySamCryptoFactory(channel, LegacySam(ATR)).create_card_transaction(
        CARD, use_extended_mode=False
    )
    handle = sam.prepare_compute_signature(basic())
    sam.init_terminal_secure_session_context().result()
    assert handle.is_done
    assert handle.error is None
    sam.synchronize()
    assert channel.traffic.exchanges == 1


def test_a_revoked_sam_is_told_before_anything_is_sent(scripted: type[ScriptedReader]) -> None:
    asked: list[tuple[str, int]] = []

    def revoked(serial: bytes, counter: int) -> bool:
        asked.append((serial.hex(), counter))
        return True

    data = bytes.fromhex("0000000000001122334400000100")
    signature = traceable(data=data, trace=SamTrace(48, FULL), size_bytes=3)
    sam = service(scripted())
    with pytest.raises(SamRevoked, match="SAM 11223344 is revoked"):
        sam.prepare_verify_signature(signature, b"123", revocation=revoked)
    signature = traceable(data=data, trace=SamTrace(56, TRUNCATED), size_bytes=3)
    with pytest.raises(SamRevoked, match="SAM 223344 is revoked"):
        sam.prepare_verify_signature(signature, b"123", revocation=revoked)
    assert asked == [("11223344", 1), ("223344", 1)]


def test_a_good_sam_is_let_through(scripted: type[ScriptedReader]) -> None:
    signature = traceable(trace=SamTrace(0, TRUNCATED), size_bytes=1)
    sam = service(scripted(SELECT, ("802A00A811FF0102C10000A1A2A3A4A5A6A7A8A9AA31", "9000")))
    sam.prepare_verify_signature(signature, b"1", revocation=lambda _serial, _counter: False)
    sam.synchronize()


def test_a_trace_is_read_at_any_bit() -> None:
    trace = SamTrace(4, TRUNCATED)
    assert trace.read(bytes.fromhex("F1122334455660")) == (bytes.fromhex("112233"), 0x445566)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: basic(data=bytes(7)),
        lambda: basic(data=b""),
        lambda: basic(data=bytes(216)),
        lambda: basic(size_bytes=0),
        lambda: basic(size_bytes=9),
        lambda: basic(diversifier=b""),
        lambda: basic(diversifier=bytes(9)),
        lambda: traceable(data=b""),
        lambda: traceable(data=bytes(209)),
        lambda: traceable(data=bytes(207), trace=SamTrace(0, FULL)),
        lambda: traceable(trace=SamTrace(-1, FULL)),
        lambda: traceable(trace=SamTrace(8 * 10 - 55, FULL)),
        lambda: traceable(trace=SamTrace(8 * 10 - 47, TRUNCATED)),
    ],
)
def test_bad_arguments_are_refused(bad: Any) -> None:  # noqa: ANN401
    with pytest.raises(UsageError):
        bad()


def test_a_trace_may_end_with_the_data() -> None:
    assert traceable(trace=SamTrace(8 * 10 - 56, FULL)).trace is not None
    assert traceable(trace=SamTrace(8 * 10 - 48, TRUNCATED)).trace is not None


@pytest.mark.parametrize(
    ("signature", "options", "complaint"),
    [
        (basic(), {}, r"3 byte\(s\) where 8 were announced"),
        (basic(size_bytes=3), {"revocation": lambda _s, _c: True}, "basic signature has no trace"),
        (traceable(size_bytes=3), {"revocation": lambda _s, _c: True}, "needs a trace"),
    ],
)
def test_bad_verifications_are_refused(
    scripted: type[ScriptedReader],
    signature: BasicSignature | TraceableSignature,
    options: dict[str, Any],
    complaint: str,
) -> None:
    with pytest.raises(UsageError, match=complaint):
        service(scripted()).prepare_verify_signature(signature, b"123", **options)


def test_a_sam_that_refuses_leaves_the_error_in_the_handle(scripted: type[ScriptedReader]) -> None:
    sam = service(scripted(SELECT, ("801C40000A0102A1A2A3A4A5A6A7A8", "6985")))
    handle = sam.prepare_compute_signature(basic())
    with pytest.raises(CryptoModuleError, match="6985"):
        sam.synchronize()
    assert isinstance(handle.error, CryptoModuleError)
    with pytest.raises(CryptoModuleError):
        _ = handle.value


# Busy mode: legacy-sam §5.12


def test_a_busy_sam_is_asked_again_until_it_lets_the_command_through(
    scripted: type[ScriptedReader],
) -> None:
    verify = "802A00A80F FF2B1988 112233 1122334455667788"
    reader = scripted(
        ("801400000411223344", "9000"),
        (verify, "6982"),
        (verify, "6982"),
        (verify, "9000"),
        (verify, "9000"),
        atr=ATR,
    )
    waited: list[float] = []
    transaction = SamFreeTransaction(reader, LegacySam(ATR), wait=waited.append)
    signature = TraceableSignature(data=bytes.fromhex("112233"), kif=0x2B, kvc=0x19)
    value = bytes.fromhex("1122334455667788")
    first = transaction.prepare_verify_signature(signature, value)
    second = transaction.prepare_verify_signature(signature, value)
    transaction.process_commands()
    assert (first.value, second.value) == (True, True)
    assert waited == [0.1, 0.1]
    assert transaction.traffic == (3, 5)


def test_a_sam_that_stays_busy_is_given_up_after_ten_seconds(
    scripted: type[ScriptedReader],
) -> None:
    verify = ("802A00A80F FF2B1988 112233 1122334455667788", "6982")
    reader = scripted(("801400000411223344", "9000"), *[verify] * 101, atr=ATR)
    waited: list[float] = []
    sam = LegacySam(ATR)
    LegacySamCryptoFactory(reader, sam, wait=waited.append)
    transaction = SamFreeTransaction(reader, sam)
    transaction.prepare_verify_signature(
        TraceableSignature(data=bytes.fromhex("112233"), kif=0x2B, kvc=0x19),
        bytes.fromhex("1122334455667788"),
    )
    with pytest.raises(CryptoModuleError, match="6982"):
        transaction.process_commands()
    assert sum(waited) == pytest.approx(10)
