"""Randomness and time, handed in: the same seed gives the same bytes.

Source: our choice (DESIGN idea 2). A card never draws from the operating system by itself; the bench
seeds it, from `os.urandom` where nobody asks for a seed.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from cardbench.protocol.errors import UsageError


class EntropyState(NamedTuple):
    """All there is to a generator: its seed and how many blocks were drawn."""

    seed: bytes
    blocks: int


class Entropy:
    """A deterministic generator of random bytes: SHA-256 over seed and block number.

    Args:
        seed: any bytes; equal seeds give equal streams.
    """

    __slots__ = ("_blocks", "_seed")

    def __init__(self, seed: bytes) -> None:
        self._seed = bytes(seed)
        self._blocks = 0

    def draw(self, count: int) -> bytes:
        """Return `count` fresh bytes."""
        drawn = b""
        while len(drawn) < count:
            drawn += hashlib.sha256(self._seed + self._blocks.to_bytes(8)).digest()
            self._blocks += 1
        return drawn[:count]

    @property
    def state(self) -> EntropyState:
        """The state, to be kept in a snapshot."""
        return EntropyState(self._seed, self._blocks)

    @state.setter
    def state(self, state: EntropyState) -> None:
        self._seed, self._blocks = state


class Clock:
    """A virtual clock: seconds since it was made, moved only by its owner.

    Args:
        now_s: where it starts.
    """

    __slots__ = ("now_s",)

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            UsageError: time would run backwards.
        """
        if seconds < 0:
            raise UsageError(f"{seconds} s: time does not run backwards")
        self.now_s += seconds
