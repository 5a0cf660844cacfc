"""The catalogue of cases behind the card's coverage report: (command row, status word) by example.

Source: calypso-card §4 (what each command answers), §4.22 (order of refusals), §4.23 (misuse).
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from support.calypso_peer import Peer
from support.calypso_workshop import peer_of

from cardbench.emulator.calypso.structure import (
    PIN_TRIES_KEY,
    PURSE_KEY,
    TRANSACTION_COUNTER_KEY,
    invalidated_key,
    key_slot_key,
    ratified_key,
)
from cardbench.emulator.calypso.table import COMMANDS
from cardbench.protocol.apdu import CommandApdu

if TYPE_CHECKING:
    from cardbench.emulator.calypso import CalypsoCard

Step: TypeAlias = Callable[[Peer], object]
Command: TypeAlias = str | Callable[[Peer], str]


class Case(NamedTuple):
    """One way to one status word.

    Attributes:
        row: the row of the command table that answers.
        sw: status word.
        command: in hexadecimal, or made when the card is ready.
        given: what happens before.
        preset: the card.
        data: response data in hexadecimal, where it is known.
    """

    row: str
    sw: int
    command: Command
    given: tuple[Step, ...] = ()
    preset: str = "workshop"
    data: str | None = None

    def title(self) -> str:
        return f"{self.row}-{self.sw:04X}"


def card_of_peer(peer: Peer) -> CalypsoCard:
    return peer.card  # type: ignore[return-value]  # the peers of these tests have ours


MAY_CHANGE_WHEN_REFUSED = frozenset((TRANSACTION_COUNTER_KEY, PIN_TRIES_KEY, ratified_key(0x2000)))


def run(case: Case) -> None:
    """Play a case; check row, status word, data, and that a refusal changed nothing."""
    peer = peer_of(case.preset)
    card = card_of_peer(peer)
    for step in case.given:
        step(peer)
    command = case.command if isinstance(case.command, str) else case.command(peer)
    before = card.memory.objects()
    session = card.volatile.session
    provisional = dict(session.changes) if session else {}
    answer = peer.send(command)
    assert int(answer[-4:], 16) == case.sw, f"{command} was answered {answer}"
    if case.data is not None:
        assert answer[:-4] == case.data.replace(" ", "")
    parsed = CommandApdu.parse(bytes.fromhex(command))
    if card.last_row is not None:
        assert card.last_row.name == case.row
    else:  # refused by the table: an unknown instruction or parameters, or a wrong length
        assert case.sw in (0x6700, 0x6B00, 0x6D00)
        assert case.row in {row.name for row in COMMANDS.rows_for(parsed)}
    if case.sw >> 8 not in (0x90, 0x62):
        after = card.memory.objects()
        changed = {key for key in after if after[key] != before[key]}
        assert changed <= MAY_CHANGE_WHEN_REFUSED
        assert len(answer) == 4
        if session and card.volatile.session:
            assert session.changes == provisional


# What happens before


def session(key_index: int = 3, mode: str = "regular") -> Step:
    return lambda peer: peer.open(key_index, mode=mode)


def send(*commands: str) -> Step:
    return lambda peer: [peer.send(command) for command in commands]


def ok(*commands: str) -> Step:
    return lambda peer: peer.ok(*commands)


def encrypted(peer: Peer) -> None:
    peer.open(3, mode="extended")
    assert peer.manage(encrypted=True) == "9000"


def change(key: tuple[str | int, ...], value: object) -> Step:
    return lambda peer: card_of_peer(peer).memory.commit({key: value})  # type: ignore[dict-item]


invalid = change(invalidated_key(0x2000), 1)
exhausted = change(TRANSACTION_COUNTER_KEY, 0)
blocked = change(PIN_TRIES_KEY, 0)
no_key_3 = change(key_slot_key(0x2000, 3), (0, 0, 0, bytes(16)))
last_tnum = change(PURSE_KEY, (0, 0xFFFE, bytes(6)))
verified = ok("002000000430303030")
"""The PIN was presented rightly."""


def buffer_full(peer: Peer) -> None:
    """Open a session with the issuer key and leave nothing in its 256 bytes."""
    peer.open(1)
    peer.ok(*["00DC01441D" + "11" * 29] * 7)
    peer.ok("00DC014405" + "22" * 5)


def rehabilitating(peer: Peer) -> None:
    """Open with the issuer key on an invalidated DF."""
    invalid(peer)
    peer.open(1)


def legacy_key(peer: Peer) -> None:
    """Give the card a debit key that is not AES, and open an extended session with it."""
    slot = (0x30, 0x74, 0x40, peer.card_key(0x30, 0x74))
    change(key_slot_key(0x2000, 3), slot)(peer)
    peer.open(3, mode="extended")


def sv_debited(peer: Peer) -> None:
    """Do a Stored Value operation in a session."""
    peer.open(3)
    peer.send(sv(0xBA, -1)(peer))


def sv(ins: int, amount: int, *, extended: bool = False, **others: object) -> Callable[[Peer], str]:
    """Make a Stored Value operation behind its SV Get."""

    def command(peer: Peer) -> str:
        cla = "00" if peer.cla == 0 else "FA"
        p1, p2 = "01" if extended else "00", "07" if ins == 0xB8 else "09"
        answer = peer.send(f"{cla}7C{p1}{p2}00")
        return peer.sv_command(ins, amount, answer, extended=extended, **others)  # type: ignore[arg-type]

    return command


def altered(command: Callable[[Peer], str], index: int = -1) -> Callable[[Peer], str]:
    """Flip a bit of one byte of a command."""

    def make(peer: Peer) -> str:
        raw = bytearray.fromhex(command(peer))
        raw[index] ^= 1
        return raw.hex()

    return make


def ciphered_pin(pin: str = "30303030") -> Callable[[Peer], str]:
    return lambda peer: "0020000008" + peer.pin_cryptogram(peer.ok("0084000008"), pin)


def new_pin(new: str, old: str = "00000000") -> Callable[[Peer], str]:
    return lambda peer: "00D800FF10" + peer.pin_change_cryptogram(peer.ok("0084000008"), new, old)


def new_key(index: int, kif: int, kvc: int, algorithm: int = 0xA0) -> Callable[[Peer], str]:
    return lambda peer: (
        f"00D800{index:02X}20" + peer.key_cryptogram(peer.ok("0084000008"), kif, kvc, algorithm)
    )


def terminal_proof(p2: int = 0x01) -> Callable[[Peer], str]:
    def command(peer: Peer) -> str:
        assert peer.digest is not None
        return f"008200{p2:02X}08{peer.digest.terminal_proof().hex()}00"

    return command


def ciphered_pin_too_late(peer: Peer) -> str:
    """Let another command come between challenge and presentation."""
    command = ciphered_pin()(peer)
    peer.ok("00CA006F00")
    return command


def sv_later(command: Callable[[Peer], str]) -> Callable[[Peer], str]:
    """Let another command come between SV Get and the operation."""

    def make(peer: Peer) -> str:
        made = command(peer)
        peer.send(f"{peer.cla:02X}CA006F00")
        return made

    return make


def toggled(peer: Peer) -> None:
    """Fill the session buffer on an invalidated DF, where nothing else is written."""
    rehabilitating(peer)
    peer.ok(*["0044000000", "0004000000"] * 21)


def closing(p1: int = 0x80) -> Callable[[Peer], str]:
    def command(peer: Peer) -> str:
        mac = peer.terminal_mac()
        return f"{peer.cla:02X}8E{p1:02X}00{len(mac):02X}{mac.hex()}00"

    return command


# The catalogue

CASES: list[Case] = []
NOT_REACHED: dict[tuple[str, int], str] = {}
"""Declared status words that no case reaches, with the reason."""


class Row:
    """Adds cases of one row to the catalogue."""

    def __init__(self, name: str, preset: str = "workshop") -> None:
        self.name = name
        self.preset = preset

    def __call__(
        self,
        sw: int,
        command: Command,
        *given: Step,
        data: str | None = None,
        preset: str | None = None,
    ) -> None:
        CASES.append(Case(self.name, sw, command, given, preset or self.preset, data))

    def by_sfi(
        self,
        command: Callable[[int], str],
        *,
        wrong_type: int,
        needs_key: int,
        never: int,
        wrong_p: str,
    ) -> None:
        """Add what every command that takes an SFI refuses alike.

        Args:
            command: makes the command for an SFI.
            wrong_type: SFI of a file of another type.
            needs_key: SFI of a file whose condition is not satisfied.
            never: SFI of a file that never allows it.
            wrong_p: the command with a P1 or P2 that the instruction does not take.
        """
        self(0x6981, command(wrong_type))
        self(0x6982, command(needs_key))
        self(0x6985, command(never))
        self(0x6986, command(0))
        self(0x6A82, command(0x1F))
        self(0x6B00, wrong_p)

    def writes(self, command: str) -> None:
        """Add what every modification has: done, session buffer full, DF invalidated.

        Args:
            command: on a file that always allows it.
        """
        self(0x9000, command)
        self(0x9000, command, session())
        self(0x6400, command, buffer_full)
        self(0x6985, command, invalid)


RIGHT_PIN = "002000000430303030"
WRONG_PIN = "002000000439393939"
RECORD = "11" * 29
BLANK = "00000F" + "FF" * 26

# Read Records

row = Row("Read Records (one)")
row.by_sfi(
    lambda sfi: f"00B201{sfi << 3 | 4:02X}00",
    wrong_type=0x10,
    needs_key=0x03,
    never=0x01,
    wrong_p="00B2013E00",
)
row(0x9000, "00B2024C1D", data=BLANK)
row(0x9000, "00B2024C00", data=BLANK)
row(0x9000, "00B2024C03", data="00000F")
row(0x9000, "00B2024CFA", data=BLANK)
row(0x9000, "00B2024C", data=BLANK)
row(0x9000, "94B2024C1D", data=BLANK)
row(0x9000, "00B2020400", ok("00B2014C01"), data=BLANK)  # the current EF
row(0x9000, "00B2011C1D", verified, data="00" * 29)
row(0x9000, "00B2015400", data="000000")  # a simulated counter
row(0x9000, "00B201CC06", data="00000A000000")
row(0x9000, "00B2013C00", invalid)
row(0x6982, "00B2015C00", session())
row(0x9000, "00B2015C00", encrypted, data="00" * 8)
row(0x6982, "00B2016400", encrypted)
row(0x6982, "00B2016400", verified)
row(0x9000, "00B2016400", verified, encrypted, data="00" * 8)
row(0x6985, "00B201A400", sv_debited)
row(0x6A83, "00B2003C00")
row(0x6A83, "00B2023C00")
row(0x6A83, "00B2FF3C00")
row(0x6700, "00B2013C01AA")

row = Row("Read Records (several)")
row.by_sfi(
    lambda sfi: f"00B201{sfi << 3 | 5:02X}00",
    wrong_type=0x10,
    needs_key=0x03,
    never=0x01,
    wrong_p="00B2013F00",
)
row(0x9000, "00B2034D3E", data="031D" + BLANK + "041D" + BLANK)
row(0x9000, "00B2034D3D", data="031D" + BLANK)
row(0x9000, "00B2034D05", data="031D00000F")
row(0x9000, "00B2019500", data="".join(f"{n:02X}08" + "00" * 8 for n in range(1, 26)))
row(0x6A83, "00B2054D00")
row(0x6A83, "00B2004D00")
row(0x6700, "00B2014D01AA")

row = Row("Ratification")
row(0x6B00, "00B2000000")
row(0x6B00, "94B20000")

# Update, Write, Append Record

row = Row("Update Record")
row.by_sfi(
    lambda sfi: f"00DC01{sfi << 3 | 4:02X}0411223344",
    wrong_type=0x10,
    needs_key=0x07,
    never=0x01,
    wrong_p="00DC013D0400112233",
)
row.writes("00DC016C0411223344")
row(0x9000, "00DC013C0400112233", session(1))
row(0x9000, "00DC01441D" + RECORD, session())
row(0x9000, "00DC01CC03000005", session(2))
row(0x9000, "00DC015403000005", session(2))
row(0x6982, "00DC014C0111", session(3))
row(0x6981, "00DC02440111", session())  # a cyclic file takes record 1 only
row(0x6A83, "00DC04440111", session())
row(0x6A83, "00DC003C0111", session(1))
row(0x6700, "00DC013C1E" + "11" * 30, session(1))
row(0x6700, "00DC013C00")

row = Row("Write Record")
row.by_sfi(
    lambda sfi: f"00D201{sfi << 3 | 4:02X}0411223344",
    wrong_type=0x19,
    needs_key=0x02,
    never=0x1D,
    wrong_p="00D2013D0111",
)
row.writes("00D2016C0411223344")
row(0x6981, "00D201540111", session())  # simulated counter
row(0x6981, "00D201840111", session())  # binary
row(0x9000, "00D201440484332211", session())
row(0x6981, "00D202440111", session())
row(0x6A83, "00D204440111", session())
row(0x6A83, "00D2036C0111")
row(0x6700, "00D2016C09" + "11" * 9)

row = Row("Append Record")
row.by_sfi(
    lambda sfi: f"00E200{sfi << 3:02X}0411223344",
    wrong_type=0x07,
    needs_key=0x08,
    never=0x06,
    wrong_p="00E201400111",
)
row.writes("00E200780411223344")
row(0x9000, "00E200401D" + RECORD, session())
row(0x6700, "00E2007805" + "11" * 5)

# Counters

for _name, _ins, _sign in (("Increase", "32", 1), ("Decrease", "30", -1)):
    row = Row(_name)
    row.by_sfi(
        lambda sfi, ins=_ins: f"00{ins}01{sfi << 3:02X}0300000000",  # type: ignore[misc]
        wrong_type=0x07,
        needs_key=0x19,
        never=0x05,
        wrong_p=f"00{_ins}01C90300000000",
    )
    row.writes(f"00{_ins}01700300000000")
    row(0x9000, f"00{_ins}01C80300000100", session(2), data=f"{10 + _sign:06X}")
    row(0x9000, f"00{_ins}01C803000001", session(2), data=f"{10 + _sign:06X}")
    row(0x9000, f"00{_ins}00500300000000", session(2), data="000000")  # a simulated counter
    row(0x6B00, f"00{_ins}01500300000000", session(2))
    row(0x6B00, f"00{_ins}00C80300000000", session(2))
    row(0x6B00, f"00{_ins}0AC80300000000", session(2))
    row(0x6B00, f"00{_ins}54C80300000000", session(2))
    row(0x6700, f"00{_ins}01C8020000")
    row(0x6200, f"94{_ins}01C803000000", session(2, "revision 2"), preset="prime-2", data="")
    row(0x6200, f"94{_ins}01C803000000", session(2, "revision 1"), preset="prime-1", data="")
Row("Increase")(0x6A80, "0032017003FFFFFF00", ok("003201700300000100"))
Row("Decrease")(0x6A80, "003001700300000100")

for _name, _ins in (("Increase Multiple", "3A"), ("Decrease Multiple", "38")):
    row = Row(_name)
    row.by_sfi(
        lambda sfi, ins=_ins: f"00{ins}00{sfi << 3:02X}040100000000",  # type: ignore[misc]
        wrong_type=0x0A,
        needs_key=0x19,
        never=0x05,
        wrong_p=f"00{_ins}01C8040100000000",
    )
    row.writes(f"00{_ins}007008010000000200000000")
    row(0x6A80, f"00{_ins}007008010000000100000000")  # a counter twice
    row(0x6A80, f"00{_ins}0070040400000000")  # no such counter
    row(0x6A80, f"00{_ins}0070040000000000")
    row(0x6700, f"00{_ins}0070050100000000")
    row(0x9000, f"94{_ins}00C8040100000000", session(2, "revision 2"), preset="prime-2")
row = Row("Increase Multiple")
row(
    0x9000,
    "003A00700C01000001020000020300000300",
    ok("003A00700C01000010020000200300003000"),
    data="010000110200002203000033",
)
row(0x6A80, "003A00700401FFFFFF00", ok("003201700300000100"))
Row("Decrease Multiple")(0x6A80, "0038007008010000000200000100")

# Binary files

for _name, _ins in (("Read Binary", "B0"), ("Update Binary", "D6"), ("Write Binary", "D0")):
    _tail = "02" if _ins == "B0" else "021122"
    _head = f"00{_ins}"
    row = Row(f"{_name} (by SFI)")
    row(0x9000, f"{_head}9000{_tail}")
    row(0x6981, f"{_head}8700{_tail}")
    row(0x6982, f"{_head}9100{_tail}")
    row(0x6985, f"{_head}8400{_tail}")
    row(0x6986, f"{_head}8000{_tail}")
    row(0x6A82, f"{_head}9F00{_tail}")
    row(0x6A83, f"{_head}9110{_tail}", verified, session())
    row(0x6B00, f"{_head}C100{_tail}")
    row = Row(f"{_name} (current EF)")
    row(0x9000, f"{_head}0100{_tail}", ok("00B0900001"))
    row(0x6981, f"{_head}0000{_tail}", ok("00B2013C01"))
    row(0x6982, f"{_head}0000{_tail}", ok("00A4090002300C"))
    row(0x6985, f"{_head}0000{_tail}", ok("00A40900023002"))
    row(0x6986, f"{_head}0000{_tail}")
    row(0x6A83, f"{_head}012C{_tail}", ok("00B0900001"))
    row(0x6A83, f"{_head}7FFF{_tail}", ok("00B0900001"))
    row(0x6B00, f"{_head}C000{_tail}", ok("00B0900001"))
for _name, _ins in (("Update Binary", "D6"), ("Write Binary", "D0")):
    row = Row(f"{_name} (by SFI)")
    row.writes(f"00{_ins}9000021122")
    row(0x6700, f"00{_ins}910F021122", session())
    row = Row(f"{_name} (current EF)")
    row(0x9000, f"00{_ins}0000021122", session(), ok("00B0900001"))
    row(0x6985, f"00{_ins}0000021122", ok("00B0900001"), invalid)
    row(0x6400, f"00{_ins}0000021122", buffer_full, ok("00B0900001"))
    row(0x6700, f"00{_ins}012B021122", ok("00B0900001"))
Row("Read Binary (by SFI)")(0x6700, "00B0900001AA")
Row("Read Binary (by SFI)")(0x9000, "00B0910E00", verified, data="0000")
Row("Read Binary (by SFI)")(0x9000, "00B0900000", data="00" * 256)
Row("Read Binary (by SFI)")(0x9000, "00B09000", data="00" * 256)
Row("Read Binary (current EF)")(0x6700, "00B0000001AA", ok("00B0900001"))

# Read Record Multiple, Search Record Multiple

row = Row("Read Record Multiple")
row.by_sfi(
    lambda sfi: f"00B301{sfi << 3 | 5:02X}045402000100",
    wrong_type=0x10,
    needs_key=0x03,
    never=0x01,
    wrong_p="00B3014C045402000100",
)
row(0x9000, "00B3014D045402020100", data="130F0F0F")
row(0x9000, "00B3034D045402020204", data="0FFF0FFF")
row(0x6200, "00B3024D045402020204", data="0FFF0FFF")
row(0x6200, "00B30195045402000200", data="00" * 256)
row(0x6A80, "00B3014D045502000100")
row(0x6A80, "00B3014D045403000100")
row(0x6A80, "00B3014D045402000000")
row(0x6A80, "00B3014D0454021D0100")
row(0x6A80, "00B3014D045402001E00")
row(0x6A83, "00B3004D045402000100")
row(0x6A83, "00B3054D045402000100")
row(0x6700, "00B3014D0354020000")
row(0x6700, "00B3014D045402000201")
row(0x9000, "00B30155045402000300", data="000000")

row = Row("Search Record Multiple")
row.by_sfi(
    lambda sfi: f"00A201{sfi << 3 | 7:02X}0500000111FF00",
    wrong_type=0x10,
    needs_key=0x03,
    never=0x01,
    wrong_p="00A2014E0500000111FF00",
)
row(0x9000, "00A2014F050002010FFF00", data="03020304")
row(0x9000, "00A2034F050002010FFF00", data="020304")
row(0x9000, "00A2014F0500020155FF00", data="00")
row(0x9000, "00A2014F0501020155FF00", data="00")
row(0x9000, "00A2014F050102010FFF00", data="03020304" + BLANK)
row(0x9000, "00A2014F058000010FFF00", data="03020304")
row(0x9000, "00A2014F058003010FFF00", data="00")
row(0x9000, "00A2014F050003010F0F00", data="03020304")
row(0x9000, "00A201CF0900000300000AFFFFFF00", data="0101")
row(0x9000, "00A201570500000100FF00", data="0101")
row(0x6400, "00A201970501000100FF00", preset="workshop")
row(0x6400, "00A2014F050102010FFF02")
row(0x6A80, "00A2014F050000020FFF00")
row(0x6A80, "00A2014F054002010FFF00")
row(0x6A80, "00A2014F05001D010FFF00")
row(0x6A80, "00A201570500030100FF00")
row(0x6A83, "00A2004F050002010FFF00")
row(0x6A83, "00A2054F050002010FFF00")
row(0x6700, "00A2014F0300020100")

# Selection and Get Data

AID = "A000000291FF9101"
row = Row("Select Application")
row(0x9000, f"00A4040008{AID}00")
row(0x9000, f"00A4040008{AID}")
row(0x9000, "00A4040005A00000029100")
row(0x9000, f"00A4040C08{AID}", data="")
row(
    0x9000,
    f"00A4040408{AID}00",
    data="85170002000000101000000103010100747474212730002000",
)
row(0x6283, "00A4040005A00000029100", invalid)
row(0x9000, "00A4040205A00000029100", preset="kit-regular")
row(0x6A82, "00A4040205A00000029100")
row(0x6A82, "00A4040305A00000029100")
row(0x6A82, "00A4040009A000000291FF91010100")
row(0x6700, "00A4040004A0000002")
row(0x6700, "00A4040011" + "A0" * 17)
row(0x6B00, f"00A4041008{AID}00")
row(0x6B00, f"00A4040808{AID}00")
row(0x9000, "00A4040005A00000040400", preset="prime-2")

CURRENT_DF = "85170002000000101000000103010100747474212730002000"
row = Row("Select File (first EF, or by LID)")
row(0x9000, "00A4020002000000", data="85170204021D011F0010000101010100000000000000000002")
row(0x9000, "00A4020002201000")
row(0x6A82, "00A4020002999900")
row(0x6700, "00A4020003000000")
row(
    0x9000,
    "94A4020002200000",
    preset="prime-2",
    data="85170002000000101000000103010100797979000000200000",
)
row(0x6B00, "00A4020102000000")
row = Row("Select File (next EF)")
row(0x9000, "00A4020202000000")
row(0x9000, "00A4020202000019", ok("00A4020002000000"))
row(0x6A82, "00A4020202000000", ok("00A4020002300E00"))
row(0x6A80, "00A40202023F0000")
row(0x6700, "00A402020100")
row(0x6B00, "00A4020302000000")
row = Row("Select File (current DF, or by LID)")
row(0x9000, "00A4090002000000", data=CURRENT_DF)
row(0x9000, "00A4090000", data=CURRENT_DF)
row(0x9000, "00A4090002200000", data=CURRENT_DF)
row(0x9000, "00A4090002000200")
row(0x9000, "00A4090002000200", session())
row(0x6A82, "00A4090002999900")
row(0x6700, "00A409000100")
row(0x6B00, "00A4090102000000")
row = Row("Select File (by path)", "prime-2")
row(0x9000, "94A408000420002001")
row(0x9000, "94A40800022010")
row(0x9000, "94A408000420002001", preset="tango")
row(0x9000, "94A40800043F000002")
row(0x9000, "94A4080002201000", preset="prime-1")
row(0x6A82, "94A408000420009999")
row(0x6A82, "94A408000499992001")
row(0x6A82, "94A408000420012001")
row(0x6700, "94A4080000")
row(0x6700, "94A4080003200020")
row(0x6B00, "94A40801022010")
row = Row("Select File (MF, or by LID)", "prime-2")
MASTER = "851700010000001010000001030101007979790000003F0000"
row(0x9000, "94A4000000", data=MASTER)
row(0x9000, "94A40000023F00", data=MASTER)
row(0x9000, "94A40000022001")
row(0x6A82, "94A40000020000")
row(0x6A82, "00A4000000", preset="workshop")
row(0x6700, "94A400000100")
row(0x6B00, "94A4000100")
row = Row("Select File (parent DF)", "prime-2")
row(0x9000, "94A4030000", data=MASTER)
row(0x6A82, "00A4030000", preset="workshop")
row(0x6700, "94A40300023F00")
row(0x6B00, "94A4030100")

row = Row("Get Data")
row(
    0x9000,
    "00CA006F00",
    data="6F228408A000000291FF9101A516BF0C13C70800000000112233445307073C3B02141001",
)
row(0x6283, "00CA006F00", invalid)
row(0x9000, "00CA006200", data=CURRENT_DF)
row(0x9000, "00CA00C000")
row(0x9000, "00CA018500", data="00112233445566778899")
row(0x9000, "00CA018500", session())
row(0x9000, "00CA004F00", data="4F08A000000291FF9101")
row(0x9000, "00CA00D000", preset="kit-regular")
row(0x9000, "00CA5F5200", data="0000000091717100")
row(0x9000, "00CA5F5200", preset="contact", data="805A3C3B0214100111223344829000")
row(0x6A88, "00CA00D000")
row(0x6A88, "00CADF4C00")
row(0x6A88, "00CADF2C00")
row(0x6B00, "00CA123400")
row(0x6B00, "00CADF3C00")
row(0x6700, "00CA006F0111")
row = Row("Get Response")
for _cla in ("00", "94", "80"):
    row(0x6985, f"{_cla}C0000010")
row(0x6700, "00C0000001AA")

# Get Challenge, PIN

row = Row("Get Challenge")
row(0x9000, "0084000008")
row(0x6700, "0084000000")
row(0x6700, "00840000")
row(0x6700, "0084000004")
row(0x6B00, "0084010008")

for _name, _form in (("PIN status", "00"), ("Verify PIN (plain)", "0430303030")):
    row = Row(_name)
    row(0x9000, f"00200000{_form}")
    row(0x9000, f"00200000{_form}", session())
    row(0x6983, f"00200000{_form}", blocked)
    row(0x6985, f"00200000{_form}", invalid)
    row(0x6B00, f"00200100{_form}")
    row(0x6700, "00200000053030303030")
    row(0x6D00, f"00200000{_form}", preset="light-classic")
row = Row("PIN status")
row(0x63C2, "0020000000", send(WRONG_PIN))
row(0x63C1, "0020000000", send(WRONG_PIN, WRONG_PIN))
row(0x6983, "0020000000", send(WRONG_PIN, WRONG_PIN, WRONG_PIN))
row = Row("Verify PIN (plain)")
row(0x63C2, WRONG_PIN)
row(0x63C1, WRONG_PIN, send(WRONG_PIN))
row(0x6983, WRONG_PIN, send(WRONG_PIN, WRONG_PIN))
row(0x6983, RIGHT_PIN, send(WRONG_PIN, WRONG_PIN, WRONG_PIN))
row(0x6900, RIGHT_PIN, exhausted)
row = Row("Verify PIN (ciphered)")
row(0x9000, ciphered_pin())
row(0x9000, ciphered_pin(), session(2))
row(0x63C2, ciphered_pin("39393939"))
row(0x63C2, altered(ciphered_pin()))
row(0x63C1, ciphered_pin("39393939"), send(WRONG_PIN))
row(0x6983, ciphered_pin(), blocked)
row(0x6900, ciphered_pin(), exhausted)
row(0x6982, "00200000081122334455667788")
row(0x6982, ciphered_pin_too_late)
row(0x6985, ciphered_pin(), invalid)
row(0x6700, "00200000051122334455")
row(0x6B00, "00200001081122334455667788")
row(0x6D00, "00200000081122334455667788", preset="basic")

row = Row("Change PIN")
row(0x9000, "00D800FF0434353637", verified)
row(0x9000, new_pin("34353637"))
row(0x9000, new_pin("34353637", "30303030"))
row(0x9000, new_pin("34353637"), blocked)
row(0x6982, "00D800FF0434353637")
row(0x6982, "00D800FF0434353637", verified, send(WRONG_PIN))
row(0x6982, "00D800FF10" + "11" * 16)
row(0x6985, "00D800FF0434353637", verified, session())
row(0x6985, "00D800FF0434353637", verified, invalid)
row(0x6988, altered(new_pin("34353637")))
row(0x6A80, new_pin("34353637", "39393939"))
row(0x6A87, "00D800FF20" + "11" * 32)
row(0x6900, "00D800FF0434353637", verified, exhausted)
row(0x6700, "00D800FF053435363738")
row(0x6B00, "00D801FF0434353637")

row = Row("Change Key")
row(0x9000, new_key(3, 0x30, 0x75))
row(0x9000, new_key(1, 0x21, 0x79, 0x40))
row(0x6982, "00D8000320" + "11" * 32)
row(0x6985, new_key(3, 0x30, 0x75), session())
row(0x6985, new_key(3, 0x30, 0x75), invalid)
row(0x6988, altered(new_key(3, 0x30, 0x75)))
row(0x6A80, new_key(3, 0x30, 0x75, 0x01))
row(0x6A80, new_key(3, 0x00, 0x75))
row(0x6A80, "00D8000318" + "11" * 24, ok("0084000008"))
row(0x6A87, "00D800030434353637")
row(0x6900, new_key(3, 0x30, 0x75), exhausted)
row(0x6700, "00D8000321" + "11" * 33)
row(0x6B00, "00D8000420" + "11" * 32)
row(0x6B00, "00D8000020" + "11" * 32)

# Stored Value

row = Row("SV Get")
row(0x9000, "007C000721")
row(0x9000, "007C00091E")
row(0x9000, "007C000700")
row(0x9000, "007C0009")
row(0x9000, "007C01073D")
row(0x9000, "007C01093D", session())
row(0x9000, "FA7C000721", preset="prime-2")
row(0x6985, "007C00091E", sv_debited)
row(0x6A81, "007C000800")
row(0x6A81, "007C020700")
row(0x6A81, "FA7C010700", preset="prime-2")
row(0x6A86, "007C00071E")
row(0x6A86, "007C010721")
row(0x6700, "007C0007021122")
row(0x6D00, "007C000721", preset="light-classic")
row(0x6D00, "007C000721", preset="hoplink-small")

for _name, _ins, _amount in (
    ("SV Reload", 0xB8, 100),
    ("SV Debit", 0xBA, -1),
    ("SV Undebit", 0xBC, 1),
):
    row = Row(_name)
    row(0x9000, sv(_ins, _amount))
    row(0x9000, sv(_ins, _amount, le="03"))
    row(0x9000, sv(_ins, _amount, extended=True, le="06"))
    row(0x9000, sv(_ins, _amount), preset="prime-2")
    row(0x6200, sv(_ins, _amount), session())
    row(0x6400, sv(_ins, _amount), buffer_full)
    row(0x6700, f"00{_ins:02X}5566057711223344")
    row(0x6900, sv(_ins, _amount), exhausted)
    row(0x6900, sv(_ins, _amount), last_tnum)
    row(0x6985, f"00{_ins:02X}556614" + "11" * 20)
    row(0x6985, sv(_ins, _amount, kvc=0x75))
    row(0x6985, sv(_ins, _amount), invalid)
    row(0x6985, sv_later(sv(_ins, _amount)))
    row(0x6988, altered(sv(_ins, _amount)))
    row(0x6988, altered(sv(_ins, _amount), 6))
    row(0x6D00, f"00{_ins:02X}556614" + "11" * 20, preset="basic")
Row("SV Debit")(0x6985, sv(0xBA, 1))
Row("SV Debit")(0x6985, sv(0xBA, -2), change(PURSE_KEY, (-0x7FFFFF, 0, bytes(6))))
Row("SV Undebit")(0x6985, sv(0xBC, -1))
Row("SV Undebit")(0x6985, sv(0xBC, 1), change(PURSE_KEY, (0x7FFFFF, 0, bytes(6))))
Row("SV Reload")(0x9000, sv(0xB8, -100))
Row("SV Reload")(0x6985, sv(0xB8, 1), change(PURSE_KEY, (0x7FFFFF, 0, bytes(6))))

# Invalidate, Rehabilitate

for _name, _ins, _given, _wrong in (
    ("Invalidate", "04", (), (invalid,)),
    ("Rehabilitate", "44", (invalid,), ()),
):
    row = Row(_name)
    row(0x9000, f"00{_ins}000000", *_given, session(1))
    row(0x6982, f"00{_ins}000000", *_given)
    row(0x6985, f"00{_ins}000000", *_wrong, session(1))
    row(0x6700, f"00{_ins}00000111", *_given, session(1))
    row(0x6B00, f"00{_ins}010000", *_given, session(1))
Row("Invalidate")(0x9000, "00040000", session(3))
Row("Invalidate")(0x6400, "0004000000", buffer_full)
Row("Rehabilitate")(0x6982, "0044000000", invalid, session(3))
Row("Rehabilitate")(0x6400, "0044000000", invalid, toggled)

# Sessions


def opening(
    cla: str, p1: int, low: int, data: str, *, key: int = 3, sfi: int = 0, record: int = 0
) -> str:
    return f"{cla}8A{p1 | record << 3 | key:02X}{sfi << 3 | low:02X}{data}00"


for _name, _preset, _form in (
    # row, card, (class, fixed bits of P1, fixed bits of P2, Lc and data)
    ("Open Secure Session (revision 1)", "prime-1 workshop", ("94", 0x00, 0, "04C1C2C3C4")),
    ("Open Secure Session (revision 2)", "prime-2 workshop", ("94", 0x80, 0, "04C1C2C3C4")),
    ("Open Secure Session (regular)", "workshop", ("00", 0x00, 1, "04C1C2C3C4")),
    ("Open Secure Session (extended)", "workshop", ("00", 0x00, 2, "0900C1C2C3C4C5C6C7C8")),
):
    row = Row(_name, _preset)
    row(0x9000, opening(*_form))
    row(0x9000, opening(*_form, key=1, sfi=0x07, record=1))
    row(0x9000, opening(*_form), invalid)
    row(0x6900, opening(*_form), exhausted)
    row(0x6981, opening(*_form, sfi=0x04, record=1))
    row(0x6982, opening(*_form, sfi=0x13, record=1))
    row(0x6985, opening(*_form, sfi=0x01, record=1))
    row(0x6985, opening(*_form), send(opening(*_form)))
    row(0x6986, opening(*_form, record=1))
    row(0x6A81, opening(*_form, key=0))
    row(0x6A81, opening(*_form, key=4))
    row(0x6A81, opening(*_form, key=7))
    row(0x6A81, opening(*_form), no_key_3)
    row(0x6A82, opening(*_form, sfi=0x1F, record=1))
    row(0x6A83, opening(*_form, sfi=0x07, record=2))
    row(0x6700, f"{_form[0]}8A{_form[1] | 3:02X}{_form[2]:02X}051122334455")
    row(0x6B00, f"{_form[0]}8A{_form[1] | 3:02X}07{_form[3]}00")
row = Row("Open Secure Session (extended)")
row(0x6A80, "008A03020901C1C2C3C4C5C6C7C800")
row(0x6B00, "008A03020900C1C2C3C4C5C6C7C800", preset="kit-regular")
row(0x6B00, "008A03020900C1C2C3C4C5C6C7C800", preset="light-classic")
row(0x6B00, "008A03020900C1C2C3C4C5C6C7C800", preset="basic")
row(0x6982, opening("00", 0, 2, "0900C1C2C3C4C5C6C7C8", sfi=0x0B, record=1))

row = Row("Open Secure Session (pre-open)")
row(0x6200, "008A0302010000")
row(0x6900, "008A0302010000", exhausted)
row(0x6985, "008A0302010000", session())
row(0x6A80, "008A0302010100")
row(0x6A81, "008A0402010000")
row(0x6A81, "008A0302010000", no_key_3)
row(0x6B00, "008A0B02010000")

OPEN_PKI = "008A00030900C1C2C3C4C5C6C7C800"
OPEN_PKI_RECORD = "008A083B0900C1C2C3C4C5C6C7C800"
pki_session = ok(OPEN_PKI)
row = Row("Open Secure Session (PKI)")
row(0x9000, OPEN_PKI, preset="pki")
row(0x9000, OPEN_PKI_RECORD, preset="pki")
row(0x9000, OPEN_PKI, preset="pki-hce")
row(0x6985, OPEN_PKI)
row(0x6985, OPEN_PKI_RECORD, session())
row(0x6985, OPEN_PKI, pki_session, preset="pki")
row(0x6900, OPEN_PKI, exhausted, preset="pki")
row(0x6981, "008A08D30900C1C2C3C4C5C6C7C800", preset="pki")
row(0x6982, "008A081B0900C1C2C3C4C5C6C7C800", preset="pki")
row(0x6986, "008A08030900C1C2C3C4C5C6C7C800", preset="pki")
row(0x6A80, "008A00030901C1C2C3C4C5C6C7C800")
row(0x6A82, "008A08FB0900C1C2C3C4C5C6C7C800", preset="pki")
row(0x6A83, "008A283B0900C1C2C3C4C5C6C7C800", preset="pki")
row(0x6B00, "008A03030900C1C2C3C4C5C6C7C800")
row(0x6B00, OPEN_PKI, preset="kit-extended")
row(0x6700, "008A000304C1C2C3C400")

row = Row("Close Secure Session")
row(0x9000, closing(), session())
row(0x9000, closing(0x00), session())
row(0x9000, closing(), session(mode="extended"))
row(0x9000, closing(), session(mode="revision 2"), preset="prime-2")
row(0x6700, "008E800008112233445566778800", session())
row(0x6700, "008E8000041122334400", session(mode="extended"))
row(0x6700, "008E800005112233445500", session())
row(0x6700, "008E800000", session())
row(0x6985, "008E8000041122334400")
row(0x6988, "008E8000041122334400", session())
row(0x6988, "008E8000081122334455667788", session(mode="extended"))
row(0x6B00, "008E4000041122334400", session())
row(0x6B00, "008E8001041122334400", session())

row = Row("Abort Secure Session")
row(0x9000, "008E000000", session(), data="")
row(0x9000, "008E0000", session(mode="extended"), data="")
row(0x6985, "008E000000")
row(0x6B00, "008E000100", session())
row(0x6B00, "008E010000", session())
row(0x6700, "008E00000111", session())

extended = session(mode="extended")
row = Row("Manage Secure Session (encryption)")
row(0x9000, "0082000200", extended, data="")
row(0x9000, "0082000000", encrypted, data="")
row(0x6985, "0082000200")
row(0x6985, "0082000200", session())
row(0x6985, "0082000200", legacy_key)
row(0x6700, "0082000208112233445566778800", extended)
row(0x6B00, "0082010200", extended)
row(0x6B00, "0082000400", extended)
row(0x6D00, "0082000200", preset="kit-regular")
row = Row("Manage Secure Session (authentication)")
row(0x9000, terminal_proof(), extended)
row(0x9000, terminal_proof(0x03), extended)
row(0x9000, terminal_proof(0x03), encrypted)
row(0x6985, "0082000108112233445566778800")
row(0x6985, "0082000108112233445566778800", session())
row(0x6985, "0082000108112233445566778800", legacy_key)
row(0x6988, "0082000108112233445566778800", extended)
row(0x6700, "0082000100", extended)
row(0x6700, "00820001071122334455667700", extended)
row(0x6B00, "0082010108112233445566778800", extended)
row(0x6D00, "0082000108112233445566778800", preset="light-classic")

# PKI

row = Row("Close Secure Session")
row(0x6700, "008E8000081122334455667788", pki_session, preset="pki")
row = Row("Abort Secure Session")
row(0x9000, "008E000000", pki_session, preset="pki")
row(0x6700, "008E00000111", pki_session, preset="pki")
row(0x6B00, "008E000100", pki_session, preset="pki")
for _name, _command in (
    ("Manage Secure Session (encryption)", "0082000200"),
    ("Manage Secure Session (authentication)", "0082000108112233445566778800"),
    ("SV Get", "007C000900"),
    ("Verify PIN (ciphered)", "00200000081122334455667788"),
    ("Change PIN", "00D800FF0431313131"),
    ("Change Key", "00D8000120" + "11" * 32),
):
    Row(_name)(0x6985, _command, pki_session, preset="pki")
for _name, _command in (
    ("SV Reload", "00B8000017" + "00" * 23),
    ("SV Debit", "00BA000014" + "00" * 20),
    ("SV Undebit", "00BC000014" + "00" * 20),
):
    Row(_name)(0x6985, _command, pki_session, preset="pki")

_PKI = tomllib.loads((Path(__file__).parents[1] / "vectors" / "calypso-pki.toml").read_text())[
    "own"
]
KEY_PAIR = _PKI["card_public_key"].replace("\n", "") + _PKI["card_private_key"]
CARD_CERTIFICATE = _PKI["card_certificate"].replace("\n", "")
CA_CERTIFICATE = _PKI["ca_certificate"].replace("\n", "")
PUT_KEY_PAIR = "00DADF3C60" + KEY_PAIR
PUT_CARD_1 = "00DADF4CFADF4C82013C" + CARD_CERTIFICATE[:490]
PUT_CARD_2 = "00DADF4D47" + CARD_CERTIFICATE[490:]
PUT_CA_1 = "00DADF4AFADF4A820180" + CA_CERTIFICATE[:490]
PUT_CA_2 = "00DADF4B8B" + CA_CERTIFICATE[490:]
GENERATE = "004600000A06082A8648CE3D030107"

row = Row("Generate Asymmetric Key Pair")
row(0x9000, GENERATE, data="")
row(0x6985, GENERATE, ok(GENERATE))
row(0x6985, GENERATE, ok(PUT_KEY_PAIR))
row(0x6985, GENERATE, session())
row(0x6985, GENERATE, invalid)
row(0x6A80, GENERATE[:-2] + "22")
row(0x6700, "0046000009" + GENERATE[10:-2])
row(0x6B00, "00460100" + GENERATE[8:])
row = Row("Put Data (card key pair)")
row(0x9000, PUT_KEY_PAIR, data="")
row(0x6985, PUT_KEY_PAIR, ok(PUT_KEY_PAIR))
row(0x6985, PUT_KEY_PAIR, session())
row(0x6985, PUT_KEY_PAIR, invalid)
row(0x6A80, "00DADF3C5F" + KEY_PAIR[:-2])
row(0x6A87, PUT_KEY_PAIR[:-2] + "76")
row(0x6A87, "00DADF3C60" + "00" * 96)
row(0x6700, "00DADF3C00")
row(0x6B00, "00DADF3D60" + KEY_PAIR)
row = Row("Put Data (CA certificate, first part)")
row(0x9000, PUT_CA_1, data="")
row(0x9000, "00DADF4AEBDF4A820180" + CA_CERTIFICATE[:460])
row(0x6985, PUT_CA_1, invalid)
row(0x6985, PUT_CA_1, session())
row(0x6A80, "00DADF4A34DF4A820180" + CA_CERTIFICATE[:94])
row(0x6A87, PUT_CA_1.replace("DF4A820180", "DF4A820181"))
row(0x6A87, PUT_CA_1.replace("8201809001", "8201809101"))
row(0x6700, "00DADF4A00")
row(0x6B00, "00DADE4AFADF4A820180" + CA_CERTIFICATE[:490])
row = Row("Put Data (CA certificate, last part)")
row(0x9000, PUT_CA_2, ok(PUT_CA_1), data="")
row(0x6985, PUT_CA_2)
row(0x6985, PUT_CA_2, ok(PUT_CA_1, PUT_CA_2))
row(0x6985, PUT_CA_2, ok(PUT_CA_1), invalid)
row(0x6985, PUT_CA_2, ok(PUT_KEY_PAIR, PUT_CARD_1))
row(0x6A80, "00DADF4B8A" + CA_CERTIFICATE[490:-2], ok(PUT_CA_1))
row(0x6700, "00DADF4B00")
row(0x6B00, "00DADE4B8B" + CA_CERTIFICATE[490:])
row = Row("Put Data (card certificate, first part)")
row(0x9000, PUT_CARD_1, ok(PUT_KEY_PAIR), data="")
row(0x9000, PUT_CARD_1, preset="pki")
row(0x6985, PUT_CARD_1)
row(0x6985, PUT_CARD_1, ok(PUT_KEY_PAIR), invalid)
row(0x6A80, "00DADF4C34DF4C82013C" + CARD_CERTIFICATE[:94], ok(PUT_KEY_PAIR))
row(0x6A87, PUT_CARD_1.replace("3C9101", "3C9102"), ok(PUT_KEY_PAIR))
row(0x6A8A, PUT_CARD_1.replace("A000000291FF9101", "A000000291FF9102"), ok(PUT_KEY_PAIR))
row(0x6A8A, PUT_CARD_1.replace("08A000000291FF", "07A000000291FF"), ok(PUT_KEY_PAIR))
row(0x6700, "00DADF4C00")
row(0x6B00, PUT_CARD_1.replace("00DADF", "00DADE", 1))
row = Row("Put Data (card certificate, last part)")
row(0x9000, PUT_CARD_2, ok(PUT_KEY_PAIR, PUT_CARD_1), data="")
row(0x6985, PUT_CARD_2, ok(PUT_KEY_PAIR))
row(0x6985, PUT_CARD_2, ok(PUT_KEY_PAIR, PUT_CARD_1, "00A4040008A000000291FF9101"))
row(0x6A80, PUT_CARD_2[:8] + "48" + PUT_CARD_2[10:] + "00", ok(PUT_KEY_PAIR, PUT_CARD_1))
row(0x6700, "00DADF4D00")
row(0x6B00, "00DADE4D47" + CARD_CERTIFICATE[490:])

row = Row("Get Data")
row(0x9000, "00CADF2C00", ok(PUT_KEY_PAIR), data="DF2C40" + KEY_PAIR[:128])
row(0x9000, "00CADF4C00", ok(PUT_KEY_PAIR, PUT_CARD_1, PUT_CARD_2), data=PUT_CARD_1[10:])
row(0x9000, "00CADF4D00", ok(PUT_KEY_PAIR, PUT_CARD_1, PUT_CARD_2), data=PUT_CARD_2[10:])
row(0x9000, "00CADF4A00", ok(PUT_CA_1, PUT_CA_2), data=PUT_CA_1[10:])
row(0x9000, "00CADF4B00", ok(PUT_CA_1, PUT_CA_2), data=PUT_CA_2[10:])
for _tag in ("2C", "4A", "4B", "4C", "4D"):
    row(0x6A88, f"00CADF{_tag}00")
row(0x6A88, "00CADF4C00", ok(PUT_KEY_PAIR, PUT_CARD_1))
row(0x6B00, "00CADF3C00", preset="pki")
