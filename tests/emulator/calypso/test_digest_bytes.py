"""What the card's digest absorbs, byte for byte, in the rows of the facts sheet's table.

A recording suite takes the place of the real one, so that the bytes are seen that go into the MAC and not
only that two ends agree on them.

Source: calypso-card §5.2 (rules and worked example), §5.11 (plain text is absorbed), §11 quirk 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.calypso_workshop import made, peer_of

from cardbench.emulator.calypso import CalypsoCard
from cardbench.emulator.chassis import Entropy, Memory
from cardbench.protocol.calypso.aes_suite import AesSuite

if TYPE_CHECKING:
    from cardbench.protocol.calypso.suite import SessionDigest

OPEN_REGULAR = "008A030104C1C2C3C400"
OPEN_EXTENDED = "008A03020900C1C2C3C4C5C6C7C800"


class RecordingDigest:
    """Lets the real digest work, and writes down what it is given."""

    def __init__(self, digest: SessionDigest, absorbed: list[str]) -> None:
        self._digest = digest
        self._absorbed = absorbed

    def __getattr__(self, name: str) -> object:
        return getattr(self._digest, name)

    def absorb(self, element: bytes) -> None:
        self._absorbed.append(element.hex().upper())
        self._digest.absorb(element)


class RecordingSuite(AesSuite):
    """Writes down what sessions are started with and what they absorb."""

    def __init__(self) -> None:
        self.started: list[tuple[bool, str, str]] = []
        self.absorbed: list[str] = []

    def start_session(
        self, key: bytes, *, extended: bool, terminal_challenge: bytes, open_data: bytes
    ) -> SessionDigest:
        digest = super().start_session(
            key, extended=extended, terminal_challenge=terminal_challenge, open_data=open_data
        )
        self.started.append((extended, terminal_challenge.hex().upper(), open_data.hex().upper()))
        return RecordingDigest(digest, self.absorbed)  # type: ignore[return-value]


class Recorded:
    """A card with a recording suite."""

    def __init__(self, preset: str = "workshop", **changes: object) -> None:
        self.suite = RecordingSuite()
        memory = Memory(made(preset, **changes).memory.objects())
        self.card = CalypsoCard(memory, entropy=Entropy(b"card"), suite=self.suite)
        self.card.power_on()

    def send(self, *commands: str) -> str:
        answer = b""
        for command in commands:
            answer = self.card.transmit(bytes.fromhex(command))
        return answer.hex().upper()


@pytest.mark.parametrize(
    ("command", "extended", "challenge"),
    [
        (OPEN_REGULAR, False, "C1C2C3C4"),
        ("008A0B3904C1C2C3C400", False, "C1C2C3C4"),
        (OPEN_EXTENDED, True, "C1C2C3C4C5C6C7C8"),
        ("008A0B3A0900C1C2C3C4C5C6C7C800", True, "C1C2C3C4C5C6C7C8"),
    ],
)
def test_a_session_starts_with_the_whole_data_of_the_open_response_and_no_status_word(
    command: str, extended: bool, challenge: str
) -> None:
    recorded = Recorded()
    answer = recorded.send(command)
    assert recorded.suite.started == [(extended, challenge, answer[:-4])]
    assert recorded.suite.absorbed == []


WORKED_EXAMPLE = (
    ("00B2014400", "00B2014400", "00" * 29 + "9000"),
    ("00DC01441D" + "11" * 29, "00DC01441D" + "11" * 29, "9000"),
    ("003001C80300000100", "003001C803000001", "0000099000"),
)


def test_the_worked_example_of_the_sheet() -> None:
    recorded = Recorded("bench")
    recorded.send(OPEN_REGULAR, *(command for command, _, _ in WORKED_EXAMPLE), "008E000000")
    expected = [
        element for _, request, response in WORKED_EXAMPLE for element in (request, response)
    ]
    assert recorded.suite.absorbed == expected


@pytest.mark.parametrize(
    ("rule", "command", "request_", "response"),
    [
        (
            "Le of case 4 is left out",
            "003A007004010000010 0".replace(" ", ""),
            "003A00700401000001",
            "010000019000",
        ),
        (
            "a case 4 command without Le",
            "003201700300000 1".replace(" ", ""),
            "0032017003000001",
            "0000019000",
        ),
        ("Le of case 2 is taken in", "00B2013C00", "00B2013C00", None),
        ("a case 2 command without Le", "00B2013C", "00B2013C", None),
        ("the fifth byte of case 1 is taken in", "0004000000", "0004000000", "9000"),
        ("a case 1 command of four bytes", "00040000", "00040000", "9000"),
        ("case 3 as it is", "00E200400111", "00E200400111", "9000"),
        ("Select File", "00A4090002000000", "00A40900020000", None),
        ("Get Challenge", "0084000008", "0084000008", None),
        ("PIN status", "0020000000", "0020000000", "9000"),
        ("Verify PIN, plain", "002000000430303030", "002000000430303030", "9000"),
        ("SV Get", "007C00091E", "007C00091E", None),
        ("Get Data", "00CA018500", "00CA018500", "001122334455667788999000"),
        (
            "Search Record Multiple",
            "00A2014F050002010FFF00",
            "00A2014F050002010FFF",
            "030203049000",
        ),
        ("a status word that is an error", "00B2023C00", "00B2023C00", "6A83"),
        ("a wrong PIN", "002000000439393939", "002000000439393939", "63C2"),
        (
            "an unknown instruction",
            "00FF000004112233 4400".replace(" ", ""),
            "00FF00000411223344",
            "6D00",
        ),
        ("an unknown class", "FFB2013C00", "FFB2013C00", "6E00"),
        ("another Open", OPEN_REGULAR, OPEN_REGULAR[:-2], "6985"),
        ("bytes that are no APDU", "00B2", "00B2", "6700"),
        ("class 94", "94B2013C00", "94B2013C00", None),
    ],
)
@pytest.mark.parametrize("opening", [OPEN_REGULAR, OPEN_EXTENDED], ids=["regular", "extended"])
def test_what_is_absorbed_of_a_command_and_its_answer(
    opening: str, rule: str, command: str, request_: str, response: str | None
) -> None:
    recorded = Recorded()
    recorded.send(opening)
    answer = recorded.send(command)
    assert recorded.suite.absorbed == [request_, answer], rule
    if response is not None:
        assert answer == response


@pytest.mark.parametrize(
    "command",
    [
        "00B2000000",
        "94B2000000",
        "00C0000010",
        "0082000200",
        "0082000000",
        "0082000400",
        "008E40000411223344",
        "008E80000111",
    ],
)
def test_what_is_left_out(command: str) -> None:
    recorded = Recorded()
    recorded.send(OPEN_EXTENDED, command)
    assert recorded.suite.absorbed == []
    recorded.send("00B2013C00")
    assert len(recorded.suite.absorbed) == 2


def test_a_postponed_answer_is_absorbed_as_sent() -> None:
    recorded = Recorded("prime-2")
    recorded.send("948A820004C1C2C3C400")
    assert recorded.send("943201C803000005") == "6200"
    assert recorded.suite.absorbed == ["943201C803000005", "6200"]


def test_the_command_that_was_executed_is_absorbed_whatever_le_it_had() -> None:
    for le in ("00", "1D", "05", "FA"):
        recorded = Recorded()
        recorded.send(OPEN_REGULAR)
        answer = recorded.send(f"00B2013C{le}")
        assert recorded.suite.absorbed == [f"00B2013C{le}", answer]


def test_an_encrypted_section_absorbs_the_plain_text() -> None:
    peer = peer_of("workshop")
    suite = RecordingSuite()
    peer.card.suite = suite  # type: ignore[attr-defined]
    peer.open(3, mode="extended")
    peer.manage(encrypted=True)
    peer.ok("00DC015C08" + "5A" * 8, "00B2015C08", "003201700300000100")
    assert suite.absorbed == [
        "00DC015C08" + "5A" * 8,
        "9000",
        "00B2015C08",
        "5A" * 8 + "9000",
        "0032017003000001",
        "0000019000",
    ]
    peer.close_ok()


@pytest.mark.parametrize(("signed", "kept"), [(False, False), (True, True)])
def test_le_of_a_case_4_command_of_128_bytes_is_left_out_but_by_the_signed_quirk(
    signed: bool, kept: bool
) -> None:
    """32 counters make Lc 80, which the reference terminal reads as -128."""
    recorded = Recorded("bench", product={"signed_lc_in_digest": signed})
    command = "003800C880" + "".join(f"{number:02X}000000" for number in range(1, 33)) + "00"
    recorded.send(OPEN_REGULAR, command)
    assert recorded.suite.absorbed[0] == (command if kept else command[:-2])
