"""The channel: groups, stop rule, partial answers, and what ISO 7816 asks of whoever receives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.errors import (
    CardNotPresent,
    CardRemoved,
    FileNotFound,
    ProtocolError,
    RecordNotFound,
    UsageError,
    WrongLength,
)
from cardbench.protocol.link import SlotState
from cardbench.terminal.card import CardChannel, ChannelControl, PlainRequest, SecretRequest
from cardbench.terminal.card.channel import RESPONSE_MAX_BYTES
from cardbench.terminal.readers.scripted import ANONYMOUS_ATR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cardbench.terminal.card import ApduRequest
    from cardbench.terminal.readers import ScriptedReader


def request(command: str, *success: int, name: str = "command") -> PlainRequest:
    return PlainRequest(bytes.fromhex(command), frozenset({0x9000, *success}), name)


def test_a_group_is_one_exchange(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00B2013C00", "71 9000"), ("00B201F400", "72 9000"))
    channel = CardChannel(reader)
    responses = channel.transmit([request("00B2013C00"), request("00B201F400")])
    assert [response.hex() for response in responses] == ["719000", "729000"]
    assert channel.traffic == (1, 2)


def test_a_group_stops_at_the_first_status_word_that_is_no_success(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(("00B2013C00", "71 9000"), ("00B2014C00", "6A83"))
    channel = CardChannel(reader)
    group = [request("00B2013C00"), request("00B2014C00", name="Read"), request("00B201F400")]
    with pytest.raises(RecordNotFound, match="Read 00B2014C00: the card answered 6A83") as caught:
        channel.transmit(group)
    assert [response.hex() for response in caught.value.responses] == ["719000", "6a83"]
    assert channel.traffic == (1, 2)


def test_success_words_are_each_commands_own(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00B2014C00", "6A83"), ("00B201F400", "6A82"))
    channel = CardChannel(reader)
    group = [request("00B2014C00", 0x6A83), request("00B201F400")]
    with pytest.raises(FileNotFound):
        channel.transmit(group)


def test_the_stop_rule_can_be_left_to_the_first_commands(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00A4040005 0102030405 00", "6F009000"), ("00B2014C00", "6A83"))
    channel = CardChannel(reader)
    group = [request("00A4040005010203040500"), request("00B2014C00")]
    assert channel.transmit(group, must_succeed=1)[1].hex() == "6a83"
    reader.expect(("00A4040005 0102030405 00", "6A82"))
    with pytest.raises(FileNotFound):
        channel.transmit(group, must_succeed=1)


def test_61xx_is_fetched_until_all_is_there(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        ("00B2013C00", "AA 6102"), ("00C0000002", "BBBB 6100"), ("00C0000000", "CC 9000")
    )
    channel = CardChannel(reader)
    assert channel.transmit([request("00B2013C00")])[0].hex() == "aabbbbcc9000"
    assert channel.traffic == (1, 3)


def test_6cxx_repeats_the_command_with_the_right_length(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00B2013C00", "6C1D"), ("00B2013C1D", "AA 9000"))
    channel = CardChannel(reader)
    assert channel.transmit([request("00B2013C00")])[0].hex() == "aa9000"
    assert channel.traffic == (1, 2)


def test_6cxx_then_61xx_goes_on(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00B2013C00", "6C02"), ("00B2013C02", "6102"), ("00C0000002", "AABB9000"))
    assert CardChannel(reader).transmit([request("00B2013C00")])[0].hex() == "aabb9000"


def test_6cxx_is_followed_once_only(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00B2013C00", "6C02"), ("00B2013C02", "6C03"))
    with pytest.raises(Exception, match="6C03"):
        CardChannel(reader).transmit([request("00B2013C00")])


def test_a_digested_command_is_never_changed_by_6cxx(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00B2013C00", "6C1D"))
    with pytest.raises(Exception, match="6C1D"):
        CardChannel(reader).transmit([request("00B2013C00")], digested=True)


def test_a_case_4_success_without_data_is_fetched(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00A4040005 0102030405 00", "9000"), ("00C0000000", "6F00 9000"))
    channel = CardChannel(reader)
    assert channel.transmit([request("00A4040005010203040500")])[0].hex() == "6f009000"
    reader.expect(
        ("00A4040005 0102030405 00", "9000"), ("00C0000000", "6102"), ("00C0000002", "6F00 9000")
    )
    assert channel.transmit([request("00A4040005010203040500")])[0].hex() == "6f009000"


def test_where_nothing_is_to_be_fetched_the_first_answer_stands(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(("00A4040005 0102030405 00", "9000"), ("00C0000000", "6985"))
    channel = CardChannel(reader)
    assert channel.transmit([request("00A4040005010203040500")])[0].hex() == "9000"


def test_a_refused_case_4_command_is_not_fetched(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00A4040005 0102030405 00", "6A82"))
    with pytest.raises(FileNotFound):
        CardChannel(reader).transmit([request("00A4040005010203040500")])


@pytest.mark.parametrize(
    ("command", "fetch"),
    [
        ("01B2013C00", "01C0000002"),  # logical channel 1
        ("8084000008", "00C0000002"),  # SAM
        ("94B2013C00", "00C0000002"),  # legacy card
    ],
)
def test_get_response_has_the_class_of_the_logical_channel(
    scripted: type[ScriptedReader], command: str, fetch: str
) -> None:
    reader = scripted((command, "6102"), (fetch, "AABB9000"))
    assert CardChannel(reader).transmit([request(command)])[0].hex() == "aabb9000"


def test_a_link_failure_closes_the_channel_and_carries_the_answers(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(("00B2013C00", "71 9000"), ("00B2014C00", CardRemoved("gone")))
    channel = CardChannel(reader)
    with pytest.raises(CardRemoved) as caught:
        channel.transmit([request("00B2013C00"), request("00B2014C00")])
    assert [response.hex() for response in caught.value.responses] == ["719000"]
    assert not channel.is_open
    assert not reader.is_connected
    assert channel.traffic == (1, 1)


def test_an_answer_without_status_word_is_the_cards_fault(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00B2013C00", "90"))
    channel = CardChannel(reader)
    with pytest.raises(ProtocolError, match="no status word"):
        channel.transmit([request("00B2013C00")])
    reader.expect(("00B2013C00", "6102"), ("00C0000002", ""))
    with pytest.raises(ProtocolError, match="no status word"):
        channel.transmit([request("00B2013C00")])


def test_a_card_that_never_ends_is_cut_off() -> None:
    class Endless:
        name, is_contactless = "endless", True

        def connect(self) -> bytes:
            return b"\x3b\x00"

        def state(self) -> SlotState:
            return SlotState(True, 1)

        def disconnect(self) -> None: ...

        def transmit(self, command: bytes) -> bytes:
            del command
            return bytes(256) + b"\x61\x00"

    with pytest.raises(ProtocolError, match="announces more") as caught:
        CardChannel(Endless()).transmit([request("00B2013C00")])  # type: ignore[arg-type]
    assert str(RESPONSE_MAX_BYTES + 256) in str(caught.value)


def test_close_after_closes_when_all_went_well_and_when_not(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00B2013C00", "9000"), ("00B2013C00", "6700"))
    channel = CardChannel(reader)
    channel.transmit([request("00B2013C00")], ChannelControl.CLOSE_AFTER)
    assert not reader.is_connected
    with pytest.raises(WrongLength):
        channel.transmit([request("00B2013C00")], ChannelControl.CLOSE_AFTER)
    assert not reader.is_connected
    assert channel.generation == 2


def test_an_open_channel_is_opened_once(scripted: type[ScriptedReader]) -> None:
    reader = scripted()
    channel = CardChannel(reader)
    assert channel.open() == channel.open() == ANONYMOUS_ATR
    assert (reader.connections, channel.generation, channel.is_open) == (1, 1, True)
    channel.close()
    channel.close()
    assert not channel.is_open


def test_a_group_without_a_command_is_refused(scripted: type[ScriptedReader]) -> None:
    channel = CardChannel(scripted())
    with pytest.raises(UsageError, match="at least one"):
        channel.transmit([])
    assert channel.traffic == (0, 0)


def test_an_empty_reader_says_so(scripted: type[ScriptedReader]) -> None:
    with pytest.raises(CardNotPresent):
        CardChannel(scripted(atr=None)).open()


def test_a_channel_over_a_channel_is_the_channel(scripted: type[ScriptedReader]) -> None:
    reader = scripted(is_contactless=False)
    channel = CardChannel.over(reader)
    assert CardChannel.over(channel) is channel
    assert (channel.name, channel.is_contactless) == ("scripted", False)


class Watch:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def exchange(
        self, channel: CardChannel, requests: Sequence[ApduRequest], responses: Sequence[bytes]
    ) -> None:
        self.seen.append(f"#{channel.exchanges}")
        self.seen += [one.describe() for one in requests]
        self.seen += [one.hex() for one in responses]


def test_an_observer_sees_each_command_with_its_whole_answer(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(
        ("00B2013C00", "6101"), ("00C0000001", "AA9000"), ("002000000431323334", "9000")
    )
    channel = CardChannel(reader)
    channel.observer = watch = Watch()
    pin = SecretRequest(bytes.fromhex("002000000431323334"), name="Verify PIN")
    channel.transmit([request("00B2013C00", name="Read"), pin], observer=watch)
    assert watch.seen == [
        "#1",
        "Read 00B2013C00",
        "Verify PIN 0020000004****",
        "aa9000",
        "9000",
    ]  # once, though it looks twice


def test_observers_of_channel_and_exchange_see_what_was_sent_of_a_group_that_stopped(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(("00B2013C00", "6A83"), ("00B2013C00", CardRemoved("gone")))
    channel = CardChannel(reader)
    channel.observer, other = Watch(), Watch()
    group = [request("00B2013C00", name="Read"), request("00B201F400")]
    with pytest.raises(RecordNotFound) as refused:
        channel.transmit(group, observer=other)
    with pytest.raises(CardRemoved) as removed:
        channel.transmit(group[:1])
    assert other.seen == ["#1", "Read 00B2013C00", "6a83"]
    assert channel.observer.seen == [*other.seen, "#2", "Read 00B2013C00"]
    for caught in (refused, removed):
        assert caught.value.commands == ("Read 00B2013C00",)
        assert not caught.value.is_response_complete


def test_an_error_of_the_last_command_has_every_answer(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("00B2013C00", "9000"), ("00B201F400", "6A83"))
    with pytest.raises(RecordNotFound) as caught:
        CardChannel(reader).transmit([request("00B2013C00"), request("00B201F400")])
    assert caught.value.is_response_complete
    assert len(caught.value.commands) == len(caught.value.responses) == 2


def test_a_channel_is_open_for_a_block(scripted: type[ScriptedReader]) -> None:
    reader = scripted()
    with CardChannel(reader) as channel:
        assert channel.is_open
    assert not channel.is_open
    assert not reader.is_connected
