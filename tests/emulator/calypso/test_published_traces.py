"""Published traces, answered by our card with the same bytes but for those that secrets or chance fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.calypso_peer import Peer
from support.calypso_traces import ALL, Trace
from support.published import CardMasks, assert_published

from cardbench.emulator.calypso import card_of
from cardbench.emulator.calypso.personalisation import parse_personalisation

if TYPE_CHECKING:
    from cardbench.emulator.calypso import CalypsoCard


WRONG_MAC = b"\x69\x88"
EXTENDED_SIZES = (0x1C, 0x19)
"""Lc of an SV operation in extended mode."""


class Wire:
    """A card whose last exchange can be looked at."""

    def __init__(self, card: CalypsoCard) -> None:
        self.card = card
        self.last = (b"", b"")

    def power_on(self) -> bytes:
        return self.card.power_on()

    def transmit(self, command: bytes) -> bytes:
        self.last = (command, self.card.transmit(command))
        return self.last[1]


class Replay:
    """Sends published commands with secrets recomputed for our keys, and compares both directions."""

    def __init__(self, trace: Trace) -> None:
        personalisation = parse_personalisation(trace.toml, origin=trace.name)
        self.trace = trace
        card = card_of(personalisation)
        card.memory.commit(dict(trace.history))
        self.wire = Wire(card)
        self.peer = Peer(
            self.wire,  # type: ignore[arg-type]  # as much of a card as the peer needs
            serial=personalisation.serial.hex(),
            kvc=trace.kvc,
            cla=0x94 if personalisation.profile in ("prime-1", "prime-2") else 0x00,
        )
        self.masks = CardMasks()
        self.challenge = ""
        self.sv_get = ""

    def run(self) -> None:
        for sent, answered, *plain in self.trace.exchanges:
            self.exchange(bytes.fromhex(sent), bytes.fromhex(answered), "".join(plain))

    def exchange(self, command: bytes, response: bytes, plain: str) -> None:
        answer = self.play(command, response, plain)
        fields = self.masks.fields(command, response)
        assert_published(fields, (command, response), self.wire.last)
        if plain and len(command) == 5:
            assert answer[:-4] == plain
        ins = command[1]
        if ins == 0x8A and response[-2:] == b"\x90\x00":
            self.peer.follow(*self.wire.last)
        elif ins == 0x84:
            self.challenge = answer[:-4]
        elif ins == 0x7C:
            self.sv_get = answer

    def play(self, command: bytes, response: bytes, plain: str) -> str:
        """Send what our terminal and SAM would send; return the plain answer."""
        peer, ins, lc, text = self.peer, command[1], command[4], command.hex()
        if ins == 0x8E and len(command) > 5:
            return self.close(command, response)
        if ins == 0x82 and peer.digest is not None:
            p2 = command[3]
            return peer.manage(encrypted=bool(p2 & 2), authenticate=bool(p2 & 1))
        if ins == 0x20 and lc == 8:
            return peer.send("0020000008" + peer.pin_cryptogram(self.challenge))
        if ins == 0xD8 and lc == 16:
            return peer.send("00D800FF10" + peer.pin_change_cryptogram(self.challenge, "34353637"))
        if ins == 0xD8 and lc == 32:
            new = peer.key_cryptogram(self.challenge, 0x21, 0x75)
            return peer.send(text[:10] + new)
        if ins in (0xB8, 0xBA, 0xBC):
            return peer.send(self.stored_value(command))
        if plain and len(command) > 5:
            return peer.send(text[:10] + plain)
        return peer.send(text)

    def close(self, command: bytes, response: bytes) -> str:
        """Close with our MAC, or with the published one where it was refused as wrong."""
        mac = command[5 : 5 + command[4]] if response == WRONG_MAC else None
        answer = self.peer.close(ratified=bool(command[2]), mac=mac)
        self.peer.digest = None
        return answer

    def stored_value(self, command: bytes) -> str:
        data = command[5:]
        if command[1] == 0xB8:
            amount, version = int.from_bytes(data[6:9], signed=True), data[4]
            date, time, free = data[1:3], data[9:11], data[3:4] + data[5:6]
            sam_id, number = data[11:15], data[15:18]
        else:
            amount, version = int.from_bytes(data[1:3], signed=True), data[7]
            date, time, free = data[3:5], data[5:7], b""
            sam_id, number = data[8:12], data[12:15]
        return self.peer.sv_command(
            command[1],
            amount,
            self.sv_get,
            date=date.hex(),
            time=time.hex(),
            free=free.hex(),
            kvc=version,
            extended=command[4] in EXTENDED_SIZES,
            sam=(sam_id, number),
            le=data[command[4] :].hex(),
        )


@pytest.mark.parametrize("trace", ALL, ids=lambda trace: trace.name.replace("§", ""))
def test_a_published_trace_is_answered_identically(trace: Trace) -> None:
    Replay(trace).run()


def test_every_section_of_the_published_traces_is_there() -> None:
    sections = {trace.name.split()[0].rstrip(",") for trace in ALL}
    assert {f"§9.{number}" for number in range(1, 13)} <= sections


@pytest.mark.parametrize("trace", ALL, ids=lambda trace: trace.name.replace("§", ""))
def test_a_trace_that_differs_in_one_byte_of_an_answer_is_refused(trace: Trace) -> None:
    *before, (command, answer, *plain) = trace.exchanges
    other = f"{int(answer[-4:], 16) ^ 1:04X}"
    altered = trace._replace(exchanges=(*before, (command, answer[:-4] + other, *plain)))
    with pytest.raises(AssertionError, match="published"):
        Replay(altered).run()
