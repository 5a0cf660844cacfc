"""PIN commands: Verify PIN (plain, ciphered, status), Change PIN; and Change Key, its sibling.

A wrong PIN moves the attempt counter of the image, whatever happens to a session around it.

Source: calypso-card §4.12–4.14, §7; terminal-api §10.3, §15.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cardbench.protocol.calypso.ins import CalypsoIns
from cardbench.protocol.errors import UsageError
from cardbench.protocol.status import StatusWord
from cardbench.terminal.calypso.commands.base import OK, Command
from cardbench.terminal.card.requests import SUCCESS

if TYPE_CHECKING:
    from cardbench.terminal.calypso.card import CalypsoCard
    from cardbench.terminal.calypso.commands.management import GetChallenge

PIN_SIZE_BYTES = 4
PIN_ATTEMPTS = 3
_PIN_P2 = 0xFF
_WRONG_PIN = 0x63C0
_PRESENTATION_SIZE_BYTES = 8

_STATUS = SUCCESS | {_WRONG_PIN, _WRONG_PIN + 1, _WRONG_PIN + 2, StatusWord.BLOCKED}


def check_pin(pin: bytes) -> None:
    """Refuse what is no PIN, without showing it."""
    if len(pin) != PIN_SIZE_BYTES:
        raise UsageError(f"a PIN of {len(pin)} byte(s); it has {PIN_SIZE_BYTES}")


def attempts_of(sw: int) -> int | None:
    """Return the attempts that a status word tells of; None if it tells of none."""
    if sw == StatusWord.OK:
        return PIN_ATTEMPTS
    if sw == StatusWord.BLOCKED:
        return 0
    if sw & 0xFFF0 == _WRONG_PIN:
        return sw & 0xF
    return None


class CheckPinStatus(Command[int]):
    """Verify PIN without data: nothing is presented. The result is the attempts that remain."""

    name: ClassVar[str] = "Check PIN Status"
    success = _STATUS
    __slots__ = ()

    def __init__(self, cla: int) -> None:
        super().__init__(bytes((cla, CalypsoIns.VERIFY_PIN, 0, 0, 0)))

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Take the attempts into the image."""
        attempts = attempts_of(int.from_bytes(response[-2:]))
        assert attempts is not None, "only these status words are a success"
        self._value = card.pin_attempts_remaining = attempts


class _SecretCommand(Command[None]):
    """A command whose data are never shown."""

    __slots__ = ()

    def describe(self) -> str:
        """Name and header; the data are masked."""
        return f"{self.name} {self.apdu[:5].hex().upper()}{'*' * max(0, len(self.apdu) - 5)}"


class VerifyPin(_SecretCommand):
    """Verify PIN, in clear or ciphered.

    Args:
        cla: class byte.
        pin: 4 bytes.
        challenge: the command just before that gets the card's challenge; None: the PIN goes in clear.
    """

    name: ClassVar[str] = "Verify PIN"
    __slots__ = ("challenge", "cla", "needs_crypto", "pin")

    def __init__(self, cla: int, pin: bytes, challenge: GetChallenge | None = None) -> None:
        check_pin(pin)
        self.cla = cla
        self.pin = pin
        self.challenge = challenge
        self.needs_crypto = challenge is not None
        super().__init__(b"" if challenge is not None else self._request(pin))

    def _request(self, data: bytes) -> bytes:
        return bytes((self.cla, CalypsoIns.VERIFY_PIN, 0, 0, len(data))) + data

    def set_cryptogram(self, cryptogram: bytes) -> None:
        """Complete the request."""
        self.apdu = self._request(cryptogram)

    def foresee(self, card: CalypsoCard) -> bytes | None:
        """Foresee `9000`."""
        del card
        return OK

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Set the attempts of the image back."""
        del response
        self._value = None
        card.pin_attempts_remaining = PIN_ATTEMPTS

    def refused(self, card: CalypsoCard, sw: int) -> None:
        """Count the attempt."""
        attempts = attempts_of(sw)
        if attempts is not None:
            card.pin_attempts_remaining = attempts


class ChangePin(_SecretCommand):
    """Change PIN, in clear (after a Verify PIN) or ciphered. As `VerifyPin`."""

    name: ClassVar[str] = "Change PIN"
    __slots__ = ("challenge", "cla", "needs_crypto", "new_pin")

    def __init__(self, cla: int, new_pin: bytes, challenge: GetChallenge | None = None) -> None:
        check_pin(new_pin)
        self.cla = cla
        self.new_pin = new_pin
        self.challenge = challenge
        self.needs_crypto = challenge is not None
        super().__init__(b"" if challenge is not None else self._request(new_pin))

    def _request(self, data: bytes) -> bytes:
        return bytes((self.cla, CalypsoIns.CHANGE_KEY, 0, _PIN_P2, len(data))) + data

    def set_cryptogram(self, cryptogram: bytes) -> None:
        """Complete the request."""
        self.apdu = self._request(cryptogram)

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Set the attempts of the image back."""
        del response
        self._value = None
        card.pin_attempts_remaining = PIN_ATTEMPTS


class ChangeKey(_SecretCommand):
    """Change Key: one of the three keys of the DF is replaced.

    Args:
        cla: class byte.
        key_index: 1 to 3.
        new_key: KIF and KVC of the new key.
        issuer_key: KIF and KVC of the key that ciphers it.
        challenge: the command just before that gets the card's challenge.
    """

    name: ClassVar[str] = "Change Key"
    needs_crypto = True
    __slots__ = ("challenge", "cla", "issuer_key", "key_index", "new_key")

    def __init__(
        self,
        cla: int,
        key_index: int,
        new_key: tuple[int, int],
        issuer_key: tuple[int, int],
        challenge: GetChallenge,
    ) -> None:
        self.cla = cla
        self.key_index = key_index
        self.new_key = new_key
        self.issuer_key = issuer_key
        self.challenge = challenge
        super().__init__(b"")

    def set_cryptogram(self, cryptogram: bytes) -> None:
        """Complete the request."""
        header = (self.cla, CalypsoIns.CHANGE_KEY, 0, self.key_index, len(cryptogram))
        self.apdu = bytes(header) + cryptogram

    def accept(self, card: CalypsoCard, response: bytes) -> None:
        """Note the new key in the description of the DF."""
        del response
        self._value = None
        header = card.directory_header
        if header is not None:
            kifs, kvcs = bytearray(header.kifs), bytearray(header.kvcs)
            kifs[self.key_index - 1], kvcs[self.key_index - 1] = self.new_key
            card.directory_header = header._replace(kifs=bytes(kifs), kvcs=bytes(kvcs))
