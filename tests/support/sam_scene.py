"""A SAM on the bench of a test: commands in hexadecimal, and the other end played with the suite alone."""

from __future__ import annotations

from cardbench.emulator.chassis import Clock, Entropy
from cardbench.protocol.calypso.aes_suite import AesSuite
from cardbench.protocol.calypso.suite import public_test_master
from cardbench.sam_emulator import SamCard, new_sam

CARD = "00000000C17BE1F6"
SELECT_CARD = f"8014000008{CARD}"
RANDOM = "B1B2B3B4B5B6B7B8"
GIVE_RANDOM = f"8086000008{RANDOM}"
OPEN_REGULAR = "030AB2CF0030791D" + "00" * 29
OPEN_EXTENDED = "C8C7C6C5C4C3C2C102307400"
REQUEST = "00B2013C1D"
RESPONSE = "71" + "11" * 28 + "9000"
PADDING = "00000000000000800000"

PERSONALIZATION, KEY_MANAGEMENT, RELOADING, AUTHENTICATION = 0xC1, 0xC2, 0xC3, 0xC4
_SYSTEM_KEYS = {0xC1: (0xE1, 0xF1), 0xC2: (0xFD, 0xF2), 0xC3: (0xE7, 0xF3), 0xC4: (0xFA, 0xF4)}


def command(header: str, data: str) -> str:
    """Put Lc between a header and its data."""
    return f"{header}{len(data) // 2:02X}{data}"


def multiple(*elements: str) -> str:
    """Digest Update Multiple over the elements."""
    return command("808C8000", "".join(f"{len(one) // 2:02X}{one}" for one in elements))


class Scene:
    """One SAM, powered, and a second one that a test may cut and compare."""

    def __init__(self, preset: str = "bench", *, seed: bytes = b"scene") -> None:
        self.suite = AesSuite()
        self.clock = Clock()
        self.sam: SamCard = new_sam(preset, entropy=Entropy(seed), clock=self.clock)
        self.sam.power_on()

    def send(self, *commands: str) -> str:
        """Send commands; return the last response."""
        response = ""
        for one in commands:
            response = self.sam.transmit(bytes.fromhex(one)).hex().upper()
        return response

    def ok(self, *commands: str) -> str:
        """Send commands that must all succeed; return the data of the last response."""
        response = ""
        for one in commands:
            response = self.send(one)
            assert response[-4:] == "9000", f"{one} was answered {response}"
        return response[:-4]

    # The memory behind the SAM's back, as a factory would change it

    def change(self, *key: str | int, value: bytes | int | None) -> None:
        """Set one object of the memory and start the SAM again."""
        self.sam.memory.commit({key: value})
        self.sam.power_on()

    def set_block(self, reference: int, offset: int, value: int) -> None:
        """Set one byte of a key's parameter block: 2 is ALG, 2 + n is PARn."""
        row = bytearray(self.sam.memory["key", reference])  # type: ignore[arg-type]
        row[offset] = value
        self.change("key", reference, value=bytes(row))

    def exhaust(self, reference: int, *, counter: int = 20) -> None:
        """Give the key an event counter that has reached its ceiling."""
        self.set_block(reference, 6, counter)
        self.change("counter", counter, value=7)
        self.change("ceiling", counter, value=7)

    # What the other end computes

    def card_key(self, kif: int, kvc: int, diversifier: str = CARD) -> bytes:
        """The diversified test key."""
        return self.suite.diversify(public_test_master(kif, kvc), bytes.fromhex(diversifier))

    def system_key(self, reference: int) -> bytes:
        """The system key of this SAM."""
        serial = bytes(4) + self.sam.serial
        return self.suite.diversify(public_test_master(*_SYSTEM_KEYS[reference]), serial)

    def sealed(
        self, by: int, p2: int, content: str, challenge: str, *, padding: str = PADDING
    ) -> str:
        """A block as a control SAM would seal it for this SAM."""
        framed = bytes.fromhex(content + f"{p2:02X}" + padding)
        block = self.suite.seal_sam_block(self.system_key(by), bytes.fromhex(challenge), p2, framed)
        return block.hex().upper()

    def sealed_now(self, by: int, p2: int, content: str, *, padding: str = PADDING) -> str:
        """A block for a challenge that is asked for now."""
        return self.sealed(by, p2, content, self.ok("8084000008"), padding=padding)

    def open_session(self, *, extended: bool = False) -> object:
        """Select the card, get a challenge, start the digest; return the card's digest."""
        challenge = self.ok("8084000008" if extended else "8084000004")
        kvc, data = (0x74, OPEN_EXTENDED) if extended else (0x79, OPEN_REGULAR)
        self.ok(SELECT_CARD, command(f"808A0{2 * extended}FF", f"30{kvc:02X}{data}"))
        return self.suite.start_session(
            self.card_key(0x30, kvc),
            extended=extended,
            terminal_challenge=bytes.fromhex(challenge),
            open_data=bytes.fromhex(data),
        )


# Stored Value: SV Get header ‖ answer with 9000 ‖ partial command

SV_GET_LOAD = "79" + "0123" + "00" * 30
SV_GET_LOAD_EXTENDED = "0102030405060708" + "74" + "0123" + "00" * 50
SV_GET_DEBIT = "79" + "0123" + "00" * 27


def sv_load_data(*, extended: bool = False) -> str:
    """Data of SV Prepare Load with purse key KVC 79, extended 74."""
    if extended:
        partial = "B800001C003210217454012345" + "0123"
        return "7C01073D" + SV_GET_LOAD_EXTENDED + "9000" + partial
    return "7C000721" + SV_GET_LOAD + "9000" + "B8000017003210217954012345" + "0123"


def sv_debit_data(ins: str = "BA", *, extended: bool = False) -> str:
    """Data of SV Prepare Debit (BA) or Undebit (BC)."""
    if extended:
        return "7C01093D" + SV_GET_LOAD_EXTENDED + "9000" + ins + "000019" + "00FFFE3210012374"
    return "7C00091E" + SV_GET_DEBIT + "9000" + ins + "000014" + "00FFFE3210012379"
