"""Properties of any SAM: no bytes crash it, and one flipped bit anywhere breaks every proof."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sam_scene import Scene, command

from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.calypso.aes_suite import AesSuite
from cardbench.protocol.errors import MalformedApdu
from cardbench.sam_emulator.personalisation import presets
from cardbench.sam_emulator.table import TABLE

INSTRUCTIONS = sorted({row.ins for row in TABLE})
COMMON = {0x6700, 0x6D00, 0x6E00, 0x6985}  # 6985: the SAM is locked


@st.composite
def likely_commands(draw: st.DrawFn) -> bytes:
    """A command of some row: header bytes and length as the row allows them, any data."""
    row = draw(st.sampled_from(list(TABLE)))
    lc = draw(st.sampled_from(sorted(row.lc)))
    data = draw(st.binary(min_size=lc, max_size=lc))
    header = bytes((0x80, row.ins, draw(st.sampled_from(row.p1.values())), 0))
    header = header[:3] + bytes((draw(st.sampled_from(row.p2.values())),))
    ne = draw(st.sampled_from([None, 4, 8, 256]))
    return CommandApdu(*header, data, ne).encode()


@given(
    preset=st.sampled_from(presets()),
    commands=st.lists(st.one_of(st.binary(max_size=300), likely_commands()), max_size=20),
)
def test_any_bytes_get_a_declared_answer(preset: str, commands: list[bytes]) -> None:
    scene = Scene(preset)
    for raw in commands:
        response = scene.sam.transmit(raw)
        sw = int.from_bytes(response[-2:])
        if len(response) > 2:
            assert sw in {0x9000, 0x6200} or sw >> 8 == 0x61
        try:
            parsed = CommandApdu.parse(raw)
        except MalformedApdu:
            assert response == b"\x67\0"
            continue
        declared = {answer for row in TABLE.rows_for(parsed) for answer in row.answers}
        assert sw in declared | COMMON | {TABLE.parameter_refusal(parsed.ins)} or sw >> 8 == 0x61


def flipped(data: bytes, bit: int) -> bytes:
    bit %= 8 * len(data)
    return (int.from_bytes(data) ^ 1 << bit).to_bytes(len(data))


@st.composite
def elements(draw: st.DrawFn) -> list[bytes]:
    """Requests and responses in turn."""
    request, response = st.binary(min_size=5, max_size=40), st.binary(min_size=2, max_size=40)
    pairs = draw(st.lists(st.tuples(request, response), min_size=1, max_size=4))
    return [element for pair in pairs for element in pair]


class Run(NamedTuple):
    """A session to be played: what is digested, and where a bit may be flipped."""

    extended: bool
    encrypted: bool
    serial: bytes
    open_data: bytes
    elements: list[bytes]
    bit: int


runs = st.builds(
    Run,
    extended=st.booleans(),
    encrypted=st.booleans(),
    serial=st.binary(min_size=8, max_size=8),
    open_data=st.binary(min_size=8, max_size=60),
    elements=elements(),
    bit=st.integers(min_value=0, max_value=10_000),
)


class Card:
    """The card's side of a session, from the suite alone, with one thing perhaps altered on its way."""

    def __init__(self, run: Run, where: str, master: bytes, challenge: bytes) -> None:
        self.run, self.where = run, where
        suite = AesSuite()
        key = suite.diversify(self.altered("key", master), self.altered("serial", run.serial))
        self.digest = suite.start_session(
            key,
            extended=run.extended,
            terminal_challenge=self.altered("challenge", challenge),
            open_data=self.altered("open data", run.open_data),
        )

    def altered(self, what: str, data: bytes) -> bytes:
        return flipped(data, self.run.bit) if what == self.where and data else data

    def exchange(self, scene: Scene, number: int, element: bytes) -> None:
        """One request from the SAM to the card, or one response from the card to the SAM."""
        run, digest = self.run, self.digest
        alter = self.altered if number == run.bit % len(run.elements) else lambda _, data: data
        if not (run.encrypted and run.extended):
            scene.ok(command("808C0000", element.hex()))
            digest.absorb(alter("element", element))
        elif number % 2 == 0:
            travels = bytes.fromhex(scene.ok(command("808C0080", element.hex())))
            came = alter("element", travels)
            stop = 5 + came[4]
            digest.absorb(came[:5] + digest.cipher(came[5:stop]) + came[stop:])
        else:
            travels = digest.cipher(element[:-2]) + element[-2:]
            plain = scene.ok(command("808C0080", alter("element", travels).hex()))
            digest.absorb(element)
            assert self.where != "nowhere" or bytes.fromhex(plain) == element


WHERE = ["nowhere", "key", "serial", "challenge", "open data", "element"]


@pytest.mark.parametrize("where", WHERE)
@given(run=runs)
def test_one_flipped_bit_breaks_every_mac(where: str, run: Run) -> None:
    scene = Scene()
    size = 8 if run.extended else 4
    challenge = bytes.fromhex(scene.ok(f"80840000{size:02X}"))
    init = command(f"808A0{2 * run.extended}FF", "3074" + run.open_data.hex())
    scene.ok(command("80140000", run.serial.hex()), init)
    card = Card(run, where, scene.sam.work_key(0x30, 0x74).value, challenge)
    for number, element in enumerate(run.elements):
        card.exchange(scene, number, element)
    digest, unaltered = card.digest, where == "nowhere"
    if run.extended:
        proof = scene.ok("8088800008")
        assert (proof == digest.terminal_proof().hex().upper()) == unaltered
    mac = scene.ok(f"808E0000{size:02X}")
    assert (mac == digest.terminal_mac()[:size].hex().upper()) == unaltered
    card_mac = digest.card_mac()[:size].hex()
    assert scene.send(command("80820000", card_mac)) == ("9000" if unaltered else "6988")
