"""What a published trace is, and the cards that answer several of them.

Source: calypso-card §8.3 (the first test kit).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Key, Value

RECORD_71 = "71" + "11" * 28
RECORD_81 = "81" + "11" * 28
BLANK_CONTRACT = "00000F" + "FF" * 26
EVENT = "0011" + "22" * 27


class Trace(NamedTuple):
    """Commands with their answers, and the personalisation of the card.

    Attributes:
        name: section of the sheet and what it shows.
        toml: the card, as changes of a preset.
        exchanges: (command, response with status word) in hexadecimal; where the exchange is encrypted,
            also the plain data of the command or response.
        kvc: version of the session keys.
        history: objects of the card's memory that earlier sessions have changed.
    """

    name: str
    toml: str
    exchanges: tuple[tuple[str, str] | tuple[str, str, str], ...]
    kvc: int = 0x79
    history: tuple[tuple[Key, Value], ...] = ()


def transport(
    transaction_counter: int, files: str = "", *, serial: str = "", subtype: int = 5
) -> str:
    """The first test kit's card, next to announce `transaction_counter`."""
    serial_line = f'serial = "{serial}"' if serial else ""
    return f"""
        base = "gtml"
        transaction_counter = {transaction_counter + 1}
        {serial_line}
        [[applications]]
        lid = 0x2000
        subtype = {subtype}
        {files}
        """


def file(lid: int, sfi: int, content: str = "", *, kind: str = "linear", more: str = "") -> str:
    """A file of the trace's card that the kit has with another content, or not at all."""
    return f"""
        [[applications.files]]
        lid = {lid}
        sfi = {sfi}
        type = "{kind}"
        content = [{content}]
        {more}
        """
