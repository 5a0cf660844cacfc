"""Security setting of symmetric secure sessions: options, and how the session's key is told.

Source: terminal-api §13; calypso-card §5.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cardbench.protocol.errors import UnauthorizedKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.protocol.calypso.ins import WriteAccessLevel
    from cardbench.terminal.crypto.symmetric import SymmetricCryptoFactory


@dataclass(frozen=True, slots=True, kw_only=True)
class SymmetricSecuritySetting:
    """What a secure transaction may do, and with which keys.

    A key is a pair (KIF, KVC).

    Attributes:
        crypto: the crypto module.
        multiple_session: split a session that does not fit the card's buffer; the whole is not atomic.
        ratification: on a contactless reader, close "not ratified" and send a ratification command.
        pin_plain: send PINs in clear.
        sv_load_and_debit_log: SV Get brings both logs.
        sv_negative_balance: a debit may make the balance negative.
        read_on_open: merge the first read with Open Secure Session.
        kif_by_level_kvc: KIF for a level and the KVC that the card names.
        default_kif: KIF for a level, as the last resort.
        default_kvc: KVC for a level, for cards that name none.
        authorized_session_keys: the keys that sessions may use; None: all.
        authorized_sv_keys: the keys that Stored Value may use; None: all.
        pin_verification_key: ciphers a PIN outside a session.
        pin_modification_key: ciphers a PIN change.
    """

    crypto: SymmetricCryptoFactory
    multiple_session: bool = False
    ratification: bool = False
    pin_plain: bool = False
    sv_load_and_debit_log: bool = False
    sv_negative_balance: bool = False
    read_on_open: bool = True
    kif_by_level_kvc: Mapping[tuple[WriteAccessLevel, int], int] = field(default_factory=dict)
    default_kif: Mapping[WriteAccessLevel, int] = field(default_factory=dict)
    default_kvc: Mapping[WriteAccessLevel, int] = field(default_factory=dict)
    authorized_session_keys: frozenset[tuple[int, int]] | None = None
    authorized_sv_keys: frozenset[tuple[int, int]] | None = None
    pin_verification_key: tuple[int, int] = (0, 0)
    pin_modification_key: tuple[int, int] = (0, 0)

    def init_crypto_context_for_next_transaction(self) -> None:
        """Fetch the challenge of the next session now, when nobody waits.

        Raises:
            CryptoModuleError: the module refused, or cannot be reached.
        """
        self.crypto.pre_init_terminal_session_context()

    def resolve_session_key(
        self, level: WriteAccessLevel, kif: int | None, kvc: int | None
    ) -> tuple[int, int]:
        """Return the key of a session, from what the card named of it.

        Raises:
            UnauthorizedKey: KIF or KVC cannot be told, or the key is not allowed.
        """
        if kvc is None:
            kvc = self.default_kvc.get(level)
        if kif is None:
            if kvc is not None:
                kif = self.kif_by_level_kvc.get((level, kvc))
            if kif is None:
                kif = self.default_kif.get(level)
        if kif is None or kvc is None:
            what = "KVC" if kvc is None else "KIF"
            raise UnauthorizedKey(
                f"the card names no {what} for a {level.name} session, and none is set",
                kif,
                kvc,
            )
        allowed = self.authorized_session_keys
        if allowed is not None and (kif, kvc) not in allowed:
            keys = ", ".join(f"{kif:02X}/{kvc:02X}" for kif, kvc in sorted(allowed))
            raise UnauthorizedKey(
                f"session key {kif:02X}/{kvc:02X} is not allowed; allowed: {keys}", kif, kvc
            )
        return kif, kvc
