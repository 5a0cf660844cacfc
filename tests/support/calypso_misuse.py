"""The facts sheet's table of misuse as data: the rows, and commands that are instances of each.

Source: calypso-card §4.23.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from support.calypso_cases.pki import (
    GENERATE,
    PUT_CARD_1,
    PUT_CARD_2,
    PUT_KEY_PAIR,
)
from support.calypso_cases.steps import (
    OPEN_PKI,
    RIGHT_PIN,
    WRONG_PIN,
    Step,
    altered,
    blocked,
    buffer_full,
    card_of_peer,
    change,
    ciphered_pin,
    invalid,
    legacy_key,
    new_key,
    new_pin,
    no_key_3,
    ok,
    pki_session,
    send,
    session,
    sv,
    sv_debited,
    sv_later,
)

from cardbench.emulator.calypso.state import SessionMode
from cardbench.emulator.calypso.structure import PURSE_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.calypso_cases.steps import Command
    from support.calypso_peer import Peer


class Play(NamedTuple):
    """One instance of a misuse.

    Attributes:
        command: in hexadecimal, or made when the card is ready.
        sw: status word.
        given: what happens before.
        preset: the card.
        then: what is looked at behind it.
    """

    command: Command
    sw: int
    given: tuple[Step, ...] = ()
    preset: str = "workshop"
    then: Callable[[Peer], object] | None = None


def goes_on(peer: Peer) -> None:
    """The session is still open, both ends agree on all that was said, and it closes."""
    running = card_of_peer(peer).volatile.session
    assert running is not None
    if running.mode is SessionMode.PKI:
        assert len(peer.ok("008E000000")) == 128
    else:
        peer.close_ok()


def is_over(peer: Peer) -> None:
    peer.digest = None
    assert peer.send("008E000000") == "6985"


def reads(command: str, data: str) -> Step:
    def look(peer: Peer) -> None:
        assert peer.ok(command) == data

    return look


def twice(command: Callable[[Peer], str]) -> Callable[[Peer], str]:
    """Send a command once, to send the same bytes again."""

    def make(peer: Peer) -> str:
        made = command(peer)
        peer.ok(made)
        return made

    return make


def later(command: Callable[[Peer], str], between: str) -> Callable[[Peer], str]:
    """Let another command come behind the challenge."""

    def make(peer: Peer) -> str:
        made = command(peer)
        peer.send(between)
        return made

    return make


def behind_a_regular_sv_get(peer: Peer) -> str:
    """Make an extended reload, and then let a regular SV Get come before it."""
    made = peer.sv_command(0xB8, 1, peer.send("007C01073D"), extended=True)
    peer.ok("007C000721")
    return made


def balance(number: int) -> Step:
    def look(peer: Peer) -> None:
        shown = bytes.fromhex(peer.ok("007C00091E"))[8:11]
        assert int.from_bytes(shown, signed=True) == number

    return look


REGULAR, EXTENDED = session(), session(mode="extended")
OPEN_REGULAR = "008A030104C1C2C3C400"
OPEN_EXTENDED = "008A03020900C1C2C3C4C5C6C7C800"
PROOF = "08112233445566778800"
UPDATE_EVENT = "00DC01440411223344"
BETWEEN = ("00B2013C00", "00CA006F00", "00", "FF00000000", "0084000008", "00C0000000", "00B2000000")
MISUSES: dict[str, tuple[Play, ...]] = {
    "a command before any Select Application": (
        Play("00B2013C1D", 0x9000),
        Play("94B2013C1D", 0x9000, preset="prime-1"),
        Play(
            "00CA004F00",
            0x9000,
            preset="kit-regular",
            then=reads("00CA004F00", "4F08A000000291FF9201"),
        ),
    ),
    "an unknown instruction": tuple(
        Play(f"{cla}{ins}000000", 0x6D00, preset=preset)
        for preset, cla in (("workshop", "00"), ("prime-1", "94"), ("basic", "00"))
        for ins in ("00", "02", "FF", "2A")
    ),
    "an unknown class": (
        *(Play(f"{cla}B2013C1D", 0x6E00) for cla in ("01", "80", "FA", "FF")),
        Play("80B2013C1D", 0x6E00, preset="prime-1"),
        Play("FAB2013C1D", 0x6E00, preset="prime-1"),
        Play("80B2013C1D", 0x6E00, preset="prime-2"),
        Play("FAB2013C1D", 0x6E00, preset="prime-2"),
    ),
    "Get Response with nothing pending": tuple(
        Play(f"{cla}C0000010", 0x6985, preset=preset)
        for preset in ("workshop", "prime-1", "prime-2", "light-classic", "basic")
        for cla in ("00", "80", "94")
    )
    + tuple(Play("FAC0000003", 0x6985, preset=preset) for preset in ("prime-1", "prime-2"))
    + (Play("FAC0000003", 0x6E00),),
    "an APDU shorter than four bytes": (Play("00", 0x6700), Play("00B201", 0x6700)),
    "Lc that does not match the length": (
        Play("00DC013C05112233", 0x6700),
        Play("00DC013C0211223344", 0x6700),
    ),
    "an APDU of extended length": (
        Play("00DC016C00000411223344", 0x6700),
        Play("00B2013C000000", 0x6700),
        Play("00DC016C000004112233440000", 0x6700),
    ),
    "Open with key index 0 or 4 to 7": tuple(
        Play(f"008A0{index}0104C1C2C3C400", 0x6A81) for index in (0, 4, 5, 6, 7)
    ),
    "Open with a slot without key": (Play(OPEN_REGULAR, 0x6A81, (no_key_3,)),),
    "Open in a mode that the product does not offer": (
        Play(OPEN_EXTENDED, 0x6B00, preset="kit-regular"),
        Play(OPEN_PKI, 0x6B00, preset="kit-extended"),
        *(Play(f"008A030{low}04C1C2C3C400", 0x6B00) for low in (0, 4, 5, 6, 7)),
        Play("948A830104C1C2C3C400", 0x6B00, preset="prime-2"),
        Play("948A030004C1C2C3C400", 0x6B00, preset="prime-2"),
        Play("948A030104C1C2C3C400", 0x6B00, preset="prime-1"),
        Play(OPEN_EXTENDED, 0x6B00, preset="light-classic"),
        Play(OPEN_EXTENDED, 0x6B00, preset="basic"),
    ),
    "Open of a PKI session with key bits in P1": tuple(
        Play(f"008A0{key}030900C1C2C3C4C5C6C7C800", 0x6B00, preset="pki") for key in (1, 2, 3, 7)
    ),
    "Open with a challenge of the wrong length": (
        Play("008A030103C1C2C300", 0x6700),
        Play("008A030108C1C2C3C4C5C6C7C800", 0x6700),
        Play("008A030208C1C2C3C4C5C6C7C800", 0x6700),
        Play("008A000308C1C2C3C4C5C6C7C800", 0x6700, preset="pki"),
    ),
    "Open whose data does not begin with 00": (
        Play("008A03020901C1C2C3C4C5C6C7C800", 0x6A80),
        Play("008A00030901C1C2C3C4C5C6C7C800", 0x6A80, preset="pki"),
    ),
    "Open of a PKI session without key pair or certificate": (
        Play(OPEN_PKI, 0x6985),
        Play(OPEN_PKI, 0x6985, (ok(GENERATE),)),
    ),
    "Open while a session runs": (
        *(
            Play(command, 0x6985, (REGULAR,), then=goes_on)
            for command in (OPEN_REGULAR, OPEN_EXTENDED)
        ),
        Play(OPEN_EXTENDED, 0x6985, (EXTENDED,), then=goes_on),
        Play(OPEN_PKI, 0x6985, (pki_session,), "pki", goes_on),
        Play(OPEN_REGULAR, 0x6985, (pki_session,), "pki", goes_on),
    ),
    "Open of an invalidated DF": (
        Play(OPEN_REGULAR, 0x9000, (invalid,)),
        Play(OPEN_EXTENDED, 0x9000, (invalid,)),
    ),
    "Close with a MAC of the wrong length": (
        Play("008E80000811223344556677880 0".replace(" ", ""), 0x6700, (REGULAR,), then=goes_on),
        Play("008E8000041122334400", 0x6700, (EXTENDED,), then=goes_on),
        Play("008E8000051122334455", 0x6700, (REGULAR,), then=goes_on),
        Play("008E8000041122334400", 0x6700, (pki_session,), "pki", goes_on),
    ),
    "Close with another P1 than 00 or 80, or P2 that is not 00": (
        Play("008E4000041122334400", 0x6B00, (REGULAR,), then=goes_on),
        Play("008E8001041122334400", 0x6B00, (REGULAR,), then=goes_on),
        Play("008E000100", 0x6B00, (EXTENDED,), then=goes_on),
    ),
    "Close or abort without session": (
        Play("008E8000041122334400", 0x6985),
        Play("008E000000", 0x6985),
        Play("948E000000", 0x6985, preset="prime-1"),
    ),
    "Manage Secure Session in no session, a regular or PKI one, or where it is not authorised": tuple(
        Play(f"00820{tail}", 0x6985, given, preset)
        for tail in ("00200", "001" + PROOF)
        for given, preset in (
            ((), "workshop"),
            ((REGULAR,), "workshop"),
            ((pki_session,), "pki"),
            ((legacy_key,), "workshop"),
        )
    ),
    "Manage Secure Session with P1 that is not 00 or P2 above 03": (
        Play("0082010200", 0x6B00, (EXTENDED,), then=goes_on),
        Play("0082000400", 0x6B00, (EXTENDED,), then=goes_on),
        Play("00820005" + PROOF, 0x6B00, (EXTENDED,), then=goes_on),
    ),
    "Manage Secure Session with data of another length": (
        Play("0082000100", 0x6700, (EXTENDED,), then=goes_on),
        Play("00820003041122334400", 0x6700, (EXTENDED,), then=goes_on),
        Play("00820002" + PROOF, 0x6700, (EXTENDED,), then=goes_on),
    ),
    "Manage Secure Session with a wrong proof": (
        Play("00820001" + PROOF, 0x6988, (EXTENDED,), then=is_over),
        Play("00820003" + PROOF, 0x6988, (EXTENDED,), then=is_over),
    ),
    "any other refusal in a session": tuple(
        Play(command, sw, (mode, ok(UPDATE_EVENT)), then=goes_on)
        for mode in (REGULAR, EXTENDED)
        for command, sw in (
            ("00B2023C00", 0x6A83),
            ("00DC02440111", 0x6981),
            ("00DC013C0111", 0x6982),
            ("00DC010C0111", 0x6985),
            ("003001700300000100", 0x6A80),
            ("00A4090002999900", 0x6A82),
            ("00A4040005AABBCCDDEE00", 0x6A82),
            ("00B2013E00", 0x6B00),
            ("00FF000000", 0x6D00),
            ("FFB2013C00", 0x6E00),
            ("00", 0x6700),
            (WRONG_PIN, 0x63C2),
        )
    ),
    "a refusal for want of buffer": (
        Play("00DC014405" + "33" * 5, 0x6400, (buffer_full,), then=goes_on),
        Play("0004000000", 0x6400, (buffer_full,), then=goes_on),
    ),
    "a modification in a session of lower level than the access condition": (
        Play("00DC013C0111", 0x6982, (session(3),), then=goes_on),
        Play("00DC013C0111", 0x6982, (session(2),), then=goes_on),
        Play("00DC014C0111", 0x6982, (session(3),), then=goes_on),
        Play("003201C80300000100", 0x6982, (session(3),), then=goes_on),
    ),
    "a modification in a PKI session that is not always allowed": (
        Play("00DC01440111", 0x6982, (pki_session,), "pki", goes_on),
        Play("003001C80300000100", 0x6982, (pki_session,), "pki", goes_on),
        Play("003800C8040100000100", 0x6982, (pki_session,), "pki", goes_on),
        Play("00D69A00021122", 0x6982, (pki_session,), "pki", goes_on),
    ),
    "a modification outside a session": (
        Play("00DC01440111", 0x6982),
        Play("00D2014C0111", 0x6982),
        Play("00E200400111", 0x6982),
        Play("003001C80300000100", 0x6982),
        Play("0004000000", 0x6982),
        Play("0044000000", 0x6982, (invalid,)),
    ),
    "a modification that is always allowed, outside a session": (
        Play("00DC016C0111", 0x9000, then=reads("00B2016C01", "11")),
        Play("00D2016C0111", 0x9000, then=reads("00B2016C01", "11")),
        Play("00E200780111", 0x9000, then=reads("00B2017C01", "11")),
        Play("003201700300000500", 0x9000, then=reads("00B2017403", "000005")),
        Play("00D690000111", 0x9000, then=reads("00B0900001", "11")),
    ),
    "Change PIN, Change Key, Put Data, Generate Key Pair in a session": tuple(
        Play(command, 0x6985, (mode,), then=goes_on)
        for mode in (REGULAR, EXTENDED)
        for command in (
            "00D800FF0434353637",
            new_pin("34353637"),
            new_key(3, 0x30, 0x75),
            PUT_KEY_PAIR,
            PUT_CARD_1,
            GENERATE,
        )
    ),
    "Search and Read Record Multiple in a session": (
        Play("00A2014F050002010FFF00", 0x9000, (REGULAR,), then=goes_on),
        Play("00B3014D045402020100", 0x9000, (EXTENDED,), then=goes_on),
        Play("00A2014F050002010FFF00", 0x9000, (pki_session,), "pki", goes_on),
        Play("00B3014D045402020100", 0x9000, (pki_session,), "pki", goes_on),
    ),
    "Get Data in a session": tuple(
        Play(f"00CA{tag}00", 0x9000, given, preset, goes_on)
        for tag in ("006F", "0062", "00C0", "0185")
        for given, preset in (
            ((REGULAR,), "workshop"),
            ((EXTENDED,), "workshop"),
            ((pki_session,), "pki"),
        )
    ),
    "Get Challenge with another Le than 8 or without": tuple(
        Play(f"00840000{le}", 0x6700) for le in ("", "00", "04", "07", "09", "FF")
    ),
    "a ciphered PIN or key without a challenge just before": (
        Play("00200000081122334455667788", 0x6982),
        Play("00D800FF10" + "11" * 16, 0x6982),
        Play("00D8000320" + "11" * 32, 0x6982),
        *(
            Play(later(ciphered_pin(), each), 0x6982)
            for each in BETWEEN
            if not each.startswith("0084")
        ),
        *(Play(later(new_pin("34353637"), each), 0x6982) for each in BETWEEN[:4]),
        *(Play(later(new_key(3, 0x30, 0x75), each), 0x6982) for each in BETWEEN[:4]),
    ),
    "a challenge used twice": (
        Play(twice(ciphered_pin()), 0x6982),
        Play(twice(new_pin("34353637")), 0x6982),
        Play(twice(new_key(3, 0x30, 0x75)), 0x6982),
    ),
    "a challenge replaced by another": (
        Play(later(ciphered_pin(), "0084000008"), 0x63C2),
        Play(later(new_pin("34353637"), "0084000008"), 0x6988),
        Play(later(new_key(3, 0x30, 0x75), "0084000008"), 0x6988),
    ),
    "a ciphered PIN in a PKI session": (
        Play(ciphered_pin(), 0x6985, (pki_session,), "pki", goes_on),
        Play("00200000081122334455667788", 0x6985, (pki_session,), "pki", goes_on),
    ),
    "Verify PIN when it is blocked": tuple(
        Play(command, 0x6983, given)
        for command in (RIGHT_PIN, WRONG_PIN, "0020000000", ciphered_pin())
        for given in ((blocked,), (blocked, REGULAR))
    ),
    "a ciphered PIN whose cryptogram does not check": (
        Play(altered(ciphered_pin()), 0x63C2),
        Play(altered(ciphered_pin()), 0x63C1, (send(WRONG_PIN),)),
        Play(altered(ciphered_pin()), 0x6983, (send(WRONG_PIN, WRONG_PIN),)),
    ),
    "a Stored Value operation not just behind its SV Get": (
        Play("00BA556614" + "11" * 20, 0x6985),
        *(
            Play(sv_later(sv(ins, amount)), 0x6985)
            for ins, amount in ((0xB8, 1), (0xBA, -1), (0xBC, 1))
        ),
        *(Play(later(sv(0xBA, -1), each), 0x6985) for each in BETWEEN),
    ),
    "a Stored Value operation of the other kind, mode or KVC than its SV Get": (
        Play(lambda peer: peer.sv_command(0xBA, -1, peer.send("007C000721")), 0x6985),
        Play(lambda peer: peer.sv_command(0xB8, 1, peer.send("007C00091E")), 0x6985),
        Play(behind_a_regular_sv_get, 0x6985),
        Play(sv(0xBA, -1, kvc=0x75), 0x6985),
    ),
    "a Stored Value operation of no known length": tuple(
        Play(f"00{ins}5566{lc:02X}" + "11" * lc, 0x6700)
        for ins in ("B8", "BA", "BC")
        for lc in (1, 0x13, 0x15, 0x18, 0x1A, 0x1D)
    ),
    "a second Stored Value operation of a session": (
        Play("007C00091E", 0x6985, (sv_debited,)),
        Play("007C000721", 0x6985, (sv_debited,)),
        Play("007C01093D", 0x6985, (sv_debited,)),
    ),
    "Stored Value in a PKI session": (
        Play("007C00091E", 0x6985, (pki_session,), "pki", goes_on),
        Play("00BA556614" + "11" * 20, 0x6985, (pki_session,), "pki", goes_on),
    ),
    "extended SV Get without extended mode": (
        Play("007C01073D", 0x6A81, preset="kit-regular"),
        Play("FA7C010700", 0x6A81, preset="prime-2"),
    ),
    "a Stored Value amount that leads out of 24 bits": (
        Play(sv(0xB8, 1), 0x6985, (change(PURSE_KEY, (0x7FFFFF, 0, bytes(6))),)),
        Play(sv(0xBC, 1), 0x6985, (change(PURSE_KEY, (0x7FFFFF, 0, bytes(6))),)),
        Play(sv(0xBA, -1), 0x6985, (change(PURSE_KEY, (-0x800000, 0, bytes(6))),)),
    ),
    "a Stored Value amount that leads below zero": (Play(sv(0xBA, -1), 0x9000, then=balance(-1)),),
    "an Undebit of more than the last Debit": (Play(sv(0xBC, 1000), 0x9000, then=balance(1000)),),
    "Invalidate of an invalidated DF, Rehabilitate of a valid one": (
        Play("0004000000", 0x6985, (invalid, session(1)), then=goes_on),
        Play("0044000000", 0x6985, (session(1),), then=goes_on),
    ),
    "Put Data of a key pair while one is there": (
        Play(PUT_KEY_PAIR, 0x6985, (ok(PUT_KEY_PAIR),)),
        Play(PUT_KEY_PAIR, 0x6985, (ok(GENERATE),)),
    ),
    "Put Data of what does not fit": (
        Play(PUT_KEY_PAIR[:-2] + "76", 0x6A87),
        Play(PUT_CARD_1.replace("DF4C82013C", "DF4C82013D"), 0x6A87, (ok(PUT_KEY_PAIR),)),
    ),
    "Put Data of a second part without the first, or without key pair": (
        Play(PUT_CARD_2, 0x6985, (ok(PUT_KEY_PAIR),)),
        Play(PUT_CARD_1, 0x6985),
    ),
    "Put Data of a certificate with another AID": (
        Play(
            PUT_CARD_1.replace("A000000291FF9101", "A000000291FF9102"), 0x6A8A, (ok(PUT_KEY_PAIR),)
        ),
    ),
    "Put Data of the first part alone": (
        Play("00CADF4C00", 0x6A88, (ok(PUT_KEY_PAIR, PUT_CARD_1),)),
    ),
}
