"""Data objects of a card: what every transaction can prepare with Get Data, Put Data and key pairs.

They travel outside a session only: a session's MAC, and a card's signature, leave them out.

Source: terminal-api §8.2, §11.1; calypso-pki §2.2, §2.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.protocol.calypso.ins import DataObject
from cardbench.protocol.errors import NotSupported, UsageError
from cardbench.terminal.calypso.commands.management import DESCRIPTIONS
from cardbench.terminal.calypso.commands.pki import (
    CA_CERTIFICATE,
    CARD_CERTIFICATE,
    GenerateAsymmetricKeyPair,
    GetCardPublicKey,
    get_certificate,
    put_certificate,
    put_key_pair,
)
from cardbench.terminal.calypso.preparing import Preparing

if TYPE_CHECKING:
    from cardbench.terminal.card.handle import Handle

_CERTIFICATES: Final = {
    DataObject.CARD_CERTIFICATE: CARD_CERTIFICATE,
    DataObject.CA_CERTIFICATE: CA_CERTIFICATE,
}


class DataObjectCommands(Preparing):
    """Part of `TransactionManager`: Get Data, Put Data, Generate Asymmetric Key Pair."""

    def prepare_get_data(self, tag: DataObject) -> Handle[bytes]:
        """Read a data object.

        Args:
            tag: FCI, FCP, EF_LIST or TRACEABILITY_INFORMATION, with the object as it came as result;
                CARD_PUBLIC_KEY (64 bytes), CARD_CERTIFICATE (316) or CA_CERTIFICATE (384), without
                tag and length.

        Raises:
            UsageError: inside a session, or another tag.
            NotSupported: an object of the PKI of a card without it.
        """
        description = DESCRIPTIONS.get(tag)
        if description is not None:
            self._outside_session("Get Data")
            return self._add(description(self._cla))
        self._check_pki("Get Data")
        if tag == DataObject.CARD_PUBLIC_KEY:
            key = GetCardPublicKey(self._cla)
            self._queue.append(key)
            return key
        certificate = _CERTIFICATES.get(tag)
        if certificate is None:
            raise UsageError(
                f"Get Data of {tag:04X}; allowed: "
                f"{', '.join(f'{one:04X}' for one in DESCRIPTIONS)}, {DataObject.CARD_PUBLIC_KEY:04X}, "
                f"{DataObject.CARD_CERTIFICATE:04X}, {DataObject.CA_CERTIFICATE:04X}"
            )
        head, whole = get_certificate(self._cla, certificate)
        self._queue += (head, whole)
        return whole

    def prepare_put_data(self, tag: DataObject, data: bytes) -> Handle[None]:
        """Write an object of the PKI.

        Args:
            tag: CARD_KEY_PAIR (96 bytes: X ‖ Y ‖ private scalar), CARD_CERTIFICATE (316) or
                CA_CERTIFICATE (384).
            data: the object without tag and length.

        Raises:
            UsageError: inside a session, another tag or size.
            NotSupported: a card without PKI mode.
        """
        self._check_pki("Put Data")
        if tag == DataObject.CARD_KEY_PAIR:
            pair = put_key_pair(self._cla, data)
            self._queue.append(pair)
            return pair
        certificate = _CERTIFICATES.get(tag)
        if certificate is None:
            raise UsageError(
                f"Put Data of {tag:04X}; allowed: {DataObject.CARD_KEY_PAIR:04X}, "
                f"{DataObject.CARD_CERTIFICATE:04X}, {DataObject.CA_CERTIFICATE:04X}"
            )
        head, last = put_certificate(self._cla, certificate, data, self._payload_max_bytes)
        self._queue += (head, last)
        return last

    def prepare_generate_asymmetric_key_pair(self) -> Handle[None]:
        """Let the card make its key pair; the public key is read with Get Data.

        Raises:
            UsageError: inside a session.
            NotSupported: a card without PKI mode.
        """
        self._check_pki("Generate Asymmetric Key Pair")
        command = GenerateAsymmetricKeyPair(self._cla)
        self._queue.append(command)
        return command

    def _check_pki(self, what: str) -> None:
        if self.is_session_prepared:
            raise UsageError(f"{what} belongs outside a secure session")
        if not self.card.is_pki_mode_supported:
            raise NotSupported(f"{what}: {self.card!r} has no PKI mode")
