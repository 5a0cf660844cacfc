"""The other end of a Calypso card, for tests of the card alone: commands in, MACs computed.

Terminal and SAM in one, from the sheet and the symmetric suite only, so that a mistake of the project's
terminal or SAM cannot cancel out one of the card.

Source: calypso-card §4.17 to §4.19, §5.2, §6.8, §10.4, §10.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.suite import WrappedKey, load_suite, public_test_master

if TYPE_CHECKING:
    from cardbench.protocol.calypso.suite import SessionDigest
    from cardbench.protocol.link import Card

TERMINAL_CHALLENGE = bytes.fromhex("C1C2C3C4C5C6C7C8")


class Peer:
    """Talks to one card.

    Args:
        card: powered on here.
        serial: its full serial number, 8 bytes in hexadecimal.
        kvc: version of its session keys.
    """

    def __init__(
        self,
        card: Card,
        *,
        serial: str = "0000000011223344",
        kifs: tuple[int, int, int] = (0x21, 0x27, 0x30),
        kvc: int = 0x74,
        cla: int = 0x00,
    ) -> None:
        self.card = card
        self.suite = load_suite()
        self.serial = bytes.fromhex(serial)
        self.kifs = kifs
        self.kvc = kvc
        self.cla = cla
        self.digest: SessionDigest | None = None
        self.extended = False
        self.encrypted = False
        self.key = b""
        self.atr = card.power_on()

    # Commands

    def send(self, text: str) -> str:
        """Send a command in hexadecimal, digest it if a session runs, return the whole response."""
        return self.transmit(bytes.fromhex(text)).hex().upper()

    def ok(self, *texts: str) -> str:
        """Send commands that must all be answered 9000; return the last one's data."""
        answer = ""
        for text in texts:
            answer = self.send(text)
            assert answer[-4:] == "9000", f"{text} was answered {answer}"
        return answer[:-4]

    def sw(self, text: str) -> int:
        """Send a command; return its status word."""
        return int(self.send(text)[-4:], 16)

    def transmit(self, command: bytes) -> bytes:
        """Send a plain command, ciphered on the wire in an encrypted section; return the plain answer."""
        digest = self.digest
        if digest is None or not self._is_digested(command):
            return self.card.transmit(command)
        is_case_4 = len(command) > 6 and len(command) == command[4] + 6
        plain = command[:-1] if is_case_4 else command
        sent = command
        if self.encrypted and len(command) > 5:
            sent = plain[:5] + digest.cipher(plain[5:])
        answer = self.card.transmit(sent)
        digest.absorb(plain)
        data, sw = answer[:-2], answer[-2:]
        if self.encrypted and data:
            data = digest.cipher(data)
        digest.absorb(data + sw)
        return data + sw

    @staticmethod
    def _is_digested(command: bytes) -> bool:
        if command[1:4] == b"\xb2\0\0":
            return False
        return command[1:2] not in (b"\x8e", b"\x82", b"\xc0")

    # Keys

    def card_key(self, kif: int, kvc: int) -> bytes:
        return self.suite.diversify(public_test_master(kif, kvc), self.serial)

    # Sessions

    def open(
        self, key_index: int = 3, *, mode: str = "regular", sfi: int = 0, record: int = 0
    ) -> str:
        """Open a session; return the data of the answer."""
        head = (record << 3) | key_index
        challenge = TERMINAL_CHALLENGE if mode == "extended" else TERMINAL_CHALLENGE[:4]
        p1, p2, data = {
            "revision 1": (head, sfi << 3, challenge),
            "revision 2": (0x80 | head, sfi << 3, challenge),
            "regular": (head, (sfi << 3) | 1, challenge),
            "extended": (head, (sfi << 3) | 2, b"\0" + challenge),
        }[mode]
        command = bytes((self.cla, 0x8A, p1, p2, len(data))) + data + b"\0"
        answer = self.card.transmit(command)
        assert answer[-2:] == b"\x90\x00", f"Open was answered {answer.hex()}"
        self.follow(command, answer)
        return answer[:-2].hex().upper()

    def follow(self, command: bytes, answer: bytes) -> None:
        """Take up the session that an Open of any form has opened."""
        key_index = command[2] & 0x07
        self.extended = command[0] != 0x94 and command[3] & 0x07 == 2
        self.encrypted = False
        self.key = self.card_key(self.kifs[key_index - 1], self.kvc)
        self.digest = self.suite.start_session(
            self.key,
            extended=self.extended,
            terminal_challenge=command[6:14] if self.extended else command[5:9],
            open_data=answer[:-2],
        )

    def terminal_mac(self) -> bytes:
        assert self.digest is not None
        return self.digest.terminal_mac()[: 8 if self.extended else 4]

    def close(self, *, ratified: bool = True, mac: bytes | None = None) -> str:
        """Close; return the whole response."""
        data = self.terminal_mac() if mac is None else mac
        p1 = 0x80 if ratified else 0x00
        answer = self.card.transmit(
            bytes((self.cla, 0x8E, p1, 0, len(data))) + data + b"\0",
        )
        return answer.hex().upper()

    def close_ok(self, *, ratified: bool = True) -> str:
        """Close and check the card's MAC; return the postponed items."""
        answer = self.close(ratified=ratified)
        assert answer[-4:] == "9000", f"Close was answered {answer}"
        assert self.digest is not None
        mac = self.digest.card_mac()[: 8 if self.extended else 4].hex().upper()
        assert answer[:-4].endswith(mac), "the card's MAC"
        self.digest = None
        return answer[: -4 - len(mac)]

    def abort(self) -> str:
        self.digest = None
        return self.card.transmit(bytes((self.cla, 0x8E, 0, 0, 0))).hex().upper()

    def manage(self, *, encrypted: bool, authenticate: bool = False) -> str:
        """Switch encryption, and authenticate if asked; return the whole response, its proof checked."""
        p2 = (2 if encrypted else 0) | (1 if authenticate else 0)
        command = bytes((self.cla, 0x82, 0, p2))
        assert self.digest is not None
        proof = self.digest.terminal_proof()
        command += b"\x08" + proof + b"\0" if authenticate else b"\0"
        answer = self.card.transmit(command)
        if answer[-2:] == b"\x90\x00":
            self.encrypted = encrypted
            if authenticate:
                assert answer[:-2] == self.digest.card_proof(), "the card's proof"
        return answer.hex().upper()

    # PIN and keys

    def pin_cryptogram(
        self, challenge: str, pin: str = "30303030", *, key: bytes | None = None
    ) -> str:
        key = key or (self.key if self.digest else self.card_key(self.kifs[2], self.kvc))
        return (
            self.suite.pin_presentation(key, bytes.fromhex(challenge), bytes.fromhex(pin))
            .hex()
            .upper()
        )

    def pin_change_cryptogram(self, challenge: str, new: str, old: str = "00000000") -> str:
        key = self.card_key(self.kifs[0], self.kvc)
        return (
            self.suite.pin_change(
                key, bytes.fromhex(challenge), bytes.fromhex(old), bytes.fromhex(new)
            )
            .hex()
            .upper()
        )

    def key_cryptogram(
        self, challenge: str, kif: int, kvc: int, algorithm: int = 0xA0, *, key: bytes | None = None
    ) -> str:
        key = key or self.card_key(self.kifs[0], self.kvc)
        new = WrappedKey(self.card_key(kif, kvc), kif, kvc, algorithm)
        return self.suite.wrap_key(key, bytes.fromhex(challenge), new).hex().upper()

    # Stored Value

    def sv_command(
        self,
        ins: int,
        amount: int,
        sv_get: str,
        *,
        extended: bool = False,
        date: str = "1122",
        time: str = "3344",
        free: str = "F3EE",
        kvc: int | None = None,
        sam: tuple[bytes, bytes] = (b"\xaa\xbb\xcc\xdd", b"\x12\x34\x56"),
        le: str = "",
    ) -> str:
        """Build SV Reload (B8), Debit (BA) or Undebit (BC) behind an SV Get.

        Args:
            sv_get: the whole answer of SV Get.
            sam: serial number and transaction number of the SAM.
        """
        answer = bytes.fromhex(sv_get)
        is_reload = ins == 0xB8
        announced = answer[8] if extended else answer[0]
        kvc = announced if kvc is None else kvc
        version = bytes((kvc,))
        if is_reload:
            frees = bytes.fromhex(free)
            fixed = bytes.fromhex(date) + frees[:1] + version + frees[1:]
            fixed += amount.to_bytes(3, signed=True) + bytes.fromhex(time)
        else:
            fixed = amount.to_bytes(2, signed=True) + bytes.fromhex(date + time) + version
        challenge, (sam_id, sam_number) = b"\x55\x66\x77", sam
        length = 1 + len(fixed) + 7 + (10 if extended else 5)
        message = bytes((0x7C, extended, 0x07 if is_reload else 0x09, len(answer) - 2)) + answer
        message += bytes((ins, 0, 0, length, 0)) + fixed + challenge + sam_number + sam_id
        key = self.card_key(0x07 if is_reload else 0x10, announced)
        signature = self.suite.sv_signature_hi(key, message, extended=extended)
        self.sv_lo = (
            self.suite.sv_signature_lo(key, message, signature, extended=extended).hex().upper()
        )
        command = bytes((self.cla if self.cla == 0 else 0xFA, ins)) + challenge[:2]
        command += bytes((length,)) + challenge[2:] + fixed + sam_id + sam_number + signature
        return command.hex().upper() + le
