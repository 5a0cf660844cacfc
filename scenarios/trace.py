"""Traces: what went over each reader, byte for byte, and how it is shown.

A `Tape` records; `Tape.record` wraps any reader. What is recorded is what the reader carried: GET
RESPONSE and repeats included. Nothing is hidden on a tape. `shown` hides what a person who looks over a
shoulder must not read: a PIN sent in plain, an unlock code, a private key.

Source: our choice.
"""

from __future__ import annotations

from enum import Enum, StrEnum, unique
from typing import TYPE_CHECKING, Final, NamedTuple

from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.calypso.ins import CalypsoIns, DataObject, SamIns
from cardbench.protocol.errors import MalformedApdu, ReaderError
from cardbench.protocol.hexadecimal import to_hex
from cardbench.protocol.status import describe
from cardbench.protocol.wallet import CLA_WALLET, WalletIns
from cardbench.scenarios.around import ReaderAround

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cardbench.terminal.readers import Reader

HEADER_SIZE_BYTES = 4
STATUS_WORD_SIZE_BYTES = 2
PLAIN_PIN_SIZE_BYTES = 4
CHANGE_PIN_P2 = 0xFF
MASK = "**"

_CIPHER_PIN_P1 = frozenset({0x40, 0x80})  # modification, presentation
_PLAIN_P1 = 0x80
_MULTIPLE_P1 = 0x80


@unique
class Role(StrEnum):
    """What a reader is there for."""

    CARD = "card"
    SAM = "sam"


LABELS: Final = {Role.CARD: "card", Role.SAM: "SAM"}
"""What people call it."""


@unique
class Act(Enum):
    """What was done with a reader."""

    CONNECT = "connect"
    RESET = "reset"
    APDU = "apdu"
    DISCONNECT = "disconnect"


class Recorded(NamedTuple):
    """One act on one reader.

    Attributes:
        role: whose reader.
        act: what was done.
        sent: the command APDU; empty for other acts.
        received: the response APDU, or the ATR; empty when nothing came back.
    """

    role: Role
    act: Act
    sent: bytes
    received: bytes


class Tape:
    """Records every act on the readers that it wraps, in the order they happened."""

    def __init__(self) -> None:
        self.entries: list[Recorded] = []

    def record(self, reader: Reader, role: Role) -> Reader:
        """Return a reader that does what `reader` does and leaves its trace here."""
        return _RecordedReader(reader, role, self.entries)

    def apdus(self, role: Role | None = None) -> Iterator[Recorded]:
        """Yield the APDUs of one role, or of all."""
        for entry in self.entries:
            if entry.act is Act.APDU and role in (None, entry.role):
                yield entry


class _RecordedReader(ReaderAround):
    """Implements `Reader` over another one."""

    def __init__(self, reader: Reader, role: Role, entries: list[Recorded]) -> None:
        super().__init__(reader)
        self._role = role
        self._entries = entries
        send, add, make, apdu = reader.transmit, entries.append, Recorded, Act.APDU

        def transmit(command: bytes) -> bytes:
            """Carry one command APDU to the card."""
            try:
                response = send(command)
            except ReaderError:
                add(make(role, apdu, command, b""))
                raise
            add(make(role, apdu, command, response))
            return response

        self.transmit = transmit

    def connect(self) -> bytes:
        return self._add(Act.CONNECT, self._reader.connect())

    def reset(self) -> bytes:
        return self._add(Act.RESET, self._reader.reset())

    def disconnect(self) -> None:
        self._reader.disconnect()
        self._add(Act.DISCONNECT, b"")

    def _add(self, act: Act, received: bytes) -> bytes:
        self._entries.append(Recorded(self._role, act, b"", received))
        return received


class ShownApdu(NamedTuple):
    """An APDU in words and hexadecimal, ready to print.

    Attributes:
        role: whose reader.
        name: the command's name.
        command, response: hexadecimal; bytes that are hidden are written `**`.
        status: the status word in words.
    """

    role: Role
    name: str
    command: str
    response: str
    status: str


def shown(entry: Recorded, *, with_secrets: bool = False) -> ShownApdu:
    """Make an APDU ready to be printed.

    Args:
        entry: an APDU from a tape.
        with_secrets: show plain PINs, unlock codes and private keys.
    """
    command = to_hex(entry.sent)
    if not with_secrets and _is_secret(entry.role, entry.sent):
        start, end = _data_span(entry.sent)
        command = to_hex(entry.sent[:start]) + MASK * (end - start) + to_hex(entry.sent[end:])
    response = to_hex(entry.received)
    if not with_secrets and _has_secret_answer(entry.role, entry.sent):
        size = max(0, len(entry.received) - STATUS_WORD_SIZE_BYTES)
        response = MASK * size + to_hex(entry.received[size:])
    sw = int.from_bytes(entry.received[-2:])
    return ShownApdu(
        entry.role,
        command_name(entry.role, entry.sent),
        command,
        response,
        describe(sw) if len(entry.received) >= 2 else "no answer",
    )


def command_name(role: Role, command: bytes) -> str:
    """Name a command by its instruction byte, as the field does: `Read Records`."""
    if len(command) < HEADER_SIZE_BYTES:
        return "no command"
    try:
        known = _instructions(role, command[0])(command[1])
    except ValueError:
        return f"INS {command[1]:02X}"
    words = known.name.split("_")
    return " ".join(word if word in _ABBREVIATIONS else word.capitalize() for word in words)


def _instructions(role: Role, cla: int) -> type[CalypsoIns | SamIns | WalletIns]:
    if role is Role.SAM:
        return SamIns
    return WalletIns if cla == CLA_WALLET else CalypsoIns


_ABBREVIATIONS = frozenset({"PIN", "SV", "PSO", "SAM"})


def _data_span(command: bytes) -> tuple[int, int]:
    """Return where the data field begins and ends; of malformed bytes, all behind the header."""
    try:
        size = len(CommandApdu.parse(command).data)
    except MalformedApdu:
        return min(HEADER_SIZE_BYTES, len(command)), len(command)
    start = HEADER_SIZE_BYTES + (1 if size and command[HEADER_SIZE_BYTES] else 3)
    return start, start + size


def _is_secret(role: Role, command: bytes) -> bool:
    """Whether the data field holds what only card and holder may know."""
    if len(command) <= HEADER_SIZE_BYTES + 1:
        return False  # no data field
    cla, ins, p1, p2 = command[:HEADER_SIZE_BYTES]
    if role is Role.SAM:  # a lock secret, or a PIN that the SAM is to encipher
        return (
            ins == SamIns.UNLOCK
            or (ins == SamIns.CARD_GENERATE_KEY and p1 in _CIPHER_PIN_P1)
            or (ins == SamIns.WRITE_KEY and p1 == _PLAIN_P1)
            or (ins == SamIns.DIGEST_UPDATE and _digests_plain_pin(command))
        )
    if cla == CLA_WALLET:
        return ins == WalletIns.VERIFY
    if ins == CalypsoIns.CHANGE_KEY:  # a key, and mostly a PIN, is sent enciphered
        start, end = _data_span(command)
        return p2 == CHANGE_PIN_P2 and end - start == PLAIN_PIN_SIZE_BYTES
    if ins == CalypsoIns.PUT_DATA:
        return p1 << 8 | p2 == DataObject.CARD_KEY_PAIR
    return ins == CalypsoIns.VERIFY_PIN


def _digests_plain_pin(command: bytes) -> bool:
    """Whether one of the elements digested is a command that presents a PIN in plain."""
    start, end = _data_span(command)
    data = command[start:end]
    if command[2] != _MULTIPLE_P1:
        return _is_secret(Role.CARD, data)
    while data:
        size = data[0]
        if _is_secret(Role.CARD, data[1 : 1 + size]):
            return True
        data = data[1 + size :]
    return False


def _has_secret_answer(role: Role, command: bytes) -> bool:
    """Whether the response data hold a private key: the key pair that a SAM makes for a card."""
    return role is Role.SAM and command[1:2] == bytes((SamIns.GENERATE_ASYMMETRIC_KEY_PAIR,))
