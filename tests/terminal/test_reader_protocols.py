"""Physical protocols are told by the ATR; logical names are the application's."""

from __future__ import annotations

import pytest

from cardbench.protocol.errors import NotSupported, UsageError
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers import ScriptedReader
from cardbench.terminal.readers.protocols import PhysicalProtocol, physical_protocol


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
        with pytest.raises(NotSupported, match="ISO_14443_4, INNOVATRON_B_PRIME_CARD, ISO_7816_3"):
            refuse()


class StorageReader(ScriptedReader):
    """A plug-in's reader that knows its cards' protocols itself, by names of its own."""

    physical_protocols = ("NFC_V_ISO_15693", "ISO_14443_4")
    physical_protocol: str | None = None


def test_a_reader_may_tell_protocols_itself() -> None:
    reader = StorageReader()
    channel = CardChannel(reader)
    channel.activate_protocol("NFC_V_ISO_15693", "TAG")
    channel.activate_protocol(PhysicalProtocol.ISO_14443_4, "CARD")
    channel.open()
    assert channel.logical_protocol == "CARD"  # by the ATR: the reader cannot tell
    reader.physical_protocol = "NFC_V_ISO_15693"
    assert (channel.current_protocol, channel.logical_protocol) == ("NFC_V_ISO_15693", "TAG")
    with pytest.raises(NotSupported, match="ISO_7816_3, NFC_V_ISO_15693"):
        channel.activate_protocol("JEWEL", "TAG")


def test_presence_is_asked_of_the_reader(scripted: type[ScriptedReader]) -> None:
    assert CardChannel(scripted()).is_card_present
    assert not CardChannel(scripted(atr=None)).is_card_present
