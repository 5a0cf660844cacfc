"""The words of a card's description: bytes in hexadecimal, and access conditions as the test kits write them.

    AA always   NN never   PN PIN   S1 S2 S3 session key   C1 C2 C3 confidential   P3 PIN and confidential

Four hexadecimal digits stand for a condition byte and a key index of a card's own, as a descriptor has
them: `1F00`, or `1201`, which no word names. A condition that nobody published is never satisfied.

Source: calypso-card §3.4, §3.5; our choice for the digits.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BeforeValidator, Field, PlainSerializer

from cardbench.protocol.calypso.file_header import AccessCondition
from cardbench.protocol.calypso.startup import SFI_MAX
from cardbench.protocol.hexadecimal import to_hex

CONDITIONS: Final = {
    "AA": (int(AccessCondition.ALWAYS), 1),
    "NN": (int(AccessCondition.NEVER), 1),
    "PN": (int(AccessCondition.PIN), 1),
    **{f"S{k}": (int(AccessCondition.SESSION), k) for k in (1, 2, 3)},
    **{f"C{k}": (int(AccessCondition.CONFIDENTIAL), k) for k in (1, 2, 3)},
    **{f"P{k}": (int(AccessCondition.PIN_AND_CONFIDENTIAL), k) for k in (1, 2, 3)},
}
"""Access condition byte and key index of each word."""
_WORDS: Final = {pair: word for word, pair in CONDITIONS.items()}
_DIGITS: Final = 4


def _bytes_of(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:  # the value is not shown: it may be a PIN or a key
        raise ValueError("not hexadecimal, or an odd number of digits") from None


def _number_of(digits: int) -> BeforeValidator:
    """Read a number of so many hexadecimal digits, where it is written as text."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return int.from_bytes(bytes.fromhex(value if len(value) == digits else "no"))
        except ValueError:
            raise ValueError(f"not {digits} hexadecimal digits") from None

    return BeforeValidator(read)


def _written(digits: int) -> PlainSerializer:
    return PlainSerializer(lambda n: f"{n:0{digits}X}", return_type=str, when_used="json")


def _split(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


def _known(word: object) -> object:
    if isinstance(word, str) and word not in CONDITIONS:
        try:
            is_raw = len(word) == _DIGITS and len(bytes.fromhex(word)) * 2 == _DIGITS
        except ValueError:
            is_raw = False
        if not is_raw:
            raise ValueError(
                f"no access condition {word!r}; there are {', '.join(CONDITIONS)}, and four hexadecimal "
                f"digits: condition byte and key index"
            )
    return word


HexBytes = Annotated[
    bytes, BeforeValidator(_bytes_of), PlainSerializer(to_hex, return_type=str, when_used="json")
]
"""Bytes, written in hexadecimal."""
Byte = Annotated[int, Field(ge=0, le=0xFF), _number_of(2), _written(2)]
"""A byte: a number, or two hexadecimal digits as text."""
Sfi = Annotated[int, Field(ge=0, le=SFI_MAX), _number_of(2), _written(2)]
Lid = Annotated[int, Field(ge=0, le=0xFFFF), _number_of(4), _written(4)]
"""Two bytes: a number, or four hexadecimal digits as text."""
Condition = Annotated[str, BeforeValidator(_known)]
Access = Annotated[
    tuple[Condition, ...],
    Field(min_length=4, max_length=4),
    BeforeValidator(_split),
    PlainSerializer(" ".join, return_type=str, when_used="json"),
]
"""Access conditions of groups 0…3: a list of words, or one text of them."""


def access_bytes(access: tuple[str, ...]) -> tuple[bytes, bytes]:
    """Return the condition bytes and the key indexes of four access words."""
    pairs = [CONDITIONS.get(word) or tuple(bytes.fromhex(word)) for word in access]
    return bytes(pair[0] for pair in pairs), bytes(pair[1] for pair in pairs)


def access_words(conditions: bytes, key_levels: bytes) -> tuple[str, ...]:
    """Return the words for condition bytes and key indexes; digits where no word says it all."""
    return tuple(
        _WORDS.get((condition, level), f"{condition:02X}{level:02X}")
        for condition, level in zip(conditions, key_levels, strict=True)
    )
