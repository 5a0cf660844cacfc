"""The memory under power failures: every cut, every moment, every cut of the recovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.memory_strategies import keys, values

from cardbench.emulator.chassis import Memory, MemoryImage, Moment, Tear
from cardbench.emulator.chassis.memory import TORN, Area, torn_value
from cardbench.protocol.errors import UsageError
from cardbench.protocol.link import PowerLoss

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cardbench.emulator.chassis import Key, Value

Changes = dict["Key", "Value"]

BEFORE: Changes = {
    ("counter",): 1000,
    ("record", 1): bytes.fromhex("00112233445566778899"),
    ("record", 2): b"\x0f",
    ("name",): "old",
    ("pair",): (b"left", 7),
    ("untouched",): b"same",
}
CHANGES: dict[str, Changes] = {
    "one byte": {("record", 2): b"\xf0"},
    "a counter": {("counter",): 999},
    "a new object": {("record", 3): b"fresh"},
    "an erased object": {("record", 1): None},
    "a text": {("name",): "new"},
    "all kinds": {
        ("record", 1): bytes.fromhex("FFEEDDCCBBAA"),
        ("counter",): 0x1_0000,
        ("pair",): (b"right side", 8),
        ("record", 3): b"fresh",
        ("name",): None,
    },
}


class Mirror:
    """A storage that keeps what it is told, to compare."""

    def __init__(self, objects: Mapping[Key, Value]) -> None:
        self.image = MemoryImage(dict(objects), {}, None)

    def load(self) -> MemoryImage:
        return self.image

    def write(self, area: Area, key: Key, value: Value) -> None:
        objects, journal, _ = self.image
        if area is Area.MARK:
            self.image = self.image._replace(mark=value)
        elif area is Area.JOURNAL:
            journal[key[0]] = value  # type: ignore[index]
        elif value is None:
            objects.pop(key, None)
        else:
            objects[key] = value

    def erase_journal(self) -> None:
        self.image = MemoryImage(self.image.objects, {}, None)

    def commit(self, changes: Mapping[Key, Value]) -> None:
        for key, value in changes.items():
            self.write(Area.OBJECTS, key, value)

    def replace(self, image: MemoryImage) -> None:
        objects, journal, mark = image
        self.image = MemoryImage(dict(objects), dict(journal), mark)


def after(changes: Changes) -> Changes:
    merged = {**BEFORE, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def torn_memory(changes: Changes, tear: Tear) -> Memory:
    """Return a memory whose commit was cut, before any recovery."""
    memory = Memory.opened_from(Mirror(BEFORE))
    memory.arm(tear)
    with pytest.raises(PowerLoss):
        memory.commit(changes)
    return memory


def recovery_cuts(torn: MemoryImage) -> Iterator[Memory]:
    """Yield the memory after each way to cut its recovery, until no cut strikes any more."""
    for write in range(100):
        for moment in Moment:
            memory = Memory.opened_from(Mirror({}))
            memory.restore(torn)
            memory.arm(Tear(write, moment))
            try:
                memory.recover()
            except PowerLoss:
                yield memory
            else:
                return


def every_cut(changes: Changes) -> list[Tear]:
    return [Tear(write, moment) for write in range(2 * len(changes) + 2) for moment in Moment]


@pytest.mark.parametrize("name", CHANGES)
def test_every_cut_leaves_the_old_or_the_new_state(name: str) -> None:
    changes = CHANGES[name]
    mark = len(changes)
    for tear in every_cut(changes):
        memory = torn_memory(changes, tear)
        memory.recover()
        is_committed = tear.write > mark or tear == Tear(mark, Moment.AFTER)
        assert memory.objects() == (after(changes) if is_committed else BEFORE), tear
        assert memory.image()[1:] == ({}, None)


@pytest.mark.parametrize("name", CHANGES)
def test_every_cut_of_the_recovery_too_leaves_the_old_or_the_new_state(name: str) -> None:
    changes = CHANGES[name]
    seen = 0
    for tear in every_cut(changes):
        once = torn_memory(changes, tear)
        straight = Memory()
        straight.restore(once.image())
        straight.recover()
        for twice in recovery_cuts(once.image()):
            for thrice in recovery_cuts(twice.image()):
                thrice.recover()
                assert thrice.objects() == straight.objects()
                seen += 1
            twice.recover()
            assert twice.objects() == straight.objects()
            assert twice.image()[1:] == ({}, None)
    assert seen > 3 * len(changes)


def test_a_cut_does_leave_a_mixture_that_recovery_mends() -> None:
    """Without this, the tests above would prove nothing."""
    changes = CHANGES["all kinds"]
    states = [torn_memory(changes, tear).objects() for tear in every_cut(changes)]
    mixed = [state for state in states if state not in (BEFORE, after(changes))]
    assert len(mixed) >= 3 * len(changes) - 3
    assert any(TORN in state.values() for state in mixed)


KEY: Key = ("key",)
OLD, NEW, MIXED = b"oooo", b"nnnn", b"nnoo"
ENTRY: Value = (KEY, NEW)


@pytest.mark.parametrize(
    ("write", "moment", "value", "journal", "mark"),
    [
        (0, Moment.BEFORE, OLD, {}, None),
        (0, Moment.INSIDE, OLD, {0: TORN}, None),
        (0, Moment.AFTER, OLD, {0: ENTRY}, None),
        (1, Moment.BEFORE, OLD, {0: ENTRY}, None),
        (1, Moment.INSIDE, OLD, {0: ENTRY}, TORN),
        (1, Moment.AFTER, OLD, {0: ENTRY}, 1),
        (2, Moment.BEFORE, OLD, {0: ENTRY}, 1),
        (2, Moment.INSIDE, MIXED, {0: ENTRY}, 1),
        (2, Moment.AFTER, NEW, {0: ENTRY}, 1),
        (3, Moment.BEFORE, NEW, {0: ENTRY}, 1),
        (3, Moment.INSIDE, NEW, {0: ENTRY}, TORN),
        (3, Moment.AFTER, NEW, {}, None),
    ],
)
def test_each_cut_leaves_this_behind(
    write: int, moment: Moment, value: bytes, journal: dict[int, Value], mark: Value
) -> None:
    memory = Memory({KEY: OLD})
    memory.arm(Tear(write, moment))
    with pytest.raises(PowerLoss):
        memory.commit({KEY: NEW})
    assert memory.image() == MemoryImage({KEY: value}, journal, mark)
    before = memory.writes
    memory.recover()
    expected = 2 if mark == 1 else int(bool(journal or mark))
    assert memory.writes - before == expected


@pytest.mark.parametrize("name", CHANGES)
def test_a_commit_of_n_objects_offers_2n_plus_2_cuts(name: str) -> None:
    changes = CHANGES[name]
    memory = Memory(BEFORE)
    memory.arm(Tear(2 * len(changes) + 2, Moment.BEFORE))
    memory.commit(changes)
    assert memory.writes == 2 * len(changes) + 2
    assert memory.is_armed
    assert memory.objects() == after(changes)
    with pytest.raises(PowerLoss):
        memory.commit({("next",): 1})
    assert not memory.is_armed


@pytest.mark.parametrize("name", CHANGES)
def test_a_commit_without_a_tear_does_the_same_and_counts_the_same(name: str) -> None:
    journalled, plain = Memory.opened_from(Mirror(BEFORE)), Memory.opened_from(Mirror(BEFORE))
    journalled.arm(Tear(1000, Moment.BEFORE))
    for memory in (journalled, plain):
        memory.commit(CHANGES[name])
    assert journalled.image() == plain.image()
    assert list(journalled) == list(plain)
    assert journalled.writes == plain.writes


def test_nothing_to_commit_writes_nothing() -> None:
    memory = Memory(BEFORE)
    memory.arm(Tear(0, Moment.BEFORE))
    memory.commit({})
    assert memory.writes == 0
    assert memory.is_armed


def test_a_tear_can_be_taken_away() -> None:
    memory = Memory(BEFORE)
    memory.arm(Tear(0, Moment.INSIDE))
    memory.arm(None)
    memory.commit(CHANGES["a counter"])
    assert memory[("counter",)] == 999


def test_a_tear_before_now_is_refused() -> None:
    with pytest.raises(UsageError):
        Memory().arm(Tear(-1, Moment.BEFORE))


@pytest.mark.parametrize("tear", every_cut(CHANGES["all kinds"]))
def test_a_commit_on_a_torn_memory_recovers_it_first(tear: Tear) -> None:
    """Else the journal of the commit before would be applied over the new one at the next power-up."""
    changes = CHANGES["all kinds"]
    memory = torn_memory(changes, tear)
    recovered = Memory()
    recovered.restore(memory.image())
    recovered.recover()
    memory.commit({("counter",): 1})
    memory.recover()
    assert memory.objects() == {**recovered.objects(), ("counter",): 1}


# Against a model, in any order


class Machine(RuleBasedStateMachine):
    """Commits, cuts, cut recoveries, snapshots; `state` is what the card must show after recovery."""

    @initialize()
    def start(self) -> None:
        self.store = Mirror({})
        self.memory = Memory.opened_from(self.store)
        self.state: Changes = {}

    @rule(changes=st.dictionaries(keys, values, max_size=4))
    def commit(self, changes: Changes) -> None:
        self.memory.commit(changes)
        self._apply(changes)

    @rule(
        changes=st.dictionaries(keys, values, min_size=1, max_size=4),
        write=st.integers(0, 9),
        moment=st.sampled_from(Moment),
        again=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(Moment)), max_size=3),
    )
    def commit_with_cuts(
        self,
        changes: Changes,
        write: int,
        moment: Moment,
        again: list[tuple[int, Moment]],
    ) -> None:
        self.memory.arm(Tear(write, moment))
        try:
            self.memory.commit(changes)
        except PowerLoss:
            committed = (write, moment is Moment.AFTER) >= (len(changes), True)
        else:
            committed = True
            self.memory.arm(None)
        for cut in again:
            self.memory.arm(Tear(*cut))
            try:
                self.memory.recover()
            except PowerLoss:
                assert self.store.image == self.memory.image()
        self.memory.arm(None)
        self.memory.recover()
        if committed:
            self._apply(changes)

    @rule()
    def reopen(self) -> None:
        self.memory = Memory.opened_from(self.store)

    @rule(other=st.dictionaries(keys, values.filter(lambda value: value is not None), max_size=3))
    def restore(self, other: Changes) -> None:
        self.memory.restore(MemoryImage(other, {}, None))
        self.state = dict(other)

    def _apply(self, changes: Changes) -> None:
        self.state.update(changes)
        self.state = {key: value for key, value in self.state.items() if value is not None}

    @invariant()
    def shows_the_state(self) -> None:
        assert self.memory.objects() == self.state
        assert self.store.image == self.memory.image()


TestMemoryAgainstAModel = pytest.mark.slow(Machine.TestCase)
TestMemoryAgainstAModel.settings = settings(stateful_step_count=20)


# What a cut leaves of a value


@given(values, values)
def test_a_torn_value_has_the_shape_of_the_new_one(old: Value, new: Value) -> None:
    torn = torn_value(old, new)
    if new is None or isinstance(new, str):
        assert torn == TORN
    else:
        assert type(torn) is type(new)
        if not isinstance(new, int) and not isinstance(torn, int):
            assert len(torn) == len(new)  # type: ignore[arg-type]


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_each_byte_of_a_torn_value_is_old_new_or_erased(old: bytes, new: bytes) -> None:
    torn = torn_value(old, new)
    assert isinstance(torn, bytes)
    if len(new) == 1:
        nibbles = (torn[0] >> 4, torn[0] & 0xF)
        assert nibbles == (new[0] >> 4, old[0] & 0xF if old else 0xF)
        return
    before = old.ljust(len(new), b"\xff")
    assert all(
        torn[at] == (new[at] if at < (len(new) + 1) // 2 else before[at]) for at in range(len(new))
    )


@pytest.mark.parametrize(
    ("old", "new", "torn"),
    [
        (0x1234, 0x5678, 0x5634),
        (0, 0, 0),
        (1, 0, 1),
        (1000, 999, 1000),
        (None, 0xFFFF, 0xFF00),
        (-1, 0x100, 0x10F),
        ((b"ab", 1), (b"cd", 2), (b"cb", 3)),
        (b"x", (b"cd",), (b"c\xff",)),
        ((b"ab",), (None,), (TORN,)),
    ],
)
def test_examples_of_torn_values(old: Value, new: Value, torn: Value) -> None:
    assert torn_value(old, new) == torn
