"""Card and SAM that do not understand each other: the likely reason, said in one sentence.

Calypso's symmetric algorithms are not public. A real card therefore refuses the MACs of a software SAM,
and a real SAM those of a software card. Nothing is broken then, and no MAC was forged; the user should
hear so, not read a status word. Only readers that the bench did not fill can hold such a pair.

Source: calypso-card §10 (what is not public); status words of §4.12–§4.19; our choice of words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.errors import (
    CardError,
    InvalidCardMac,
    InvalidCardSignature,
    InvalidPin,
    InvalidSignature,
    WrongCryptogram,
    WrongData,
)
from cardbench.scenarios.errors import NoCommonSuite
from cardbench.scenarios.trace import Role

if TYPE_CHECKING:
    from cardbench.protocol.errors import CardbenchError
    from cardbench.scenarios.stories.story import Story
    from cardbench.scenarios.world import World

_CIPHERED_FROM_BYTES: dict[int, int] = {CalypsoIns.VERIFY_PIN: 8, CalypsoIns.CHANGE_KEY: 16}
"""Data this long were ciphered by the SAM: a PIN in clear has 4 bytes."""
_HEADER_BYTES = 5
_ENCRYPTION_ON = 0x02
"""In P2 of Manage Secure Session."""


def explained(error: CardbenchError, story: Story, world: World) -> CardbenchError:
    """Return the error, or in its place the sentence that it means on cards of others."""
    if Role.SAM not in story.needs or world.hands.keys() >= story.needs.keys():
        return error
    if not _is_of_cryptography(error, world):
        return error
    meant = NoCommonSuite(str(error))
    meant.__cause__ = error
    return meant


def _is_of_cryptography(error: CardbenchError, world: World) -> bool:
    """Whether card or SAM found a MAC, cryptogram or signature of the other wrong."""
    if isinstance(error, InvalidCardSignature):  # of a PKI session: its algorithms are public
        return False
    if isinstance(error, (InvalidCardMac, InvalidSignature, WrongCryptogram)):
        return True
    return isinstance(error, (InvalidPin, WrongData)) and _was_ciphered(error, world)


def _was_ciphered(error: CardError, world: World) -> bool:
    """Whether the command that the card refused carried what the SAM has ciphered."""
    refusal = error.sw.to_bytes(2)
    is_encrypting = was_ciphered = False
    for each in world.tape.apdus(Role.CARD):
        ins, length = each.sent[1], len(each.sent) - _HEADER_BYTES
        if each.received == refusal:
            was_ciphered = is_encrypting or length >= _CIPHERED_FROM_BYTES.get(ins, 1 << 8)
        elif ins == CalypsoIns.MANAGE_SECURE_SESSION:
            is_encrypting = bool(each.sent[3] & _ENCRYPTION_ON)
        elif ins == CalypsoIns.CLOSE_SECURE_SESSION:
            is_encrypting = False
    return was_ciphered
