"""What secure transactions can prepare beyond the others: everything that needs keys.

Source: terminal-api §11.2, §13–15; calypso-card §6.7 (rules of Stored Value), §7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from cardbench.protocol.calypso.ins import WriteAccessLevel
from cardbench.protocol.errors import UnauthorizedKey, UsageError
from cardbench.terminal.calypso.commands.management import GetChallenge, Invalidate, Rehabilitate
from cardbench.terminal.calypso.commands.pin import ChangeKey, ChangePin, VerifyPin
from cardbench.terminal.calypso.commands.session import ManageSecureSession
from cardbench.terminal.calypso.commands.stored_value import (
    SvAction,
    SvDebit,
    SvGet,
    SvOperation,
    SvReload,
    SvState,
)
from cardbench.terminal.calypso.transaction import TransactionManager, extension_of

if TYPE_CHECKING:
    from cardbench.terminal.calypso.card import CalypsoCard
    from cardbench.terminal.calypso.commands.base import Command
    from cardbench.terminal.calypso.setting import SymmetricSecuritySetting
    from cardbench.terminal.card.channel import CardChannel
    from cardbench.terminal.card.handle import Handle
    from cardbench.terminal.card.journal import Journal
    from cardbench.terminal.crypto.symmetric import SymmetricCryptoTransaction
    from cardbench.terminal.readers.reader import Reader

ExtensionT = TypeVar("ExtensionT")

NO_BYTES = bytes(2)


class SecureCommands(TransactionManager):
    """Part of `SecureSymmetricTransactionManager`: keys, ciphered PIN, Stored Value, encryption.

    Args:
        reader: where the card is.
        card: image of the card.
        setting: options and keys.
        journal: notes the exchanges with card and crypto module; None: one of the transaction's own.

    Raises:
        UsageError: the card's product is not known.
    """

    _wants_extended_mode = False

    def __init__(
        self,
        reader: Reader | CardChannel,
        card: CalypsoCard,
        setting: SymmetricSecuritySetting,
        *,
        journal: Journal | None = None,
    ) -> None:
        super().__init__(reader, card, journal=journal)
        self.setting = setting
        self._is_extended = (
            self._wants_extended_mode
            and card.is_extended_mode_supported
            and setting.crypto.is_extended_mode_supported
        )
        self._crypto: SymmetricCryptoTransaction = setting.crypto.create_card_transaction(
            card.require_identified(), use_extended_mode=self._is_extended, journal=self.journal
        )
        self._last_processed: Command[Any] | None = None
        self._is_encryption_prepared = False
        self._is_purse_changed = False

    def crypto_extension(self, kind: type[ExtensionT]) -> ExtensionT:
        """Return what the crypto module offers beyond sessions, such as signatures of data.

        Raises:
            UsageError: this module has no such extension.
        """
        return extension_of(self._crypto, kind)

    # The application

    def prepare_invalidate(self) -> Handle[None]:
        """Invalidate the application: it can be read, not written any more.

        Raises:
            UsageError: it is invalidated already.
            SessionBufferOverflow: it does not fit the session, and sessions are not split.
        """
        if self.card.is_df_invalidated:
            raise UsageError("the application is invalidated already")
        return self._add_modifying(Invalidate(self._cla))

    def prepare_rehabilitate(self) -> Handle[None]:
        """Rehabilitate an invalidated application.

        Raises:
            UsageError: it is not invalidated.
            SessionBufferOverflow: it does not fit the session, and sessions are not split.
        """
        if not self.card.is_df_invalidated:
            raise UsageError("the application is not invalidated")
        return self._add_modifying(Rehabilitate(self._cla))

    # PIN and keys

    def prepare_verify_pin(self, pin: bytes) -> Handle[None]:
        """Present a PIN, ciphered unless the setting says in clear.

        Outside a session it is ciphered by the setting's key, inside by the session's.

        Raises:
            UsageError: another length than 4, or no key is set.
            NotSupported: the card has no PIN.
        """
        if self.setting.pin_plain:
            return super().prepare_verify_pin(pin)
        self._require_pin()
        if not self.is_session_prepared:
            self._check_pin_key("pin_verification_key", self.setting.pin_verification_key)
        challenge = GetChallenge(self._cla)
        verify = VerifyPin(self._cla, pin, challenge)
        self._add(challenge)
        return self._add(verify)

    def prepare_change_pin(self, new_pin: bytes) -> Handle[None]:
        """Change the PIN, ciphered unless the setting says in clear.

        Raises:
            UsageError: another length than 4, inside a session, or no key is set.
            NotSupported: the card has no PIN.
        """
        if self.setting.pin_plain:
            return super().prepare_change_pin(new_pin)
        self._require_pin()
        self._outside_session("Change PIN")
        self._check_pin_key("pin_modification_key", self.setting.pin_modification_key)
        challenge = GetChallenge(self._cla)
        change = ChangePin(self._cla, new_pin, challenge)
        self._add(challenge)
        return self._add(change)

    @staticmethod
    def _check_pin_key(name: str, key: tuple[int, int]) -> None:
        if not all(key):
            raise UsageError(f"a ciphered PIN needs a key: set {name}, or pin_plain")

    def prepare_change_key(
        self, key_index: int, *, new_key: tuple[int, int], issuer_key: tuple[int, int]
    ) -> Handle[None]:
        """Replace one of the application's keys.

        Args:
            key_index: 1 to 3 (a `WriteAccessLevel`).
            new_key: KIF and KVC of the new key, as the crypto module knows it.
            issuer_key: KIF and KVC of the card's key 1, which ciphers it; (0, 0): the null key.

        Raises:
            UsageError: inside a session, or out of range.
            NotSupported: the product's keys cannot be changed.
        """
        self._outside_session("Change Key")
        self._require(self.card.traits.changes_keys, "Change Key")
        if key_index not in tuple(WriteAccessLevel):
            raise UsageError(f"key index {key_index}; allowed: 1 to 3")
        for kif, kvc in (new_key, issuer_key):
            if not (0 <= kif <= 0xFF and 0 <= kvc <= 0xFF):
                raise UsageError(f"key {kif}/{kvc}; KIF and KVC are bytes")
        challenge = self._add(GetChallenge(self._cla))
        return self._add(ChangeKey(self._cla, key_index, new_key, issuer_key, challenge))

    # Stored Value

    def prepare_sv_get(
        self, operation: SvOperation, action: SvAction = SvAction.DO
    ) -> Handle[SvState]:
        """Ask for the state of the purse, as the first half of an operation.

        It must be the last command that is processed before the operation itself.

        Args:
            operation: reload or debit.
            action: do it, or undo an earlier one.

        Raises:
            UsageError: the session has changed the purse already.
            NotSupported: the card has no purse.
        """
        self._require(self.card.is_sv_feature_available, "Stored Value")
        if self.is_session_prepared and self._is_purse_changed:
            raise UsageError("one Stored Value operation per session: this one has had it")
        cla = self.card.traits.sv_cla
        if self.setting.sv_load_and_debit_log and not self._is_extended:
            other = SvOperation.DEBIT if operation is SvOperation.RELOAD else SvOperation.RELOAD
            self._add(SvGet(cla, other, action, is_extended=False))
        return self._add(SvGet(cla, operation, action, is_extended=self._is_extended))

    def prepare_sv_reload(
        self,
        amount: int,
        *,
        date: bytes = NO_BYTES,
        time: bytes = NO_BYTES,
        free: bytes = NO_BYTES,
    ) -> Handle[None]:
        """Load an amount into the purse, or take back one that was loaded.

        Args:
            amount: -8 388 608…8 388 607; an SV Get of action UNDO turns its sign.
            date: 2 bytes for the log.
            time: 2 bytes for the log.
            free: 2 bytes for the log.

        Raises:
            UsageError: out of range; or the last processed command was no SV Get for a reload, or
                something is prepared before.
            SessionBufferOverflow: it does not fit the session.
        """
        get = self._sv_get(SvOperation.RELOAD)
        command = SvReload(
            self.card.traits.sv_cla,
            get,
            -amount if get.action is SvAction.UNDO else amount,
            date=date,
            time=time,
            free=free,
            is_in_session=self.is_session_prepared,
        )
        return self._add_sv(command)

    def prepare_sv_debit(
        self, amount: int, *, date: bytes = NO_BYTES, time: bytes = NO_BYTES
    ) -> Handle[None]:
        """Debit the purse; or undebit it, if SV Get had the action UNDO.

        Args:
            amount: 0…32 767.
            date: 2 bytes for the log.
            time: 2 bytes for the log.

        Raises:
            UsageError: out of range; a balance below zero that the setting does not allow; or the last
                processed command was no SV Get for a debit, or something is prepared before.
            SessionBufferOverflow: it does not fit the session.
        """
        get = self._sv_get(SvOperation.DEBIT)
        command = SvDebit(
            self.card.traits.sv_cla,
            get,
            amount,
            date=date,
            time=time,
            is_in_session=self.is_session_prepared,
        )
        balance = get.value.balance + command.change
        if balance < 0 and command.change < 0 and not self.setting.sv_negative_balance:
            raise UsageError(
                f"a debit of {amount} leaves a balance of {balance}; the setting allows none below 0"
            )
        return self._add_sv(command)

    def _sv_get(self, operation: SvOperation) -> SvGet:
        get = self._last_processed
        if not isinstance(get, SvGet) or get.operation is not operation or not get.is_done:
            raise UsageError(f"the command just before must be an SV Get for {operation.name}")
        if self._queue:
            raise UsageError(
                "a Stored Value operation is the first that is prepared after its SV Get"
            )
        allowed = self.setting.authorized_sv_keys
        kvc = get.value.kvc
        if allowed is not None and kvc not in {key[1] for key in allowed}:
            keys = ", ".join(f"{kif:02X}/{kvc:02X}" for kif, kvc in sorted(allowed))
            raise UnauthorizedKey(
                f"Stored Value key of KVC {kvc:02X} is not allowed; allowed: {keys}", None, kvc
            )
        return get

    def _add_sv(self, command: SvReload | SvDebit) -> Handle[None]:
        self._add_modifying(command)
        self._last_processed = None
        self._is_purse_changed = self.is_session_prepared
        return command

    # Extended mode

    def _prepare_early_mutual_authentication(self) -> Handle[None]:
        self._check_manageable()
        last = self._queue[-1] if self._queue else None
        if isinstance(last, ManageSecureSession):
            last.add_authentication()
            return last
        return self._add(
            ManageSecureSession(
                self._cla, authenticates=True, encrypts=self._is_encryption_prepared
            )
        )

    def _prepare_encryption(self, *, encrypts: bool) -> Handle[None]:
        self._check_manageable()
        self._is_encryption_prepared = encrypts
        last = self._queue[-1] if self._queue else None
        if isinstance(last, ManageSecureSession) and last.authenticates:
            last.set_encryption(encrypts=encrypts)
            return last
        return self._add(ManageSecureSession(self._cla, authenticates=False, encrypts=encrypts))

    def _check_manageable(self) -> None:
        if not self.is_session_prepared:
            raise UsageError("no secure session is open or prepared")
        self._require(
            self._is_extended and self.card.is_extended_mode_supported, "Manage Secure Session"
        )
