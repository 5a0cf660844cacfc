"""The published stub that `validation` is measured against: what a quick mock of card and SAM costs.

It is the smallest thing that can take the place of card and SAM in one validation: one function for
each APDU, found in a dictionary by target and instruction, contents in dictionaries, no check that a
terminal would not notice, no non-volatile memory. Where card and SAM encipher, it does so too: the same
number of AES blocks on each APDU, each chained to the one before, through cipher contexts that were
made once. It never sleeps.

It does *not* run the terminal's part: the commands it gets are those of a recorded validation. So a
ratio against it charges the terminal stack, readers, journalled memory, command tables and every check
to us.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BLOCK_SIZE = 16
OK = b"\x90\x00"


class RecordedApdu(NamedTuple):
    """One APDU of the recorded validation.

    Attributes:
        target: `card` or `sam`.
        command, response: the bytes.
        blocks: AES blocks that card or SAM enciphered while it answered.
    """

    target: str
    command: bytes
    response: bytes
    blocks: int


class Stub:
    """A mock of card and SAM that answers the APDUs of one recorded validation."""

    def __init__(self, recording: Sequence[RecordedApdu]) -> None:
        context = Cipher(algorithms.AES128(bytes(BLOCK_SIZE)), modes.ECB()).encryptor()  # noqa: S305
        self._encipher = context.update
        self._chain = bytes(BLOCK_SIZE)
        self._blocks = {(each.target, each.command[1]): each.blocks for each in recording}
        self._records: dict[tuple[int, int], bytes] = {}
        self._fixed: dict[tuple[str, int], bytes] = {}
        for each in recording:
            ins = each.command[1]
            if (each.target, ins) == ("card", 0xB2):
                self._records[each.command[2], each.command[3]] = each.response
            else:
                self._fixed[each.target, ins] = each.response
        self._functions: dict[tuple[str, int], Callable[[str, bytes], bytes]] = {
            (each.target, each.command[1]): self._fixed_answer for each in recording
        }
        self._functions["card", 0xB2] = self._read_record
        self._functions["card", 0xDC] = self._functions["card", 0xE2] = self._write

    def transmit(self, target: str, command: bytes) -> bytes:
        """Answer one command."""
        return self._functions[target, command[1]](target, command)

    def _cipher(self, target: str, command: bytes) -> None:
        encipher, chain = self._encipher, self._chain
        block = int.from_bytes(command[-BLOCK_SIZE:])
        for _ in range(self._blocks[target, command[1]]):
            chain = encipher((int.from_bytes(chain) ^ block).to_bytes(BLOCK_SIZE))
        self._chain = chain

    def _fixed_answer(self, target: str, command: bytes) -> bytes:
        self._cipher(target, command)
        return self._fixed[target, command[1]]

    def _read_record(self, target: str, command: bytes) -> bytes:
        self._cipher(target, command)
        return self._records[command[2], command[3]]

    def _write(self, target: str, command: bytes) -> bytes:
        self._cipher(target, command)
        self._records[1, command[3] | 4] = command[5:] + OK
        return OK


def run(stub: Stub, recording: Sequence[RecordedApdu]) -> None:
    """Send every recorded command to the stub."""
    transmit = stub.transmit
    for target, command, _, _ in recording:
        transmit(target, command)
