"""The PIN: what every transaction can prepare with it. Secure transactions can cipher it.

Source: terminal-api §11.1, §15.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.terminal.calypso.commands.pin import ChangePin, CheckPinStatus, VerifyPin
from cardbench.terminal.calypso.preparing import Preparing

if TYPE_CHECKING:
    from cardbench.terminal.card.handle import Handle


class PinCommands(Preparing):
    """Part of `TransactionManager`: the PIN, in clear."""

    def prepare_check_pin_status(self) -> Handle[int]:
        """Ask how many PIN attempts remain, presenting nothing; the result is 0 to 3.

        Raises:
            NotSupported: the card has no PIN.
        """
        self._require_pin()
        return self._add(CheckPinStatus(self._cla))

    def prepare_verify_pin(self, pin: bytes) -> Handle[None]:
        """Present a PIN of 4 bytes. Processing raises `InvalidPin`, or `AuthenticationBlocked`.

        Raises:
            UsageError: another length.
            NotSupported: the card has no PIN.
        """
        self._require_pin()
        return self._add(VerifyPin(self._cla, pin))

    def prepare_change_pin(self, new_pin: bytes) -> Handle[None]:
        """Change the PIN, in clear; a Verify PIN must have succeeded before.

        Raises:
            UsageError: another length than 4, or inside a session.
            NotSupported: the card has no PIN.
        """
        self._require_pin()
        self._outside_session("Change PIN")
        return self._add(ChangePin(self._cla, new_pin))

    def _require_pin(self) -> None:
        self._require(self.card.is_pin_feature_available, "PIN")
