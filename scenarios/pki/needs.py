"""What the PKI stories need of card and SAM beyond files: certificates.

Source: calypso-pki §2.2, §2.3; legacy-sam §5.20.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cardbench.protocol.apdu import CommandApdu
from cardbench.protocol.calypso.ins import CLA_ISO, CLA_SAM, CalypsoIns, DataObject, SamIns
from cardbench.protocol.errors import CardError
from cardbench.scenarios.needs import CalypsoCardNeeds, SamNeeds
from cardbench.terminal.card import PlainRequest

if TYPE_CHECKING:
    from cardbench.terminal.card import CardChannel

_SAM_CA_CERTIFICATE = (0xDF, 0x43)
_LE_ALL = 256


def _can_read(channel: CardChannel, command: CommandApdu) -> bool:
    try:
        channel.transmit([PlainRequest(command.encode(), name="Get Data")])
    except CardError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedCardNeeds(CalypsoCardNeeds):
    """A Calypso card with key pair and certificates; implements `Needs`."""

    def missing(self, channel: CardChannel) -> list[str]:
        """Look at the card as any Calypso card, then ask it for its certificate."""
        # The two-argument form: a dataclass with slots is another class than the one in the source.
        lacking = super(CertifiedCardNeeds, self).missing(channel)
        tag = DataObject.CARD_CERTIFICATE
        command = CommandApdu(CLA_ISO, CalypsoIns.GET_DATA, tag >> 8, tag & 0xFF, ne=_LE_ALL)
        if not lacking and not _can_read(channel, command):
            lacking.append("the application has no card certificate")
        return lacking


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifyingSamNeeds(SamNeeds):
    """A SAM with the key of a certification authority; implements `Needs`."""

    preset: str = "pki"

    def missing(self, channel: CardChannel) -> list[str]:
        """Ask the SAM for its keys and its CA certificate."""
        lacking = super(CertifyingSamNeeds, self).missing(channel)
        command = CommandApdu(CLA_SAM, SamIns.GET_DATA, *_SAM_CA_CERTIFICATE, ne=_LE_ALL)
        if not _can_read(channel, command):
            lacking.append("the SAM has no CA certificate")
        return lacking
