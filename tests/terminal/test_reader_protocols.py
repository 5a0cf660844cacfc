"""Physical protocols are told by the ATR; logical names are the application's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.errors import UsageError
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers.protocols import PhysicalProtocol, physical_protocol

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader


@pytest.mark.parametrize(
    ("atr", "contactless", "protocol"),
    [
        ("3B888001000000009171710098", True, PhysicalProtocol.ISO_14443_4),  # real card
        ("3B8880010000000071C1100098", True, PhysicalProtocol.ISO_14443_4),
        (
            "3B8F8001805A0A010320031124B77FE7829000F7",
            True,
            PhysicalProtocol.INNOVATRON_B_PRIME_CARD,
        ),
        ("3B8F8001804F0CA000000306030001000000006A", True, None),  # a storage card
        ("3B3F9600805A4880C120501711223344829000", False, PhysicalProtocol.ISO_7816_3),
        ("3B3F9600805A4880C120501711223344829000", True, None),
        ("FF", False, None),
    ],
)
def test_the_atr_tells_the_protocol(
    atr: str, contactless: bool, protocol: PhysicalProtocol | None
) -> None:
    assert physical_protocol(bytes.fromhex(atr), is_contactless=contactless) is protocol


def test_only_activated_protocols_count(scripted: type[ScriptedReader]) -> None:
    channel = CardChannel(scripted())
    assert not channel.has_protocols
    channel.activate_protocol(PhysicalProtocol.ISO_14443_4, "CARD")
    assert channel.current_protocol is None  # no card was reached yet
    channel.open()
    assert (channel.current_protocol, channel.logical_protocol) == ("ISO_14443_4", "CARD")
    channel.deactivate_protocol("ISO_14443_4")
    channel.deactivate_protocol("ISO_14443_4")
    assert (channel.current_protocol, channel.logical_protocol) == (None, None)


def test_bad_protocol_names_are_refused(scripted: type[ScriptedReader]) -> None:
    channel = CardChannel(scripted())
    with pytest.raises(UsageError, match="logical name"):
        channel.activate_protocol("ISO_14443_4", "")
    for refuse in (
        lambda: channel.activate_protocol("MIFARE", "CARD"),
        lambda: channel.deactivate_protocol("MIFARE"),
    ):
        with pytest.raises(UsageError, match="ISO_14443_4, INNOVATRON_B_PRIME_CARD, ISO_7816_3"):
            refuse()


def test_presence_is_asked_of_the_reader(scripted: type[ScriptedReader]) -> None:
    assert CardChannel(scripted()).is_card_present
    assert not CardChannel(scripted(atr=None)).is_card_present
