"""What an outside terminal was asked for in the recorded sessions with a SAM alone, asked of our terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.errors import CryptoModuleError
from cardbench.terminal.legacy_sam import (
    BasicSignature,
    LegacySam,
    LegacySamSelection,
    SamFreeTransaction,
    SamProductType,
    SamTrace,
    SamTraceabilityMode,
    TraceableSignature,
    sam_selector,
)
from cardbench.terminal.selection import CardSelectionManager

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.terminal.card import CardChannel

    Signature = BasicSignature | TraceableSignature

DATA = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
BASIC_KEY, TRACEABLE_KEY = (0xEC, 0x85), (0x2B, 0x19)


def select(channel: CardChannel, extension: LegacySamSelection | None = None) -> LegacySam:
    manager = CardSelectionManager()
    selector = sam_selector(SamProductType.SAM_C1)
    manager.prepare_selection(selector, extension or LegacySamSelection())
    sam = manager.process(channel).active_smart_card
    assert isinstance(sam, LegacySam)
    return sam


def basic(data: bytes, size: int) -> BasicSignature:
    kif, kvc = BASIC_KEY
    return BasicSignature(data=data, kif=kif, kvc=kvc, size_bytes=size)


def unlock(channel: CardChannel) -> None:
    def sign(sam: LegacySam) -> None:
        transaction = SamFreeTransaction(channel, sam)
        transaction.prepare_compute_signature(basic(DATA[:8], 8))
        transaction.process_commands()

    sam = select(channel)
    with pytest.raises(CryptoModuleError):
        sign(sam)
    sign(select(channel, LegacySamSelection(unlock_data=DATA)))


def signatures(channel: CardChannel) -> None:
    sam = select(channel)

    def sign_and_verify(what: Callable[[bytes], Signature], data: bytes) -> None:
        signing = SamFreeTransaction(channel, sam)
        made = signing.prepare_compute_signature(what(data))
        signing.process_commands()
        verifying = SamFreeTransaction(channel, sam)
        signed = made.value
        right = verifying.prepare_verify_signature(what(signed.data), signed.signature)
        verifying.process_commands()
        assert right.value

    def traced(mode: SamTraceabilityMode, bit: int, *, busy: bool) -> Callable[[bytes], Signature]:
        kif, kvc = TRACEABLE_KEY
        trace = SamTrace(bit, mode)
        return lambda data: TraceableSignature(
            data=data, kif=kif, kvc=kvc, size_bytes=5, trace=trace, busy_mode=busy
        )

    def untraced(data: bytes) -> Signature:
        kif, kvc = TRACEABLE_KEY
        diversifier = bytes.fromhex("0000000099887766")
        return TraceableSignature(data=data, kif=kif, kvc=kvc, diversifier=diversifier)

    sign_and_verify(lambda data: basic(data, 3), DATA)
    sign_and_verify(lambda data: basic(data, 8), DATA)
    for mode in (
        SamTraceabilityMode.FULL_SERIAL_NUMBER,
        SamTraceabilityMode.TRUNCATED_SERIAL_NUMBER,
    ):
        for busy in (True, False):
            for bit in (0, 3):
                sign_and_verify(traced(mode, bit, busy=busy), DATA)
    sign_and_verify(untraced, b"\1\2")


SAM_PLAYED: dict[str, Callable[[CardChannel], None]] = {
    "a locked SAM is unlocked": unlock,
    "basic and traceable signatures, made and verified": signatures,
}
