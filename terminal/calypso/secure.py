"""Secure transactions with symmetric keys: sessions, and how they are carried in few exchanges.

How a session travels:

- Open needs the module's challenge. The first read behind it, if it is of one record that P1 can name,
  is merged into it.
- Everything prepared until Close is digested. When Close comes up, the answers of commands that were
  not sent yet are foreseen (`9000` for writes, the new value for counters that are known), digested,
  and compared when they come. So the writes and Close leave in one exchange. An answer that cannot be
  foreseen costs one exchange more, never a wrong MAC.
- The module's commands queue up: challenge; digest and MAC; authentication. Three exchanges.

What may go wrong, and what then holds:

- A bad argument raises from `prepare_*`; queue and session stay as they are.
- An error while processing empties the queue. If the card may have a session open it gets an abort,
  and the image goes back to what it was before the session.
- `CardMacNotVerifiable` alone leaves the image as the session made it: the card has committed.

A modification that does not fit the card's buffer raises `SessionBufferOverflow` when it is prepared,
or, with `multiple_session`, closes the session before it and opens another one at the same level. The
parts are not atomic together.

Source: terminal-api §11.2, §12, §13; calypso-card §5; sequences §7, §9, §11.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.calypso.startup import ProductType
from cardbench.protocol.errors import (
    CardbenchError,
    CardError,
    CardMacNotVerifiable,
    CryptoModuleError,
    InconsistentData,
    InvalidCardMac,
    ProtocolError,
    ReaderError,
    SessionBufferOverflow,
    UsageError,
)
from cardbench.terminal.calypso.commands.records import ReadCounter, ReadRecord
from cardbench.terminal.calypso.commands.session import (
    EXTENDED_MAC_SIZE_BYTES,
    LEGACY_RECORD_BYTES,
    MAC_SIZE_BYTES,
    AbortSecureSession,
    CloseSecureSession,
    OpenSecureSession,
    Ratification,
    SessionMode,
)
from cardbench.terminal.calypso.transaction import TransactionManager
from cardbench.terminal.card.requests import ChannelControl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from cardbench.terminal.calypso.card import CalypsoCard
    from cardbench.terminal.calypso.commands.base import Command
    from cardbench.terminal.calypso.commands.handle import Handle
    from cardbench.terminal.calypso.commands.session import SessionOpening
    from cardbench.terminal.calypso.setting import SymmetricSecuritySetting
    from cardbench.terminal.card.channel import CardChannel
    from cardbench.terminal.crypto.symmetric import Deferred
    from cardbench.terminal.readers.reader import Reader

CommandT = TypeVar("CommandT", bound="Command[Any]")
ManagerT = TypeVar("ManagerT", bound="SecureSymmetricTransactionManager")

_APDU_HEADER_BYTES = 5
_MODIFICATION_OVERHEAD_BYTES = 6


class SecureSymmetricTransactionManager(TransactionManager):
    """Transactions with symmetric secure sessions; use one of its two children.

    Args:
        reader: where the card is.
        card: image of the card.
        setting: options and keys.

    Raises:
        UsageError: the card's product is not known.
    """

    _wants_extended_mode = False

    def __init__(
        self, reader: Reader | CardChannel, card: CalypsoCard, setting: SymmetricSecuritySetting
    ) -> None:
        super().__init__(reader, card)
        self.setting = setting
        self._is_extended = (
            self._wants_extended_mode
            and card.is_extended_mode_supported
            and setting.crypto.is_extended_mode_supported
        )
        self._crypto = setting.crypto.create_card_transaction(
            card.require_identified(), use_extended_mode=self._is_extended
        )
        self._payload_max_bytes = min(
            self._payload_max_bytes,
            setting.crypto.max_card_apdu_length_supported - _APDU_HEADER_BYTES,
        )
        # Prepared
        self._level: WriteAccessLevel | None = None
        self._buffer_left = 0
        # On the card
        self._update: Callable[[bytes], object] | None = None  # while a session is open
        self._may_be_open = False
        self._backup: Any = None
        self._card_mac_size_bytes = MAC_SIZE_BYTES
        self._owed: list[Deferred[bool]] = []

    # Session

    def secure_session(
        self,
        level: WriteAccessLevel,
        *,
        channel_control: ChannelControl = ChannelControl.KEEP_OPEN,
    ) -> AbstractContextManager[Self]:
        """Open a session for a `with` block; leaving the block closes it, an error aborts it.

        The block may close or cancel the session itself; leaving then only processes what is left.

        Args:
            level: what the session may write.
            channel_control: what happens to the physical channel at the end.

        Raises:
            UsageError: a session is open already.
        """
        return _SecureSession(self, level, channel_control)

    def prepare_open_secure_session(self, level: WriteAccessLevel) -> Handle[SessionOpening]:
        """Open a session; the result is what the card says of it.

        Raises:
            UsageError: a session is open or prepared already.
        """
        if self.is_session_prepared:
            raise UsageError("a secure session is open, or prepared, already")
        return self._open(WriteAccessLevel(level))

    def _open(self, level: WriteAccessLevel) -> OpenSecureSession:
        card = self.card
        product = card.product_type
        if product in (ProductType.PRIME_REVISION_1, ProductType.PRIME_REVISION_2):
            mode = SessionMode.LEGACY
        elif self._is_extended:
            mode = SessionMode.EXTENDED
        else:
            mode = SessionMode.REGULAR
        command = OpenSecureSession(
            self._cla, level, mode, is_revision_2=product is ProductType.PRIME_REVISION_2
        )
        self._queue.append(command)
        self.is_session_prepared = True
        self._level = level
        self._buffer_left = card.session_buffer_size
        return command

    def prepare_close_secure_session(self) -> Handle[tuple[bytes, ...]]:
        """Close the session: the card commits what it was told.

        Raises:
            UsageError: no session is open or prepared.
        """
        if not self.is_session_prepared:
            raise UsageError("no secure session is open or prepared")
        ratify = self.setting.ratification and self.channel.is_contactless
        command = CloseSecureSession(self._cla, as_ratified=not ratify)
        self._queue.append(command)
        if ratify:
            self._queue.append(Ratification(self._cla))
        self.is_session_prepared = False
        return command

    def prepare_cancel_secure_session(self) -> None:
        """Abort the session: the card forgets what it was told. What is prepared before is sent.

        Raises:
            UsageError: no session is open or prepared.
        """
        if not self.is_session_prepared:
            raise UsageError("no secure session is open or prepared")
        self._queue.append(AbortSecureSession(self._cla))
        self.is_session_prepared = False

    def cancel(self) -> None:
        """Abort at once: drop what is prepared, tell the card, take the image back. Never raises."""
        self._drop_queue(UsageError("the secure session was cancelled"))
        self._abort(link_is_up=True)

    # Session buffer

    def _add_modifying(self, command: CommandT) -> CommandT:
        if self.is_session_prepared:
            self._take_buffer(command)
        self._queue.append(command)
        return command

    def _take_buffer(self, command: Command[Any]) -> None:
        if self.card.traits.buffer_operations:
            cost = 1
        else:
            cost = command.size_bytes - _APDU_HEADER_BYTES + _MODIFICATION_OVERHEAD_BYTES
        if cost > self._buffer_left:
            available = self.card.session_buffer_size
            if not self.setting.multiple_session or cost > available:
                raise SessionBufferOverflow(command.name, cost, self._buffer_left)
            self._split()
        self._buffer_left -= cost

    def _split(self) -> None:
        """Close the session that is full, and open the next one."""
        assert self._level is not None
        self._queue.append(CloseSecureSession(self._cla, as_ratified=True))
        self._open(self._level)

    # Processing

    def process_commands(self, channel_control: ChannelControl = ChannelControl.KEEP_OPEN) -> None:
        """Send everything prepared, sessions included; fill the handles and the image.

        Raises:
            CardError: a command was refused; those behind it were not sent.
            ReaderError: the link to the card failed.
            ProtocolError: an answer does not decode.
            CryptoModuleError: the crypto module refused, or cannot be reached.
            UnauthorizedKey: the session's key cannot be told, or is not allowed.
            InconsistentData: the card answered another thing than was foreseen.
            InvalidCardMac: the card is no genuine one, or both lost their synchronisation.
            CardMacNotVerifiable: the card committed, but the module cannot be reached to check it.

        After any of them no session is open any more.
        """
        queue, self._queue = self._queue, []
        try:
            block: list[Command[Any]] = []
            opening: OpenSecureSession | None = None  # the command before this one
            for command in queue:
                if command.needs_crypto:
                    block = self._complete(command, block)
                    opening = command if isinstance(command, OpenSecureSession) else None
                elif opening is not None:
                    before, opening = opening, None
                    if isinstance(command, (ReadRecord, ReadCounter)) and self._merge(
                        before, command
                    ):
                        continue
                block.append(command)
            if block:
                self._send(block, channel_control)
            if self._owed:
                self._settle()
            self._crypto.synchronize()
        except BaseException as error:
            self._queue = queue
            self._drop_queue(
                error
                if isinstance(error, CardbenchError)
                else UsageError(f"interrupted: {error!r}")
            )
            if not isinstance(error, CardMacNotVerifiable):
                self._abort(link_is_up=not isinstance(error, ReaderError))
            raise
        finally:
            if channel_control is ChannelControl.CLOSE_AFTER and self.channel.is_open:
                self.channel.close()

    def _complete(self, command: Command[Any], block: list[Command[Any]]) -> list[Command[Any]]:
        """Give a command what it needs of the crypto module; send the block before it if need be."""
        if isinstance(command, CloseSecureSession):
            block = self._digest(block)
            mac = self._crypto.finalize_terminal_session_mac().result()
            command.set_mac(mac, card_mac_size_bytes=self._card_mac_size_bytes)
        elif isinstance(command, OpenSecureSession):
            if self._may_be_open and block:
                self._send(block, ChannelControl.KEEP_OPEN)
                block = []
            challenge = self._crypto.init_terminal_secure_session_context()
            if self._owed:
                self._settle()  # takes the challenge along
            command.set_challenge(challenge.result())
            self._may_be_open = True
        return block

    def _merge(self, opening: OpenSecureSession, read: ReadRecord | ReadCounter) -> bool:
        """Let Open read the record, if P1 can name it."""
        if (
            not self.setting.read_on_open
            or read.record > self.card.traits.record_in_open_max
            or (opening.mode is SessionMode.LEGACY and read.apdu[-1] != LEGACY_RECORD_BYTES)
        ):
            return False
        opening.merge(read)
        return True

    def _digest(self, block: list[Command[Any]]) -> list[Command[Any]]:
        """Digest what was not sent yet with foreseen answers; send it if one cannot be foreseen."""
        update = self._update
        if update is None:
            self._send(block, ChannelControl.KEEP_OPEN)
            return []
        card = self.card
        for command in block:
            foreseen = command.foresee(card)
            if foreseen is None:
                self._send(block, ChannelControl.KEEP_OPEN)
                return []
            command.foreseen = foreseen
            update(command.apdu[:-1] if command.is_case_4 else command.apdu)
            update(foreseen)
            command.accept(card, foreseen)
        return block

    def _send(self, block: Sequence[Command[Any]], channel_control: ChannelControl) -> None:
        try:
            responses: Sequence[bytes] = self.channel.transmit(
                block, channel_control, digested=self._may_be_open
            )
        except (CardError, ReaderError, ProtocolError) as error:
            responses = error.responses[:-1] if isinstance(error, CardError) else error.responses
            self._take_all(block, responses)
            stopped_at = block[len(responses)]
            if isinstance(stopped_at, Ratification) and isinstance(error, ReaderError):
                return  # the card has closed its session: it may leave
            if isinstance(stopped_at, OpenSecureSession) and isinstance(error, CardError):
                self._may_be_open = False
            raise
        self._take_all(block, responses)

    def _take_all(self, block: Sequence[Command[Any]], responses: Sequence[bytes]) -> None:
        """Take answers: digest what was not foreseen, fill image and handles."""
        card = self.card
        for command, response in zip(block, responses, strict=False):
            if command.foreseen is not None:
                if command.foreseen != response:
                    raise InconsistentData(
                        f"{command.describe()}: the card answered {response.hex().upper()}, "
                        f"foreseen was {command.foreseen.hex().upper()}"
                    )
            elif command.is_digested:
                update = self._update
                if update is not None:
                    update(command.apdu[:-1] if command.is_case_4 else command.apdu)
                    update(response)
                command.accept(card, response)
            else:
                self._take_session_command(command, response)
            command.is_done = True

    def _take_session_command(self, command: Command[Any], response: bytes) -> None:
        card = self.card
        if isinstance(command, OpenSecureSession):
            self._backup = card.backup()
            command.accept(card, response)
            self._start(command)
        elif isinstance(command, CloseSecureSession):
            self._update = None
            self._may_be_open = False
            command.accept(card, response)
            self._owed.append(self._crypto.is_card_session_mac_valid(command.card_mac))
        elif isinstance(command, AbortSecureSession):
            self._end()
            command.accept(card, response)
        else:
            command.accept(card, response)

    def _start(self, command: OpenSecureSession) -> None:
        """Start the digest with the answer to Open."""
        opening = command.answer
        kif, kvc = self.setting.resolve_session_key(command.level, opening.kif, opening.kvc)
        size = MAC_SIZE_BYTES
        if command.mode is SessionMode.EXTENDED:
            if opening.can_manage_session:
                size = EXTENDED_MAC_SIZE_BYTES
            else:
                self.card.revoke_extended_mode()
        self._card_mac_size_bytes = size
        self._crypto.init_terminal_session_mac(command.open_data, kif, kvc)
        self._update = self._crypto.update_terminal_session_mac

    def _settle(self) -> None:
        """Ask for the checks of the card's MACs."""
        owed, self._owed = self._owed, []
        try:
            valid = [check.result() for check in owed]
        except CryptoModuleError as error:
            self._backup = None
            raise CardMacNotVerifiable(
                f"the card closed its session and its data have changed, but its MAC cannot be checked: "
                f"{error}"
            ) from error
        if not all(valid):
            raise InvalidCardMac("the card's MAC does not verify: its data are not to be trusted")
        self._backup = None

    # Giving up

    def _drop_queue(self, error: CardbenchError) -> None:
        for command in self._queue:
            command.fail(error)
        self._queue.clear()
        self.is_session_prepared = False
        self._level = None

    def _abort(self, *, link_is_up: bool) -> None:
        """End a session that may be open on the card; take the image back."""
        if self._may_be_open and link_is_up and self.channel.is_open:
            with contextlib.suppress(ReaderError, ProtocolError):
                self.channel.transmit((AbortSecureSession(self._cla),))
        self._end()

    def _end(self) -> None:
        self._update = None
        self._may_be_open = False
        self._owed.clear()
        if self._backup is not None:
            self.card.restore(self._backup)
            self._backup = None


class _SecureSession(AbstractContextManager[ManagerT]):
    """A `with` block that is a secure session."""

    __slots__ = ("_channel_control", "_level", "_manager")

    def __init__(
        self, manager: ManagerT, level: WriteAccessLevel, channel_control: ChannelControl
    ) -> None:
        self._manager = manager
        self._level = level
        self._channel_control = channel_control

    def __enter__(self) -> ManagerT:
        self._manager.prepare_open_secure_session(self._level)
        return self._manager

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        manager = self._manager
        if kind is None:
            if manager.is_session_prepared:
                manager.prepare_close_secure_session()
            manager.process_commands(self._channel_control)
            return
        manager.cancel()
        if self._channel_control is ChannelControl.CLOSE_AFTER and manager.channel.is_open:
            manager.channel.close()


class SecureRegularModeTransactionManager(SecureSymmetricTransactionManager):
    """Secure transactions in regular mode: MACs of 4 bytes, any card and SAM."""


class SecureExtendedModeTransactionManager(SecureSymmetricTransactionManager):
    """Secure transactions in extended mode: MACs of 8 bytes, where card and module both know it."""

    _wants_extended_mode = True
