"""vpcd in its other form: it calls the card, and listens nowhere."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from pcsc_machine import VPCD_DRIVER

from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.vpcd import VpcdLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pcsc_machine import Pcscd
    from support.scripted_card import ScriptedCard
    from tests.pcsc.conftest import User

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]

PORT = 0x8C80
CONFIGURATION = f"""\
FRIENDLYNAME "Calling PCD"
DEVICENAME   localhost:{PORT:#x}
LIBPATH      {VPCD_DRIVER}
CHANNELID    {PORT:#x}
"""


@pytest.fixture
def links(
    pcscd: Pcscd, tmp_path: Path, new_card: type[ScriptedCard]
) -> Iterator[tuple[VpcdLink, ...]]:
    """Cards on both ports, and a pcscd whose vpcd calls them.

    Debian's vpcd brings pcscd down when it calls and nobody is there: so the cards are there first, and
    leave last.
    """
    (tmp_path / "vpcd").write_text(CONFIGURATION)
    pcscd.stop()
    with ExitStack() as stack:
        made = []
        for port in (PORT, PORT + 1):
            slot = CardSlot(f"called on {port}")
            slot.insert(new_card())
            made.append(stack.enter_context(VpcdLink(slot, port=port, listen=True)))
        pcscd.start(tmp_path)
        yield tuple(made)
        pcscd.stop()
    pcscd.start()


def test_cards_that_listen_are_called_by_vpcd(
    links: tuple[VpcdLink, ...], myself: User, need: Callable[..., None]
) -> None:
    need("pyscard")
    assert all(link.wait_until_plugged(30) for link in links)
    shown: list[dict[str, object]] = []
    for _ in range(50):  # pcscd has asked for the ATRs; it shows the cards a moment later
        done = myself.run(myself.python, "-m", "cardbench", "readers", "--json")
        shown = json.loads(done.stdout)["readers"]
        if [reader["is_present"] for reader in shown] == [True, True]:
            break
    assert [reader["name"] for reader in shown] == ["Calling PCD 00 00", "Calling PCD 00 01"]
    code = (
        "from cardbench.terminal.readers.pcsc import PcscReader\n"
        "for slot in (0, 1):\n"
        "    with PcscReader(f'Calling PCD 00 0{slot}') as reader:\n"
        "        reader.connect()\n"
        "        print(reader.transmit(bytes(4)).hex())\n"
    )
    assert myself.run(myself.python, "-c", code).stdout == "019000\n019000\n"
