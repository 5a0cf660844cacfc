"""Card and SAM with one suite between them: the rows of calypso-card §10.2 that only show on the wire.

The terminal is this test: it carries bytes and computes nothing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from cardbench.emulator.calypso import CalypsoCard, new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.protocol.calypso.aes_suite import AesSuite
from cardbench.sam_emulator import SamCard, new_sam

if TYPE_CHECKING:
    from cardbench.protocol.calypso.suite import SymmetricSuite

AID = "A000000291FF9101"
UPDATE = "00DC0144" + "1D" + "AB" * 29  # record 1 of SFI 08, the event log
DEBIT = 3


class OtherSuite(AesSuite):
    """A licensee's suite: keys are diversified in another way."""

    name = "other"

    def diversify(self, master: bytes, diversifier: bytes) -> bytes:
        padded = diversifier.rjust(8, b"\0")
        return hashlib.blake2b(padded, key=master, digest_size=16).digest()


class Terminal:
    """Carries APDUs between a card and a SAM; each must be answered with 9000."""

    def __init__(
        self,
        *,
        extended: bool,
        card_suite: SymmetricSuite | None = None,
        sam_suite: SymmetricSuite | None = None,
        seed: bytes = b"seed",
    ) -> None:
        self.extended = extended
        self.card: CalypsoCard = new_card("bench", entropy=Entropy(seed), suite=card_suite)
        self.sam: SamCard = new_sam(
            "bench", entropy=Entropy(b"sam" + seed), clock=Clock(), suite=sam_suite
        )
        self.card.power_on()
        self.sam.power_on()
        self.open_data = b""
        self.elements: list[bytes] = []

    def to_card(self, command: str) -> bytes:
        return self.card.transmit(bytes.fromhex(command))

    def to_sam(self, command: str, data: bytes = b"") -> bytes:
        raw = bytes.fromhex(command) + (bytes((len(data),)) + data if data else b"")
        response = self.sam.transmit(raw)
        assert response.endswith(b"\x90\x00"), f"{raw.hex()} was answered {response.hex()}"
        return response[:-2]

    def open(self, *, serial_bit: int = 0) -> None:
        """Select the application and open a session with the debit key."""
        fci = self.to_card(f"00A4040008{AID}00")
        at = fci.index(b"\xc7\x08") + 2
        serial = int.from_bytes(fci[at : at + 8]) ^ serial_bit
        self.to_sam("80140000", serial.to_bytes(8))
        challenge = self.to_sam("8084000008" if self.extended else "8084000004")
        data = b"\0" + challenge if self.extended else challenge
        form = "02" if self.extended else "01"
        opened = self.to_card(f"008A{DEBIT:02X}{form}{len(data):02X}{data.hex()}00")
        assert opened.endswith(b"\x90\x00"), opened.hex()
        self.open_data = opened[:-2]

    def run(self, command: str) -> None:
        """Carry one command in the session."""
        self.elements += [bytes.fromhex(command), self.to_card(command)]

    def start_digest(self, *, kif_bit: int = 0, kvc_bit: int = 0) -> None:
        """Start the SAM's digest with the key that the card named."""
        kif, kvc, _ = self.open_data[-3:]  # no record was read
        head = bytes((kif ^ kif_bit, kvc ^ kvc_bit))
        self.to_sam(f"808A0{2 * self.extended}FF", head + self.open_data)

    def digest(self, *, grouped: bool = False) -> bytes:
        """Give the SAM what was exchanged; return the terminal's MAC."""
        if grouped:
            self.to_sam("808C8000", b"".join(bytes((len(one),)) + one for one in self.elements))
        else:
            for element in self.elements:
                self.to_sam("808C0000", element)
        return self.to_sam("808E0000" + ("08" if self.extended else "04"))

    def close(self, mac: bytes) -> bytes:
        return self.to_card(f"008E8000{len(mac):02X}{mac.hex()}00")

    def event(self) -> bytes:
        return self.to_card("00B201441D")[:-2]


@pytest.fixture(params=[False, True], ids=["regular", "extended"])
def terminal(request: pytest.FixtureRequest) -> Terminal:
    return Terminal(extended=request.param)


def test_card_and_sam_prove_themselves_to_each_other(terminal: Terminal) -> None:
    terminal.open()
    terminal.run(UPDATE)
    terminal.start_digest()
    answer = terminal.close(terminal.digest())
    assert answer[-2:] == b"\x90\x00"
    assert len(answer) == (10 if terminal.extended else 6)
    terminal.to_sam("80820000", answer[:-2])
    assert terminal.event() == b"\xab" * 29


def test_grouping_of_elements_makes_no_difference(terminal: Terminal) -> None:
    """Row 5."""
    terminal.open()
    terminal.run(UPDATE)
    terminal.run("00B201441D")
    terminal.start_digest()
    twin = terminal.sam.fork()
    single = terminal.digest()
    terminal.sam = twin
    assert terminal.digest(grouped=True) == single


def test_any_wrong_bit_of_a_terminal_mac_is_refused_and_rolls_back(terminal: Terminal) -> None:
    """Row 13: 6988, nothing else, and the data as before."""
    before = terminal.event()
    terminal.open()
    terminal.run(UPDATE)
    terminal.start_digest()
    mac = terminal.digest()
    in_session = terminal.card
    for bit in range(8 * len(mac)):
        terminal.card = in_session.fork()
        wrong = int.from_bytes(mac) ^ 1 << bit
        assert terminal.close(wrong.to_bytes(len(mac))) == b"\x69\x88"
        assert terminal.event() == before
        assert terminal.close(mac) == b"\x69\x85"  # the session is gone


def test_any_wrong_bit_of_a_card_mac_is_refused_by_the_sam(terminal: Terminal) -> None:
    terminal.open()
    terminal.start_digest()
    terminal.run("00B201441D")
    answer = terminal.close(terminal.digest())[:-2]
    digested = terminal.sam
    for bit in range(8 * len(answer)):
        sam = digested.fork()
        wrong = (int.from_bytes(answer) ^ 1 << bit).to_bytes(len(answer))
        command = bytes.fromhex("80820000") + bytes((len(wrong),)) + wrong
        assert sam.transmit(command) == b"\x69\x88"


def test_the_card_s_challenge_is_its_counter_and_seeded_randomness(terminal: Terminal) -> None:
    """Row 14: the same seed gives the same bytes, and the counter never comes twice."""
    seen = []
    for seed in (b"seed", b"seed", b"another seed"):
        other = Terminal(extended=terminal.extended, seed=seed)
        other.open()
        seen.append(other.open_data)
    assert seen[0] == seen[1]
    assert seen[0][:3] == seen[2][:3]
    assert seen[0] != seen[2]
    other.card.power_on()
    other.open()
    assert int.from_bytes(other.open_data[:3]) == int.from_bytes(seen[2][:3]) - 1


def test_another_serial_number_fails(terminal: Terminal) -> None:
    """Row 15."""
    terminal.open(serial_bit=1)
    terminal.start_digest()
    assert terminal.close(terminal.digest()) == b"\x69\x88"


def test_another_key_fails(terminal: Terminal) -> None:
    """Row 15: the SAM has the load key 27 too; the card opened with 30."""
    terminal.open()
    terminal.start_digest(kif_bit=0x30 ^ 0x27)
    assert terminal.close(terminal.digest()) == b"\x69\x88"


@pytest.mark.parametrize(("kif", "kvc"), [(0x00, 0x74), (0x30, 0x00), (0x99, 0x74)])
def test_a_key_that_is_not_there_is_refused_by_the_sam(
    terminal: Terminal, kif: int, kvc: int
) -> None:
    """Row 16."""
    terminal.open()
    data = bytes((kif, kvc)) + terminal.open_data
    command = bytes.fromhex(f"808A0{2 * terminal.extended}FF") + bytes((len(data),)) + data
    answer = terminal.sam.transmit(command)
    assert len(answer) == 2
    assert answer != b"\x90\x00"


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("card_has_it", [False, True])
@pytest.mark.parametrize("sam_has_it", [False, True])
def test_a_licensee_s_suite_works_where_both_have_it(
    extended: bool, card_has_it: bool, sam_has_it: bool
) -> None:
    terminal = Terminal(
        extended=extended,
        card_suite=OtherSuite() if card_has_it else None,
        sam_suite=OtherSuite() if sam_has_it else None,
    )
    terminal.open()
    terminal.run(UPDATE)
    terminal.start_digest()
    answer = terminal.close(terminal.digest())
    assert (answer[-2:] == b"\x90\x00") is (card_has_it is sam_has_it)
