"""SAM resources: lent, waited for, given back; static and pooled."""

from __future__ import annotations

import threading

import pytest

from cardbench.protocol.errors import CardNotPresent, ReaderTimeout, UsageError
from cardbench.terminal.legacy_sam import (
    LegacySamSelection,
    SamProductType,
    SamResourceProfile,
    SamResourceService,
)
from cardbench.terminal.readers import Reader, ScriptedReader

SOON_S = 5.0


def sam_reader(serial: str, name: str, subtype: str = "C1") -> ScriptedReader:
    return ScriptedReader(
        atr=bytes.fromhex(f"3B3F9600805A4880{subtype}205017{serial}829000"), name=name
    )


class Pool:
    """Hands out one reader at a time."""

    def __init__(self, *readers: Reader) -> None:
        self.free = list(readers)
        self.asked: list[str] = []

    def allocate(self, reference: str) -> Reader | None:
        self.asked.append(reference)
        return self.free.pop(0) if self.free else None

    def release(self, reader: Reader) -> None:
        self.free.append(reader)


def service(*readers: Reader, pool: Pool | None = None, **profile: str) -> SamResourceService:
    profiles = [SamResourceProfile(name="debit", **profile)]  # type: ignore[arg-type]
    return SamResourceService(profiles, readers=readers, pools=(pool,) if pool else ())


def test_a_sam_is_lent_to_one_at_a_time() -> None:
    sams = service(sam_reader("11111111", "left"), sam_reader("22222222", "right"))
    first, second = sams.get("debit"), sams.get("debit")
    assert {first.channel.name, second.channel.name} == {"left", "right"}
    with pytest.raises(ReaderTimeout, match="no SAM of profile 'debit' was free in time"):
        sams.get("debit")
    sams.release(first)
    sams.release(first)
    assert sams.get("debit") is first
    assert repr(first) == "<SamResource left: Type: SAM_C1, S/N: 11111111>"


def test_the_sam_that_has_rested_longest_is_next() -> None:
    sams = service(sam_reader("11111111", "left"), sam_reader("22222222", "right"))
    used = []
    for _ in range(4):
        with sams.resource("debit") as resource:
            used.append(resource.channel.name)
    assert used == ["left", "right", "left", "right"]


def test_somebody_who_waits_gets_it_when_it_is_given_back() -> None:
    sams = service(sam_reader("11111111", "only"))
    lent = sams.get("debit")
    got = threading.Event()

    def wait() -> None:
        with sams.resource("debit", timeout_s=SOON_S):
            got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not got.is_set()
    sams.release(lent)
    thread.join(SOON_S)
    assert got.is_set()


@pytest.mark.parametrize(
    "profile",
    [
        {"serial": "2222...."},
        {"reader_name": "ri.*"},
    ],
)
def test_a_profile_says_which_sam_is_meant(profile: dict[str, str]) -> None:
    sams = service(sam_reader("11111111", "left"), sam_reader("22222222", "right"), **profile)
    assert sams.get("debit").sam.serial.hex() == "22222222"
    with pytest.raises(ReaderTimeout):
        sams.get("debit")


def test_two_profiles_share_the_readers() -> None:
    sams = SamResourceService(
        [
            SamResourceProfile(name="c1"),
            SamResourceProfile(name="e1", product_type=SamProductType.SAM_S1E1),
        ],
        readers=[sam_reader("11111111", "left"), sam_reader("22222222", "right", "E1")],
    )
    with sams.resource("e1") as resource:
        assert resource.channel.name == "right"
    with sams.resource("c1") as resource:
        assert resource.channel.name == "left"
    # What was found for one profile does not serve the other.
    with pytest.raises(ReaderTimeout), sams.resource("c1"):
        sams.get("c1")


def test_a_sam_that_was_lost_is_looked_for_again() -> None:
    reader = sam_reader("11111111", "only")
    sams = service(reader)
    with sams.resource("debit") as first:
        first.channel.close()
    with sams.resource("debit") as second:
        assert second is not first
        assert reader.connections == 2


def test_an_empty_reader_is_no_resource() -> None:
    sams = service(ScriptedReader(atr=None), ScriptedReader())
    with pytest.raises(ReaderTimeout):
        sams.get("debit")


def test_a_pool_is_asked_when_no_static_sam_is_free() -> None:
    pool = Pool(sam_reader("33333333", "pooled"))
    sams = service(sam_reader("11111111", "static"), pool=pool)
    first, second = sams.get("debit"), sams.get("debit")
    assert [first.channel.name, second.channel.name] == ["static", "pooled"]
    assert pool.asked == ["debit"]
    with pytest.raises(ReaderTimeout):
        sams.get("debit")
    sams.release(second)
    assert [reader.name for reader in pool.free] == ["pooled"]
    sams.release(second)
    assert len(pool.free) == 1


def test_a_pooled_reader_without_the_sam_goes_back() -> None:
    pool = Pool(ScriptedReader(name="pooled"))
    with pytest.raises(ReaderTimeout):
        service(pool=pool).get("debit")
    assert len(pool.free) == 1


def test_a_resource_is_given_back_after_an_error() -> None:
    sams = service(sam_reader("11111111", "only"))
    with pytest.raises(CardNotPresent), sams.resource("debit"):
        raise CardNotPresent("in the middle of the work")
    assert sams.get("debit") is not None


def test_a_profile_may_bring_its_own_selection() -> None:
    seen = []

    def selection(channel: object) -> LegacySamSelection:
        seen.append(channel)
        return LegacySamSelection()

    profiles = [SamResourceProfile(name="debit", selection=selection)]
    SamResourceService(profiles, readers=[sam_reader("11111111", "only")]).get("debit")
    assert len(seen) == 1


def test_unknown_and_double_profiles_are_refused() -> None:
    with pytest.raises(UsageError, match="no SAM profile 'load'; there are: debit"):
        service().get("load")
    profile = SamResourceProfile(name="debit")
    with pytest.raises(UsageError, match="same name"):
        SamResourceService([profile, profile])
