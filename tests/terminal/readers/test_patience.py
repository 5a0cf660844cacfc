"""Waiting for a card that another program has, over a PC/SC of pure Python."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from cardbench.protocol.pcsc import Disposition, ReturnCode
from cardbench.terminal.readers import patience, pcsc
from cardbench.terminal.readers.patience import interruptible
from cardbench.terminal.readers.pcsc import PcscReader

BUSY = ReturnCode.SHARING_VIOLATION - (1 << 32)  # signed, as pyscard gives it


class FakeScard:
    """One reader, whose card another program has for as many calls as `busy` says."""

    SCARD_PCI_T0, SCARD_PCI_T1 = "T=0", "T=1"

    def __init__(self) -> None:
        self.busy = 0
        self.left: list[int] = []
        self.released: list[int] = []
        self.contexts = 0
        self.on_connect = lambda: None

    def _code(self) -> int:
        self.busy -= 1
        return BUSY if self.busy >= 0 else 0

    def SCardEstablishContext(self, _scope: int) -> tuple[int, int]:  # noqa: N802 - PC/SC's name
        self.contexts += 1
        return 0, self.contexts

    def SCardReleaseContext(self, context: int) -> int:  # noqa: N802
        self.released.append(context)
        return 0

    def SCardListReaders(self, _context: int, _groups: list[str]) -> tuple[int, list[str]]:  # noqa: N802
        return 0, ["Fake 00 00"]

    def SCardConnect(self, *_: Any) -> tuple[int, int, int]:  # noqa: N802, ANN401
        self.on_connect()
        return 0, 7, 2

    def SCardStatus(self, _card: int) -> tuple[Any, ...]:  # noqa: N802
        return self._code(), "Fake 00 00", 0, 2, [0x3B, 0x00]

    def SCardTransmit(self, _card: int, _pci: str, command: list[int]) -> tuple[int, list[int]]:  # noqa: N802
        code = self._code()
        return code, [] if code else [*command, 0x90, 0x00]

    def SCardReconnect(self, *_: Any) -> tuple[int, int]:  # noqa: N802, ANN401
        return self._code(), 2

    def SCardDisconnect(self, _card: int, disposition: int) -> int:  # noqa: N802
        self.left.append(disposition)
        return 0


@pytest.fixture
def scard(monkeypatch: pytest.MonkeyPatch) -> FakeScard:
    fake = FakeScard()
    monkeypatch.setattr(pcsc, "import_module", lambda _name: fake)
    return fake


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", waits.append)
    return waits


def test_a_command_waits_until_the_card_is_free(scard: FakeScard, waits: list[float]) -> None:
    reader = PcscReader("Fake")
    reader.connect()
    scard.busy = 3
    assert reader.transmit(b"\1\2\3\4").hex() == "010203049000"
    scard.busy = 2
    assert reader.reset().hex() == "3b00"
    scard.busy = 1
    assert reader.connect().hex() == "3b00"
    assert waits == [0.1] * 5


def test_a_card_that_another_program_has_keeps_its_power(scard: FakeScard) -> None:
    reader = PcscReader("Fake")
    for busy, disposition in ((0, Disposition.UNPOWER), (1, Disposition.LEAVE)):
        reader.connect()
        scard.busy = busy
        reader.disconnect()
        assert scard.left.pop() == disposition


def test_a_connection_that_waits_hears_a_signal(
    scard: FakeScard, stopping_signal: type[BaseException]
) -> None:
    card_is_free = threading.Event()

    def wait() -> None:
        # To this thread, so that it does not wake the main one: as a signal just before that waits.
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        card_is_free.wait()

    scard.on_connect = wait
    reader = PcscReader("Fake")
    with pytest.raises(stopping_signal):
        reader.connect()
    reader.close()
    assert scard.released == []  # the call that goes on has the context
    card_is_free.set()
    scard.on_connect = lambda: None
    assert reader.connect().hex() == "3b00"
    assert scard.contexts == 2


def test_what_a_call_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0)


def test_other_threads_make_their_calls_themselves() -> None:
    found: list[str] = []

    def call() -> None:
        interruptible(lambda: found.append(threading.current_thread().name))

    thread = threading.Thread(target=call, name="worker")
    thread.start()
    thread.join()
    assert found == ["worker"]
