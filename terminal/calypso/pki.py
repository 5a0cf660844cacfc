"""Secure transactions with public keys: the card signs what was exchanged, and no SAM is needed.

How a session travels:

- The card's certificate is read when it is not in the image; the certificate of its CA when the setting
  does not know the issuer. Both are verified *before* the session is opened: a card without a good
  certificate is told nothing more.
- The terminal has nothing to compute before Close, so the whole session is one exchange. With the reading
  of certificates there are two, for the first card of a CA three.
- The first read behind Open, of one record that P1 can name, is merged into it.

What a PKI session is not: the terminal does not authenticate itself, so a card lets it write only where
anybody may. And Close and abort are the same bytes, so a session cannot be taken back: what the card has
accepted before a cancel stays. Who must undo it takes the card's power away (`channel.close()`) instead
of cancelling.

What may go wrong, and what then holds:

- A bad argument raises from `prepare_*`; queue and session stay as they are.
- An error while processing empties the queue; a session that may be open on the card is ended. The image
  goes back to what it was before the session, unless the card has said that it ended it.
- `InvalidCardSignature`: the image goes back, what was read is not to be trusted.

Not thread-safe: one transaction, one thread.

Source: terminal-api §11.2, §12, §17; calypso-pki §3, §6.2; calypso-card §5.10.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cardbench.protocol.errors import (
    CardbenchError,
    CardError,
    CardNotPresent,
    InvalidCardSignature,
    NotSupported,
    ProtocolError,
    ReaderError,
    SessionBufferOverflow,
    SessionState,
    UsageError,
)
from cardbench.terminal.calypso.commands.base import OK
from cardbench.terminal.calypso.commands.pki import (
    CA_CERTIFICATE,
    CARD_CERTIFICATE,
    CHALLENGE_SIZE_BYTES,
    ClosePkiSession,
    OpenPkiSession,
    get_certificate,
)
from cardbench.terminal.calypso.commands.records import ReadCounter, ReadRecord
from cardbench.terminal.calypso.commands.session import AbortSecureSession
from cardbench.terminal.calypso.transaction import TransactionManager, extension_of
from cardbench.terminal.card.requests import ChannelControl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cardbench.terminal.calypso.card import CalypsoCard
    from cardbench.terminal.calypso.commands.base import Command
    from cardbench.terminal.calypso.commands.session import SessionOpening
    from cardbench.terminal.calypso.pki_setting import AsymmetricSecuritySetting
    from cardbench.terminal.card.channel import CardChannel
    from cardbench.terminal.card.handle import Handle
    from cardbench.terminal.card.journal import Journal
    from cardbench.terminal.crypto.asymmetric import CardPublicKey
    from cardbench.terminal.readers.reader import Reader

CommandT = TypeVar("CommandT", bound="Command[Any]")
ExtensionT = TypeVar("ExtensionT")

_ENDS = (ClosePkiSession, AbortSecureSession)  # the same bytes to the card
_APDU_HEADER_BYTES = 5
_MODIFICATION_OVERHEAD_BYTES = 6


class SecurePkiModeTransactionManager(TransactionManager):
    """Transactions with PKI sessions.

    Args:
        reader: where the card is.
        card: image of the card.
        setting: what the terminal trusts.
        journal: notes the exchanges; None: one of the transaction's own.

    Raises:
        UsageError: the card's product is not known.
        NotSupported: it has no PKI mode.

    Attributes:
        card_public_key: the card's verified key; None before the first session.
    """

    def __init__(
        self,
        reader: Reader | CardChannel,
        card: CalypsoCard,
        setting: AsymmetricSecuritySetting,
        *,
        journal: Journal | None = None,
    ) -> None:
        super().__init__(reader, card, journal=journal)
        if not card.is_pki_mode_supported:
            raise NotSupported(f"{card!r} has no PKI mode")
        self.setting = setting
        self.card_public_key: CardPublicKey | None = None
        self._crypto = setting.crypto.create_card_transaction()
        # On the card
        self._is_signed = False  # a session is open, and its exchange is fed to the crypto side
        self._may_be_open = False
        self._backup: Any = None
        self._close: SessionState | None = None  # what is known of a Close that was sent

    def crypto_extension(self, kind: type[ExtensionT]) -> ExtensionT:
        """Return what the PKI library offers beyond sessions.

        Raises:
            UsageError: this library has no such extension.
        """
        return extension_of(self._crypto, kind)

    # Session

    @contextlib.contextmanager
    def secure_session(
        self, *, channel_control: ChannelControl = ChannelControl.KEEP_OPEN
    ) -> Iterator[Self]:
        """Open a session for a `with` block; leaving the block closes it, an error ends it.

        The block may close or cancel the session itself; leaving then only processes what is left.

        Args:
            channel_control: what happens to the physical channel at the end.

        Raises:
            UsageError: a session is open already.
        """
        self.prepare_open_secure_session()
        try:
            yield self
        except BaseException:
            self.cancel()
            if channel_control is ChannelControl.CLOSE_AFTER and self.channel.is_open:
                self.channel.close()
            raise
        if self.is_session_prepared:
            self.prepare_close_secure_session()
        self.process_commands(channel_control)

    def prepare_open_secure_session(self) -> Handle[SessionOpening]:
        """Open a session; the result is what the card says of it.

        Raises:
            UsageError: a session is open or prepared already.
        """
        if self.is_session_prepared:
            raise UsageError("a secure session is open, or prepared, already")
        command = OpenPkiSession(self._cla, self.setting.random_bytes(CHALLENGE_SIZE_BYTES))
        self._queue.append(command)
        self.is_session_prepared = True
        self._buffer_left = self.card.session_buffer_size
        return command

    def prepare_close_secure_session(self) -> Handle[bytes]:
        """Close the session; the result is the card's signature, 64 bytes, which was verified.

        Raises:
            UsageError: no session is open or prepared.
        """
        return self._add_end(ClosePkiSession(self._cla))

    def prepare_cancel_secure_session(self) -> None:
        """End the session without verifying it. What the card has accepted stays.

        Raises:
            UsageError: no session is open or prepared.
        """
        self._add_end(AbortSecureSession(self._cla))

    def cancel(self) -> None:
        """End the session at once: drop what is prepared, tell the card. Never raises."""
        self._drop_queue(UsageError("the secure session was cancelled"))
        self._abort(link_is_up=True)

    def _add_end(self, command: CommandT) -> CommandT:
        if not self.is_session_prepared:
            raise UsageError("no secure session is open or prepared")
        self._queue.append(command)
        self.is_session_prepared = False
        return command

    def _add_modifying(self, command: CommandT) -> CommandT:
        if self.is_session_prepared:
            cost = command.size_bytes - _APDU_HEADER_BYTES + _MODIFICATION_OVERHEAD_BYTES
            if cost > self._buffer_left:
                raise SessionBufferOverflow(command.name, cost, self._buffer_left)
            self._buffer_left -= cost
        self._queue.append(command)
        return command

    # Processing

    def process_commands(self, channel_control: ChannelControl = ChannelControl.KEEP_OPEN) -> None:
        """Send everything prepared, sessions included; fill the handles and the image.

        Raises:
            CardError: a command was refused; those behind it were not sent.
            ReaderError: the link to the card failed.
            ProtocolError: an answer does not decode.
            InvalidCertificate: the card cannot be trusted; the child names the step. Nothing of the
                session was sent.
            InvalidCardSignature: the card's signature does not verify.

        After any of them no session is open any more; the error's `session_state` says what the card has
        made of it.
        """
        queue, self._queue = self._queue, []
        self._close = None
        try:
            block: list[Command[Any]] = []
            before: Command[Any] | None = None
            for command in queue:
                if isinstance(command, OpenPkiSession):
                    block = self._authenticate(block)
                elif isinstance(before, OpenPkiSession) and self._merge(before, command):
                    before = command
                    continue
                before = command
                block.append(command)
            if block:
                self._send(block, channel_control)
        except BaseException as error:
            self._queue = queue
            self._drop_queue(
                error
                if isinstance(error, CardbenchError)
                else UsageError(f"interrupted: {error!r}")
            )
            state = self._session_state()
            has_committed = self._abort(link_is_up=not isinstance(error, ReaderError))
            if isinstance(error, CardbenchError):
                error.session_state = SessionState.COMMITTED if has_committed else state
            raise
        finally:
            if channel_control is ChannelControl.CLOSE_AFTER and self.channel.is_open:
                self.channel.close()

    def _session_state(self) -> SessionState | None:
        """Say what the card makes of the session; one that is still open ends with its power."""
        return self._close or (SessionState.ABORTED if self._may_be_open else None)

    def _authenticate(self, block: list[Command[Any]]) -> list[Command[Any]]:
        """Verify the card's certificates, read what is missing; return what is still to be sent."""
        card, setting = self.card, self.setting
        if card.card_certificate is None:
            self._send(
                [*block, *get_certificate(self._cla, CARD_CERTIFICATE)], ChannelControl.KEEP_OPEN
            )
            block = []
        assert card.card_certificate is not None, "it was read"
        serial, df_name = card.application_serial, card.df_name
        assert serial is not None, "the constructor asked for it"
        assert df_name is not None, "only an FCI says that there is PKI"
        certificate = setting.read_card_certificate(
            card.card_certificate, serial=serial, df_name=df_name
        )
        if not setting.knows_issuer(certificate):
            if card.ca_certificate is None:
                self._send(
                    [*block, *get_certificate(self._cla, CA_CERTIFICATE)], ChannelControl.KEEP_OPEN
                )
                block = []
            assert card.ca_certificate is not None, "it was read"
            setting.take_ca_certificate(card.ca_certificate, issuer_of=certificate)
        self.card_public_key = setting.card_public_key(certificate)
        return block

    def _merge(self, opening: OpenPkiSession, command: Command[Any]) -> bool:
        """Let Open read the record, if P1 can name it."""
        if (
            not isinstance(command, (ReadRecord, ReadCounter))
            or command.record > self.card.traits.record_in_open_max
        ):
            return False
        opening.merge(command)
        return True

    def _send(self, block: Sequence[Command[Any]], channel_control: ChannelControl) -> None:
        if any(isinstance(command, OpenPkiSession) for command in block):
            self._may_be_open = True
        try:
            responses = self._transmit(block, channel_control, digested=self._may_be_open)
        except (CardError, ReaderError, ProtocolError) as error:
            responses = error.responses[:-1] if isinstance(error, CardError) else error.responses
            self._take_all(block, responses)
            stopped_at = block[len(responses)]
            if isinstance(error, CardError):
                if isinstance(stopped_at, OpenPkiSession):
                    self._may_be_open = False
            elif (
                isinstance(stopped_at, _ENDS)
                and not isinstance(error, CardNotPresent)
                and len(error.commands) > len(responses)
            ):
                self._close = SessionState.UNKNOWN
            raise
        if any(isinstance(command, ClosePkiSession) for command in block):
            self._close = SessionState.COMMITTED
        self._take_all(block, responses)

    def _take_all(self, block: Sequence[Command[Any]], responses: Sequence[bytes]) -> None:
        for command, response in zip(block, responses, strict=False):
            self._take(command, response)

    def _take(self, command: Command[Any], response: bytes) -> None:
        """Take an answer: feed the crypto side, fill image and handle."""
        card = self.card
        if isinstance(command, OpenPkiSession):
            assert self.card_public_key is not None, "no session without a verified key"
            self._backup = card.backup()
            self._crypto.init_terminal_pki_session(self.card_public_key)
            self._is_signed = True
        if self._is_signed and (command.is_digested or isinstance(command, OpenPkiSession)):
            self._crypto.update_terminal_pki_session(command.apdu)
            self._crypto.update_terminal_pki_session(response)
        command.accept(card, response)
        if isinstance(command, ClosePkiSession):
            self._is_signed = self._may_be_open = False
            if not self._crypto.is_card_pki_session_valid(command.signature):
                raise InvalidCardSignature(
                    "the card's signature does not verify: its data are not to be trusted"
                )
            self._backup = None
        elif isinstance(command, AbortSecureSession):
            self._end(has_committed=response[-2:] == OK)
        command.is_done = True

    # Giving up

    def _drop_queue(self, error: CardbenchError) -> None:
        for command in self._queue:
            command.fail(error)
        self._queue.clear()
        self.is_session_prepared = False

    def _abort(self, *, link_is_up: bool) -> bool:
        """End a session that may be open on the card; return whether the card said that it has."""
        has_committed = False
        if self._may_be_open and link_is_up and self.channel.is_open:
            with contextlib.suppress(ReaderError, ProtocolError):
                answers = self._transmit((AbortSecureSession(self._cla),))
                has_committed = answers[0][-2:] == OK
        self._end(has_committed=has_committed)
        return has_committed

    def _end(self, *, has_committed: bool) -> None:
        self._is_signed = self._may_be_open = False
        if self._backup is not None and not has_committed:
            self.card.restore(self._backup)
        self._backup = None
