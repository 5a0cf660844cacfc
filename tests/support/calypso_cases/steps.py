"""What happens before a case, and commands that are made when the card is ready.

Source: calypso-card §4.11 to §4.19, §6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from support.calypso_peer import Peer
from support.calypso_workshop import peer_of

from cardbench.emulator.calypso.structure import (
    PIN_TRIES_KEY,
    PURSE_KEY,
    TRANSACTION_COUNTER_KEY,
    invalidated_key,
    key_slot_key,
)

if TYPE_CHECKING:
    from cardbench.emulator.calypso import CalypsoCard


Step: TypeAlias = Callable[[Peer], object]
Command: TypeAlias = str | Callable[[Peer], str]


def card_of_peer(peer: Peer) -> CalypsoCard:
    return peer.card  # type: ignore[return-value]  # the peers of these tests have ours


class Situation(Protocol):
    """A command, the card that it is for and what happens before: a case, an example, a misuse."""

    @property
    def preset(self) -> str: ...

    @property
    def given(self) -> tuple[Step, ...]: ...

    @property
    def command(self) -> Command: ...


def situated(situation: Situation, *before: Step) -> tuple[Peer, str]:
    """Get a card into a situation; return it with the command to send, in hexadecimal."""
    peer = peer_of(situation.preset)
    for step in (*before, *situation.given):
        step(peer)
    return peer, written(peer, situation.command)


def written(peer: Peer, command: Command) -> str:
    """Return a command in hexadecimal, made now if it has to be."""
    return (command if isinstance(command, str) else command(peer)).replace(" ", "")


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


def challenge_of(peer: Peer) -> str:
    return peer.ok(f"{peer.cla:02X}84000008")


def ciphered_pin(pin: str = "30303030") -> Callable[[Peer], str]:
    return lambda peer: f"{peer.cla:02X}20000008" + peer.pin_cryptogram(challenge_of(peer), pin)


def new_pin(new: str, old: str = "00000000") -> Callable[[Peer], str]:
    return lambda peer: (
        f"{peer.cla:02X}D800FF10" + peer.pin_change_cryptogram(challenge_of(peer), new, old)
    )


def new_key(index: int, kif: int, kvc: int, algorithm: int = 0xA0) -> Callable[[Peer], str]:
    return lambda peer: (
        f"{peer.cla:02X}D800{index:02X}20"
        + peer.key_cryptogram(challenge_of(peer), kif, kvc, algorithm)
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


RIGHT_PIN = "002000000430303030"
WRONG_PIN = "002000000439393939"
RECORD = "11" * 29
BLANK = "00000F" + "FF" * 26

OPEN_PKI = "008A00030900C1C2C3C4C5C6C7C800"
OPEN_PKI_RECORD = "008A083B0900C1C2C3C4C5C6C7C800"
pki_session = ok(OPEN_PKI)
