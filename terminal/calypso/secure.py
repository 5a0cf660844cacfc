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

Not thread-safe: one transaction, one thread, and a SAM serves one transaction at a time.

Source: terminal-api §11.2, §12, §13; calypso-card §5; sequences §7, §9, §11.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cardbench.protocol.calypso.startup import ProductType
from cardbench.protocol.errors import (
    CardbenchError,
    CardError,
    CardMacNotVerifiable,
    CardNotPresent,
    CryptoModuleError,
    InconsistentData,
    InvalidCardMac,
    NotSupported,
    ProtocolError,
    ReaderError,
    SessionBufferOverflow,
    SessionState,
    UsageError,
)
from cardbench.terminal.calypso.commands.base import OK
from cardbench.terminal.calypso.commands.checks import check_level
from cardbench.terminal.calypso.commands.counters import POSTPONED
from cardbench.terminal.calypso.commands.pin import (
    PIN_SIZE_BYTES,
    ChangeKey,
    ChangePin,
    VerifyPin,
)
from cardbench.terminal.calypso.commands.records import ReadCounter, ReadRecord
from cardbench.terminal.calypso.commands.session import (
    EXTENDED_MAC_SIZE_BYTES,
    LEGACY_RECORD_BYTES,
    MAC_SIZE_BYTES,
    AbortSecureSession,
    CloseSecureSession,
    ManageSecureSession,
    OpenSecureSession,
    Ratification,
    SessionMode,
)
from cardbench.terminal.calypso.commands.stored_value import SvCommand, SvDebit, SvReload
from cardbench.terminal.calypso.secure_commands import SecureCommands
from cardbench.terminal.card.requests import ChannelControl, PlainRequest
from cardbench.terminal.crypto.symmetric import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from cardbench.protocol.calypso.ins import WriteAccessLevel
    from cardbench.terminal.calypso.card import CalypsoCard
    from cardbench.terminal.calypso.commands.base import Command
    from cardbench.terminal.calypso.commands.session import SessionOpening
    from cardbench.terminal.calypso.setting import SymmetricSecuritySetting
    from cardbench.terminal.card.channel import CardChannel
    from cardbench.terminal.card.handle import Handle
    from cardbench.terminal.card.journal import Journal
    from cardbench.terminal.card.requests import ApduRequest
    from cardbench.terminal.readers.reader import Reader

CommandT = TypeVar("CommandT", bound="Command[Any]")
ManagerT = TypeVar("ManagerT", bound="SecureSymmetricTransactionManager")

_APDU_HEADER_BYTES = 5
_MODIFICATION_OVERHEAD_BYTES = 6


class SecureSymmetricTransactionManager(SecureCommands):
    """Transactions with symmetric secure sessions; use one of its two children.

    Arguments and errors as for `SecureCommands`.
    """

    def __init__(
        self,
        reader: Reader | CardChannel,
        card: CalypsoCard,
        setting: SymmetricSecuritySetting,
        *,
        journal: Journal | None = None,
    ) -> None:
        super().__init__(reader, card, setting, journal=journal)
        self._payload_max_bytes = min(
            self._payload_max_bytes,
            setting.crypto.max_card_apdu_length_supported - _APDU_HEADER_BYTES,
        )
        # Prepared
        self._level: WriteAccessLevel | None = None
        # On the card
        self._update: Callable[[bytes], Deferred[bytes] | None] | None = None  # a session is open
        self._may_be_open = False
        self._is_pre_opened = False
        self._is_encrypting = False
        self._session_key = (0, 0)
        self._backup: Any = None
        self._card_mac_size_bytes = MAC_SIZE_BYTES
        self._postponed: list[Command[Any]] = []
        self._ciphers: dict[Command[Any], Deferred[bytes]] = {}  # how commands must travel
        self._ciphered: set[Command[Any]] = set()  # commands whose answers come ciphered
        self._unread: list[tuple[Command[Any], Deferred[bytes]]] = []
        self._owed: list[Deferred[bool]] = []
        self._has_committed = False
        self._close: SessionState | None = None  # what is known of a Close that was sent

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
            UsageError: a session is open or prepared already, or no such level.
        """
        if self.is_session_prepared:
            raise UsageError("a secure session is open, or prepared, already")
        return self._open(check_level(level))

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
        self._is_purse_changed = False
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
        self._end_prepared()
        return command

    def prepare_cancel_secure_session(self) -> None:
        """Abort the session: the card forgets what it was told. What is prepared before is sent.

        Raises:
            UsageError: no session is open or prepared.
        """
        if not self.is_session_prepared:
            raise UsageError("no secure session is open or prepared")
        self._queue.append(AbortSecureSession(self._cla))
        self._end_prepared()

    def _end_prepared(self) -> None:
        self.is_session_prepared = False
        self._is_encryption_prepared = False
        self._level = None

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
        assert self._level is not None, "a session is prepared"
        self._queue.append(CloseSecureSession(self._cla, as_ratified=True))
        self._open(self._level)
        if self._is_encryption_prepared:
            self._queue.append(ManageSecureSession(self._cla, authenticates=False, encrypts=True))

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

        After any of them no session is open any more; the error's `session_state` says what the card has
        made of it.
        """
        queue, self._queue = self._queue, []
        self._close = None
        try:
            block = self._complete_all(queue)
            if block:
                self._send(block, channel_control)
            if self._unread:
                self._read_ciphered()
            if self._owed:
                self._settle()
            self._crypto.synchronize()
        except BaseException as error:
            self._queue = queue
            if isinstance(error, CardbenchError):
                error.session_state = self._session_state()
                self._drop_queue(error)
            else:
                self._drop_queue(UsageError(f"interrupted: {error!r}"))
            if not isinstance(error, CardMacNotVerifiable):
                self._abort(link_is_up=not isinstance(error, ReaderError))
            raise
        finally:
            if channel_control is ChannelControl.CLOSE_AFTER and self.channel.is_open:
                self.channel.close()

    def _session_state(self) -> SessionState | None:
        """Say what the card makes of the session; one that is still open will be aborted."""
        return self._close or (SessionState.ABORTED if self._may_be_open else None)

    # Completing commands. Each of these returns the block, to be sent later, with the command in it.

    def _complete_all(self, queue: Sequence[Command[Any]]) -> list[Command[Any]]:
        """Complete the queue's commands; send what must go first, return what is left to be sent."""
        block: list[Command[Any]] = []
        opening: OpenSecureSession | None = None  # the command just before, if it is one
        for command in queue:
            if command.needs_crypto:
                block = self._complete(command, block)
                opening = command if isinstance(command, OpenSecureSession) else None
                continue
            before, opening = opening, None
            if self._is_encrypting and command.is_digested:
                block = self._cipher(command, block)
            elif before is None or not self._merge(before, command):
                block.append(command)
        return block

    def _complete(self, command: Command[Any], block: list[Command[Any]]) -> list[Command[Any]]:
        """Give a command what it needs of the crypto module; send the block before it if need be."""
        if isinstance(command, OpenSecureSession):
            return self._complete_open(command, block)
        if isinstance(command, CloseSecureSession):
            block = self._digest(block)
            mac = self._crypto.finalize_terminal_session_mac().result()
            command.set_mac(mac, card_mac_size_bytes=self._card_mac_size_bytes)
            self._is_encrypting = False
            block.append(command)
            return block
        if isinstance(command, ManageSecureSession):
            return self._complete_manage(command, block)
        if isinstance(command, (SvReload, SvDebit)):
            security = self._crypto.compute_sv_command_security_data(command.data_to_sign)
            command.set_security(security.result())
        else:
            assert isinstance(command, (VerifyPin, ChangePin, ChangeKey)), "no other needs crypto"
            block = self._complete_secret(command, block)
        if self._is_encrypting:
            return self._cipher(command, block)
        block.append(command)
        return block

    def _complete_open(
        self, command: OpenSecureSession, block: list[Command[Any]]
    ) -> list[Command[Any]]:
        if self._may_be_open and block:
            self._send(block, ChannelControl.KEEP_OPEN)
            block = []
        challenge = self._crypto.init_terminal_secure_session_context()
        if self._unread:
            self._read_ciphered()
        if self._owed:
            self._settle()  # takes the challenge along
        command.set_challenge(challenge.result())
        self._may_be_open = True
        pre_opening = self.card.pre_opening
        if (
            pre_opening is not None
            and pre_opening.level is command.level
            and command.mode is SessionMode.EXTENDED
        ):
            command.foreseen = pre_opening.open_data + OK
            self._is_pre_opened = True
            self._start(command, command.foreseen)
        block.append(command)
        return block

    def _complete_manage(
        self, command: ManageSecureSession, block: list[Command[Any]]
    ) -> list[Command[Any]]:
        if command.authenticates:
            block = self._digest(block)
            mac = self._crypto.generate_terminal_session_mac()
            self._check_managed()
            command.set_mac(mac.result())
            self._send([*block, command], ChannelControl.KEEP_OPEN)
            self._settle()
            self._switch_encryption(command)
            return []
        if (
            self._update is None
        ):  # Open is on its way: encryption is switched when both have answered
            self._is_encrypting = command.encrypts
        else:
            block = self._digest(block)
            self._check_managed()
            command.foreseen = OK
            command.accept(self.card, OK)
            self._switch_encryption(command)
        block.append(command)
        return block

    def _check_managed(self) -> None:
        if not self.card.is_extended_mode_supported:
            raise NotSupported(
                "the session's key does not allow authentication and encryption in it"
            )

    def _switch_encryption(self, command: ManageSecureSession) -> None:
        self._is_encrypting = command.encrypts
        if command.encrypts:
            self._crypto.activate_encryption()
        else:
            self._crypto.deactivate_encryption()

    def _complete_secret(
        self, command: VerifyPin | ChangePin | ChangeKey, block: list[Command[Any]]
    ) -> list[Command[Any]]:
        """Cipher a PIN or a key with the challenge that the command before has asked for."""
        challenge = command.challenge
        assert challenge is not None, "a plain one needs no crypto"
        if not challenge.is_done and block:
            self._send(block, ChannelControl.KEEP_OPEN)
            block = []
        if self._unread:
            self._read_ciphered()
        if isinstance(command, ChangeKey):
            cryptogram = self._crypto.generate_ciphered_card_key(
                challenge.value, *command.issuer_key, *command.new_key
            )
        elif isinstance(command, ChangePin):
            cryptogram = self._crypto.cipher_pin_for_modification(
                challenge.value,
                bytes(PIN_SIZE_BYTES),
                command.new_pin,
                *self.setting.pin_modification_key,
            )
        else:
            key = self.setting.pin_verification_key if self._update is None else self._session_key
            cryptogram = self._crypto.cipher_pin_for_presentation(
                challenge.value, command.pin, *key
            )
        command.set_cryptogram(cryptogram.result())
        return block

    def _cipher(self, command: Command[Any], block: list[Command[Any]]) -> list[Command[Any]]:
        """Let a command travel ciphered; send it at once unless its answer is a status word only."""
        if self._update is None:
            self._send(block, ChannelControl.KEEP_OPEN)
            block = []
        update = self._update
        assert update is not None, "Open has answered"
        cipher = update(command.apdu[:-1] if command.is_case_4 else command.apdu)
        if cipher is not None and len(command.apdu) > _APDU_HEADER_BYTES:
            self._ciphers[command] = cipher
        block.append(command)
        foreseen = command.foresee(self.card)
        if foreseen is not None and len(foreseen) == len(OK):
            update(foreseen)
            command.foreseen = foreseen
            if foreseen == POSTPONED:
                self._postponed.append(command)
            if self._unread:  # the image takes answers in their order
                self._unread.append((command, Deferred.of(foreseen)))
            else:
                command.accept(self.card, foreseen)
            return block
        self._ciphered.add(command)
        self._send(block, ChannelControl.KEEP_OPEN)
        return []

    def _merge(self, opening: OpenSecureSession, read: Command[Any]) -> bool:
        """Let Open read the record, if that is what comes next and P1 can name it."""
        if (
            not isinstance(read, (ReadRecord, ReadCounter))
            or not self.setting.read_on_open
            or opening.foreseen is not None
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
            if command.foreseen is not None or not command.is_digested:
                continue
            if self._unread:  # foreseen is from what was read, and the image takes answers in order
                self._read_ciphered()
            foreseen = command.foresee(card)
            if foreseen is None and self._is_pre_opened:
                foreseen = command.foresee_from_image(card)
            if foreseen is None:
                self._send(block, ChannelControl.KEEP_OPEN)
                return []
            command.foreseen = foreseen
            update(command.apdu[:-1] if command.is_case_4 else command.apdu)
            update(foreseen)
            command.accept(card, foreseen)
            if foreseen == POSTPONED:
                self._postponed.append(command)
        return block

    # Sending, and taking answers

    def _send(self, block: Sequence[Command[Any]], channel_control: ChannelControl) -> None:
        requests: Sequence[ApduRequest] = block
        if self._ciphers:
            requests = [self._travelling(command) for command in block]
        try:
            responses = self._transmit(requests, channel_control, digested=self._may_be_open)
        except (CardError, ReaderError, ProtocolError) as error:
            responses = error.responses[:-1] if isinstance(error, CardError) else error.responses
            self._take_all(block, responses)
            stopped_at = block[len(responses)]
            if isinstance(stopped_at, Ratification) and isinstance(error, ReaderError):
                return  # the card has closed its session: it may leave
            if (
                isinstance(stopped_at, CloseSecureSession)
                and not isinstance(error, (CardError, CardNotPresent))
                and len(error.commands) > len(responses)
            ):
                self._close = SessionState.UNKNOWN
            if isinstance(error, CardError):
                stopped_at.refused(self.card, error.sw)
                if isinstance(stopped_at, OpenSecureSession):
                    self._may_be_open = False
            raise
        if CloseSecureSession in map(type, block):
            self._close = SessionState.COMMITTED
        self._take_all(block, responses)

    def _travelling(self, command: Command[Any]) -> ApduRequest:
        """Return a command as it travels."""
        cipher = self._ciphers.pop(command, None)
        if cipher is None:
            return command
        le = command.apdu[-1:] if command.is_case_4 else b""
        return PlainRequest(cipher.result() + le, command.success, f"{command.name} (ciphered)")

    def _take_all(self, block: Sequence[Command[Any]], responses: Sequence[bytes]) -> None:
        """Take answers: digest what was not foreseen, fill image and handles."""
        card, update, ciphered = self.card, self._update, self._ciphered
        for command, response in zip(block, responses, strict=False):
            if command.foreseen is not None:
                if command.foreseen != response:
                    raise InconsistentData(
                        f"{command.describe()}: the card answered {response.hex().upper()}, "
                        f"foreseen was {command.foreseen.hex().upper()}"
                    )
            elif not command.is_digested:
                self._take_session_command(command, response)
            elif update is not None and command in ciphered:
                ciphered.remove(command)
                plain = update(response)
                assert plain is not None, "encryption is on"
                self._unread.append((command, plain))
                continue
            else:
                update = self._update
                if update is not None:
                    update(command.apdu[:-1] if command.is_case_4 else command.apdu)
                    update(response)
                if self._unread:  # the image takes answers in their order
                    self._unread.append((command, Deferred.of(response)))
                    continue
                command.accept(card, response)
                if command.may_postpone or command.is_sv_operation:
                    self._note(command, response)
            command.is_done = True
        if responses:
            self._last_processed = block[len(responses) - 1]

    def _note(self, command: Command[Any], response: bytes) -> None:
        """Note that an answer's data come with Close, or that a signature came that must be checked."""
        if response == POSTPONED:
            self._postponed.append(command)
        elif isinstance(command, SvCommand):
            self._owed.append(self._crypto.is_card_sv_mac_valid(command.card_sv_mac))
            self._has_committed = True

    def _read_ciphered(self) -> None:
        """Take the answers that the module has deciphered."""
        unread, self._unread = self._unread, []
        for command, plain in unread:
            response = plain.result()
            command.accept(self.card, response)
            if command.foreseen is None:
                if command.may_postpone or command.is_sv_operation:
                    self._note(command, response)
                command.is_done = True

    def _take_session_command(self, command: Command[Any], response: bytes) -> None:
        card = self.card
        if isinstance(command, OpenSecureSession):
            self._start(command, response)
        elif isinstance(command, CloseSecureSession):
            self._update = None
            self._may_be_open = self._is_pre_opened = False
            card.pre_opening = None
            command.accept(card, response)
            self._has_committed = True
            self._owed.append(self._crypto.is_card_session_mac_valid(command.card_mac))
            self._take_postponed(command.postponed)
        elif isinstance(command, ManageSecureSession):
            command.accept(card, response)
            if command.authenticates:
                self._has_committed = False
                self._owed.append(self._crypto.is_card_session_mac_valid(command.card_mac))
            else:
                self._switch_encryption(command)
        elif isinstance(command, AbortSecureSession):
            self._end()
            command.accept(card, response)
        else:
            command.accept(card, response)

    def _take_postponed(self, items: tuple[bytes, ...]) -> None:
        """Hand out the data that the card held back until Close, in the order of their commands."""
        postponed, self._postponed = self._postponed, []
        if len(items) != len(postponed):
            raise InconsistentData(
                f"Close brought {len(items)} postponed answer(s), {len(postponed)} command(s) wait"
            )
        for command, data in zip(postponed, items, strict=True):
            command.take_postponed(self.card, data)
            if isinstance(command, SvCommand):
                self._owed.append(self._crypto.is_card_sv_mac_valid(command.card_sv_mac))

    def _start(self, command: OpenSecureSession, response: bytes) -> None:
        """Start the session with the answer to Open."""
        card = self.card
        self._backup = card.backup()
        self._close = None
        self._postponed.clear()
        command.accept(card, response)
        opening = command.answer
        self._session_key = self.setting.resolve_session_key(
            command.level, opening.kif, opening.kvc
        )
        size = MAC_SIZE_BYTES
        if command.mode is SessionMode.EXTENDED:
            if opening.can_manage_session:
                size = EXTENDED_MAC_SIZE_BYTES
            else:
                card.revoke_extended_mode()
        self._card_mac_size_bytes = size
        self._crypto.init_terminal_session_mac(command.open_data, *self._session_key)
        self._update = self._crypto.update_terminal_session_mac

    def _settle(self) -> None:
        """Ask for the checks of the card's MACs."""
        owed, self._owed = self._owed, []
        has_committed, self._has_committed = self._has_committed, False
        try:
            valid = [check.result() for check in owed]
        except CryptoModuleError as error:
            if not has_committed:
                raise
            self._backup = None
            raise CardMacNotVerifiable(
                f"the card's data have changed, but its MAC cannot be checked: {error}"
            ) from error
        if not all(valid):
            raise InvalidCardMac("the card's MAC does not verify: its data are not to be trusted")
        if has_committed:
            self._backup = None

    # Giving up

    def _drop_queue(self, error: CardbenchError) -> None:
        for command in self._queue:
            command.fail(error)
        self._queue.clear()
        self._end_prepared()

    def _abort(self, *, link_is_up: bool) -> None:
        """End a session that may be open on the card; take the image back."""
        if self._may_be_open and link_is_up and self.channel.is_open:
            with contextlib.suppress(ReaderError, ProtocolError):
                self._transmit((AbortSecureSession(self._cla),))
        self._end()

    def _end(self) -> None:
        self._update = None
        self._may_be_open = self._is_pre_opened = self._is_encrypting = False
        self._has_committed = False
        self._owed.clear()
        self._postponed.clear()
        self._unread.clear()
        self._ciphers.clear()
        self._ciphered.clear()
        self._last_processed = None
        self.card.pre_opening = None
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

    def prepare_early_mutual_authentication(self) -> Handle[None]:
        """Let terminal and card prove themselves to each other in the middle of a session.

        Right behind a switch of the encryption that is still to be sent it travels with it.

        Raises:
            UsageError: no session is open or prepared.
            NotSupported: card or module have no extended mode.
        """
        return self._prepare_early_mutual_authentication()

    def prepare_activate_encryption(self) -> Handle[None]:
        """Cipher the data of what follows, until the session closes. Raises as the authentication.

        Right behind an authentication that is still to be sent it travels with it.
        """
        return self._prepare_encryption(encrypts=True)

    def prepare_deactivate_encryption(self) -> Handle[None]:
        """Send what follows in clear. As `prepare_activate_encryption`."""
        return self._prepare_encryption(encrypts=False)
