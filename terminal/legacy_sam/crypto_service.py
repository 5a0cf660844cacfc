"""The Symmetric Crypto API on a Legacy SAM.

A session costs three exchanges with the SAM: Get Challenge; Select Diversifier, Digest Init, Digest
Updates and Digest Close together; Digest Authenticate. Digest elements wait in the terminal and leave in
as few commands as the product takes.

Not thread-safe: a SAM serves one transaction at a time, whatever the number of factories over it.

Source: legacy-sam §5 (commands), §6.1, §7 (order), §9.2; terminal-api §16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.errors import UnauthorizedKey, UsageError
from cardbench.protocol.status import StatusWord
from cardbench.terminal.card.requests import SUCCESS
from cardbench.terminal.crypto.symmetric import Deferred, SvCommandData, SvSecurityData
from cardbench.terminal.legacy_sam.link import SamLink
from cardbench.terminal.legacy_sam.signatures import CardTransactionLegacySamExtension

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.terminal.card.channel import CardChannel
    from cardbench.terminal.card.journal import Journal
    from cardbench.terminal.legacy_sam.sam import LegacySam
    from cardbench.terminal.readers.reader import Reader

CARD_HEADER_BYTES = 5

_BYTE = tuple(bytes((n,)) for n in range(256))
_BY_KIF_KVC = 0xFF
_EXTENDED = 0x02
_PRESENTATION = 0x80
_MODIFICATION = 0x40
_BY_NULL_KEY = 0x00
_CARD_KEY_END = 0x90
_SV_PREPARE_P1 = 0x01
_SV_PREPARE = {
    0xB8: (SamIns.SV_PREPARE_LOAD, "SV Prepare Load"),
    0xBA: (SamIns.SV_PREPARE_DEBIT, "SV Prepare Debit"),
    0xBC: (SamIns.SV_PREPARE_UNDEBIT, "SV Prepare Undebit"),
}
_TRUE_OR_FALSE = SUCCESS | {StatusWord.WRONG_CRYPTOGRAM}


def _is_ok(response: bytes) -> bool:
    return int.from_bytes(response[-2:]) == StatusWord.OK


class LegacySamCryptoFactory:
    """Implements `SymmetricCryptoFactory` on a SAM.

    Args:
        reader: where the SAM is.
        sam: its image, from selection.
        payload_capacity_bytes: most data bytes that the reader carries to the SAM, if fewer than the
            SAM takes.
        wait: lets seconds pass while the SAM is busy after a wrong signature; None: real ones.

    Raises:
        UsageError: the SAM's product is not known.
    """

    def __init__(
        self,
        reader: Reader | CardChannel,
        sam: LegacySam,
        *,
        payload_capacity_bytes: int | None = None,
        wait: Callable[[float], None] | None = None,
    ) -> None:
        traits = sam.traits
        if not traits.digest_max_bytes:
            raise UsageError(f"{sam.product_info}: a SAM of unknown product serves no card")
        self.sam = sam
        self._link = SamLink.of(reader, sam)
        if wait is not None:
            self._link.wait = wait
        limit = traits.digest_max_bytes
        self._digest_max_bytes = (
            limit if payload_capacity_bytes is None else min(limit, payload_capacity_bytes)
        )

    @property
    def is_extended_mode_supported(self) -> bool:
        """Whether the SAM knows the extended mode."""
        return self.sam.traits.is_extended_mode_supported

    @property
    def max_card_apdu_length_supported(self) -> int:
        """Most bytes of one digest element."""
        return self._digest_max_bytes

    def pre_init_terminal_session_context(self) -> None:
        """Get the challenge of the next session now."""
        self._link.journal = None  # no transaction's
        self._link.fetch_challenge()

    def create_card_transaction(
        self, diversifier: bytes, *, use_extended_mode: bool, journal: Journal | None = None
    ) -> LegacySamCardTransaction:
        """Return the crypto side for one card."""
        if use_extended_mode and not self.is_extended_mode_supported:
            raise UsageError(f"{self.sam.product_info}: this SAM has no extended mode")
        return LegacySamCardTransaction(
            self._link,
            diversifier,
            is_extended=use_extended_mode,
            digest_max_bytes=self._digest_max_bytes,
            journal=journal,
        )


class LegacySamCardTransaction(CardTransactionLegacySamExtension):
    """Implements `SymmetricCryptoTransaction` on a SAM, for one card; signs data as an extension."""

    def __init__(
        self,
        link: SamLink,
        diversifier: bytes,
        *,
        is_extended: bool,
        digest_max_bytes: int,
        journal: Journal | None,
    ) -> None:
        super().__init__()
        self._shared_link = link
        self._journal = journal
        self._diversifier = diversifier
        self._is_extended = is_extended
        self._digest_max_bytes = digest_max_bytes
        self._groups_digest = link.sam.traits.groups_digest
        self._mac_size_bytes = 8 if is_extended else 4
        self._init: bytes | None = None
        self._elements: list[bytes] = []
        self._is_encrypting = False

    @property
    def _link(self) -> SamLink:  # type: ignore[override] # each use says whose the exchanges are
        link = self._shared_link
        link.journal = self._journal
        return link

    # Session

    def init_terminal_secure_session_context(self) -> Deferred[bytes]:
        """Get Challenge, unless one was fetched in advance."""
        self._init = None
        self._elements = []
        return self._link.get_challenge(self._mac_size_bytes)

    def init_terminal_session_mac(self, open_data: bytes, kif: int, kvc: int) -> None:
        """Keep Digest Init for when it is needed."""
        if not kif or not kvc:
            raise UnauthorizedKey(
                f"key {kif:02X}/{kvc:02X}: a SAM has no key with KIF or KVC 00", kif, kvc
            )
        header = (
            self._link.cla,
            SamIns.DIGEST_INIT,
            _EXTENDED if self._is_extended else 0,
            _BY_KIF_KVC,
            len(open_data) + 2,
            kif,
            kvc,
        )
        self._init = bytes(header) + open_data
        self._elements = []
        self._is_encrypting = False

    def update_terminal_session_mac(self, apdu: bytes) -> Deferred[bytes] | None:
        """Keep an element; or have it ciphered, while encryption is on."""
        if not self._is_encrypting:
            self._elements.append(apdu)
            return None
        self._push_digest()
        request = self._link.digest_update_ciphered_header + _BYTE[len(apdu)] + apdu
        return self._link.ask_data(request, "Digest Update", is_secret=True)

    def finalize_terminal_session_mac(self) -> Deferred[bytes]:
        """Queue what is kept, and Digest Close."""
        self._push_digest()
        link = self._link
        close = bytes((link.cla, SamIns.DIGEST_CLOSE, 0, 0, self._mac_size_bytes))
        self._is_encrypting = False
        return link.ask_data(close, "Digest Close")

    def generate_terminal_session_mac(self) -> Deferred[bytes]:
        """Queue what is kept, and Digest Internal Authenticate."""
        self._push_digest()
        link = self._link
        authenticate = bytes((link.cla, SamIns.DIGEST_INTERNAL_AUTHENTICATE, 0x80, 0, 8))
        return link.ask_data(authenticate, "Digest Internal Authenticate")

    def activate_encryption(self) -> None:
        """Cipher from the next element on."""
        self._is_encrypting = True

    def deactivate_encryption(self) -> None:
        """Stop ciphering."""
        self._is_encrypting = False

    def is_card_session_mac_valid(self, card_mac: bytes) -> Deferred[bool]:
        """Digest Authenticate."""
        header = bytes((self._link.cla, SamIns.DIGEST_AUTHENTICATE, 0, 0, len(card_mac)))
        return self._link.ask(header + card_mac, "Digest Authenticate", _is_ok, _TRUE_OR_FALSE)

    def _start_digest(self) -> None:
        """Queue Digest Init, if it waits: a digest belongs before anything else of its session."""
        if self._init is not None:
            self._link.select_diversifier(self._diversifier)
            self._link.push(self._init, "Digest Init")
            self._init = None

    def _push_digest(self) -> None:
        """Queue Digest Init and the elements, packed."""
        self._start_digest()
        elements = self._elements
        if not elements:
            return
        self._elements = []
        link = self._link
        if not self._groups_digest:
            for element in elements:
                self._push_element(element)
            return
        header = link.digest_update_multiple_header
        limit = self._digest_max_bytes
        packed = b""
        for element in elements:
            length = len(element) + 1
            if len(packed) + length > limit:
                if packed:
                    link.push_digest(header + _BYTE[len(packed)] + packed, "Digest Update Multiple")
                    packed = b""
                if length > limit:
                    self._push_element(element)
                    continue
            packed += _BYTE[length - 1] + element
        if packed:
            link.push_digest(header + _BYTE[len(packed)] + packed, "Digest Update Multiple")

    def _push_element(self, element: bytes) -> None:
        if len(element) > self._digest_max_bytes:
            raise UsageError(
                f"a card APDU of {len(element)} bytes; this SAM digests {self._digest_max_bytes}"
            )
        link = self._link
        link.push_digest(link.digest_update_header + _BYTE[len(element)] + element, "Digest Update")

    # Stored Value

    def compute_sv_command_security_data(self, data: SvCommandData) -> Deferred[SvSecurityData]:
        """SV Prepare Load, Debit or Undebit, as the partial command says."""
        self._start_digest()
        link = self._link
        link.select_diversifier(self._diversifier)
        ins, name = _SV_PREPARE[data.partial_command[0]]
        message = data.sv_get_request + data.sv_get_response + data.partial_command
        header = bytes((link.cla, ins, _SV_PREPARE_P1, _BY_KIF_KVC, len(message)))
        return link.ask(header + message, name, self._sv_security_data)

    def _sv_security_data(self, response: bytes) -> SvSecurityData:
        return SvSecurityData(
            serial=self._link.sam.serial,
            terminal_challenge=response[0:3],
            transaction_number=response[3:6],
            terminal_sv_mac=response[6:-2],
        )

    def is_card_sv_mac_valid(self, card_sv_mac: bytes) -> Deferred[bool]:
        """SV Check."""
        header = bytes((self._link.cla, SamIns.SV_CHECK, 0, 0, len(card_sv_mac)))
        return self._link.ask(header + card_sv_mac, "SV Check", _is_ok, _TRUE_OR_FALSE)

    # PIN and keys

    def cipher_pin_for_presentation(
        self, card_challenge: bytes, pin: bytes, kif: int, kvc: int
    ) -> Deferred[bytes]:
        """Give Random and Card Cipher PIN."""
        return self._cipher(
            card_challenge, (_PRESENTATION, _BY_KIF_KVC), bytes((kif, kvc)) + pin, "Card Cipher PIN"
        )

    def cipher_pin_for_modification(
        self, card_challenge: bytes, current_pin: bytes, new_pin: bytes, kif: int, kvc: int
    ) -> Deferred[bytes]:
        """Give Random and Card Cipher PIN."""
        data = bytes((kif, kvc)) + current_pin + new_pin
        return self._cipher(card_challenge, (_MODIFICATION, _BY_KIF_KVC), data, "Card Cipher PIN")

    def generate_ciphered_card_key(
        self,
        card_challenge: bytes,
        issuer_kif: int,
        issuer_kvc: int,
        target_kif: int,
        target_kvc: int,
    ) -> Deferred[bytes]:
        """Give Random and Card Generate Key; issuer key 00/00 is the null key."""
        target = bytes((target_kif, target_kvc, _CARD_KEY_END))
        if issuer_kif or issuer_kvc:
            parameters, data = (0xFF, _BY_KIF_KVC), bytes((issuer_kif, issuer_kvc)) + target
        else:
            parameters, data = (0xFF, _BY_NULL_KEY), target
        return self._cipher(card_challenge, parameters, data, "Card Generate Key")

    def _cipher(
        self, card_challenge: bytes, parameters: tuple[int, int], data: bytes, name: str
    ) -> Deferred[bytes]:
        self._start_digest()
        link = self._link
        link.select_diversifier(self._diversifier)
        random = bytes((link.cla, SamIns.GIVE_RANDOM, 0, 0, len(card_challenge)))
        link.push(random + card_challenge, "Give Random")
        header = bytes((link.cla, SamIns.CARD_GENERATE_KEY, *parameters, len(data)))
        return link.ask_data(header + data, name, is_secret=True)

    # Extension

    def _before_signature(self) -> None:
        self._start_digest()

    def synchronize(self) -> None:
        """Send signatures that wait, and what is queued before them; see whether they verify.

        Raises:
            InvalidSignature: one does not.
        """
        if self._has_signatures or self._verifications:
            self._finish_signatures()
