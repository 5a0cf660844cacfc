"""Published traces, answered by our card with the same bytes but for those that secrets or chance fill."""

from __future__ import annotations

import pytest
from support import calypso_traces as traces
from support.calypso_peer import Peer
from support.calypso_traces import Trace
from support.published import CardMasks, assert_published

from cardbench.emulator.calypso import card_of
from cardbench.emulator.calypso.personalisation import parse_personalisation

ALL = [value for value in vars(traces).values() if isinstance(value, Trace)]


def replay(trace: Trace) -> None:
    """Send the published commands, secrets recomputed for our keys; compare both directions."""
    personalisation = parse_personalisation(trace.toml, origin=trace.name)
    peer = Peer(card_of(personalisation), serial=personalisation.serial.hex(), kvc=trace.kvc)
    masks = CardMasks()
    for sent, answered in trace.exchanges:
        command, response = bytes.fromhex(sent), bytes.fromhex(answered)
        ours = with_our_secrets(peer, command)
        our_response = peer.transmit(ours)
        if command[1] == 0x8A and our_response[-2:] == b"\x90\x00":
            peer.follow(ours, our_response)
        fields = masks.fields(command, response)
        assert_published(fields, (command, response), (ours, our_response))


def with_our_secrets(peer: Peer, command: bytes) -> bytes:
    """Put the MAC that our keys make in the place of the published one."""
    if command[1] == 0x8E and len(command) > 5:
        return command[:5] + peer.terminal_mac() + b"\0"
    return command


@pytest.mark.parametrize("trace", ALL, ids=lambda trace: trace.name)
def test_a_published_trace_is_answered_identically(trace: Trace) -> None:
    replay(trace)
