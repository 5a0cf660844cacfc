"""Randomness and time, handed in."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.emulator.chassis import Clock, Entropy, EntropyState
from cardbench.protocol.errors import UsageError

seeds = st.binary(max_size=40)
draws = st.lists(st.integers(0, 100), max_size=6)


@given(seeds, draws)
def test_the_same_seed_gives_the_same_bytes(seed: bytes, counts: list[int]) -> None:
    one, other = Entropy(seed), Entropy(seed)
    drawn = [one.draw(count) for count in counts]
    assert drawn == [other.draw(count) for count in counts]
    assert [len(part) for part in drawn] == counts


@given(seeds, draws, draws)
def test_a_state_goes_on_where_it_was_taken(
    seed: bytes, before: list[int], after: list[int]
) -> None:
    source, twin = Entropy(seed), Entropy(b"another")
    for count in before:
        source.draw(count)
    twin.state = source.state
    assert [twin.draw(count) for count in after] == [source.draw(count) for count in after]


@given(seeds)
def test_nothing_is_drawn_twice(seed: bytes) -> None:
    source = Entropy(seed)
    drawn = [source.draw(count) for count in (8, 8, 32, 4, 33, 8)]
    assert len({part[:4] for part in drawn}) == len(drawn)


@given(seeds, seeds)
def test_other_seeds_give_other_bytes(one: bytes, other: bytes) -> None:
    assert (Entropy(one).draw(32) == Entropy(other).draw(32)) is (one == other)


def test_the_stream_is_sha_256_over_seed_and_block_number() -> None:
    """Pinned, so that a seed gives the same trace in every version."""
    source = Entropy(b"seed")
    expected = b"".join(hashlib.sha256(b"seed" + bytes(7) + bytes((n,))).digest() for n in (0, 1))
    assert source.draw(40) == expected[:40]
    assert source.state == EntropyState(b"seed", 2)


def test_bits_are_even() -> None:
    drawn = Entropy(b"statistics").draw(40_000)
    ones = sum(byte.bit_count() for byte in drawn)
    assert abs(ones - 160_000) < 5 * 283  # five standard deviations of 320,000 fair bits


def test_a_seed_handed_over_as_a_buffer_is_copied() -> None:
    buffer = bytearray(b"seed")
    source = Entropy(bytes(buffer))
    buffer[0] = 0
    assert source.state.seed == b"seed"


def test_time_passes_when_its_owner_says_so() -> None:
    clock = Clock(10.0)
    clock.advance(0.25)
    clock.advance(0)
    assert clock.now_s == 10.25


def test_time_does_not_run_backwards() -> None:
    clock = Clock()
    with pytest.raises(UsageError):
        clock.advance(-0.1)
    assert clock.now_s == 0.0
