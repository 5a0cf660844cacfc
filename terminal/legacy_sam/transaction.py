"""Transactions with a SAM for its own sake: reading, signing, certifying, locking.

Commands queue up and leave together. Not thread-safe: a SAM serves one transaction at a time.

Source: legacy-sam §9.1; terminal-api §18.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.calypso.sam import KEY_LENGTH, LOCK_KIF, SEALED_LENGTH, KeyReference
from cardbench.protocol.errors import UsageError
from cardbench.terminal.card.journal import Journal
from cardbench.terminal.card.requests import ChannelControl
from cardbench.terminal.legacy_sam.certificates import CardCertificateRequest, SamCertification
from cardbench.terminal.legacy_sam.link import SamLink
from cardbench.terminal.legacy_sam.reading import ReadCommands
from cardbench.terminal.legacy_sam.sam import SystemKeyType
from cardbench.terminal.legacy_sam.signatures import DeferredHandle, SignatureCommands

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.terminal.card.channel import CardChannel
    from cardbench.terminal.card.handle import Handle
    from cardbench.terminal.legacy_sam.sam import LegacySam
    from cardbench.terminal.readers.reader import Reader, Traffic

PLAIN = 0x80
LOCK_PARAMETER_OFFSET = 7
LOCK_VALUE_OFFSET = 13


class SamTransaction:
    """What every transaction with a SAM has.

    Args:
        reader: where the SAM is.
        sam: its image.
        journal: notes the exchanges; None: one of the transaction's own.

    Attributes:
        sam: the image.
        journal: the exchanges so far.
    """

    def __init__(
        self, reader: Reader | CardChannel, sam: LegacySam, *, journal: Journal | None = None
    ) -> None:
        self.sam = sam
        self.journal = Journal() if journal is None else journal
        self._link = SamLink.of(reader, sam)

    @property
    def traffic(self) -> Traffic:
        """Exchanges and APDUs with the SAM's reader so far."""
        return self._link.channel.traffic

    @property
    def audit_data(self) -> list[bytes]:
        """Every command and answer as it was; see `Journal.audit_data`."""
        return self.journal.audit_data

    def sequence(self, *, with_bytes: bool = False) -> str:
        """Tell the exchanges so far as a numbered list, secrets masked; see `Journal.to_text`."""
        return self.journal.to_text(with_bytes=with_bytes)

    def _finish(self, channel_control: ChannelControl) -> None:
        if channel_control is ChannelControl.CLOSE_AFTER and self._link.channel.is_open:
            self._link.channel.close()


class SamFreeTransaction(SamTransaction, ReadCommands, SignatureCommands):
    """Transactions that need no control SAM.

    Args:
        reader, sam, journal: as for `SamTransaction`.
        wait: lets seconds pass while the SAM is busy after a wrong signature; None: real ones.
    """

    def __init__(
        self,
        reader: Reader | CardChannel,
        sam: LegacySam,
        *,
        journal: Journal | None = None,
        wait: Callable[[float], None] | None = None,
    ) -> None:
        SamTransaction.__init__(self, reader, sam, journal=journal)
        if wait is not None:
            self._link.wait = wait
        ReadCommands.__init__(self)
        SignatureCommands.__init__(self)
        self._diversifier = sam.serial
        self._certification = SamCertification(self._link.channel, sam)

    def prepare_get_ca_certificate(self) -> Handle[bytes]:
        """Read the CA certificate, 384 bytes."""
        deferred = self._certification.get_ca_certificate()
        return DeferredHandle(deferred, "Get Data")

    def prepare_generate_card_asymmetric_key_pair(self) -> Handle[bytes]:
        """Let the SAM make a key pair for a card: X ‖ Y ‖ private scalar, 96 bytes."""
        deferred = self._certification.generate_card_key_pair()
        return DeferredHandle(deferred, "Generate Asymmetric Key Pair")

    def prepare_compute_card_certificate(self, request: CardCertificateRequest) -> Handle[bytes]:
        """Let the SAM certify a card's public key; the result is the certificate, 316 bytes."""
        deferred = self._certification.compute_card_certificate(request)
        return DeferredHandle(deferred, "PSO Compute Certificate")

    def prepare_plain_write_lock(self, index: int, parameters: int, value: bytes) -> Handle[None]:
        """Write the SAM's lock secret, in clear.

        Args:
            index: lock index, one byte.
            parameters: lock parameters, one byte.
            value: 16 bytes.

        Raises:
            UsageError: out of range.
        """
        block = plain_lock_block(index, parameters, value)
        header = (self._link.cla, SamIns.WRITE_KEY, PLAIN, KeyReference.LOCK, len(block))
        deferred = self._link.ask(
            bytes(header) + block, "Write Key (plain lock)", nothing, is_secret=True
        )
        return DeferredHandle(deferred, "Write Key")

    def process_commands(self, channel_control: ChannelControl = ChannelControl.KEEP_OPEN) -> None:
        """Send everything prepared; fill the handles and the SAM's image.

        Raises:
            CryptoModuleError: the SAM refused a command; those behind it were not sent.
            CryptoModuleUnreachable: the link failed.
            InvalidSignature: a signature does not verify.
        """
        try:
            with self._link.noted_in(self.journal):
                self._link.flush()
                self._finish_signatures()
        finally:
            self._reads.clear()
            self._finish(channel_control)

    def export_target_sam_context(self) -> str:
        """Return what a control SAM elsewhere must know to write ceilings into this SAM, as JSON.

        The SAM is asked at once, in two exchanges.

        Raises:
            CryptoModuleError: as `process_commands`.
        """
        from cardbench.terminal.legacy_sam.asynchronous import export_context  # noqa: PLC0415

        keys = {
            kind: self.prepare_read_system_key_parameters(kind)
            for kind in SystemKeyType
            if kind is not SystemKeyType.AUTHENTICATION
        }
        self.process_commands()
        counters = {kind: handle.value.counter_number for kind, handle in keys.items()}
        statuses = {
            number: self.prepare_read_counter_status(number)
            for number in sorted(set(counters.values()))
            if number
        }
        self.process_commands()
        return export_context(
            self.sam.serial,
            {kind: handle.value for kind, handle in keys.items()},
            {number: status.value.value for number, status in statuses.items()},
        )


def plain_lock_block(index: int, parameters: int, value: bytes) -> bytes:
    """Return the 48-byte block that writes a lock in clear.

    Source: legacy-sam §5.18.
    """
    if not (0 <= index <= 0xFF and 0 <= parameters <= 0xFF):
        raise UsageError(f"lock index {index}, parameters {parameters}; both are bytes")
    if len(value) != KEY_LENGTH:
        raise UsageError(f"a lock value of {len(value)} byte(s); it has {KEY_LENGTH}")
    lock = bytearray(LOCK_VALUE_OFFSET)
    lock[0:2] = LOCK_KIF, index
    lock[LOCK_PARAMETER_OFFSET] = parameters
    block = bytes(8) + bytes(lock) + value + bytes((KeyReference.LOCK,)) + bytes(7) + b"\x80"
    return block.ljust(SEALED_LENGTH, b"\0")


def nothing(response: bytes) -> None:
    """Make nothing of an answer that is a status word only."""
    del response
