"""The link to one SAM: commands queue up and leave together, as late as a result is asked for.

Everything that talks to the same SAM shares its link, because the SAM has one selected diversifier and
one outstanding challenge.

A SAM that has seen a wrong signature in busy mode answers further ones with 6982 for some seconds, never
more than ten: the command is sent again until it is let through. Each time is an exchange.

Not thread-safe: one link belongs to one transaction at a time.

Source: legacy-sam §5.12 (busy mode), §6.1, §7; sequences §13.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.errors import (
    CardbenchError,
    CardError,
    CryptoModuleError,
    CryptoModuleUnreachable,
    ProtocolError,
    ReaderError,
)
from cardbench.protocol.status import StatusWord
from cardbench.terminal.card.channel import CardChannel
from cardbench.terminal.card.requests import SUCCESS, ApduRequest, PlainRequest, SecretRequest
from cardbench.terminal.crypto.symmetric import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cardbench.terminal.card.journal import Journal
    from cardbench.terminal.legacy_sam.sam import LegacySam
    from cardbench.terminal.readers.reader import Reader

T = TypeVar("T")
Debt: TypeAlias = "tuple[Deferred[Any], Callable[[bytes], Any]]"  # a result owed, and its decoder

SHORT_DIVERSIFIER_BYTES = 4
DIVERSIFIER_BYTES = 8
CHALLENGE_BYTES = 8
SAM, CONTROL_SAM = "SAM", "control SAM"  # what journals call them
BUSY_STEP_S = 0.1
BUSY_TRIES = 100  # ten seconds

_VERIFY_SIGNATURE = bytes((SamIns.PSO, 0x00, 0xA8))

_new = tuple.__new__  # what a named tuple's own constructor does, without its Python frame


def _is_busy(error: CardbenchError, request: ApduRequest) -> bool:
    return (
        isinstance(error, CardError)
        and error.sw == StatusWord.SECURITY_NOT_SATISFIED
        and request.apdu[1:4] == _VERIFY_SIGNATURE
    )


def _data(response: bytes) -> bytes:
    return response[:-2]


class SamLink:
    """Queue of commands to one SAM.

    Attributes:
        channel: the way to the SAM.
        sam: its image.
        cla: class byte of every command.
        journal: notes the exchanges of whoever uses the link now; None: nobody wants to know.
        wait: lets the seconds pass while the SAM is busy.
    """

    def __init__(self, channel: CardChannel, sam: LegacySam) -> None:
        self.channel = channel
        channel.party = SAM
        self.journal: Journal | None = None
        self.wait: Callable[[float], None] = time.sleep
        self.sam = sam
        self.cla = sam.traits.cla
        self._requests: list[ApduRequest] = []
        self._owed: list[Debt | None] = []
        self._diversifier: bytes | None = None
        self._challenge: bytes | None = None
        self._generation = channel.generation
        digest_header = (self.cla, SamIns.DIGEST_UPDATE)
        self.digest_update_header = bytes((*digest_header, 0x00, 0x00))
        self.digest_update_multiple_header = bytes((*digest_header, 0x80, 0x00))
        self.digest_update_ciphered_header = bytes((*digest_header, 0x00, 0x80))

    @classmethod
    def of(cls, reader: Reader | CardChannel, sam: LegacySam) -> SamLink:
        """Return the SAM's link, a new one if it has none or sits behind another reader."""
        link = sam.link
        wanted = reader.reader if isinstance(reader, CardChannel) else reader
        if link is None or link.channel.reader is not wanted:
            link = sam.link = cls(CardChannel.over(reader), sam)
        return link

    @contextmanager
    def noted_in(self, journal: Journal, party: str = SAM) -> Iterator[None]:
        """Note what is exchanged in a journal, for a `with` block; the SAM is called `party` there."""
        self.journal, self.channel.party = journal, party
        try:
            yield
        finally:
            self.journal, self.channel.party = None, SAM

    # Queue

    def push(self, apdu: bytes, name: str) -> None:
        """Queue a command whose answer is a status word only."""
        self._requests.append(_new(PlainRequest, (apdu, SUCCESS, name)))
        self._owed.append(None)

    def push_digest(self, apdu: bytes, name: str) -> None:
        """Queue a command with what card and terminal have said: there may be a PIN in it."""
        self._requests.append(_new(SecretRequest, (apdu, SUCCESS, name, False)))
        self._owed.append(None)

    def ask(
        self,
        apdu: bytes,
        name: str,
        decode: Callable[[bytes], T],
        success: frozenset[int] = SUCCESS,
        *,
        is_secret: bool = False,
        hides_answer: bool = False,
    ) -> Deferred[T]:
        """Queue a command with a result.

        Args:
            apdu: the command.
            name: what it is called in messages.
            decode: makes the result of the whole answer; a named error that it raises is the result's.
            success: status words that are right.
            is_secret: the command's data must not be shown.
            hides_answer: the answer's data must not be shown, nor the command's.
        """
        deferred: Deferred[T] = Deferred(self.flush)
        self._requests.append(
            SecretRequest(apdu, success, name, hides_answer)
            if is_secret or hides_answer
            else PlainRequest(apdu, success, name)
        )
        self._owed.append((deferred, decode))
        return deferred

    def ask_data(self, apdu: bytes, name: str, *, is_secret: bool = False) -> Deferred[bytes]:
        """Queue a command whose result is its response data. Arguments as for `ask`."""
        return self.ask(apdu, name, _data, is_secret=is_secret)

    @property
    def has_queued(self) -> bool:
        """Whether commands wait to be sent."""
        return bool(self._requests)

    def flush(self) -> None:
        """Send what is queued: one exchange, and one more for each time that the SAM is busy.

        Raises:
            CryptoModuleError: the SAM refused a command; the others behind it were not sent.
            CryptoModuleUnreachable: the link failed.
        """
        requests, owed = self._requests, self._owed
        if not requests:
            return
        self._requests, self._owed = [], []
        tries_left = BUSY_TRIES
        while True:
            try:
                responses = self.channel.transmit(requests, observer=self.journal)
            except (CardError, ReaderError, ProtocolError) as error:
                good = error.responses[:-1] if isinstance(error, CardError) else error.responses
                self._settle(owed, good)
                if tries_left and _is_busy(error, requests[len(good)]):
                    requests, owed = requests[len(good) :], owed[len(good) :]
                    tries_left -= 1
                    self.wait(BUSY_STEP_S)
                    continue
                raise self._give_up(error, owed) from error
            self._settle(owed, responses)
            return

    @staticmethod
    def _settle(owed: list[Debt | None], responses: Sequence[bytes]) -> None:
        for debt, response in zip(owed, responses, strict=False):
            if debt is not None:
                deferred, decode = debt
                try:
                    deferred.resolve(decode(response))
                except CardbenchError as error:
                    deferred.fail(error)

    def _give_up(
        self, error: CardError | ReaderError | ProtocolError, owed: list[Debt | None]
    ) -> CryptoModuleError:
        self._diversifier = self._challenge = None
        kind = CryptoModuleUnreachable if isinstance(error, ReaderError) else CryptoModuleError
        wrapped = kind(f"SAM {self.sam.serial.hex().upper()}: {error}")
        for debt in owed:
            if debt is not None and not debt[0].is_done:
                debt[0].fail(wrapped)
        return wrapped

    # What the SAM remembers between commands

    def _check_activation(self) -> None:
        """Forget what the SAM forgot, or will have forgotten, when its channel is opened anew."""
        channel = self.channel
        generation = channel.generation if channel.is_open else channel.generation + 1
        if self._generation != generation:
            self._generation = generation
            self._diversifier = self._challenge = None

    def select_diversifier(self, diversifier: bytes) -> None:
        """Queue Select Diversifier, unless it is the one that is selected.

        Args:
            diversifier: 1 to 8 bytes; left-padded with zeros to 4 or 8.
        """
        self._check_activation()
        size = (
            SHORT_DIVERSIFIER_BYTES
            if len(diversifier) <= SHORT_DIVERSIFIER_BYTES
            else DIVERSIFIER_BYTES
        )
        diversifier = diversifier.rjust(size, b"\0")
        if diversifier == self._diversifier:
            return
        header = bytes((self.cla, SamIns.SELECT_DIVERSIFIER, 0, 0, size))
        self.push(header + diversifier, "Select Diversifier")
        self._diversifier = diversifier

    def get_challenge(self, size_bytes: int) -> Deferred[bytes]:
        """Queue Get Challenge, or hand out the challenge that was fetched in advance."""
        self._check_activation()
        challenge, self._challenge = self._challenge, None
        if challenge is not None:
            return Deferred.of(challenge[:size_bytes])
        return self.ask_data(
            bytes((self.cla, SamIns.GET_CHALLENGE, 0, 0, size_bytes)), "Get Challenge"
        )

    def fetch_challenge(self) -> None:
        """Get a challenge now, and keep it for the next session."""
        self._challenge = None
        challenge = self.get_challenge(CHALLENGE_BYTES).result()
        self._check_activation()
        self._challenge = challenge

    def forget_challenge(self) -> None:
        """Note that the SAM's outstanding challenge is used up or replaced."""
        self._challenge = None
