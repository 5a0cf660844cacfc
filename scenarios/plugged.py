"""Cards that stay in readers for other programs: what `cardbench up` and `cardbench pcsc` plug in.

A card is named by its preset, with or without its kind before a colon: `bench` is the Calypso card of
that name, `sam:bench` the SAM, `wallet` a Java Card with a Wallet whose PIN is 31323334. The name of a
card file is the card in it, which lives on there.

An edge: cards that other programs talk to live in real time.

Source: our choice.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.pcsclite import PcscService
from cardbench.emulator.readers.t0 import T0Slot
from cardbench.emulator.readers.uninterrupted import uninterrupted
from cardbench.emulator.readers.vpcd import PORTS, VpcdLink
from cardbench.emulator.storage import CardFile
from cardbench.protocol.errors import ReaderError, UsageError
from cardbench.scenarios.card_files import CALYPSO, SAM, card_in, family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from cardbench.emulator.readers.in_process import WatchedSlot
    from cardbench.protocol.link import Card

DEFAULT_PRESETS = ("card:bench", "sam:bench")
WALLET = "wallet"
WALLET_PIN = b"1234"
"""The PIN of the published example session, which the story `wallet` presents too."""
PLUG_TIMEOUT_S = 5.0
VPCD_READER_NAME = "Virtual PCD 00 {number:02X}"


class RealClock(Clock):
    """A clock that runs with the machine's own.

    Args:
        now_s: where it starts.
    """

    __slots__ = ("_ahead_s",)

    def __init__(self, now_s: float = 0.0) -> None:
        self._ahead_s = now_s - time.monotonic()

    @property
    def now_s(self) -> float:
        """Seconds since the clock was made, plus those it was set ahead."""
        return time.monotonic() + self._ahead_s

    @now_s.setter
    def now_s(self, value: float) -> None:
        self._ahead_s = value - time.monotonic()


class CardKind(NamedTuple):
    """A kind of card that can be plugged in.

    Attributes:
        name: what stands before the colon, and in the reader's name.
        is_contactless: how it is reached.
        presets: names the presets.
        make: makes a card of a preset.
    """

    name: str
    is_contactless: bool
    presets: Callable[[], Sequence[str]]
    make: Callable[[str, Entropy, Clock], Card]


def _calypso_presets() -> Sequence[str]:
    from cardbench.emulator.calypso.personalisation import preset_names  # noqa: PLC0415 - slow to load

    return preset_names()


def _calypso_card(preset: str, entropy: Entropy, clock: Clock) -> Card:
    from cardbench.emulator.calypso import new_card  # noqa: PLC0415 - slow to load

    return new_card(preset, entropy=entropy, clock=clock)


def _sam_presets() -> Sequence[str]:
    from cardbench.sam_emulator.personalisation import presets  # noqa: PLC0415 - slow to load

    return presets()


def _sam(preset: str, entropy: Entropy, clock: Clock) -> Card:
    from cardbench.sam_emulator import new_sam  # noqa: PLC0415 - slow to load

    return new_sam(preset, entropy=entropy, clock=clock)


def _java_card_presets() -> Sequence[str]:
    return (WALLET,)


def _java_card(preset: str, entropy: Entropy, clock: Clock) -> Card:
    from cardbench.emulator.applets.wallet import wallet_card  # noqa: PLC0415 - slow to load

    assert preset == WALLET
    return wallet_card(WALLET_PIN, entropy=entropy, clock=clock)


KINDS: tuple[CardKind, ...] = (
    CardKind("card", True, _calypso_presets, _calypso_card),
    CardKind("sam", False, _sam_presets, _sam),
    CardKind("javacard", False, _java_card_presets, _java_card),
)


KIND_OF_FAMILY = {CALYPSO: KINDS[0], SAM: KINDS[1]}
"""The kind of the card in a file, by the file's family."""


class Wanted(NamedTuple):
    """A card that is to be plugged in.

    Attributes:
        kind: the kind of card.
        preset: its preset, or the name of its file.
        path: its file; None: it is made afresh.
    """

    kind: CardKind
    preset: str
    path: Path | None = None


def find_card(text: str) -> Wanted:
    """Return the card that a text names: a preset, or a card file where no preset has that name.

    Raises:
        UsageError: there is neither; the text lists the presets.
        StorageError: see `CardFile.open`.
    """
    before, colon, after = text.partition(":")
    for kind in KINDS:
        if colon:
            if before == kind.name and after in kind.presets():
                return Wanted(kind, after)
        elif text in kind.presets():
            return Wanted(kind, text)
    path = Path(text)
    if path.is_file():
        return Wanted(KIND_OF_FAMILY[family_of(path)], text, path)
    known = ", ".join(f"{kind.name}:{preset}" for kind in KINDS for preset in kind.presets())
    raise UsageError(f"no preset and no card file {text!r}; presets are: {known}")


class Plugged(NamedTuple):
    """A card in a reader.

    Attributes:
        reader_name: what PC/SC programs see.
        kind: the kind of card.
        preset: its preset, or the name of its file.
        atr: its answer to reset.
    """

    reader_name: str
    kind: CardKind
    preset: str
    atr: bytes


class PluggedBench:
    """Cards in readers that other programs see; a context manager.

    Args:
        presets: which cards; see `find_card`.
        folder: where the socket of the rootless service is made; None: plug into pcscd through vpcd.
        seed: where all randomness comes from.
        strict_t0: cards with contacts carry T=0 alone, strictly.

    Attributes:
        plugged: what is in which reader.
        environment: what a PC/SC program needs in its environment to see it.
    """

    def __init__(
        self,
        presets: Sequence[str],
        *,
        folder: Path | None,
        seed: int,
        strict_t0: bool = False,
    ) -> None:
        self.plugged: list[Plugged] = []
        self.environment: dict[str, str] = {}
        self._wanted = [find_card(text) for text in presets or DEFAULT_PRESETS]
        self._folder = folder
        self._seed = seed
        self._strict_t0 = strict_t0
        self._links: list[VpcdLink] = []
        self._resources = ExitStack()
        self._files = self._resources.enter_context(ExitStack())  # closed when all cards are out

    def __enter__(self) -> Self:
        """Plug everything in.

        Raises:
            UsageError: more cards than readers.
            StorageError: a card file is in use, or damaged.
            ReaderError: the socket is busy, or pcscd does not take the cards.
        """
        try:
            with uninterrupted():
                if self._folder is None:
                    self._plug_into_vpcd()
                else:
                    self._serve(self._folder)
            self._wait_for_pcscd()
        except BaseException:  # a signal that was held back comes when the section ends
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Pull everything out."""
        self._close()

    def _close(self) -> None:
        with uninterrupted():
            self._resources.close()

    def _slot(self, number: int, wanted: Wanted) -> tuple[WatchedSlot, bytes]:
        """Return a slot with the card in it, and the card's answer to reset."""
        kind = wanted.kind
        slot = CardSlot(f"cardbench {kind.name}")
        slot.insert(self._card(number, wanted))
        atr = slot.power_on()
        slot.power_off()
        return T0Slot(slot) if self._strict_t0 and not kind.is_contactless else slot, atr

    def _card(self, number: int, wanted: Wanted) -> Card:
        if wanted.path is None:
            entropy = Entropy(f"{self._seed}/{wanted.kind.name}/{number}".encode())
            return wanted.kind.make(wanted.preset, entropy, RealClock())
        file = self._files.enter_context(CardFile.open(wanted.path))
        return card_in(file, RealClock(file.clock.now_s))

    def _serve(self, folder: Path) -> None:
        service = PcscService(folder)
        self._resources.callback(service.stop)
        service.start()
        self.environment = service.environment
        for number, wanted in enumerate(self._wanted):
            slot, atr = self._slot(number, wanted)
            reader = service.add_reader(slot)
            self.plugged.append(Plugged(reader.name, wanted.kind, wanted.preset, atr))

    def _plug_into_vpcd(self) -> None:
        if len(self._wanted) > len(PORTS):
            raise UsageError(
                f"{len(self._wanted)} cards are wanted; vpcd has {len(PORTS)} readers: plug in fewer, or "
                f"leave --vpcd away"
            )
        for number, wanted in enumerate(self._wanted):
            slot, atr = self._slot(number, wanted)
            link = VpcdLink(slot, port=PORTS[number])
            self._links.append(link)
            self._resources.callback(link.stop)
            link.start()
            name = VPCD_READER_NAME.format(number=number)
            self.plugged.append(Plugged(name, wanted.kind, wanted.preset, atr))

    def _wait_for_pcscd(self) -> None:
        for link, plugged in zip(self._links, self.plugged, strict=False):
            if not link.wait_until_plugged(PLUG_TIMEOUT_S):
                host, port = link.address
                raise ReaderError(
                    f"{plugged.reader_name}: nobody takes the card on {host}:{port}; start pcscd with vpcd "
                    f"as root (`cardbench doctor` tells what is missing), stop another bench that may "
                    f"hold this reader, or leave --vpcd away"
                )
