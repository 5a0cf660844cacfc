"""Published traces are answered with the same bytes, but for those that cryptography or chance fills.

Which bytes those may be follows from the command alone (`may_differ`); a vector that masks any other is
refused.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.emulator.chassis import Clock, Entropy
from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.calypso.aes_suite import AesSuite
from cardbench.protocol.calypso.suite import public_test_master
from cardbench.sam_emulator import SamCard
from cardbench.sam_emulator.personalisation import parse_personalisation, personalise

_FILE = Path(__file__).parents[1] / "vectors" / "sam-traces.toml"
TRACES: list[dict[str, str]] = tomllib.loads(_FILE.read_text(encoding="utf-8"))["trace"]


class MaskRefusedError(Exception):
    """Bytes are masked that neither cryptography nor chance fills."""


class Masked(NamedTuple):
    """Published bytes, and the positions that are in brackets."""

    data: bytes
    positions: frozenset[int]


def parse_masked(text: str) -> Masked:
    data, positions, inside = b"", set(), False
    for token in re.findall(r"\[|\]|[0-9A-Fa-f]{2}", text.replace(" ", "")):
        if token in "[]":
            inside = token == "["
            continue
        if inside:
            positions.add(len(data))
        data += bytes.fromhex(token)
    return Masked(data, frozenset(positions))


def may_differ(command: bytes, size: int, *, is_request: bool = True) -> frozenset[int]:
    """Positions of a response of `size` data bytes that cryptography or chance fills."""
    ins, p1, p2 = command[1:4]
    data = range(size)
    if ins in {0x84, 0x8E, 0x88, 0x12, 0x1C, 0x16}:  # challenge, MACs, cryptograms
        return frozenset(data)
    if ins in {0x54, 0x56, 0x5C}:  # challenge and signature, not the transaction number
        return frozenset(data[:3]) | frozenset(data[6:])
    if ins in {0xBC, 0xBE}:
        return frozenset(data[:8])
    if (ins, p1, p2) == (0x2A, 0x9E, 0x9A):
        return frozenset(data[-(command[8] & 0x0F) :])
    if (ins, p2) == (0x8C, 0x80):
        return frozenset(data[5:] if is_request else data[:-2])
    return frozenset()


def may_be_filled(command: bytes, *, is_request: bool = True) -> frozenset[int]:
    """Positions of a command that cryptography of the other end fills."""
    ins, p1, p2 = command[1:4]
    data = range(5, len(command))
    if ins in {0x82, 0x58} or (ins == 0x20 and len(data) == 8):
        return frozenset(data)
    if (ins, p1, p2) == (0x2A, 0x00, 0xA8):
        return frozenset(data[-(command[8] & 0x0F) :])
    if (ins, p2) == (0x8C, 0x80) and not is_request:
        return frozenset(data[:-2])
    return frozenset()


def check_mask(positions: frozenset[int], allowed: frozenset[int]) -> None:
    if positions - allowed:
        raise MaskRefusedError(
            f"bytes {sorted(positions - allowed)} are not filled by cryptography"
        )


class OtherEnd:
    """The card, the lock's owner and the verifier, played with the suite alone."""

    def __init__(self, sam: SamCard) -> None:
        self.sam, self.suite = sam, AesSuite()
        self.diversifier = self.challenge = b""
        self.digest: Any = None
        self.message = self.signature = b""
        self.sv_kif = 0
        self.proving = False

    def key(self, kif: int, kvc: int) -> bytes:
        return self.suite.diversify(public_test_master(kif, kvc), self.diversifier)

    def fill(self, masked: Masked) -> bytes:
        """Put the right bytes in the place of the masked ones."""
        command = masked.data
        ins = command[1]
        if not masked.positions:
            return command
        if ins == 0x82:
            right = self.digest.card_proof() if self.proving else self.digest.card_mac()
        elif ins == 0x58:
            kvc = self.message[4 + 8 * self.message[1]]
            right = self.suite.sv_signature_lo(
                self.key(self.sv_kif, kvc),
                self.message,
                self.signature,
                extended=self.message[1] == 1,
            )
        elif ins == 0x20:
            lock = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
            right = self.suite.unlock_proof(lock, self.sam.serial, self.challenge)
        elif ins == 0x8C:
            right = self.digest.cipher(b"\x11")
        else:
            right = self.verified(command)
        start = min(masked.positions)
        return (
            command[:start]
            + right[: len(masked.positions)]
            + command[start + len(masked.positions) :]
        )

    def verified(self, command: bytes) -> bytes:
        kif, kvc, mode = command[6:9]
        message = command[9 if mode & 0x70 == 0 else 11 : -(mode & 0x0F)]
        return self.suite.sign(self.key(kif, kvc), "pso" if mode & 0x80 else "pso-no-busy", message)

    def follow(self, command: bytes, answer: bytes) -> None:
        """Keep up with what was exchanged."""
        ins, data = command[1], command[5:]
        if ins == 0x14:
            self.diversifier = data
        elif ins == 0x84:
            self.challenge = answer
        elif ins == 0x8A:
            extended = command[2] == 2
            self.digest = self.suite.start_session(
                self.key(data[0], data[1]),
                extended=extended,
                terminal_challenge=self.challenge if extended else self.challenge[:4],
                open_data=data[2:],
            )
        elif ins == 0x8C and command[2] == 0x80:
            while data:
                self.digest.absorb(data[1 : 1 + data[0]])
                data = data[1 + data[0] :]
        elif ins == 0x8C:
            is_request = self.digest.elements % 2 == 0
            self.digest.absorb(data if is_request or command[3] == 0 else answer)
        elif ins in {0x88, 0x8E}:
            self.proving = ins == 0x88
        elif ins in {0x54, 0x56, 0x5C}:
            self.sv_kif = 0x07 if ins == 0x56 else 0x10
            signed = data[:3] + bytes((len(data) - len(self.partial(ins)) - 6,)) + data[4:]
            self.message = signed + answer[:6] + self.sam.serial
            self.signature = answer[6:]

    @staticmethod
    def partial(ins: int) -> bytes:
        return bytes(15 if ins == 0x56 else 12)


def make(text: str) -> SamCard:
    suite = AesSuite()
    memory = personalise(parse_personalisation(text), suite=suite)
    sam = SamCard(memory, entropy=Entropy(b"trace"), clock=Clock(), suite=suite)
    sam.power_on()
    return sam


class Player:
    """Plays the lines of a trace."""

    def __init__(self, trace: dict[str, str]) -> None:
        self.ends = {"": OtherEnd(make(trace["personalisation"]))}
        self.ends["target"] = self.ends[""]
        if "control" in trace:
            self.ends["control"] = OtherEnd(make(trace["control"]))
        self.command = self.answer = b""
        self.is_request = True
        self.remembered = {"block": "", "challenge": ""}
        self.compared = 0

    def play(self, line: str) -> None:
        who, kind, text = re.fullmatch(r"(\w*?) ?(>|<|setup|reset)(.*)", line).groups()  # type: ignore[union-attr]
        end = self.ends[who]
        if kind == "reset":
            end.sam.power_on()
        elif kind == "<":
            self.compare(parse_masked(text))
        else:
            self.send(end, parse_masked(text.format(**self.remembered)))

    def send(self, end: OtherEnd, masked: Masked) -> None:
        self.is_request = end.digest is None or end.digest.elements % 2 == 0
        check_mask(masked.positions, may_be_filled(masked.data, is_request=self.is_request))
        self.command = end.fill(masked)
        self.answer = end.sam.transmit(self.command)
        if self.answer[-2:] == b"\x90\0":
            end.follow(self.command, self.answer[:-2])
        if self.command[1] == 0x84:
            self.remembered["challenge"] = self.answer[:-2].hex()
        if self.command[1] == 0x16:
            self.remembered["block"] = self.answer[:-2].hex()

    def compare(self, published: Masked) -> None:
        size = len(published.data) - 2
        allowed = may_differ(self.command, size, is_request=self.is_request)
        check_mask(published.positions, allowed)
        assert len(self.answer) == len(published.data)
        mine = [b for at, b in enumerate(self.answer) if at not in published.positions]
        theirs = [b for at, b in enumerate(published.data) if at not in published.positions]
        assert bytes(mine).hex().upper() == bytes(theirs).hex().upper(), self.command.hex().upper()
        self.compared += 1


@pytest.mark.parametrize("trace", TRACES, ids=[trace["name"] for trace in TRACES])
def test_a_published_trace_is_answered_identically(trace: dict[str, str]) -> None:
    player = Player(trace)
    answered = True
    for line in trace["lines"].strip().splitlines():
        if ">" in line and not answered:
            assert player.answer[-2:] == b"\x90\0", (
                "no answer is published: at least it is no refusal"
            )
        player.play(line)
        answered = ">" not in line
    assert player.compared


# The mask helper


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("8084000004", "C1C2C3C4 [9000]"),
        ("80BE00E100", "C1C2C3C4C5C6C7C8 [10]" + "00" * 39 + "9000"),
        ("80BC00C1020000", "00" * 22 + "[11223344] FAFF40 800000 9000"),
        ("805401FF00", "959116 [ABCDEF] 2C8CB3D280 9000"),
        ("802A9E9A0EFF010288" + "00" * 10, "[00]" + "00" * 9 + "C1" * 8 + "9000"),
        ("808C0080050000000000", "[00B2010C01] 9000"),
        ("808200000400000000", "[9000]"),
    ],
)
def test_any_other_mask_is_refused(command: str, answer: str) -> None:
    masked = parse_masked(answer)
    allowed = may_differ(bytes.fromhex(command), len(masked.data) - 2)
    with pytest.raises(MaskRefusedError):
        check_mask(masked.positions, allowed)


@given(
    command=st.binary(min_size=9, max_size=40), size=st.integers(0, 60), place=st.integers(0, 62)
)
def test_a_status_word_is_never_masked(command: bytes, size: int, place: int) -> None:
    allowed = may_differ(command, size)
    assert allowed <= frozenset(range(size))
    if place >= size:
        with pytest.raises(MaskRefusedError):
            check_mask(frozenset((place,)), allowed)


def test_no_header_of_a_command_is_masked() -> None:
    for ins in range(256):
        for p1, p2 in ((0, 0), (0, 0xA8), (0, 0x80), (0x80, 0)):
            command = bytes((0x80, ins, p1, p2, 16)) + bytes(16)
            assert not may_be_filled(command, is_request=False) & frozenset(range(5))


# Where the published answer itself is an invention


@pytest.mark.parametrize(("mode", "serial"), [("48", "223344"), ("68", "11223344")])
def test_the_mock_of_a_traced_signature_is_answered_in_its_form(mode: str, serial: str) -> None:
    """The unit test's message B1…BA differs from A1…AA outside of the trace too, which no SAM can do.

    Ours has the published length, changes only the bits of the trace, and puts the serial there.
    """
    sam = make(
        'extends = "bench"\n'
        "more_work_keys = [{ record = 0x40, kif = 0x01, kvc = 0x02, alg = 0x40, par4 = 9 }]"
    )
    message = bytes.fromhex("A1A2A3A4A5A6A7A8A9AA")
    sam.transmit(bytes.fromhex("801400000411223344"))
    answer = sam.transmit(bytes.fromhex(f"802A9E9A10FF0102{mode}0001") + message)
    published = bytes.fromhex("B1B2B3B4B5B6B7B8B9BA C1C2C3C4C5C6C7C8 9000")
    assert len(answer) == len(published)
    bits = int.from_bytes(answer[:10])
    trace = int(serial + "000001", 16)
    width = 4 * len(serial) + 24
    assert bits >> 79 - width & (1 << width) - 1 == trace
    mask = ~((1 << width) - 1 << 79 - width)
    assert bits & mask == int.from_bytes(message) & mask


def test_every_published_command_is_well_formed() -> None:
    for trace in TRACES:
        for line in trace["lines"].strip().splitlines():
            if ">" in line and "{" not in line:
                CommandApdu.parse(parse_masked(line.split(">")[1]).data)
