"""SAM resources: several SAMs, static ones in readers and pooled ones on demand, lent to whoever needs one.

A profile says which SAM is meant; the service lends one that fits, for one user at a time:

    service = SamResourceService([SamResourceProfile(name="validation")], readers=sam_readers)
    with service.resource("validation", timeout_s=2.0) as resource:
        setting = SymmetricSecuritySetting(crypto=resource.crypto)

Static readers are looked at when they are first needed; a SAM that was lost is looked for again. A pool
hands out a reader for a reference, and takes it back.

Thread-safety: every method may be called from any thread. What was lent belongs to one user until it is
given back.

Source: terminal-api §18 (resources of the Legacy SAM API); the lending rule (the one that has rested
longest) is our choice.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cardbench.protocol.errors import ReaderError, ReaderTimeout, UsageError
from cardbench.terminal.card.channel import CardChannel
from cardbench.terminal.legacy_sam.crypto_service import LegacySamCryptoFactory
from cardbench.terminal.legacy_sam.sam import LegacySam, SamProductType
from cardbench.terminal.legacy_sam.selection import ANY_SERIAL, LegacySamSelection, sam_selector
from cardbench.terminal.selection.manager import CardSelectionManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cardbench.terminal.readers.reader import Reader


class SamPool(Protocol):
    """Somebody who hands out SAMs on demand, such as a server of HSMs."""

    def allocate(self, reference: str) -> Reader | None:
        """Return the reader of a free SAM of a group; None: there is none now."""
        ...

    def release(self, reader: Reader) -> None:
        """Take a reader back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SamResourceProfile:
    """Which SAM is meant.

    Attributes:
        name: what users ask for; also the reference for pools.
        product_type: kind of SAM.
        serial: regular expression for its serial number in upper-case hex.
        reader_name: regular expression for the whole name of its reader.
        selection: makes the selection extension, for a reader: for SAMs that are unlocked.
    """

    name: str
    product_type: SamProductType = SamProductType.SAM_C1
    serial: str = ANY_SERIAL
    reader_name: str = ".*"
    selection: Callable[[CardChannel], LegacySamSelection] = field(
        default=lambda _channel: LegacySamSelection()
    )


class SamResource:
    """A SAM that was lent.

    Attributes:
        channel: the way to it.
        sam: its image.
        crypto: the crypto module that it is.
    """

    def __init__(self, channel: CardChannel, sam: LegacySam, pool: SamPool | None) -> None:
        self.channel = channel
        self.sam = sam
        self.crypto = LegacySamCryptoFactory(channel, sam)
        self.pool = pool

    def __repr__(self) -> str:
        return f"<SamResource {self.channel.name}: {self.sam.product_info}>"


class _Place:
    """A static reader, and the SAM that was found in it."""

    def __init__(self, reader: Reader) -> None:
        self.channel = CardChannel.over(reader)
        self.resource: SamResource | None = None
        self.is_lent = False
        self.rested_since = 0


class SamResourceService:
    """Lends SAMs.

    Args:
        profiles: what can be asked for.
        readers: static readers.
        pools: asked when no static SAM is free.

    Raises:
        UsageError: two profiles of one name.
    """

    def __init__(
        self,
        profiles: Sequence[SamResourceProfile],
        *,
        readers: Sequence[Reader] = (),
        pools: Sequence[SamPool] = (),
    ) -> None:
        self._profiles = {profile.name: profile for profile in profiles}
        if len(self._profiles) != len(profiles):
            raise UsageError("two profiles have the same name")
        self._places = [_Place(reader) for reader in readers]
        self._pools = tuple(pools)
        self._freed = threading.Condition()
        self._clock = 0

    @contextmanager
    def resource(self, profile: str, *, timeout_s: float = 0.0) -> Iterator[SamResource]:
        """Lend a SAM for a `with` block. Arguments and errors as for `get`."""
        resource = self.get(profile, timeout_s=timeout_s)
        try:
            yield resource
        finally:
            self.release(resource)

    def get(self, profile: str, *, timeout_s: float = 0.0) -> SamResource:
        """Lend a SAM; wait for one that is lent, if need be.

        Raises:
            UsageError: no such profile.
            ReaderTimeout: no SAM was free in time.
        """
        wanted = self._profiles.get(profile)
        if wanted is None:
            known = ", ".join(sorted(self._profiles)) or "none"
            raise UsageError(f"no SAM profile {profile!r}; there are: {known}")
        end_s = time.monotonic() + timeout_s
        with self._freed:
            while True:
                resource = self._lend(wanted)
                if resource is not None:
                    return resource
                if not self._freed.wait(max(0.0, end_s - time.monotonic())):
                    raise ReaderTimeout(f"no SAM of profile {profile!r} was free in time")

    def release(self, resource: SamResource) -> None:
        """Give a SAM back; harmless when it was given back before."""
        with self._freed:
            if resource.pool is not None:
                pool, resource.pool = resource.pool, None
                self._close(resource.channel)
                pool.release(resource.channel.reader)
            for place in self._places:
                if place.resource is resource and place.is_lent:
                    self._clock += 1
                    place.rested_since = self._clock
                    place.is_lent = False
            self._freed.notify_all()

    def _lend(self, profile: SamResourceProfile) -> SamResource | None:
        """Lend the static SAM that has rested longest, or one of a pool."""
        for place in sorted(self._places, key=lambda place: place.rested_since):
            if place.is_lent or not re.fullmatch(profile.reader_name, place.channel.name):
                continue
            resource = place.resource
            if resource is None or not resource.channel.is_open or not _fits(profile, resource.sam):
                resource = self._find(profile, place.channel, None)
            if resource is not None:
                place.resource = resource
                place.is_lent = True
                return resource
        for pool in self._pools:
            reader = pool.allocate(profile.name)
            if reader is not None:
                resource = self._find(profile, CardChannel.over(reader), pool)
                if resource is not None:
                    return resource
                pool.release(reader)
        return None

    def _find(
        self, profile: SamResourceProfile, channel: CardChannel, pool: SamPool | None
    ) -> SamResource | None:
        """Look whether the SAM that is meant is in a reader."""
        manager = CardSelectionManager()
        manager.prepare_selection(
            sam_selector(profile.product_type, serial=profile.serial), profile.selection(channel)
        )
        try:
            sam = manager.process(channel).active_smart_card
        except ReaderError:
            return None
        if not isinstance(sam, LegacySam):
            return None
        return SamResource(channel, sam, pool)

    @staticmethod
    def _close(channel: CardChannel) -> None:
        if channel.is_open:
            channel.close()


def _fits(profile: SamResourceProfile, sam: LegacySam) -> bool:
    selector = sam_selector(profile.product_type, serial=profile.serial)
    return selector.accepts_power_on_data(sam.power_on_data)
