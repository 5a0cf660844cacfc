"""Cards that stay in readers for other programs: what `cardbench up` and `cardbench pcsc` plug in.

A card is named by its preset, with or without its kind before a colon: `bench` is the Calypso card of
that name, `sam:bench` the SAM, `wallet` a Java Card with a Wallet whose PIN is 31323334.

An edge: cards that other programs talk to live in real time.

Source: our choice.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, Self

from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.pcsclite import PcscService
from cardbench.emulator.readers.t0 import T0Slot
from cardbench.emulator.readers.uninterrupted import uninterrupted
from cardbench.emulator.readers.vpcd import PORTS, VpcdLink
from cardbench.protocol.errors import ReaderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
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
    """A clock that runs with the machine's own."""

    __slots__ = ("_ahead_s",)

    def __init__(self) -> None:
        self._ahead_s = -time.monotonic()

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


def find_preset(text: str) -> tuple[CardKind, str]:
    """Return the kind and the preset that a text names.

    Raises:
        UsageError: there is none; the text lists what there is.
    """
    before, colon, after = text.partition(":")
    for kind in KINDS:
        if colon:
            if before == kind.name and after in kind.presets():
                return kind, after
        elif text in kind.presets():
            return kind, text
    known = ", ".join(f"{kind.name}:{preset}" for kind in KINDS for preset in kind.presets())
    raise UsageError(f"no preset {text!r}; there are: {known}")


class Plugged(NamedTuple):
    """A card in a reader.

    Attributes:
        reader_name: what PC/SC programs see.
        kind: the kind of card.
        preset: its preset.
        atr: its answer to reset.
    """

    reader_name: str
    kind: CardKind
    preset: str
    atr: bytes


class PluggedBench:
    """Cards in readers that other programs see; a context manager.

    Args:
        presets: which cards; see `find_preset`.
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
        self._presets = [find_preset(text) for text in presets or DEFAULT_PRESETS]
        self._folder = folder
        self._seed = seed
        self._strict_t0 = strict_t0
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        """Plug everything in.

        Raises:
            UsageError: more cards than readers.
            ReaderError: the socket is busy, or pcscd does not take the cards.
        """
        with uninterrupted():
            try:
                if self._folder is None:
                    self._plug_into_vpcd()
                else:
                    self._serve(self._folder)
            except BaseException:
                self._resources.close()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Pull everything out."""
        with uninterrupted():
            self._resources.close()

    def _slot(self, number: int, kind: CardKind, preset: str) -> tuple[WatchedSlot, bytes]:
        """Return a slot with a new card in it, and the card's answer to reset."""
        entropy = Entropy(f"{self._seed}/{kind.name}/{number}".encode())
        slot = CardSlot(f"cardbench {kind.name}")
        slot.insert(kind.make(preset, entropy, RealClock()))
        atr = slot.power_on()
        slot.power_off()
        return T0Slot(slot) if self._strict_t0 and not kind.is_contactless else slot, atr

    def _serve(self, folder: Path) -> None:
        service = self._resources.enter_context(PcscService(folder))
        self.environment = service.environment
        for number, (kind, preset) in enumerate(self._presets):
            slot, atr = self._slot(number, kind, preset)
            reader = service.add_reader(slot)
            self.plugged.append(Plugged(reader.name, kind, preset, atr))

    def _plug_into_vpcd(self) -> None:
        if len(self._presets) > len(PORTS):
            raise UsageError(
                f"{len(self._presets)} cards are wanted; vpcd has {len(PORTS)} readers: plug in fewer, or "
                f"leave --vpcd away"
            )
        links = []
        for number, (kind, preset) in enumerate(self._presets):
            slot, atr = self._slot(number, kind, preset)
            link = VpcdLink(slot, port=PORTS[number])
            links.append(self._resources.enter_context(link))
            name = VPCD_READER_NAME.format(number=number)
            self.plugged.append(Plugged(name, kind, preset, atr))
        for link, plugged in zip(links, self.plugged, strict=True):
            if not link.wait_until_plugged(PLUG_TIMEOUT_S):
                host, port = link.address
                raise ReaderError(
                    f"{plugged.reader_name}: nobody takes the card on {host}:{port}; start pcscd with vpcd "
                    f"as root (`cardbench doctor` tells what is missing), stop another bench that may "
                    f"hold this reader, or leave --vpcd away"
                )
