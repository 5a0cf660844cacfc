"""Compare an exchange with a published one: equal, but for bytes that a secret or chance fills.

Nobody but CNA can recompute the MACs, cryptograms and signatures of a published trace, nor draw its
random numbers again. Which bytes those are is not the test author's choice: it follows from the command
and from the field's place in it, as the sheets lay it out. Everything else must be equal, byte for byte.

    masks = CardMasks()
    for (command, response), (our_command, our_response) in …:
        assert_published(masks.fields(command, response), …)

A SAM's masks are another subclass of `Masks`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum, unique
from typing import NamedTuple


@unique
class Fill(Enum):
    """What may fill a masked field; there is nothing else that excuses a difference."""

    MAC = "MAC"
    CRYPTOGRAM = "cryptogram"
    SIGNATURE = "signature"
    RANDOM = "random number"


@unique
class Side(Enum):
    COMMAND = "command"
    RESPONSE = "response"


class Field(NamedTuple):
    """Bytes `start` … `stop - 1` of a command or response that a secret or chance fills."""

    side: Side
    start: int
    stop: int
    fill: Fill


class Masks(ABC):
    """The fields of one trace; it may remember what earlier commands did."""

    @abstractmethod
    def fields(self, command: bytes, response: bytes) -> tuple[Field, ...]:
        """Return the fields of one published exchange; the response has its status word."""


def masked(raw: bytes, side: Side, fields: tuple[Field, ...]) -> str:
    """Write bytes in hexadecimal with `··` in the place of masked ones."""
    hidden = {i for f in fields if f.side is side for i in range(f.start, f.stop)}
    return "".join("··" if i in hidden else f"{byte:02X}" for i, byte in enumerate(raw))


def assert_published(
    fields: tuple[Field, ...],
    published: tuple[bytes, bytes],
    ours: tuple[bytes, bytes],
) -> None:
    """Fail unless (command, response) are as published, masked fields aside."""
    for each in fields:
        if not isinstance(each.fill, Fill):
            raise TypeError(f"{each.fill!r} excuses no difference")
    for side, theirs, our in zip(Side, published, ours, strict=True):
        expected, found = masked(theirs, side, fields), masked(our, side, fields)
        if found != expected:
            raise AssertionError(f"{side.value}\n published {expected}\n ours      {found}")


POSTPONED = b"\x62\x00"
OK = b"\x90\x00"
_COUNTING = (0x30, 0x32)
_SV_OPERATIONS = (0xB8, 0xBA, 0xBC)


class CardMasks(Masks):
    """The fields of a Calypso card's exchanges (calypso-card §4, §5.3, §5.8, §6)."""

    def __init__(self) -> None:
        self._postponed: list[Fill | None] = []
        self._encrypted = False

    def fields(self, command: bytes, response: bytes) -> tuple[Field, ...]:
        ins, lc, answer_end = command[1], command[4], len(response) - 2
        if response == POSTPONED and ins in (*_COUNTING, *_SV_OPERATIONS):
            self._postponed.append(Fill.SIGNATURE if ins in _SV_OPERATIONS else None)
        if ins == 0x8A:
            self._postponed, self._encrypted = [], False
            return _open_fields(command, answer_end)
        if ins == 0x8E and len(command) > 5:
            self._encrypted = False
            return (_sent(0, lc, Fill.MAC), *self._close_fields(response[:-2]))
        if ins == 0x82:
            self._encrypted = bool(command[3] & 0x02) and response[-2:] == OK
            if len(command) == 5:
                return ()
            return (_sent(0, lc, Fill.MAC), _answer(0, answer_end, Fill.MAC))
        if self._encrypted:
            sent = lc if len(command) > 5 else 0
            return (_sent(0, sent, Fill.CRYPTOGRAM), _answer(0, answer_end, Fill.CRYPTOGRAM))
        if ins == 0x84:
            return (_answer(0, answer_end, Fill.RANDOM),)
        if (ins == 0x20 and lc == 8) or (ins == 0xD8 and lc > 4):
            return (_sent(0, lc, Fill.CRYPTOGRAM),)
        return _stored_value_fields(command, answer_end)

    def _close_fields(self, answer: bytes) -> list[Field]:
        fields, position = [], 0
        for fill in self._postponed:
            end = position + answer[position]
            if fill is not None:
                fields.append(_answer(position + 1, end, fill))
            position = end
        return [*fields, _answer(position, len(answer), Fill.MAC)] if answer else fields


def _stored_value_fields(command: bytes, answer_end: int) -> tuple[Field, ...]:
    ins = command[1]
    if ins == 0x7C and answer_end:
        if command[2]:
            return (_answer(0, 8, Fill.RANDOM), _answer(11, 17, Fill.SIGNATURE))
        return (_answer(3, 6, Fill.SIGNATURE), _answer(6, 8, Fill.RANDOM))
    if ins in _SV_OPERATIONS:
        fixed_and_sam = 18 if ins == 0xB8 else 15
        return (
            Field(Side.COMMAND, 2, 4, Fill.RANDOM),
            _sent(0, 1, Fill.RANDOM),
            _sent(fixed_and_sam, command[4], Fill.SIGNATURE),
            _answer(0, answer_end, Fill.SIGNATURE),
        )
    return ()


def _sent(start: int, stop: int, fill: Fill) -> Field:
    return Field(Side.COMMAND, 5 + start, 5 + stop, fill)


def _answer(start: int, stop: int, fill: Fill) -> Field:
    return Field(Side.RESPONSE, start, stop, fill)


def _open_fields(command: bytes, answer_end: int) -> tuple[Field, ...]:
    """The terminal's challenge, and the card's behind its three bytes of transaction counter."""
    if command[0] == 0x94:
        counter_at, size, challenge = (1 if command[2] & 0x80 else 0), 4, _sent(0, 4, Fill.RANDOM)
    elif command[3] & 0x07 == 1:
        counter_at, size, challenge = 0, 4, _sent(0, 4, Fill.RANDOM)
    else:
        counter_at, size, challenge = 0, 8, _sent(1, command[4], Fill.RANDOM)
    if not answer_end:
        return (challenge,)
    return (challenge, _answer(counter_at + 3, counter_at + size, Fill.RANDOM))
