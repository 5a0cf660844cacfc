"""Two readers whose card and SAM have no algorithm in common, as a real card and a software SAM.

foreign.py FOLDER card|SAM    which of the two is the foreign one

Prints what a PC/SC program needs in its environment as one JSON object; ends with standard input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cardbench.emulator.calypso import new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.emulator.readers.pcsclite import PcscService
from cardbench.protocol.calypso.aes_suite import AesSuite
from cardbench.sam_emulator import new_sam


class OtherSuite(AesSuite):
    """A suite that derives other keys: no MAC, cryptogram or signature is the same."""

    name = "other"

    def diversify(self, master: bytes, diversifier: bytes) -> bytes:
        return super().diversify(master, b"other" + diversifier[-3:])


def main(folder: str, foreign: str) -> None:
    ours, other = AesSuite(), OtherSuite()
    clock = Clock()
    card = new_card(
        entropy=Entropy(b"card"), clock=clock, suite=other if foreign == "card" else ours
    )
    sam = new_sam(entropy=Entropy(b"SAM"), clock=clock, suite=other if foreign == "SAM" else ours)
    with PcscService(Path(folder)) as service:
        for name, what in (("Plastic card", card), ("Plastic SAM", sam)):
            slot = CardSlot(name)
            slot.insert(what)
            service.add_reader(slot)
        print(json.dumps(service.environment), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
