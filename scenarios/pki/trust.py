"""Whom the bench trusts in PKI sessions: the project's public test root, then the published one.

Both roots have the same key reference, so a setting holds one of them. The chain of a card is read once;
whichever root it ends at is the one that is used.

Source: calypso-pki §10 (published root), §11 (own root). Our choice: the order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cardbench.protocol.calypso.pki import iso9796
from cardbench.protocol.calypso.pki.public_test_keys import (
    TEST_CHAIN_END,
    TEST_CHAIN_START,
    public_test_pca,
    published_test_pca,
)
from cardbench.protocol.calypso.pki.verification import ExpiryRule
from cardbench.terminal.calypso import AsymmetricSecuritySetting
from cardbench.terminal.crypto.pki import CalypsoPki

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from cardbench.protocol.calypso.pki.verification import CaCertificateContent

__all__ = ["ROOTS", "TEST_CHAIN_END", "TEST_CHAIN_START", "Root", "trusting"]


class Root(NamedTuple):
    """A root of trust.

    Attributes:
        name: for people.
        content: its key.
    """

    name: str
    content: CaCertificateContent


ROOTS: tuple[Root, ...] = (
    Root("cardbench public test root", public_test_pca().content),
    Root("published test root", published_test_pca()),
)


def trusting(
    root: Root,
    *,
    today: Callable[[], date],
    random_bytes: Callable[[int], bytes],
    expiry: ExpiryRule = ExpiryRule.REFUSE,
) -> AsymmetricSecuritySetting:
    """Return the setting of a test terminal that trusts one root.

    Args:
        root: whom to trust.
        today: gives the day that dates are checked against.
        random_bytes: gives the terminal's challenges.
        expiry: what an end date in the past leads to.
    """
    pki = CalypsoPki(today=today, is_test=True, expiry=expiry)
    key = root.content
    modulus = iso9796.modulus_of(key.public_key)
    return (
        AsymmetricSecuritySetting(pki, random_bytes=random_bytes)
        .add_pca_certificate(pki.pca_certificate(key.reference.raw, modulus))
        .add_ca_certificate_parser(pki.ca_certificate_parser())
        .add_card_certificate_parser(pki.card_certificate_parser())
    )
