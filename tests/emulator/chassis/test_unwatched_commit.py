"""A commit that nothing can cut and nobody watches ends as the physical writes would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cardbench.emulator.chassis import Memory, Moment, Tear

KEYS = st.tuples(st.sampled_from("abc"))
VALUES = st.none() | st.integers() | st.binary(max_size=4)
CHANGES = st.dictionaries(KEYS, VALUES, max_size=3)
FAR_AWAY = Tear(1000, Moment.BEFORE)


@given(st.lists(CHANGES, max_size=5))
def test_a_commit_without_a_tear_ends_as_one_that_a_tear_could_have_cut(
    commits: list[dict[tuple[str], int | bytes | None]],
) -> None:
    plain, watched = Memory(), Memory()
    watched.arm(FAR_AWAY)
    for changes in commits:
        plain.commit(changes)  # type: ignore[arg-type]  # keys of one part are keys
        watched.commit(changes)  # type: ignore[arg-type]
    assert plain.image() == watched.image()
    assert plain.writes == watched.writes
