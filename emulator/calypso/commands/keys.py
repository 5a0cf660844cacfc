"""Change Key: a new key for a slot of the current DF.

The cryptogram is made by a SAM under the card's issuer key (the null key while slot 1 is empty), bound
to a challenge, and carries the new diversified key with KIF, KVC and algorithm.

Source: calypso-card §4.14, §4.23, §7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.calypso.commands.pin import (
    CHANGE_SIZE,
    ISSUER,
    KEY_CRYPTOGRAM_SIZES,
    PIN_SIZE,
    slot_key,
    taken_challenge,
)
from cardbench.emulator.calypso.commands.pki import erasure
from cardbench.emulator.calypso.table import COMMANDS, OUTSIDE, ZERO
from cardbench.emulator.chassis import Refusal, between
from cardbench.protocol.apdu import IsoCase
from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.errors import CryptoError, ProtocolError
from cardbench.protocol.status import StatusWord

if TYPE_CHECKING:
    from cardbench.emulator.calypso.card import CalypsoCard
    from cardbench.emulator.chassis import Key, Value
    from cardbench.protocol.apdu import CommandApdu

_OUR_SIZE: Final = 32


@COMMANDS.command(
    name="Change Key",
    ins=CalypsoIns.CHANGE_KEY,
    p1=ZERO,
    p2=between(1, 3),
    cases={IsoCase.DATA_IN, IsoCase.DATA_IN_OUT},
    lc=frozenset((PIN_SIZE, CHANGE_SIZE)) | KEY_CRYPTOGRAM_SIZES,
    answers=(0x9000, 0x6700, 0x6900, 0x6982, 0x6985, 0x6988, 0x6A80, 0x6A87),
    source="calypso-card §4.14",
    where=OUTSIDE,
)
def change_key(card: CalypsoCard, command: CommandApdu) -> bytes:
    """Replace key, KIF, KVC and algorithm of slot P2; a key of 24 bytes is none of our suite's.

    A new key 1 erases key pair and certificates of the DF, in the same commit.
    """
    cryptogram = command.data
    if len(cryptogram) not in KEY_CRYPTOGRAM_SIZES:
        raise Refusal(StatusWord.LC_INCONSISTENT)
    card.check_valid()
    card.check_transaction_counter()
    challenge = taken_challenge(card)
    if len(cryptogram) != _OUR_SIZE:
        raise Refusal(StatusWord.WRONG_DATA)
    card.count_transaction()
    try:
        new = card.suite.unwrap_key(slot_key(card, ISSUER), challenge, cryptogram)
    except CryptoError:
        raise Refusal(StatusWord.WRONG_CRYPTOGRAM) from None
    except ProtocolError:
        raise Refusal(StatusWord.WRONG_DATA) from None
    if not new.kif or not new.kvc or new.algorithm not in card.structure.profile.algorithms:
        raise Refusal(StatusWord.WRONG_DATA)
    slot = card.volatile.application.key_slots[command.p2]
    changes: dict[Key, Value] = {slot: (new.kif, new.kvc, new.algorithm, new.value)}
    if command.p2 == ISSUER:
        changes |= erasure(card.volatile.application.lid)
    card.memory.commit(changes)
    card.volatile.pre_open = None  # what it announced may not be true any more
    return b""
