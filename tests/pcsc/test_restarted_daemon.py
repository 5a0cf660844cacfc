"""pcscd killed and started again under load: the card is back, and has lost nothing."""

from __future__ import annotations

import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pcsc_machine import Pcscd
    from tests.pcsc.conftest import Bench

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]

MANY = 300
TIMES_ASKED_MAX = 150
"""The client asks every 20 ms: 3 s. Where the machine is busy, what asks is slowed as what answers is."""
GIVE_UP_S = 120

Process = subprocess.Popen[str]


def test_a_killed_and_restarted_pcscd_gets_the_card_back_with_its_state_whole(
    vpcd_bench: Bench,
    pcscd: Pcscd,
    tell: Callable[[Process], dict[str, Any]],
    ending: Callable[[Process], Process],
) -> None:
    vpcd_bench.until_shown(True, True)
    client = ending(vpcd_bench.client("count_up", vpcd_bench.readers[0]))
    watchdog = threading.Timer(GIVE_UP_S, client.kill)  # a card that stays away ends the reading
    watchdog.start()
    try:
        for _ in range(3):
            counted = [tell(client)["value"] for _ in range(MANY)]
            assert counted == list(range(counted[0], counted[0] + MANY))
            pcscd.kill()
            pcscd.start()
            last, told = counted[-1], tell(client)
            while not told["asked"]:  # answered before the kill
                assert told["value"] == last + 1
                last, told = told["value"], tell(client)
            # The command in flight may have been carried out without its answer coming through.
            assert told["value"] in (last + 1, last + 2)
            assert told["asked"] <= TIMES_ASKED_MAX
    finally:
        watchdog.cancel()
        client.kill()
        client.wait()
    assert vpcd_bench.order("value") >= told["value"]
    vpcd_bench.until_shown(True, True)
