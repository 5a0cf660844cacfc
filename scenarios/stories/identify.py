"""The story `identify`: what card is in the reader, in words.

It changes nothing and plays on any card: the ATR is told of every one, the rest of those that have a
Calypso application under one of the names in use.

Source: calypso-card §2.3 (names of applications in use).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.calypso.startup import ProductType, session_buffer_size_bytes
from cardbench.protocol.errors import FileNotFound
from cardbench.protocol.hexadecimal import to_hex
from cardbench.scenarios.errors import StoryFailed
from cardbench.scenarios.needs import AnyCardNeeds
from cardbench.scenarios.stories.story import Stage, Story
from cardbench.scenarios.survey import survey
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from cardbench.protocol.calypso.startup import StartupInformation
    from cardbench.scenarios.survey import CardSurvey

AIDS = (
    bytes.fromhex("A000000291"),  # test kits, Hoplink
    b"1TIC.ICA",  # ticketing
    bytes.fromhex("A000000404"),  # Intercode
    b"0ETP.ICA",  # Stored Value
    b"2MPP.ICA",  # multi-purpose
    b"3MTR.ICA",  # master file
)
"""Beginnings of AIDs, in the order they are tried: a card selects the first application that begins so."""

_KEY_WORDS = {
    WriteAccessLevel.PERSONALIZATION: "personalization",
    WriteAccessLevel.LOAD: "load",
    WriteAccessLevel.DEBIT: "debit",
}


def play(stage: Stage) -> None:
    """Tell the story."""
    with stage.step("Power the card"):
        atr = stage.card.open()
        stage.note(f"ATR {to_hex(atr)}")
    with stage.step("Select the application and read the headers of its files"):
        found = _first_application(stage)
        for line in _in_words(found):
            stage.note(line)
    startup = found.fci.startup
    stage.conclude(
        atr=to_hex(atr),
        aid=to_hex(found.fci.df_name),
        serial=to_hex(found.fci.serial),
        product=startup.product_type.name.lower(),
        options=[str(option.name).lower() for option in startup.options],
        invalidated=found.is_invalidated,
        files=[
            {
                "lid": f"{header.lid:04X}",
                "sfi": f"{header.sfi:02X}",
                "type": header.ef_type.name.lower(),
                "records": header.record_count,
                "record_size_bytes": header.record_size_bytes,
            }
            for header in found.files
        ],
    )


def _first_application(stage: Stage) -> CardSurvey:
    for aid in AIDS:
        try:
            return survey(stage.card, aid)
        except FileNotFound:
            continue
    tried = ", ".join(to_hex(aid) for aid in AIDS)
    raise StoryFailed(f"the card has no Calypso application whose AID begins {tried}")


def _in_words(found: CardSurvey) -> list[str]:
    startup = found.fci.startup
    options = [str(option.name).lower().replace("_", " ") for option in startup.options]
    return [
        f"application {to_hex(found.fci.df_name)}" + (", invalidated" * found.is_invalidated),
        f"serial number {to_hex(found.fci.serial)}",
        f"{_words(startup.product_type)}, application type {startup.application_type:02X}: "
        + (", ".join(options) or "no options"),
        f"session buffer: {_buffer(startup)}",
        *(
            f"key {level} ({word}): KIF {found.directory.kif(level):02X}, "
            f"KVC {found.directory.kvc(level):02X}"
            for level, word in _KEY_WORDS.items()
        ),
        *(
            f"EF {header.lid:04X}, SFI {header.sfi:02X}: {header.ef_type.name.lower()}, "
            f"{header.record_count} × {header.record_size_bytes} bytes"
            for header in found.files
        ),
    ]


def _words(product: ProductType) -> str:
    return product.name.capitalize().replace("_", " ")


def _buffer(startup: StartupInformation) -> str:
    operations = startup.product_type.value.buffer_operations
    if operations:
        return f"{operations} modifications"
    return f"{session_buffer_size_bytes(startup.session_modification)} bytes"


IDENTIFY = Story(
    name="identify",
    summary="say in words what the card is: ATR, application, options, keys, files",
    needs={Role.CARD: AnyCardNeeds()},
    play=play,
)
